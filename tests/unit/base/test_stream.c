/*
 * base/stream.h between two nodes that get on: frames, bounds, slow readers, all ways to close.
 * Who is refused, and why, is in test_stream_refusal.c.
 */
#include "unit/base/stream_rig.h"

#include "base/stream_impl.h"

static void frames_go_both_ways_in_order(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, &(struct stream_hub_conf){.features = 6});
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_SESSION);

	assert_string_equal(b->peer.node_id, "node2");
	assert_string_equal(b->peer.cluster_id, PKI_CLUSTER);
	assert_int_equal(b->peer.role, CERT_ROLE_WORKER);
	assert_int_equal(b->peer.purpose, STREAM_SESSION);
	assert_int_equal(b->peer.features, 6);
	assert_string_equal(a.peer.node_id, "manager1");
	assert_int_equal(a.peer.role, CERT_ROLE_MANAGER);
	assert_int_equal(a.peer.version, STREAM_VERSION_MAX);
	assert_true(a.peer.not_after_ns > clock_wall_ns());
	assert_int_equal(stream_hub_count(r->server), 1);
	for (int i = 0; i < 1000; i++) {
		char text[16];

		(void)snprintf(text, sizeof text, "%d", i);
		assert_int_equal(stream_send_copy(a.s, 3, text, strlen(text)), 0);
		assert_int_equal(stream_send_copy(b->s, 4, text, strlen(text)), 0);
	}
	RIG_UNTIL(r, a.frames == 1000 && b->frames == 1000);
	assert_string_equal(a.last, "999");
	assert_int_equal(a.last_type, 4);
	assert_string_equal(b->last, "999");
	assert_int_equal(b->last_type, 3);
	stream_close(a.s, 0, NULL);
	RIG_UNTIL(r, a.closed && b->closed);
	assert_int_equal(a.why.code, 0);
	assert_int_equal(b->why.code, -EPIPE);
	rig_done(r);
}

static size_t sizes[] = {0, 1, 16376, 16377, 16384, 40000, 1 << 20, LIMIT_FRAME};

static void check_pattern(struct end *e, const struct frame_view *f)
{
	assert_int_equal(f->type, e->frames);
	assert_int_equal(f->len, sizes[e->frames - 1]);
	for (uint32_t i = 0; i < f->len; i += 61)
		assert_int_equal(f->payload[i], (uint8_t)(i * 7 + f->type));
}

static void every_size_arrives_whole(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_RAFT);

	b->on_recv = check_pattern;
	a.on_recv = check_pattern;
	for (size_t n = 0; n < ARRAY_LEN(sizes); n++) {
		auto_frame *f = frame_new((uint16_t)(n + 1), sizes[n]);

		for (uint32_t i = 0; i < f->len; i++)
			f->payload[i] = (uint8_t)(i * 7 + f->type);
		/* one frame, two streams */
		assert_int_equal(stream_send(a.s, f), 0);
		assert_int_equal(stream_send(b->s, f), 0);
	}
	assert_null(frame_new(1, LIMIT_FRAME + 1));
	assert_int_equal(stream_send_copy(a.s, 1, "", LIMIT_FRAME + 1), -EMSGSIZE);
	RIG_UNTIL(r, b->frames == ARRAY_LEN(sizes) && a.frames == ARRAY_LEN(sizes));
	assert_int_equal(stream_queued(a.s), 0);
	rig_done(r);
}

static void the_queue_has_a_bound_and_drains(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);
	auto_frame *f = frame_new(1, 100000);
	size_t sent = 0;
	int rc, still = 0;

	memset(f->payload, 0, f->len);
	stream_pause(b->s);
	/* What the kernel takes for a peer that reads nothing comes before the bound. */
	while (still < 50) {
		size_t before = sent;

		while ((rc = stream_send(a.s, f)) == 0)
			sent++;
		assert_int_equal(rc, -ENOBUFS);
		assert_true(stream_queued(a.s) <= LIMIT_STREAM_QUEUE);
		assert_false(stream_writable(a.s));
		(void)uv_run(&r->loop, UV_RUN_NOWAIT);
		still = sent == before ? still + 1 : 0;
	}
	assert_true(sent * 100000 > LIMIT_STREAM_QUEUE);
	assert_int_equal(b->frames, 0);
	assert_int_equal(a.drained, 0);
	stream_resume(b->s);
	RIG_UNTIL(r, b->frames == sent);
	assert_int_equal(a.drained, 1);
	assert_true(stream_writable(a.s));
	assert_int_equal(stream_queued(a.s), 0);
	/* Tiny frames count too: a queue of nothing but headers has an end. */
	stream_pause(b->s);
	sent = 0;
	do {
		rc = stream_send_copy(a.s, 1, NULL, 0);
		sent += rc == 0;
	} while (rc == 0);
	assert_in_range(sent, LIMIT_STREAM_QUEUE / 100, LIMIT_STREAM_QUEUE / 8);
	rig_done(r);
}

