/*
 * What one place is in the midst of, and the changes made there. All of it follows from the place's
 * tasks, so that a new leader sees the same. See core_update.h.
 */
#include "manager/core_update.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool place_key(const struct task *t, char ret[IDSET_ID_MAX])
{
	if (t->global)
		(void)snprintf(ret, IDSET_ID_MAX, "%s", t->node ? t->node : "");
	else
		(void)snprintf(ret, IDSET_ID_MAX, "%" PRIu64, t->slot);
	return *ret;
}

const struct slot *place_find(const struct slots *slots, const struct service *svc, const char *key)
{
	if (svc->spec.mode.global)
		return slots_at_node(slots, svc->o.id, key);
	return slots_at(slots, svc->o.id, strtoull(key, NULL, 10));
}

/* Whether the task need not be replaced. */
static bool fits(const struct place_look *l, const struct task *t)
{
	struct fits *f = l->fits;
	size_t i;

	if (t->template_version == l->svc->template_version)
		return true;
	if (f->version != l->svc->template_version)
		*f = (struct fits){.version = l->svc->template_version};
	for (i = 0; i < f->n; i++)
		if (f->v[i].version == t->template_version)
			return service_task_fits(l->store, l->svc, t, f->v[i].fit);
	i = f->n < ARRAY_LEN(f->v) ? f->n++ : 0;
	f->v[i].version = t->template_version;
	f->v[i].fit = service_template_fit(
		l->svc, store_template(l->store, t->service, t->template_version));
	return service_task_fits(l->store, l->svc, t, f->v[i].fit);
}

/* Whether it ended by itself and not because that was wanted. */
static bool has_failed(const struct task *t)
{
	return t->status.state == TASK_FAILED || t->status.state == TASK_REJECTED ||
	       t->status.state == TASK_COMPLETE;
}

static bool runs(const struct task *t)
{
	return t && task_is_wanted(t) && t->status.state == TASK_RUNNING;
}

/* Of two wanted tasks the one to be kept: what lives, what is further, what is newer. */
static const struct task *better(const struct task *a, const struct task *b)
{
	if (!a || task_is_live(a) != task_is_live(b))
		return !a || task_is_live(b) ? b : a;
	return b->status.state >= a->status.state ? b : a;
}

/*
 * Whether the task is on its way to take the place of another that need not be replaced, and so is
 * none of the updater's.
 */
static bool is_moving(const struct place_look *l, const struct slot *slot, const struct task *t)
{
	if (!t->move || !t->move->of || t->move->up || t->move->failed || !task_is_wanted(t) ||
	    !fits(l, t))
		return false;
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *other = slot_task(slot, i);

		if (strcmp(other->o.id, t->move->of) == 0)
			return task_is_wanted(other) && fits(l, other);
	}
	return false;
}

static size_t count_moving(const struct place_look *l, const struct slot *slot)
{
	size_t n = 0;

	for (size_t i = 0; i < slot->n && slot->wanted > 1; i++)
		n += is_moving(l, slot, slot_task(slot, i));
	return n;
}

/* The best wanted task that fits, and the best one that does not. */
static void wanted_pair(const struct place_look *l, const struct slot *slot,
			const struct task **ret_new, const struct task **ret_old)
{
	*ret_new = *ret_old = NULL;
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (!task_is_wanted(t) || (slot->wanted > 1 && is_moving(l, slot, t)))
			continue;
		if (fits(l, t))
			*ret_new = better(*ret_new, t);
		else
			*ret_old = better(*ret_old, t);
	}
	/* The old one is there until the new one runs, and as long as it is good for something. */
	if (*ret_new && *ret_old && (runs(*ret_new) || !task_is_live(*ret_old)))
		*ret_old = NULL;
}

/* The newest task that this run has made here, first of those still wanted. */
static const struct task *mine_of(const struct place_look *l, const struct slot *slot,
				  bool *ret_failed)
{
	const struct task *mine = NULL;

	*ret_failed = false;
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (!t->update || t->update->run != l->svc->update.number)
			continue;
		*ret_failed |= t->update->failed != 0;
		if (t->desired != TASK_REMOVE &&
		    (!mine || task_is_wanted(t) || !task_is_wanted(mine)))
			mine = t;
	}
	return mine;
}

/* A task of this run that has not come up, nor been counted as failed. False: it stands for none.*/
static bool coming_look(const struct place_look *l, const struct task *t, struct place *ret)
{
	int64_t due = l->deadline ? t->o.created + l->deadline : INT64_MAX;

	ret->task = t;
	if (has_failed(t))
		ret->state = PLACE_FAILED;
	else if (!task_is_wanted(t))
		return false; /* its node was lost: its successor stands for it */
	else if (runs(t))
		ret->state = PLACE_UP;
	else if (l->now_ns >= due)
		ret->state = PLACE_FAILED;
	else
		*ret = (struct place){.state = PLACE_COMING, .until = due, .task = t};
	return true;
}

/* A task of this run that came up or failed. False when that is long past. */
static bool after_look(const struct place_look *l, const struct task *t, struct place *ret)
{
	const struct update_mark *m = t->update;
	int64_t since = m->failed ? m->failed : m->up;

	ret->task = t;
	if (!m->failed && has_failed(t) &&
	    MIN_OF(l->now_ns, t->status.timestamp) - m->up < l->rules->monitor) {
		ret->state = PLACE_FAILED;
		return true;
	}
	if (l->now_ns - since < l->rules->delay) {
		ret->state = PLACE_RESTING;
		ret->until = since + l->rules->delay;
		return true;
	}
	if (!m->failed && !has_failed(t) && l->now_ns - since < l->rules->monitor) {
		ret->state = PLACE_WATCHED;
		ret->until = since + l->rules->monitor;
		return true;
	}
	return false;
}

