/*
 * How fast tasks are placed: placement alone, and a service's whole way from replicas to assigned
 * tasks through the cores, with each batch encoded, decoded and applied as a leader does (but for
 * raft and its disk). And what a task takes of memory. 100,000 tasks on 1,000 nodes. Time is that
 * of the processor, as nothing here waits.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manager/core.h"
#include "scheduler/scheduler.h"

#define NODES 1000
#define TASKS 100000
#define GROUP 100

static int64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static double seconds_since(int64_t began)
{
	return (double)(cpu_ns() - began) / 1e9;
}

static struct node *node_make(int i)
{
	char id[ID_CLUSTER_LEN + 1];
	struct node *n;

	(void)snprintf(id, sizeof id, "node%021d", i);
	n = object_new(KIND_NODE, id, 1);
	n->status.state = NODE_READY;
	n->description.hostname = xstrdup(id);
	n->description.resources.nano_cpus = 64 * NS_PER_SEC;
	n->description.resources.memory = 256LL << 30;
	strmap_set(&n->spec.labels, "zone", i % 2 ? "east" : "west");
	return n;
}

static void spec_fill(struct task_spec *spec)
{
	spec->resources = xcalloc(1, sizeof *spec->resources);
	spec->resources->reservations = xcalloc(1, sizeof(struct resources));
	spec->resources->reservations->nano_cpus = NS_PER_SEC / 10;
	spec->resources->reservations->memory = 64LL << 20;
	spec->placement = xcalloc(1, sizeof *spec->placement);
	strs_add(&spec->placement->constraints, "node.labels.zone != north");
}

/* Placement alone, in groups of `group`. */
static void bench_alone(const char *name, size_t group)
{
	struct scheduler *s = scheduler_new();
	struct node **nodes = xcalloc(NODES, sizeof(struct node *));
	const char **ids = xcalloc(group, sizeof(char *)),
		   **chosen = xcalloc(group, sizeof(char *));
	struct task_spec spec = {0};
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);
	int64_t began;

	for (int i = 0; i < NODES; i++)
		scheduler_node_set(s, nodes[i] = node_make(i));
	for (size_t i = 0; i < group; i++)
		ids[i] = "0123456789abcdefghijklmno";
	spec_fill(&spec);
	began = cpu_ns();
	for (size_t done = 0; done < TASKS; done += group) {
		char service[32];
		struct sched_group g = {.service = service, .template_version = 1, .spec = &spec};

		(void)snprintf(service, sizeof service, "service%zu", done);
		if (scheduler_place(s, &g, ids, group, 0, chosen, &why) != group)
			exit(1);
		scheduler_rollback(s);
		for (size_t i = 0; i < group; i++)
			scheduler_hold(s, &g, chosen[i], true);
	}
	(void)printf("%s %.0f tasks/s\n", name, TASKS / seconds_since(began));
	scheduler_free(s);
	for (int i = 0; i < NODES; i++)
		object_free(&nodes[i]->o);
	table_done(&task_spec_table, &spec);
	free(nodes);
	free(ids);
	free(chosen);
}

struct leader {
	struct store *store;
	struct core *core[CORE_COUNT];
	struct store_watch watch;
	uint64_t ids;
	double step_s[CORE_COUNT], apply_s[CORE_COUNT], longest_s[CORE_COUNT];
	size_t changes[CORE_COUNT];
};

static void leader_new_id(void *arg, char ret[ID_CLUSTER_LEN + 1])
{
	struct leader *l = arg;

	(void)snprintf(ret, ID_CLUSTER_LEN + 1, "%016" PRIx64 "%09" PRIu64,
		       l->ids * 0x9e3779b97f4a7c15u, l->ids);
	l->ids++;
}

static void leader_changed(void *arg, const struct object *old, const struct object *new)
{
	struct leader *l = arg;

	for (int i = 0; i < CORE_COUNT; i++)
		core_event(l->core[i], l->store, old, new);
}

