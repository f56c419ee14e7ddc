/*
 * Pausing: the container's control group is frozen, on the pool. Whether one is paused is known to
 * the freezer alone, so a daemon that starts again asks there. What ends a container overtakes a
 * freezing under way, since v1's frozen processes take no signal, not even SIGKILL.
 */
#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "base/log.h"
#include "runtime/container/cgroup.h"

#define SETTLE_MS 5000 /* milliseconds for a container's processes to freeze or thaw */

struct freeze {
	struct op op;
	struct job job;
	bool frozen;
	char *group;
};

/* A thawing that nobody waits for; the container may be gone by its end. */
struct thaw {
	struct job job;
	struct engine *engine;
	char *id, *group;
};

static int set_frozen(const char *group, bool frozen, struct err *e)
{
	struct cgroup g;
	int rc = cgroup_open(CGROUP_ROOT, group, &g, e);

	if (rc < 0)
		return rc;
	rc = cgroup_pause(&g, frozen, SETTLE_MS, e);
	cgroup_done(&g);
	return rc;
}

static void settled(struct container_live *l, bool frozen)
{
	struct container *c = l->c;

	if (c->status != CONTAINER_RUNNING || c->paused == frozen)
		return;
	c->paused = frozen;
	if (frozen)
		health_stop(l);
	else
		health_start(l, false);
	container_event(l, frozen ? "pause" : "unpause", NULL, NULL);
}

/* ---- What nobody waits for ---- */

static void thaw_run(struct job *j)
{
	struct thaw *t = container_of(j, struct thaw, job);

	j->status = set_frozen(t->group, false, &j->err);
}

static void thaw_done(struct job *j)
{
	struct thaw *t = container_of(j, struct thaw, job);
	struct engine *e = t->engine;
	struct container *c;

	if (engine_container_find(e, t->id, &c, NULL) == 0) {
		c->live->thawing = false;
		if (j->status == 0)
			settled(c->live, false);
		/* One that has ended meanwhile has no group. */
		else if (j->status != -ENOENT && j->status != -ESRCH && c->paused)
			log_error("container %s was to end and stays frozen: %s", t->id,
				  err_text(&j->err));
	}
	free(t->id);
	free(t->group);
	free(t);
	engine_release(e);
}

void container_thaw(struct container_live *l)
{
	struct engine *e = l->engine;
	struct thaw *t;

	l->thaw_after = l->freezing;
	if (l->freezing || l->thawing || !l->c->paused)
		return;
	t = xcalloc(1, sizeof *t);
	t->engine = e;
	t->id = xstrdup(l->c->id);
	t->group = container_cgroup_path(l->c, e->config.cgroup_parent);
	t->job.run = thaw_run;
	t->job.done = thaw_done;
	l->thawing = true;
	engine_hold(e);
	job_start(e->config.loop, &t->job);
}

/* ---- The operation ---- */

static void freeze_free(struct op *op)
{
	free(container_of(op, struct freeze, op)->group);
}

static void freeze_run(struct job *j)
{
	struct freeze *f = container_of(j, struct freeze, job);

	j->status = set_frozen(f->group, f->frozen, &j->err);
}

static void freeze_done(struct job *j)
{
	struct freeze *f = container_of(j, struct freeze, job);
	struct container_live *l = f->op.live;

	l->freezing = false;
	if (j->status == 0)
		settled(l, f->frozen);
	else
		err_wrap(&j->err, "Cannot %s container %s", f->frozen ? "pause" : "unpause",
			 l->c->id);
	if (l->thaw_after)
		container_thaw(l);
	op_end(&f->op, j->status, &j->err);
}

static int check(const struct container_live *l, bool frozen, struct err *e)
{
	const struct container *c = l->c;

	if (!frozen && !c->paused)
		return err_set(e, -EBUSY, "Container %s is not paused", c->id);
	if (container_check_runs(c, e) < 0)
		return e->code;
	if (!l->link || l->killing)
		return err_set(e, -ESRCH, "container %s is not running", c->id);
	if (frozen && c->paused)
		return err_set(e, -EBUSY, "Container %s is already paused", c->id);
	return 0;
}

static void freeze_op(struct op *op)
{
	struct freeze *f = container_of(op, struct freeze, op);
	struct container_live *l = op->live;
	struct engine *e = l->engine;
	struct err err;

	if (check(l, f->frozen, &err) < 0) {
		op_end(op, err.code, &err);
		return;
	}
	f->group = container_cgroup_path(l->c, e->config.cgroup_parent);
	f->job.run = freeze_run;
	f->job.done = freeze_done;
	l->freezing = f->frozen;
	l->thaw_after = false;
	job_start(e->config.loop, &f->job);
}

void engine_container_pause(struct engine *e, struct container *c, bool frozen, engine_done done,
			    void *arg)
{
	struct freeze *f = xcalloc(1, sizeof *f);

	(void)e;
	f->op.run = freeze_op;
	f->op.free = freeze_free;
	f->frozen = frozen;
	op_queue(c->live, &f->op, done, arg);
}
