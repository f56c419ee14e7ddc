/*
 * One manager and its agents: from a new cluster to tasks that run, and back to nothing.
 */
#include "unit/whole/rig.h"

static size_t count(struct host *h, enum object_kind kind)
{
	return store_count(manager_store(h->manager), kind);
}

static void test_service_life(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w;
	struct asked a;

	(void)state;
	assert_true(manager_is_leading(m->manager));
	assert_string_equal(manager_leader(m->manager), m->node);
	w = rig_worker(r, 1);
	a = host_create(m, "web", 3);
	assert_ok(a.status, &a.e);
	assert_non_null(store_service(manager_store(m->manager), a.id));
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 3);
	assert_int_equal(fake_running(w), 3);
	a = host_create(m, "web", 1);
	assert_int_equal(a.status, -EEXIST);

	a = host_scale(m, "web", 12);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 12);
	a = host_scale(m, "web", 0);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 0 && fake_running(w) == 0);
	RIG_UNTIL(r, count(m, KIND_TASK) == 0 && w->n_tasks == 0);
	/* The agent has forgotten the template meanwhile. */
	a = host_scale(m, "web", 2);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 2);

	a = host_name(m, CONTROL_SERVICE_REMOVE, "web", false);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, count(m, KIND_TASK) == 0 && count(m, KIND_TEMPLATE) == 0 &&
			     count(m, KIND_SERVICE) == 0);
	RIG_UNTIL(r, w->n_tasks == 0);
	assert_int_equal(w->connects, 1);
	assert_int_equal(w->completes, 1);
	rig_done(r);
}

/* A task that waits gets a place once there is a node; the spread is even. */
static void test_pending(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w[2];
	struct asked a;

	(void)state;
	a = host_create(m, "web", 4);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, count(m, KIND_TASK) == 4);
	w[0] = rig_worker(r, 1);
	RIG_UNTIL(r, tasks_running(m, "web", w[0]->node) == 4);
	w[1] = rig_worker(r, 2);
	a = host_scale(m, "web", 8);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 8);
	assert_int_equal(tasks_running(m, "web", w[1]->node), 4);
	rig_done(r);
}

static void test_tokens(void **state)
{
	struct rig *r = rig_new();
	struct host *h = host_new(r, 1);
	auto_free char *wrong = xstrdup(r->worker_token);
	char *last = wrong + strlen(wrong) - 1;

	(void)state;
	*last = *last == 'a' ? 'b' : 'a';
	assert_int_equal(host_join(h, &r->hosts[0], wrong), -EACCES);
	assert_int_equal(count(&r->hosts[0], KIND_NODE), 1);
	assert_int_equal(host_join(h, &r->hosts[0], r->worker_token), 0);
	assert_int_equal(count(&r->hosts[0], KIND_NODE), 2);
	rig_done(r);
}

/* A worker's certificate opens no manager's stream, and a removed node's none at all. */
static void test_removed(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct asked a;

	(void)state;
	a = host_create(m, "web", 1);
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 1);
	a = host_name(m, CONTROL_NODE_REMOVE, w->node, false);
	assert_int_equal(a.status, -EBUSY);
	a = host_name(m, CONTROL_NODE_REMOVE, w->node, true);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, !w->connected);
	RIG_UNTIL(r, w->refused == -EACCES);
	RIG_RUN_MS(r, 300);
	assert_int_equal(w->connects, 1);
	rig_done(r);
}

/* A silent node's tasks go elsewhere; when it is back it stops what it ran. */
static void test_node_down(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w[2] = {rig_worker(r, 1), rig_worker(r, 2)};
	struct asked a = host_create(m, "web", 4);

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 4);
	assert_int_equal(fake_running(w[0]), 2);
	host_cut(w[0]);
	RIG_UNTIL(r, node_state_of(m, w[0]->node) == NODE_DOWN);
	RIG_UNTIL(r, tasks_running(m, "web", w[1]->node) == 4);
	assert_int_equal(fake_running(w[0]), 2);
	host_heal(w[0]);
	RIG_UNTIL(r, node_state_of(m, w[0]->node) == NODE_READY);
	RIG_UNTIL(r, fake_running(w[0]) == 0);
	assert_int_equal(tasks_running(m, "web", w[1]->node), 4);
	rig_done(r);
}

