/*
 * The rebalance with all cores around it: one at a time, the new task first, until the spread is
 * level; what cannot be moved, failures, updates in between, the automatic policy; and the same
 * with a new leader after every batch.
 */
#include "unit/manager/cores.h"

#include "base/limits.h"

static const struct service *web(const struct cores *c)
{
	return store_service(c->store, "web");
}

static size_t on_node(const struct cores *c, const char *service, const char *node)
{
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_node_tasks(&w, c->store, node);
	while ((t = store_walk_next(&w)))
		n += is_running(t) && strcmp(t->service, service) == 0;
	return n;
}

static void assert_spread(const struct cores *c, size_t n1, size_t n2, size_t n3)
{
	assert_int_equal(on_node(c, "web", "n1"), n1);
	assert_int_equal(on_node(c, "web", "n2"), n2);
	assert_int_equal(on_node(c, "web", "n3"), n3);
}

static void assert_state(const struct cores *c, enum rebalance_state state, const char *message)
{
	assert_non_null(web(c)->rebalance);
	if (!strstr(web(c)->rebalance->message, message))
		fail_msg("\"%s\" is not in \"%s\"", message, web(c)->rebalance->message);
	assert_int_equal(web(c)->rebalance->state, state);
}

/* Six tasks on the first node, the other two come later. */
static struct cores *crowded(const char *policy, uint64_t parallelism, bool many_leaders)
{
	struct cores *c = cores_new(1);
	struct service *s = service_make(c, "web", 6);

	node_add(c, "n1", 8 * CPU, 8 * GIB);
	service_restart(s, RESTART_ANY, NS_PER_SEC, 0, 0);
	s->spec.update = update_make(parallelism, "pause", "stop-first");
	if (policy)
		strmap_set(&s->spec.labels, REBALANCE_LABEL, policy);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 6);
	c->many_leaders = many_leaders;
	return c;
}

static void join(struct cores *c)
{
	node_add(c, "n2", 8 * CPU, 8 * GIB);
	node_add(c, "n3", 8 * CPU, 8 * GIB);
}

static void ask_run(bool many_leaders)
{
	struct cores *c = crowded(NULL, 2, many_leaders);

	join(c);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_spread(c, 6, 0, 0); /* nobody asked */
	service_rebalance(c, "web");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_spread(c, 2, 2, 2);
	assert_state(c, REBALANCE_COMPLETED, "rebalance completed: 4 tasks were moved");
	assert_int_equal(web(c)->rebalance->moved, 4);
	assert_null(web(c)->update_status);
	service_rebalance(c, "web");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_state(c, REBALANCE_COMPLETED, "0 tasks were moved");
	cores_free(c);
}

static void ask(void **state)
{
	ask_run(false);
	ask_run(true);
}

static bool is_move(const struct task *t)
{
	return t->move && t->move->of;
}

/* New tasks come up only when the test says so. */
static bool held;
static enum task_state hold_new(struct cores *c, const struct task *t)
{
	return (is_move(t) || t->update) && held ? TASK_PREPARING : TASK_RUNNING;
}

/* The older task runs until the new one does, and the next waits for both. */
static void one_at_a_time_run(bool many_leaders)
{
	struct cores *c = crowded(NULL, 1, many_leaders);

	join(c);
	c->fate = hold_new;
	for (size_t moved = 0; moved < 4; moved++) {
		held = true;
		if (moved == 0)
			service_rebalance(c, "web");
		cores_pass(c, NS_PER_SEC / 2);
		assert_int_equal(moves_in_flight(c->store, web(c)), 1);
		assert_running(c, "web", 6);
		assert_int_equal(on_node(c, "web", "n1"), 6 - moved);
		held = false;
		(void)agents_run(c);
		held = true;
		(void)cores_quiet(c);
		assert_int_equal(web(c)->rebalance->moved, moved + 1);
	}
	cores_pass(c, 60 * NS_PER_SEC);
	assert_state(c, REBALANCE_COMPLETED, "4 tasks were moved");
	cores_free(c);
}

static void one_at_a_time(void **state)
{
	one_at_a_time_run(false);
	one_at_a_time_run(true);
}

static void automatic_run(bool many_leaders)
{
	struct cores *c = crowded("auto", 1, many_leaders);

	node_add(c, "n3", 8 * CPU, 8 * GIB);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(on_node(c, "web", "n3"), 3);
	/* Lost and back: its tasks went elsewhere, and three of the six come again. */
	node_state(c, "n3", NODE_DOWN);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(on_node(c, "web", "n1"), 6);
	node_state(c, "n3", NODE_READY);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(on_node(c, "web", "n3"), 3);
	/* The same for a node that is drained and made active again. */
	node_availability(c, "n3", AVAILABILITY_DRAIN);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(on_node(c, "web", "n1"), 6);
	node_availability(c, "n3", AVAILABILITY_ACTIVE);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(on_node(c, "web", "n3"), 3);
	assert_state(c, REBALANCE_COMPLETED, "");
	cores_free(c);
}

