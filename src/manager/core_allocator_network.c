/*
 * Networks: a VXLAN id, and a subnet for each pool that the user left open. See core_allocator.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "manager/core_allocator.h"

#define DEFAULT_POOL "10.0.0.0/8"
#define DEFAULT_SUBNET_SIZE 24
#define DEFAULT_POOLS_MAX 64

struct alloc_network *alloc_network_find(const struct core_allocator *c, const char *id)
{
	struct alloc_network *n;

	HASH_FIND(hh, c->networks, id, strlen(id), n);
	return n;
}

bool alloc_network_is_overlay(const struct network *n)
{
	return !n->spec.driver || !*n->spec.driver || strcmp(n->spec.driver, "overlay") == 0;
}

void alloc_network_free(struct core_allocator *c, struct alloc_network *n)
{
	HASH_DEL(c->networks, n);
	for (size_t i = 0; i < n->n_pools; i++)
		addr_pool_free(n->pools[i]);
	free(n->pools);
	free(n->id);
	free(n);
}

/* A network that the store says is allocated. */
static void network_add(struct core_allocator *c, const struct network *net)
{
	struct alloc_network *n = xcalloc(1, sizeof *n);

	n->id = xstrdup(net->o.id);
	n->vni = net->vni;
	n->pools = xcalloc(net->ipam.config.n, sizeof(struct addr_pool *));
	if (net->vni) {
		LIST_EACH (config, &net->ipam.config)
			if (addr_pool_of(&n->pools[n->n_pools], config, NULL, NULL) == 0)
				n->n_pools++;
		alloc_number_take(&c->vnis, net->vni, net->o.id);
		c->next_vni = net->vni + 1;
	}
	if (n->n_pools)
		c->last_subnet = *addr_pool_subnet(n->pools[0]);
	HASH_ADD_KEYPTR(hh, c->networks, n->id, strlen(n->id), n);
}

static void network_remove(struct core_allocator *c, const struct network *net)
{
	struct alloc_network *n = alloc_network_find(c, net->o.id);

	if (n && n->vni)
		alloc_number_drop(&c->vnis, n->vni, net->o.id);
	if (n)
		alloc_network_free(c, n);
	alloc_unblock(c, net->o.id);
	if (c->ingress && strcmp(c->ingress, net->o.id) == 0)
		str_set(&c->ingress, NULL);
}

/* Networks that found no place may find one now. */
static void blocked_retry(struct core_allocator *c)
{
	for (struct alloc_blocked *b = c->blocked; b; b = b->hh.next) {
		(void)idset_add(&c->dirty_networks, b->id);
		(void)idset_add(&c->dirty_services, b->id);
	}
}

void alloc_network_event(struct core *core, const struct store *s, const struct network *old,
			 const struct network *new)
{
	struct core_allocator *c = container_of(core, struct core_allocator, core);

	c->freed = true;
	blocked_retry(c);
	if (!new) {
		network_remove(c, old);
		return;
	}
	if (new->spec.ingress)
		str_set(&c->ingress, new->o.id);
	if (alloc_network_find(c, new->o.id))
		return;
	if (new->vni || !alloc_network_is_overlay(new))
		network_add(c, new);
	else
		(void)idset_add(&c->dirty_networks, new->o.id);
}

int alloc_network_missing(const struct core_allocator *c, const struct store *s, const char *id,
			  struct err *e)
{
	const char *why = alloc_why(c, id);

	if (why)
		return err_set(e, -ENOSPC, "%s", why);
	if (store_network(s, id) && idset_has(&c->dirty_networks, id))
		return err_set(e, -EAGAIN, "network %s is being allocated", id);
	return err_set(e, -ENOENT, "network %s was removed", id);
}

void alloc_network_hold(struct core_allocator *c, const char *network, const char *address,
			bool hold)
{
	struct alloc_network *n = network ? alloc_network_find(c, network) : NULL;
	struct net_prefix p;

	if (!n || !address || net_prefix_parse(address, &p) < 0)
		return;
	for (size_t i = 0; i < n->n_pools; i++) {
		if (!net_prefix_contains(addr_pool_subnet(n->pools[i]), &p.ip))
			continue;
		if (hold)
			(void)addr_pool_take(n->pools[i], &p.ip);
		else
			(void)addr_pool_drop(n->pools[i], &p.ip);
	}
}

/* Subnets */

/* The cluster's pools into `ret`; returns how many. */
static size_t pools_of(const struct store *s, struct net_prefix ret[DEFAULT_POOLS_MAX],
		       uint8_t *ret_len)
{
	const struct cluster *cluster = store_cluster(s);
	size_t n = 0;

	*ret_len = DEFAULT_SUBNET_SIZE;
	if (cluster && cluster->subnet_size && cluster->subnet_size <= 128)
		*ret_len = (uint8_t)cluster->subnet_size;
	for (size_t i = 0; cluster && i < cluster->default_pools.n && n < DEFAULT_POOLS_MAX; i++)
		n += net_prefix_parse(cluster->default_pools.v[i], &ret[n]) == 0;
	if (!n)
		(void)net_prefix_parse(DEFAULT_POOL, &ret[n++]);
	return n;
}

/* Every subnet that is in use, with those of this step; free with free(). */
static struct net_prefix *subnets_taken(const struct core_allocator *c, size_t *ret_n)
{
	size_t n = 1 + c->n_new_subnets;
	struct net_prefix *v;