static void leader_apply(struct leader *l, struct changes *c)
{
	auto_buf bytes = BUF_INIT(LIMIT_ENTRY);
	struct store_result r;

	if (changes_encode(c, &bytes) < 0 ||
	    store_apply(l->store, bytes.p, bytes.len, &r, NULL) < 0 || r.verdict != STORE_APPLIED)
		exit(1);
	changes_done(c);
	while (store_collect(l->store))
		;
}

static bool leader_step(struct leader *l, int which)
{
	struct changes c;
	struct core_step step = {.store = l->store,
				 .now_ns = NS_PER_SEC,
				 .new_id = leader_new_id,
				 .new_id_arg = l,
				 .out = &c};
	int64_t began = cpu_ns();
	double took;

	changes_init(&c);
	(void)l->core[which]->class->step(l->core[which], &step);
	took = seconds_since(began);
	l->step_s[which] += took;
	l->longest_s[which] = MAX_OF(l->longest_s[which], took);
	l->changes[which] += c.n;
	if (!c.n) {
		changes_done(&c);
		return false;
	}
	began = cpu_ns();
	leader_apply(l, &c);
	l->apply_s[which] += seconds_since(began);
	return true;
}

static void services_add(struct leader *l, size_t count, uint64_t replicas)
{
	struct changes c;

	for (size_t i = 0; i < count; i++) {
		char id[ID_CLUSTER_LEN + 1], version[TEMPLATE_ID_MAX];
		struct template *t;
		struct service *s;

		(void)snprintf(id, sizeof id, "service%018zu", i);
		s = object_new(KIND_SERVICE, id, 1);
		s->spec.name = xstrdup(id);
		s->spec.mode.replicated = xcalloc(1, sizeof *s->spec.mode.replicated);
		s->spec.mode.replicated->replicas = xmemdup(&replicas, sizeof replicas);
		s->template_version = s->spec_version = 1;
		spec_fill(&s->spec.task);
		LIST_ADD(&s->spec.task.networks)->target = xstrdup("network");
		template_id(id, 1, version);
		t = object_new(KIND_TEMPLATE, version, 1);
		t->service = xstrdup(id);
		t->template_version = 1;
		t->service_name = xstrdup(id);
		table_copy(&task_spec_table, &t->spec, &s->spec.task);
		changes_init(&c);
		changes_create(&c, &s->o);
		changes_create(&c, &t->o);
		leader_apply(l, &c);
	}
}

static void cluster_add(struct leader *l)
{
	struct network *n = object_new(KIND_NETWORK, "network", 1);
	struct changes c;

	changes_init(&c);
	n->spec.name = xstrdup("network");
	n->spec.driver = xstrdup("overlay");
	LIST_ADD(&n->spec.ipam.config)->subnet = xstrdup("10.128.0.0/9");
	changes_create(&c, &n->o);
	for (int i = 0; i < NODES; i++)
		changes_create(&c, &node_make(i)->o);
	leader_apply(l, &c);
}

/* What agents report of every task: it runs, in a container. */
static void tasks_run(struct leader *l)
{
	const struct object *o;
	struct store_walk w;
	struct changes c;
	auto_free char **ids = xcalloc(TASKS, sizeof(char *));
	size_t n = 0;

	store_walk_kind(&w, l->store, KIND_TASK);
	while ((o = store_walk_next(&w)) && n < TASKS)
		ids[n++] = xstrdup(o->id);
	changes_init(&c);
	for (size_t i = 0; i < n; i++) {
		struct task *t;

		o = store_get(l->store, KIND_TASK, ids[i]);
		t = object_clone(o);
		t->status.state = TASK_RUNNING;
		str_set(&t->status.message, "started");
		t->status.container = xcalloc(1, sizeof *t->status.container);
		t->status.container->container = xasprintf("%064zu", i);
		t->status.container->pid = 12345;
		changes_update(&c, o, &t->o, 2);
		if (c.n == 1000 || i + 1 == n)
			leader_apply(l, &c);
		free(ids[i]);
	}
	changes_done(&c);
}

