/*
 * What a container's group has used so far, in one form for both versions of control groups.
 * Called by shoal-oci and the engine.
 */
#pragma once

#include "runtime/container/cgroup.h"

#define CGROUP_RAW_MAX 80 /* members of memory.stat */

/* Bytes; a limit of UINT64_MAX is none. */
struct cgroup_memory_stats {
	uint64_t limit;
	uint64_t usage;
	uint64_t max;
	uint64_t failures; /* how often the limit was met */
};

struct cgroup_raw {
	char key[32];
	uint64_t value;
};

struct cgroup_stats {
	uint64_t cpu_total_ns, cpu_user_ns, cpu_kernel_ns;
	uint64_t periods, throttled_periods, throttled_ns;
	struct cgroup_memory_stats memory;
	struct cgroup_memory_stats swap; /* v1: memory and swap together, v2: swap alone */
	uint64_t cache;
	struct cgroup_raw raw[CGROUP_RAW_MAX]; /* memory.stat */
	size_t n_raw;
	uint64_t pids, pids_limit; /* a limit of 0 is none */
};

/* What the host does not count is 0. */
void cgroup_stats_read(const struct cgroup *c, struct cgroup_stats *ret);

#define CGROUP_IO_MAX 128 /* entries of one kind: a device has up to six */

struct cgroup_io_entry {
	uint64_t major, minor;
	char op[16]; /* v1: "Read", "Write", "Total", …; v2: "read", "write" */
	uint64_t value;
};
struct cgroup_io {
	struct cgroup_io_entry bytes[CGROUP_IO_MAX], ops[CGROUP_IO_MAX];
	size_t n_bytes, n_ops;
};

/* What it has read from and written to block devices. Further entries are left out. */
void cgroup_io_read(const struct cgroup *c, struct cgroup_io *ret);
