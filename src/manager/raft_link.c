/*
 * See raft_link.h.
 */
#include "manager/raft_link.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "base/dialer.h"
#include "base/mem.h"

#define RAFT_FRAME 1           /* frame type of a raft message, on both purposes */
#define RAFT_REDIAL_MAX_MS 400 /* a failover must not wait for a backoff */

struct peer {
	struct raft_link *link;
	char node[ID_CLUSTER_LEN + 1];
	char address[STREAM_ADDRESS_MAX];
	struct dialer dialer;
	struct stream *in; /* the last one it opened to us */
	struct snapshot_send *snapshot;
	UT_hash_handle hh;
};

/* A snapshot on its way to a peer. */
struct snapshot_send {
	struct peer *peer; /* NULL once the peer was forgotten */
	struct raft_link *link;
	struct stream *stream;
	struct raft_snapshot_out *out;
	struct buf frame;
};

/* An accepted stream: who is at its other end stands in the stream itself. */
struct raft_link {
	struct raft_link_config config;
	struct peer *peers;
	unsigned open; /* dialers, accepted and snapshot streams whose end has not come */
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
};

static void link_release(struct raft_link *l)
{
	if (--l->open > 0 || !l->closing)
		return;
	if (l->done)
		l->done(l->done_arg);
	free(l);
}

static struct peer *peer_find(const struct raft_link *l, const char *node)
{
	struct peer *p;

	HASH_FIND_STR(l->peers, node, p);
	return p;
}

static void frame_receive(struct raft_link *l, struct stream *s, const struct frame_view *f)
{
	struct err e = ERR_INIT;
	int rc = f->type == RAFT_FRAME ? 0 : err_set(&e, -EPROTO, "an unknown frame");

	if (l->closing)
		return;
	if (rc == 0)
		rc = l->config.receive(l->config.arg, stream_peer(s)->node_id, f->payload, f->len,
				       &e);
	if (rc < 0)
		stream_close(s, rc, e.msg);
}

static int peer_target(struct stream_target *ret, void *data, struct err *e)
{
	struct peer *p = data;
	struct raft_link *l = p->link;
	int rc = l->config.address(l->config.arg, p->node, p->address);

	if (rc < 0)
		return err_set(e, rc, "the address of manager %s is not known yet", p->node);
	*ret = (struct stream_target){
		.address = p->address, .purpose = STREAM_RAFT, .node_id = p->node};
	return 0;
}

static void peer_recv(struct stream *s, const struct frame_view *f, void *data)
{
	frame_receive(((struct peer *)data)->link, s, f);
}

static void peer_open(struct stream *s, void *data)
{
	(void)s;
	(void)data;
}

static void link_refused(struct raft_link *l, const char *node, const struct err *why)
{
	if (why->code == -EACCES && !l->closing && l->config.refused)
		l->config.refused(l->config.arg, node);
}

static void peer_lost(const struct err *why, bool was_open, uint32_t wait_ms, void *data)
{
	struct peer *p = data;

	(void)was_open;
	(void)wait_ms;
	link_refused(p->link, p->node, why);
}

static const struct dialer_ops peer_ops = {
	.target = peer_target,
	.open = peer_open,
	.recv = peer_recv,
	.lost = peer_lost,
};

static struct peer *peer_get(struct raft_link *l, const char *node)
{
	struct peer *p = peer_find(l, node);

	if (p)
		return p;
	p = xcalloc(1, sizeof *p);
	p->link = l;
	(void)snprintf(p->node, sizeof p->node, "%s", node);
	HASH_ADD_STR(l->peers, node, p);
	l->open++;
	dialer_start(&p->dialer, l->config.hub, &peer_ops, p);
	dialer_set_backoff(&p->dialer, 50, RAFT_REDIAL_MAX_MS);
	return p;
}

static void peer_closed(struct dialer *d, void *data)
{
	struct peer *p = data;
	struct raft_link *l = p->link;

	(void)d;
	free(p);
	link_release(l);
}

static void peer_drop(struct peer *p)
{
	HASH_DEL(p->link->peers, p);
	if (p->in)
		stream_abort(p->in);
	if (p->snapshot) {
		p->snapshot->peer = NULL;
		stream_abort(p->snapshot->stream);
	}
	dialer_close(&p->dialer, peer_closed);
}

static void link_send(void *arg, const char *node, const void *p, size_t n)
{
	struct raft_link *l = arg;
	struct stream *s;
	struct peer *peer;

	if (l->closing)
		return;
	peer = peer_get(l, node);
	s = dialer_stream(&peer->dialer);
	if (!s && peer->in && stream_is_open(peer->in))
		s = peer->in; /* a new manager does not know yet where the others listen */
	if (s)
		(void)stream_send_copy(s, RAFT_FRAME, p, n);
}

/* Snapshots */

