/*
 * See core_move.h.
 */
#include "manager/core_move.h"

#include "base/clock.h"
#include "base/limits.h"

/* All at once would be no move "one at a time": one is what the default is as well. */
void move_rules_of(const struct service *svc, struct move_rules *ret)
{
	struct update_rules update;
	struct restart_rules restart;

	update_rules_of(svc->spec.update, &update);
	restart_rules_of(&svc->spec.task, &restart);
	*ret = (struct move_rules){
		.parallelism = update.parallelism == UINT64_MAX ? 1 : update.parallelism,
		.delay = update.delay,
		.monitor = update.monitor,
		.again = MAX_OF(update.delay, restart.delay)};
	(void)update_deadline_of(&svc->spec.labels, &ret->deadline, NULL);
	if (!ret->deadline)
		ret->deadline = LIMIT_MOVE_WAIT_MS * NS_PER_MS;
}

bool move_is_coming(const struct task *t)
{
	return t && t->move && t->move->of && !t->move->up && !t->move->failed && task_is_live(t);
}

static bool has_failed(const struct task *t)
{
	return task_state_final(t->status.state) && t->status.state != TASK_SHUTDOWN;
}

/* Where it was to go has no room for it any more, or it cannot be given what it needs. */
static bool cannot_go_on(const struct task *t)
{
	return t->move->run && t->status.state < TASK_ASSIGNED && t->status.err && *t->status.err;
}

static enum move_state coming_look(const struct store *s, const struct move_rules *rules,
				   const struct task *t, int64_t now_ns, int64_t *ret_until)
{
	if (has_failed(t))
		return MOVE_FAILED;
	if (!task_is_wanted(t))
		return t->node && !core_task_node_up(s, t) ? MOVE_FAILED : MOVE_DROPPED;
	if (t->status.state == TASK_RUNNING)
		return MOVE_RUNS;
	*ret_until = t->o.created + rules->deadline;
	return now_ns >= *ret_until || cannot_go_on(t) ? MOVE_FAILED : MOVE_COMING;
}

enum move_state move_look(const struct store *s, const struct move_rules *rules,
			  const struct task *t, int64_t now_ns, int64_t *ret_until)
{
	const struct move_mark *m = t ? t->move : NULL;

	*ret_until = INT64_MAX;
	if (!m || !m->of || t->desired == TASK_REMOVE)
		return MOVE_OVER;
	if (!m->up && !m->failed)
		return coming_look(s, rules, t, now_ns, ret_until);
	if (m->failed) {
		*ret_until = m->failed + rules->again;
		return now_ns < *ret_until ? MOVE_RESTING : MOVE_OVER;
	}
	if (has_failed(t) && MIN_OF(now_ns, t->status.timestamp) - m->up < rules->monitor)
		return MOVE_FAILED;
	*ret_until = m->up + rules->delay;
	if (now_ns < *ret_until)
		return MOVE_RESTING;
	*ret_until = m->up + rules->monitor;
	return now_ns < *ret_until && !has_failed(t) ? MOVE_WATCHED : MOVE_OVER;
}

void move_begin(struct core_step *step, const struct service *svc, const struct task *old,
		uint64_t run, const char *node)
{
	struct task *new = core_task_new(step, svc, old->slot, TASK_RUNNING);

	new->move = xcalloc(1, sizeof *new->move);
	new->move->run = run;
	new->move->of = xstrdup(old->o.id);
	str_set(&new->node, node);
	changes_create(step->out, &new->o);
}

void move_settle(struct core_step *step, const struct task *new)
{
	const struct task *old = store_task(step->store, new->move->of);
	struct task *edit = object_clone(&new->o);

	if (old && task_is_wanted(old))
		core_task_desire(step, old, TASK_SHUTDOWN);
	edit->move->up = step->now_ns;
	changes_update(step->out, &new->o, &edit->o, step->now_ns);
}

void move_give_up(struct core_step *step, const struct task *new)
{
	struct task *edit = object_clone(&new->o);

	edit->move->failed = step->now_ns;
	/* What came up and failed then is the restart supervisor's, as any task that fails. */
	if (task_is_wanted(new) && !new->move->up)
		edit->desired = TASK_SHUTDOWN;
	changes_update(step->out, &new->o, &edit->o, step->now_ns);
}

bool move_drains(const struct store *s, const struct service *svc, const struct task *t)
{
	const struct node *n = t->node ? store_node(s, t->node) : NULL;
	struct update_rules rules;

	update_rules_of(svc->spec.update, &rules);
	return rules.start_first && svc->spec.mode.replicated && n &&
	       n->status.state == NODE_READY && n->spec.availability == AVAILABILITY_DRAIN &&
	       t->status.state == TASK_RUNNING && t->desired == TASK_RUNNING &&
	       !(t->move && t->move->tries >= LIMIT_MOVE_FAILURES);
}

bool move_is_nowhere(const struct task *new, int64_t now_ns, int64_t *ret_due)
{
	bool now = new->status.state < TASK_ASSIGNED &&new->status.err &&*new->status.err;

	*ret_due = now ? new->o.created + LIMIT_DRAIN_WAIT_MS *NS_PER_MS : INT64_MAX;
	return now_ns >= *ret_due;
}

void move_count(struct core_step *step, const struct task *new, const struct task *old)
{
	struct task *edit = object_clone(&old->o);

	move_give_up(step, new);
	if (!edit->move)
		edit->move = xcalloc(1, sizeof *edit->move);
	edit->move->tries++;
	changes_update(step->out, &old->o, &edit->o, step->now_ns);
}
