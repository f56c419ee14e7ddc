/*
 * api/query.h: values and filters as docker's clients send them, and what is refused.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "api/query.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

static struct http_query parse(char *target)
{
	struct http_query q = {0};
	struct err e = ERR_INIT;
	char *path;

	assert_ok(http_target_parse(target, &path, &q, &e), &e);
	return q;
}

static void booleans(void **state)
{
	char t[] = "/?a=&b=0&c=no&d=False&e=none&f=1&g=true&h=x&i&j=%20false";
	struct http_query q = parse(t);
	const char *off[] = {"a", "b", "c", "d", "e", "i", "j"};
	const char *on[] = {"f", "g", "h"};

	for (size_t i = 0; i < ARRAY_LEN(off); i++)
		assert_false(query_bool(&q, off[i], true));
	for (size_t i = 0; i < ARRAY_LEN(on); i++)
		assert_true(query_bool(&q, on[i], false));
	assert_true(query_bool(&q, "missing", true));
	assert_false(query_bool(&q, "missing", false));
	http_query_done(&q);
}

static void numbers_and_times(void **state)
{
	char t[] = "/?a=10&b=-5&c=x&d=99999999999999999999&e=&f=+1&s=1.5&u=10m&w=yesterday";
	struct http_query q = parse(t);
	struct err e = ERR_INIT;
	int64_t n = 7;

	assert_int_equal(query_int(&q, "a", 0, 0, 10, &n, &e), 0);
	assert_int_equal(n, 10);
	assert_int_equal(query_int(&q, "a", 0, 0, 9, &n, &e), -EINVAL);
	assert_int_equal(query_int(&q, "b", 0, -5, 9, &n, &e), 0);
	assert_int_equal(n, -5);
	assert_int_equal(query_int(&q, "c", 0, 0, 9, &n, &e), -EINVAL);
	assert_string_equal(e.msg, "c must be a number, not \"x\"");
	assert_int_equal(query_int(&q, "d", 0, 0, INT64_MAX, &n, &e), -EINVAL);
	assert_int_equal(query_int(&q, "f", 0, 0, 9, &n, &e), -EINVAL);
	assert_int_equal(query_int(&q, "e", 3, 0, 9, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(query_time(&q, "s", 0, &n, &e), 0);
	assert_int_equal(n, 1500000000);
	assert_int_equal(query_time(&q, "u", 601 * NS_PER_SEC, &n, &e), 0);
	assert_int_equal(n, NS_PER_SEC);
	assert_int_equal(query_time(&q, "w", 0, &n, &e), -EINVAL);
	assert_int_equal(query_time(&q, "missing", 0, &n, &e), 0);
	assert_int_equal(n, NS_PER_SEC);
	http_query_done(&q);
}

static const char *const keys[] = {"name", "label", "id", "dangling", NULL};

static void both_forms_of_filters(void **state)
{
	const char *texts[] = {"{\"name\":{\"web\":true,\"db\":true,\"no\":false}}",
			       "{\"name\":[\"web\",\"db\"]}"};

	for (size_t i = 0; i < 2; i++) {
		struct filters f;
		struct err e = ERR_INIT;

		assert_ok(filters_parse(texts[i], keys, &f, &e), &e);
		assert_int_equal(f.count, 2);
		assert_true(filters_has(&f, "name"));
		assert_false(filters_has(&f, "id"));
		assert_true(filters_match(&f, "name", "web"));
		assert_false(filters_match(&f, "name", "no"));
		assert_false(filters_match(&f, "name", NULL));
		assert_true(filters_match(&f, "id", "anything"));
		assert_true(filters_match_prefix(&f, "name", "web-1"));
		assert_true(filters_match_name(&f, "name", "my-db-2"));
		assert_false(filters_match_name(&f, "name", "cache"));
		filters_done(&f);
	}
}

static void bad_filters(void **state)
{
	const char *bad[] = {"x",
			     "[]",
			     "{\"name\":1}",
			     "{\"name\":[1]}",
			     "{\"name\":{\"a\":1}}",
			     "{\"name\":[]} x",
			     "{\"name\":[\"a\\u0000b\"]}",
			     "\"name\""};
	auto_buf b = BUF_INIT(1 << 20);
	struct filters f;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(filters_parse(bad[i], keys, &f, &e), -EINVAL);
		assert_int_equal(f.count, 0);
	}
	assert_int_equal(filters_parse("{\"bogus\":[\"1\"]}", keys, &f, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid filter 'bogus'");
	assert_int_equal(filters_parse(NULL, keys, &f, &e), 0);
	assert_int_equal(filters_parse("", keys, &f, &e), 0);
	/* At the bound, and past it. */
	for (int n = LIMIT_FILTER_VALUES; n <= LIMIT_FILTER_VALUES + 1; n++) {
		buf_reset(&b);
		buf_adds(&b, "{\"name\":[\"0\"");
		for (int i = 1; i < n; i++)
			buf_addf(&b, ",\"%d\"", i);
		buf_adds(&b, "]}");
		assert_int_equal(filters_parse(b.p, keys, &f, &e),
				 n == LIMIT_FILTER_VALUES ? 0 : -EINVAL);
		filters_done(&f);
	}
}

