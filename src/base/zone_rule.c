/*
 * See zone_rule.h.
 */
#include "base/zone_rule.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define DAY 86400

/* What is left of the text. */
struct reader {
	const char *p, *end;
};

static bool eat(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool number(struct reader *r, int min, int max, int *ret)
{
	int n = 0;
	const char *start = r->p;

	while (r->p < r->end && isdigit((unsigned char)*r->p) && n <= max)
		n = n * 10 + (*r->p++ - '0');
	if (r->p == start || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

/* Three letters or more, or anything in angle brackets. */
static bool name(struct reader *r)
{
	const char *start = r->p;

	if (eat(r, '<')) {
		while (r->p < r->end && *r->p != '>')
			r->p++;
		return eat(r, '>');
	}
	while (r->p < r->end && isalpha((unsigned char)*r->p))
		r->p++;
	return r->p - start >= 3;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool span(struct reader *r, int32_t *ret)
{
	int h, m = 0, s = 0, sign = 1;

	if (eat(r, '-'))
		sign = -1;
	else
		(void)eat(r, '+');
	if (!number(r, 0, 167, &h) || (eat(r, ':') && !number(r, 0, 59, &m)) ||
	    (eat(r, ':') && !number(r, 0, 59, &s)))
		return false;
	*ret = sign * (h * 3600 + m * 60 + s);
	return true;
}

static bool change(struct reader *r, struct zone_change *ret)
{
	*ret = (struct zone_change){.kind = ZONE_DAY_ZERO, .time = 2 * 3600};
	if (!eat(r, ','))
		return false;
	if (eat(r, 'M')) {
		ret->kind = ZONE_DAY_MONTH;
		if (!number(r, 1, 12, &ret->month) || !eat(r, '.') ||
		    !number(r, 1, 5, &ret->week) || !eat(r, '.') || !number(r, 0, 6, &ret->day))
			return false;
	} else if (eat(r, 'J')) {
		ret->kind = ZONE_DAY_JULIAN;
		if (!number(r, 1, 365, &ret->day))
			return false;
	} else if (!number(r, 0, 365, &ret->day)) {
		return false;
	}
	return !eat(r, '/') || span(r, &ret->time);
}

int zone_rule_parse(const char *text, size_t n, struct zone_rule *ret)
{
	struct reader r = {text, text + n};
	struct zone_rule rule = {0};

	/* POSIX counts westwards. */
	if (!name(&r) || !span(&r, &rule.standard))
		return -EBADMSG;
	rule.standard = -rule.standard;
	rule.summer = rule.standard + 3600;
	if (r.p < r.end) {
		rule.changes = true;
		if (!name(&r))
			return -EBADMSG;
		if (r.p < r.end && *r.p != ',') {
			if (!span(&r, &rule.summer))
				return -EBADMSG;
			rule.summer = -rule.summer;
		}
		if (!change(&r, &rule.begin) || !change(&r, &rule.end) || r.p != r.end)
			return -EBADMSG;
	}
	*ret = rule;
	return 0;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t midnight(int year, int month, int day)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};

	return timegm(&tm);
}

static int64_t change_day(const struct zone_change *c, int year)
{
	int64_t first;
	int weekday, day;

	if (c->kind == ZONE_DAY_ZERO)
		return midnight(year, 1, 1) + (int64_t)c->day * DAY;
	if (c->kind == ZONE_DAY_JULIAN) /* February 29th is never counted */
		return midnight(year, 1, 1) +
		       (int64_t)(c->day - 1 + (c->day >= 60 && is_leap(year))) * DAY;
	first = midnight(year, c->month, 1);
	weekday = (int)(((first / DAY + 4) % 7 + 7) % 7);
	day = (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
	while (first + (int64_t)day * DAY >= midnight(year, c->month + 1, 1))
		day -= 7;
	return first + (int64_t)day * DAY;
}

/* Takes the change at `when` into the span around `at`. */
static void span_narrow(struct zone_span *s, int64_t at, int64_t when, int32_t from, int32_t to)
{
	if (when <= at && when > s->since) {
		s->since = when;
		s->before = from;
		s->offset = to;
	} else if (when > at && when < s->until) {
		s->until = when;
	}
}

void zone_rule_look(const struct zone_rule *r, int64_t at, struct zone_span *ret)
{
	time_t utc = at;
	struct tm tm;
	int year;

	*ret = (struct zone_span){INT64_MIN, ZONE_FOREVER, r->standard, r->standard};
	if (!r->changes || !gmtime_r(&utc, &tm))
		return;
	year = tm.tm_year + 1900;
	for (int y = year - 1; y <= year + 1; y++) {
		span_narrow(ret, at, change_day(&r->begin, y) + r->begin.time - r->standard,
			    r->standard, r->summer);
		span_narrow(ret, at, change_day(&r->end, y) + r->end.time - r->summer, r->summer,
			    r->standard);
	}
}
