/*
 * Jobs with all cores around them: every slot is completed once an iteration, and not more at a
 * time than may run.
 */
#include "unit/manager/cores.h"

static uint64_t looked_at;

static struct cores *three_nodes(void)
{
	struct cores *c = cores_new(1);

	node_add(c, "n1", 4 * CPU, 8 * GIB);
	node_add(c, "n2", 4 * CPU, 8 * GIB);
	node_add(c, "n3", 4 * CPU, 8 * GIB);
	return c;
}

static bool is_complete(const struct task *t)
{
	return t->status.state == TASK_COMPLETE && task_iteration(t) == looked_at;
}

static bool is_busy(const struct task *t)
{
	return task_is_live(t) && task_iteration(t) == looked_at;
}

static enum task_state fate_runs(struct cores *c, const struct task *t)
{
	return t->desired == TASK_READY ? TASK_READY : TASK_RUNNING;
}

static void all_complete_and_few_at_a_time(void **state)
{
	struct cores *c = three_nodes();

	looked_at = 0;
	c->fate = fate_runs;
	service_add(c, service_job_make(c, "job", 2, 5));
	for (size_t done = 0; done < 5; done++) {
		(void)cores_quiet(c);
		assert_int_equal(tasks_count(c, "job", is_busy), MIN_OF(5 - done, (size_t)2));
		assert_int_equal(tasks_count(c, "job", is_complete), done);
		assert_int_equal(task_in(c, "job", done)->desired, TASK_COMPLETE);
		task_report(c, task_in(c, "job", done), TASK_COMPLETE);
		cores_reset(c);
	}
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_complete), 5);
	assert_int_equal(tasks_count(c, "job", is_any), 5);
	assert_true(cores_settle(c) == CORE_IDLE);
	cores_free(c);
}

static void failures_are_tried_again(void **state)
{
	struct cores *c = three_nodes();
	struct service *s = service_job_make(c, "job", 1, 2);

	looked_at = 0;
	c->fate = fate_runs;
	service_restart(s, RESTART_ANY, NS_PER_SEC, 2, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	task_report(c, task_in(c, "job", 0), TASK_FAILED);
	(void)cores_quiet(c);
	assert_int_equal(task_in(c, "job", 0)->desired, TASK_READY);
	assert_null(task_in(c, "job", 1)); /* the slot counts while it waits */
	cores_pass(c, 2 * NS_PER_SEC);
	assert_int_equal(task_in(c, "job", 0)->desired, TASK_COMPLETE);
	task_report(c, task_in(c, "job", 0), TASK_FAILED);
	cores_pass(c, 2 * NS_PER_SEC);
	task_report(c, task_in(c, "job", 0), TASK_FAILED);
	cores_pass(c, 2 * NS_PER_SEC);
	assert_null(task_in(c, "job", 0)); /* given up after two more attempts; others go on */
	assert_non_null(task_in(c, "job", 1));
	task_report(c, task_in(c, "job", 1), TASK_COMPLETE);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_complete), 1);
	assert_int_equal(tasks_count(c, "job", is_busy), 0);
	cores_free(c);
}

static void a_lost_node_is_made_up_for(void **state)
{
	struct cores *c = three_nodes();

	looked_at = 0;
	c->fate = fate_runs;
	service_add(c, service_job_make(c, "job", 3, 3));
	(void)cores_quiet(c);
	node_state(c, "n1", NODE_DOWN);
	node_availability(c, "n2", AVAILABILITY_DRAIN);
	c->fate = NULL;
	cores_pass(c, 61 * NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_complete), 3);
	cores_free(c);
}