static void automatic(void **state)
{
	struct cores *c = crowded("off", 1, false);

	automatic_run(false);
	automatic_run(true);
	join(c);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_spread(c, 6, 0, 0);
	assert_null(web(c)->rebalance);
	cores_free(c);
}

static enum task_state moved_fail(struct cores *c, const struct task *t)
{
	return is_move(t) ? TASK_FAILED : TASK_RUNNING;
}

static enum task_state moved_hang(struct cores *c, const struct task *t)
{
	return is_move(t) ? TASK_PREPARING : TASK_RUNNING;
}

/* Replacements that fail, or never run: so many, then it stops, and all that ran still runs. */
static void stuck_run(enum task_state (*fate)(struct cores *c, const struct task *t),
		      const char *why, bool many_leaders)
{
	struct cores *c = crowded("auto", 1, many_leaders);

	c->fate = fate;
	join(c);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_spread(c, 6, 0, 0);
	assert_state(c, REBALANCE_PAUSED, "rebalance paused after 3 failed moves: task ");
	assert_state(c, REBALANCE_PAUSED, why);
	assert_int_equal(web(c)->rebalance->failed, LIMIT_MOVE_FAILURES);
	c->fate = NULL;
	cores_reset(c);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_spread(c, 6, 0, 0); /* a new leader is no reason to try again */
	service_rebalance(c, "web");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_spread(c, 2, 2, 2);
	cores_free(c);
}

static void stuck(void **state)
{
	stuck_run(moved_fail, "it has ended", false);
	stuck_run(moved_fail, "it has ended", true);
	stuck_run(moved_hang, "it did not run within the time", false);
	stuck_run(moved_hang, "it did not run within the time", true);
}

/* The task that is to go ends while its replacement is on its way, which then fails. */
static void both_fail(void **state)
{
	struct cores *c = crowded(NULL, 1, false);
	const struct task *t;
	struct store_walk w;
	char old[ID_CLUSTER_LEN + 1] = "";

	join(c);
	c->fate = moved_hang;
	service_rebalance(c, "web");
	(void)cores_quiet(c);
	store_walk_service_tasks(&w, c->store, "web");
	while ((t = store_walk_next(&w)))
		if (t->move)
			snprintf(old, sizeof old, "%s", t->move->of);
	task_report(c, store_task(c->store, old), TASK_FAILED);
	(void)cores_quiet(c);
	assert_running(c, "web", 5);
	c->fate = moved_fail;
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_running(c, "web", 6);
	cores_free(c);
}

/* An update comes in the middle: it has precedence, and the rebalance goes on after it. */
static void update_between_run(bool many_leaders)
{
	struct cores *c = crowded(NULL, 1, many_leaders);

	join(c);
	c->fate = hold_new;
	held = true;
	service_rebalance(c, "web");
	(void)cores_quiet(c);
	assert_int_equal(moves_in_flight(c->store, web(c)), 1);
	service_force(c, "web");
	cores_pass(c, 2 * NS_PER_SEC);
	assert_int_equal(moves_in_flight(c->store, web(c)), 0);
	assert_state(c, REBALANCE_MOVING, "waiting: the service is being updated");
	held = false;
	cores_pass(c, 120 * NS_PER_SEC);
	assert_int_equal(web(c)->update_status->state, UPDATE_COMPLETED);
	assert_state(c, REBALANCE_COMPLETED, "rebalance completed");
	assert_int_equal(web(c)->rebalance->failed, 0);
	assert_spread(c, 2, 2, 2);
	cores_free(c);
}

static void update_between(void **state)
{
	update_between_run(false);
	update_between_run(true);
}

