/*
 * Who is alive, by clocks that the test moves. The manager around it is faked: its store is real,
 * requests are built against it and applied at once, or fail as the test wants it.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "manager/liveness.h"

#define BEAT_MS 1000
#define HOUR_MS (3600ull * 1000)
#define DAY_MS (24 * HOUR_MS)

/* The manager, as far as liveness sees it. */

struct manager {
	struct world world;
	struct store *store;
	uint64_t mono_ms;
	int64_t wall_ns;
	int64_t leader_ns; /* the leader's time */
	struct world_timer *timer;
	uint64_t due_ms;
	unsigned asked[CONTROL_OP_MAX];
	struct strs last; /* `ids` of the last request */
	bool hold;        /* requests stay on their way */
	control_done held;
	void *held_arg;
	unsigned canceled;
};

struct store *manager_store(struct manager *m)
{
	return m->store;
}

const struct world *manager_world(struct manager *m)
{
	return &m->world;
}

int64_t manager_now_ns(struct manager *m)
{
	return m->leader_ns;
}

static void build(struct manager *m, const struct control_request *r)
{
	struct control_answer answer = {0};
	struct store *fork = store_fork(m->store);
	struct store_result result;
	struct changes changes;
	struct control c = {.view = fork,
			    .now_ns = m->leader_ns,
			    .self = "self",
			    .out = &changes,
			    .answer = &answer};
	struct err e = ERR_INIT;

	changes_init(&changes);
	assert_ok(control_build(&c, r, &e), &e);
	if (changes.n) {
		store_apply_changes(m->store, &changes, &result);
		assert_int_equal(result.verdict, STORE_APPLIED);
	}
	table_done(&control_answer_table, &answer);
	changes_done(&changes);
	store_free(fork);
}

struct manager_call *manager_control(struct manager *m, const struct control_request *r,
				     control_done done, void *arg)
{
	struct control_answer answer = {0};

	m->asked[r->op]++;
	strs_done(&m->last);
	STRS_EACH (id, &r->ids)
		strs_add(&m->last, id);
	if (m->hold) {
		m->held = done;
		m->held_arg = arg;
		return (struct manager_call *)m;
	}
	if (r->op != CONTROL_NODES_ALIVE)
		build(m, r);
	if (done)
		done(arg, 0, &answer, NULL);
	return NULL;
}

void manager_cancel(struct manager_call *call)
{
	struct manager *m = (struct manager *)call;

	m->canceled++;
	m->held = NULL;
}

static int64_t wall_ns(void *arg)
{
	return ((struct manager *)arg)->wall_ns;
}

static uint64_t mono_ms(void *arg)
{
	return ((struct manager *)arg)->mono_ms;
}

static void timer_start(void *arg, struct world_timer *t, uint64_t ms)
{
	struct manager *m = arg;

	m->timer = t;
	m->due_ms = m->mono_ms + ms;
}

static void timer_stop(void *arg, struct world_timer *t)
{
	((struct manager *)arg)->timer = NULL;
}

/* What the tests do */

struct fixture {
	struct manager m;
	struct liveness *l;
	const char *node;
};

#define NODE "1111111111111111111111111"
#define OTHER "2222222222222222222222222"

static void change(struct manager *m, struct object *old, struct object *new)
{
	struct store_result result;
	struct changes changes;

	changes_init(&changes);
	if (old)
		changes_update(&changes, old, new, m->leader_ns);
	else
		changes_create(&changes, new);
	store_apply_changes(m->store, &changes, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	changes_done(&changes);
}

static void add_node(struct manager *m, const char *id)
{
	struct node *n = object_new(KIND_NODE, id, m->leader_ns);

	n->description.hostname = xstrdup("host"); /* its first session has described it */
	n->status.state = NODE_READY;
	change(m, NULL, &n->o);
}

static void add_task(struct manager *m, const char *id, enum task_state state)
{
	struct task *t = object_new(KIND_TASK, id, m->leader_ns);

	str_set(&t->service, "service");
	str_set(&t->node, NODE);
	t->slot = (uint64_t)id[0];
	t->desired = TASK_RUNNING;
	t->status.state = state;
	change(m, NULL, &t->o);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct cluster *c;

	f->m.world = (struct world){.arg = &f->m,
				    .wall_ns = wall_ns,
				    .mono_ms = mono_ms,
				    .timer_start = timer_start,
				    .timer_stop = timer_stop};
	f->m.mono_ms = 5000;
	f->m.wall_ns = f->m.leader_ns = 1700000000LL * 1000000000;
	f->m.store = store_new();
	c = object_new(KIND_CLUSTER, "cluster", f->m.leader_ns);
	str_set(&c->spec.name, "default");
	c->spec.dispatcher.heartbeat_period = BEAT_MS * 1000000LL;
	change(&f->m, NULL, &c->o);
	add_node(&f->m, NODE);
	f->l = liveness_new(&f->m);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	liveness_free(f->l);
	assert_null(f->m.timer);
	store_free(f->m.store);
	strs_done(&f->m.last);
	free(f);
	return 0;
}

/* Time passes, on all clocks alike; whoever beats does so at each step. */
static void pass(struct fixture *f, uint64_t ms, const char *beats)
{
	uint64_t end = f->m.mono_ms + ms, step = BEAT_MS / 4;

	while (f->m.mono_ms < end) {
		uint64_t by = MIN_OF(step, end - f->m.mono_ms);

		f->m.mono_ms += by;
		f->m.wall_ns += (int64_t)by * 1000000;
		f->m.leader_ns += (int64_t)by * 1000000;
		if (beats)
			liveness_beat(f->l, beats);
		if (f->m.timer && f->m.due_ms <= f->m.mono_ms)
			f->m.timer->fire(f->m.timer);
	}
}

/* The same for long times, with few looks. */
static void pass_long(struct fixture *f, uint64_t ms)
{
	uint64_t look = 2 * BEAT_MS;

	f->m.mono_ms += ms - look;
	f->m.wall_ns += (int64_t)(ms - look) * 1000000;
	f->m.leader_ns += (int64_t)(ms - look) * 1000000;
	pass(f, look, NULL);
}

static enum node_state state_of(struct fixture *f, const char *id)
{
	return store_node(f->m.store, id)->status.state;
}

/* That it was heard of just before it left makes nobody believe that it is there. */
static void test_what_has_left_is_no_news(void **state)
{
	struct fixture *f = *state;

	liveness_beat(f->l, NODE);
	liveness_left(f->l, NODE);
	pass(f, 2 * BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_ALIVE], 0);
	liveness_beat(f->l, NODE);
	pass(f, 2 * BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_ALIVE], 1);
}

