/*
 * The constraint enforcer: when a node changes, tasks on it that its labels, role or resources no
 * longer allow are rejected; the restart supervisor then finds them another place. Only nodes that
 * take tasks are judged: a drained or down one is left altogether, a paused one is left alone.
 * Constraints are those that the service has now, but for tasks that an update has yet to replace:
 * a service's own change is no cause, the update replaces its tasks in its own time.
 */
#include <string.h>

#include "manager/core_impl.h"
#include "model/task_rights.h"
#include "scheduler/constraint.h"

struct core_enforcer {
	struct core core;
	struct idset nodes; /* dirty */
};

static bool awaits_update(const struct service *svc, const struct task *t)
{
	return t->template_version != svc->template_version && update_is_open(svc->update_status);
}

static bool constraints_hold(const struct store *s, const struct node *n, const struct task *t,
			     const struct template *template)
{
	const struct service *svc = store_service(s, t->service);
	const struct placement *p =
		svc && !awaits_update(svc, t) ? svc->spec.task.placement : template->spec.placement;
	struct constraints c;
	bool ret;

	if (!p || !p->constraints.n || constraints_parse(&p->constraints, &c, NULL) < 0)
		return true;
	ret = constraints_match(&c, n);
	constraints_done(&c);
	return ret;
}

/* Whether the node's operator permits still what the task asks for. */
static bool rights_hold(const struct node *n, const struct template *template)
{
	const struct node_description *d = &n->description;
	struct task_rights rights;
	bool ret;

	if (!template->spec.container ||
	    task_rights_read(&template->spec.container->labels, &rights, NULL) < 0)
		return true;
	ret = (!rights.privileged || d->privileged_tasks) &&
	      !task_rights_device_missing(&rights, d->privileged_tasks, &d->task_devices);
	task_rights_done(&rights);
	return ret;
}

/* Takes what the task has reserved from what is left; false when it is not there. */
static bool resources_take(struct resources *left, const struct task *t,
			   const struct template *template)
{
	const struct resource_needs *needs = template->spec.resources;
	const struct resources *r = needs ? needs->reservations : NULL;

	if (!generics_take(&left->generic, &t->generic))
		return false;
	if (!r)
		return true;
	if ((r->nano_cpus > 0 && left->nano_cpus < r->nano_cpus) ||
	    (r->memory > 0 && left->memory < r->memory))
		return false;
	left->nano_cpus -= r->nano_cpus;
	left->memory -= r->memory;
	return true;
}

/* The older task stays when there is not enough for both. */
static int by_age(const void *pa, const void *pb)
{
	const struct task *a = *(const struct task *const *)pa,
			  *b = *(const struct task *const *)pb;

	if (a->o.created != b->o.created)
		return a->o.created < b->o.created ? -1 : 1;
	return strcmp(a->o.id, b->o.id);
}

static bool task_is_judged(const struct task *t)
{
	return t->status.state >= TASK_ASSIGNED && t->status.state <= TASK_RUNNING &&
	       task_is_wanted(t);
}

/* The node's tasks by age; free with free(). */
static const struct task **tasks_of(const struct store *s, const char *node, size_t *ret_n)
{
	const struct task **v = xcalloc(store_node_task_count(s, node), sizeof(struct task *));
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_node_tasks(&w, s, node);
	while ((t = store_walk_next(&w)))
		if (task_is_judged(t))
			v[n++] = t;
	qsort(v, n, sizeof(struct task *), by_age);
	*ret_n = n;
	return v;
}

static void task_reject(struct core_step *step, const struct task *t)
{
	struct task *new = core_task_status(step, t, WRITER_ENFORCER, TASK_REJECTED,
					    "task rejected by constraint enforcer",
					    "assigned node no longer meets constraints");

	new->evicted = true;
	changes_update(step->out, &t->o, &new->o, step->now_ns);
}

/* Returns how many tasks it looked at. */
static size_t node_judge(struct core_step *step, const char *id, size_t start)
{
	const struct node *n = store_node(step->store, id);
	auto_free const struct task **tasks = NULL;
	struct resources left;
	size_t count = 0;

	if (!n || n->status.state != NODE_READY || n->spec.availability != AVAILABILITY_ACTIVE)
		return 0;
	table_copy(&resources_table, &left, &n->description.resources);
	tasks = tasks_of(step->store, id, &count);
	for (size_t i = 0; i < count && core_fits(step, start); i++) {
		const struct template *template =
			store_template(step->store, tasks[i]->service, tasks[i]->template_version);

		if (template &&
		    (!constraints_hold(step->store, n, tasks[i], template) ||
		     !rights_hold(n, template) || !resources_take(&left, tasks[i], template)))
			task_reject(step, tasks[i]);
	}
	table_done(&resources_table, &left);
	return count;
}

static int64_t enforcer_step(struct core *core, struct core_step *step)
{
	struct core_enforcer *c = container_of(core, struct core_enforcer, core);
	size_t start = step->out->n, looks = 0;

	IDSET_EACH(entry, &c->nodes)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || looks > CORE_LOOKS / 5)
			return step->now_ns;
		looks += 1 + node_judge(step, entry->id, start);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->nodes, entry->id);
	}
	return idset_count(&c->nodes) ? step->now_ns : CORE_IDLE;
}

/* Whether anything changed that a constraint or a reservation can be about. */
static bool node_differs(const struct node *a, const struct node *b)
{
	return !table_equal(&node_spec_table, &a->spec, &b->spec) ||
	       !table_equal(&node_description_table, &a->description, &b->description) ||
	       !table_equal(&node_status_table, &a->status, &b->status);
}

static void node_event(struct core *core, const struct store *s, const struct node *old,
		       const struct node *new)
{
	struct core_enforcer *c = container_of(core, struct core_enforcer, core);

	if (new && (!old || node_differs(old, new)))
		(void)idset_add(&c->nodes, new->o.id);
}

static void enforcer_done(struct core *core)
{
	struct core_enforcer *c = container_of(core, struct core_enforcer, core);

	idset_done(&c->nodes);
}

static const struct core_class enforcer_class = {
	.name = "enforcer",
	.size = sizeof(struct core_enforcer),
	.done = enforcer_done,
	.derives = {KIND_NODE},
	.node = node_event,
	.step = enforcer_step,
};

struct core *core_enforcer_new(void)
{
	return core_new(&enforcer_class);
}
