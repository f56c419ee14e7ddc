/*
 * Top: the host's ps, run on the pool, and of its table the lines about a container's processes.
 * Their ids come from its control group.
 */
#include <string.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/ps.h"

#define PIDS_MAX (1u << 20)   /* bytes of process ids */
#define PIDS_TEXT (64u << 10) /* characters of them in one argument; more are not given to ps */

struct top {
	struct job job;
	struct engine *engine;
	char *group, *args;
	struct container_top top;
	engine_topped done;
	void *arg;
};

static void add_row(void *arg, const struct ps_row *r)
{
	struct top *t = arg;
	struct strs *to = t->top.titles.n ? &LIST_ADD(&t->top.rows)->cells : &t->top.titles;

	for (size_t i = 0; i < r->n; i++) {
		auto_free char *text = xstrndup(r->cells[i].p, r->cells[i].len);

		strs_add(to, text);
	}
}

/* "-q1,2,3": what makes ps show these at all, whatever else is asked. */
static int pids_text(const struct buf *pids, struct buf *ret)
{
	const pid_t *v = (const pid_t *)pids->p;

	for (size_t i = 0; i < pids->len / sizeof *v; i++)
		(void)buf_addf(ret, "%s%d", i ? "," : "-q", (int)v[i]);
	return buf_status(ret);
}

static int run_ps(struct top *t, const struct buf *pids, struct buf *table, struct err *e)
{
	auto_buf only = BUF_INIT(PIDS_TEXT);
	struct strs argv = {0};
	char *save = NULL, **all;
	int rc = -EMSGSIZE;

	strs_add(&argv, "ps");
	strs_add(&argv, pids_text(pids, &only) == 0 ? buf_text(&only) : "-e");
	for (char *w = strtok_r(t->args, " ", &save); w; w = strtok_r(NULL, " ", &save))
		strs_add(&argv, w);
	all = xcalloc(argv.n + 1, sizeof *all);
	memcpy(all, argv.v, argv.n * sizeof *all);
	if (buf_status(&only) == 0)
		rc = ps_run(all, LIMIT_PS_MS, table, e);
	/* Some options exclude -q: then ps's own choice is what is looked through. */
	if (rc == -EINVAL || buf_status(&only) < 0) {
		all[1] = all[0];
		buf_reset(table);
		rc = ps_run(all + 1, LIMIT_PS_MS, table, e);
	}
	free(all);
	strs_done(&argv);
	return rc;
}

static void top_run(struct job *j)
{
	struct top *t = container_of(j, struct top, job);
	auto_buf pids = BUF_INIT(PIDS_MAX), table = BUF_INIT(LIMIT_PS_OUTPUT);
	struct cgroup g;

	if (j->status == 0)
		j->status = cgroup_open(CGROUP_ROOT, t->group, &g, &j->err);
	if (j->status < 0)
		return;
	j->status = cgroup_pids(&g, &pids);
	cgroup_done(&g);
	if (j->status < 0)
		(void)err_code(&j->err, j->status, "cannot read the container's processes");
	if (j->status == 0)
		j->status = run_ps(t, &pids, &table, &j->err);
	if (j->status == 0)
		j->status = ps_table(buf_text(&table), &pids, add_row, t, &j->err);
}

static void top_done(struct job *j)
{
	struct top *t = container_of(j, struct top, job);
	struct engine *e = t->engine;

	if (j->status < 0)
		j->err.code = j->status;
	t->done(t->arg, j->status, &t->top, j->status < 0 ? &j->err : NULL);
	strs_done(&t->top.titles);
	LIST_EACH (row, &t->top.rows)
		strs_done(&row->cells);
	free(t->top.rows.v);
	free(t->group);
	free(t->args);
	free(t);
	engine_release(e);
}

void engine_container_top(struct engine *e, struct container *c, const char *args,
			  engine_topped done, void *arg)
{
	struct top *t = xcalloc(1, sizeof *t);

	t->engine = e;
	t->done = done;
	t->arg = arg;
	t->args = xstrdup(args && *args ? args : "-ef");
	t->group = container_cgroup_path(c, e->config.cgroup_parent);
	t->job.run = top_run;
	t->job.done = top_done;
	/* A refusal takes the same way back: never from within the call. */
	t->job.status = container_check_runs(c, &t->job.err);
	if (t->job.status == 0)
		t->job.status = ps_args_check(t->args, &t->job.err);
	engine_hold(e);
	job_start(e->config.loop, &t->job);
}
