/*
 * Other limits and another restart policy for a container that is there. A running one's control
 * group is changed first, on the pool; when the kernel refuses any of it, or it cannot be kept,
 * the old limits are written again. So it is all or nothing.
 */
#include <errno.h>
#include <string.h>

#include "agent/container_check.h"
#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "base/log.h"
#include "runtime/container/cgroup.h"

struct update {
	struct op op;
	struct job job;
	struct host_config *changes, *next;
	char *group;
	struct spec_resources now, before;
	bool made;
};

static struct update *update_of(struct job *j)
{
	return container_of(j, struct update, job);
}

static void update_free(struct op *op)
{
	struct update *u = container_of(op, struct update, op);

	table_free(&host_config_table, u->changes);
	table_free(&host_config_table, u->next);
	free(u->group);
	if (!u->made)
		return;
	spec_resources_done(&u->now);
	spec_resources_done(&u->before);
}

static void end(struct update *u, int status, struct err *e)
{
	if (status < 0)
		err_wrap(e, "Cannot update container %s", u->op.live->c->id);
	op_end(&u->op, status, e);
}

/* ---- What is to be written: what is the same stays unwritten ---- */

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static void drop_memory(struct spec_memory *m)
{
	m->limit = m->swap = m->reservation = m->swappiness = SPEC_UNSET;
	m->disable_oom_killer = false;
}

static void drop_same(struct spec_resources *a, struct spec_resources *b)
{
	if (a->memory.limit == b->memory.limit && a->memory.swap == b->memory.swap &&
	    a->memory.reservation == b->memory.reservation) {
		drop_memory(&a->memory);
		drop_memory(&b->memory);
	}
	/* It does not change, and v2 refuses its value. */
	a->memory.swappiness = b->memory.swappiness = SPEC_UNSET;
	if (a->cpu.shares == b->cpu.shares)
		a->cpu.shares = b->cpu.shares = SPEC_UNSET;
	if (a->cpu.quota == b->cpu.quota && a->cpu.period == b->cpu.period) {
		a->cpu.quota = b->cpu.quota = SPEC_UNSET;
		a->cpu.period = b->cpu.period = SPEC_UNSET;
	}
	if (a->pids.limit == b->pids.limit)
		a->pids.limit = b->pids.limit = SPEC_UNSET;
}

/* An empty line takes a set away again; what is NULL is not written. */
static void drop_same_set(char **a, char **b)
{
	bool equal = same(*a, *b);

	if (equal)
		str_set(a, NULL);
	str_set(b, equal ? NULL : *b ? *b : "\n");
}

static void resources_make(struct update *u)
{
	const struct container_live *l = u->op.live;
	bool v2 = l->engine->cgroup_version == 2;

	spec_resources_init(&u->now);
	spec_resources_init(&u->before);
	u->made = true;
	container_resources(u->next, true, v2, &u->now);
	container_resources(&l->c->host, true, v2, &u->before);
	drop_same(&u->now, &u->before);
	drop_same_set(&u->now.cpu.cpus, &u->before.cpu.cpus);
	drop_same_set(&u->now.cpu.mems, &u->before.cpu.mems);
}

/* ---- On the pool ---- */

static int apply(struct update *u, struct err *e)
{
	struct cgroup g;
	int rc = cgroup_open(CGROUP_ROOT, u->group, &g, e);

	if (rc < 0)
		return rc;
	rc = cgroup_update(&g, &u->now, e);
	if (rc < 0)
		(void)cgroup_update(&g, &u->before, NULL);
	cgroup_done(&g);
	return rc;
}

static void apply_run(struct job *j)
{
	j->status = apply(update_of(j), &j->err);
}

static void back_run(struct job *j)
{
	struct update *u = update_of(j);
	struct cgroup g;

	if (cgroup_open(CGROUP_ROOT, u->group, &g, NULL) < 0)
		return;
	if (cgroup_update(&g, &u->before, NULL) < 0)
		log_error("the old limits of the group %s cannot be set again", u->group);
	cgroup_done(&g);
}

/* ---- On the loop ---- */

static void back_done(struct job *j)
{
	end(update_of(j), j->status, &j->err);
}

static void swap_host(struct update *u)
{
	struct container *c = u->op.live->c;
	const struct host_config old = c->host;

	c->host = *u->next;
	*u->next = old;
}

static void keep(struct update *u)
{
	struct container_live *l = u->op.live;
	struct err *e = &u->job.err;

	swap_host(u);
	u->job.status = container_store(l, e);
	if (u->job.status == 0) {
		container_event(l, "update", NULL, NULL);
		end(u, 0, NULL);
		return;
	}
	swap_host(u);
	if (!u->made) {
		end(u, u->job.status, e);
		return;
	}
	u->job.run = back_run;
	u->job.done = back_done;
	job_start(l->engine->config.loop, &u->job);
}

static void apply_done(struct job *j)
{
	struct update *u = update_of(j);

	/* Without a group it has ended meanwhile, and its next start has the new limits. */
	if (j->status < 0 && j->status != -ENOENT)
		end(u, j->status, &j->err);
	else
		keep(u);
}

static void update_run(struct op *op)
{
	struct update *u = container_of(op, struct update, op);
	struct container *c = op->live->c;
	struct err err;
	int rc;

	u->next = table_dup(&host_config_table, &c->host);
	rc = host_config_update(u->next, u->changes, &err);
	if (rc == 0 && (c->status == CONTAINER_REMOVING || c->status == CONTAINER_DEAD))
		rc = err_set(&err, -EBUSY,
			     "container is marked for removal and cannot be \"update\"");
	if (rc < 0) {
		end(u, rc, &err);
		return;
	}
	if (c->status != CONTAINER_RUNNING) {
		keep(u);
		return;
	}
	resources_make(u);
	u->group = container_cgroup_path(c, op->live->engine->config.cgroup_parent);
	u->job.run = apply_run;
	u->job.done = apply_done;
	job_start(op->live->engine->config.loop, &u->job);
}

void engine_container_update(struct engine *e, struct container *c,
			     const struct host_config *changes, engine_done done, void *arg)
{
	struct update *u = xcalloc(1, sizeof *u);

	(void)e;
	u->op.run = update_run;
	u->op.free = update_free;
	u->changes = table_dup(&host_config_table, changes);
	op_queue(c->live, &u->op, done, arg);
}
