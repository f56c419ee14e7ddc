/*
 * model/health.h: what a health check may say, and what its results come to, at the bounds.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/health.h"

static struct healthcheck *check_read(const char *json)
{
	struct healthcheck *h = xcalloc(1, sizeof *h);
	struct err e = ERR_INIT;

	assert_ok(json_read(&healthcheck_table, json, strlen(json), h, &e), &e);
	return h;
}

static int verdict(const char *json)
{
	struct healthcheck *h = check_read(json);
	struct err e = ERR_INIT;
	int rc = healthcheck_check(h, &e);

	table_free(&healthcheck_table, h);
	return rc;
}

static void test_check(void **state)
{
	assert_int_equal(verdict("{}"), 0);
	assert_int_equal(verdict("{\"Test\":[]}"), 0);
	assert_int_equal(verdict("{\"Test\":[\"NONE\"]}"), 0);
	assert_int_equal(verdict("{\"Test\":[\"CMD\",\"true\"]}"), 0);
	assert_int_equal(verdict("{\"Test\":[\"CMD-SHELL\",\"true\"],\"Interval\":1000000}"), 0);
	assert_int_equal(verdict("{\"Test\":[\"CMD\"]}"), -EINVAL);
	assert_int_equal(verdict("{\"Test\":[\"CMD-SHELL\",\"\"]}"), -EINVAL);
	assert_int_equal(verdict("{\"Test\":[\"true\"]}"), -EINVAL);
	assert_int_equal(verdict("{\"Interval\":999999}"), -EINVAL);
	assert_int_equal(verdict("{\"Timeout\":-1}"), -EINVAL);
	assert_int_equal(verdict("{\"StartPeriod\":1}"), -EINVAL);
	assert_int_equal(verdict("{\"StartInterval\":1}"), -EINVAL);
	assert_int_equal(verdict("{\"Retries\":-1}"), -EINVAL);
}

static void test_command(void **state)
{
	struct healthcheck *h = check_read("{\"Test\":[\"CMD-SHELL\",\"a b\"]}");
	struct strs shell = {0}, words = {0};

	assert_true(healthcheck_is_on(h));
	healthcheck_command(h, &shell, &words);
	assert_int_equal(words.n, 3);
	assert_string_equal(words.v[0], "/bin/sh");
	assert_string_equal(words.v[2], "a b");
	strs_done(&words);
	strs_add(&shell, "/bin/bash");
	healthcheck_command(h, &shell, &words);
	assert_int_equal(words.n, 2);
	assert_string_equal(words.v[0], "/bin/bash");
	strs_done(&words);
	table_free(&healthcheck_table, h);
	h = check_read("{\"Test\":[\"CMD\",\"x\",\"y\"]}");
	healthcheck_command(h, &shell, &words);
	assert_int_equal(words.n, 2);
	assert_string_equal(words.v[1], "y");
	strs_done(&words);
	strs_done(&shell);
	table_free(&healthcheck_table, h);
	h = check_read("{\"Test\":[\"NONE\"]}");
	assert_false(healthcheck_is_on(h));
	assert_false(healthcheck_is_on(NULL));
	table_free(&healthcheck_table, h);
}

static void test_waits(void **state)
{
	struct healthcheck h = {.start_period = 10 * NS_PER_SEC};

	assert_int_equal(healthcheck_wait(&h, HEALTH_STARTING, 0), 5 * NS_PER_SEC);
	assert_int_equal(healthcheck_wait(&h, HEALTH_STARTING, 10 * NS_PER_SEC - 1),
			 5 * NS_PER_SEC);
	assert_int_equal(healthcheck_wait(&h, HEALTH_STARTING, 10 * NS_PER_SEC), 30 * NS_PER_SEC);
	assert_int_equal(healthcheck_wait(&h, HEALTH_HEALTHY, 0), 30 * NS_PER_SEC);
	assert_int_equal(healthcheck_timeout(&h), 30 * NS_PER_SEC);
	h = (struct healthcheck){.interval = 1 * NS_PER_MS, .timeout = 2 * NS_PER_MS};
	assert_int_equal(healthcheck_wait(&h, HEALTH_STARTING, 0), NS_PER_MS);
	assert_int_equal(healthcheck_timeout(&h), 2 * NS_PER_MS);
}

static bool add(struct health *h, const struct healthcheck *check, int64_t at, int code)
{
	struct health_result r = {.start_ns = at, .end_ns = at + 1, .exit_code = code};

	r.output = xasprintf("%d", code);
	return health_add(h, check, 0, &r);
}

static void test_results(void **state)
{
	struct healthcheck check = {.start_period = 100};
	struct health h = {0};

	/* In the start period failures do not count, a success ends "starting". */
	assert_false(add(&h, &check, 99, 1));
	assert_int_equal(h.streak, 0);
	assert_false(add(&h, &check, 100, 1));
	assert_int_equal(h.streak, 1);
	assert_true(add(&h, &check, 50, 0));
	assert_int_equal(h.status, HEALTH_HEALTHY);
	assert_int_equal(h.streak, 0);
	/* Once healthy, they count in it too; three are unhealthy, and each code but 0 is one. */
	assert_false(add(&h, &check, 60, 1));
	assert_false(add(&h, &check, 61, -1));
	assert_true(add(&h, &check, 62, 255));
	assert_int_equal(h.status, HEALTH_UNHEALTHY);
	assert_false(add(&h, &check, 63, 1));
	assert_int_equal(h.streak, 4);
	assert_true(add(&h, &check, 64, 0));
	/* The last LIMIT_HEALTH_LOG are kept. */
	assert_int_equal(h.log.n, LIMIT_HEALTH_LOG);
	assert_int_equal(h.log.v[0].start_ns, 60);
	assert_int_equal(h.log.v[LIMIT_HEALTH_LOG - 1].start_ns, 64);
	check.retries = 1;
	assert_true(add(&h, &check, 65, 1));
	table_done(&health_table, &h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
