/*
 * Global services with all cores around them: a task on each node that fits, through all that can
 * become of nodes.
 */
#include "unit/manager/cores.h"

static struct cores *three_nodes(void)
{
	struct cores *c = cores_new(1);

	node_add(c, "n1", 4 * CPU, 8 * GIB);
	node_add(c, "n2", 4 * CPU, 8 * GIB);
	node_add(c, "n3", 4 * CPU, 8 * GIB);
	return c;
}

/* The wanted task of the node, or NULL. */
static const struct task *task_on(const struct cores *c, const char *service, const char *node)
{
	const struct task *t;
	struct store_walk w;

	store_walk_service_tasks(&w, c->store, service);
	while ((t = store_walk_next(&w)))
		if (task_is_wanted(t) && strcmp(t->node, node) == 0)
			return t;
	return NULL;
}

static void node_zone(struct cores *c, const char *id, const char *zone)
{
	struct node *n = cores_edit(c, KIND_NODE, id);

	strmap_set(&n->spec.labels, "zone", zone);
	cores_update(c, n);
}

static void each_node_has_one(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_global_make(c, "agent"));
	(void)cores_quiet(c);
	assert_running(c, "agent", 3);
	assert_int_equal(task_on(c, "agent", "n2")->slot, 0);
	assert_true(task_on(c, "agent", "n2")->global);
	node_add(c, "n4", CPU, GIB);
	(void)cores_quiet(c);
	assert_running(c, "agent", 4);
	cores_reset(c);
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "agent", is_any), 4);
	assert_true(cores_settle(c) == CORE_IDLE);
	cores_free(c);
}

static void drained_and_down_nodes_do_without(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_global_make(c, "agent"));
	(void)cores_quiet(c);
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	node_state(c, "n2", NODE_DOWN);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "agent", 1);
	assert_null(task_on(c, "agent", "n1"));
	cores_reset(c);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_running(c, "agent", 1);
	node_availability(c, "n1", AVAILABILITY_ACTIVE);
	node_state(c, "n2", NODE_READY);
	cores_pass(c, 61 * NS_PER_SEC);
	assert_running(c, "agent", 3);
	cores_free(c);
}

static void what_fails_on_a_drained_node_is_back_after_it(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_global_make(c, "agent"));
	(void)cores_quiet(c);
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	task_report(c, task_on(c, "agent", "n1"), TASK_FAILED);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_running(c, "agent", 2);
	node_availability(c, "n1", AVAILABILITY_ACTIVE);
	(void)cores_quiet(c);
	assert_running(c, "agent", 3);
	cores_free(c);
}

static void a_paused_node_keeps_what_it_has(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_global_make(c, "agent"));
	(void)cores_quiet(c);
	node_availability(c, "n1", AVAILABILITY_PAUSE);
	service_add(c, service_global_make(c, "later"));
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "agent", 3);
	assert_running(c, "later", 2);
	assert_int_equal(tasks_count(c, "later", is_any), 2);
	cores_free(c);
}

static void labels_move_it(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_global_make(c, "agent");

	node_zone(c, "n1", "east");
	service_constrain(s, "node.labels.zone == east");
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "agent", 1);
	node_zone(c, "n2", "east");
	node_zone(c, "n1", "west");
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "agent", 1);
	assert_non_null(task_on(c, "agent", "n2"));
	node_zone(c, "n1", "east");
	cores_pass(c, 10 * NS_PER_SEC);
	assert_running(c, "agent", 2);
	s = cores_edit(c, KIND_SERVICE, "agent");
	service_constrain(s, "node.labels.zone != east");
	service_change(c, s);
	cores_pass(c, 10 * NS_PER_SEC);
	assert_running(c, "agent", 1);
	assert_non_null(task_on(c, "agent", "n3"));
	cores_free(c);
}

static void platforms_decide_too(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_global_make(c, "agent");
	struct node *n = cores_edit(c, KIND_NODE, "n3");

	str_set(&n->description.platform.architecture, "aarch64");
	cores_update(c, n);
	service_constrain(s, "node.role == worker");
	LIST_ADD(&s->spec.task.placement->platforms)->architecture = xstrdup("arm64");
	service_add(c, s);
	(void)cores_quiet(c);
	assert_int_equal(tasks_count(c, "agent", is_any), 1);
	assert_non_null(task_on(c, "agent", "n3"));
	cores_free(c);
}

static void without_room_it_waits_and_says_why(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_global_make(c, "agent");
	struct node *n;

	service_reserve(s, 5 * CPU, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "agent", 0);
	assert_int_equal(task_on(c, "agent", "n1")->status.state, TASK_PENDING);
	assert_string_equal(task_on(c, "agent", "n1")->status.err,
			    "no suitable node (insufficient resources on 1 node)");
	n = cores_edit(c, KIND_NODE, "n1");
	n->description.resources.nano_cpus = 8 * CPU;
	cores_update(c, n);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "agent", 1);
	cores_free(c);
}