static void snapshot_pump(struct snapshot_send *s)
{
	while (stream_writable(s->stream)) {
		if (!raft_snapshot_out_next(s->out, &s->frame)) {
			stream_close(s->stream, 0, NULL);
			return;
		}
		if (stream_send_copy(s->stream, RAFT_FRAME, s->frame.p, s->frame.len) < 0) {
			stream_abort(s->stream);
			return;
		}
	}
}

static void snapshot_ready(struct stream *stream, void *data)
{
	(void)stream;
	snapshot_pump(data);
}

static void snapshot_recv(struct stream *stream, const struct frame_view *f, void *data)
{
	(void)f;
	(void)data;
	stream_close(stream, -EPROTO, "nothing is expected on a snapshot's connection");
}

static void snapshot_closed(struct stream *stream, const struct err *why, void *data)
{
	struct snapshot_send *s = data;
	struct raft_link *l = s->link;

	(void)stream;
	(void)why;
	if (s->peer)
		s->peer->snapshot = NULL;
	raft_snapshot_out_free(s->out);
	buf_done(&s->frame);
	free(s);
	link_release(l);
}

static const struct stream_ops snapshot_ops = {
	.open = snapshot_ready,
	.recv = snapshot_recv,
	.drain = snapshot_ready,
	.closed = snapshot_closed,
};

static void link_send_snapshot(void *arg, const char *node, struct raft_snapshot_out *out)
{
	struct raft_link *l = arg;
	struct stream_target target = {.purpose = STREAM_SNAPSHOT, .node_id = node};
	char address[STREAM_ADDRESS_MAX];
	struct snapshot_send *s;
	struct peer *p;

	if (l->closing || l->config.address(l->config.arg, node, address) < 0) {
		raft_snapshot_out_free(out);
		return;
	}
	p = peer_get(l, node);
	if (p->snapshot) { /* raft has given up on the one before */
		p->snapshot->peer = NULL;
		stream_abort(p->snapshot->stream);
		p->snapshot = NULL;
	}
	s = xcalloc(1, sizeof *s);
	*s = (struct snapshot_send){
		.peer = p, .link = l, .out = out, .frame = BUF_SECRET(LIMIT_FRAME)};
	target.address = address;
	if (stream_connect(l->config.hub, &target, &snapshot_ops, s, &s->stream, NULL) < 0) {
		raft_snapshot_out_free(out);
		free(s);
		return;
	}
	p->snapshot = s;
	l->open++;
}

struct raft_transport raft_link_transport(struct raft_link *l)
{
	return (struct raft_transport){
		.arg = l, .send = link_send, .send_snapshot = link_send_snapshot};
}

/* What others open to us */

static void accepted_recv(struct stream *s, const struct frame_view *f, void *data)
{
	frame_receive(data, s, f);
}

static void accepted_closed(struct stream *s, const struct err *why, void *data)
{
	struct raft_link *l = data;
	struct peer *p = peer_find(l, stream_peer(s)->node_id);

	link_refused(l, stream_peer(s)->node_id, why);
	if (p && p->in == s)
		p->in = NULL;
	link_release(l);
}

static const struct stream_ops accepted_ops = {
	.recv = accepted_recv,
	.closed = accepted_closed,
};

void raft_link_accept(struct raft_link *l, struct stream *s, const struct stream_peer *peer)
{
	l->open++;
	stream_start(s, &accepted_ops, l);
	if (peer->purpose == STREAM_RAFT)
		peer_get(l, peer->node_id)->in = s;
}

void raft_link_reach(struct raft_link *l, const char *node)
{
	if (!l->closing)
		(void)peer_get(l, node);
}

void raft_link_forget(struct raft_link *l, const char *node)
{
	struct peer *p = peer_find(l, node);

	if (p)
		peer_drop(p);
}

bool raft_link_is_up(const struct raft_link *l, const char *node)
{
	const struct peer *p = peer_find(l, node);

	return p && (dialer_stream(&p->dialer) || (p->in && stream_is_open(p->in)));
}

struct raft_link *raft_link_new(const struct raft_link_config *config)
{
	struct raft_link *l = xcalloc(1, sizeof *l);

	l->config = *config;
	return l;
}

static bool accepted_abort(struct stream *s, void *data)
{
	struct raft_link *l = data;
	enum stream_purpose purpose = stream_peer(s)->purpose;

	(void)l;
	if (purpose == STREAM_RAFT || purpose == STREAM_SNAPSHOT)
		stream_abort(s);
	return true;
}

void raft_link_close(struct raft_link *l, void (*done)(void *arg), void *arg)
{
	struct peer *p, *next;

	l->closing = true;
	l->done = done;
	l->done_arg = arg;
	l->open++; /* held until all that follows has been said */
	HASH_ITER (hh, l->peers, p, next)
		peer_drop(p);
	stream_hub_each(l->config.hub, NULL, accepted_abort, l);
	link_release(l);
}
