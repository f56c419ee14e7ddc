/*
 * The life of a container's control group in each hierarchy: see cgroup.h. Limits are in
 * cgroup_v1.c and cgroup_v2.c, the device program of v2 in cgroup_devices.c.
 */
#include "runtime/container/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"

#define PATH_LEN_MAX 1024
#define DEPTH_MAX 32        /* groups below the container's own that are looked at */
#define KILL_ROUNDS 100     /* lists of processes read before a group that forks is given up */
#define PROCS_MAX (1 << 20) /* bytes of a cgroup.procs */

static const char *const v1_names[CGROUP_HIERARCHIES] = {
	[CGROUP_MEMORY] = "memory",   [CGROUP_CPU] = "cpu",     [CGROUP_CPUACCT] = "cpuacct",
	[CGROUP_CPUSET] = "cpuset",   [CGROUP_PIDS] = "pids",   [CGROUP_DEVICES] = "devices",
	[CGROUP_FREEZER] = "freezer", [CGROUP_BLKIO] = "blkio",
};

const char *cgroup_v1_name(int hierarchy)
{
	return v1_names[hierarchy];
}

int cgroup_write(int dir, const char *file, const char *value, struct err *e)
{
	auto_close int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t n = strlen(value);

	if (fd < 0)
		return err_sys(e, "cannot open the control group's %s", file);
	if (write(fd, value, n) != (ssize_t)n)
		return err_sys(e, "cannot write %.64s to the control group's %s", value, file);
	return 0;
}

int cgroup_write_num(int dir, const char *file, int64_t value, struct err *e)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	return cgroup_write(dir, file, text, e);
}

int cgroup_read(int dir, const char *file, char *ret, size_t size)
{
	auto_close int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = 0;
	return (int)n;
}

uint64_t cgroup_read_key(int dir, const char *file, const char *key, uint64_t missing)
{
	char text[CGROUP_VALUE_MAX];
	size_t n = strlen(key);

	if (cgroup_read(dir, file, text, sizeof(text)) < 0)
		return missing;
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, key, n) == 0 && p[n] == ' ')
			return strtoull(p + n, NULL, 10);
	return missing;
}

int cgroup_path_clean(const char *path, char **ret, struct err *e)
{
	auto_buf b = BUF_INIT(PATH_LEN_MAX);

	if (strchr(path, ':') && path[0] != '/')
		return err_set(e, -ENOSYS,
			       "config.json: linux.cgroupsPath: systemd's form "
			       "(slice:prefix:name) is not supported; give a path");
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && memcmp(p, "..", 2) == 0)
			return err_set(e, -EINVAL,
				       "config.json: linux.cgroupsPath must not have "
				       "..");
		if (n > 0 && !(n == 1 && *p == '.')) {
			buf_addc(&b, '/');
			buf_add(&b, p, n);
		}
		p += n + (p[n] == '/');
	}
	if (b.len == 0 || buf_status(&b) < 0)
		return err_set(e, -EINVAL,
			       "config.json: linux.cgroupsPath must name a group below "
			       "the root, in at most %d characters",
			       PATH_LEN_MAX);
	*ret = buf_take(&b);
	return 0;
}

void cgroup_done(struct cgroup *c)
{
	for (int i = 0; i < CGROUP_HIERARCHIES; i++) {
		fd_close_at(&c->dir[i]);
		fd_close_at(&c->parent[i]);
		c->dir[i] = c->parent[i] = -1;
	}
	free(c->path);
	c->path = NULL;
}

static void cgroup_clear(struct cgroup *c)
{
	*c = (struct cgroup){0};
	for (int i = 0; i < CGROUP_HIERARCHIES; i++)
		c->dir[i] = c->parent[i] = -1;
}

/* Which hierarchies a container needs, and whether their absence is an error. */
static bool is_wanted(int h, bool v2, const struct spec_resources *r)
{
	if (v2 || h == CGROUP_UNIFIED)
		return v2 && h == CGROUP_UNIFIED;
	if (h == CGROUP_CPUSET)
		return !r || r->cpu.cpus || r->cpu.mems;
	return true;
}

