/*
 * Connections that leave HTTP: after "101 UPGRADED", or after a "200 OK" without a length for
 * clients that did not ask for an upgrade. The raw bytes then run through a libuv stream.
 *
 * The library hands a connection over only after a 101 that it has written itself. For the 200
 * form its descriptor is therefore pointed at a sink meanwhile: the connection is suspended, so
 * that the library's epoll set does not hold it, and the numbers stay the same.
 */
#include "base/http_impl.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"

#define READ_BLOCK (32u << 10)

enum hijack_end { HIJACK_OPEN, HIJACK_END_ASKED, HIJACK_ENDED };

struct http_hijack {
	struct http_server *server;
	struct http_hijack *prev, *next;
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} u;
	uv_timer_t timer; /* gives early bytes; later: the end of patience after close */
	uv_shutdown_t shutdown;
	struct http_watch watch; /* after the client's end of file: has it gone altogether? */
	struct http_hijack_cb cb;
	struct buf early;
	int fd; /* until the stream has it */
	enum hijack_end end;
	bool open, in_opened, taken, paused, eof, lost, refused, closing, listed;
	int handles;
};

struct hijack_write {
	uv_write_t req;
	struct http_hijack *h;
	size_t len;
	char bytes[];
};

static void hijack_free(struct http_hijack *h)
{
	buf_done(&h->early);
	fd_close_at(&h->fd);
	free(h);
}

static void list_add(struct http_server *s, struct http_hijack *h)
{
	h->next = s->hijacks;
	if (h->next)
		h->next->prev = h;
	s->hijacks = h;
	s->hijacks_count++;
	h->listed = true;
}

/* The server no longer waits for it. */
static void list_remove(struct http_hijack *h)
{
	struct http_server *s = h->server;

	if (!h->listed)
		return;
	http_watch_stop(s, &h->watch);
	if (h->prev)
		h->prev->next = h->next;
	else
		s->hijacks = h->next;
	if (h->next)
		h->next->prev = h->prev;
	h->listed = false;
	s->hijacks_count--;
	if (!s->accepting && !s->stopped)
		http_server_accepting(s, true);
	http_server_kick(s);
}

/* Ends */

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_hijack *h = handle->data;

	if (--h->handles == 0) {
		list_remove(h);
		hijack_free(h);
	}
}

static void close_now(struct http_hijack *h)
{
	if (uv_is_closing((uv_handle_t *)&h->timer))
		return;
	if (h->server)
		http_watch_stop(h->server, &h->watch);
	uv_close((uv_handle_t *)&h->timer, on_handle_closed);
	uv_close((uv_handle_t *)&h->u.stream, on_handle_closed);
}

static void tell_lost(struct http_hijack *h)
{
	if (h->lost || h->closing)
		return;
	h->lost = true;
	uv_read_stop(&h->u.stream);
	if (h->cb.lost)
		h->cb.lost(h, h->cb.data);
}

static void on_client_gone(struct http_watch *w)
{
	struct http_hijack *h = container_of(w, struct http_hijack, watch);

	http_watch_stop(h->server, w);
	/* With both halves ended properly there is nothing to lose. */
	if (h->end == HIJACK_OPEN)
		tell_lost(h);
}

/* Reading */

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *ret)
{
	/* One loop thread: the bytes are the callback's before the next read. */
	static char block[READ_BLOCK];

	*ret = uv_buf_init(block, sizeof(block));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct http_hijack *h = stream->data;

	if (n > 0) {
		h->cb.read(h, b->base, (size_t)n, h->cb.data);
	} else if (n == UV_EOF) {
		uv_read_stop(stream);
		h->eof = true;
		/* A unix socket tells when its peer closes the other half as well. */
		http_watch_start(h->server, &h->watch, 0);
		if (h->cb.eof)
			h->cb.eof(h, h->cb.data);
	} else if (n < 0) {
		tell_lost(h);
	}
}

static void on_close_patience(uv_timer_t *timer)
{
	close_now(timer->data);
}

/* First the bytes that came with the request, in a turn of their own. */
static void on_start(uv_timer_t *timer)
{
	struct http_hijack *h = timer->data;

	if (h->paused || h->closing || h->lost)
		return;
	if (h->early.len > 0) {
		struct buf early = h->early;

		h->early = BUF_INIT(early.max);
		h->cb.read(h, early.p, early.len, h->cb.data);
		buf_done(&early);
	}
	if (!h->paused && !h->closing && !h->lost && !h->eof)
		uv_read_start(&h->u.stream, on_alloc, on_read);
}

