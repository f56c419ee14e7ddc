/*
 * A cluster in memory for tests of the cores: the real store, all cores, a clock that only moves
 * when told, and nodes whose agents are a few lines here. After every batch the rules must hold
 * (cores_rules.h). Nothing here knows how a core works.
 */
#pragma once

#include "unit/manager/cores_rules.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "manager/core.h"
#include "manager/measures.h"
#include "manager/service_spec.h"

enum which_core {
	REPLICATED,
	REBALANCE,
	GLOBAL,
	JOB,
	UPDATE,
	CRON,
	RESTART,
	DEPENDS,
	ALLOCATOR,
	SCHEDULER,
	ENFORCER,
	REAPER,
	AUTOSCALE,
	CORES
};

#define GIB (1LL << 30)
#define CPU NS_PER_SEC

struct cores {
	struct store *store;
	struct core *core[CORES];
	struct measures measures; /* the leader's */
	struct store_watch watch;
	int64_t now;
	uint64_t ids;
	uint64_t versions; /* of specs and templates */
	uint64_t random;
	size_t batches, changes; /* made by cores */
	struct strs addresses;   /* scratch of the checks */
	bool many_leaders;       /* each batch of a core is followed by a new leader */
	/* What the agents do next: a state, by default RUNNING, and a job's then COMPLETE. */
	enum task_state (*fate)(struct cores *c, const struct task *t);
};

static inline uint64_t cores_random(struct cores *c, uint64_t below)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return c->random % below;
}

static inline void cores_new_id(void *arg, char ret[ID_CLUSTER_LEN + 1])
{
	struct cores *c = arg;

	/* The order of ids says nothing about the order of creation. */
	(void)snprintf(ret, ID_CLUSTER_LEN + 1, "%05" PRIx64 "%020" PRIu64,
		       (c->ids + 1) * 0x9e3779b97f4a7c15u >> 44, c->ids + 1);
	c->ids++;
}

/* The cluster */

static inline void cores_changed(void *arg, const struct object *old, const struct object *new)
{
	struct cores *c = arg;

	if ((new ? new : old)->kind == KIND_TASK)
		check_task(c->store, (const struct task *)old, (const struct task *)new);
	for (int i = 0; i < CORES; i++)
		core_event(c->core[i], c->store, old, new);
}

static inline void cores_reset(struct cores *c)
{
	for (int i = 0; i < CORES; i++)
		core_reset(c->core[i], c->store);
}

static inline struct cores *cores_new(uint64_t seed)
{
	struct core *(*const makers[CORES])(void) = {
		core_replicated_new, core_rebalance_new, core_global_new,   core_job_new,
		core_update_new,     core_cron_new,      core_restart_new,  core_depends_new,
		core_allocator_new,  core_scheduler_new, core_enforcer_new, core_reaper_new,
		core_autoscale_new,
	};
	struct cores *c = xcalloc(1, sizeof *c);

	c->store = store_new();
	c->random = seed * 0x9e3779b97f4a7c15u + 1;
	c->now = 1700000000 * NS_PER_SEC;
	for (int i = 0; i < CORES; i++)
		c->core[i] = makers[i]();
	c->watch.changed = cores_changed;
	c->watch.arg = c;
	store_watch_add(c->store, &c->watch);
	cores_reset(c);
	return c;
}

static inline void cores_free(struct cores *c)
{
	for (int i = 0; i < CORES; i++)
		core_free(c->core[i]);
	measures_clear(&c->measures);
	store_watch_remove(c->store, &c->watch);
	store_free(c->store);
	free(c);
}

/* Applies and empties the batch. */
static inline void cores_apply(struct cores *c, struct changes *batch)
{
	struct store_result r;

	store_apply_changes(c->store, batch, &r);
	if (r.verdict != STORE_APPLIED)
		fail_msg("batch refused: verdict %d, change %zu, object %s", r.verdict, r.change,
			 r.id);
	changes_done(batch);
	while (store_collect(c->store))
		;
}

/* One step of one core; true when it changed something. */
static inline bool cores_step(struct cores *c, enum which_core which, int64_t *ret_wish)
{
	struct changes batch;
	struct core_step step = {.store = c->store,
				 .now_ns = c->now,
				 .new_id = cores_new_id,
				 .new_id_arg = c,
				 .measures = &c->measures,
				 .out = &batch};
	int64_t wish;

	changes_init(&batch);
	wish = c->core[which]->class->step(c->core[which], &step);
	if (ret_wish)
		*ret_wish = wish;
	if (!batch.n) {
		changes_done(&batch);
		return false;
	}
	c->batches++;
	c->changes += batch.n;
	cores_apply(c, &batch);
	check_updates(c->store);
	check_moves(c->store);
	if (c->many_leaders)
		cores_reset(c);
	return true;
}

