/*
 * See core_impl.h.
 */
#include "manager/core_impl.h"

#include <assert.h>

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
	t->desired = desired;
	t->status.state = TASK_NEW;
	t->status.timestamp = step->now_ns;
	t->status.message = xstrdup("created");
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

bool core_slot_is_idle(const struct store *s, const struct slot *slot, const struct task *except)
{
	for (size_t i = 0; i < slot->n; i++) {
		const struct task *t = slot_task(slot, i);

		if (t != except && t->status.state >= TASK_ASSIGNED && !core_task_is_past(s, t))
			return false;
	}
	return true;
}
