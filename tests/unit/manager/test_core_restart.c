/*
 * The restart supervisor, with the reaper and the enforcer: policy, delay, attempts, window, nodes
 * that go, history.
 */
#include "unit/manager/cores.h"

static struct cores *with_service(uint64_t replicas, enum restart_condition on, int64_t delay,
				  uint64_t attempts, int64_t window)
{
	struct cores *c = cores_new(2);
	struct service *s = service_make(c, "web", replicas);

	node_add(c, "n1", 4 * CPU, 8 * GIB);
	node_add(c, "n2", 4 * CPU, 8 * GIB);
	service_restart(s, on, delay, attempts, window);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", replicas);
	return c;
}

static enum task_state fails(struct cores *c, const struct task *t)
{
	if (t->desired == TASK_READY)
		return TASK_READY;
	return t->status.state == TASK_RUNNING ? TASK_FAILED : TASK_RUNNING;
}

static void the_delay_is_kept(void **state)
{
	struct cores *c = with_service(1, RESTART_ANY, 5 * NS_PER_SEC, 0, 0);
	auto_free char *old = xstrdup(task_in(c, "web", 1)->o.id);
	int64_t start = c->now;

	task_report(c, task_in(c, "web", 1), TASK_FAILED);
	(void)cores_quiet(c);
	assert_int_equal(store_task(c->store, old)->desired, TASK_SHUTDOWN);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_READY);
	assert_int_equal(task_in(c, "web", 1)->status.state, TASK_READY); /* prepared meanwhile */
	cores_pass(c, 5 * NS_PER_SEC - 1);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_READY);
	cores_reset(c); /* a new leader goes on where the old one was */
	c->now = start + 5 * NS_PER_SEC;
	(void)cores_quiet(c);
	assert_running(c, "web", 1);
	cores_free(c);
}

static enum task_state cannot_be_prepared(struct cores *c, const struct task *t)
{
	(void)c;
	(void)t;
	return TASK_REJECTED;
}

/* What is refused before it runs, as an image that is not there, is not tried faster than that. */
static void the_delay_is_kept_by_what_cannot_be_prepared(void **state)
{
	struct cores *c = with_service(1, RESTART_ANY, 5 * NS_PER_SEC, 0, 0);

	c->fate = cannot_be_prepared;
	service_force(c, "web");
	(void)cores_quiet(c);
	/* The first, the task of the update, and the one that waits after it. */
	assert_int_equal(c->ids, 3);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_READY);
	for (size_t i = 1; i <= 10; i++) {
		cores_pass(c, 5 * NS_PER_SEC - 1);
		assert_int_equal(c->ids, 2 + i);
		if (i % 3 == 0)
			cores_reset(c);
		cores_pass(c, 1);
		assert_int_equal(c->ids, 3 + i);
	}
	cores_free(c);
}

static void a_lost_node_does_not_shorten_the_delay(void **state)
{
	struct cores *c = with_service(1, RESTART_ANY, 5 * NS_PER_SEC, 0, 0);

	task_report(c, task_in(c, "web", 1), TASK_FAILED);
	(void)cores_quiet(c);
	node_state(c, task_in(c, "web", 1)->node, NODE_DOWN);
	cores_pass(c, 5 * NS_PER_SEC - 1);
	assert_running(c, "web", 0);
	assert_int_equal(task_in(c, "web", 1)->status.state, TASK_READY);
	cores_pass(c, 1);
	assert_running(c, "web", 1);
	cores_free(c);
}

static void the_default_delay_is_five_seconds(void **state)
{
	struct cores *c = cores_new(1);

	node_add(c, "n1", CPU, GIB);
	service_simple(c, "web", 1);
	(void)cores_quiet(c);
	task_report(c, task_in(c, "web", 1), TASK_COMPLETE);
	cores_pass(c, 4999 * NS_PER_MS);
	assert_running(c, "web", 0);
	cores_pass(c, NS_PER_MS);
	assert_running(c, "web", 1);
	cores_free(c);
}

static void expect_end(enum restart_condition on, enum task_state end, size_t running)
{
	struct cores *c = with_service(1, on, 0, 0, 0);

	task_report(c, task_in(c, "web", 1), end);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_running(c, "web", running);
	/* What ended by its policy stays ended, for a new leader too. */
	cores_reset(c);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_running(c, "web", running);
	assert_int_equal(tasks_count(c, "web", is_any), 1 + running);
	cores_free(c);
}

static void conditions(void **state)
{
	expect_end(RESTART_NONE, TASK_FAILED, 0);
	expect_end(RESTART_NONE, TASK_COMPLETE, 0);
	expect_end(RESTART_ON_FAILURE, TASK_COMPLETE, 0);
	expect_end(RESTART_ON_FAILURE, TASK_FAILED, 1);
	expect_end(RESTART_ON_FAILURE, TASK_REJECTED, 1);
	expect_end(RESTART_ANY, TASK_COMPLETE, 1);
}

static uint64_t tasks_made(const struct cores *c)
{
	return c->ids;
}

