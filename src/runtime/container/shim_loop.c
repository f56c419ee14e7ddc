/*
 * The shim's loop: one poll() over everything, from the created container to its end and the last
 * word to the clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/shim.h"

#define FIXED 6 /* descriptors besides the peers' */
#define REMOVE_TRIES 50
#define REMOVE_PAUSE_NS (2 * NS_PER_MS)

/* The log's reader keeps up with the slowest client until that one is dropped. */
static bool output_paused(struct shim *s, int *timeout_ms)
{
	uint64_t now = clock_mono_ms();
	bool paused = false;

	for (size_t i = 0; i < s->n_peers; i++) {
		struct peer *p = s->peers[i];
		uint64_t idle = now - p->progress_ms;

		if (p->out.len - p->sent < SHIM_QUEUE_HIGH)
			continue;
		if (idle >= LIMIT_SHIM_STALL_MS) {
			p->gone = true;
			continue;
		}
		paused = true;
		if (*timeout_ms < 0 || (int)(LIMIT_SHIM_STALL_MS - idle) < *timeout_ms)
			*timeout_ms = (int)(LIMIT_SHIM_STALL_MS - idle);
	}
	return paused;
}

static void write_exit(struct shim *s)
{
	auto_buf b = BUF_INIT(8192);
	auto_close int fd = -1;
	char started[TIME_TEXT_MAX], finished[TIME_TEXT_MAX];

	time_format(s->state.started_ns, started);
	time_format(s->state.finished_ns, finished);
	buf_addf(&b,
		 "{\"exitCode\":%u,\"oomKilled\":%s,\"startedAt\":\"%s\","
		 "\"finishedAt\":\"%s\",\"error\":\"",
		 s->state.exit_code, s->state.oom ? "true" : "false", started, finished);
	for (const char *p = s->error; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addf(&b, "\\%c", *p);
		else if ((unsigned char)*p < 0x20)
			buf_addf(&b, "\\u%04x", *p);
		else
			buf_addc(&b, *p);
	}
	buf_adds(&b, "\"}\n");
	/* No fsync: the directory does not outlive the boot, as the container does not. */
	fd = openat(s->dir, "exit.json.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd >= 0 && file_write_fd(fd, b.p, b.len) == 0)
		(void)renameat(s->dir, "exit.json.tmp", s->dir, "exit.json");
}

static void reap(struct shim *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != s->container.pid)
			continue;
		s->exited = true;
		s->exited_ms = clock_mono_ms();
		s->state.finished_ns = clock_wall_ns();
		s->state.exit_code = WIFSIGNALED(status) ? 128 + (uint32_t)WTERMSIG(status)
							 : (uint32_t)WEXITSTATUS(status);
		/* Without a pid namespace of its own others may live on. */
		if (s->container.has_cgroup && cgroup_populated(&s->container.cgroup))
			(void)cgroup_kill(&s->container.cgroup, SIGKILL, NULL);
	}
}

static void on_signal(struct shim *s)
{
	struct signalfd_siginfo info[8];
	ssize_t n = read(s->signals, info, sizeof(info));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(info[0]); i++)
		if (info[i].ssi_signo == SIGTERM)
			(void)syscall(SYS_pidfd_send_signal, s->container.pidfd, s->stop_signal,
				      NULL, 0);
	reap(s);
}

static void on_sync(struct shim *s)
{
	struct err e = ERR_INIT;
	int rc = launch_result(&s->container, NULL, &s->start_code, &e);

	s->starting = false;
	if (rc < 0) {
		snprintf(s->error, sizeof(s->error), "%s", e.msg);
		shim_answer_start(s, rc, &e);
		return;
	}
	s->state.phase = SHIM_RUNNING;
	s->state.started_ns = clock_wall_ns();
	shim_answer_start(s, 0, NULL);
	peers_event(s, SHIM_STARTED);
}

/* Only root, and whoever the shim runs as, may speak to it, whatever the socket's mode. */
static void on_connect(struct shim *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0 ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		close(fd);
		return;
	}
	peer_add(s, fd);
}