/* Where there is room for some alone, only these go. */
static void no_room(void **state)
{
	struct cores *c = cores_new(1);
	struct service *s = service_make(c, "web", 6);

	node_add(c, "n1", 8 * CPU, 8 * GIB);
	service_reserve(s, CPU, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	node_add(c, "n2", CPU, 8 * GIB);
	node_add(c, "n3", CPU / 2, 8 * GIB);
	service_rebalance(c, "web");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_spread(c, 5, 1, 0);
	assert_state(c, REBALANCE_COMPLETED, "1 task was moved");
	assert_int_equal(web(c)->rebalance->failed, 0);
	cores_free(c);
}

/* Two services at a time, each with one task a node or less: their totals are levelled. */
static void many_services(void **state)
{
	struct cores *c = cores_new(1);
	char id[8];

	node_add(c, "n1", 8 * CPU, 8 * GIB);
	for (int i = 0; i < 9; i++) {
		struct service *s;

		snprintf(id, sizeof id, "s%d", i);
		s = service_make(c, id, 1);
		strmap_set(&s->spec.labels, REBALANCE_LABEL, "auto");
		service_add(c, s);
	}
	(void)cores_quiet(c);
	join(c);
	cores_pass(c, 120 * NS_PER_SEC);
	for (int n = 1; n <= 3; n++) {
		size_t sum = 0;

		for (int i = 0; i < 9; i++) {
			char node[8];

			snprintf(id, sizeof id, "s%d", i);
			snprintf(node, sizeof node, "n%d", n);
			sum += on_node(c, id, node);
		}
		assert_int_equal(sum, 3);
	}
	cores_free(c);
}

/* Scaled away, or removed, in the middle. */
static void shrunk(void **state)
{
	struct cores *c = crowded(NULL, 1, false);

	join(c);
	c->fate = hold_new;
	held = true;
	service_rebalance(c, "web");
	(void)cores_quiet(c);
	service_scale(c, "web", 0);
	cores_pass(c, 30 * NS_PER_SEC);
	assert_int_equal(tasks_count(c, "web", is_any), 0);
	assert_state(c, REBALANCE_COMPLETED, "0 tasks were moved");
	service_scale(c, "web", 3);
	held = false;
	cores_pass(c, 30 * NS_PER_SEC);
	service_rebalance(c, "web");
	service_remove(c, "web");
	cores_pass(c, 30 * NS_PER_SEC);
	assert_null(web(c));
	cores_free(c);
}

/* Draining */

#define NOWHERE_NS (LIMIT_DRAIN_WAIT_MS * NS_PER_MS)

/* Three tasks on each of two nodes, updated in this order. */
static struct cores *two_nodes(const char *order, bool many_leaders)
{
	struct cores *c = cores_new(1);
	struct service *s = service_make(c, "web", 6);

	node_add(c, "n1", 8 * CPU, 8 * GIB);
	node_add(c, "n2", 8 * CPU, 8 * GIB);
	service_restart(s, RESTART_ANY, NS_PER_SEC, 0, 0);
	s->spec.update = update_make(1, "pause", order);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_spread(c, 3, 3, 0);
	c->many_leaders = many_leaders;
	return c;
}

static void drain_run(bool many_leaders)
{
	struct cores *c = two_nodes("start-first", many_leaders);

	c->fate = hold_new;
	held = true;
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	cores_pass(c, 10 * NS_PER_SEC);
	assert_spread(c, 3, 3, 0);
	held = false;
	cores_pass(c, 10 * NS_PER_SEC);
	assert_spread(c, 0, 6, 0);
	assert_null(web(c)->update_status);
	assert_null(web(c)->rebalance);
	cores_free(c);
	/* Its own order is what counts. */
	c = two_nodes("stop-first", many_leaders);
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	(void)cores_settle(c);
	assert_spread(c, 0, 3, 0);
	cores_pass(c, 10 * NS_PER_SEC);
	assert_spread(c, 0, 6, 0);
	cores_free(c);
}

static void drain(void **state)
{
	drain_run(false);
	drain_run(true);
}

/* Replacements that fail, hang or find no room: tried so often, then the node is left all the same.
 */
static void drain_stuck_run(enum task_state (*fate)(struct cores *c, const struct task *t),
			    int64_t still_ns, bool many_leaders)
{
	struct cores *c = two_nodes("start-first", many_leaders);
	const struct task *t;
	struct store_walk w;
	size_t failed = 0;

	c->fate = fate;
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	cores_pass(c, still_ns);
	assert_spread(c, 3, 3, 0);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_spread(c, 0, 6, 0);
	store_walk_service_tasks(&w, c->store, "web");
	while ((t = store_walk_next(&w)))
		failed += t->move && t->move->of && t->move->failed;
	assert_int_equal(failed, 3 * LIMIT_MOVE_FAILURES);
	cores_free(c);
}

static void drain_stuck(void **state)
{
	drain_stuck_run(moved_fail, NS_PER_SEC, false);
	drain_stuck_run(moved_fail, NS_PER_SEC, true);
	drain_stuck_run(moved_hang, LIMIT_MOVE_WAIT_MS * NS_PER_MS * 2, false);
	drain_stuck_run(moved_hang, LIMIT_MOVE_WAIT_MS * NS_PER_MS * 2, true);
}

/*
 * Where the rebalance moved a task to is drained before that is settled: one of the two is at it,
 * and the slot has never more than the old task and one that takes its place.
 */
static void drain_moved(void **state)
{
	struct cores *c = crowded(NULL, 1, false);
	struct service *s = cores_edit(c, KIND_SERVICE, "web");
	size_t before;

	table_free(&update_config_table, s->spec.update);
	s->spec.update = update_make(1, "pause", "start-first");
	service_change(c, s);
	(void)cores_quiet(c);
	join(c);
	service_rebalance(c, "web");
	(void)cores_settle(c);
	(void)agents_run(c);
	before = tasks_count(c, "web", is_any);
	assert_int_equal(before, 7);
	node_availability(c, "n2", AVAILABILITY_DRAIN);
	node_availability(c, "n3", AVAILABILITY_DRAIN);
	(void)cores_step(c, RESTART, NULL);
	assert_int_equal(tasks_count(c, "web", is_any), before);
	cores_pass(c, 900 * NS_PER_SEC);
	assert_spread(c, 6, 0, 0);
	cores_free(c);
}

/* The node dies, an update comes, the last node is drained: in the middle of it. */
static void drain_between(void **state)
{
	struct cores *c = two_nodes("start-first", false);

	c->fate = moved_hang;
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	(void)cores_quiet(c);
	c->fate = NULL;
	node_state(c, "n1", NODE_DOWN);
	cores_pass(c, 30 * NS_PER_SEC);
	assert_spread(c, 0, 6, 0);
	node_add(c, "n3", 8 * CPU, 8 * GIB);
	c->fate = hold_new;
	held = true;
	node_availability(c, "n2", AVAILABILITY_DRAIN);
	(void)cores_quiet(c);
	assert_spread(c, 0, 6, 0);
	service_force(c, "web");
	(void)cores_quiet(c);
	held = false;
	cores_pass(c, 120 * NS_PER_SEC);
	assert_spread(c, 0, 0, 6);
	assert_int_equal(web(c)->update_status->state, UPDATE_COMPLETED);
	/* Nowhere to go for a while: it runs on, and goes when there is a place. */
	node_availability(c, "n3", AVAILABILITY_DRAIN);
	cores_pass(c, NOWHERE_NS - 2 * NS_PER_SEC);
	assert_spread(c, 0, 0, 6);
	node_availability(c, "n2", AVAILABILITY_ACTIVE);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_spread(c, 0, 6, 0);
	cores_free(c);
}

static bool waits_for_a_node(const struct task *t)
{
	return task_is_wanted(t) && t->status.state == TASK_PENDING && t->status.err &&
	       strstr(t->status.err, "no suitable node");
}

/* Nowhere to go for long: the node is left, and what replaces its tasks waits and says for what. */
static void drain_nowhere_run(bool update, bool many_leaders)
{
	struct cores *c = two_nodes("start-first", many_leaders);

	node_availability(c, "n2", AVAILABILITY_DRAIN);
	cores_pass(c, 30 * NS_PER_SEC);
	assert_spread(c, 6, 0, 0);
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	if (update)
		service_force(c, "web");
	cores_pass(c, NOWHERE_NS - 2 * NS_PER_SEC);
	assert_spread(c, 6, 0, 0);
	/* An update takes them one at a time, and waits with the first. */
	cores_pass(c, 10 * NS_PER_SEC);
	assert_spread(c, 0, 0, 0);
	assert_int_equal(tasks_count(c, "web", waits_for_a_node), 6);
	node_availability(c, "n2", AVAILABILITY_ACTIVE);
	cores_pass(c, 120 * NS_PER_SEC);
	assert_spread(c, 0, 6, 0);
	assert_int_equal(tasks_count(c, "web", waits_for_a_node), 0);
	cores_free(c);
}

static void drain_nowhere(void **state)
{
	drain_nowhere_run(false, false);
	drain_nowhere_run(false, true);
	drain_nowhere_run(true, false);
	drain_nowhere_run(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ask),           TEST(one_at_a_time),  TEST(automatic),   TEST(stuck),
		TEST(both_fail),     TEST(update_between), TEST(no_room),     TEST(many_services),
		TEST(shrunk),        TEST(drain),          TEST(drain_stuck), TEST(drain_moved),
		TEST(drain_between), TEST(drain_nowhere),
	};

	return RUN_TESTS(tests);
}