static void pause_each_time(struct end *e, const struct frame_view *f)
{
	assert_int_equal(le32_get(f->payload), e->frames - 1);
	stream_pause(e->s);
}

static void a_paused_owner_gets_frames_one_by_one(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);
	uint8_t payload[500];

	memset(payload, 0, sizeof payload);
	b->on_recv = pause_each_time;
	for (uint32_t i = 0; i < 2000; i++) {
		le32_put(payload, i);
		assert_int_equal(stream_send_copy(a.s, 1, payload, sizeof payload), 0);
	}
	for (size_t i = 1; i <= 2000; i++) {
		RIG_UNTIL(r, b->frames == i);
		for (int turn = 0; turn < 3; turn++)
			(void)uv_run(&r->loop, UV_RUN_NOWAIT);
		assert_int_equal(b->frames, i);
		stream_resume(b->s);
	}
	rig_done(r);
}

static void refill(struct end *e)
{
	for (int i = 0; i < 100 && stream_writable(e->s); i++)
		(void)stream_send_copy(e->s, 1, "refill", 6);
}

static void drain_may_send_more(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);
	auto_frame *f = frame_new(1, LIMIT_FRAME);

	memset(f->payload, 1, f->len);
	a.on_drain = refill;
	assert_int_equal(stream_send(a.s, f), 0);
	RIG_UNTIL(r, b->frames == 101);
	assert_int_equal(a.drained, 1);
	rig_done(r);
}

static void what_is_queued_arrives_before_goodbye(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);
	auto_frame *f = frame_new(1, 1 << 20);

	memset(f->payload, 1, f->len);
	for (int i = 0; i < 8; i++)
		assert_int_equal(stream_send(a.s, f), 0);
	stream_close(a.s, -ECANCELED, "the command has ended");
	stream_close(a.s, -EIO, "a second reason");
	assert_int_equal(stream_send(a.s, f), -EPIPE);
	RIG_UNTIL(r, a.closed && b->closed);
	assert_int_equal(b->frames, 8);
	assert_int_equal(b->why.code, -ECANCELED);
	assert_string_equal(b->why.msg, "the command has ended");
	assert_string_equal(a.why.msg, "the command has ended");
	rig_done(r);
}

static void an_abort_is_a_reset(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);

	stream_abort(a.s); /* what the kernel does for a process that was killed */
	stream_abort(a.s);
	stream_close(a.s, -EIO, "too late");
	assert_int_equal(a.closed, 0);
	RIG_UNTIL(r, a.closed && b->closed);
	assert_int_equal(a.why.code, 0);
	assert_int_equal(b->why.code, -ECONNRESET);
	assert_non_null(strstr(b->why.msg, "127.0.0.1:"));
	rig_done(r);
}

static void close_here(struct end *e)
{
	stream_close(e->s, -ECANCELED, "from a callback");
}

static void close_on_frame(struct end *e, const struct frame_view *f)
{
	close_here(e);
}

static void abort_on_frame(struct end *e, const struct frame_view *f)
{
	stream_abort(e->s);
}

static void accept_and_close(struct rig *r, struct end *e)
{
	(void)stream_send_copy(e->s, 1, "hello", 5);
	close_here(e);
}

