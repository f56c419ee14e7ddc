/*
 * See stream.h: what all streams of a daemon share. Streams with something to send are flushed once
 * a turn of the loop; those that may not last (dialling, shaking hands, joining, closing) have a
 * deadline that one timer looks at; one more timer waits for the next certificate to end.
 */
#include "base/stream_impl.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define TICK_MS 50
#define EXPIRY_LOOK_MS 60000 /* looks at least so often, since clocks may be set */

/* Room for a batch, one record more, and what TLS adds. */
#define OUT_MAX (STREAM_OUT_BATCH + 4 * TLS_RECORD)

int64_t hub_wall_ns(const struct stream_hub *h)
{
	return h->conf.wall_ns ? h->conf.wall_ns() : clock_wall_ns();
}

static void hub_flush(uv_idle_t *idle)
{
	struct stream_hub *h = idle->data;
	struct stream *turn = h->dirty, *s;

	/* Streams that become dirty from here on have their turn in the next round. */
	h->dirty = NULL;
	(void)uv_idle_stop(idle);
	while ((s = turn)) {
		DL_DELETE2(turn, s, dirty_prev, dirty_next);
		s->dirty = false;
		if (s->resume)
			stream_dispatch_kept(s);
		stream_flush(s);
	}
}

void stream_mark_dirty(struct stream *s)
{
	struct stream_hub *h = s->hub;

	if (s->dirty || s->state == STREAM_CLOSED)
		return;
	s->dirty = true;
	if (!h->dirty)
		(void)uv_idle_start(&h->idle, hub_flush);
	DL_APPEND2(h->dirty, s, dirty_prev, dirty_next);
}

/* The deadline has come, or others wait and this one has said nothing for a while. */
static void stream_overdue(struct stream *s, bool slow)
{
	if (s->state >= STREAM_CLOSING || s->broken)
		stream_finish(s);
	else if (s->state == STREAM_OPEN)
		stream_close(s, -ETIMEDOUT, "this stream may not last so long");
	else
		stream_fail(s, s->state == STREAM_HELLO, -ETIMEDOUT,
			    slow ? "%s was silent during the handshake while others waited"
				 : "no answer from %s in time",
			    s->peer.address);
}

static bool stream_slow(const struct stream *s, uint64_t now)
{
	return s->accepted && (s->state == STREAM_SHAKE || s->state == STREAM_HELLO) &&
	       !s->in_pool && now - s->heard_ms >= LIMIT_HANDSHAKE_SLOW_MS;
}

static void hub_tick(uv_timer_t *timer)
{
	struct stream_hub *h = timer->data;
	bool waiting = listeners_waiting(h);
	uint64_t now = uv_now(h->loop);
	struct stream *s, *next;

	/* What is called here closes streams but takes at most this one off the list. */
	DL_FOREACH_SAFE2(h->timed, s, next, timed_next)
	{
		if (now >= s->deadline_ms)
			stream_overdue(s, false);
		else if (waiting && stream_slow(s, now))
			stream_overdue(s, true);
	}
}

void stream_set_deadline(struct stream *s, uint32_t after_ms)
{
	struct stream_hub *h = s->hub;

	s->deadline_ms = uv_now(h->loop) + after_ms;
	if (s->timed)
		return;
	s->timed = true;
	if (!h->timed)
		(void)uv_timer_start(&h->tick, hub_tick, TICK_MS, TICK_MS);
	DL_APPEND2(h->timed, s, timed_prev, timed_next);
}

void stream_clear_deadline(struct stream *s)
{
	if (!s->timed)
		return;
	s->timed = false;
	DL_DELETE2(s->hub->timed, s, timed_prev, timed_next);
	if (!s->hub->timed)
		(void)uv_timer_stop(&s->hub->tick);
}

static void hub_expire(uv_timer_t *timer);

static void hub_expiry_arm(struct stream_hub *h)
{
	int64_t wait_ms = (h->expiry_ns - hub_wall_ns(h)) / NS_PER_MS + 1;

	if (h->expiry_ns == INT64_MAX) {
		(void)uv_timer_stop(&h->expiry);
		return;
	}
	wait_ms = MAX_OF(MIN_OF(wait_ms, (int64_t)EXPIRY_LOOK_MS), (int64_t)1);
	(void)uv_timer_start(&h->expiry, hub_expire, (uint64_t)wait_ms, 0);
}

static void hub_expire(uv_timer_t *timer)
{
	struct stream_hub *h = timer->data;
	int64_t now = hub_wall_ns(h);
	struct stream *s;

	h->expiry_ns = INT64_MAX;
	DL_FOREACH (h->streams, s) {
		if (s->state != STREAM_OPEN)
			continue;
		if (s->peer.not_after_ns <= now)
			stream_close(s, -EKEYEXPIRED, "the certificate of this node has ended");
		else
			h->expiry_ns = MIN_OF(h->expiry_ns, s->peer.not_after_ns);
	}
	hub_expiry_arm(h);
}

void stream_watch_expiry(struct stream *s)
{
	struct stream_hub *h = s->hub;

	if (s->peer.not_after_ns >= h->expiry_ns)
		return;
	h->expiry_ns = s->peer.not_after_ns;
	hub_expiry_arm(h);
}

struct stream *stream_new(struct stream_hub *h, bool accepted)
{
	struct stream *s = xcalloc(1, sizeof *s);

	s->hub = h;
	s->accepted = accepted;
	s->slot = accepted;
	s->heard_ms = uv_now(h->loop);
	s->peer.not_after_ns = INT64_MAX;
	(void)uv_tcp_init(h->loop, &s->tcp);
	s->tcp.data = s;
	buf_init(&s->shake_in, LIMIT_HANDSHAKE_BYTES + STREAM_IN_SIZE);
	buf_init(&s->shake_out, LIMIT_HANDSHAKE_BYTES);
	frame_reader_init(&s->reader, HELLO_MAX);
	DL_APPEND(h->streams, s);
	h->count++;
	h->accepted += accepted;
	h->slots += accepted;
	h->handshakes++;
	return s;
}

