/*
 * Scales services by what their tasks use: looks at each every LIMIT_AUTOSCALE_MS, lets
 * manager/autoscale.h judge, and writes only what was decided, with the reason. What was wanted
 * within the windows is kept in memory alone: a new leader begins its windows with the replicas
 * that the service has, so that nothing is made smaller before a whole window has passed under it;
 * so it is when the number was changed by somebody else, or when nobody looked for a while.
 */
#include "manager/core_autoscale.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "manager/autoscale.h"
#include "manager/control.h"
#include "manager/core_impl.h"
#include "manager/measures.h"

#define PERIOD_NS (LIMIT_AUTOSCALE_MS * NS_PER_MS)
#define STALE_NS (LIMIT_AUTOSCALE_STALE * PERIOD_NS)

/* One service. */
struct scaler {
	struct autoscale_window down, up;
	int64_t looked_ns;
	struct autoscale_look look;
	struct autoscale_verdict verdict;
	uint64_t replicas; /* as they were left at the last look */
	bool held;         /* an update is under way */
	char *trouble;     /* of one task of which nothing is known */
	UT_hash_handle hh;
	char id[];
};

struct core_autoscale {
	struct core core;
	struct idset dirty; /* services */
	struct wakes wakes; /* when one is looked at again */
	struct scaler *scalers;
};

static struct scaler *scaler_find(const struct core_autoscale *c, const char *id)
{
	struct scaler *s;

	HASH_FIND(hh, c->scalers, id, strlen(id), s);
	return s;
}

static struct scaler *scaler_get(struct core_autoscale *c, const char *id)
{
	struct scaler *s = scaler_find(c, id);

	if (s)
		return s;
	s = xcalloc(1, sizeof *s + strlen(id) + 1);
	memcpy(s->id, id, strlen(id));
	s->up.smallest = true;
	HASH_ADD(hh, c->scalers, id, strlen(id), s);
	return s;
}

static void scaler_drop(struct core_autoscale *c, struct scaler *s)
{
	if (!s)
		return;
	HASH_DEL(c->scalers, s);
	autoscale_window_clear(&s->down);
	autoscale_window_clear(&s->up);
	free(s->trouble);
	free(s);
}

/* Looking */

static void task_count(struct scaler *s, const struct autoscale *a, const struct task *t,
		       const struct measure *m, int64_t now_ns)
{
	bool runs = t->status.state == TASK_RUNNING;
	bool young = !runs || now_ns - t->o.updated <= STALE_NS;

	for (int k = 0; k < AUTOSCALE_KINDS; k++) {
		struct autoscale_tally *tally = &s->look.tally[k];

		if (!a->target[k])
			continue;
		if (runs && m && m->has[k]) {
			autoscale_tally_add(tally, m->value[k]);
			continue;
		}
		if (young)
			tally->coming++;
		else
			tally->missing++;
		if (!s->trouble && m && *m->error)
			s->trouble = xasprintf("task %s: %s", t->o.id, m->error);
		else if (!s->trouble && !young)
			s->trouble = xasprintf("task %s: its node has not reported it", t->o.id);
	}
}

/* How many tasks were looked at. */
static size_t service_look(struct scaler *s, const struct core_step *step,
			   const struct service *svc, const struct autoscale *a)
{
	uint64_t wanted = 0;
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	s->look = (struct autoscale_look){.replicas = service_replicas(&svc->spec)};
	free(TAKE_PTR(s->trouble));
	store_walk_service_tasks(&w, step->store, svc->o.id);
	while ((t = store_walk_next(&w))) {
		n++;
		if (!task_is_wanted(t) || task_state_final(t->status.state))
			continue;
		wanted++;
		task_count(s, a, t,
			   step->measures ? measures_get(step->measures, t->o.id, step->now_ns)
					  : NULL,
			   step->now_ns);
	}
	for (int k = 0; k < AUTOSCALE_KINDS; k++) /* those that are still to be made */
		if (wanted < s->look.replicas)
			s->look.tally[k].coming += s->look.replicas - wanted;
	return n;
}

/* Deciding */

static void average_text(const struct scaler *s, enum autoscale_kind kind, struct buf *ret)
{
	const struct autoscale_tally *t = &s->look.tally[kind];

	if (t->tasks)
		autoscale_value_text(kind, t->sum / (int64_t)t->tasks, ret);
	else
		buf_adds(ret, "unknown");
}

static const char *target_name(const struct autoscale *a, enum autoscale_kind kind)
{
	return kind == AUTOSCALE_METRIC ? a->metric : autoscale_kind_name(kind);
}

