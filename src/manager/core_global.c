/*
 * The orchestrator of what runs once on each node: global services and global jobs. It makes a task
 * for every node that the service's constraints and platforms allow, also where there is no room
 * yet, and shuts down what a node must not have any more. Failures are the restart supervisor's;
 * so are nodes that are down or drained, but for their return. A paused node keeps what it has.
 */
#include <string.h>

#include "manager/core_impl.h"

struct core_global {
	struct core core;
	struct slots slots;
	struct idset all;      /* services of this core */
	struct idset services; /* dirty, on all nodes */
	struct idset nodes;    /* dirty, for all services */
};

static void slot_desire(struct core_step *step, const struct slot *slot, enum task_state desired)
{
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (t->desired < desired && (desired == TASK_REMOVE || task_is_wanted(t)) &&
		    core_is_current(step, &t->o))
			core_task_desire(step, t, desired);
	}
}

/* Whether the node's task has had its end: it is not made again until the service changes. */
static bool slot_is_settled(struct core_step *step, const struct service *svc,
			    const struct slot *slot, const struct task *newest)
{
	enum task_state state = newest->status.state;

	if (newest->template_version != svc->template_version && !service_is_job(&svc->spec))
		return false;
	if (state != TASK_COMPLETE && state != TASK_FAILED && state != TASK_REJECTED)
		return false; /* it was shut down: the node had to do without for a while */
	return !core_may_restart(step->store, slot, svc, newest, step->now_ns);
}

/* The newest wanted task stays when there is more than one, which is nobody's intention. */
static void slot_heal(struct core_step *step, const struct service *svc, const struct slot *slot)
{
	const struct task *keep = slot_wanted(slot);

	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (t != keep && task_is_wanted(t) && task_iteration(t) == service_iteration(svc) &&
		    core_is_current(step, &t->o))
			core_task_desire(step, t, TASK_SHUTDOWN);
	}
}

static void task_make(struct core_step *step, const struct service *svc, const struct slot *slot,
		      const char *node)
{
	bool idle = !slot || core_slot_is_idle(step->store, slot, service_iteration(svc), NULL);

	changes_create(step->out,
		       &core_task_new_on(step, svc, node, idle ? TASK_RUNNING : TASK_READY)->o);
}

/* One service on one node. */
static void pair_step(struct core_global *c, struct core_step *step, const struct service *svc,
		      const struct node *n)
{
	const struct slot *slot = slots_at_node(&c->slots, svc->o.id, n->o.id);
	const struct task *newest = core_slot_current(svc, slot);
	size_t before = step->out->n;

	if (slot && service_is_job(&svc->spec))
		core_job_retire(step, svc, slot);
	if (!node_keeps_tasks(n) || n->spec.availability == AVAILABILITY_PAUSE)
		return;
	if (svc->job && !svc->job->last_execution)
		return; /* its time has not come yet */
	if (!core_global_fits(svc, n)) {
		if (slot && step->out->n == before)
			slot_desire(step, slot, TASK_SHUTDOWN);
		return;
	}
	if (slot && newest && task_is_wanted(newest)) {
		/* Of a service they are the updater's. */
		if (step->out->n == before && service_is_job(&svc->spec))
			slot_heal(step, svc, slot);
	} else if (!newest || !slot_is_settled(step, svc, slot, newest)) {
		task_make(step, svc, slot, n->o.id);
	}
}

/* All that the service has, or all that it has on nodes that are gone. */
static void tasks_remove(struct core_global *c, struct core_step *step, const char *id,
			 bool gone_nodes_alone, size_t start)
{
	const struct slot_service *tasks = slots_find(&c->slots, id);

	if (!tasks)
		return;
	for (struct slot_node *at = tasks->nodes; at && core_fits(step, start); at = at->hh.next)
		if (!gone_nodes_alone || !store_node(step->store, at->id))
			slot_desire(step, &at->slot, TASK_REMOVE);
}

