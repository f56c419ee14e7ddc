/*
 * What must hold of rebalancing at every version: so many moves at a time, no worse spread for any,
 * and no task stops for a move before the one that takes its place runs, or on a drained node has
 * found no other for long. See sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"

bool move_is_open(const struct task *t)
{
	return t->move && t->move->of && !t->move->up && !t->move->failed && task_is_wanted(t);
}

bool drain_is_over(const struct task *t)
{
	return !t->move->run && t->status.state < TASK_ASSIGNED && t->status.err &&
	       t->move->up - t->o.created >= LIMIT_DRAIN_WAIT_MS * NS_PER_MS;
}

/* Whether a move is under way that will take the task's place. */
static bool is_leaving(const struct store *s, const struct task *t)
{
	const struct task *other;
	struct store_walk w;

	for (store_walk_service_tasks(&w, s, t->service); (other = store_walk_next(&w));)
		if (move_is_open(other) && task_is_live(other) &&
		    strcmp(other->move->of, t->o.id) == 0)
			return true;
	return false;
}

/*
 * A move was begun: where it goes has no more tasks with it than there were where it comes from.
 * What has changed in the same version counts in the move's favour, as it may have been otherwise
 * when it was begun.
 */
void check_move(struct manager_life *m, const struct task *new)
{
	const struct store *s = replica_store(m->replica);
	const struct task *old = store_task(s, new->move->of), *t;
	struct store_walk w;
	size_t from = 0, to = 0;

	if (!new->move->run || !old || !old->node || !new->node)
		return;
	for (store_walk_service_tasks(&w, s, new->service); (t = store_walk_next(&w));) {
		bool fresh = t->o.version.index == new->o.version.index;

		if (!t->node || t == new || (t != old && is_leaving(s, t)))
			continue;
		from += strcmp(t->node, old->node) == 0 && (task_is_live(t) || fresh);
		to += strcmp(t->node, new->node) == 0 && task_is_live(t) && !fresh;
	}
	if (to + 1 > from)
		sim_fail(m->services->sim,
			 "task %s of %s moves from a node with %zu to one with %zu others",
			 new->o.id, new->service, from, to);
}

static bool has_open_update(const struct service *svc)
{
	const struct update_status *u = svc->update_status;

	return u && u->state != UPDATE_COMPLETED && u->state != UPDATE_ROLLBACK_COMPLETED;
}

static bool must_leave(const struct store *s, const struct task *t)
{
	const struct node *n = t->node ? store_node(s, t->node) : NULL;

	return !n || n->status.state == NODE_DOWN;
}

static void check_service(struct sim *sim, const struct store *s, const struct service *svc)
{
	struct update_rules rules;
	const struct task *t, *old;
	struct store_walk w;
	uint64_t n = 0;

	update_rules_of(svc->spec.update, &rules);
	for (store_walk_service_tasks(&w, s, svc->o.id); (t = store_walk_next(&w));) {
		if (!move_is_open(t) || !task_is_live(t))
			continue;
		n += svc->rebalance && t->move->run == svc->rebalance->number;
		old = store_task(s, t->move->of);
		if (old && old->desired == TASK_SHUTDOWN && old->status.state == TASK_RUNNING &&
		    t->status.state != TASK_RUNNING && !must_leave(s, old) && !has_open_update(svc))
			sim_fail(sim, "task %s was stopped before %s, which takes its place, runs",
				 old->o.id, t->o.id);
	}
	if (n > (rules.parallelism == UINT64_MAX ? 1 : rules.parallelism))
		sim_fail(sim, "%" PRIu64 " tasks of %s are moved at once", n, svc->o.id);
}

void check_moves(struct sim *sim, const struct store *s)
{
	const struct service *svc;
	struct store_walk w;

	for (store_walk_kind(&w, s, KIND_SERVICE); (svc = store_walk_next(&w));)
		if (!svc->pending_delete)
			check_service(sim, s, svc);
}
