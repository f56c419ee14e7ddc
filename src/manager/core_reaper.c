/*
 * The reaper removes what nothing needs any more: tasks that are to be removed and have ended,
 * finished tasks beyond the history of their slot, templates without tasks, services and networks
 * marked for deletion once they are unused, the ids of removed nodes once no certificate of theirs
 * is valid any more. It never removes a task that may still run somewhere.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "manager/core_impl.h"
#include "model/schedule.h"

/* What is dirty is looked at together: when there is so much of it, or after so long. */
#define REAP_COUNT 1000
#define REAP_DELAY_NS (250 * NS_PER_MS)
/* How long an id is kept when its certificate has ended: other managers' clocks may be others. */
#define BLOCKED_SLACK_NS (24 * 3600 * NS_PER_SEC)
/* Finished tasks kept at most to count restarts within a window. */
#define REAP_RESTARTS_MAX 1000

/* How many services and tasks refer to a network. */
struct network_use {
	char *id;
	size_t n;
	UT_hash_handle hh;
};

struct core_reaper {
	struct core core;
	struct slots slots;
	struct idset tasks;     /* to be removed */
	struct idset histories; /* slots with finished tasks: "SERVICE.SLOT", "SERVICE@NODE" */
	struct idset templates; /* perhaps unused */
	struct idset services;  /* marked for deletion */
	struct idset networks;  /* marked for deletion */
	struct idset nodes;     /* gone */
	struct network_use *uses;
	int64_t due_ns;     /* when to look; 0: nothing is dirty yet */
	int64_t blocked_ns; /* when the next id of a removed node can go; INT64_MAX: none */
};

static bool task_has_ended(const struct store *s, const struct task *t)
{
	return task_is_over(t) || (t->node && !store_node(s, t->node));
}

/* Networks in use */

static void network_use_add(struct core_reaper *c, const char *id, bool add)
{
	struct network_use *use;

	if (!id)
		return;
	HASH_FIND(hh, c->uses, id, strlen(id), use);
	if (!use) {
		use = xcalloc(1, sizeof *use);
		use->id = xstrdup(id);
		HASH_ADD_KEYPTR(hh, c->uses, use->id, strlen(use->id), use);
	}
	use->n += add ? 1 : (size_t)-1;
	if (use->n)
		return;
	HASH_DEL(c->uses, use);
	free(use->id);
	free(use);
}

static bool network_is_used(const struct core_reaper *c, const char *id)
{
	struct network_use *use;

	HASH_FIND(hh, c->uses, id, strlen(id), use);
	return use != NULL;
}

/* Looking */

static void task_reap(struct core_reaper *c, struct core_step *step, const char *id)
{
	const struct task *t = store_task(step->store, id);

	if (t && t->desired == TASK_REMOVE && task_has_ended(step->store, t))
		changes_delete(step->out, &t->o);
}

/* As many as the cluster keeps; more where a restart window has to be counted in them. */
static size_t history_limit(const struct store *s, const struct task *newest)
{
	const struct service *svc = store_service(s, newest->service);
	uint64_t limit = cluster_history_kept(store_cluster(s));
	const struct template *template =
		store_template(s, newest->service, newest->template_version);
	struct restart_rules rules;

	if (!template)
		return limit;
	if (newest->iteration && svc)
		limit = MAX_OF(limit, schedule_history(&svc->spec, 0));
	restart_rules_of(&template->spec, &rules);
	if (rules.window && rules.max_attempts)
		limit = MAX_OF(limit, MIN_OF(rules.max_attempts, REAP_RESTARTS_MAX) + 1);
	return limit;
}

static bool task_is_history(const struct store *s, const struct task *t)
{
	return !task_is_wanted(t) && t->desired != TASK_REMOVE && task_has_ended(s, t);
}

static const struct slot *history_slot(const struct core_reaper *c, const char *key)
{
	size_t n = strcspn(key, ".@");
	auto_free char *service = xstrndup(key, n);

	return key[n] == '@' ? slots_at_node(&c->slots, service, key + n + 1)
			     : slots_at(&c->slots, service, strtoull(key + n + 1, NULL, 10));
}

/* The newest task of a slot stays in any case: it says that the slot has ended by its policy. */
static void history_reap(struct core_reaper *c, struct core_step *step, const char *key,
			 size_t start)
{
	const struct slot *slot = history_slot(c, key);
	size_t n = 0, limit;

	if (!slot || !slot_newest(slot))
		return;
	for (size_t i = 0; i < slot->n; i++)
		n += task_is_history(step->store, slot_task(slot, i));
	limit = history_limit(step->store, slot_newest(slot));
	for (size_t i = 0; i < slot->n && n > limit && core_fits(step, start); i++) {
		const struct task *t = slot_task(slot, i);

		if (!task_is_history(step->store, t) || t == slot_newest(slot))
			continue;
		n--;
		if (core_is_current(step, &t->o))
			changes_delete(step->out, &t->o);
	}
}

