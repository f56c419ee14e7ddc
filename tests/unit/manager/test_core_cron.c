/*
 * Scheduled jobs with all cores around them: each time that is meant starts one iteration, whoever
 * leads; what was missed or would overlap is decided by the labels and said.
 */
#include "unit/manager/cores.h"

#include "model/schedule.h"

#define MINUTE (60 * NS_PER_SEC)

static struct cores *two_nodes(void)
{
	struct cores *c = cores_new(1);

	node_add(c, "n1", 4 * CPU, 8 * GIB);
	node_add(c, "n2", 4 * CPU, 8 * GIB);
	c->now = 1700006400 * NS_PER_SEC; /* a full hour */
	return c;
}

/* Not started yet; "k=v" labels up to NULL. */
static struct service *job(struct cores *c, const char *cron, const char *const *labels)
{
	struct service *s = service_job_make(c, "job", 1, 2);

	strmap_set(&s->spec.labels, SCHEDULE_LABEL, cron);
	for (; labels && *labels; labels += 2)
		strmap_set(&s->spec.labels, labels[0], labels[1]);
	s->job->last_execution = 0;
	s->job->schedule = xcalloc(1, sizeof *s->job->schedule);
	s->job->schedule->since = c->now;
	return s;
}
#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct job_status *status(const struct cores *c)
{
	return store_service(c->store, "job")->job;
}

static uint64_t looked_at;

static bool is_complete(const struct task *t)
{
	return t->status.state == TASK_COMPLETE && task_iteration(t) == looked_at;
}

static bool is_live(const struct task *t)
{
	return task_is_live(t) && task_iteration(t) == looked_at;
}

static enum task_state fate_runs(struct cores *c, const struct task *t)
{
	return t->desired == TASK_READY ? TASK_READY : TASK_RUNNING;
}

static void each_time_starts_one_iteration(void **state)
{
	struct cores *c = two_nodes();

	service_add(c, job(c, "*/10 * * * *", NULL));
	cores_pass(c, 9 * MINUTE);
	assert_int_equal(tasks_count(c, "job", is_any), 0);
	assert_int_equal(cores_settle(c), (1700006400 + 600) * NS_PER_SEC);
	for (uint64_t i = 0; i < 5; i++) {
		cores_reset(c); /* any leader does alike */
		cores_pass(c, i == 0 ? MINUTE : 10 * MINUTE);
		looked_at = i;
		assert_int_equal(service_iteration(store_service(c->store, "job")), i);
		assert_int_equal(status(c)->last_execution,
				 (1700006400 + 600 * (int64_t)(i + 1)) * NS_PER_SEC);
		assert_int_equal(tasks_count(c, "job", is_complete), 2);
	}
	assert_string_equal(status(c)->schedule->decision, "iteration 4 was started");
	service_remove(c, "job");
	cores_pass(c, NS_PER_SEC);
	assert_true(cores_settle(c) == CORE_IDLE);
	cores_free(c);
}

static void a_global_job_waits_too(void **state)
{
	struct cores *c = two_nodes();
	struct service *s = job(c, "@hourly", NULL);

	table_free(&job_mode_table, s->spec.mode.replicated_job);
	s->spec.mode.replicated_job = NULL;
	s->spec.mode.global_job = xcalloc(1, sizeof(struct empty));
	service_add(c, s);
	cores_pass(c, 59 * MINUTE);
	assert_int_equal(tasks_count(c, "job", is_any), 0);
	cores_pass(c, MINUTE);
	assert_int_equal(tasks_count(c, "job", is_any), 2);
	cores_free(c);
}

/* Nobody leads for three hours. */
static void missed(const char *policy, uint64_t iterations, const char *decision)
{
	struct cores *c = two_nodes();

	service_add(c, job(c, "30 * * * *", LABELS("shoal.cron.missed", policy)));
	cores_pass(c, 31 * MINUTE);
	c->now += 180 * MINUTE;
	cores_reset(c);
	(void)cores_quiet(c);
	assert_int_equal(service_iteration(store_service(c->store, "job")), iterations);
	assert_string_equal(status(c)->schedule->decision, decision);
	cores_reset(c);
	(void)cores_quiet(c);
	assert_int_equal(service_iteration(store_service(c->store, "job")), iterations);
	cores_free(c);
}

static void missed_runs_follow_the_policy(void **state)
{
	missed("skip", 0, "skipped: its time had passed while no manager was there");
	missed("run-once", 1,
	       "iteration 1 was started: its time had passed while no manager was there");
	missed("run-once=2h", 1,
	       "iteration 1 was started: its time had passed while no manager was there");
}

