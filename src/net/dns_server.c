/*
 * The embedded DNS server: sandboxes and what is answered, forwarded or kept; see dns_server.h.
 * The rules are Docker's, with two made stricter: a name that is ours is never asked for outside,
 * whatever the type, and what cannot be forwarded is answered, not dropped.
 */
#include <assert.h>
#include <string.h>

#include "base/id.h"
#include "net/dns_private.h"

#define TIMEOUT_MS 4000 /* as Docker waits for an upstream's answer */
#define CLASS_IN 1

void dns_records_add(struct dns_records *r, const struct net_ip *ip)
{
	if (r->count < LIMIT_DNS_RECORDS)
		r->ips[r->count++] = *ip;
}

int dns_server_new(uv_loop_t *loop, struct dns_server **ret, struct err *e)
{
	struct dns_server *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	LIST_INIT(&s->sandboxes);
	*ret = s;
	return 0;
}

static void server_end(struct dns_server *s)
{
	if (!s->closing || s->handles > 0)
		return;
	if (s->closed != NULL)
		s->closed(s->closed_arg);
	free(s);
}

void dns_handle_closed(struct dns_server *s)
{
	s->handles--;
	server_end(s);
}

void dns_server_close(struct dns_server *s, dns_close_fn cb, void *arg)
{
	struct dns_sandbox *d;

	s->closed = cb;
	s->closed_arg = arg;
	while ((d = LIST_FIRST(&s->sandboxes)) != NULL)
		dns_sandbox_close(d);
	s->closing = true;
	server_end(s);
}

void dns_sandbox_unref(struct dns_sandbox *d)
{
	struct dns_server *s = d->server;

	if (--d->handles == 0)
		free(d);
	dns_handle_closed(s);
}

static void on_closed(uv_handle_t *h)
{
	dns_sandbox_unref(h->data);
}

void dns_sandbox_close(struct dns_sandbox *d)
{
	struct dns_client *c;

	assert(!d->closing);
	d->closing = true;
	LIST_REMOVE(d, link);
	dns_forward_cancel(d, NULL);
	while ((c = LIST_FIRST(&d->clients)) != NULL)
		dns_client_close(c);
	uv_close((uv_handle_t *)&d->udp, on_closed);
	uv_close((uv_handle_t *)&d->tcp, on_closed);
}

void dns_reply_send(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *p, size_t n)
{
	uv_buf_t buf = uv_buf_init((char *)p, (unsigned)n);

	if (r->client != NULL)
		dns_client_send(r->client, p, n);
	else /* a full socket drops it, as a network would: the client asks again */
		(void)uv_udp_try_send(&d->udp, &buf, 1, (const struct sockaddr *)&r->to);
}

void dns_reply_error(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *query,
		     size_t n, enum dns_rcode rcode)
{
	uint8_t *out = d->server->out + 2;
	struct dns_query q;
	struct dns_answer a;

	(void)dns_query_parse(query, n, &q);
	dns_answer_init(&a, out, DNS_MESSAGE_MAX, &q, query, rcode);
	dns_reply_send(d, r, out, dns_answer_finish(&a));
}

static void shuffle(struct net_ip *ips, size_t count)
{
	uint64_t x = random_u64() | 1;

	for (size_t i = count; i > 1; i--) {
		struct net_ip ip = ips[i - 1];
		size_t k;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k = (size_t)(x % i);
		ips[i - 1] = ips[k];
		ips[k] = ip;
	}
}

static size_t room_for(const struct dns_reply *r, const struct dns_query *q)
{
	return r->client != NULL ? DNS_MESSAGE_MAX : MIN_OF(q->udp_size, DNS_UDP_MAX);
}

/* What the callback found, of the family that was asked for. */
static void answer(struct dns_sandbox *d, const struct dns_reply *r, const struct dns_query *q,
		   const uint8_t *query, const struct dns_records *found, enum dns_rcode rcode)
{
	uint8_t family = q->type == DNS_A ? AF_INET : q->type == DNS_AAAA ? AF_INET6 : 0;
	uint8_t *out = d->server->out + 2;
	struct dns_answer a;

	dns_answer_init(&a, out, room_for(r, q), q, query, rcode);
	shuffle(found->ips, found->count);
	for (size_t i = 0; i < found->count; i++)
		if (found->ips[i].family == family)
			dns_answer_add_ip(&a, &found->ips[i], DNS_TTL_S);
	if (q->type == DNS_PTR && found->ptr[0] != '\0')
		(void)dns_answer_add_ptr(&a, found->ptr, DNS_TTL_S);
	dns_reply_send(d, r, out, dns_answer_finish(&a));
}

/*
 * Other types than A, AAAA and PTR are asked for as if for an address: a name that is ours has an
 * empty answer then (for MX that means: deliver to the address itself, RFC 5321 §5.1).
 */
static enum dns_outcome look_up(struct dns_sandbox *d, const struct dns_query *q,
				struct dns_records *ret)
{
	struct net_ip ip;

