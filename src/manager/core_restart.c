/*
 * The restart supervisor: a wanted task that has ended, or whose node is down, drained or gone, is
 * shut down and, where its restart policy says so, followed by a new one in the same slot and the
 * same batch. The new one is held at READY until its delay has passed and nothing of the slot runs
 * any more (a minute at most), then raised to RUNNING. Where the service's order is start-first, a
 * task on a drained node runs on until its replacement does, or has found no node for half a
 * minute. What it needs to know of the past stands in the tasks themselves, so that a new leader
 * decides alike.
 */
#include "manager/core_move.h"
#include "manager/service_spec.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* How long a new task waits at most for the old one to end, in ns. */
#define OLD_TASK_WAIT_NS (60 * NS_PER_SEC)

/* How often a task on a drained node is looked at while an update is to replace it, in ns. */
#define UPDATE_LOOK_NS NS_PER_SEC

struct core_restart {
	struct core core;
	struct slots slots;
	struct idset tasks; /* dirty */
	struct idset nodes; /* dirty: they are down, drained or gone */
	struct wakes wakes; /* tasks held at READY */
	/* The service whose update was looked at last: whether it finds no node, and when that was.
	 */
	char nowhere[ID_CLUSTER_LEN + 1];
	bool is_nowhere;
	int64_t looked_ns;
};

static void successor_add(struct core_step *step, const struct slot *slot,
			  const struct service *svc, const struct task *t, int64_t delay_ns)
{
	bool idle = core_slot_is_idle(step->store, slot, task_iteration(t), NULL);
	bool held = delay_ns > 0 || !idle;
	enum task_state desired = held ? TASK_READY : TASK_RUNNING;
	struct task *new = t->global ? core_task_new_on(step, svc, t->node, desired)
				     : core_task_new(step, svc, t->slot, desired);

	if (t->template_version == svc->template_version)
		new->restarts = t->restarts + 1;
	/* Its node was lost before it came up: the update waits for this one instead. */
	if (t->update && !t->update->up && !t->update->failed && !task_state_final(t->status.state))
		new->update = table_dup(&update_mark_table, t->update);
	if (held)
		new->not_before = step->now_ns + delay_ns;
	changes_create(step->out, &new->o);
}

/* The wanted tasks that stand for the slot: of a job, those of its iteration. */
static size_t slot_standing(const struct slot *slot, uint64_t iteration)
{
	size_t n = 0;

	for (size_t i = 0; i < slot->n; i++)
		n += task_is_wanted(slot_task(slot, i)) &&
		     task_iteration(slot_task(slot, i)) == iteration;
	return n;
}

/* What is left of the time for which a task is held at READY, in ns. */
static int64_t held_ns(const struct core_step *step, const struct task *t)
{
	return t->desired == TASK_READY ? MAX_OF(t->not_before - step->now_ns, 0) : 0;
}

static bool node_is_lost(const struct core_step *step, const struct task *t)
{
	return t->node && !node_keeps_tasks(store_node(step->store, t->node));
}

static void restart(struct core_step *step, const struct slot *slot, const struct service *svc,
		    const struct task *t)
{
	const struct node *node = t->node ? store_node(step->store, t->node) : NULL;
	struct restart_rules rules;

	/* Beside an old task that still stands nothing follows: the updater tries again. */
	for (size_t i = 0; i < slot->n && slot->wanted > 1; i++)
		if (!core_is_current(step, &slot_task(slot, i)->o))
			return;
	core_restart_rules(step->store, svc, t, &rules);
	core_task_desire(step, t, TASK_SHUTDOWN);
	if (t->global && !core_global_fits(svc, node))
		return; /* the orchestrator makes one when the node fits again */
	if (slot_standing(slot, task_iteration(t)) == 1 &&
	    core_may_restart(step->store, slot, svc, t, step->now_ns))
		successor_add(step, slot, svc, t,
			      node_is_lost(step, t) ? held_ns(step, t) : rules.delay);
}

/* A job's task that was to leave its node, and ended well before it heard of it. */
static bool is_completed(const struct slot *slot, uint64_t iteration)
{
	for (size_t i = 0; i < slot->n; i++)
		if (slot_task(slot, i)->status.state == TASK_COMPLETE &&
		    task_iteration(slot_task(slot, i)) == iteration)
			return true;
	return false;
}

/* Starts a task held at READY when it is time; else says when to look again. */
static void raise_when_due(struct core_restart *c, struct core_step *step, const struct slot *slot,
			   const struct service *svc, const struct task *t)
{
	int64_t due = t->not_before;

	if (!core_slot_is_idle(step->store, slot, task_iteration(t), t))
		due = MAX_OF(due, t->o.created + OLD_TASK_WAIT_NS);
	if (service_is_job(&svc->spec) && is_completed(slot, task_iteration(t)))
		core_task_desire(step, t, TASK_REMOVE); /* nothing is left to be done in the slot */
	else if (step->now_ns < due)
		wakes_set(&c->wakes, t->o.id, due);
	else
		core_task_desire(step, t, core_task_goal(svc));
}