void http_hijack_pause(struct http_hijack *h, bool paused)
{
	if (h->paused == paused || h->closing)
		return;
	h->paused = paused;
	if (!h->open)
		return;
	if (paused)
		uv_read_stop(&h->u.stream);
	else
		uv_timer_start(&h->timer, on_start, 0, 0);
}

/* Writing */

static void on_shutdown(uv_shutdown_t *req, int status)
{
	struct http_hijack *h = req->data;

	h->end = HIJACK_ENDED;
	if (h->closing)
		close_now(h);
}

static void on_written(uv_write_t *req, int status)
{
	struct hijack_write *w = container_of(req, struct hijack_write, req);
	struct http_hijack *h = w->h;

	free(w);
	if (status < 0) {
		tell_lost(h);
		if (h->closing)
			close_now(h);
		return;
	}
	if (h->refused && !h->closing && h->u.stream.write_queue_size <= LIMIT_HTTP_STREAM / 2) {
		h->refused = false;
		if (h->cb.drain)
			h->cb.drain(h, h->cb.data);
	}
}

/* What the socket takes at once needs no copy. */
static int write_queue(struct http_hijack *h, const char *p, size_t len)
{
	uv_buf_t b = uv_buf_init((char *)p, (unsigned)len);
	int n = uv_try_write(&h->u.stream, &b, 1);
	struct hijack_write *w;

	if (n == (int)len)
		return 0;
	if (n < 0 && n != UV_EAGAIN)
		return -EPIPE;
	if (n > 0) {
		p += n;
		len -= (size_t)n;
	}
	w = xmalloc(sizeof(*w) + len);
	w->h = h;
	w->len = len;
	memcpy(w->bytes, p, len);
	b = uv_buf_init(w->bytes, (unsigned)len);
	if (uv_write(&w->req, &h->u.stream, &b, 1, on_written) < 0) {
		free(w);
		return -EPIPE;
	}
	return 0;
}

int http_hijack_write(struct http_hijack *h, const void *p, size_t len)
{
	if (h->lost || h->closing || h->end != HIJACK_OPEN)
		return -EPIPE;
	if (len > LIMIT_HTTP_STREAM)
		return -EMSGSIZE;
	if (h->u.stream.write_queue_size + len > LIMIT_HTTP_STREAM) {
		h->refused = true;
		return -ENOBUFS;
	}
	return len ? write_queue(h, p, len) : 0;
}

void http_hijack_end(struct http_hijack *h)
{
	if (h->end != HIJACK_OPEN || h->lost || h->closing)
		return;
	h->end = HIJACK_END_ASKED;
	h->shutdown.data = h;
	if (uv_shutdown(&h->shutdown, &h->u.stream, on_shutdown) < 0)
		h->end = HIJACK_ENDED;
}

void http_hijack_close(struct http_hijack *h)
{
	if (h->closing)
		return;
	if (h->in_opened && h->taken)
		return;
	uv_read_stop(&h->u.stream);
	if (!h->lost)
		http_hijack_end(h);
	h->closing = true;
	if (h->lost || h->end == HIJACK_ENDED)
		close_now(h);
	else
		uv_timer_start(&h->timer, on_close_patience, LIMIT_HTTP_LINGER_MS, 0);
}

int http_hijack_take_fd(struct http_hijack *h, struct buf *ret_early)
{
	uv_os_fd_t fd;

	if (!h->in_opened || h->taken || uv_fileno((uv_handle_t *)&h->u.stream, &fd) < 0)
		abort(); /* only once, and only from `opened` */
	h->taken = true;
	buf_add(ret_early, h->early.p, h->early.len);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* Beginnings */

static bool is_tcp(int fd)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);

	return getsockname(fd, (struct sockaddr *)&addr, &len) == 0 && addr.ss_family != AF_UNIX;
}

static int stream_open(struct http_hijack *h)
{
	uv_loop_t *loop = h->server->loop;
	int rc;

	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	h->handles = 2;
	if (is_tcp(h->fd)) {
		uv_tcp_init(loop, &h->u.tcp);
		rc = uv_tcp_open(&h->u.tcp, h->fd);
	} else {
		uv_pipe_init(loop, &h->u.pipe, 0);
		rc = uv_pipe_open(&h->u.pipe, h->fd);
	}
	h->u.stream.data = h;
	h->watch = (struct http_watch){.fire = on_client_gone, .fd = h->fd};
	if (rc == 0)
		TAKE_FD(h->fd);
	return rc;
}

