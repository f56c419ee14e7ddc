/*
 * See schedule.h.
 */
#include "model/schedule.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#define ZONE SCHEDULE_LABEL ".timezone"
#define OVERLAP SCHEDULE_LABEL ".overlap"
#define MISSED SCHEDULE_LABEL ".missed"
#define HISTORY SCHEDULE_LABEL ".history"
#define RUN_ONCE "run-once"

static const char *label(const struct service_spec *spec, const char *name)
{
	return strmap_get(&spec->labels, name);
}

bool schedule_is_set(const struct service_spec *spec)
{
	return service_is_job(spec) && label(spec, SCHEDULE_LABEL);
}

static bool label_differs(const struct service_spec *a, const struct service_spec *b,
			  const char *name)
{
	const char *x = label(a, name), *y = label(b, name);

	return strcmp(x ? x : "", y ? y : "") != 0;
}

bool schedule_differs(const struct service_spec *a, const struct service_spec *b)
{
	return schedule_is_set(a) != schedule_is_set(b) || label_differs(a, b, SCHEDULE_LABEL) ||
	       label_differs(a, b, ZONE);
}

static int overlap_read(const char *text, enum schedule_overlap *ret, struct err *e)
{
	static const char *const names[] = {"forbid", "allow", "replace"};

	for (size_t i = 0; text && i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum schedule_overlap)i;
			return 0;
		}
	}
	return text ? err_set(e, -EINVAL,
			      "label " OVERLAP ": \"%.40s\" is not forbid, allow or replace", text)
		    : 0;
}

static int missed_read(const char *text, struct schedule *ret, struct err *e)
{
	if (!text || strcmp(text, "skip") == 0)
		return 0;
	ret->run_missed = true;
	if (strcmp(text, RUN_ONCE) == 0)
		return 0;
	if (strncmp(text, RUN_ONCE "=", strlen(RUN_ONCE "=")) == 0 &&
	    duration_parse(text + strlen(RUN_ONCE "="), &ret->missed_within) == 0 &&
	    ret->missed_within >= SCHEDULE_LATE_NS)
		return 0;
	return err_set(e, -EINVAL,
		       "label " MISSED ": \"%.40s\" is not skip, run-once or run-once=DURATION (1m "
		       "or longer)",
		       text);
}

static bool history_read(const char *text, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > LIMIT_CRON_HISTORY)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	*ret = n;
	return n <= LIMIT_CRON_HISTORY;
}

int schedule_read(const struct service_spec *spec, struct schedule *ret, struct err *e)
{
	struct schedule s = {0};

	if (cron_parse(label(spec, SCHEDULE_LABEL), &s.cron, e) < 0)
		return err_wrap(e, "label " SCHEDULE_LABEL);
	if (zone_find(label(spec, ZONE), &s.zone, e) < 0)
		return err_wrap(e, "label " ZONE);
	if (overlap_read(label(spec, OVERLAP), &s.overlap, e) < 0 ||
	    missed_read(label(spec, MISSED), &s, e) < 0)
		return e->code;
	*ret = s;
	return 0;
}

static int name_check(const char *name, struct err *e)
{
	static const char *const known[] = {SCHEDULE_LABEL, ZONE, OVERLAP, MISSED, HISTORY};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(name, known[i]) == 0)
			return 0;
	return err_set(e, -EINVAL,
		       "label %.60s is unknown: there are " ZONE ", " OVERLAP ", " MISSED
		       " and " HISTORY,
		       name);
}

int schedule_check(const struct service_spec *spec, struct err *e)
{
	const char *history = label(spec, HISTORY);
	struct schedule s;
	uint64_t n;

	for (size_t i = 0; i < spec->labels.n; i++) {
		const char *name = spec->labels.v[i].key;

		if (strncmp(name, SCHEDULE_LABEL, strlen(SCHEDULE_LABEL)) != 0 ||
		    (name[strlen(SCHEDULE_LABEL)] && name[strlen(SCHEDULE_LABEL)] != '.'))
			continue;
		if (name_check(name, e) < 0)
			return e->code;
		if (!service_is_job(spec))
			return err_set(e, -EINVAL,
				       "label %s: only jobs have a schedule (mode replicated-job "
				       "or global-job)",
				       name);
		if (!schedule_is_set(spec))
			return err_set(e, -EINVAL, "label %s: there is no label " SCHEDULE_LABEL,
				       name);
	}
	if (history && !history_read(history, &n))
		return err_set(e, -EINVAL, "label " HISTORY ": \"%.40s\" is not a number up to %d",
			       history, LIMIT_CRON_HISTORY);
	return schedule_is_set(spec) ? schedule_read(spec, &s, e) : 0;
}

bool schedule_lets_overlap(const struct service_spec *spec)
{
	const char *overlap = label(spec, OVERLAP);

	return schedule_is_set(spec) && overlap && strcmp(overlap, "allow") == 0;
}

uint64_t schedule_history(const struct service_spec *spec, uint64_t other)
{
	const char *history = label(spec, HISTORY);
	uint64_t n;

	return schedule_is_set(spec) && history && history_read(history, &n) ? n : other;
}
