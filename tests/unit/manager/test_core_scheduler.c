/*
 * The scheduler's core, and what the cores are made of: explanations, given nodes, failing nodes,
 * resources that come back; sets of ids and wake-ups.
 */
#include "unit/manager/cores.h"

#include "base/buf.h"
#include "manager/idset.h"
#include "manager/wakes.h"
#include "scheduler/scheduler.h"

static void pending_tasks_say_why(void **state)
{
	struct cores *c = cores_new(5);
	struct service *s = service_make(c, "web", 3);

	node_add(c, "n1", 2 * CPU, GIB);
	node_add(c, "n2", CPU / 2, GIB);
	service_reserve(s, CPU, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 2);
	for (uint64_t slot = 1; slot <= 3; slot++) {
		const struct task *t = task_in(c, "web", slot);

		if (t->status.state != TASK_RUNNING)
			assert_string_equal(t->status.err,
					    "no suitable node (insufficient resources on 2 nodes)");
	}
	node_state(c, "n2", NODE_DOWN);
	cores_pass(c, NS_PER_SEC);
	for (uint64_t slot = 1; slot <= 3; slot++) {
		const struct task *t = task_in(c, "web", slot);

		if (t->status.state != TASK_RUNNING)
			assert_string_equal(t->status.err,
					    "no suitable node (1 node not available for new "
					    "tasks; insufficient resources on 1 node)");
	}
	node_add(c, "n3", CPU, GIB);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 3);
	cores_free(c);
}

static void a_thousand_waiting_tasks_all_say_why(void **state)
{
	struct cores *c = cores_new(5);
	struct service *s = service_make(c, "web", 1200);
	const struct task *t;
	struct store_walk w;

	node_add(c, "n1", CPU, GIB);
	service_reserve(s, CPU, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 1);
	store_walk_service_tasks(&w, c->store, "web");
	while ((t = store_walk_next(&w)))
		if (t->status.state == TASK_PENDING)
			assert_string_equal(t->status.err,
					    "no suitable node (insufficient resources on 1 node)");
	cores_free(c);
}

/* As the orchestrator of global services will make them. */
static void task_given(struct cores *c, const char *id, uint64_t slot, const char *node)
{
	struct task *t = object_new(KIND_TASK, id, c->now);
	struct changes batch;

	t->service = xstrdup("web");
	t->template_version = 1;
	t->slot = slot;
	t->desired = TASK_RUNNING;
	t->node = xstrdup(node);
	changes_init(&batch);
	changes_create(&batch, &t->o);
	cores_apply(c, &batch);
}

static void a_given_node_is_kept_to(void **state)
{
	struct cores *c = cores_new(5);
	struct service *s = service_make(c, "web", 2);

	node_add(c, "n1", CPU, GIB);
	node_add(c, "n2", CPU, GIB);
	service_reserve(s, CPU, 0);
	service_add(c, s);
	task_given(c, "a", 1, "n2");
	task_given(c, "b", 2, "n2");
	(void)cores_quiet(c);
	assert_running(c, "web", 1);
	assert_string_equal(store_task(c->store, "a")->node, "n2");
	assert_int_equal(store_task(c->store, "a")->status.state, TASK_RUNNING);
	assert_string_equal(store_task(c->store, "b")->status.err,
			    "no suitable node (insufficient resources on 1 node)");
	cores_free(c);
}

static enum task_state fails_on_n1(struct cores *c, const struct task *t)
{
	return strcmp(t->node, "n1") == 0 ? TASK_REJECTED : TASK_RUNNING;
}

static void a_node_where_it_fails_is_left(void **state)
{
	struct cores *c = cores_new(6);
	struct service *s = service_make(c, "web", 3), *other;

	node_add(c, "n1", 8 * CPU, GIB);
	node_add(c, "n2", 8 * CPU, GIB);
	service_restart(s, RESTART_ANY, 0, 0, 0);
	service_add(c, s);
	c->fate = fails_on_n1;
	cores_pass(c, NS_PER_SEC);
	/* n1 always has fewer tasks, yet after five failures it is the last choice. */
	assert_running(c, "web", 3);
	assert_int_equal(c->ids, 3 + SCHED_FAILURES);
	cores_reset(c);
	service_scale(c, "web", 6);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 6);
	assert_int_equal(c->ids, 6 + SCHED_FAILURES);
	/* Only for this service. */
	c->fate = NULL;
	other = service_make(c, "other", 1);
	service_add(c, other);
	(void)cores_quiet(c);
	assert_string_equal(task_in(c, "other", 1)->node, "n1");
	cores_free(c);
}

/* Resources are free again when the task has ended, not when that is merely wished. */
static void resources_are_held_to_the_end(void **state)
{
	struct cores *c = cores_new(7);
	struct service *s = service_make(c, "web", 1), *next = service_make(c, "next", 1);

	node_add(c, "n1", CPU, GIB);
	service_reserve(s, CPU, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	service_reserve(next, CPU, 0);
	service_add(c, next);
	service_scale(c, "web", 0);
	(void)cores_settle(c);
	cores_reset(c);
	(void)cores_settle(c);
	assert_int_equal(task_in(c, "next", 1)->status.state, TASK_PENDING);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "next", 1);
	cores_free(c);
}

static void sets_keep_their_order(void **state)
{
	struct idset s = {0};
	auto_buf seen = BUF_INIT(16);

	assert_true(idset_add(&s, "b"));
	assert_true(idset_add(&s, "a"));
	assert_true(idset_add(&s, "c"));
	assert_false(idset_add(&s, "a"));
	assert_true(idset_has(&s, "a"));
	IDSET_EACH(e, &s)
	{
		assert_int_equal(buf_adds(&seen, e->id), 0);
		assert_true(idset_remove(&s, e->id));
	}
	assert_string_equal(buf_text(&seen), "bac");
	assert_false(idset_remove(&s, "a"));
	assert_int_equal(idset_count(&s), 0);
	idset_done(&s);
}

static void wakes_come_in_time(void **state)
{
	struct wakes w = {0};
	int64_t last = 0;
	unsigned n = 0;

	assert_true(wakes_next(&w) == INT64_MAX);
	assert_null(wakes_due(&w, INT64_MAX));
	for (int i = 0; i < 500; i++) {
		char id[8];

		snprintf(id, sizeof id, "t%d", i % 300);
		wakes_set(&w, id, (i * 7919) % 1000);
	}
	for (int i = 0; i < 300; i += 3) {
		char id[8];

		snprintf(id, sizeof id, "t%d", i);
		wakes_clear(&w, id);
		wakes_clear(&w, id);
	}
	assert_null(wakes_due(&w, -1));
	while (wakes_due(&w, 1000)) {
		assert_true(wakes_next(&w) >= last);
		last = wakes_next(&w);
		wakes_clear(&w, wakes_due(&w, 1000));
		n++;
	}
	assert_int_equal(n, 200);
	wakes_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pending_tasks_say_why),
		TEST(a_thousand_waiting_tasks_all_say_why),
		TEST(a_given_node_is_kept_to),
		TEST(a_node_where_it_fails_is_left),
		TEST(resources_are_held_to_the_end),
		TEST(sets_keep_their_order),
		TEST(wakes_come_in_time),
	};

	return RUN_TESTS(tests);
}
