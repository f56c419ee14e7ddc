/*
 * See service_logs.h. One data stream a node (a part); tasks that come later have one of their own.
 * Where each task's log has been read to is kept by what was received, so that a part which is
 * asked again neither loses nor doubles an entry.
 */
#include "manager/service_logs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manager/data.h"
#include "manager/manager_impl.h"

#define CHECK_MS 250 /* between looks at parts that are waited for */
#define MISSING_MAX (16u << 10)

struct queued {
	struct data_entry entry;
	struct queued *next;
};

struct part {
	struct service_logs *logs;
	struct data_ask ask;
	char node[ID_CLUSTER_LEN + 1];
	struct stream *stream;
	struct queued *first, **last;
	size_t bytes;
	bool caught_up; /* what it sends from now on is not waited for */
	bool ended, missing, paused;
	bool again; /* its stream broke: to be asked anew */
	uint64_t asked_ms;
	struct part *next;
};

struct service_logs {
	struct manager *manager;
	char *service, *task;
	struct service_logs_options options;
	const struct service_logs_ops *ops;
	void *arg;
	struct part *parts;
	size_t n_tasks;
	struct world_timer timer, soon;
	struct store_watch watch;
	bool paused, failed, gone; /* `gone`: the service was removed, or is about to be */
	struct service_logs *prev, *next;
};

static const struct world *world_of(const struct service_logs *l)
{
	return manager_world(l->manager);
}

/* ---- Entries ---- */

static void queue_pop(struct part *p)
{
	struct queued *q = p->first;

	p->first = q->next;
	if (!p->first)
		p->last = &p->first;
	p->bytes -= q->entry.text.n + sizeof *q;
	table_done(&data_entry_table, &q->entry);
	free(q);
	if (p->paused && p->stream && p->bytes < LIMIT_LOG_QUEUE / 2) {
		p->paused = false;
		stream_resume(p->stream);
	}
}

static bool holds_up(const struct part *p)
{
	return !p->first && !p->ended && !p->missing && !p->caught_up;
}

/* The part with the oldest entry; NULL when there is none, or an older one may still come. */
static struct part *part_next(struct service_logs *l)
{
	struct part *found = NULL;

	for (struct part *p = l->parts; p; p = p->next) {
		if (holds_up(p))
			return NULL;
		if (p->first && (!found || p->first->entry.time < found->first->entry.time))
			found = p;
	}
	return found;
}

/* Of a task that is to be placed yet. */
static bool is_awaited(const struct service_logs *l)
{
	const struct task *t =
		l->task && !l->parts ? store_task(manager_store(l->manager), l->task) : NULL;

	return t && !task_state_final(t->status.state);
}

/* A node that is away may be waited for as long as its tasks may still say something. */
static bool is_hopeless(const struct service_logs *l, const struct part *p)
{
	if (!p->missing)
		return false;
	if (!l->options.follow || l->gone)
		return true;
	LIST_EACH (t, &p->ask.request.tasks)
		if (!t->final)
			return false;
	return true;
}

static bool is_over(const struct service_logs *l)
{
	if (l->failed)
		return true;
	if (l->options.follow && (l->service ? !l->gone : is_awaited(l)))
		return false;
	for (const struct part *p = l->parts; p; p = p->next)
		if (p->first || (!p->ended && !is_hopeless(l, p)))
			return false;
	return true;
}

static char *missing_text(const struct service_logs *l)
{
	struct buf text = BUF_INIT(MISSING_MAX);

	if (l->failed)
		return xstrdup("the manager stops");
	for (const struct part *p = l->parts; p; p = p->next) {
		const char *sign = " (tasks ";

		if (!p->missing || p->ended)
			continue;
		buf_addf(&text, "%snode %s is not available", text.len ? ", " : "", p->node);
		LIST_EACH (t, &p->ask.request.tasks) {
			buf_addf(&text, "%s%s", sign, t->task);
			sign = ", ";
		}
		buf_adds(&text, ")");
	}
	if (!text.len) {
		buf_done(&text);
		return NULL;
	}
	return buf_take(&text);
}

