/*
 * See stream.h: the queue of a stream, and its end.
 */
#include "base/stream_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define QUEUE_MIN 8

static void queue_grow(struct frame_queue *q)
{
	size_t cap = q->cap ? q->cap * 2 : QUEUE_MIN;
	struct frame **v = xreallocarray(NULL, cap, sizeof *v);

	for (size_t i = 0; i < q->n; i++)
		v[i] = q->v[(q->head + i) & (q->cap - 1)];
	free(q->v);
	q->v = v;
	q->cap = cap;
	q->head = 0;
}

static size_t frame_cost(const struct frame *f)
{
	return f->len + FRAME_HEADER + FRAME_COST;
}

void stream_queue_push(struct stream *s, struct frame *f, bool front)
{
	struct frame_queue *q = &s->queue;

	if (q->n == q->cap)
		queue_grow(q);
	if (front)
		q->head = (q->head - 1) & (q->cap - 1);
	q->v[(q->head + (front ? 0 : q->n)) & (q->cap - 1)] = frame_ref(f);
	q->n++;
	s->queued += frame_cost(f);
	stream_mark_dirty(s);
}

void stream_queue_drop(struct stream *s)
{
	struct frame_queue *q = &s->queue;
	size_t keep = s->head_done && s->state < STREAM_CLOSED;

	while (q->n > keep) {
		struct frame *f = q->v[(q->head + q->n - 1) & (q->cap - 1)];

		s->queued -= frame_cost(f);
		frame_unref(f);
		q->n--;
	}
	if (q->n == 0) {
		free(q->v);
		*q = (struct frame_queue){0};
		s->head_done = 0;
	}
}

int stream_send(struct stream *s, struct frame *f)
{
	if (s->state >= STREAM_CLOSING || s->broken)
		return -EPIPE;
	if (s->queued + frame_cost(f) > LIMIT_STREAM_QUEUE) {
		s->want_drain = true;
		return -ENOBUFS;
	}
	stream_queue_push(s, f, false);
	if (s->queued >= LIMIT_STREAM_HIGH)
		s->want_drain = true;
	return 0;
}

int stream_send_copy(struct stream *s, uint16_t type, const void *p, size_t n)
{
	auto_frame *f = frame_copy(type, p, n);

	return f ? stream_send(s, f) : -EMSGSIZE;
}

bool stream_writable(const struct stream *s)
{
	return s->state < STREAM_CLOSING && !s->broken && s->queued < LIMIT_STREAM_HIGH;
}

size_t stream_queued(const struct stream *s)
{
	return s->queued;
}

void stream_pause(struct stream *s)
{
	if (s->state >= STREAM_CLOSING)
		return;
	s->paused = true;
	if (s->state == STREAM_OPEN)
		stream_read_off(s);
}

void stream_resume(struct stream *s)
{
	if (!s->paused || s->state >= STREAM_CLOSING)
		return;
	s->paused = false;
	s->resume = true; /* kept frames come from the loop, not from inside this call */
	stream_mark_dirty(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct stream *s = handle->data;

	s->handle_closed = true;
	stream_settle(s);
}

/* The last state: nothing is read, written or waited for any more. */
static bool stream_begin_closed(struct stream *s)
{
	if (s->state == STREAM_CLOSED)
		return false;
	s->state = STREAM_CLOSED;
	stream_clear_deadline(s);
	stream_queue_drop(s);
	if (s->in_pool)
		(void)uv_cancel((uv_req_t *)&s->work);
	return true;
}

void stream_finish(struct stream *s)
{
	if (stream_begin_closed(s))
		uv_close((uv_handle_t *)&s->tcp, on_handle_closed);
}

void stream_abort(struct stream *s)
{
	if (s->state < STREAM_CLOSING)
		(void)err_set(&s->why, 0, "closed");
	if (!stream_begin_closed(s))
		return;
	if (uv_tcp_close_reset(&s->tcp, on_handle_closed) < 0)
		uv_close((uv_handle_t *)&s->tcp, on_handle_closed);
}

/* Sends the reason (if any) and goodbye, and waits for the peer to go. */
static void stream_begin_closing(struct stream *s, const char *reason)
{
	if (s->state < STREAM_HELLO || s->broken) {
		stream_finish(s);
		return;
	}
	s->state = STREAM_CLOSING;
	s->paused = false;
	if (reason) {
		auto_frame *bye = bye_write(s->why.code, reason);

		stream_queue_push(s, bye, false);
	}
	stream_set_deadline(s, LIMIT_LINGER_MS);
	stream_mark_dirty(s);
	(void)stream_read_on(s);
}

void stream_close(struct stream *s, int code, const char *reason)
{
	if (s->state >= STREAM_CLOSING)
		return;
	(void)err_set(&s->why, reason ? code : 0, "%s", reason ? reason : "closed");
	stream_begin_closing(s, reason);
}

void stream_fail(struct stream *s, bool tell, int code, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list args;

	if (s->state >= STREAM_CLOSING)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	(void)err_set(&s->why, code, "%s", text);
	stream_queue_drop(s);
	stream_begin_closing(s, tell ? text : NULL);
}

static void left_recv(struct stream *s, const struct frame_view *f, void *data)
{
	(void)s;
	(void)f;
	(void)data;
}

static void left_closed(struct stream *s, const struct err *why, void *data)
{
	(void)s;
	(void)why;
	(void)data;
}

void stream_leave(struct stream *s, int code, const char *reason)
{
	static const struct stream_ops ops = {.recv = left_recv, .closed = left_closed};

	stream_start(s, &ops, NULL);
	stream_resume(s); /* its end is read as well */
	stream_close(s, code, reason);
}

void stream_start(struct stream *s, const struct stream_ops *ops, void *data)
{
	assert(ops->recv && ops->closed);
	s->ops = ops;
	s->data = data;
}

const struct stream_peer *stream_peer(const struct stream *s)
{
	return &s->peer;
}

struct stream_hub *stream_hub_of(const struct stream *s)
{
	return s->hub;
}

bool stream_is_open(const struct stream *s)
{
	return s->state == STREAM_OPEN;
}

const struct cert *stream_peer_root(const struct stream *s)
{
	return s->tls_up ? s->tls.peer_root : NULL;
}
