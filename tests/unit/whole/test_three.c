/*
 * Three managers: how they form, that any of them serves, and what is left when some are gone.
 */
#include "unit/whole/rig.h"

static struct rig *rig_three(void)
{
	struct rig *r = rig_new();

	(void)rig_manager(r, 1);
	(void)rig_manager(r, 2);
	RIG_UNTIL(r, voters_of(&r->hosts[0]) == 3);
	for (size_t i = 0; i < 3; i++)
		RIG_UNTIL(r,
			  manager_readable(r->hosts[i].manager, NULL) == 0 &&
				  store_count(manager_store(r->hosts[i].manager), KIND_NODE) == 3);
	return r;
}

/* A write through any manager once there is a leader: what a client would do. */
static struct asked create_anyhow(struct host *h, const char *name, unsigned replicas)
{
	uint64_t end = clock_mono_ms() + RIG_WAIT_MS;
	struct asked a;

	do {
		a = host_create(h, name, replicas);
		if (a.status == -EHOSTUNREACH)
			RIG_RUN_MS(h->rig, 10);
	} while (a.status == -EHOSTUNREACH && clock_mono_ms() < end);
	return a;
}

static void test_followers_serve(void **state)
{
	struct rig *r = rig_three();
	struct host *follower = &r->hosts[2];
	char name[16];

	(void)state;
	assert_ptr_equal(rig_leader(r), &r->hosts[0]);
	RIG_UNTIL(r, manager_leader(follower->manager));
	for (unsigned i = 0; i < 50; i++) {
		struct asked a;

		(void)snprintf(name, sizeof name, "s%u", i);
		a = create_anyhow(&r->hosts[1 + i % 2], name, 0);
		assert_ok(a.status, &a.e);
		/* What was acknowledged here can be read here. */
		assert_non_null(service_of(&r->hosts[1 + i % 2], name));
		assert_true(store_version(manager_store(r->hosts[1 + i % 2].manager)) >= a.version);
	}
	for (unsigned i = 0; i < 20; i++) {
		struct asked a, barrier = {0};

		(void)snprintf(name, sizeof name, "b%u", i);
		a = host_create(&r->hosts[0], name, 0);
		assert_ok(a.status, &a.e);
		(void)manager_read_barrier(follower->manager, asked_done, &barrier);
		RIG_UNTIL(r, barrier.done);
		assert_ok(barrier.status, &barrier.e);
		assert_non_null(service_of(follower, name));
	}
	assert_int_equal(host_create(follower, "b1", 0).status, -EEXIST);
	assert_int_equal(manager_reachability(follower->manager, r->hosts[1].node),
			 REACHABILITY_REACHABLE);
	rig_done(r);
}

/* Sessions at any manager; the leader goes without a word; all goes on within two seconds. */
static void test_leader_lost(void **state)
{
	struct rig *r = rig_three();
	struct host *w[2] = {rig_worker(r, 3), rig_worker(r, 4)};
	uint64_t lost_ms, new_ms;
	struct asked a = create_anyhow(&r->hosts[1], "web", 4);

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(&r->hosts[1], "web", NULL) == 4);
	lost_ms = clock_mono_ms();
	host_cut(&r->hosts[0]);
	RIG_UNTIL(r, rig_leader(r));
	new_ms = clock_mono_ms() - lost_ms;
	a = create_anyhow(&r->hosts[1], "after", 2);
	assert_ok(a.status, &a.e);
	print_message("new leader after %llu ms, write after %llu ms\n", (unsigned long long)new_ms,
		      (unsigned long long)(clock_mono_ms() - lost_ms));
	assert_true(clock_mono_ms() - lost_ms < 2000);
	RIG_UNTIL(r, tasks_running(&r->hosts[2], "after", NULL) == 2);
	assert_int_equal(tasks_running(&r->hosts[2], "web", NULL), 4);
	RIG_UNTIL(r, w[0]->connected && w[1]->connected);
	/* The old leader knows that it leads no more, and takes nothing. */
	RIG_UNTIL(r, manager_readable(r->hosts[0].manager, NULL) == -EHOSTUNREACH);
	assert_int_equal(host_create(&r->hosts[0], "never", 0).status, -EHOSTUNREACH);
	host_heal(&r->hosts[0]);
	RIG_UNTIL(r, service_of(&r->hosts[0], "after"));
	a = create_anyhow(&r->hosts[0], "again", 1);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(&r->hosts[0], "again", NULL) == 1);
	assert_null(service_of(&r->hosts[0], "never"));
	/* Nobody was taken for dead meanwhile. */
	RIG_RUN_MS(r, 2200);
	assert_int_equal(node_state_of(&r->hosts[0], w[0]->node), NODE_READY);
	assert_int_equal(node_state_of(&r->hosts[0], w[1]->node), NODE_READY);
	assert_int_equal(tasks_running(&r->hosts[0], "web", NULL), 4);
	rig_done(r);
}

