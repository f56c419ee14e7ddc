/*
 * The listening sockets of the HTTP server: unix, TCP, and those given by systemd. It accepts and
 * hands over to the library; it knows nothing of requests.
 */
#include "base/http_impl.h"

#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/mem.h"

#define LISTEN_BACKLOG 512
#define ACCEPTS_PER_TURN 64
#define LIVE_LOOK_MS 20

static int find_group(const char *name, gid_t *ret, struct err *e)
{
	struct group room, *found = NULL;
	char text[4096], *end;
	unsigned long number = strtoul(name, &end, 10);

	if (*name && !*end) {
		*ret = (gid_t)number;
		return 0;
	}
	if (getgrnam_r(name, &room, text, sizeof(text), &found) != 0 || !found)
		return err_set(e, -ENOENT, "there is no group %s on this machine", name);
	*ret = found->gr_gid;
	return 0;
}

/* True when somebody listens there; a dead socket file is removed. */
static bool unix_look(const struct sockaddr_un *addr)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	if (fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
	    errno == ECONNREFUSED)
		return unlink(addr->sun_path) < 0;
	return true;
}

/* The same; a daemon that was just killed is given the time that file_wait_lock() speaks of. */
static bool wait_unix_is_live(const struct sockaddr_un *addr)
{
	uint64_t end = clock_mono_ms() + LIMIT_TAKEOVER_MS;
	bool live;

	while ((live = unix_look(addr)) && clock_mono_ms() < end)
		(void)poll(NULL, 0, LIVE_LOOK_MS);
	return live;
}

/* Mode and group are set before anyone can connect: the file refuses until listen(). */
static int unix_bind(int fd, const struct sockaddr_un *addr, const char *group, struct err *e)
{
	gid_t gid = (gid_t)-1;
	int rc = group ? find_group(group, &gid, e) : 0;

	if (rc < 0)
		return err_wrap(e, "cannot listen at unix://%s", addr->sun_path);
	if (wait_unix_is_live(addr))
		return err_set(
			e, -EADDRINUSE,
			"cannot listen at unix://%s: another daemon serves it; stop that one "
			"or choose another socket with --host",
			addr->sun_path);
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return err_sys(e, "cannot listen at unix://%s", addr->sun_path);
	if (chmod(addr->sun_path, 0660) < 0 ||
	    (group && chown(addr->sun_path, (uid_t)-1, gid) < 0) ||
	    listen(fd, LISTEN_BACKLOG) < 0) {
		rc = err_sys(e, "cannot listen at unix://%s", addr->sun_path);
		unlink(addr->sun_path);
		return rc;
	}
	return 0;
}

static int listen_unix(const char *path, const char *group, char **ret_path, int *ret_fd,
		       struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	auto_close int fd = -1;
	int rc;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return err_set(e, -EINVAL,
			       "cannot listen at unix://%s: the path must have 1 to %zu characters",
			       path, sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "cannot listen at unix://%s", path);
	rc = unix_bind(fd, &addr, group, e);
	if (rc < 0)
		return rc;
	*ret_path = xstrdup(path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* "host:port" or "[v6]:port" into its two parts, in place. */
static int split_host(char *text, char **ret_host, char **ret_port)
{
	char *colon = strrchr(text, ':');
	size_t n;

	if (!colon || !colon[1])
		return -EINVAL;
	*colon = 0;
	*ret_port = colon + 1;
	n = strlen(text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text[n - 1] = 0;
		text++;
	}
	*ret_host = text;
	return 0;
}

static int listen_tcp(const char *where, int *ret_fd, struct err *e)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM};
	auto_free char *text = xstrdup(where);
	auto_close int fd = -1;
	struct addrinfo *list = NULL;
	char *host, *port;
	int one = 1, rc;

	if (split_host(text, &host, &port) < 0)
		return err_set(e, -EINVAL, "cannot listen at tcp://%s: it must be address:port",
			       where);
	rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (rc != 0)
		return err_set(e, -EINVAL, "cannot listen at tcp://%s: %s", where,
			       gai_strerror(rc));
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, list->ai_addr, list->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		rc = err_sys(e, "cannot listen at tcp://%s", where);
	freeaddrinfo(list);
	if (rc == 0)
		*ret_fd = TAKE_FD(fd);
	return rc;
}

static void note_port(struct http_server *s, int fd)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return;
	if (addr.ss_family == AF_INET)
		s->port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
	else if (addr.ss_family == AF_INET6)
		s->port = ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
}

