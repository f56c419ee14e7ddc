/*
 * When a job runs, as labels of its service say: shoal.cron and those below it. Read anew whenever
 * it is asked for; knows nothing of who starts jobs.
 *
 *   shoal.cron           five fields, or @hourly and the like; see cron.h
 *   shoal.cron.timezone  IANA name; UTC
 *   shoal.cron.overlap   when the run before is not complete: forbid (this one is skipped), allow
 *                        (both run), replace (the old one is removed); forbid
 *   shoal.cron.missed    when no manager was there: skip, run-once, or run-once=DURATION (not for
 *                        runs that were due longer ago); skip
 *   shoal.cron.history   iterations before the current one that are kept
 */
#pragma once

#include "model/cron.h"
#include "model/service.h"

#define SCHEDULE_LABEL "shoal.cron"
/* A run that comes later than this is a missed one, in ns: no change of leaders takes as long. */
#define SCHEDULE_LATE_NS (60 * 1000000000LL)

enum schedule_overlap { OVERLAP_FORBID, OVERLAP_ALLOW, OVERLAP_REPLACE };

struct schedule {
	struct cron cron;
	const struct zone *zone;
	enum schedule_overlap overlap;
	bool run_missed;
	int64_t missed_within; /* ns; 0: however long ago */
};

bool schedule_is_set(const struct service_spec *spec);
/* Whether another time would be meant. */
bool schedule_differs(const struct service_spec *a, const struct service_spec *b);
/* Of a spec for which schedule_is_set(). -EINVAL or -ENOENT with the label's name. */
int schedule_read(const struct service_spec *spec, struct schedule *ret, struct err *e);
/* Whether the labels make sense: none of a schedule without one, none on what is no job. */
int schedule_check(const struct service_spec *spec, struct err *e);

/* Whether tasks of earlier iterations run on; false without a schedule. */
bool schedule_lets_overlap(const struct service_spec *spec);
/* How many iterations are kept; `other` where the labels do not say it. */
uint64_t schedule_history(const struct service_spec *spec, uint64_t other);
