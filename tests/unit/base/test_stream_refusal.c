/*
 * base/stream.h against those who may not come in: each is refused, told why where it speaks TLS,
 * and costs little.
 */
#include "unit/base/stream_rig.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "base/stream_hello.h"
#include "base/stream_impl.h"

static int64_t clock_ahead_ns;

static int64_t clock_moved(void)
{
	return clock_wall_ns() + clock_ahead_ns;
}

/* Dials and expects to be refused; says with which error. */
static struct err refused_dial(struct rig *r, const struct stream_target *t)
{
	struct end a = {0};

	rig_dial(r, &a, t);
	RIG_UNTIL(r, a.closed);
	assert_int_equal(a.opened, 0);
	assert_int_equal(r->accepted, 0);
	RIG_UNTIL(r, stream_hub_handshakes(r->server) == 0);
	return a.why;
}

static void client_identity(struct rig *r, struct pki *p, const struct cert_request *what)
{
	struct tls_identity *id = pki_identity(p, what);

	stream_hub_set_identity(r->client, id);
	tls_identity_unref(id);
}

static struct cert_request request(const char *node, enum cert_role role)
{
	return (struct cert_request){.node_id = node,
				     .role = role,
				     .cluster_id = PKI_CLUSTER,
				     .now_ns = clock_wall_ns()};
}

static void the_authoriser_says_no(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct err why;

	r->refuse = -EACCES;
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EACCES);
	assert_string_equal(why.msg, "node node2 has been removed");
	assert_int_equal(r->refused, 1);
	assert_string_equal(r->refused_why.msg, "node node2 has been removed");
	rig_done(r);
}

static void a_worker_is_no_manager(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);

	for (enum stream_purpose p = STREAM_RAFT; p <= STREAM_SNAPSHOT; p++) {
		struct stream_target t = rig_target(r, p);

		if (p != STREAM_RAFT && p != STREAM_CONTROL && p != STREAM_SNAPSHOT)
			continue;
		assert_int_equal(refused_dial(r, &t).code, -EACCES);
	}
	rig_done(r);
}

static void another_root_is_another_world(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct cert_request what = request("node2", CERT_ROLE_MANAGER);
	struct tls_identity *mixed = NULL;
	auto_certs chain = {0}, roots = {0};
	auto_pkey *key = NULL;
	auto_csr *csr = NULL;
	auto_cert *cert = NULL;
	auto_buf pem = BUF_INIT(LIMIT_PEM);
	struct err why;
	struct pki other;

	pki_init(&other);
	client_identity(r, &other, &what);
	why = refused_dial(r, &t); /* the client does not believe the server */
	assert_int_equal(why.code, -EKEYREJECTED);
	/* One that believes the server, and is not believed: an identity of the other root. */
	assert_int_equal(pkey_new(&key, NULL), 0);
	assert_int_equal(csr_new(key, &pem, NULL), 0);
	assert_int_equal(csr_read(pem.p, pem.len, &csr, NULL), 0);
	assert_int_equal(cert_issue(other.key, other.root, csr, &what, &cert, NULL), 0);
	certs_add(&chain, cert);
	certs_add(&roots, r->pki.root);
	assert_int_equal(tls_identity_new(key, &chain, &roots, &mixed, NULL), 0);
	stream_hub_set_identity(r->client, mixed);
	tls_identity_unref(mixed);
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EKEYREJECTED);
	assert_non_null(strstr(why.msg, "does not accept this node's certificate"));
	assert_int_equal(r->refused_why.code, -EKEYREJECTED);
	pki_done(&other);
	rig_done(r);
}

