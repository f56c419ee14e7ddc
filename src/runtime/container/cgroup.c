/*
 * Making and opening a container's control group in each hierarchy: see cgroup.h. Its processes
 * and its end are in cgroup_tree.c, limits in cgroup_v1.c and cgroup_v2.c, the device program of
 * v2 in cgroup_devices.c.
 */
#include "runtime/container/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"

#define PATH_LEN_MAX 1024
#define PIDS_MAX (4u << 20) /* bytes of pids */
#define MOVE_ROUNDS 100

static const char *const v1_names[CGROUP_HIERARCHIES] = {
	[CGROUP_MEMORY] = "memory",   [CGROUP_CPU] = "cpu",           [CGROUP_CPUACCT] = "cpuacct",
	[CGROUP_CPUSET] = "cpuset",   [CGROUP_PIDS] = "pids",         [CGROUP_DEVICES] = "devices",
	[CGROUP_FREEZER] = "freezer", [CGROUP_BLKIO] = "blkio",       [CGROUP_HUGETLB] = "hugetlb",
	[CGROUP_NET_CLS] = "net_cls", [CGROUP_NET_PRIO] = "net_prio", [CGROUP_RDMA] = "rdma",
};

const char *cgroup_controller_name(int hierarchy)
{
	return v1_names[hierarchy];
}

