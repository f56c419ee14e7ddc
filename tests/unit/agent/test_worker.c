/*
 * agent/worker.h with a runner that does what the test says, on a real loop: a task's whole way,
 * its failures, restarts of the daemon, and restarts of tasks while no manager is in reach.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "agent/vault.h"
#include "agent/worker.h"
#include "base/file.h"
#include "base/mem.h"

#define BOXES 8

/* A container as the fake has it. */
struct fake_box {
	char task[32];
	bool exists, running, started, starting, unhealthy;
	int exit_code;
};

/* An operation that waits for its answer. */
struct fake_op {
	enum { FAKE_PREPARE, FAKE_START, FAKE_STOP, FAKE_REMOVE } kind;
	char task[32];
	runner_done done;
	void *done_arg;
};

static struct fake {
	struct fake_box boxes[BOXES];
	struct fake_op ops[BOXES];
	size_t n_ops;
	runner_changed changed;
	void *changed_arg;
	const struct vault *vault;
	unsigned prepares, starts, stops, removes;
} fake;

static uv_loop_t loop;
static char path_of_db[] = "/tmp/shoal-worker-XXXXXX";
static struct worker *worker;
static struct task_status reported[BOXES];
static char reported_task[BOXES][32];
static size_t n_reported;

static struct fake_box *box(const char *task)
{
	for (size_t i = 0; i < BOXES; i++)
		if (strcmp(fake.boxes[i].task, task) == 0)
			return &fake.boxes[i];
	for (size_t i = 0; i < BOXES; i++) {
		if (!fake.boxes[i].task[0]) {
			(void)snprintf(fake.boxes[i].task, 32, "%s", task);
			return &fake.boxes[i];
		}
	}
	abort();
}

static void queue(int kind, const char *task, runner_done done, void *arg)
{
	struct fake_op *op = &fake.ops[fake.n_ops++];

	*op = (struct fake_op){.done = done, .done_arg = arg};
	op->kind = kind;
	(void)snprintf(op->task, sizeof op->task, "%s", task);
}

static void fake_prepare(void *arg, const struct task *t, const struct template *tpl,
			 runner_done done, void *done_arg)
{
	assert_string_equal(tpl->spec.container->image, "img");
	fake.prepares++;
	queue(FAKE_PREPARE, t->o.id, done, done_arg);
}

static void fake_start(void *arg, const struct task *t, const struct template *tpl,
		       const struct vault *vault, runner_done done, void *done_arg)
{
	fake.starts++;
	fake.vault = vault;
	queue(FAKE_START, t->o.id, done, done_arg);
}

static void fake_stop(void *arg, const char *task, int64_t grace, runner_done done, void *done_arg)
{
	assert_int_equal(grace, 10 * 1000000000LL);
	fake.stops++;
	queue(FAKE_STOP, task, done, done_arg);
}

static void fake_remove(void *arg, const char *task, runner_done done, void *done_arg)
{
	fake.removes++;
	queue(FAKE_REMOVE, task, done, done_arg);
}

static struct runner_state box_state(const struct fake_box *b)
{
	return (struct runner_state){.exists = b->exists,
				     .running = b->running,
				     .started = b->started,
				     .starting = b->starting,
				     .unhealthy = b->unhealthy,
				     .container = b->exists ? "c0ffee" : NULL,
				     .pid = b->running ? 42 : 0,
				     .exit_code = b->exit_code};
}

static void fake_inspect(void *arg, const char *task, struct runner_state *ret)
{
	*ret = box_state(box(task));
}

static void fake_watch(void *arg, runner_changed changed, void *changed_arg)
{
	fake.changed = changed;
	fake.changed_arg = changed_arg;
}

static void fake_list(void *arg, struct strs *ret)
{
	for (size_t i = 0; i < BOXES; i++)
		if (fake.boxes[i].exists)
			strs_add(ret, fake.boxes[i].task);
}

static const struct runner_ops fake_ops = {
	.prepare = fake_prepare,
	.start = fake_start,
	.stop = fake_stop,
	.remove = fake_remove,
	.inspect = fake_inspect,
	.watch = fake_watch,
	.list = fake_list,
};

