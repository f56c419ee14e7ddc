/*
 * DNS messages (RFC 1035, 6891): reading a query, building an answer. Pure code over bytes of an
 * outsider; no sockets, no loop, no allocation. Used by dns_server.c and fuzzed as it stands.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

#define DNS_NAME_TEXT 1020 /* bytes of a name as text with \DDD escapes, NUL included */
#define DNS_HEADER 12      /* bytes */
#define DNS_UDP_MIN 512    /* bytes any client takes over UDP */
#define DNS_UDP_MAX 4096   /* bytes we send over UDP at most, whatever EDNS allows */
#define DNS_MESSAGE_MAX 65535

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_ANY = 255,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

struct dns_query {
	uint16_t id;
	uint16_t flags;           /* as received */
	uint16_t type;            /* enum dns_type, or any other number */
	uint16_t class;           /* 1 is IN */
	char name[DNS_NAME_TEXT]; /* lower case, without the last dot; the root is "" */
	uint16_t question_len;    /* bytes of the question section, right after the header */
	bool edns;
	uint16_t udp_size; /* bytes the client takes over UDP: 512 without EDNS, never less */
};

/*
 * 0, or -EBADMSG (drop it: no header, or an answer), or a positive enum dns_rcode to answer with
 * (FORMERR, NOTIMP): `id` and `flags` are then set and `question_len` is 0.
 */
int dns_query_parse(const uint8_t *p, size_t n, struct dns_query *ret);

/* Whether the message is the answer to a question asked with these bytes (id, QR, question). */
bool dns_answers(const uint8_t *query, size_t query_len, const uint8_t *answer, size_t answer_len);

/* The labels of a name that no dot parts: true for "web", false for "web.example" and "". */
bool dns_name_is_single(const char *name);

/* "4.3.2.1.in-addr.arpa" and ip6.arpa names to an address. 0 or -EINVAL. */
int dns_name_to_ip(const char *name, struct net_ip *ret);

/* An answer under construction in the caller's memory. */
struct dns_answer {
	uint8_t *p;
	size_t len, max; /* bytes */
	uint16_t answers;
	bool edns;
	bool truncated;
};

/*
 * Begins an answer to `q`, whose bytes are `query`, with its question repeated. `max` is the room
 * in `p` and at least DNS_HEADER + question_len + 11. Recursion is always "available".
 */
void dns_answer_init(struct dns_answer *a, uint8_t *p, size_t max, const struct dns_query *q,
		     const uint8_t *query, enum dns_rcode rcode);
/* Adds one record for the name asked. What does not fit is left out and sets TC. */
void dns_answer_add_ip(struct dns_answer *a, const struct net_ip *ip, uint32_t ttl_s);
/* A name with an empty or too long label, or none at all, is -EINVAL and adds nothing. */
int dns_answer_add_ptr(struct dns_answer *a, const char *name, uint32_t ttl_s);
/* Writes counts, flags and the EDNS record; returns the message's length in bytes. */
size_t dns_answer_finish(struct dns_answer *a);