/* Asks for a service with a task template that is attached to the network "back". */
static struct asked attached(struct host *m, enum control_op op, unsigned replicas)
{
	auto_free char *json = xasprintf(
		"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"busybox\"},"
		"\"Networks\":[{\"Target\":\"back\"}]},"
		"\"Mode\":{\"Replicated\":{\"Replicas\":%u}}}",
		replicas);
	struct control_request r = {.op = op, .id = (char *)(uintptr_t) "web"};
	struct service_spec spec;
	struct asked a;

	spec_json(&spec, json);
	r.service = &spec;
	if (op == CONTROL_SERVICE_UPDATE)
		r.version = service_of(m, "web")->o.version.index;
	a = host_ask(m, &r);
	table_done(&service_spec_table, &spec);
	return a;
}

/* Each agent hears of all endpoints of a network that it has a task in, by differences. */
static void test_networks(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w[2] = {rig_worker(r, 1), rig_worker(r, 2)};
	struct control_request q = {.op = CONTROL_NETWORK_CREATE};
	const char *json = "{\"Name\":\"back\",\"Driver\":\"overlay\"}";
	struct network_spec spec = {0};
	struct err e = ERR_INIT;
	struct asked a;

	(void)state;
	assert_ok(json_read(&network_spec_table, json, strlen(json), &spec, &e), &e);
	q.network = &spec;
	a = host_ask(m, &q);
	assert_ok(a.status, &a.e);
	table_done(&network_spec_table, &spec);
	a = attached(m, CONTROL_SERVICE_CREATE, 2);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 2);
	RIG_UNTIL(r, w[0]->peers.n == 2 && w[1]->peers.n == 2);
	for (unsigned n = 4; n <= 20; n += 8) {
		a = attached(m, CONTROL_SERVICE_UPDATE, n);
		assert_ok(a.status, &a.e);
		RIG_UNTIL(r, tasks_running(m, "web", NULL) == n);
		RIG_UNTIL(r, w[0]->peers.n == n && w[1]->peers.n == n);
	}
	assert_true(w[0]->deltas > 0);
	assert_int_equal(w[0]->stale + w[1]->stale, 0);
	/* One that does not fit makes the agent ask for the whole. */
	w[0]->net_version = 1;
	a = attached(m, CONTROL_SERVICE_UPDATE, 22);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, w[0]->stale == 1 && w[0]->peers.n == 22);
	assert_int_equal(w[0]->completes, 2);

	a = host_name(m, CONTROL_NETWORK_REMOVE, "back", false);
	assert_true(a.status < 0); /* in use */
	a = attached(m, CONTROL_SERVICE_UPDATE, 0);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, w[0]->n_tasks == 0 && w[1]->n_tasks == 0);
	RIG_UNTIL(r, w[0]->nets_gone == 1 && w[1]->nets_gone == 1);
	a = attached(m, CONTROL_SERVICE_UPDATE, 3); /* it comes anew */
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 3 && w[0]->peers.n == 3);
	a = host_name(m, CONTROL_SERVICE_REMOVE, "web", false);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, count(m, KIND_TASK) == 0 && count(m, KIND_SERVICE) == 0);
	a = host_name(m, CONTROL_NETWORK_REMOVE, "back", false);
	assert_ok(a.status, &a.e);
	rig_done(r);
}

static void test_restart(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct asked a = host_create(m, "web", 3);
	uint64_t version;

	(void)state;
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 3);
	version = store_version(manager_store(m->manager));
	host_close(m);
	RIG_RUN_MS(r, 100);
	assert_int_equal(fake_running(w), 3); /* nobody says otherwise */
	host_open(m);
	RIG_UNTIL(r, manager_is_leading(m->manager));
	assert_true(store_version(manager_store(m->manager)) >= version);
	assert_int_equal(tasks_running(m, "web", NULL), 3);
	RIG_UNTIL(r, w->connects == 2 && w->completes == 2);
	a = host_scale(m, "web", 5);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 5);
	rig_done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_service_life), TEST(test_pending),   TEST(test_tokens),
		TEST(test_removed),      TEST(test_node_down), TEST(test_restart),
		TEST(test_networks),
	};
	int failed;

	log_set_level(LOG_LEVEL_ERROR);
	failed = RUN_TESTS(tests);
	uv_library_shutdown();
	return failed;
}
