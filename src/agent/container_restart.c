/*
 * Restart policies: when a container is started again, and after what delay. Docker's figures:
 * 100 ms, doubled up to a minute, from the beginning again once it has run for ten seconds.
 */
#include <string.h>

#include "agent/engine_impl.h"
#include "base/clock.h"

#define DELAY_MIN_MS 100
#define DELAY_MAX_MS 60000
#define RAN_WELL_NS (10 * NS_PER_SEC)

static bool is_policy(const struct container *c, const char *name)
{
	return c->host.restart.name && strcmp(c->host.restart.name, name) == 0;
}

static bool on_failure(const struct container *c, int exit_code)
{
	int64_t max = c->host.restart.max_retries;

	return is_policy(c, "on-failure") && exit_code != 0 && (max == 0 || c->restart_count < max);
}

bool restart_wanted(const struct container *c, int exit_code)
{
	if (c->stopped_by_user)
		return false;
	return is_policy(c, "always") || is_policy(c, "unless-stopped") || on_failure(c, exit_code);
}

bool restart_wanted_at_boot(const struct container *c)
{
	if (!c->started_ns)
		return false;
	if (is_policy(c, "always"))
		return true;
	return !c->stopped_by_user &&
	       (is_policy(c, "unless-stopped") || on_failure(c, c->exit_code));
}

static void on_time(uv_timer_t *t)
{
	struct container_live *l = t->data;

	l->restarting = false;
	l->c->restart_count++;
	container_queue_start(l);
}

void restart_schedule(struct container_live *l, int64_t ran_ns)
{
	if (l->restart_delay_ms == 0 || ran_ns >= RAN_WELL_NS)
		l->restart_delay_ms = DELAY_MIN_MS;
	else
		l->restart_delay_ms = MIN_OF(l->restart_delay_ms * 2, (int64_t)DELAY_MAX_MS);
	l->restarting = true;
	live_timer_start(l, on_time, (uint64_t)l->restart_delay_ms);
}

bool restart_cancel(struct container_live *l)
{
	if (!l->restarting)
		return false;
	l->restarting = false;
	live_timer_stop(l);
	return true;
}
