/*
 * One run of an update: finding the places, replacing so many at a time, counting what fails, and
 * the status that users see. See core_update.h.
 */
#include "manager/core_update.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "manager/service_depends.h"

#define ROLLED_BACK "update rolled back"
#define WAITS "; waiting: "

/* Status */

/* Of a message without what it waits for. */
static size_t base_length(const char *message)
{
	const char *tail = strstr(message, WAITS);

	return tail ? (size_t)(tail - message) : strlen(message);
}

static bool is_rollback(const struct service *svc)
{
	return svc->update_status && svc->update_status->state >= UPDATE_ROLLBACK_STARTED;
}

static bool is_paused(const struct service *svc)
{
	return svc->update_status && (svc->update_status->state == UPDATE_PAUSED ||
				      svc->update_status->state == UPDATE_ROLLBACK_PAUSED);
}

struct service *update_edit(struct update_step *s)
{
	if (!s->edit)
		s->edit = object_clone(&s->svc->o);
	return s->edit;
}

static void status_set(struct service *svc, enum update_state state, const char *message)
{
	if (!svc->update_status)
		svc->update_status = xcalloc(1, sizeof *svc->update_status);
	svc->update_status->state = state;
	str_set(&svc->update_status->message, message);
}

static void roll_back(struct update_step *s)
{
	auto_free char *why =
		xasprintf(ROLLED_BACK " due to failure or early termination of task %s", s->failed);
	struct service *svc = update_edit(s);

	service_spec_roll_back(svc, false, s->step->store, s->step->now_ns, s->step->out);
	status_set(svc, UPDATE_ROLLBACK_STARTED, why);
	svc->update_status->started = s->step->now_ns;
}

void update_judge(struct update_step *s)
{
	const struct update_run *run = &s->edit->update;
	bool back = is_rollback(s->svc), rolls = s->rules.action == UPDATE_ROLL_BACK && !back;
	const struct service_spec *previous = s->svc->previous_spec;
	struct err hindered = ERR_INIT;
	auto_free char *why = NULL;

	if (s->rules.action == UPDATE_CONTINUE ||
	    (double)run->failed <= s->rules.max_failure_ratio * (double)run->total)
		return;
	if (rolls && !previous)
		(void)err_set(&hindered, -ENOENT, "no previous spec is available");
	else if (rolls)
		(void)service_spec_holds(s->step->store, previous, &hindered);
	if (rolls && !hindered.code) {
		roll_back(s);
		return;
	}
	why = xasprintf("%s paused due to failure or early termination of task %s%s%s",
			back ? "rollback" : "update", s->failed,
			rolls ? ": cannot roll back service because " : "",
			rolls ? err_text(&hindered) : "");
	status_set(update_edit(s), back ? UPDATE_ROLLBACK_PAUSED : UPDATE_PAUSED, why);
}

/* Places */

static struct open_place *open_find(const struct update *u, const char *key)
{
	struct open_place *p;

	HASH_FIND(hh, u->open, key, strlen(key), p);
	return p;
}

static void open_drop(struct update *u, struct open_place *p)
{
	HASH_DEL(u->open, p);
	free(p);
}

static bool counts(enum place_state state)
{
	return state == PLACE_COMING || state == PLACE_RESTING;
}

static bool is_open(const struct place *p)
{
	return counts(p->state) || p->state == PLACE_WATCHED || p->state == PLACE_RETRIED;
}

static bool waits(const struct place *p)
{
	const struct task_status *t = p->state == PLACE_COMING ? &p->task->status : NULL;

	return t && t->state < TASK_ASSIGNED && t->err && *t->err;
}

/* What the place is now, for the counts, the queues and the clock. */
static void place_take(struct update *u, const char *key, const struct place *p)
{
	struct open_place *had = open_find(u, key);
	bool due = p->state == PLACE_RETRIED && p->until == INT64_MAX;

	u->busy -= had && counts(had->state) ? 1 : 0;
	u->busy += counts(p->state) ? 1 : 0;
	u->waiting -= had && had->waits ? 1 : 0;
	u->waiting += waits(p) ? 1 : 0;
	if (had && !is_open(p))
		open_drop(u, had);
	if (!had && is_open(p)) {
		had = xcalloc(1, sizeof *had + strlen(key) + 1);
		memcpy(had->key, key, strlen(key) + 1);
		HASH_ADD(hh, u->open, key[0], strlen(key), had);
	}
	if (is_open(p)) {
		had->state = p->state;
		had->waits = waits(p);
	}
	if (p->until == INT64_MAX)
		wakes_clear(&u->wakes, key);
	else
		wakes_set(&u->wakes, key, p->until);
	for (size_t i = 0; i < QUEUES; i++)
		(void)idset_remove(&u->queue[i], key);
	if (p->state == PLACE_STALE)
		(void)idset_add(&u->queue[p->runs ? QUEUE_RUNNING : QUEUE_IDLE], key);
	else if (due)
		(void)idset_add(&u->queue[QUEUE_RETRY], key);
}

