/*
 * Nodes on one loop that speak real TLS over 127.0.0.1, and what they saw. For test_stream*.c.
 */
#pragma once

#include "unit/pki.h"

#include <errno.h>
#include <uv.h>

#include "base/mem.h"
#include "base/stream.h"

#define RIG_TURN_MS 10000 /* no test waits longer for anything */

/* One end of a stream and all that happened to it. */
struct end {
	struct stream *s;
	struct rig *rig;
	int opened, closed, drained;
	size_t frames, bytes;
	uint16_t last_type;
	char last[64];
	struct err why;
	struct stream_peer peer;
	void (*on_recv)(struct end *e, const struct frame_view *f);
	void (*on_open)(struct end *e);
	void (*on_drain)(struct end *e);
	void (*on_closed)(struct end *e);
};

struct rig {
	uv_loop_t loop;
	struct pki pki;
	struct stream_hub *server, *client;
	struct stream_listener *listener;
	struct end at_server[512]; /* accepted streams, in order */
	size_t accepted;
	int refuse;                                      /* what the authoriser says */
	void (*on_accept)(struct rig *r, struct end *e); /* before it lets in */
	void (*end_recv)(struct end *e, const struct frame_view *f);
	size_t refused; /* of the hub's callback */
	struct err refused_why;
	bool timed_out;
	int hubs_closed;
	uv_timer_t guard;
};

static inline void end_open(struct stream *s, void *data)
{
	struct end *e = data;

	e->opened++;
	e->peer = *stream_peer(s);
	assert_int_equal(e->closed, 0);
	if (e->on_open)
		e->on_open(e);
}

static inline void end_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct end *e = data;

	assert_int_equal(e->closed, 0);
	assert_ptr_equal(e->s, s);
	e->frames++;
	e->bytes += f->len;
	e->last_type = f->type;
	(void)snprintf(e->last, sizeof e->last, "%.*s", (int)MIN_OF(f->len, 63u),
		       (const char *)f->payload);
	if (e->on_recv)
		e->on_recv(e, f);
}

static inline void end_drain(struct stream *s, void *data)
{
	struct end *e = data;

	assert_int_equal(e->closed, 0);
	e->drained++;
	if (e->on_drain)
		e->on_drain(e);
}

static inline void end_closed(struct stream *s, const struct err *why, void *data)
{
	struct end *e = data;

	e->closed++;
	e->why = *why;
	e->s = NULL;
	if (e->on_closed)
		e->on_closed(e);
}

static const struct stream_ops end_ops = {
	.open = end_open, .recv = end_recv, .drain = end_drain, .closed = end_closed};

static inline int rig_accept(struct stream *s, const struct stream_peer *peer, void *data,
			     struct err *e)
{
	struct rig *r = data;
	struct end *end = &r->at_server[r->accepted];

	if (r->refuse)
		return err_set(e, r->refuse, "node %s has been removed", peer->node_id);
	assert_true(r->accepted < ARRAY_LEN(r->at_server));
	r->accepted++;
	*end = (struct end){.s = s, .rig = r, .peer = *peer, .on_recv = r->end_recv};
	stream_start(s, &end_ops, end);
	if (r->on_accept)
		r->on_accept(r, end);
	return 0;
}

static inline void rig_refused(const char *address, const struct err *why, void *data)
{
	struct rig *r = data;

	assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
	r->refused++;
	r->refused_why = *why;
}

static inline void rig_guard(uv_timer_t *timer)
{
	((struct rig *)timer->data)->timed_out = true;
}

/* Runs the loop until the condition holds. */
#define RIG_UNTIL(r, condition)                                                            \
	do {                                                                               \
		(void)uv_timer_start(&(r)->guard, rig_guard, RIG_TURN_MS, 0);              \
		while (!(condition) && !(r)->timed_out)                                    \
			(void)uv_run(&(r)->loop, UV_RUN_ONCE);                             \
		(void)uv_timer_stop(&(r)->guard);                                          \
		if ((r)->timed_out)                                                        \
			fail_msg("line %d: waited in vain for: %s", __LINE__, #condition); \
	} while (0)

#define RIG_CONF(r)                                 \
	{                                           \
		.refused = rig_refused, .data = (r) \
	}

/* A manager that listens (`server`) and a second node (`client`) with the role. */
static inline struct rig *rig_make(enum cert_role client_role, const struct stream_hub_conf *conf)
{
	struct rig *r = xcalloc(1, sizeof *r);
	struct stream_hub_conf c = conf ? *conf : (struct stream_hub_conf){0};
	struct tls_identity *id;
	struct err e = ERR_INIT;

	c.refused = rig_refused;
	c.data = r;
	pki_init(&r->pki);
	(void)uv_loop_init(&r->loop);
	(void)uv_timer_init(&r->loop, &r->guard);
	r->guard.data = r;
	r->server = stream_hub_new(&r->loop, &c);
	r->client = stream_hub_new(&r->loop, &c);
	id = pki_node(&r->pki, "manager1", CERT_ROLE_MANAGER);
	stream_hub_set_identity(r->server, id);
	tls_identity_unref(id);
	id = pki_node(&r->pki, "node2", client_role);
	stream_hub_set_identity(r->client, id);
	tls_identity_unref(id);
	assert_ok(stream_listen(r->server, "127.0.0.1:0", rig_accept, r, &r->listener, &e), &e);
	return r;
}

static inline void rig_hub_closed(void *data)
{
	((struct rig *)data)->hubs_closed++;
}

/* For main(): the pool's threads leave nothing of OpenSSL's behind. */
#define RIG_RUN(tests)                          \
	({                                      \
		int failed_ = RUN_TESTS(tests); \
		uv_library_shutdown();          \
		failed_;                        \
	})

/* Closes all; whatever is left open on the loop then is a leak. */
static inline void rig_done(struct rig *r)
{
	stream_hub_close(r->client, rig_hub_closed, r);
	stream_hub_close(r->server, rig_hub_closed, r);
	RIG_UNTIL(r, r->hubs_closed == 2);
	for (size_t i = 0; i < r->accepted; i++)
		assert_int_equal(r->at_server[i].closed, 1);
	uv_close((uv_handle_t *)&r->guard, NULL);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&r->loop), 0);
	pki_done(&r->pki);
	free(r);
}

static inline struct stream_target rig_target(struct rig *r, enum stream_purpose purpose)
{
	return (struct stream_target){.address = stream_listener_address(r->listener),
				      .purpose = purpose};
}

static inline void rig_dial(struct rig *r, struct end *e, const struct stream_target *t)
{
	struct err why = ERR_INIT;

	e->rig = r;
	assert_ok(stream_connect(r->client, t, &end_ops, e, &e->s, &why), &why);
}

/* Dials and waits until both ends are open. */
static inline struct end *rig_pair(struct rig *r, struct end *e, enum stream_purpose purpose)
{
	struct stream_target t = rig_target(r, purpose);
	size_t before = r->accepted;

	rig_dial(r, e, &t);
	RIG_UNTIL(r, e->opened || e->closed);
	if (!e->opened)
		fail_msg("not let in: %s", e->why.msg);
	assert_int_equal(r->accepted, before + 1);
	return &r->at_server[before];
}