static void pump(struct service_logs *l)
{
	struct part *p;

	while (!l->paused && (p = part_next(l))) {
		const struct data_entry *d = &p->first->entry;
		const struct task *t = store_task(manager_store(l->manager), d->task);
		const struct service_log_entry entry = {.node = p->node,
							.service = l->service        ? l->service
								   : t && t->service ? t->service
										     : "",
							.task = d->task,
							.stream = (int)d->stream,
							.time_ns = d->time,
							.text = (const char *)d->text.p,
							.n = d->text.n};

		l->paused = !l->ops->entry(l->arg, &entry);
		queue_pop(p);
	}
	if (!l->paused && is_over(l)) {
		auto_free char *missing = missing_text(l);

		l->ops->end(l->arg, missing);
	}
}

static void pump_soon(struct service_logs *l)
{
	world_timer_start(world_of(l), &l->soon, 0);
}

static void soon_fire(struct world_timer *t)
{
	pump(container_of(t, struct service_logs, soon));
}

void service_logs_resume(struct service_logs *l)
{
	l->paused = false;
	pump_soon(l);
}

/* ---- A part's stream ---- */

static bool position_note(struct part *p, const struct data_entry *d)
{
	LIST_EACH (t, &p->ask.request.tasks) {
		if (strcmp(t->task, d->task ? d->task : "") != 0)
			continue;
		t->skip = t->since == d->time ? t->skip + 1 : 1;
		t->since = d->time;
		return true;
	}
	return false;
}

static void entry_read(struct part *p, const struct frame_view *f)
{
	struct queued *q = xcalloc(1, sizeof *q);

	if (tlv_read(&data_entry_table, f->payload, f->len, &q->entry, NULL) < 0 ||
	    !position_note(p, &q->entry)) {
		table_done(&data_entry_table, &q->entry);
		free(q);
		stream_close(p->stream, -EPROTO, "a damaged message");
		return;
	}
	*p->last = q;
	p->last = &q->next;
	p->bytes += q->entry.text.n + sizeof *q;
	if (p->bytes >= LIMIT_LOG_QUEUE && !p->paused) {
		p->paused = true;
		stream_pause(p->stream);
	}
}

static void part_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct part *p = data;

	switch (f->type) {
	case DATA_ENTRY:
		entry_read(p, f);
		break;
	case DATA_CAUGHT_UP:
		p->caught_up = true;
		break;
	case DATA_END:
		p->ended = true;
		stream_close(s, 0, NULL);
		break;
	default: /* of a later version */
		break;
	}
	pump_soon(p->logs);
}

static void part_closed(struct stream *s, const struct err *why, void *data)
{
	struct part *p = data;

	(void)s;
	(void)why;
	p->stream = NULL;
	p->paused = false;
	p->again = !p->ended;
	p->asked_ms = world_mono_ms(world_of(p->logs));
	pump_soon(p->logs);
}

static void part_taken(struct data_ask *a, struct stream *s)
{
	static const struct stream_ops ops = {.recv = part_recv, .closed = part_closed};
	struct part *p = container_of(a, struct part, ask);

	p->stream = s;
	p->missing = false;
	stream_start(s, &ops, p);
}

static void part_ask(struct part *p)
{
	p->again = false;
	data_ask(manager_data(p->logs->manager), &p->ask);
}

static void part_free(struct part *p)
{
	if (p->stream)
		stream_leave(TAKE_PTR(p->stream), -ECANCELED, "nobody reads the logs any more");
	data_ask_done(manager_data(p->logs->manager), &p->ask);
	while (p->first)
		queue_pop(p);
	free(p);
}

/* ---- Which tasks ---- */

static bool is_read(const struct service_logs *l, const char *task)
{
	for (const struct part *p = l->parts; p; p = p->next)
		LIST_EACH (t, &p->ask.request.tasks)
			if (strcmp(t->task, task) == 0)
				return true;
	return false;
}