/* Answers the oldest operation. */
static void answer(int kind, int status)
{
	struct fake_op op = fake.ops[0];
	struct fake_box *b = box(op.task);
	struct runner_state state;
	struct err e = ERR_INIT;

	assert_true(fake.n_ops > 0);
	assert_int_equal(op.kind, kind);
	memmove(&fake.ops[0], &fake.ops[1], --fake.n_ops * sizeof op);
	if (status == 0 && kind == FAKE_PREPARE)
		b->exists = true;
	if (status == 0 && kind == FAKE_START)
		b->running = b->started = true;
	if (status == 0 && kind == FAKE_STOP && b->running) {
		b->running = false;
		b->exit_code = 143;
	}
	state = box_state(b);
	if (status == 0 && kind == FAKE_REMOVE)
		*b = (struct fake_box){0};
	(void)err_set(&e, status, "because");
	op.done(op.done_arg, status, &state, &e);
}

static void exits(const char *task, int code)
{
	struct fake_box *b = box(task);
	struct runner_state state;

	b->running = false;
	b->exit_code = code;
	state = box_state(b);
	fake.changed(fake.changed_arg, task, &state);
}

static void on_report(void *arg, const char *task, const struct task_status *status)
{
	size_t i = n_reported++ % BOXES;

	table_done(&task_status_table, &reported[i]);
	table_copy(&task_status_table, &reported[i], status);
	(void)snprintf(reported_task[i], 32, "%s", task);
}

static const struct task_status *last(void)
{
	return &reported[(n_reported - 1) % BOXES];
}

static unsigned networks;

static void on_network(void *arg, const struct network *n)
{
	networks++;
}

static void on_network_gone(void *arg, const char *network)
{
	networks--;
}

static void open_worker(void)
{
	struct worker_config c = {.loop = &loop,
				  .runner = {.ops = &fake_ops},
				  .db_path = path_of_db,
				  .report = on_report,
				  .network_set = on_network,
				  .network_gone = on_network_gone};
	struct err e = ERR_INIT;

	assert_ok(worker_open(&worker, &c, &e), &e);
}

static void close_worker(void)
{
	worker_close(worker);
	uv_run(&loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
	int fd;

	memset(&fake, 0, sizeof fake);
	n_reported = networks = 0;
	memcpy(path_of_db + sizeof path_of_db - 7, "XXXXXX", 6);
	fd = mkstemp(path_of_db);
	assert_true(fd >= 0);
	close(fd);
	unlink(path_of_db);
	uv_loop_init(&loop);
	open_worker();
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};

	close_worker();
	uv_loop_close(&loop);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		auto_free char *path = xasprintf("%s%s", path_of_db, ends[i]);

		(void)unlink(path);
	}
	for (size_t i = 0; i < BOXES; i++)
		table_done(&task_status_table, &reported[i]);
	return 0;
}

#define ONE "1000000000000000000000000"
#define TWO "2000000000000000000000000"

/* Assigns one task; the template comes with it. */
static void assign(const char *id, enum task_state desired, bool complete)
{
	static struct restart_policy policy;
	static int64_t delay = 20000000;
	struct secret_ref ref = {.id = (char *)"key", .name = (char *)"key"};
	struct container_spec container = {.image = (char *)"img", .secrets = {&ref, 1}};
	struct template tpl = {.service = (char *)"svc", .template_version = 3};
	struct attachment at = {.network = (char *)"net"};
	struct task t = {.service = (char *)"svc", .template_version = 3, .node = (char *)"me"};
	struct network net = {.o = {.id = (char *)"net"}};
	struct session_assign a = {.complete = complete};

	policy = (struct restart_policy){.delay = &delay};
	tpl.spec.container = &container;
	tpl.spec.restart = &policy;
	tpl.o.id = (char *)"svc.3";
	t.o.id = (char *)(uintptr_t)id;
	t.status.state = TASK_ASSIGNED;
	t.desired = desired;
	t.networks.v = &at;
	t.networks.n = 1;
	a.tasks.v = &t;
	a.tasks.n = 1;
	a.templates.v = &tpl;
	a.templates.n = 1;
	a.networks.v = &net;
	a.networks.n = 1;
	worker_assign(worker, &a);
}

static void run_to_running(const char *id)
{
	assign(id, TASK_RUNNING, true);
	answer(FAKE_PREPARE, 0);
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
}

