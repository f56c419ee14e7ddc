/*
 * See engine_socket.h.
 */
#include "engine_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 4096
#define ID_LEN 64
#define CHUNKS_END "0\r\n\r\n" /* of an answer in chunks of JSON, which has no such lines */
#define CHUNKS_END_LEN 5

static struct sockaddr_un address = {.sun_family = AF_UNIX};

_Noreturn void engine_die(const char *what, const char *why)
{
	(void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
	exit(1);
}

void engine_socket_init(void)
{
	const char *host = getenv("DOCKER_HOST"), scheme[] = "unix://";

	if (!host)
		host = "unix:///run/shoal/shoal.sock";
	if (strncmp(host, scheme, sizeof scheme - 1) != 0 ||
	    strlen(host + sizeof scheme - 1) >= sizeof address.sun_path)
		engine_die(host, "only unix:// sockets can be measured");
	memcpy(address.sun_path, host + sizeof scheme - 1, strlen(host + sizeof scheme - 1));
}

void engine_socket_open(struct engine_socket *s)
{
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&address, sizeof address) < 0)
		engine_die(address.sun_path, strerror(errno));
}

/* A field's value in the head of an answer, NULL without. */
static const char *field_of(const char *text, const char *end, const char *field)
{
	size_t n = strlen(field);

	for (const char *at = text; at < end; at++)
		if (strncasecmp(at, field, n) == 0)
			return at + n + strspn(at + n, " ");
	return NULL;
}

static int is_whole(const char *text, size_t have)
{
	const char *end = strstr(text, "\r\n\r\n"), *value;
	size_t head;

	if (!end)
		return 0;
	head = (size_t)(end + 4 - text);
	value = field_of(text, end, "\r\nContent-Length:");
	if (value)
		return have >= head + strtoul(value, NULL, 10);
	value = field_of(text, end, "\r\nTransfer-Encoding:");
	return !value || (have >= head + CHUNKS_END_LEN &&
			  memcmp(text + have - CHUNKS_END_LEN, CHUNKS_END, CHUNKS_END_LEN) == 0);
}

static void send_request(int fd, const char *method, const char *path, const char *more,
			 const char *body)
{
	char request[REQUEST_MAX];
	int n = snprintf(request, sizeof request,
			 "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
			 "%sContent-Length: %zu\r\n\r\n%s",
			 method, path, more, body ? strlen(body) : 0, body ? body : "");

	if (n < 0 || (size_t)n >= sizeof request || write(fd, request, (size_t)n) != n)
		engine_die(path, "the request cannot be written");
}

int engine_socket_ask(struct engine_socket *s, const char *method, const char *path,
		      const char *body)
{
	size_t have = 0;

	send_request(s->fd, method, path, "", body);
	do {
		ssize_t got = read(s->fd, s->answer + have, sizeof s->answer - 1 - have);

		if (got <= 0)
			engine_die(path, got < 0 ? strerror(errno) : "the connection was closed");
		have += (size_t)got;
		s->answer[have] = '\0';
	} while (!is_whole(s->answer, have));
	return (int)strtol(s->answer + strlen("HTTP/1.1 "), NULL, 10);
}

/* Reads until the head is there, with what came behind it. Its status. */
static int head_read(struct engine_socket *s, const char *path, size_t *ret_have)
{
	size_t have = 0;

	do {
		ssize_t got = read(s->fd, s->answer + have, sizeof s->answer - 1 - have);

		if (got <= 0)
			engine_die(path, got < 0 ? strerror(errno) : "the connection was closed");
		have += (size_t)got;
		s->answer[have] = '\0';
	} while (!strstr(s->answer, "\r\n\r\n"));
	*ret_have = have;
	return (int)strtol(s->answer + strlen("HTTP/1.1 "), NULL, 10);
}

size_t engine_socket_size(struct engine_socket *s, const char *path)
{
	const char *end, *length;
	char tail[CHUNKS_END_LEN];
	size_t total, whole, have;

	send_request(s->fd, "GET", path, "", NULL);
	if (head_read(s, path, &have) != 200)
		engine_die(path, s->answer);
	end = strstr(s->answer, "\r\n\r\n") + 4;
	length = field_of(s->answer, end, "\r\nContent-Length:");
	whole = (size_t)(end - s->answer) + (length ? strtoul(length, NULL, 10) : 0);
	for (total = have;;) {
		size_t kept = have < sizeof tail ? have : sizeof tail;
		ssize_t got;

		if (length ? total >= whole
			   : have >= sizeof tail &&
				     memcmp(s->answer + have - kept, CHUNKS_END, sizeof tail) == 0)
			return total;
		memmove(s->answer, s->answer + have - kept, kept);
		got = read(s->fd, s->answer + kept, sizeof s->answer - kept);
		if (got <= 0)
			engine_die(path, got < 0 ? strerror(errno) : "the connection was closed");
		have = kept + (size_t)got;
		total += (size_t)got;
	}
}

void engine_socket_must(struct engine_socket *s, int status, const char *method, const char *path,
			const char *body)
{
	if (engine_socket_ask(s, method, path, body) != status)
		engine_die(path, s->answer);
}

void engine_socket_stream(const char *path, const char *body)
{
	struct engine_socket s;
	char bytes[4096];
	ssize_t n;

	engine_socket_open(&s);
	send_request(s.fd, "POST", path, "Connection: Upgrade\r\nUpgrade: tcp\r\n", body);
	do
		n = read(s.fd, bytes, sizeof bytes);
	while (n > 0);
	if (n < 0)
		engine_die(path, strerror(errno));
	close(s.fd);
}

void engine_socket_id(const struct engine_socket *s, char *ret)
{
	const char *at = strstr(s->answer, "\"Id\":\"");

	if (!at || strlen(at) < 6 + ID_LEN)
		engine_die("no id", s->answer);
	memcpy(ret, at + 6, ID_LEN);
	ret[ID_LEN] = '\0';
}
