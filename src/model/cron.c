/*
 * See cron.h.
 */
#include "model/cron.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/limits.h"
#include "base/mem.h"

#define MINUTE 60
#define HOUR 3600
#define DAY 86400
/* Each day of the calendar comes again within so many seconds: a leap day after eight years. */
#define HORIZON (9LL * 366 * DAY)

struct part {
	const char *what;
	int min, max;
	const char *const *names; /* of min and so on; NULL: none */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
					  "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct part parts[5] = {
	{"minute", 0, 59, NULL},       {"hour", 0, 23, NULL},        {"day", 1, 31, NULL},
	{"month", 1, 12, month_names}, {"weekday", 0, 7, day_names},
};

static const struct {
	const char *name, *text;
} shorts[] = {
	{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"},
};

static bool value_read(const struct part *part, const char **p, int *ret)
{
	int n = 0;
	const char *start = *p;

	for (int i = 0; part->names && part->names[i]; i++) {
		if (strncasecmp(*p, part->names[i], 3) != 0 || isalnum((unsigned char)(*p)[3]))
			continue;
		*p += 3;
		*ret = part->min + i;
		return true;
	}
	while (isdigit((unsigned char)**p) && *p - start < 3)
		n = n * 10 + (*(*p)++ - '0');
	*ret = n;
	return *p > start;
}

/* One item of a list: "*", "5", "1-5", each with a step behind it. */
static bool item_read(const struct part *part, const char **p, uint64_t *bits)
{
	int from = part->min, to = part->max, step = 1;

	if (**p == '*') {
		(*p)++;
	} else {
		if (!value_read(part, p, &from))
			return false;
		to = from;
		if (**p == '-') {
			(*p)++;
			if (!value_read(part, p, &to))
				return false;
		} else if (**p == '/') {
			to = part->max;
		}
	}
	if (**p == '/') {
		const char *start = ++*p;

		for (step = 0; isdigit((unsigned char)**p) && *p - start < 3; (*p)++)
			step = step * 10 + (**p - '0');
	}
	if (step < 1 || from < part->min || to > part->max || from > to)
		return false;
	for (int i = from; i <= to; i += step)
		*bits |= 1ULL << i;
	return true;
}

static int part_read(const struct part *part, const char *text, uint64_t *ret, struct err *e)
{
	const char *p = text;

	*ret = 0;
	while (item_read(part, &p, ret)) {
		if (!*p)
			return 0;
		if (*p++ != ',')
			break;
	}
	return err_set(e, -EINVAL,
		       "\"%s\" is no %s: numbers from %d to %d%s, *, lists, ranges and "
		       "steps are",
		       text, part->what, part->min, part->max, part->names ? ", names" : "");
}

/* A day that no chosen month has, and no weekday to make up for it. */
static bool is_possible(const struct cron *c)
{
	static const int days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (!c->any_weekday)
		return true;
	for (int month = 1; month <= 12; month++)
		for (int day = 1; day <= days[month]; day++)
			if (c->months & 1u << month && c->days & 1u << day)
				return true;
	return false;
}

static int fields_read(char *text, struct cron *ret, struct err *e)
{
	uint64_t bits[ARRAY_LEN(parts)];
	bool star[ARRAY_LEN(parts)];
	char *save, *word = strtok_r(text, " \t", &save);
	size_t n = 0;

	for (; word; word = strtok_r(NULL, " \t", &save), n++) {
		if (n == ARRAY_LEN(parts))
			return err_set(e, -EINVAL, "there are more than five fields");
		star[n] = word[0] == '*';
		if (part_read(&parts[n], word, &bits[n], e) < 0)
			return e ? e->code : -EINVAL;
	}
	if (n < ARRAY_LEN(parts))
		return err_set(e, -EINVAL, "there are %zu fields, not five", n);
	if (bits[4] & 1u << 7) /* Sunday, too */
		bits[4] |= 1;
	*ret = (struct cron){
		bits[0],           (uint32_t)bits[1], (uint32_t)bits[2], (uint32_t)bits[3],
		(uint32_t)bits[4], star[1],           star[2],           star[4]};
	return is_possible(ret) ? 0 : err_set(e, -EINVAL, "there is no such day in any year");
}

int cron_parse(const char *text, struct cron *ret, struct err *e)
{
	auto_free char *copy = NULL;
	const char *meant = text;
	int rc;

	if (strlen(text) > LIMIT_CRON_TEXT)
		return err_set(e, -EINVAL, "the schedule is longer than %d characters",
			       LIMIT_CRON_TEXT);
	for (size_t i = 0; i < ARRAY_LEN(shorts); i++)
		if (strcasecmp(text, shorts[i].name) == 0)
			meant = shorts[i].text;
	if (*meant == '@')
		return err_set(e, -EINVAL,
			       "invalid schedule \"%s\": it may be @yearly, @monthly, @weekly, "
			       "@daily or @hourly",
			       text);
	copy = xstrdup(meant);
	rc = fields_read(copy, ret, e);
	return rc < 0 ? err_wrap(e, "invalid schedule \"%s\"", text) : 0;
}

/* Floor division: times before 1970 are local times of the first hours after it. */
static int64_t floor_to(int64_t t, int64_t unit)
{
	return t - ((t % unit) + unit) % unit;
}

static bool day_matches(const struct cron *c, int64_t local)
{
	time_t t = local;
	struct tm tm;
	bool day, weekday;

	if (!gmtime_r(&t, &tm) || !(c->months & 1u << (tm.tm_mon + 1)))
		return false;
	day = c->days & 1u << tm.tm_mday;
	weekday = c->weekdays & 1u << tm.tm_wday;
	return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* The first local time that matches in [from, to), both whole minutes, or `to`. */
static int64_t local_next(const struct cron *c, int64_t from, int64_t to)
{
	int64_t t = from;

	while (t < to) {
		if (!day_matches(c, t))
			t = floor_to(t, DAY) + DAY;
		else if (!(c->hours & 1u << ((t - floor_to(t, DAY)) / HOUR)))
			t = floor_to(t, HOUR) + HOUR;
		else if (!(c->minutes & 1ULL << ((t - floor_to(t, HOUR)) / MINUTE)))
			t += MINUTE;
		else
			return t;
	}
	return to;
}

/* The next one within the span from `at` on, or the span's end. */
static int64_t span_next(const struct cron *c, const struct zone_span *s, int64_t at, int64_t end)
{
	int64_t from = at + s->offset, to = end + s->offset, found;

	/* The clocks were set back: these times were there already. */
	if (!c->every_hour && s->since != INT64_MIN && s->before > s->offset &&
	    from < s->since + s->before)
		from = s->since + s->before;
	from = floor_to(from + MINUTE - 1, MINUTE);
	found = local_next(c, from, to);
	return found < to ? found - s->offset : end;
}

/* Whether the span began with clocks set forward over a time that is meant. */
static bool gap_has(const struct cron *c, const struct zone_span *s)
{
	int64_t from, to;

	if (c->every_hour || s->since == INT64_MIN || s->before >= s->offset)
		return false;
	from = floor_to(s->since + s->before + MINUTE - 1, MINUTE);
	to = s->since + s->offset;
	return local_next(c, from, to) < to;
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after)
{
	int64_t at = after + 1, last = after + HORIZON;

	while (at < last) {
		struct zone_span s;
		int64_t end, found;

		zone_look(z, at, &s);
		if (at == s.since && gap_has(c, &s))
			return at;
		end = s.until < last ? s.until : last;
		found = span_next(c, &s, at, end);
		if (found < end)
			return found;
		at = end;
	}
	return CRON_NEVER;
}