static size_t fill(struct shim *s, struct pollfd *pf, bool paused)
{
	const struct pollfd fixed[FIXED] = {
		{s->signals, POLLIN, 0},
		{s->n_peers < LIMIT_SHIM_CLIENTS ? s->listener : -1, POLLIN, 0},
		{s->starting ? s->container.sync : -1, POLLIN, 0},
		{paused ? -1 : s->out[0].fd, POLLIN, 0},
		{paused ? -1 : s->out[1].fd, POLLIN, 0},
		{s->in_buf.len ? s->in : -1, POLLOUT, 0},
	};

	memcpy(pf, fixed, sizeof(fixed));
	for (size_t i = 0; i < s->n_peers; i++) {
		struct peer *p = s->peers[i];
		/* Input that the container has not taken holds back who gives it. */
		bool full = (p->streams & SHIM_STREAM_STDIN) && s->in_buf.len >= LIMIT_SHIM_STDIN;

		pf[FIXED + i] = (struct pollfd){
			.fd = p->fd,
			.events =
				(short)((full ? 0 : POLLIN) | (p->sent < p->out.len ? POLLOUT : 0)),
		};
	}
	return FIXED + s->n_peers;
}

static void turn(struct shim *s, int timeout_ms)
{
	struct pollfd pf[FIXED + LIMIT_SHIM_CLIENTS];
	bool paused = output_paused(s, &timeout_ms);
	size_t n, n_peers;

	peers_remove_gone(s);
	n_peers = s->n_peers;
	n = fill(s, pf, paused);
	if (poll(pf, n, timeout_ms) <= 0)
		return;
	/* Clients first: an answer to a kill must not wait behind a flood of output. */
	for (size_t i = 0; i < n_peers; i++) {
		struct peer *p = s->peers[i];

		if (pf[FIXED + i].revents & POLLOUT)
			peer_flush(p);
		if (pf[FIXED + i].revents & (POLLIN | POLLHUP | POLLERR))
			peer_read(s, p);
	}
	if (pf[3].revents)
		stdio_read(s, &s->out[0]);
	if (pf[4].revents)
		stdio_read(s, &s->out[1]);
	if (pf[5].revents)
		stdio_write(s);
	if (pf[2].revents)
		on_sync(s);
	if (pf[0].revents)
		on_signal(s);
	if (pf[1].revents)
		on_connect(s);
	peers_remove_gone(s);
}

/*
 * The kernel tells nobody when the last dying process has left a v1 group, hence the retries;
 * processes that are not ours to reap are all that can make them necessary.
 */
static void remove_cgroup(struct shim *s)
{
	const struct timespec pause = {.tv_nsec = REMOVE_PAUSE_NS};

	if (!s->container.has_cgroup)
		return;
	s->state.oom = cgroup_oom_kills(&s->container.cgroup) > 0;
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (cgroup_remove(&s->container.cgroup, NULL) == 0)
			break;
		(void)cgroup_kill(&s->container.cgroup, SIGKILL, NULL);
		(void)cgroup_wait_empty(&s->container.cgroup, SHIM_DRAIN_MS);
		reap(s);
		nanosleep(&pause, NULL);
	}
}

static void finish(struct shim *s)
{
	if (s->starting)
		on_sync(s);
	if (s->start_code)
		s->state.exit_code = (uint32_t)s->start_code;
	for (int i = 0; i < 2; i++)
		if (s->out[i].fd >= 0)
			json_log_end(&s->log, &s->out[i].log, clock_wall_ns());
	peers_end_of_output(s);
	remove_cgroup(s);
	s->state.phase = SHIM_STOPPED;
	s->state.pid = 0;
	write_exit(s);
	peers_event(s, SHIM_EXITED);
}

static bool all_sent(const struct shim *s)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (s->peers[i]->sent < s->peers[i]->out.len)
			return false;
	return true;
}

int shim_loop(struct shim *s)
{
	uint64_t since;

	while (!s->exited)
		turn(s, -1);
	/* What it wrote last is still in the pipes; a stranger who holds them open is not waited
	 * for. */
	while (!stdio_ended(s)) {
		uint64_t gone = clock_mono_ms() - s->exited_ms;

		if (gone >= SHIM_DRAIN_MS)
			break;
		turn(s, (int)(SHIM_DRAIN_MS - gone));
	}
	finish(s);
	since = clock_mono_ms();
	while (!all_sent(s) && clock_mono_ms() - since < SHIM_GOODBYE_MS)
		turn(s, 100);
	(void)unlinkat(s->dir, "shim.sock", 0);
	(void)unlinkat(s->dir, "shim.pid", 0);
	return 0;
}
