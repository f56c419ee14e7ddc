/*
 * Limits in the hierarchies of v1. A limit whose controller the host does not have is an error,
 * never passed over in silence.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"

int cgroup_need(const struct cgroup *c, int h, const char *what, struct err *e)
{
	if (c->dir[h] >= 0)
		return 0;
	return err_set(e, -ENOSYS, "this host has no %s control groups, so the %s cannot be set",
		       cgroup_controller_name(h), what);
}

static int set(const struct cgroup *c, int h, const char *file, int64_t value, const char *what,
	       struct err *e)
{
	int rc;

	if (value == SPEC_UNSET)
		return 0;
	rc = cgroup_need(c, h, what, e);
	return rc < 0 ? rc : cgroup_write_num(c->dir[h], file, value, e);
}

/*
 * The limit of memory and swap may never be below that of memory, so their order depends on which
 * way they go: try the one, then the other.
 */
static int set_memory(const struct cgroup *c, const struct spec_memory *m, struct err *e)
{
	const char *limit = "memory.limit_in_bytes";
	const char *swap = "memory.memsw.limit_in_bytes";
	int rc = 0;

	if (m->limit != SPEC_UNSET && m->swap != SPEC_UNSET && m->swap != -1 && m->limit > m->swap)
		return err_set(e, -EINVAL,
			       "the limit of memory and swap must not be below that of "
			       "memory");
	if (m->swap != SPEC_UNSET && m->limit != SPEC_UNSET && c->dir[CGROUP_MEMORY] >= 0 &&
	    cgroup_write_num(c->dir[CGROUP_MEMORY], limit, m->limit, NULL) < 0)
		rc = set(c, CGROUP_MEMORY, swap, m->swap, "limit of swap", e);
	if (rc == 0)
		rc = set(c, CGROUP_MEMORY, limit, m->limit, "limit of memory", e);
	if (rc == 0 && m->swap != SPEC_UNSET && m->swap != 0) {
		rc = set(c, CGROUP_MEMORY, swap, m->swap, "limit of swap", e);
		if (rc == -ENOENT) /* a kernel without swap accounting: nothing to limit */
			rc = 0;
	}
	if (rc == 0)
		rc = set(c, CGROUP_MEMORY, "memory.soft_limit_in_bytes", m->reservation,
			 "reservation of memory", e);
	if (rc == 0)
		rc = set(c, CGROUP_MEMORY, "memory.swappiness", m->swappiness, "swappiness", e);
	if (rc == 0)
		rc = set(c, CGROUP_MEMORY, "memory.kmem.tcp.limit_in_bytes", m->kernel_tcp,
			 "limit of TCP memory", e);
	if (rc == 0 && m->disable_oom_killer)
		rc = set(c, CGROUP_MEMORY, "memory.oom_control", 1, "OOM killer", e);
	return rc;
}

static int set_cpu(const struct cgroup *c, const struct spec_cpu *p, struct err *e)
{
	int rc = 0;

	if (p->shares != 0)
		rc = set(c, CGROUP_CPU, "cpu.shares", p->shares, "CPU shares", e);
	if (rc == 0 && p->period != 0)
		rc = set(c, CGROUP_CPU, "cpu.cfs_period_us", p->period, "CPU period", e);
	if (rc == 0 && p->quota != 0)
		rc = set(c, CGROUP_CPU, "cpu.cfs_quota_us", p->quota, "CPU quota", e);
	if (rc == 0)
		rc = set(c, CGROUP_CPU, "cpu.cfs_burst_us", p->burst, "CPU burst", e);
	if (rc == 0)
		rc = set(c, CGROUP_CPU, "cpu.idle", p->idle, "CPU idle flag", e);
	if (rc == 0)
		rc = set(c, CGROUP_CPU, "cpu.rt_period_us", p->realtime_period,
			 "period of real-time processes", e);
	if (rc == 0)
		rc = set(c, CGROUP_CPU, "cpu.rt_runtime_us", p->realtime_runtime,
			 "runtime of real-time processes", e);
	if (rc == 0 && (cgroup_is_set(p->cpus) || cgroup_is_set(p->mems)))
		rc = cgroup_need(c, CGROUP_CPUSET, "processors", e);
	if (rc == 0)
		rc = cgroup_set_cpuset(c, CGROUP_CPUSET, "cpuset.cpus", p->cpus, e);
	if (rc == 0)
		rc = cgroup_set_cpuset(c, CGROUP_CPUSET, "cpuset.mems", p->mems, e);
	return rc;
}

int cgroup_v1_set(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	int rc;

	if (r->unified.n)
		return err_set(e, -ENOSYS,
			       "config.json: linux.resources.unified needs a host with "
			       "control groups v2");
	rc = set_memory(c, &r->memory, e);
	if (rc == 0)
		rc = set_cpu(c, &r->cpu, e);
	if (rc == 0 && r->pids.limit != SPEC_UNSET && r->pids.limit != 0) {
		rc = cgroup_need(c, CGROUP_PIDS, "limit of processes", e);
		if (rc == 0 && r->pids.limit < 0)
			rc = cgroup_write(c->dir[CGROUP_PIDS], "pids.max", "max", e);
		else if (rc == 0)
			rc = cgroup_write_num(c->dir[CGROUP_PIDS], "pids.max", r->pids.limit, e);
	}
	return rc;
}

static void number_text(int64_t n, char ret[24])
{
	if (n < 0)
		snprintf(ret, 24, "*");
	else
		snprintf(ret, 24, "%lld", (long long)n);
}

/* A rule is one write; the two files stay open for all of them. */
static int write_rule(const struct spec_device_rule *d, const int files[2], struct err *e)
{
	const char *access = d->access && *d->access ? d->access : "rwm";
	char major[24], minor[24], text[96];
	int n;

	number_text(d->major, major);
	number_text(d->minor, minor);
	if (!d->type || d->type[0] == 'a')
		n = snprintf(text, sizeof(text), "a");
	else
		n = snprintf(text, sizeof(text), "%s %s:%s %s", d->type, major, minor, access);
	if (write(files[d->allow], text, (size_t)n) != n)
		return err_sys(e, "cannot write %s to the control group's devices.%s", text,
			       d->allow ? "allow" : "deny");
	return 0;
}

int cgroup_v1_set_devices(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	auto_close int allow = -1;
	auto_close int deny = -1;
	int rc = r->devices.n ? cgroup_need(c, CGROUP_DEVICES, "device rules", e) : 0;

	if (rc < 0 || !r->devices.n)
		return rc;
	allow = openat(c->dir[CGROUP_DEVICES], "devices.allow", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	deny = openat(c->dir[CGROUP_DEVICES], "devices.deny", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (allow < 0 || deny < 0)
		return err_sys(e, "cannot open the control group's devices.allow and devices.deny");
	for (size_t i = 0; rc == 0 && i < r->devices.n; i++)
		rc = write_rule(&r->devices.v[i], (const int[]){deny, allow}, e);
	return rc;
}
