/*
 * The proxy for sd_notify(3): see notify.h.
 */
#include "runtime/oci/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/process.h"

#define FOLDER "notify"
#define NAME "notify.sock"
#define IN_CONTAINER "/run/notify"
#define VARIABLE "NOTIFY_SOCKET"

void notify_done(struct notify *n)
{
	fd_close_at(&n->host);
	fd_close_at(&n->container);
	*n = NOTIFY_INIT;
}

/* NULL: nobody wants to be told. */
static const char *host_socket(void)
{
	const char *path = getenv(VARIABLE);

	return path && *path ? path : NULL;
}

static int host_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_len,
			struct err *e)
{
	size_t n = strlen(path);

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (n < 2 || n >= sizeof(ret->sun_path) || (path[0] != '/' && path[0] != '@'))
		return err_set(e, -EINVAL,
			       VARIABLE " %.128s is neither an absolute path nor an abstract "
					"address (@...) of at most %zu characters",
			       path, sizeof(ret->sun_path) - 1);
	memcpy(ret->sun_path, path, n);
	if (path[0] == '@')
		ret->sun_path[0] = 0;
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

int notify_prepare(const struct oci_container *c, const char *root, struct spec *s, struct err *e)
{
	const char *path = host_socket();
	auto_free char *folder = NULL;
	struct sockaddr_un a;
	socklen_t n;
	int rc;

	if (!path || process_getenv(&s->process.env, VARIABLE))
		return 0;
	rc = host_address(path, &a, &n, e);
	if (rc < 0)
		return rc;
	/* The container's user passes through, whatever the umask is. */
	if (mkdirat(c->dir, FOLDER, 0755) < 0 || fchmodat(c->dir, FOLDER, 0755, 0) < 0)
		return err_sys(e, "cannot make the folder for " VARIABLE " of container %s", c->id);
	folder = xasprintf("%s/%s/" FOLDER, root, c->id);
	spec_add_mount(s, IN_CONTAINER, "bind", folder, "bind,nosuid,noexec,nodev,ro");
	spec_strs_add(&s->process.env, VARIABLE "=" IN_CONTAINER "/" NAME);
	return 0;
}

static int open_container(const struct oci_container *c, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = FOLDER "/" NAME};
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* By the working directory: the whole path may be longer than an address. */
	if (fd >= 0 && fchdir(c->dir) == 0)
		(void)unlink(a.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(a.sun_path, 0777) < 0)
		return err_sys(e, "cannot make the notify socket of container %s", c->id);
	return TAKE_FD(fd);
}

static int open_host(struct err *e)
{
	struct timeval limit = {.tv_sec = LIMIT_NOTIFY_HOST_MS / 1000};
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	socklen_t n;
	int rc = host_address(host_socket(), &a, &n, e);

	if (rc < 0)
		return rc;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, n) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_sys(e, "cannot reach " VARIABLE " %.128s", host_socket());
	return TAKE_FD(fd);
}

int notify_open(const struct oci_container *c, pid_t main_pid, struct notify *ret, struct err *e)
{
	struct stat st;

	*ret = NOTIFY_INIT;
	if (!host_socket() || fstatat(c->dir, FOLDER, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	ret->main_pid = main_pid;
	ret->host = open_host(e);
	ret->container = ret->host < 0 ? -1 : open_container(c, e);
	if (ret->container >= 0)
		return 0;
	notify_done(ret);
	return e->code;
}

static bool has_line(const char *text, size_t n, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = text, *end = text + n; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t k = (size_t)((stop ? stop : end) - p);

		if (k == len && memcmp(p, line, len) == 0)
			return true;
		p += k + 1;
	}
	return false;
}

/* In one message, so that no manager sees the one without the other. */
static int tell_host(const struct notify *n, struct err *e)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int)n->main_pid);

	if (send(n->host, text, (size_t)len, MSG_NOSIGNAL) < 0)
		return err_sys(e, "cannot pass READY=1 on to " VARIABLE);
	return 0;
}

/* Takes one message: 1 when it was READY=1, and has been passed on. */
static int take(struct notify *n, struct err *e)
{
	char text[LIMIT_NOTIFY];
	ssize_t len = recv(n->container, text, sizeof(text), MSG_DONTWAIT | MSG_TRUNC);
	int rc;

	/* What is cut off may not say what it seems to: it is no message. */
	if (len < 0 || (size_t)len > sizeof(text) || !has_line(text, (size_t)len, "READY=1"))
		return 0;
	rc = tell_host(n, e);
	return rc < 0 ? rc : 1;
}

int notify_take(struct notify *n, struct err *e)
{
	int rc = take(n, e);

	if (rc != 0)
		notify_done(n);
	return rc < 0 ? rc : 0;
}

/*
 * The host finds out who speaks by the sender's pid, so that must not end before its message is
 * read: sd_notify_barrier(3). A host that does not take it in time is not worth an error.
 */
static void await_host(const struct notify *n)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	char text[] = "BARRIER=1";
	struct iovec iov = {text, sizeof(text) - 1};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	int pair[2];
	struct pollfd pf;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return;
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(m), &pair[1], sizeof(int));
	pf = (struct pollfd){.fd = pair[0]};
	if (sendmsg(n->host, &h, MSG_NOSIGNAL) >= 0) {
		close(TAKE_FD(pair[1]));
		(void)poll(&pf, 1, LIMIT_NOTIFY_HOST_MS);
	}
	fd_close_at(&pair[0]);
	fd_close_at(&pair[1]);
}

/* 1: the message has come; 0: the process has ended; -ETIMEDOUT. */
static int await_ready(struct notify *n, int pidfd, int timeout_ms, struct err *e)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
	struct pollfd pf[2] = {{.fd = n->container, .events = POLLIN},
			       {.fd = pidfd, .events = POLLIN}};

	for (uint64_t now = clock_mono_ms(); now < end; now = clock_mono_ms()) {
		int rc;

		(void)poll(pf, ARRAY_LEN(pf), (int)(end - now));
		rc = pf[0].revents & POLLIN ? take(n, e) : 0;
		if (rc != 0)
			return rc;
		/* What it has said before its end has been read first. */
		if (!(pf[0].revents & POLLIN) && (pf[1].revents & POLLIN))
			return 0;
	}
	return err_set(e, -ETIMEDOUT, "the container has not said READY=1 in %d ms", timeout_ms);
}

int notify_await(struct notify *n, int pidfd, int timeout_ms, struct err *e)
{
	int rc = n->host < 0 ? 0 : await_ready(n, pidfd, timeout_ms, e);

	if (rc > 0)
		await_host(n);
	notify_done(n);
	return rc < 0 ? rc : 0;
}
