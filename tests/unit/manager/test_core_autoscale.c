/*
 * The core that scales services: up at once, down after the window, nothing on missing data, held
 * by updates, conservative after a change of leaders; and what it writes and shows.
 */
#include "manager/core_autoscale.h"

#include <errno.h>

#include "base/limits.h"
#include "unit/manager/cores.h"

#define PERIOD (LIMIT_AUTOSCALE_MS * NS_PER_MS)

/* A service of `n` running tasks, 1 to 6 of them, to use half a processor each. */
static struct cores *scaled(uint64_t n, const char *window)
{
	struct cores *c = cores_new(1);
	struct service *s;

	node_add(c, "node1", 100 * CPU, 100 * GIB);
	s = service_make(c, "web", n);
	strmap_set(&s->spec.labels, "shoal.autoscale.max", "6");
	strmap_set(&s->spec.labels, "shoal.autoscale.cpu", "50");
	strmap_set(&s->spec.labels, "shoal.autoscale.window", window);
	service_add(c, s);
	(void)cores_quiet(c);
	return c;
}

static uint64_t replicas(const struct cores *c)
{
	return service_replicas(&store_service(c->store, "web")->spec);
}

/* The load, in percent of a processor, is shared by the tasks; those of slots from `unknown` on are
 * not heard of. */
static void report(struct cores *c, int64_t percent, uint64_t unknown)
{
	int64_t running = (int64_t)tasks_count(c, "web", is_running);
	int64_t cpu = percent * (CPU / 100) / MAX_OF(running, (int64_t)1);
	const struct task *t;
	struct store_walk w;

	store_walk_service_tasks(&w, c->store, "web");
	while ((t = store_walk_next(&w))) {
		struct task_load load = {.task = (char *)(uintptr_t)t->o.id,
					 .value = {&cpu, NULL, NULL}};

		if (is_running(t) && t->slot < unknown)
			measures_put(&c->measures, &load, c->now);
	}
}

/* Time passes, with reports in it. */
static void pass(struct cores *c, int64_t span, int64_t percent, uint64_t unknown)
{
	for (int64_t end = c->now + span; c->now < end;) {
		report(c, percent, unknown);
		cores_pass(c, PERIOD);
	}
}

#define ALL 1000

static void up_at_once_and_down_after_the_window(void **state)
{
	struct cores *c = scaled(2, "60s");
	const struct autoscale_status *a;
	int64_t at;

	pass(c, 2 * PERIOD, 100, ALL);
	assert_int_equal(replicas(c), 2);
	assert_null(store_service(c->store, "web")->autoscale);
	pass(c, 2 * PERIOD, 200, ALL);
	assert_int_equal(replicas(c), 4);
	a = store_service(c->store, "web")->autoscale;
	assert_true(a->from == 2 && a->to == 4 && a->asked == 2 && a->decided > 0);
	assert_string_equal(a->reason, "cpu is 100% a task, the target 50%");
	assert_running(c, "web", 4);
	pass(c, 2 * PERIOD, 200, ALL);
	at = c->now;
	pass(c, 50 * NS_PER_SEC, 100, ALL);
	assert_int_equal(replicas(c), 4);
	pass(c, 20 * NS_PER_SEC, 100, ALL);
	assert_int_equal(replicas(c), 2);
	a = store_service(c->store, "web")->autoscale;
	assert_true(a->decided - at >= 60 * NS_PER_SEC);
	assert_string_equal(a->reason, "cpu is 25% a task, the target 50%: so or further for 1m0s");
	/* A change of replicas alone is no update. */
	assert_null(store_service(c->store, "web")->update_status);
	cores_free(c);
}

static void bounds_hold(void **state)
{
	struct cores *c = scaled(2, "10s");

	pass(c, 20 * PERIOD, 2400, ALL);
	assert_int_equal(replicas(c), 6);
	pass(c, 20 * PERIOD, 0, ALL);
	assert_int_equal(replicas(c), 1);
	cores_free(c);
}

/* What comes and goes within the window makes it no smaller: it does not flap. */
static void it_does_not_flap(void **state)
{
	struct cores *c = scaled(2, "30s");
	size_t changes;

	pass(c, 2 * PERIOD, 200, ALL);
	assert_int_equal(replicas(c), 4);
	changes = store_service(c->store, "web")->spec_version;
	for (int i = 0; i < 20; i++) {
		pass(c, 3 * PERIOD, 40, ALL);
		pass(c, PERIOD, 200, ALL);
	}
	assert_int_equal(replicas(c), 4);
	assert_int_equal(store_service(c->store, "web")->spec_version, changes);
	cores_free(c);
}

