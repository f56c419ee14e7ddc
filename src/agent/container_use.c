/*
 * What the containers of tasks have used so far: one job for all of them.
 */
#include <string.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "base/clock.h"
#include "runtime/container/cgroup.h"

struct using
{
	struct job job;
	struct engine *engine;
	struct container_uses uses;
	struct strs groups; /* one each */
	engine_used done;
	void *arg;
};

/* As docker stats has it: what could be dropped at once is not counted. */
static uint64_t memory_of(const struct cgroup_stats *s)
{
	uint64_t idle = 0;

	for (size_t i = 0; i < s->n_raw; i++) {
		if (strcmp(s->raw[i].key, "total_inactive_file") == 0) {
			idle = s->raw[i].value;
			break;
		}
		if (strcmp(s->raw[i].key, "inactive_file") == 0)
			idle = s->raw[i].value;
	}
	return s->memory.usage > idle ? s->memory.usage - idle : 0;
}

static void using_run(struct job *j)
{
	struct using *u = container_of(j, struct using, job);
	struct cgroup_stats *stats = xcalloc(1, sizeof *stats);
	struct cgroup g;

	for (size_t i = 0; i < u->uses.n; i++) {
		struct container_use *use = &u->uses.v[i];

		if (cgroup_open(CGROUP_ROOT, u->groups.v[i], &g, NULL) < 0)
			continue; /* it has ended meanwhile */
		*stats = (struct cgroup_stats){0};
		cgroup_stats_read(&g, stats);
		cgroup_done(&g);
		use->mono_ns = clock_mono_ns();
		use->cpu_ns = stats->cpu_total_ns;
		use->memory = memory_of(stats);
		use->known = true;
	}
	free(stats);
}

static void using_done(struct job *j)
{
	struct using *u = container_of(j, struct using, job);
	struct engine *e = u->engine;

	u->done(u->arg, &u->uses);
	LIST_EACH (use, &u->uses) {
		free(use->task);
		free(use->container);
	}
	free(u->uses.v);
	strs_done(&u->groups);
	free(u);
	engine_release(e);
}

void engine_container_uses(struct engine *e, const struct strs *tasks, engine_used done, void *arg)
{
	struct using *u = xcalloc(1, sizeof *u);

	u->engine = e;
	u->done = done;
	u->arg = arg;
	STRS_EACH (task, tasks) {
		const struct container *c = engine_container_of_task(e, task);
		auto_free char *group = NULL;
		struct container_use *use;

		if (!c || c->status != CONTAINER_RUNNING)
			continue;
		group = container_cgroup_path(c, e->config.cgroup_parent);
		strs_add(&u->groups, group);
		use = LIST_ADD(&u->uses);
		use->task = xstrdup(task);
		use->container = xstrdup(c->id);
	}
	u->job.run = using_run;
	u->job.done = using_done;
	engine_hold(e);
	job_start(e->config.loop, &u->job);
}