/* Nothing new waits for a leader that has died, nor is anything taken from it before its time. */
static void test_leader_doubted(void **state)
{
	struct rig *r = rig_three();
	struct host *old = &r->hosts[0], *other = &r->hosts[1];
	struct asked a;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		host_session(&r->hosts[i]);
		RIG_UNTIL(r, node_state_of(old, r->hosts[i].node) == NODE_READY);
	}
	a = create_anyhow(other, "before", 3);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(other, "before", NULL) == 3);
	host_cut(old);
	RIG_UNTIL(r, rig_leader(r));
	a = create_anyhow(other, "after", 4);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(other, "after", NULL) == 4);
	assert_int_equal(node_state_of(other, old->node), NODE_UNKNOWN);
	assert_int_equal(tasks_running(other, "after", old->node), 0);
	assert_int_equal(tasks_running(other, "before", NULL), 3);
	host_heal(old);
	RIG_UNTIL(r, node_state_of(other, old->node) == NODE_READY);
	rig_done(r);
}

/* A leader that stops in good order leaves no gap of an election timeout. */
static void test_leader_stops(void **state)
{
	struct rig *r = rig_three();
	uint64_t from_ms = clock_mono_ms();
	struct asked a;

	(void)state;
	host_close(&r->hosts[0]);
	a = create_anyhow(&r->hosts[1], "after", 0);
	assert_ok(a.status, &a.e);
	print_message("handed over in %llu ms\n", (unsigned long long)(clock_mono_ms() - from_ms));
	assert_true(clock_mono_ms() - from_ms < 1500);
	rig_done(r);
}

static void test_quorum_lost(void **state)
{
	struct rig *r = rig_three();
	struct asked never = {0};
	struct control_request q = {.op = CONTROL_SERVICE_CREATE};
	struct service_spec spec;

	(void)state;
	host_cut(&r->hosts[1]);
	host_cut(&r->hosts[2]);
	spec_of(&spec, "unknown", 0);
	q.service = &spec;
	/* Taken by a leader that does not know yet: the outcome is unknown, and it says so. */
	(void)manager_control(r->hosts[0].manager, &q, asked_done, &never);
	table_done(&service_spec_table, &spec);
	RIG_UNTIL(r, never.done);
	assert_true(never.status == -EINPROGRESS || never.status == -EHOSTUNREACH);
	if (never.status == -EINPROGRESS)
		assert_non_null(strstr(never.e.msg, "its outcome is unknown"));
	for (size_t i = 0; i < 3; i++) {
		RIG_UNTIL(r, manager_readable(r->hosts[i].manager, NULL) == -EHOSTUNREACH);
		assert_int_equal(host_create(&r->hosts[i], "never", 0).status, -EHOSTUNREACH);
	}
	host_heal(&r->hosts[1]);
	host_heal(&r->hosts[2]);
	RIG_UNTIL(r, rig_leader(r));
	assert_int_equal(create_anyhow(&r->hosts[2], "after", 0).status, 0);
	RIG_UNTIL(r, service_of(&r->hosts[0], "after"));
	assert_null(service_of(&r->hosts[0], "never"));
	rig_done(r);
}

