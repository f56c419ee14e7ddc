/*
 * See forward.h.
 */
#include "manager/forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "base/dialer.h"
#include "base/mem.h"

#define FORWARD_REDIAL_MAX_MS 400
#define FORWARD_IN_MAX 20000 /* requests of one follower that wait for an answer */

enum forward_frame { FORWARD_REQUEST = 1, FORWARD_ANSWER = 2 };

struct forward_request {
	uint64_t id;
	struct control_request request;
	struct table_rest *rest;
};
#define T struct forward_request
static const struct field forward_request_fields[] = {
	FIELD_U64(T, 1, id, NULL, 0),
	FIELD_OBJ(T, 2, request, NULL, 0, control_request),
};
#undef T
static TABLE_DEFINE(forward_request, forward_request_fields, TABLE_REST(forward_request));

struct forward_answer {
	uint64_t id;
	int32_t status; /* 0 or negative errno (Linux' numbers) */
	char *message;
	struct control_answer answer;
	struct table_rest *rest;
};
#define T struct forward_answer
static const struct field forward_answer_fields[] = {
	FIELD_U64(T, 1, id, NULL, 0),
	FIELD_I32(T, 2, status, NULL, 0),
	FIELD_STR(T, 3, message, NULL, 0),
	FIELD_OBJ(T, 4, answer, NULL, 0, control_answer),
};
#undef T
static TABLE_DEFINE(forward_answer, forward_answer_fields, TABLE_REST(forward_answer));

/* A request of ours at the leader. */
struct forward_out {
	uint64_t id;
	control_done done;
	void *arg;
	UT_hash_handle hh;
};

/* A follower's stream. It lives until its last request is answered. */
struct forward_peer {
	struct forward *forward;
	struct stream *stream; /* NULL once closed */
	char node[ID_CLUSTER_LEN + 1];
	unsigned waiting;
};

struct forward_in {
	struct forward_peer *peer;
	struct forward_request message;
};

struct forward {
	struct forward_config config;
	struct dialer dialer;
	char leader[ID_CLUSTER_LEN + 1]; /* whom the dialer leads to; "" none */
	char address[STREAM_ADDRESS_MAX];
	struct forward_out *sent;
	uint64_t last_id;
	unsigned open; /* the dialer and the peers */
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
};

static void forward_release(struct forward *f)
{
	if (--f->open > 0)
		return;
	if (f->done)
		f->done(f->done_arg);
	free(f);
}

/* Our side */

static void sent_fail(struct forward *f)
{
	struct forward_out *out, *next;
	struct err e = ERR_INIT;

	(void)err_set(&e, -EINPROGRESS,
		      "the connection to the leader was lost before the write was confirmed: its "
		      "outcome is unknown; look whether it was made before trying again");
	HASH_ITER (hh, f->sent, out, next) {
		HASH_DEL(f->sent, out);
		if (out->done)
			out->done(out->arg, e.code, NULL, &e);
		free(out);
	}
}

static int leader_target(struct stream_target *ret, void *data, struct err *e)
{
	struct forward *f = data;
	const char *leader = f->config.leader(f->config.arg);
	int rc;

	f->leader[0] = '\0';
	if (!leader)
		return err_set(e, -EHOSTUNREACH, "no leader is known");
	rc = f->config.address(f->config.arg, leader, f->address);
	if (rc < 0)
		return err_set(e, rc, "the address of the leader is not known");
	(void)snprintf(f->leader, sizeof f->leader, "%s", leader);
	*ret = (struct stream_target){
		.address = f->address, .purpose = STREAM_CONTROL, .node_id = f->leader};
	return 0;
}

static void leader_open(struct stream *s, void *data)
{
	struct forward *f = data;

	(void)s;
	f->config.open(f->config.arg);
}

static void leader_recv(struct stream *s, const struct frame_view *v, void *data)
{
	struct forward_answer answer = {0};
	struct forward *f = data;
	struct forward_out *out;
	struct err e = ERR_INIT;

	if (v->type != FORWARD_ANSWER ||
	    tlv_read(&forward_answer_table, v->payload, v->len, &answer, &e) < 0) {
		stream_close(s, -EPROTO, "a damaged answer");
		return;
	}
	HASH_FIND(hh, f->sent, &answer.id, sizeof answer.id, out);
	if (out) {
		HASH_DEL(f->sent, out);
		if (answer.status < 0)
			(void)err_set(&e, answer.status, "%s",
				      answer.message ? answer.message : "");
		if (out->done)
			out->done(out->arg, answer.status, &answer.answer, &e);
		free(out);
	}
	table_done(&forward_answer_table, &answer);
}

static void leader_lost(const struct err *why, bool was_open, uint32_t wait_ms, void *data)
{
	(void)why;
	(void)was_open;
	(void)wait_ms;
	sent_fail(data);
}

static const struct dialer_ops leader_ops = {
	.target = leader_target,
	.open = leader_open,
	.recv = leader_recv,
	.lost = leader_lost,
};

struct forward *forward_new(const struct forward_config *config)
{
	struct forward *f = xcalloc(1, sizeof *f);

