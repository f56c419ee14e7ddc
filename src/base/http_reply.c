/*
 * How requests are answered: whole, pulled piece by piece, or pushed as things happen. It knows
 * nothing of how the request came in (http_conn.c).
 */
#include "base/http_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/mem.h"

#define READER_BLOCK (32u << 10)

/* An answer that is rendered as its client takes it; the library's response owns it. */
struct puller {
	struct http_conn *conn;
	struct http_pull pull;
	struct buf out;
	size_t off;
	bool ended;
};

struct http_stream {
	struct http_conn *conn; /* NULL until the headers are on their way, and when it is lost */
	struct http_req *req;   /* held by the handler until end or abort */
	struct buf queue;
	size_t off;
	bool ended, aborted, lost, refused;
	void (*drain)(struct http_stream *st, void *data);
	void *drain_data;
	unsigned refs; /* the handler, the request, and the library's response */
};

/* Headers */

static bool header_is_clean(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

void http_reply_header(struct http_req *req, const char *name, const char *value)
{
	if (req->headers_count == HTTP_HEADERS_MAX)
		abort();
	/* A value that an outsider shaped must not become a header of its own. */
	if (!header_is_clean(value))
		return;
	req->headers[req->headers_count++] =
		(struct http_header){.name = xstrdup(name), .value = xstrdup(value)};
}

void http_answer_headers(struct http_req *req, struct MHD_Response *response)
{
	struct http_server *s = req->server;

	for (size_t i = 0; i < s->headers_count; i++)
		MHD_add_response_header(response, s->headers[i].name, s->headers[i].value);
	for (size_t i = 0; i < req->headers_count; i++)
		MHD_add_response_header(response, req->headers[i].name, req->headers[i].value);
	if (req->type)
		MHD_add_response_header(response, "Content-Type", req->type);
	if (s->closing)
		MHD_add_response_header(response, "Connection", "close");
}

/* The handler's word: from here on the rest of a body is nobody's. */
bool http_answer_begin(struct http_req *req, enum http_answer_kind kind, int status,
		       const char *type)
{
	if (req->kind != HTTP_ANSWER_NONE)
		abort(); /* answered twice: the handler's fault, never the client's */
	req->kind = kind;
	req->status = status;
	req->type = xstrdup(type);
	req->mode = HTTP_BODY_DROP;
	return req->conn != NULL;
}

/* Whole */

void http_reply(struct http_req *req, int status, const char *type, struct buf *body)
{
	bool alive = http_answer_begin(req, HTTP_ANSWER_WHOLE, status, type);

	if (body) {
		req->answer = *body;
		*body = (struct buf){.max = body->max};
	}
	if (alive)
		http_req_wake(req);
	http_req_release(req);
}

static struct MHD_Response *whole_response(struct http_req *req)
{
	size_t len = req->answer.len;
	char *p;

	if (len == 0)
		return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	p = buf_take(&req->answer);
	return MHD_create_response_from_buffer(len, p, MHD_RESPMEM_MUST_FREE);
}

static void raw_head(struct http_req *req, struct buf *b)
{
	struct http_server *s = req->server;

	buf_addf(b, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", req->status,
		 MHD_get_reason_phrase_for((unsigned)req->status), req->answer.len);
	for (size_t i = 0; i < s->headers_count; i++)
		buf_addf(b, "%s: %s\r\n", s->headers[i].name, s->headers[i].value);
	for (size_t i = 0; i < req->headers_count; i++)
		buf_addf(b, "%s: %s\r\n", req->headers[i].name, req->headers[i].value);
	if (req->type)
		buf_addf(b, "Content-Type: %s\r\n", req->type);
	buf_adds(b, "\r\n");
}

/*
 * The library cannot answer in the middle of a body. This does: the client that is still sending
 * gets the answer and the end of the stream, and a moment to read them before the connection is
 * reset. Nothing was sent before, so what the socket takes at once is all that matters.
 */
void http_answer_raw(struct http_req *req)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_HEADERS + LIMIT_HTTP_SWALLOW);
	int fd = fcntl(req->conn->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return;
	raw_head(req, &b);
	buf_add(&b, req->answer.p, req->answer.len);
	if (buf_status(&b) == 0 && send(fd, b.p, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		close(fd);
		return;
	}
	shutdown(fd, SHUT_WR);
	http_server_linger(req->server, fd);
}

/* Pulled */

void http_reply_pull(struct http_req *req, int status, const char *type,
		     const struct http_pull *pull)
{
	bool alive = http_answer_begin(req, HTTP_ANSWER_PULL, status, type);

	req->pull = *pull;
	if (alive)
		http_req_wake(req);
	http_req_release(req);
}

/* The library comes back at its next turn, after others had theirs. */
static ssize_t later(struct http_conn *c)
{
	http_conn_suspend(c, 0);
	http_conn_resume(c);
	return 0;
}

static ssize_t pull_read(void *cls, uint64_t pos, char *to, size_t max)
{
	struct puller *p = cls;
	size_t n;

	if (p->conn->req && p->conn->req->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (p->off == p->out.len) {
		int rc = 0;

		buf_reset(&p->out);
		p->off = 0;
		if (!p->ended)
			rc = p->pull.pull(p->pull.data, &p->out);
		if (rc < 0 || buf_status(&p->out) < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		p->ended = rc == 0;
		if (p->out.len == 0)
			return p->ended ? MHD_CONTENT_READER_END_OF_STREAM : later(p->conn);
	}
	n = MIN_OF(max, p->out.len - p->off);
	memcpy(to, p->out.p + p->off, n);
	p->off += n;
	return (ssize_t)n;
}

static void pull_free(void *cls)
{
	struct puller *p = cls;

	if (p->pull.done)
		p->pull.done(p->pull.data);
	buf_done(&p->out);
	free(p);
}

static struct MHD_Response *pull_response(struct http_req *req)
{
	struct puller *p = xcalloc(1, sizeof(*p));

	p->conn = req->conn;
	p->pull = req->pull;
	buf_init(&p->out, LIMIT_HTTP_ANSWER);
	req->pull = (struct http_pull){0};
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, READER_BLOCK, pull_read, p,
						 pull_free);
}

/* Pushed */

static void stream_unref(struct http_stream *st)
{
	if (--st->refs > 0)
		return;
	buf_done(&st->queue);
	free(st);
}

struct http_stream *http_reply_stream(struct http_req *req, int status, const char *type,
				      size_t queue_max)
{
	struct http_stream *st = xcalloc(1, sizeof(*st));
	bool alive = http_answer_begin(req, HTTP_ANSWER_STREAM, status, type);

	buf_init(&st->queue, queue_max ? queue_max : LIMIT_HTTP_STREAM);
	st->req = req;
	st->refs = 2;
	st->lost = !alive;
	req->stream = st;
	if (alive)
		http_req_wake(req);
	return st;
}

static void stream_wake(struct http_stream *st)
{
	if (st->conn)
		http_conn_resume(st->conn);
}

size_t http_stream_room(const struct http_stream *st)
{
	return st->queue.max - (st->queue.len - st->off);
}

int http_stream_write(struct http_stream *st, const void *p, size_t len)
{
	if (st->lost || st->ended || st->aborted)
		return -EPIPE;
	if (len > st->queue.max)
		return -EMSGSIZE;
	if (len > http_stream_room(st)) {
		st->refused = true;
		return -ENOBUFS;
	}
	if (st->queue.len + len > st->queue.max) {
		buf_shift(&st->queue, st->off);
		st->off = 0;
	}
	buf_add(&st->queue, p, len);
	stream_wake(st);
	return 0;
}

void http_stream_on_drain(struct http_stream *st, void (*drain)(struct http_stream *st, void *data),
			  void *data)
{
	st->drain = drain;
	st->drain_data = data;
}

static void stream_finish(struct http_stream *st)
{
	struct http_req *req = st->req;

	st->req = NULL;
	st->drain = NULL;
	stream_wake(st);
	stream_unref(st);
	http_req_release(req);
}

void http_stream_end(struct http_stream *st)
{
	st->ended = true;
	stream_finish(st);
}

void http_stream_abort(struct http_stream *st)
{
	st->aborted = true;
	stream_finish(st);
}

void http_stream_lost(struct http_stream *st)
{
	st->lost = true;
	st->conn = NULL;
	buf_done(&st->queue);
	st->off = 0;
}

/* Takes what is queued; tells the handler when half of a queue that was full has left. */
static size_t stream_take(struct http_stream *st, char *to, size_t max)
{
	size_t n = MIN_OF(max, st->queue.len - st->off);

	memcpy(to, st->queue.p + st->off, n);
	st->off += n;
	if (st->off == st->queue.len) {
		buf_reset(&st->queue);
		st->off = 0;
	}
	if (st->refused && http_stream_room(st) >= st->queue.max / 2) {
		st->refused = false;
		if (st->drain)
			st->drain(st, st->drain_data);
	}
	return n;
}

static ssize_t stream_read(void *cls, uint64_t pos, char *to, size_t max)
{
	struct http_stream *st = cls;
	struct http_conn *c = st->conn;

	if (st->aborted || !c || (c->req && c->req->cut))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (st->queue.len > st->off)
		return (ssize_t)stream_take(st, to, max);
	if (st->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	http_conn_suspend(c, EPOLLRDHUP);
	return 0;
}

static void stream_free(void *cls)
{
	struct http_stream *st = cls;

	st->conn = NULL;
	st->lost = true;
	stream_unref(st);
}

static struct MHD_Response *stream_response(struct http_req *req)
{
	struct http_stream *st = req->stream;

	st->conn = req->conn;
	st->refs++;
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, READER_BLOCK, stream_read, st,
						 stream_free);
}

/* To the library */

enum MHD_Result http_answer_queue(struct http_req *req)
{
	struct MHD_Connection *mhd = req->conn->mhd;
	struct MHD_Response *response;
	enum MHD_Result rc;

	if (req->kind == HTTP_ANSWER_WHOLE) {
		response = whole_response(req);
	} else {
		/* A client may look at what it follows for as long as it likes. */
		MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
		response =
			req->kind == HTTP_ANSWER_PULL ? pull_response(req) : stream_response(req);
	}
	if (!response)
		abort(); /* out of memory */
	http_answer_headers(req, response);
	rc = MHD_queue_response(mhd, (unsigned)req->status, response);
	MHD_destroy_response(response);
	return rc;
}

/* What was answered but never taken up. */
void http_answer_drop(struct http_req *req)
{
	if (req->stream)
		stream_unref(req->stream);
	if (req->pull.done)
		req->pull.done(req->pull.data);
	if (req->hijack.opened)
		req->hijack.opened(NULL, req->hijack.data);
	buf_done(&req->answer);
	free(req->type);
	for (size_t i = 0; i < req->headers_count; i++) {
		free(req->headers[i].name);
		free(req->headers[i].value);
	}
}
