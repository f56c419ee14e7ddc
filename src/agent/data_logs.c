/*
 * See data_logs.h. Of each task first what is there, merged by time, as much at a time as the
 * stream takes; then, if that is wanted, what is added. A task whose container is yet to come is
 * waited for.
 */
#include "agent/data_logs.h"

#include <errno.h>
#include <string.h>

#include "agent/data_line.h"
#include "base/mem.h"

enum feed_state {
	FEED_WAITING, /* for its container */
	FEED_HISTORY,
	FEED_LIVE,
	FEED_ENDED,
};

struct feed {
	struct data_call *call;
	char *task;
	int64_t since; /* as in struct data_task, carried forward */
	uint64_t skip;
	uint64_t seen; /* entries of `since` met by this reading */
	bool tail;     /* of what is there only the last ones */
	bool final;    /* the task has ended: what is not there does not come any more */
	enum feed_state state;
	struct engine_logs *logs;
	struct data_entry head; /* the next to be sent; none: no task in it */
	bool stopped;           /* its reading waits for the head to go */
};

/* One stream. */
struct data_call {
	struct data_line line;
	struct engine *engine;
	struct feed *feeds;
	size_t n;
	bool open, caught_up, over;
};

struct data_logs {
	struct engine *engine;
	struct engine_watch watch;
	struct data_lines lines;
};

static struct data_call *call_of(struct data_line *l)
{
	return container_of(l, struct data_call, line);
}

static void call_pump(struct data_call *c);

/* ---- Sending ---- */

static void head_send(struct feed *f)
{
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);
	struct stream *s = f->call->line.stream;

	if (tlv_write(&data_entry_table, &f->head, &bytes) < 0 ||
	    stream_send_copy(s, DATA_ENTRY, bytes.p, bytes.len) < 0)
		stream_close(s, -ENOBUFS, "the manager does not take the logs");
	table_done(&data_entry_table, &f->head);
	if (f->stopped && f->logs) {
		f->stopped = false;
		engine_logs_resume(f->logs);
	}
}

/* The oldest entry that may go now; NULL: none, or an older one may still be read. */
static struct feed *feed_next(struct data_call *c)
{
	struct feed *found = NULL;

	for (struct feed *f = c->feeds; f < c->feeds + c->n; f++) {
		if (f->state == FEED_HISTORY && !f->head.task)
			return NULL;
		if (f->head.task && (!found || f->head.time < found->head.time))
			found = f;
	}
	return found;
}

static bool all_past(const struct data_call *c, bool ended)
{
	for (const struct feed *f = c->feeds; f < c->feeds + c->n; f++)
		if (f->head.task || f->state == FEED_HISTORY || (ended && f->state != FEED_ENDED))
			return false;
	return true;
}

static void call_pump(struct data_call *c)
{
	struct feed *f;

	if (!c->open || c->over)
		return;
	while (stream_writable(c->line.stream) && (f = feed_next(c)))
		head_send(f);
	if (!c->caught_up && all_past(c, false)) {
		c->caught_up = true;
		(void)stream_send_copy(c->line.stream, DATA_CAUGHT_UP, NULL, 0);
	}
	if (all_past(c, true)) {
		c->over = true;
		(void)stream_send_copy(c->line.stream, DATA_END, NULL, 0);
		stream_close(c->line.stream, 0, NULL);
	}
}

/* ---- Reading ---- */

/* What the manager has already, and where this task is now. */
static bool is_known(struct feed *f, int64_t time_ns)
{
	if (time_ns != f->since) {
		f->since = time_ns;
		f->skip = f->seen = 0;
	}
	if (++f->seen <= f->skip)
		return true;
	f->skip = f->seen;
	return false;
}

static bool on_entry(void *arg, int stream, int64_t time_ns, const char *p, size_t n)
{
	struct feed *f = arg;

	if (is_known(f, time_ns))
		return true;
	f->head = (struct data_entry){.task = xstrdup(f->task),
				      .stream = stream == ENGINE_STDERR ? 2 : 1,
				      .time = time_ns,
				      .text = {xmemdup(p, n), n}};
	call_pump(f->call);
	f->stopped = f->head.task != NULL;
	return !f->stopped;
}

static void feed_begin(struct feed *f, const struct container *c);

static void on_end(void *arg, const struct err *e)
{
	struct feed *f = arg;
	struct container *c;

	(void)e;
	engine_logs_close(TAKE_PTR(f->logs));
	if (f->state == FEED_HISTORY && f->call->line.request.follow &&
	    (c = engine_container_of_task(f->call->engine, f->task)) &&
	    (c->started_ns || !f->final)) {
		f->state = FEED_LIVE;
		feed_begin(f, c);
	} else {
		f->state = FEED_ENDED;
	}
	call_pump(f->call);
}