static void failure_count(struct update_step *s, const struct place *p)
{
	struct task *new;

	if (!core_is_current(s->step, &p->task->o))
		return;
	new = object_clone(&p->task->o);
	new->update->failed = s->step->now_ns;
	changes_update(s->step->out, &p->task->o, &new->o, s->step->now_ns);
	(void)snprintf(s->failed, sizeof s->failed, "%s", p->task->o.id);
	if (!p->again)
		update_edit(s)->update.failed++;
}

/* Looks at a place, and does what has to be done there at once. */
static void place_step(struct update_step *s, const char *key)
{
	const struct slot *slot = place_find(&s->c->slots, s->svc, key);
	struct place p;

	place_look(&s->look, slot, &p);
	place_take(s->u, key, &p);
	if (p.state == PLACE_UP)
		place_settle(slot, p.task, s->step);
	else if (p.state == PLACE_DOUBLED)
		place_thin(&s->look, slot, s->step);
	else if (p.state == PLACE_FAILED && update_is_under_way(s->svc->update_status))
		failure_count(s, &p);
}

/* Searching, in slices */

static bool slots_search(struct update_step *s, const struct slot_service *tasks)
{
	char key[IDSET_ID_MAX];

	for (s->u->pos = MAX_OF(s->u->pos, 1); tasks && s->u->pos < tasks->n; s->u->pos++) {
		const struct slot *slot = &tasks->v[s->u->pos];
		struct place p;

		if (++*s->looks > CORE_LOOKS)
			return false;
		place_look(&s->look, slot, &p);
		if (p.state == PLACE_SETTLED)
			continue;
		(void)snprintf(key, sizeof key, "%zu", s->u->pos);
		(void)idset_add(&s->u->touched, key);
	}
	return true;
}

static bool nodes_search(struct update_step *s)
{
	const struct node *n;
	struct store_walk w;

	store_walk_kind_after(&w, s->step->store, KIND_NODE, s->u->node ? s->u->node : "");
	while ((n = store_walk_next(&w))) {
		if (++*s->looks > CORE_LOOKS)
			return false;
		(void)idset_add(&s->u->touched, n->o.id);
		str_set(&s->u->node, n->o.id);
	}
	return true;
}

bool update_search(struct update_step *s)
{
	if (!s->u->searched)
		s->u->searched = s->svc->spec.mode.global
					 ? nodes_search(s)
					 : slots_search(s, slots_find(&s->c->slots, s->u->id));
	return s->u->searched;
}

/* A place is looked at: of a global service among all tasks of its node. */
static bool look_fits(struct update_step *s, const char *key)
{
	if (s->svc->spec.mode.global)
		*s->looks += store_node_task_count(s->step->store, key) / 4;
	return core_fits(s->step, s->start) && ++*s->looks <= CORE_LOOKS;
}

bool update_touched(struct update_step *s)
{
	const char *due;

	while ((due = wakes_due(&s->u->wakes, s->step->now_ns))) {
		(void)idset_add(&s->u->touched, due);
		wakes_clear(&s->u->wakes, due);
	}
	IDSET_EACH(entry, &s->u->touched)
	{
		size_t before = s->step->out->n;

		if (!look_fits(s, entry->id))
			return false;
		s->step->behind = false;
		place_step(s, entry->id);
		if (core_is_clean(s->step, before))
			(void)idset_remove(&s->u->touched, entry->id);
	}
	return idset_count(&s->u->touched) == 0;
}

/* Going on */

static size_t queued(const struct update *u)
{
	size_t n = 0;

	for (size_t i = 0; i < QUEUES; i++)
		n += idset_count(&u->queue[i]);
	return n;
}

/* A run that has ended and finds more to do is followed by another. */
static void begin(struct update_step *s)
{
	struct service *svc = update_edit(s);

	if (svc->update_status && !update_is_under_way(svc->update_status)) {
		table_free(&update_status_table, svc->update_status);
		svc->update_status = NULL;
		svc->update.number++;
		svc->update.total = svc->update.failed = 0;
		return;
	}
	svc->update.total = queued(s->u);
	if (!svc->update_status) {
		status_set(svc, UPDATE_UPDATING, "update in progress");
		svc->update_status->started = s->step->now_ns;
	}
}

