/*
 * scheduler/scheduler.h: filters and their sentences, order, spread, failures, rollback.
 */
#include "unit/test.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "scheduler/constraint.h"
#include "scheduler/scheduler.h"

#define GIB (1LL << 30)
#define CPU 1000000000LL
#define NODES 4

struct world {
	struct scheduler *s;
	struct node *nodes[NODES];
	struct task_spec spec;
	struct resource_needs needs;
	struct resources reservations;
	struct placement placement;
	struct endpoint_spec endpoint;
	struct sched_group group;
	char why[SCHED_WHY_MAX];
};

static int world_make(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);

	w->s = scheduler_new();
	for (int i = 0; i < NODES; i++) {
		char id[8];

		snprintf(id, sizeof id, "n%d", i);
		w->nodes[i] = object_new(KIND_NODE, id, 1);
		w->nodes[i]->status.state = NODE_READY;
		w->nodes[i]->description.resources.nano_cpus = 4 * CPU;
		w->nodes[i]->description.resources.memory = 8 * GIB;
		w->nodes[i]->description.platform.os = xstrdup("linux");
		w->nodes[i]->description.platform.architecture = xstrdup("x86_64");
		scheduler_node_set(w->s, w->nodes[i]);
	}
	w->needs.reservations = &w->reservations;
	w->spec.resources = &w->needs;
	w->spec.placement = &w->placement;
	w->group = (struct sched_group){.service = "svc",
					.template_version = 7,
					.spec = &w->spec,
					.endpoint = &w->endpoint};
	*state = w;
	return 0;
}

static int world_free(void **state)
{
	struct world *w = *state;

	scheduler_free(w->s);
	for (int i = 0; i < NODES; i++)
		object_free(&w->nodes[i]->o);
	strs_done(&w->placement.constraints);
	LIST_EACH (p, &w->placement.preferences) {
		free(p->spread->descriptor);
		free(p->spread);
	}
	free(w->placement.preferences.v);
	free(w->placement.platforms.v);
	free(w->endpoint.ports.v);
	free(w);
	return 0;
}

/* Places one task; its node or NULL, and the sentence in w->why. */
static const char *place_as(struct world *w, const char *task, int64_t now)
{
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);
	const char *node = NULL;
	size_t n = scheduler_place(w->s, &w->group, &task, 1, now, &node, &why);

	snprintf(w->why, sizeof w->why, "%s", buf_text(&why));
	return n ? node : NULL;
}

static const char *place(struct world *w)
{
	return place_as(w, "task", NS_PER_SEC);
}

static void expect_refusal(struct world *w, const char *why)
{
	assert_null(place(w));
	assert_string_equal(w->why, why);
}

static void give(struct node *n, const char *text)
{
	struct strs list = {0};

	strs_add(&list, text);
	assert_int_equal(generics_parse(&list, &n->description.resources.generic, NULL), 0);
	strs_done(&list);
}

static void generic_resources_are_given_and_come_back(void **state)
{
	struct world *w = *state;
	const char *tasks[] = {"a", "b", "c"}, *nodes[3];
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);
	struct generics given = {0};
	struct sched_group held;

	give(w->nodes[1], "GPU=u1");
	give(w->nodes[1], "GPU=u2");
	scheduler_node_set(w->s, w->nodes[1]);
	{
		struct strs wish = {0};

		strs_add(&wish, "GPU=1");
		assert_int_equal(generics_parse(&wish, &w->reservations.generic, NULL), 0);
		strs_done(&wish);
	}
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 3, 0, nodes, &why), 2);
	assert_string_equal(nodes[0], "n1");
	assert_string_equal(scheduler_given(w->s, 0)->v[0].named->value, "u1");
	assert_string_equal(scheduler_given(w->s, 1)->v[0].named->value, "u2");
	assert_string_equal(buf_text(&why), "no suitable node (insufficient resources on 4 nodes)");
	generics_add(&given, scheduler_given(w->s, 0));
	scheduler_rollback(w->s);
	held = w->group;
	held.given = &given;
	scheduler_hold(w->s, &held, "n1", true);
	assert_true(scheduler_place_on(w->s, &w->group, "n1", &why));
	assert_string_equal(scheduler_given(w->s, 0)->v[0].named->value, "u2");
	scheduler_rollback(w->s);
	scheduler_node_set(w->s, w->nodes[1]); /* what tasks hold stays held */
	assert_true(scheduler_place_on(w->s, &w->group, "n1", &why));
	assert_false(scheduler_place_on(w->s, &w->group, "n1", &why));
	scheduler_rollback(w->s);
	scheduler_release(w->s, &held, "n1", true);
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 3, 0, nodes, &why), 2);
	scheduler_rollback(w->s);
	generics_done(&given);
	generics_done(&w->reservations.generic);
}

