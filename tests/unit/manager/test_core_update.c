/*
 * The updater with all cores around it: parallelism, delay, monitor, order, failures and what they
 * lead to, rollbacks, deadlines; and the same with a new leader after every batch.
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

static const struct service *web(const struct cores *c)
{
	return store_service(c->store, "web");
}

static void assert_state(const struct cores *c, enum update_state state, const char *message)
{
	assert_non_null(web(c)->update_status);
	assert_int_equal(web(c)->update_status->state, state);
	if (!strstr(web(c)->update_status->message, message))
		fail_msg("\"%s\" is not in \"%s\"", message, web(c)->update_status->message);
}

/* By the template: an odd number of forced updates is a bad one. */
static bool is_bad(const struct cores *c, const struct task *t)
{
	return store_template(c->store, t->service, t->template_version)->spec.force_update % 2;
}

static size_t count_bad(const struct cores *c, bool bad)
{
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_service_tasks(&w, c->store, "web");
	while ((t = store_walk_next(&w)))
		n += is_running(t) && is_bad(c, t) == bad;
	return n;
}

static enum task_state obey(const struct task *t)
{
	return t->desired == TASK_READY ? TASK_READY : TASK_RUNNING;
}

static enum task_state bad_fail(struct cores *c, const struct task *t)
{
	return obey(t) == TASK_RUNNING && is_bad(c, t) ? TASK_FAILED : obey(t);
}

/* Tasks that come up and fail half a second later, when `c->now` says so. */
static int64_t fail_at;
static enum task_state bad_fail_late(struct cores *c, const struct task *t)
{
	if (t->status.state == TASK_RUNNING && is_bad(c, t) && fail_at && c->now >= fail_at)
		return TASK_FAILED;
	return obey(t);
}

/* One task of the update comes up and fails; all that is rolled back fails at once. */
static enum task_state both_fail(struct cores *c, const struct task *t)
{
	if (!t->update || obey(t) != TASK_RUNNING)
		return obey(t);
	if (is_bad(c, t))
		return t->slot == 1 && t->status.state == TASK_RUNNING ? TASK_FAILED : TASK_RUNNING;
	return t->status.state < TASK_RUNNING ? TASK_FAILED : TASK_RUNNING;
}

static void web_add(struct cores *c, uint64_t replicas, struct update_config *update,
		    struct update_config *rollback)
{
	struct service *s = service_make(c, "web", replicas);

	service_restart(s, RESTART_ANY, NS_PER_SEC, 0, 0);
	s->spec.update = update;
	s->spec.rollback = rollback;
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", (int)replicas);
}

/* Rows of what a failing update leads to. */

struct row {
	const char *action, *order;
	enum task_state (*fate)(struct cores *c, const struct task *t);
	const char *rollback; /* its failure action */
	enum update_state end;
	int good; /* tasks of the old kind that run in the end; -1: not all of them */
	uint64_t failed;
};
static const struct row rows[] = {
	{"pause", "stop-first", bad_fail, "pause", UPDATE_PAUSED, 2, 1},
	{"pause", "start-first", bad_fail, "pause", UPDATE_PAUSED, 4, 1},
	{"continue", "stop-first", bad_fail, "pause", UPDATE_COMPLETED, 0, 4},
	{"continue", "start-first", bad_fail, "pause", UPDATE_UPDATING, 4, 4},
	{"rollback", "stop-first", bad_fail, "pause", UPDATE_ROLLBACK_COMPLETED, 4, 0},
	{"rollback", "start-first", bad_fail, "pause", UPDATE_ROLLBACK_COMPLETED, 4, 0},
	/* What is rolled back fails as well: never rolled back again. */
	{"rollback", "stop-first", both_fail, "pause", UPDATE_ROLLBACK_PAUSED, -1, 1},
	{"rollback", "start-first", both_fail, "pause", UPDATE_ROLLBACK_PAUSED, -1, 1},
	{"rollback", "stop-first", both_fail, "rollback", UPDATE_ROLLBACK_PAUSED, -1, 1},
	{"rollback", "start-first", both_fail, "rollback", UPDATE_ROLLBACK_PAUSED, -1, 1},
	{"rollback", "stop-first", both_fail, "continue", UPDATE_ROLLBACK_COMPLETED, 4, 1},
	{"rollback", "start-first", both_fail, "continue", UPDATE_ROLLBACK_STARTED, -1, 1},
};