	for (const struct alloc_network *net = c->networks; net; net = net->hh.next)
		n += net->n_pools;
	v = xcalloc(n, sizeof *v);
	n = 0;
	for (const struct alloc_network *net = c->networks; net; net = net->hh.next)
		for (size_t i = 0; i < net->n_pools; i++)
			v[n++] = *addr_pool_subnet(net->pools[i]);
	for (size_t i = 0; i < c->n_new_subnets; i++)
		v[n++] = c->new_subnets[i];
	*ret_n = n;
	return v;
}

/* A free subnet of the default pools. Their first one is kept for the ingress network. */
static int subnet_choose(const struct core_allocator *c, const struct store *s, bool ingress,
			 struct net_prefix *ret, struct err *e)
{
	struct net_prefix pools[DEFAULT_POOLS_MAX];
	auto_free struct net_prefix *taken = NULL;
	const struct net_prefix *after = c->last_subnet.ip.family ? &c->last_subnet : NULL;
	size_t n_taken, n_pools;
	uint8_t len;

	n_pools = pools_of(s, pools, &len);
	taken = subnets_taken(c, &n_taken);
	if (ingress)
		after = NULL;
	else
		taken[n_taken++] = (struct net_prefix){.ip = net_prefix_subnet(&pools[0]).ip,
						       .len = MAX_OF(len, pools[0].len)};
	if (c->n_new_subnets && !ingress)
		after = &c->new_subnets[c->n_new_subnets - 1];
	if (!subnet_next(pools, n_pools, len, taken, n_taken, after, ret))
		return err_set(e, -ENOSPC,
			       "no free subnet of %u bits is left in the swarm's address pools: "
			       "remove networks that are not needed, or give this one a subnet",
			       len);
	return 0;
}

static int subnet_check(const struct core_allocator *c, const struct ipam_pool *config,
			struct net_prefix *ret, struct err *e)
{
	auto_free struct net_prefix *taken = NULL;
	char text[NET_PREFIX_TEXT];
	size_t n;
	int rc = ipam_pool_check(config, e);

	if (rc < 0)
		return rc;
	(void)net_prefix_parse(config->subnet, ret);
	*ret = net_prefix_subnet(ret);
	taken = subnets_taken(c, &n);
	for (size_t i = 0; i < n; i++)
		if (net_prefix_overlap(&taken[i], ret))
			return err_set(e, -EEXIST, "subnet %s overlaps with %s of another network",
				       config->subnet, net_prefix_format(&taken[i], text));
	return 0;
}

/* Fills in one pool's subnet and gateway. */
static int pool_fill(struct core_allocator *c, const struct store *s, const struct network *net,
		     struct ipam_pool *config, struct err *e)
{
	struct net_prefix subnet, gateway;
	char text[NET_PREFIX_TEXT];
	struct addr_pool *pool;
	int rc;

	if (config->subnet && *config->subnet) {
		rc = subnet_check(c, config, &subnet, e);
	} else {
		rc = subnet_choose(c, s, net->spec.ingress, &subnet, e);
		if (rc == 0)
			str_set(&config->subnet, net_prefix_format(&subnet, text));
	}
	if (rc == 0)
		rc = addr_pool_of(&pool, config, &gateway, e);
	if (rc < 0)
		return rc;
	addr_pool_free(pool);
	str_set(&config->gateway, net_ip_format(&gateway.ip, text));
	c->new_subnets = xreallocarray(c->new_subnets, c->n_new_subnets + 1, sizeof subnet);
	c->new_subnets[c->n_new_subnets++] = subnet;
	return 0;
}

static int vni_next(struct core_allocator *c, uint32_t *ret, struct err *e)
{
	uint32_t vni = c->next_vni;

	for (uint32_t tries = 0; tries <= VNI_LAST - VNI_FIRST; tries++, vni++) {
		if (vni < VNI_FIRST || vni > VNI_LAST)
			vni = VNI_FIRST;
		if (alloc_number_find(c->vnis, vni))
			continue;
		*ret = vni;
		return 0;
	}
	return err_set(e, -ENOSPC, "no VXLAN id is left");
}

static int network_fill(struct core_allocator *c, const struct store *s, struct network *net,
			struct err *e)
{
	int rc = vni_next(c, &net->vni, e);

	if (rc < 0)
		return rc;
	table_done(&ipam_table, &net->ipam);
	table_copy(&ipam_table, &net->ipam, &net->spec.ipam);
	if (!net->ipam.driver || !*net->ipam.driver)
		str_set(&net->ipam.driver, "default");
	if (!net->ipam.config.n)
		(void)LIST_ADD(&net->ipam.config);
	LIST_EACH (config, &net->ipam.config) {
		rc = pool_fill(c, s, net, config, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

bool alloc_network_step(struct core_allocator *c, struct core_step *step, const char *id)
{
	const struct network *old = store_network(step->store, id);
	size_t subnets = c->n_new_subnets;
	struct err e = ERR_INIT;
	struct network *net;

	if (!old || old->vni || old->pending_delete || !alloc_network_is_overlay(old))
		return false;
	net = object_clone(&old->o);
	if (network_fill(c, step->store, net, &e) < 0) {
		c->n_new_subnets = subnets;
		alloc_block(c, id, e.msg);
		object_free(&net->o);
		return false;
	}
	alloc_unblock(c, id);
	alloc_mark_number(c, &c->vnis, net->vni, id);
	c->next_vni = net->vni + 1;
	changes_update(step->out, &old->o, &net->o, step->now_ns);
	return false;
}
