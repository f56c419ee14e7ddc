/*
 * net/dns_server.h over real sockets on loopback: own names, forwarding to a fake upstream and to
 * dead ones, spoofed answers, TCP, truncation, and every bound. The part in a container's
 * namespace needs root.
 */
#include "unit/net/dns_site.h"

static void own_names_are_answered(void **state)
{
	struct site *s = site_new();
	struct reply r;

	ask(s, "web", DNS_A, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_NOERROR);
	assert_int_equal(answers_of(&r), 2);
	assert_int_equal(r.p[r.n - 7], DNS_TTL_S);
	ask(s, "WEB", DNS_A, 1232, &r);
	assert_int_equal(answers_of(&r), 2);
	ask(s, "web", DNS_AAAA, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_NOERROR);
	assert_int_equal(answers_of(&r), 0);
	ask(s, "both", DNS_AAAA, 0, &r);
	assert_int_equal(answers_of(&r), 1);
	assert_int_equal(r.p[r.n - 1], 1);
	ask(s, "gone", DNS_A, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_NXDOMAIN);
	ask(s, "2.0.0.10.in-addr.arpa", DNS_PTR, 0, &r);
	assert_int_equal(answers_of(&r), 1);
	assert_memory_equal(r.p + r.n - 15,
			    "\3web\1"
			    "1\3abc\3net",
			    15);
	/* Other types of a name of ours: nothing, and nobody outside is asked. */
	ask(s, "web", DNS_MX, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_NOERROR);
	assert_int_equal(answers_of(&r), 0);
	ask(s, "web", 65, 0, &r);
	assert_int_equal(answers_of(&r), 0);
	assert_false(wait_for(s, s->upstream, 0));
	site_free(s);
}

static void addresses_are_shuffled(void **state)
{
	struct site *s = site_new();
	struct reply r;
	unsigned first[2] = {0};

	for (int i = 0; i < 200; i++) {
		ask(s, "web", DNS_A, 0, &r);
		first[r.p[r.n - 1] - 2]++;
	}
	assert_true(first[0] > 40 && first[1] > 40);
	site_free(s);
}

/* Takes what the upstream was asked; its length, and where to answer. */
static size_t upstream_take(struct site *s, uint8_t *p, size_t max, struct sockaddr_in *from)
{
	socklen_t len = sizeof(*from);
	ssize_t n;

	assert_true(wait_for(s, s->upstream, WAIT_MS));
	n = recvfrom(s->upstream, p, max, 0, (struct sockaddr *)from, &len);
	assert_true(n >= 12);
	return (size_t)n;
}

static void upstream_answer(struct site *s, uint8_t *p, size_t n, int rcode,
			    const struct sockaddr_in *to)
{
	p[2] |= 0x80;
	p[3] = (uint8_t)(0x80 | rcode);
	assert_int_equal(sendto(s->upstream, p, n, 0, (const struct sockaddr *)to, sizeof(*to)),
			 (ssize_t)n);
}

static void unknown_names_are_forwarded(void **state)
{
	struct site *s = site_new();
	auto_close int fd = udp_client(s);
	struct sockaddr_in from;
	uint8_t q[512], at[512], bad[512], got[512];
	size_t n = make_query(q, 0x4242, "www.example.org", DNS_A, 1232), m;

	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	m = upstream_take(s, at, sizeof(at), &from);
	assert_int_equal(m, n);
	assert_memory_equal(at + 2, q + 2, n - 2);
	/* Forged ones: a wrong id, another question, a query. */
	memcpy(bad, at, m);
	bad[1] ^= 0x55;
	upstream_answer(s, bad, m, DNS_NOERROR, &from);
	memcpy(bad, at, m);
	bad[14] = 'x';
	upstream_answer(s, bad, m, DNS_NOERROR, &from);
	assert_int_equal(sendto(s->upstream, at, m, 0, (struct sockaddr *)&from, sizeof(from)),
			 (ssize_t)m);
	/* From another port. */
	{
		struct sockaddr_in other;
		auto_close int forger = bound_socket(SOCK_DGRAM, &other);

		memcpy(bad, at, m);
		bad[2] |= 0x80;
		bad[3] = 5;
		assert_int_equal(sendto(forger, bad, m, 0, (struct sockaddr *)&from, sizeof(from)),
				 (ssize_t)m);
	}
	assert_false(wait_for(s, fd, 100));
	upstream_answer(s, at, m, DNS_NXDOMAIN, &from);
	assert_true(wait_for(s, fd, WAIT_MS));
	assert_int_equal(recv(fd, got, sizeof(got), 0), (ssize_t)m);
	assert_int_equal(got[0], 0x42);
	assert_int_equal(got[1], 0x42);
	assert_int_equal(got[3] & 15, DNS_NXDOMAIN);
	site_free(s);
}

