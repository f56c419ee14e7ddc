/*
 * ps, pause and resume: a container's processes as one.
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/ps.h"
#include "runtime/oci/state.h"

#define PIDS_MAX (4u << 20)       /* bytes of pids */
#define PS_OUTPUT_MAX (64u << 20) /* bytes that the host's ps may write */
#define FREEZE_MS 10000
#define PS_MS 60000

static int open_group(const struct oci_container *c, struct cgroup *ret, struct err *e)
{
	enum oci_status s = oci_status(c);

	if (s == OCI_STOPPED || s == OCI_CREATING)
		return err_set(e, -ESRCH, "container not running: %s", c->id);
	return oci_state_cgroup(c, ret, e);
}

static int set_frozen(struct oci *o, const char *id, bool frozen, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	struct cgroup g;
	int rc = oci_state_open(o, id, OCI_LOCKED, &c, e);

	if (rc == 0 && !frozen && oci_status(&c) != OCI_PAUSED)
		rc = err_set(e, -EINVAL, "container not paused: %s", c.id);
	if (rc == 0)
		rc = open_group(&c, &g, e);
	if (rc < 0)
		return rc;
	rc = cgroup_pause(&g, frozen, FREEZE_MS, e);
	if (rc < 0)
		err_wrap(e, "cannot %s container %s", frozen ? "pause" : "resume", c.id);
	cgroup_done(&g);
	return rc;
}

int oci_pause(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	return set_frozen(o, argv[0], true, e);
}

int oci_resume(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	return set_frozen(o, argv[0], false, e);
}

static void put_json(const struct buf *pids, struct buf *ret)
{
	const pid_t *v = (const pid_t *)pids->p;

	buf_addc(ret, '[');
	for (size_t i = 0; i < pids->len / sizeof(*v); i++)
		buf_addf(ret, "%s%d", i ? "," : "", (int)v[i]);
	buf_adds(ret, "]\n");
}

static void put_line(void *arg, const struct ps_row *r)
{
	buf_add(arg, r->line, r->len);
	buf_addc(arg, '\n');
}

int oci_ps(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	auto_buf pids = BUF_INIT(PIDS_MAX), table = BUF_INIT(PS_OUTPUT_MAX);
	auto_buf out = BUF_INIT(PS_OUTPUT_MAX);
	static const char *const usual[] = {"ps", "-ef", NULL};
	struct cgroup g;
	int rc = oci_state_open(o, argv[0], OCI_UNLOCKED, &c, e);

	if (rc == 0)
		rc = open_group(&c, &g, e);
	if (rc < 0)
		return rc;
	rc = cgroup_pids(&g, &pids);
	cgroup_done(&g);
	if (rc < 0)
		return err_code(e, rc, "cannot read the processes of container %s", c.id);
	if (f->format && strcmp(f->format, "json") == 0) {
		put_json(&pids, &out);
		return oci_print(&out, e);
	}
	if (f->format && strcmp(f->format, "table") != 0)
		return err_set(e, -EINVAL, "invalid format option: %.32s", f->format);
	argv[0] = (char *)"ps";
	rc = ps_run(argv[1] ? argv : (char *const *)usual, PS_MS, &table, e);
	if (rc == 0)
		rc = ps_table(buf_text(&table), &pids, put_line, &out, e);
	return rc < 0 ? rc : oci_print(&out, e);
}