/* How often a new task failed beside the old one; each is another attempt. */
static size_t attempts(const struct place_look *l, const struct slot *slot)
{
	size_t n = 0;

	for (size_t i = 0; i < slot->n; i++) {
		const struct update_mark *m = slot_task(slot, i)->update;

		n += m && m->run == l->svc->update.number && m->failed;
	}
	return n;
}

/* The old task still stands: whether and when another new one is tried is the restart policy's. */
static void retry_look(const struct place_look *l, const struct slot *slot, const struct task *mine,
		       struct place *ret)
{
	struct restart_rules rules;

	restart_rules_of(&l->svc->spec.task, &rules);
	if (rules.condition == RESTART_NONE ||
	    (rules.condition == RESTART_ON_FAILURE && mine->status.state == TASK_COMPLETE) ||
	    (rules.max_attempts && attempts(l, slot) > rules.max_attempts)) {
		ret->state = PLACE_SETTLED;
		return;
	}
	ret->state = PLACE_RETRIED;
	ret->until = mine->update->failed + MAX_OF(rules.delay, l->rules->delay);
	if (l->now_ns >= ret->until)
		ret->until = INT64_MAX;
}

/* A node that has to do without the service, for now or for good, is the orchestrator's. */
static bool node_has_it(const struct place_look *l, const struct task *old)
{
	const struct node *n = old ? store_node(l->store, old->node) : NULL;

	return node_keeps_tasks(n) && n->spec.availability != AVAILABILITY_PAUSE &&
	       core_global_fits(l->svc, n);
}

/* A place where this run has nothing under way. */
static void standing_look(const struct place_look *l, const struct slot *slot,
			  const struct task *mine, struct place *ret)
{
	const struct task *new, *old;

	wanted_pair(l, slot, &new, &old);
	if (new &&old && !(mine && mine->update->failed)) {
		/* what an earlier run began */
		int64_t due = l->deadline ? new->o.created + l->deadline : INT64_MAX;

		if (l->now_ns < due)
			*ret = (struct place){.state = PLACE_COMING, .until = due, .task = new};
		return;
	}
	if (new || (!old && fits(l, slot_newest(slot))))
		return;
	if (l->svc->spec.mode.global && !node_has_it(l, old))
		return;
	if (mine && mine->update->failed && runs(old)) {
		retry_look(l, slot, mine, ret);
		return;
	}
	ret->state = PLACE_STALE;
	ret->runs = runs(old);
}

void place_look(const struct place_look *l, const struct slot *slot, struct place *ret)
{
	const struct task *mine, *new, *old;

	*ret = (struct place){.state = PLACE_SETTLED, .until = INT64_MAX};
	if (!slot || !slot->kept)
		return;
	mine = mine_of(l, slot, &ret->again);
	if (mine && !mine->update->up && !mine->update->failed && coming_look(l, mine, ret) &&
	    ret->state == PLACE_UP)
		return;
	wanted_pair(l, slot, &new, &old);
	if (slot->wanted - count_moving(l, slot) > (size_t)(new != NULL) + (size_t)(old != NULL)) {
		ret->state = PLACE_DOUBLED;
		return;
	}
	if (ret->state != PLACE_SETTLED)
		return;
	if (mine && (mine->update->up || mine->update->failed) && after_look(l, mine, ret))
		return;
	standing_look(l, slot, mine, ret);
}

/* Nothing is decided on a slot of which the store has more than its events have told. */
static bool slot_is_current(const struct slot *slot, struct core_step *step)
{
	for (size_t i = 0; i < slot->n; i++)
		if (!core_is_current(step, &slot_task(slot, i)->o))
			return false;
	return true;
}

void place_settle(const struct slot *slot, const struct task *up, struct core_step *step)
{
	struct task *new;

	if (!slot_is_current(slot, step))
		return;
	for (size_t i = 0; i < slot->n; i++)
		if (slot_task(slot, i) != up && task_is_wanted(slot_task(slot, i)))
			core_task_desire(step, slot_task(slot, i), TASK_SHUTDOWN);
	new = object_clone(&up->o);
	new->update->up = step->now_ns;
	changes_update(step->out, &up->o, &new->o, step->now_ns);
}

void place_thin(const struct place_look *l, const struct slot *slot, struct core_step *step)
{
	const struct task *new, *old;

	if (!slot_is_current(slot, step))
		return;
	wanted_pair(l, slot, &new, &old);
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (t != new &&t != old && task_is_wanted(t))
			core_task_desire(step, t, TASK_SHUTDOWN);
	}
}

void place_replace(const struct place_look *l, const struct slot *slot, struct core_step *step)
{
	const struct task *model = slot_newest(slot), *new, *old;
	bool idle = core_slot_is_idle(step->store, slot, 0, NULL), beside;
	enum task_state desired;
	struct task *t;

	if (!slot_is_current(slot, step))
		return;
	wanted_pair(l, slot, &new, &old);
	beside = l->rules->start_first && runs(old);
	if (old && !beside)
		core_task_desire(step, old, TASK_SHUTDOWN);
	desired = idle || beside ? TASK_RUNNING : TASK_READY;
	t = model->global ? core_task_new_on(step, l->svc, model->node, desired)
			  : core_task_new(step, l->svc, model->slot, desired);
	t->update = xcalloc(1, sizeof *t->update);
	t->update->run = l->svc->update.number;
	changes_create(step->out, &t->o);
}