static struct part *part_new(struct service_logs *l, const char *node)
{
	struct part *p = xcalloc(1, sizeof *p), **at = &l->parts;
	struct data_request *r = &p->ask.request;

	while (*at)
		at = &(*at)->next;
	*at = p;
	p->logs = l;
	p->last = &p->first;
	(void)snprintf(p->node, sizeof p->node, "%s", node);
	p->asked_ms = world_mono_ms(world_of(l));
	p->ask.taken = part_taken;
	r->node = xstrdup(node);
	r->follow = l->options.follow;
	r->out = l->options.out;
	r->err = l->options.err;
	r->all = l->options.tail < 0;
	r->tail = r->all ? 0 : (uint64_t)l->options.tail;
	r->until = l->options.until_ns;
	return p;
}

static void part_add(struct service_logs *l, struct part *p, const struct task *task)
{
	struct data_task *t = LIST_ADD(&p->ask.request.tasks);

	t->task = xstrdup(task->o.id);
	t->since = l->options.since_ns;
	t->final = task_state_final(task->status.state);
	l->n_tasks++;
}

/* Its node need not wait for a container that was never made. */
static void task_final(struct service_logs *l, const char *task)
{
	for (struct part *p = l->parts; p; p = p->next)
		LIST_EACH (t, &p->ask.request.tasks) {
			auto_buf bytes = BUF_INIT(LIMIT_FRAME);

			if (t->final || strcmp(t->task, task) != 0)
				continue;
			t->final = true;
			if (p->stream && tlv_write(&data_task_table, t, &bytes) == 0)
				(void)stream_send_copy(p->stream, DATA_TASK_FINAL, bytes.p,
						       bytes.len);
			pump_soon(l);
		}
}

static void task_look(struct service_logs *l, const struct task *old, const struct task *new)
{
	if (!new || task_state_final(new->status.state))
		task_final(l, (new ? new : old)->o.id);
}

static bool has_node(const struct task *t)
{
	return t->node && *t->node && t->status.state >= TASK_ASSIGNED;
}

/* Those that are there at the start: one part a node. */
static void tasks_begin(struct service_logs *l)
{
	const struct store *store = manager_store(l->manager);
	const struct task *t;
	struct store_walk w;

	if (l->task) {
		t = store_task(store, l->task);
		if (t && has_node(t))
			part_add(l, part_new(l, t->node), t);
		return;
	}
	store_walk_service_tasks(&w, store, l->service);
	while ((t = store_walk_next(&w))) {
		struct part *p = l->parts;

		if (!has_node(t))
			continue;
		while (p && strcmp(p->node, t->node) != 0)
			p = p->next;
		part_add(l, p ? p : part_new(l, t->node), t);
	}
}

static void task_later(struct service_logs *l, const struct task *t)
{
	struct part *p;

	if (l->task ? strcmp(t->o.id, l->task) != 0
		    : !t->service || strcmp(t->service, l->service) != 0)
		return;
	if (!has_node(t) || l->n_tasks >= LIMIT_LOG_TASKS || is_read(l, t->o.id))
		return;
	p = part_new(l, t->node);
	p->caught_up = true; /* it begins now: nothing older of it is to be waited for */
	part_add(l, p, t);
	part_ask(p);
}

static void on_changed(void *arg, const struct object *old, const struct object *new)
{
	struct service_logs *l = arg;
	const struct object *o = new ? new : old;

	if (!l->options.follow)
		return;
	if (o->kind == KIND_TASK) {
		task_look(l, (const struct task *)old, (const struct task *)new);
		if (new)
			task_later(l, (const struct task *)new);
	}
	if (o->kind == KIND_SERVICE && l->service && strcmp(o->id, l->service) == 0 &&
	    (!new || object_is_going(new))) {
		l->gone = true;
		pump_soon(l);
	}
}

