/*
 * What really runs, whatever the managers believe: at most one task of a slot on nodes that were
 * not given up, and beside an older one where the order is to start first. And what an update may
 * do to tasks that run, and where a rollback leads. See sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

/* Given up: the node was declared down while the task was there. Sorted out when it is back. */

static bool is_abandoned(const struct services *v, const char *task)
{
	STRS_EACH (id, &v->abandoned)
		if (strcmp(id, task) == 0)
			return true;
	return false;
}

void slots_node_changed(struct services *v, const struct store *s, const struct node *old,
			const struct node *new)
{
	const struct task *t;
	struct store_walk w;

	if (!old || (new && (new->status.state != NODE_DOWN || old->status.state == NODE_DOWN)))
		return;
	for (store_walk_node_tasks(&w, s, old->o.id); (t = store_walk_next(&w));)
		if (!task_state_final(t->status.state) && !is_abandoned(v, t->o.id))
			strs_add(&v->abandoned, t->o.id);
}

static bool same_slot(const struct task *a, const struct task *b)
{
	if (strcmp(a->service, b->service) != 0 || task_iteration(a) != task_iteration(b))
		return false;
	return a->global ? b->global && strcmp(a->node, b->node) == 0
			 : !b->global && a->slot == b->slot;
}

static bool starts_first(const struct service *svc)
{
	return svc && svc->spec.update && svc->spec.update->order &&
	       strcmp(svc->spec.update->order, "start-first") == 0;
}

/* A task waits a minute at most for the one before it, by a clock that may have jumped. */
static bool has_waited(const struct task *t)
{
	return t->o.updated - t->o.created >= 60 * NS_PER_SEC;
}

/* A container is about to run on a node, by the store that its agent goes by. */
void check_runs(struct services *v, const struct store *view, const struct task *t)
{
	bool beside = starts_first(store_service(view, t->service)) || t->move;
	const struct task *other;
	struct store_walk w;
	unsigned others = 0;

	for (store_walk_service_tasks(&w, view, t->service); (other = store_walk_next(&w));) {
		if (other == t || has_waited(t) || !same_slot(t, other) ||
		    is_abandoned(v, other->o.id) || !agent_runs(v, other))
			continue;
		/* What is being stopped does not count beside one that may start first. */
		if (!beside || (task_is_wanted(other) && ++others > 1)) {
			sim_fail(v->sim,
				 "task %s of slot %" PRIu64 " on %s starts while %s on %s runs, "
				 "which is %s and wanted %s%s",
				 t->o.id, t->slot, t->node, other->o.id, other->node,
				 task_state_name(other->status.state),
				 task_state_name(other->desired),
				 other->evicted ? ", evicted" : "");
			return;
		}
	}
}

/* Completions */

void check_completed(struct services *v, const struct store *s, const struct task *t)
{
	const struct service *svc = store_service(s, t->service);
	const struct task *other;
	struct store_walk w;

	if (!svc || !service_is_job(&svc->spec) || is_abandoned(v, t->o.id))
		return;
	for (store_walk_service_tasks(&w, s, t->service); (other = store_walk_next(&w));)
		if (strcmp(other->o.id, t->o.id) != 0 && same_slot(t, other) &&
		    other->status.state == TASK_COMPLETE && !is_abandoned(v, other->o.id))
			sim_fail(v->sim, "slot %" PRIu64 " of job %s is completed by %s and %s",
				 t->slot, svc->spec.name, other->o.id, t->o.id);
}

/* Rollbacks */

static bool is_back(const struct service *svc)
{
	return svc->update_status && svc->update_status->state >= UPDATE_ROLLBACK_STARTED;
}

struct spec_record {
	char id[ID_CLUSTER_LEN + 1];
	struct service_spec *before; /* the last change by a user */
	struct spec_record *next;
};

static struct spec_record *record_of(struct services *v, const char *id)
{
	struct spec_record *r;

	for (r = v->specs; r; r = r->next)
		if (strcmp(r->id, id) == 0)
			return r;
	r = xcalloc(1, sizeof *r);
	memcpy(r->id, id, strlen(id) + 1);
	r->next = v->specs;
	return v->specs = r;
}

/* A rollback leads to what the service was before the user's last change, byte by byte. */
void slots_service_changed(struct services *v, const struct service *old, const struct service *new)
{
	struct spec_record *r;

	if (!old || !new || new->pending_delete ||
	    table_equal(&service_spec_table, &old->spec, &new->spec))
		return;
	r = record_of(v, new->o.id);
	if (is_back(new) && new->update_status->started == new->o.updated &&
	    (!r->before || !table_equal(&service_spec_table, r->before, &new->spec)))
		sim_fail(v->sim,
			 "the rollback of service %s leads to another specification than "
			 "it had",
			 new->spec.name);
	if (is_back(new))
		v->rollbacks++;
	table_free(&service_spec_table, r->before);
	r->before = table_dup(&service_spec_table, &old->spec);
}

void slots_free(struct services *v)
{
	while (v->specs) {
		struct spec_record *next = v->specs->next;

		table_free(&service_spec_table, v->specs->before);
		free(v->specs);
		v->specs = next;
	}
	strs_done(&v->abandoned);
}
