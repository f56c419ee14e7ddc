/*
 * Services that wait for others, with all cores around them: what is held and for how long, what
 * its tasks say meanwhile, and that any leader does alike.
 */
#include "unit/manager/cores.h"

#include <malloc.h>

#include "model/depends.h"

#define DB_HEALTHY "db:service_healthy"
#define MIGRATED "migrate:service_completed_successfully"

static struct cores *two_nodes(void)
{
	struct cores *c = cores_new(1);

	node_add(c, "n1", 4 * CPU, 8 * GIB);
	node_add(c, "n2", 4 * CPU, 8 * GIB);
	c->many_leaders = true;
	return c;
}

static struct service *waits_for(struct service *s, const char *label)
{
	strmap_set(&s->spec.labels, DEPENDS_LABEL, label);
	return s;
}

/* db is slow, migrate fails while told to; everything else comes up. */
static enum task_state db_goal, migrate_goal;

static enum task_state fate(struct cores *c, const struct task *t)
{
	if (t->desired == TASK_READY)
		return TASK_READY;
	if (strcmp(t->service, "db") == 0)
		return db_goal;
	if (strcmp(t->service, "migrate") == 0)
		return t->status.state < TASK_RUNNING ? TASK_RUNNING : migrate_goal;
	return TASK_RUNNING;
}

static struct cores *cluster(void)
{
	struct cores *c = two_nodes();

	c->fate = fate;
	db_goal = TASK_STARTING;
	migrate_goal = TASK_COMPLETE;
	return c;
}

static bool is_placed(const struct task *t)
{
	return t->status.state >= TASK_ASSIGNED;
}

static bool is_complete(const struct task *t)
{
	return t->status.state == TASK_COMPLETE;
}

/* No task of it is placed, and all say why. */
static void assert_held(struct cores *c, const char *service, size_t n, const char *why)
{
	const struct task *t;
	struct store_walk w;
	size_t found = 0;

	store_walk_service_tasks(&w, c->store, service);
	while ((t = store_walk_next(&w))) {
		if (!task_is_wanted(t))
			continue;
		assert_int_equal(t->status.state, TASK_PENDING);
		assert_non_null(t->status.err);
		assert_string_equal(t->status.err, why);
		found++;
	}
	assert_int_equal(found, n);
}

static void healthy_then_completed_then_started(void **state)
{
	struct cores *c = cluster();

	service_add(c, waits_for(service_make(c, "web", 2), DB_HEALTHY "," MIGRATED));
	(void)cores_quiet(c);
	assert_held(c, "web", 2,
		    "waiting for db, which is not there, for migrate, which is not there");
	service_add(c, waits_for(service_job_make(c, "migrate", 1, 2), DB_HEALTHY));
	service_simple(c, "db", 1);
	cores_pass(c, NS_PER_SEC);
	assert_held(c, "web", 2, "waiting for db to be healthy, for migrate to complete");
	assert_held(c, "migrate", 1, "waiting for db to be healthy");
	db_goal = TASK_RUNNING;
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "migrate", is_complete), 2);
	assert_running(c, "web", 2);
	assert_true(store_service(c->store, "web")->gate->open ==
		    store_service(c->store, "web")->template_version);
	assert_null(store_service(c->store, "web")->gate->waits);
	assert_true(cores_quiet(c) == CORE_IDLE);
	cores_free(c);
}

/* The gate was open once: what fails is replaced and scaled though db is away. */
static void an_open_gate_stays_open(void **state)
{
	struct cores *c = cluster();
	struct service *web = waits_for(service_make(c, "web", 2), DB_HEALTHY);

	db_goal = TASK_RUNNING;
	service_restart(web, RESTART_ANY, 0, 0, 0);
	service_add(c, web);
	service_simple(c, "db", 1);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 2);
	service_remove(c, "db");
	cores_pass(c, NS_PER_SEC);
	task_report(c, task_in(c, "web", 1), TASK_FAILED);
	service_scale(c, "web", 5);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 5);
	cores_free(c);
}