static void certificates_have_their_time(void **state)
{
	struct rig *r =
		rig_make(CERT_ROLE_WORKER, &(struct stream_hub_conf){.wall_ns = clock_moved});
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct cert_request what = request("node2", CERT_ROLE_WORKER);
	struct err why;

	clock_ahead_ns = 0;
	what.life_ns = CERT_NODE_MIN_NS;
	client_identity(r, &r->pki, &what);
	/* the client's has ended, not the server's */
	clock_ahead_ns = CERT_NODE_MIN_NS + NS_PER_SEC;
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EKEYEXPIRED);
	assert_int_equal(r->refused_why.code, -EKEYEXPIRED);
	assert_non_null(strstr(r->refused_why.msg, "node2"));
	clock_ahead_ns = CERT_NODE_NS + NS_PER_SEC; /* the server's has ended as well */
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EKEYEXPIRED);
	assert_non_null(strstr(why.msg, "manager1"));
	clock_ahead_ns = 0;
	what.now_ns = clock_wall_ns() + 2 * CERT_BACKDATE_NS; /* begins in an hour */
	client_identity(r, &r->pki, &what);
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EKEYREJECTED); /* the alert says no more, the server does */
	assert_int_equal(r->refused_why.code, -EKEYREJECTED);
	assert_non_null(strstr(r->refused_why.msg, "clocks"));
	rig_done(r);
}

static void open_streams_end_with_their_certificate(void **state)
{
	struct rig *r =
		rig_make(CERT_ROLE_WORKER, &(struct stream_hub_conf){.wall_ns = clock_moved});
	struct cert_request what = request("node2", CERT_ROLE_WORKER);
	struct end a = {0}, b = {0}, *at_a, *at_b;
	int64_t end_ns;

	clock_ahead_ns = 0;
	at_b = rig_pair(r, &b, STREAM_SESSION); /* holds for 90 days */
	what.life_ns = CERT_NODE_MIN_NS;
	client_identity(r, &r->pki, &what);
	end_ns = cert_info(tls_identity_cert(r->client->identity))->not_after_ns;
	clock_ahead_ns = end_ns - clock_wall_ns() - NS_PER_SEC / 2;
	at_a = rig_pair(r, &a, STREAM_SESSION);
	assert_true(clock_moved() < end_ns);
	RIG_UNTIL(r, a.closed && at_a->closed);
	assert_true(clock_moved() >= end_ns);
	assert_int_equal(at_a->why.code, -EKEYEXPIRED);
	assert_int_equal(a.why.code, -EKEYEXPIRED);
	assert_int_equal(b.closed + at_b->closed, 0);
	rig_done(r);
	clock_ahead_ns = 0;
}

static void names_must_fit(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct cert_request what = request("node2", CERT_ROLE_WORKER);
	struct tls_identity *worker;
	struct err why;

	t.node_id = "manager2";
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EKEYREJECTED);
	assert_non_null(strstr(why.msg, "expected node manager2"));
	t.node_id = NULL;
	what.cluster_id = "anothercluster";
	client_identity(r, &r->pki, &what);
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EKEYREJECTED);
	what = request("averylongnameofanodethatisnoid", CERT_ROLE_WORKER);
	client_identity(r, &r->pki, &what);
	assert_int_equal(refused_dial(r, &t).code, -EKEYREJECTED);
	/* A worker that listens is believed by nobody: its certificate is not a server's. */
	worker = pki_node(&r->pki, "worker1", CERT_ROLE_WORKER);
	stream_hub_set_identity(r->server, worker);
	tls_identity_unref(worker);
	what = request("node2", CERT_ROLE_WORKER);
	client_identity(r, &r->pki, &what);
	assert_int_equal(refused_dial(r, &t).code, -EKEYREJECTED);
	/* Without an identity nothing is served, nor dialled. */
	stream_hub_set_identity(r->server, NULL);
	assert_int_equal(refused_dial(r, &t).code, -ECONNRESET);
	stream_hub_set_identity(r->client, NULL);
	assert_int_equal(stream_connect(r->client, &t, &end_ops, NULL, NULL, &why), -ENOKEY);
	t.address = "localhost:2377";
	assert_int_equal(stream_connect(r->client, &t, &end_ops, NULL, NULL, &why), -EINVAL);
	rig_done(r);
}

