/*
 * The shim: one single-threaded process per container, parent of its init, owner of its stdio and
 * log; and one for each further process that is executed in it. This header is shared by its files
 * (shim*.c); src/main/shoal-shim.c calls shim_main().
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "runtime/container/json_log.h"
#include "runtime/container/launch.h"
#include "runtime/container/shim_proto.h"

#define SHIM_QUEUE_HIGH (256u << 10) /* bytes waiting for a client at which output is not read */
#define SHIM_DRAIN_MS 1000           /* milliseconds for output held open after the end */
#define SHIM_GOODBYE_MS 2000         /* milliseconds for clients to take the last frames */

/* A connection to shim.sock, or the channel of whoever spawned the shim. */
struct peer {
	int fd;
	struct shim_parser parser;
	struct buf out;
	size_t sent;   /* bytes of `out` that are gone */
	size_t fds_at; /* offset in `out` of the frame that carries `fds` */
	int fds[SHIM_FDS_MAX];
	size_t n_fds;
	bool subscribed;
	unsigned int streams; /* enum shim_streams when attached */
	bool gone;            /* to be closed at the end of this turn */
	uint64_t progress_ms; /* when it last took something */
};

/* One output of the container. */
struct output {
	int fd;
	uint16_t frame; /* SHIM_STDOUT or SHIM_STDERR */
	unsigned int stream;
	struct json_stream log;
};

struct shim {
	int dir;    /* the runtime directory, also the working directory */
	int target; /* the init of the container in which it executes a process; -1: it makes one */
	int listener;
	int signals;
	struct container container;
	struct json_log log;
	struct output out[2];
	int in; /* the container's stdin, -1 when closed or never open */
	struct buf in_buf;
	bool in_closing; /* close when in_buf is empty */
	bool terminal;
	bool stdin_once;
	int stop_signal;
	struct shim_state state;
	char error[ERR_MSG_MAX]; /* why the program could not be executed */
	bool starting;           /* SHIM_START was given, its result is awaited */
	int start_code;          /* 126, 127 then */
	struct peer *starter;    /* who waits for the answer to SHIM_START */
	struct peer *spawner;    /* whoever spawned the shim; NULL: it has gone, or nobody did */
	uint32_t start_id;
	bool exited; /* the init is reaped */
	uint64_t exited_ms;
	struct peer *peers[LIMIT_SHIM_CLIENTS];
	size_t n_peers;
};

/*
 * The program: `argv` is DIR [FD [LOCK [PIDFD]]], FD a socket of shim_spawn(). LOCK holds a lock on
 * DIR: as long as the shim has it, there is a shim, whatever else of it can be seen. With PIDFD, a
 * descriptor of a container's init, the shim executes a further process in that container: DIR is
 * then that process's own. Returns the exit status.
 */
int shim_main(int argc, char **argv);

/* shim_loop.c: serves until the container has ended and all is told. */
int shim_loop(struct shim *s);

/* shim_peer.c */
struct peer *peer_add(struct shim *s, int fd);
void peers_remove_gone(struct shim *s);
void peer_read(struct shim *s, struct peer *p);
void peer_flush(struct peer *p);
void peers_event(struct shim *s, uint16_t type);
void peers_output(struct shim *s, const struct output *o, const void *data, size_t n);
void peers_end_of_output(struct shim *s);
/* Puts a frame that carries the container's descriptors in the queue. */
int peer_put_fds(struct shim *s, struct peer *p, uint16_t type, uint32_t id);
void shim_answer_start(struct shim *s, int rc, const struct err *e);
/* Ends a container whose program was not started. -EALREADY: it was. */
int shim_abort_created(struct shim *s);

/* shim_stdio.c */
int stdio_open(struct shim *s, const struct spec *spec, bool open_stdin, int ret_container[3],
	       struct err *e);
/* Takes the terminal over once the container is created. */
void stdio_take_console(struct shim *s);
void stdio_read(struct shim *s, struct output *o);
void stdio_feed(struct shim *s, const void *data, size_t n);
void stdio_write(struct shim *s);
void stdio_close_stdin(struct shim *s);
bool stdio_ended(const struct shim *s);