/* Old tasks run on while what the new ones wait for is on its way. */
static void an_update_waits_anew(void **state)
{
	struct cores *c = cluster();
	struct service *web = waits_for(service_make(c, "web", 2), MIGRATED);

	web->spec.update = update_make(1, "pause", "stop-first");
	service_add(c, web);
	service_add(c, service_job_make(c, "migrate", 1, 1));
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 2);

	migrate_goal = TASK_RUNNING; /* its next iteration takes its time */
	service_force(c, "migrate");
	service_force(c, "web");
	cores_pass(c, 10 * NS_PER_SEC);
	assert_running(c, "web", 2);
	assert_int_equal(tasks_count(c, "web", is_any), 2);
	assert_string_equal(store_service(c->store, "web")->update_status->message,
			    "update in progress; waiting: for migrate to complete");
	migrate_goal = TASK_COMPLETE;
	cores_pass(c, 20 * NS_PER_SEC);
	assert_running(c, "web", 2);
	assert_int_equal(store_service(c->store, "web")->update_status->state, UPDATE_COMPLETED);
	assert_string_equal(store_service(c->store, "web")->update_status->message,
			    "update completed");
	cores_free(c);
}

/* It waits for tasks as its update wants them, not for those that are replaced. */
static void what_is_updated_has_to_come_anew(void **state)
{
	struct cores *c = cluster();

	db_goal = TASK_RUNNING;
	service_simple(c, "db", 1);
	service_add(c, waits_for(service_make(c, "web", 1), DB_HEALTHY));
	cores_pass(c, 10 * NS_PER_SEC);
	assert_running(c, "web", 1);
	db_goal = TASK_STARTING;
	service_force(c, "db");
	service_force(c, "web");
	cores_pass(c, 10 * NS_PER_SEC);
	assert_string_equal(store_service(c->store, "web")->update_status->message,
			    "update in progress; waiting: for db to be healthy");
	assert_running(c, "web", 1);
	db_goal = TASK_RUNNING;
	cores_pass(c, 30 * NS_PER_SEC);
	assert_int_equal(store_service(c->store, "web")->update_status->state, UPDATE_COMPLETED);
	cores_free(c);
}

static void a_rollback_waits_for_nothing(void **state)
{
	struct cores *c = cluster();

	db_goal = TASK_RUNNING;
	service_simple(c, "db", 1);
	service_add(c, waits_for(service_make(c, "web", 1), DB_HEALTHY));
	cores_pass(c, 10 * NS_PER_SEC);
	service_remove(c, "db");
	service_force(c, "web");
	cores_pass(c, 10 * NS_PER_SEC);
	assert_string_equal(store_service(c->store, "web")->update_status->message,
			    "update in progress; waiting: for db, which is not there");
	service_roll_back(c, "web");
	cores_pass(c, 30 * NS_PER_SEC);
	assert_int_equal(store_service(c->store, "web")->update_status->state,
			 UPDATE_ROLLBACK_COMPLETED);
	task_report(c, task_in(c, "web", 1), TASK_FAILED);
	cores_pass(c, 10 * NS_PER_SEC);
	assert_running(c, "web", 1);
	cores_free(c);
}

static void a_job_that_failed_for_good_is_named(void **state)
{
	struct cores *c = cluster();
	struct service *job = service_job_make(c, "migrate", 1, 1);
	char why[256];

	migrate_goal = TASK_FAILED;
	service_restart(job, RESTART_NONE, 0, 0, 0);
	service_add(c, job);
	service_add(c, waits_for(service_make(c, "web", 1), MIGRATED));
	cores_pass(c, 10 * NS_PER_SEC);
	assert_int_equal(tasks_count(c, "migrate", is_any), 1);
	{
		const struct task *t;
		struct store_walk w;

		store_walk_service_tasks(&w, c->store, "migrate");
		t = store_walk_next(&w);
		(void)snprintf(why, sizeof why,
			       "waiting for migrate to complete (its task %s failed and is not "
			       "started again: failed)",
			       t->o.id);
	}
	assert_held(c, "web", 1, why);
	migrate_goal = TASK_COMPLETE;
	service_force(c, "migrate"); /* its next iteration does better */
	cores_pass(c, 10 * NS_PER_SEC);
	assert_running(c, "web", 1);
	cores_free(c);
}

