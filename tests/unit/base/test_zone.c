/*
 * Time zones against libc's own reading of the same database, at times over two centuries; bytes
 * that are no zone.
 */
#include "base/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "unit/test.h"

static const struct zone *zone(const char *name)
{
	const struct zone *z = NULL;
	struct err e = ERR_INIT;

	if (zone_find(name, &z, &e) == -ENOENT)
		skip(); /* a host without tzdata */
	assert_non_null(z);
	return z;
}

static long libc_offset(time_t at)
{
	struct tm tm;

	assert_non_null(localtime_r(&at, &tm));
	return tm.tm_gmtoff;
}

static void offsets_are_libcs(void **state)
{
	static const char *const names[] = {"Europe/Berlin",       "America/New_York",
					    "Australia/Lord_Howe", "Asia/Kolkata",
					    "America/St_Johns",    "Europe/Dublin",
					    "Africa/Casablanca",   "Pacific/Apia",
					    "Asia/Gaza",           "UTC"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct zone *z = zone(names[i]);

		setenv("TZ", names[i], 1);
		tzset();
		for (int64_t at = -1500000000; at < 5000000000; at += 86400 * 5 + 3607) {
			struct zone_span s;

			zone_look(z, at, &s);
			assert_true(s.since <= at && at < s.until);
			if (s.offset != libc_offset(at))
				fail_msg("%s at %lld: %d, libc %ld", names[i], (long long)at,
					 s.offset, libc_offset(at));
			if (s.until != ZONE_FOREVER)
				assert_int_equal(s.offset, libc_offset(s.until - 1));
			if (s.since != INT64_MIN && s.since > -2000000000) {
				assert_int_equal(s.offset, libc_offset(s.since));
				assert_int_equal(s.before, libc_offset(s.since - 1));
			}
		}
	}
}

static void names_that_are_none(void **state)
{
	static const char *const bad[] = {"../passwd", "/etc/passwd", "Europe/Ber lin", "a\nb"};
	const struct zone *z;
	char name[LIMIT_ZONE_NAME + 1];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(zone_find(bad[i], &z, &e), -EINVAL);
	memset(name, 'a', LIMIT_ZONE_NAME);
	name[LIMIT_ZONE_NAME] = '\0';
	assert_int_equal(zone_find(name, &z, &e), -EINVAL);
	name[LIMIT_ZONE_NAME - 1] = '\0';
	assert_int_equal(zone_find(name, &z, &e), -ENOENT);
	assert_int_equal(zone_find("Europe/Atlantis", &z, &e), -ENOENT);
	assert_non_null(strstr(err_text(&e), "unknown time zone Europe/Atlantis"));
}

/* Each prefix of a file, and each file with one byte changed, is a zone or is refused. */
static void damaged_files(void **state)
{
	FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
	static uint8_t bytes[LIMIT_ZONE_BYTES];
	struct zone_span s;
	struct zone *z;
	size_t n;

	if (!f)
		skip();
	n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(zone_parse(bytes, cut, &z), -EBADMSG);
	for (size_t i = 0; i < n; i++) {
		uint8_t was = bytes[i];

		bytes[i] ^= 0xff;
		if (zone_parse(bytes, n, &z) == 0) {
			zone_look(z, 1700000000, &s);
			zone_look(z, 7700000000, &s);
			zone_free(z);
		}
		bytes[i] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(offsets_are_libcs), TEST(names_that_are_none),
					   TEST(damaged_files)};

	return RUN_TESTS(tests);
}
