/*
 * Attaching to a container, or to a process executed in one: a connection of its own to the shim
 * for each, so that one slow client is the shim's to judge and nobody else's trouble here. See
 * engine.h.
 */
#include <errno.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/shim_link.h"

#define CONNECT_MS 10000
#define INPUT_PIECE (LIMIT_SHIM_FRAME / 2)
/* Bytes kept before the start from which the giver should pause. */
#define INPUT_HIGH (256u << 10)

struct engine_attach {
	struct engine *engine;
	struct attaches *list; /* NULL once it has ended */
	unsigned streams;
	const struct engine_attach_ops *ops; /* NULL: closed */
	void *arg;
	struct link *link;
	struct connect *connecting;
	struct buf early; /* input before there is a connection */
	bool early_eof, early_full;
	bool output_over; /* all has been said; the list's end is waited for */
	struct engine_attach *prev, *next;
};

/* The way to the shim, on the pool. */
struct connect {
	struct job job;
	struct engine *engine;
	struct engine_attach *attach; /* NULL: closed meanwhile */
	struct round *round;
	char *dir;
	unsigned streams;
	struct shim_client client;
};

/* All that connect before a start. */
struct round {
	struct deferred deferred;
	struct engine *engine;
	unsigned left;
	void (*done)(void *arg);
	void *arg;
};

static void unlink_attach(struct engine_attach *a)
{
	if (!a->list)
		return;
	if (a->prev)
		a->prev->next = a->next;
	else
		a->list->first = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->list = NULL;
}

static void held_closed(void *arg)
{
	engine_release(arg);
}

static void drop_link(struct engine_attach *a)
{
	if (!a->link)
		return;
	engine_hold(a->engine);
	link_close(TAKE_PTR(a->link), held_closed, a->engine);
}

static void ended(struct engine_attach *a)
{
	drop_link(a);
	unlink_attach(a);
	a->ops->end(a->arg);
}

static bool on_frame(void *arg, const struct shim_frame *f)
{
	struct engine_attach *a = arg;
	int stream = f->type == SHIM_STDOUT ? ENGINE_STDOUT : ENGINE_STDERR;

	if (f->type == SHIM_EOF) {
		a->output_over = true;
		if (!a->list->until_exit)
			ended(a);
		return true;
	}
	if (f->type != SHIM_STDOUT && f->type != SHIM_STDERR)
		return true;
	return a->ops->output(a->arg, stream, f->body, f->len);
}

static void on_lost(void *arg)
{
	struct engine_attach *a = arg;

	if (a->output_over && a->list->until_exit)
		drop_link(a);
	else
		ended(a);
}

static void on_drain(void *arg)
{
	struct engine_attach *a = arg;

	a->ops->drain(a->arg);
}

/* ---- Connecting ---- */

static void connect_run(struct job *j)
{
	struct connect *c = container_of(j, struct connect, job);
	struct shim_state state;

	j->status = shim_connect(c->dir, CONNECT_MS, &c->client, &state, &j->err);
	if (j->status == 0)
		j->status = shim_attach(&c->client, c->streams, CONNECT_MS, &j->err);
}

static void send_early(struct engine_attach *a)
{
	size_t at = 0;

	while (at < a->early.len) {
		size_t n = MIN_OF(a->early.len - at, (size_t)INPUT_PIECE);

		(void)link_send(a->link, SHIM_STDIN, a->early.p + at, n);
		at += n;
	}
	buf_done(&a->early);
	if (a->early_eof)
		(void)link_send(a->link, SHIM_EOF, NULL, 0);
	if (a->early_full)
		a->ops->drain(a->arg);
	a->early_full = false;
}

static void connect_done(struct job *j)
{
	static const struct link_ops ops = {.frame = on_frame, .lost = on_lost, .drain = on_drain};
	struct connect *c = container_of(j, struct connect, job);
	struct engine_attach *a = c->attach;
	struct round *round = c->round;
	struct engine *e = c->engine;

	if (a) {
		a->connecting = NULL;
		if (j->status == 0 && a->list &&
		    link_new(&a->link, e->config.loop, &c->client, &ops, a) == 0)
			send_early(a);
		else if (a->list)
			ended(a);
	}
	shim_client_done(&c->client);
	free(c->dir);
	free(c);
	if (round && --round->left == 0) {
		round->done(round->arg);
		free(round);
	}
	engine_release(e);
}

