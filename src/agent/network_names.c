/*
 * Names in a network and who has them; the answers of the embedded DNS server. Every change is
 * laid into the index at once, so that a question costs one look-up a network, however many tasks
 * there are. Addresses stand in the same index, behind a sign that no name has.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"

#define ADDRESS_SIGN '@'

struct name_entry {
	char *name;
	LIST_OF(struct name_holder *) holders;
	UT_hash_handle hh;
};

static void lower(const char *name, char *ret, size_t size)
{
	size_t i;

	for (i = 0; name[i] && i + 1 < size; i++)
		ret[i] = (char)tolower((unsigned char)name[i]);
	ret[i] = '\0';
}

void name_holder_name(struct name_holder *h, const char *name)
{
	char text[DNS_NAME_TEXT];

	if (!name || !*name || *name == ADDRESS_SIGN)
		return;
	lower(name, text, sizeof text);
	if (!strs_has(&h->names, text))
		strs_add(&h->names, text);
}

void name_holder_done(struct name_holder *h)
{
	free(h->ips.v);
	strs_done(&h->names);
	free(h->ptr);
	*h = (struct name_holder){0};
}

static struct name_entry *entry_find(const struct names *n, const char *name)
{
	struct name_entry *e;

	HASH_FIND_STR(n->entries, name, e);
	return e;
}

static void entry_add(struct names *n, const char *name, struct name_holder *h)
{
	struct name_entry *e = entry_find(n, name);

	if (!e) {
		e = xcalloc(1, sizeof *e);
		e->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, n->entries, e->name, strlen(e->name), e);
	}
	*LIST_ADD(&e->holders) = h;
}

static void entry_free(struct names *n, struct name_entry *e)
{
	HASH_DEL(n->entries, e);
	free(e->holders.v);
	free(e->name);
	free(e);
}

static void entry_remove(struct names *n, const char *name, const struct name_holder *h)
{
	struct name_entry *e = entry_find(n, name);

	for (size_t i = 0; e && i < e->holders.n; i++) {
		if (e->holders.v[i] != h)
			continue;
		e->holders.v[i] = e->holders.v[--e->holders.n];
		if (e->holders.n == 0)
			entry_free(n, e);
		return;
	}
}

/* The key of an address. */
static void address_key(const struct net_ip *ip, char ret[NET_IP_TEXT + 1])
{
	ret[0] = ADDRESS_SIGN;
	net_ip_format(ip, ret + 1);
}

void network_name_add(struct names *n, struct name_holder *h)
{
	char key[NET_IP_TEXT + 1];

	STRS_EACH (name, &h->names)
		entry_add(n, name, h);
	LIST_EACH (ip, &h->ips) {
		address_key(ip, key);
		entry_add(n, key, h);
	}
}

void names_remove(struct names *n, struct name_holder *h)
{
	char key[NET_IP_TEXT + 1];

	STRS_EACH (name, &h->names)
		entry_remove(n, name, h);
	LIST_EACH (ip, &h->ips) {
		address_key(ip, key);
		entry_remove(n, key, h);
	}
}

void names_done(struct names *n)
{
	struct name_entry *e, *next;

	HASH_ITER (hh, n->entries, e, next)
		entry_free(n, e);
}

/* Questions */

static enum dns_outcome answer(const struct name_entry *e, struct dns_records *ret)
{
	enum dns_outcome outcome = DNS_NO_NAME;

	if (!e)
		return DNS_UNKNOWN;
	LIST_EACH (h, &e->holders) {
		if (!(*h)->live)
			continue;
		outcome = DNS_FOUND;
		LIST_EACH (ip, &(*h)->ips)
			dns_records_add(ret, ip);
	}
	return outcome;
}

/* "NAME.NETWORK" is NAME in that network alone. */
static enum dns_outcome answer_qualified(const struct engine_network_live *net, const char *name,
					 struct dns_records *ret)
{
	size_t n = strlen(name), tail = strlen(net->pub.name);
	char bare[DNS_NAME_TEXT];

	if (n < tail + 2 || name[n - tail - 1] != '.' ||
	    strcasecmp(name + n - tail, net->pub.name) != 0 || n - tail > sizeof bare)
		return DNS_UNKNOWN;
	memcpy(bare, name, n - tail - 1);
	bare[n - tail - 1] = '\0';
	return answer(entry_find(&net->names, bare), ret);
}

static enum dns_outcome pointer(const struct engine_network_live *net, const struct net_ip *ip,
				struct dns_records *ret)
{
	char key[NET_IP_TEXT + 1];
	struct name_entry *e;

	address_key(ip, key);
	e = entry_find(&net->names, key);
	for (size_t i = 0; e && i < e->holders.n; i++) {
		const struct name_holder *h = e->holders.v[i];

		if (!h->live || !h->ptr)
			continue;
		(void)snprintf(ret->ptr, sizeof ret->ptr, "%s", h->ptr);
		return DNS_FOUND;
	}
	return e ? DNS_NO_NAME : DNS_UNKNOWN;
}

/* The better of two: what is found, then what is known. */
static enum dns_outcome better(enum dns_outcome a, enum dns_outcome b)
{
	if (a == DNS_FOUND || b == DNS_FOUND)
		return DNS_FOUND;
	return a == DNS_NO_NAME ? a : b;
}

enum dns_outcome names_lookup(void *arg, const char *name, uint16_t type, const struct net_ip *ip,
			      struct dns_records *ret)
{
	const struct net_box *box = arg;
	enum dns_outcome outcome = DNS_UNKNOWN;

	if (type != DNS_PTR && *name == ADDRESS_SIGN)
		return DNS_UNKNOWN;
	LIST_EACH (ep, &box->eps) {
		const struct engine_network_live *net = (*ep)->net;
		enum dns_outcome here;

		if (!net->dns)
			continue;
		if (type == DNS_PTR) {
			here = pointer(net, ip, ret);
		} else {
			here = answer(entry_find(&net->names, name), ret);
			if (here == DNS_UNKNOWN)
				here = answer_qualified(net, name, ret);
		}
		outcome = better(outcome, here);
		if (outcome == DNS_FOUND && type == DNS_PTR)
			break;
	}
	return outcome;
}