/* Dials with a hello that is changed before it leaves. */
static struct err refused_hello(struct rig *r, const struct stream_target *t, size_t at,
				uint16_t value)
{
	struct end a = {0};

	rig_dial(r, &a, t);
	le16_put(a.s->queue.v[a.s->queue.head]->payload + at, value);
	RIG_UNTIL(r, a.closed);
	assert_int_equal(a.opened, 0);
	return a.why;
}

static void hellos_are_checked(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct end a = {0};
	struct err why;

	why = refused_hello(r, &t, 4, STREAM_VERSION_MAX + 1); /* speaks only newer ones */
	assert_int_equal(why.code, -EPROTO);
	assert_non_null(strstr(why.msg, "no common protocol version"));
	assert_int_equal(refused_hello(r, &t, 6, 0).code, -EPROTO); /* only older ones */
	why = refused_hello(r, &t, 8, STREAM_SNAPSHOT + 1);
	assert_int_equal(why.code, -EPROTO);
	assert_non_null(strstr(why.msg, "unknown purpose"));
	assert_int_equal(refused_hello(r, &t, 8, 0).code, -EPROTO);
	assert_int_equal(refused_hello(r, &t, 0, 0).code, -EPROTO); /* magic */
	assert_int_equal(r->accepted, 0);
	/* A newer peer that still speaks this version is welcome. */
	rig_dial(r, &a, &t);
	le16_put(a.s->queue.v[a.s->queue.head]->payload + 6, 999);
	RIG_UNTIL(r, a.opened);
	assert_int_equal(a.peer.version, STREAM_VERSION_MAX);
	rig_done(r);
}

