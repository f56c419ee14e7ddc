/*
 * See service_depends.h.
 */
#include "manager/service_depends.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manager/idset.h"
#include "manager/service_spec.h"
#include "model/depends.h"
#include "model/task.h"

static bool rolls_back(const struct service *svc)
{
	return svc->update_status && svc->update_status->state >= UPDATE_ROLLBACK_STARTED;
}

bool service_holds(const struct service *svc, uint64_t template_version)
{
	return service_is_held(svc) && !(svc->gate && svc->gate->open == template_version);
}

bool service_is_held(const struct service *svc)
{
	return depends_is_set(&svc->spec) && !rolls_back(svc) &&
	       !(svc->gate && svc->gate->open == svc->template_version);
}

/* Counting the places (slots, or nodes) of what is waited for */

struct places {
	size_t wanted, started, running, complete;
	const struct task *lost; /* its place's last task failed, and none follows it */
};

/* Those that show what the service is to be now. A job's iteration may have an older template. */
static bool counts(const struct store *s, const struct service *svc, const struct task *t)
{
	if (t->desired == TASK_REMOVE || task_iteration(t) != service_iteration(svc))
		return false;
	return service_is_job(&svc->spec) || service_task_is_current(s, svc, t);
}

static bool has_started(const struct task *t)
{
	return t->status.state == TASK_RUNNING || t->status.state == TASK_COMPLETE ||
	       (t->status.state == TASK_STARTING && t->status.container &&
		t->status.container->pid > 0);
}

/* The tasks of one place; of a global service it counts as long as its node is to have one. */
static void place_count(const struct store *s, struct places *p, const struct task **tasks,
			size_t n)
{
	const struct task *last = tasks[n - 1];
	bool failed = last->status.state == TASK_FAILED || last->status.state == TASK_REJECTED;
	const struct node *node = last->global ? store_node(s, last->node) : NULL;
	bool started = false, running = false;

	for (size_t i = 0; i < n; i++) {
		started |= task_is_wanted(tasks[i]) && has_started(tasks[i]);
		running |= task_is_wanted(tasks[i]) && tasks[i]->status.state == TASK_RUNNING;
	}
	p->started += started || last->status.state == TASK_COMPLETE;
	p->running += running;
	p->complete += last->status.state == TASK_COMPLETE;
	if (failed && !task_is_wanted(last) && !p->lost)
		p->lost = last;
	if (last->global)
		p->wanted += task_is_wanted(last) || last->status.state == TASK_COMPLETE ||
			     (failed && node && node_keeps_tasks(node));
}

static void places_count(const struct store *s, const struct service *svc, struct places *p)
{
	auto_free const struct task **tasks =
		xcalloc(store_service_task_count(s, svc->o.id) + 1, sizeof *tasks);
	const struct task *t;
	struct store_walk w;
	size_t n = 0, end;

	store_walk_service_tasks(&w, s, svc->o.id);
	while ((t = store_walk_next(&w)))
		if (counts(s, svc, t))
			tasks[n++] = t;
	qsort(tasks, n, sizeof *tasks, task_by_place);
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && task_same_place(tasks[i], tasks[end]);)
			end++;
		place_count(s, p, &tasks[i], end - i);
	}
	if (!service_is_global(&svc->spec))
		p->wanted = service_is_job(&svc->spec) ? job_completions(&svc->spec)
						       : service_replicas(&svc->spec);
}

/* A global service has come to nothing before it has a task at all. */
static bool is_met(const struct service *svc, const struct places *p, enum depend_condition c)
{
	size_t have = c == DEPEND_STARTED   ? p->started
		      : c == DEPEND_HEALTHY ? p->running
					    : p->complete;

	return have >= p->wanted && (p->wanted || !service_is_global(&svc->spec));
}

/* Why it may never come. */
static void obstacle(const struct service *svc, const struct places *p, enum depend_condition c,
		     struct buf *why)
{
	const struct update_status *u = svc->update_status;
	struct restart_rules rules;

	restart_rules_of(&svc->spec.task, &rules);
	if (p->lost)
		(void)buf_addf(why, " (its task %s failed and is not started again: %.200s)",
			       p->lost->o.id,
			       p->lost->status.err ? p->lost->status.err
						   : task_state_name(p->lost->status.state));
	else if (u && (u->state == UPDATE_PAUSED || u->state == UPDATE_ROLLBACK_PAUSED))
		(void)buf_adds(why, " (its update is paused)");
	else if (c == DEPEND_COMPLETED && !service_is_job(&svc->spec) &&
		 rules.condition == RESTART_ANY)
		(void)buf_adds(why, " (it is started again whenever it ends: make it a job, or "
				    "give it the restart condition none or on-failure)");
	else if (c == DEPEND_HEALTHY && service_is_job(&svc->spec))
		(void)buf_adds(why, " (it is a job: wait for it to complete)");
}

