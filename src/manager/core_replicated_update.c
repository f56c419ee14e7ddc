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

enum slot_class { SLOT_WAITING, SLOT_IDLE, SLOT_RUNNING, SLOT_CURRENT, SLOT_CLASSES };

static enum slot_class slot_classify(const struct slot *slot, uint64_t template_version)
{
	const struct task *t = slot_standing(slot);
	bool runs = task_is_wanted(t) && t->status.state == TASK_RUNNING;

	if (t->template_version != template_version)
		return runs ? SLOT_RUNNING : SLOT_IDLE;
	return runs || !task_is_wanted(t) ? SLOT_CURRENT : SLOT_WAITING;
}

/* First what a former leader began, then what does not run, then what runs. */
static void plan_make(const struct slot_service *tasks, uint64_t template_version,
		      struct slot_plan *ret)
{
	bool outdated = false;

	slot_plan_done(ret);
	for (int class = SLOT_WAITING; class < SLOT_CURRENT; class ++) {
		for (size_t i = 1; i < tasks->n; i++) {
			if (!tasks->v[i].kept || slot_classify(&tasks->v[i], template_version) !=
							 (enum slot_class) class)
				continue;
			slot_plan_add(ret, i);
			outdated |= class != SLOT_WAITING;
		}
	}
	if (!outdated) /* only new tasks that come up: nothing waits for them */
		slot_plan_done(ret);
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
		       const struct service *svc, struct core_step *step)
{
	struct slot_plan *p = &r->update;

	if (r->updated_to != svc->template_version) {
		plan_make(tasks, svc->template_version, p);
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
