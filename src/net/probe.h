/*
 * What this host's network is and can: kernel features, routes in use, the MTU of the uplink, the
 * address to advertise. Read-only for the host: features are tried in a throw-away namespace.
 * Called by the agent (info's warnings, pools that do not overlap) and by swarm init and join.
 */
#pragma once

#include <stddef.h>

#include "net/addr.h"
#include "net/host.h"

struct net_features {
	bool bridge, veth, vxlan, macvlan, ipvlan, wireguard, dummy;
	bool nftables; /* tables, sets, nat with masquerade and dnat */
	bool nft_numgen;
	bool conntrack;
	bool ipvs;
	bool ipsec; /* XFRM with ESP */
	bool ipv6;
	bool ip_forward; /* on in the host's namespace now */
};

/* Takes some tens of milliseconds. Loads modules where the kernel does so on demand. */
int net_features_probe(const struct net_host *h, struct net_features *ret, struct err *e);

/* A line for `info`'s warnings, or NULL when there is none left: call with i = 0, 1, ... */
const char *net_features_warning(const struct net_features *f, unsigned i);

/*
 * The subnets that this host routes or has addresses in (no default routes, no loopback, and no
 * routes by this daemon's own bridges), at most `max` of them: a pool must overlap with none.
 * Returns how many; -E2BIG when there are more, or another -errno.
 */
int net_host_subnets(const struct net_host *h, struct net_prefix *ret, size_t max, struct err *e);

/* The MTU of the interface that holds `ip` (family 0: of the default route), in bytes. */
int net_uplink_mtu(const struct net_host *h, const struct net_ip *ip, unsigned *ret, struct err *e);

/*
 * `text` is an address or an interface's name, as in --advertise-addr without port: gives the
 * address (of an interface, its only IPv4 one, else its only IPv6 one). With text NULL or "": the
 * only address of the only interface that is up and neither loopback nor made by Shoal or Docker.
 * -EADDRNOTAVAIL: none. -EINVAL: unknown interface. -ENOTUNIQ: several, and the sentence lists
 * them and names `flag` ("--advertise-addr") as the way to choose.
 */
int net_local_address(const struct net_host *h, const char *text, const char *flag,
		      struct net_ip *ret, struct err *e);