static void depend_look(const struct store *s, const struct depend *d, struct buf *why)
{
	static const char *const goals[] = {[DEPEND_STARTED] = "to start",
					    [DEPEND_HEALTHY] = "to be healthy",
					    [DEPEND_COMPLETED] = "to complete"};
	const struct service *svc =
		(const struct service *)store_named(s, KIND_SERVICE, d->service);
	struct places p = {0};

	if (!svc && d->optional)
		return;
	if (svc)
		places_count(s, svc, &p);
	if (svc && is_met(svc, &p, d->condition))
		return;
	(void)buf_addf(why, "%sfor %s", why->len ? ", " : "", d->service);
	if (!svc) {
		(void)buf_adds(why, ", which is not there");
		return;
	}
	(void)buf_addf(why, " %s", goals[d->condition]);
	obstacle(svc, &p, d->condition, why);
}

/* Who waits for whom */

struct walk_step {
	char *name;
	size_t from; /* who waits for it */
};

struct walk {
	const struct store *view;
	const struct service_spec *self;
	struct walk_step *v;
	size_t n;
	struct idset seen;
};

static void walk_done(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i].name);
	free(w->v);
	idset_done(&w->seen);
}

/* "a -> b -> a": from the service itself to the step that waits for it. */
static int cycle(const struct walk *w, size_t at, struct err *e)
{
	auto_free char *text = xasprintf("%s -> %s", w->v[at].name, w->self->name);

	while (at != 0) {
		char *longer;

		at = w->v[at].from;
		longer = xasprintf("%s -> %s", w->v[at].name, text);
		free(text);
		text = longer;
	}
	return err_set(e, -EINVAL,
		       "label " DEPENDS_LABEL ": service %s would wait for itself: %.400s",
		       w->self->name, text);
}

/* Adds those that the step at `from` waits for. */
static int walk_add(struct walk *w, size_t from, struct depends *d, struct err *e)
{
	for (size_t i = 0; i < d->n; i++) {
		if (strcmp(d->v[i].service, w->self->name) == 0)
			return cycle(w, from, e);
		if (!idset_add(&w->seen, d->v[i].service))
			continue;
		if (w->n > LIMIT_DEPENDS_WALK)
			return err_set(e, -EINVAL,
				       "label " DEPENDS_LABEL
				       ": service %s waits for more than %u others by way of one "
				       "another",
				       w->self->name, LIMIT_DEPENDS_WALK);
		w->v[w->n++] = (struct walk_step){TAKE_PTR(d->v[i].service), from};
	}
	return 0;
}

/* What a stored service says is followed as far as it can be read. */
static int walk_on(struct walk *w, size_t at, struct err *e)
{
	const struct service *svc =
		(const struct service *)store_named(w->view, KIND_SERVICE, w->v[at].name);
	struct depends d = {0};
	int rc = 0;

	if (svc && depends_read(&svc->spec, &d, NULL) == 0)
		rc = walk_add(w, at, &d, e);
	depends_done(&d);
	return rc;
}

int service_depends_check(const struct store *view, const struct service_spec *spec, struct err *e)
{
	struct walk w = {.view = view, .self = spec};
	struct depends d = {0};
	int rc = depends_read(spec, &d, e);

	if (rc < 0 || d.n == 0)
		return rc;
	w.v = xcalloc(LIMIT_DEPENDS_WALK + 1, sizeof *w.v);
	w.v[w.n++] = (struct walk_step){xstrdup(spec->name), 0};
	rc = walk_add(&w, 0, &d, e);
	depends_done(&d);
	for (size_t i = 1; rc == 0 && i < w.n; i++)
		rc = walk_on(&w, i, e);
	walk_done(&w);
	return rc;
}

void service_depends_look(const struct store *s, const struct service *svc, struct buf *why)
{
	struct depends d = {0};
	struct err e = ERR_INIT;

	if (depends_read(&svc->spec, &d, &e) < 0) { /* a newer manager knew it */
		(void)buf_addf(why, "for what this manager cannot read: %s", err_text(&e));
		return;
	}
	for (size_t i = 0; i < d.n; i++)
		depend_look(s, &d.v[i], why);
	/* An update that was rolled back may have brought back what nobody would be let write. */
	if (why->len && service_depends_check(s, &svc->spec, &e) < 0)
		(void)buf_addf(why, " (%s)", err_text(&e));
	depends_done(&d);
}
