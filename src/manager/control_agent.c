/*
 * What agents report and what the leader concludes from their silence. See control.h.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manager/control.h"

/*
 * Whether a report says something new. States only rise, and reports of one state only by their
 * time, so that batches that come twice or by two managers change nothing.
 */
static bool report_is_news(const struct task *t, const struct task_status *s)
{
	/* A task that the enforcer has rejected is over once its agent says that it has ended. */
	if (t->evicted && task_state_final(s->state))
		return true;
	if (!task_transition_allowed(WRITER_AGENT, t->status.state, s->state))
		return false;
	if (s->state > t->status.state)
		return true;
	return s->timestamp > t->status.timestamp &&
	       !table_equal(&task_status_table, s, &t->status);
}

int control_task_status(struct control *c, const struct control_request *r, struct err *e)
{
	if (!r->id || !store_node(c->view, r->id))
		return err_set(e, -ENOENT, "node %s is not in the swarm", r->id ? r->id : "");
	LIST_EACH (report, &r->reports) {
		const struct task *old = store_task(c->view, report->task);
		struct task *t;

		/* An agent speaks for its own tasks alone. */
		if (!old || !old->node || strcmp(old->node, r->id) != 0 ||
		    !report_is_news(old, &report->status))
			continue;
		t = object_clone(&old->o);
		if (old->evicted) {
			t->evicted = false; /* the status stays the enforcer's: REJECTED */
		} else {
			table_done(&task_status_table, &t->status);
			table_copy(&task_status_table, &t->status, &report->status);
		}
		changes_update(c->out, &old->o, &t->o, c->now_ns);
	}
	return 0;
}

/* What it offers to tasks, within the bounds that its own daemon keeps. */
static void description_take(struct node_description *to, const struct node_description *said)
{
	struct generics offered = {0};

	table_done(&node_description_table, to);
	table_copy(&node_description_table, to, said);
	generics_believe(&said->resources.generic, &offered);
	generics_done(&to->resources.generic);
	to->resources.generic = offered;
	while (to->task_devices.n > LIMIT_TASK_DEVICES)
		free(to->task_devices.v[--to->task_devices.n]);
}

int control_node_seen(struct control *c, const struct control_request *r, struct err *e)
{
	const struct node *old = r->id ? store_node(c->view, r->id) : NULL;
	struct node *n;

	if (!old)
		return err_set(e, -ENOENT, "node %s is not in the swarm", r->id ? r->id : "");
	n = object_clone(&old->o);
	n->status.state = NODE_READY;
	str_set(&n->status.message, NULL);
	if (r->addr) {
		str_set(&n->status.addr, r->addr);
		str_set(&n->data_addr, r->data_addr && *r->data_addr ? r->data_addr : r->addr);
	}
	if (r->description)
		description_take(&n->description, r->description);
	if (table_equal(&node_table, old, n))
		object_free(&n->o);
	else
		changes_update(c->out, &old->o, &n->o, c->now_ns);
	return 0;
}

static void node_state_set(struct control *c, const struct node *old, enum node_state state,
			   const char *message)
{
	struct node *n = object_clone(&old->o);

	n->status.state = state;
	str_set(&n->status.message, message);
	changes_update(c->out, &old->o, &n->o, c->now_ns);
}

int control_nodes_lost(struct control *c, const struct control_request *r, struct err *e)
{
	(void)e;
	STRS_EACH (id, &r->ids) {
		const struct node *n = store_node(c->view, id);

		if (n && n->status.state != NODE_DOWN)
			node_state_set(c, n, NODE_DOWN, "heartbeat failure");
	}
	return 0;
}

/* Its tasks stay; it is ready again once anybody hears of it. */
int control_nodes_doubted(struct control *c, const struct control_request *r, struct err *e)
{
	(void)e;
	STRS_EACH (id, &r->ids) {
		const struct node *n = store_node(c->view, id);

		if (n && n->status.state == NODE_READY)
			node_state_set(c, n, NODE_UNKNOWN,
				       "it led the swarm, and has not been heard of since");
	}
	return 0;
}

/* Stops at what one entry takes; the dispatcher asks again while there are more. */
static void node_orphan(struct control *c, const char *node, const char *why)
{
	const struct task *old;
	struct store_walk w;

	store_walk_node_tasks(&w, c->view, node);
	while ((old = store_walk_next(&w)) && changes_fit(c->out)) {
		struct task *t;

		if (!old->evicted &&
		    !task_transition_allowed(WRITER_DISPATCHER, old->status.state, TASK_ORPHANED))
			continue;
		t = object_clone(&old->o);
		if (!old->evicted) {
			t->status.state = TASK_ORPHANED;
			t->status.timestamp = c->now_ns;
			str_set(&t->status.message, why);
		}
		t->evicted = false;
		changes_update(c->out, &old->o, &t->o, c->now_ns);
	}
}

int control_tasks_orphaned(struct control *c, const struct control_request *r, struct err *e)
{
	(void)e;
	STRS_EACH (id, &r->ids) {
		const struct node *n = store_node(c->view, id);

		if (!n || n->status.state == NODE_DOWN)
			node_orphan(c, id, "the node has been down for too long");
	}
	return 0;
}

/* What one entry does not take of its tasks is orphaned when the node has been down for a day. */
int control_node_left(struct control *c, const struct control_request *r, struct err *e)
{
	const struct node *n = r->id ? store_node(c->view, r->id) : NULL;

	if (!n)
		return err_set(e, -ENOENT, "node %s is not in the swarm", r->id ? r->id : "");
	if (n->status.state != NODE_DOWN)
		node_state_set(c, n, NODE_DOWN, "the node has left the swarm");
	node_orphan(c, n->o.id, "the node has left the swarm");
	return 0;
}
