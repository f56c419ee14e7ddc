/*
 * DNS messages; see dns_msg.h. Every byte read here comes from an outsider: each step checks what
 * is left before it looks. No allocation, no state.
 */
#include "net/dns_msg.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DNS_NAME_MAX 255 /* bytes of a name in a message */
#define DNS_LABEL_MAX 63
#define DNS_CLASS_IN 1
#define DNS_OPT_LEN 11 /* bytes of our EDNS record */
#define DNS_RR_HEAD 10 /* bytes of a record after its name */

#define FLAG_QR 0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_TC 0x0200
#define FLAG_RD 0x0100
#define FLAG_RA 0x0080
#define FLAG_CD 0x0010

struct reader {
	const uint8_t *p;
	size_t n, at;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool has(const struct reader *r, size_t n)
{
	return r->n - r->at >= n;
}

/* One byte of a label as text: lower case, dots and what is not printable as \DDD. */
static size_t put_char(char *to, uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		c = (uint8_t)(c - 'A' + 'a');
	if (c > 0x20 && c < 0x7f && c != '.' && c != '\\') {
		*to = (char)c;
		return 1;
	}
	to[0] = '\\';
	to[1] = (char)('0' + c / 100);
	to[2] = (char)('0' + c / 10 % 10);
	to[3] = (char)('0' + c % 10);
	return 4;
}

/*
 * The name of a question. A compression pointer has nothing to point to there and is refused, so
 * that no message can make us loop.
 */
static int read_name(struct reader *r, char ret[DNS_NAME_TEXT])
{
	size_t start = r->at, out = 0;

	for (;;) {
		uint8_t len;

		if (!has(r, 1))
			return -EBADMSG;
		len = r->p[r->at++];
		if (len == 0)
			break;
		if (len > DNS_LABEL_MAX || !has(r, len) || r->at + len - start > DNS_NAME_MAX - 1)
			return -EBADMSG;
		if (out > 0)
			ret[out++] = '.';
		for (unsigned i = 0; i < len; i++)
			out += put_char(ret + out, r->p[r->at + i]);
		r->at += len;
	}
	assert(out < DNS_NAME_TEXT);
	ret[out] = '\0';
	return 0;
}

/* Passes over a name of a record, where a pointer ends it. `ret_root`: it was the root. */
static int skip_name(struct reader *r, bool *ret_root)
{
	*ret_root = has(r, 1) && r->p[r->at] == 0;
	for (;;) {
		uint8_t len;

		if (!has(r, 1))
			return -EBADMSG;
		len = r->p[r->at];
		if ((len & 0xc0) == 0xc0) {
			if (!has(r, 2))
				return -EBADMSG;
			r->at += 2;
			return 0;
		}
		if (len > DNS_LABEL_MAX || !has(r, 1u + len))
			return -EBADMSG;
		r->at += 1u + len;
		if (len == 0)
			return 0;
	}
}

/* The records after the question, of which only EDNS matters. */
static int read_records(struct reader *r, unsigned count, struct dns_query *q)
{
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *rr;
		bool root;

		if (skip_name(r, &root) < 0 || !has(r, DNS_RR_HEAD))
			return -EBADMSG;
		rr = r->p + r->at;
		r->at += DNS_RR_HEAD;
		if (!has(r, get16(rr + 8)))
			return -EBADMSG;
		r->at += get16(rr + 8);
		if (get16(rr) != DNS_OPT)
			continue;
		if (!root || q->edns)
			return -EBADMSG;
		q->edns = true;
		if (get16(rr + 2) > DNS_UDP_MIN)
			q->udp_size = get16(rr + 2);
	}
	return 0;
}

int dns_query_parse(const uint8_t *p, size_t n, struct dns_query *ret)
{
	struct reader r = {p, n, DNS_HEADER};
	size_t question_len;
	unsigned records;

	memset(ret, 0, sizeof(*ret));
	ret->udp_size = DNS_UDP_MIN;
	if (n < DNS_HEADER || (get16(p + 2) & FLAG_QR))
		return -EBADMSG;
	ret->id = get16(p);
	ret->flags = get16(p + 2);
	if (ret->flags & FLAG_OPCODE)
		return DNS_NOTIMP;
	if (get16(p + 4) != 1 || read_name(&r, ret->name) < 0 || !has(&r, 4))
		return DNS_FORMERR;
	ret->type = get16(p + r.at);
	ret->class = get16(p + r.at + 2);
	r.at += 4;
	question_len = r.at - DNS_HEADER;
	records = (unsigned)get16(p + 6) + get16(p + 8) + get16(p + 10);
	if (read_records(&r, records, ret) < 0)
		return DNS_FORMERR;
	/* Last, so that a malformed message has none to repeat. */
	ret->question_len = (uint16_t)question_len;
	return 0;
}