static void test_three_beats(void **state)
{
	struct fixture *f = *state;

	liveness_leading(f->l, true);
	pass(f, 20 * BEAT_MS, NODE);
	assert_int_equal(state_of(f, NODE), NODE_READY);
	assert_int_equal(f->m.asked[CONTROL_NODES_LOST], 0);
	pass(f, 3 * BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_READY);
	pass(f, BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_DOWN);
	assert_int_equal(f->m.asked[CONTROL_NODES_LOST], 1);
	/* It was only slow. */
	liveness_beat(f->l, NODE);
	assert_int_equal(state_of(f, NODE), NODE_READY);
	assert_int_equal(f->m.asked[CONTROL_NODE_SEEN], 1);
}

/* A new leader has heard nobody yet: six beats; what it heard as a follower is too old to count. */
static void test_new_leader_is_patient(void **state)
{
	struct fixture *f = *state;

	add_node(&f->m, OTHER);
	pass(f, 5 * BEAT_MS, NODE);
	pass(f, 1, NULL);
	liveness_leading(f->l, true);
	pass(f, 6 * BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_READY);
	assert_int_equal(state_of(f, OTHER), NODE_READY);
	pass(f, BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_DOWN);
	assert_int_equal(state_of(f, OTHER), NODE_DOWN);
}

/* Other managers' reports count as beats, and bring a node back; what is no id is no node. */
static void test_reports(void **state)
{
	struct fixture *f = *state;
	struct strs nodes = {0};

	strs_add(&nodes, NODE);
	strs_add(&nodes, "short");
	liveness_leading(f->l, true);
	for (unsigned i = 0; i < 10; i++) {
		liveness_report(f->l, &nodes);
		pass(f, 2 * BEAT_MS, NULL);
	}
	assert_int_equal(state_of(f, NODE), NODE_READY);
	pass(f, 2 * BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_DOWN);
	liveness_report(f->l, &nodes);
	assert_int_equal(state_of(f, NODE), NODE_READY);
	strs_done(&nodes);
}

/* A follower tells once for each beat, and judges nobody. */
static void test_follower_reports(void **state)
{
	struct fixture *f = *state;

	liveness_leading(f->l, false);
	liveness_beat(f->l, NODE);
	pass(f, BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_ALIVE], 1);
	assert_int_equal(f->m.last.n, 1);
	assert_string_equal(f->m.last.v[0], NODE);
	pass(f, 200 * BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_ALIVE], 1);
	liveness_beat(f->l, NODE);
	pass(f, BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_ALIVE], 2);
	assert_int_equal(f->m.asked[CONTROL_NODES_LOST], 0);
	assert_int_equal(state_of(f, NODE), NODE_READY);
}

/* Who leads no more has nothing to tell of those that it has seen die, or heard of from others. */
static void test_dead_stay_dead(void **state)
{
	struct fixture *f = *state;
	struct strs nodes = {0};

	add_node(&f->m, OTHER);
	strs_add(&nodes, OTHER);
	liveness_leading(f->l, true);
	liveness_beat(f->l, NODE);
	liveness_report(f->l, &nodes);
	pass(f, 7 * BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_DOWN);
	assert_int_equal(state_of(f, OTHER), NODE_DOWN);
	liveness_leading(f->l, false);
	pass(f, 10 * BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_ALIVE], 0);
	strs_done(&nodes);
}