static void service_step(struct core_global *c, struct core_step *step, const char *id,
			 size_t start)
{
	const struct service *svc = store_service(step->store, id);
	const struct node *n;
	struct store_walk w;

	if (!svc || svc->pending_delete) {
		tasks_remove(c, step, id, false, start);
		return;
	}
	if (!service_is_global(&svc->spec))
		return;
	tasks_remove(c, step, id, true, start);
	store_walk_kind(&w, step->store, KIND_NODE);
	while (core_fits(step, start) && (n = store_walk_next(&w)))
		pair_step(c, step, svc, n);
}

/* The node was removed: nothing of it will ever be heard again. */
static void node_empty(struct core_global *c, struct core_step *step, const char *service,
		       const char *node)
{
	const struct slot *slot = slots_at_node(&c->slots, service, node);

	if (slot)
		slot_desire(step, slot, TASK_REMOVE);
}

/* A task that the update has left out for as long as its node was not there or paused. */
static bool is_outdated(const struct core_global *c, const struct service *svc, const char *node)
{
	const struct slot *slot = slots_at_node(&c->slots, svc->o.id, node);
	const struct task *t = slot ? slot_wanted(slot) : NULL;

	return t && !t->iteration && t->template_version != svc->template_version;
}

static void node_step(struct core_global *c, struct core_step *step, const char *id, size_t start)
{
	const struct node *n = store_node(step->store, id);

	IDSET_EACH(entry, &c->all)
	{
		const struct service *svc = store_service(step->store, entry->id);

		if (!core_fits(step, start))
			return;
		if (!svc || svc->pending_delete)
			continue;
		if (n) {
			pair_step(c, step, svc, n);
			if (is_outdated(c, svc, id))
				(void)idset_add(&c->services, entry->id);
		} else {
			node_empty(c, step, entry->id, id);
		}
	}
}

static int64_t global_step(struct core *core, struct core_step *step)
{
	struct core_global *c = container_of(core, struct core_global, core);
	struct idset *const sets[] = {&c->nodes, &c->services};
	size_t start = step->out->n, looks = 0;

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		IDSET_EACH(entry, sets[i])
		{
			size_t before = step->out->n;

			/* A node and a service may lead to the same task: one kind a batch. */
			if (!core_fits(step, start) || looks > CORE_LOOKS ||
			    (i == 1 && step->out->n > start && idset_count(&c->nodes)))
				return step->now_ns;
			looks += 1 + store_count(step->store, i ? KIND_NODE : KIND_SERVICE);
			if (i)
				service_step(c, step, entry->id, start);
			else
				node_step(c, step, entry->id, start);
			if (core_is_clean(step, before))
				(void)idset_remove(sets[i], entry->id);
		}
	}
	return idset_count(&c->nodes) || idset_count(&c->services) ? step->now_ns : CORE_IDLE;
}

/* Events */

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_global *c = container_of(core, struct core_global, core);
	const struct task *t = new ? new : old;

	if (!t->global)
		return;
	slots_event(&c->slots, old, new);
	if (!old || !new || old->desired != new->desired)
		(void)idset_add(&c->services, t->service);
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_global *c = container_of(core, struct core_global, core);
	const struct service *svc = new ? new : old;

	if (!service_is_global(&svc->spec))
		return;
	(void)idset_add(&c->services, svc->o.id);
	if (new)
		(void)idset_add(&c->all, svc->o.id);
	else
		(void)idset_remove(&c->all, svc->o.id);
}

static void node_event(struct core *core, const struct store *s, const struct node *old,
		       const struct node *new)
{
	struct core_global *c = container_of(core, struct core_global, core);

	(void)idset_add(&c->nodes, (new ? new : old)->o.id);
}

static void global_done(struct core *core)
{
	struct core_global *c = container_of(core, struct core_global, core);

	slots_done(&c->slots);
	idset_done(&c->all);
	idset_done(&c->services);
	idset_done(&c->nodes);
}

/* A service is looked at on all nodes. */
static const struct core_class global_class = {
	.name = "global",
	.size = sizeof(struct core_global),
	.done = global_done,
	.derives = {KIND_SERVICE, KIND_TASK},
	.task = task_event,
	.service = service_event,
	.node = node_event,
	.step = global_step,
};

struct core *core_global_new(void)
{
	return core_new(&global_class);
}
