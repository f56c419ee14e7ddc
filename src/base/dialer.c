/*
 * See dialer.h.
 */
#include "base/dialer.h"

#include <string.h>

#include "base/id.h"

#define STEADY_MS 8000 /* a stream that lasted so long wipes out earlier failures */

static void dialer_dial(struct dialer *d);

static void on_timer(uv_timer_t *timer)
{
	dialer_dial(timer->data);
}

static void dialer_wait(struct dialer *d, const struct err *why, bool was_open)
{
	uint32_t wait_ms = d->kicked ? 0 : backoff_next_ms(&d->backoff, random_u64());

	d->kicked = false;
	(void)uv_timer_start(&d->timer, on_timer, wait_ms, 0);
	if (d->ops->lost)
		d->ops->lost(why, was_open, wait_ms, d->data);
}

static void on_open(struct stream *s, void *data)
{
	struct dialer *d = data;

	d->opened_ms = uv_now(d->timer.loop);
	d->is_open = true;
	if (d->ops->open && !d->closing)
		d->ops->open(s, d->data);
}

static void on_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct dialer *d = data;

	if (!d->closing)
		d->ops->recv(s, f, d->data);
}

static void on_drain(struct stream *s, void *data)
{
	struct dialer *d = data;

	if (d->ops->drain && !d->closing)
		d->ops->drain(s, d->data);
}

static void dialer_settle(struct dialer *d)
{
	if (d->closing && !d->stream && d->timer_closed && d->closed)
		d->closed(d, d->data);
}

static void on_closed(struct stream *s, const struct err *why, void *data)
{
	struct dialer *d = data;
	bool was_open = d->is_open;

	d->stream = NULL;
	d->is_open = false;
	if (d->closing) {
		dialer_settle(d);
		return;
	}
	if (was_open && uv_now(d->timer.loop) - d->opened_ms >= STEADY_MS)
		backoff_reset(&d->backoff);
	dialer_wait(d, why, was_open);
}

static const struct stream_ops dialer_stream_ops = {
	.open = on_open, .recv = on_recv, .drain = on_drain, .closed = on_closed};

static void dialer_dial(struct dialer *d)
{
	struct stream_target target = {0};
	struct err e = ERR_INIT;
	int rc;

	if (d->stream || d->closing)
		return;
	rc = d->ops->target(&target, d->data, &e);
	if (d->closing)
		return;
	if (rc == 0)
		rc = stream_connect(d->hub, &target, &dialer_stream_ops, d, &d->stream, &e);
	if (rc < 0)
		dialer_wait(d, &e, false);
}

void dialer_start(struct dialer *d, struct stream_hub *h, const struct dialer_ops *ops, void *data)
{
	*d = (struct dialer){.hub = h, .ops = ops, .data = data, .backoff = BACKOFF_INIT};
	(void)uv_timer_init(stream_hub_loop(h), &d->timer);
	d->timer.data = d;
	(void)uv_timer_start(&d->timer, on_timer, 0, 0);
}

void dialer_set_backoff(struct dialer *d, uint32_t min_ms, uint32_t max_ms)
{
	d->backoff = (struct backoff){.min_ms = min_ms, .max_ms = max_ms};
}

struct stream *dialer_stream(const struct dialer *d)
{
	return d->stream && stream_is_open(d->stream) ? d->stream : NULL;
}

void dialer_kick(struct dialer *d)
{
	if (d->closing || dialer_stream(d))
		return;
	backoff_reset(&d->backoff);
	d->kicked = d->stream != NULL;
	if (d->stream) /* to an address that may be out of date */
		stream_abort(d->stream);
	else
		(void)uv_timer_start(&d->timer, on_timer, 0, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct dialer *d = handle->data;

	d->timer_closed = true;
	dialer_settle(d);
}

void dialer_close(struct dialer *d, void (*cb)(struct dialer *d, void *data))
{
	if (d->closing)
		return;
	d->closing = true;
	d->closed = cb;
	if (d->stream)
		stream_close(d->stream, 0, NULL);
	uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}
