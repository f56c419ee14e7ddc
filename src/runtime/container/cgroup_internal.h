/*
 * What the files of the cgroup room share: reading and writing of single files, and one table of
 * operations per version. Nobody else includes this.
 */
#pragma once

#include "runtime/container/cgroup.h"

#define CGROUP_VALUE_MAX 4096

/* Opens and writes in one go. 0 or -errno; the sentence names the file and the value. */
int cgroup_write(int dir, const char *file, const char *value, struct err *e);
int cgroup_write_num(int dir, const char *file, int64_t value, struct err *e);
/* Reads a small file, NUL-terminated; the length or -errno. */
int cgroup_read(int dir, const char *file, char *ret, size_t size);
/* The number behind "key " in a flat-keyed file, or `missing`. */
uint64_t cgroup_read_key(int dir, const char *file, const char *key, uint64_t missing);

/* Whether a set of processors or memory nodes is one, and not the word to take it away. */
bool cgroup_is_set(const char *cpuset);
/* Writes "cpuset.cpus" or "cpuset.mems". A group with processes whose set is taken away gets its
 * parent's, as the kernel refuses that it has none. */
int cgroup_set_cpuset(const struct cgroup *c, int hierarchy, const char *file, const char *set,
		      struct err *e);
/* A limit whose controller the host does not have is refused by name. 0 or -ENOSYS. */
int cgroup_need(const struct cgroup *c, int hierarchy, const char *what, struct err *e);
/* blockIO, hugepageLimits, network and rdma, in both versions (cgroup_more.c). */
int cgroup_set_more(const struct cgroup *c, const struct spec_resources *r, struct err *e);

int cgroup_v1_set(const struct cgroup *c, const struct spec_resources *r, struct err *e);
int cgroup_v1_set_devices(const struct cgroup *c, const struct spec_resources *r, struct err *e);
int cgroup_v2_set(const struct cgroup *c, const struct spec_resources *r, struct err *e);
/* Compiles the rules to a program and attaches it to the group `dir` (cgroup_devices.c). */
int cgroup_v2_set_devices(int dir, const struct spec_resources *r, struct err *e);

/* v2: gives all controllers that there are to the groups below. What is missing shows later. */
void cgroup_v2_enable_controllers(int dir);
/* Says why the group has no `file`, naming the group above that does not pass it on. -ENOENT. */
int cgroup_v2_missing(int dir, const char *file, struct err *e);
/* Says why there is no group `name` in `parent`; returns `code`. */
int cgroup_v2_not_made(int parent, const char *name, int code, struct err *e);
/* Whether processes can be put into it: 0, -EOPNOTSUPP (threaded), -EBUSY (frozen, divided). */
int cgroup_v2_check_place(int dir, struct err *e);

/* The device program alone, as struct bpf_insn, for tests: the number of instructions or -errno. */
int cgroup_device_program(const struct spec_resources *r, void *ret_insns, size_t max);
