/*
 * Control groups, v2 and v1 (hybrid hosts): one container's group in every hierarchy that is
 * needed, its limits, its devices, its end. Nothing outside the given path is ever touched but
 * the parents it must make (and, on v2, their subtree_control). Called by launch.c, the shim, and
 * the daemon (shim lost, stats, pause).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/spec.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

enum cgroup_hierarchy {
	CGROUP_UNIFIED, /* v2: the only one on a v2 host; on a hybrid one for what v1 has not */
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_CPUACCT,
	CGROUP_CPUSET,
	CGROUP_PIDS,
	CGROUP_DEVICES,
	CGROUP_FREEZER,
	CGROUP_BLKIO,
	CGROUP_HUGETLB,
	CGROUP_NET_CLS,
	CGROUP_NET_PRIO,
	CGROUP_RDMA,
	CGROUP_HIERARCHIES,
};

struct cgroup {
	bool v2;                        /* a pure v2 host */
	char *root;                     /* the tree that it is below */
	char *path;                     /* clean, begins with '/' */
	int dir[CGROUP_HIERARCHIES];    /* the group's directories, -1 where not used */
	int parent[CGROUP_HIERARCHIES]; /* their parents, to remove them by */
};

void cgroup_done(struct cgroup *c);

/*
 * Checks a cgroupsPath and makes it clean ("/a/b"). systemd's form "a-b.slice:prefix:name" becomes
 * the path that systemd would use, "/a.slice/a-b.slice/prefix-name.scope". -EINVAL for ".." and
 * the root.
 */
int cgroup_path_clean(const char *path, char **ret, struct err *e);

/*
 * Makes the group `path` below the file system tree `root` (CGROUP_ROOT; tests give their own),
 * and sets the limits and device rules of `r`. Nothing that it made is left on failure. -EBUSY when
 * the group exists and has processes, or can have none (v2: frozen, or divided among groups below).
 */
int cgroup_create(const char *root, const char *path, const struct spec_resources *r,
		  struct cgroup *ret, struct err *e);
/* The same for a group that somebody has made for it, and holds by a process of theirs. */
int cgroup_create_held(const char *root, const char *path, const struct spec_resources *r,
		       struct cgroup *ret, struct err *e);
/* Opens an existing one. -ENOENT when it is in no hierarchy. */
int cgroup_open(const char *root, const char *path, struct cgroup *ret, struct err *e);
/* v1: in the hierarchy of that controller `c` becomes the group of `from`. -ENOENT: it has none. */
int cgroup_take(struct cgroup *c, struct cgroup *from, const char *controller, struct err *e);
/*
 * Applies limits to a living group (docker update). A hierarchy that nothing was limited in so far
 * gets the group, and the processes, now. A set of processors or memory nodes that is an empty line
 * takes away what there was: then those of the group above are allowed.
 */
int cgroup_update(struct cgroup *c, const struct spec_resources *r, struct err *e);
/*
 * Puts the device rules of `r` in the place of those that a living group has, in one step. On v1,
 * which takes rules one by one, nothing is done: for a moment even /dev/null would be denied.
 */
int cgroup_update_devices(const struct cgroup *c, const struct spec_resources *r, struct err *e);
/* v2: `owner` may make groups below, as the kernel's list of such files has it. */
int cgroup_give(const struct cgroup *c, uid_t owner, struct err *e);
/* v2: the group of a process, which must be below `below`, else -EBUSY. */
int cgroup_open_of(pid_t pid, const struct cgroup *below, struct cgroup *ret, struct err *e);
/* Moves the calling, single-threaded process into it. For v2, clone into dir[CGROUP_UNIFIED]. */
int cgroup_join_self(const struct cgroup *c, struct err *e);

/* Sends a signal to each process in it and below. SIGKILL uses cgroup.kill where there is one. */
int cgroup_kill(const struct cgroup *c, int signal, struct err *e);
/* Whether any process is left. */
bool cgroup_populated(const struct cgroup *c);
/* Waits until none is left: 0, or -ETIMEDOUT. */
int cgroup_wait_empty(const struct cgroup *c, int timeout_ms);
int cgroup_freeze(const struct cgroup *c, bool frozen, struct err *e);
bool cgroup_is_frozen(const struct cgroup *c);
/* The same of a group that is not open, at the cost of one open; false for one that is not there.
 */
bool cgroup_frozen_at(const char *root, const char *path);
/* Waits until it is (or is not) frozen as it was told: 0, -ETIMEDOUT, or -ESRCH: it is gone. */
int cgroup_wait_frozen(const struct cgroup *c, bool frozen, int timeout_ms);
/* Both: freezes or thaws and waits for it. One that does not settle is let go as it was before. */
int cgroup_pause(const struct cgroup *c, bool frozen, int timeout_ms, struct err *e);
/* How many processes of it the kernel has killed for memory; 0 where that is not counted. */
uint64_t cgroup_oom_kills(const struct cgroup *c);
/*
 * Removes the group and those made below it. -EBUSY while processes are in it. Missing ones are
 * no error.
 */
int cgroup_remove(const struct cgroup *c, struct err *e);

/* The processes in it and below; `ret` grows by their ids as pid_t. 0 or -errno. */
int cgroup_pids(const struct cgroup *c, struct buf *ret);
/* The name of a hierarchy's controller ("memory"); NULL for v2's. */
const char *cgroup_controller_name(int hierarchy);

/* v1's blkio.weight (10..1000) as v2's io.weight (1..10000). */
uint64_t cgroup_weight_of_blkio(uint64_t weight);
/* v1's cpu.shares (2..262144) as v2's cpu.weight (1..10000). */
uint64_t cgroup_weight_of_shares(uint64_t shares);
