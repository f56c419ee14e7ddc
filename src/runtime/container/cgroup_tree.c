/*
 * The processes of a container's control group and its end: killing, waiting, freezing, counting,
 * removing. See cgroup.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"

#define DEPTH_MAX 32        /* groups below the container's own that are looked at */
#define PROCS_MAX (1 << 20) /* bytes of a cgroup.procs */

/* Sends `signal` to every process of one group; the number sent to, or -errno. */
static int kill_in(int dir, int signal)
{
	auto_buf b = BUF_INIT(PROCS_MAX);
	int rc = file_read_at(dir, "cgroup.procs", &b);
	int n = 0;

	if (rc < 0)
		return rc == -ENOENT || rc == -ENODEV ? 0 : rc;
	for (const char *p = buf_text(&b); *p; p += strcspn(p, "\n"), p += *p == '\n') {
		pid_t pid = (pid_t)strtol(p, NULL, 10);

		/* 0 is a process that this pid namespace cannot see. */
		if (pid > 0 && kill(pid, signal) == 0)
			n++;
	}
	return n;
}

/* A descriptor of the first process of one group, or -1. */
static int open_first(int dir)
{
	char text[32];
	pid_t pid;

	if (cgroup_read(dir, "cgroup.procs", text, sizeof(text)) <= 0)
		return -1;
	pid = (pid_t)strtol(text, NULL, 10);
	return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

enum tree_op { TREE_KILL, TREE_REMOVE, TREE_COUNT, TREE_FIND };

/* Runs over the groups below `dir`, deepest first. The sum of what each gave, or -errno. */
static int tree_run(int dir, enum tree_op op, int signal, int depth)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	int sum = 0;

	if (!d) {
		fd_close_at(&copy);
		return 0;
	}
	while (depth < DEPTH_MAX && (de = readdir(d))) {
		auto_close int sub = -1;

		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		sub = openat(dir, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub < 0)
			continue;
		if (op == TREE_FIND && sum > 0)
			break;
		sum += tree_run(sub, op, signal, depth + 1);
		if (op == TREE_REMOVE && unlinkat(dir, de->d_name, AT_REMOVEDIR) < 0 &&
		    errno != ENOENT)
			sum++;
	}
	closedir(d);
	if (op == TREE_FIND) {
		int fd = sum > 0 ? -1 : open_first(dir);

		return fd > 0 ? fd : sum;
	}
	if (op == TREE_KILL || op == TREE_COUNT) {
		int n = kill_in(dir, op == TREE_COUNT ? 0 : signal);

		sum += MAX_OF(n, 0);
	}
	return sum;
}

/* One hierarchy sees all of a container's processes: v2's, or any of v1's. */
static int main_dir(const struct cgroup *c)
{
	static const int order[] = {CGROUP_UNIFIED, CGROUP_DEVICES, CGROUP_PIDS,   CGROUP_MEMORY,
				    CGROUP_FREEZER, CGROUP_CPU,     CGROUP_CPUACCT};

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (c->dir[order[i]] >= 0)
			return c->dir[order[i]];
	return -1;
}

static int pids_in(int dir, struct buf *ret)
{
	auto_buf b = BUF_INIT(PROCS_MAX);
	int rc = file_read_at(dir, "cgroup.procs", &b);

	if (rc < 0)
		return rc == -ENOENT || rc == -ENODEV ? 0 : rc;
	for (const char *p = buf_text(&b); *p; p += strcspn(p, "\n"), p += *p == '\n') {
		pid_t pid = (pid_t)strtol(p, NULL, 10);

		if (pid > 0)
			buf_add(ret, &pid, sizeof(pid));
	}
	return buf_status(ret);
}

static int pids_below(int dir, struct buf *ret, int depth)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	int rc = pids_in(dir, ret);

	if (!d) {
		fd_close_at(&copy);
		return rc;
	}
	while (rc == 0 && depth < DEPTH_MAX && (de = readdir(d))) {
		auto_close int sub = -1;

		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		sub = openat(dir, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub >= 0)
			rc = pids_below(sub, ret, depth + 1);
	}
	closedir(d);
	return rc;
}

int cgroup_pids(const struct cgroup *c, struct buf *ret)
{
	int dir = main_dir(c);

	return dir < 0 ? 0 : pids_below(dir, ret, 0);
}

int cgroup_kill(const struct cgroup *c, int signal, struct err *e)
{
	int dir = main_dir(c);
	bool frozen;

	if (dir < 0)
		return 0;
	if (c->v2 && signal == SIGKILL && cgroup_write(dir, "cgroup.kill", "1", NULL) == 0)
		return 0;
	if (signal != SIGKILL) {
		tree_run(dir, TREE_KILL, signal, 0);
		return 0;
	}
	/*
	 * Frozen, nothing can fork away from the signal. Without a freezer what forked is found in
	 * the second round, or by whoever waits for the group to be empty and kills again.
	 */
	frozen = cgroup_freeze(c, true, NULL) == 0;
	for (int i = 0; i < 2; i++)
		tree_run(dir, TREE_KILL, SIGKILL, 0);
	if (!frozen)
		return 0;
	return cgroup_freeze(c, false, e);
}

