/*
 * The life of a request between the library's calls and the handler's: headers, body, the client
 * that goes away. It knows nothing of how answers are made (http_reply.c, http_hijack.c).
 */
#include "base/http_impl.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "base/mem.h"

/* The request line is here, with the target as it was sent. */
void http_req_new(struct http_conn *c, const char *target)
{
	struct http_req *req = xcalloc(1, sizeof(*req));

	req->server = c->server;
	req->conn = c;
	req->target = xstrdup(target);
	req->refs = 1;
	c->req = req;
	c->since_ms = http_now_ms();
}

static void count_body(struct http_req *req, size_t bytes)
{
	if (!req->server)
		return;
	req->server->collected += bytes - req->counted;
	req->counted = bytes;
}

static void req_unref(struct http_req *req)
{
	if (--req->refs > 0)
		return;
	http_answer_drop(req);
	if (req->done)
		req->done(req->state);
	http_query_done(&req->query);
	buf_done(&req->body);
	free(req->target);
	free(req);
}

void http_req_release(struct http_req *req)
{
	if (!req->held)
		abort(); /* answered twice: the handler's fault, never the client's */
	req->held = false;
	req_unref(req);
}

void http_req_tell_gone(struct http_req *req)
{
	if (!req->held || req->gone_told)
		return;
	req->gone_told = true;
	if (req->gone)
		req->gone(req, req->state);
}

/* The handler hears of an upload that will not be finished. */
static void abort_body(struct http_req *req)
{
	struct err e = ERR_INIT;
	enum http_body_mode mode = req->mode;

	if (req->delivered || !req->held || mode == HTTP_BODY_UNDECIDED)
		return;
	req->delivered = true;
	req->mode = HTTP_BODY_DROP;
	err_set(&e, -ECONNRESET, "the client went away in the middle of its request");
	if (mode == HTTP_BODY_COLLECT)
		req->ready(req, &req->body, &e, req->body_data);
	else if (mode == HTTP_BODY_STREAM)
		req->piece(req, NULL, 0, &e, req->body_data);
}

/* The connection lets go of the request: it was answered, or the client has gone. */
void http_conn_drop_req(struct http_conn *c)
{
	struct http_req *req = c->req;

	if (!req)
		return;
	c->req = NULL;
	c->suspended = false;
	c->since_ms = http_now_ms();
	http_watch_stop(c->server, &c->watch);
	count_body(req, 0);
	req->conn = NULL;
	req->server = NULL;
	if (req->stream)
		http_stream_lost(req->stream);
	http_req_tell_gone(req);
	abort_body(req);
	req_unref(req);
}

/* The library's calls: the headers first, then pieces of the body, then once it is complete */

static int64_t content_length(struct http_req *req)
{
	const char *coding = http_req_header(req, "Transfer-Encoding");
	const char *length = http_req_header(req, "Content-Length");

	if (coding)
		return -1;
	/* The library has checked that it is a number, and answered 400 or 413 if not. */
	return length ? strtoll(length, NULL, 10) : 0;
}

