/*
 * Cron expressions: what is one, when they are due, and what becomes of them where clocks change.
 */
#include "model/cron.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "unit/test.h"

static int64_t utc(const char *text)
{
	struct tm tm = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm);
}

static const struct zone *zone(const char *name)
{
	const struct zone *z = NULL;
	struct err e = ERR_INIT;

	if (zone_find(name, &z, &e) == -ENOENT)
		skip();
	assert_non_null(z);
	return z;
}

/* Each of `times` (UTC) is due after the one before. */
static void expect(const char *text, const char *zone_name, const char *const *times)
{
	const struct zone *z = zone(zone_name);
	struct err e = ERR_INIT;
	struct cron c;

	assert_ok(cron_parse(text, &c, &e), &e);
	for (size_t i = 1; times[i]; i++) {
		int64_t due = cron_next(&c, z, utc(times[i - 1]));

		if (due != utc(times[i]))
			fail_msg("%s in %s after %s: %lld, not %s (%lld)", text, zone_name,
				 times[i - 1], (long long)due, times[i], (long long)utc(times[i]));
	}
}
#define EXPECT(text, zone_name, ...) \
	expect(text, zone_name, (const char *const[]){__VA_ARGS__, NULL})

static void in_utc(void **state)
{
	EXPECT("*/15 * * * *", "UTC", "2024-02-28 23:44:59", "2024-02-28 23:45:00",
	       "2024-02-29 00:00:00", "2024-02-29 00:15:00");
	EXPECT("30 4 1,15 * 5", "UTC", "2024-03-01 04:29:59", "2024-03-01 04:30:00",
	       "2024-03-08 04:30:00", "2024-03-15 04:30:00", "2024-03-22 04:30:00",
	       "2024-03-29 04:30:00", "2024-04-01 04:30:00");
	EXPECT("0 12 */2 * mon", "UTC", "2024-06-01 00:00:00", "2024-06-03 12:00:00",
	       "2024-06-17 12:00:00");
	EXPECT("0 0 29 feb *", "UTC", "2096-03-01 00:00:00", "2104-02-29 00:00:00");
	EXPECT("5-7,59 23 31 dec *", "UTC", "2024-12-31 23:05:00", "2024-12-31 23:06:00",
	       "2024-12-31 23:07:00", "2024-12-31 23:59:00", "2025-12-31 23:05:00");
	EXPECT("0 0 * * 7", "UTC", "2024-06-01 00:00:00", "2024-06-02 00:00:00");
	EXPECT("0 0 * * FRI-sat", "UTC", "2024-06-05 00:00:00", "2024-06-07 00:00:00",
	       "2024-06-08 00:00:00", "2024-06-14 00:00:00");
	EXPECT("@hourly", "UTC", "2024-06-05 00:00:00", "2024-06-05 01:00:00");
	EXPECT("@Weekly", "UTC", "2024-06-05 00:00:00", "2024-06-09 00:00:00");
	EXPECT("50/4 * * * *", "UTC", "2024-06-05 00:00:00", "2024-06-05 00:50:00",
	       "2024-06-05 00:54:00", "2024-06-05 00:58:00", "2024-06-05 01:50:00");
}

/* 02:00 to 03:00 is not there on March 31st 2024. */
static void in_the_gap(void **state)
{
	EXPECT("30 2 * * *", "Europe/Berlin", "2024-03-30 01:00:00", "2024-03-30 01:30:00",
	       "2024-03-31 01:00:00", "2024-04-01 00:30:00");
	EXPECT("0 3 * * *", "Europe/Berlin", "2024-03-30 12:00:00", "2024-03-31 01:00:00",
	       "2024-04-01 01:00:00");
	EXPECT("*/30 * * * *", "Europe/Berlin", "2024-03-31 00:29:00", "2024-03-31 00:30:00",
	       "2024-03-31 01:00:00", "2024-03-31 01:30:00");
	EXPECT("15 * * * *", "Europe/Berlin", "2024-03-31 00:14:00", "2024-03-31 00:15:00",
	       "2024-03-31 01:15:00");
	EXPECT("0,30 2 * * *", "Europe/Berlin", "2024-03-30 12:00:00", "2024-03-31 01:00:00",
	       "2024-04-01 00:00:00");
	/* Half an hour, and one that begins at midnight. */
	EXPECT("15 2 * * *", "Australia/Lord_Howe", "2024-10-05 12:00:00", "2024-10-05 15:30:00",
	       "2024-10-06 15:15:00");
	EXPECT("0 0 * * *", "America/Santiago", "2024-09-07 12:00:00", "2024-09-08 04:00:00",
	       "2024-09-09 03:00:00");
}

/* 02:00 to 03:00 comes twice on October 27th 2024. */
static void in_the_overlap(void **state)
{
	EXPECT("30 2 * * *", "Europe/Berlin", "2024-10-26 12:00:00", "2024-10-27 00:30:00",
	       "2024-10-28 01:30:00");
	EXPECT("0 3 * * *", "Europe/Berlin", "2024-10-26 12:00:00", "2024-10-27 02:00:00");
	EXPECT("*/30 * * * *", "Europe/Berlin", "2024-10-26 23:59:00", "2024-10-27 00:00:00",
	       "2024-10-27 00:30:00", "2024-10-27 01:00:00", "2024-10-27 01:30:00",
	       "2024-10-27 02:00:00");
}

/* A day that Samoa has left out. */
static void a_day_that_was_not(void **state)
{
	EXPECT("0 9 30 12 *", "Pacific/Apia", "2011-12-01 00:00:00", "2011-12-30 10:00:00",
	       "2012-12-29 19:00:00");
}

static void what_is_none(void **state)
{
	static const struct {
		const char *text, *say;
	} bad[] = {
		{"", "0 fields"},
		{"* * * *", "4 fields"},
		{"* * * * * *", "more than five"},
		{"60 * * * *", "no minute"},
		{"* 24 * * *", "no hour"},
		{"* * 0 * *", "no day"},
		{"* * * 13 *", "no month"},
		{"* * * * 8", "no weekday"},
		{"5-1 * * * *", "no minute"},
		{"*/0 * * * *", "no minute"},
		{"*/ * * * *", "no minute"},
		{"1,,2 * * * *", "no minute"},
		{"1, * * * *", "no minute"},
		{"-1 * * * *", "no minute"},
		{"1x * * * *", "no minute"},
		{"* * * janu *", "no month"},
		{"* * ? * *", "no day"},
		{"99999999999999999999 * * * *", "no minute"},
		{"0 0 31 2,4,6 *", "no such day"},
		{"@reboot", "@daily"},
		{"@every 5m", "@daily"},
	};
	char text[LIMIT_CRON_TEXT + 2];
	struct err e = ERR_INIT;
	struct cron c;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (cron_parse(bad[i].text, &c, &e) != -EINVAL || !strstr(e.msg, bad[i].say))
			fail_msg("%s: %s", bad[i].text, e.msg);
	snprintf(text, sizeof text, "%-*s", LIMIT_CRON_TEXT, "0 0 * * *");
	assert_ok(cron_parse(text, &c, &e), &e);
	snprintf(text, sizeof text, "%-*s", LIMIT_CRON_TEXT + 1, "0 0 * * *");
	assert_int_equal(cron_parse(text, &c, &e), -EINVAL);
	assert_ok(cron_parse("0 0 31 2 mon", &c, &e), &e); /* or a Monday */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_utc),         TEST(in_the_gap),
		TEST(in_the_overlap), TEST(a_day_that_was_not),
		TEST(what_is_none),
	};

	return RUN_TESTS(tests);
}