static void row_run(const struct row *r, bool many_leaders)
{
	struct cores *c = three_nodes();
	bool back = r->end >= UPDATE_ROLLBACK_STARTED;

	c->many_leaders = many_leaders;
	web_add(c, 4, update_make(2, r->action, r->order), update_make(1, r->rollback, r->order));
	c->fate = r->fate;
	service_force(c, "web");
	cores_pass(c, 120 * NS_PER_SEC);
	print_message("%s, %s, %s: %s\n", r->action, r->order, r->rollback,
		      web(c)->update_status->message);
	assert_int_equal(web(c)->update_status->state, r->end);
	if (r->good >= 0)
		assert_int_equal(count_bad(c, false), r->good);
	else
		assert_in_range(count_bad(c, false), 0, 3);
	assert_int_equal(web(c)->spec.task.force_update, back ? 0 : 1);
	assert_int_equal(web(c)->previous_spec == NULL, back);
	assert_in_range(web(c)->update.failed, r->failed, 4);
	cores_free(c);
}

static void each_action_and_order(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		row_run(&rows[i], false);
		row_run(&rows[i], true);
	}
}

static void a_good_update_completes(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct cores *c = three_nodes();

		c->many_leaders = i & 1;
		web_add(c, 5, update_make(2, "pause", i & 2 ? "start-first" : "stop-first"), NULL);
		service_force(c, "web");
		(void)cores_settle(c);
		assert_state(c, UPDATE_UPDATING, "update in progress");
		assert_int_equal(web(c)->update.total, 5);
		assert_int_equal(tasks_in_flight(c->store, web(c)), 2);
		assert_running(c, "web", i & 2 ? 5 : 3);
		(void)cores_quiet(c);
		assert_int_equal(count_bad(c, true), 5);
		assert_state(c, UPDATE_UPDATING, "update in progress"); /* the monitor */
		assert_int_equal(web(c)->update_status->completed, 0);
		cores_pass(c, NS_PER_SEC);
		assert_state(c, UPDATE_COMPLETED, "update completed");
		assert_true(web(c)->update_status->completed >= web(c)->update_status->started);
		assert_running(c, "web", 5);
		cores_free(c);
	}
}

static void scaling_is_no_update(void **state)
{
	struct cores *c = three_nodes();

	web_add(c, 2, NULL, NULL);
	service_scale(c, "web", 4);
	cores_pass(c, NS_PER_SEC);
	assert_null(web(c)->update_status);
	assert_running(c, "web", 4);
	cores_free(c);
}

static void all_at_once(void **state)
{
	struct cores *c = three_nodes();

	web_add(c, 6, update_make(0, "pause", "stop-first"), NULL);
	service_force(c, "web");
	(void)cores_settle(c);
	assert_running(c, "web", 0);
	assert_int_equal(tasks_in_flight(c->store, web(c)), 6);
	cores_free(c);
}

static void the_delay_is_kept_by_a_new_leader(void **state)
{
	struct update_config *u = update_make(1, "pause", "stop-first");
	struct cores *c = three_nodes();

	u->delay = 10 * NS_PER_SEC;
	web_add(c, 3, u, NULL);
	service_force(c, "web");
	for (size_t n = 1; n <= 3; n++) {
		(void)cores_quiet(c);
		assert_int_equal(count_bad(c, true), n);
		c->now += 10 * NS_PER_SEC - 1;
		cores_reset(c);
		(void)cores_quiet(c);
		assert_int_equal(count_bad(c, true), n);
		c->now++;
	}
	/* The monitor is longer than the delay, else it would be over before the next task. */
	assert_state(c, UPDATE_UPDATING, "");
	cores_pass(c, NS_PER_SEC);
	assert_state(c, UPDATE_COMPLETED, "");
	cores_free(c);
}

static void a_failure_within_the_monitor_counts(void **state)
{
	for (int late = 0; late < 2; late++) {
		struct update_config *u = update_make(1, "rollback", "stop-first");
		struct cores *c = three_nodes();

		u->monitor = 10 * NS_PER_SEC;
		web_add(c, 2, u, NULL);
		c->fate = bad_fail_late;
		fail_at = c->now + (late ? 10 : 9) * NS_PER_SEC;
		service_force(c, "web");
		(void)cores_quiet(c);
		assert_int_equal(count_bad(c, true), 2);
		cores_reset(c);
		cores_pass(c, 9 * NS_PER_SEC);
		cores_pass(c, NS_PER_SEC);
		c->fate = NULL;
		cores_pass(c, 60 * NS_PER_SEC);
		assert_state(c, late ? UPDATE_COMPLETED : UPDATE_ROLLBACK_COMPLETED, "");
		assert_int_equal(count_bad(c, late), 2);
		cores_free(c);
	}
}

