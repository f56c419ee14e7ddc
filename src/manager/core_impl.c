/*
 * See core_impl.h.
 */
#include "manager/core_impl.h"

#include <assert.h>

#include "model/schedule.h"
#include "scheduler/scheduler.h"

void core_wake(struct wakes *wakes, struct idset *dirty, int64_t now_ns)
{
	const char *due;

	while ((due = wakes_due(wakes, now_ns))) {
		(void)idset_add(dirty, due);
		wakes_clear(wakes, due);
	}
}

void core_task_desire(struct core_step *step, const struct task *t, enum task_state desired)
{
	struct task *new = object_clone(&t->o);

	assert(desired > t->desired);
	new->desired = desired;
	changes_update(step->out, &t->o, &new->o, step->now_ns);
}

struct task *core_task_status(struct core_step *step, const struct task *t, enum task_writer writer,
			      enum task_state state, const char *message, const char *err)
{
	struct task *new = object_clone(&t->o);

	assert(task_transition_allowed(writer, t->status.state, state));
	new->status.state = state;
	new->status.timestamp = step->now_ns;
	str_set(&new->status.message, message);
	str_set(&new->status.err, err);
	return new;
}

enum task_state core_task_goal(const struct service *svc)
{
	return service_is_job(&svc->spec) ? TASK_COMPLETE : TASK_RUNNING;
}

struct task *core_task_new(struct core_step *step, const struct service *svc, uint64_t slot,
			   enum task_state desired)
{
	char id[ID_CLUSTER_LEN + 1];
	struct task *t;

	step->new_id(step->new_id_arg, id);
	t = object_new(KIND_TASK, id, step->now_ns);
	t->service = xstrdup(svc->o.id);
	t->template_version = svc->template_version;
	t->slot = slot;
	t->desired = desired == TASK_RUNNING ? core_task_goal(svc) : desired;
	if (svc->job)
		t->iteration = table_dup(&job_iteration_table, &svc->job->iteration);
	t->status.state = TASK_NEW;
	t->status.timestamp = step->now_ns;
	t->status.message = xstrdup("created");
	return t;
}

struct task *core_task_new_on(struct core_step *step, const struct service *svc, const char *node,
			      enum task_state desired)
{
	struct task *t = core_task_new(step, svc, 0, desired);

	t->global = true;
	t->node = xstrdup(node);
	return t;
}

bool core_task_node_up(const struct store *s, const struct task *t)
{
	const struct node *n = t->node ? store_node(s, t->node) : NULL;

	return n && n->status.state != NODE_DOWN;
}

bool core_task_is_past(const struct store *s, const struct task *t)
{
	return task_is_over(t) || (t->node && !core_task_node_up(s, t));
}

bool core_slot_is_idle(const struct store *s, const struct slot *slot, uint64_t iteration,
		       const struct task *except)
{
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (t != except && task_iteration(t) == iteration &&
		    t->status.state >= TASK_ASSIGNED && !core_task_is_past(s, t))
			return false;
	}
	return true;
}

void core_restart_rules(const struct store *s, const struct service *svc, const struct task *t,
			struct restart_rules *ret)
{
	const struct template *template = store_template(s, t->service, t->template_version);

	restart_rules_of(template ? &template->spec : &svc->spec.task, ret);
	if (service_is_job(&svc->spec) && ret->condition == RESTART_ANY)
		ret->condition = RESTART_ON_FAILURE;
}

/* Restarts of the template in this slot, for this iteration, within the window. */
static uint64_t recent_restarts(const struct slot *slot, const struct task *t, int64_t since_ns)
{
	uint64_t n = 0;

	for (size_t i = 0; i < slot->n; i++) {
		const struct task *other = slot_task(slot, i);

		n += other->template_version == t->template_version && other->restarts > 0 &&
		     task_iteration(other) == task_iteration(t) && other->o.created > since_ns;
	}
	return n;
}

bool core_may_restart(const struct store *s, const struct slot *slot, const struct service *svc,
		      const struct task *t, int64_t now_ns)
{
	struct restart_rules rules;

	core_restart_rules(s, svc, t, &rules);
	if (rules.condition == RESTART_NONE)
		return false;
	if (rules.condition == RESTART_ON_FAILURE && t->status.state == TASK_COMPLETE)
		return false;
	if (!rules.max_attempts || t->template_version != svc->template_version)
		return true;
	if (!rules.window)
		return t->restarts < rules.max_attempts;
	return recent_restarts(slot, t, now_ns - rules.window) < rules.max_attempts;
}

bool core_global_fits(const struct service *svc, const struct node *n)
{
	return node_keeps_tasks(n) && scheduler_allows(&svc->spec.task, n);
}

/* How many iterations before the current one are kept. */
static uint64_t iterations_kept(const struct store *s, const struct service *svc)
{
	return schedule_history(&svc->spec, cluster_history_kept(store_cluster(s)));
}

void core_job_retire(struct core_step *step, const struct service *svc, const struct slot *slot)
{
	uint64_t now = service_iteration(svc), kept = iterations_kept(step->store, svc);
	bool runs_on = schedule_lets_overlap(&svc->spec);

	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);
		bool ended = task_state_final(t->status.state);

		if (task_iteration(t) >= now || t->desired == TASK_REMOVE ||
		    !core_is_current(step, &t->o))
			continue;
		if (!ended && runs_on)
			continue;
		if (!ended || now - task_iteration(t) > kept)
			core_task_desire(step, t, TASK_REMOVE);
		else if (task_is_wanted(t))
			core_task_desire(step, t, TASK_SHUTDOWN);
	}
}

const struct task *core_slot_current(const struct service *svc, const struct slot *slot)
{
	uint64_t now = service_iteration(svc);
	const struct task *ret = NULL;

	for (size_t i = slot ? slot->n : 0; i > 0; i--) {
		const struct task *t = slot_task(slot, i - 1);

		if (t->desired == TASK_REMOVE || task_iteration(t) != now)
			continue;
		if (task_is_wanted(t))
			return t;
		if (!ret)
			ret = t;
	}
	return ret;
}
