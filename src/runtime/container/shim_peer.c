/*
 * The shim's clients: bounded in number and in what may wait for each; a client that takes nothing
 * is dropped and never holds the container up for good.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "runtime/container/shim.h"

#define SESSION_ROUNDS 8 /* looks through /proc for what is left of a session */

struct peer *peer_add(struct shim *s, int fd)
{
	struct peer *p;

	if (s->n_peers == LIMIT_SHIM_CLIENTS) {
		close(fd);
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	p->fd = fd;
	p->progress_ms = clock_mono_ms();
	shim_parser_init(&p->parser);
	buf_init(&p->out, LIMIT_SHIM_QUEUE);
	s->peers[s->n_peers++] = p;
	return p;
}

static void peer_free(struct shim *s, struct peer *p)
{
	/* Docker's StdinOnce: input ends with the client that gave it. */
	if ((p->streams & SHIM_STREAM_STDIN) && s->stdin_once)
		stdio_close_stdin(s);
	if (s->starter == p)
		s->starter = NULL;
	/* Nobody else knows yet of a container that whoever asked for it has not started. */
	if (s->spawner == p) {
		s->spawner = NULL;
		(void)shim_abort_created(s);
	}
	for (size_t i = 0; i < p->n_fds; i++)
		close(p->fds[i]);
	shim_parser_done(&p->parser);
	buf_done(&p->out);
	close(p->fd);
	free(p);
}

void peers_remove_gone(struct shim *s)
{
	for (size_t i = 0; i < s->n_peers;) {
		struct peer *p = s->peers[i];

		if (!p->gone) {
			i++;
			continue;
		}
		s->peers[i] = s->peers[--s->n_peers];
		peer_free(s, p);
	}
}

static void check_put(struct peer *p, int rc)
{
	if (rc < 0)
		p->gone = true;
}

/* Sends up to the frame that carries descriptors, then that with them. */
static ssize_t send_some(struct peer *p)
{
	bool with = p->n_fds && p->sent == p->fds_at;
	size_t end = p->n_fds && !with ? p->fds_at : p->out.len;
	struct iovec iov = {p->out.p + p->sent, end - p->sent};
	char control[CMSG_SPACE(sizeof(int) * SHIM_FDS_MAX)] = {0};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (with) {
		struct cmsghdr *c;

		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * p->n_fds);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * p->n_fds);
		memcpy(CMSG_DATA(c), p->fds, sizeof(int) * p->n_fds);
	}
	n = sendmsg(p->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0 && with) {
		for (size_t i = 0; i < p->n_fds; i++)
			close(p->fds[i]);
		p->n_fds = 0;
	}
	return n;
}

void peer_flush(struct peer *p)
{
	while (!p->gone && p->sent < p->out.len) {
		ssize_t n = send_some(p);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			p->gone = true;
			return;
		}
		p->sent += (size_t)n;
		p->progress_ms = clock_mono_ms();
	}
	if (p->sent == p->out.len) {
		/* An idle shim holds no buffers. */
		buf_done(&p->out);
		p->sent = 0;
	} else if (p->sent > SHIM_QUEUE_HIGH && !p->n_fds) {
		buf_shift(&p->out, p->sent);
		p->sent = 0;
	}
}

int peer_put_fds(struct shim *s, struct peer *p, uint16_t type, uint32_t id)
{
	const struct container *c = &s->container;
	const int fds[] = {c->pidfd, c->netns, c->dns_udp, c->dns_tcp}; /* by enum shim_fd */
	size_t at = p->out.len;
	uint32_t mask = 0;
	int rc;

	if (p->n_fds)
		return -EBUSY;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		int copy = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (copy < 0)
			continue;
		mask |= 1u << i;
		p->fds[p->n_fds++] = copy;
	}
	p->fds_at = at;
	rc = type == SHIM_READY ? shim_put_state(&p->out, type, id, &s->state, mask)
				: shim_put_u32s(&p->out, type, id, &mask, 1);
	return rc;
}

static void answer(struct peer *p, uint32_t id, int rc, int exit_code, const char *text)
{
	struct shim_error se = {.code = (uint32_t)-rc, .exit_code = (uint32_t)exit_code};

	if (rc >= 0) {
		check_put(p, shim_put(&p->out, SHIM_OK, id, NULL, 0));
		return;
	}
	snprintf(se.text, sizeof(se.text), "%s", text && *text ? text : strerror(-rc));
	check_put(p, shim_put_error(&p->out, id, &se));
}

