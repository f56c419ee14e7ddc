/*
 * Fuzzes net/dns_msg.h: any bytes as a query, as the answer to themselves, and what is built for
 * them. tests/unit/net/test_dns_msg.c includes this and calls it with seeded garbage.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "net/dns_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct net_ip ip = {.family = AF_INET6};
	uint8_t out[DNS_UDP_MAX];
	struct dns_query q, again;
	struct dns_answer a;
	size_t len;
	int rc = dns_query_parse(p, n, &q);

	(void)dns_answers(p, n, p, n);
	if (rc < 0)
		return 0;
	assert(strlen(q.name) < DNS_NAME_TEXT && q.udp_size >= DNS_UDP_MIN);
	assert(q.question_len == 0 || (size_t)q.question_len + DNS_HEADER <= n);
	assert((rc == 0) == (q.question_len > 0));
	(void)dns_name_to_ip(q.name, &ip);
	(void)dns_name_is_single(q.name);
	dns_answer_init(&a, out, DNS_UDP_MIN, &q, p, (enum dns_rcode)rc);
	for (int i = 0; i < 40; i++)
		dns_answer_add_ip(&a, &ip, 5);
	(void)dns_answer_add_ptr(&a, q.name, 5);
	len = dns_answer_finish(&a);
	assert(len <= DNS_UDP_MIN);
	/* What we answer is an answer to what was asked, and never a query. */
	assert(rc != 0 || dns_answers(p, n, out, len));
	assert(dns_query_parse(out, len, &again) < 0);
	return 0;
}
