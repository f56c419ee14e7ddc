/*
 * `depends_on` of a service: the label by which the managers hold its tasks back (model/depends.h),
 * whether what it waits for can ever come, and the order in which a stack's services are made.
 */
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/stack_impl.h"
#include "model/depends.h"

#define MAKER(data) ((struct service_maker *)(data))

struct wish {
	enum depend_condition condition;
	bool required;
	bool restart;
};

static STACK_KEY(wish_condition)
{
	struct wish *w = data;

	if (n->type != COMPOSE_TEXT || depend_condition_parse(n->text, &w->condition) < 0)
		compose_problem(p, n,
				"condition is to be service_started, service_healthy or "
				"service_completed_successfully");
}

static STACK_KEY(wish_required)
{
	compose_bool(p, n, &((struct wish *)data)->required);
}

static STACK_KEY(wish_restart)
{
	compose_bool(p, n, &((struct wish *)data)->restart);
}

static void wish_read(struct compose_project *p, const struct compose_node *n, struct wish *w)
{
	static const struct compose_key keys[] = {
		{.name = "condition", .fn = wish_condition},
		{.name = "required", .fn = wish_required},
		{.name = "restart", .fn = wish_restart},
	};

	*w = (struct wish){.required = true};
	compose_keys(p, n, keys, ARRAY_LEN(keys), w);
}

/* One that need not be there and is not in the files is not waited for. */
static void wish_add(struct compose_project *p, const struct compose_node *n,
		     struct service_maker *m)
{
	const struct compose_node *services = compose_get(p->root, "services");
	char *longer;
	struct wish w;

	wish_read(p, n, &w);
	if (!compose_get(services, n->key)) {
		if (w.required)
			compose_problem(p, n,
					"depends_on: there is no service %s (or it is of another "
					"profile)",
					n->key);
		return;
	}
	longer = xasprintf("%s%s%s_%s:%s%s", m->depends ? m->depends : "", m->depends ? "," : "",
			   m->stack->name, n->key, depend_condition_name(w.condition),
			   w.required ? "" : ":optional");
	free(m->depends);
	m->depends = longer;
	if (w.restart)
		*LIST_ADD(&m->stack->followers) = (struct stack_follower){
			xstrdup(m->spec->name), xasprintf("%s_%s", m->stack->name, n->key)};
}

STACK_KEY(stack_depends)
{
	if (n->type != COMPOSE_MAP) {
		compose_problem(p, n, "depends_on is to be a list or a map");
		return;
	}
	if (n->n > LIMIT_DEPENDS) {
		compose_problem(p, n, "a service waits for at most %u others", LIMIT_DEPENDS);
		return;
	}
	for (size_t i = 0; i < n->n; i++)
		wish_add(p, n->v[i], MAKER(data));
}

/* The whole stack */

enum mark { UNSEEN, OPEN, DONE };

struct vertex {
	struct service_spec *spec;
	struct depends depends;
	const struct compose_node *at;
	enum mark mark;
	struct vertex *from; /* who led here */
	UT_hash_handle hh;
};

struct graph {
	struct compose_project *p;
	struct vertex *v; /* in the files' order */
	size_t n;
	struct vertex *by_name;
	struct service_spec *sorted;
	size_t n_sorted;
};

static struct vertex *vertex_find(const struct graph *g, const char *name)
{
	struct vertex *v;

	HASH_FIND(hh, g->by_name, name, strlen(name), v);
	return v;
}

/* Conditions that a service can never come to. */
static void goal_check(struct graph *g, const struct vertex *v, const struct depend *d,
		       const struct service_spec *other)
{
	const struct healthcheck *h = other->task.container->healthcheck;
	struct restart_rules rules;

	restart_rules_of(&other->task, &rules);
	if (d->condition == DEPEND_COMPLETED && !service_is_job(other) &&
	    rules.condition == RESTART_ANY)
		compose_problem(
			g->p, v->at,
			"depends_on: %s never completes, as it is started again whenever it "
			"ends: give it deploy.mode replicated-job, or the restart_policy "
			"condition none or on-failure",
			other->name);
	if (d->condition == DEPEND_HEALTHY && service_is_job(other))
		compose_problem(g->p, v->at,
				"depends_on: %s is a job: wait for "
				"service_completed_successfully",
				other->name);
	if (d->condition == DEPEND_HEALTHY && h && h->test.n && strcmp(h->test.v[0], "NONE") == 0)
		compose_problem(g->p, v->at,
				"depends_on: the health check of %s is disabled: wait for "
				"service_started",
				other->name);
}

static void cycle_tell(struct graph *g, const struct vertex *v, const struct vertex *end)
{
	auto_free char *text = xasprintf("%s -> %s", v->spec->name, end->spec->name);

	for (const struct vertex *at = v; at != end; at = at->from) {
		char *longer = xasprintf("%s -> %s", at->from->spec->name, text);

		free(text);
		text = longer;
	}
	compose_problem(g->p, end->at, "depends_on: services wait for one another: %.400s", text);
}

/* As deep as the stack has services (LIMIT_COMPOSE_SERVICES). */
static void visit(struct graph *g, struct vertex *v)
{
	v->mark = OPEN;
	for (size_t i = 0; i < v->depends.n; i++) {
		struct vertex *other = vertex_find(g, v->depends.v[i].service);

		if (!other)
			continue;
		goal_check(g, v, &v->depends.v[i], other->spec);
		if (other->mark == OPEN) {
			cycle_tell(g, v, other);
		} else if (other->mark == UNSEEN) {
			other->from = v;
			visit(g, other);
		}
	}
	v->mark = DONE;
	g->sorted[g->n_sorted++] = *v->spec;
}

void stack_depends_check(struct compose_project *p, struct stack *s)
{
	const struct compose_node *all = compose_get(p->root, "services");
	struct graph g = {.p = p, .n = s->services.n};
	struct err e = ERR_INIT;

	g.v = xcalloc(g.n + 1, sizeof *g.v);
	g.sorted = xcalloc(g.n + 1, sizeof *g.sorted);
	for (size_t i = 0; i < g.n; i++) {
		struct vertex *v = &g.v[i];
		const struct compose_node *node =
			compose_get(all, s->services.v[i].name + strlen(s->name) + 1);

		v->spec = &s->services.v[i];
		v->at = compose_get(node, "depends_on") ? compose_get(node, "depends_on") : node;
		if (depends_read(v->spec, &v->depends, &e) < 0)
			compose_problem(p, node, "%s", err_text(&e));
		HASH_ADD_KEYPTR(hh, g.by_name, v->spec->name, strlen(v->spec->name), v);
	}
	for (size_t i = 0; i < g.n; i++)
		if (g.v[i].mark == UNSEEN)
			visit(&g, &g.v[i]);
	HASH_CLEAR(hh, g.by_name);
	if (g.n)
		memcpy(s->services.v, g.sorted, g.n * sizeof *g.sorted);
	for (size_t i = 0; i < g.n; i++)
		depends_done(&g.v[i].depends);
	free(g.sorted);
	free(g.v);
}