/* Neither said nor believed at more length. */
static void reasons_are_bounded(void **state)
{
	char text[2 * LIMIT_STREAM_REASON];
	struct frame_view view = {.type = FRAME_BYE};
	struct err e = ERR_INIT;
	struct frame *f;

	memset(text, 'r', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	f = bye_write(-EPERM, text);
	view.payload = f->payload;
	view.len = 4 + LIMIT_STREAM_REASON;
	assert_int_equal(f->len, view.len);
	bye_read(&view, &e);
	assert_int_equal(e.code, -EPERM);
	assert_int_equal(strlen(e.msg), LIMIT_STREAM_REASON);
	frame_unref(f);
	memset(text, 0, 4);
	view.payload = (const uint8_t *)text;
	view.len = sizeof text - 1;
	bye_read(&view, &e);
	assert_int_equal(strspn(e.msg, "r"), LIMIT_STREAM_REASON);
	assert_int_equal(strlen(e.msg), LIMIT_STREAM_REASON);
}

static void tls_12_is_too_old(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_MANAGER, NULL);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct end a = {0};

	rig_dial(r, &a, &t);
	assert_int_equal(SSL_set_min_proto_version(a.s->tls.ssl, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_set_max_proto_version(a.s->tls.ssl, TLS1_2_VERSION), 1);
	RIG_UNTIL(r, a.closed && r->refused);
	assert_int_equal(a.why.code, -EPROTO);
	assert_non_null(strstr(a.why.msg, "version"));
	rig_done(r);
}

/* ---- joining ---- */

static struct stream_target join_target(struct rig *r)
{
	struct stream_target t = rig_target(r, STREAM_JOIN);

	stream_hub_set_identity(r->client, NULL);
	t.root_sha256 = cert_info(r->pki.root)->sha256;
	return t;
}

static void joining_needs_only_the_digest(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = join_target(r);
	struct end a = {0};

	rig_dial(r, &a, &t);
	RIG_UNTIL(r, a.opened);
	assert_string_equal(r->at_server[0].peer.node_id, "");
	assert_int_equal(r->at_server[0].peer.role, CERT_ROLE_NONE);
	assert_string_equal(a.peer.node_id, "manager1");
	assert_memory_equal(cert_info(stream_peer_root(a.s))->sha256, t.root_sha256, SHA256_LEN);
	assert_int_equal(stream_send_copy(a.s, 1, "csr", 3), 0);
	RIG_UNTIL(r, r->at_server[0].frames == 1);
	rig_done(r);
}

static void a_wrong_digest_hears_nothing_of_us(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = join_target(r);
	uint8_t digest[SHA256_LEN];
	struct err why;

	memcpy(digest, t.root_sha256, sizeof digest);
	digest[SHA256_LEN - 1] ^= 1;
	t.root_sha256 = digest;
	why = refused_dial(r, &t);
	assert_int_equal(why.code, -EKEYREJECTED);
	assert_non_null(strstr(why.msg, "join token"));
	/* The digest of the server's own certificate is no root's. */
	memcpy(digest, cert_info(tls_identity_cert(r->server->identity))->sha256, sizeof digest);
	assert_int_equal(refused_dial(r, &t).code, -EKEYREJECTED);
	rig_done(r);
}

static void without_a_certificate_there_is_only_joining(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = join_target(r);
	struct err why;

	for (int p = STREAM_RAFT; p <= STREAM_SNAPSHOT; p++) {
		if (p == STREAM_JOIN)
			continue;
		why = refused_hello(r, &t, 8, (uint16_t)p);
		assert_int_equal(why.code, -EACCES);
		assert_non_null(strstr(why.msg, "needs a node certificate"));
	}
	assert_int_equal(r->accepted, 0);
	t.purpose = STREAM_SESSION;
	assert_int_equal(stream_connect(r->client, &t, &end_ops, NULL, NULL, &why), -EINVAL);
	rig_done(r);
}

static void joining_is_bounded(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = join_target(r);
	struct end all[LIMIT_JOINS + 1] = {0}, *last = &all[LIMIT_JOINS];
	auto_frame *f = frame_new(1, LIMIT_JOIN_FRAME + 1), *fits = frame_new(1, LIMIT_JOIN_FRAME);
	size_t frames = 0;
	struct end *other;

	for (size_t i = 0; i < LIMIT_JOINS; i++)
		rig_dial(r, &all[i], &t);
	for (size_t i = 0; i < LIMIT_JOINS; i++)
		RIG_UNTIL(r, all[i].opened);
	rig_dial(r, last, &t);
	RIG_UNTIL(r, last->closed);
	assert_int_equal(last->why.code, -EAGAIN);
	/* its frames are small, */
	memset(f->payload, 0, f->len);
	memset(fits->payload, 0, fits->len);
	assert_int_equal(stream_send(all[0].s, fits), 0);
	assert_int_equal(stream_send(all[0].s, f), 0);
	RIG_UNTIL(r, all[0].closed);
	assert_int_equal(all[0].why.code, -EMSGSIZE);
	for (size_t i = 0; i < r->accepted; i++)
		frames += r->at_server[i].frames;
	assert_int_equal(frames, 1);
	/* its life is short (of any but the one that is being closed), */
	other = &r->at_server[r->at_server[0].frames > 0 ? 1 : 0];
	assert_in_range(other->s->deadline_ms - uv_now(&r->loop), LIMIT_JOIN_MS - 10000,
			LIMIT_JOIN_MS);
	other->s->deadline_ms = uv_now(&r->loop);
	RIG_UNTIL(r, other->closed);
	assert_int_equal(other->why.code, -ETIMEDOUT);
	/* and whoever has gone makes room. */
	*last = (struct end){0};
	rig_dial(r, last, &t);
	RIG_UNTIL(r, last->opened || last->closed);
	assert_int_equal(last->opened, 1);
	rig_done(r);
}

/* ---- those who do not even speak TLS ---- */

struct raw {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	const char *text;
	size_t len, got;
	bool ended, closed;
};

static void raw_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	static char room[4096];

	*ret = uv_buf_init(room, sizeof room);
}