static void restarts_follow_the_policy(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_global_make(c, "agent");

	service_restart(s, RESTART_ON_FAILURE, NS_PER_SEC, 2, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	task_report(c, task_on(c, "agent", "n1"), TASK_COMPLETE);
	(void)cores_quiet(c);
	for (int i = 0; i < 3; i++) {
		assert_non_null(task_on(c, "agent", "n2"));
		task_report(c, task_on(c, "agent", "n2"), TASK_FAILED);
		cores_pass(c, 2 * NS_PER_SEC);
	}
	assert_running(c, "agent", 1);
	cores_reset(c);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_running(c, "agent", 1);
	service_force(c, "agent"); /* another template: all run again */
	cores_pass(c, 60 * NS_PER_SEC);
	assert_running(c, "agent", 3);
	cores_free(c);
}

static bool is_first_version(const struct task *t)
{
	return task_is_wanted(t) && t->template_version == 1;
}

static void an_update_takes_one_node_at_a_time(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_global_make(c, "agent"));
	(void)cores_quiet(c);
	service_force(c, "agent");
	for (size_t left = 3; left > 0; left--) {
		(void)cores_settle(c);
		assert_int_equal(tasks_count(c, "agent", is_first_version), left - 1);
		assert_running(c, "agent", 2);
		cores_reset(c);
		while (tasks_count(c, "agent", is_running) < 3) {
			assert_true(agents_run(c) > 0);
			for (int i = RESTART; i < CORES; i++)
				(void)cores_step(c, (enum which_core)i, NULL);
		}
	}
	(void)cores_quiet(c);
	assert_running(c, "agent", 3);
	assert_int_equal(tasks_count(c, "agent", is_first_version), 0);
	cores_free(c);
}

static void a_paused_node_is_updated_when_it_is_back(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_global_make(c, "agent"));
	(void)cores_quiet(c);
	node_availability(c, "n2", AVAILABILITY_PAUSE);
	service_force(c, "agent");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_running(c, "agent", 3);
	assert_int_equal(tasks_count(c, "agent", is_first_version), 1);
	node_availability(c, "n2", AVAILABILITY_ACTIVE);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_running(c, "agent", 3);
	assert_int_equal(tasks_count(c, "agent", is_first_version), 0);
	cores_free(c);
}

static void nothing_is_left_of_what_is_removed(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_global_make(c, "agent"));
	service_add(c, service_global_make(c, "other"));
	(void)cores_quiet(c);
	node_state(c, "n1", NODE_DOWN);
	(void)cores_quiet(c);
	cores_delete(c, KIND_NODE, "n1");
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "agent", is_any), 2);
	service_remove(c, "agent");
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "agent", is_any), 0);
	assert_null(store_service(c->store, "agent"));
	assert_running(c, "other", 2);
	cores_free(c);
}

static void history_is_kept_by_node(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_global_make(c, "agent");

	service_restart(s, RESTART_ANY, 0, 0, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	for (int i = 0; i < 12; i++) {
		task_report(c, task_on(c, "agent", "n1"), TASK_FAILED);
		task_report(c, task_on(c, "agent", "n2"), TASK_FAILED);
		cores_pass(c, NS_PER_SEC);
	}
	assert_int_equal(tasks_count(c, "agent", is_any), 3 + 2 * TASK_HISTORY_DEFAULT);
	cores_free(c);
}

/* More nodes than one step takes. */
static void many_nodes(void **state)
{
	struct cores *c = cores_new(1);

	for (int i = 0; i < 700; i++) {
		char id[16];

		snprintf(id, sizeof id, "n%d", i);
		node_add(c, id, CPU, GIB);
	}
	service_add(c, service_global_make(c, "agent"));
	(void)cores_quiet(c);
	assert_running(c, "agent", 700);
	service_remove(c, "agent");
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "agent", is_any), 0);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_node_has_one),
		TEST(drained_and_down_nodes_do_without),
		TEST(what_fails_on_a_drained_node_is_back_after_it),
		TEST(a_paused_node_keeps_what_it_has),
		TEST(labels_move_it),
		TEST(platforms_decide_too),
		TEST(without_room_it_waits_and_says_why),
		TEST(restarts_follow_the_policy),
		TEST(an_update_takes_one_node_at_a_time),
		TEST(a_paused_node_is_updated_when_it_is_back),
		TEST(nothing_is_left_of_what_is_removed),
		TEST(history_is_kept_by_node),
		TEST(many_nodes),
	};

	return RUN_TESTS(tests);
}