/* A rollback that nobody asked for keeps saying why it came. */
static void complete(struct update_step *s)
{
	struct service *svc = update_edit(s);
	const char *why = svc->update_status->message ? svc->update_status->message : "";
	bool caused = strncmp(why, ROLLED_BACK, strlen(ROLLED_BACK)) == 0;
	auto_free char *back = xasprintf("rollback completed%s%.*s", caused ? ": " : "",
					 caused ? (int)base_length(why) : 0, why);

	if (is_rollback(svc))
		status_set(svc, UPDATE_ROLLBACK_COMPLETED, back);
	else
		status_set(svc, UPDATE_COMPLETED, "update completed");
	svc->update_status->completed = s->step->now_ns;
}

/* What is replaced stays touched: it is looked at again once that is in the store, or was lost. */
static void queue_step(struct update_step *s, const char *queued_key)
{
	auto_free char *key = xstrdup(queued_key); /* it leaves the queue */
	const struct slot *slot = place_find(&s->c->slots, s->svc, key);
	size_t before = s->step->out->n;
	struct place p;

	place_look(&s->look, slot, &p);
	place_take(s->u, key, &p);
	if (p.state == PLACE_STALE || (p.state == PLACE_RETRIED && p.until == INT64_MAX)) {
		place_replace(&s->look, slot, s->step);
		if (s->step->out->n > before) {
			p = (struct place){.state = PLACE_COMING, .until = INT64_MAX};
			p.task = (const struct task *)s->step->out->v[s->step->out->n - 1].object;
			place_take(s->u, key, &p);
		}
		(void)idset_add(&s->u->touched, key);
	} else if (p.state == PLACE_UP || p.state == PLACE_FAILED || p.state == PLACE_DOUBLED) {
		(void)idset_add(&s->u->touched, key);
	}
}

static void replace_next(struct update_step *s)
{
	for (size_t i = 0; i < QUEUES; i++) {
		IDSET_EACH(entry, &s->u->queue[i])
		{
			if (s->u->busy >= s->rules.parallelism)
				return;
			if (!look_fits(s, entry->id)) {
				s->step->behind = true;
				return;
			}
			queue_step(s, entry->id);
		}
	}
}

void update_go_on(struct update_step *s)
{
	if (is_paused(s->svc))
		return;
	if (queued(s->u) &&
	    (!update_is_under_way(s->svc->update_status) || !s->svc->update.total)) {
		begin(s);
		return;
	}
	if (!update_is_under_way(s->svc->update_status))
		return;
	if (service_is_held(s->svc)) { /* the old tasks run on until what it waits for has come */
		update_explain(s);
		return;
	}
	replace_next(s);
	if (!queued(s->u) && !s->u->open && !idset_count(&s->u->touched) && !s->step->behind)
		complete(s);
	else
		update_explain(s);
}

/* Saying in the status why tasks do not come up, once the managers know */

static bool has_host_port(const struct service *svc)
{
	if (svc->spec.endpoint)
		LIST_EACH (p, &svc->spec.endpoint->ports)
			if (p->mode == PUBLISH_HOST)
				return true;
	return false;
}

static char *wait_text(struct update_step *s, const char *key)
{
	const struct slot *slot = place_find(&s->c->slots, s->svc, key);
	char *text = NULL;
	struct place p;

	place_look(&s->look, slot, &p);
	if (waits(&p))
		text = xasprintf("task %s: %s%s", p.task->o.id, p.task->status.err,
				 s->rules.start_first && has_host_port(s->svc)
					 ? " (with order start-first the old task keeps its host "
					   "port until the new one runs: use stop-first, or a node "
					   "where the port is free)"
					 : "");
	return text;
}

void update_explain(struct update_step *s)
{
	const struct update_status *had = (s->edit ? s->edit : s->svc)->update_status;
	const char *message = had->message ? had->message : "";
	size_t base = base_length(message);
	auto_free char *text = NULL, *now = NULL;
	const struct open_place *p = s->u->open;

	for (; s->u->waiting && p && !text; p = p->hh.next)
		if (p->waits)
			text = wait_text(s, p->key);
	if (!text && service_is_held(s->svc) && s->svc->gate && s->svc->gate->waits)
		text = xstrdup(s->svc->gate->waits);
	now = xasprintf("%.*s%s%s", (int)base, message, text ? WAITS : "", text ? text : "");
	if (strcmp(now, message) != 0)
		status_set(update_edit(s), had->state, now);
}

void update_clear(struct update *u)
{
	struct open_place *p, *next;

	HASH_ITER (hh, u->open, p, next)
		open_drop(u, p);
	for (size_t i = 0; i < QUEUES; i++)
		idset_done(&u->queue[i]);
	idset_done(&u->touched);
	wakes_done(&u->wakes);
	free(u->node);
	u->node = NULL;
	u->searched = false;
	u->pos = u->busy = u->waiting = 0;
	u->fits.n = 0;
}
