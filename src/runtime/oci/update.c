/*
 * update: other limits for a living container, from flags or from a file as in linux.resources.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/oci/bundle.h"
#include "runtime/oci/state.h"
#include "runtime/oci/systemd.h"

/* Bytes, with Docker's units: "512m", "1g", "-1". */
static int parse_bytes(const char *name, const char *text, int64_t *ret, struct err *e)
{
	static const char units[] = "bkmgt";
	char *end;
	long long n;
	const char *unit;

	if (!text)
		return 0;
	errno = 0;
	n = strtoll(text, &end, 10);
	unit = *end ? strchr(units, *end | 0x20) : units;
	if (errno || end == text || n < -1 || !unit ||
	    (*end && end[1] && strcasecmp(end + 1, "b") != 0) ||
	    (n > 0 && n > INT64_MAX >> (10 * (unit - units))))
		return err_set(e, -EINVAL, "invalid value for %s: %.32s", name, text);
	*ret = n < 0 ? n : n << (10 * (unit - units));
	return 0;
}

static int from_flags(const struct oci_flags *f, struct spec_resources *r, struct err *e)
{
	int rc = parse_bytes("memory", f->memory, &r->memory.limit, e);

	if (rc == 0)
		rc = parse_bytes("memory-reservation", f->memory_reservation,
				 &r->memory.reservation, e);
	if (rc == 0)
		rc = parse_bytes("memory-swap", f->memory_swap, &r->memory.swap, e);
	if (rc == 0)
		rc = parse_bytes("kernel-memory-tcp", f->kernel_memory_tcp, &r->memory.kernel_tcp,
				 e);
	r->cpu.period = f->cpu_period;
	r->cpu.quota = f->cpu_quota;
	r->cpu.burst = f->cpu_burst;
	r->cpu.shares = f->cpu_share;
	r->cpu.idle = f->cpu_idle;
	r->cpu.realtime_period = f->cpu_rt_period;
	r->cpu.realtime_runtime = f->cpu_rt_runtime;
	r->cpu.cpus = xstrdup(f->cpuset_cpus);
	r->cpu.mems = xstrdup(f->cpuset_mems);
	r->pids.limit = f->pids_limit;
	r->block_io.weight = f->blkio_weight;
	return rc;
}

static int from_file(const char *path, struct spec_resources *r, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	int rc = strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, &text)
					: file_read_at(AT_FDCWD, path, &text);

	if (rc < 0)
		return err_code(e, rc, "cannot read the resources in %s", path);
	return spec_resources_parse(buf_text(&text), text.len, r, e);
}

int oci_update(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	CLEANUP(spec_done) struct spec s; /* of which resources alone are used */
	struct spec_resources *r = &s.linux_.resources;
	struct cgroup g;
	int rc;

	spec_init(&s);
	rc = f->resources ? from_file(f->resources, r, e) : from_flags(f, r, e);
	if (rc == 0)
		rc = oci_state_open(o, argv[0], OCI_LOCKED, &c, e);
	if (rc == 0 && oci_status(&c) == OCI_STOPPED)
		rc = err_set(e, -ESRCH, "container not running: %s", c.id);
	if (rc == 0)
		rc = oci_state_cgroup(&c, &g, e);
	if (rc < 0)
		return rc;
	bundle_add_device_rules(&s);
	if (c.record.unit && systemd_runs())
		rc = systemd_update(c.record.unit, r, e);
	if (rc == 0)
		rc = cgroup_update(&g, r, e);
	if (rc == 0)
		rc = cgroup_update_devices(&g, r, e);
	cgroup_done(&g);
	return rc;
}