/* A peer that vanished without a word is found by the kernel's probes after about two minutes. */
static void tune_tcp(int fd)
{
	int one = 1, idle_s = 60, interval_s = 15, count = 4;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

/* 1 when there may be more to accept, 0 when not now. */
static int accept_one(struct http_listener *l)
{
	struct http_server *s = l->server;
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);
	unsigned before;
	int fd;

	if (!http_server_has_room(s)) {
		http_server_accepting(s, false);
		return 0;
	}
	fd = accept4(l->fd, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		/* Out of descriptors: the backlog waits until the next sweep. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			http_server_accepting(s, false);
		return errno == EINTR || errno == ECONNABORTED;
	}
	if (addr.ss_family == AF_INET || addr.ss_family == AF_INET6)
		tune_tcp(fd);
	/* The library closes the descriptor if it does not take it. */
	before = s->conns_count;
	if (MHD_add_connection(s->mhd, fd, (struct sockaddr *)&addr, len) == MHD_YES &&
	    s->conns_count == before)
		s->queued++;
	return 1;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct http_listener *l = container_of(poll, struct http_listener, poll);

	/* One a turn when it is tight: only then it is known that somebody waits. */
	for (int i = 0; i < ACCEPTS_PER_TURN && l->polling; i++)
		if (!accept_one(l) || http_server_full(l->server))
			break;
	http_server_kick(l->server);
}

void http_server_accepting(struct http_server *s, bool on)
{
	if (s->closing)
		on = false;
	s->accepting = on;
	if (!on)
		http_server_sweep(s);
	for (size_t i = 0; i < s->listeners_count; i++) {
		struct http_listener *l = s->listeners[i];

		if (on && !l->polling)
			uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
		else if (!on && l->polling)
			uv_poll_stop(&l->poll);
		l->polling = on;
	}
}

static int add_listener(struct http_server *s, int fd, char *path, struct err *e)
{
	struct http_listener *l = xcalloc(1, sizeof(*l));
	struct stat st;
	int rc;

	*l = (struct http_listener){.fd = fd, .unlink_path = path, .server = s};
	if (path && stat(path, &st) == 0)
		l->inode = st.st_ino;
	rc = uv_poll_init(s->loop, &l->poll, fd);
	if (rc < 0) {
		close(fd);
		free(path);
		free(l);
		return err_code(e, rc, "cannot watch a listening socket");
	}
	note_port(s, fd);
	s->listeners[s->listeners_count++] = l;
	s->handles++;
	http_server_accepting(s, true);
	return 0;
}

static int check_room(struct http_server *s, struct err *e)
{
	if (s->listeners_count < LIMIT_HTTP_SOCKETS)
		return 0;
	return err_set(e, -E2BIG, "cannot listen on more than %d sockets", LIMIT_HTTP_SOCKETS);
}

int http_server_listen_fd(struct http_server *s, int fd, struct err *e)
{
	int on = 0, rc = check_room(s, e);
	socklen_t len = sizeof(on);

	if (rc == 0 && (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) < 0 || !on))
		rc = err_set(e, -EINVAL, "descriptor %d is not a listening socket", fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return add_listener(s, fd, NULL, e);
}

/* The descriptors that systemd passes: 3, 4, ... as LISTEN_FDS says, if LISTEN_PID is us. */
static int listen_given(struct http_server *s, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	long n = count ? strtol(count, NULL, 10) : 0;

	if (!pid || strtol(pid, NULL, 10) != (long)getpid() || n < 1 || n > LIMIT_HTTP_SOCKETS)
		return err_set(e, -ENOENT,
			       "cannot listen at fd://: systemd has passed no socket; start the "
			       "daemon by its socket unit or give --host unix://...");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	for (int fd = 3; fd < 3 + (int)n; fd++) {
		int rc = http_server_listen_fd(s, fd, e);

		if (rc < 0)
			return err_wrap(e, "cannot listen at fd://");
	}
	return 0;
}

int http_server_listen(struct http_server *s, const char *url, const char *group, struct err *e)
{
	char *path = NULL;
	int fd = -1;
	int rc = check_room(s, e);

	if (rc < 0)
		return rc;
	if (strcmp(url, "fd://") == 0)
		return listen_given(s, e);
	if (strncmp(url, "unix://", 7) == 0)
		rc = listen_unix(url + 7, group, &path, &fd, e);
	else if (strncmp(url, "tcp://", 6) == 0)
		rc = listen_tcp(url + 6, &fd, e);
	else
		rc = err_set(e, -EINVAL,
			     "cannot listen at %s: it must begin with unix://, tcp:// or fd://",
			     url);
	return rc < 0 ? rc : add_listener(s, fd, path, e);
}

static void listener_closed(uv_handle_t *handle)
{
	struct http_listener *l = container_of((uv_poll_t *)handle, struct http_listener, poll);
	struct http_server *s = l->server;

	close(l->fd);
	free(l->unlink_path);
	free(l);
	http_server_handle_closed(s);
}

void http_listen_close(struct http_server *s)
{
	struct stat st;

	http_server_accepting(s, false);
	for (size_t i = 0; i < s->listeners_count; i++) {
		struct http_listener *l = s->listeners[i];

		/* Not when a successor has put its own socket there meanwhile. */
		if (l->unlink_path && stat(l->unlink_path, &st) == 0 && st.st_ino == l->inode)
			unlink(l->unlink_path);
		uv_close((uv_handle_t *)&l->poll, listener_closed);
	}
	s->listeners_count = 0;
}
