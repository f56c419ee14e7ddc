/*
 * A server and its clients in one thread: while a client waits for bytes, the loop turns. Handlers
 * are plain functions that a test sets.
 */
#pragma once

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/http_server.h"
#include "base/mem.h"

#define WAIT_MS 10000
#define LOOK_AGAIN_MS 2

struct fix {
	uv_loop_t loop;
	struct http_server *server;
	void (*handler)(struct http_req *req);
	char path[64];
	bool closed;
	/* for the handlers of a test */
	struct http_req *req;
	struct http_stream *stream;
	struct http_hijack *hijack;
	struct buf got;
	int gone, done, drained, eofs, lost, calls, opened_null;
	size_t take_max;
	int code;
};

static struct fix F;

static inline void fix_request(struct http_req *req, void *data)
{
	F.calls++;
	F.handler(req);
}

static inline void fix_start(void (*handler)(struct http_req *req), unsigned clients_max,
			     unsigned idle_ms, unsigned header_ms)
{
	struct http_server_opts opts = {.request = fix_request,
					.clients_max = clients_max,
					.idle_ms = idle_ms,
					.header_ms = header_ms};
	struct err e = ERR_INIT;
	static int number;
	char url[128];

	memset(&F, 0, sizeof(F));
	F.handler = handler;
	F.got = BUF_INIT(64u << 20);
	uv_loop_init(&F.loop);
	snprintf(F.path, sizeof(F.path), "/tmp/shoal-http-test.%d.%d.sock", (int)getpid(),
		 number++);
	snprintf(url, sizeof(url), "unix://%s", F.path);
	assert_ok(http_server_new(&F.loop, &opts, &F.server, &e), &e);
	http_server_header(F.server, "Server", "Shoal/test");
	assert_ok(http_server_listen(F.server, url, NULL, &e), &e);
}

static inline void fix_closed(void *data)
{
	F.closed = true;
}

/* Turns the loop until `fd` is readable (or, -1, until something happened); false at the deadline.
 */
static inline bool fix_turn(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p[2] = {{.fd = uv_backend_fd(&F.loop), .events = POLLIN},
			      {.fd = fd, .events = events}};
	int64_t left = deadline_ms - (int64_t)clock_mono_ms();
	int timeout;

	/* Twice: what a callback has begun to watch is in the loop's epoll set only then. */
	uv_run(&F.loop, UV_RUN_NOWAIT);
	uv_run(&F.loop, UV_RUN_NOWAIT);
	/* The caller looks again soon: what it waits for may have come with this very turn. */
	timeout = uv_backend_timeout(&F.loop);
	if (left <= 0)
		return false;
	if (timeout < 0 || timeout > MIN_OF(left, LOOK_AGAIN_MS))
		timeout = (int)MIN_OF(left, LOOK_AGAIN_MS);
	poll(p, fd < 0 ? 1 : 2, timeout);
	return true;
}

#define fix_wait(cond)                                                  \
	do {                                                            \
		int64_t end_ = (int64_t)clock_mono_ms() + WAIT_MS;      \
		while (!(cond))                                         \
			if (!fix_turn(-1, 0, end_))                     \
				fail_msg("waited too long for " #cond); \
	} while (0)

/* Lets the loop do what it can do now, for things that must not happen. */
static inline void fix_settle(int ms)
{
	int64_t end = (int64_t)clock_mono_ms() + ms;

	while (fix_turn(-1, 0, end))
		;
}

static inline void fix_stop_in(unsigned grace_ms)
{
	http_server_close(F.server, grace_ms, fix_closed, NULL);
	fix_wait(F.closed);
	while (uv_run(&F.loop, UV_RUN_NOWAIT))
		;
	assert_int_equal(uv_loop_close(&F.loop), 0);
	buf_done(&F.got);
	assert_int_equal(access(F.path, F_OK), -1);
}

static inline void fix_stop(void)
{
	fix_stop_in(0);
}

/* Clients */

static inline int cl_open(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, F.path, strlen(F.path));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline int cl_open_tcp(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)http_server_port(F.server)),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Sends what it can until the deadline; the bytes sent. */
static inline size_t cl_send_some(int fd, const void *p, size_t len, int ms)
{
	int64_t end = (int64_t)clock_mono_ms() + ms;
	size_t sent = 0;

	while (sent < len) {
		ssize_t n = send(fd, (const char *)p + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0)
			sent += (size_t)n;
		else if (!fix_turn(fd, POLLOUT, end))
			break;
	}
	return sent;
}

static inline void cl_send(int fd, const char *text)
{
	assert_int_equal(cl_send_some(fd, text, strlen(text), WAIT_MS), strlen(text));
}

/* Reads and drops what is there, or lets the loop turn. */
static inline void cl_read_some(int fd)
{
	char room[65536];

	if (recv(fd, room, sizeof(room), 0) < 0)
		assert_true(fix_turn(fd, POLLIN, (int64_t)clock_mono_ms() + WAIT_MS));
}

/* Reads until `text` has come (NULL: until end of file). False when it never comes. */
static inline bool cl_read_until(int fd, struct buf *b, const char *text)
{
	int64_t end = (int64_t)clock_mono_ms() + WAIT_MS;
	char room[65536];

	for (;;) {
		ssize_t n;

		if (text && b->len && memmem(b->p, b->len, text, strlen(text)))
			return true;
		n = recv(fd, room, sizeof(room), 0);
		if (n > 0)
			buf_add(b, room, (size_t)n);
		else if (n == 0 || errno != EAGAIN)
			return !text;
		else if (!fix_turn(fd, POLLIN, end))
			return false;
	}
}

#define cl_expect(fd, b, text)                                                 \
	do {                                                                   \
		if (!cl_read_until(fd, b, text))                               \
			fail_msg("%s never came; got: %s", text, buf_text(b)); \
	} while (0)

static inline void rep(struct http_req *req, int status, const char *text)
{
	struct buf b = BUF_INIT(1 << 20);

	buf_adds(&b, text);
	http_reply(req, status, "text/plain", &b);
}