static void closing_from_inside_callbacks(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct stream_target t = rig_target(r, STREAM_DATA);
	struct end a = {.on_open = close_here}, b = {0}, c = {0}, d = {.on_drain = close_here};
	struct end *other;
	auto_frame *f = frame_new(1, LIMIT_FRAME);

	memset(f->payload, 1, f->len);
	rig_dial(r, &a, &t);
	RIG_UNTIL(r, a.closed && r->accepted == 1 && r->at_server[0].closed);
	assert_string_equal(r->at_server[0].why.msg, "from a callback");

	other = rig_pair(r, &b, STREAM_DATA);
	other->on_recv = close_on_frame;
	for (int i = 0; i < 100; i++)
		(void)stream_send_copy(b.s, 1, "x", 1);
	RIG_UNTIL(r, b.closed && other->closed);
	assert_int_equal(other->frames, 1); /* nothing but `closed` after stream_close() */

	other = rig_pair(r, &c, STREAM_DATA);
	other->on_recv = abort_on_frame;
	for (int i = 0; i < 100; i++)
		(void)stream_send_copy(c.s, 1, "x", 1);
	RIG_UNTIL(r, c.closed && other->closed);
	assert_int_equal(other->frames, 1);

	other = rig_pair(r, &d, STREAM_DATA);
	(void)stream_send(d.s, f);
	RIG_UNTIL(r, d.closed && other->closed);
	assert_string_equal(other->why.msg, "from a callback");
	assert_int_equal(other->bytes, LIMIT_FRAME);

	r->on_accept = accept_and_close;
	a = (struct end){0};
	rig_dial(r, &a, &t);
	RIG_UNTIL(r, a.closed && r->at_server[4].closed);
	assert_int_equal(a.opened, 1);
	assert_string_equal(a.last, "hello");
	assert_string_equal(a.why.msg, "from a callback");
	rig_done(r);
}

static void closing_does_not_wait_for_a_peer_that_reads_nothing(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);
	auto_frame *f = frame_new(1, 1 << 20);
	uint64_t began;

	memset(f->payload, 1, f->len);
	stream_pause(b->s);
	for (int still = 0; still < 50; still++) {
		while (stream_send(a.s, f) == 0)
			still = 0;
		(void)uv_run(&r->loop, UV_RUN_NOWAIT);
	}
	began = uv_now(&r->loop);
	stream_close(a.s, 0, NULL);
	RIG_UNTIL(r, a.closed);
	assert_in_range(uv_now(&r->loop) - began, LIMIT_LINGER_MS - 100, LIMIT_LINGER_MS + 2000);
	assert_int_equal(b->closed, 0); /* it has not looked */
	stream_resume(b->s);
	RIG_UNTIL(r, b->closed);
	assert_int_equal(b->why.code, -ECONNRESET);
	rig_done(r);
}

static void a_hub_closes_with_everything_under_way(void **state)
{
	for (int turns = 0; turns < 12; turns++) {
		struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
		struct stream_target t = rig_target(r, STREAM_DATA);
		struct end all[20] = {0};

		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			rig_dial(r, &all[i], &t);
		for (int i = 0; i < 4 * turns && r->accepted < ARRAY_LEN(all); i++)
			(void)uv_run(&r->loop, UV_RUN_ONCE);
		rig_done(r);
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			assert_int_equal(all[i].closed, 1);
	}
}

static void streams_have_a_bound(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct stream_target t = rig_target(r, STREAM_DATA);
	struct end a = {0}, b = {0};

	r->server->accepted += LIMIT_STREAMS - 1; /* as if so many were there */
	(void)rig_pair(r, &a, STREAM_DATA);
	rig_dial(r, &b, &t);
	RIG_UNTIL(r, r->listener->waiting);
	for (int turn = 0; turn < 20; turn++)
		(void)uv_run(&r->loop, UV_RUN_NOWAIT);
	assert_int_equal(r->accepted, 1);
	stream_close(a.s, 0, NULL); /* one goes, the next comes */
	RIG_UNTIL(r, b.opened || b.closed);
	assert_int_equal(b.opened, 1);
	r->server->accepted -= LIMIT_STREAMS - 1;
	rig_done(r);
}

static void both_close_at_once(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);

	stream_close(a.s, -ECANCELED, "a");
	stream_close(b->s, -ECANCELED, "b");
	RIG_UNTIL(r, a.closed && b->closed);
	assert_string_equal(a.why.msg, "a");
	assert_string_equal(b->why.msg, "b");
	rig_done(r);
}

