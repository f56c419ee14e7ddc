/*
 * TCP connections of containers to their name server: one question at a time, each with its length
 * before it (RFC 1035 §4.2.2). While a question is open nothing more is read, so a client can make
 * us hold one message and one answer. See dns_private.h.
 */
#include <string.h>

#include "net/dns_private.h"

struct dns_client {
	LIST_ENTRY(dns_client) link;
	struct dns_sandbox *sandbox;
	uv_tcp_t tcp;
	uv_timer_t idle;
	unsigned handles; /* not closed yet */
	bool waiting;     /* for an answer, or for it to be taken */
	bool closing;
	struct buf in;
	uint8_t *out;
	uv_write_t write;
};

static void step(struct dns_client *c);

static void on_closed(uv_handle_t *h)
{
	struct dns_client *c = h->data;
	struct dns_sandbox *d = c->sandbox;

	if (--c->handles == 0) {
		buf_done(&c->in);
		free(c->out);
		free(c);
	}
	dns_sandbox_unref(d);
}

void dns_client_close(struct dns_client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	LIST_REMOVE(c, link);
	c->sandbox->client_count--;
	dns_forward_cancel(c->sandbox, c);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	uv_close((uv_handle_t *)&c->idle, on_closed);
}

static void on_idle(uv_timer_t *t)
{
	dns_client_close(t->data);
}

static void be_idle(struct dns_client *c)
{
	(void)uv_timer_start(&c->idle, on_idle, c->sandbox->idle_ms, 0);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct dns_client *c = h->data;

	*buf = uv_buf_init((char *)c->sandbox->server->in, sizeof(c->sandbox->server->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct dns_client *c = stream->data;

	if (n < 0 || buf_add(&c->in, buf->base, (size_t)n) < 0) {
		dns_client_close(c);
		return;
	}
	be_idle(c);
	step(c);
}

static void on_written(uv_write_t *w, int status)
{
	struct dns_client *c = w->data;

	free(c->out);
	c->out = NULL;
	c->waiting = false;
	if (status < 0)
		dns_client_close(c);
	else if (!c->closing)
		step(c);
}

void dns_client_send(struct dns_client *c, const uint8_t *p, size_t n)
{
	uv_buf_t buf;

	if (c->closing)
		return;
	c->out = xmalloc(2 + n);
	c->out[0] = (uint8_t)(n >> 8);
	c->out[1] = (uint8_t)n;
	memcpy(c->out + 2, p, n);
	buf = uv_buf_init((char *)c->out, (unsigned)(2 + n));
	c->write.data = c;
	be_idle(c); /* a client that does not take its answer is dropped as well */
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
		dns_client_close(c);
}

/* Takes the next whole question, or reads on. */
static void step(struct dns_client *c)
{
	const uint8_t *p = (const uint8_t *)c->in.p;
	struct dns_reply r = {.client = c};
	auto_free uint8_t *message = NULL;
	size_t n;

	if (c->closing || c->waiting)
		return;
	if (c->in.len < 2 || c->in.len < 2 + (n = (size_t)(p[0] << 8 | p[1]))) {
		(void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
		return;
	}
	(void)uv_read_stop((uv_stream_t *)&c->tcp);
	(void)uv_timer_stop(&c->idle);
	message = xmemdup(p + 2, n);
	buf_shift(&c->in, 2 + n);
	c->waiting = true;
	/* Its end is dns_client_send(), and that one's on_written(), or the client is closed. */
	dns_handle(c->sandbox, &r, message, n);
}

void dns_client_accept(uv_stream_t *listener, int status)
{
	struct dns_sandbox *d = listener->data;
	struct dns_client *c;

	if (status < 0)
		return;
	c = xcalloc(1, sizeof(*c));
	c->sandbox = d;
	/* One question, and what came along in the same read. */
	buf_init(&c->in, 2 * (2 + DNS_MESSAGE_MAX));
	(void)uv_tcp_init(d->server->loop, &c->tcp);
	(void)uv_timer_init(d->server->loop, &c->idle);
	c->tcp.data = c->idle.data = c;
	c->handles = 2;
	d->handles += 2;
	d->server->handles += 2;
	LIST_INSERT_HEAD(&d->clients, c, link);
	d->client_count++;
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 ||
	    d->client_count > LIMIT_DNS_CLIENTS) {
		dns_client_close(c);
		return;
	}
	be_idle(c);
	step(c);
}