/* Steps all cores until none has anything to say; returns when one wants to be asked again. */
static inline int64_t cores_settle(struct cores *c)
{
	int64_t next, wish;
	bool any;

	for (int rounds = 0; rounds < 100000; rounds++) {
		next = CORE_IDLE;
		any = false;
		for (int i = 0; i < CORES; i++) {
			any |= cores_step(c, (enum which_core)i, &wish);
			next = MIN_OF(next, wish);
		}
		if (!any && next > c->now)
			return next;
	}
	fail_msg("the cores never settle");
	return 0;
}

/* Writes as the control API makes them */

static inline void node_add(struct cores *c, const char *id, int64_t cpus, int64_t memory)
{
	struct node *n = object_new(KIND_NODE, id, c->now);
	struct changes batch;

	changes_init(&batch);
	n->status.state = NODE_READY;
	n->description.hostname = xstrdup(id);
	n->description.resources.nano_cpus = cpus;
	n->description.resources.memory = memory;
	changes_create(&batch, &n->o);
	cores_apply(c, &batch);
}

/* A copy to change; give it to cores_update(). */
static inline void *cores_edit(struct cores *c, enum object_kind kind, const char *id)
{
	const struct object *o = store_get(c->store, kind, id);

	assert_non_null(o);
	return object_clone(o);
}

static inline void cores_update(struct cores *c, void *object)
{
	struct object *o = object;
	struct changes batch;

	changes_init(&batch);
	changes_update(&batch, store_get(c->store, o->kind, o->id), o, c->now);
	cores_apply(c, &batch);
}

static inline void cores_delete(struct cores *c, enum object_kind kind, const char *id)
{
	struct changes batch;

	changes_init(&batch);
	changes_delete(&batch, store_get(c->store, kind, id));
	cores_apply(c, &batch);
}

static inline void node_state(struct cores *c, const char *id, enum node_state state)
{
	struct node *n = cores_edit(c, KIND_NODE, id);

	n->status.state = state;
	cores_update(c, n);
}

static inline void node_availability(struct cores *c, const char *id, enum node_availability a)
{
	struct node *n = cores_edit(c, KIND_NODE, id);

	n->spec.availability = a;
	cores_update(c, n);
}

/* A service to be filled in further and given to service_add(). */
static inline struct service *service_make(struct cores *c, const char *name, uint64_t replicas)
{
	struct service *s = object_new(KIND_SERVICE, name, c->now);

	s->spec.name = xstrdup(name);
	s->spec.mode.replicated = xcalloc(1, sizeof *s->spec.mode.replicated);
	s->spec.mode.replicated->replicas = xmemdup(&replicas, sizeof replicas);
	return s;
}

static inline struct service *service_global_make(struct cores *c, const char *name)
{
	struct service *s = object_new(KIND_SERVICE, name, c->now);

	s->spec.name = xstrdup(name);
	s->spec.mode.global = xcalloc(1, sizeof *s->spec.mode.global);
	return s;
}

/* A global job when it has nothing to complete. */
static inline struct service *service_job_make(struct cores *c, const char *name,
					       uint64_t concurrent, uint64_t total)
{
	struct service *s = object_new(KIND_SERVICE, name, c->now);

	s->spec.name = xstrdup(name);
	s->job = xcalloc(1, sizeof *s->job);
	s->job->last_execution = c->now;
	if (!total) {
		s->spec.mode.global_job = xcalloc(1, sizeof *s->spec.mode.global_job);
		return s;
	}
	s->spec.mode.replicated_job = xcalloc(1, sizeof *s->spec.mode.replicated_job);
	s->spec.mode.replicated_job->max_concurrent = xmemdup(&concurrent, sizeof concurrent);
	s->spec.mode.replicated_job->total_completions = xmemdup(&total, sizeof total);
	return s;
}

static inline struct restart_policy *service_restart(struct service *s, enum restart_condition on,
						     int64_t delay, uint64_t attempts,
						     int64_t window)
{
	struct restart_policy *p = xcalloc(1, sizeof *p);

	p->condition = on;
	p->delay = xmemdup(&delay, sizeof delay);
	p->max_attempts = xmemdup(&attempts, sizeof attempts);
	p->window = xmemdup(&window, sizeof window);
	s->spec.task.restart = p;
	return p;
}

