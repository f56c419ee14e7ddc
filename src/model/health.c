/*
 * Health checks as plain values: what one may say, its defaults, and what a result does to what is
 * known. Facts from moby's daemon/health.go. Pure. See health.h.
 */
#include "model/health.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#define INTERVAL_DEFAULT (30 * NS_PER_SEC)
#define TIMEOUT_DEFAULT (30 * NS_PER_SEC)
#define START_INTERVAL_DEFAULT (5 * NS_PER_SEC)
#define RETRIES_DEFAULT 3
#define DURATION_LEAST NS_PER_MS

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

int healthcheck_check(const struct healthcheck *h, struct err *e)
{
	const struct {
		int64_t value;
		const char *name;
	} durations[] = {{h->interval, "Interval"},
			 {h->timeout, "Timeout"},
			 {h->start_period, "StartPeriod"},
			 {h->start_interval, "StartInterval"}};
	const char *kind = h->test.n ? h->test.v[0] : "";

	for (size_t i = 0; i < ARRAY_LEN(durations); i++)
		if (durations[i].value && durations[i].value < DURATION_LEAST)
			return err_set(e, -EINVAL, "%s in Healthcheck cannot be less than 1ms",
				       durations[i].name);
	if (h->retries < 0)
		return err_set(e, -EINVAL, "Retries in Healthcheck cannot be negative");
	if (*kind && strcmp(kind, "NONE") != 0 && strcmp(kind, "CMD") != 0 &&
	    strcmp(kind, "CMD-SHELL") != 0)
		return err_set(e, -EINVAL,
			       "Test in Healthcheck begins with \"%.40s\": it must begin with CMD, "
			       "CMD-SHELL or NONE",
			       kind);
	if ((strcmp(kind, "CMD") == 0 || strcmp(kind, "CMD-SHELL") == 0) &&
	    (h->test.n < 2 || !*h->test.v[1]))
		return err_set(e, -EINVAL, "Test in Healthcheck has no command after \"%s\"", kind);
	return 0;
}

bool healthcheck_is_on(const struct healthcheck *h)
{
	return h && h->test.n >= 2 && strcmp(h->test.v[0], "NONE") != 0;
}

void healthcheck_command(const struct healthcheck *h, const struct strs *shell, struct strs *ret)
{
	if (strcmp(h->test.v[0], "CMD-SHELL") == 0) {
		STRS_EACH (word, shell)
			strs_add(ret, word);
		if (shell->n == 0) {
			strs_add(ret, "/bin/sh");
			strs_add(ret, "-c");
		}
	}
	for (size_t i = 1; i < h->test.n; i++)
		strs_add(ret, h->test.v[i]);
}

int64_t healthcheck_timeout(const struct healthcheck *h)
{
	return or_default(h->timeout, TIMEOUT_DEFAULT);
}

int64_t healthcheck_wait(const struct healthcheck *h, enum health_status status, int64_t ran_ns)
{
	return status == HEALTH_STARTING && ran_ns < h->start_period
		       ? or_default(h->start_interval, START_INTERVAL_DEFAULT)
		       : or_default(h->interval, INTERVAL_DEFAULT);
}

static void log_add(struct health *h, struct health_result *result)
{
	while (h->log.n >= LIMIT_HEALTH_LOG) {
		table_done(&health_result_table, &h->log.v[0]);
		memmove(h->log.v, h->log.v + 1, --h->log.n * sizeof *h->log.v);
	}
	*(struct health_result *)LIST_ADD(&h->log) = *result;
	*result = (struct health_result){0};
}

bool health_add(struct health *h, const struct healthcheck *check, int64_t started_ns,
		struct health_result *result)
{
	enum health_status old = h->status;
	bool in_start =
		h->status == HEALTH_STARTING && result->start_ns - started_ns < check->start_period;

	if (result->exit_code == 0) {
		h->streak = 0;
		h->status = HEALTH_HEALTHY;
	} else if (!in_start) {
		h->streak++;
		if (h->streak >= or_default(check->retries, RETRIES_DEFAULT))
			h->status = HEALTH_UNHEALTHY;
	}
	log_add(h, result);
	return h->status != old;
}
