/*
 * Cron expressions: "minute hour day month weekday" with lists, ranges, steps and names, or
 * "@daily" and the like. Pure arithmetic; the time zone is given. Who restricts both day and
 * weekday means either, as everywhere. Where clocks change: what is set for an hour of the day runs
 * once that day, at the first instant after the gap when its time is skipped, at the first of two
 * when its time comes twice; what runs in every hour follows the time that passes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/zone.h"

#define CRON_NEVER INT64_MAX

struct cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays; /* bits; days and months from 1 */
	bool every_hour;                        /* the hour begins with '*' */
	bool any_day, any_weekday;              /* likewise */
};

/* -EINVAL with a sentence, also for what can never be ("0 0 31 2 *"). */
int cron_parse(const char *text, struct cron *ret, struct err *e);
/* The first time after `after` (seconds since 1970) that is meant, or CRON_NEVER. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after);
