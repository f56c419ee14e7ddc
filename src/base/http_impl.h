/*
 * What the files of the HTTP server share: its connections, requests and answers, and the one
 * place where libmicrohttpd is included. Nobody else includes this.
 */
#pragma once

#include <microhttpd.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/http_server.h"
#include "base/limits.h"

/* A descriptor in the server's own epoll set, watched for its peer's going away. */
struct http_watch {
	void (*fire)(struct http_watch *w);
	int fd;
	bool active;
};

struct http_listener {
	uv_poll_t poll;
	int fd;
	bool polling;
	char *unlink_path; /* of a socket file that is ours */
	ino_t inode;       /* of that file */
	struct http_server *server;
};

/* A closed connection whose last answer is still on its way to a client that is sending. */
struct http_linger {
	int fd;
	uint64_t until_ms;
};

struct http_header {
	char *name, *value;
};

#define HTTP_LINGERS 64
#define HTTP_HEADERS_MAX 8

struct http_server {
	uv_loop_t *loop;
	struct http_server_opts opts;
	struct MHD_Daemon *mhd;
	uv_poll_t mhd_poll;   /* the library's epoll descriptor */
	uv_timer_t mhd_timer; /* the library's next deadline */
	uv_poll_t gone_poll;  /* gone_fd */
	uv_timer_t sweep;
	uv_timer_t grace;
	int gone_fd; /* our epoll set of suspended connections */
	struct http_listener *listeners[LIMIT_HTTP_SOCKETS];
	size_t listeners_count;
	bool accepting;
	unsigned port;
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t headers_count;
	struct http_conn *conns;     /* doubly linked */
	struct http_hijack *hijacks; /* doubly linked */
	unsigned conns_count, hijacks_count;
	unsigned queued;  /* given to a library (1.0) that takes them up in its next turn */
	size_t collected; /* bytes of bodies being collected by all requests */
	struct http_linger lingers[HTTP_LINGERS];
	size_t lingers_count;
	bool closing, stopped;
	bool running;     /* inside the library */
	bool again;       /* it is to run once more at once */
	unsigned handles; /* still to be closed before the server is freed */
	void (*closed)(void *data);
	void *closed_data;
};

/* One connection in the library's hands. */
struct http_conn {
	struct http_server *server;
	struct MHD_Connection *mhd;
	struct http_conn *prev, *next;
	struct http_req *req; /* the one being served */
	struct http_watch watch;
	int fd;
	int saved_fd, sink_fd; /* while the descriptor is swapped for a hijack without upgrade */
	uint64_t since_ms;     /* begin of the present idle or header time */
	bool suspended;
	bool handed_over; /* to a hijack; the descriptor's file is no longer ours alone */
};

enum http_body_mode { HTTP_BODY_UNDECIDED, HTTP_BODY_COLLECT, HTTP_BODY_STREAM, HTTP_BODY_DROP };
enum http_answer_kind {
	HTTP_ANSWER_NONE,
	HTTP_ANSWER_WHOLE,
	HTTP_ANSWER_PULL,
	HTTP_ANSWER_STREAM,
	HTTP_ANSWER_HIJACK,
};

/* A request has two holders: its connection, and the handler until it has answered. */
struct http_req {
	struct http_server *server; /* NULL once the connection has gone */
	struct http_conn *conn;     /* NULL once the connection has gone */
	char *target;               /* owns path and query */
	char *path;
	struct http_query query;
	char method[16];
	int64_t content_length;
	bool upgrade;

	void *state;
	void (*gone)(struct http_req *req, void *state);
	void (*done)(void *state);

	unsigned refs;
	bool expects;   /* sends its body only after "100 Continue" */
	bool begun;     /* the request callback was called */
	bool started;   /* the library is past the headers */
	bool body_done; /* all of the body is here */
	bool delivered; /* its end was told to the handler */
	bool held;      /* the handler has not answered (or ended its stream) */
	bool gone_told;
	bool cut; /* close the connection at the next call */

	enum http_body_mode mode;
	http_body_fn ready;
	http_piece_fn piece;
	void *body_data;
	struct buf body;
	size_t counted; /* bytes of it in server->collected */
	bool body_go;   /* resumed before it was suspended */
	int64_t received;
	size_t dropped;

	enum http_answer_kind kind;
	int status;
	char *type;
	struct http_header headers[HTTP_HEADERS_MAX]; /* of this answer */
	size_t headers_count;
	struct buf answer;
	struct http_pull pull;
	struct http_stream *stream;
	struct http_hijack_cb hijack;
};

/* http_server.c */
uint64_t http_now_ms(void);
/* The library looks at its connections in the next turn of the loop. */
void http_server_kick(struct http_server *s);
void http_server_linger(struct http_server *s, int fd);
void http_server_settle(struct http_server *s);
/* Starts the sweep of deadlines, which ends by itself when there is nothing to sweep. */
void http_server_sweep(struct http_server *s);
bool http_server_full(const struct http_server *s);
bool http_server_has_room(struct http_server *s);
void http_server_handle_closed(struct http_server *s);
int http_watch_start(struct http_server *s, struct http_watch *w, uint32_t events);
void http_watch_stop(struct http_server *s, struct http_watch *w);

/* http_listen.c */
void http_server_accepting(struct http_server *s, bool on);
void http_listen_close(struct http_server *s);

/* http_conn.c */
int http_conn_daemon(struct http_server *s, struct err *e);
void http_conn_suspend(struct http_conn *c, uint32_t events);
void http_conn_resume(struct http_conn *c);
/* Closes it as soon as may be; a request in progress is cut. */
void http_conn_cut(struct http_conn *c);

/* http_req.c */
void http_req_new(struct http_conn *c, const char *target);
void http_conn_drop_req(struct http_conn *c);
/* The library's calls: the headers are there, a piece of the body, all of it. */
enum MHD_Result http_req_headers(struct http_req *req, const char *method);
enum MHD_Result http_req_body(struct http_req *req, const char *p, size_t *len);
enum MHD_Result http_req_complete(struct http_req *req);
/* Lets the connection go on after the handler did something. */
void http_req_wake(struct http_req *req);
void http_req_release(struct http_req *req);
void http_req_tell_gone(struct http_req *req);

/* http_reply.c */
bool http_answer_begin(struct http_req *req, enum http_answer_kind kind, int status,
		       const char *type);
void http_answer_headers(struct http_req *req, struct MHD_Response *response);
enum MHD_Result http_answer_queue(struct http_req *req);
void http_answer_raw(struct http_req *req);
void http_answer_drop(struct http_req *req);
void http_stream_lost(struct http_stream *st);

/* http_hijack.c */
enum MHD_Result http_hijack_queue(struct http_req *req);
void http_hijack_unswap(struct http_conn *c);
void http_hijack_stop_all(struct http_server *s, bool force);