static void test_restart_all(void **state)
{
	struct rig *r = rig_three();
	struct host *w = rig_worker(r, 3);
	struct asked a = create_anyhow(&r->hosts[2], "web", 5);

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(&r->hosts[2], "web", NULL) == 5);
	for (size_t i = 0; i < 3; i++)
		host_close(&r->hosts[i]);
	for (size_t i = 0; i < 3; i++)
		host_open(&r->hosts[i]);
	RIG_UNTIL(r, rig_leader(r));
	for (size_t i = 0; i < 3; i++)
		RIG_UNTIL(r, tasks_running(&r->hosts[i], "web", w->node) == 5);
	a = create_anyhow(&r->hosts[1], "more", 1);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(&r->hosts[0], "more", NULL) == 1);
	assert_int_equal(fake_running(w), 6);
	rig_done(r);
}

/* A removed manager has no vote, no streams, and its certificate opens nothing. */
static void test_manager_removed(void **state)
{
	struct rig *r = rig_three();
	struct host *gone = &r->hosts[2];
	struct asked a;

	(void)state;
	assert_ptr_equal(rig_leader(r), &r->hosts[0]);
	a = host_name(&r->hosts[1], CONTROL_NODE_REMOVE, gone->node, false);
	assert_int_equal(a.status, -EBUSY);
	a = host_name(&r->hosts[1], CONTROL_NODE_REMOVE, gone->node, true);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, voters_of(&r->hosts[0]) == 2);
	RIG_UNTIL(r, gone->removed);
	assert_false(r->hosts[0].removed || r->hosts[1].removed);
	RIG_UNTIL(r, manager_readable(gone->manager, NULL) == -EHOSTUNREACH);
	host_session(gone);
	RIG_UNTIL(r, gone->refused == -EACCES || gone->refused == -EAGAIN ||
			     gone->refused == -EHOSTUNREACH);
	RIG_RUN_MS(r, 1000);
	assert_false(gone->connected);
	assert_ptr_equal(rig_leader(r), &r->hosts[0]);
	assert_int_equal(create_anyhow(&r->hosts[1], "after", 0).status, 0);
	assert_int_equal(host_create(gone, "never", 0).status, -EHOSTUNREACH);
	rig_done(r);
}

/* The leader's own node: it hands leadership over, then the next one can. */
static void test_leader_removed(void **state)
{
	struct rig *r = rig_three();
	struct host *gone = rig_leader(r);
	struct asked a = host_name(gone, CONTROL_NODE_REMOVE, gone->node, false);

	(void)state;
	assert_int_equal(a.status, -EBUSY); /* without force */
	assert_ptr_equal(rig_leader(r), gone);
	a = host_name(&r->hosts[1], CONTROL_NODE_REMOVE, gone->node, true);
	assert_int_equal(a.status, -EAGAIN);
	RIG_UNTIL(r, rig_leader(r) && rig_leader(r) != gone);
	RIG_UNTIL(r, (a = host_name(rig_leader(r), CONTROL_NODE_REMOVE, gone->node, true),
		      a.status == 0));
	RIG_UNTIL(r, gone->removed);
	RIG_UNTIL(r, voters_of(&r->hosts[1]) == 2 && voters_of(&r->hosts[2]) == 2);
	a = create_anyhow(&r->hosts[1], "after", 0);
	assert_ok(a.status, &a.e);
	rig_done(r);
}