static void what_never_ends_is_told(void **state)
{
	struct cores *c = cluster();

	service_simple(c, "other", 1);
	service_add(c,
		    waits_for(service_make(c, "web", 1), "other:service_completed_successfully"));
	cores_pass(c, 10 * NS_PER_SEC);
	assert_held(c, "web", 1,
		    "waiting for other to complete (it is started again whenever it ends: make it "
		    "a job, or give it the restart condition none or on-failure)");
	cores_free(c);
}

/* A service that is not there, and whether that counts. */
static void what_is_optional_need_not_be_there(void **state)
{
	struct cores *c = cluster();

	service_add(c, waits_for(service_make(c, "web", 1), DB_HEALTHY ":optional"));
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 1);
	service_simple(c, "db", 1);
	service_add(c, waits_for(service_make(c, "late", 1), DB_HEALTHY ":optional"));
	cores_pass(c, NS_PER_SEC);
	assert_held(c, "late", 1, "waiting for db to be healthy");
	service_scale(c, "db", 0);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "late", 1);
	cores_free(c);
}

/* Tasks whose node is given are held as well; a global service is waited for on each node. */
static void global_services(void **state)
{
	struct cores *c = cluster();

	service_add(c, waits_for(service_global_make(c, "agent"), DB_HEALTHY));
	service_add(c, waits_for(service_make(c, "web", 1), "agent:service_healthy"));
	cores_pass(c, NS_PER_SEC);
	assert_held(c, "agent", 2, "waiting for db, which is not there");
	assert_held(c, "web", 1, "waiting for agent to be healthy");
	node_state(c, "n2", NODE_DOWN);
	db_goal = TASK_RUNNING;
	service_simple(c, "db", 1);
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "agent", is_running), 1);
	assert_running(c, "web", 1);
	cores_free(c);
}

static void a_service_that_waits_no_more(void **state)
{
	struct cores *c = cluster();
	struct service *web;

	service_add(c, waits_for(service_make(c, "web", 1), DB_HEALTHY));
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "web", is_placed), 0);
	web = cores_edit(c, KIND_SERVICE, "web");
	strmap_remove(&web->spec.labels, DEPENDS_LABEL);
	service_change(c, web);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 1);
	cores_free(c);
}

/* Started is earlier than healthy: the container is there. */
static void started_is_enough(void **state)
{
	struct cores *c = cluster();
	struct task *t;

	service_simple(c, "db", 1);
	service_add(c, waits_for(service_make(c, "web", 1), "db:service_started"));
	cores_pass(c, NS_PER_SEC);
	assert_held(c, "web", 1, "waiting for db to start");
	t = cores_edit(c, KIND_TASK, task_in(c, "db", 1)->o.id);
	t->status.container = xcalloc(1, sizeof *t->status.container);
	t->status.container->pid = 42;
	cores_update(c, t);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 1);
	cores_free(c);
}

static size_t bytes_in_use(void)
{
	return mallinfo2().uordblks;
}

/* Services that wait for what never comes, come and go: nothing of them is remembered. */
static void who_waited_and_is_gone(void **state)
{
	enum { ROUNDS = 200 };
	struct cores *c = cluster();
	size_t before = 0;

	c->many_leaders = false; /* a new one begins with nothing */
	for (int i = 0; i < 2 * ROUNDS; i++) {
		auto_free char *label = xasprintf("ghost%d:service_started", i);

		if (i == ROUNDS)
			before = bytes_in_use();
		service_add(c, waits_for(service_make(c, "web", 1), label));
		(void)cores_quiet(c);
		service_remove(c, "web");
		cores_pass(c, NS_PER_SEC);
		assert_null(store_service(c->store, "web"));
	}
	assert_true(bytes_in_use() < before + ROUNDS * 100);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_then_completed_then_started),
		cmocka_unit_test(an_open_gate_stays_open),
		cmocka_unit_test(an_update_waits_anew),
		cmocka_unit_test(what_is_updated_has_to_come_anew),
		cmocka_unit_test(a_rollback_waits_for_nothing),
		cmocka_unit_test(a_job_that_failed_for_good_is_named),
		cmocka_unit_test(what_never_ends_is_told),
		cmocka_unit_test(what_is_optional_need_not_be_there),
		cmocka_unit_test(global_services),
		cmocka_unit_test(a_service_that_waits_no_more),
		cmocka_unit_test(started_is_enough),
		cmocka_unit_test(who_waited_and_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
