/*
 * See ipam.h. A pool's bits are kept in pages that exist only where an address is taken, so that a
 * /8 costs no more than what is used of it.
 */
#include "model/ipam.h"

#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

#define PAGE_BITS 4096
#define WORD_BITS 64

struct addr_pool {
	struct net_prefix subnet;
	uint32_t size;        /* addresses that are counted */
	uint32_t first, last; /* of the range, as offsets into the subnet */
	uint32_t next;        /* where the turn is */
	size_t used;
	uint64_t **pages;
};

/* Offsets: the low 32 bits are enough, as a pool counts no more than its first 2^24 addresses. */

static uint32_t ip_low(const struct net_ip *ip)
{
	const uint8_t *b = ip->b + net_ip_size(ip->family) - 4;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void ip_low_set(struct net_ip *ip, uint32_t low)
{
	uint8_t *b = ip->b + net_ip_size(ip->family) - 4;

	for (int i = 3; i >= 0; i--, low >>= 8)
		b[i] = (uint8_t)low;
}

static unsigned host_bits(const struct net_prefix *p)
{
	return net_ip_size(p->ip.family) * 8 - p->len;
}

static uint32_t size_of(const struct net_prefix *p)
{
	return host_bits(p) >= 24 ? ADDR_POOL_MAX : (uint32_t)1 << host_bits(p);
}

/* False when the address is not one of those that are counted. */
static bool offset_of(const struct addr_pool *p, const struct net_ip *ip, uint32_t *ret)
{
	struct net_ip high = *ip;

	if (!net_prefix_contains(&p->subnet, ip))
		return false;
	*ret = ip_low(ip) - ip_low(&p->subnet.ip);
	ip_low_set(&high, ip_low(&p->subnet.ip));
	return *ret < p->size && net_ip_equal(&high, &p->subnet.ip);
}

static struct net_ip ip_at(const struct addr_pool *p, uint32_t offset)
{
	struct net_ip ip = p->subnet.ip;

	ip_low_set(&ip, ip_low(&ip) + offset);
	return ip;
}

static bool bit_get(const struct addr_pool *p, uint32_t i)
{
	const uint64_t *page = p->pages[i / PAGE_BITS];

	return page && (page[i % PAGE_BITS / WORD_BITS] >> i % WORD_BITS & 1);
}

static void bit_set(struct addr_pool *p, uint32_t i, bool on)
{
	uint64_t **page = &p->pages[i / PAGE_BITS];

	if (!*page)
		*page = xcalloc(PAGE_BITS / WORD_BITS, sizeof(uint64_t));
	if (on)
		(*page)[i % PAGE_BITS / WORD_BITS] |= (uint64_t)1 << i % WORD_BITS;
	else
		(*page)[i % PAGE_BITS / WORD_BITS] &= ~((uint64_t)1 << i % WORD_BITS);
}

/* An IPv4 subnet's own address and its broadcast address are nobody's; IPv6 has only the first. */
static bool is_reserved(const struct addr_pool *p, uint32_t i)
{
	if (host_bits(&p->subnet) < 2)
		return false;
	return i == 0 ||
	       (p->subnet.ip.family == AF_INET && host_bits(&p->subnet) <= 24 && i == p->size - 1);
}

int addr_pool_new(struct addr_pool **ret, const struct net_prefix *subnet,
		  const struct net_prefix *range, struct err *e)
{
	struct addr_pool *p = xcalloc(1, sizeof *p);
	struct net_prefix sub;

	p->subnet = net_prefix_subnet(subnet);
	p->size = size_of(subnet);
	p->last = p->size - 1;
	if (range) {
		sub = net_prefix_subnet(range);
		if (range->len < subnet->len || !offset_of(p, &sub.ip, &p->first)) {
			free(p);
			return err_set(e, -EINVAL,
				       "the range of addresses is not within the subnet");
		}
		p->last = p->first + MIN_OF(size_of(range), p->size - p->first) - 1;
	}
	p->next = p->first;
	p->pages = xcalloc((p->size + PAGE_BITS - 1) / PAGE_BITS, sizeof(uint64_t *));
	*ret = p;
	return 0;
}

void addr_pool_free(struct addr_pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < (p->size + PAGE_BITS - 1) / PAGE_BITS; i++)
		free(p->pages[i]);
	free(p->pages);
	free(p);
}