static bool has_token(const char *list, const char *token)
{
	size_t n = strlen(token);

	while (list && *list) {
		list += strspn(list, " \t,");
		if (strncasecmp(list, token, n) == 0 && strchr(" \t,", list[n]))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

static void reply_text(struct http_req *req, int status, const char *text)
{
	struct buf body = BUF_INIT(ERR_MSG_MAX * 2);

	buf_addf(&body, "{\"message\":\"%s\"}\n", text);
	http_reply(req, status, "application/json", &body);
}

static void req_begin(struct http_req *req, const char *method)
{
	struct http_server *s = req->server;
	struct MHD_Connection *mhd = req->conn->mhd;
	struct err e = ERR_INIT;
	size_t size =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;

	req->begun = true;
	req->held = true;
	req->refs++;
	snprintf(req->method, sizeof(req->method), "%s", method);
	req->content_length = content_length(req);
	req->expects = http_req_header(req, "Expect") != NULL;
	req->upgrade = has_token(http_req_header(req, "Connection"), "upgrade");
	if (size > LIMIT_HTTP_HEADERS)
		reply_text(req, 431, "the request's headers are too large");
	else if (http_target_parse(req->target, &req->path, &req->query, &e) < 0)
		reply_text(req, 400, e.msg);
	else
		s->opts.request(req, s->opts.data);
}

/* Answers before the end of a body: at once and closing, where the rest is not worth reading. */
static bool answer_early(struct http_req *req)
{
	int64_t left = req->content_length < 0 ? -1 : req->content_length - req->received;

	if (req->kind != HTTP_ANSWER_WHOLE)
		return false;
	if (left <= LIMIT_HTTP_SWALLOW && req->dropped <= LIMIT_HTTP_SWALLOW && !req->expects)
		return false;
	http_answer_raw(req);
	return true;
}

enum MHD_Result http_req_headers(struct http_req *req, const char *method)
{
	if (!req->begun)
		req_begin(req, method);
	if (req->cut)
		return MHD_NO;
	if (req->content_length != 0 && req->kind == HTTP_ANSWER_NONE &&
	    req->mode == HTTP_BODY_UNDECIDED) {
		http_conn_suspend(req->conn, EPOLLRDHUP);
		return MHD_YES;
	}
	if (req->content_length != 0 && answer_early(req))
		return MHD_NO;
	req->started = true;
	return MHD_YES;
}

/* Tells the handler that all of its body is here, or why not. */
static void deliver(struct http_req *req, int code)
{
	struct err e = ERR_INIT;
	enum http_body_mode mode = req->mode;

	req->delivered = true;
	if (code == -EMSGSIZE)
		err_set(&e, code, "the request's body is larger than %zu bytes", req->body.max);
	else if (code < 0)
		err_set(&e, code, "too many large requests at once; try again");
	if (code < 0)
		req->mode = HTTP_BODY_DROP;
	if (mode == HTTP_BODY_COLLECT)
		req->ready(req, &req->body, code < 0 ? &e : NULL, req->body_data);
	else if (mode == HTTP_BODY_STREAM)
		req->piece(req, NULL, 0, NULL, req->body_data);
}

static void collect(struct http_req *req, const char *p, size_t len)
{
	struct http_server *s = req->server;

	if (s->collected + len > LIMIT_HTTP_BODIES)
		deliver(req, -EAGAIN);
	else if (buf_add(&req->body, p, len) < 0)
		deliver(req, -EMSGSIZE);
	else
		count_body(req, req->body.len);
}

/* What the handler does not take stays in the library, and the connection waits. */
static size_t stream_piece(struct http_req *req, const char *p, size_t len)
{
	ssize_t n = req->piece(req, p, len, NULL, req->body_data);

	if (n < 0 || !req->held) {
		req->mode = HTTP_BODY_DROP;
		req->delivered = true;
		return len;
	}
	if ((size_t)n < len && req->conn) {
		http_conn_suspend(req->conn, 0);
		if (req->body_go)
			http_conn_resume(req->conn);
	}
	req->body_go = false;
	return MIN_OF((size_t)n, len);
}

enum MHD_Result http_req_body(struct http_req *req, const char *p, size_t *len)
{
	size_t taken = *len;

	if (req->cut)
		return MHD_NO;
	if (req->mode == HTTP_BODY_DROP && req->kind == HTTP_ANSWER_NONE &&
	    req->dropped > LIMIT_HTTP_SWALLOW) {
		/* Nobody wants it and there is no answer yet: the client waits. */
		http_conn_suspend(req->conn, 0);
		return MHD_YES;
	}
	if (req->mode == HTTP_BODY_COLLECT)
		collect(req, p, *len);
	else if (req->mode == HTTP_BODY_STREAM)
		taken = stream_piece(req, p, *len);
	else
		req->dropped += *len;
	req->received += (int64_t)taken;
	*len -= taken;
	return answer_early(req) ? MHD_NO : MHD_YES;
}

enum MHD_Result http_req_complete(struct http_req *req)
{
	if (req->cut)
		return MHD_NO;
	req->body_done = true;
	if (!req->delivered && req->held && req->mode != HTTP_BODY_UNDECIDED)
		deliver(req, 0);
	switch (req->kind) {
	case HTTP_ANSWER_NONE:
		http_conn_suspend(req->conn, EPOLLRDHUP);
		return MHD_YES;
	case HTTP_ANSWER_HIJACK:
		return http_hijack_queue(req);
	default:
		return http_answer_queue(req);
	}
}

/* What the handler sees and asks */

void http_req_wake(struct http_req *req)
{
	if (req->conn)
		http_conn_resume(req->conn);
}

/* Goes on with a body that was asked for late, or tells at once that it will never come. */
static void asked_body(struct http_req *req)
{
	if (req->conn)
		http_conn_resume(req->conn);
	else
		abort_body(req);
}

void http_req_read_body(struct http_req *req, size_t max, http_body_fn ready, void *data)
{
	req->mode = HTTP_BODY_COLLECT;
	req->body = BUF_SECRET(max);
	req->ready = ready;
	req->body_data = data;
	asked_body(req);
}

void http_req_stream_body(struct http_req *req, http_piece_fn piece, void *data)
{
	req->mode = HTTP_BODY_STREAM;
	req->piece = piece;
	req->body_data = data;
	asked_body(req);
}

void http_req_resume_body(struct http_req *req)
{
	req->body_go = true;
	http_req_wake(req);
}

const char *http_req_method(const struct http_req *req)
{
	return req->method;
}

const char *http_req_path(const struct http_req *req)
{
	return req->path;
}

const struct http_query *http_req_query(const struct http_req *req)
{
	return &req->query;
}

const char *http_req_arg(const struct http_req *req, const char *name)
{
	return http_query_get(&req->query, name);
}

const char *http_req_header(const struct http_req *req, const char *name)
{
	return req->conn ? MHD_lookup_connection_value(req->conn->mhd, MHD_HEADER_KIND, name)
			 : NULL;
}

int64_t http_req_content_length(const struct http_req *req)
{
	return req->content_length;
}

bool http_req_upgrade(const struct http_req *req)
{
	return req->upgrade;
}

struct http_server *http_req_server(const struct http_req *req)
{
	return req->server;
}

void http_req_own(struct http_req *req, void *state,
		  void (*gone)(struct http_req *req, void *state), void (*done)(void *state))
{
	req->state = state;
	req->gone = gone;
	req->done = done;
}

void *http_req_state(const struct http_req *req)
{
	return req->state;
}

bool http_req_is_gone(const struct http_req *req)
{
	return !req->conn;
}