void shim_answer_start(struct shim *s, int rc, const struct err *e)
{
	struct peer *p = s->starter;

	s->starter = NULL;
	if (!p)
		return;
	answer(p, s->start_id, rc, s->start_code, e ? e->msg : NULL);
	peer_flush(p);
}

static void on_start(struct shim *s, struct peer *p, uint32_t id)
{
	struct err e = ERR_INIT;
	int rc;

	if (s->state.phase != SHIM_CREATED || s->starting || s->exited) {
		answer(p, id, -EALREADY, 0, "the container is started already");
		return;
	}
	rc = launch_start(&s->container, &e);
	if (rc < 0) {
		answer(p, id, rc, 0, e.msg);
		return;
	}
	s->starting = true;
	s->starter = p;
	s->start_id = id;
}

int shim_abort_created(struct shim *s)
{
	if (s->state.phase != SHIM_CREATED || s->starting || s->exited)
		return -EALREADY;
	(void)syscall(SYS_pidfd_send_signal, s->container.pidfd, SIGKILL, NULL, 0);
	return 0;
}

static void on_state(struct shim *s, struct peer *p, uint32_t id)
{
	struct shim_state state = s->state;

	if (s->starting)
		state.phase = SHIM_RUNNING;
	check_put(p, shim_put_state(&p->out, SHIM_STATE, id, &state, 0));
}

/* The session of a living process of /proc, or -1. Its name may hold blanks and brackets. */
static long session_of(const char *pid)
{
	char path[64], text[512];
	const char *at;
	ssize_t n;
	long session = -1;
	char state;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %c %*d %*d %ld", &state, &session) != 2)
		return -1;
	return state == 'Z' || state == 'X' ? -1 : session;
}

/*
 * All that an executed process has started: it leads a session. Again and again, should something
 * fork faster than it is killed.
 */
static void kill_session(long session, int signal)
{
	bool found = true;

	for (int i = 0; found && i < (signal == SIGKILL ? SESSION_ROUNDS : 1); i++) {
		DIR *d = opendir("/proc");
		struct dirent *entry;

		found = false;
		while (d && (entry = readdir(d))) {
			if (!isdigit((unsigned char)entry->d_name[0]) ||
			    session_of(entry->d_name) != session)
				continue;
			found = kill((pid_t)strtol(entry->d_name, NULL, 10), signal) == 0 || found;
		}
		if (d)
			closedir(d);
	}
}

static void on_kill(struct shim *s, struct peer *p, const struct shim_frame *f)
{
	struct err e = ERR_INIT;
	uint32_t v[2];
	int signal, rc;

	if (shim_get_u32s(f, v, 2) < 0 || v[0] > 64) {
		answer(p, f->id, -EINVAL, 0, "the signal is out of range");
		return;
	}
	signal = v[0] ? (int)v[0] : s->stop_signal;
	if (s->exited)
		rc = err_set(&e, -ESRCH, "the container has stopped");
	else if (v[1] && s->container.has_cgroup)
		rc = cgroup_kill(&s->container.cgroup, signal, &e);
	else if (syscall(SYS_pidfd_send_signal, s->container.pidfd, signal, NULL, 0) < 0)
		rc = err_sys(&e, "cannot send the signal %d", signal);
	else
		rc = 0;
	if (rc == 0 && v[1] && !s->container.has_cgroup)
		kill_session((long)s->state.pid, signal);
	answer(p, f->id, rc, 0, e.msg);
}

static void on_resize(struct shim *s, struct peer *p, const struct shim_frame *f)
{
	struct winsize ws = {0};
	uint32_t v[2];
	int rc = 0;

	if (shim_get_u32s(f, v, 2) < 0 || v[0] > UINT16_MAX || v[1] > UINT16_MAX) {
		answer(p, f->id, -EINVAL, 0, "the size is out of range");
		return;
	}
	ws.ws_row = (unsigned short)v[0];
	ws.ws_col = (unsigned short)v[1];
	if (s->container.console < 0)
		rc = -ENOTTY;
	else if (ioctl(s->container.console, TIOCSWINSZ, &ws) < 0)
		rc = -errno;
	answer(p, f->id, rc, 0, rc == -ENOTTY ? "the container has no terminal" : NULL);
}

