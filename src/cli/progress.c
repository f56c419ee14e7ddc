/*
 * The pure half of convergence. See progress.h; the loop is in progress_watch.c.
 */
#include "cli/progress.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

static void line_add(struct progress *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void line_add(struct progress *p, const char *fmt, ...)
{
	auto_buf b = BUF_INIT(1024);
	va_list args;

	va_start(args, fmt);
	(void)buf_vaddf(&b, fmt, args);
	va_end(args);
	strs_add(&p->lines, buf_text(&b));
}

/* Whether the task is one that should run: of a job, in the iteration that runs now. */
static bool is_wanted(const struct progress *p, const struct task_view *t)
{
	return t->desired <= TASK_COMPLETE &&
	       (t->iteration ? t->iteration->index : 0) == p->iteration;
}

/* By slot; among those without one by node. */
static int by_place(const void *pa, const void *pb)
{
	const struct task_view *a = *(const struct task_view *const *)pa,
			       *b = *(const struct task_view *const *)pb;

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return strcmp(a->node ? a->node : "", b->node ? b->node : "");
}

static bool same_place(const struct progress *p, const struct task_view *a,
		       const struct task_view *b)
{
	return p->global ? by_place(&a, &b) == 0 : a->slot == b->slot;
}

/* The task that stands for its place: the newest. */
static size_t places_of(const struct progress *p, const struct list_task_view *tasks,
			const struct task_view **ret)
{
	size_t n = 0, kept = 0;

	LIST_EACH (t, &tasks->list)
		if (is_wanted(p, t))
			ret[n++] = t;
	qsort(ret, n, sizeof *ret, by_place);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || !same_place(p, ret[i], ret[kept - 1]))
			ret[kept++] = ret[i];
		else if (ret[i]->created > ret[kept - 1]->created)
			ret[kept - 1] = ret[i];
	}
	return kept;
}

static void slot_line(struct progress *p, size_t i, const struct task_view *t)
{
	const char *why = t->status.err && *t->status.err ? t->status.err : NULL;

	if (why && t->status.state != TASK_RUNNING && t->status.state != TASK_COMPLETE)
		line_add(p, "%zu/%" PRIu64 ": %s", i + 1, p->wanted, why);
	else
		line_add(p, "%zu/%" PRIu64 ": %s", i + 1, p->wanted,
			 task_state_name(t->status.state));
}

/* What an update says of itself: whether it has ended otherwise than was asked for. */
static bool update_failed(struct progress *p, const struct update_status *u)
{
	static const char *const ends[] = {[UPDATE_PAUSED] = "update paused",
					   [UPDATE_ROLLBACK_PAUSED] = "rollback paused",
					   [UPDATE_ROLLBACK_COMPLETED] = "rolled back"};
	const char *end = u && u->state < ARRAY_LEN(ends) ? ends[u->state] : NULL;

	if (!end || (p->rollback && u->state == UPDATE_ROLLBACK_COMPLETED))
		return false;
	free(p->failure);
	p->failure =
		xasprintf("service %s: %s", end, u->message ? u->message : "no reason was given");
	return true;
}

static bool update_has_ended(const struct update_status *u)
{
	return u && (u->state == UPDATE_COMPLETED || u->state == UPDATE_ROLLBACK_COMPLETED);
}

/* What it says while it goes on, which is gone once it has ended. */
static void update_line(struct progress *p, const struct update_status *u)
{
	line_add(p, "%s: %s", u->state == UPDATE_UPDATING ? "update" : "rollback",
		 u->message ? u->message : "");
}

/* What counts for the task to be where it should: running on a node that is there, or completed. */
static bool is_done(const struct progress *p, const struct task_view *t, progress_node_fn active,
		    void *data)
{
	if (p->job)
		return t->status.state == TASK_COMPLETE;
	return t->status.state == TASK_RUNNING && active(t->node, data);
}

static bool tasks_take(struct progress *p, const struct list_task_view *tasks,
		       const struct update_status *update, progress_node_fn active, void *data)
{
	auto_free const struct task_view **places = xcalloc(tasks->list.n + 1, sizeof *places);
	size_t n = places_of(p, tasks, places);

	if (p->global)
		p->wanted = n;
	p->running = 0;
	for (size_t i = 0; i < n; i++) {
		p->running += is_done(p, places[i], active, data);
	}
	line_add(p,
		 p->job ? "job progress: %" PRIu64 " out of %" PRIu64 " complete"
			: "overall progress: %" PRIu64 " out of %" PRIu64 " tasks",
		 p->running, p->wanted);
	if (update_is_under_way(update))
		update_line(p, update);
	for (size_t i = 0; p->wanted <= PROGRESS_BARS && i < MIN_OF(n, p->wanted); i++)
		slot_line(p, i, places[i]);
	if (p->global && n == 0)
		return false; /* the managers have not got to it yet, or no node fits */
	return p->running == p->wanted && n == p->wanted;
}

