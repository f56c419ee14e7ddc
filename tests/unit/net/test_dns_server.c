/*
 * net/dns_server.h over real sockets on loopback: own names, forwarding to a fake upstream and to
 * dead ones, spoofed answers, TCP, truncation, and every bound. The part in a container's
 * namespace needs root.
 */
#include "unit/net/world.h"

#include "base/clock.h"
#include "base/limits.h"
#include "net/dns_server.h"

#define MANY 300 /* addresses of the service "many" */

struct site {
	uv_loop_t loop;
	struct dns_server *server;
	struct dns_sandbox *sandbox;
	struct dns_sandbox_options o;
	struct dns_upstream upstreams[2];
	struct sockaddr_in udp_at, tcp_at; /* of the sandbox */
	int upstream;                      /* UDP socket of the fake one */
	int upstream_tcp;
	bool closed;
	unsigned lookups;
};

static int bound_socket(int type, struct sockaddr_in *ret)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
	return fd;
}

static enum dns_outcome lookup(void *arg, const char *name, uint16_t type, const struct net_ip *ip,
			       struct dns_records *ret)
{
	struct site *s = arg;
	struct net_ip found = {AF_INET, {10, 0, 0, 2}};

	s->lookups++;
	if (type == DNS_PTR) {
		if (!net_ip_equal(ip, &found))
			return DNS_UNKNOWN;
		snprintf(ret->ptr, sizeof(ret->ptr), "web.1.abc.net");
		return DNS_FOUND;
	}
	if (strcmp(name, "gone") == 0)
		return DNS_NO_NAME;
	if (strcmp(name, "web") == 0) {
		dns_records_add(ret, &found);
		found.b[3] = 3;
		dns_records_add(ret, &found);
		return DNS_FOUND;
	}
	if (strcmp(name, "both") == 0) {
		struct net_ip six = {AF_INET6, {0xfd, [15] = 1}};

		dns_records_add(ret, &found);
		dns_records_add(ret, &six);
		return DNS_FOUND;
	}
	for (unsigned i = 0; strcmp(name, "many") == 0 && i < MANY; i++) {
		found.b[2] = (uint8_t)(i >> 8);
		found.b[3] = (uint8_t)i;
		dns_records_add(ret, &found);
	}
	return ret->count > 0 ? DNS_FOUND : DNS_UNKNOWN;
}

static void serve(struct site *s, int udp, int tcp)
{
	struct err e = ERR_INIT;

	assert_ok(dns_sandbox_new(s->server, udp, tcp, &s->o, &s->sandbox, &e), &e);
}

/* The fake upstream: UDP and TCP at one port of the kernel's choice; TCP does not listen yet. */
static void upstream_open(struct site *s)
{
	for (;;) {
		struct sockaddr_in at;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		assert_true(fd >= 0);
		s->upstream = bound_socket(SOCK_DGRAM, &at);
		s->upstream_tcp = fd;
		s->upstreams[0] = (struct dns_upstream){ip_of("127.0.0.1"), ntohs(at.sin_port)};
		if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
			return;
		assert_int_equal(errno, EADDRINUSE);
		close(s->upstream);
		close(fd);
	}
}

static struct site *site_new(void)
{
	struct site *s = xcalloc(1, sizeof(*s));
	struct err e = ERR_INIT;

	assert_int_equal(uv_loop_init(&s->loop), 0);
	assert_ok(dns_server_new(&s->loop, &s->server, &e), &e);
	upstream_open(s);
	s->o = (struct dns_sandbox_options){
		.lookup = lookup, .arg = s, .upstreams = s->upstreams, .upstream_count = 1};
	serve(s, bound_socket(SOCK_DGRAM, &s->udp_at), bound_socket(SOCK_STREAM, &s->tcp_at));
	return s;
}

static void update(struct site *s)
{
	struct err e = ERR_INIT;

	assert_ok(dns_sandbox_update(s->sandbox, &s->o, &e), &e);
}

static void listen_tcp(struct site *s)
{
	assert_int_equal(listen(s->upstream_tcp, 8), 0);
}

