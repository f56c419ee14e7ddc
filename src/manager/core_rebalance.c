/*
 * The rebalance: moves running tasks of a replicated service, so many at a time, to nodes where
 * placement would rather have them, each new one first; ends when no move would improve the spread.
 * A run begins when a user asks for it, or with the label shoal.rebalance=auto when the nodes that
 * take tasks are not those of before. How far it is stands in the service and on the tasks that it
 * makes, so that a new leader goes on where the old one stood. While an update has the service in
 * hand nothing is moved, and what was on its way is given up.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "manager/core_holds.h"
#include "manager/core_move.h"
#include "manager/service_spec.h"

/* A service that is rebalanced, now or by its policy, or has tasks that were made by that. */
struct balance {
	char *id;
	struct idset moves; /* tasks that were made, as far as they are not done with */
	UT_hash_handle hh;
};

struct core_rebalance {
	struct core core;
	struct scheduler *s;
	struct balance *balances;
	struct idset dirty;  /* services */
	struct idset coming; /* replacements on their way, of all services */
	struct wakes wakes;  /* of services */
	uint64_t nodes;      /* a hash of those that take tasks, in any order */
};

/* One step of one service. */
struct balance_step {
	struct core_rebalance *c;
	struct core_step *step;
	struct balance *b;
	const struct service *svc;
	struct move_rules rules;
	struct service *edit; /* what becomes of it, NULL: nothing yet */
	uint64_t busy;        /* moves that parallelism counts */
	bool stale;           /* a task awaits an update that has not begun */
	bool began;           /* a move */
	const struct task *leaves;
};

static struct balance *balance_find(const struct core_rebalance *c, const char *id)
{
	struct balance *b;

	HASH_FIND(hh, c->balances, id, strlen(id), b);
	return b;
}

static struct balance *balance_get(struct core_rebalance *c, const char *id)
{
	struct balance *b = balance_find(c, id);

	if (b)
		return b;
	b = xcalloc(1, sizeof *b);
	b->id = xstrdup(id);
	HASH_ADD_KEYPTR(hh, c->balances, b->id, strlen(b->id), b);
	return b;
}

static void balance_drop(struct core_rebalance *c, struct balance *b)
{
	if (!b)
		return;
	HASH_DEL(c->balances, b);
	wakes_clear(&c->wakes, b->id);
	idset_done(&b->moves);
	free(b->id);
	free(b);
}

/* Status */

static struct rebalance_status *status_edit(struct balance_step *s)
{
	if (!s->edit)
		s->edit = object_clone(&s->svc->o);
	return s->edit->rebalance;
}

static void explain(struct balance_step *s, const char *text)
{
	const struct rebalance_status *had = (s->edit ? s->edit : s->svc)->rebalance;

	if (!had->message || strcmp(had->message, text) != 0)
		str_set(&status_edit(s)->message, text);
}

static bool is_moving(const struct service *svc)
{
	return svc->rebalance && svc->rebalance->state == REBALANCE_MOVING;
}

static void failure_count(struct balance_step *s, const struct task *t)
{
	struct rebalance_status *r = status_edit(s);
	const char *why = t->status.err && *t->status.err ? t->status.err
			  : task_state_final(t->status.state)
				  ? "it has ended"
				  : "it did not run within the time that it has for that";

	free(r->message);
	r->message = xasprintf("rebalance in progress; task %s could not take the place of %s: %s",
			       t->o.id, t->move->of, why);
	if (++r->failed < LIMIT_MOVE_FAILURES)
		return;
	r->state = REBALANCE_PAUSED;
	r->completed = s->step->now_ns;
	free(r->message);
	r->message = xasprintf("rebalance paused after %" PRIu64
			       " failed moves: task %s could not take the place of %s: %s",
			       r->failed, t->o.id, t->move->of, why);
}

static void complete(struct balance_step *s)
{
	struct rebalance_status *r = status_edit(s);

	r->state = REBALANCE_COMPLETED;
	r->completed = s->step->now_ns;
	free(r->message);
	r->message = xasprintf("rebalance completed: %" PRIu64 " %s moved, no move would improve "
			       "the spread",
			       r->moved, r->moved == 1 ? "task was" : "tasks were");
}

/* Moves under way */

/* Returns when to look at it again. */
static int64_t move_step(struct balance_step *s, const char *id)
{
	const struct task *t = store_task(s->step->store, id);
	bool mine = is_moving(s->svc) && t && t->move && t->move->run == s->svc->rebalance->number;
	int64_t until;
	enum move_state state = move_look(s->step->store, &s->rules, t, s->step->now_ns, &until);

	/* An update has precedence; but what runs already has taken the place. */
	if (state == MOVE_COMING && (!mine || update_is_open(s->svc->update_status)))
		state = MOVE_DROPPED;
	if (state == MOVE_RUNS) {
		move_settle(s->step, t);
		if (mine)
			status_edit(s)->moved++;
	} else if (state == MOVE_FAILED || state == MOVE_DROPPED) {
		move_give_up(s->step, t);
		if (mine && state == MOVE_FAILED && is_moving(s->edit ? s->edit : s->svc))
			failure_count(s, t);
	} else if (state == MOVE_OVER) {
		(void)idset_remove(&s->b->moves, id);
	}
	s->busy += state == MOVE_COMING || state == MOVE_RESTING;
	return until;
}

