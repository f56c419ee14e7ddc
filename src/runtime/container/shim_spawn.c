/*
 * Spawning a shim from a threaded daemon, reading what it left behind, and ending what a lost one
 * left running. See shim_client.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/mount.h"
#include "runtime/container/path.h"
#include "runtime/container/self.h"
#include "runtime/container/shim_client.h"
#include "runtime/container/spec.h"

#define KILL_ROUNDS 8
#define LOCK_PAUSE_NS (5 * NS_PER_MS)
#define ABORT_MS 5000 /* milliseconds for what is killed to be gone */

int shim_binary_open(const char *path, struct err *e)
{
	auto_close int fd = mount_clone_path(path, false, e);
	int rc = fd < 0 ? fd : mount_set(fd, MOUNT_ATTR_RDONLY, 0, 0, false);

	if (rc < 0)
		return e && e->code ? rc : err_code(e, rc, "cannot protect %s", path);
	return TAKE_FD(fd);
}

/* posix_spawn() is vfork() underneath: no other thread's locks or memory are copied. */
static int spawn(int binary_fd, const char *dir, int channel, int lock, int target, pid_t *ret,
		 struct err *e)
{
	/* Free, and none of what is executed or passed on. */
	int as = MAX_OF(MAX_OF(channel, target), MAX_OF(binary_fd, lock)) + 1;
	const int given[] = {channel, lock, target};
	char path[64], number[ARRAY_LEN(given)][16];
	char *argv[] = {(char *)"shoal-shim",          (char *)dir, number[0], number[1],
			target < 0 ? NULL : number[2], NULL};
	char files[SELF_FILES_TEXT];
	char *envp[] = {files, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	path_fd_text(binary_fd, path);
	self_files_given(files);
	if (!*files)
		envp[0] = NULL;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < (int)ARRAY_LEN(given); i++) {
		snprintf(number[i], sizeof(number[i]), "%d", as + i);
		if (given[i] >= 0)
			posix_spawn_file_actions_adddup2(&actions, given[i], as + i);
	}
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(ret, path, &actions, &attr, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return rc ? err_code(e, -rc, "cannot execute the shim") : 0;
}

/* The creation hangs: its process dies with it. */
static void kill_shim(const char *dir)
{
	auto_free char *path = xasprintf("%s/shim.pid", dir);
	auto_buf text = BUF_INIT(64);
	pid_t pid = 0;

	if (file_read_at(AT_FDCWD, path, &text) == 0)
		pid = (pid_t)strtol(buf_text(&text), NULL, 10);
	if (pid > 1) {
		auto_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
		struct pollfd pf = {.fd = fd, .events = POLLIN};

		if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0)
			(void)poll(&pf, 1, ABORT_MS);
	}
}

/* The lock on a runtime directory that a shim holds as long as it is there. -EBUSY: one is. */
static int take_lock(const char *dir)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return TAKE_FD(fd);
}

static bool is_gone(const char *dir)
{
	auto_close int lock = take_lock(dir);

	return lock != -EBUSY;
}

/* A lock tells nobody when it is free. */
static bool wait_a_little(uint64_t end_ms)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	if (clock_mono_ms() >= end_ms)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

int shim_await_gone(const char *dir, int timeout_ms)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;

	while (!is_gone(dir))
		if (!wait_a_little(end))
			return -ETIMEDOUT;
	return 0;
}

int shim_find(const char *dir, int timeout_ms, struct shim_client *c, struct shim_state *ret_state,
	      struct err *e)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
	bool gone;
	int rc;

	for (;;) {
		/* In this order: what goes between the two has left its exit.json. */
		gone = is_gone(dir);
		rc = shim_connect(dir, timeout_ms, c, ret_state, e);
		if (gone || (rc != -ENOENT && rc != -ECONNREFUSED))
			return rc;
		if (!wait_a_little(end))
			break;
	}
	kill_shim(dir);
	return err_set(e, -ETIMEDOUT, "the shim of %s does not answer", dir);
}

/* A shim on its way, with which `c` is connected. */
static int spawn_connected(int binary_fd, const char *dir, int target, struct shim_client *c,
			   struct err *e)
{
	auto_close int lock = take_lock(dir);
	int pair[2];
	pid_t pid;
	int rc;

