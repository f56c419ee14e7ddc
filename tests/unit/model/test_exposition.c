/*
 * Prometheus' text format: what is added up, what is no counter, what is refused, and that the
 * pieces in which it arrives change nothing.
 */
#include "model/exposition.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "unit/test.h"

static struct err last;
static bool counter;

/* In pieces of `piece` bytes. The sum in thousandths, or the error. */
static int64_t sum_in(const char *selector, const char *text, size_t piece)
{
	struct metric_selector s = {0};
	struct exposition x;
	struct err e = ERR_INIT;
	size_t n = strlen(text);
	int64_t ret = 0;
	int rc = 0;

	last = ERR_INIT;
	assert_ok(metric_selector_read(selector, &s, &e), &e);
	exposition_init(&x, &s);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = exposition_feed(&x, text + at, MIN_OF(piece, n - at), &last);
	if (rc == 0)
		rc = exposition_end(&x, &ret, &last);
	counter = x.counter;
	exposition_done(&x);
	metric_selector_done(&s);
	return rc < 0 ? rc : ret;
}

static int64_t sum(const char *selector, const char *text)
{
	int64_t whole = sum_in(selector, text, SIZE_MAX / 2);

	assert_int_equal(sum_in(selector, text, 1), whole);
	assert_int_equal(sum_in(selector, text, 7), whole);
	return whole;
}

#define PAGE                                                       \
	"# HELP jobs What waits.\n"                                \
	"# TYPE jobs gauge\n"                                      \
	"jobs{queue=\"a\",kind=\"x\"} 3\n"                         \
	"jobs{queue=\"b\", kind=\"x\" ,} 4.5 1395066363000\n"      \
	"jobs_more 100\r\n"                                        \
	"# TYPE hits counter\n"                                    \
	"hits{path=\"/a\\\\b\\\"c\\n\"} 1e3\n"                     \
	"hits 1\n"                                                 \
	"\n"                                                       \
	"# TYPE seen counter\n"                                    \
	"seen_total 7 # {trace_id=\"1\"} 1.0\n"                    \
	"# TYPE took histogram\n"                                  \
	"took_bucket{le=\"+Inf\"} 8\n"                             \
	"took_sum 2.25\n"                                          \
	"  spaced\t 2\n"                                           \
	"bad NaN\nbig 1e300\nless -1\nplus +Inf\nodd 1x\nopen{a 1" \
	"\nlast 9"

static void what_is_added_up(void **state)
{
	assert_int_equal(sum("jobs", PAGE), 7500);
	assert_false(counter);
	assert_int_equal(sum("jobs{queue=\"b\"}", PAGE), 4500);
	assert_int_equal(sum("jobs{queue=\"b\",kind=\"x\"}", PAGE), 4500);
	assert_int_equal(sum("jobs{absent=\"\"}", PAGE), 7500);
	assert_int_equal(sum("jobs_more", PAGE), 100000);
	assert_int_equal(sum("hits", PAGE), 1001000);
	assert_true(counter);
	assert_int_equal(sum("hits{path=\"/a\\\\b\\\"c\\n\"}", PAGE), 1000000);
	assert_int_equal(sum("seen_total", PAGE), 7000);
	assert_true(counter);
	assert_int_equal(sum("took_sum", PAGE), 2250);
	assert_true(counter);
	assert_int_equal(sum("spaced", PAGE), 2000);
	assert_int_equal(sum("last", PAGE), 9000);
}

static void what_is_no_number_to_scale_by(void **state)
{
	assert_int_equal(sum("none", PAGE), -ENOENT);
	assert_non_null(strstr(last.msg, "there is no sample of none"));
	assert_int_equal(sum("jobs{queue=\"c\"}", PAGE), -ENOENT);
	assert_non_null(strstr(last.msg, "with these labels"));
	assert_int_equal(sum("bad", PAGE), -ERANGE);
	assert_int_equal(sum("big", PAGE), -ERANGE);
	assert_int_equal(sum("less", PAGE), -ERANGE);
	assert_int_equal(sum("plus", PAGE), -ERANGE);
	assert_int_equal(sum("odd", PAGE), -EINVAL);
	assert_int_equal(sum("open", PAGE), -EINVAL);
	assert_int_equal(sum("x", ""), -ENOENT);
}