static void raw_closed(uv_handle_t *handle)
{
	((struct raw *)handle->data)->closed = true;
}

static void raw_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct raw *w = stream->data;

	if (n > 0)
		w->got += (size_t)n;
	if (n >= 0 || w->ended)
		return;
	w->ended = true;
	uv_close((uv_handle_t *)&w->tcp, raw_closed);
}

static void raw_connected(uv_connect_t *req, int status)
{
	struct raw *w = req->data;
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)w->text, (unsigned)w->len);

	assert_int_equal(status, 0);
	(void)uv_read_start((uv_stream_t *)&w->tcp, raw_alloc, raw_read);
	if (w->len)
		(void)uv_write(&w->write, (uv_stream_t *)&w->tcp, &b, 1, NULL);
}

static void raw_dial(struct rig *r, struct raw *w, const char *text, size_t len)
{
	struct sockaddr_storage a;

	*w = (struct raw){.text = text, .len = len};
	assert_int_equal(stream_address_parse(stream_listener_address(r->listener), &a), 0);
	(void)uv_tcp_init(&r->loop, &w->tcp);
	w->tcp.data = w->connect.data = w;
	assert_int_equal(uv_tcp_connect(&w->connect, &w->tcp, (struct sockaddr *)&a, raw_connected),
			 0);
}

#define HTTP "GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void plaintext_and_garbage_are_shown_out(void **state)
{
	static const char *const texts[] = {HTTP, "\n\n\n\n\n\n\n\n", "SSH-2.0-OpenSSH_9.2\r\n",
					    "\x16\x03\x01\xff\xff garbage in a TLS header",
					    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct raw w;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		raw_dial(r, &w, texts[i], strlen(texts[i]));
		RIG_UNTIL(r, w.closed && r->refused == i + 1);
		assert_true(w.got < 100); /* an alert at most */
		if (r->refused_why.code != -EPROTO)
			fail_msg("text %zu: %s", i, r->refused_why.msg);
	}
	assert_int_equal(stream_hub_handshakes(r->server), 0);
	rig_done(r);
}

/* The beginning of a handshake, never finished. */
static const char half_hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

static void half_open_handshakes_end_in_time(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, &(struct stream_hub_conf){.handshake_ms = 300});
	struct raw silent, half;
	uint64_t began = uv_now(&r->loop);

	raw_dial(r, &half, half_hello, sizeof half_hello - 1);
	RIG_UNTIL(r, half.closed);
	assert_int_equal(r->refused_why.code, -ETIMEDOUT);
	assert_true(uv_now(&r->loop) - began >= 290);
	raw_dial(r, &silent, "", 0);
	RIG_UNTIL(r, silent.closed);
	assert_int_equal(stream_hub_handshakes(r->server), 0);
	rig_done(r);
}

static void the_idle_make_way_for_those_who_wait(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct raw *half = xcalloc(LIMIT_HANDSHAKES, sizeof *half);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct end a = {0};
	uint64_t began;

	for (size_t i = 0; i < LIMIT_HANDSHAKES; i++)
		raw_dial(r, &half[i], half_hello, sizeof half_hello - 1);
	RIG_UNTIL(r, stream_hub_handshakes(r->server) == LIMIT_HANDSHAKES);
	began = uv_now(&r->loop);
	rig_dial(r, &a, &t);
	RIG_UNTIL(r, a.opened || a.closed);
	assert_int_equal(a.opened, 1);
	assert_true(uv_now(&r->loop) - began < LIMIT_HANDSHAKE_MS);
	for (size_t i = 0; i < LIMIT_HANDSHAKES; i++)
		RIG_UNTIL(r, half[i].closed);
	free(half);
	rig_done(r);
}

