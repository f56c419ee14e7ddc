/*
 * The updater: brings the tasks of a service to its current template, so many places at a time and
 * in the order that its configuration says, watches the new ones, and pauses or rolls back when too
 * many fail. It replaces tasks that run an older template; that a place has a task at all, and that
 * one which has ended is followed by another, is the orchestrators' and the restart supervisor's.
 */
#include "manager/core_update.h"

#include <assert.h>
#include <string.h>

static struct update *update_find(const struct core_update *c, const char *id)
{
	struct update *u;

	HASH_FIND(hh, c->updates, id, strlen(id), u);
	return u;
}

static void update_drop(struct core_update *c, struct update *u)
{
	if (!u)
		return;
	HASH_DEL(c->updates, u);
	update_clear(u);
	free(u->id);
	free(u);
}

/* What was worked out for an earlier run, or specification, is thrown away. */
static struct update *update_get(struct core_update *c, const struct service *svc)
{
	struct update *u = update_find(c, svc->o.id);

	if (!u) {
		u = xcalloc(1, sizeof *u);
		u->id = xstrdup(svc->o.id);
		HASH_ADD_KEYPTR(hh, c->updates, u->id, strlen(u->id), u);
	} else if (u->run == svc->update.number && u->spec_version == svc->spec_version) {
		return u;
	}
	update_clear(u);
	u->run = svc->update.number;
	u->spec_version = svc->spec_version;
	return u;
}

static void service_parts(struct update_step *s)
{
	if (!update_search(s) || !update_touched(s)) {
		s->step->behind = true;
		if (s->edit && *s->failed)
			update_judge(s);
		return;
	}
	if (s->edit && *s->failed)
		update_judge(s);
	/* What a failure leads to must be known to whoever replaces the next. */
	if (!s->edit)
		update_go_on(s);
}

static void service_step(struct core_update *c, const char *id, struct core_step *step,
			 size_t start, size_t *looks)
{
	const struct service *svc = store_service(step->store, id);
	struct update_step s = {.c = c, .step = step, .start = start, .looks = looks, .svc = svc};
	bool back;

	if (!svc || svc->pending_delete || (!svc->spec.mode.replicated && !svc->spec.mode.global)) {
		update_drop(c, update_find(c, id));
		return;
	}
	s.u = update_get(c, svc);
	back = svc->update_status && svc->update_status->state >= UPDATE_ROLLBACK_STARTED;
	update_rules_of(back ? svc->spec.rollback : svc->spec.update, &s.rules);
	s.look = (struct place_look){.store = step->store,
				     .svc = svc,
				     .rules = &s.rules,
				     .now_ns = step->now_ns,
				     .fits = &s.u->fits};
	(void)update_deadline_of(&svc->spec.labels, &s.look.deadline, NULL);
	service_parts(&s);
	if (s.edit)
		changes_update(step->out, &svc->o, &s.edit->o, step->now_ns);
}

static void wake_set(struct core_update *c, const char *id)
{
	const struct update *u = update_find(c, id);
	int64_t at = u ? wakes_next(&u->wakes) : INT64_MAX;

	if (at == INT64_MAX)
		wakes_clear(&c->wakes, id);
	else
		wakes_set(&c->wakes, id, at);
}

static int64_t update_core_step(struct core *core, struct core_step *step)
{
	struct core_update *c = container_of(core, struct core_update, core);
	size_t start = step->out->n, looks = 0;

	core_wake(&c->wakes, &c->dirty, step->now_ns);
	IDSET_EACH(entry, &c->dirty)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++looks > CORE_LOOKS)
			return step->now_ns;
		service_step(c, entry->id, step, start, &looks);
		wake_set(c, entry->id);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->dirty, entry->id);
	}
	return idset_count(&c->dirty) ? step->now_ns : wakes_next(&c->wakes);
}

/* A service that is as it should be is looked at again only for what is new in it. */
static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_update *c = container_of(core, struct core_update, core);
	const struct task *t = new ? new : old;
	struct update *u = update_find(c, t->service);
	const struct slot_service *tasks;
	char key[IDSET_ID_MAX];
	bool quiet;

	slots_event(&c->slots, old, new);
	if (!u || !place_key(t, key))
		return;
	tasks = slots_find(&c->slots, t->service);
	quiet = u->searched && !u->open && !idset_count(&u->touched);
	for (size_t i = 0; i < QUEUES; i++)
		quiet = quiet && !idset_count(&u->queue[i]);
	if (quiet && old && t->slot && !(tasks && tasks->doubled))
		return;
	(void)idset_add(&u->touched, key);
	(void)idset_add(&c->dirty, t->service);
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_update *c = container_of(core, struct core_update, core);
	const char *id = (new ? new : old)->o.id;

	if (!old || !new || old->update.number != new->update.number)
		update_drop(c, update_find(c, id));
	(void)idset_add(&c->dirty, id);
}

/* What a global service has there may have been passed over while the node could not have it. */
static void node_event(struct core *core, const struct store *s, const struct node *old,
		       const struct node *new)
{
	struct core_update *c = container_of(core, struct core_update, core);
	struct update *u, *next;
	const struct slot_service *tasks;

	if (!new || (old && old->status.state == new->status.state &&table_equal(
							 &node_spec_table, &old->spec, &new->spec)))
		return;
	HASH_ITER (hh, c->updates, u, next) {
		tasks = slots_find(&c->slots, u->id);
		if (!tasks || !tasks->nodes)
			continue;
		(void)idset_add(&u->touched, new->o.id);
		(void)idset_add(&c->dirty, u->id);
	}
}

static void update_done(struct core *core)
{
	struct core_update *c = container_of(core, struct core_update, core);
	struct update *u, *next;

	HASH_ITER (hh, c->updates, u, next)
		update_drop(c, u);
	idset_done(&c->dirty);
	wakes_done(&c->wakes);
	slots_done(&c->slots);
}

static const struct core_class update_class = {
	.name = "update",
	.size = sizeof(struct core_update),
	.done = update_done,
	.derives = {KIND_SERVICE, KIND_TASK},
	.task = task_event,
	.service = service_event,
	.node = node_event,
	.step = update_core_step,
};

struct core *core_update_new(void)
{
	return core_new(&update_class);
}
