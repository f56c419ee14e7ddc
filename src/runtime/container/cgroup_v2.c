/*
 * Limits in the one hierarchy of v2, with v1's units converted as crun and runc do.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"

/*
 * The default of 1024 shares is the default weight of 100 and the ends are met: the curve that
 * runc and crun took in 2025, a quadratic in log2 of the shares. Without floating point functions:
 * linear between the powers of two.
 */
uint64_t cgroup_weight_of_shares(uint64_t shares)
{
	/* ceil(10 ^ ((l * l + 125 * l) / 612 - 7 / 34)) for l = 1..18 */
	static const uint64_t weights[] = {1,   1,   2,   3,   5,   8,    12,   21,   35,   59,
					   100, 174, 303, 532, 942, 1681, 3023, 5478, 10000};
	unsigned int l = 0;
	uint64_t low;

	if (shares == 0)
		return 0;
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	for (uint64_t s = shares; s > 1; s >>= 1)
		l++;
	low = 1ULL << l;
	return weights[l] + (weights[l + 1] - weights[l]) * (shares - low) / low;
}

static int set(int dir, const char *file, int64_t value, struct err *e)
{
	if (value == SPEC_UNSET)
		return 0;
	return value < 0 ? cgroup_write(dir, file, "max", e)
			 : cgroup_write_num(dir, file, value, e);
}

/* v1's kernel refuses a limit below what is used; v2's would kill for it. */
static int check_usage(int dir, const struct spec_memory *m, struct err *e)
{
	char text[32];

	if (!m->check_before_update || m->limit == SPEC_UNSET || m->limit < 0 ||
	    cgroup_read(dir, "memory.current", text, sizeof(text)) < 0 ||
	    strtoll(text, NULL, 10) <= m->limit)
		return 0;
	return err_set(e, -EBUSY,
		       "the limit of memory is below the %lld bytes that are used already",
		       strtoll(text, NULL, 10));
}

/* What memory.max is; -1 without a limit. */
static int64_t limit_now(int dir)
{
	char text[32];

	if (cgroup_read(dir, "memory.max", text, sizeof(text)) <= 0 || text[0] == 'm')
		return -1;
	return strtoll(text, NULL, 10);
}

/* v1 limits memory and swap together, v2 swap alone. */
static int set_memory(int dir, const struct spec_memory *m, struct err *e)
{
	int64_t swap = m->swap;
	int rc;

	if (swap != SPEC_UNSET && swap > 0) {
		int64_t limit = m->limit == SPEC_UNSET ? limit_now(dir) : m->limit;

		if (limit < 0)
			return err_set(e, -EINVAL, "a limit of swap needs a limit of memory");
		if (swap < limit)
			return err_set(e, -EINVAL,
				       "the limit of memory and swap must not be below "
				       "that of memory");
		swap -= limit;
	} else if (swap == 0) {
		swap = SPEC_UNSET;
	}
	if (m->disable_oom_killer || m->kernel_tcp != SPEC_UNSET ||
	    (m->swappiness != SPEC_UNSET && m->swappiness != -1))
		return err_set(e, -ENOSYS,
			       "config.json: linux.resources.memory.%s is not there in control "
			       "groups v2",
			       m->disable_oom_killer         ? "disableOOMKiller"
			       : m->kernel_tcp != SPEC_UNSET ? "kernelTCP"
							     : "swappiness");
	rc = check_usage(dir, m, e);
	if (rc < 0)
		return rc;
	rc = set(dir, "memory.max", m->limit, e);
	if (rc == 0 && swap != SPEC_UNSET) {
		rc = set(dir, "memory.swap.max", swap, NULL);
		if (rc == -ENOENT) /* a kernel without swap accounting: nothing to limit */
			rc = 0;
		else if (rc < 0)
			rc = set(dir, "memory.swap.max", swap, e);
	}
	return rc == 0 ? set(dir, "memory.low", m->reservation, e) : rc;
}

/*
 * One file for what were two: of quota and period the one that is not given stays as it is. The
 * burst may never be above the quota, so their order depends on which way they go.
 */
static int set_bandwidth(int dir, const struct spec_cpu *p, struct err *e)
{
	bool quota = p->quota != SPEC_UNSET && p->quota != 0;
	bool period = p->period != SPEC_UNSET && p->period != 0;
	char text[64] = "max";
	int rc = 0;

	if (quota && p->quota > 0)
		snprintf(text, sizeof(text), "%" PRId64, p->quota);
	else if (!quota && period && cgroup_read(dir, "cpu.max", text, 32) > 0)
		text[strcspn(text, " \n")] = 0;
	if (period)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %" PRId64, p->period);
	if (quota || period) {
		rc = cgroup_write(dir, "cpu.max", text, NULL);
		if (rc == -EINVAL && p->burst != SPEC_UNSET)
			(void)set(dir, "cpu.max.burst", p->burst, NULL);
		if (rc < 0)
			rc = cgroup_write(dir, "cpu.max", text, e);
	}
	return rc == 0 ? set(dir, "cpu.max.burst", p->burst, e) : rc;
}

static int set_cpu(const struct cgroup *c, const struct spec_cpu *p, struct err *e)
{
	int dir = c->dir[CGROUP_UNIFIED];
	int rc = 0;

	if ((p->realtime_runtime != SPEC_UNSET && p->realtime_runtime != 0) ||
	    (p->realtime_period != SPEC_UNSET && p->realtime_period != 0))
		return err_set(e, -ENOSYS,
			       "config.json: linux.resources.cpu.realtimeRuntime and "
			       "realtimePeriod are not there in control groups v2");
	if (p->shares != SPEC_UNSET && p->shares > 0)
		rc = cgroup_write_num(dir, "cpu.weight",
				      (int64_t)cgroup_weight_of_shares((uint64_t)p->shares), e);
	if (rc == 0)
		rc = set_bandwidth(dir, p, e);
	if (rc == 0)
		rc = set(dir, "cpu.idle", p->idle, e);
	if (rc == 0)
		rc = cgroup_set_cpuset(c, CGROUP_UNIFIED, "cpuset.cpus", p->cpus, e);
	if (rc == 0)
		rc = cgroup_set_cpuset(c, CGROUP_UNIFIED, "cpuset.mems", p->mems, e);
	return rc;
}

int cgroup_v2_set(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	int dir = c->dir[CGROUP_UNIFIED];
	int rc = set_memory(dir, &r->memory, e);

	if (rc == 0)
		rc = set_cpu(c, &r->cpu, e);
	if (rc == 0 && r->pids.limit != 0)
		rc = set(dir, "pids.max", r->pids.limit, e);
	for (size_t i = 0; rc == 0 && i < r->unified.n; i++) {
		const struct spec_pair *p = &r->unified.v[i];

		if (strchr(p->key, '/') || !strchr(p->key, '.'))
			return err_set(e, -EINVAL,
				       "config.json: linux.resources.unified: %.64s is "
				       "not a file of a control group",
				       p->key);
		rc = cgroup_write(dir, p->key, p->value, e);
	}
	return rc;
}