/* One that changes something a step: what is moved may have been moved to there itself. */
static void moves_step(struct balance_step *s)
{
	int64_t next = INT64_MAX, until;
	size_t before = s->step->out->n;

	IDSET_EACH(entry, &s->b->moves)
	{
		until = move_step(s, entry->id);
		next = MIN_OF(next, until);
		if (s->step->out->n > before)
			return;
	}
	if (next == INT64_MAX)
		wakes_clear(&s->c->wakes, s->b->id);
	else
		wakes_set(&s->c->wakes, s->b->id, next);
}

/* The next one */

/*
 * How the sums would be with all moves under way at their end; and back. A task that is to go does
 * not count any more, its replacement counts where it is to run.
 */
static void sums_shift(struct core_rebalance *c, const struct store *store, bool there)
{
	IDSET_EACH(entry, &c->coming)
	{
		const struct task *new = store_task(store, entry->id);
		const struct task *old = new &&new->move ? store_task(store, new->move->of) : NULL;
		struct sched_group g;
		bool active;

		if (!old || !move_is_coming(new) || !core_task_holds(store, old, &g, &active) ||
		    !active)
			continue;
		if (there)
			scheduler_release(c->s, &g, old->node, true);
		scheduler_hold(c->s, &g, old->node, !there);
		if (!there)
			scheduler_release(c->s, &g, old->node, false);
		if (!new->node || new->status.state >= TASK_ASSIGNED)
			continue;
		if (there)
			scheduler_hold(c->s, &g, new->node, true);
		else
			scheduler_release(c->s, &g, new->node, true);
	}
}

static bool is_doubled(const struct core_rebalance *c, const struct store *store,
		       const struct task *t)
{
	IDSET_EACH(entry, (struct idset *)(uintptr_t)&c->coming)
	{
		const struct task *new = store_task(store, entry->id);

		if (new &&new->move && strcmp(new->move->of, t->o.id) == 0)
			return true;
	}
	return false;
}

/* Whether the node has a task of the service that could go: the newest, which has done least. */
static bool may_leave(void *arg, const char *node)
{
	struct balance_step *s = arg;
	const struct task *t;
	struct store_walk w;

	s->leaves = NULL;
	store_walk_node_tasks(&w, s->step->store, node);
	while ((t = store_walk_next(&w))) {
		if (strcmp(t->service, s->svc->o.id) != 0 || !task_is_live(t))
			continue;
		if (!service_task_is_current(s->step->store, s->svc, t)) {
			s->stale = true;
			continue;
		}
		if (t->status.state == TASK_RUNNING && t->desired == TASK_RUNNING &&
		    !is_doubled(s->c, s->step->store, t) &&
		    (!s->leaves || t->o.created > s->leaves->o.created))
			s->leaves = t;
	}
	return s->leaves != NULL;
}

static bool choose(struct balance_step *s, struct sched_move *ret)
{
	const struct store *store = s->step->store;
	struct sched_group g;
	bool found;

	if (!core_service_group(store, s->svc, &g))
		return false;
	sums_shift(s->c, store, true);
	found = scheduler_improve(s->c->s, &g, s->step->now_ns, may_leave, s, ret);
	sums_shift(s->c, store, false);
	return found;
}

static uint64_t nodes_hash(const struct core_rebalance *c)
{
	return c->nodes ? c->nodes : 1;
}

/*
 * By its policy: what nodes take tasks has changed since the spread was looked at. A run begins
 * only when it has something to do.
 */
static void look_again(struct balance_step *s)
{
	struct rebalance_status *r;
	struct sched_move move;
	bool found;

	if (s->svc->balanced_nodes == nodes_hash(s->c) || update_is_open(s->svc->update_status))
		return;
	found = choose(s, &move);
	if (!found && s->stale)
		return;
	s->edit = object_clone(&s->svc->o);
	s->edit->balanced_nodes = nodes_hash(s->c);
	if (!found)
		return;
	table_free(&rebalance_status_table, s->edit->rebalance);
	r = s->edit->rebalance = xcalloc(1, sizeof *r);
	r->number = s->svc->rebalance ? s->svc->rebalance->number + 1 : 1;
	r->started = s->step->now_ns;
	r->message = xstrdup("rebalance in progress");
}

static void move_next(struct balance_step *s)
{
	struct sched_move move;

	if (s->busy >= s->rules.parallelism)
		return;
	s->began = choose(s, &move);
	if (s->began)
		move_begin(s->step, s->svc, s->leaves, s->svc->rebalance->number, move.to);
	else if (s->stale)
		explain(s, "rebalance in progress; waiting: an update is to come first");
	else if (!idset_count(&s->b->moves))
		complete(s);
}

