/*
 * The HTTP/1.1 server of the daemon: on its loop thread, over unix sockets and TCP. A request is
 * answered at once, later, piece by piece, or by handing its connection over. It knows nothing
 * of routes, JSON or containers; src/api calls it. libmicrohttpd stays behind this header.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/http_url.h"

struct http_server;
struct http_req;
struct http_stream;
struct http_hijack;

struct http_server_opts {
	/*
	 * Called once a request's headers are there, before its body. It must either answer, or ask
	 * for the body (http_req_read_body, http_req_stream_body), or keep the request and do one
	 * of these later; every request is answered exactly once, also after its client has gone.
	 */
	void (*request)(struct http_req *req, void *data);
	void *data;
	unsigned clients_max; /* connections at once; 0: LIMIT_HTTP_CLIENTS */
	unsigned idle_ms;   /* of a connection between or within requests; 0: LIMIT_HTTP_IDLE_MS */
	unsigned header_ms; /* from request line to last header; 0: LIMIT_HTTP_HEADER_MS */
};

/* Starts a server without any socket. 0 or -errno. */
int http_server_new(uv_loop_t *loop, const struct http_server_opts *opts, struct http_server **ret,
		    struct err *e);
/*
 * Listens at "unix:///path", "tcp://address:port" (port 0: any) or "fd://" (all descriptors given
 * by systemd) as well. `group` (name or number, NULL: the daemon's own) may use a unix socket,
 * whose mode is 0660; a dead socket file is replaced, a live one is -EADDRINUSE.
 */
int http_server_listen(struct http_server *s, const char *url, const char *group, struct err *e);
/* The same for a listening descriptor, which is the server's from now on, also on failure. */
int http_server_listen_fd(struct http_server *s, int fd, struct err *e);
/* The port of the last TCP listener, 0 when there is none. */
unsigned http_server_port(const struct http_server *s);
/* Adds a header to every answer from now on ("Server", "Api-Version", "Ostype"). */
void http_server_header(struct http_server *s, const char *name, const char *value);
/* Connections that are open now, hijacked ones included. */
unsigned http_server_clients(const struct http_server *s);
/*
 * Stops listening, removes its socket files, tells every stream and hijack that it is over (their
 * `gone` and `closed` callbacks), lets other requests finish for `grace_ms`, cuts what is left,
 * then calls `closed` from the loop; the server is freed after it. Requests that have not been
 * answered by then stay valid until they are.
 */
void http_server_close(struct http_server *s, unsigned grace_ms, void (*closed)(void *data),
		       void *data);

/* The request line, valid as long as the request. */
const char *http_req_method(const struct http_req *req); /* "GET" */
const char *http_req_path(const struct http_req *req);   /* decoded, begins with '/' */
const struct http_query *http_req_query(const struct http_req *req);
/* A query value by name: "" when it has none, NULL when it is missing. */
const char *http_req_arg(const struct http_req *req, const char *name);
/* A header by name in any case; NULL when it is missing or the client has gone. */
const char *http_req_header(const struct http_req *req, const char *name);
/* Bytes of the body: 0 none, -1 chunked (not known before). */
int64_t http_req_content_length(const struct http_req *req);
/* True when the client asked for "Connection: Upgrade". */
bool http_req_upgrade(const struct http_req *req);
struct http_server *http_req_server(const struct http_req *req);

/*
 * The owner's state. `gone` (may be NULL) is called at most once, from the loop, when the client
 * goes away or the server stops before the answer was complete: cancel the work, then still answer
 * (or end the stream), which frees the request. `done` (may be NULL) is called when the request is
 * freed, whatever happened; free the state there.
 */
void http_req_own(struct http_req *req, void *state,
		  void (*gone)(struct http_req *req, void *state), void (*done)(void *state));
void *http_req_state(const struct http_req *req);
bool http_req_is_gone(const struct http_req *req);

/*
 * Collects the body, then calls `ready` (the buffer is the request's). Larger than `max` bytes is
 * answered by `ready` with e->code -EMSGSIZE, an aborted upload with -ECONNRESET; the handler still
 * answers.
 */
typedef void (*http_body_fn)(struct http_req *req, struct buf *body, const struct err *e,
			     void *data);
void http_req_read_body(struct http_req *req, size_t max, http_body_fn ready, void *data);

