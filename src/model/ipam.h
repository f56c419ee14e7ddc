/*
 * Counting with addresses: which of a subnet's addresses are taken, and which subnet of a pool is
 * free. Pure; the same calls give the same answers. Used by the manager's allocator for overlays
 * and by the agent for the bridge networks of its host.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "model/network.h"

/* Addresses of one subnet that are counted at most: the first of a larger one. */
#define ADDR_POOL_MAX (1u << 24)

/*
 * The addresses of one subnet. They are given out in turn, so that one that was given back is used
 * again as late as can be.
 */
struct addr_pool;

/*
 * `range` (a subnet within `subnet`, or NULL) bounds what addr_pool_next() gives out. An IPv4
 * subnet's own and broadcast addresses are never free. -EINVAL with a sentence.
 */
int addr_pool_new(struct addr_pool **ret, const struct net_prefix *subnet,
		  const struct net_prefix *range, struct err *e);
void addr_pool_free(struct addr_pool *p);

const struct net_prefix *addr_pool_subnet(const struct addr_pool *p);
/* Marks one address; false when it is taken already or not of this pool. */
bool addr_pool_take(struct addr_pool *p, const struct net_ip *ip);
/* False when it was not taken. */
bool addr_pool_drop(struct addr_pool *p, const struct net_ip *ip);
/* Takes the next free address; false when there is none. */
bool addr_pool_next(struct addr_pool *p, struct net_ip *ret);
/* Lets the turn go on after the highest address that is taken, as after a restart. */
void addr_pool_rewind(struct addr_pool *p);
/* How many addresses are taken, reserved ones not counted. */
size_t addr_pool_used(const struct addr_pool *p);

/*
 * The pool of one configured subnet: range, gateway and auxiliary addresses are taken out. The
 * gateway is the subnet's first address where none is given; `ret_gateway` (may be NULL) gets it
 * with the subnet's length. -EINVAL with a sentence that names what is wrong.
 */
int addr_pool_of(struct addr_pool **ret, const struct ipam_pool *config,
		 struct net_prefix *ret_gateway, struct err *e);
/* The same checks without a pool. */
int ipam_pool_check(const struct ipam_pool *config, struct err *e);

/*
 * The first subnet of `len` bits in one of the pools that overlaps none of `taken`, looked for from
 * the pool's start, or after `after` (may be NULL) and then from the start. False when there is
 * none. `taken` is sorted by this.
 */
bool subnet_next(const struct net_prefix *pools, size_t n_pools, uint8_t len,
		 struct net_prefix *taken, size_t n_taken, const struct net_prefix *after,
		 struct net_prefix *ret);
