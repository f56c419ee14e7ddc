/*
 * The nftables table of one daemon, in the host's namespace: NAT to the outside, isolation between
 * bridges. Every change is one transaction. Whatever the number of networks there is one lookup a
 * packet: bridges and subnets are elements of sets, not rules. Internal to net.
 */
#pragma once

#include "base/buf.h"
#include "net/bridge.h"
#include "net/host.h"

/*
 * Runs a script as one transaction in the calling thread's namespace. -EEXIST, -ENOENT, -EPERM and
 * -EOPNOTSUPP are told apart, anything else is -EIO.
 */
int nft_run(const char *script, struct err *e);

/*
 * Adds the bridge to the table, which is made if it is missing. In the thread's namespace. `fresh`
 * says that it is in no set yet: a transaction that also removes takes ten times as long.
 */
int nft_bridge_add(const struct net_host *h, const struct net_bridge *b, bool fresh, struct err *e);
int nft_bridge_remove(const struct net_host *h, const struct net_bridge *b, struct err *e);
/* Drops what would be forwarded between foreign interfaces: see net_host.forward_guard. */
int nft_guard_add(const struct net_host *h, struct err *e);
/* Rewrites the table from exactly these bridges (none: removes it), keeping a guard. */
int nft_reset(const struct net_host *h, const struct net_bridge *bridges, size_t count,
	      struct err *e);
