/*
 * See scrape.h. The socket is made on the pool, inside of the container's network namespace; the
 * rest happens on the loop. HTTP/1.0 is asked for, so that the answer is neither chunked nor kept
 * open.
 */
#include "agent/scrape.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/engine_impl.h"
#include "net/dial.h"

#define PIECE (16u << 10) /* bytes read at once */

struct scrape {
	struct job job;
	struct engine *engine;
	struct scrape_target target;
	char *path;
	scrape_done done; /* NULL: it was called, or is not to be */
	void *arg;
	int fd;
	bool busy;        /* the job has not come back */
	unsigned handles; /* that are open */
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_write_t write;
	struct buf request, head;
	bool in_body, sized;
	uint64_t left; /* of a body with a length */
	struct exposition body;
	char piece[PIECE];
};

static void scrape_free(struct scrape *s)
{
	struct engine *e = s->engine;

	if (s->busy || s->handles)
		return;
	if (s->fd >= 0)
		close(s->fd);
	exposition_done(&s->body);
	buf_done(&s->request);
	buf_done(&s->head);
	free(s->path);
	free(s);
	engine_release(e);
}

static void on_closed(uv_handle_t *h)
{
	struct scrape *s = h->data;

	s->handles--;
	scrape_free(s);
}

static void handles_close(struct scrape *s)
{
	uv_handle_t *all[] = {(uv_handle_t *)&s->tcp, (uv_handle_t *)&s->timer};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i]->data && !uv_is_closing(all[i]))
			uv_close(all[i], on_closed);
}

static void scrape_end(struct scrape *s, int status, int64_t sum, const struct err *e)
{
	scrape_done done = s->done;

	s->done = NULL;
	if (done)
		done(s->arg, status, sum, s->body.counter, e);
	handles_close(s);
}

static void fail(struct scrape *s, int status, const char *what)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, status, "port %u: %s", s->target.port, what);
	scrape_end(s, status, 0, &e);
}

static void body_end(struct scrape *s)
{
	struct err e = ERR_INIT;
	int64_t sum = 0;
	int rc = exposition_end(&s->body, &sum, &e);

	scrape_end(s, rc, sum, rc < 0 ? &e : NULL);
}

static void body_read(struct scrape *s, const char *p, size_t n)
{
	struct err e = ERR_INIT;

	if (s->sized)
		n = MIN_OF(n, s->left);
	s->left -= s->sized ? n : 0;
	if (exposition_feed(&s->body, p, n, &e) < 0)
		scrape_end(s, e.code, 0, &e);
	else if (s->sized && !s->left)
		body_end(s);
}

/* The value of a header, if the line has it. */
static const char *header_value(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " \t");
}

/* False when it has ended. */
static bool head_lines_read(struct scrape *s, char *text)
{
	char *rest = text, *line = strsep(&rest, "\n");
	int code = 0;

	if (sscanf(line, "HTTP/1.%*1d %3d", &code) != 1) {
		fail(s, -EPROTO, "it does not speak HTTP");
		return false;
	}
	if (code != 200) {
		auto_free char *why = xasprintf("it answers with status %d", code);

		fail(s, -EPROTO, why);
		return false;
	}
	while ((line = strsep(&rest, "\n"))) {
		const char *value = header_value(line, "Content-Length");
		char *end;

		if (header_value(line, "Transfer-Encoding")) {
			fail(s, -EPROTO, "it answers in chunks, though asked by HTTP/1.0");
			return false;
		}
		if (!value || value[0] < '0' || value[0] > '9')
			continue;
		s->left = strtoull(value, &end, 10);
		s->sized = true;
	}
	return true;
}