static void rights_need_permission(void **state)
{
	struct world *w = *state;
	struct container_spec c = {0};

	w->spec.container = &c;
	strmap_set(&c.labels, "shoal.privileged", "true");
	expect_refusal(w, "no suitable node (privileged tasks not permitted on 4 nodes)");
	w->nodes[2]->description.privileged_tasks = true;
	scheduler_node_set(w->s, w->nodes[2]);
	assert_string_equal(place(w), "n2");
	scheduler_rollback(w->s);
	strmap_set(&c.labels, "shoal.privileged", "false");
	strmap_set(&c.labels, "shoal.devices", "/dev/fuse");
	w->nodes[2]->description.privileged_tasks = false;
	strs_add(&w->nodes[3]->description.task_devices, "/dev/fuse");
	scheduler_node_set(w->s, w->nodes[2]);
	scheduler_node_set(w->s, w->nodes[3]);
	assert_string_equal(place(w), "n3");
	scheduler_rollback(w->s);
	strmap_set(&c.labels, "shoal.devices", "/dev/fuse,/dev/kvm");
	expect_refusal(w, "no suitable node (devices for tasks not permitted on 4 nodes)");
	strmap_done(&c.labels);
	w->spec.container = NULL;
}

static void each_filter_says_why(void **state)
{
	struct world *w = *state;

	w->nodes[0]->status.state = NODE_DOWN;
	w->nodes[1]->spec.availability = AVAILABILITY_PAUSE;
	scheduler_node_set(w->s, w->nodes[0]);
	scheduler_node_set(w->s, w->nodes[1]);
	w->reservations.memory = 9 * GIB;
	expect_refusal(w, "no suitable node (2 nodes not available for new tasks; "
			  "insufficient resources on 2 nodes)");
	w->reservations.memory = 0;
	w->reservations.nano_cpus = 5 * CPU;
	scheduler_node_remove(w->s, "n1");
	expect_refusal(w, "no suitable node (insufficient resources on 2 nodes; "
			  "1 node not available for new tasks)");
	w->reservations.nano_cpus = CPU;
	strs_add(&w->placement.constraints, "node.id==nowhere");
	expect_refusal(w, "no suitable node (scheduling constraints not satisfied on 2 nodes; "
			  "1 node not available for new tasks)");
	strs_done(&w->placement.constraints);
	LIST_ADD(&w->placement.platforms)->architecture = (char *)(uintptr_t) "arm64";
	expect_refusal(w, "no suitable node (unsupported platform on 2 nodes; "
			  "1 node not available for new tasks)");
	w->placement.platforms.v[0].architecture = (char *)(uintptr_t) "amd64";
	assert_non_null(place(w));
}

static void no_nodes_at_all(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < NODES; i++)
		scheduler_node_remove(w->s, w->nodes[i]->o.id);
	expect_refusal(w, "no suitable node");
}

static void missing_plugin(void **state)
{
	struct world *w = *state;
	struct driver driver = {.name = (char *)(uintptr_t) "nfs"};
	struct mount_volume volume = {.driver = &driver};
	struct mount mount = {.volume = &volume};
	struct container_spec container = {.mounts = {.v = &mount, .n = 1}};
	struct engine_plugin *p;

	w->spec.container = &container;
	expect_refusal(w, "no suitable node (missing plugin on 4 nodes)");
	p = LIST_ADD(&w->nodes[2]->description.engine.plugins);
	p->type = xstrdup("Volume");
	p->name = xstrdup("nfs");
	assert_string_equal(place(w), "n2");
}