static void the_window_upwards(void **state)
{
	struct cores *c = scaled(2, "10s");
	struct service *s = cores_edit(c, KIND_SERVICE, "web");

	strmap_set(&s->spec.labels, "shoal.autoscale.up-window", "30s");
	service_change(c, s);
	pass(c, 2 * PERIOD, 100, ALL);
	for (int i = 0; i < 10; i++) {
		pass(c, 4 * PERIOD, 200, ALL);
		pass(c, PERIOD, 100, ALL);
	}
	assert_int_equal(replicas(c), 2);
	pass(c, 8 * PERIOD, 200, ALL);
	assert_int_equal(replicas(c), 4);
	assert_string_equal(store_service(c->store, "web")->autoscale->reason,
			    "cpu is 100% a task, the target 50%: so or further for 30s");
	cores_free(c);
}

static void nothing_is_made_smaller_on_missing_data(void **state)
{
	struct cores *c = scaled(4, "10s");

	cores_pass(c, 60 * NS_PER_SEC); /* nobody reports */
	assert_int_equal(replicas(c), 4);
	pass(c, 60 * NS_PER_SEC, 4, 4); /* the fourth is not known of */
	assert_int_equal(replicas(c), 4);
	cores_pass(c, 60 * NS_PER_SEC); /* what was known is old */
	assert_int_equal(replicas(c), 4);
	pass(c, 60 * NS_PER_SEC, 4, ALL);
	assert_int_equal(replicas(c), 1);
	cores_free(c);
}

/* Though one is not known of; it counts as idle. */
static void it_grows_on_missing_data(void **state)
{
	struct cores *c = scaled(4, "10s");

	cores_pass(c, 60 * NS_PER_SEC);
	pass(c, 3 * PERIOD, 320, 4);
	assert_int_equal(replicas(c), 5);
	cores_free(c);
}

static enum task_state never_up(struct cores *c, const struct task *t)
{
	return MIN_OF(MAX_OF(t->status.state, TASK_STARTING), TASK_STARTING);
}

/* Tasks that do not come up yet are no reason to make more. */
static void what_is_coming_counts_as_idle(void **state)
{
	struct cores *c = scaled(2, "10s");

	pass(c, 2 * PERIOD, 100, ALL);
	c->fate = never_up;
	pass(c, 20 * PERIOD, 200, ALL);
	assert_int_equal(replicas(c), 4);
	assert_running(c, "web", 2);
	cores_free(c);
}

static enum task_state stays(struct cores *c, const struct task *t)
{
	return t->status.state;
}

static void an_update_holds_it(void **state)
{
	struct cores *c = scaled(2, "10s");

	pass(c, 2 * PERIOD, 100, ALL);
	c->fate = stays;
	service_force(c, "web");
	pass(c, 20 * PERIOD, 200, ALL);
	assert_int_equal(store_service(c->store, "web")->update_status->state, UPDATE_UPDATING);
	assert_int_equal(replicas(c), 2);
	c->fate = NULL;
	pass(c, 20 * PERIOD, 100, ALL);
	assert_int_equal(store_service(c->store, "web")->update_status->state, UPDATE_COMPLETED);
	pass(c, 2 * PERIOD, 200, ALL);
	assert_int_equal(replicas(c), 4);
	/* The end of an update is not begun anew by it. */
	assert_int_equal(store_service(c->store, "web")->update_status->state, UPDATE_COMPLETED);
	cores_free(c);
}

/* A new leader knows nothing, and lets a whole window pass. */
static void a_new_leader_is_careful(void **state)
{
	struct cores *c = scaled(4, "60s");

	pass(c, 55 * NS_PER_SEC, 40, ALL);
	assert_int_equal(replicas(c), 4);
	measures_clear(&c->measures);
	cores_reset(c);
	pass(c, 55 * NS_PER_SEC, 40, ALL);
	assert_int_equal(replicas(c), 4);
	pass(c, 20 * NS_PER_SEC, 40, ALL);
	assert_int_equal(replicas(c), 1);
	pass(c, 3 * PERIOD, 200, ALL); /* and upwards at once */
	assert_int_equal(replicas(c), 4);
	cores_free(c);
}

/* A clock that jumps makes no window pass. */
static void a_gap_begins_the_window_anew(void **state)
{
	struct cores *c = scaled(4, "60s");

	pass(c, 30 * NS_PER_SEC, 40, ALL);
	c->now += 3600 * NS_PER_SEC;
	pass(c, 55 * NS_PER_SEC, 40, ALL);
	assert_int_equal(replicas(c), 4);
	cores_free(c);
}

