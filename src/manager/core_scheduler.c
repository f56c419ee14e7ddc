/*
 * Feeds placement (scheduler/): tells it of nodes and of what tasks hold there, gathers PENDING
 * tasks by template, and writes where they go, or in Status.Err why they cannot. Tasks that fit
 * nowhere wait until a node or what is free on it has changed.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "manager/core_holds.h"
#include "manager/core_impl.h"
#include "manager/service_depends.h"

/* Groups that fit nowhere are tried again at most so often, in ns. */
#define RETRY_NS (100 * NS_PER_MS)

/* The pending tasks of one template. */
struct pending_group {
	char *key;
	struct idset tasks;
	char *said; /* the explanation that all of them have; NULL: not all, or none */
	UT_hash_handle hh;
};

struct core_scheduler {
	struct core core;
	struct scheduler *s;
	struct pending_group *groups;
	struct idset fresh; /* groups to be placed */
	bool freed;         /* something has changed that may let a waiting group in */
	int64_t retry_ns;   /* not before */
};

/* Pending tasks */

static bool task_is_pending(const struct task *t)
{
	return t && t->status.state == TASK_PENDING && task_is_wanted(t);
}

static struct pending_group *group_find(const struct core_scheduler *c, const char *key)
{
	struct pending_group *g;

	HASH_FIND(hh, c->groups, key, strlen(key), g);
	return g;
}

static void group_free(struct core_scheduler *c, struct pending_group *g)
{
	HASH_DEL(c->groups, g);
	(void)idset_remove(&c->fresh, g->key);
	idset_done(&g->tasks);
	free(g->said);
	free(g->key);
	free(g);
}

static void pending_add(struct core_scheduler *c, const struct task *t)
{
	char key[TEMPLATE_ID_MAX];
	struct pending_group *g;

	template_id(t->service, t->template_version, key);
	g = group_find(c, key);
	if (!g) {
		g = xcalloc(1, sizeof *g);
		g->key = xstrdup(key);
		HASH_ADD_KEYPTR(hh, c->groups, g->key, strlen(g->key), g);
	}
	if (!idset_add(&g->tasks, t->o.id))
		return;
	str_set(&g->said, NULL);
	(void)idset_add(&c->fresh, key);
}

static void pending_remove(struct core_scheduler *c, const struct task *t)
{
	char key[TEMPLATE_ID_MAX];
	struct pending_group *g;

	template_id(t->service, t->template_version, key);
	g = group_find(c, key);
	if (g && idset_remove(&g->tasks, t->o.id) && !idset_count(&g->tasks))
		group_free(c, g);
}

/* What tasks hold */

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_scheduler *c = container_of(core, struct core_scheduler, core);
	struct sched_group held, holds;
	bool was_active = false, is_active = false;
	bool had = core_task_holds(s, old, &held, &was_active);
	bool has = core_task_holds(s, new, &holds, &is_active);

	if (had && has && was_active == is_active)
		return; /* nearly every report of an agent */
	if (has)
		scheduler_hold(c->s, &holds, new->node, is_active);
	if (had)
		scheduler_release(c->s, &held, old->node, was_active);
	c->freed |= had;
	/* Also what one has failed that left its node before this manager led. */
	if (new &&task_state_final(new->status.state) &&
	    !(old && task_state_final(old->status.state)))
		core_task_failed(c->s, new);
	if (task_is_pending(old) && !task_is_pending(new))
		pending_remove(c, old);
	if (task_is_pending(new))
		pending_add(c, new);
}

/* Placing */

static void task_assign(struct core_step *step, const struct task *t, const char *node,
			const struct generics *given)
{
	struct task *new = core_task_status(step, t, WRITER_SCHEDULER, TASK_ASSIGNED,
					    "scheduler assigned task to node", NULL);

	str_set(&new->node, node);
	generics_done(&new->generic);
	generics_add(&new->generic, given);
	changes_update(step->out, &t->o, &new->o, step->now_ns);
}

static void task_explain(struct core_step *step, const struct task *t, const char *why)
{
	struct task *new;

	if (t->status.err && strcmp(t->status.err, why) == 0)
		return;
	new = core_task_status(step, t, WRITER_SCHEDULER, TASK_PENDING, t->status.message, why);
	changes_update(step->out, &t->o, &new->o, step->now_ns);
}

/* A task whose node is given (a global service's) goes there or nowhere. */
static void task_place_on(struct core_scheduler *c, struct core_step *step,
			  const struct sched_group *g, const struct task *t)
{
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);

	if (scheduler_place_on(c->s, g, t->node, &why))
		task_assign(step, t, t->node, scheduler_given(c->s, 0));
	else
		task_explain(step, t, buf_text(&why));
}

/*
 * Tells all that wait, over as many steps as that takes; again only when the reason is another.
 * Those whose node is given have reasons of their own, unless `with_node`.
 */
static void group_explain(struct pending_group *p, struct core_step *step, const char *why,
			  bool with_node, size_t start)
{
	size_t before = step->out->n;

	if (p->said && strcmp(p->said, why) == 0)
		return;
	IDSET_EACH(entry, &p->tasks)
	{
		const struct task *t = store_task(step->store, entry->id);

		if (!core_fits(step, start))
			return;
		if (task_is_pending(t) && (with_node || !t->node))
			task_explain(step, t, why);
	}
	if (step->out->n == before)
		str_set(&p->said, why);
}

