/*
 * See clock.h.
 */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_A_MINUTE 60LL
#define SECONDS_AN_HOUR (60 * SECONDS_A_MINUTE)

static int64_t clock_read(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

int64_t clock_wall_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t clock_mono_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
	return (uint64_t)(clock_mono_ns() / NS_PER_MS);
}

static char *digits_write(char *at, uint64_t value, int n)
{
	for (int i = n - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + n;
}

/*
 * The Gregorian day that is `days` after 1970-01-01. Counted in years that begin with March, so
 * that the leap day is a year's last, and in eras of 400 years, which all have 146,097 days.
 */
static char *date_write(char *at, int64_t days)
{
	int64_t from_era = days + 719468; /* 0000-03-01 */
	int64_t era = (from_era >= 0 ? from_era : from_era - 146096) / 146097;
	uint64_t day = (uint64_t)(from_era - era * 146097);
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t of_year = day - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153; /* from March: five months have 153 days */

	at = digits_write(at, (uint64_t)(era * 400) + year + (month >= 10), 4);
	*at++ = '-';
	at = digits_write(at, month < 10 ? month + 3 : month - 9, 2);
	*at++ = '-';
	return digits_write(at, of_year - (153 * month + 2) / 5 + 1, 2);
}

/* By itself: libc reads the time zone's file first, though UTC needs none, and listings have many.
 */
static void time_write(int64_t wall_ns, bool fixed, char *ret)
{
	int64_t sec = wall_ns / NS_PER_SEC, frac = wall_ns % NS_PER_SEC, days;
	char *at = ret;

	if (wall_ns == 0) {
		(void)snprintf(ret, TIME_TEXT_MAX, "0001-01-01T00:00:00Z");
		return;
	}
	if (frac < 0) {
		frac += NS_PER_SEC;
		sec--;
	}
	days = sec >= 0 ? sec / 86400 : -((86399 - sec) / 86400);
	sec -= days * 86400;
	at = date_write(at, days);
	*at++ = 'T';
	at = digits_write(at, (uint64_t)sec / 3600, 2);
	*at++ = ':';
	at = digits_write(at, (uint64_t)sec / 60 % 60, 2);
	*at++ = ':';
	at = digits_write(at, (uint64_t)sec % 60, 2);
	if (fixed || frac) {
		*at++ = '.';
		at = digits_write(at, (uint64_t)frac, 9);
		while (!fixed && at[-1] == '0')
			at--;
	}
	*at++ = 'Z';
	*at = 0;
}

void time_format(int64_t wall_ns, char ret[TIME_TEXT_MAX])
{
	time_write(wall_ns, false, ret);
}

void time_format_fixed(int64_t wall_ns, char ret[TIME_TEXT_MAX])
{
	time_write(wall_ns, true, ret);
}

/* Reads ".digits" after a whole number as nanoseconds; no fraction is 0. */
static int fraction_parse(const char **s, int64_t *ret_ns)
{
	int64_t ns = 0, unit = NS_PER_SEC / 10;

	*ret_ns = 0;
	if (**s != '.')
		return 0;
	(*s)++;
	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); (*s)++, unit /= 10)
		ns += (**s - '0') * unit;
	*ret_ns = ns;
	return 0;
}

/* Reads "Z" or "+hh:mm" into seconds east; an empty rest is UTC when `optional`. */
static int zone_parse(const char *s, bool optional, int64_t *ret_sec)
{
	int h, m, n = 0;
	char sign;

	*ret_sec = 0;
	if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0 || (optional && !*s))
		return 0;
	if (strlen(s) != 6 || sscanf(s, "%c%2d:%2d%n", &sign, &h, &m, &n) != 3 || n != 6 ||
	    (sign != '+' && sign != '-') || h < 0 || h > 23 || m < 0 || m > 59)
		return -EINVAL;
	*ret_sec = (sign == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return 0;
}

static int time_read(const char *text, bool zone_optional, int64_t *ret_wall_ns)
{
	struct tm tm = {0};
	int64_t frac, zone;
	const char *s;
	time_t t;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	s = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!s && zone_optional)
		s = strptime(text, "%Y-%m-%dT%H:%M", &tm);
	if (!s && zone_optional)
		s = strptime(text, "%Y-%m-%d", &tm);
	if (!s || fraction_parse(&s, &frac) < 0 || zone_parse(s, zone_optional, &zone) < 0)
		return -EINVAL;
	if (tm.tm_year + 1900 == 1) {
		*ret_wall_ns = 0;
		return 0;
	}
	if (tm.tm_year + 1900 < 1700 || tm.tm_year + 1900 > 2261)
		return -EINVAL; /* does not fit 64-bit nanoseconds */
	t = timegm(&tm);
	*ret_wall_ns = ((int64_t)t - zone) * NS_PER_SEC + frac;
	return 0;
}