static unsigned fail_n;
static enum task_state first_fail(struct cores *c, const struct task *t)
{
	if (obey(t) != TASK_RUNNING || !t->update || !fail_n || t->status.state == TASK_RUNNING)
		return obey(t);
	fail_n--;
	return TASK_FAILED;
}

static void the_ratio_decides(void **state)
{
	for (unsigned n = 2; n <= 3; n++) {
		struct update_config *u = update_make(1, "pause", "stop-first");
		struct cores *c = three_nodes();

		u->max_failure_ratio = 0.25;
		web_add(c, 8, u, NULL);
		c->fate = first_fail;
		fail_n = n;
		service_force(c, "web");
		for (int i = 0; i < 60; i++) { /* what was counted stays so */
			cores_reset(c);
			cores_pass(c, NS_PER_SEC);
		}
		assert_int_equal(web(c)->update.failed, n);
		assert_state(c, n == 2 ? UPDATE_COMPLETED : UPDATE_PAUSED,
			     n == 2 ? "update completed" : "update paused due to failure");
		cores_free(c);
	}
}

static void a_paused_update_goes_on_with_the_next(void **state)
{
	struct cores *c = three_nodes();

	web_add(c, 3, update_make(1, "pause", "stop-first"), NULL);
	c->fate = bad_fail;
	service_force(c, "web");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_state(c, UPDATE_PAUSED, "update paused due to failure or early termination of task");
	assert_int_equal(count_bad(c, false), 2);
	c->fate = NULL;
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(count_bad(c, false), 2);
	service_scale(c, "web", 4);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_state(c, UPDATE_COMPLETED, "");
	assert_int_equal(count_bad(c, true), 4);
	cores_free(c);
}

static void a_newer_spec_replaces_the_update(void **state)
{
	for (int order = 0; order < 2; order++) {
		struct cores *c = three_nodes();

		web_add(c, 6, update_make(2, "pause", order ? "start-first" : "stop-first"), NULL);
		service_force(c, "web");
		(void)cores_settle(c); /* two are on their way */
		service_force(c, "web");
		cores_pass(c, 70 * NS_PER_SEC);
		assert_state(c, UPDATE_COMPLETED, "");
		assert_running(c, "web", 6);
		assert_int_equal(count_bad(c, false), 6);
		assert_int_equal(task_in(c, "web", 1)->template_version, web(c)->template_version);
		cores_free(c);
	}
}

static void what_was_not_replaced_stays_in_a_rollback(void **state)
{
	struct cores *c = three_nodes();
	auto_free char *kept = NULL;

	web_add(c, 4, update_make(1, "rollback", "stop-first"), NULL);
	kept = xstrdup(task_in(c, "web", 4)->o.id);
	c->fate = bad_fail;
	service_force(c, "web");
	cores_pass(c, 60 * NS_PER_SEC);
	assert_state(c, UPDATE_ROLLBACK_COMPLETED, "rollback completed");
	assert_in_range(web(c)->update.total, 0, 1);
	assert_string_equal(task_in(c, "web", 4)->o.id, kept);
	cores_free(c);
}

static void start_first_needs_the_new_one_running(void **state)
{
	struct cores *c = three_nodes();
	const struct task *old, *new;

	web_add(c, 1, update_make(1, "pause", "start-first"), NULL);
	old = task_in(c, "web", 1);
	service_force(c, "web");
	(void)cores_settle(c);
	assert_true(task_is_wanted(store_task(c->store, old->o.id)));
	assert_int_equal(store_service_task_count(c->store, "web"), 2);
	(void)cores_quiet(c);
	new = task_in(c, "web", 1);
	assert_true(is_running(new) && is_bad(c, new));
	assert_running(c, "web", 1);
	cores_free(c);
}

static void the_new_task_starts_after_the_old_has_ended(void **state)
{
	struct cores *c = three_nodes();
	const struct task *t;
	struct store_walk w;

	service_simple(c, "web", 1);
	(void)cores_quiet(c);
	service_force(c, "web");
	(void)cores_settle(c);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_READY);
	task_report(c, task_in(c, "web", 1), TASK_READY);
	(void)cores_settle(c);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_READY);
	store_walk_service_tasks(&w, c->store, "web");
	t = store_walk_next(&w);
	assert_int_equal(t->desired, TASK_SHUTDOWN);
	task_report(c, t, TASK_SHUTDOWN);
	(void)cores_settle(c);
	assert_int_equal(task_in(c, "web", 1)->desired, TASK_RUNNING);
	(void)cores_quiet(c);
	assert_running(c, "web", 1);
	cores_free(c);
}

