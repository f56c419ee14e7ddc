/*
 * What a plan has come to: the wanted tasks of each service before and after, place by place. See
 * plan.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manager/plan_impl.h"

/* What stands for each place, in their order; free with free(). */
static const struct task **places_of(const struct store *s, const char *service, size_t *ret_n)
{
	const struct task **v = xcalloc(store_service_task_count(s, service) + 1, sizeof *v);
	const struct service *svc = store_service(s, service);
	const struct task *t;
	struct store_walk w;
	size_t n = 0, kept = 0;

	store_walk_service_tasks(&w, s, service);
	while ((t = store_walk_next(&w)))
		if (svc && task_is_wanted(t) && task_iteration(t) == service_iteration(svc))
			v[n++] = t;
	qsort(v, n, sizeof *v, task_by_place);
	for (size_t i = 0; i < n; i++) {
		if (kept && task_same_place(v[i], v[kept - 1]))
			v[kept - 1] = v[i];
		else
			v[kept++] = v[i];
	}
	*ret_n = kept;
	return v;
}

static void node_name(const struct store *s, const struct task *t, char **ret_id, char **ret_name)
{
	const struct node *n = t->node ? store_node(s, t->node) : NULL;

	str_set(ret_id, t->node);
	str_set(ret_name, n ? n->description.hostname : NULL);
}

static bool has_no_place(const struct task *t)
{
	return t->status.state < TASK_ASSIGNED;
}

/* `old` or `new` may be NULL. */
static void task_report(const struct plan *p, const struct task *old, const struct task *new,
			struct plan_service *ret, struct plan_task *row)
{
	bool same = old && new &&strcmp(old->o.id, new->o.id) == 0;
	enum plan_action action = same         ? PLAN_STAY
				  : old && new ? PLAN_REPLACE
				  : new        ? PLAN_CREATE
					       : PLAN_REMOVE;

	ret->stay += action == PLAN_STAY;
	ret->replace += action == PLAN_REPLACE;
	ret->create += action == PLAN_CREATE;
	ret->remove += action == PLAN_REMOVE;
	ret->waiting += new &&has_no_place(new);
	if (!row)
		return;
	row->action = action;
	if (old) {
		row->slot = old->slot;
		row->task = xstrdup(old->o.id);
		node_name(p->before, old, &row->from, &row->from_hostname);
	}
	if (new) {
		row->slot = new->slot;
		node_name(p->store, new, &row->to, &row->to_hostname);
		if (has_no_place(new))
			str_set(&row->err, new->status.err ? new->status.err : "it is not placed");
	}
}

static void tasks_report(const struct plan *p, const char *id, struct plan_service *ret,
			 size_t *room, bool *ret_truncated)
{
	size_t n_old, n_new, i = 0, j = 0;
	const struct task **old = places_of(p->before, id, &n_old);
	const struct task **new = places_of(p->store, id, &n_new);

	while (i < n_old || j < n_new) {
		const struct task *a = i < n_old ? old[i] : NULL, *b = j < n_new ? new[j] : NULL;

		if (a && b && !task_same_place(a, b)) {
			if (task_by_place(&a, &b) < 0)
				b = NULL;
			else
				a = NULL;
		}
		*ret_truncated |= *room == 0;
		task_report(p, a, b, ret, *room ? LIST_ADD(&ret->tasks) : NULL);
		*room -= *room > 0;
		i += a != NULL;
		j += b != NULL;
	}
	free(old);
	free(new);
}

static const char *action_of(const struct service *old, const struct service *new)
{
	if (!old)
		return "create";
	if (!new || new->pending_delete)
		return "remove";
	return old->spec_version == new->spec_version ? "none" : "update";
}

static void service_report(const struct plan *p, const char *id, struct plan_report *ret,
			   size_t *room)
{
	const struct service *old = store_service(p->before, id);
	const struct service *new = store_service(p->store, id);
	struct plan_service *row = LIST_ADD(&ret->services);

	if (old)
		row->id = xstrdup(id);
	row->name = xstrdup((old ? old : new)->spec.name);
	row->action = xstrdup(action_of(old, new));
	if (new &&new->update_status && strcmp(row->action, "update") == 0) {
		row->update_state = xstrdup(update_state_name(new->update_status->state));
		str_set(&row->message, new->update_status->message);
	}
	tasks_report(p, id, row, room, &ret->truncated);
}

void plan_report_make(const struct plan *p, struct plan_report *ret)
{
	size_t room = LIMIT_PLAN_TASKS;

	*ret = (struct plan_report){.index = plan_index(p->before, &p->services),
				    .complete = p->complete,
				    .duration = p->now - p->start};
	STRS_EACH (id, &p->services)
		service_report(p, id, ret, &room);
}
