/*
 * The daemon's side of a shim: connection and requests. See shim_client.h; spawning and what
 * remains of lost shims are in shim_spawn.c.
 */
#include "runtime/container/shim_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define HELD_MAX (4u << 20) /* bytes of events and output that come while an answer is awaited */

void shim_fds_done(struct shim_fds *fds)
{
	fd_close_at(&fds->pid);
	fd_close_at(&fds->netns);
	fd_close_at(&fds->dns_udp);
	fd_close_at(&fds->dns_tcp);
	*fds = SHIM_FDS_INIT;
}

void shim_client_init(struct shim_client *c)
{
	*c = (struct shim_client){.fd = -1};
	shim_parser_init(&c->parser);
	buf_init(&c->held, HELD_MAX);
	buf_init(&c->out, LIMIT_SHIM_QUEUE);
}

void shim_client_done(struct shim_client *c)
{
	for (size_t i = 0; i < c->n_fds; i++)
		close(c->fds[i]);
	c->n_fds = 0;
	shim_parser_done(&c->parser);
	buf_done(&c->held);
	buf_done(&c->out);
	fd_close_at(&c->fd);
	c->fd = -1;
}

uint32_t shim_client_id(struct shim_client *c)
{
	if (++c->last_id == 0)
		c->last_id = 1;
	return c->last_id;
}

static void keep_fds(struct shim_client *c, struct msghdr *h)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m; m = CMSG_NXTHDR(h, m)) {
		size_t n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(m) + i * sizeof(int), sizeof(fd));
			if (c->n_fds < SHIM_FDS_MAX)
				c->fds[c->n_fds++] = fd;
			else
				close(fd);
		}
	}
}

int shim_client_read(struct shim_client *c)
{
	char data[LIMIT_SHIM_READ];
	char control[CMSG_SPACE(sizeof(int) * SHIM_FDS_MAX)];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	do
		n = recvmsg(c->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	keep_fds(c, &h);
	if (n == 0)
		return -ECONNRESET;
	return shim_parser_feed(&c->parser, data, (size_t)n) < 0 ? -EPROTO : 1;
}

int shim_client_next(struct shim_client *c, struct shim_frame *ret)
{
	if (c->held_used < c->held.len) {
		long n = shim_parse(c->held.p + c->held_used, c->held.len - c->held_used, ret);

		c->held_used += n > 0 ? (size_t)n : 0;
		return n > 0 ? 1 : -EPROTO;
	}
	if (c->held.len) {
		buf_done(&c->held);
		c->held_used = 0;
	}
	return shim_parser_next(&c->parser, ret);
}

int shim_client_flush(struct shim_client *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.p, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 1 : -errno;
		buf_shift(&c->out, (size_t)n);
	}
	return 0;
}

int shim_client_take_fds(struct shim_client *c, uint32_t mask, struct shim_fds *ret)
{
	struct shim_fds fds = SHIM_FDS_INIT;
	int *const by_bit[] = {&fds.pid, &fds.netns, &fds.dns_udp, &fds.dns_tcp};
	size_t n = 0;

	for (unsigned int bit = 0; bit < 32; bit++) {
		if (!(mask & 1u << bit))
			continue;
		if (n == c->n_fds) {
			shim_fds_done(&fds);
			c->n_fds = 0;
			return -EPROTO;
		}
		if (bit < ARRAY_LEN(by_bit))
			*by_bit[bit] = c->fds[n++];
		else /* of a newer shim */
			close(c->fds[n++]);
	}
	while (n < c->n_fds)
		close(c->fds[n++]);
	c->n_fds = 0;
	*ret = fds;
	return 0;
}

static int wait_for(int fd, short events, uint64_t end_ms, struct err *e)
{
	for (;;) {
		uint64_t now = clock_mono_ms();
		struct pollfd pf = {.fd = fd, .events = events};
		int n = poll(&pf, 1, now >= end_ms ? 0 : (int)(end_ms - now));

		if (n > 0)
			return 0;
		if (n == 0)
			return err_set(e, -ETIMEDOUT, "the shim does not answer");
		if (errno != EINTR)
			return err_sys(e, "cannot wait for the shim");
	}
}

static int send_all(struct shim_client *c, uint64_t end_ms, struct err *e)
{
	for (;;) {
		int rc = shim_client_flush(c);

		if (rc == 0)
			return 0;
		if (rc < 0)
			return err_code(e, rc, "cannot send to the shim");
		rc = wait_for(c->fd, POLLOUT, end_ms, e);
		if (rc < 0)
			return rc;
	}
}

/* Reads until the frame with this id; what else comes is held for shim_client_next(). */
static int await(struct shim_client *c, uint32_t id, uint64_t end_ms, struct shim_frame *ret,
		 struct err *e)
{
	for (;;) {
		int rc;

		while ((rc = shim_parser_next(&c->parser, ret)) > 0) {
			if (ret->id == id)
				return 0;
			if (shim_put(&c->held, ret->type, ret->id, ret->body, ret->len) < 0)
				return err_set(e, -ENOBUFS, "the shim sends too much");
		}
		if (rc < 0)
			return err_set(e, rc, "the shim sends garbage");
		rc = wait_for(c->fd, POLLIN, end_ms, e);
		if (rc < 0)
			return rc;
		rc = shim_client_read(c);
		if (rc < 0)
			return err_code(e, rc, "the shim is gone");
	}
}

/* The shim's own sentence. */
static int failed(const struct shim_frame *f, int *ret_exit_code, struct err *e)
{
	struct shim_error se;

	if (shim_get_error(f, &se) < 0 || se.code == 0 || se.code > 4095)
		return err_set(e, -EPROTO, "the shim sends garbage");
	if (ret_exit_code)
		*ret_exit_code = (int)se.exit_code;
	return err_set(e, -(int)se.code, "%s", se.text);
}