static void constraints_alone_move_only_what_must(void **state)
{
	struct cores *c = three_nodes();
	struct service *s;
	auto_free char *kept = NULL;

	web_add(c, 3, update_make(0, "pause", "stop-first"), NULL);
	for (uint64_t slot = 1; slot <= 3; slot++)
		if (strcmp(task_in(c, "web", slot)->node, "n2") == 0)
			kept = xstrdup(task_in(c, "web", slot)->o.id);
	s = cores_edit(c, KIND_SERVICE, "web");
	service_constrain(s, "node.id==n2");
	service_change(c, s);
	cores_pass(c, 10 * NS_PER_SEC);
	assert_state(c, UPDATE_COMPLETED, "");
	assert_int_equal(web(c)->update.total, 2);
	assert_running(c, "web", 3);
	assert_true(is_running(store_task(c->store, kept)));
	assert_int_equal(store_node_task_count(c->store, "n2"), 3);
	cores_free(c);
}

static void the_deadline_ends_waiting(void **state)
{
	for (int with = 0; with < 2; with++) {
		struct cores *c = three_nodes();
		struct service *s;

		web_add(c, 3, update_make(1, "rollback", "stop-first"), NULL);
		s = cores_edit(c, KIND_SERVICE, "web");
		if (with)
			strmap_set(&s->spec.labels, UPDATE_DEADLINE_LABEL, "5m");
		service_constrain(s, "node.id==nowhere");
		service_change(c, s);
		cores_pass(c, 299 * NS_PER_SEC);
		assert_state(c, UPDATE_UPDATING, "; waiting: task ");
		assert_state(c, UPDATE_UPDATING, "no suitable node");
		cores_reset(c);
		cores_pass(c, 60 * NS_PER_SEC);
		assert_state(c, with ? UPDATE_ROLLBACK_COMPLETED : UPDATE_UPDATING, "");
		assert_running(c, "web", with ? 3 : 2);
		cores_free(c);
	}
}

static void a_host_port_explains_itself(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_make(c, "web", 3);

	s->spec.update = update_make(1, "pause", "start-first");
	service_publish(s, 80, 80)->mode = PUBLISH_HOST;
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 3);
	service_force(c, "web");
	cores_pass(c, 10 * NS_PER_SEC);
	assert_state(c, UPDATE_UPDATING, "host-mode port already in use on 3 nodes");
	assert_state(c, UPDATE_UPDATING, "use stop-first, or a node where the port is free");
	node_add(c, "n4", 4 * CPU, 8 * GIB);
	cores_pass(c, 10 * NS_PER_SEC);
	assert_state(c, UPDATE_COMPLETED, "update completed");
	assert_running(c, "web", 3);
	cores_free(c);
}

static void a_lost_node_is_no_failure(void **state)
{
	struct cores *c = three_nodes();
	const struct task *t;

	web_add(c, 3, update_make(1, "pause", "stop-first"), NULL);
	service_force(c, "web");
	(void)cores_settle(c);
	for (uint64_t slot = 1; (t = task_in(c, "web", slot)) && !t->update; slot++)
		;
	if (!t)
		fail_msg("no task of the update");
	else
		node_state(c, t->node, NODE_DOWN);
	cores_pass(c, 70 * NS_PER_SEC);
	assert_state(c, UPDATE_COMPLETED, "");
	assert_int_equal(web(c)->update.failed, 0);
	assert_int_equal(count_bad(c, true), 3);
	cores_free(c);
}

/* Both tasks of a place are lost at once: the slot must not stay empty. */
static void old_and_new_may_fail_together(void **state)
{
	struct cores *c = three_nodes();
	const struct task *old, *new;
	struct store_walk w;

	web_add(c, 1, update_make(1, "continue", "start-first"), NULL);
	old = task_in(c, "web", 1);
	service_force(c, "web");
	(void)cores_settle(c);
	old = store_task(c->store, old->o.id);
	task_report(c, old, TASK_FAILED);
	store_walk_service_tasks(&w, c->store, "web");
	while ((new = store_walk_next(&w)) && !new->update)
		;
	assert_non_null(new);
	task_report(c, new, TASK_FAILED);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_running(c, "web", 1);
	assert_int_equal(count_bad(c, true), 1);
	assert_state(c, UPDATE_COMPLETED, "");
	cores_free(c);
}