static void ports_of_the_host(void **state)
{
	struct world *w = *state;
	struct port_config *p = LIST_ADD(&w->endpoint.ports);
	const char *tasks[NODES + 1] = {"a", "b", "c", "d", "e"}, *nodes[NODES + 1];
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);

	p->mode = PUBLISH_HOST;
	p->target = 80;
	p->published = 8080;
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, NODES + 1, 0, nodes, &why), NODES);
	assert_string_equal(buf_text(&why),
			    "no suitable node (host-mode port already in use on 4 nodes)");
	for (int i = 0; i < NODES; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(nodes[i], nodes[j]);
	p->protocol = PORT_UDP;
	assert_non_null(place(w));
	p->protocol = PORT_TCP;
	p->published = 0; /* any port: never in the way */
	assert_non_null(place(w));
}

static void replicas_a_node(void **state)
{
	struct world *w = *state;
	const char *tasks[9] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"}, *nodes[9];
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);

	w->placement.max_replicas = 2;
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 9, 0, nodes, &why), 8);
	assert_string_equal(buf_text(&why),
			    "no suitable node (max replicas per node limit exceed)");
}

static size_t count_on(const char **nodes, size_t n, const char *id)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += strcmp(nodes[i], id) == 0;
	return count;
}

static void spread_by_service_then_total(void **state)
{
	struct world *w = *state;
	struct sched_group other = w->group;
	const char *tasks[8] = {"a", "b", "c", "d", "e", "f", "g", "h"}, *nodes[8];
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);

	other.service = "other";
	for (int i = 0; i < 3; i++)
		scheduler_hold(w->s, &other, "n0", true);
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 3, 0, nodes, &why), 3);
	assert_int_equal(count_on(nodes, 3, "n0"), 0);
	scheduler_rollback(w->s);
	/* The service's own tasks weigh more than the total. */
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 8, 0, nodes, &why), 8);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(count_on(nodes, 8, w->nodes[i]->o.id), 2);
	/* A task that is no longer wanted holds its resources and counts no more. */
	scheduler_rollback(w->s);
	for (int i = 0; i < 3; i++)
		scheduler_release(w->s, &other, "n0", true);
	for (int i = 1; i < NODES; i++)
		scheduler_hold(w->s, &w->group, w->nodes[i]->o.id, true);
	scheduler_hold(w->s, &w->group, "n0", false);
	assert_string_equal(place(w), "n0");
}

static void resources_run_out_and_come_back(void **state)
{
	struct world *w = *state;
	const char *tasks[20], *nodes[20];
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);

	for (int i = 0; i < 20; i++)
		tasks[i] = "t";
	w->reservations.nano_cpus = CPU;
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 20, 0, nodes, &why), 4 * NODES);
	assert_string_equal(buf_text(&why), "no suitable node (insufficient resources on 4 nodes)");
	scheduler_rollback(w->s);
	buf_reset(&why);
	for (int i = 0; i < 15; i++)
		scheduler_hold(w->s, &w->group, w->nodes[i % NODES]->o.id, true);
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 2, 0, nodes, &why), 1);
	assert_string_equal(nodes[0], "n3");
	scheduler_rollback(w->s);
	scheduler_release(w->s, &w->group, "n1", true);
	assert_int_equal(scheduler_place(w->s, &w->group, tasks, 2, 0, nodes, &why), 2);
}

static void failing_nodes_come_last(void **state)
{
	struct world *w = *state;
	int64_t t = 10 * NS_PER_SEC;

	for (int i = 0; i < NODES; i++)
		if (i != 2)
			scheduler_hold(w->s, &w->group, w->nodes[i]->o.id, true);
	assert_string_equal(place_as(w, "a", t), "n2");
	scheduler_rollback(w->s);
	for (int i = 0; i < SCHED_FAILURES - 1; i++)
		scheduler_failed(w->s, "svc", 7, "n2", t + i);
	assert_string_equal(place_as(w, "a", t), "n2");
	scheduler_rollback(w->s);
	/* One more, told late: the order in which they are told does not matter. */
	scheduler_failed(w->s, "svc", 7, "n2", t - 1);
	assert_string_not_equal(place_as(w, "a", t + 6), "n2");
	scheduler_rollback(w->s);
	/* Another version of the template starts afresh, and so does a later time. */
	w->group.template_version = 8;
	assert_string_equal(place_as(w, "a", t + 6), "n2");
	scheduler_rollback(w->s);
	w->group.template_version = 7;
	assert_string_not_equal(place_as(w, "a", t - 2 + SCHED_FAILURE_WINDOW_NS), "n2");
	scheduler_rollback(w->s);
	assert_string_equal(place_as(w, "a", t - 1 + SCHED_FAILURE_WINDOW_NS), "n2");
	scheduler_rollback(w->s);
	/* Where nothing else fits it is still used. */
	for (int i = 0; i < NODES; i++)
		if (i != 2) {
			w->nodes[i]->spec.availability = AVAILABILITY_DRAIN;
			scheduler_node_set(w->s, w->nodes[i]);
		}
	assert_string_equal(place_as(w, "a", t + 6), "n2");
}

