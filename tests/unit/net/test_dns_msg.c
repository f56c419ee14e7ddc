/*
 * net/dns_msg.h: queries as clients send them, answers byte by byte, and a great deal of garbage.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/mem.h"
#include "net/dns_msg.h"

#include "fuzz/fuzz_dns.c" /* NOLINT(bugprone-suspicious-include): the fuzzer's own program */

/* Header, question "wEb.a" A IN. */
static const uint8_t plain[] = {0x12, 0x34, 0x01, 0x00, 0, 1,   0, 0, 0, 0, 0, 0,
				3,    'w',  'E',  'b',  1, 'a', 0, 0, 1, 0, 1};
/* The same with an EDNS record that takes 1232 bytes. */
static const uint8_t edns[] = {0x12, 0x34, 0x01, 0x00, 0, 1,   0, 0, 0, 0, 0, 1,
			       3,    'w',  'E',  'b',  1, 'a', 0, 0, 1, 0, 1, 0,
			       0,    41,   0x04, 0xd0, 0, 0,   0, 0, 0, 0};

static void a_query_is_read(void **state)
{
	struct dns_query q;

	assert_int_equal(dns_query_parse(plain, sizeof(plain), &q), 0);
	assert_int_equal(q.id, 0x1234);
	assert_string_equal(q.name, "web.a");
	assert_int_equal(q.type, DNS_A);
	assert_int_equal(q.class, 1);
	assert_int_equal(q.question_len, 11);
	assert_false(q.edns);
	assert_int_equal(q.udp_size, 512);
	assert_int_equal(dns_query_parse(edns, sizeof(edns), &q), 0);
	assert_true(q.edns);
	assert_int_equal(q.udp_size, 1232);
}

static void every_cut_of_a_query_is_refused(void **state)
{
	struct dns_query q;

	for (size_t n = 0; n < sizeof(edns); n++) {
		/* On the heap, so that the sanitizer sees a read past the end. */
		uint8_t *p = xmalloc(n > 0 ? n : 1);
		int rc;

		memcpy(p, edns, n);
		rc = dns_query_parse(p, n, &q);
		assert_int_equal(rc, n < DNS_HEADER ? -EBADMSG : DNS_FORMERR);
		assert_int_equal(q.question_len, 0);
		free(p);
	}
}

static void odd_queries(void **state)
{
	uint8_t m[512];
	struct dns_query q;

	memcpy(m, plain, sizeof(plain));
	m[2] |= 0x80; /* an answer */
	assert_int_equal(dns_query_parse(m, sizeof(plain), &q), -EBADMSG);
	m[2] = 0x28; /* UPDATE */
	assert_int_equal(dns_query_parse(m, sizeof(plain), &q), DNS_NOTIMP);
	memcpy(m, plain, sizeof(plain));
	m[5] = 2; /* two questions */
	assert_int_equal(dns_query_parse(m, sizeof(plain), &q), DNS_FORMERR);
	m[5] = 0;
	assert_int_equal(dns_query_parse(m, sizeof(plain), &q), DNS_FORMERR);
	memcpy(m, plain, sizeof(plain));
	m[12] = 0xc0; /* a pointer to itself */
	m[13] = 12;
	assert_int_equal(dns_query_parse(m, sizeof(plain), &q), DNS_FORMERR);
	memcpy(m, plain, sizeof(plain));
	m[13] = '.'; /* a dot within a label is no border */
	m[14] = '\\';
	m[15] = 7;
	assert_int_equal(dns_query_parse(m, sizeof(plain), &q), 0);
	assert_string_equal(q.name, "\\046\\092\\007.a");
}

static void the_longest_name_fits_and_no_longer_one(void **state)
{
	uint8_t m[600] = {0, 1, 1, 0, 0, 1};
	struct dns_query q;
	size_t at = 12;

	/* 3 * 64 + 62 + 1 = 255 bytes, each of which needs four characters as text. */
	for (int i = 0; i < 4; i++) {
		size_t n = i < 3 ? 63 : 61;

		m[at++] = (uint8_t)n;
		memset(m + at, 0x01, n);
		at += n;
	}
	m[at++] = 0;
	assert_int_equal(at, 12 + 255);
	m[at + 1] = 1;
	m[at + 3] = 1;
	assert_int_equal(dns_query_parse(m, at + 4, &q), 0);
	assert_int_equal(strlen(q.name), 250 * 4 + 3);
	/* One byte more. */
	m[12 + 3 * 64] = 62;
	m[at] = 0;
	m[at - 1] = 1;
	m[at + 2] = 1;
	m[at + 4] = 1;
	assert_int_equal(dns_query_parse(m, at + 5, &q), DNS_FORMERR);
}