static void a_task_runs_and_finishes(void **state)
{
	worker_connected(worker, true);
	assign(ONE, TASK_RUNNING, true);
	assert_int_equal(networks, 1);
	assert_int_equal(last()->state, TASK_PREPARING);
	answer(FAKE_PREPARE, 0);
	assert_int_equal(last()->state, TASK_STARTING);
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
	assert_string_equal(last()->container->container, "c0ffee");
	assert_int_equal(last()->container->pid, 42);
	exits(ONE, 0);
	assert_int_equal(last()->state, TASK_COMPLETE);
	assert_int_equal(fake.n_ops, 0);
}

static void failures_are_told_apart(void **state)
{
	worker_connected(worker, true);
	run_to_running(ONE);
	exits(ONE, 7);
	assert_int_equal(last()->state, TASK_FAILED);
	assert_string_equal(last()->err, "task: non-zero exit (7)");
	assert_int_equal(last()->container->exit_code, 7);
	assign(TWO, TASK_RUNNING, false);
	answer(FAKE_PREPARE, -ENOENT);
	assert_int_equal(last()->state, TASK_REJECTED);
	assert_string_equal(last()->err, "because");
}

static void health_changes(const char *task, bool unhealthy)
{
	struct runner_state state;

	box(task)->starting = false;
	box(task)->unhealthy = unhealthy;
	state = box_state(box(task));
	fake.changed(fake.changed_arg, task, &state);
}

static void begin_with_health(void)
{
	assign(ONE, TASK_RUNNING, true);
	answer(FAKE_PREPARE, 0);
	box(ONE)->starting = true;
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_STARTING);
	assert_int_equal(last()->container->pid, 42);
	assert_int_equal(fake.n_ops, 0);
}

static void a_task_runs_once_it_is_healthy(void **state)
{
	worker_connected(worker, true);
	begin_with_health();
	health_changes(ONE, false);
	assert_int_equal(last()->state, TASK_RUNNING);
	/* What was healthy may become unhealthy: it is stopped, and has failed. */
	health_changes(ONE, true);
	assert_int_equal(last()->state, TASK_RUNNING);
	answer(FAKE_STOP, 0);
	assert_int_equal(last()->state, TASK_FAILED);
	assert_string_equal(last()->err, "task: non-zero exit (143): unhealthy container");
	assert_int_equal(fake.n_ops, 0);
}

static void one_that_never_is_healthy_has_failed(void **state)
{
	worker_connected(worker, true);
	begin_with_health();
	health_changes(ONE, true);
	/* Its exit is told before the stop is answered; a clean one is no success either. */
	exits(ONE, 0);
	assert_int_equal(last()->state, TASK_FAILED);
	assert_string_equal(last()->err, "task: non-zero exit (0): unhealthy container");
	answer(FAKE_STOP, 0);
	assert_int_equal(last()->state, TASK_FAILED);
}

static void an_exit_while_health_is_awaited(void **state)
{
	worker_connected(worker, true);
	begin_with_health();
	exits(ONE, 3);
	assert_int_equal(last()->state, TASK_FAILED);
	assert_string_equal(last()->err, "task: non-zero exit (3)");
}

static void health_is_awaited_over_a_restart(void **state)
{
	worker_connected(worker, true);
	begin_with_health();
	close_worker();
	open_worker();
	assert_int_equal(fake.n_ops, 0);
	assert_int_equal(last()->state, TASK_STARTING);
	health_changes(ONE, false);
	assert_int_equal(last()->state, TASK_RUNNING);
	/* Found unhealthy while no daemon ran. */
	box(ONE)->unhealthy = true;
	close_worker();
	open_worker();
	answer(FAKE_STOP, 0);
	assert_int_equal(last()->state, TASK_FAILED);
}

static void an_unhealthy_one_is_shut_down_when_it_is_not_wanted(void **state)
{
	worker_connected(worker, true);
	begin_with_health();
	assign(ONE, TASK_SHUTDOWN, false);
	health_changes(ONE, true);
	answer(FAKE_STOP, 0);
	assert_int_equal(last()->state, TASK_SHUTDOWN);
}

