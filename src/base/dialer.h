/*
 * Keeps one stream to a peer: dials, and dials again with jittered backoff (100 ms to 8 s) when the
 * dial fails or the stream ends. Callers: raft's connections between managers, an agent's session.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/backoff.h"
#include "base/stream.h"

struct dialer_ops {
	/*
	 * Where to dial now; the strings must stay valid until it returns to the loop. -errno (with
	 * the reason) when there is nowhere yet: tried again after the backoff.
	 */
	int (*target)(struct stream_target *ret, void *data, struct err *e);
	void (*open)(struct stream *s, void *data);
	void (*recv)(struct stream *s, const struct frame_view *f, void *data);
	void (*drain)(struct stream *s, void *data); /* may be NULL */
	/* The stream ended or could not be had (`was_open` says which). Dialled again in `wait_ms`.
	 */
	void (*lost)(const struct err *why, bool was_open, uint32_t wait_ms, void *data);
};

/* In place; the fields are the dialer's own. */
struct dialer {
	struct stream_hub *hub;
	const struct dialer_ops *ops;
	void *data;
	struct stream *stream; /* being dialled or open */
	uv_timer_t timer;
	struct backoff backoff;
	uint64_t opened_ms; /* loop time */
	bool is_open, kicked, closing, timer_closed;
	void (*closed)(struct dialer *d, void *data);
};

/*
 * Starts; close it before the hub closes. The first dial leaves in the next turn of the loop.
 */
void dialer_start(struct dialer *d, struct stream_hub *h, const struct dialer_ops *ops, void *data);
/*
 * Other bounds than 100 ms to 8 s: managers come back to each other within a second, since a healed
 * partition waits for it.
 */
void dialer_set_backoff(struct dialer *d, uint32_t min_ms, uint32_t max_ms);
/* The open stream, or NULL. */
struct stream *dialer_stream(const struct dialer *d);
/*
 * Forgets the backoff and dials at once unless a stream is open: the peer has a new address, or has
 * just dialled us, so that it is there.
 */
void dialer_kick(struct dialer *d);
/* `cb` (may be NULL) comes once nothing uses `d` any more. No other callback comes after the call.
 */
void dialer_close(struct dialer *d, void (*cb)(struct dialer *d, void *data));