static void ids_and_ports_vary(void **state)
{
	struct site *s = site_new();
	auto_close int fd = udp_client(s);
	uint16_t ids[16], ports[16];
	unsigned same_id = 0, same_port = 0;

	for (int i = 0; i < 16; i++) {
		struct sockaddr_in from;
		uint8_t q[512], at[512];
		size_t n = make_query(q, 7, "www.example.org", DNS_A, 0);

		assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
		(void)upstream_take(s, at, sizeof(at), &from);
		ids[i] = (uint16_t)(at[0] << 8 | at[1]);
		ports[i] = ntohs(from.sin_port);
		for (int k = 0; k < i; k++) {
			same_id += ids[k] == ids[i];
			same_port += ports[k] == ports[i];
		}
	}
	assert_true(same_id <= 1 && same_port <= 1);
	site_free(s);
}

static void internal_networks_ask_nobody(void **state)
{
	struct site *s = site_new();
	struct reply r;

	s->o.internal = true;
	update(s);
	ask(s, "secret-data.attacker.example", DNS_A, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_SERVFAIL);
	ask(s, "secret-data.attacker.example", DNS_TXT, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_SERVFAIL);
	ask(s, "4.4.4.4.in-addr.arpa", DNS_PTR, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_SERVFAIL);
	assert_false(wait_for(s, s->upstream, 100));
	ask(s, "web", DNS_A, 0, &r);
	assert_int_equal(answers_of(&r), 2);
	site_free(s);
}

static void single_labels_stay_where_ndots_is_set(void **state)
{
	struct site *s = site_new();
	struct sockaddr_in from;
	auto_close int fd = udp_client(s);
	uint8_t q[512], at[512];
	struct reply r;
	size_t n;

	s->o.keep_single = true;
	update(s);
	ask(s, "printer", DNS_A, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_NOERROR);
	assert_int_equal(answers_of(&r), 0);
	assert_false(wait_for(s, s->upstream, 50));
	s->o.keep_single = false;
	update(s);
	n = make_query(q, 1, "printer", DNS_A, 0);
	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	(void)upstream_take(s, at, sizeof(at), &from);
	site_free(s);
}

static void the_next_upstream_is_asked(void **state)
{
	struct site *s = site_new();
	struct sockaddr_in nobody, from;
	auto_close int fd = udp_client(s);
	uint8_t q[512], at[512], got[512];
	size_t n = make_query(q, 9, "www.example.org", DNS_A, 0), m;

	/* The first one's port is closed: that is found out at once, not after the timeout. */
	close(bound_socket(SOCK_DGRAM, &nobody));
	s->upstreams[1] = s->upstreams[0];
	s->upstreams[0].port = ntohs(nobody.sin_port);
	s->o.upstream_count = 2;
	s->o.timeout_ms = 60000;
	update(s);
	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	m = upstream_take(s, at, sizeof(at), &from);
	upstream_answer(s, at, m, DNS_NOERROR, &from);
	assert_true(wait_for(s, fd, WAIT_MS));
	assert_int_equal(recv(fd, got, sizeof(got), 0), (ssize_t)n);
	/* Both places are the same server now; it fails once, then it answers. */
	s->upstreams[0] = s->upstreams[1];
	update(s);
	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	m = upstream_take(s, at, sizeof(at), &from);
	upstream_answer(s, at, m, DNS_SERVFAIL, &from);
	m = upstream_take(s, at, sizeof(at), &from);
	upstream_answer(s, at, m, DNS_NOERROR, &from);
	assert_true(wait_for(s, fd, WAIT_MS));
	assert_int_equal(recv(fd, got, sizeof(got), 0), (ssize_t)n);
	assert_int_equal(got[3] & 15, DNS_NOERROR);
	/* Both fail. */
	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	for (int i = 0; i < 2; i++) {
		m = upstream_take(s, at, sizeof(at), &from);
		upstream_answer(s, at, m, DNS_REFUSED, &from);
	}
	assert_true(wait_for(s, fd, WAIT_MS));
	assert_int_equal(recv(fd, got, sizeof(got), 0), (ssize_t)n);
	assert_int_equal(got[3] & 15, DNS_SERVFAIL);
	assert_int_equal(got[1], 9);
	site_free(s);
}

