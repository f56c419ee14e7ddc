/*
 * Cluster streams: frames over mutual TLS 1.3 over TCP, the only way in which nodes speak. The
 * first frame in each direction (hello) says protocol versions, purpose and features. The
 * certificate proves who the peer is; the listener's owner decides, from the store, whether it may
 * come in. Knows nothing of the store, of raft or of agents. Callers: manager, agent, main.
 *
 * All of it belongs to the loop's thread. Handshakes do their arithmetic on the pool. Frames sent
 * within one turn of the loop leave together, in as few TLS records as they fit.
 *
 * Life of a stream: stream_connect() or a listener's accept callback gives it; its owner's
 * callbacks are `open` (connecting side, at most once), `recv` and `drain` (any number) and
 * `closed` (exactly once, last, always from the loop and never from inside a call of the owner's).
 * After stream_close() nothing but `closed` comes. The stream is gone when `closed` returns.
 * Everything may be called from inside any callback.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/frame.h"
#include "base/limits.h"
#include "base/tls.h"

struct stream;
struct stream_hub;
struct stream_listener;

/* What a stream is for. On the wire: never renumber. */
enum stream_purpose {
	STREAM_RAFT = 1,    /* manager to manager */
	STREAM_SESSION = 2, /* an agent's session with a manager */
	STREAM_CONTROL = 3, /* a follower forwards to the leader */
	STREAM_DATA = 4,    /* logs and exec, dialled out by an agent with a ticket */
	STREAM_JOIN = 5,    /* no client certificate yet (or one that is to be renewed) */
	STREAM_SNAPSHOT =
		6, /* raft's InstallSnapshot, apart so that heartbeats never queue behind it */
};

/* Protocol versions that this build speaks; the highest that both sides speak is used. */
#define STREAM_VERSION_MIN 1
#define STREAM_VERSION_MAX 1

#define STREAM_ADDRESS_MAX 64 /* bytes of "ip:port" or "[ip6]:port" with NUL */

struct stream_peer {
	char node_id[ID_CLUSTER_LEN + 1];   /* "" for a joining node without a certificate */
	char cluster_id[CERT_NAME_MAX + 1]; /* as its certificate says; "" without */
	enum cert_role role;                /* CERT_ROLE_NONE without a certificate */
	int64_t not_after_ns;               /* end of its certificate; INT64_MAX without */
	uint8_t cert_sha256[SHA256_LEN];    /* zero without */
	enum stream_purpose purpose;
	uint16_t version;                 /* agreed protocol version */
	uint64_t features;                /* what both sides have */
	char address[STREAM_ADDRESS_MAX]; /* the remote end of the TCP connection */
};

struct stream_ops {
	/* Connecting side: the peer has let us in. May be NULL. Frames may be sent before it. */
	void (*open)(struct stream *s, void *data);
	/* One frame; `f` and its payload are valid only during the call. */
	void (*recv)(struct stream *s, const struct frame_view *f, void *data);
	/*
	 * The queue had passed LIMIT_STREAM_HIGH (or a send was refused with -ENOBUFS) and has
	 * fallen below a quarter of it. May be NULL.
	 */
	void (*drain)(struct stream *s, void *data);
	/*
	 * The end. `why`: code 0 when this side closed it without a reason; else a negative errno
	 * and a sentence: the peer's reason when it gave one, -ECONNRESET when it vanished,
	 * -EPIPE when it closed, -EKEYEXPIRED when a certificate ended, -EACCES or what the
	 * authoriser said when it did not let us in.
	 */
	void (*closed)(struct stream *s, const struct err *why, void *data);
};

/* One per daemon (a test has several on one loop). All of it may be zero. */
struct stream_hub_conf {
	uint64_t features; /* feature bits of this node */
	int64_t (*wall_ns)(
		void);         /* the time that certificates are judged by; NULL: clock_wall_ns() */
	uint32_t handshake_ms; /* 0: LIMIT_HANDSHAKE_MS */
	/*
	 * Someone who dialled was not let in: for the daemon's log. The address and the reason are
	 * an outsider's doing, so log at a bounded rate.
	 */
	void (*refused)(const char *address, const struct err *why, void *data);
	void *data;
};

/* Also ignores SIGPIPE for the whole process; whoever spawns a program sets it back there. */
struct stream_hub *stream_hub_new(uv_loop_t *loop, const struct stream_hub_conf *conf);
/*
 * The identity for all handshakes from now on (a reference is taken); open streams go on with
 * theirs. NULL: nothing is served, and only joining streams can be dialled.
 */