/* Why the service goes to `to` replicas, for people. */
static char *reason_text(const struct scaler *s, const struct autoscale *a, uint64_t to)
{
	enum autoscale_kind by = s->verdict.by;
	uint64_t from = s->look.replicas;
	auto_buf value = BUF_INIT(256), target = BUF_INIT(256);
	char window[DURATION_TEXT_MAX];

	if (from < a->min || from > a->max)
		return xasprintf("it is to have %" PRIu64 " to %" PRIu64 " replicas", a->min,
				 a->max);
	average_text(s, by, &value);
	autoscale_value_text(by, a->target[by], &target);
	duration_format(to > from ? a->up_window_ns : a->window_ns, window);
	return xasprintf("%s is %s a task, the target %s%s%s", target_name(a, by), buf_text(&value),
			 buf_text(&target),
			 (to > from ? a->up_window_ns : a->window_ns) ? ": so or further for " : "",
			 (to > from ? a->up_window_ns : a->window_ns) ? window : "");
}

static void decide(struct core_step *step, const struct service *svc, struct scaler *s,
		   const struct autoscale *a, uint64_t to)
{
	struct service *new = object_clone(&svc->o);
	struct replicated_mode *mode = new->spec.mode.replicated;

	if (!mode->replicas)
		mode->replicas = xcalloc(1, sizeof *mode->replicas);
	*mode->replicas = to;
	new->spec_version = store_version(step->store);
	if (!new->autoscale) {
		new->autoscale = xcalloc(1, sizeof *new->autoscale);
		new->autoscale->asked = s->look.replicas;
	}
	new->autoscale->decided = step->now_ns;
	new->autoscale->from = s->look.replicas;
	new->autoscale->to = to;
	free(new->autoscale->reason);
	new->autoscale->reason = reason_text(s, a, to);
	changes_update(step->out, &svc->o, &new->o, step->now_ns);
	s->replicas = to;
}

/* What the windows let through of what is wanted. */
static uint64_t stabilised(struct scaler *s, const struct autoscale *a, int64_t now_ns)
{
	uint64_t n = s->look.replicas, wanted = s->verdict.wanted, most, least;

	autoscale_window_add(&s->down, a->window_ns, now_ns, wanted);
	autoscale_window_add(&s->up, a->up_window_ns, now_ns, wanted);
	most = autoscale_window_bound(&s->down);
	least = autoscale_window_bound(&s->up);
	return n < least ? least : n > most ? most : n;
}

static void windows_restart(struct scaler *s, const struct autoscale *a, int64_t now_ns)
{
	autoscale_window_clear(&s->down);
	autoscale_window_clear(&s->up);
	autoscale_window_add(&s->down, a->window_ns, now_ns, s->look.replicas);
	autoscale_window_add(&s->up, a->up_window_ns, now_ns, s->look.replicas);
}

static bool is_scaled(const struct service *svc, struct autoscale *ret)
{
	return svc && !svc->pending_delete && svc->spec.mode.replicated &&
	       autoscale_is_set(&svc->spec.labels) &&
	       autoscale_read(&svc->spec.labels, ret, NULL) == 0;
}

/* Returns how much it has looked at. */
static size_t service_step(struct core_autoscale *c, struct core_step *step, const char *id)
{
	const struct service *svc = store_service(step->store, id);
	struct autoscale a;
	struct scaler *s;
	bool anew;
	size_t n;
	uint64_t to;

	if (!is_scaled(svc, &a)) {
		wakes_clear(&c->wakes, id);
		scaler_drop(c, scaler_find(c, id));
		return 1;
	}
	s = scaler_get(c, id);
	anew = !s->looked_ns || s->replicas != service_replicas(&svc->spec) ||
	       step->now_ns - s->looked_ns > STALE_NS;
	if (!anew && step->now_ns - s->looked_ns < PERIOD_NS)
		return 1; /* it is in the wakes */
	n = service_look(s, step, svc, &a);
	wakes_set(&c->wakes, id, step->now_ns + PERIOD_NS);
	s->looked_ns = step->now_ns;
	s->replicas = s->look.replicas;
	s->held = update_is_under_way(svc->update_status);
	if (anew || s->held)
		windows_restart(s, &a, step->now_ns);
	if (!s->replicas)
		return n;
	autoscale_judge(&a, &s->look, &s->verdict);
	if (s->held)
		return n;
	to = stabilised(s, &a, step->now_ns);
	to = autoscale_clamp(&a, to);
	if (to != s->replicas && core_is_current(step, &svc->o))
		decide(step, svc, s, &a, to);
	return n;
}