static void task_runs(struct cores *c, const char *id)
{
	struct task *t = cores_edit(c, KIND_TASK, id);

	t->status.state = TASK_RUNNING;
	cores_update(c, t);
}

/* Places of a global service are its nodes. */
static void global_services_are_updated_by_node(void **state)
{
	static const char *const nodes[] = {"n1", "n2", "n3"};
	struct cores *c = three_nodes();
	struct service *s = object_new(KIND_SERVICE, "web", c->now);
	struct changes batch;
	const struct task *t;
	struct store_walk w;

	s->spec.name = xstrdup("web");
	s->spec.mode.global = xcalloc(1, sizeof *s->spec.mode.global);
	s->spec.update = update_make(2, "pause", "start-first");
	service_add(c, s);
	changes_init(&batch);
	for (size_t i = 0; i < 3; i++) {
		struct task *new = object_new(KIND_TASK, nodes[i], c->now);

		new->service = xstrdup("web");
		new->template_version = web(c)->template_version;
		new->node = xstrdup(nodes[i]);
		new->global = true;
		new->desired = TASK_RUNNING;
		changes_create(&batch, &new->o);
	}
	cores_apply(c, &batch);
	for (size_t i = 0; i < 3; i++)
		task_runs(c, nodes[i]);
	service_force(c, "web");
	while (cores_step(c, UPDATE, NULL))
		;
	assert_int_equal(tasks_in_flight(c->store, web(c)), 2);
	assert_int_equal(web(c)->update.total, 3);
	for (;;) {
		store_walk_service_tasks(&w, c->store, "web");
		while ((t = store_walk_next(&w)) && !(t->update && !t->update->up))
			;
		if (!t)
			break;
		assert_string_not_equal(t->node, "");
		assert_int_equal(t->slot, 0);
		task_runs(c, t->o.id);
		cores_reset(c);
		while (cores_step(c, UPDATE, NULL))
			;
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(store_task(c->store, nodes[i])->desired, TASK_SHUTDOWN);
	c->now += NS_PER_SEC;
	while (cores_step(c, UPDATE, NULL))
		;
	assert_state(c, UPDATE_COMPLETED, "");
	cores_free(c);
}

/* Steps of the updater alone that look and say nothing, until it speaks or is done. */
static unsigned silent_steps(struct cores *c)
{
	unsigned n = 0;
	int64_t wish;

	while (!cores_step(c, UPDATE, &wish) && wish <= c->now)
		assert_true(++n < 100);
	return n;
}

/* A look at all slots of a big service for a changed template is taken in slices. */
static void many_places_are_looked_for_in_slices(void **state)
{
	struct cores *c = three_nodes();

	service_simple(c, "web", 12000);
	while (store_count(c->store, KIND_TASK) < 12000)
		assert_true(cores_step(c, REPLICATED, NULL));
	assert_in_range(silent_steps(c), 2, 6);
	service_force(c, "web");
	assert_in_range(silent_steps(c), 2, 6);
	assert_int_equal(web(c)->update.total, 12000);
	/* Changed again while it looks: from the beginning. */
	service_force(c, "web");
	assert_false(cores_step(c, UPDATE, NULL));
	service_force(c, "web");
	assert_in_range(silent_steps(c), 2, 6);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_update_completes),
		TEST(each_action_and_order),
		TEST(scaling_is_no_update),
		TEST(all_at_once),
		TEST(the_delay_is_kept_by_a_new_leader),
		TEST(a_failure_within_the_monitor_counts),
		TEST(the_ratio_decides),
		TEST(a_paused_update_goes_on_with_the_next),
		TEST(a_newer_spec_replaces_the_update),
		TEST(what_was_not_replaced_stays_in_a_rollback),
		TEST(start_first_needs_the_new_one_running),
		TEST(the_new_task_starts_after_the_old_has_ended),
		TEST(constraints_alone_move_only_what_must),
		TEST(the_deadline_ends_waiting),
		TEST(a_host_port_explains_itself),
		TEST(a_lost_node_is_no_failure),
		TEST(old_and_new_may_fail_together),
		TEST(global_services_are_updated_by_node),
		TEST(many_places_are_looked_for_in_slices),
	};

	return RUN_TESTS(tests);
}