/* Reads what is there, or, of one that is past that, what is added. */
static void feed_begin(struct feed *f, const struct container *c)
{
	static const struct engine_logs_ops ops = {.entry = on_entry, .end = on_end};
	const struct data_request *r = &f->call->line.request;
	struct engine_logs_options options = {.follow = f->state == FEED_LIVE,
					      .out = r->out,
					      .err = r->err,
					      .tail = f->tail ? (int64_t)r->tail : -1,
					      .since_ns = f->since,
					      .until_ns = r->until};
	struct err e = ERR_INIT;

	f->seen = 0;
	/* From where it was read to, nothing is counted back. */
	if (f->state == FEED_LIVE && f->skip)
		options.tail = -1;
	f->logs = engine_logs(f->call->engine, (struct container *)c, &options, &ops, f, &e);
	if (!f->logs)
		f->state = FEED_ENDED;
}

static void feed_look(struct feed *f)
{
	struct container *c = engine_container_of_task(f->call->engine, f->task);
	bool waits = f->call->line.request.follow && !f->final;

	if (c && (c->started_ns || !waits)) {
		f->state = FEED_HISTORY;
		feed_begin(f, c);
	} else if (!waits) {
		f->state = FEED_ENDED;
	}
}

/* ---- Streams ---- */

static void call_free(struct data_call *c)
{
	data_line_done(&c->line);
	free(c->feeds);
	free(c);
}

static void feeds_stop(struct data_call *c)
{
	for (struct feed *f = c->feeds; f < c->feeds + c->n; f++) {
		if (f->logs)
			engine_logs_close(TAKE_PTR(f->logs));
		f->state = FEED_ENDED;
		table_done(&data_entry_table, &f->head);
		free(TAKE_PTR(f->task));
	}
}

static void on_open(struct stream *s, void *data)
{
	struct data_call *c = call_of(data);

	(void)s;
	if (!data_line_open(&c->line))
		return;
	c->open = true;
	for (struct feed *f = c->feeds; f < c->feeds + c->n; f++)
		feed_look(f);
	call_pump(c);
}

/* Whoever still waits for that task's container waits in vain. */
static void final_read(struct data_call *c, const struct frame_view *frame)
{
	struct data_task t = {0};

	if (tlv_read(&data_task_table, frame->payload, frame->len, &t, NULL) < 0) {
		stream_close(c->line.stream, -EPROTO, "a damaged message");
		return;
	}
	for (struct feed *f = c->feeds; f < c->feeds + c->n; f++) {
		if (!t.task || !f->task || strcmp(f->task, t.task) != 0)
			continue;
		f->final = true;
		if (f->state == FEED_WAITING)
			feed_look(f);
	}
	table_done(&data_task_table, &t);
	call_pump(c);
}

static void on_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct data_call *c = call_of(data);

	(void)s;
	if (f->type == DATA_TASK_FINAL && c->line.all && c->open && !c->over)
		final_read(c, f);
}

static void on_drain(struct stream *s, void *data)
{
	(void)s;
	call_pump(call_of(data));
}

static void on_closed(struct stream *s, const struct err *why, void *data)
{
	struct data_call *c = call_of(data);

	(void)s;
	(void)why;
	feeds_stop(c);
	call_free(c);
}

void data_logs_ask(struct data_logs *d, const struct data_request *r)
{
	static const struct stream_ops ops = {
		.open = on_open, .recv = on_recv, .drain = on_drain, .closed = on_closed};
	struct data_call *c;

	if (!data_line_is_new(&d->lines, r))
		return;
	c = xcalloc(1, sizeof *c);
	c->engine = d->engine;
	c->feeds = xcalloc(r->tasks.n + 1, sizeof *c->feeds);
	LIST_EACH (t, &r->tasks)
		c->feeds[c->n++] = (struct feed){.call = c,
						 .task = xstrdup(t->task ? t->task : ""),
						 .since = t->since,
						 .skip = t->skip,
						 .final = t->final,
						 .tail = !r->all && t->skip == 0};
	if (data_line_dial(&d->lines, &c->line, r, &ops) < 0) { /* it asks again */
		feeds_stop(c);
		call_free(c);
	}
}

/* A container that is waited for has started. */
static void on_event(void *arg, const struct engine_event *ev)
{
	struct data_logs *d = arg;
	struct container *c;

	if (strcmp(ev->type, "container") != 0 || strcmp(ev->action, "start") != 0 ||
	    engine_container_find(d->engine, ev->id, &c, NULL) < 0 || !c->task)
		return;
	for (struct data_line *l = d->lines.first; l; l = l->next) {
		struct data_call *call = call_of(l);

		for (struct feed *f = call->feeds; call->open && f < call->feeds + call->n; f++)
			if (f->state == FEED_WAITING && strcmp(f->task, c->task) == 0)
				feed_look(f);
	}
}

struct data_logs *data_logs_new(struct engine *e, struct stream_hub *hub)
{
	struct data_logs *d = xcalloc(1, sizeof *d);

	d->engine = e;
	d->lines.hub = hub;
	d->watch = (struct engine_watch){.event = on_event, .arg = d};
	engine_watch_add(e, &d->watch);
	return d;
}

void data_logs_free(struct data_logs *d)
{
	engine_watch_remove(d->engine, &d->watch);
	while (d->lines.first) {
		struct data_call *c = call_of(d->lines.first);

		c->over = true;
		feeds_stop(c);
		data_line_leave(&c->line, "the node leaves");
	}
	free(d);
}
