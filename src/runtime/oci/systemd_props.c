/*
 * Limits as systemd's properties: see systemd_props.h.
 */
#include "runtime/oci/systemd_props.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/container/cgroup.h"
#include "runtime/oci/bus.h"

#define SETS_MAX 1024 /* bytes of a set of processors or nodes: 8192 of them */
#define PERIOD_US 100000

static void begin(struct buf *b, const char *name, const char *type)
{
	bus_align(b, 8);
	bus_put_str(b, name);
	bus_put_types(b, type);
}

void systemd_put_str(struct buf *b, const char *name, const char *value)
{
	begin(b, name, "s");
	bus_put_str(b, value);
}

void systemd_put_bool(struct buf *b, const char *name, bool value)
{
	begin(b, name, "b");
	bus_put_u32(b, value);
}

void systemd_put_u64(struct buf *b, const char *name, uint64_t value)
{
	begin(b, name, "t");
	bus_put_u64(b, value);
}

void systemd_put_u32s(struct buf *b, const char *name, uint32_t value)
{
	struct bus_array a;

	begin(b, name, "au");
	a = bus_array_begin(b, sizeof(value));
	bus_put_u32(b, value);
	bus_array_end(b, a);
}

/* -1 is "no limit" in config.json, and the greatest number with systemd. */
static void put_limit(struct buf *b, const char *name, int64_t value)
{
	if (value != SPEC_UNSET)
		systemd_put_u64(b, name, value < 0 ? UINT64_MAX : (uint64_t)value);
}

/* "0-2,7" as a bit for each. Text that is none is refused where it is set. */
static void put_set(struct buf *b, const char *name, const char *text)
{
	uint8_t bits[SETS_MAX] = {0};
	size_t n = 0;
	struct bus_array a;

	if (!text || !*text)
		return;
	for (const char *p = text; *p;) {
		char *end;
		unsigned long from = strtoul(p, &end, 10), to = from;

		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		if (end == p || to < from || to >= sizeof(bits) * 8)
			return;
		for (unsigned long i = from; i <= to; i++)
			bits[i / 8] |= (uint8_t)(1u << (i % 8));
		n = MAX_OF(n, to / 8 + 1);
		p = end + strspn(end, ", \n");
		if (p == end && *p)
			return;
	}
	begin(b, name, "ay");
	a = bus_array_begin(b, 1);
	buf_add(b, bits, n);
	bus_array_end(b, a);
}

static void put_memory(struct buf *b, const struct spec_memory *m)
{
	put_limit(b, "MemoryMax", m->limit);
	put_limit(b, "MemoryLow", m->reservation);
	/* v1 counts memory and swap together. */
	if (m->swap == SPEC_UNSET || m->swap < 0)
		put_limit(b, "MemorySwapMax", m->swap);
	else if (m->limit != SPEC_UNSET && m->limit >= 0 && m->swap >= m->limit)
		put_limit(b, "MemorySwapMax", m->swap - m->limit);
}

static void put_cpu(struct buf *b, const struct spec_cpu *c)
{
	uint64_t period =
		c->period == SPEC_UNSET || c->period <= 0 ? PERIOD_US : (uint64_t)c->period;

	if (c->shares != SPEC_UNSET && c->shares > 0)
		systemd_put_u64(b, "CPUWeight", cgroup_weight_of_shares((uint64_t)c->shares));
	if (c->quota != SPEC_UNSET && c->quota != 0)
		systemd_put_u64(b, "CPUQuotaPerSecUSec",
				c->quota < 0 ? UINT64_MAX : (uint64_t)c->quota * 1000000 / period);
	if (c->period != SPEC_UNSET && c->period > 0)
		systemd_put_u64(b, "CPUQuotaPeriodUSec", period);
	put_set(b, "AllowedCPUs", c->cpus);
	put_set(b, "AllowedMemoryNodes", c->mems);
}

/* Files of v2 that are systemd's as well. */
static void put_unified(struct buf *b, const struct spec_pair *p)
{
	static const struct {
		const char *file, *name;
	} numbers[] = {
		{"memory.min", "MemoryMin"},          {"memory.low", "MemoryLow"},
		{"memory.high", "MemoryHigh"},        {"memory.max", "MemoryMax"},
		{"memory.swap.max", "MemorySwapMax"}, {"pids.max", "TasksMax"},
		{"cpu.weight", "CPUWeight"},
	};
	char *end;
	unsigned long long v = strtoull(p->value, &end, 10);

	if (strncmp(p->value, "max", 3) == 0)
		v = UINT64_MAX;
	else if (end == p->value || (*end && *end != '\n'))
		return;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (strcmp(numbers[i].file, p->key) == 0)
			systemd_put_u64(b, numbers[i].name, v);
}

void systemd_put_resources(struct buf *b, const struct spec_resources *r)
{
	put_memory(b, &r->memory);
	put_cpu(b, &r->cpu);
	if (r->pids.limit != SPEC_UNSET && r->pids.limit != 0)
		put_limit(b, "TasksMax", r->pids.limit);
	if (r->block_io.weight != SPEC_UNSET && r->block_io.weight > 0)
		systemd_put_u64(b, "IOWeight",
				cgroup_weight_of_blkio((uint64_t)r->block_io.weight));
	for (size_t i = 0; i < r->unified.n; i++) {
		put_unified(b, &r->unified.v[i]);
		if (strcmp(r->unified.v[i].key, "cpuset.cpus") == 0)
			put_set(b, "AllowedCPUs", r->unified.v[i].value);
		else if (strcmp(r->unified.v[i].key, "cpuset.mems") == 0)
			put_set(b, "AllowedMemoryNodes", r->unified.v[i].value);
	}
}