static void an_answer_byte_by_byte(void **state)
{
	static const uint8_t want[] = {
		0x12, 0x34, 0x81, 0x80, 0,  1,    0,    1, 0, 0, 0, 1, /* header */
		3,    'w',  'E',  'b',  1,  'a',  0,    0, 1, 0, 1,    /* the case is kept */
		0xc0, 12,   0,    1,    0,  1,    0,    0, 0, 5, 0, 4, 10, 0,
		0,    3,    0,    0,    41, 0x10, 0x00, 0, 0, 0, 0, 0, 0};
	struct net_ip ip = {AF_INET, {10, 0, 0, 3}};
	struct dns_query q;
	struct dns_answer a;
	uint8_t out[512];

	assert_int_equal(dns_query_parse(edns, sizeof(edns), &q), 0);
	dns_answer_init(&a, out, sizeof(out), &q, edns, DNS_NOERROR);
	dns_answer_add_ip(&a, &ip, 5);
	assert_int_equal(dns_answer_finish(&a), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
	assert_true(dns_answers(edns, sizeof(edns), out, sizeof(want)));
	/* Another id, another question, or no answer at all. */
	out[1] ^= 1;
	assert_false(dns_answers(edns, sizeof(edns), out, sizeof(want)));
	out[1] ^= 1;
	out[13] = 'v';
	assert_false(dns_answers(edns, sizeof(edns), out, sizeof(want)));
	out[13] = 'W'; /* the same name */
	assert_true(dns_answers(edns, sizeof(edns), out, sizeof(want)));
	assert_false(dns_answers(edns, sizeof(edns), edns, sizeof(edns)));
	assert_false(dns_answers(edns, sizeof(edns), out, 20));
}

static void an_answer_that_does_not_fit_says_so(void **state)
{
	struct dns_query q;
	struct dns_answer a;
	uint8_t out[DNS_UDP_MAX];
	size_t n;

	for (int e = 0; e < 2; e++) {
		const uint8_t *m = e ? edns : plain;

		assert_int_equal(dns_query_parse(m, e ? sizeof(edns) : sizeof(plain), &q), 0);
		dns_answer_init(&a, out, q.udp_size, &q, m, DNS_NOERROR);
		for (unsigned i = 0; i < 200; i++) {
			struct net_ip ip = {AF_INET, {10, 0, 0, (uint8_t)i}};

			dns_answer_add_ip(&a, &ip, 5);
		}
		n = dns_answer_finish(&a);
		assert_true(n <= q.udp_size && n > q.udp_size - 16u);
		assert_int_equal(out[2] & 2, 2);
		assert_int_equal(out[11], e); /* the EDNS record is not what was cut */
		assert_int_equal(out[6] << 8 | out[7], (q.udp_size - 23 - (e ? 11 : 0)) / 16);
	}
}

static void reverse_names(void **state)
{
	static const struct {
		const char *name, *ip;
	} cases[] = {
		{"3.0.0.10.in-addr.arpa", "10.0.0.3"},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
		 "2001:db8::1"},
		{"0.0.10.in-addr.arpa", NULL},
		{"256.0.0.10.in-addr.arpa", NULL},
		{"1.2.3.4.5.in-addr.arpa", NULL},
		{"a.0.0.10.in-addr.arpa", NULL},
		{".in-addr.arpa", NULL},
		{"in-addr.arpa", NULL},
		{"1.2.ip6.arpa", NULL},
		{"web", NULL},
		{"", NULL},
		{"-1.0.0.10.in-addr.arpa", NULL},
		{" 1.0.0.10.in-addr.arpa", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_ip ip;
		char text[NET_IP_TEXT];
		int rc = dns_name_to_ip(cases[i].name, &ip);

		assert_int_equal(rc, cases[i].ip != NULL ? 0 : -EINVAL);
		if (rc == 0)
			assert_string_equal(net_ip_format(&ip, text), cases[i].ip);
	}
}

static void pointer_answers(void **state)
{
	struct dns_query q;
	struct dns_answer a;
	uint8_t out[512];
	char label[80];

	assert_int_equal(dns_query_parse(plain, sizeof(plain), &q), 0);
	dns_answer_init(&a, out, sizeof(out), &q, plain, DNS_NOERROR);
	assert_int_equal(dns_answer_add_ptr(&a, "web.1.abc.net", 5), 0);
	assert_memory_equal(out + a.len - 15,
			    "\3web\1"
			    "1\3abc\3net",
			    15);
	assert_int_equal(dns_answer_add_ptr(&a, "", 5), -EINVAL);
	assert_int_equal(dns_answer_add_ptr(&a, "a..b", 5), -EINVAL);
	memset(label, 'x', 64);
	label[64] = '\0';
	assert_int_equal(dns_answer_add_ptr(&a, label, 5), -EINVAL);
	label[63] = '\0';
	assert_int_equal(dns_answer_add_ptr(&a, label, 5), 0);
	assert_int_equal(a.answers, 2);
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

static void garbage_does_no_harm(void **state)
{
	for (uint64_t seed = 1; seed <= 200000; seed++) {
		uint64_t x = seed * 0x9e3779b97f4a7c15u;
		size_t n = seed % 3 == 0 ? next(&x) % 300 : sizeof(edns);
		uint8_t *p = malloc(n > 0 ? n : 1);

		for (size_t i = 0; i < n; i++)
			p[i] = seed % 3 == 0 ? (uint8_t)next(&x) : edns[i];
		for (unsigned i = 0; n > 0 && i < 1 + seed % 5; i++)
			p[next(&x) % n] = (uint8_t)next(&x);
		(void)LLVMFuzzerTestOneInput(p, n);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_query_is_read),
		TEST(every_cut_of_a_query_is_refused),
		TEST(odd_queries),
		TEST(the_longest_name_fits_and_no_longer_one),
		TEST(an_answer_byte_by_byte),
		TEST(an_answer_that_does_not_fit_says_so),
		TEST(reverse_names),
		TEST(pointer_answers),
		TEST(garbage_does_no_harm),
	};

	return RUN_TESTS(tests);
}
