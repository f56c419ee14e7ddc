/*
 * events: a container's use of the host, once or again and again, as runc writes it.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/cgroup_stats.h"
#include "runtime/container/jtable.h"
#include "runtime/oci/state.h"

#define INTERVAL_NS (5 * NS_PER_SEC)

static void put_memory(struct buf *b, const char *name, const struct cgroup_memory_stats *m)
{
	buf_addf(b,
		 "\"%s\":{\"limit\":%" PRIu64 ",\"usage\":%" PRIu64 ",\"max\":%" PRIu64
		 ",\"failcnt\":%" PRIu64 "},",
		 name, m->limit, m->usage, m->max, m->failures);
}

static void put_raw(struct buf *b, const struct cgroup_stats *s)
{
	buf_adds(b, "\"raw\":{");
	for (size_t i = 0; i < s->n_raw; i++)
		buf_addf(b, "%s\"%s\":%" PRIu64, i ? "," : "", s->raw[i].key, s->raw[i].value);
	buf_adds(b, "}");
}

static void put_stats(struct buf *b, const char *id, const struct cgroup_stats *s)
{
	buf_adds(b, "{\"type\":\"stats\",\"id\":");
	jt_write_text(b, id);
	buf_addf(b,
		 ",\"data\":{\"cpu\":{\"usage\":{\"total\":%" PRIu64 ",\"kernel\":%" PRIu64
		 ",\"user\":%" PRIu64 "},\"throttling\":{\"periods\":%" PRIu64
		 ",\"throttledPeriods\":%" PRIu64 ",\"throttledTime\":%" PRIu64 "}},",
		 s->cpu_total_ns, s->cpu_kernel_ns, s->cpu_user_ns, s->periods,
		 s->throttled_periods, s->throttled_ns);
	buf_addf(b, "\"memory\":{\"cache\":%" PRIu64 ",", s->cache);
	put_memory(b, "usage", &s->memory);
	put_memory(b, "swap", &s->swap);
	put_raw(b, s);
	buf_addf(b, "},\"pids\":{\"current\":%" PRIu64, s->pids);
	if (s->pids_limit)
		buf_addf(b, ",\"limit\":%" PRIu64, s->pids_limit);
	buf_adds(b, "},\"blkio\":{},\"hugetlb\":{},\"intel_rdt\":{},"
		    "\"network_interfaces\":null}}\n");
}

static int print_stats(const struct oci_container *c, const struct cgroup *g, struct err *e)
{
	auto_buf b = BUF_INIT(LIMIT_OCI_STATE);
	struct cgroup_stats s;

	cgroup_stats_read(g, &s);
	put_stats(&b, c->id, &s);
	return oci_print(&b, e);
}

static int print_oom(const struct oci_container *c, struct err *e)
{
	auto_buf b = BUF_INIT(LIMIT_OCI_STATE);

	buf_adds(&b, "{\"type\":\"oom\",\"id\":");
	jt_write_text(&b, c->id);
	buf_adds(&b, "}\n");
	return oci_print(&b, e);
}

/* Until the container's end. What the kernel has killed for memory is looked up in between. */
static int follow(const struct oci_container *c, const struct cgroup *g, int interval_ms,
		  struct err *e)
{
	uint64_t kills = cgroup_oom_kills(g);
	int rc = print_stats(c, g, e);

	while (rc == 0) {
		struct pollfd pf = {.fd = c->pidfd, .events = POLLIN};
		bool ended = poll(&pf, 1, interval_ms) > 0;
		uint64_t now = cgroup_oom_kills(g);

		if (now > kills)
			rc = print_oom(c, e);
		kills = now;
		if (ended)
			return rc;
		if (rc == 0)
			rc = print_stats(c, g, e);
	}
	return rc;
}

int oci_events(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	int64_t interval = INTERVAL_NS;
	struct cgroup g;
	int rc = 0;

	if (f->interval && (duration_parse(f->interval, &interval) < 0 || interval < NS_PER_MS ||
			    interval > 86400 * NS_PER_SEC))
		return err_set(e, -EINVAL, "--interval must be from 1ms to 24h");
	rc = oci_state_open(o, argv[0], OCI_UNLOCKED, &c, e);
	if (rc == 0 && oci_status(&c) == OCI_STOPPED)
		rc = err_set(e, -ESRCH, "container with id %s is not running", c.id);
	if (rc == 0)
		rc = oci_state_cgroup(&c, &g, e);
	if (rc < 0)
		return rc;
	rc = f->stats ? print_stats(&c, &g, e) : follow(&c, &g, (int)(interval / NS_PER_MS), e);
	cgroup_done(&g);
	return rc;
}