/* A number that a user sets stays for a window as well; none is where it rests. */
static void users_may_scale(void **state)
{
	struct cores *c = scaled(2, "30s");

	pass(c, 60 * NS_PER_SEC, 100, ALL);
	service_scale(c, "web", 5);
	pass(c, 20 * NS_PER_SEC, 100, ALL);
	assert_int_equal(replicas(c), 5);
	pass(c, 20 * NS_PER_SEC, 100, ALL);
	assert_int_equal(replicas(c), 2);
	service_scale(c, "web", 0);
	pass(c, 60 * NS_PER_SEC, 100, ALL);
	assert_int_equal(replicas(c), 0);
	cores_free(c);
}

static void a_decision_that_is_lost_is_made_again(void **state)
{
	struct cores *c = scaled(2, "10s");
	struct changes batch;
	struct core_step step = {.store = c->store,
				 .new_id = cores_new_id,
				 .new_id_arg = c,
				 .measures = &c->measures,
				 .out = &batch};

	pass(c, 2 * PERIOD, 100, ALL);
	c->now += PERIOD;
	report(c, 200, ALL);
	step.now_ns = c->now;
	changes_init(&batch);
	(void)c->core[AUTOSCALE]->class->step(c->core[AUTOSCALE], &step);
	assert_int_equal(batch.n, 1);
	changes_done(&batch);
	pass(c, 2 * PERIOD, 200, ALL);
	assert_int_equal(replicas(c), 4);
	cores_free(c);
}

static void what_is_shown(void **state)
{
	struct cores *c = scaled(2, "60s");
	struct autoscale_view v = {0};
	struct err e = ERR_INIT;

	service_simple(c, "plain", 1);
	pass(c, 2 * PERIOD, 200, ALL);
	pass(c, 2 * PERIOD, 100, ALL);
	assert_ok(core_autoscale_view(c->core[AUTOSCALE], c->store, "web", &v, &e), &e);
	assert_true(v.min == 1 && v.max == 6 && v.replicas == 4 && v.wanted == 2);
	assert_string_equal(v.state, "2 would be enough: waits for its window");
	assert_in_range(v.next, c->now + 40 * NS_PER_SEC, c->now + 60 * NS_PER_SEC);
	assert_int_equal(v.gauges.n, 1);
	assert_string_equal(v.gauges.v[0].name, "cpu");
	assert_string_equal(v.gauges.v[0].value, "25%");
	assert_string_equal(v.gauges.v[0].target, "50%");
	assert_int_equal(v.gauges.v[0].tasks, 4);
	assert_true(v.last->from == 2 && v.last->to == 4);
	table_done(&autoscale_view_table, &v);
	pass(c, 30 * NS_PER_SEC, 100, 2);
	assert_ok(core_autoscale_view(c->core[AUTOSCALE], c->store, "web", &v, &e), &e);
	assert_int_equal(v.missing, 3);
	assert_non_null(strstr(v.state, "its node has not reported it"));
	table_done(&autoscale_view_table, &v);
	assert_int_equal(core_autoscale_view(c->core[AUTOSCALE], c->store, "plain", &v, &e),
			 -EINVAL);
	assert_int_equal(core_autoscale_view(c->core[AUTOSCALE], c->store, "none", &v, &e),
			 -ENOENT);
	cores_reset(c);
	assert_int_equal(core_autoscale_view(c->core[AUTOSCALE], c->store, "web", &v, &e), -EAGAIN);
	cores_free(c);
}

/* Without the label it is left alone, and the core has nothing to wait for. */
static void switched_off(void **state)
{
	struct cores *c = scaled(2, "10s");
	struct service *s;

	pass(c, 2 * PERIOD, 200, ALL);
	assert_int_equal(replicas(c), 4);
	s = cores_edit(c, KIND_SERVICE, "web");
	strmap_remove(&s->spec.labels, "shoal.autoscale.max");
	strmap_remove(&s->spec.labels, "shoal.autoscale.cpu");
	strmap_remove(&s->spec.labels, "shoal.autoscale.window");
	service_change(c, s);
	pass(c, 60 * NS_PER_SEC, 0, ALL);
	assert_int_equal(replicas(c), 4);
	assert_true(cores_quiet(c) == CORE_IDLE);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(up_at_once_and_down_after_the_window),
		TEST(bounds_hold),
		TEST(it_does_not_flap),
		TEST(the_window_upwards),
		TEST(nothing_is_made_smaller_on_missing_data),
		TEST(it_grows_on_missing_data),
		TEST(what_is_coming_counts_as_idle),
		TEST(an_update_holds_it),
		TEST(a_new_leader_is_careful),
		TEST(a_gap_begins_the_window_anew),
		TEST(users_may_scale),
		TEST(a_decision_that_is_lost_is_made_again),
		TEST(what_is_shown),
		TEST(switched_off),
	};

	return RUN_TESTS(tests);
}
