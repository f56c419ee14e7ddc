/*
 * base/clock.h: times as the Engine API reads and writes them.
 */
#include "unit/test.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

static void formats_as_go_does(void **state)
{
	char text[TIME_TEXT_MAX];

	time_format(0, text);
	assert_string_equal(text, "0001-01-01T00:00:00Z");
	time_format(1700000000LL * NS_PER_SEC, text);
	assert_string_equal(text, "2023-11-14T22:13:20Z");
	time_format(1700000000LL * NS_PER_SEC + 120000000, text);
	assert_string_equal(text, "2023-11-14T22:13:20.12Z");
	time_format_fixed(1700000000LL * NS_PER_SEC + 120000000, text);
	assert_string_equal(text, "2023-11-14T22:13:20.120000000Z");
	time_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
}

/* libc counts days too: around each turn of a month, leap years and centuries among them. */
static void dates_are_those_of_libc(void **state)
{
	char text[TIME_TEXT_MAX], want[64];

	for (int64_t day = -98600; day < 106700; day++) {
		time_t t = (time_t)(day * 86400 + (day % 3 ? 86399 : 3661));
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
		time_format((int64_t)t * NS_PER_SEC, text);
		if (t != 0)
			assert_string_equal(text, want);
	}
}

static void reads_back_what_it_wrote(void **state)
{
	static const int64_t times[] = {0, 1, -1, 1700000000123456789LL, 999999999};
	char text[TIME_TEXT_MAX];
	int64_t t;

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		time_format(times[i], text);
		assert_int_equal(time_parse(text, &t), 0);
		assert_int_equal(t, times[i]);
	}
	assert_int_equal(time_parse("2023-11-15T00:13:20.5+02:00", &t), 0);
	assert_int_equal(t, 1700000000LL * NS_PER_SEC + 500000000);
}

static void refuses_what_is_no_time(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "2023-11-14",
					  "2023-11-14T22:13:20",
					  "2023-11-14T22:13:20.Z",
					  "2023-11-14T22:13:20Zx",
					  "2023-11-14T22:13:20+2:00",
					  "9999-11-14T22:13:20Z"};
	int64_t t;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(time_parse(bad[i], &t), -EINVAL);
}

static void query_times(void **state)
{
	int64_t t, now = 1700000000LL * NS_PER_SEC;

	assert_int_equal(time_parse_query("1700000000.000000005", now, &t), 0);
	assert_int_equal(t, now + 5);
	assert_int_equal(time_parse_query("0", now, &t), 0);
	assert_int_equal(t, 0);
	assert_int_equal(time_parse_query("1m30s", now, &t), 0);
	assert_int_equal(t, now - 90 * NS_PER_SEC);
	assert_int_equal(time_parse_query("2023-11-14T22:13:20", now, &t), 0);
	assert_int_equal(t, now);
	assert_int_equal(time_parse_query("2023-11-14", now, &t), 0);
	assert_int_equal(time_parse_query("99999999999999999999", now, &t), -EINVAL);
	assert_int_equal(time_parse_query("yesterday", now, &t), -EINVAL);
}

static void durations(void **state)
{
	int64_t d;

	assert_int_equal(duration_parse("1h2m3.5s", &d), 0);
	assert_int_equal(d, 3723500 * NS_PER_MS);
	assert_int_equal(duration_parse("-300ms", &d), 0);
	assert_int_equal(d, -300 * NS_PER_MS);
	assert_int_equal(duration_parse("10", &d), -EINVAL);
	assert_int_equal(duration_parse("", &d), -EINVAL);
	assert_int_equal(duration_parse("1..5s", &d), -EINVAL);
	assert_int_equal(duration_parse("9999999999h", &d), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(formats_as_go_does),
		TEST(dates_are_those_of_libc),
		TEST(reads_back_what_it_wrote),
		TEST(refuses_what_is_no_time),
		TEST(query_times),
		TEST(durations),
	};

	return RUN_TESTS(tests);
}
