/*
 * Which task a user means by "SERVICE.SLOT" and the like. See task_exec.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "manager/control.h"
#include "manager/store.h"
#include "manager/task_exec.h"

/* "SERVICE.PLACE", or "SERVICE.PLACE.ID" as containers are called. */
struct target {
	const struct service *service;
	const char *place;
	uint64_t slot;           /* of one whose place is a number */
	const struct node *node; /* or the node that it names */
	bool numbered;
};

static bool node_is(const struct node *n, const char *name)
{
	return strcmp(n->o.id, name) == 0 ||
	       (n->description.hostname && strcmp(n->description.hostname, name) == 0) ||
	       (n->spec.name && strcmp(n->spec.name, name) == 0);
}

/* -EINVAL when several nodes have the name. */
static int node_named(const struct store *store, const char *name, const struct node **ret,
		      struct err *e)
{
	const struct node *n;
	struct store_walk w;

	*ret = NULL;
	store_walk_kind(&w, store, KIND_NODE);
	while ((n = store_walk_next(&w))) {
		if (!node_is(n, name))
			continue;
		if (*ret)
			return err_set(e, -EINVAL,
				       "several nodes are called %.64s: name the node by its id",
				       name);
		*ret = n;
	}
	return 0;
}

static bool is_of(const struct target *t, const struct task *task)
{
	if (t->node)
		return task->node && strcmp(task->node, t->node->o.id) == 0;
	return t->numbered && !task->global && task->slot == t->slot;
}

/* Running before not running, wanted before what is to go, newer before older. */
static bool is_better(const struct task *a, const struct task *b)
{
	bool a_runs = a->status.state == TASK_RUNNING, b_runs = b->status.state == TASK_RUNNING;

	if (a_runs != b_runs)
		return a_runs;
	if (task_is_wanted(a) != task_is_wanted(b))
		return task_is_wanted(a);
	return a->o.created > b->o.created;
}

static int place_missing(const struct target *t, struct err *e)
{
	const char *name = t->service->spec.name;

	if (t->service->spec.mode.global || t->service->spec.mode.global_job)
		return err_set(e, -ENOENT,
			       "global service %s has no task on a node %.64s: its tasks are "
			       "%s.NODE, see \"service ps %s\"",
			       name, t->place, name, name);
	return err_set(e, -ENOENT,
		       "service %s has no slot %.64s: its tasks are %s.SLOT, see \"service ps %s\"",
		       name, t->place, name, name);
}

static int place_find(const struct store *store, const struct target *t, const struct task **ret,
		      struct err *e)
{
	const struct task *task, *best = NULL;
	struct store_walk w;

	store_walk_service_tasks(&w, store, t->service->o.id);
	while ((task = store_walk_next(&w)))
		if (is_of(t, task) && (!best || is_better(task, best)))
			best = task;
	if (!best)
		return place_missing(t, e);
	*ret = best;
	return 0;
}

/* "web.1.ID" names a task by the id at its end. */
static const struct task *task_at_end(const struct store *store, const char *place)
{
	const char *dot = strrchr(place, '.');

	return dot && strlen(dot + 1) == ID_CLUSTER_LEN ? store_task(store, dot + 1) : NULL;
}

int task_exec_target(const struct store *store, const char *ref, const struct task **ret,
		     struct err *e)
{
	const char *dot = strchr(ref, '.');
	auto_free char *name = dot ? xstrndup(ref, (size_t)(dot - ref)) : NULL;
	const struct object *o;
	struct target t = {0};
	char *end;
	int rc;

	if (!dot) {
		rc = control_find(store, KIND_TASK, ref, &o, e);
		if (rc == 0)
			*ret = (const struct task *)o;
		return rc;
	}
	rc = control_find(store, KIND_SERVICE, name, &o, e);
	if (rc < 0)
		return rc;
	t.service = (const struct service *)o;
	t.place = dot + 1;
	*ret = task_at_end(store, t.place);
	if (*ret && strcmp((*ret)->service, o->id) == 0)
		return 0;
	t.slot = strtoull(t.place, &end, 10);
	t.numbered = *t.place >= '0' && *t.place <= '9' && !*end;
	rc = node_named(store, t.place, &t.node, e);
	return rc < 0 ? rc : place_find(store, &t, ret, e);
}