static size_t memory_used(void)
{
	(void)malloc_trim(0);
	return mallinfo2().uordblks;
}

static struct leader *leader_new(void)
{
	struct leader *l = xcalloc(1, sizeof *l);

	l->store = store_new();
	for (int i = 0; i < CORE_COUNT; i++) {
		l->core[i] = core_makers[i]();
		core_reset(l->core[i], l->store);
	}
	l->watch.changed = leader_changed;
	l->watch.arg = l;
	store_watch_add(l->store, &l->watch);
	return l;
}

static void leader_free(struct leader *l)
{
	for (int i = 0; i < CORE_COUNT; i++)
		core_free(l->core[i]);
	store_watch_remove(l->store, &l->watch);
	store_free(l->store);
	free(l);
}

static void report(const struct leader *l, const char *name, double whole_s)
{
	static const enum core_index counted[] = {CORE_REPLICATED, CORE_ALLOCATOR, CORE_SCHEDULER};

	for (size_t k = 0; k < ARRAY_LEN(counted); k++) {
		enum core_index i = counted[k];
		const char *core = l->core[i]->class->name;

		(void)printf("%s_%s_step %.0f tasks/s\n", name, core, TASKS / l->step_s[i]);
		(void)printf("%s_%s_step_and_apply %.0f tasks/s\n", name, core,
			     TASKS / (l->step_s[i] + l->apply_s[i]));
	}
	(void)printf("%s_created_to_assigned %.0f tasks/s\n", name, TASKS / whole_s);
	for (int i = 0; i < CORE_COUNT; i++)
		(void)printf("%s_%s_longest_step %.2f ms\n", name, l->core[i]->class->name,
			     l->longest_s[i] * 1e3);
}

/* What a new leader does before its first step, and a plan for the cores that it needs. */
static void derive(struct leader *l, const char *name)
{
	double longest = 0, whole = 0;

	for (int i = 0; i < CORE_COUNT; i++) {
		int64_t began = cpu_ns();
		double took;

		core_reset(l->core[i], l->store);
		took = seconds_since(began);
		whole += took;
		longest = MAX_OF(longest, took);
	}
	(void)printf("%s_derive %.1f ms\n", name, whole * 1e3);
	(void)printf("%s_derive_longest %.1f ms\n", name, longest * 1e3);
}

static void bench_cores(const char *name, size_t services)
{
	struct leader *l = leader_new();
	size_t before, with_cores, store_alone;
	int64_t began;
	bool any = true;

	cluster_add(l);
	services_add(l, services, TASKS / services);
	(void)leader_step(l, CORE_ALLOCATOR);
	(void)leader_step(l, CORE_ALLOCATOR);
	l->step_s[CORE_ALLOCATOR] = l->apply_s[CORE_ALLOCATOR] = 0;
	before = memory_used();
	began = cpu_ns();
	while (any) {
		any = false;
		for (int i = 0; i < CORE_COUNT; i++)
			any |= leader_step(l, i);
	}
	report(l, name, seconds_since(began));
	if (store_count(l->store, KIND_TASK) != TASKS)
		exit(1);
	tasks_run(l);
	with_cores = memory_used() - before;
	derive(l, name);
	for (int i = 0; i < CORE_COUNT; i++) {
		core_free(l->core[i]);
		l->core[i] = core_makers[i]();
	}
	store_alone = memory_used() - before;
	(void)printf("%s_memory_task %zu bytes\n", name, store_alone / TASKS);
	(void)printf("%s_memory_task_on_leader %zu bytes\n", name, with_cores / TASKS);
	leader_free(l);
}

int main(void)
{
	bench_alone("placement_groups_of_100", GROUP);
	bench_alone("placement_groups_of_1", 1);
	bench_cores("services_of_100", TASKS / GROUP);
	bench_cores("one_service", 1);
	return 0;
}