static void on_applied(void *arg, uint64_t version, bool swapped)
{
	struct service_logs *l = arg;
	const struct task *t;
	struct store_walk w;

	(void)version;
	if (!swapped || !l->options.follow)
		return;
	for (struct part *p = l->parts; p; p = p->next)
		LIST_EACH (at, &p->ask.request.tasks) {
			t = store_task(manager_store(l->manager), at->task);
			if (!t || task_state_final(t->status.state))
				task_final(l, at->task);
		}
	if (l->task && (t = store_task(manager_store(l->manager), l->task)))
		task_later(l, t);
	if (!l->service)
		return;
	store_walk_service_tasks(&w, manager_store(l->manager), l->service);
	while ((t = store_walk_next(&w)))
		task_later(l, t);
}

/* What has been said to its end, of tasks that are history. */
static void parts_prune(struct service_logs *l)
{
	struct part **at = &l->parts, *p;

	while ((p = *at)) {
		bool kept = !p->ended || p->first || p->stream;

		LIST_EACH (t, &p->ask.request.tasks)
			kept = kept || store_task(manager_store(l->manager), t->task);
		if (kept) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		l->n_tasks -= p->ask.request.tasks.n;
		part_free(p);
	}
}

/* Those that do not come do not hold the others up. */
static void check_fire(struct world_timer *timer)
{
	struct service_logs *l = container_of(timer, struct service_logs, timer);
	uint64_t now = world_mono_ms(world_of(l));

	for (struct part *p = l->parts; p; p = p->next) {
		const struct node *n = store_node(manager_store(l->manager), p->node);

		if (p->ended || p->stream)
			continue;
		if (p->again)
			part_ask(p);
		if (!n || n->status.state == NODE_DOWN || now - p->asked_ms >= LIMIT_LOG_WAIT_MS)
			p->missing = true;
	}
	parts_prune(l);
	world_timer_start(world_of(l), &l->timer, CHECK_MS);
	pump(l);
}

/* ---- The calls ---- */

struct service_logs *service_logs(struct manager *m, const char *service, const char *task,
				  const struct service_logs_options *options,
				  const struct service_logs_ops *ops, void *arg, struct err *e)
{
	struct service_logs *l;

	if (service && store_service_task_count(manager_store(m), service) > LIMIT_LOG_TASKS) {
		(void)err_set(e, -E2BIG,
			      "service %s has more than %d tasks: ask for the logs of one of them",
			      service, LIMIT_LOG_TASKS);
		return NULL;
	}
	l = xcalloc(1, sizeof *l);
	l->manager = m;
	l->service = xstrdup(service);
	l->task = xstrdup(task);
	l->options = *options;
	l->ops = ops;
	l->arg = arg;
	l->timer.fire = check_fire;
	l->soon.fire = soon_fire;
	l->watch = (struct store_watch){.changed = on_changed, .applied = on_applied, .arg = l};
	store_watch_add(manager_store(m), &l->watch);
	l->next = m->logs;
	if (l->next)
		l->next->prev = l;
	m->logs = l;
	tasks_begin(l);
	for (struct part *p = l->parts; p; p = p->next)
		part_ask(p);
	/* A node that is known to be down is not waited for at all. */
	world_timer_start(world_of(l), &l->timer, 0);
	return l;
}

void service_logs_close(struct service_logs *l)
{
	struct part *p;

	world_timer_stop(world_of(l), &l->timer);
	world_timer_stop(world_of(l), &l->soon);
	store_watch_remove(manager_store(l->manager), &l->watch);
	if (l->prev)
		l->prev->next = l->next;
	else
		l->manager->logs = l->next;
	if (l->next)
		l->next->prev = l->prev;
	while ((p = l->parts)) {
		l->parts = p->next;
		part_free(p);
	}
	free(l->service);
	free(l->task);
	free(l);
}

void manager_logs_fail(struct manager *m)
{
	struct service_logs *l, *next;

	for (l = m->logs; l; l = next) {
		next = l->next;
		l->failed = true;
		l->ops->end(l->arg, "the manager stops");
	}
}
