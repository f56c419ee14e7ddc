/*
 * Secrets and configs of the services workload: users that make and remove them, agents that wait
 * for those of their tasks, and that none reaches a node which has no task for it or is left once
 * it was removed. See sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manager/secret_use.h"

static enum object_kind kind_of(unsigned place)
{
	return place % 2 ? KIND_CONFIG : KIND_SECRET;
}

static const struct object *any_secret(struct services *v, const struct store *view,
				       unsigned *ret_place, char ret_name[8])
{
	*ret_place = (unsigned)sim_random(v->sim, SVC_SECRETS);
	(void)snprintf(ret_name, 8, "sec%u", *ret_place);
	return store_named(view, kind_of(*ret_place), ret_name);
}

/* Users */

struct call *secret_call(struct services *v, const struct store *view)
{
	char name[8];
	unsigned place;
	const struct object *old = any_secret(v, view, &place, name);
	struct secret_spec *spec;
	struct call *call;

	if (old && sim_once_in(v->sim, 4)) {
		call = call_new(v, CONTROL_SECRET_UPDATE);
		call->request.version = old->version.index;
		spec = call->request.secret =
			table_dup(&secret_spec_table, &((const struct secret *)old)->spec);
	} else if (old) {
		call = call_new(v, CONTROL_SECRET_REMOVE);
	} else {
		call = call_new(v, CONTROL_SECRET_CREATE);
		spec = call->request.secret = xcalloc(1, sizeof *spec);
		spec->name = xstrdup(name);
		spec->data.n = 1 + sim_random(v->sim, 40);
		spec->data.p = xcalloc(1, spec->data.n);
		memset(spec->data.p, 'x', spec->data.n);
	}
	if (old)
		call->request.id = xstrdup(old->id);
	call->request.kind = kind_of(place);
	return call;
}

/* Adds a file of one that is there, or takes all away. */
void secrets_choose(struct services *v, const struct store *view, struct container_spec *c)
{
	char name[8];
	unsigned place;
	const struct object *o = any_secret(v, view, &place, name);
	struct file_target target = {.name = name, .mode = 0400};

	if (c->secrets.n || c->configs.n) {
		LIST_EACH (r, &c->secrets)
			table_done(&secret_ref_table, r);
		LIST_EACH (r, &c->configs)
			table_done(&config_ref_table, r);
		c->secrets.n = c->configs.n = 0;
	} else if (o && kind_of(place) == KIND_SECRET) {
		struct secret_ref *r = LIST_ADD(&c->secrets);

		r->id = xstrdup(o->id);
		r->name = xstrdup(name);
		r->file = table_dup(&file_target_table, &target);
	} else if (o) {
		struct config_ref *r = LIST_ADD(&c->configs);

		r->id = xstrdup(o->id);
		r->name = xstrdup(name);
		r->file = table_dup(&file_target_table, &target);
	}
}

/* Agents */

static void add_once(struct strs *list, const char *id)
{
	STRS_EACH (have, list)
		if (strcmp(have, id) == 0)
			return;
	strs_add(list, id);
}

static bool has(const struct strs *list, const char *id)
{
	STRS_EACH (have, list)
		if (strcmp(have, id) == 0)
			return true;
	return false;
}

struct needs {
	struct strs *list;
	const struct strs *held;
	bool all_held;
};

static void on_need(void *arg, const char *id)
{
	struct needs *n = arg;

	if (n->list)
		add_once(n->list, id);
	n->all_held = n->all_held && (!n->held || has(n->held, id));
}

bool secrets_are_held(const struct agent_secrets *a, const struct store *view, const struct task *t)
{
	struct needs n = {.held = &a->held, .all_held = true};

	secrets_of_task(view, t, t->node, on_need, &n);
	return n.all_held;
}

/* What the dispatcher ought to have found out, in other words: from the services' side. */
static bool may_have(const struct store *view, const char *node, const char *id)
{
	const struct template *tpl;
	const struct task *t;
	struct store_walk w;
	bool uses = false;

	for (store_walk_kind(&w, view, KIND_TASK); (t = store_walk_next(&w));) {
		if (!t->node || strcmp(t->node, node) != 0 || t->desired > TASK_COMPLETE ||
		    t->status.state < TASK_ASSIGNED || t->status.state > TASK_RUNNING)
			continue;
		tpl = store_template(view, t->service, t->template_version);
		LIST_EACH (r, &tpl->spec.container->secrets)
			uses |= strcmp(r->id, id) == 0;
		LIST_EACH (r, &tpl->spec.container->configs)
			uses |= strcmp(r->id, id) == 0;
	}
	return uses;
}

/* One of what is on its way arrives: decided when it leaves, as streams are slow. */
static void deliver(struct services *v, struct agent_secrets *a, const char *node,
		    const struct store *view)
{
	auto_free char *id = NULL;

	if (!a->asked.n || sim_once_in(v->sim, 3))
		return;
	id = a->asked.v[--a->asked.n];
	if (!secret_is_for(view, node, id))
		return;
	if (!may_have(view, node, id))
		sim_fail(v->sim, "secret %s goes to node %s, where no task uses it", id, node);
	if (store_get(view, KIND_SECRET, id) || store_get(view, KIND_CONFIG, id))
		add_once(&a->held, id);
}

void secrets_turn(struct services *v, struct agent_secrets *a, const char *node,
		  const struct store *view)
{
	struct needs n = {.list = &a->asked};
	const struct task *t;
	struct store_walk w;

	for (store_walk_node_tasks(&w, view, node); (t = store_walk_next(&w));)
		if (!secrets_are_held(a, view, t))
			secrets_of_task(view, t, node, on_need, &n);
	deliver(v, a, node, view);
}

void secrets_forget(struct agent_secrets *a)
{
	strs_done(&a->asked);
	strs_done(&a->held);
}

/* Checks */

void check_secrets(struct sim *sim, const struct store *s)
{
	const struct service *svc;
	struct store_walk w;

	for (store_walk_kind(&w, s, KIND_SERVICE); (svc = store_walk_next(&w));) {
		const struct container_spec *c = svc->spec.task.container;

		if (svc->pending_delete)
			continue;
		LIST_EACH (r, &c->secrets)
			if (!store_get(s, KIND_SECRET, r->id))
				sim_fail(sim, "service %s uses secret %s, which is gone",
					 svc->spec.name, r->id);
		LIST_EACH (r, &c->configs)
			if (!store_get(s, KIND_CONFIG, r->id))
				sim_fail(sim, "service %s uses config %s, which is gone",
					 svc->spec.name, r->id);
	}
}
