/*
 * The Engine API at DOCKER_HOST for programs that measure it: requests over kept connections,
 * without a library's own cost. Whatever goes wrong ends the program with a sentence.
 */
#pragma once

#include <stddef.h>

#define ENGINE_ANSWER_MAX 65536

struct engine_socket {
	int fd;
	char answer[ENGINE_ANSWER_MAX]; /* the last one, as text, with its head */
};

_Noreturn void engine_die(const char *what, const char *why);
/* Reads DOCKER_HOST (a unix socket; Shoal's own by default). Once, before the others. */
void engine_socket_init(void);
void engine_socket_open(struct engine_socket *s);
/* A request; `body` may be NULL. The status of its answer, which is read whole. */
int engine_socket_ask(struct engine_socket *s, const char *method, const char *path,
		      const char *body);
/* The same, and dies when the status is another. */
void engine_socket_must(struct engine_socket *s, int status, const char *method, const char *path,
			const char *body);
/* A GET of any length, which is read and forgotten; how many bytes came. Only 200 will do. */
size_t engine_socket_size(struct engine_socket *s, const char *path);
/* Asks for the connection itself and reads it to its end, on a connection of its own. */
void engine_socket_stream(const char *path, const char *body);
/* The string member "Id" of the answer, in `ret` (65 bytes at least). */
void engine_socket_id(const struct engine_socket *s, char *ret);