static void on_attach(struct shim *s, struct peer *p, const struct shim_frame *f)
{
	uint32_t streams;

	if (shim_get_u32s(f, &streams, 1) < 0 || (streams & ~7u) || !streams) {
		answer(p, f->id, -EINVAL, 0, "the streams to attach are not known");
		return;
	}
	if (s->exited) {
		answer(p, f->id, -ESRCH, 0, "the container has stopped");
		return;
	}
	p->streams = streams;
	answer(p, f->id, 0, 0, NULL);
}

static void on_frame(struct shim *s, struct peer *p, const struct shim_frame *f)
{
	switch (f->type) {
	case SHIM_HELLO:
	case SHIM_GET_STATE:
		on_state(s, p, f->id);
		break;
	case SHIM_ABORT:
		answer(p, f->id, shim_abort_created(s), 0, "the container has been started");
		break;
	case SHIM_START:
		on_start(s, p, f->id);
		break;
	case SHIM_KILL:
		on_kill(s, p, f);
		break;
	case SHIM_RESIZE:
		on_resize(s, p, f);
		break;
	case SHIM_ATTACH:
		on_attach(s, p, f);
		break;
	case SHIM_CLOSE_STDIN:
		stdio_close_stdin(s);
		answer(p, f->id, 0, 0, NULL);
		break;
	case SHIM_GET_FDS:
		if (peer_put_fds(s, p, SHIM_FDS, f->id) < 0)
			p->gone = true;
		break;
	case SHIM_SUBSCRIBE:
		p->subscribed = true;
		answer(p, f->id, 0, 0, NULL);
		if (s->state.phase == SHIM_STOPPED)
			check_put(p, shim_put_state(&p->out, SHIM_EXITED, 0, &s->state, 0));
		break;
	case SHIM_STDIN:
		if (p->streams & SHIM_STREAM_STDIN)
			stdio_feed(s, f->body, f->len);
		break;
	case SHIM_EOF:
		if ((p->streams & SHIM_STREAM_STDIN) && s->stdin_once)
			stdio_close_stdin(s);
		p->streams &= ~(unsigned int)SHIM_STREAM_STDIN;
		break;
	default:
		answer(p, f->id, -ENOSYS, 0, "this shim does not know that request");
		break;
	}
}

void peer_read(struct shim *s, struct peer *p)
{
	static uint8_t data[LIMIT_SHIM_READ];
	ssize_t n = recv(p->fd, data, sizeof(data), MSG_DONTWAIT);
	struct shim_frame f;
	int rc;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || shim_parser_feed(&p->parser, data, (size_t)n) < 0) {
		p->gone = true;
		return;
	}
	while (!p->gone && (rc = shim_parser_next(&p->parser, &f)) != 0) {
		if (rc < 0) {
			p->gone = true;
			return;
		}
		on_frame(s, p, &f);
	}
	if (p->parser.in.len == 0)
		shim_parser_done(&p->parser);
	peer_flush(p);
}

void peers_event(struct shim *s, uint16_t type)
{
	for (size_t i = 0; i < s->n_peers; i++) {
		struct peer *p = s->peers[i];

		if (!p->subscribed)
			continue;
		check_put(p, shim_put_state(&p->out, type, 0, &s->state, 0));
		peer_flush(p);
	}
}

void peers_output(struct shim *s, const struct output *o, const void *data, size_t n)
{
	for (size_t i = 0; i < s->n_peers; i++) {
		struct peer *p = s->peers[i];

		if (!(p->streams & o->stream))
			continue;
		if (p->sent == p->out.len)
			p->progress_ms = clock_mono_ms();
		check_put(p, shim_put(&p->out, o->frame, 0, data, n));
		peer_flush(p);
	}
}

void peers_end_of_output(struct shim *s)
{
	for (size_t i = 0; i < s->n_peers; i++) {
		struct peer *p = s->peers[i];

		if (!(p->streams & (SHIM_STREAM_STDOUT | SHIM_STREAM_STDERR)))
			continue;
		check_put(p, shim_put(&p->out, SHIM_EOF, 0, NULL, 0));
		peer_flush(p);
	}
}