static void on_server_closed(void *arg)
{
	((struct site *)arg)->closed = true;
}

static void site_free(struct site *s)
{
	dns_server_close(s->server, on_server_closed, s);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_true(s->closed);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	close(s->upstream);
	close(s->upstream_tcp);
	free(s);
}

/* Runs the loop until `fd` can be read. False after `wait_ms`. */
static bool wait_for(struct site *s, int fd, int wait_ms)
{
	uint64_t end = clock_mono_ms() + (unsigned)wait_ms;

	for (;;) {
		struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
				      {.fd = uv_backend_fd(&s->loop), .events = POLLIN}};
		uint64_t now = clock_mono_ms();
		int left = now < end ? (int)(end - now) : 0, timeout;

		uv_run(&s->loop, UV_RUN_NOWAIT);
		timeout = uv_backend_timeout(&s->loop);
		if (timeout < 0 || timeout > left)
			timeout = left;
		(void)poll(p, 2, timeout);
		if (p[0].revents != 0)
			return true;
		if (left == 0)
			return false;
	}
}

#define WAIT_MS 8000

static size_t make_query(uint8_t *p, uint16_t id, const char *name, uint16_t type, uint16_t edns)
{
	size_t at = 12;

	memset(p, 0, 12);
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
	p[2] = 1;
	p[5] = 1;
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		p[at++] = (uint8_t)n;
		memcpy(p + at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	memcpy(p + at, "\0\0\0\0\1", 5);
	p[at + 1] = (uint8_t)(type >> 8);
	p[at + 2] = (uint8_t)type;
	at += 5;
	if (edns > 0) {
		memcpy(p + at, "\0\0\51\0\0\0\0\0\0\0\0", 11);
		p[at + 3] = (uint8_t)(edns >> 8);
		p[at + 4] = (uint8_t)edns;
		p[11] = 1;
		at += 11;
	}
	return at;
}

static int udp_client(struct site *s)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&s->udp_at, sizeof(s->udp_at)), 0);
	return fd;
}

static int tcp_client(struct site *s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&s->tcp_at, sizeof(s->tcp_at)), 0);
	return fd;
}

struct reply {
	uint8_t p[DNS_MESSAGE_MAX];
	size_t n;
};

static int rcode_of(const struct reply *r)
{
	return r->p[3] & 15;
}

static int answers_of(const struct reply *r)
{
	return r->p[6] << 8 | r->p[7];
}

/* Asks by UDP and waits for the answer. */
static void ask(struct site *s, const char *name, uint16_t type, uint16_t edns, struct reply *r)
{
	static uint16_t id = 100;
	auto_close int fd = udp_client(s);
	uint8_t q[512];
	size_t n = make_query(q, ++id, name, type, edns);
	ssize_t got;

	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	assert_true(wait_for(s, fd, WAIT_MS));
	got = recv(fd, r->p, sizeof(r->p), 0);
	assert_true(got >= 12);
	r->n = (size_t)got;
	assert_true(dns_answers(q, n, r->p, r->n));
}

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

static void recv_all(struct site *s, int fd, uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got;

		assert_true(wait_for(s, fd, WAIT_MS));
		got = recv(fd, p + at, n - at, 0);
		assert_true(got > 0);
		at += (size_t)got;
	}
}

static void tcp_receive(struct site *s, int fd, struct reply *r)
{
	uint8_t len[2];

	recv_all(s, fd, len, 2);
	r->n = (size_t)(len[0] << 8 | len[1]);
	recv_all(s, fd, r->p, r->n);
}

static void tcp_send(int fd, const uint8_t *q, size_t n)
{
	uint8_t m[2 + 512] = {(uint8_t)(n >> 8), (uint8_t)n};

	memcpy(m + 2, q, n);
	assert_int_equal(send(fd, m, n + 2, MSG_NOSIGNAL), (ssize_t)n + 2);
}

static void what_does_not_fit_comes_by_tcp(void **state)
{
	struct site *s = site_new();
	auto_close int fd = tcp_client(s);
	struct reply *r = xmalloc(sizeof(*r));
	uint8_t q[512];
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