/* One of an earlier iteration that was let run on has no successor, but cannot stay either. */
static void earlier_leave(struct core_step *step, const struct task *t)
{
	if (!task_state_final(t->status.state) && node_is_lost(step, t))
		core_task_desire(step, t, TASK_SHUTDOWN);
}

/* Whether the task is to take the place of one whose node is drained, and is on its way. */
static bool is_drain_move(const struct task *t)
{
	return t->move && t->move->of && !t->move->run && !t->move->up && !t->move->failed &&
	       task_is_wanted(t);
}

/* Whether a new task of the service's update finds no node, and has not for long. */
static bool update_is_nowhere(struct core_restart *c, const struct core_step *step,
			      const struct service *svc)
{
	const struct task *t;
	struct store_walk w;
	int64_t due;

	/* All its tasks on drained nodes ask at the same time. */
	if (c->looked_ns == step->now_ns && strcmp(c->nowhere, svc->o.id) == 0)
		return c->is_nowhere;
	(void)snprintf(c->nowhere, sizeof c->nowhere, "%s", svc->o.id);
	c->looked_ns = step->now_ns;
	c->is_nowhere = false;
	store_walk_service_tasks(&w, step->store, svc->o.id);
	while (!c->is_nowhere && (t = store_walk_next(&w)))
		c->is_nowhere = t->template_version == svc->template_version && t->update &&
				task_is_wanted(t) && move_is_nowhere(t, step->now_ns, &due);
	return c->is_nowhere;
}

/*
 * A task on a drained node runs on until its replacement does, which is made here, or by the
 * updater where its template is to be replaced anyway. False: that has paused or finds no node
 * itself, and the task goes.
 */
static bool drain(struct core_restart *c, struct core_step *step, const struct slot *slot,
		  const struct service *svc, const struct task *t)
{
	struct move_rules rules;
	int64_t again = 0;

	if (!service_task_is_current(step->store, svc, t)) {
		wakes_set(&c->wakes, t->o.id, step->now_ns + UPDATE_LOOK_NS);
		return !svc->update_status || (update_is_under_way(svc->update_status) &&
					       !update_is_nowhere(c, step, svc));
	}
	move_rules_of(svc, &rules);
	for (size_t i = 0; i < slot->n; i++) {
		const struct move_mark *m = slot_task(slot, i)->move;

		/* Whoever has a move under way in the slot has to be done with it first. */
		if (!core_is_current(step, &slot_task(slot, i)->o) ||
		    move_is_coming(slot_task(slot, i)) || is_drain_move(slot_task(slot, i)))
			return true;
		if (m && m->of && m->failed && strcmp(m->of, t->o.id) == 0)
			again = MAX_OF(again, m->failed + rules.again);
	}
	if (step->now_ns < again)
		wakes_set(&c->wakes, t->o.id, again);
	else
		move_begin(step, svc, t, 0, NULL);
	return true;
}

/* How the replacement of such a task goes on. False: it is a task as any other now. */
static bool drain_move_step(struct core_restart *c, struct core_step *step,
			    const struct service *svc, const struct task *t)
{
	const struct task *old = store_task(step->store, t->move->of);
	struct move_rules rules;
	int64_t until, due;
	enum move_state state;

	move_rules_of(svc, &rules);
	state = move_look(step->store, &rules, t, step->now_ns, &until);
	if (state == MOVE_RUNS) {
		move_settle(step, t);
		return true;
	}
	if (!old || !task_is_wanted(old))
		return false;
	if (state != MOVE_COMING || node_is_lost(step, t))
		move_count(step, t, old);
	else if (move_is_nowhere(t, step->now_ns, &due))
		move_settle(step, t); /* it waits for a node by itself from now on */
	else
		wakes_set(&c->wakes, t->o.id, MIN_OF(until, due));
	return true;
}

/*
 * A task on a drained node beside the updater's newer one, which is to run first: it does not run
 * on for one that finds no node either.
 */
static void older_leave(struct core_restart *c, struct core_step *step, const struct slot *slot,
			const struct service *svc, const struct task *t)
{
	const struct task *newer = slot_wanted(slot);
	int64_t due;

	if (!newer || newer->move || !move_drains(step->store, svc, t) ||
	    !core_is_current(step, &newer->o))
		return;
	if (move_is_nowhere(newer, step->now_ns, &due))
		core_task_desire(step, t, TASK_SHUTDOWN);
	else
		wakes_set(&c->wakes, t->o.id,
			  MIN_OF(due, step->now_ns + LIMIT_DRAIN_WAIT_MS * NS_PER_MS));
}