int cgroup_write(int dir, const char *file, const char *value, struct err *e)
{
	auto_close int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t n = strlen(value);

	if (fd < 0 && errno == ENOENT)
		return cgroup_v2_missing(dir, file, e);
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

/*
 * "a-b.slice:prefix:name" as systemd lays it out: each dash of a slice's name is one level down.
 */
static int expand_systemd(const char *text, char **ret, struct err *e)
{
	size_t n = strcspn(text, ":");
	auto_free char *slice = n ? xstrndup(text, n) : xstrdup("system.slice");
	const char *prefix = text + n + 1;
	const char *name = strchr(prefix, ':');
	size_t len = strlen(slice);
	auto_buf b = BUF_INIT(PATH_LEN_MAX);

	if (!name || !name[1] || strchr(text, '/') || strchr(name + 1, ':') ||
	    (strcmp(slice, "-.slice") != 0 &&
	     (len < 7 || strcmp(slice + len - 6, ".slice") != 0 || slice[0] == '-' ||
	      strstr(slice, "--") || slice[len - 7] == '-')))
		return err_set(e, -EINVAL,
			       "config.json: linux.cgroupsPath: %.128s is not of systemd's form "
			       "slice:prefix:name",
			       text);
	for (size_t i = 1; i < len - 6; i++)
		if (slice[i] == '-')
			buf_addf(&b, "/%.*s.slice", (int)i, slice);
	if (strcmp(slice, "-.slice") != 0)
		buf_addf(&b, "/%s", slice);
	if (name > prefix)
		buf_addf(&b, "/%.*s-%s", (int)(name - prefix), prefix, name + 1);
	else
		buf_addf(&b, "/%s", name + 1);
	len = strlen(name + 1);
	if (len < 7 || strcmp(name + 1 + len - 6, ".slice") != 0)
		buf_adds(&b, ".scope");
	if (buf_status(&b) < 0)
		return err_set(e, -EINVAL, "config.json: linux.cgroupsPath is too long");
	*ret = buf_take(&b);
	return 0;
}

int cgroup_path_clean(const char *path, char **ret, struct err *e)
{
	auto_buf b = BUF_INIT(PATH_LEN_MAX);

	auto_free char *expanded = NULL;

	if (strchr(path, ':') && path[0] != '/') {
		int rc = expand_systemd(path, &expanded, e);

		if (!expanded)
			return rc;
		path = expanded;
	}
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
	free(c->root);
	c->path = c->root = NULL;
}

static bool is_v2(const char *root)
{
	auto_free char *file = xasprintf("%s/cgroup.controllers", root);

	return access(file, F_OK) == 0;
}

static void cgroup_clear(struct cgroup *c, const char *root)
{
	*c = (struct cgroup){.root = xstrdup(root), .v2 = is_v2(root)};
	for (int i = 0; i < CGROUP_HIERARCHIES; i++)
		c->dir[i] = c->parent[i] = -1;
}

bool cgroup_is_set(const char *cpuset)
{
	return cpuset && strcmp(cpuset, "\n") != 0;
}

int cgroup_set_cpuset(const struct cgroup *c, int hierarchy, const char *file, const char *set,
		      struct err *e)
{
	auto_free char *parents = xasprintf("%s%s", file, c->v2 ? ".effective" : "");
	char text[CGROUP_VALUE_MAX];
	int rc;

	/* Who has no group of processors has no set of its own either. */
	if (!set || !*set || c->dir[hierarchy] < 0)
		return 0;
	if (cgroup_is_set(set))
		return cgroup_write(c->dir[hierarchy], file, set, e);
	if (c->v2 && cgroup_write(c->dir[hierarchy], file, set, NULL) == 0)
		return 0;
	rc = cgroup_read(c->parent[hierarchy], parents, text, sizeof(text));
	if (rc < 0)
		return err_code(e, rc, "cannot read %s of the group above %s", parents, c->path);
	return cgroup_write(c->dir[hierarchy], file, text, e);
}

/* Which hierarchies a container needs; without `r`, all where its group may be. */
static bool is_wanted(int h, bool v2, const struct spec_resources *r)
{
	if (v2)
		return h == CGROUP_UNIFIED;
	switch (h) {
	case CGROUP_UNIFIED:
	case CGROUP_HUGETLB:
		return !r || r->hugepages.n;
	case CGROUP_CPUSET:
		return !r || cgroup_is_set(r->cpu.cpus) || cgroup_is_set(r->cpu.mems);
	case CGROUP_NET_CLS:
		return !r || r->network.class_id != SPEC_UNSET;
	case CGROUP_NET_PRIO:
		return !r || r->network.priorities.n;
	case CGROUP_RDMA:
		return !r || r->rdma.n;
	default:
		return true;
	}
}

static int open_root(const char *root, int h, bool v2)
{
	auto_free char *path = v2 ? xstrdup(root)
				  : xasprintf("%s/%s", root, v1_names[h] ? v1_names[h] : "unified");
	auto_close int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs st;

	if (fd < 0)
		return -errno;
	/* On a hybrid host v2's tree may not be mounted where its folder is. */
	if (h == CGROUP_UNIFIED && !v2 &&
	    (fstatfs(fd, &st) < 0 || st.f_type != CGROUP2_SUPER_MAGIC))
		return -ENOENT;
	return TAKE_FD(fd);
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

/* Removes what walk() made on its way: the groups at the end of `path` that are longer than `n`. */
static void unmake(int root_fd, const char *path, size_t n)
{
	auto_free char *text = xstrdup(path);
	char *slash;

	while (*text && strlen(text) > n && unlinkat(root_fd, text + 1, AT_REMOVEDIR) == 0 &&
	       (slash = strrchr(text, '/')))
		*slash = 0;
}

/* Opens `name` in `at`, making it if it is missing and `ret_made` is given. Descriptor or -errno.
 */
static int step(int h, int at, const char *name, bool *ret_made, struct err *e)
{
	int next;

	if (ret_made) {
		if (h == CGROUP_UNIFIED)
			cgroup_v2_enable_controllers(at);
		*ret_made = mkdirat(at, name, 0755) == 0;
		if (!*ret_made && errno != EEXIST)
			return h == CGROUP_UNIFIED ? cgroup_v2_not_made(at, name, -errno, e)
						   : -errno;
	}
	next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (next < 0)
		return -errno;
	if (ret_made && h == CGROUP_CPUSET)
		inherit_cpuset(at, next);
	return next;
}

/*
 * Walks `path` from the root of hierarchy `h`. With `ret_had`, what is missing is made, and it gets
 * the length of the part of the path that was there; on failure nothing that was made is left.
 */
static int walk(struct cgroup *c, int h, int root_fd, size_t *ret_had, struct err *e)
{
	auto_close int at = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	const char *p = c->path;
	size_t had = strlen(p);

	while (at >= 0 && *p) {
		size_t n = strcspn(++p, "/");
		auto_free char *name = xstrndup(p, n);
		bool made = false;
		int next = step(h, at, name, ret_had ? &made : NULL, e);

		if (next < 0) {
			auto_free char *begun = xstrndup(c->path, (size_t)(p - 1 - c->path));

			unmake(root_fd, begun, MIN_OF(had, strlen(begun)));
			return next;
		}
		if (made)
			had = MIN_OF(had, (size_t)(p - 1 - c->path));
		p += n;
		if (!*p) {
			c->dir[h] = next;
			c->parent[h] = TAKE_FD(at);
			if (ret_had)
				*ret_had = had;
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

static int create_in(struct cgroup *c, int h, bool held, size_t *ret_had, struct err *e)
{
	auto_close int root_fd = open_root(c->root, h, c->v2);
	struct err why = ERR_INIT;
	int rc;

	if (root_fd == -ENOENT && h != CGROUP_DEVICES)
		return 0; /* a limit that needs it is refused when it is set */
	if (root_fd < 0)
		return err_code(e, root_fd, "cannot open the control groups of %s",
				h == CGROUP_UNIFIED ? "v2" : v1_names[h]);
	rc = walk(c, h, root_fd, ret_had, &why);
	if (rc < 0 && why.code)
		return err_set(e, rc, "%s", err_text(&why));
	if (rc < 0)
		return err_code(e, rc, "cannot make the control group %s in %s", c->path,
				h == CGROUP_UNIFIED ? "v2" : v1_names[h]);
	rc = !held && *ret_had == strlen(c->path) ? check_empty(c, h, e) : 0;
	return rc == 0 && c->v2 ? cgroup_v2_check_place(c->dir[h], e) : rc;
}

static int set_limits(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	int rc = c->v2 ? cgroup_v2_set(c, r, e) : cgroup_v1_set(c, r, e);

	return rc < 0 ? rc : cgroup_set_more(c, r, e);
}

static int create(const char *root, const char *path, const struct spec_resources *r, bool held,
		  struct cgroup *ret, struct err *e)
{
	size_t had[CGROUP_HIERARCHIES] = {0};
	struct cgroup c;
	int rc;

	cgroup_clear(&c, root);
	rc = cgroup_path_clean(path, &c.path, e);
	for (int h = 0; rc == 0 && h < CGROUP_HIERARCHIES; h++)
		if (is_wanted(h, c.v2, r))
			rc = create_in(&c, h, held, &had[h], e);
	if (rc == 0)
		rc = set_limits(&c, r, e);
	if (rc == 0)
		rc = c.v2 ? cgroup_v2_set_devices(c.dir[CGROUP_UNIFIED], r, e)
			  : cgroup_v1_set_devices(&c, r, e);
	if (rc < 0) {
		for (int h = 0; h < CGROUP_HIERARCHIES; h++) {
			auto_close int root_fd = c.dir[h] < 0 ? -1 : open_root(root, h, c.v2);

			if (root_fd >= 0)
				unmake(root_fd, c.path, had[h]);
		}
		cgroup_done(&c);
		return rc;
	}
	*ret = c;
	return 0;
}

int cgroup_create(const char *root, const char *path, const struct spec_resources *r,
		  struct cgroup *ret, struct err *e)
{
	return create(root, path, r, false, ret, e);
}

int cgroup_create_held(const char *root, const char *path, const struct spec_resources *r,
		       struct cgroup *ret, struct err *e)
{
	return create(root, path, r, true, ret, e);
}

int cgroup_open(const char *root, const char *path, struct cgroup *ret, struct err *e)
{
	struct cgroup c;
	bool any = false;
	int rc;

	cgroup_clear(&c, root);
	rc = cgroup_path_clean(path, &c.path, e);
	if (rc < 0)
		return rc;
	for (int h = 0; h < CGROUP_HIERARCHIES; h++) {
		auto_close int root_fd = is_wanted(h, c.v2, NULL) ? open_root(root, h, c.v2) : -1;

		if (root_fd >= 0 && walk(&c, h, root_fd, NULL, NULL) == 0)
			any = true;
	}
	if (!any) {
		cgroup_done(&c);
		return err_set(e, -ENOENT, "there is no control group %s", path);
	}
	*ret = c;
	return 0;
}

int cgroup_take(struct cgroup *c, struct cgroup *from, const char *controller, struct err *e)
{
	for (int h = 0; h < CGROUP_HIERARCHIES; h++) {
		if (!v1_names[h] || strcmp(v1_names[h], controller) != 0 || from->dir[h] < 0)
			continue;
		fd_close_at(&c->dir[h]);
		fd_close_at(&c->parent[h]);
		c->dir[h] = TAKE_FD(from->dir[h]);
		c->parent[h] = TAKE_FD(from->parent[h]);
		return 0;
	}
	return err_set(e, -ENOENT, "there is no control group %s of the controller %.32s",
		       from->path, controller);
}

bool cgroup_frozen_at(const char *root, const char *path)
{
	struct cgroup c;
	auto_free char *dir = NULL;
	bool frozen;
	int h;

	cgroup_clear(&c, root);
	h = c.v2 ? CGROUP_UNIFIED : CGROUP_FREEZER;
	dir = xasprintf("%s%s%s", root, c.v2 ? "" : "/freezer", path);
	c.dir[h] = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	frozen = c.dir[h] >= 0 && cgroup_is_frozen(&c);
	cgroup_done(&c);
	return frozen;
}

/* What forks meanwhile is found in a later round; who has ended meanwhile is no error. */
static int move_all(const struct cgroup *c, int h, struct err *e)
{
	for (int round = 0; round < MOVE_ROUNDS; round++) {
		auto_buf before = BUF_INIT(PIDS_MAX), after = BUF_INIT(PIDS_MAX);
		const pid_t *pids;
		int rc = cgroup_pids(c, &before);

		pids = (const pid_t *)before.p;
		for (size_t i = 0; rc == 0 && i < before.len / sizeof(*pids); i++) {
			rc = cgroup_write_num(c->dir[h], "cgroup.procs", pids[i], e);
			if (rc == -ESRCH)
				rc = 0;
		}
		if (rc == 0)
			rc = cgroup_pids(c, &after);
		if (rc < 0)
			return err_code(e, rc, "cannot move the processes of %s", c->path);
		if (after.len == before.len &&
		    (!after.len || memcmp(after.p, before.p, after.len) == 0))
			return 0;
	}
	return err_set(e, -EBUSY, "the processes of %s fork faster than they are moved", c->path);
}

/* A later update must not take a group that nobody was moved into for one that all are in. */
static void take_back(struct cgroup *c, const bool *added)
{
	const char *name = strrchr(c->path, '/') + 1;

	for (int h = 0; h < CGROUP_HIERARCHIES; h++) {
		if (!added[h] || unlinkat(c->parent[h], name, AT_REMOVEDIR) < 0)
			continue;
		fd_close_at(&c->dir[h]);
		fd_close_at(&c->parent[h]);
		c->dir[h] = c->parent[h] = -1;
	}
}

int cgroup_update(struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	bool added[CGROUP_HIERARCHIES] = {false};
	size_t had;
	int rc = 0;

	for (int h = 0; rc == 0 && h < CGROUP_HIERARCHIES; h++) {
		if (c->dir[h] >= 0 || !is_wanted(h, c->v2, r))
			continue;
		rc = create_in(c, h, false, &had, e);
		added[h] = c->dir[h] >= 0;
	}
	if (rc == 0)
		rc = set_limits(c, r, e);
	for (int h = 0; rc == 0 && h < CGROUP_HIERARCHIES; h++)
		if (added[h])
			rc = move_all(c, h, e);
	if (rc < 0)
		take_back(c, added);
	return rc;
}

int cgroup_update_devices(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	return c->v2 ? cgroup_v2_set_devices(c->dir[CGROUP_UNIFIED], r, e) : 0;
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