/* Too long ago even for run-once. */
static void missed_for_too_long(void **state)
{
	struct cores *c = two_nodes();

	service_add(c, job(c, "@daily", LABELS("shoal.cron.missed", "run-once=1h")));
	c->now = (1700006400 / 86400 + 1) * 86400 * NS_PER_SEC + 61 * MINUTE;
	(void)cores_quiet(c);
	assert_int_equal(status(c)->last_execution, 0);
	assert_int_equal(tasks_count(c, "job", is_any), 0);
	cores_free(c);
}

/* A new leader within a minute is in time. */
static void a_change_of_leaders_is_no_miss(void **state)
{
	struct cores *c = two_nodes();

	service_add(c, job(c, "@hourly", NULL));
	(void)cores_quiet(c);
	c->now += 60 * MINUTE + 59 * NS_PER_SEC;
	cores_reset(c);
	(void)cores_quiet(c);
	assert_string_equal(status(c)->schedule->decision, "iteration 0 was started");
	cores_free(c);
}

static void overlap_is_forbidden_by_default(void **state)
{
	struct cores *c = two_nodes();

	looked_at = 0;
	c->fate = fate_runs;
	service_add(c, job(c, "*/10 * * * *", NULL));
	cores_pass(c, 25 * MINUTE);
	assert_string_equal(status(c)->schedule->decision, "skipped: iteration 0 is not complete");
	/* The first of two is complete: the job is not. */
	task_report(c, task_in(c, "job", 0), TASK_COMPLETE);
	cores_pass(c, 10 * MINUTE);
	assert_int_equal(service_iteration(store_service(c->store, "job")), 0);
	c->fate = NULL;
	cores_pass(c, MINUTE);
	assert_int_equal(tasks_count(c, "job", is_complete), 2);
	cores_pass(c, 10 * MINUTE);
	assert_int_equal(service_iteration(store_service(c->store, "job")), 1);
	cores_free(c);
}

static void overlap_may_be_allowed(void **state)
{
	struct cores *c = two_nodes();

	c->fate = fate_runs;
	service_add(c, job(c, "*/10 * * * *", LABELS("shoal.cron.overlap", "allow")));
	cores_pass(c, 25 * MINUTE);
	for (looked_at = 0; looked_at < 2; looked_at++)
		assert_int_equal(tasks_count(c, "job", is_live), 1);
	node_availability(c, "n1", AVAILABILITY_DRAIN);
	node_availability(c, "n2", AVAILABILITY_DRAIN);
	cores_pass(c, MINUTE);
	looked_at = 0;
	assert_int_equal(tasks_count(c, "job", is_live), 0);
	looked_at = 1;
	assert_int_equal(tasks_count(c, "job", is_live), 1); /* it waits for a node */
	cores_free(c);
}

static void overlap_may_replace(void **state)
{
	struct cores *c = two_nodes();

	c->fate = fate_runs;
	service_add(c, job(c, "*/10 * * * *", LABELS("shoal.cron.overlap", "replace")));
	cores_pass(c, 25 * MINUTE);
	looked_at = 0;
	assert_int_equal(tasks_count(c, "job", is_live), 0);
	looked_at = 1;
	assert_int_equal(tasks_count(c, "job", is_live), 1);
	cores_free(c);
}

static void history_by_label(void **state)
{
	struct cores *c = two_nodes();

	service_add(c, job(c, "* * * * *", LABELS("shoal.cron.history", "9")));
	cores_pass(c, 30 * MINUTE + NS_PER_SEC);
	assert_int_equal(tasks_count(c, "job", is_any), 20);
	cores_free(c);
}

/* A full hour that is not there in that zone: the clocks go forward. */
static void zones_count(void **state)
{
	struct cores *c = two_nodes();
	const struct zone *z;
	struct err e = ERR_INIT;

	if (zone_find("Europe/Berlin", &z, &e) < 0)
		skip();
	c->now = 1711843200 * NS_PER_SEC; /* 2024-03-31 00:00:00 UTC */
	service_add(c, job(c, "30 2 * * *", LABELS("shoal.cron.timezone", "Europe/Berlin")));
	cores_pass(c, 90 * MINUTE);
	assert_int_equal(status(c)->last_execution, 1711846800 * NS_PER_SEC);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_time_starts_one_iteration),
		TEST(a_global_job_waits_too),
		TEST(missed_runs_follow_the_policy),
		TEST(missed_for_too_long),
		TEST(a_change_of_leaders_is_no_miss),
		TEST(overlap_is_forbidden_by_default),
		TEST(overlap_may_be_allowed),
		TEST(overlap_may_replace),
		TEST(history_by_label),
		TEST(zones_count),
	};

	return RUN_TESTS(tests);
}
