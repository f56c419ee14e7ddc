/*
 * The orchestrator of replicated services: as many slots as the service has replicas, one wanted
 * task in each. It makes tasks, sets their desired state, and knows nothing of nodes, addresses or
 * failures. A slot whose task has ended for good by its restart policy stays taken: the newest task
 * of a slot tells, as whoever shuts a task down makes its successor in the same batch.
 */
#include "manager/core_replicated.h"

#include <string.h>

void slot_plan_add(struct slot_plan *p, uint64_t slot)
{
	if ((p->n & (p->n - 1)) == 0)
		p->v = xreallocarray(p->v, p->n ? p->n * 2 : 1, sizeof *p->v);
	p->v[p->n++] = slot;
}

void slot_plan_done(struct slot_plan *p)
{
	free(p->v);
	*p = (struct slot_plan){0};
}

static struct replicated_service *service_find(const struct core_replicated *c, const char *id)
{
	struct replicated_service *r;

	HASH_FIND(hh, c->services, id, strlen(id), r);
	return r;
}

static struct replicated_service *service_get(struct core_replicated *c, const char *id)
{
	struct replicated_service *r = service_find(c, id);

	if (r)
		return r;
	r = xcalloc(1, sizeof *r);
	r->id = xstrdup(id);
	HASH_ADD_KEYPTR(hh, c->services, r->id, strlen(r->id), r);
	return r;
}

static void service_drop(struct core_replicated *c, struct replicated_service *r)
{
	if (!r)
		return;
	HASH_DEL(c->services, r);
	slot_plan_done(&r->shrink);
	free(r->id);
	free(r);
}

/* Everything in the slot goes, its history too. */
static void slot_empty(const struct slot *slot, struct core_step *step)
{
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (t->desired != TASK_REMOVE && core_is_current(step, &t->o))
			core_task_desire(step, t, TASK_REMOVE);
	}
}

static void empty_all(const struct slot_service *tasks, struct core_step *step, size_t start)
{
	for (size_t i = 0; i < tasks->n && core_fits(step, start); i++)
		if (tasks->v[i].kept)
			slot_empty(&tasks->v[i], step);
}

static const struct slot *plan_slot(const struct slot_service *tasks, uint64_t number)
{
	return number < tasks->n && tasks->v[number].kept ? &tasks->v[number] : NULL;
}

/* The plan is made once and worked off over many steps, as long as it still fits the excess. */
static void shrink(struct replicated_service *r, const struct slot_service *tasks, size_t excess,
		   struct core_step *step, size_t start)
{
	struct slot_plan *p = &r->shrink;
	size_t left = 0;

	while (p->pos < p->n && !plan_slot(tasks, p->v[p->pos]))
		p->pos++;
	for (size_t i = p->pos; i < p->n; i++)
		left += plan_slot(tasks, p->v[i]) != NULL;
	if (left != excess) {
		slot_plan_done(p);
		replicated_choose(tasks, excess, p);
	}
	for (size_t i = p->pos; i < p->n && core_fits(step, start); i++)
		if (plan_slot(tasks, p->v[i]))
			slot_empty(plan_slot(tasks, p->v[i]), step);
}

/* The lowest free slots get tasks. */
static void grow(const struct slot_service *tasks, const struct service *svc, size_t missing,
		 struct core_step *step, size_t start)
{
	for (uint64_t slot = 1; missing && core_fits(step, start); slot++) {
		const struct slot *had = tasks && slot < tasks->n ? &tasks->v[slot] : NULL;
		bool idle;

		if (had && had->kept)
			continue;
		/* What was removed there may still run: the restart supervisor waits for its end.
		 */
		idle = !had || core_slot_is_idle(step->store, had, 0, NULL);
		changes_create(
			step->out,
			&core_task_new(step, svc, slot, idle ? TASK_RUNNING : TASK_READY)->o);
		missing--;
	}
}

/* One kind of change at a time, so that no task is changed twice in a batch. */
static void service_step(struct core_replicated *c, const char *id, struct core_step *step,
			 size_t start)
{
	const struct service *svc = store_service(step->store, id);
	const struct slot_service *tasks = slots_find(&c->slots, id);
	size_t used = tasks ? tasks->used : 0, want;
	struct replicated_service *r;

	if (!svc || svc->pending_delete) {
		if (tasks)
			empty_all(tasks, step, start);
		return;
	}
	if (!svc->spec.mode.replicated)
		return;
	r = service_get(c, id);
	want = service_replicas(&svc->spec);
	if (used > want) {
		shrink(r, tasks, used - want, step, start);
		return;
	}
	slot_plan_done(&r->shrink);
	if (used < want)
		grow(tasks, svc, want - used, step, start);
}

static int64_t replicated_step(struct core *core, struct core_step *step)
{
	struct core_replicated *c = container_of(core, struct core_replicated, core);
	size_t start = step->out->n, looks = 0;

	IDSET_EACH(entry, &c->dirty)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++looks > CORE_LOOKS)
			return step->now_ns;
		service_step(c, entry->id, step, start);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->dirty, entry->id);
	}
	return idset_count(&c->dirty) ? step->now_ns : CORE_IDLE;
}

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_replicated *c = container_of(core, struct core_replicated, core);
	const char *service = (new ? new : old)->service;

	slots_event(&c->slots, old, new);
	if (!old || !new || old->desired != new->desired)
		(void)idset_add(&c->dirty, service);
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_replicated *c = container_of(core, struct core_replicated, core);
	const char *id = (new ? new : old)->o.id;

	if (!new)
		service_drop(c, service_find(c, id));
	(void)idset_add(&c->dirty, id);
}

static void replicated_done(struct core *core)
{
	struct core_replicated *c = container_of(core, struct core_replicated, core);
	struct replicated_service *r, *next;

	HASH_ITER (hh, c->services, r, next)
		service_drop(c, r);
	idset_done(&c->dirty);
	slots_done(&c->slots);
}

/* The tasks tell of services that are gone. */
static const struct core_class replicated_class = {
	.name = "replicated",
	.size = sizeof(struct core_replicated),
	.done = replicated_done,
	.derives = {KIND_SERVICE, KIND_TASK},
	.task = task_event,
	.service = service_event,
	.step = replicated_step,
};

struct core *core_replicated_new(void)
{
	return core_new(&replicated_class);
}