/* `n` times the same bytes, then an end. */
static char *many(const char *part, size_t n, const char *end)
{
	size_t len = strlen(part);
	char *ret = xmalloc(len * n + strlen(end) + 1), *p = ret;

	for (size_t i = 0; i < n; i++, p += len)
		memcpy(p, part, len);
	memcpy(p, end, strlen(end) + 1);
	return ret;
}

static void what_is_too_much(void **state)
{
	auto_free char *lines = many("\n", LIMIT_METRIC_LINES - 1, "jobs 1");
	auto_free char *more = many("\n", LIMIT_METRIC_LINES, "jobs 1");
	auto_free char *line = many("x", LIMIT_METRIC_LINE - 8, "\njobs 1\n");
	auto_free char *longer = many("x", LIMIT_METRIC_LINE + 1, "\njobs 1\n");
	auto_free char *part = many("#", 1023, "\n");
	auto_free char *bytes = many(part, LIMIT_METRIC_BYTES / 1024, "");
	auto_free char *over = many(part, LIMIT_METRIC_BYTES / 1024, "jobs 1\n");

	assert_int_equal(sum_in("jobs", lines, 65536), 1000);
	assert_int_equal(sum_in("jobs", more, 65536), -EMSGSIZE);
	assert_non_null(strstr(last.msg, "lines"));
	assert_int_equal(sum_in("jobs", line, 65536), 1000);
	assert_int_equal(sum_in("jobs", longer, 65536), -EMSGSIZE);
	assert_int_equal(sum_in("jobs", bytes, 65536), -ENOENT);
	assert_int_equal(sum_in("jobs", over, 65536), -EMSGSIZE);
	assert_non_null(strstr(last.msg, "bytes"));
}

static void too_many_labels(void **state)
{
	auto_buf page = BUF_INIT(LIMIT_METRIC_LINE);

	buf_adds(&page, "jobs{");
	for (int i = 0; i < LIMIT_METRIC_LABELS; i++)
		buf_addf(&page, "l%d=\"1\",", i);
	buf_adds(&page, "} 1\n");
	assert_int_equal(sum("jobs", buf_text(&page)), 1000);
	buf_reset(&page);
	buf_adds(&page, "jobs{");
	for (int i = 0; i <= LIMIT_METRIC_LABELS; i++)
		buf_addf(&page, "l%d=\"1\",", i);
	buf_adds(&page, "} 1\n");
	assert_int_equal(sum("jobs", buf_text(&page)), -EINVAL);
}

static void zero_bytes_are_refused(void **state)
{
	static const char page[] = "a 1\0\njobs 1\n";
	struct metric_selector s = {0};
	struct exposition x;
	struct err e = ERR_INIT;

	assert_ok(metric_selector_read("jobs", &s, &e), &e);
	exposition_init(&x, &s);
	assert_int_equal(exposition_feed(&x, page, sizeof page - 1, &e), -EINVAL);
	exposition_done(&x);
	metric_selector_done(&s);
}

static void what_is_no_selector(void **state)
{
	static const char *const bad[] = {"",         "1a",          "a b",          "a{",
					  "a{b}",     "a{b=c}",      "a{b=\"c}",     "a{b=\"c\"",
					  "a{=\"\"}", "a{b=\"c\"}x", "a{b=\"\\q\"}", "a-b"};
	auto_free char *longest = many("a", LIMIT_METRIC_TEXT, "");
	auto_free char *longer = many("a", LIMIT_METRIC_TEXT, "a");
	struct metric_selector s;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e = ERR_INIT;
		if (metric_selector_read(bad[i], &s, &e) != -EINVAL || !*e.msg)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_int_equal(metric_selector_read(longer, &s, &e), -EINVAL);
	assert_ok(metric_selector_read(longest, &s, &e), &e);
	metric_selector_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_added_up),       TEST(what_is_no_number_to_scale_by),
		TEST(what_is_too_much),       TEST(too_many_labels),
		TEST(zero_bytes_are_refused), TEST(what_is_no_selector),
	};

	return RUN_TESTS(tests);
}
