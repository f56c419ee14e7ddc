/*
 * What the files of stream.h share: stream.c (the queue and the end), stream_io.c (bytes to frames
 * and back), stream_shake.c (handshake and hello), stream_hub.c (lists and timers),
 * stream_listen.c, stream_connect.c. Nobody else includes it.
 */
#pragma once

#include <utlist.h>

#include "base/stream.h"
#include "base/stream_hello.h"
#include "base/tls_session.h"

/* Only forward, one or more steps at a time. */
enum stream_state {
	STREAM_DIAL,    /* TCP is connecting */
	STREAM_SHAKE,   /* TLS handshake; a job on the pool may own `tls` and the two buffers */
	STREAM_HELLO,   /* TLS is up; waiting for the peer's hello */
	STREAM_OPEN,    /* let in */
	STREAM_CLOSING, /* sends what is left, says goodbye, waits for the peer to go */
	STREAM_CLOSED, /* the socket is being closed; `closed` comes when that and the pool are done
			*/
};

/* Frames that wait: a ring that doubles. */
struct frame_queue {
	struct frame **v;
	size_t cap, head, n;
};

struct stream {
	struct stream *prev, *next;             /* of hub->streams */
	struct stream *dirty_prev, *dirty_next; /* of hub->dirty */
	struct stream *timed_prev, *timed_next; /* of hub->timed */
	struct stream_hub *hub;
	struct stream_listener *listener; /* until the stream is let in */
	const struct stream_ops *ops;
	void *data;
	enum stream_state state;
	struct stream_peer peer;
	struct err why;
	struct tls tls;

	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_shutdown_t shutdown;
	uv_work_t work;
	int work_rc;
	struct buf shake_in, shake_out; /* ciphertext of the handshake */

	struct frame_queue queue;
	size_t head_done; /* bytes of the first frame, header included, that have been encrypted */
	size_t queued;
	unsigned writes; /* in flight: the kernel has no room at the moment */
	struct frame_reader reader;

	uint64_t deadline_ms; /* loop time; while in hub->timed */
	uint64_t heard_ms;    /* loop time of the last byte during the handshake */
	bool accepted;        /* dialled by the peer */
	bool was_open;
	bool slot;    /* counts against LIMIT_HANDSHAKES */
	bool joining; /* counts against LIMIT_JOINS */
	bool in_pool; /* a handshake job is queued or running */
	bool tls_up;
	bool broken; /* writing has failed: only what the peer still said is of interest */
	bool shut;   /* goodbye and FIN are on their way */
	bool paused, reading, resume;
	bool want_drain;
	bool dirty, timed, handle_closed;
};

struct stream_hub {
	uv_loop_t *loop;
	struct stream_hub_conf conf;
	struct tls_identity *identity;
	struct stream *streams, *dirty, *timed;
	struct stream_listener *listeners;
	size_t count, accepted, open, handshakes, slots, joins;
	uv_idle_t idle;    /* runs while `dirty` holds streams */
	uv_timer_t tick;   /* runs while `timed` holds streams */
	uv_timer_t expiry; /* the next end of a certificate */
	int64_t expiry_ns; /* wall time it is set for; INT64_MAX unset */
	struct buf out;    /* ciphertext on its way to the kernel, within one call */
	uint8_t *in;       /* what was read, within one call */
	uint8_t *plain;
	bool closing;
	int handles; /* open handles of the hub itself */
	void (*closed)(void *data);
	void *closed_data;
};

struct stream_listener {
	struct stream_listener *prev, *next;
	struct stream_hub *hub;
	uv_tcp_t tcp;
	stream_accept_cb accept;
	void *data;
	bool waiting; /* a connection waits for a slot */
	bool closing;
	char address[STREAM_ADDRESS_MAX];
};

#define STREAM_IN_SIZE (256u << 10)    /* bytes read from a socket at once */
#define STREAM_PLAIN_SIZE (256u << 10) /* bytes decrypted before frames are cut */
#define STREAM_OUT_BATCH (256u << 10)  /* bytes encrypted before they are written */
#define STREAM_OUT_TURN (1u << 20)     /* bytes one stream may send in one turn of the loop */
#define TLS_RECORD (16u << 10)
#define FRAME_COST 64 /* what a waiting frame counts beyond its bytes */

/* stream_hub.c */
struct stream *stream_new(struct stream_hub *h, bool accepted);
/* The socket is gone: tells the owner, then frees, unless the pool still has the stream. */
void stream_settle(struct stream *s);
void stream_mark_dirty(struct stream *s);
void stream_set_deadline(struct stream *s, uint32_t after_ms);
void stream_clear_deadline(struct stream *s);
void stream_watch_expiry(struct stream *s);
void stream_release_slot(struct stream *s);
/* Ends the hub once it closes and nothing is left of it. */
void hub_check_closed(struct stream_hub *h);
int64_t hub_wall_ns(const struct stream_hub *h);

/* stream.c */
void stream_queue_push(struct stream *s, struct frame *f, bool front);
/* Forgets the queue but for a frame that has been sent in part. */
void stream_queue_drop(struct stream *s);
/* The stream ends for this reason (which is also sent when `tell`). */
void stream_fail(struct stream *s, bool tell, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Closes the socket now. */
void stream_finish(struct stream *s);

/* stream_io.c */
void stream_flush(struct stream *s);
/* Writes ciphertext that no record of the queue follows yet (handshake, goodbye). */
void stream_write_raw(struct stream *s, const uint8_t *p, size_t n);
int stream_read_on(struct stream *s);
void stream_read_off(struct stream *s);
/* Ciphertext of an established session. */
void stream_take(struct stream *s, const uint8_t *p, size_t n);
/* Frames that were kept while the stream was paused. */
void stream_dispatch_kept(struct stream *s);

/* stream_shake.c */
void stream_shake_start(struct stream *s);
void stream_shake_more(struct stream *s, const uint8_t *p, size_t n);
void stream_hello_frame(struct stream *s, const struct frame_view *f);
/* TCP options by what the stream is for; 0: not known yet. */
void stream_tune(struct stream *s, int purpose);

/* stream_listen.c */
void listeners_accept(struct stream_hub *h);
bool listeners_waiting(const struct stream_hub *h);

/* stream_address.c: "ip:port" or "[ip6]:port". */
int stream_address_parse(const char *text, struct sockaddr_storage *ret);
void stream_address_format(const struct sockaddr_storage *a, char ret[STREAM_ADDRESS_MAX]);
