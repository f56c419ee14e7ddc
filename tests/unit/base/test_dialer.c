/*
 * base/dialer.h: one stream is kept, lost and had again, until the dialer is closed.
 */
#include "unit/base/stream_rig.h"

#include "base/dialer.h"

struct peer {
	struct dialer d;
	struct rig *r;
	const char *address;
	int opened, lost, lost_open, frames, done, nowhere;
	uint32_t wait_ms;
	struct err why;
	void (*on_open)(struct peer *p);
	void (*on_lost)(struct peer *p);
};

static int peer_target(struct stream_target *ret, void *data, struct err *e)
{
	struct peer *p = data;

	if (p->nowhere)
		return err_set(e, -ENOENT, "no manager is known");
	*ret = (struct stream_target){.address = p->address, .purpose = STREAM_SESSION};
	return 0;
}

static void peer_open(struct stream *s, void *data)
{
	struct peer *p = data;

	p->opened++;
	assert_ptr_equal(dialer_stream(&p->d), s);
	if (p->on_open)
		p->on_open(p);
}

static void peer_recv(struct stream *s, const struct frame_view *f, void *data)
{
	((struct peer *)data)->frames++;
}

static void peer_lost(const struct err *why, bool was_open, uint32_t wait_ms, void *data)
{
	struct peer *p = data;

	p->lost++;
	p->lost_open += was_open;
	p->wait_ms = wait_ms;
	p->why = *why;
	assert_null(dialer_stream(&p->d));
	if (p->on_lost)
		p->on_lost(p);
}

static void peer_done(struct dialer *d, void *data)
{
	struct peer *p = data;

	assert_ptr_equal(d, &p->d);
	p->done++;
}

static const struct dialer_ops ops = {
	.target = peer_target, .open = peer_open, .recv = peer_recv, .lost = peer_lost};

static void peer_start(struct rig *r, struct peer *p)
{
	p->r = r;
	p->address = stream_listener_address(r->listener);
	dialer_start(&p->d, r->client, &ops, p);
}

static void peer_close(struct peer *p)
{
	dialer_close(&p->d, peer_done);
	dialer_close(&p->d, NULL); /* changes nothing */
	RIG_UNTIL(p->r, p->done == 1);
}

static void a_lost_stream_is_had_again(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct peer p = {0};

	peer_start(r, &p);
	RIG_UNTIL(r, p.opened == 1);
	assert_int_equal(stream_send_copy(r->at_server[0].s, 1, "x", 1), 0);
	RIG_UNTIL(r, p.frames == 1);
	stream_abort(r->at_server[0].s);
	RIG_UNTIL(r, p.lost == 1);
	assert_int_equal(p.lost_open, 1);
	assert_int_equal(p.why.code, -ECONNRESET);
	assert_in_range(p.wait_ms, 50, 100);
	RIG_UNTIL(r, p.opened == 2);
	peer_close(&p);
	assert_int_equal(p.lost, 1);
	rig_done(r);
}

static void waits_longer_each_time(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct peer p = {0};

	r->refuse = -EACCES;
	peer_start(r, &p);
	RIG_UNTIL(r, p.lost == 4);
	assert_int_equal(p.opened, 0);
	assert_string_equal(p.why.msg, "node node2 has been removed");
	assert_in_range(p.wait_ms, 400, 800);
	r->refuse = 0;
	dialer_kick(&p.d); /* at once, and from the beginning */
	RIG_UNTIL(r, p.opened == 1);
	dialer_kick(&p.d); /* an open stream is left alone */
	assert_non_null(dialer_stream(&p.d));
	stream_abort(r->at_server[0].s);
	RIG_UNTIL(r, p.lost == 5);
	assert_in_range(p.wait_ms, 50, 100);
	peer_close(&p);
	rig_done(r);
}

static void a_kick_leaves_an_old_address(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct peer p = {.nowhere = 1};

	peer_start(r, &p);
	dialer_set_backoff(&p.d, 10, 20);
	RIG_UNTIL(r, p.lost == 6);
	assert_int_equal(p.why.code, -ENOENT);
	assert_in_range(p.wait_ms, 10, 20);
	p.nowhere = 0;
	p.address = "127.0.0.1:1"; /* nobody there */
	RIG_UNTIL(r, p.lost == 7);
	assert_int_equal(p.why.code, -ECONNREFUSED);
	RIG_UNTIL(r, p.d.stream); /* being dialled once more */
	p.address = stream_listener_address(r->listener);
	dialer_kick(&p.d);
	RIG_UNTIL(r, p.opened == 1);
	peer_close(&p);
	rig_done(r);
}

static void close_peer(struct peer *p)
{
	dialer_close(&p->d, peer_done);
}

static void closing_from_inside_callbacks(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct peer a = {.on_open = close_peer}, b = {.on_lost = close_peer}, c = {0};

	peer_start(r, &a);
	RIG_UNTIL(r, a.done == 1);
	assert_int_equal(a.lost, 0);
	r->refuse = -EACCES;
	peer_start(r, &b);
	RIG_UNTIL(r, b.done == 1);
	assert_int_equal(b.lost, 1);
	peer_start(r, &c); /* and before anything has happened */
	peer_close(&c);
	assert_int_equal(c.lost + c.opened, 0);
	rig_done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lost_stream_is_had_again),
		TEST(waits_longer_each_time),
		TEST(a_kick_leaves_an_old_address),
		TEST(closing_from_inside_callbacks),
	};

	return RIG_RUN(tests);
}