static void head_read(struct scrape *s, const char *p, size_t n)
{
	size_t before = s->head.len, used, room = LIMIT_METRIC_HEAD - before;
	const char *text, *end;

	(void)buf_add(&s->head, p, MIN_OF(n, room));
	text = buf_text(&s->head);
	end = strstr(text, "\r\n\r\n");
	used = end ? (size_t)(end - text) + 4 : 0;
	if (!end && strlen(text) < s->head.len) {
		fail(s, -EPROTO, "it does not speak HTTP");
		return;
	}
	if (!end) {
		if (n >= room)
			fail(s, -EMSGSIZE, "its headers have no end");
		return;
	}
	s->in_body = true;
	s->head.p[used - 4] = '\0';
	if (!head_lines_read(s, (char *)s->head.p))
		return;
	if (s->sized && !s->left)
		body_end(s);
	else if (n > used - before)
		body_read(s, p + (used - before), n - (used - before));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct scrape *s = stream->data;

	if (n == 0 || !s->done)
		return;
	if (n > 0 && s->in_body)
		body_read(s, b->base, (size_t)n);
	else if (n > 0)
		head_read(s, b->base, (size_t)n);
	else if (n != UV_EOF)
		fail(s, (int)n, "the connection broke");
	else if (!s->in_body || s->sized)
		fail(s, -EPROTO, "the answer ended early");
	else
		body_end(s);
}

static void on_alloc(uv_handle_t *h, size_t wish, uv_buf_t *ret)
{
	struct scrape *s = h->data;

	(void)wish;
	*ret = uv_buf_init(s->piece, PIECE);
}

static void on_written(uv_write_t *w, int status)
{
	(void)w;
	(void)status; /* the reading side tells */
}

static void on_connected(uv_connect_t *c, int status)
{
	struct scrape *s = c->data;
	uv_buf_t request;

	if (!s->done)
		return;
	if (status < 0) {
		fail(s, status,
		     status == UV_ECONNREFUSED ? "nothing listens there" : uv_strerror(status));
		return;
	}
	request = uv_buf_init((char *)s->request.p, (unsigned)s->request.len);
	if (uv_write(&s->write, (uv_stream_t *)&s->tcp, &request, 1, on_written) < 0 ||
	    uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) < 0)
		fail(s, -EIO, "the connection broke");
}

static void on_late(uv_timer_t *t)
{
	struct scrape *s = t->data;

	if (s->done)
		fail(s, -ETIMEDOUT, "no answer in time");
}

static void socket_run(struct job *j)
{
	struct scrape *s = container_of(j, struct scrape, job);

	j->status = net_dial_socket((pid_t)s->target.pid, s->target.host_network, &s->fd, &j->err);
}

static void socket_done(struct job *j)
{
	struct scrape *s = container_of(j, struct scrape, job);
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)s->target.port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	s->busy = false;
	if (!s->done) {
		scrape_free(s);
		return;
	}
	if (j->status < 0) {
		scrape_end(s, j->status, 0, &j->err);
		return;
	}
	(void)uv_tcp_init(s->engine->config.loop, &s->tcp);
	s->tcp.data = s;
	s->handles++;
	s->connect.data = s;
	if (uv_tcp_open(&s->tcp, s->fd) < 0) {
		fail(s, -EIO, "the socket cannot be used");
		return;
	}
	s->fd = -1; /* the handle's */
	if (uv_tcp_connect(&s->connect, &s->tcp, (struct sockaddr *)&to, on_connected) < 0)
		fail(s, -EIO, "no connection can be made");
}

struct scrape *scrape_start(struct engine *e, const struct scrape_target *t, scrape_done done,
			    void *arg)
{
	struct scrape *s = xcalloc(1, sizeof *s);

	s->engine = e;
	s->target = *t;
	s->target.path = s->path = xstrdup(t->path);
	s->done = done;
	s->arg = arg;
	s->fd = -1;
	s->request = BUF_INIT(2 * LIMIT_METRIC_TEXT + 256);
	s->head = BUF_INIT(LIMIT_METRIC_HEAD);
	exposition_init(&s->body, t->selector);
	buf_addf(&s->request,
		 "GET %s HTTP/1.0\r\nHost: localhost:%u\r\nAccept: text/plain;version=0.0.4\r\n"
		 "User-Agent: shoal\r\nConnection: close\r\n\r\n",
		 s->path, t->port);
	engine_hold(e);
	(void)uv_timer_init(e->config.loop, &s->timer);
	s->timer.data = s;
	s->handles++;
	(void)uv_timer_start(&s->timer, on_late, LIMIT_SCRAPE_MS, 0);
	s->busy = true;
	s->job.run = socket_run;
	s->job.done = socket_done;
	job_start(e->config.loop, &s->job);
	return s;
}

void scrape_cancel(struct scrape *s)
{
	s->done = NULL;
	handles_close(s);
}