static void dropped_while_dialling(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct stream_target t = rig_target(r, STREAM_DATA);
	struct end all[40] = {0};

	/* at every stage that a dial goes through */
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		rig_dial(r, &all[i], &t);
		for (size_t turn = 0; turn < i / 2 && !all[i].opened; turn++)
			(void)uv_run(&r->loop, UV_RUN_ONCE);
		if (!all[i].s)
			continue;
		if (i % 2)
			stream_abort(all[i].s);
		else
			stream_close(all[i].s, 0, NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		RIG_UNTIL(r, all[i].closed == 1);
	rig_done(r);
}

static bool count_stream(struct stream *s, void *data)
{
	++*(int *)data;
	return true;
}

static void a_removed_nodes_streams_end_at_once(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, b = {0}, c = {0};
	struct tls_identity *id = pki_node(&r->pki, "node3", CERT_ROLE_WORKER);
	struct end *at_a = rig_pair(r, &a, STREAM_RAFT), *at_b = rig_pair(r, &b, STREAM_SESSION);
	struct end *at_c;
	auto_frame *f = frame_new(1, LIMIT_FRAME);
	int n = 0;

	/* A new identity is for new streams; the open ones go on. */
	stream_hub_set_identity(r->client, id);
	tls_identity_unref(id);
	at_c = rig_pair(r, &c, STREAM_SESSION);
	assert_string_equal(at_c->peer.node_id, "node3");
	stream_hub_each(r->server, "node2", count_stream, &n);
	assert_int_equal(n, 2);
	stream_hub_each(r->server, NULL, count_stream, &n);
	assert_int_equal(n, 5);
	memset(f->payload, 1, f->len);
	for (int i = 0; i < 7; i++) /* waits to be sent: dropped */
		assert_int_equal(stream_send(at_a->s, f), 0);
	assert_int_equal(stream_hub_close_node(r->server, "node2", -EACCES, "node2 was removed"),
			 2);
	assert_int_equal(stream_hub_count(r->server), 3); /* until their sockets are gone */
	RIG_UNTIL(r, a.closed && b.closed && at_a->closed && at_b->closed);
	assert_int_equal(a.frames, 0);
	assert_int_equal(a.why.code, -EACCES);
	assert_string_equal(a.why.msg, "node2 was removed");
	assert_int_equal(stream_hub_count(r->server), 1);
	assert_int_equal(c.closed, 0);
	rig_done(r);
}

static void a_frame_half_sent_is_finished_before_goodbye(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);
	auto_frame *f = frame_new(1, LIMIT_FRAME);
	int still = 0;

	memset(f->payload, 1, f->len);
	stream_pause(a.s);
	while (still < 50) { /* until the kernel takes no more and a frame is under way */
		still++;
		while (stream_send(b->s, f) == 0)
			still = 0;
		(void)uv_run(&r->loop, UV_RUN_NOWAIT);
	}
	(void)stream_hub_close_node(r->server, "node2", -EACCES, "removed");
	stream_resume(a.s);
	RIG_UNTIL(r, a.closed && b->closed);
	assert_string_equal(a.why.msg, "removed");
	assert_int_equal(a.bytes % LIMIT_FRAME, 0);
	rig_done(r);
}

static void keys_are_renewed_under_way(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);

	for (int i = 0; i < 3; i++) {
		a.s->tls.written = b->s->tls.written = TLS_REKEY;
		assert_int_equal(stream_send_copy(a.s, 1, "ping", 4), 0);
		assert_int_equal(stream_send_copy(b->s, 1, "pong", 4), 0);
		RIG_UNTIL(r, a.frames == (size_t)i + 1 && b->frames == (size_t)i + 1);
		assert_true(a.s->tls.written < 100);
	}
	rig_done(r);
}

static void one_turn_is_one_record(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_DATA);

	for (int i = 0; i < 100; i++)
		assert_int_equal(stream_send_copy(a.s, 1, "12345678", 8), 0);
	/* Nothing leaves before the turn ends; then all of it arrives in one piece. */
	assert_int_equal(stream_queued(a.s), 100 * (8 + FRAME_HEADER + 64));
	RIG_UNTIL(r, b->frames > 0);
	assert_int_equal(b->frames, 100);
	rig_done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_go_both_ways_in_order),
		TEST(every_size_arrives_whole),
		TEST(the_queue_has_a_bound_and_drains),
		TEST(a_paused_owner_gets_frames_one_by_one),
		TEST(drain_may_send_more),
		TEST(what_is_queued_arrives_before_goodbye),
		TEST(an_abort_is_a_reset),
		TEST(closing_from_inside_callbacks),
		TEST(closing_does_not_wait_for_a_peer_that_reads_nothing),
		TEST(a_hub_closes_with_everything_under_way),
		TEST(streams_have_a_bound),
		TEST(both_close_at_once),
		TEST(dropped_while_dialling),
		TEST(a_removed_nodes_streams_end_at_once),
		TEST(a_frame_half_sent_is_finished_before_goodbye),
		TEST(keys_are_renewed_under_way),
		TEST(one_turn_is_one_record),
	};

	return RIG_RUN(tests);
}
