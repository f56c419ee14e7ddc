/*
 * See stream.h: dialling.
 */
#include "base/stream_impl.h"

#include <string.h>

static void on_connected(uv_connect_t *req, int status)
{
	struct stream *s = req->data;

	if (s->state != STREAM_DIAL)
		return;
	if (status < 0) {
		stream_fail(s, false, status, "cannot connect to %s: %s", s->peer.address,
			    uv_strerror(status));
		return;
	}
	stream_tune(s, s->peer.purpose);
	stream_shake_start(s);
}

/* The hello is the first frame of the queue; it leaves once the server has proved itself. */
static void hello_ask(struct stream *s)
{
	auto_frame *f = hello_write(&(struct stream_hello){STREAM_VERSION_MIN, STREAM_VERSION_MAX,
							   s->peer.purpose, s->hub->conf.features});

	stream_queue_push(s, f, false);
}

static int target_check(const struct stream_hub *h, const struct stream_target *t,
			struct sockaddr_storage *ret, struct err *e)
{
	if (h->closing)
		return err_set(e, -ESHUTDOWN, "the node is stopping");
	if (stream_address_parse(t->address, ret) < 0)
		return err_set(e, -EINVAL, "%s is not an address to dial (IP:PORT)",
			       t->address ? t->address : "nothing");
	if (t->root_sha256 && t->purpose != STREAM_JOIN)
		return err_set(e, -EINVAL, "only joining relies on a token's digest");
	if (!h->identity && !t->root_sha256)
		return err_set(e, -ENOKEY, "this node has no certificate to dial %s with",
			       t->address);
	return 0;
}

int stream_connect(struct stream_hub *h, const struct stream_target *t,
		   const struct stream_ops *ops, void *data, struct stream **ret, struct err *e)
{
	struct sockaddr_storage a;
	struct stream *s;
	int rc = target_check(h, t, &a, e);

	if (rc < 0)
		return rc;
	s = stream_new(h, false);
	s->peer.purpose = t->purpose;
	stream_address_format(&a, s->peer.address);
	s->connect.data = s;
	/* With a token's digest the node has no part in this cluster yet: it shows no certificate.
	 */
	rc = tls_init(&s->tls, t->root_sha256 ? NULL : h->identity, false, t->node_id,
		      t->root_sha256, hub_wall_ns(h));
	if (rc == 0)
		rc = uv_tcp_connect(&s->connect, &s->tcp, (const struct sockaddr *)&a,
				    on_connected);
	if (rc < 0) {
		stream_finish(s);
		return err_code(e, rc, "cannot dial %s", t->address);
	}
	hello_ask(s);
	stream_set_deadline(s, t->timeout_ms ? t->timeout_ms : h->conf.handshake_ms);
	stream_start(s, ops, data);
	*ret = s;
	return 0;
}
