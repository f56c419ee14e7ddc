/*
 * Questions on their way to upstream servers. Each try has a socket of its own, connected to the
 * server, with a port of the kernel's choice and a random id: an answer counts only from that
 * server, to that port, with that id and the question repeated. See dns_private.h.
 */
#include <string.h>

#include "base/id.h"
#include "net/dns_private.h"

#define DNS_PORT 53

struct try;

struct dns_forward {
	LIST_ENTRY(dns_forward) link;
	struct dns_sandbox *sandbox;
	struct dns_reply reply;
	uint16_t client_id; /* the question's own id */
	size_t next;        /* which upstream is asked next */
	struct try *try;
	size_t n;
	uint8_t query[];
};

/* Outlives its forward until libuv has closed its handles. */
struct
try {
	struct dns_forward *forward; /* NULL: given up */
	struct dns_server *server;
	union {
		uv_handle_t handle;
		uv_udp_t udp;
		uv_tcp_t tcp;
	} u;
	uv_timer_t timer;
	unsigned handles;
	bool tcp;
	uv_connect_t connect;
	uv_write_t write;
	struct buf in; /* of TCP */
	uint8_t *out;  /* of TCP: length and query */
};

static void ask_next(struct dns_forward *f);

static void on_closed(uv_handle_t *h)
{
	struct try *t = h->data;
	struct dns_server *s = t->server;

	if (--t->handles == 0) {
		buf_done(&t->in);
		free(t->out);
		free(t);
	}
	dns_handle_closed(s);
}

static void try_end(struct dns_forward *f)
{
	struct try *t = f->try;

	if (t == NULL)
		return;
	f->try = NULL;
	t->forward = NULL;
	uv_close(&t->u.handle, on_closed);
	uv_close((uv_handle_t *)&t->timer, on_closed);
}

static void forward_free(struct dns_forward *f)
{
	try_end(f);
	LIST_REMOVE(f, link);
	f->sandbox->inflight--;
	f->sandbox->server->inflight--;
	free(f);
}

static void put_id(uint8_t *p, uint16_t id)
{
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
}

/* All have failed. */
static void give_up(struct dns_forward *f)
{
	put_id(f->query, f->client_id);
	dns_reply_error(f->sandbox, &f->reply, f->query, f->n, DNS_SERVFAIL);
	forward_free(f);
}

void dns_forward_cancel(struct dns_sandbox *d, const struct dns_client *client)
{
	struct dns_forward *f = LIST_FIRST(&d->forwards), *next;

	for (; f != NULL; f = next) {
		next = LIST_NEXT(f, link);
		if (client == NULL || f->reply.client == client)
			forward_free(f);
	}
}

/* An answer came: it is passed on, unless this server cannot help and another may. */
static void take_answer(struct try *t, uint8_t *p, size_t n)
{
	struct dns_forward *f = t->forward;
	unsigned rcode;

	if (!dns_answers(f->query, f->n, p, n))
		return; /* not ours: go on waiting for the right one */
	rcode = p[3] & 0x0f;
	if (rcode == DNS_SERVFAIL || rcode == DNS_REFUSED) {
		ask_next(f);
		return;
	}
	put_id(p, f->client_id);
	dns_reply_send(f->sandbox, &f->reply, p, n);
	forward_free(f);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct try *t = h->data;

	*buf = uv_buf_init((char *)t->server->in, sizeof(t->server->in));
}

static void on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
			unsigned flags)
{
	struct try *t = udp->data;

	if (t->forward == NULL || n == 0)
		return;
	if (n < 0) /* nothing listens there (ICMP), say */
		ask_next(t->forward);
	else if (!(flags & UV_UDP_PARTIAL))
		take_answer(t, (uint8_t *)buf->base, (size_t)n);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct try *t = stream->data;
	size_t want;

	if (t->forward == NULL)
		return;
	if (n < 0 || buf_add(&t->in, buf->base, (size_t)n) < 0) {
		ask_next(t->forward);
		return;
	}
	if (t->in.len < 2)
		return;
	want = (size_t)((uint8_t)t->in.p[0] << 8 | (uint8_t)t->in.p[1]);
	if (t->in.len < 2 + want)
		return;
	if (t->in.len > 2 + want ||
	    !dns_answers(t->forward->query, t->forward->n, (uint8_t *)t->in.p + 2, want))
		ask_next(t->forward);
	else
		take_answer(t, (uint8_t *)t->in.p + 2, want);
}