	if (q->class != CLASS_IN || q->name[0] == '\0')
		return DNS_UNKNOWN;
	if (q->type != DNS_PTR)
		return d->lookup(d->arg, q->name, q->type == DNS_AAAA ? DNS_AAAA : DNS_A, NULL,
				 ret);
	if (dns_name_to_ip(q->name, &ip) < 0)
		return DNS_UNKNOWN;
	return d->lookup(d->arg, q->name, DNS_PTR, &ip, ret);
}

void dns_handle(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *p, size_t n)
{
	struct dns_records found = {.ips = d->server->ips};
	struct dns_records none = {.ips = d->server->ips};
	struct dns_query q;
	int rc = dns_query_parse(p, n, &q);

	if (rc == -EBADMSG) {
		if (r->client != NULL)
			dns_client_close(r->client);
		return;
	}
	if (rc > 0) {
		answer(d, r, &q, p, &none, (enum dns_rcode)rc);
		return;
	}
	switch (look_up(d, &q, &found)) {
	case DNS_FOUND:
		answer(d, r, &q, p, &found, DNS_NOERROR);
		return;
	case DNS_NO_NAME:
		answer(d, r, &q, p, &none, DNS_NXDOMAIN);
		return;
	case DNS_UNKNOWN:
		break;
	}
	if (d->internal || d->upstream_count == 0)
		answer(d, r, &q, p, &none, DNS_SERVFAIL);
	else if (d->keep_single && dns_name_is_single(q.name) &&
		 (q.type == DNS_A || q.type == DNS_AAAA))
		answer(d, r, &q, p, &none, DNS_NOERROR);
	else
		dns_forward_start(d, r, p, n);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct dns_sandbox *d = h->data;

	*buf = uv_buf_init((char *)d->server->in, sizeof(d->server->in));
}

static void on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
			unsigned flags)
{
	struct dns_reply r = {0};

	if (n <= 0 || from == NULL || from->sa_family != AF_INET || (flags & UV_UDP_PARTIAL))
		return;
	memcpy(&r.to, from, sizeof(struct sockaddr_in));
	dns_handle(udp->data, &r, (const uint8_t *)buf->base, (size_t)n);
}

static int set_options(struct dns_sandbox *d, const struct dns_sandbox_options *o, struct err *e)
{
	if (o->upstream_count > LIMIT_DNS_UPSTREAMS)
		return err_set(e, -E2BIG, "more than %d DNS servers", LIMIT_DNS_UPSTREAMS);
	for (size_t i = 0; i < o->upstream_count; i++)
		if (net_ip_size(o->upstreams[i].ip.family) == 0)
			return err_set(e, -EINVAL, "a DNS server has no address");
	d->lookup = o->lookup;
	d->arg = o->arg;
	d->upstream_count = o->upstream_count;
	for (size_t i = 0; i < o->upstream_count; i++)
		d->upstreams[i] = o->upstreams[i];
	d->internal = o->internal;
	d->keep_single = o->keep_single;
	d->timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : TIMEOUT_MS;
	d->idle_ms = o->idle_ms != 0 ? o->idle_ms : LIMIT_DNS_IDLE_MS;
	return 0;
}

int dns_sandbox_update(struct dns_sandbox *d, const struct dns_sandbox_options *o, struct err *e)
{
	return set_options(d, o, e);
}

/* Takes the descriptors over as it goes: what it took is -1 afterwards. */
static int start(struct dns_sandbox *d, int *udp_fd, int *tcp_fd)
{
	int rc = uv_udp_open(&d->udp, *udp_fd);

	if (rc == 0) {
		(void)TAKE_FD(*udp_fd);
		rc = uv_udp_recv_start(&d->udp, on_alloc, on_datagram);
	}
	if (rc == 0 && *tcp_fd >= 0) {
		rc = uv_tcp_open(&d->tcp, *tcp_fd);
		if (rc < 0)
			return rc;
		(void)TAKE_FD(*tcp_fd);
		rc = uv_listen((uv_stream_t *)&d->tcp, LIMIT_DNS_CLIENTS, dns_client_accept);
	}
	return rc;
}

int dns_sandbox_new(struct dns_server *s, int udp_fd, int tcp_fd,
		    const struct dns_sandbox_options *o, struct dns_sandbox **ret, struct err *e)
{
	auto_close int udp = udp_fd, tcp = tcp_fd;
	struct dns_sandbox *d = xcalloc(1, sizeof(*d));
	int rc = set_options(d, o, e);

	if (rc < 0) {
		free(d);
		return rc;
	}
	d->server = s;
	LIST_INIT(&d->clients);
	LIST_INIT(&d->forwards);
	LIST_INSERT_HEAD(&s->sandboxes, d, link);
	(void)uv_udp_init(s->loop, &d->udp); /* neither opens a socket, so neither fails */
	(void)uv_tcp_init(s->loop, &d->tcp);
	d->udp.data = d->tcp.data = d;
	d->handles = 2;
	s->handles += 2;
	rc = start(d, &udp, &tcp);
	if (rc < 0) {
		dns_sandbox_close(d);
		return err_set(e, rc, "cannot serve a container's name server: %s",
			       uv_strerror(rc));
	}
	*ret = d;
	return 0;
}
