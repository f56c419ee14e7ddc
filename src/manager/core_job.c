/*
 * The orchestrator of replicated jobs: slots 0 to N-1, each of which has to be completed once an
 * iteration, and so many at a time. A slot whose task has failed for good by its restart policy
 * stays so; the job is then never complete, until its next iteration. Failures are the restart
 * supervisor's.
 */
#include "manager/core_impl.h"

struct core_job {
	struct core core;
	struct slots slots;
	struct idset dirty; /* services */
};

/* A change of the mode can make a job smaller while it runs. */
static void excess_remove(struct core_step *step, const struct service *svc,
			  const struct slot_service *tasks, size_t start)
{
	for (size_t i = (size_t)job_completions(&svc->spec); i < tasks->n; i++) {
		const struct slot *slot = &tasks->v[i];

		for (size_t k = 0; k < slot->n && core_fits(step, start); k++)
			if (task_is_live(slot_task(slot, k)) &&
			    core_is_current(step, &slot_task(slot, k)->o))
				core_task_desire(step, slot_task(slot, k), TASK_REMOVE);
	}
}

static void history_retire(struct core_step *step, const struct service *svc,
			   const struct slot_service *tasks, size_t start)
{
	for (size_t i = 0; i < tasks->n && core_fits(step, start); i++)
		if (tasks->v[i].n)
			core_job_retire(step, svc, &tasks->v[i]);
}

static const struct task *current_of(const struct service *svc, const struct slot_service *tasks,
				     uint64_t slot)
{
	return tasks && slot < tasks->n ? core_slot_current(svc, &tasks->v[slot]) : NULL;
}

/* What has not completed and may still: it runs, or the restart supervisor will follow it up. */
static bool is_under_way(const struct task *t)
{
	return t && task_is_wanted(t) && t->status.state != TASK_COMPLETE;
}

/*
 * Whether the slot needs a task: nothing was made for it yet, or what ended there lost its
 * successor when the job was smaller for a while.
 */
static bool is_open(struct core_step *step, const struct service *svc,
		    const struct slot_service *tasks, uint64_t slot)
{
	const struct task *t = current_of(svc, tasks, slot);

	if (!t)
		return true;
	return !task_is_wanted(t) && t->status.state != TASK_COMPLETE &&
	       core_may_restart(step->store, &tasks->v[slot], svc, t, step->now_ns);
}

/* The lowest slots that nothing was made for yet get tasks, up to what may run at a time. */
static void job_fill(struct core_step *step, const struct service *svc,
		     const struct slot_service *tasks, size_t start)
{
	uint64_t total = job_completions(&svc->spec), busy = 0;

	for (uint64_t slot = 0; slot < total; slot++)
		busy += is_under_way(current_of(svc, tasks, slot));
	for (uint64_t slot = 0; slot < total && core_fits(step, start); slot++) {
		if (busy >= job_concurrency(&svc->spec))
			return;
		if (!is_open(step, svc, tasks, slot))
			continue;
		changes_create(step->out, &core_task_new(step, svc, slot, TASK_RUNNING)->o);
		busy++;
	}
}

static void service_step(struct core_job *c, struct core_step *step, const char *id, size_t start)
{
	const struct service *svc = store_service(step->store, id);
	const struct slot_service *tasks = slots_find(&c->slots, id);
	size_t before = step->out->n;

	/* That of a removed service is emptied by the replicated orchestrator. */
	if (!svc || svc->pending_delete || !svc->spec.mode.replicated_job)
		return;
	if (tasks)
		history_retire(step, svc, tasks, start);
	if (tasks && step->out->n == before)
		excess_remove(step, svc, tasks, start);
	if (step->out->n == before && svc->job && svc->job->last_execution)
		job_fill(step, svc, tasks, start);
}

static int64_t job_step(struct core *core, struct core_step *step)
{
	struct core_job *c = container_of(core, struct core_job, core);
	size_t start = step->out->n;

	IDSET_EACH(entry, &c->dirty)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start))
			return step->now_ns;
		service_step(c, step, entry->id, start);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->dirty, entry->id);
	}
	return idset_count(&c->dirty) ? step->now_ns : CORE_IDLE;
}

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_job *c = container_of(core, struct core_job, core);
	const struct task *t = new ? new : old;

	if (!t->iteration || t->global)
		return;
	slots_event(&c->slots, old, new);
	if (!old || !new || old->desired != new->desired || task_state_final(new->status.state))
		(void)idset_add(&c->dirty, t->service);
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_job *c = container_of(core, struct core_job, core);
	const struct service *svc = new ? new : old;

	if (svc->spec.mode.replicated_job)
		(void)idset_add(&c->dirty, svc->o.id);
}

static void job_done(struct core *core)
{
	struct core_job *c = container_of(core, struct core_job, core);

	slots_done(&c->slots);
	idset_done(&c->dirty);
}

static const struct core_class job_class = {
	.name = "job",
	.size = sizeof(struct core_job),
	.done = job_done,
	.derives = {KIND_SERVICE, KIND_TASK},
	.task = task_event,
	.service = service_event,
	.step = job_step,
};

struct core *core_job_new(void)
{
	return core_new(&job_class);
}