static void connect_start(struct engine_attach *a, struct round *round)
{
	struct connect *c = xcalloc(1, sizeof *c);

	c->job.run = connect_run;
	c->job.done = connect_done;
	c->engine = a->engine;
	c->attach = a;
	c->round = round;
	c->dir = a->list->dir(a->engine, a->list->id);
	c->streams = a->streams;
	shim_client_init(&c->client);
	a->connecting = c;
	engine_hold(a->engine);
	job_start(a->engine->config.loop, &c->job);
}

static void round_empty(struct deferred *d)
{
	struct round *r = container_of(d, struct round, deferred);
	struct engine *e = r->engine;

	r->done(r->arg);
	free(r);
	engine_release(e);
}

void attaches_connect(struct attaches *l, void (*done)(void *arg), void *arg)
{
	struct round *r = xcalloc(1, sizeof *r);

	r->engine = l->engine;
	r->done = done;
	r->arg = arg;
	for (struct engine_attach *a = l->first; a; a = a->next) {
		if (a->link || a->connecting)
			continue;
		r->left++;
		connect_start(a, r);
	}
	if (r->left)
		return;
	r->deferred.run = round_empty;
	engine_hold(l->engine);
	engine_defer(l->engine, &r->deferred);
}

void attaches_end(struct attaches *l)
{
	struct engine_attach *a = l->first;

	/* Each may close others from its callback: begin anew after every one. */
	while (a) {
		ended(a);
		a = l->first;
	}
}

static struct engine_attach *next_to_end(const struct attaches *l)
{
	struct engine_attach *a = l->first;

	while (a && (a->link || a->connecting) && !a->output_over)
		a = a->next;
	return a;
}

void attaches_exited(struct attaches *l)
{
	struct engine_attach *a;

	l->until_exit = false;
	while ((a = next_to_end(l)))
		ended(a);
}

/* ---- The calls ---- */

struct engine_attach *attaches_add(struct attaches *l, unsigned streams,
				   const struct engine_attach_ops *ops, void *arg, struct err *err)
{
	struct engine_attach *a;

	if (!streams || (streams & ~(unsigned)(ENGINE_STDIN | ENGINE_STDOUT | ENGINE_STDERR))) {
		(void)err_set(err, -EINVAL, "no stream was named that could be attached");
		return NULL;
	}
	a = xcalloc(1, sizeof *a);
	a->engine = l->engine;
	a->list = l;
	a->streams = streams;
	a->ops = ops;
	a->arg = arg;
	buf_init(&a->early, LIMIT_SHIM_QUEUE);
	a->next = l->first;
	if (a->next)
		a->next->prev = a;
	l->first = a;
	return a;
}

struct engine_attach *engine_attach(struct engine *e, struct container *c, unsigned streams,
				    const struct engine_attach_ops *ops, void *arg, struct err *err)
{
	struct engine_attach *a;

	if (e->closing || c->status == CONTAINER_REMOVING || c->status == CONTAINER_DEAD) {
		(void)err_set(err, -ESRCH, "container %s is going away", c->id);
		return NULL;
	}
	a = attaches_add(&c->live->attaches, streams, ops, arg, err);
	if (a && c->status == CONTAINER_RUNNING)
		connect_start(a, NULL);
	return a;
}

int engine_attach_write(struct engine_attach *a, const void *p, size_t n)
{
	int rc = 0;

	if (!a->list || a->early_eof)
		return -EPIPE;
	if (!a->link) {
		if (buf_add(&a->early, p, n) < 0)
			return -EPIPE;
		a->early_full = a->early.len >= INPUT_HIGH;
		return a->early_full;
	}
	for (size_t at = 0; at < n && rc >= 0; at += INPUT_PIECE)
		rc = link_send(a->link, SHIM_STDIN, (const char *)p + at,
			       MIN_OF(n - at, (size_t)INPUT_PIECE));
	return rc < 0 ? -EPIPE : rc;
}

void engine_attach_close_stdin(struct engine_attach *a)
{
	if (a->early_eof)
		return;
	a->early_eof = true;
	if (a->link)
		(void)link_send(a->link, SHIM_EOF, NULL, 0);
}

void engine_attach_resume(struct engine_attach *a)
{
	if (a->link)
		link_resume(a->link);
}

void engine_attach_close(struct engine_attach *a)
{
	drop_link(a);
	unlink_attach(a);
	if (a->connecting)
		a->connecting->attach = NULL;
	buf_done(&a->early);
	free(a);
}