/* The host's clock is set: nobody dies of it, and no day passes. */
static void test_clock_jumps(void **state)
{
	struct fixture *f = *state;

	add_task(&f->m, "a", TASK_RUNNING);
	liveness_leading(f->l, true);
	pass(f, BEAT_MS, NODE);
	f->m.wall_ns += 40LL * (int64_t)DAY_MS * 1000000;
	pass(f, 10 * BEAT_MS, NODE);
	assert_int_equal(f->m.asked[CONTROL_NODES_LOST], 0);
	f->m.wall_ns -= 80LL * (int64_t)DAY_MS * 1000000;
	pass(f, 10 * BEAT_MS, NODE);
	assert_int_equal(f->m.asked[CONTROL_NODES_LOST], 0);
	/* Down, with a clock that is far ahead and then far behind. */
	pass(f, 4 * BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_DOWN);
	f->m.wall_ns += 120LL * (int64_t)DAY_MS * 1000000;
	pass_long(f, HOUR_MS);
	assert_int_equal(f->m.asked[CONTROL_TASKS_ORPHANED], 0);
	f->m.wall_ns -= 120LL * (int64_t)DAY_MS * 1000000;
	pass_long(f, DAY_MS);
	assert_int_equal(store_task(f->m.store, "a")->status.state, TASK_ORPHANED);
}

static void relabel(struct fixture *f)
{
	const struct node *old = store_node(f->m.store, NODE);
	struct node *n = object_clone(&old->o);

	str_set(&n->spec.name, "renamed");
	change(&f->m, (struct object *)(uintptr_t)&old->o, &n->o);
}

static void test_orphans_after_a_day(void **state)
{
	struct fixture *f = *state;

	add_task(&f->m, "a", TASK_RUNNING);
	add_task(&f->m, "b", TASK_COMPLETE);
	add_task(&f->m, "c", TASK_STARTING);
	liveness_leading(f->l, true);
	pass(f, 7 * BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_DOWN);
	pass_long(f, DAY_MS / 2);
	relabel(f); /* begins no new day */
	pass_long(f, DAY_MS / 2 - 10 * BEAT_MS);
	assert_int_equal(f->m.asked[CONTROL_TASKS_ORPHANED], 0);
	assert_int_equal(store_task(f->m.store, "a")->status.state, TASK_RUNNING);
	pass(f, 12 * BEAT_MS, NULL);
	assert_int_equal(store_task(f->m.store, "a")->status.state, TASK_ORPHANED);
	assert_int_equal(store_task(f->m.store, "b")->status.state, TASK_COMPLETE);
	assert_int_equal(store_task(f->m.store, "c")->status.state, TASK_ORPHANED);
	/* Nothing is left to give up, so nobody is asked again. */
	assert_int_equal(f->m.asked[CONTROL_TASKS_ORPHANED], 1);
	pass_long(f, DAY_MS);
	assert_int_equal(f->m.asked[CONTROL_TASKS_ORPHANED], 1);
}

/* The day goes on under another leader, and ends with the node's return. */
static void test_day_across_leaders(void **state)
{
	struct fixture *f = *state;

	add_task(&f->m, "a", TASK_RUNNING);
	liveness_leading(f->l, true);
	pass(f, 7 * BEAT_MS, NULL);
	pass_long(f, 20 * HOUR_MS);
	liveness_leading(f->l, false);
	pass(f, BEAT_MS, NULL);
	liveness_leading(f->l, true);
	liveness_beat(f->l, NODE); /* back, and down again: a new day */
	assert_int_equal(state_of(f, NODE), NODE_READY);
	pass(f, 7 * BEAT_MS, NULL);
	assert_int_equal(state_of(f, NODE), NODE_DOWN);
	pass_long(f, 20 * HOUR_MS);
	assert_int_equal(f->m.asked[CONTROL_TASKS_ORPHANED], 0);
	liveness_leading(f->l, false);
	pass(f, BEAT_MS, NULL);
	liveness_leading(f->l, true);
	pass_long(f, 5 * HOUR_MS);
	assert_int_equal(f->m.asked[CONTROL_TASKS_ORPHANED], 1);
	assert_int_equal(store_task(f->m.store, "a")->status.state, TASK_ORPHANED);
}

/* One request at a time; what is on its way is dropped with the manager. */
static void test_one_at_a_time(void **state)
{
	struct fixture *f = *state;

	f->m.hold = true;
	liveness_leading(f->l, true);
	pass(f, 20 * BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_LOST], 1);
	f->m.held(f->m.held_arg, -EHOSTUNREACH, NULL, NULL);
	pass(f, BEAT_MS, NULL);
	assert_int_equal(f->m.asked[CONTROL_NODES_LOST], 2);
	liveness_free(f->l);
	assert_int_equal(f->m.canceled, 1);
	f->l = liveness_new(&f->m);
}

int main(void)
{
#define EACH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		EACH(test_what_has_left_is_no_news),
		EACH(test_three_beats),
		EACH(test_new_leader_is_patient),
		EACH(test_reports),
		EACH(test_follower_reports),
		EACH(test_clock_jumps),
		EACH(test_orphans_after_a_day),
		EACH(test_day_across_leaders),
		EACH(test_one_at_a_time),
		EACH(test_dead_stay_dead),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