static void attempts_run_out(void **state)
{
	struct cores *c = with_service(1, RESTART_ANY, NS_PER_SEC, 8, 0);

	/* More attempts than history is kept. */
	c->fate = fails;
	for (int i = 0; i < 30; i++) {
		cores_pass(c, NS_PER_SEC);
		if (i % 7 == 3)
			cores_reset(c);
	}
	assert_int_equal(tasks_made(c), 9);
	assert_running(c, "web", 0);
	/* A new template starts to count afresh. */
	service_force(c, "web");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(tasks_made(c), 18);
	cores_free(c);
}

static void attempts_within_a_window(void **state)
{
	struct cores *c = with_service(1, RESTART_ANY, 2 * NS_PER_SEC, 7, 60 * NS_PER_SEC);

	/* One failure in ten seconds: never seven in a minute. */
	for (int i = 0; i < 30; i++) {
		task_report(c, task_in(c, "web", 1), TASK_FAILED);
		cores_pass(c, 10 * NS_PER_SEC);
		assert_running(c, "web", 1);
	}
	c->fate = fails;
	cores_pass(c, 30 * NS_PER_SEC);
	assert_running(c, "web", 0);
	assert_null(task_in(c, "web", 1));
	cores_reset(c);
	cores_pass(c, 600 * NS_PER_SEC);
	assert_null(task_in(c, "web", 1));
	cores_free(c);
}

static void a_down_node_loses_its_tasks_at_once(void **state)
{
	struct cores *c = with_service(4, RESTART_ANY, 5 * NS_PER_SEC, 0, 0);
	const struct task *t;
	struct store_walk w;

	node_state(c, "n1", NODE_DOWN);
	(void)cores_quiet(c);
	assert_running(c, "web", 4);
	store_walk_node_tasks(&w, c->store, "n1");
	while ((t = store_walk_next(&w)))
		assert_int_equal(t->desired, TASK_SHUTDOWN);
	/* It comes back: what it must not run any more is stopped. */
	node_state(c, "n1", NODE_READY);
	(void)cores_quiet(c);
	store_walk_node_tasks(&w, c->store, "n1");
	while ((t = store_walk_next(&w)))
		assert_int_equal(t->status.state, TASK_SHUTDOWN);
	assert_running(c, "web", 4);
	cores_free(c);
}

static void a_drained_node_is_left_without_delay(void **state)
{
	struct cores *c = with_service(4, RESTART_ANY, 5 * NS_PER_SEC, 0, 0);
	int64_t start = c->now;

	node_availability(c, "n1", AVAILABILITY_DRAIN);
	/* The old ones still run: the new ones are made ready and wait for them. */
	(void)cores_settle(c);
	assert_int_equal(tasks_count(c, "web", is_running), 2);
	(void)cores_quiet(c);
	assert_running(c, "web", 4);
	assert_true(c->now == start);
	assert_int_equal(task_in(c, "web", 1)->node[1], '2');
	cores_free(c);
}

static enum task_state never_stops(struct cores *c, const struct task *t)
{
	return t->status.state;
}

static void an_old_task_is_waited_for_a_minute(void **state)
{
	struct cores *c = with_service(1, RESTART_ANY, 5 * NS_PER_SEC, 0, 0);
	const struct task *t = task_in(c, "web", 1);
	auto_free char *node = xstrdup(t->node);
	int64_t start = c->now;

	c->fate = never_stops;
	node_availability(c, node, AVAILABILITY_DRAIN);
	(void)cores_settle(c);
	c->now = start + 60 * NS_PER_SEC - 1;
	(void)cores_settle(c);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_READY);
	c->now++;
	(void)cores_settle(c);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_RUNNING);
	cores_free(c);
}

static void a_removed_node_leaves_nothing_behind(void **state)
{
	struct cores *c = with_service(4, RESTART_ANY, 0, 0, 0);

	node_state(c, "n1", NODE_DOWN);
	(void)cores_quiet(c);
	service_remove(c, "web");
	cores_pass(c, 3600 * NS_PER_SEC);
	/* Nobody knows whether the containers there still run. */
	assert_int_equal(store_count(c->store, KIND_TASK), 2);
	assert_int_equal(store_count(c->store, KIND_SERVICE), 1);
	cores_delete(c, KIND_NODE, "n1");
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(store_count(c->store, KIND_TASK), 0);
	assert_int_equal(store_count(c->store, KIND_SERVICE), 0);
	cores_free(c);
}