void stream_hub_set_identity(struct stream_hub *h, struct tls_identity *id);
/* Closes every listener and stream; `cb` (may be NULL) comes once all are gone and `h` is freed. */
void stream_hub_close(struct stream_hub *h, void (*cb)(void *data), void *data);
uv_loop_t *stream_hub_loop(const struct stream_hub *h);
/* Open streams (those let in), and those still shaking hands, of both directions. */
size_t stream_hub_count(const struct stream_hub *h);
size_t stream_hub_handshakes(const struct stream_hub *h);
/*
 * Calls `fn` for each open stream whose peer is `node_id` (NULL: every one). `fn` may close any
 * stream. Stops early when `fn` returns false.
 */
void stream_hub_each(struct stream_hub *h, const char *node_id,
		     bool (*fn)(struct stream *s, void *data), void *data);
/*
 * Closes all streams of a node at once, in whatever state: for a removed node or a changed role.
 * What they had queued is dropped; the peer is told the reason. Returns how many.
 */
size_t stream_hub_close_node(struct stream_hub *h, const char *node_id, int code,
			     const char *reason);

/*
 * A peer has proved who it is and said what it wants. 0 lets it in: the callback must have called
 * stream_start() by then. A negative errno refuses it: the sentence in `e` is sent to the peer,
 * so it must not hold secrets; nothing more is heard of the stream. A worker's certificate is
 * refused for STREAM_RAFT, STREAM_SNAPSHOT and STREAM_CONTROL, and a missing one for all but
 * STREAM_JOIN, before this is asked.
 */
typedef int (*stream_accept_cb)(struct stream *s, const struct stream_peer *peer, void *data,
				struct err *e);

/*
 * Listens on `address` ("ip:port", "[ip6]:port"; port 0 picks one). 0, or -errno with the reason
 * (-EINVAL: not an address). Close before the hub or leave it to stream_hub_close().
 */
int stream_listen(struct stream_hub *h, const char *address, stream_accept_cb accept, void *data,
		  struct stream_listener **ret, struct err *e);
/* The address it listens on, with the real port. */
const char *stream_listener_address(const struct stream_listener *l);
/* No accept callback comes after it; accepted streams stay. */
void stream_listener_close(struct stream_listener *l);

struct stream_target {
	const char *address; /* as for stream_listen(); names are not resolved here */
	enum stream_purpose purpose;
	/* The server must be a manager of the hub's cluster, and this node unless NULL. */
	const char *node_id;
	/*
	 * For STREAM_JOIN without an identity: the root's SHA-256 from the token. It is compared
	 * in constant time, and the server's chain verified under that root, before anything is
	 * sent.
	 */
	const uint8_t *root_sha256;
	uint32_t timeout_ms; /* TCP, handshake and hello together; 0: LIMIT_HANDSHAKE_MS */
};

/*
 * Dials. `t` is only read during the call. 0 and the stream (its `open` or `closed` follows), or
 * -EINVAL (address), -ENOKEY (no identity and no digest), -EMFILE and the like.
 */
int stream_connect(struct stream_hub *h, const struct stream_target *t,
		   const struct stream_ops *ops, void *data, struct stream **ret, struct err *e);
/* An accepted stream gets its owner; also allowed later, to hand a stream on. */
void stream_start(struct stream *s, const struct stream_ops *ops, void *data);

/*
 * Queues a frame (a reference is taken). 0; -ENOBUFS when the queue would pass LIMIT_STREAM_QUEUE
 * (nothing is queued; `drain` follows); -EPIPE when the stream is closing.
 */
int stream_send(struct stream *s, struct frame *f);
/* The same with a copy of `p`; also -EMSGSIZE above LIMIT_FRAME. */
int stream_send_copy(struct stream *s, uint16_t type, const void *p, size_t n);
/* Less than LIMIT_STREAM_HIGH is queued: a good moment to send more. */
bool stream_writable(const struct stream *s);
/* Bytes that wait (with a small allowance a frame). */
size_t stream_queued(const struct stream *s);
/*
 * Stops and resumes `recv`, so that the peer is slowed down by TCP. But for STREAM_DATA the peer
 * takes a pause of LIMIT_STREAM_DEAD_MS (LIMIT_RAFT_DEAD_MS) for death once it has much to send.
 * While paused, the end of the peer is not noticed either.
 */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/*
 * Closes: what is queued is still sent (at most LIMIT_LINGER_MS), then close_notify. `reason`
 * (NULL: none) goes to the peer, with `code` (negative errno). A second call changes nothing.
 */
void stream_close(struct stream *s, int code, const char *reason);
/* The same of a stream, paused or not, whose owner goes: not even `closed` comes any more. */
void stream_leave(struct stream *s, int code, const char *reason);
/* Closes without sending what is queued: a reset. `closed` still comes later. */
void stream_abort(struct stream *s);

const struct stream_peer *stream_peer(const struct stream *s);
struct stream_hub *stream_hub_of(const struct stream *s);
/* Has the stream been let in and not begun to close? */
bool stream_is_open(const struct stream *s);
/* The root under which the peer was verified, for a joining node to keep; NULL before. */
const struct cert *stream_peer_root(const struct stream *s);