static inline void service_reserve(struct service *s, int64_t cpus, int64_t memory)
{
	if (!s->spec.task.resources)
		s->spec.task.resources = xcalloc(1, sizeof *s->spec.task.resources);
	if (!s->spec.task.resources->reservations)
		s->spec.task.resources->reservations = xcalloc(1, sizeof(struct resources));
	s->spec.task.resources->reservations->nano_cpus = cpus;
	s->spec.task.resources->reservations->memory = memory;
}

static inline void service_constrain(struct service *s, const char *constraint)
{
	if (!s->spec.task.placement)
		s->spec.task.placement = xcalloc(1, sizeof *s->spec.task.placement);
	strs_done(&s->spec.task.placement->constraints);
	if (constraint)
		strs_add(&s->spec.task.placement->constraints, constraint);
}

static inline struct update_config *update_make(uint64_t parallelism, const char *action,
						const char *order)
{
	struct update_config *u = xcalloc(1, sizeof *u);

	u->parallelism = parallelism;
	u->monitor = NS_PER_SEC;
	u->failure_action = xstrdup(action);
	u->order = xstrdup(order);
	return u;
}

static inline void service_attach(struct service *s, const char *network)
{
	LIST_ADD(&s->spec.task.networks)->target = xstrdup(network);
}

static inline struct port_config *service_publish(struct service *s, uint32_t target,
						  uint32_t published)
{
	struct port_config *p;

	if (!s->spec.endpoint)
		s->spec.endpoint = xcalloc(1, sizeof *s->spec.endpoint);
	p = LIST_ADD(&s->spec.endpoint->ports);
	p->target = target;
	p->published = published;
	return p;
}

static inline void service_add(struct cores *c, struct service *s)
{
	struct changes batch;

	changes_init(&batch);
	s->spec_version = s->template_version = ++c->versions;
	changes_create(&batch, &s->o);
	changes_create(&batch, service_template_make(s, c->now));
	cores_apply(c, &batch);
}

/* A changed copy of a service: its specification becomes the service's. */
static inline void service_change(struct cores *c, struct service *s)
{
	const struct service *old = store_service(c->store, s->o.id);
	struct service *new = object_clone(&old->o);
	struct changes batch;

	changes_init(&batch);
	table_free(&service_spec_table, new->previous_spec);
	new->previous_spec = table_dup(&service_spec_table, &old->spec);
	service_spec_set(new, &s->spec, c->store, c->now, &batch);
	table_free(&update_status_table, new->update_status);
	new->update_status = NULL;
	changes_update(&batch, &old->o, &new->o, c->now);
	object_free(&s->o);
	cores_apply(c, &batch);
}

/* As `rollback=previous` does. */
static inline void service_roll_back(struct cores *c, const char *id)
{
	struct service *s = cores_edit(c, KIND_SERVICE, id);
	const struct service *old = store_service(c->store, id);
	struct changes batch;

	changes_init(&batch);
	service_spec_roll_back(s, true, c->store, c->now, &batch);
	table_free(&update_status_table, TAKE_PTR(s->update_status));
	if (!service_is_job(&s->spec)) {
		s->update_status = xcalloc(1, sizeof *s->update_status);
		s->update_status->state = UPDATE_ROLLBACK_STARTED;
	}
	changes_update(&batch, &old->o, &s->o, c->now);
	cores_apply(c, &batch);
}

/* As POST /services/{id}/rebalance does. */
static inline void service_rebalance(struct cores *c, const char *id)
{
	struct service *s = cores_edit(c, KIND_SERVICE, id);
	uint64_t number = s->rebalance ? s->rebalance->number : 0;

	table_free(&rebalance_status_table, s->rebalance);
	s->rebalance = xcalloc(1, sizeof *s->rebalance);
	s->rebalance->number = number + 1;
	s->rebalance->message = xstrdup("");
	cores_update(c, s);
}

static inline void service_simple(struct cores *c, const char *name, uint64_t replicas)
{
	service_add(c, service_make(c, name, replicas));
}

static inline void service_scale(struct cores *c, const char *id, uint64_t replicas)
{
	struct service *s = cores_edit(c, KIND_SERVICE, id);

	*s->spec.mode.replicated->replicas = replicas;
	service_change(c, s);
}