const struct net_prefix *addr_pool_subnet(const struct addr_pool *p)
{
	return &p->subnet;
}

bool addr_pool_take(struct addr_pool *p, const struct net_ip *ip)
{
	uint32_t i;

	if (!offset_of(p, ip, &i) || bit_get(p, i))
		return false;
	bit_set(p, i, true);
	p->used++;
	return true;
}

bool addr_pool_drop(struct addr_pool *p, const struct net_ip *ip)
{
	uint32_t i;

	if (!offset_of(p, ip, &i) || !bit_get(p, i))
		return false;
	bit_set(p, i, false);
	p->used--;
	return true;
}

/* The first free offset in [from, to]; whole words that are full are passed over. */
static bool free_find(const struct addr_pool *p, uint32_t from, uint32_t to, uint32_t *ret)
{
	for (uint32_t i = from; i <= to; i++) {
		const uint64_t *page = p->pages[i / PAGE_BITS];

		if (i % WORD_BITS == 0 && page && page[i % PAGE_BITS / WORD_BITS] == UINT64_MAX) {
			i += WORD_BITS - 1;
			continue;
		}
		if (bit_get(p, i) || is_reserved(p, i))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

bool addr_pool_next(struct addr_pool *p, struct net_ip *ret)
{
	uint32_t i;

	if (!free_find(p, p->next, p->last, &i) &&
	    (p->next == p->first || !free_find(p, p->first, p->next - 1, &i)))
		return false;
	bit_set(p, i, true);
	p->used++;
	p->next = i < p->last ? i + 1 : p->first;
	*ret = ip_at(p, i);
	return true;
}

void addr_pool_rewind(struct addr_pool *p)
{
	uint32_t i = p->last;

	p->next = p->first;
	for (;; i--) {
		if (i % PAGE_BITS == PAGE_BITS - 1 && !p->pages[i / PAGE_BITS]) {
			if (i - p->first < PAGE_BITS)
				return;
			i -= PAGE_BITS - 1;
		} else if (bit_get(p, i)) {
			break;
		}
		if (i == p->first)
			return;
	}
	p->next = i < p->last ? i + 1 : p->first;
}

size_t addr_pool_used(const struct addr_pool *p)
{
	return p->used;
}

static int subnet_of(const struct ipam_pool *config, struct net_prefix *ret, struct err *e)
{
	if (!config->subnet || net_prefix_parse(config->subnet, ret) < 0)
		return err_set(e, -EINVAL,
			       "invalid subnet \"%.60s\": an address and the length of its prefix "
			       "are needed, such as 10.1.0.0/24",
			       config->subnet ? config->subnet : "");
	*ret = net_prefix_subnet(ret);
	return 0;
}

/* The address that `text` names, with or without a length. */
static int host_of(const struct net_prefix *subnet, const char *what, const char *text,
		   struct net_ip *ret, struct err *e)
{
	struct net_prefix p;

	if (net_ip_parse(text, ret) < 0) {
		if (net_prefix_parse(text, &p) < 0)
			return err_set(e, -EINVAL, "invalid %s \"%.60s\": not an address", what,
				       text);
		*ret = p.ip;
	}
	if (!net_prefix_contains(subnet, ret))
		return err_set(e, -EINVAL, "%s %s is not within the subnet", what, text);
	return 0;
}

static int gateway_take(struct addr_pool *p, const struct ipam_pool *config, struct net_prefix *ret,
			struct err *e)
{
	struct net_ip ip;
	int rc;

	if (config->gateway && *config->gateway) {
		rc = host_of(&p->subnet, "gateway", config->gateway, &ip, e);
		if (rc < 0)
			return rc;
	} else {
		ip = ip_at(p, host_bits(&p->subnet) < 2 ? 0 : 1);
	}
	if (addr_pool_take(p, &ip))
		p->used--;
	*ret = (struct net_prefix){.ip = ip, .len = p->subnet.len};
	return 0;
}

static int aux_take(struct addr_pool *p, const struct ipam_pool *config, struct err *e)
{
	struct net_ip ip;

	for (size_t i = 0; i < config->aux.n; i++) {
		int rc = host_of(&p->subnet, "auxiliary address", config->aux.v[i].value, &ip, e);

		if (rc < 0)
			return rc;
		if (!addr_pool_take(p, &ip))
			return err_set(e, -EINVAL, "auxiliary address %s is taken already",
				       config->aux.v[i].value);
		p->used--;
	}
	return 0;
}

int addr_pool_of(struct addr_pool **ret, const struct ipam_pool *config,
		 struct net_prefix *ret_gateway, struct err *e)
{
	struct net_prefix subnet, range, gateway;
	bool ranged = config->range && *config->range;
	struct addr_pool *p;
	int rc = subnet_of(config, &subnet, e);

	if (rc < 0)
		return rc;
	if (ranged && net_prefix_parse(config->range, &range) < 0)
		return err_set(e, -EINVAL, "invalid range of addresses \"%.60s\"", config->range);
	rc = addr_pool_new(&p, &subnet, ranged ? &range : NULL, e);
	if (rc < 0)
		return rc;
	rc = gateway_take(p, config, &gateway, e);
	if (rc == 0)
		rc = aux_take(p, config, e);
	if (rc < 0) {
		addr_pool_free(p);
		return rc;
	}
	if (ret_gateway)
		*ret_gateway = gateway;
	*ret = p;
	return 0;
}

int ipam_pool_check(const struct ipam_pool *config, struct err *e)
{
	struct addr_pool *p;
	int rc = addr_pool_of(&p, config, NULL, e);

	if (rc == 0)
		addr_pool_free(p);
	return rc;
}

static int prefix_compare(const void *pa, const void *pb)
{
	const struct net_prefix *a = pa, *b = pb;

	return net_ip_compare(&a->ip, &b->ip);
}

/* The last address of the subnet. */
static struct net_ip prefix_last(const struct net_prefix *p)
{
	struct net_ip ip = net_prefix_subnet(p).ip;
	unsigned bits = host_bits(p);

	for (unsigned i = net_ip_size(ip.family); bits > 0; bits -= MIN_OF(bits, 8u))
		ip.b[--i] |= (uint8_t)(0xff >> (8 - MIN_OF(bits, 8u)));
	return ip;
}

/* Adds one; false when there is none after it. */
static bool ip_increment(struct net_ip *ip)
{
	for (unsigned i = net_ip_size(ip->family); i > 0; i--)
		if (++ip->b[i - 1])
			return true;
	return false;
}

/* The first subnet of `len` bits that begins at `ip` or after. */
static bool align_up(struct net_ip *ip, uint8_t len)
{
	struct net_prefix p = {.ip = *ip, .len = len};
	struct net_prefix base = net_prefix_subnet(&p);

	if (net_ip_equal(&base.ip, ip))
		return true;
	*ip = prefix_last(&p);
	return ip_increment(ip);
}

/* In one pool, from `from` on; `taken` is sorted and may be nested. */
static bool subnet_find(const struct net_prefix *pool, uint8_t len, const struct net_prefix *taken,
			size_t n_taken, const struct net_ip *from, struct net_prefix *ret)
{
	struct net_prefix at = {.ip = *from, .len = len};

	if (len < pool->len || !align_up(&at.ip, len))
		return false;
	for (size_t i = 0; i < n_taken; i++) {
		struct net_ip last;

		if (!net_prefix_overlap(&at, &taken[i]))
			continue;
		last = prefix_last(&taken[i]);
		if (!ip_increment(&last) || !align_up(&last, len))
			return false;
		at.ip = last;
	}
	if (!net_prefix_contains(pool, &at.ip))
		return false;
	*ret = at;
	return true;
}

bool subnet_next(const struct net_prefix *pools, size_t n_pools, uint8_t len,
		 struct net_prefix *taken, size_t n_taken, const struct net_prefix *after,
		 struct net_prefix *ret)
{
	if (n_taken)
		qsort(taken, n_taken, sizeof *taken, prefix_compare);
	for (size_t i = 0; i < n_pools; i++) {
		struct net_prefix pool = net_prefix_subnet(&pools[i]);
		struct net_ip from = pool.ip;

		if (after && net_prefix_overlap(after, &pool)) {
			from = prefix_last(after);
			if (ip_increment(&from) && net_prefix_contains(&pool, &from) &&
			    subnet_find(&pool, len, taken, n_taken, &from, ret))
				return true;
			from = pool.ip;
		}
		if (subnet_find(&pool, len, taken, n_taken, &from, ret))
			return true;
	}
	return false;
}
