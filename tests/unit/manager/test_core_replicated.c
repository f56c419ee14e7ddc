/*
 * The replicated orchestrator with all cores around it: slots, scaling, replacement, healing.
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

static void tasks_of_a_service_run(void **state)
{
	static const char *const nodes[] = {"n1", "n2", "n3", NULL};
	struct cores *c = three_nodes();

	service_simple(c, "web", 5);
	(void)cores_quiet(c);
	assert_running(c, "web", 5);
	for (uint64_t slot = 1; slot <= 5; slot++)
		assert_non_null(task_in(c, "web", slot));
	for (const char *const *node = nodes; *node; node++)
		assert_in_range(store_node_task_count(c->store, *node), 1, 2);
	cores_pass(c, NS_PER_SEC);
	assert_true(cores_settle(c) == CORE_IDLE);
	cores_free(c);
}

static void nothing_is_said_when_idle(void **state)
{
	struct cores *c = three_nodes();
	size_t batches;

	service_simple(c, "web", 5);
	cores_pass(c, NS_PER_SEC);
	batches = c->batches;
	cores_reset(c);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_int_equal(c->batches, batches);
	cores_free(c);
}

static void a_lost_batch_is_made_again(void **state)
{
	struct cores *c = three_nodes();
	struct changes batch;
	struct core_step step = {.store = c->store,
				 .now_ns = c->now,
				 .new_id = cores_new_id,
				 .new_id_arg = c,
				 .out = &batch};

	service_simple(c, "web", 3);
	for (int i = 0; i < CORES; i++) {
		for (int again = 0; again < 3; again++) {
			changes_init(&batch);
			(void)c->core[i]->class->step(c->core[i], &step);
			changes_done(&batch);
		}
		(void)cores_step(c, (enum which_core)i, NULL);
	}
	(void)cores_quiet(c);
	assert_running(c, "web", 3);
	cores_free(c);
}

static void scaling_down_balances(void **state)
{
	struct cores *c = three_nodes();

	service_simple(c, "web", 9);
	(void)cores_quiet(c);
	service_scale(c, "web", 3);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 3);
	assert_int_equal(tasks_count(c, "web", is_any), 3);
	for (int i = 1; i <= 3; i++) {
		char id[8];

		snprintf(id, sizeof id, "n%d", i);
		assert_int_equal(store_node_task_count(c->store, id), 1);
	}
	service_scale(c, "web", 4);
	(void)cores_quiet(c);
	assert_running(c, "web", 4);
	service_scale(c, "web", 0);
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "web", is_any), 0);
	cores_free(c);
}

static void scaling_down_prefers_what_does_not_run(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_make(c, "web", 14);

	service_reserve(s, CPU, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 12); /* two wait for room */
	service_scale(c, "web", 12);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 12);
	assert_int_equal(tasks_count(c, "web", is_any), 12);
	cores_free(c);
}

static void doubles_are_healed(void **state)
{
	struct cores *c = three_nodes();
	struct changes batch;
	struct task *twin;
	auto_free char *kept = NULL;

	service_simple(c, "web", 2);
	(void)cores_quiet(c);
	kept = xstrdup(task_in(c, "web", 1)->o.id);
	twin = object_new(KIND_TASK, "twin", c->now + 5);
	twin->service = xstrdup("web");
	twin->template_version = 1;
	twin->slot = 1;
	twin->desired = TASK_RUNNING;
	changes_init(&batch);
	changes_create(&batch, &twin->o);
	cores_apply(c, &batch);
	cores_reset(c);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 2);
	assert_string_equal(task_in(c, "web", 1)->o.id, kept);
	assert_int_equal(store_task(c->store, "twin")->desired, TASK_SHUTDOWN);
	cores_free(c);
}

static void removal_leaves_nothing(void **state)
{
	struct cores *c = three_nodes();

	service_simple(c, "web", 4);
	(void)cores_quiet(c);
	service_force(c, "web");
	cores_pass(c, NS_PER_SEC);
	service_remove(c, "web");
	cores_pass(c, 5 * NS_PER_SEC);
	assert_int_equal(store_count(c->store, KIND_TASK), 0);
	assert_int_equal(store_count(c->store, KIND_SERVICE), 0);
	assert_int_equal(store_count(c->store, KIND_TEMPLATE), 0);
	cores_free(c);
}

static void many_tasks_take_many_steps(void **state)
{
	struct cores *c = three_nodes();

	service_simple(c, "web", 5000);
	(void)cores_quiet(c);
	assert_running(c, "web", 5000);
	service_scale(c, "web", 10);
	cores_pass(c, 2 * NS_PER_SEC);
	assert_running(c, "web", 10);
	assert_int_equal(store_count(c->store, KIND_TASK), 10);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tasks_of_a_service_run),
		TEST(nothing_is_said_when_idle),
		TEST(a_lost_batch_is_made_again),
		TEST(scaling_down_balances),
		TEST(scaling_down_prefers_what_does_not_run),
		TEST(doubles_are_healed),
		TEST(removal_leaves_nothing),
		TEST(many_tasks_take_many_steps),
	};

	return RUN_TESTS(tests);
}
