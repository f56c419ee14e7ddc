/*
 * See stream.h: listeners. While LIMIT_HANDSHAKES are in flight (or LIMIT_STREAMS are there),
 * whoever comes waits in the kernel's backlog.
 */
#include "base/stream_impl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

#define DEFER_S 1 /* a connection without a first byte stays in the kernel about so long */

static bool hub_has_room(const struct stream_hub *h)
{
	return h->slots < LIMIT_HANDSHAKES && h->accepted < LIMIT_STREAMS;
}

static void stream_accept(struct stream_listener *l)
{
	struct stream *s = stream_new(l->hub, true);
	struct sockaddr_storage a;
	int n = sizeof a, rc;

	s->listener = l;
	rc = uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&s->tcp);
	if (rc == 0)
		rc = uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&a, &n);
	if (rc == 0)
		stream_address_format(&a, s->peer.address);
	/* Without an identity nothing is served; a peer that has gone again is no news. */
	if (rc < 0 || !l->hub->identity ||
	    tls_init(&s->tls, l->hub->identity, true, NULL, NULL, hub_wall_ns(l->hub)) < 0) {
		stream_finish(s);
		return;
	}
	stream_tune(s, 0);
	stream_set_deadline(s, l->hub->conf.handshake_ms);
	stream_shake_start(s);
}

void listeners_accept(struct stream_hub *h)
{
	struct stream_listener *l;

	DL_FOREACH (h->listeners, l) {
		if (!l->waiting || l->closing || !hub_has_room(h))
			continue;
		l->waiting = false; /* libuv tells of the next one */
		stream_accept(l);
	}
}

bool listeners_waiting(const struct stream_hub *h)
{
	struct stream_listener *l;

	DL_FOREACH (h->listeners, l) {
		if (l->waiting && !l->closing)
			return true;
	}
	return false;
}

static void on_connection(uv_stream_t *server, int status)
{
	struct stream_listener *l = server->data;

	if (status < 0 || l->closing)
		return;
	l->waiting = true;
	listeners_accept(l->hub);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct stream_listener *l = handle->data;
	struct stream_hub *h = l->hub;

	DL_DELETE(h->listeners, l);
	free(l);
	hub_check_closed(h);
}

void stream_listener_close(struct stream_listener *l)
{
	struct stream *s;

	if (l->closing)
		return;
	l->closing = true;
	DL_FOREACH (l->hub->streams, s) {
		if (s->listener != l)
			continue;
		s->listener = NULL;
		stream_fail(s, true, -ESHUTDOWN, "the node is stopping");
	}
	uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
}

static int listener_open(struct stream_listener *l, const struct sockaddr_storage *a)
{
	int n = sizeof(struct sockaddr_storage), defer = DEFER_S, fd, rc;
	struct sockaddr_storage bound;

	rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)a, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&l->tcp, LIMIT_STREAM_BACKLOG, on_connection);
	if (rc == 0)
		rc = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &n);
	if (rc == 0)
		rc = uv_fileno((uv_handle_t *)&l->tcp, &fd);
	if (rc < 0)
		return rc;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof defer);
	stream_address_format(&bound, l->address);
	return 0;
}

int stream_listen(struct stream_hub *h, const char *address, stream_accept_cb accept, void *data,
		  struct stream_listener **ret, struct err *e)
{
	struct stream_listener *l;
	struct sockaddr_storage a;
	int rc;

	if (stream_address_parse(address, &a) < 0)
		return err_set(e, -EINVAL, "%s is not an address to listen on (IP:PORT)",
			       address ? address : "nothing");
	l = xcalloc(1, sizeof *l);
	l->hub = h;
	l->accept = accept;
	l->data = data;
	(void)uv_tcp_init(h->loop, &l->tcp);
	l->tcp.data = l;
	DL_APPEND(h->listeners, l);
	rc = listener_open(l, &a);
	if (rc < 0) {
		stream_listener_close(l);
		return err_code(e, rc, "cannot listen on %s", address);
	}
	*ret = l;
	return 0;
}

const char *stream_listener_address(const struct stream_listener *l)
{
	return l->address;
}