	shim_client_init(c);
	if (lock < 0)
		return err_code(e, lock, "cannot lock %s: a shim of before may be there still",
				dir);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make a socket pair");
	c->fd = pair[0];
	(void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
	rc = spawn(binary_fd, dir, pair[1], lock, target, &pid, e);
	close(pair[1]);
	/* It forks and ends at once; the shim itself belongs to init. */
	if (rc == 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	return rc;
}

/* No word came, or none that can be understood: nothing of it may stay. */
static bool is_stuck(int rc)
{
	return rc == -ETIMEDOUT || rc == -ECONNRESET || rc == -EPROTO;
}

int shim_spawn(int binary_fd, const char *dir, int timeout_ms, struct shim_client *c,
	       struct shim_state *ret_state, struct shim_fds *ret_fds, struct err *e)
{
	int rc = spawn_connected(binary_fd, dir, -1, c, e);

	if (rc == 0)
		rc = shim_client_await_ready(c, timeout_ms, ret_state, ret_fds, NULL, e);
	if (is_stuck(rc)) {
		kill_shim(dir);
		(void)shim_lost_cleanup(dir, ABORT_MS, NULL);
	}
	if (rc < 0)
		shim_client_done(c);
	return rc;
}

int shim_spawn_exec(int binary_fd, const char *dir, int target, int timeout_ms,
		    struct shim_client *c, struct shim_state *ret_state, int *ret_exit_code,
		    struct err *e)
{
	struct shim_fds fds = SHIM_FDS_INIT;
	int rc = spawn_connected(binary_fd, dir, target, c, e);

	*ret_exit_code = 0;
	if (rc == 0)
		rc = shim_client_await_ready(c, timeout_ms, ret_state, &fds, ret_exit_code, e);
	if (is_stuck(rc))
		kill_shim(dir);
	if (rc < 0)
		shim_client_done(c);
	shim_fds_done(&fds);
	return rc;
}

int shim_exit_read(const char *dir, struct shim_exit *ret, struct err *e)
{
	auto_free char *path = xasprintf("%s/exit.json", dir);
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	struct shim_exit x = {0};
	const char *time, *error, *started = NULL;
	json_t *root;
	int oom;
	int rc = file_read_at(AT_FDCWD, path, &text);

	if (rc < 0)
		return err_code(e, rc, "cannot read %s", path);
	root = json_loadb(buf_text(&text), text.len, 0, NULL);
	if (!root ||
	    json_unpack(root, "{s:i,s:b,s?s,s:s,s:s}", "exitCode", &x.exit_code, "oomKilled", &oom,
			"startedAt", &started, "finishedAt", &time, "error", &error) < 0 ||
	    time_parse(time, &x.finished_ns) < 0 ||
	    (started && time_parse(started, &x.started_ns) < 0)) {
		json_decref(root);
		return err_set(e, -EINVAL, "%s is damaged", path);
	}
	x.oom_killed = oom;
	snprintf(x.error, sizeof(x.error), "%s", error);
	json_decref(root);
	*ret = x;
	return 0;
}

static int kill_group(const char *path, int timeout_ms, struct err *e)
{
	struct cgroup c;
	int rc = cgroup_open(CGROUP_ROOT, path, &c, NULL);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	/* Again and again, should something fork faster than it is killed. */
	for (int i = 0; i < KILL_ROUNDS; i++) {
		rc = cgroup_kill(&c, SIGKILL, e);
		if (rc == 0)
			rc = cgroup_wait_empty(&c, timeout_ms / KILL_ROUNDS);
		if (rc != -ETIMEDOUT)
			break;
	}
	if (rc == -ETIMEDOUT)
		err_set(e, rc, "processes of %s do not die", path);
	else if (rc == 0)
		rc = cgroup_remove(&c, e);
	cgroup_done(&c);
	return rc;
}

int shim_lost_cleanup(const char *dir, int timeout_ms, struct err *e)
{
	static const char *const left[] = {"shim.sock", "shim.pid", "exit.json.tmp"};
	auto_close int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	struct spec s;
	int rc;

	if (d < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open %s", dir);
	rc = file_read_at(d, "config.json", &text);
	if (rc < 0)
		return err_code(e, rc, "cannot read %s/config.json", dir);
	rc = spec_parse(buf_text(&text), text.len, 0, &s, e);
	if (rc < 0)
		return rc;
	if (s.linux_.cgroups_path)
		rc = kill_group(s.linux_.cgroups_path, timeout_ms, e);
	spec_done(&s);
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		(void)unlinkat(d, left[i], 0);
	return rc;
}
