/*
 * A changed template replaces tasks one slot after the other, stop first: the old task is shut
 * down, the new one made ready meanwhile and started when the old has ended (the restart supervisor
 * sees to that), and the next slot waits until the new one runs. See core_replicated.h.
 */
#include "manager/core_replicated.h"

/* The task that stands for the slot: the wanted one, else the one that has ended there. */
static const struct task *slot_standing(const struct slot *slot)
{
	const struct task *t = slot_wanted(slot);

	return t ? t : slot_newest(slot);
}

static enum slot_class slot_classify(const struct slot *slot, uint64_t template_version)
{
	const struct task *t = slot_standing(slot);
	bool runs = task_is_wanted(t) && t->status.state == TASK_RUNNING;

	if (t->template_version != template_version)
		return runs ? SLOT_RUNNING : SLOT_IDLE;
	return runs || !task_is_wanted(t) ? SLOT_CURRENT : SLOT_WAITING;
}

static void search_drop(struct replicated_service *r)
{
	for (size_t i = 0; i < ARRAY_LEN(r->search.found); i++)
		slot_plan_done(&r->search.found[i]);
	r->search.pos = 1;
}

void replicated_search_done(struct replicated_service *r)
{
	search_drop(r);
}

/*
 * Looks at the slots, over as many steps as that takes: each look may miss the cache, and a service
 * may have very many. What is found may have changed by the time its turn comes, so it is looked at
 * once more then; nothing becomes outdated after it was looked at. True when all were.
 */
static bool search(struct replicated_service *r, const struct slot_service *tasks,
		   uint64_t template_version, size_t *looks)
{
	if (r->search.template_version != template_version || r->search.pos == 0) {
		search_drop(r);
		r->search.template_version = template_version;
	}
	for (; r->search.pos < tasks->n; r->search.pos++) {
		const struct slot *slot = &tasks->v[r->search.pos];
		enum slot_class class;

		if (++*looks > CORE_LOOKS)
			return false;
		class = slot->kept ? slot_classify(slot, template_version) : SLOT_CURRENT;
		if (class != SLOT_CURRENT)
			slot_plan_add(&r->search.found[class], r->search.pos);
	}
	return true;
}

/* First what a former leader began, then what does not run, then what runs. */
static void plan_make(struct replicated_service *r, struct slot_plan *ret)
{
	const struct slot_plan *found = r->search.found;

	slot_plan_done(ret);
	/* Only new tasks that come up: nothing waits for them. */
	if (found[SLOT_IDLE].n + found[SLOT_RUNNING].n > 0) {
		for (size_t class = 0; class < SLOT_CURRENT; class ++)
			for (size_t i = 0; i < found[class].n; i++)
				slot_plan_add(ret, found[class].v[i]);
	}
	search_drop(r);
}

static void slot_replace(const struct slot *slot, uint64_t number, const struct service *svc,
			 struct core_step *step)
{
	const struct task *old = slot_standing(slot);
	bool idle = core_slot_is_idle(step->store, slot, NULL);

	if (!core_is_current(step, &old->o))
		return;
	if (task_is_wanted(old))
		core_task_desire(step, old, TASK_SHUTDOWN);
	changes_create(step->out,
		       &core_task_new(step, svc, number, idle ? TASK_RUNNING : TASK_READY)->o);
}

void replicated_update(struct replicated_service *r, const struct slot_service *tasks,
		       const struct service *svc, struct core_step *step, size_t *looks)
{
	struct slot_plan *p = &r->update;

	if (r->updated_to != svc->template_version) {
		if (!search(r, tasks, svc->template_version, looks)) {
			step->behind = true;
			return;
		}
		plan_make(r, p);
		r->updated_to = svc->template_version;
	}
	for (; p->pos < p->n; p->pos++) {
		uint64_t number = p->v[p->pos];
		const struct slot *slot = number < tasks->n ? &tasks->v[number] : NULL;

		if (!slot || !slot->kept)
			continue;
		switch (slot_classify(slot, svc->template_version)) {
		case SLOT_WAITING:
			return;
		case SLOT_IDLE:
		case SLOT_RUNNING:
			slot_replace(slot, number, svc, step);
			return;
		default:
			break;
		}
	}
	slot_plan_done(p);
}
