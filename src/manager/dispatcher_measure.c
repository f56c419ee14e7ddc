/*
 * What agents are to measure, for services that are scaled by their load: each is told of the tasks
 * that it has of such services, whenever these may have changed. What they report is collected here
 * and goes to the leader's memory, all sessions' together. See dispatcher_impl.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manager/dispatcher_impl.h"

struct load {
	struct task_load load;
	UT_hash_handle hh; /* by load.task */
};

struct loads {
	struct load *by_task;
};

static bool is_scaled(const struct service *s)
{
	return s && !s->pending_delete && s->spec.mode.replicated &&
	       autoscale_is_set(&s->spec.labels);
}

static bool is_measured(const struct task *t, const char *node)
{
	return t->node && strcmp(t->node, node) == 0 && t->status.state >= TASK_ASSIGNED &&
	       task_is_wanted(t) && !task_state_final(t->status.state);
}

void measure_service_changed(struct dispatcher *d, const struct service *old,
			     const struct service *new)
{
	const struct service *s = new ? new : old;
	const struct task *t;
	struct store_walk w;

	if (is_scaled(old) == is_scaled(new) &&
	    (!is_scaled(new) || !autoscale_differs(&old->spec.labels, &new->spec.labels)))
		return;
	store_walk_service_tasks(&w, manager_store(d->manager), s->o.id);
	while ((t = store_walk_next(&w))) {
		struct session *session = NULL;

		if (t->node)
			HASH_FIND_STR(d->sessions, t->node, session);
		if (!session || !session->opened)
			continue;
		session->measure_due = true;
		session_queue(session);
	}
}

/* The group of the task's service; its id stands in for the group's in `services`. */
static struct session_measure_group *group_of(struct session_measure *m, struct strs *services,
					      const struct service *s)
{
	struct session_measure_group *g;
	struct autoscale a;

	for (size_t i = 0; i < services->n; i++)
		if (strcmp(services->v[i], s->o.id) == 0)
			return &m->groups.v[i];
	if (autoscale_read(&s->spec.labels, &a, NULL) < 0)
		return NULL;
	strs_add(services, s->o.id);
	g = LIST_ADD(&m->groups);
	g->use = a.target[AUTOSCALE_CPU] || a.target[AUTOSCALE_MEMORY];
	if (a.metric) {
		g->metric = xstrdup(a.metric);
		g->path = xstrdup(a.path);
		g->port = a.port;
	}
	return g;
}

void session_measure_send(struct session *s)
{
	const struct store *store = manager_store(s->dispatcher->manager);
	struct session_measure m = {.period_ms = LIMIT_AUTOSCALE_MS};
	struct strs services = {0};
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	s->measure_due = false;
	store_walk_node_tasks(&w, store, s->node);
	while ((t = store_walk_next(&w)) && n < LIMIT_AUTOSCALE_LOADS) {
		const struct service *service = store_service(store, t->service);
		struct session_measure_group *g;

		if (!is_scaled(service) || !is_measured(t, s->node))
			continue;
		g = group_of(&m, &services, service);
		if (!g)
			continue;
		strs_add(&g->tasks, t->o.id);
		n++;
	}
	if (n || s->measures)
		session_send(s, SESSION_MEASURE, &session_measure_table, &m);
	s->measures = n;
	strs_done(&services);
	table_done(&session_measure_table, &m);
}

/* An agent speaks for its own tasks alone. */
static bool may_report(const struct session *s, const char *task)
{
	const struct store *store = manager_store(s->dispatcher->manager);
	const struct task *t = task ? store_task(store, task) : NULL;

	return t && is_measured(t, s->node) && is_scaled(store_service(store, t->service));
}

void session_measured(struct session *s, const struct session_measured *m)
{
	struct dispatcher *d = s->dispatcher;

	LIST_EACH (l, &m->loads) {
		struct load *one;

		if (!may_report(s, l->task))
			continue;
		if (!d->loads)
			d->loads = xcalloc(1, sizeof *d->loads);
		HASH_FIND_STR(d->loads->by_task, l->task, one);
		if (one) {
			HASH_DEL(d->loads->by_task, one);
			table_done(&task_load_table, &one->load);
		} else {
			one = xcalloc(1, sizeof *one);
		}
		table_copy(&task_load_table, &one->load, l);
		if (one->load.error && strlen(one->load.error) > LIMIT_AUTOSCALE_ERROR)
			one->load.error[LIMIT_AUTOSCALE_ERROR] = '\0';
		HASH_ADD_KEYPTR(hh, d->loads->by_task, one->load.task, strlen(one->load.task), one);
	}
}

static void load_drop(struct dispatcher *d, struct load *one)
{
	HASH_DEL(d->loads->by_task, one);
	table_done(&task_load_table, &one->load);
	free(one);
}

/* Without a leader they are lost: the next come soon, and old ones say nothing. */
void loads_send(struct dispatcher *d)
{
	while (d->loads) {
		struct control_request r = {.op = CONTROL_TASKS_MEASURED};
		struct load *one, *next;

		HASH_ITER (hh, d->loads->by_task, one, next) {
			if (r.loads.n == LIMIT_AUTOSCALE_LOADS)
				break;
			HASH_DEL(d->loads->by_task, one);
			*LIST_ADD(&r.loads) = one->load; /* moved */
			free(one);
		}
		(void)manager_control(d->manager, &r, NULL, NULL);
		LIST_EACH (l, &r.loads)
			table_done(&task_load_table, l);
		free(r.loads.v);
		if (!d->loads->by_task)
			free(TAKE_PTR(d->loads));
	}
}

void loads_clear(struct dispatcher *d)
{
	while (d->loads && d->loads->by_task)
		load_drop(d, d->loads->by_task);
	free(TAKE_PTR(d->loads));
}