	f->config = *config;
	f->open = 1;
	dialer_start(&f->dialer, config->hub, &leader_ops, f);
	dialer_set_backoff(&f->dialer, 50, FORWARD_REDIAL_MAX_MS);
	return f;
}

void forward_leader_changed(struct forward *f)
{
	const char *leader = f->config.leader(f->config.arg);
	struct stream *s = dialer_stream(&f->dialer);

	if (f->closing || (leader && strcmp(leader, f->leader) == 0 && s))
		return;
	if (s) /* at once: the old one may be unreachable, and the new one is waited for */
		stream_abort(s);
	dialer_kick(&f->dialer);
}

int forward_send(struct forward *f, const struct control_request *r, control_done done, void *arg,
		 uint64_t *ret_id, struct err *e)
{
	struct stream *s = dialer_stream(&f->dialer);
	struct forward_request message = {.id = ++f->last_id, .request = *r};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);
	struct forward_out *out;
	int rc;

	if (!s || f->closing)
		return err_set(e, -EHOSTUNREACH,
			       "this manager has no connection to the leader of the swarm");
	if (HASH_COUNT(f->sent) >= LIMIT_PROPOSALS)
		return err_set(e, -EAGAIN, "too many requests wait for the leader: try again");
	if (tlv_write(&forward_request_table, &message, &bytes) < 0)
		return err_set(e, -EMSGSIZE, "the request is too large");
	rc = stream_send_copy(s, FORWARD_REQUEST, bytes.p, bytes.len);
	if (rc < 0)
		return err_code(e, rc == -ENOBUFS ? -EAGAIN : -EHOSTUNREACH,
				"cannot send the request to the leader");
	out = xcalloc(1, sizeof *out);
	*out = (struct forward_out){.id = message.id, .done = done, .arg = arg};
	HASH_ADD(hh, f->sent, id, sizeof out->id, out);
	if (ret_id)
		*ret_id = out->id;
	return 0;
}

void forward_cancel(struct forward *f, uint64_t id)
{
	struct forward_out *out;

	HASH_FIND(hh, f->sent, &id, sizeof id, out);
	if (out)
		out->done = NULL;
}

/* The leader's side */

static void peer_release(struct forward_peer *p)
{
	struct forward *f = p->forward;

	if (p->stream || p->waiting > 0)
		return;
	free(p);
	forward_release(f);
}

static void peer_recv(struct stream *s, const struct frame_view *v, void *data)
{
	struct forward_peer *p = data;
	struct forward_in *in;

	if (p->forward->closing)
		return;
	in = xcalloc(1, sizeof *in);
	in->peer = p;
	if (v->type != FORWARD_REQUEST || p->waiting >= FORWARD_IN_MAX ||
	    tlv_read(&forward_request_table, v->payload, v->len, &in->message, NULL) < 0) {
		free(in);
		stream_close(s, -EPROTO, "a damaged request, or too many of them");
		return;
	}
	p->waiting++;
	p->forward->config.serve(p->forward->config.arg, in, &in->message.request);
}

static void peer_closed(struct stream *s, const struct err *why, void *data)
{
	struct forward_peer *p = data;

	(void)s;
	(void)why;
	p->stream = NULL;
	peer_release(p);
}

static const struct stream_ops peer_ops = {
	.recv = peer_recv,
	.closed = peer_closed,
};

void forward_accept(struct forward *f, struct stream *s)
{
	struct forward_peer *p = xcalloc(1, sizeof *p);

	p->forward = f;
	p->stream = s;
	(void)snprintf(p->node, sizeof p->node, "%s", stream_peer(s)->node_id);
	f->open++;
	stream_start(s, &peer_ops, p);
}

void forward_answer(struct forward_in *in, int status, const struct control_answer *answer,
		    const struct err *e)
{
	struct forward_answer message = {.id = in->message.id, .status = status};
	struct forward_peer *p = in->peer;
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	if (status < 0 && e)
		message.message = (char *)(uintptr_t)err_text(e);
	if (status == 0 && answer)
		message.answer = *answer;
	if (p->stream && (tlv_write(&forward_answer_table, &message, &bytes) < 0 ||
			  stream_send_copy(p->stream, FORWARD_ANSWER, bytes.p, bytes.len) < 0))
		stream_close(p->stream, -ENOBUFS, "answers do not leave fast enough");
	table_done(&forward_request_table, &in->message);
	free(in);
	p->waiting--;
	peer_release(p);
}

const char *forward_in_node(const struct forward_in *in)
{
	return in->peer->node;
}

static void dialer_closed(struct dialer *d, void *data)
{
	(void)d;
	forward_release(data);
}

static bool control_abort(struct stream *s, void *data)
{
	(void)data;
	if (stream_peer(s)->purpose == STREAM_CONTROL)
		stream_abort(s);
	return true;
}

void forward_close(struct forward *f, void (*done)(void *arg), void *arg)
{
	f->closing = true;
	f->done = done;
	f->done_arg = arg;
	sent_fail(f);
	stream_hub_each(f->config.hub, NULL, control_abort, NULL);
	dialer_close(&f->dialer, dialer_closed);
}