static void tasks_place(struct core_scheduler *c, struct core_step *step,
			const struct sched_group *g, struct pending_group *p,
			const struct task **tasks, size_t n, size_t start)
{
	auto_free const char **ids = xcalloc(n, sizeof(char *));
	auto_free const char **nodes = xcalloc(n, sizeof(char *));
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);
	char first[48];
	size_t placed;

	for (size_t i = 0; i < n; i++)
		ids[i] = tasks[i]->o.id;
	/* Among equal nodes the slot decides, and not chance: a plan is to say which. */
	(void)snprintf(first, sizeof first, "%" PRIu64 ".%" PRIu64, tasks[0]->slot,
		       tasks[0]->restarts);
	ids[0] = first;
	placed = scheduler_place(c->s, g, ids, n, step->now_ns, nodes, &why);
	for (size_t i = 0; i < placed && changes_fit(step->out); i++)
		task_assign(step, tasks[i], nodes[i], scheduler_given(c->s, i));
	if (placed == 0) /* those behind learn it when those before have left */
		group_explain(p, step, buf_text(&why), false, start);
}

/* Whether the service waits for others (service_depends.h): its tasks are told so. */
static bool group_is_held(struct core_step *step, struct pending_group *p,
			  const struct template *template, size_t start)
{
	const struct service *svc = store_service(step->store, template->service);
	auto_free char *why = NULL;

	if (!svc || !service_holds(svc, template->template_version))
		return false;
	if (svc->gate && svc->gate->waits) {
		why = xasprintf("waiting %s", svc->gate->waits);
		group_explain(p, step, why, true, start);
	}
	return true;
}

/* Those with a node first, as nobody else can take their place. */
static void group_place(struct core_scheduler *c, struct core_step *step, struct pending_group *p,
			size_t start)
{
	const struct template *template =
		(const struct template *)store_get(step->store, KIND_TEMPLATE, p->key);
	const size_t some = MIN_OF(idset_count(&p->tasks), (size_t)CORE_SLICE);
	auto_free const struct task **tasks = xcalloc(some, sizeof(struct task *));
	struct sched_group g;
	size_t n = 0;

	if (!template || group_is_held(step, p, template, start))
		return;
	g = (struct sched_group){.service = template->service,
				 .template_version = template->template_version,
				 .spec = &template->spec,
				 .endpoint = template->endpoint};
	IDSET_EACH(entry, &p->tasks)
	{
		const struct task *t = store_task(step->store, entry->id);

		if (n == some || !core_fits(step, start))
			break;
		if (!task_is_pending(t))
			continue;
		if (t->node)
			task_place_on(c, step, &g, t);
		else
			tasks[n++] = t;
	}
	if (n)
		tasks_place(c, step, &g, p, tasks, n, start);
}

static void waiting_wake(struct core_scheduler *c, int64_t now_ns)
{
	struct pending_group *g, *next;

	if (!c->freed || now_ns < c->retry_ns)
		return;
	c->freed = false;
	c->retry_ns = now_ns + RETRY_NS;
	HASH_ITER (hh, c->groups, g, next)
		(void)idset_add(&c->fresh, g->key);
}

static int64_t scheduler_step(struct core *core, struct core_step *step)
{
	struct core_scheduler *c = container_of(core, struct core_scheduler, core);
	size_t start = step->out->n, looks = 0;

	waiting_wake(c, step->now_ns);
	IDSET_EACH(entry, &c->fresh)
	{
		struct pending_group *g = group_find(c, entry->id);
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++looks > CORE_LOOKS / 50)
			break;
		group_place(c, step, g, start);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->fresh, entry->id);
	}
	scheduler_rollback(c->s);
	if (idset_count(&c->fresh))
		return step->now_ns;
	return c->groups && c->freed ? c->retry_ns : CORE_IDLE;
}

/* Events */

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_scheduler *c = container_of(core, struct core_scheduler, core);
	struct pending_group *g, *next;
	size_t len;

	if (!old || !new || (!service_is_held(old) && !service_is_held(new)))
		return;
	len = strlen(old->o.id);
	HASH_ITER (hh, c->groups, g, next)
		if (strncmp(g->key, old->o.id, len) == 0 && g->key[len] == '.')
			(void)idset_add(&c->fresh, g->key);
}

static void node_event(struct core *core, const struct store *s, const struct node *old,
		       const struct node *new)
{
	struct core_scheduler *c = container_of(core, struct core_scheduler, core);

	if (new)
		scheduler_node_set(c->s, new);
	else
		scheduler_node_remove(c->s, old->o.id);
	c->freed = true;
}

static void scheduler_begin(struct core *core)
{
	container_of(core, struct core_scheduler, core)->s = scheduler_new();
}

static void scheduler_end(struct core *core)
{
	struct core_scheduler *c = container_of(core, struct core_scheduler, core);
	struct pending_group *g, *next;

	HASH_ITER (hh, c->groups, g, next)
		group_free(c, g);
	idset_done(&c->fresh);
	scheduler_free(c->s);
}

/* Nothing was freed. */
static void scheduler_derived(struct core *core, const struct store *s)
{
	(void)s;
	container_of(core, struct core_scheduler, core)->freed = false;
}

static const struct core_class scheduler_class = {
	.name = "scheduler",
	.size = sizeof(struct core_scheduler),
	.init = scheduler_begin,
	.done = scheduler_end,
	.derives = {KIND_NODE, KIND_TASK},
	.derived = scheduler_derived,
	.task = task_event,
	.node = node_event,
	.service = service_event,
	.step = scheduler_step,
};

struct core *core_scheduler_new(void)
{
	return core_new(&scheduler_class);
}