static void on_written(uv_write_t *w, int status)
{
	struct try *t = w->data;

	if (status < 0 && t->forward != NULL)
		ask_next(t->forward);
}

static void on_connected(uv_connect_t *c, int status)
{
	struct try *t = c->data;
	struct dns_forward *f = t->forward;
	uv_buf_t buf;

	if (f == NULL)
		return;
	t->out = xmalloc(2 + f->n);
	put_id(t->out, (uint16_t)f->n);
	memcpy(t->out + 2, f->query, f->n);
	buf = uv_buf_init((char *)t->out, (unsigned)(2 + f->n));
	t->write.data = t;
	if (status < 0 || uv_read_start((uv_stream_t *)&t->u.tcp, on_alloc, on_read) < 0 ||
	    uv_write(&t->write, (uv_stream_t *)&t->u.tcp, &buf, 1, on_written) < 0)
		ask_next(f);
}

static void on_timeout(uv_timer_t *timer)
{
	struct try *t = timer->data;

	if (t->forward != NULL)
		ask_next(t->forward);
}

static int try_send(struct try *t, const struct dns_upstream *to)
{
	struct dns_forward *f = t->forward;
	uv_buf_t buf = uv_buf_init((char *)f->query, (unsigned)f->n);
	struct sockaddr_storage ss;
	int rc;

	(void)net_ip_sockaddr(&to->ip, to->port != 0 ? to->port : DNS_PORT, &ss);
	if (t->tcp) {
		t->connect.data = t;
		return uv_tcp_connect(&t->connect, &t->u.tcp, (struct sockaddr *)&ss, on_connected);
	}
	rc = uv_udp_connect(&t->u.udp, (struct sockaddr *)&ss);
	if (rc == 0)
		rc = uv_udp_recv_start(&t->u.udp, on_alloc, on_datagram);
	if (rc == 0)
		rc = uv_udp_try_send(&t->u.udp, &buf, 1, NULL);
	return rc;
}

static struct try *try_new(struct dns_forward *f)
{
	struct dns_server *s = f->sandbox->server;
	struct try *t = xcalloc(1, sizeof(*t));

	t->forward = f;
	t->server = s;
	t->tcp = f->reply.client != NULL;
	buf_init(&t->in, 2 + DNS_MESSAGE_MAX);
	if (t->tcp)
		(void)uv_tcp_init(s->loop, &t->u.tcp);
	else
		(void)uv_udp_init(s->loop, &t->u.udp);
	(void)uv_timer_init(s->loop, &t->timer);
	t->u.handle.data = t->timer.data = t;
	t->handles = 2;
	s->handles += 2;
	return t;
}

static void ask_next(struct dns_forward *f)
{
	struct dns_sandbox *d = f->sandbox;

	for (;;) {
		uint16_t id;

		try_end(f);
		if (f->next >= d->upstream_count) {
			give_up(f);
			return;
		}
		random_bytes(&id, sizeof(id));
		put_id(f->query, id);
		f->try = try_new(f);
		(void)uv_timer_start(&f->try->timer, on_timeout, d->timeout_ms, 0);
		if (try_send(f->try, &d->upstreams[f->next++]) >= 0)
			return;
	}
}

void dns_forward_start(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *p, size_t n)
{
	struct dns_forward *f;

	if (d->server->inflight >= LIMIT_DNS_INFLIGHT ||
	    d->inflight >= LIMIT_DNS_SANDBOX_INFLIGHT) {
		dns_reply_error(d, r, p, n, DNS_SERVFAIL);
		return;
	}
	f = xmalloc(sizeof(*f) + n);
	memset(f, 0, sizeof(*f));
	f->sandbox = d;
	f->reply = *r;
	f->n = n;
	memcpy(f->query, p, n);
	f->client_id = (uint16_t)(p[0] << 8 | p[1]);
	LIST_INSERT_HEAD(&d->forwards, f, link);
	d->inflight++;
	d->server->inflight++;
	ask_next(f);
}
