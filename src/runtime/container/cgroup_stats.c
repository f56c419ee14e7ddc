/*
 * Reading what a group has used: see cgroup_stats.h.
 */
#include "runtime/container/cgroup_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"

#define NS_PER_US 1000ULL

/* A file of one number; "max" and what is missing are `missing`. */
static uint64_t number(int dir, const char *file, uint64_t missing)
{
	char text[64];

	if (dir < 0 || cgroup_read(dir, file, text, sizeof(text)) <= 0 || text[0] < '0' ||
	    text[0] > '9')
		return missing;
	return strtoull(text, NULL, 10);
}

static void read_raw(int dir, struct cgroup_stats *s)
{
	char text[CGROUP_VALUE_MAX];

	if (dir < 0 || cgroup_read(dir, "memory.stat", text, sizeof(text)) <= 0)
		return;
	for (const char *p = text; *p && s->n_raw < CGROUP_RAW_MAX;
	     p += strcspn(p, "\n"), p += *p == '\n') {
		size_t n = strcspn(p, " \n");

		if (p[n] != ' ' || n >= sizeof(s->raw[0].key))
			continue;
		memcpy(s->raw[s->n_raw].key, p, n);
		s->raw[s->n_raw].key[n] = 0;
		s->raw[s->n_raw++].value = strtoull(p + n, NULL, 10);
	}
}

static void read_v1(const struct cgroup *c, struct cgroup_stats *s)
{
	int memory = c->dir[CGROUP_MEMORY], cpu = c->dir[CGROUP_CPU];
	int account = c->dir[CGROUP_CPUACCT];
	uint64_t tick = NS_PER_US * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);

	s->cpu_total_ns = number(account, "cpuacct.usage", 0);
	if (account >= 0) {
		s->cpu_user_ns = cgroup_read_key(account, "cpuacct.stat", "user", 0) * tick;
		s->cpu_kernel_ns = cgroup_read_key(account, "cpuacct.stat", "system", 0) * tick;
	}
	if (cpu >= 0) {
		s->periods = cgroup_read_key(cpu, "cpu.stat", "nr_periods", 0);
		s->throttled_periods = cgroup_read_key(cpu, "cpu.stat", "nr_throttled", 0);
		s->throttled_ns = cgroup_read_key(cpu, "cpu.stat", "throttled_time", 0);
	}
	s->memory =
		(struct cgroup_memory_stats){.limit = number(memory, "memory.limit_in_bytes", 0),
					     .usage = number(memory, "memory.usage_in_bytes", 0),
					     .max = number(memory, "memory.max_usage_in_bytes", 0),
					     .failures = number(memory, "memory.failcnt", 0)};
	s->swap = (struct cgroup_memory_stats){
		.limit = number(memory, "memory.memsw.limit_in_bytes", 0),
		.usage = number(memory, "memory.memsw.usage_in_bytes", 0),
		.max = number(memory, "memory.memsw.max_usage_in_bytes", 0),
		.failures = number(memory, "memory.memsw.failcnt", 0)};
	read_raw(memory, s);
	if (memory >= 0)
		s->cache = cgroup_read_key(memory, "memory.stat", "cache", 0);
	s->pids = number(c->dir[CGROUP_PIDS], "pids.current", 0);
	s->pids_limit = number(c->dir[CGROUP_PIDS], "pids.max", 0);
}