static void a_silent_upstream_times_out(void **state)
{
	struct site *s = site_new();
	struct reply r;
	uint64_t start = clock_mono_ms();

	s->upstreams[1] = s->upstreams[0];
	s->o.upstream_count = 2;
	s->o.timeout_ms = 50;
	update(s);
	ask(s, "www.example.org", DNS_A, 0, &r);
	assert_int_equal(rcode_of(&r), DNS_SERVFAIL);
	assert_true(clock_mono_ms() - start >= 100);
	site_free(s);
}

static void what_does_not_fit_comes_by_tcp(void **state)
{
	struct site *s = site_new();
	auto_close int fd = tcp_client(s);
	struct reply *r = xmalloc(sizeof(*r));
	uint8_t q[512], more[512];
	size_t n = make_query(q, 5, "many", DNS_A, 0);

	ask(s, "many", DNS_A, 0, r);
	assert_true(r->p[2] & 2);
	assert_true(r->n <= 512);
	ask(s, "many", DNS_A, 65535, r);
	assert_true(r->p[2] & 2);
	assert_true(r->n > 4000 && r->n <= 4096);
	tcp_send(fd, q, n);
	tcp_receive(s, fd, r);
	assert_false(r->p[2] & 2);
	assert_int_equal(answers_of(r), MANY);
	/* Of more than an answer may have it is the first. */
	tcp_send(fd, more, make_query(more, 6, "more", DNS_A, 0));
	tcp_receive(s, fd, r);
	assert_false(r->p[2] & 2);
	assert_int_equal(answers_of(r), LIMIT_DNS_RECORDS);
	/* Two questions at once and byte by byte. */
	tcp_send(fd, q, n);
	tcp_send(fd, q, n);
	tcp_receive(s, fd, r);
	tcp_receive(s, fd, r);
	assert_int_equal(answers_of(r), MANY);
	n = make_query(q + 2, 6, "web", DNS_A, 0);
	q[0] = 0;
	q[1] = (uint8_t)n;
	for (size_t i = 0; i < n + 2; i++) {
		assert_int_equal(send(fd, q + i, 1, MSG_NOSIGNAL), 1);
		(void)wait_for(s, fd, 1);
	}
	tcp_receive(s, fd, r);
	assert_int_equal(answers_of(r), 2);
	free(r);
	site_free(s);
}

static void tcp_is_forwarded_by_tcp(void **state)
{
	struct site *s = site_new();
	auto_close int fd = tcp_client(s), up = -1;
	struct reply *r = xmalloc(sizeof(*r));
	uint8_t q[512];
	size_t n = make_query(q, 0x0506, "www.example.org", DNS_TXT, 0);

	listen_tcp(s);
	tcp_send(fd, q, n);
	assert_true(wait_for(s, s->upstream_tcp, WAIT_MS));
	up = accept4(s->upstream_tcp, NULL, NULL, SOCK_CLOEXEC);
	assert_true(up >= 0);
	tcp_receive(s, up, r);
	assert_int_equal(r->n, n);
	assert_memory_equal(r->p + 2, q + 2, n - 2);
	r->p[2] |= 0x80;
	tcp_send(up, r->p, r->n);
	tcp_receive(s, fd, r);
	assert_int_equal(r->n, n);
	assert_int_equal(r->p[0] << 8 | r->p[1], 0x0506);
	/* The upstream hangs up in the middle: SERVFAIL. */
	tcp_send(fd, q, n);
	assert_true(wait_for(s, s->upstream_tcp, WAIT_MS));
	close(up);
	up = accept4(s->upstream_tcp, NULL, NULL, SOCK_CLOEXEC);
	close(TAKE_FD(up));
	tcp_receive(s, fd, r);
	assert_int_equal(rcode_of(r), DNS_SERVFAIL);
	free(r);
	site_free(s);
}