/* One that leaves, be it the leader, gives up its vote first: two of three can then lose one. */
static void leave(struct rig *r, struct host *h)
{
	struct asked a = {0};

	manager_leave(h->manager, asked_done, &a);
	RIG_UNTIL(r, a.done);
	assert_ok(a.status, &a.e);
	host_close(h);
	host_cut(h);
}

static void test_managers_leave(void **state)
{
	struct rig *r = rig_three();
	struct host *first = rig_leader(r), *second = &r->hosts[1], *last = &r->hosts[2];
	struct asked a;

	(void)state;
	leave(r, first);
	RIG_UNTIL(r, voters_of(second) == 2 && voters_of(last) == 2);
	RIG_UNTIL(r, node_state_of(second, first->node) == NODE_DOWN);
	assert_int_equal(store_node(manager_store(second->manager), first->node)->spec.role,
			 ROLE_WORKER);
	leave(r, second);
	RIG_UNTIL(r, voters_of(last) == 1 && rig_leader(r) == last);
	a = create_anyhow(last, "after", 0);
	assert_ok(a.status, &a.e);
	a = host_name(last, CONTROL_NODE_REMOVE, first->node, false);
	assert_ok(a.status, &a.e);
	/* Nobody is left to ask. */
	leave(r, last);
	rig_done(r);
}

/* Without a majority nobody can agree: it is told so, in time, and may go all the same. */
static void test_leave_alone(void **state)
{
	struct rig *r = rig_three();
	struct asked a = {0};

	(void)state;
	host_cut(&r->hosts[0]);
	host_cut(&r->hosts[1]);
	manager_leave(r->hosts[2].manager, asked_done, &a);
	RIG_UNTIL(r, a.done);
	assert_int_equal(a.status, -ETIMEDOUT);
	/* A manager that stops while it leaves answers as well. */
	a = (struct asked){0};
	manager_leave(r->hosts[1].manager, asked_done, &a);
	host_close(&r->hosts[1]);
	assert_true(a.done);
	assert_int_equal(a.status, -ECANCELED);
	rig_done(r);
}

/* One that joined and never came up keeps no other from becoming a voter. */
static void test_absent_manager(void **state)
{
	struct rig *r = rig_new();
	struct host *absent = host_new(r, 1);

	(void)state;
	assert_int_equal(host_join(absent, &r->hosts[0], r->manager_token), 0);
	RIG_UNTIL(r, store_count(manager_store(r->hosts[0].manager), KIND_NODE) == 2);
	RIG_RUN_MS(r, 300);
	(void)rig_manager(r, 2);
	assert_int_equal(voters_of(&r->hosts[0]), 2);
	assert_int_equal(create_anyhow(&r->hosts[2], "web", 0).status, 0);
	rig_done(r);
}

/*
 * A manager that joins, or comes back, after the log was cut gets a snapshot, and from it works as
 * the others do: it knows where they are, serves agents, and has closed what is no more allowed.
 */
static void test_snapshot(void **state)
{
	const struct raft_node_options small = {.snapshot_bytes = 32u << 10,
						.trailing_bytes = 8u << 10};
	struct rig *r = rig_new_with(&small);
	struct raft_node_stats stats;
	struct host *w, *late;
	struct asked a;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof name, "s%u", i);
		a = host_create(&r->hosts[0], name, 0);
		assert_ok(a.status, &a.e);
	}
	RIG_UNTIL(r, (raft_node_stats(manager_raft(r->hosts[0].manager), &stats),
		      stats.snapshot_index > 0));
	(void)rig_manager(r, 1);
	late = rig_manager(r, 2);
	w = rig_worker(r, 3);
	RIG_UNTIL(r, service_of(late, "s199") && manager_readable(late->manager, NULL) == 0);
	RIG_UNTIL(r,
		  manager_reachability(late->manager, r->hosts[1].node) == REACHABILITY_REACHABLE);
	host_cut(late);
	for (unsigned i = 200; i < 500; i++) {
		(void)snprintf(name, sizeof name, "s%u", i);
		a = host_create(&r->hosts[0], name, 0);
		assert_ok(a.status, &a.e);
	}
	host_heal(late);
	RIG_UNTIL(r, service_of(late, "s499"));
	a = create_anyhow(late, "web", 2);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(late, "web", NULL) == 2);
	assert_int_equal(fake_running(w), 2);
	/* From its own snapshot after a restart. */
	host_close(late);
	host_open(late);
	RIG_UNTIL(r, manager_readable(late->manager, NULL) == 0 && service_of(late, "web"));
	rig_done(r);
}