static void read_v2(int dir, struct cgroup_stats *s)
{
	s->cpu_total_ns = cgroup_read_key(dir, "cpu.stat", "usage_usec", 0) * NS_PER_US;
	s->cpu_user_ns = cgroup_read_key(dir, "cpu.stat", "user_usec", 0) * NS_PER_US;
	s->cpu_kernel_ns = cgroup_read_key(dir, "cpu.stat", "system_usec", 0) * NS_PER_US;
	s->periods = cgroup_read_key(dir, "cpu.stat", "nr_periods", 0);
	s->throttled_periods = cgroup_read_key(dir, "cpu.stat", "nr_throttled", 0);
	s->throttled_ns = cgroup_read_key(dir, "cpu.stat", "throttled_usec", 0) * NS_PER_US;
	s->memory = (struct cgroup_memory_stats){
		.limit = number(dir, "memory.max", UINT64_MAX),
		.usage = number(dir, "memory.current", 0),
		.max = number(dir, "memory.peak", 0),
		.failures = cgroup_read_key(dir, "memory.events", "max", 0)};
	s->swap = (struct cgroup_memory_stats){
		.limit = number(dir, "memory.swap.max", UINT64_MAX),
		.usage = number(dir, "memory.swap.current", 0),
		.max = number(dir, "memory.swap.peak", 0),
		.failures = cgroup_read_key(dir, "memory.swap.events", "max", 0)};
	read_raw(dir, s);
	s->cache = cgroup_read_key(dir, "memory.stat", "file", 0);
	s->pids = number(dir, "pids.current", 0);
	s->pids_limit = number(dir, "pids.max", 0);
}

void cgroup_stats_read(const struct cgroup *c, struct cgroup_stats *ret)
{
	*ret = (struct cgroup_stats){0};
	if (c->v2)
		read_v2(c->dir[CGROUP_UNIFIED], ret);
	else
		read_v1(c, ret);
}

static void add_io(struct cgroup_io_entry *v, size_t *n, const uint64_t device[2], const char *op,
		   uint64_t value)
{
	struct cgroup_io_entry *entry = &v[*n];

	if (*n == CGROUP_IO_MAX)
		return;
	*entry = (struct cgroup_io_entry){.major = device[0], .minor = device[1], .value = value};
	snprintf(entry->op, sizeof(entry->op), "%s", op);
	(*n)++;
}

/* "254:0 Read 4096"; the sum over all devices at the end has no device. */
static void read_io_v1(int dir, const char *file, struct cgroup_io_entry *v, size_t *n)
{
	char text[CGROUP_VALUE_MAX], op[16];
	uint64_t d[2], value;

	if (cgroup_read(dir, file, text, sizeof(text)) <= 0)
		return;
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (sscanf(p, "%" SCNu64 ":%" SCNu64 " %15s %" SCNu64, &d[0], &d[1], op, &value) ==
		    4)
			add_io(v, n, d, op, value);
}

/* "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" */
static void read_io_v2(int dir, struct cgroup_io *ret)
{
	char text[CGROUP_VALUE_MAX], *save = NULL;
	uint64_t d[2], value;

	if (cgroup_read(dir, "io.stat", text, sizeof(text)) <= 0)
		return;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (sscanf(l, "%" SCNu64 ":%" SCNu64, &d[0], &d[1]) != 2)
			continue;
		for (const char *p = strchr(l, ' '); p; p = strchr(p, ' ')) {
			p++;
			if (sscanf(p, "rbytes=%" SCNu64, &value) == 1)
				add_io(ret->bytes, &ret->n_bytes, d, "read", value);
			else if (sscanf(p, "wbytes=%" SCNu64, &value) == 1)
				add_io(ret->bytes, &ret->n_bytes, d, "write", value);
			else if (sscanf(p, "rios=%" SCNu64, &value) == 1)
				add_io(ret->ops, &ret->n_ops, d, "read", value);
			else if (sscanf(p, "wios=%" SCNu64, &value) == 1)
				add_io(ret->ops, &ret->n_ops, d, "write", value);
		}
	}
}

void cgroup_io_read(const struct cgroup *c, struct cgroup_io *ret)
{
	int dir = c->dir[c->v2 ? CGROUP_UNIFIED : CGROUP_BLKIO];

	*ret = (struct cgroup_io){0};
	if (dir < 0)
		return;
	if (c->v2) {
		read_io_v2(dir, ret);
		return;
	}
	read_io_v1(dir, "blkio.throttle.io_service_bytes_recursive", ret->bytes, &ret->n_bytes);
	read_io_v1(dir, "blkio.throttle.io_serviced_recursive", ret->ops, &ret->n_ops);
}