void stream_release_slot(struct stream *s)
{
	if (!s->slot)
		return;
	s->slot = false;
	s->hub->slots--;
	listeners_accept(s->hub); /* the next one in the backlog */
}

static void hub_settle(struct stream_hub *h)
{
	void (*cb)(void *) = h->closed;
	void *data = h->closed_data;

	if (!h->closing || h->handles)
		return;
	tls_identity_unref(h->identity);
	buf_done(&h->out);
	free(h->in);
	free(h->plain);
	free(h);
	if (cb)
		cb(data);
}

static void on_hub_handle_closed(uv_handle_t *handle)
{
	struct stream_hub *h = handle->data;

	h->handles--;
	hub_settle(h);
}

/* Once streams and listeners are gone, the hub's own timers go. */
void hub_check_closed(struct stream_hub *h)
{
	if (!h->closing || h->streams || h->listeners || uv_is_closing((uv_handle_t *)&h->idle))
		return;
	uv_close((uv_handle_t *)&h->idle, on_hub_handle_closed);
	uv_close((uv_handle_t *)&h->tick, on_hub_handle_closed);
	uv_close((uv_handle_t *)&h->expiry, on_hub_handle_closed);
}

static void stream_forget(struct stream *s)
{
	struct stream_hub *h = s->hub;

	DL_DELETE(h->streams, s);
	if (s->dirty)
		DL_DELETE2(h->dirty, s, dirty_prev, dirty_next);
	h->count--;
	h->accepted -= s->accepted;
	h->joins -= s->joining;
	if (s->was_open)
		h->open--;
	else
		h->handshakes--;
	s->state = STREAM_CLOSED;
	stream_release_slot(s);
	tls_done(&s->tls);
	frame_reader_done(&s->reader);
	buf_done(&s->shake_in);
	buf_done(&s->shake_out);
	free(s);
	listeners_accept(h); /* there may be room again below LIMIT_STREAMS */
}

void stream_settle(struct stream *s)
{
	struct stream_hub *h = s->hub;

	if (!s->handle_closed || s->in_pool)
		return;
	if (s->ops)
		s->ops->closed(s, &s->why, s->data);
	if (s->accepted && !s->was_open && h->conf.refused && s->why.code)
		h->conf.refused(s->peer.address, &s->why, h->conf.data);
	stream_forget(s);
	hub_check_closed(h);
}

static void hub_handle_init(struct stream_hub *h, uv_handle_t *handle)
{
	handle->data = h;
	h->handles++;
}

struct stream_hub *stream_hub_new(uv_loop_t *loop, const struct stream_hub_conf *conf)
{
	struct stream_hub *h = xcalloc(1, sizeof *h);

	(void)signal(SIGPIPE, SIG_IGN); /* libuv writes without MSG_NOSIGNAL */
	h->loop = loop;
	h->conf = *conf;
	if (!h->conf.handshake_ms)
		h->conf.handshake_ms = LIMIT_HANDSHAKE_MS;
	h->expiry_ns = INT64_MAX;
	buf_init(&h->out, OUT_MAX);
	h->in = xmalloc(STREAM_IN_SIZE);
	h->plain = xmalloc(STREAM_PLAIN_SIZE);
	(void)uv_idle_init(loop, &h->idle);
	(void)uv_timer_init(loop, &h->tick);
	(void)uv_timer_init(loop, &h->expiry);
	hub_handle_init(h, (uv_handle_t *)&h->idle);
	hub_handle_init(h, (uv_handle_t *)&h->tick);
	hub_handle_init(h, (uv_handle_t *)&h->expiry);
	return h;
}

void stream_hub_set_identity(struct stream_hub *h, struct tls_identity *id)
{
	struct tls_identity *old = h->identity;

	h->identity = id ? tls_identity_ref(id) : NULL;
	tls_identity_unref(old);
}

void stream_hub_close(struct stream_hub *h, void (*cb)(void *data), void *data)
{
	struct stream_listener *l, *next;
	struct stream *s;

	h->closing = true;
	h->closed = cb;
	h->closed_data = data;
	DL_FOREACH_SAFE(h->listeners, l, next)
	{
		stream_listener_close(l);
	}
	DL_FOREACH (h->streams, s) {
		stream_close(s, -ESHUTDOWN, "the node is stopping");
	}
	hub_check_closed(h);
}

uv_loop_t *stream_hub_loop(const struct stream_hub *h)
{
	return h->loop;
}

size_t stream_hub_count(const struct stream_hub *h)
{
	return h->open;
}

size_t stream_hub_handshakes(const struct stream_hub *h)
{
	return h->handshakes;
}

void stream_hub_each(struct stream_hub *h, const char *node_id,
		     bool (*fn)(struct stream *s, void *data), void *data)
{
	struct stream *s;

	/* A stream leaves the list only from the loop, so `fn` may close whichever it likes. */
	DL_FOREACH (h->streams, s) {
		if (s->state == STREAM_OPEN &&
		    (!node_id || strcmp(s->peer.node_id, node_id) == 0) && !fn(s, data))
			return;
	}
}

size_t stream_hub_close_node(struct stream_hub *h, const char *node_id, int code,
			     const char *reason)
{
	struct stream *s;
	size_t n = 0;

	DL_FOREACH (h->streams, s) {
		if (s->state >= STREAM_CLOSING || strcmp(s->peer.node_id, node_id) != 0)
			continue;
		stream_fail(s, true, code, "%s", reason);
		n++;
	}
	return n;
}