static void an_unhealthy_one_is_made_anew_without_managers(void **state)
{
	worker_connected(worker, true);
	begin_with_health();
	health_changes(ONE, false);
	worker_connected(worker, false);
	health_changes(ONE, true);
	exits(ONE, 143);
	answer(FAKE_STOP, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
	for (int i = 0; i < 1000 && fake.n_ops == 0; i++)
		uv_run(&loop, UV_RUN_ONCE);
	answer(FAKE_REMOVE, 0);
	answer(FAKE_PREPARE, 0);
	box(ONE)->starting = true;
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
}

static void a_start_that_fails_is_a_failure(void **state)
{
	worker_connected(worker, true);
	assign(ONE, TASK_RUNNING, true);
	answer(FAKE_PREPARE, 0);
	answer(FAKE_START, -ENOEXEC);
	assert_int_equal(last()->state, TASK_FAILED);
}

static void what_may_pass_is_tried_again(void **state)
{
	worker_connected(worker, true);
	assign(ONE, TASK_RUNNING, true);
	answer(FAKE_PREPARE, -EAGAIN);
	assert_int_equal(last()->state, TASK_PREPARING);
	assert_string_equal(last()->err, "because");
	while (fake.n_ops == 0)
		uv_run(&loop, UV_RUN_ONCE);
	answer(FAKE_PREPARE, 0);
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
}

static void ready_holds_until_running_is_wanted(void **state)
{
	worker_connected(worker, true);
	assign(ONE, TASK_READY, true);
	answer(FAKE_PREPARE, 0);
	assert_int_equal(last()->state, TASK_READY);
	assert_int_equal(fake.n_ops, 0);
	assign(ONE, TASK_RUNNING, false);
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
}

static void shutdown_stops_and_keeps_the_container(void **state)
{
	worker_connected(worker, true);
	run_to_running(ONE);
	assign(ONE, TASK_SHUTDOWN, false);
	answer(FAKE_STOP, 0);
	assert_int_equal(last()->state, TASK_SHUTDOWN);
	assert_int_equal(fake.removes, 0);
	assert_int_equal(worker_task_count(worker), 1);
}

static void remove_and_gone_take_all_away(void **state)
{
	struct session_assign none = {.complete = true};

	worker_connected(worker, true);
	run_to_running(ONE);
	assign(ONE, TASK_REMOVE, false);
	answer(FAKE_STOP, 0);
	answer(FAKE_REMOVE, 0);
	assert_int_equal(worker_task_count(worker), 1); /* until the managers delete it */
	worker_assign(worker, &none);
	assert_int_equal(worker_task_count(worker), 0);
	run_to_running(TWO);
	worker_assign(worker, &none);
	answer(FAKE_STOP, 0);
	answer(FAKE_REMOVE, 0);
	assert_int_equal(worker_task_count(worker), 0);
}

static void not_yet_started_is_not_stopped(void **state)
{
	worker_connected(worker, true);
	assign(ONE, TASK_RUNNING, true);
	assign(ONE, TASK_SHUTDOWN, false); /* while it is prepared */
	answer(FAKE_PREPARE, 0);
	assert_int_equal(last()->state, TASK_SHUTDOWN);
	assert_int_equal(fake.starts, 0);
	assert_int_equal(fake.stops, 0);
}

static void a_restarted_daemon_goes_on(void **state)
{
	worker_connected(worker, true);
	run_to_running(ONE);
	close_worker();
	n_reported = 0;
	open_worker();
	assert_int_equal(worker_status(worker, ONE)->state, TASK_RUNNING);
	assert_int_equal(fake.prepares, 1);
	worker_connected(worker, true);
	worker_report_all(worker);
	assert_int_equal(last()->state, TASK_RUNNING);
	exits(ONE, 3);
	assert_int_equal(last()->state, TASK_FAILED);
}

static void an_end_while_the_daemon_was_away_is_seen(void **state)
{
	worker_connected(worker, true);
	run_to_running(ONE);
	close_worker();
	box(ONE)->running = false;
	box(ONE)->exit_code = 0;
	open_worker(); /* no manager yet: its policy is `any`, so it is started again here */
	while (fake.n_ops == 0)
		uv_run(&loop, UV_RUN_ONCE);
	answer(FAKE_REMOVE, 0);
	answer(FAKE_PREPARE, 0);
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
}

static void without_managers_the_policy_lives(void **state)
{
	run_to_running(ONE);
	exits(ONE, 1);
	assert_int_equal(worker_status(worker, ONE)->state, TASK_RUNNING);
	while (fake.n_ops == 0)
		uv_run(&loop, UV_RUN_ONCE);
	answer(FAKE_REMOVE, 0);
	answer(FAKE_PREPARE, 0);
	answer(FAKE_START, 0);
	assert_int_equal(last()->state, TASK_RUNNING);
	assert_true(box(ONE)->running);
}

static void a_manager_that_comes_back_takes_the_restart_over(void **state)
{
	run_to_running(ONE);
	exits(ONE, 1);
	worker_connected(worker, true);
	assert_int_equal(last()->state, TASK_FAILED);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(fake.n_ops, 0);
}

static void strangers_are_removed(void **state)
{
	close_worker();
	box(TWO)->exists = box(TWO)->running = true;
	open_worker();
	answer(FAKE_STOP, 0);
	answer(FAKE_REMOVE, 0);
	assert_int_equal(worker_task_count(worker), 0);
}

static void parts_of_an_assignment_take_effect_together(void **state)
{
	struct session_assign end = {.complete = true};

	worker_connected(worker, true);
	run_to_running(ONE);
	end.more = true;
	worker_assign(worker, &end); /* names nothing yet: must not stop ONE */
	assert_int_equal(fake.n_ops, 0);
	assert_int_equal(worker_status(worker, ONE)->state, TASK_RUNNING);
}

static void secret_comes(const char *id)
{
	struct session_secret s = {.id = (char *)(uintptr_t)id,
				   .data = {(uint8_t *)(uintptr_t) "hunter2", 7}};

	worker_secret(worker, &s);
}

static void a_start_waits_for_its_secret(void **state)
{
	worker_connected(worker, true);
	secret_comes("key"); /* nobody's yet */
	assign(ONE, TASK_RUNNING, true);
	answer(FAKE_PREPARE, 0);
	assert_null(vault_get(fake.vault, "key"));
	answer(FAKE_START, -ENOKEY);
	assert_int_equal(worker_status(worker, ONE)->state, TASK_STARTING);
	assert_int_equal(fake.n_ops, 0);
	secret_comes("other");
	assert_null(vault_get(fake.vault, "other"));
	secret_comes("key");
	assert_non_null(vault_get(fake.vault, "key"));
	answer(FAKE_START, 0);
	assert_int_equal(worker_status(worker, ONE)->state, TASK_RUNNING);
}

static void a_secret_goes_with_its_last_task(void **state)
{
	worker_connected(worker, true);
	run_to_running(ONE);
	secret_comes("key");
	assert_memory_equal(vault_get(fake.vault, "key")->data, "hunter2", 7);
	assign(ONE, TASK_SHUTDOWN, false);
	assert_non_null(vault_get(fake.vault, "key"));
	answer(FAKE_STOP, 0);
	assert_null(vault_get(fake.vault, "key"));
}

static bool has_left;

static void on_left(void *arg)
{
	has_left = true;
}

static void leaving_takes_everything_down(void **state)
{
	worker_connected(worker, true);
	run_to_running(ONE);
	worker_leave(worker, on_left, NULL);
	answer(FAKE_STOP, 0);
	assert_false(has_left);
	answer(FAKE_REMOVE, 0);
	assert_true(has_left);
}

#define WORKER_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(a_task_runs_and_finishes),
		WORKER_TEST(failures_are_told_apart),
		WORKER_TEST(a_task_runs_once_it_is_healthy),
		WORKER_TEST(one_that_never_is_healthy_has_failed),
		WORKER_TEST(an_exit_while_health_is_awaited),
		WORKER_TEST(health_is_awaited_over_a_restart),
		WORKER_TEST(an_unhealthy_one_is_shut_down_when_it_is_not_wanted),
		WORKER_TEST(an_unhealthy_one_is_made_anew_without_managers),
		WORKER_TEST(a_start_that_fails_is_a_failure),
		WORKER_TEST(what_may_pass_is_tried_again),
		WORKER_TEST(ready_holds_until_running_is_wanted),
		WORKER_TEST(shutdown_stops_and_keeps_the_container),
		WORKER_TEST(remove_and_gone_take_all_away),
		WORKER_TEST(not_yet_started_is_not_stopped),
		WORKER_TEST(a_restarted_daemon_goes_on),
		WORKER_TEST(an_end_while_the_daemon_was_away_is_seen),
		WORKER_TEST(without_managers_the_policy_lives),
		WORKER_TEST(a_manager_that_comes_back_takes_the_restart_over),
		WORKER_TEST(strangers_are_removed),
		WORKER_TEST(parts_of_an_assignment_take_effect_together),
		WORKER_TEST(a_start_waits_for_its_secret),
		WORKER_TEST(a_secret_goes_with_its_last_task),
		WORKER_TEST(leaving_takes_everything_down),
	};

	return RUN_TESTS(tests);
}