static void another_template_is_another_iteration(void **state)
{
	struct cores *c = three_nodes();

	c->fate = fate_runs;
	service_add(c, service_job_make(c, "job", 2, 3));
	(void)cores_quiet(c);
	task_report(c, task_in(c, "job", 0), TASK_COMPLETE);
	(void)cores_quiet(c);
	service_force(c, "job");
	cores_pass(c, NS_PER_SEC);
	looked_at = 0;
	assert_int_equal(tasks_count(c, "job", is_busy), 0);
	assert_int_equal(tasks_count(c, "job", is_complete), 1); /* as history */
	looked_at = 1;
	assert_int_equal(tasks_count(c, "job", is_busy), 2);
	assert_int_equal(tasks_count(c, "job", is_complete), 0);
	c->fate = NULL;
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_complete), 3);
	assert_int_equal(tasks_count(c, "job", is_any), 4);
	cores_free(c);
}

static void old_iterations_are_trimmed(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_job_make(c, "job", 2, 3));
	service_add(c, service_job_make(c, "all", 0, 0));
	for (int i = 0; i < 20; i++) {
		cores_pass(c, NS_PER_SEC);
		service_force(c, "job");
		service_force(c, "all");
	}
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_any), 3 + 3 * TASK_HISTORY_DEFAULT);
	assert_int_equal(tasks_count(c, "all", is_any), 3 + 3 * TASK_HISTORY_DEFAULT);
	looked_at = 20 - TASK_HISTORY_DEFAULT;
	assert_int_equal(tasks_count(c, "job", is_complete), 3);
	cores_free(c);
}

static void a_smaller_job_lets_go(void **state)
{
	struct cores *c = three_nodes();
	struct service *s;

	looked_at = 0;
	c->fate = fate_runs;
	service_add(c, service_job_make(c, "job", 6, 6));
	(void)cores_quiet(c);
	s = cores_edit(c, KIND_SERVICE, "job");
	*s->spec.mode.replicated_job->total_completions = 2;
	service_change(c, s);
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_busy), 2);
	s = cores_edit(c, KIND_SERVICE, "job");
	*s->spec.mode.replicated_job->total_completions = 3;
	service_change(c, s);
	c->fate = NULL;
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_complete), 3);
	/* Of what has completed as well: nobody waits until 3 of 1 have. */
	s = cores_edit(c, KIND_SERVICE, "job");
	*s->spec.mode.replicated_job->total_completions = 1;
	service_change(c, s);
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_complete), 1);
	cores_free(c);
}

static void a_global_job_runs_once_on_each_node(void **state)
{
	struct cores *c = three_nodes();

	looked_at = 0;
	service_add(c, service_job_make(c, "all", 0, 0));
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "all", is_complete), 3);
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	node_add(c, "n4", CPU, GIB);
	cores_pass(c, 60 * NS_PER_SEC);
	node_availability(c, "n1", AVAILABILITY_ACTIVE);
	cores_reset(c);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(tasks_count(c, "all", is_any), 4);
	assert_int_equal(tasks_count(c, "all", is_complete), 4);
	service_force(c, "all");
	cores_pass(c, 60 * NS_PER_SEC);
	looked_at = 1;
	assert_int_equal(tasks_count(c, "all", is_complete), 4);
	cores_free(c);
}

static void nothing_is_left_of_a_removed_job(void **state)
{
	struct cores *c = three_nodes();

	service_add(c, service_job_make(c, "job", 1, 400));
	service_add(c, service_job_make(c, "all", 0, 0));
	cores_pass(c, NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_any), 400);
	service_remove(c, "job");
	service_remove(c, "all");
	cores_pass(c, 2 * NS_PER_SEC);
	assert_null(store_service(c->store, "job"));
	assert_null(store_service(c->store, "all"));
	assert_int_equal(store_count(c->store, KIND_TASK), 0);
	assert_int_equal(store_count(c->store, KIND_TEMPLATE), 0);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_complete_and_few_at_a_time),
		TEST(failures_are_tried_again),
		TEST(a_lost_node_is_made_up_for),
		TEST(another_template_is_another_iteration),
		TEST(old_iterations_are_trimmed),
		TEST(a_smaller_job_lets_go),
		TEST(a_global_job_runs_once_on_each_node),
		TEST(nothing_is_left_of_a_removed_job),
	};

	return RUN_TESTS(tests);
}