static void ties_are_broken_but_replayable(void **state)
{
	struct world *w = *state;
	unsigned seen[NODES] = {0};

	for (int i = 0; i < 200; i++) {
		char task[16];
		const char *node, *again;

		snprintf(task, sizeof task, "task%d", i);
		node = place_as(w, task, 0);
		scheduler_rollback(w->s);
		again = place_as(w, task, 0);
		scheduler_rollback(w->s);
		assert_string_equal(node, again);
		seen[node[1] - '0']++;
	}
	for (int i = 0; i < NODES; i++)
		assert_in_range(seen[i], 20, 90);
}

static void one_node_given(void **state)
{
	struct world *w = *state;
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);

	w->reservations.memory = 5 * GIB;
	assert_true(scheduler_place_on(w->s, &w->group, "n1", &why));
	assert_false(scheduler_place_on(w->s, &w->group, "n1", &why));
	assert_string_equal(buf_text(&why), "no suitable node (insufficient resources on 1 node)");
	buf_reset(&why);
	assert_false(scheduler_place_on(w->s, &w->group, "nowhere", &why));
	assert_string_equal(buf_text(&why),
			    "no suitable node (1 node not available for new tasks)");
}

static void a_node_that_goes_is_remembered_while_held(void **state)
{
	struct world *w = *state;

	w->reservations.memory = 8 * GIB;
	scheduler_hold(w->s, &w->group, "n1", true);
	for (int i = 0; i < NODES; i++)
		scheduler_node_remove(w->s, w->nodes[i]->o.id);
	expect_refusal(w, "no suitable node");
	scheduler_node_set(w->s, w->nodes[1]);
	expect_refusal(w, "no suitable node (insufficient resources on 1 node)");
	scheduler_release(w->s, &w->group, "n1", true);
	assert_string_equal(place(w), "n1");
}

static void prefer(struct world *w, const char *key)
{
	struct placement_preference *p = LIST_ADD(&w->placement.preferences);

	p->spread = xcalloc(1, sizeof *p->spread);
	p->spread->descriptor = xstrdup(key);
}

static void label(struct world *w, int node, const char *key, const char *value)
{
	strmap_set(&w->nodes[node]->spec.labels, key, value);
	scheduler_node_set(w->s, w->nodes[node]);
}

/* Places so many tasks in one call; how many each node got. */
static size_t place_many(struct world *w, size_t n, size_t ret[NODES])
{
	const char *tasks[32], *nodes[32];
	auto_buf why = BUF_INIT(SCHED_WHY_MAX);
	size_t placed;

	assert_in_range(n, 1, 32);
	for (size_t i = 0; i < n; i++)
		tasks[i] = "t";
	placed = scheduler_place(w->s, &w->group, tasks, n, 0, nodes, &why);
	for (int i = 0; i < NODES; i++)
		ret[i] = count_on(nodes, placed, w->nodes[i]->o.id);
	snprintf(w->why, sizeof w->why, "%s", buf_text(&why));
	return placed;
}

/* n0 and n1 in one rack, n2 in another, n3 in none: a third each. */
static void preferences_spread_over_values(void **state)
{
	struct world *w = *state;
	size_t on[NODES];

	label(w, 0, "rack", "a");
	label(w, 1, "rack", "a");
	label(w, 2, "rack", "b");
	prefer(w, "node.labels.rack");
	assert_int_equal(place_many(w, 12, on), 12);
	assert_int_equal(on[0], 2);
	assert_int_equal(on[1], 2);
	assert_int_equal(on[2], 4);
	assert_int_equal(on[3], 4);
}