static void changed_done(void *arg, int status, const struct err *e)
{
	assert_ok(status, e);
	*(bool *)arg = true;
}

/* A manager that was away while another joined, which leads now, is caught up by it. */
static void test_newcomer_leads(void **state)
{
	struct rig *r = rig_three();
	struct host *late = &r->hosts[2], *newcomer;
	struct err e = ERR_INIT;
	bool changed = false;
	struct asked a;

	(void)state;
	host_cut(late);
	newcomer = rig_manager(r, 3);
	assert_ok(raft_node_transfer(manager_raft(rig_leader(r)->manager), newcomer->raft_id,
				     changed_done, &changed, &e),
		  &e);
	RIG_UNTIL(r, changed && rig_leader(r) == newcomer);
	a = create_anyhow(&r->hosts[1], "web", 0);
	assert_ok(a.status, &a.e);
	assert_null(store_node(manager_store(late->manager), newcomer->node));
	host_heal(late);
	RIG_UNTIL(r, service_of(late, "web"));
	assert_non_null(store_node(manager_store(late->manager), newcomer->node));
	rig_done(r);
}

struct counted {
	unsigned done, failed;
};

static void counted_done(void *arg, int status, const struct control_answer *answer,
			 const struct err *e)
{
	struct counted *c = arg;

	assert_true((status == 0) == (answer != NULL));
	assert_true(status == 0 || (e && *e->msg));
	c->done++;
	c->failed += status < 0;
}

/* Askers that go, at any moment; and a manager that stops with requests open. */
static void test_cancel(void **state)
{
	struct rig *r = rig_three();
	struct manager_call *calls[60];
	struct counted c = {0};
	unsigned open = 0, before;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		struct host *h = &r->hosts[round % 3];

		open = 0;
		before = c.done;
		for (unsigned i = 0; i < 60; i++) {
			struct control_request q = {.op = CONTROL_SERVICE_CREATE};
			struct service_spec spec;
			char name[32];

			(void)snprintf(name, sizeof name, "r%ui%u", round, i);
			spec_of(&spec, name, 0);
			q.service = &spec;
			if (i % 3 == 2)
				calls[open] = manager_read_barrier(h->manager, counted_done, &c);
			else
				calls[open] = manager_control(h->manager, &q, counted_done, &c);
			open += calls[open] != NULL;
			table_done(&service_spec_table, &spec);
		}
		if (round < 6) {
			for (unsigned i = 0; i < round; i++)
				(void)uv_run(&r->loop, UV_RUN_NOWAIT);
			if (c.done != before) { /* those that were answered have no handle */
				RIG_UNTIL(r, c.done == before + 60);
				continue;
			}
			for (unsigned i = 0; i < open; i++)
				manager_cancel(calls[i]);
			before = c.done;
			RIG_RUN_MS(r, 100);
			assert_int_equal(c.done, before);
		} else if (round == 7) {
			host_close(h);
			assert_int_equal(c.done, before + 60);
		} else {
			RIG_UNTIL(r, c.done == before + 60);
		}
	}
	rig_done(r);
}

/*
 * The leader goes while consistent reads are asked for: those that wait for a connection to it are
 * answered by whoever leads then, also when that is the manager that was asked.
 */