static bool name_fits(const char *pattern, const char *name)
{
	struct filter_value v = {(char *)"name", (char *)pattern};
	struct filters f = {&v, 1};

	return filters_match_name(&f, "name", name);
}

static void names_are_expressions(void **state)
{
	char big[LIMIT_FILTER_PATTERN + 2];

	assert_true(name_fits("^web-[0-9]+$", "web-12"));
	assert_false(name_fits("^web$", "web-12"));
	assert_true(name_fits("b|c", "xc"));
	/* Broken or untamed ones are plain text. */
	assert_true(name_fits("a(", "a("));
	assert_false(name_fits("a(", "xa("));
	assert_false(name_fits("(a{1,255}){1,255}", "aaaa"));
	assert_false(name_fits("(a*)*\\1b", "aab"));
	memset(big, 'a', sizeof(big));
	big[LIMIT_FILTER_PATTERN] = 0;
	assert_true(name_fits("a*", "b"));
	big[0] = '^';
	big[LIMIT_FILTER_PATTERN - 1] = '*';
	{
		char value[LIMIT_FILTER_PATTERN + 1];

		memset(value, 'a', sizeof(value));
		value[LIMIT_FILTER_PATTERN] = 0;
		assert_true(name_fits(big, value));
		memset(big + LIMIT_FILTER_PATTERN - 1, 'a', 1);
		big[LIMIT_FILTER_PATTERN] = '*';
		big[LIMIT_FILTER_PATTERN + 1] = 0;
		assert_false(name_fits(big, value));
	}
}

static void labels_and_booleans(void **state)
{
	struct strmap labels = {0};
	struct filters f;
	struct err e = ERR_INIT;
	bool on = false;

	strmap_set(&labels, "tier", "web");
	strmap_set(&labels, "empty", "");
	assert_ok(filters_parse("{\"label\":[\"tier=web\",\"empty\"]}", keys, &f, &e), &e);
	assert_true(filters_match_labels(&f, "label", &labels));
	filters_done(&f);
	assert_ok(filters_parse("{\"label\":[\"tier=db\",\"empty\"]}", keys, &f, &e), &e);
	assert_false(filters_match_labels(&f, "label", &labels));
	filters_done(&f);
	assert_ok(filters_parse("{\"dangling\":[\"true\"]}", keys, &f, &e), &e);
	assert_ok(filters_bool(&f, "dangling", false, &on, &e), &e);
	assert_true(on);
	assert_ok(filters_bool(&f, "id", false, &on, &e), &e);
	assert_false(on);
	filters_done(&f);
	assert_ok(filters_parse("{\"dangling\":[\"maybe\"]}", keys, &f, &e), &e);
	assert_int_equal(filters_bool(&f, "dangling", false, &on, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid filter 'dangling=maybe'");
	filters_done(&f);
	assert_ok(filters_parse("{\"dangling\":[\"1\",\"0\"]}", keys, &f, &e), &e);
	assert_int_equal(filters_bool(&f, "dangling", false, &on, &e), -EINVAL);
	filters_done(&f);
	strmap_done(&labels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(booleans),    TEST(numbers_and_times),     TEST(both_forms_of_filters),
		TEST(bad_filters), TEST(names_are_expressions), TEST(labels_and_booleans),
	};

	return RUN_TESTS(tests);
}
