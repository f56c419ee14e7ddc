/*
 * The labels of a schedule: what they mean, and by which name they are refused.
 */
#include "model/schedule.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "unit/test.h"

static struct service_spec *spec(bool job, const char *const *labels)
{
	struct service_spec *s = xcalloc(1, sizeof *s);

	if (job)
		s->mode.global_job = xcalloc(1, sizeof(struct empty));
	else
		s->mode.global = xcalloc(1, sizeof(struct empty));
	for (; *labels; labels += 2)
		strmap_set(&s->labels, labels[0], labels[1]);
	return s;
}
#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refused(bool job, const char *const *labels, const char *say)
{
	struct service_spec *s = spec(job, labels);
	struct err e = ERR_INIT;

	if (schedule_check(s, &e) == 0 || !strstr(e.msg, say))
		fail_msg("%s: %s", say, e.msg);
	table_free(&service_spec_table, s);
}

static void what_is_refused(void **state)
{
	char history[16];

	snprintf(history, sizeof history, "%d", LIMIT_CRON_HISTORY + 1);
	refused(false, LABELS("shoal.cron", "@daily"), "shoal.cron: only jobs");
	refused(true, LABELS("shoal.cron.overlap", "allow"), "there is no label shoal.cron");
	refused(true, LABELS("shoal.cron", "@dayly"), "label shoal.cron: invalid schedule");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.zone", "UTC"),
		"shoal.cron.zone is unknown");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.timezone", "Mars/Olympus"),
		"label shoal.cron.timezone: unknown time zone Mars/Olympus");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.overlap", "queue"),
		"forbid, allow or replace");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.missed", "run-once=1s"),
		"skip, run-once or run-once=DURATION");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.missed", "often"), "run-once");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.history", "-1"), "not a number");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.history", ""), "not a number");
	refused(true, LABELS("shoal.cron", "@daily", "shoal.cron.history", history),
		"not a number up to");
}

static void what_it_means(void **state)
{
	struct service_spec *s =
		spec(true, LABELS("shoal.cron", "5 4 * * *", "shoal.cron.overlap", "allow",
				  "shoal.cron.missed", "run-once=90m", "shoal.cron.history", "1000",
				  "shoal.cronos", "is another's"));
	struct service_spec *plain = spec(true, LABELS("shoal.cron", "5 4 * * *"));
	struct schedule read;
	struct err e = ERR_INIT;

	assert_ok(schedule_check(s, &e), &e);
	assert_ok(schedule_read(s, &read, &e), &e);
	assert_int_equal(read.missed_within, 90 * 60 * 1000000000LL);
	assert_true(read.run_missed && schedule_lets_overlap(s));
	assert_int_equal(schedule_history(s, 5), LIMIT_CRON_HISTORY);
	assert_false(schedule_differs(s, plain));
	assert_ok(schedule_read(plain, &read, &e), &e);
	assert_true(!read.run_missed && read.overlap == OVERLAP_FORBID);
	assert_int_equal(schedule_history(plain, 5), 5);
	strmap_set(&plain->labels, "shoal.cron", "6 4 * * *");
	assert_true(schedule_differs(s, plain));
	table_free(&service_spec_table, s);
	table_free(&service_spec_table, plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(what_is_refused), TEST(what_it_means)};

	return RUN_TESTS(tests);
}
