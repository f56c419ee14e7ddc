/*
 * The labels of autoscaling: what they mean, and by which name they are refused; figures as text.
 */
#include "model/autoscale.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "unit/test.h"

#define A "shoal.autoscale"
#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct strmap map(const char *const *labels)
{
	struct strmap m = {0};

	for (; *labels; labels += 2)
		strmap_set(&m, labels[0], labels[1]);
	return m;
}

static void refused(bool replicated, const char *const *labels, const char *say)
{
	struct strmap m = map(labels);
	struct err e = ERR_INIT;

	if (autoscale_check(&m, replicated, &e) != -EINVAL || !strstr(e.msg, say))
		fail_msg("%s: %s", say, e.msg);
	strmap_done(&m);
}

/* As the only target, beside a bound. */
static void refused_with(const char *name, const char *value, const char *say)
{
	refused(true, LABELS(A ".max", "5", A ".memory", "64m", name, value), say);
}

static void what_is_refused(void **state)
{
	char number[32];

	refused(false, LABELS(A ".max", "5", A ".cpu", "50"), "only replicated services");
	refused(true, LABELS(A ".min", "2"), "there is no label " A ".max");
	refused(true, LABELS(A, "2"), "label " A " is unknown");
	refused(true, LABELS(A ".max", "5", A ".cpus", "50"), A ".cpus is unknown");
	refused(true, LABELS(A ".max", "5"), "there is no target");
	refused_with(A ".max", "0", "not a number from 1 to");
	refused_with(A ".max", "", "not a number from 1 to");
	refused_with(A ".max", "5x", "not a number from 1 to");
	refused_with(A ".max", "99999999999999999999999", "not a number from 1 to");
	snprintf(number, sizeof number, "%u", LIMIT_REPLICAS + 1);
	refused_with(A ".max", number, "not a number from 1 to");
	refused_with(A ".min", "0", "not a number from 1 to");
	refused_with(A ".min", "6", ".min: 6 is more than " A ".max, 5");
	refused_with(A ".cpu", "0", "not a number above 0");
	refused_with(A ".cpu", "-1", "not a number above 0");
	refused_with(A ".cpu", "1.", "not a number above 0");
	refused_with(A ".cpu", ".5", "not a number above 0");
	refused_with(A ".cpu", "1.2345", "not a number above 0");
	refused_with(A ".cpu", "70%", "not a number above 0");
	refused_with(A ".cpu", "1000001", "more than a task can use");
	refused_with(A ".memory", "0", "not a size like 256m");
	refused_with(A ".memory", "lots", "not a size like 256m");
	refused_with(A ".window", "61m", "not a duration from 0s to 1h");
	refused_with(A ".window", "-1s", "not a duration from 0s to 1h");
	refused_with(A ".up-window", "5", "not a duration from 0s to 1h");
	refused_with(A ".tolerance", "101", "not a number from 0 to 100");
	refused_with(A ".metric", "jobs", ".metric needs the label " A ".metric.port");
	refused_with(A ".metric", "no-name", "neither a metric's name nor");
	refused_with(A ".metric.port", "80", "there is no label " A ".metric");
	refused_with(A ".metric.path", "/", "there is no label " A ".metric");
	refused_with(A ".metric.target", "8", "there is no label " A ".metric");
	refused(true, LABELS(A ".max", "5", A ".metric", "jobs", A ".metric.port", "80"),
		".metric needs the label " A ".metric.target");
	refused(true,
		LABELS(A ".max", "5", A ".metric", "jobs", A ".metric.port", "65536",
		       A ".metric.target", "5"),
		"not a number from 1 to 65535");
	refused(true,
		LABELS(A ".max", "5", A ".metric", "jobs", A ".metric.port", "80",
		       A ".metric.target", "5", A ".metric.path", "/a\r\nHost: b"),
		"is not a path");
	snprintf(number, sizeof number, "%lld", LIMIT_METRIC_VALUE / 1000 + 1);
	refused(true,
		LABELS(A ".max", "5", A ".metric", "jobs", A ".metric.port", "80",
		       A ".metric.target", number),
		"not a number above 0");
}

static void what_it_means(void **state)
{
	struct strmap m =
		map(LABELS(A ".min", "2", A ".max", "100000", A ".cpu", "70.5", A ".memory", "256m",
			   A ".metric", "jobs{queue=\"a\"}", A ".metric.port", "9100",
			   A ".metric.target", "0.125", A ".window", "0s", A ".up-window", "1h",
			   A ".tolerance", "0", "shoal.autoscaler", "is another's"));
	struct strmap plain = map(LABELS(A ".max", "3", A ".cpu", "70"));
	struct strmap none = {0};
	struct autoscale a;
	struct err e = ERR_INIT;

	assert_ok(autoscale_check(&m, true, &e), &e);
	assert_ok(autoscale_read(&m, &a, &e), &e);
	assert_true(a.min == 2 && a.max == LIMIT_REPLICAS && a.tolerance == 0);
	assert_int_equal(a.target[AUTOSCALE_CPU], 705000000);
	assert_int_equal(a.target[AUTOSCALE_MEMORY], 256 << 20);
	assert_int_equal(a.target[AUTOSCALE_METRIC], 125);
	assert_string_equal(a.path, "/metrics");
	assert_int_equal(a.port, 9100);
	assert_true(a.window_ns == 0 && a.up_window_ns == 3600 * NS_PER_SEC);
	assert_int_equal(autoscale_read(&none, &a, NULL), -EINVAL); /* nobody wants to hear why */
	assert_ok(autoscale_read(&plain, &a, &e), &e);
	assert_true(a.min == 1 && a.max == 3 && a.tolerance == 10 && a.up_window_ns == 0);
	assert_int_equal(a.window_ns, 300 * NS_PER_SEC);
	assert_true(autoscale_differs(&m, &plain) && !autoscale_differs(&m, &m));
	assert_true(autoscale_is_set(&plain) && !autoscale_is_set(&none));
	assert_ok(autoscale_check(&none, false, &e), &e);
	strmap_done(&m);
	strmap_done(&plain);
}

static void bounds(void **state)
{
	struct autoscale a = {.min = 2, .max = 5};

	assert_int_equal(autoscale_clamp(&a, 1), 2);
	assert_int_equal(autoscale_clamp(&a, 4), 4);
	assert_int_equal(autoscale_clamp(&a, 6), 5);
	assert_int_equal(autoscale_clamp(&a, 0), 0);
}

static void text_is(enum autoscale_kind kind, int64_t value, const char *want)
{
	auto_buf text = BUF_INIT(64);

	autoscale_value_text(kind, value, &text);
	assert_string_equal(buf_text(&text), want);
}

static void figures_as_text(void **state)
{
	text_is(AUTOSCALE_CPU, 705000000, "70.5%");
	text_is(AUTOSCALE_CPU, 1999999999, "200%");
	text_is(AUTOSCALE_CPU, 0, "0%");
	text_is(AUTOSCALE_MEMORY, 256 << 20, "256MiB");
	text_is(AUTOSCALE_MEMORY, 512 << 10, "0.5MiB");
	text_is(AUTOSCALE_MEMORY, LIMIT_METRIC_VALUE, "953674316.406MiB");
	text_is(AUTOSCALE_METRIC, 12050, "12.05");
	text_is(AUTOSCALE_METRIC, 1, "0.001");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_refused),
		TEST(what_it_means),
		TEST(bounds),
		TEST(figures_as_text),
	};

	return RUN_TESTS(tests);
}
