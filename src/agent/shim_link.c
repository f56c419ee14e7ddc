/*
 * See shim_link.h.
 */
#include "agent/shim_link.h"

#include "base/mem.h"

#define SEND_HIGH (256u << 10) /* bytes that wait to be sent from which the giver should pause */
#define TURN_READS 16          /* reads before the loop gets its turn */

struct request {
	uint32_t id;
	link_answer answer;
	void *arg;
	struct request *next;
};

struct link {
	struct shim_client client;
	uv_poll_t poll;
	const struct link_ops *ops;
	void *arg;
	struct request *requests;
	struct shim_frame held; /* not taken yet; inside the parser */
	bool has_held, first, busy, closed, wants_drain;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* Readable while nothing is held, writable while something waits (or for the first turn). */
static void watch(struct link *l)
{
	int events = l->has_held ? 0 : UV_READABLE;

	if (l->closed)
		return;
	if (l->client.out.len || l->first)
		events |= UV_WRITABLE;
	if (events)
		(void)uv_poll_start(&l->poll, events, on_poll);
	else
		(void)uv_poll_stop(&l->poll);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct link *l = h->data;
	void (*closed)(void *arg) = l->on_closed;
	void *arg = l->on_closed_arg;

	shim_client_done(&l->client);
	free(l);
	if (closed)
		closed(arg);
}

static void requests_fail(struct link *l)
{
	struct err e;

	(void)err_set(&e, -ECONNRESET, "the shim is gone");
	while (l->requests) {
		struct request *r = l->requests;

		l->requests = r->next;
		r->answer(r->arg, e.code, 0, &e);
		free(r);
	}
}

void link_close(struct link *l, void (*closed)(void *arg), void *arg)
{
	l->closed = true;
	l->on_closed = closed;
	l->on_closed_arg = arg;
	(void)uv_poll_stop(&l->poll);
	requests_fail(l);
	uv_close((uv_handle_t *)&l->poll, on_handle_closed);
}

static void lost(struct link *l)
{
	(void)uv_poll_stop(&l->poll);
	requests_fail(l);
	if (!l->closed)
		l->ops->lost(l->arg);
}

static void on_answer(struct link *l, const struct shim_frame *f)
{
	struct request **at = &l->requests;
	struct shim_error se = {0};
	struct err e = ERR_INIT;
	struct request *r;

	while (*at && (*at)->id != f->id)
		at = &(*at)->next;
	r = *at;
	if (!r)
		return;
	*at = r->next;
	if (f->type == SHIM_ERROR) {
		if (shim_get_error(f, &se) < 0 || se.code == 0 || se.code > 4095)
			(void)err_set(&e, -EPROTO, "the shim sends garbage");
		else
			(void)err_set(&e, -(int)se.code, "%s", se.text);
	}
	r->answer(r->arg, e.code, (int)se.exit_code, &e);
	free(r);
}

/* All frames that are there. false when the link is closed, or one was not taken. */
static bool deliver(struct link *l)
{
	for (;;) {
		struct shim_frame f = l->held;
		int rc = 1;

		if (!l->has_held)
			rc = shim_client_next(&l->client, &f);
		if (rc < 0) {
			lost(l);
			return false;
		}
		if (rc == 0)
			return true;
		if (f.id) {
			on_answer(l, &f);
		} else if (!l->ops->frame(l->arg, &f)) {
			l->held = f;
			l->has_held = true;
			return false;
		}
		if (l->closed)
			return false;
		l->has_held = false;
	}
}

static void flush(struct link *l)
{
	int rc = shim_client_flush(&l->client);

	/* A broken connection shows at the next read, after what the shim said last. */
	if (rc < 0)
		buf_reset(&l->client.out);
	if (rc <= 0 && l->wants_drain) {
		l->wants_drain = false;
		if (l->ops->drain)
			l->ops->drain(l->arg);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct link *l = poll->data;
	int rc = 1;

	(void)status;
	(void)events;
	l->first = false;
	l->busy = true;
	flush(l);
	if (!l->closed && deliver(l)) {
		for (int i = 0; i < TURN_READS && rc > 0; i++) {
			rc = shim_client_read(&l->client);
			if (rc > 0 && !deliver(l))
				break;
		}
		if (rc < 0 && !l->closed) {
			lost(l);
			return;
		}
	}
	l->busy = false;
	watch(l);
}

int link_new(struct link **ret, uv_loop_t *loop, struct shim_client *c, const struct link_ops *ops,
	     void *arg)
{
	struct link *l = xcalloc(1, sizeof *l);
	int rc = uv_poll_init(loop, &l->poll, c->fd);

	if (rc < 0) {
		free(l);
		return rc;
	}
	l->poll.data = l;
	l->client = *c;
	shim_client_init(c);
	l->ops = ops;
	l->arg = arg;
	l->first = true;
	watch(l);
	*ret = l;
	return 0;
}

void link_request(struct link *l, uint16_t type, const uint32_t *v, size_t n, link_answer answer,
		  void *arg)
{
	struct request *r = xcalloc(1, sizeof *r);

	r->id = shim_client_id(&l->client);
	r->answer = answer;
	r->arg = arg;
	r->next = l->requests;
	l->requests = r;
	/* The queue is far larger than what requests can fill while a shim lives. */
	(void)shim_put_u32s(&l->client.out, type, r->id, v, n);
	watch(l);
}

int link_send(struct link *l, uint16_t type, const void *p, size_t n)
{
	int rc = shim_put(&l->client.out, type, 0, p, n);

	if (rc < 0)
		return rc;
	watch(l);
	if (l->client.out.len < SEND_HIGH)
		return 0;
	l->wants_drain = true;
	return 1;
}

void link_resume(struct link *l)
{
	l->first = true;
	watch(l);
}