static void template_reap(struct core_step *step, const char *id)
{
	const struct template *t =
		(const struct template *)store_get(step->store, KIND_TEMPLATE, id);
	const struct service *svc = t ? store_service(step->store, t->service) : NULL;

	if (!t || (svc && svc->template_version == t->template_version))
		return;
	if (!store_template_users(step->store, t->service, t->template_version))
		changes_delete(step->out, &t->o);
}

static void service_reap(struct core_step *step, const char *id)
{
	const struct service *svc = store_service(step->store, id);

	if (svc && svc->pending_delete && !store_service_task_count(step->store, id))
		changes_delete(step->out, &svc->o);
}

static void network_reap(struct core_reaper *c, struct core_step *step, const char *id)
{
	const struct network *n = store_network(step->store, id);

	if (n && n->pending_delete && !network_is_used(c, id))
		changes_delete(step->out, &n->o);
}

static void task_mark(struct core_reaper *c, const struct store *s, const struct task *t)
{
	char key[IDSET_ID_MAX];

	if (t->desired == TASK_REMOVE) {
		if (task_has_ended(s, t))
			(void)idset_add(&c->tasks, t->o.id);
	} else if (task_is_history(s, t)) {
		if (t->global)
			(void)snprintf(key, sizeof key, "%.30s@%.30s", t->service, t->node);
		else
			(void)snprintf(key, sizeof key, "%.40s.%" PRIu64, t->service, t->slot);
		(void)idset_add(&c->histories, key);
	}
}

/* Tasks whose node was removed have ended for all that can be known. */
static void node_reap(struct core_reaper *c, struct core_step *step, const char *id)
{
	const struct task *t;
	struct store_walk w;

	if (store_node(step->store, id))
		return;
	store_walk_node_tasks(&w, step->store, id);
	while ((t = store_walk_next(&w)))
		task_mark(c, step->store, t);
}

static size_t dirty_count(const struct core_reaper *c)
{
	return idset_count(&c->tasks) + idset_count(&c->histories) + idset_count(&c->templates) +
	       idset_count(&c->services) + idset_count(&c->networks) + idset_count(&c->nodes);
}

/* Looks at one entry of the set; what needed nothing leaves it. */
static void entry_reap(struct core_reaper *c, struct idset *set, const char *id,
		       struct core_step *step, size_t start)
{
	size_t before = step->out->n;

	if (set == &c->nodes)
		node_reap(c, step, id);
	else if (set == &c->tasks)
		task_reap(c, step, id);
	else if (set == &c->histories)
		history_reap(c, step, id, start);
	else if (set == &c->services)
		service_reap(step, id);
	else if (set == &c->templates)
		template_reap(step, id);
	else
		network_reap(c, step, id);
	if (core_is_clean(step, before))
		(void)idset_remove(set, id);
}

/* When the entry can go. One whose sum has overflowed never does. */
static int64_t blocked_until(const struct blocked_node *b)
{
	return b->expiry > 0 && b->expiry < INT64_MAX - BLOCKED_SLACK_NS
		       ? b->expiry + BLOCKED_SLACK_NS
		       : INT64_MAX;
}

static void blocked_find(struct core_reaper *c, const struct cluster *cluster)
{
	c->blocked_ns = INT64_MAX;
	for (size_t i = 0; cluster && i < cluster->blocked.n; i++)
		c->blocked_ns = MIN_OF(c->blocked_ns, blocked_until(&cluster->blocked.v[i].value));
}

/* Drops the ids of removed nodes whose certificates have ended. */
static void blocked_reap(struct core_step *step)
{
	const struct cluster *old = store_cluster(step->store);
	struct cluster *new;
	size_t kept = 0;

	if (!old)
		return;
	new = object_clone(&old->o);
	for (size_t i = 0; i < new->blocked.n; i++) {
		if (blocked_until(&new->blocked.v[i].value) > step->now_ns) {
			new->blocked.v[kept++] = new->blocked.v[i];
			continue;
		}
		table_done(&blocked_node_table, &new->blocked.v[i].value);
		free(new->blocked.v[i].key);
	}
	new->blocked.n = kept;
	if (kept < old->blocked.n)
		changes_update(step->out, &old->o, &new->o, step->now_ns);
	else
		object_free(&new->o);
}

static int64_t dirty_reap(struct core_reaper *c, struct core_step *step)
{
	struct idset *const sets[] = {&c->nodes,    &c->tasks,     &c->histories,
				      &c->services, &c->templates, &c->networks};
	size_t start = step->out->n, looks = 0, n = dirty_count(c);

	if (!n) {
		c->due_ns = 0;
		return CORE_IDLE;
	}
	if (!c->due_ns)
		c->due_ns = step->now_ns + REAP_DELAY_NS;
	if (n < REAP_COUNT && step->now_ns < c->due_ns)
		return c->due_ns;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		IDSET_EACH(entry, sets[i])
		{
			if (!core_fits(step, start) || ++looks > CORE_LOOKS)
				return step->now_ns;
			entry_reap(c, sets[i], entry->id, step, start);
		}
	}
	c->due_ns = dirty_count(c) ? step->now_ns + REAP_DELAY_NS : 0;
	return c->due_ns ? c->due_ns : CORE_IDLE;
}