static int call(struct shim_client *c, uint16_t type, const uint32_t *v, size_t n, uint16_t answer,
		int timeout_ms, struct shim_frame *ret, int *ret_exit_code, struct err *e)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
	uint32_t id = shim_client_id(c);
	int rc;

	if (shim_put_u32s(&c->out, type, id, v, n) < 0)
		return err_set(e, -ENOBUFS, "too much waits to be sent to the shim");
	rc = send_all(c, end, e);
	if (rc == 0)
		rc = await(c, id, end, ret, e);
	if (rc < 0)
		return rc;
	if (ret->type == SHIM_ERROR)
		return failed(ret, ret_exit_code, e);
	if (ret->type != answer)
		return err_set(e, -EPROTO, "the shim answers with another message");
	return 0;
}

static int call_ok(struct shim_client *c, uint16_t type, const uint32_t *v, size_t n,
		   int timeout_ms, struct err *e)
{
	struct shim_frame f;

	return call(c, type, v, n, SHIM_OK, timeout_ms, &f, NULL, e);
}

/* Through /proc/self/fd: the directory's path may be longer than a socket's address takes. */
static int connect_to(const char *dir, struct err *e)
{
	auto_close int d = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (d < 0)
		return err_sys(e, "cannot open %s", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/shim.sock", d);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, "cannot connect to %s/shim.sock", dir);
	return TAKE_FD(fd);
}

int shim_connect(const char *dir, int timeout_ms, struct shim_client *c,
		 struct shim_state *ret_state, struct err *e)
{
	const uint32_t version = SHIM_PROTO_VERSION;
	struct shim_frame f;
	int rc;

	shim_client_init(c);
	c->fd = connect_to(dir, e);
	if (c->fd < 0) {
		rc = c->fd;
		c->fd = -1;
		return rc;
	}
	rc = call(c, SHIM_HELLO, &version, 1, SHIM_STATE, timeout_ms, &f, NULL, e);
	if (rc == 0 && shim_get_state(&f, ret_state, NULL) < 0)
		rc = err_set(e, -EPROTO, "the shim sends garbage");
	if (rc < 0)
		shim_client_done(c);
	return rc;
}

int shim_get_status(struct shim_client *c, int timeout_ms, struct shim_state *ret, struct err *e)
{
	struct shim_frame f;
	int rc = call(c, SHIM_GET_STATE, NULL, 0, SHIM_STATE, timeout_ms, &f, NULL, e);

	if (rc == 0 && shim_get_state(&f, ret, NULL) < 0)
		rc = err_set(e, -EPROTO, "the shim sends garbage");
	return rc;
}

int shim_get_fds(struct shim_client *c, int timeout_ms, struct shim_fds *ret, struct err *e)
{
	struct shim_frame f;
	uint32_t mask;
	int rc = call(c, SHIM_GET_FDS, NULL, 0, SHIM_FDS, timeout_ms, &f, NULL, e);

	if (rc < 0)
		return rc;
	if (shim_get_u32s(&f, &mask, 1) < 0 || shim_client_take_fds(c, mask, ret) < 0)
		return err_set(e, -EPROTO, "the shim sends garbage");
	return 0;
}

int shim_start(struct shim_client *c, int timeout_ms, int *ret_exit_code, struct err *e)
{
	struct shim_frame f;

	*ret_exit_code = 0;
	return call(c, SHIM_START, NULL, 0, SHIM_OK, timeout_ms, &f, ret_exit_code, e);
}

int shim_kill(struct shim_client *c, int signal, bool all, int timeout_ms, struct err *e)
{
	const uint32_t v[] = {(uint32_t)signal, all};

	return call_ok(c, SHIM_KILL, v, 2, timeout_ms, e);
}

int shim_abort(struct shim_client *c, int timeout_ms, struct err *e)
{
	return call_ok(c, SHIM_ABORT, NULL, 0, timeout_ms, e);
}

int shim_resize(struct shim_client *c, int rows, int cols, int timeout_ms, struct err *e)
{
	const uint32_t v[] = {(uint32_t)rows, (uint32_t)cols};

	return call_ok(c, SHIM_RESIZE, v, 2, timeout_ms, e);
}

int shim_close_stdin(struct shim_client *c, int timeout_ms, struct err *e)
{
	return call_ok(c, SHIM_CLOSE_STDIN, NULL, 0, timeout_ms, e);
}

int shim_attach(struct shim_client *c, unsigned int streams, int timeout_ms, struct err *e)
{
	const uint32_t v = streams;

	return call_ok(c, SHIM_ATTACH, &v, 1, timeout_ms, e);
}

int shim_subscribe(struct shim_client *c, int timeout_ms, struct err *e)
{
	return call_ok(c, SHIM_SUBSCRIBE, NULL, 0, timeout_ms, e);
}

int shim_client_await_ready(struct shim_client *c, int timeout_ms, struct shim_state *ret_state,
			    struct shim_fds *ret_fds, int *ret_exit_code, struct err *e)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
	struct shim_frame f;
	uint32_t mask;
	int rc = await(c, 0, end, &f, e);

	if (rc < 0)
		return err_wrap(e, "the shim did not create the container");
	if (f.type == SHIM_ERROR)
		return failed(&f, ret_exit_code, e);
	if (f.type != SHIM_READY || shim_get_state(&f, ret_state, &mask) < 0 ||
	    shim_client_take_fds(c, mask, ret_fds) < 0)
		return err_set(e, -EPROTO, "the shim sends garbage");
	return 0;
}