static void test_reads_while_a_leader_goes(void **state)
{
	struct rig *r = rig_three();
	struct asked reads[2][400] = {0};
	size_t n = 0, taken = 0;

	(void)state;
	assert_ptr_equal(rig_leader(r), &r->hosts[0]);
	for (size_t i = 1; i < 3; i++)
		RIG_UNTIL(r, manager_leader(r->hosts[i].manager));
	host_cut(&r->hosts[0]);
	while (!rig_leader(r) && n < ARRAY_LEN(reads[0])) {
		for (size_t i = 0; i < 2; i++)
			(void)manager_read_barrier(r->hosts[1 + i].manager, asked_done,
						   &reads[i][n]);
		n++;
		RIG_RUN_MS(r, 5);
	}
	for (size_t i = 0; i < 2 * n; i++) {
		struct asked *a = &reads[i % 2][i / 2];

		RIG_UNTIL(r, a->done);
		if (a->status != 0 && a->status != -EHOSTUNREACH)
			fail_msg("read %zu: %d: %s", i, a->status, a->e.msg);
		taken += a->status == 0;
	}
	assert_true(taken > 0);
	rig_done(r);
}

/* A pool that does nothing for a while. */
static struct {
	struct world real;
	struct world_work *waits[64];
	size_t n;
} slow;

static void slow_work(void *arg, struct world_work *work)
{
	(void)arg;
	assert_true(slow.n < ARRAY_LEN(slow.waits));
	slow.waits[slow.n++] = work;
}

/* And what takes ten seconds takes a tenth of one. */
static void quick_timer_start(void *arg, struct world_timer *t, uint64_t delay_ms)
{
	slow.real.timer_start(arg, t, delay_ms == 10000 ? 100 : delay_ms);
}

static void slow_begin(struct rig *r)
{
	slow.real = r->world;
	slow.n = 0;
	r->world.timer_start = quick_timer_start;
	r->world.work = slow_work;
}

static void slow_end(struct rig *r)
{
	r->world = slow.real;
	for (size_t i = 0; i < slow.n; i++)
		world_work(&r->world, slow.waits[i]);
}

static void create_many(struct host *h, unsigned from, unsigned to)
{
	char name[16];

	for (unsigned i = from; i < to; i++) {
		struct asked a;

		(void)snprintf(name, sizeof name, "s%u", i);
		a = host_create(h, name, 0);
		assert_ok(a.status, &a.e);
	}
}

/*
 * A follower that is in touch with its leader, and still has to take in a snapshot: a write
 * through it is answered in the end, as it is committed; a consistent read is not, as it would
 * show what was before.
 */
static void test_reads_of_a_laggard(void **state)
{
	const struct raft_node_options small = {.snapshot_bytes = 32u << 10,
						.trailing_bytes = 8u << 10};
	struct rig *r = rig_new_with(&small);
	struct asked a, barrier = {0};
	struct host *late;

	(void)state;
	(void)rig_manager(r, 1);
	late = rig_manager(r, 2);
	RIG_UNTIL(r, voters_of(&r->hosts[0]) == 3 && manager_readable(late->manager, NULL) == 0);
	host_cut(late);
	create_many(&r->hosts[0], 0, 300);
	slow_begin(r);
	host_heal(late);
	RIG_UNTIL(r, slow.n > 0 && manager_readable(late->manager, NULL) == 0 &&
			     manager_reachability(late->manager, r->hosts[0].node) ==
				     REACHABILITY_REACHABLE);
	(void)manager_read_barrier(late->manager, asked_done, &barrier);
	RIG_UNTIL(r, barrier.done);
	assert_null(service_of(late, "s299"));
	assert_int_equal(barrier.status, -EAGAIN);
	assert_non_null(strstr(barrier.e.msg, "behind the leader"));
	a = host_create(late, "through", 0);
	assert_ok(a.status, &a.e);
	assert_null(service_of(late, "through"));

	slow_end(r);
	memset(&barrier, 0, sizeof barrier);
	(void)manager_read_barrier(late->manager, asked_done, &barrier);
	RIG_UNTIL(r, barrier.done);
	assert_ok(barrier.status, &barrier.e);
	assert_non_null(service_of(late, "s299"));
	assert_non_null(service_of(late, "through"));
	rig_done(r);
}