/* Any change of the task spec. */
static inline void service_force(struct cores *c, const char *id)
{
	struct service *s = cores_edit(c, KIND_SERVICE, id);

	s->spec.task.force_update++;
	service_change(c, s);
}

static inline void service_remove(struct cores *c, const char *id)
{
	struct service *s = cores_edit(c, KIND_SERVICE, id);

	s->pending_delete = true;
	str_set(&s->spec.name, id);
	cores_update(c, s);
}

static inline struct network *network_make(struct cores *c, const char *id, const char *subnet)
{
	struct network *n = object_new(KIND_NETWORK, id, c->now);

	n->spec.name = xstrdup(id);
	n->spec.driver = xstrdup("overlay");
	n->spec.scope = xstrdup("swarm");
	if (subnet)
		LIST_ADD(&n->spec.ipam.config)->subnet = xstrdup(subnet);
	return n;
}

static inline void network_add(struct cores *c, const char *id, const char *subnet)
{
	struct network *n = network_make(c, id, subnet);
	struct changes batch;

	changes_init(&batch);
	changes_create(&batch, &n->o);
	cores_apply(c, &batch);
}

/* Agents */

static inline void task_report(struct cores *c, const struct task *t, enum task_state state)
{
	struct task *new;

	assert_non_null(t);
	new = object_clone(&t->o);
	assert_true(task_transition_allowed(WRITER_AGENT, t->status.state, state));
	new->status.state = state;
	cores_update(c, new);
}

/* What the agent of its node makes of the task next; false when nothing. */
static inline bool agent_task(struct cores *c, const struct task *t)
{
	enum task_state state = t->status.state;

	if (!t->node || !store_node(c->store, t->node) ||
	    store_node(c->store, t->node)->status.state == NODE_DOWN)
		return false;
	if (t->evicted && t->desired >= TASK_SHUTDOWN) {
		struct task *new = object_clone(&t->o);

		new->evicted = false;
		cores_update(c, new);
		return true;
	}
	if (state < TASK_ASSIGNED || state > TASK_RUNNING)
		return false;
	if (t->desired >= TASK_SHUTDOWN)
		state = TASK_SHUTDOWN;
	else if (c->fate)
		state = c->fate(c, t);
	else
		state = t->desired == TASK_READY                               ? TASK_READY
			: t->desired == TASK_COMPLETE && state == TASK_RUNNING ? TASK_COMPLETE
									       : TASK_RUNNING;
	if (state <= t->status.state)
		return false;
	task_report(c, t, state);
	return true;
}

/* Every agent reports once; how many tasks moved. */
static inline size_t agents_run(struct cores *c)
{
	struct strs ids = {0};
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_kind(&w, c->store, KIND_TASK);
	while ((t = store_walk_next(&w)))
		strs_add(&ids, t->o.id);
	STRS_EACH (id, &ids) {
		t = store_task(c->store, id);
		n += t && agent_task(c, t);
	}
	strs_done(&ids);
	return n;
}

/* Lets cores and agents work until nothing moves but by time. Returns the next wish. */
static inline int64_t cores_quiet(struct cores *c)
{
	int64_t next;

	do
		next = cores_settle(c);
	while (agents_run(c));
	check_unique_all(c->store);
	return next;
}

/* Lets `span_ns` pass, with everything that happens in it. */
static inline void cores_pass(struct cores *c, int64_t span_ns)
{
	int64_t end = c->now + span_ns, next;

	while ((next = cores_quiet(c)) <= end)
		c->now = next;
	c->now = end;
	(void)cores_quiet(c);
}

/* Looking */

static inline size_t tasks_count(const struct cores *c, const char *service,
				 bool (*is)(const struct task *t))
{
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_service_tasks(&w, c->store, service);
	while ((t = store_walk_next(&w)))
		n += is(t);
	return n;
}

static inline bool is_any(const struct task *t)
{
	return true;
}

static inline bool is_running(const struct task *t)
{
	return task_is_wanted(t) && t->status.state == TASK_RUNNING;
}

/* The wanted task of a slot, or NULL. */
static inline const struct task *task_in(const struct cores *c, const char *service, uint64_t slot)
{
	const struct task *t;
	struct store_walk w;

	store_walk_service_tasks(&w, c->store, service);
	while ((t = store_walk_next(&w)))
		if (t->slot == slot && task_is_wanted(t))
			return t;
	return NULL;
}

#define assert_running(c, service, n) assert_int_equal(tasks_count(c, service, is_running), n)