static int64_t reaper_step(struct core *core, struct core_step *step)
{
	struct core_reaper *c = container_of(core, struct core_reaper, core);
	int64_t next;

	if (step->now_ns >= c->blocked_ns) {
		blocked_reap(step); /* its event says when the next one can go */
		return step->now_ns;
	}
	next = dirty_reap(c, step);
	return MIN_OF(next, c->blocked_ns);
}

/* Events */

/* A network that is marked is looked at again when one of its users has gone. */
static void networks_mark(struct core_reaper *c, const struct store *s, const char *id)
{
	const struct network *n = id ? store_network(s, id) : NULL;

	if (n && n->pending_delete)
		(void)idset_add(&c->networks, id);
}

static void task_uses(struct core_reaper *c, const struct store *s, const struct task *old,
		      const struct task *new)
{
	if (new)
		LIST_EACH (a, &new->networks)
			network_use_add(c, a->network, true);
	if (old)
		LIST_EACH (a, &old->networks)
			network_use_add(c, a->network, false);
	if (old && !new)
		LIST_EACH (a, &old->networks)
			networks_mark(c, s, a->network);
}

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_reaper *c = container_of(core, struct core_reaper, core);
	char key[TEMPLATE_ID_MAX];

	task_uses(c, s, old, new);
	slots_event(&c->slots, old, new);
	if (new) {
		task_mark(c, s, new);
		return;
	}
	template_id(old->service, old->template_version, key);
	(void)idset_add(&c->templates, key);
	if (!slots_find(&c->slots, old->service))
		(void)idset_add(&c->services, old->service);
}

static void service_uses(struct core_reaper *c, const struct store *s, const struct service *old,
			 const struct service *new)
{
	if (new)
		LIST_EACH (a, &new->spec.task.networks)
			network_use_add(c, a->target, true);
	if (!old)
		return;
	LIST_EACH (a, &old->spec.task.networks)
		network_use_add(c, a->target, false);
	LIST_EACH (a, &old->spec.task.networks)
		networks_mark(c, s, a->target);
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_reaper *c = container_of(core, struct core_reaper, core);
	char key[TEMPLATE_ID_MAX];

	service_uses(c, s, old, new);
	if (new &&new->pending_delete)
		(void)idset_add(&c->services, new->o.id);
	if (old && (!new || old->template_version != new->template_version)) {
		template_id(old->o.id, old->template_version, key);
		(void)idset_add(&c->templates, key);
	}
}

static void template_event(struct core *core, const struct store *s, const struct template *old,
			   const struct template *new)
{
	struct core_reaper *c = container_of(core, struct core_reaper, core);

	if (new)
		(void)idset_add(&c->templates, new->o.id);
}

static void network_event(struct core *core, const struct store *s, const struct network *old,
			  const struct network *new)
{
	networks_mark(container_of(core, struct core_reaper, core), s, (new ? new : old)->o.id);
}

static void node_event(struct core *core, const struct store *s, const struct node *old,
		       const struct node *new)
{
	struct core_reaper *c = container_of(core, struct core_reaper, core);

	if (!new)
		(void)idset_add(&c->nodes, old->o.id);
}

/* A changed limit of the history concerns every slot; one of before is unknown at the beginning. */
static void cluster_event(struct core *core, const struct store *s, const struct cluster *old,
			  const struct cluster *new)
{
	struct core_reaper *c = container_of(core, struct core_reaper, core);
	const struct task *t;
	struct store_walk w;

	blocked_find(c, new);
	if (!old || !new || cluster_task_history(old) == cluster_task_history(new))
		return;
	store_walk_kind(&w, s, KIND_TASK);
	while ((t = store_walk_next(&w)))
		task_mark(c, s, t);
}

static void reaper_begin(struct core *core)
{
	container_of(core, struct core_reaper, core)->blocked_ns = INT64_MAX;
}

static void reaper_done(struct core *core)
{
	struct core_reaper *c = container_of(core, struct core_reaper, core);
	struct network_use *use, *next;

	HASH_ITER (hh, c->uses, use, next) {
		HASH_DEL(c->uses, use);
		free(use->id);
		free(use);
	}
	slots_done(&c->slots);
	idset_done(&c->tasks);
	idset_done(&c->histories);
	idset_done(&c->templates);
	idset_done(&c->services);
	idset_done(&c->networks);
	idset_done(&c->nodes);
}

static const struct core_class reaper_class = {
	.name = "reaper",
	.size = sizeof(struct core_reaper),
	.init = reaper_begin,
	.done = reaper_done,
	.derives = {KIND_CLUSTER, KIND_TASK, KIND_SERVICE, KIND_TEMPLATE, KIND_NETWORK},
	.cluster = cluster_event,
	.node = node_event,
	.service = service_event,
	.template = template_event,
	.task = task_event,
	.network = network_event,
	.step = reaper_step,
};

struct core *core_reaper_new(void)
{
	return core_new(&reaper_class);
}