int time_parse(const char *text, int64_t *ret_wall_ns)
{
	return time_read(text, false, ret_wall_ns);
}

int time_parse_query(const char *text, int64_t now_ns, int64_t *ret_wall_ns)
{
	int64_t sec, frac, span;
	const char *s;
	char *end;

	errno = 0;
	sec = strtoll(text, &end, 10);
	if (end != text && errno == 0 && (*end == '\0' || *end == '.')) {
		s = end;
		if (fraction_parse(&s, &frac) < 0 || *s || sec > INT64_MAX / NS_PER_SEC - 1 ||
		    sec < -(INT64_MAX / NS_PER_SEC - 1))
			return -EINVAL;
		*ret_wall_ns = sec * NS_PER_SEC + (text[0] == '-' ? -frac : frac);
		return 0;
	}
	if (time_read(text, true, ret_wall_ns) == 0)
		return 0;
	if (duration_parse(text, &span) < 0)
		return -EINVAL;
	*ret_wall_ns = now_ns - span;
	return 0;
}

static int64_t unit_ns(const char *unit, size_t n)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {{"ns", 1},
		     {"us", 1000},
		     {"\xc2\xb5s", 1000},
		     {"\xce\xbcs", 1000},
		     {"ms", NS_PER_MS},
		     {"s", NS_PER_SEC},
		     {"m", 60 * NS_PER_SEC},
		     {"h", 3600 * NS_PER_SEC}};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strlen(units[i].name) == n && memcmp(units[i].name, unit, n) == 0)
			return units[i].ns;
	return 0;
}

int duration_parse(const char *text, int64_t *ret_ns)
{
	bool negative = *text == '-';
	const char *s = text + (*text == '-' || *text == '+');
	double total = 0;

	if (strcmp(s, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		size_t digits = strspn(s, "0123456789."), n;
		char *end;
		double value;
		int64_t unit;

		if (!digits)
			return -EINVAL;
		value = strtod(s, &end);
		if (end != s + digits)
			return -EINVAL;
		n = strcspn(end, "0123456789.+-");
		unit = unit_ns(end, n);
		if (!unit)
			return -EINVAL;
		total += value * (double)unit;
		s = end + n;
	}
	if (total > 9.2e18)
		return -ERANGE;
	*ret_ns = (int64_t)(negative ? -total : total);
	return 0;
}

/* `ns` in a unit, with the digits after the point that it needs. */
static void in_unit(int64_t ns, int64_t unit, const char *name, char *ret, size_t n)
{
	char digits[16];
	int64_t rest = ns % unit;
	int width = unit == NS_PER_SEC ? 9 : unit == NS_PER_MS ? 6 : unit == 1000 ? 3 : 0;
	size_t len;

	if (rest == 0) {
		(void)snprintf(ret, n, "%" PRId64 "%s", ns / unit, name);
		return;
	}
	(void)snprintf(digits, sizeof digits, "%0*" PRId64, width, rest);
	len = strlen(digits);
	while (len > 1 && digits[len - 1] == '0')
		digits[--len] = 0;
	(void)snprintf(ret, n, "%" PRId64 ".%s%s", ns / unit, digits, name);
}

void duration_format(int64_t ns, char ret[DURATION_TEXT_MAX])
{
	const char *sign = ns < 0 ? "-" : "";
	int64_t left = ns < 0 ? (ns == INT64_MIN ? INT64_MAX : -ns) : ns;
	int64_t hours = left / NS_PER_SEC / SECONDS_AN_HOUR;
	int64_t minutes = left / NS_PER_SEC / SECONDS_A_MINUTE % 60;
	char small[40];

	if (left == 0 || left >= NS_PER_SEC)
		in_unit(left % (SECONDS_A_MINUTE * NS_PER_SEC), NS_PER_SEC, "s", small,
			sizeof small);
	else if (left >= NS_PER_MS)
		in_unit(left, NS_PER_MS, "ms", small, sizeof small);
	else if (left >= 1000)
		in_unit(left, 1000, "\302\265s", small, sizeof small);
	else
		in_unit(left, 1, "ns", small, sizeof small);
	if (hours)
		(void)snprintf(ret, DURATION_TEXT_MAX, "%s%" PRId64 "h%" PRId64 "m%s", sign, hours,
			       minutes, small);
	else if (minutes)
		(void)snprintf(ret, DURATION_TEXT_MAX, "%s%" PRId64 "m%s", sign, minutes, small);
	else
		(void)snprintf(ret, DURATION_TEXT_MAX, "%s%s", sign, small);
}
