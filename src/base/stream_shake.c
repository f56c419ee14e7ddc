/*
 * See stream.h: the handshake, whose arithmetic runs on the pool, and the hello in each direction,
 * after which a stream is open.
 */
#include "base/stream_impl.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

void stream_tune(struct stream *s, int purpose)
{
	bool fast = purpose == STREAM_RAFT || purpose == STREAM_CONTROL;
	int dead_ms = fast ? LIMIT_RAFT_DEAD_MS : LIMIT_STREAM_DEAD_MS;
	int probe_s = MAX_OF(dead_ms / 3000, 1), probes = 3, fd;

	if (uv_fileno((uv_handle_t *)&s->tcp, &fd) < 0)
		return;
	(void)uv_tcp_nodelay(&s->tcp, 1);
	(void)uv_tcp_keepalive(&s->tcp, 1, (unsigned)probe_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof probe_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	/* It ends a peer that does not read for so long, too, which a data stream's may. */
	if (purpose == STREAM_DATA)
		dead_ms = 0;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

/* On the pool. Touches only `tls` and the two buffers, which the loop leaves alone meanwhile. */
static void shake_work(uv_work_t *work)
{
	struct stream *s = work->data;

	tls_give(&s->tls, s->shake_in.p, s->shake_in.len);
	s->tls.out = &s->shake_out;
	s->work_rc = tls_handshake(&s->tls);
}

static void peer_fill(struct stream *s)
{
	const struct cert_info *info;

	if (!s->tls.peer)
		return;
	info = cert_info(s->tls.peer);
	memcpy(s->peer.node_id, info->common_name,
	       MIN_OF(strlen(info->common_name), sizeof s->peer.node_id - 1));
	memcpy(s->peer.cluster_id, info->organization, sizeof s->peer.cluster_id);
	memcpy(s->peer.cert_sha256, info->sha256, SHA256_LEN);
	s->peer.role = info->role;
	s->peer.not_after_ns = info->not_after_ns;
}

/* TLS is up; what came behind the handshake is the beginning of the frames. */
static void shake_done(struct stream *s)
{
	struct buf rest = s->shake_in;

	s->shake_in = BUF_INIT(0);
	buf_done(&s->shake_out);
	s->tls_up = true;
	s->state = STREAM_HELLO;
	peer_fill(s);
	if (s->queue.n)
		stream_mark_dirty(s);
	if (stream_read_on(s) < 0)
		stream_fail(s, false, -EIO, "cannot read from %s", s->peer.address);
	else if (rest.len && s->state == STREAM_HELLO)
		stream_take(s, (const uint8_t *)rest.p, rest.len);
	buf_done(&rest);
}

/* Handshake messages and alerts leave as they come. */
static void shake_send(struct stream *s)
{
	if (s->shake_out.len)
		stream_write_raw(s, (const uint8_t *)s->shake_out.p, s->shake_out.len);
	buf_reset(&s->shake_out);
}

/* The alert is on its way: ends as a closing stream does, so that it is not overtaken by a reset.
 */
static void shake_failed(struct stream *s)
{
	s->why = s->tls.why;
	if (s->broken) {
		stream_finish(s);
		return;
	}
	s->state = STREAM_CLOSING;
	s->shut = true;
	stream_set_deadline(s, LIMIT_LINGER_MS);
	(void)uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, NULL);
	(void)stream_read_on(s);
}

static void on_shaken(uv_work_t *work, int status)
{
	struct stream *s = work->data;

	s->in_pool = false;
	if (s->state == STREAM_CLOSED) {
		stream_settle(s);
		return;
	}
	buf_shift(&s->shake_in, s->shake_in.len - s->tls.in_left);
	shake_send(s);
	if (s->state == STREAM_CLOSED)
		return;
	if (s->work_rc < 0)
		shake_failed(s);
	else if (s->work_rc == 1)
		shake_done(s);
	else if (stream_read_on(s) < 0)
		stream_fail(s, false, -EIO, "cannot read from %s", s->peer.address);
}

static void shake_queue(struct stream *s)
{
	stream_read_off(s);
	s->work.data = s;
	s->in_pool = true;
	(void)uv_queue_work(s->hub->loop, &s->work, shake_work, on_shaken);
}

void stream_shake_more(struct stream *s, const uint8_t *p, size_t n)
{
	if (s->shake_in.len > LIMIT_HANDSHAKE_BYTES) {
		stream_fail(s, false, -EPROTO, "the handshake of %s is too long", s->peer.address);
		return;
	}
	(void)buf_add(&s->shake_in, p, n);
	shake_queue(s);
}

void stream_shake_start(struct stream *s)
{
	s->state = STREAM_SHAKE;
	if (!s->accepted)
		shake_queue(s);
	else if (stream_read_on(s) < 0)
		stream_fail(s, false, -EIO, "cannot read from %s", s->peer.address);
}

static void stream_opened(struct stream *s)
{
	struct stream_hub *h = s->hub;

	s->state = STREAM_OPEN;
	s->was_open = true;
	h->handshakes--;
	h->open++;
	s->reader.max = s->joining ? LIMIT_JOIN_FRAME : LIMIT_FRAME;
	if (s->joining)
		stream_set_deadline(s, LIMIT_JOIN_MS);
	else
		stream_clear_deadline(s);
	stream_watch_expiry(s);
	stream_release_slot(s);
	if (s->paused)
		stream_read_off(s);
}

/* What needs no store to be refused. */
static int purpose_check(struct stream *s, uint16_t purpose, struct err *e)
{
	bool managers =
		purpose == STREAM_RAFT || purpose == STREAM_SNAPSHOT || purpose == STREAM_CONTROL;

	if (purpose < STREAM_RAFT || purpose > STREAM_SNAPSHOT)
		return err_set(e, -EPROTO, "unknown purpose %u of a stream: is one node older?",
			       purpose);
	if (s->tls.peer ? managers && s->peer.role != CERT_ROLE_MANAGER : purpose != STREAM_JOIN)
		return err_set(e, -EACCES, "%s",
			       s->tls.peer ? "only a manager may do this: the node's certificate "
					     "says worker"
					   : "this needs a node certificate: the node must join "
					     "first");
	if (!s->tls.peer && s->hub->joins >= LIMIT_JOINS)
		return err_set(e, -EAGAIN, "too many nodes are joining at once: try again");
	return 0;
}

static int hello_accept(struct stream *s, const struct frame_view *f, struct err *e)
{
	struct stream_listener *l = s->listener;
	struct stream_hub *h = s->hub;
	const struct stream_hello ours = {STREAM_VERSION_MIN, STREAM_VERSION_MAX, 0,
					  h->conf.features};
	struct stream_hello theirs;
	int rc = hello_read(f, &theirs, e);

	if (rc == 0)
		rc = hello_agree(&ours, &theirs, &s->peer.version, e);
	if (rc == 0)
		rc = purpose_check(s, theirs.purpose, e);
	if (rc == 0 && s->peer.not_after_ns <= hub_wall_ns(h))
		rc = err_set(e, -EKEYEXPIRED, "the certificate of this node has ended");
	if (rc == 0 && !l)
		rc = err_set(e, -ESHUTDOWN, "the node is stopping");
	if (rc < 0)
		return rc;
	s->peer.purpose = (enum stream_purpose)theirs.purpose;
	s->peer.features = ours.features & theirs.features;
	if (!s->tls.peer) {
		s->joining = true;
		h->joins++;
	}
	return l->accept(s, &s->peer, l->data, e);
}

/* Accepting side: the dialler's hello. */
static void hello_asked(struct stream *s, const struct frame_view *f)
{
	struct err e = ERR_INIT;
	int rc = hello_accept(s, f, &e);
	auto_frame *answer = NULL;

	s->listener = NULL;
	if (rc < 0) { /* the owner, if it took it, has said no: it hears nothing more */
		s->ops = NULL;
		stream_fail(s, true, rc, "%s", err_text(&e));
		return;
	}
	if (s->state == STREAM_CLOSED)
		return;
	assert(s->ops);
	answer = hello_write(&(struct stream_hello){STREAM_VERSION_MIN, s->peer.version,
						    s->peer.purpose, s->hub->conf.features});
	stream_queue_push(s, answer, true); /* before what the owner may have sent already */
	if (s->state != STREAM_HELLO)       /* let in and closed in one breath */
		return;
	stream_tune(s, s->peer.purpose);
	stream_opened(s);
}

/* Dialling side: the answer, a hello or a bye with the reason. */
static void hello_answered(struct stream *s, const struct frame_view *f)
{
	struct stream_hello theirs;
	struct err e = ERR_INIT;

	if (f->type == FRAME_BYE) {
		bye_read(f, &e);
		stream_fail(s, false, e.code, "%s", e.msg);
		return;
	}
	if (hello_read(f, &theirs, &e) < 0 || theirs.version_max < STREAM_VERSION_MIN ||
	    theirs.version_max > STREAM_VERSION_MAX) {
		stream_fail(s, true, -EPROTO, "%s did not answer with a hello", s->peer.address);
		return;
	}
	s->peer.version = theirs.version_max;
	s->peer.features = s->hub->conf.features & theirs.features;
	stream_opened(s);
	if (s->ops->open)
		s->ops->open(s, s->data);
}

void stream_hello_frame(struct stream *s, const struct frame_view *f)
{
	if (s->accepted)
		hello_asked(s, f);
	else
		hello_answered(s, f);
}