static void preferences_form_a_tree(void **state)
{
	struct world *w = *state;
	size_t on[NODES];

	for (int i = 0; i < NODES; i++)
		label(w, i, "site", i < 3 ? "here" : "there");
	label(w, 0, "rack", "a");
	label(w, 1, "rack", "a");
	label(w, 2, "rack", "b");
	prefer(w, "node.labels.site");
	prefer(w, "node.labels.rack");
	assert_int_equal(place_many(w, 16, on), 16);
	assert_int_equal(on[3], 8);
	assert_int_equal(on[2], 4);
	assert_int_equal(on[0] + on[1], 4);
	assert_int_equal(on[0], 2);
}

/* What is there already counts, on nodes that take no more as well; a full branch is left. */
static void preferences_count_what_is_there(void **state)
{
	struct world *w = *state;
	size_t on[NODES];

	for (int i = 0; i < NODES; i++)
		label(w, i, "rack", i < 2 ? "a" : "b");
	prefer(w, "node.labels.rack");
	for (int i = 0; i < 4; i++)
		scheduler_hold(w->s, &w->group, "n0", true);
	w->nodes[0]->spec.availability = AVAILABILITY_PAUSE;
	scheduler_node_set(w->s, w->nodes[0]);
	assert_int_equal(place_many(w, 4, on), 4);
	assert_int_equal(on[2] + on[3], 4);
	w->reservations.nano_cpus = CPU;
	assert_int_equal(place_many(w, 20, on), 12);
	assert_int_equal(on[1], 4);
	assert_non_null(strstr(w->why, "insufficient resources on 3 nodes"));
}

static void preferences_that_cannot_be(void **state)
{
	struct constraint key;
	struct err e = ERR_INIT;

	assert_int_equal(spread_key_parse("node.labels.rack", &key, &e), 0);
	free(key.label);
	assert_int_equal(spread_key_parse("node.hostname", &key, &e), 0);
	assert_int_equal(spread_key_parse("node.ip", &key, &e), -EINVAL);
	assert_int_equal(spread_key_parse("rack", &key, &e), -EINVAL);
	assert_int_equal(spread_key_parse(NULL, &key, &e), -EINVAL);
	assert_non_null(strstr(err_text(&e), "cannot be spread over"));
}

#define WTEST(fn) cmocka_unit_test_setup_teardown(fn, world_make, world_free)

/* Better places */

static const char *leaves_not; /* a node that has nothing to give away */
static bool may_leave(void *arg, const char *node)
{
	(void)arg;
	return !leaves_not || strcmp(node, leaves_not) != 0;
}

/* "FROM-TO", or "" when nothing is to be moved. */
static const char *improve(struct world *w)
{
	static char text[32];
	struct sched_move m = {"", ""};
	bool found = scheduler_improve(w->s, &w->group, NS_PER_SEC, may_leave, NULL, &m);

	snprintf(text, sizeof text, "%s%s%s", m.from, found ? "-" : "", m.to);
	return text;
}

static void hold(struct world *w, const char *service, const char *node, int n)
{
	struct sched_group g = w->group;

	g.service = service;
	while (n-- > 0)
		scheduler_hold(w->s, &g, node, true);
}

static void improves_until_level(void **state)
{
	struct world *w = *state;
	int moves = 0;

	assert_string_equal(improve(w), "");
	hold(w, "svc", "n0", 5);
	hold(w, "svc", "n1", 3);
	leaves_not = "n0";
	assert_memory_equal(improve(w), "n1-", 3);
	leaves_not = NULL;
	for (char from[8], to[8]; *improve(w); moves++) {
		assert_int_equal(sscanf(improve(w), "%2s-%2s", from, to), 2);
		scheduler_release(w->s, &w->group, from, true);
		scheduler_hold(w->s, &w->group, to, true);
		assert_in_range(moves, 0, 10);
	}
	assert_int_equal(moves, 4);
	/* 2 2 2 2: one more or less is no reason to move. */
	hold(w, "svc", "n2", 1);
	assert_string_equal(improve(w), "");
}

