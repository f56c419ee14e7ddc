/*
 * Bridge networks: one bridge device each in the host's namespace, a gateway address, NAT to the
 * outside and isolation from the other bridges (nftables). Also the gateway bridge that gives
 * containers of overlays their way out: a bridge with `icc` off. Called by the agent.
 */
#pragma once

#include "net/addr.h"
#include "net/host.h"

struct net_bridge {
	const char *id;        /* the network's id */
	const char *name;      /* the device: "shoal0", "br-<12 of id>", "shoal_gwbridge" */
	struct net_prefix ip4; /* the gateway's address in the subnet; family 0: no IPv4 */
	struct net_prefix ip6; /* the same for IPv6; family 0: IPv6 is off on the device */
	unsigned mtu;          /* bytes; 0 means 1500 */
	bool internal;         /* nothing is forwarded in or out, no NAT */
	bool icc;              /* containers of this network may talk to each other over it */
	bool masquerade;       /* NAT what leaves the subnet (Docker's default is on) */
};

/* "br-" and the first 12 characters of a network's id. */
void net_bridge_name(const char *id, char ret[NET_IFNAME_MAX]);

/*
 * Makes the bridge or brings an existing one of ours to this state: device, addresses, MTU, IPv6
 * off or with router advertisements ignored, forwarding on, nft rules.
 * -EEXIST: a device of that name is not this network's. -EOPNOTSUPP: the kernel lacks bridges.
 */
int net_bridge_create(const struct net_host *h, const struct net_bridge *b, struct err *e);

/*
 * Removes device and rules (id, name, ip4 and ip6 count). Missing ones are no error; a device that
 * is not this network's is left alone.
 */
int net_bridge_remove(const struct net_host *h, const struct net_bridge *b, struct err *e);