static int open_root(const char *root, int h, bool v2)
{
	auto_free char *path = v2 ? xstrdup(root) : xasprintf("%s/%s", root, v1_names[h]);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_v2(const char *root)
{
	auto_free char *file = xasprintf("%s/cgroup.controllers", root);

	return access(file, F_OK) == 0;
}

/* v2: what children may use must be switched on in each parent. What is missing shows later. */
static void enable_controllers(int dir)
{
	static const char *const all[] = {"+cpu", "+memory", "+pids", "+io", "+cpuset"};

	if (cgroup_write(dir, "cgroup.subtree_control", "+cpu +memory +pids +io +cpuset", NULL) ==
	    0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		(void)cgroup_write(dir, "cgroup.subtree_control", all[i], NULL);
}

/* v1: a new cpuset is unusable until it has processors and nodes, its parents' by default. */
static void inherit_cpuset(int parent, int dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char text[CGROUP_VALUE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (cgroup_read(dir, files[i], text, sizeof(text)) > 1)
			continue;
		if (cgroup_read(parent, files[i], text, sizeof(text)) > 0)
			(void)cgroup_write(dir, files[i], text, NULL);
	}
}

/* Walks `path` from the root of hierarchy `h`, making what is missing when `make` is set. */
static int walk(struct cgroup *c, int h, int root_fd, bool make, bool *ret_made)
{
	auto_close int at = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	const char *p = c->path;

	while (at >= 0 && *p) {
		size_t n = strcspn(++p, "/");
		auto_free char *name = xstrndup(p, n);
		int next;

		if (make && c->v2)
			enable_controllers(at);
		*ret_made = make && mkdirat(at, name, 0755) == 0;
		if (make && !*ret_made && errno != EEXIST)
			return -errno;
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (next < 0)
			return -errno;
		if (make && h == CGROUP_CPUSET)
			inherit_cpuset(at, next);
		p += n;
		if (!*p) {
			c->dir[h] = next;
			c->parent[h] = TAKE_FD(at);
			return 0;
		}
		close(at);
		at = next;
	}
	return -EINVAL;
}

static int check_empty(const struct cgroup *c, int h, struct err *e)
{
	char text[64];

	if (cgroup_read(c->dir[h], "cgroup.procs", text, sizeof(text)) > 0)
		return err_set(e, -EBUSY, "the control group %s exists and has processes in it",
			       c->path);
	return 0;
}

static int create_in(struct cgroup *c, const char *root, int h, struct err *e)
{
	auto_close int root_fd = open_root(root, h, c->v2);
	bool made = false;
	int rc;

	if (root_fd == -ENOENT && h != CGROUP_DEVICES)
		return 0; /* a limit that needs it is refused when it is set */
	if (root_fd < 0)
		return err_code(e, root_fd, "cannot open the control groups of %s",
				c->v2 ? root : v1_names[h]);
	rc = walk(c, h, root_fd, true, &made);
	if (rc < 0)
		return err_code(e, rc, "cannot make the control group %s in %s", c->path,
				c->v2 ? root : v1_names[h]);
	return made ? 0 : check_empty(c, h, e);
}

int cgroup_create(const char *root, const char *path, const struct spec_resources *r,
		  struct cgroup *ret, struct err *e)
{
	struct cgroup c;
	int rc;

	cgroup_clear(&c);
	c.v2 = is_v2(root);
	rc = cgroup_path_clean(path, &c.path, e);
	for (int h = 0; rc == 0 && h < CGROUP_HIERARCHIES; h++)
		if (is_wanted(h, c.v2, r))
			rc = create_in(&c, root, h, e);
	if (rc == 0)
		rc = cgroup_update(&c, r, e);
	if (rc == 0)
		rc = c.v2 ? cgroup_v2_set_devices(c.dir[CGROUP_UNIFIED], r, e)
			  : cgroup_v1_set_devices(&c, r, e);
	if (rc < 0) {
		if (rc != -EBUSY)
			(void)cgroup_remove(&c, NULL);
		cgroup_done(&c);
		return rc;
	}
	*ret = c;
	return 0;
}

int cgroup_open(const char *root, const char *path, struct cgroup *ret, struct err *e)
{
	struct cgroup c;
	bool any = false;
	int rc;

	cgroup_clear(&c);
	c.v2 = is_v2(root);
	rc = cgroup_path_clean(path, &c.path, e);
	if (rc < 0)
		return rc;
	for (int h = 0; h < CGROUP_HIERARCHIES; h++) {
		auto_close int root_fd = is_wanted(h, c.v2, NULL) ? open_root(root, h, c.v2) : -1;
		bool made;

		if (root_fd >= 0 && walk(&c, h, root_fd, false, &made) == 0)
			any = true;
	}
	if (!any) {
		cgroup_done(&c);
		return err_set(e, -ENOENT, "there is no control group %s", path);
	}
	*ret = c;
	return 0;
}

int cgroup_update(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	return c->v2 ? cgroup_v2_set(c, r, e) : cgroup_v1_set(c, r, e);
}

/*
 * In v1 the file `tasks` is written with "0" instead of cgroup.procs: for a single thread that
 * moves itself the kernel need not wait for a grace period, which would take milliseconds in
 * each hierarchy.
 */
int cgroup_join_self(const struct cgroup *c, struct err *e)
{
	for (int h = 0; h < CGROUP_HIERARCHIES; h++) {
		int rc;

		if (c->dir[h] < 0)
			continue;
		rc = cgroup_write(c->dir[h], h == CGROUP_UNIFIED ? "cgroup.procs" : "tasks", "0",
				  e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

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

int cgroup_kill(const struct cgroup *c, int signal, struct err *e)
{
	int dir = main_dir(c);

	if (dir < 0)
		return 0;
	if (c->v2 && signal == SIGKILL && cgroup_write(dir, "cgroup.kill", "1", NULL) == 0)
		return 0;
	if (signal != SIGKILL) {
		tree_run(dir, TREE_KILL, signal, 0);
		return 0;
	}
	/* What forks while it is killed is found in the next round; frozen, it cannot fork. */
	(void)cgroup_freeze(c, true, NULL);
	for (int i = 0; i < KILL_ROUNDS; i++)
		if (tree_run(dir, TREE_KILL, SIGKILL, 0) == 0 || i >= 1)
			break;
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

uint64_t cgroup_oom_kills(const struct cgroup *c)
{
	if (c->v2)
		return cgroup_read_key(c->dir[CGROUP_UNIFIED], "memory.events", "oom_kill", 0);
	if (c->dir[CGROUP_MEMORY] < 0)
		return 0;
	return cgroup_read_key(c->dir[CGROUP_MEMORY], "memory.oom_control", "oom_kill", 0);
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
	return rc;
}