/*
 * Streams the body: `piece` gets the next bytes and says how many it took; fewer than `len`
 * stops the client until http_req_resume_body(). It is called with len 0 and e NULL at the end, and
 * with e set (-ECONNRESET) when the client went away in between. A negative errno stops reading:
 * the handler answers then, and the connection is closed after the answer.
 */
typedef ssize_t (*http_piece_fn)(struct http_req *req, const void *p, size_t len,
				 const struct err *e, void *data);
void http_req_stream_body(struct http_req *req, http_piece_fn piece, void *data);
void http_req_resume_body(struct http_req *req);

/* Adds a header to this answer. Before the answer only. */
void http_reply_header(struct http_req *req, const char *name, const char *value);

/*
 * Answers with all of `body` (its content is taken; NULL for none). `type` is the Content-Type,
 * NULL for none. The request is not the caller's after this call. All answers may be given from
 * within the request callback or any time later on the loop thread.
 */
void http_reply(struct http_req *req, int status, const char *type, struct buf *body);

/*
 * Answers piece by piece as the client takes it: `pull` adds the next piece to `out` and returns 1
 * while there is more, 0 at the end, -errno to cut the connection. A piece that is above
 * LIMIT_HTTP_PIECE should be one that cannot be cut (an object's JSON); above LIMIT_HTTP_ANSWER the
 * connection is cut. `done` is called once at the end, with success or not.
 */
struct http_pull {
	int (*pull)(void *data, struct buf *out);
	void (*done)(void *data);
	void *data;
};
void http_reply_pull(struct http_req *req, int status, const char *type,
		     const struct http_pull *pull);

/*
 * Answers as things happen: the headers leave at once, then what is written. Valid until
 * http_stream_end() or http_stream_abort(), also after the client has gone (`gone` of
 * http_req_own); `req` stays valid as long. The queue is bounded by `queue_max` bytes (0:
 * LIMIT_HTTP_STREAM).
 */
struct http_stream *http_reply_stream(struct http_req *req, int status, const char *type,
				      size_t queue_max);
/* Queues all of it, or nothing. 0, -ENOBUFS: the queue is full (wait for `drain`), -EPIPE: gone. */
int http_stream_write(struct http_stream *st, const void *p, size_t len);
/* Bytes that fit into the queue now. */
size_t http_stream_room(const struct http_stream *st);
/* `drain` is called each time the queue has become at least half empty after it refused a write. */
void http_stream_on_drain(struct http_stream *st, void (*drain)(struct http_stream *st, void *data),
			  void *data);
/* Ends the answer properly once the queue has left, or cuts the connection. */
void http_stream_end(struct http_stream *st);
void http_stream_abort(struct http_stream *st);

/*
 * Takes the connection over: "101 UPGRADED" when the client asked for an upgrade, else "200 OK"
 * with no length; raw bytes both ways follow, the ones that the client has already sent included.
 * All callbacks come from the loop. `opened` gets the connection, or NULL when the client was
 * already gone (the only callback then); the request is done after it.
 */
struct http_hijack_cb {
	void (*opened)(struct http_hijack *h, void *data);
	void (*read)(struct http_hijack *h, const void *p, size_t len, void *data);
	void (*eof)(struct http_hijack *h,
		    void *data); /* the client sends no more; it still reads */
	void (*drain)(struct http_hijack *h, void *data); /* half empty after a refused write */
	/* The connection is lost or the server stops: call http_hijack_close(). At most once. */
	void (*lost)(struct http_hijack *h, void *data);
	void *data;
};
void http_reply_hijack(struct http_req *req, const char *type, const struct http_hijack_cb *cb);
/* Queues all of it, or nothing. 0, -ENOBUFS: more than LIMIT_HTTP_STREAM waits, -EPIPE: lost. */
int http_hijack_write(struct http_hijack *h, const void *p, size_t len);
/* Stops and continues reading, so that a slow container does not make the queue grow. */
void http_hijack_pause(struct http_hijack *h, bool paused);
/* Sends end of file once the queue has left; reading goes on. */
void http_hijack_end(struct http_hijack *h);
/* Sends what is queued (for at most LIMIT_HTTP_LINGER_MS), closes and frees; no callback follows.
 */
void http_hijack_close(struct http_hijack *h);
/*
 * Instead of all the above, from within `opened` only: the descriptor (non-blocking) is the
 * caller's, `h` is freed later by itself. `ret_early` gets the bytes that came with the request.
 * The descriptor or -errno.
 */
int http_hijack_take_fd(struct http_hijack *h, struct buf *ret_early);