static void many_shake_hands_at_once(void **state)
{
	enum { MANY = 200 };
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct end *all = xcalloc(MANY, sizeof *all);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	size_t most = 0, opened = 0, locked = 0;

	for (size_t i = 0; i < MANY; i++)
		rig_dial(r, &all[i], &t);
	(void)uv_timer_start(&r->guard, rig_guard, RIG_TURN_MS, 0);
	while (opened < MANY && !r->timed_out) {
		(void)uv_run(&r->loop, UV_RUN_ONCE);
		most = MAX_OF(most, r->server->slots);
		locked = MAX_OF(locked, CRYPTO_secure_used());
		opened = 0;
		for (size_t i = 0; i < MANY; i++) {
			if (all[i].closed)
				fail_msg("%zu: %s", i, all[i].why.msg);
			opened += (size_t)all[i].opened;
		}
	}
	assert_int_equal(opened, MANY);
	assert_int_equal(most, LIMIT_HANDSHAKES); /* the bound was reached and held */
	assert_int_equal(stream_hub_count(r->server), MANY);
	/* Each holds a key of its own in locked memory: as many as may be there must find room. */
	assert_in_range(CRYPTO_secure_used(), 1, 2 * 64 * MANY);
	assert_in_range(locked, 1, LIMIT_KEY_MEMORY / 8);
	assert_in_range(64 * LIMIT_STREAMS, 1, LIMIT_KEY_MEMORY / 2);
	assert_int_equal(CRYPTO_secure_malloc_initialized(), 1);
	rig_done(r);
	free(all);
}

/* ---- those who are in and misbehave ---- */

static struct err misbehave(struct rig *r, struct frame *f)
{
	struct end a = {0}, *b = rig_pair(r, &a, STREAM_SESSION);

	assert_int_equal(stream_send(a.s, f), 0);
	RIG_UNTIL(r, a.closed && b->closed);
	assert_int_equal(b->frames, 0);
	return a.why;
}

static void bad_frames_end_the_stream(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	auto_frame *large = frame_new(1, 0), *flags = frame_new(1, 0);
	auto_frame *own = frame_new(FRAME_TYPE_STREAM + 9, 0), *hello = frame_new(FRAME_HELLO, 0);
	struct err why;

	le32_put(large->header, LIMIT_FRAME + 1);
	why = misbehave(r, large);
	assert_int_equal(why.code, -EMSGSIZE);
	le16_put(flags->header + 6, 0x8000);
	assert_int_equal(misbehave(r, flags).code, -EPROTO);
	assert_int_equal(misbehave(r, own).code, -EPROTO);
	assert_int_equal(misbehave(r, hello).code, -EPROTO);
	rig_done(r);
}

static void the_first_frame_is_small(void **state)
{
	struct rig *r = rig_make(CERT_ROLE_WORKER, NULL);
	struct stream_target t = rig_target(r, STREAM_SESSION);
	struct end a = {0};

	rig_dial(r, &a, &t);
	le32_put(a.s->queue.v[a.s->queue.head]->header, HELLO_MAX + 1);
	RIG_UNTIL(r, a.closed);
	assert_int_equal(a.why.code, -EMSGSIZE);
	assert_int_equal(r->accepted, 0);
	rig_done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_authoriser_says_no),
		TEST(a_worker_is_no_manager),
		TEST(another_root_is_another_world),
		TEST(certificates_have_their_time),
		TEST(open_streams_end_with_their_certificate),
		TEST(names_must_fit),
		TEST(hellos_are_checked),
		TEST(reasons_are_bounded),
		TEST(tls_12_is_too_old),
		TEST(joining_needs_only_the_digest),
		TEST(a_wrong_digest_hears_nothing_of_us),
		TEST(without_a_certificate_there_is_only_joining),
		TEST(joining_is_bounded),
		TEST(plaintext_and_garbage_are_shown_out),
		TEST(half_open_handshakes_end_in_time),
		TEST(the_idle_make_way_for_those_who_wait),
		TEST(many_shake_hands_at_once),
		TEST(bad_frames_end_the_stream),
		TEST(the_first_frame_is_small),
	};

	return RIG_RUN(tests);
}