static void service_go_on(struct balance_step *s)
{
	if (!is_moving(s->svc)) {
		if (rebalance_is_auto(&s->svc->spec.labels))
			look_again(s);
		return;
	}
	if (update_is_open(s->svc->update_status))
		explain(s, "rebalance in progress; waiting: the service is being updated");
	else
		move_next(s);
}

/* True when a move has begun. */
static bool service_step(struct core_rebalance *c, struct core_step *step, const char *id)
{
	struct balance_step s = {.c = c, .step = step, .b = balance_find(c, id)};
	size_t before = step->out->n;

	s.svc = store_service(step->store, id);
	if (!s.b)
		return false;
	if (!s.svc || s.svc->pending_delete || !s.svc->spec.mode.replicated) {
		balance_drop(c, s.b);
		return false;
	}
	move_rules_of(s.svc, &s.rules);
	moves_step(&s);
	/* What the moves have come to must be known to whoever begins the next. */
	if (!s.edit && step->out->n == before)
		service_go_on(&s);
	if (s.edit)
		changes_update(step->out, &s.svc->o, &s.edit->o, step->now_ns);
	return s.began;
}

static int64_t rebalance_step(struct core *core, struct core_step *step)
{
	struct core_rebalance *c = container_of(core, struct core_rebalance, core);
	size_t start = step->out->n, looks = 0;

	core_wake(&c->wakes, &c->dirty, step->now_ns);
	IDSET_EACH(entry, &c->dirty)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++looks > CORE_LOOKS / 500)
			return step->now_ns;
		/* The next move, of any service, is chosen when this one is in the store. */
		if (service_step(c, step, entry->id))
			return step->now_ns;
		if (core_is_clean(step, before))
			(void)idset_remove(&c->dirty, entry->id);
	}
	return idset_count(&c->dirty) ? step->now_ns : wakes_next(&c->wakes);
}

/* Events */

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_rebalance *c = container_of(core, struct core_rebalance, core);
	struct sched_group held, holds;
	bool was_active = false, is_active = false;
	bool had = core_task_holds(s, old, &held, &was_active);
	bool has = core_task_holds(s, new, &holds, &is_active);
	const struct task *t = new ? new : old;

	if (new &&has && !(had && was_active == is_active))
		scheduler_hold(c->s, &holds, new->node, is_active);
	if (old && had && !(has && was_active == is_active))
		scheduler_release(c->s, &held, old->node, was_active);
	/* Also what one has failed that left its node before this manager led. */
	if (new &&task_state_final(new->status.state) &&
	    !(old && task_state_final(old->status.state)))
		core_task_failed(c->s, new);
	assert(t);
	if (new &&move_is_coming(new))
		(void)idset_add(&c->coming, new->o.id);
	else if (t->move)
		(void)idset_remove(&c->coming, t->o.id);
	if (new &&new->move &&new->move->run)
		(void)idset_add(&balance_get(c, new->service)->moves, new->o.id);
	if (balance_find(c, t->service))
		(void)idset_add(&c->dirty, t->service);
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_rebalance *c = container_of(core, struct core_rebalance, core);

	(void)s;
	if (new && (is_moving(new) || rebalance_is_auto(&new->spec.labels)))
		(void)balance_get(c, new->o.id);
	if (balance_find(c, (new ? new : old)->o.id))
		(void)idset_add(&c->dirty, (new ? new : old)->o.id);
}

static bool takes_tasks(const struct node *n)
{
	return n && n->status.state == NODE_READY && n->spec.availability == AVAILABILITY_ACTIVE;
}

static uint64_t text_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	return h;
}

static void node_event(struct core *core, const struct store *s, const struct node *old,
		       const struct node *new)
{
	struct core_rebalance *c = container_of(core, struct core_rebalance, core);
	struct balance *b, *next;

	(void)s;
	if (new)
		scheduler_node_set(c->s, new);
	else
		scheduler_node_remove(c->s, old->o.id);
	if (takes_tasks(new) != takes_tasks(old))
		c->nodes ^= text_hash((new ? new : old)->o.id);
	HASH_ITER (hh, c->balances, b, next)
		(void)idset_add(&c->dirty, b->id);
}

static void rebalance_init(struct core *core)
{
	container_of(core, struct core_rebalance, core)->s = scheduler_new();
}

static void rebalance_done(struct core *core)
{
	struct core_rebalance *c = container_of(core, struct core_rebalance, core);
	struct balance *b, *next;

	HASH_ITER (hh, c->balances, b, next)
		balance_drop(c, b);
	idset_done(&c->dirty);
	idset_done(&c->coming);
	wakes_done(&c->wakes);
	scheduler_free(c->s);
}

static const struct core_class rebalance_class = {
	.name = "rebalance",
	.size = sizeof(struct core_rebalance),
	.init = rebalance_init,
	.done = rebalance_done,
	.derives = {KIND_NODE, KIND_TASK, KIND_SERVICE},
	.task = task_event,
	.service = service_event,
	.node = node_event,
	.step = rebalance_step,
};

struct core *core_rebalance_new(void)
{
	return core_new(&rebalance_class);
}