bool cgroup_populated(const struct cgroup *c)
{
	int dir = main_dir(c);

	if (dir < 0)
		return false;
	if (c->v2)
		return cgroup_read_key(dir, "cgroup.events", "populated", 0) != 0;
	return tree_run(dir, TREE_COUNT, 0, 0) > 0;
}

int cgroup_wait_empty(const struct cgroup *c, int timeout_ms)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
	int dir = main_dir(c);

	while (dir >= 0 && cgroup_populated(c)) {
		auto_close int fd = tree_run(dir, TREE_FIND, 0, 0);
		uint64_t now = clock_mono_ms();
		struct pollfd pf = {.fd = fd > 0 ? fd : -1, .events = POLLIN};

		if (now >= end)
			return -ETIMEDOUT;
		/* One that cannot be watched is gone already, or about to: look again soon. */
		(void)poll(&pf, 1, pf.fd < 0 ? 1 : (int)(end - now));
	}
	return 0;
}

int cgroup_freeze(const struct cgroup *c, bool frozen, struct err *e)
{
	if (c->v2)
		return cgroup_write_num(c->dir[CGROUP_UNIFIED], "cgroup.freeze", frozen, e);
	if (c->dir[CGROUP_FREEZER] < 0)
		return err_set(e, -ENOSYS, "this host has no freezer control groups");
	return cgroup_write(c->dir[CGROUP_FREEZER], "freezer.state", frozen ? "FROZEN" : "THAWED",
			    e);
}

bool cgroup_is_frozen(const struct cgroup *c)
{
	char text[32];

	if (c->v2)
		return cgroup_read_key(c->dir[CGROUP_UNIFIED], "cgroup.events", "frozen", 0) != 0;
	/* FREEZING as well: somebody has asked for it. */
	return c->dir[CGROUP_FREEZER] >= 0 &&
	       cgroup_read(c->dir[CGROUP_FREEZER], "freezer.state", text, sizeof(text)) > 0 &&
	       strncmp(text, "FR", 2) == 0;
}

static bool has_settled(const struct cgroup *c, bool frozen)
{
	char text[32];

	if (c->v2)
		return cgroup_is_frozen(c) == frozen;
	return cgroup_read(c->dir[CGROUP_FREEZER], "freezer.state", text, sizeof(text)) > 0 &&
	       strcmp(text, frozen ? "FROZEN\n" : "THAWED\n") == 0;
}

/* A removed group's open folder has no files. */
static bool is_gone(const struct cgroup *c)
{
	int dir = c->dir[c->v2 ? CGROUP_UNIFIED : CGROUP_FREEZER];
	char text[8];

	return cgroup_read(dir, "cgroup.procs", text, sizeof(text)) < 0;
}

int cgroup_wait_frozen(const struct cgroup *c, bool frozen, int timeout_ms)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;

	/* v1's freezer has no events, and goes on with its work when its state is read. */
	while (!has_settled(c, frozen)) {
		if (is_gone(c))
			return -ESRCH;
		if (clock_mono_ms() >= end)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, 1);
	}
	return 0;
}

int cgroup_pause(const struct cgroup *c, bool frozen, int timeout_ms, struct err *e)
{
	int rc = cgroup_freeze(c, frozen, e);

	if (rc < 0)
		return rc;
	rc = cgroup_wait_frozen(c, frozen, timeout_ms);
	if (rc == -ESRCH)
		return err_set(e, rc, "its processes have ended");
	if (rc < 0) {
		(void)cgroup_freeze(c, !frozen, NULL);
		return err_set(e, rc, "its processes do not %s within %d ms",
			       frozen ? "freeze" : "thaw", timeout_ms);
	}
	return 0;
}

uint64_t cgroup_oom_kills(const struct cgroup *c)
{
	if (c->v2)
		return cgroup_read_key(c->dir[CGROUP_UNIFIED], "memory.events", "oom_kill", 0);
	if (c->dir[CGROUP_MEMORY] < 0)
		return 0;
	return cgroup_read_key(c->dir[CGROUP_MEMORY], "memory.oom_control", "oom_kill", 0);
}

/* What an update has added since this group was opened is empty by now too. */
static void remove_added(const struct cgroup *c)
{
	for (int h = 0; !c->v2 && h < CGROUP_HIERARCHIES; h++) {
		auto_free char *dir = NULL;

		if (c->parent[h] >= 0)
			continue;
		dir = xasprintf("%s/%s%s", c->root,
				h == CGROUP_UNIFIED ? "unified" : cgroup_controller_name(h),
				c->path);
		(void)rmdir(dir);
	}
}

int cgroup_remove(const struct cgroup *c, struct err *e)
{
	const char *name = strrchr(c->path, '/') + 1;
	int rc = 0;

	for (int h = 0; h < CGROUP_HIERARCHIES; h++) {
		if (c->parent[h] < 0)
			continue;
		if (unlinkat(c->parent[h], name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		tree_run(c->dir[h], TREE_REMOVE, 0, 0);
		if (unlinkat(c->parent[h], name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			rc = err_sys(e, "cannot remove the control group %s", c->path);
	}
	remove_added(c);
	return rc;
}