static int64_t autoscale_step(struct core *core, struct core_step *step)
{
	struct core_autoscale *c = container_of(core, struct core_autoscale, core);
	size_t start = step->out->n, looks = 0;

	core_wake(&c->wakes, &c->dirty, step->now_ns);
	IDSET_EACH(entry, &c->dirty)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || looks > CORE_LOOKS)
			return step->now_ns;
		looks += service_step(c, step, entry->id);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->dirty, entry->id);
	}
	return idset_count(&c->dirty) ? step->now_ns : wakes_next(&c->wakes);
}

static void service_event(struct core *core, const struct store *store, const struct service *old,
			  const struct service *new)
{
	struct core_autoscale *c = container_of(core, struct core_autoscale, core);
	const struct service *svc = new ? new : old;

	if (autoscale_is_set(&svc->spec.labels) || scaler_find(c, svc->o.id))
		(void)idset_add(&c->dirty, svc->o.id);
}

static void autoscale_done(struct core *core)
{
	struct core_autoscale *c = container_of(core, struct core_autoscale, core);

	idset_done(&c->dirty);
	wakes_done(&c->wakes);
	while (c->scalers)
		scaler_drop(c, c->scalers);
}

static const struct core_class autoscale_class = {
	.name = "autoscale",
	.size = sizeof(struct core_autoscale),
	.done = autoscale_done,
	.derives = {KIND_SERVICE},
	.service = service_event,
	.step = autoscale_step,
};

struct core *core_autoscale_new(void)
{
	return core_new(&autoscale_class);
}

/* Showing */

static void gauges_show(const struct scaler *s, const struct autoscale *a,
			struct autoscale_view *ret)
{
	for (int k = 0; k < AUTOSCALE_KINDS; k++) {
		enum autoscale_kind kind = (enum autoscale_kind)k;
		auto_buf value = BUF_INIT(256), target = BUF_INIT(256);
		struct autoscale_gauge *g;

		if (!a->target[k])
			continue;
		average_text(s, kind, &value);
		autoscale_value_text(kind, a->target[k], &target);
		g = LIST_ADD(&ret->gauges);
		g->name = xstrdup(target_name(a, kind));
		g->value = xstrdup(buf_text(&value));
		g->target = xstrdup(buf_text(&target));
		g->tasks = s->look.tally[k].tasks;
		ret->coming = MAX_OF(ret->coming, s->look.tally[k].coming);
		ret->missing = MAX_OF(ret->missing, s->look.tally[k].missing);
	}
}

static char *state_text(const struct scaler *s)
{
	uint64_t n = s->look.replicas, wanted = s->verdict.wanted;

	if (!n)
		return xstrdup("rests: it has no replicas; scale it to begin");
	if (s->held)
		return xstrdup("held while an update is under way");
	if (s->verdict.blind)
		return xasprintf("not made smaller while something is not known%s%s",
				 s->trouble ? ": " : " yet", s->trouble ? s->trouble : "");
	if (wanted < n)
		return xasprintf("%" PRIu64 " would be enough: waits for its window", wanted);
	if (wanted > n)
		return xasprintf("%" PRIu64 " are wanted", wanted);
	return xstrdup("as it should be");
}

int core_autoscale_view(const struct core *core, const struct store *store, const char *ref,
			struct autoscale_view *ret, struct err *e)
{
	const struct core_autoscale *c = container_of(core, struct core_autoscale, core);
	const struct service *svc;
	const struct object *o;
	struct scaler *s;
	struct autoscale a;

	if (control_find(store, KIND_SERVICE, ref, &o, e) < 0)
		return e->code;
	svc = (const struct service *)o;
	if (!is_scaled(svc, &a))
		return err_set(e, -EINVAL,
			       "service %s is not scaled by its load: it has no label "
			       "shoal.autoscale.max",
			       ref);
	s = scaler_find(c, o->id);
	if (!s || !s->looked_ns)
		return err_set(e, -EAGAIN, "the leader has not looked at service %s yet", ref);
	*ret = (struct autoscale_view){.min = a.min,
				       .max = a.max,
				       .replicas = service_replicas(&svc->spec),
				       .wanted = s->verdict.wanted,
				       .state = state_text(s)};
	gauges_show(s, &a, ret);
	if (s->replicas && !s->held && !s->verdict.blind && s->verdict.wanted < s->replicas)
		ret->next = autoscale_window_until(&s->down, a.window_ns, s->replicas);
	if (svc->autoscale && svc->autoscale->decided)
		ret->last = table_dup(&autoscale_status_table, svc->autoscale);
	return 0;
}
