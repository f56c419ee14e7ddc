/*
 * What the tests of net/dns_server.h stand on: a server on a loop of its own with one sandbox on
 * loopback, a fake upstream, and clients by UDP and TCP. For test_dns_server.c alone.
 */
#pragma once

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
	unsigned n = 0;

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
	if (strcmp(name, "many") == 0)
		n = MANY;
	else if (strcmp(name, "more") == 0)
		n = LIMIT_DNS_RECORDS + 100;
	for (unsigned i = 0; i < n; i++) {
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
