/*
 * Scheduled jobs of the services workload: what users ask of them, and that each time which is
 * meant starts a job once at most, and as its policies say. See sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "model/schedule.h"

/* How long a due time may wait for its decision while all is well. */
#define DECIDED_NS (5 * NS_PER_SEC)

/* The faults change what the cores are told, not what is checked. */
int64_t __real_cron_next(const struct cron *c, const struct zone *z, int64_t after);
int __real_schedule_read(const struct service_spec *spec, struct schedule *ret, struct err *e);

/* A service as it was at the last version. */
struct cron_record {
	char id[ID_CLUSTER_LEN + 1];
	uint64_t spec_version, iteration;
	int64_t last_execution, since;
	struct cron_record *next;
};

void schedule_choose(struct services *v, struct strmap *labels)
{
	static const char *const overlaps[] = {"forbid", "allow", "replace"};
	struct sim *s = v->sim;

	strmap_set(labels, "shoal.cron", sim_once_in(s, 3) ? "*/2 * * * *" : "* * * * *");
	strmap_set(labels, "shoal.cron.overlap", overlaps[sim_random(s, 3)]);
	strmap_set(labels, "shoal.cron.missed", sim_once_in(s, 2) ? "run-once" : "skip");
	if (sim_once_in(s, 3))
		strmap_set(labels, "shoal.cron.timezone", "Europe/Lisbon");
	if (sim_once_in(s, 3))
		strmap_set(labels, "shoal.cron.history", "1");
}

static struct cron_record *record_of(struct services *v, const struct service *svc)
{
	struct cron_record *r;

	for (r = v->crons; r; r = r->next)
		if (strcmp(r->id, svc->o.id) == 0)
			return r;
	r = xcalloc(1, sizeof *r);
	memcpy(r->id, svc->o.id, sizeof r->id);
	r->spec_version = UINT64_MAX;
	r->next = v->crons;
	return v->crons = r;
}

static bool is_meant(const struct schedule *s, int64_t since, int64_t until)
{
	int64_t next = __real_cron_next(&s->cron, s->zone, since / NS_PER_SEC);

	return next != CRON_NEVER && next <= until / NS_PER_SEC;
}

static const struct task *unfinished(const struct store *store, const struct service *svc,
				     uint64_t iteration)
{
	const struct task *t;
	struct store_walk w;

	for (store_walk_service_tasks(&w, store, svc->o.id); (t = store_walk_next(&w));)
		if (task_iteration(t) == iteration && task_is_wanted(t) &&
		    t->status.state != TASK_COMPLETE)
			return t;
	return NULL;
}

/* An iteration began that no change of the specification has begun. */
static void check_start(struct services *v, const struct store *store, const struct service *svc,
			const struct schedule *s, const struct cron_record *was)
{
	int64_t since = was->since, now = svc->job->schedule->since;
	uint64_t next = was->iteration + (was->last_execution ? 1 : 0);
	const struct task *t = was->last_execution ? unfinished(store, svc, was->iteration) : NULL;

	v->started++;
	if (!is_meant(s, since, now))
		sim_fail(v->sim,
			 "job %s was started, though its schedule means no time between "
			 "%" PRId64 " and %" PRId64,
			 svc->spec.name, since, now);
	else if (service_iteration(svc) != next)
		sim_fail(v->sim, "job %s goes from iteration %" PRIu64 " to %" PRIu64,
			 svc->spec.name, was->iteration, service_iteration(svc));
	else if (s->overlap == OVERLAP_FORBID && t)
		sim_fail(v->sim, "job %s was started, while task %s of its last iteration runs",
			 svc->spec.name, t->o.id);
	else if (!s->run_missed && !is_meant(s, MAX_OF(since, now - SCHEDULE_LATE_NS), now))
		sim_fail(v->sim, "job %s makes up for a time that was missed", svc->spec.name);
}

static void check_one(struct services *v, const struct store *store, const struct service *svc)
{
	struct cron_record *r = record_of(v, svc);
	const struct job_status *job = svc->job;
	struct schedule s;
	bool same = r->spec_version == svc->spec_version;

	if (r->spec_version != UINT64_MAX && job->schedule->since < r->since)
		sim_fail(v->sim, "the schedule of job %s goes back from %" PRId64 " to %" PRId64,
			 svc->spec.name, r->since, job->schedule->since);
	if (same && job->last_execution != r->last_execution &&
	    __real_schedule_read(&svc->spec, &s, NULL) == 0)
		check_start(v, store, svc, &s, r);
	else if (same && job->iteration.index != r->iteration)
		sim_fail(v->sim, "job %s is in another iteration, and was not started",
			 svc->spec.name);
	r->spec_version = svc->spec_version;
	r->iteration = job->iteration.index;
	r->last_execution = job->last_execution;
	r->since = job->schedule->since;
}

void check_crons(struct services *v, const struct store *s)
{
	const struct service *svc;
	struct store_walk w;

	for (store_walk_kind(&w, s, KIND_SERVICE); (svc = store_walk_next(&w));)
		if (!svc->pending_delete && svc->job && svc->job->schedule &&
		    schedule_is_set(&svc->spec))
			check_one(v, s, svc);
}

/* The administrator */

const struct service *schedule_left(const struct store *view)
{
	const struct service *svc;
	struct store_walk w;

	for (store_walk_kind(&w, view, KIND_SERVICE); (svc = store_walk_next(&w));)
		if (!svc->pending_delete && schedule_is_set(&svc->spec))
			return svc;
	return NULL;
}

bool schedules_are_decided(const struct store *view, int64_t now_ns)
{
	const struct service *svc;
	struct schedule s;
	struct store_walk w;

	for (store_walk_kind(&w, view, KIND_SERVICE); (svc = store_walk_next(&w));)
		if (!svc->pending_delete && svc->job && svc->job->schedule &&
		    __real_schedule_read(&svc->spec, &s, NULL) == 0 &&
		    is_meant(&s, svc->job->schedule->since, now_ns - DECIDED_NS))
			return false;
	return true;
}

void crons_free(struct services *v)
{
	while (v->crons) {
		struct cron_record *next = v->crons->next;

		free(v->crons);
		v->crons = next;
	}
}