/* A service of one task that uses the secret "pw" of this id. */
static struct asked create_user(struct host *h, const char *secret)
{
	auto_free char *json = xasprintf(
		"{\"Name\":\"user\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"busybox\","
		"\"Secrets\":[{\"SecretID\":\"%s\",\"SecretName\":\"pw\",\"File\":{\"Name\":"
		"\"pw\"}}]}},\"Mode\":{\"Replicated\":{\"Replicas\":1}}}",
		secret);
	struct control_request r = {.op = CONTROL_SERVICE_CREATE};
	struct service_spec spec;
	struct asked a;

	spec_json(&spec, json);
	r.service = &spec;
	a = host_ask(h, &r);
	table_done(&service_spec_table, &spec);
	return a;
}

/* Sessions at several managers: the one host with the task has its secret, and again when asked. */
static void test_secrets_go_where_tasks_are(void **state)
{
	struct secret_spec spec = {.name = (char *)"pw",
				   .data = {(uint8_t *)(uintptr_t) "hunter2", 7}};
	struct control_request create = {
		.op = CONTROL_SECRET_CREATE, .kind = KIND_SECRET, .secret = &spec};
	struct rig *r = rig_three();
	struct host *with = NULL;
	struct asked a;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		host_session(&r->hosts[i]);
		RIG_UNTIL(r, node_state_of(&r->hosts[0], r->hosts[i].node) == NODE_READY);
	}
	a = host_ask(&r->hosts[1], &create);
	assert_ok(a.status, &a.e);
	assert_int_equal(create_anyhow(&r->hosts[0], "other", 6).status, 0);
	assert_int_equal(create_user(&r->hosts[2], a.id).status, 0);
	RIG_UNTIL(r, tasks_running(&r->hosts[0], "user", NULL) == 1);
	RIG_UNTIL(r, tasks_running(&r->hosts[0], "other", NULL) == 6);
	for (size_t i = 0; i < 3; i++)
		if (tasks_running(&r->hosts[0], "user", r->hosts[i].node))
			with = &r->hosts[i];
	assert_non_null(with);
	RIG_UNTIL(r, strs_has(&with->secrets, a.id));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(r->hosts[i].secrets.n, &r->hosts[i] == with);
	for (size_t i = 0; i < 3; i++) { /* a new session begins with what its tasks use */
		unsigned before = r->hosts[i].completes;

		strs_done(&r->hosts[i].secrets);
		host_session_close(&r->hosts[i]);
		host_session(&r->hosts[i]);
		RIG_UNTIL(r, r->hosts[i].completes > before);
	}
	RIG_UNTIL(r, strs_has(&with->secrets, a.id));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(r->hosts[i].secrets.n, &r->hosts[i] == with);
	rig_done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_followers_serve),
		TEST(test_secrets_go_where_tasks_are),
		TEST(test_leader_lost),
		TEST(test_leader_stops),
		TEST(test_quorum_lost),
		TEST(test_restart_all),
		TEST(test_manager_removed),
		TEST(test_absent_manager),
		TEST(test_snapshot),
		TEST(test_newcomer_leads),
		TEST(test_cancel),
		TEST(test_leader_removed),
		TEST(test_managers_leave),
		TEST(test_leave_alone),
		TEST(test_leader_doubted),
		TEST(test_reads_of_a_laggard),
		TEST(test_reads_while_a_leader_goes),
	};
	int failed;

	log_set_level(LOG_LEVEL_ERROR);
	failed = RUN_TESTS(tests);
	uv_library_shutdown();
	return failed;
}