static void task_step(struct core_restart *c, struct core_step *step, const char *id)
{
	const struct task *t = store_task(step->store, id);
	const struct service *svc = t ? store_service(step->store, t->service) : NULL;
	const struct slot *slot = t ? slots_of(&c->slots, t) : NULL;

	wakes_clear(&c->wakes, id);
	if (!svc || svc->pending_delete || !task_is_wanted(t))
		return;
	if (task_iteration(t) != service_iteration(svc)) {
		earlier_leave(step, t);
		return;
	}
	if (service_is_job(&svc->spec) && t->status.state == TASK_COMPLETE)
		return; /* what it was made for */
	/*
	 * The events of this batch are still to come. The updater may have put a task beside this
	 * one, which changes nothing of this one.
	 */
	if (!slot || !slot_has(slot, t) ||
	    slots_find(&c->slots, t->service)->tasks !=
		    store_service_task_count(step->store, t->service)) {
		step->behind = true;
		return;
	}
	if (is_drain_move(t) && drain_move_step(c, step, svc, t))
		return;
	if (slot_wanted(slot) != t) { /* the updater's: it waits for the newer one */
		older_leave(c, step, slot, svc, t);
		return;
	}
	if (move_drains(step->store, svc, t) && drain(c, step, slot, svc, t))
		return;
	/*
	 * One that could not even be prepared (there is no such image, say) ends long before its
	 * delay has passed: whoever followed it at once would turn in a circle.
	 */
	if (task_state_final(t->status.state) && held_ns(step, t) && !node_is_lost(step, t))
		wakes_set(&c->wakes, id, t->not_before);
	else if (task_state_final(t->status.state) || node_is_lost(step, t))
		restart(step, slot, svc, t);
	else if (t->desired == TASK_READY)
		raise_when_due(c, step, slot, svc, t);
}

/* Looks again at what stands in the way of what on a node that tasks have to leave. */
static void node_spread(struct core_restart *c, const struct store *s, const char *id)
{
	const struct task *t, *wanted;
	const struct slot *slot;
	struct store_walk w;

	store_walk_node_tasks(&w, s, id);
	while ((t = store_walk_next(&w))) {
		slot = slots_of(&c->slots, t);
		wanted = slot ? slot_wanted(slot) : NULL;
		if (wanted)
			(void)idset_add(&c->tasks, wanted->o.id);
		if (wanted != t && task_is_wanted(t))
			(void)idset_add(&c->tasks, t->o.id);
	}
}

static int64_t restart_step(struct core *core, struct core_step *step)
{
	struct core_restart *c = container_of(core, struct core_restart, core);
	size_t start = step->out->n, looks = 0;

	IDSET_EACH(node, &c->nodes)
	{
		node_spread(c, step->store, node->id);
		(void)idset_remove(&c->nodes, node->id);
	}
	core_wake(&c->wakes, &c->tasks, step->now_ns);
	IDSET_EACH(entry, &c->tasks)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++looks > CORE_LOOKS)
			return step->now_ns;
		task_step(c, step, entry->id);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->tasks, entry->id);
	}
	return idset_count(&c->tasks) ? step->now_ns : wakes_next(&c->wakes);
}

static bool needs_look(const struct store *s, const struct task *old, const struct task *t)
{
	if (!task_is_wanted(t))
		return false;
	if (task_state_final(t->status.state) || t->desired == TASK_READY || is_drain_move(t))
		return true;
	return t->node && (!old || !old->node) && !node_keeps_tasks(store_node(s, t->node));
}

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_restart *c = container_of(core, struct core_restart, core);
	const struct task *t = new ? new : old, *wanted;
	const struct slot *slot;

	slots_event(&c->slots, old, new);
	if (new &&needs_look(s, old, new))
		(void)idset_add(&c->tasks, new->o.id);
	if (new && !task_is_over(new) && task_is_wanted(new))
		return;
	slot = slots_of(&c->slots, t);
	wanted = slot ? slot_wanted(slot) : NULL;
	if (wanted && needs_look(s, NULL, wanted))
		(void)idset_add(&c->tasks, wanted->o.id);
}

static void node_event(struct core *core, const struct store *s, const struct node *old,
		       const struct node *new)
{
	struct core_restart *c = container_of(core, struct core_restart, core);

	if (!node_keeps_tasks(new))
		(void)idset_add(&c->nodes, (new ? new : old)->o.id);
}

static void restart_done(struct core *core)
{
	struct core_restart *c = container_of(core, struct core_restart, core);

	slots_done(&c->slots);
	idset_done(&c->tasks);
	idset_done(&c->nodes);
	wakes_done(&c->wakes);
}

static const struct core_class restart_class = {
	.name = "restart",
	.size = sizeof(struct core_restart),
	.done = restart_done,
	.derives = {KIND_TASK},
	.task = task_event,
	.node = node_event,
	.step = restart_step,
};

struct core *core_restart_new(void)
{
	return core_new(&restart_class);
}