static void history_is_kept_to_its_limit(void **state)
{
	struct cores *c = with_service(2, RESTART_ANY, 0, 0, 0);
	struct cluster *cluster = object_new(KIND_CLUSTER, "cluster", c->now);
	struct changes batch;
	int64_t limit = 2;

	for (int i = 0; i < 12; i++) {
		task_report(c, task_in(c, "web", 1), TASK_FAILED);
		cores_pass(c, NS_PER_SEC);
	}
	assert_int_equal(tasks_count(c, "web", is_any), 2 + TASK_HISTORY_DEFAULT);
	cluster->spec.name = xstrdup("default");
	changes_init(&batch);
	changes_create(&batch, &cluster->o);
	cores_apply(c, &batch);
	cluster = cores_edit(c, KIND_CLUSTER, "cluster");
	cluster->spec.orchestration.task_history = xmemdup(&limit, sizeof limit);
	cores_update(c, cluster);
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "web", is_any), 2 + 2);
	limit = -1;
	cluster = cores_edit(c, KIND_CLUSTER, "cluster");
	*cluster->spec.orchestration.task_history = limit;
	cores_update(c, cluster);
	for (int i = 0; i < 12; i++) {
		task_report(c, task_in(c, "web", 1), TASK_FAILED);
		cores_pass(c, NS_PER_SEC);
	}
	assert_int_equal(tasks_count(c, "web", is_any), 2 + 2 + 12);
	for (int i = 0; i < LIMIT_TASK_HISTORY; i++) {
		task_report(c, task_in(c, "web", 1), TASK_FAILED);
		cores_pass(c, NS_PER_SEC);
	}
	assert_int_equal(tasks_count(c, "web", is_any), 2 + LIMIT_TASK_HISTORY);
	cores_free(c);
}

static void no_history_still_ends_for_good(void **state)
{
	struct cores *c = with_service(1, RESTART_NONE, 0, 0, 0);
	struct cluster *cluster = object_new(KIND_CLUSTER, "cluster", c->now);
	struct changes batch;
	int64_t limit = 0;

	cluster->spec.name = xstrdup("default");
	cluster->spec.orchestration.task_history = xmemdup(&limit, sizeof limit);
	changes_init(&batch);
	changes_create(&batch, &cluster->o);
	cores_apply(c, &batch);
	task_report(c, task_in(c, "web", 1), TASK_COMPLETE);
	cores_pass(c, 60 * NS_PER_SEC);
	cores_reset(c);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(tasks_made(c), 1);
	cores_free(c);
}

static bool is_rejected(const struct task *t)
{
	return t->status.state == TASK_REJECTED;
}

static void constraints_are_enforced(void **state)
{
	struct cores *c = cores_new(4);
	struct service *s = service_make(c, "web", 4);
	const struct task *t;
	struct store_walk w;
	struct node *n;

	node_add(c, "n1", 4 * CPU, 8 * GIB);
	node_add(c, "n2", 4 * CPU, 8 * GIB);
	service_constrain(s, "node.labels.zone != west");
	service_restart(s, RESTART_ANY, 0, 0, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_int_equal(store_node_task_count(c->store, "n1"), 2);
	n = cores_edit(c, KIND_NODE, "n1");
	strmap_set(&n->spec.labels, "zone", "West");
	cores_update(c, n);
	(void)cores_settle(c);
	assert_int_equal(tasks_count(c, "web", is_rejected), 2);
	store_walk_node_tasks(&w, c->store, "n1");
	t = store_walk_next(&w);
	assert_string_equal(t->status.err, "assigned node no longer meets constraints");
	assert_string_equal(t->status.message, "task rejected by constraint enforcer");
	assert_true(t->evicted);
	assert_false(task_is_over(t));
	assert_running(c, "web", 2); /* the others wait until the agent has stopped these */
	(void)cores_quiet(c);
	assert_running(c, "web", 4);
	cores_free(c);
}

static void reservations_are_enforced(void **state)
{
	struct cores *c = cores_new(4);
	struct service *s = service_make(c, "web", 4);
	struct node *n;

	node_add(c, "n1", 4 * CPU, 8 * GIB);
	service_reserve(s, CPU, 2 * GIB);
	service_restart(s, RESTART_ANY, 0, 0, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 4);
	node_availability(c, "n1", AVAILABILITY_PAUSE);
	n = cores_edit(c, KIND_NODE, "n1");
	n->description.resources.memory = 5 * GIB;
	cores_update(c, n);
	(void)cores_quiet(c);
	assert_running(c, "web", 4); /* a paused node is left alone */
	node_availability(c, "n1", AVAILABILITY_ACTIVE);
	(void)cores_quiet(c);
	assert_running(c, "web", 2);
	assert_int_equal(tasks_count(c, "web", is_rejected), 2);
	node_add(c, "n2", 4 * CPU, 8 * GIB);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 4);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_delay_is_kept),
		TEST(the_delay_is_kept_by_what_cannot_be_prepared),
		TEST(a_lost_node_does_not_shorten_the_delay),
		TEST(the_default_delay_is_five_seconds),
		TEST(conditions),
		TEST(attempts_run_out),
		TEST(attempts_within_a_window),
		TEST(a_down_node_loses_its_tasks_at_once),
		TEST(a_drained_node_is_left_without_delay),
		TEST(an_old_task_is_waited_for_a_minute),
		TEST(a_removed_node_leaves_nothing_behind),
		TEST(history_is_kept_to_its_limit),
		TEST(no_history_still_ends_for_good),
		TEST(constraints_are_enforced),
		TEST(reservations_are_enforced),
	};

	return RUN_TESTS(tests);
}