static void connections_are_bounded(void **state)
{
	struct site *s = site_new();
	int fds[LIMIT_DNS_CLIENTS + 1];
	struct reply r;
	uint8_t q[512], c;
	size_t n = make_query(q, 5, "web", DNS_A, 0);

	for (int i = 0; i < LIMIT_DNS_CLIENTS; i++) {
		fds[i] = tcp_client(s);
		tcp_send(fds[i], q, n);
		tcp_receive(s, fds[i], &r);
	}
	fds[LIMIT_DNS_CLIENTS] = tcp_client(s);
	assert_true(wait_for(s, fds[LIMIT_DNS_CLIENTS], WAIT_MS));
	assert_int_equal(recv(fds[LIMIT_DNS_CLIENTS], &c, 1, 0), 0);
	/* One goes, and there is room again. */
	close(fds[0]);
	for (int tries = 0; tries < 100; tries++)
		(void)wait_for(s, fds[1], 1);
	fds[0] = tcp_client(s);
	tcp_send(fds[0], q, n);
	tcp_receive(s, fds[0], &r);
	assert_int_equal(answers_of(&r), 2);
	for (int i = 0; i <= LIMIT_DNS_CLIENTS; i++)
		close(fds[i]);
	site_free(s);
}

static void a_silent_connection_is_dropped(void **state)
{
	struct site *s = site_new();
	int fd;
	uint8_t c = 0;

	s->o.idle_ms = 50;
	update(s);
	fd = tcp_client(s);
	assert_int_equal(send(fd, &c, 1, 0), 1);
	assert_true(wait_for(s, fd, WAIT_MS));
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	close(fd);
	site_free(s);
}

static void questions_in_flight_are_bounded(void **state)
{
	struct site *s = site_new();
	auto_close int fd = udp_client(s);
	uint8_t q[512], got[512];
	int size = 4 << 20;

	setsockopt(s->upstream, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (unsigned i = 0; i < LIMIT_DNS_SANDBOX_INFLIGHT; i++) {
		size_t n = make_query(q, (uint16_t)i, "www.example.org", DNS_A, 0);

		assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
		assert_false(wait_for(s, fd, 0));
	}
	{
		size_t n = make_query(q, 0x7777, "www.example.org", DNS_A, 0);

		assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
		assert_true(wait_for(s, fd, WAIT_MS));
		assert_int_equal(recv(fd, got, sizeof(got), 0), (ssize_t)n);
		assert_int_equal(got[0], 0x77);
		assert_int_equal(got[3] & 15, DNS_SERVFAIL);
	}
	/* Names of ours are still answered. */
	{
		struct reply r;

		ask(s, "web", DNS_A, 0, &r);
		assert_int_equal(answers_of(&r), 2);
	}
	site_free(s); /* with all of them in flight */
}

static void a_client_that_leaves_takes_its_question_along(void **state)
{
	struct site *s = site_new();
	int fd = tcp_client(s);
	auto_close int up = -1;
	struct reply *r = xmalloc(sizeof(*r));
	uint8_t q[512];
	size_t n = make_query(q, 5, "www.example.org", DNS_A, 0);

	listen_tcp(s);
	tcp_send(fd, q, n);
	assert_true(wait_for(s, s->upstream_tcp, WAIT_MS));
	up = accept4(s->upstream_tcp, NULL, NULL, SOCK_CLOEXEC);
	tcp_receive(s, up, r);
	close(fd);
	r->p[2] |= 0x80;
	tcp_send(up, r->p, r->n);
	ask(s, "web", DNS_A, 0, r);
	assert_int_equal(answers_of(r), 2);
	free(r);
	site_free(s);
}

static void garbage_is_dropped_or_refused(void **state)
{
	struct site *s = site_new();
	auto_close int fd = udp_client(s), tcp = tcp_client(s);
	uint8_t junk[512], q[512], c;
	struct reply r;
	size_t n;

	assert_int_equal(send(fd, "hello", 5, 0), 5);
	assert_false(wait_for(s, fd, 50));
	n = make_query(q, 3, "web", DNS_A, 0);
	q[5] = 2;
	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	assert_true(wait_for(s, fd, WAIT_MS));
	assert_int_equal(recv(fd, junk, sizeof(junk), 0), 12);
	assert_int_equal(junk[3] & 15, DNS_FORMERR);
	assert_int_equal(send(tcp, "\0\5hello", 7, MSG_NOSIGNAL), 7);
	assert_true(wait_for(s, tcp, WAIT_MS));
	assert_int_equal(recv(tcp, &c, 1, 0), 0);
	ask(s, "web", DNS_A, 0, &r);
	assert_int_equal(answers_of(&r), 2);
	site_free(s);
}

static void too_many_upstreams_are_refused(void **state)
{
	struct dns_upstream many[LIMIT_DNS_UPSTREAMS + 1] = {0};
	struct site *s = site_new();
	struct dns_sandbox_options o = s->o;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i].ip = ip_of("192.0.2.1");
	o.upstreams = many;
	o.upstream_count = LIMIT_DNS_UPSTREAMS;
	assert_ok(dns_sandbox_update(s->sandbox, &o, &e), &e);
	o.upstream_count++;
	assert_int_equal(dns_sandbox_update(s->sandbox, &o, &e), -E2BIG);
	site_free(s);
}

