/*
 * Starts scheduled jobs: at each time that the schedule means, the next iteration begins, or is
 * skipped by the schedule's policies. Up to when that was decided, and how the last time, stands in
 * the service (JobStatus.Schedule), so that no time is looked at twice and a new leader goes on
 * where the old one stopped. Time comes with the step; a zone is read from the host's database
 * once, when the service is first seen.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "manager/core_impl.h"
#include "model/schedule.h"

struct core_cron {
	struct core core;
	struct idset dirty; /* services */
	struct wakes wakes; /* when a service is due */
};

/* Whether every slot, or node, that has been begun is done with, and a replicated job has begun
 * all. */
static bool is_busy(const struct store *s, const struct service *svc)
{
	uint64_t total = job_completions(&svc->spec), begun = 0;
	auto_free bool *seen = xcalloc(total + 1, sizeof *seen);
	const struct task *t;
	struct store_walk w;

	if (!svc->job->last_execution)
		return false;
	store_walk_service_tasks(&w, s, svc->o.id);
	while ((t = store_walk_next(&w))) {
		if (t->desired == TASK_REMOVE || task_iteration(t) != service_iteration(svc))
			continue;
		if (task_is_wanted(t) && t->status.state != TASK_COMPLETE)
			return true;
		if (t->slot < total && !seen[t->slot]) {
			seen[t->slot] = true;
			begun++;
		}
	}
	return begun < total;
}

/* Whether the schedule means a time in (since, now], both in ns. */
static bool is_meant(const struct schedule *s, int64_t since_ns, int64_t now_ns)
{
	int64_t next = cron_next(&s->cron, s->zone, since_ns / NS_PER_SEC);

	return next != CRON_NEVER && next <= now_ns / NS_PER_SEC;
}

static void iteration_start(struct job_status *job, int64_t now_ns, const char *why)
{
	if (job->last_execution)
		job->iteration.index++;
	job->last_execution = now_ns;
	free(job->schedule->decision);
	job->schedule->decision =
		xasprintf("iteration %" PRIu64 " was started%s", job->iteration.index, why);
}

/* A time was meant between the last look and now. */
static void decide(struct core_step *step, const struct service *svc, const struct schedule *s)
{
	struct service *new = object_clone(&svc->o);
	struct job_schedule *state = new->job->schedule;
	int64_t since = state->since, now = step->now_ns;
	bool in_time = is_meant(s, MAX_OF(since, now - SCHEDULE_LATE_NS), now);
	int64_t oldest = s->missed_within ? MAX_OF(since, now - s->missed_within) : since;

	state->since = now;
	if (!in_time && !(s->run_missed && is_meant(s, oldest, now))) {
		str_set(&state->decision,
			"skipped: its time had passed while no manager was there");
	} else if (s->overlap == OVERLAP_FORBID && is_busy(step->store, svc)) {
		free(state->decision);
		state->decision = xasprintf("skipped: iteration %" PRIu64 " is not complete",
					    new->job->iteration.index);
	} else {
		iteration_start(new->job, now,
				in_time ? "" : ": its time had passed while no manager was there");
	}
	changes_update(step->out, &svc->o, &new->o, now);
}

static void explain(struct core_step *step, const struct service *svc, const char *why)
{
	struct service *new;

	if (svc->job->schedule->decision && strcmp(svc->job->schedule->decision, why) == 0)
		return;
	new = object_clone(&svc->o);
	str_set(&new->job->schedule->decision, why);
	changes_update(step->out, &svc->o, &new->o, step->now_ns);
}

static void service_step(struct core_cron *c, struct core_step *step, const char *id)
{
	const struct service *svc = store_service(step->store, id);
	struct err e = ERR_INIT;
	struct schedule s;
	int64_t next;

	wakes_clear(&c->wakes, id);
	if (!svc || svc->pending_delete || !svc->job || !svc->job->schedule ||
	    !schedule_is_set(&svc->spec))
		return;
	if (schedule_read(&svc->spec, &s, &e) < 0) { /* another manager knew the zone */
		explain(step, svc, err_text(&e));
		return;
	}
	next = cron_next(&s.cron, s.zone, svc->job->schedule->since / NS_PER_SEC);
	if (next == CRON_NEVER)
		return;
	if (next > step->now_ns / NS_PER_SEC)
		wakes_set(&c->wakes, id, next * NS_PER_SEC);
	else
		decide(step, svc, &s);
}

static int64_t cron_step(struct core *core, struct core_step *step)
{
	struct core_cron *c = container_of(core, struct core_cron, core);
	size_t start = step->out->n, looks = 0;

	core_wake(&c->wakes, &c->dirty, step->now_ns);
	IDSET_EACH(entry, &c->dirty)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++looks > CORE_LOOKS / 50)
			return step->now_ns;
		service_step(c, step, entry->id);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->dirty, entry->id);
	}
	return idset_count(&c->dirty) ? step->now_ns : wakes_next(&c->wakes);
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_cron *c = container_of(core, struct core_cron, core);
	const struct service *svc = new ? new : old;
	struct schedule read;

	if (!svc->job)
		return;
	if (new &&schedule_is_set(&svc->spec))
		(void)schedule_read(&svc->spec, &read, NULL); /* the zone, for the step */
	(void)idset_add(&c->dirty, svc->o.id);
}

static void cron_done(struct core *core)
{
	struct core_cron *c = container_of(core, struct core_cron, core);

	idset_done(&c->dirty);
	wakes_done(&c->wakes);
}

static const struct core_class cron_class = {
	.name = "cron",
	.size = sizeof(struct core_cron),
	.done = cron_done,
	.derives = {KIND_SERVICE},
	.service = service_event,
	.step = cron_step,
};

struct core *core_cron_new(void)
{
	return core_new(&cron_class);
}