/* The 200 form's headers, which the library has not written. */
static void write_head(struct http_hijack *h, struct http_req *req)
{
	struct http_server *s = h->server;
	auto_buf b = BUF_INIT(LIMIT_HTTP_HEADERS);

	buf_adds(&b, "HTTP/1.1 200 OK\r\nConnection: close\r\n");
	for (size_t i = 0; i < s->headers_count; i++)
		buf_addf(&b, "%s: %s\r\n", s->headers[i].name, s->headers[i].value);
	if (req->type)
		buf_addf(&b, "Content-Type: %s\r\n", req->type);
	buf_adds(&b, "\r\n");
	write_queue(h, b.p, b.len);
}

/* The connection is ours: out of the library's books at once, its request done. */
static void hijack_start(struct http_req *req, int fd, const char *extra, size_t extra_len,
			 bool headless)
{
	struct http_hijack *h = xcalloc(1, sizeof(*h));

	h->server = req->server;
	h->cb = req->hijack;
	h->fd = fd;
	h->early = BUF_INIT(LIMIT_HTTP_HEADERS * 2);
	buf_add(&h->early, extra, extra_len);
	list_add(h->server, h);
	if (stream_open(h) < 0) {
		h->closing = true;
		h->cb.opened(NULL, h->cb.data);
		close_now(h);
		return;
	}
	if (headless)
		write_head(h, req);
	h->in_opened = true;
	h->cb.opened(h, h->cb.data);
	h->in_opened = false;
	h->open = true;
	if (h->taken) {
		h->closing = true;
		close_now(h);
		return;
	}
	if (h->server->closing)
		tell_lost(h);
	if (!h->paused && !h->closing)
		uv_timer_start(&h->timer, on_start, 0, 0);
}

void http_hijack_unswap(struct http_conn *c)
{
	if (c->saved_fd < 0)
		return;
	dup2(c->saved_fd, c->fd);
	fd_close_at(&c->saved_fd);
	c->saved_fd = -1;
	fd_close_at(&c->sink_fd);
	c->sink_fd = -1;
}

/* Called while the library has the connection suspended, so out of its epoll set. */
static int swap(struct http_conn *c)
{
	int sink[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sink) < 0)
		return -errno;
	c->saved_fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	if (c->saved_fd < 0 || dup3(sink[0], c->fd, O_CLOEXEC) < 0) {
		fd_close_at(&c->saved_fd);
		c->saved_fd = -1;
		close(sink[0]);
		close(sink[1]);
		return -EMFILE;
	}
	close(sink[0]);
	c->sink_fd = sink[1];
	return 0;
}

static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *context, const char *extra,
		       size_t extra_len, MHD_socket sock, struct MHD_UpgradeResponseHandle *urh)
{
	struct http_conn *c = cls;
	struct http_req *req = c->req;
	bool headless = c->saved_fd >= 0;
	int fd;

	http_hijack_unswap(c);
	fd = fcntl(sock, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		req->hijack.opened(NULL, req->hijack.data);
	else
		hijack_start(req, fd, extra, extra_len, headless);
	req->hijack.opened = NULL; /* it was told */
	c->handed_over = true;
	http_conn_drop_req(c);
	MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
	http_server_kick(c->server);
}

enum MHD_Result http_hijack_queue(struct http_req *req)
{
	struct http_conn *c = req->conn;
	struct MHD_Response *response;
	enum MHD_Result rc;

	if (!req->upgrade && c->saved_fd < 0) {
		http_conn_suspend(c, 0);
		http_watch_stop(c->server, &c->watch); /* it goes by the number as well */
		if (swap(c) < 0)
			req->cut = true;
		http_conn_resume(c);
		return MHD_YES;
	}
	response = MHD_create_response_for_upgrade(on_upgrade, c);
	if (!response)
		abort(); /* out of memory */
	http_answer_headers(req, response);
	MHD_add_response_header(response, "Upgrade", "tcp");
	rc = MHD_queue_response(c->mhd, MHD_HTTP_SWITCHING_PROTOCOLS, response);
	MHD_destroy_response(response);
	return rc;
}

void http_reply_hijack(struct http_req *req, const char *type, const struct http_hijack_cb *cb)
{
	bool alive = http_answer_begin(req, HTTP_ANSWER_HIJACK, 101, type);

	req->hijack = *cb;
	if (alive)
		http_req_wake(req);
	http_req_release(req);
}

/* The server stops: handlers close theirs; by force, without waiting for them to. */
void http_hijack_stop_all(struct http_server *s, bool force)
{
	struct http_hijack *next;

	for (struct http_hijack *h = s->hijacks; h; h = next) {
		next = h->next;
		tell_lost(h);
		if (force && h->closing)
			close_now(h);
		if (force) {
			list_remove(h);
			h->server = NULL;
		}
	}
}