/* In a container's namespace: at port 53, next to a name server of the container's own. */
static void a_container_asks_at_port_53(void **state)
{
	struct site *s;
	int netns, udp, tcp, own, home = world_self();
	struct err e = ERR_INIT;
	struct reply *r;
	uint8_t q[512];
	size_t n = make_query(q, 0x3131, "many", DNS_A, 1400);
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(53)};
	int64_t t0, t1;

	if (geteuid() != 0)
		skip();
	s = site_new();
	r = xmalloc(sizeof(*r));
	netns = world_netns();
	assert_ok(dns_sockets_open(netns, &udp, &tcp, &e), &e);
	t0 = clock_mono_ns();
	assert_ok(dns_redirect(netns, udp, tcp, &e), &e);
	t1 = clock_mono_ns();
	printf("dns_redirect %.2f ms\n", (double)(t1 - t0) / 1e6);
	assert_ok(dns_redirect(netns, udp, tcp, &e), &e); /* twice is as once */
	dns_sandbox_close(s->sandbox);
	serve(s, udp, tcp);
	world_visit(netns);
	own = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(own, (struct sockaddr *)&any, sizeof(any)), 0);
	s->udp_at = s->tcp_at = any;
	s->udp_at.sin_addr.s_addr = s->tcp_at.sin_addr.s_addr = htonl(0x7f00000b);
	ask(s, "web", DNS_A, 0, r);
	assert_int_equal(answers_of(r), 2);
	ask(s, "many", DNS_A, 1400, r); /* long enough to show a wrong checksum */
	assert_true(answers_of(r) > 80);
	{
		auto_close int fd = tcp_client(s);

		for (int i = 0; i < 3; i++) {
			tcp_send(fd, q, n);
			tcp_receive(s, fd, r);
			assert_int_equal(answers_of(r), MANY);
		}
	}
	world_visit(home);
	/* No connection is tracked for it. */
	world_hides(netns, "dport=53", "cat /proc/net/nf_conntrack 2>/dev/null");
	close(own);
	close(netns);
	free(r);
	site_free(s);
	close(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(own_names_are_answered),
		TEST(addresses_are_shuffled),
		TEST(unknown_names_are_forwarded),
		TEST(ids_and_ports_vary),
		TEST(internal_networks_ask_nobody),
		TEST(single_labels_stay_where_ndots_is_set),
		TEST(the_next_upstream_is_asked),
		TEST(a_silent_upstream_times_out),
		TEST(what_does_not_fit_comes_by_tcp),
		TEST(tcp_is_forwarded_by_tcp),
		TEST(connections_are_bounded),
		TEST(a_silent_connection_is_dropped),
		TEST(questions_in_flight_are_bounded),
		TEST(a_client_that_leaves_takes_its_question_along),
		TEST(garbage_is_dropped_or_refused),
		TEST(too_many_upstreams_are_refused),
		TEST(a_container_asks_at_port_53),
	};

	return RUN_TESTS(tests);
}