/* The question's length by its labels, 0 when it is not whole. */
static size_t question_length(const uint8_t *p, size_t n)
{
	struct reader r = {p, n, DNS_HEADER};
	char name[DNS_NAME_TEXT];

	if (n < DNS_HEADER || get16(p + 4) != 1 || read_name(&r, name) < 0 || !has(&r, 4))
		return 0;
	return r.at + 4 - DNS_HEADER;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool dns_answers(const uint8_t *query, size_t query_len, const uint8_t *answer, size_t answer_len)
{
	size_t len = question_length(query, query_len);

	if (len == 0 || question_length(answer, answer_len) != len)
		return false;
	if (get16(query) != get16(answer) || !(get16(answer + 2) & FLAG_QR) ||
	    ((get16(query + 2) ^ get16(answer + 2)) & FLAG_OPCODE))
		return false;
	for (size_t i = 0; i < len - 4; i++)
		if (lower(query[DNS_HEADER + i]) != lower(answer[DNS_HEADER + i]))
			return false;
	return memcmp(query + DNS_HEADER + len - 4, answer + DNS_HEADER + len - 4, 4) == 0;
}

bool dns_name_is_single(const char *name)
{
	return name[0] != '\0' && strchr(name, '.') == NULL;
}

static int parse_in_addr(const char *name, size_t n, struct net_ip *ret)
{
	char text[32];
	unsigned v[4];
	int used = 0;

	if (n == 0 || n >= sizeof(text) || strspn(name, "0123456789.") < n)
		return -EINVAL;
	memcpy(text, name, n);
	text[n] = '\0';
	if (sscanf(text, "%3u.%3u.%3u.%3u%n", &v[3], &v[2], &v[1], &v[0], &used) != 4 ||
	    text[used] != '\0')
		return -EINVAL;
	*ret = (struct net_ip){.family = AF_INET};
	for (int i = 0; i < 4; i++) {
		if (v[i] > 255)
			return -EINVAL;
		ret->b[i] = (uint8_t)v[i];
	}
	return 0;
}

static int parse_ip6(const char *name, size_t n, struct net_ip *ret)
{
	static const char digits[] = "0123456789abcdef";
	struct net_ip ip = {.family = AF_INET6};

	if (n != 63)
		return -EINVAL;
	for (unsigned i = 0; i < 32; i++) {
		const char *d = name[2 * i] != '\0' ? strchr(digits, name[2 * i]) : NULL;

		if (d == NULL || (i < 31 && name[2 * i + 1] != '.'))
			return -EINVAL;
		ip.b[15 - i / 2] |= (uint8_t)((d - digits) << (i % 2 * 4));
	}
	*ret = ip;
	return 0;
}

int dns_name_to_ip(const char *name, struct net_ip *ret)
{
	static const char in_addr[] = ".in-addr.arpa", ip6[] = ".ip6.arpa";
	size_t n = strlen(name);

	if (n > sizeof(in_addr) - 1 && strcmp(name + n - (sizeof(in_addr) - 1), in_addr) == 0)
		return parse_in_addr(name, n - (sizeof(in_addr) - 1), ret);
	if (n > sizeof(ip6) - 1 && strcmp(name + n - (sizeof(ip6) - 1), ip6) == 0)
		return parse_ip6(name, n - (sizeof(ip6) - 1), ret);
	return -EINVAL;
}

void dns_answer_init(struct dns_answer *a, uint8_t *p, size_t max, const struct dns_query *q,
		     const uint8_t *query, enum dns_rcode rcode)
{
	assert(max >= (size_t)DNS_HEADER + q->question_len + DNS_OPT_LEN);
	*a = (struct dns_answer){.p = p, .max = max, .edns = q->edns};
	/* Room for the EDNS record is kept from the start: it must not be what is cut off. */
	if (q->edns)
		a->max -= DNS_OPT_LEN;
	memset(p, 0, DNS_HEADER);
	put16(p, q->id);
	put16(p + 2, FLAG_QR | (q->flags & (FLAG_OPCODE | FLAG_RD | FLAG_CD)) | FLAG_RA | rcode);
	put16(p + 4, q->question_len > 0);
	memcpy(p + DNS_HEADER, query + DNS_HEADER, q->question_len);
	a->len = (size_t)DNS_HEADER + q->question_len;
}

static void add_record(struct dns_answer *a, enum dns_type type, uint32_t ttl_s,
		       const uint8_t *data, size_t n)
{
	uint8_t *p = a->p + a->len;

	if (a->truncated || a->max - a->len < 2 + DNS_RR_HEAD + n || a->answers == UINT16_MAX) {
		a->truncated = true;
		return;
	}
	put16(p, 0xc000 | DNS_HEADER); /* the name asked for */
	put16(p + 2, type);
	put16(p + 4, DNS_CLASS_IN);
	put16(p + 6, ttl_s >> 16);
	put16(p + 8, ttl_s & 0xffff);
	put16(p + 10, (unsigned)n);
	memcpy(p + 12, data, n);
	a->len += 2 + DNS_RR_HEAD + n;
	a->answers++;
}

void dns_answer_add_ip(struct dns_answer *a, const struct net_ip *ip, uint32_t ttl_s)
{
	if (ip->family == AF_INET)
		add_record(a, DNS_A, ttl_s, ip->b, 4);
	else if (ip->family == AF_INET6)
		add_record(a, DNS_AAAA, ttl_s, ip->b, 16);
}

int dns_answer_add_ptr(struct dns_answer *a, const char *name, uint32_t ttl_s)
{
	uint8_t data[DNS_NAME_MAX];
	size_t n = 0;

	while (*name != '\0') {
		size_t label = strcspn(name, ".");

		if (label == 0 || label > DNS_LABEL_MAX || n + label + 2 > sizeof(data))
			return -EINVAL;
		data[n++] = (uint8_t)label;
		memcpy(data + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	if (n == 0)
		return -EINVAL;
	data[n++] = 0;
	add_record(a, DNS_PTR, ttl_s, data, n);
	return 0;
}

size_t dns_answer_finish(struct dns_answer *a)
{
	static const uint8_t opt[DNS_OPT_LEN] = {
		[2] = DNS_OPT, [3] = DNS_UDP_MAX >> 8, [4] = DNS_UDP_MAX & 0xff};

	put16(a->p + 6, a->answers);
	if (a->truncated)
		put16(a->p + 2, get16(a->p + 2) | FLAG_TC);
	if (a->edns) {
		memcpy(a->p + a->len, opt, sizeof(opt));
		put16(a->p + 10, 1);
		a->len += sizeof(opt);
	}
	return a->len;
}