static enum progress_step step_take(struct progress *p, const struct service_view *service,
				    const struct list_task_view *tasks, progress_node_fn active,
				    void *data, int64_t now_ns)
{
	const struct update_config *update = service->s.spec.update;
	int64_t monitor = update && update->monitor ? update->monitor : PROGRESS_MONITOR_NS;
	const struct update_status *u = service->s.update_status;
	bool was = p->converged_at != 0;
	int64_t left;

	strs_done(&p->lines);
	p->job = service_is_job(&service->s.spec);
	p->global = service_is_global(&service->s.spec);
	p->iteration = service_iteration(&service->s);
	p->wanted = p->job ? job_completions(&service->s.spec) : service_replicas(&service->s.spec);
	if (update_failed(p, u))
		return PROGRESS_FAILED;
	if (!tasks_take(p, tasks, u, active, data)) {
		p->converged_at = 0;
		if (was)
			line_add(p, "verify: Detected task failure");
		return PROGRESS_WAIT;
	}
	if (update_is_under_way(u)) /* the updater watches the tasks itself */
		return PROGRESS_WAIT;
	if (p->job) {
		line_add(p, "job complete");
		return PROGRESS_CONVERGED;
	}
	if (!was)
		p->converged_at = now_ns;
	if (update_has_ended(u) || now_ns - p->converged_at >= monitor) {
		line_add(p, "verify: Service %s converged", service->s.o.id);
		return PROGRESS_CONVERGED;
	}
	left = monitor - (now_ns - p->converged_at);
	line_add(p, "verify: Waiting %" PRId64 " seconds to verify that tasks are stable...",
		 (int64_t)((left + NS_PER_SEC - 1) / NS_PER_SEC));
	return PROGRESS_WAIT;
}

/* A job that runs moves, though it shows nothing of it; so does a service that is verified. */
static bool moves_by_itself(const struct progress *p, const struct list_task_view *tasks)
{
	if (p->converged_at)
		return true;
	LIST_EACH (t, &tasks->list)
		if (p->job && is_wanted(p, t) && t->status.state == TASK_RUNNING)
			return true;
	return false;
}

/* The first line that says of a task, or of the update, why it cannot go on. */
static const char *reason(const struct progress *p)
{
	for (size_t i = 1; i < p->lines.n; i++)
		if (strchr(p->lines.v[i], ':'))
			return p->lines.v[i];
	return p->lines.n ? p->lines.v[0] : "nothing is known of it";
}

bool patience_is_over(struct patience *p, const char *state, bool moves, int64_t more_ns,
		      int64_t now_ns)
{
	if (!p->state || strcmp(p->state, state) != 0 || moves) {
		str_set(&p->state, state);
		p->moved_at = now_ns;
	}
	return p->ns && now_ns - p->moved_at >= p->ns + more_ns;
}

/* Nothing has moved for so long: it is not waited for any longer, though it goes on. */
static bool patience_ends(struct progress *p, const struct service_view *service,
			  const struct list_task_view *tasks, int64_t now_ns)
{
	const struct update_config *update = service->s.spec.update;
	int64_t delay = update ? update->delay : 0;
	auto_buf now = BUF_INIT(1u << 20);
	char text[DURATION_TEXT_MAX];

	STRS_EACH (line, &p->lines)
		(void)buf_addf(&now, "%s\n", line);
	if (!patience_is_over(&p->patience, buf_text(&now), moves_by_itself(p, tasks), delay,
			      now_ns))
		return false;
	duration_format(p->patience.ns + delay, text);
	free(p->failure);
	p->failure = xasprintf("service %s has not converged, and nothing has changed for %s: %s\n"
			       "It is still wanted, and goes on in the background: use `shoal "
			       "service ps %s` to check progress.",
			       service->s.spec.name ? service->s.spec.name : service->s.o.id, text,
			       reason(p), service->s.o.id);
	return true;
}

enum progress_step progress_take(struct progress *p, const struct service_view *service,
				 const struct list_task_view *tasks, progress_node_fn active,
				 void *data, int64_t now_ns)
{
	enum progress_step step = step_take(p, service, tasks, active, data, now_ns);

	return step == PROGRESS_WAIT && patience_ends(p, service, tasks, now_ns) ? PROGRESS_FAILED
										 : step;
}

#define COUNTS_DOWN "verify: Waiting "

bool progress_line_new(struct strs *printed, const char *line)
{
	bool counts = strncmp(line, COUNTS_DOWN, strlen(COUNTS_DOWN)) == 0;
	const char *key = counts ? COUNTS_DOWN : line;

	if (printed->n >= LIMIT_PROGRESS_LINES || strs_has(printed, key))
		return false;
	strs_add(printed, key);
	return true;
}

void progress_done(struct progress *p)
{
	free(p->patience.state);
	strs_done(&p->lines);
	free(p->failure);
	*p = (struct progress){0};
}