static void improves_totals_last(void **state)
{
	struct world *w = *state;

	hold(w, "svc", "n0", 1);
	hold(w, "other", "n0", 1);
	hold(w, "other", "n1", 1);
	hold(w, "other", "n2", 1);
	assert_string_equal(improve(w), "n0-n3");
	hold(w, "other", "n3", 1);
	assert_string_equal(improve(w), "");
	/* Its own count is worth more than all others'. */
	hold(w, "svc", "n0", 1);
	hold(w, "other", "n1", 9);
	hold(w, "other", "n2", 9);
	hold(w, "other", "n3", 9);
	assert_int_equal(strlen(improve(w)), 5);
}

static void improves_where_it_fits(void **state)
{
	struct world *w = *state;

	hold(w, "svc", "n0", 4);
	strs_add(&w->placement.constraints, "node.hostname == n9");
	assert_string_equal(improve(w), "");
	strs_done(&w->placement.constraints);
	for (int i = 1; i < NODES; i++) {
		w->nodes[i]->spec.availability = AVAILABILITY_PAUSE;
		scheduler_node_set(w->s, w->nodes[i]);
	}
	assert_string_equal(improve(w), "");
	w->nodes[2]->spec.availability = AVAILABILITY_ACTIVE;
	scheduler_node_set(w->s, w->nodes[2]);
	for (int i = 0; i < SCHED_FAILURES; i++)
		scheduler_failed(w->s, "svc", 7, "n2", NS_PER_SEC - i);
	assert_string_equal(improve(w), "");
	scheduler_node_remove(w->s, "n2");
	scheduler_node_set(w->s, w->nodes[2]);
	assert_string_equal(improve(w), "n0-n2");
	/* What a node that is left holds is its own affair. */
	w->nodes[0]->spec.availability = AVAILABILITY_DRAIN;
	scheduler_node_set(w->s, w->nodes[0]);
	assert_string_equal(improve(w), "");
}

static void improves_branches_first(void **state)
{
	struct world *w = *state;
	struct placement_preference *p = LIST_ADD(&w->placement.preferences);

	p->spread = xcalloc(1, sizeof *p->spread);
	p->spread->descriptor = xstrdup("node.labels.rack");
	for (int i = 0; i < NODES; i++) {
		strmap_set(&w->nodes[i]->spec.labels, "rack", i < 3 ? "a" : "b");
		scheduler_node_set(w->s, w->nodes[i]);
	}
	/* 1 1 1 in one rack, 1 in the other: the nodes are level, the racks are not. */
	hold(w, "svc", "n0", 1);
	hold(w, "svc", "n1", 1);
	hold(w, "svc", "n2", 1);
	hold(w, "svc", "n3", 1);
	assert_string_equal(improve(w) + 2, "-n3");
	/* 1 1 1 and 2: the racks are as level as can be. */
	hold(w, "svc", "n3", 1);
	assert_string_equal(improve(w), "");
	/* 3 1 1 and 5: within the first rack. */
	hold(w, "svc", "n0", 2);
	hold(w, "svc", "n3", 3);
	assert_memory_equal(improve(w), "n0-", 3);
	assert_int_not_equal(improve(w)[4], '3');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WTEST(each_filter_says_why),
		WTEST(no_nodes_at_all),
		WTEST(generic_resources_are_given_and_come_back),
		WTEST(rights_need_permission),
		WTEST(missing_plugin),
		WTEST(ports_of_the_host),
		WTEST(replicas_a_node),
		WTEST(spread_by_service_then_total),
		WTEST(resources_run_out_and_come_back),
		WTEST(failing_nodes_come_last),
		WTEST(ties_are_broken_but_replayable),
		WTEST(one_node_given),
		WTEST(a_node_that_goes_is_remembered_while_held),
		WTEST(improves_until_level),
		WTEST(improves_totals_last),
		WTEST(improves_where_it_fits),
		WTEST(improves_branches_first),
		WTEST(preferences_spread_over_values),
		WTEST(preferences_form_a_tree),
		WTEST(preferences_count_what_is_there),
		TEST(preferences_that_cannot_be),
	};

	return RUN_TESTS(tests);
}
