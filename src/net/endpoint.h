/*
 * Endpoints: the veth pair between a container's namespace and a bridge, be it a bridge network's
 * (host's namespace) or an overlay's (the overlay's own). Called by the agent once the container's
 * network namespace exists and before its process starts.
 */
#pragma once

#include "net/addr.h"
#include "net/host.h"

/* Which bridge an endpoint hangs on: one of the two is set. */
struct net_segment {
	const char *bridge;  /* the bridge's device in the host's namespace */
	const char *overlay; /* the id of an overlay that net_overlay_create() made */
};

struct net_endpoint {
	const char *id;         /* hex; the host end is "veth" and its first seven characters */
	int netns_fd;           /* the container's network namespace */
	const char *ifname;     /* its name in there: eth0, eth1, ... */
	struct net_mac mac;     /* zero: derived from ip4, else from ip6 */
	struct net_prefix ip4;  /* family 0: none */
	struct net_prefix ip6;  /* family 0: none, and IPv6 is then off on the interface */
	struct net_ip gateway4; /* default route; family 0: none by this interface */
	struct net_ip gateway6;
	unsigned mtu;  /* bytes; 0 takes the bridge's */
	bool isolated; /* may not talk to other isolated ports of the bridge (icc off) */
};

/* "veth" and the first seven characters of the endpoint's id. */
void net_endpoint_name(const char *id, char ret[NET_IFNAME_MAX]);

/*
 * Connects the container. A pair that is already whole is kept and brought to this state (running
 * connections live on); half of one is replaced. `ret_mac` (may be NULL) is the MAC in use.
 * -ENODEV: the segment is not there. -EEXIST: the container has another interface of that name.
 */
int net_endpoint_create(const struct net_host *h, const struct net_segment *s,
			const struct net_endpoint *ep, struct net_mac *ret_mac, struct err *e);

/* Removes the pair; 0 when it (or the whole segment) is gone already. */
int net_endpoint_remove(const struct net_host *h, const struct net_segment *s, const char *id,
			struct err *e);

struct net_counters {
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

/* What `ifname` in that namespace has carried, as the container sees it. -ENODEV: no such one. */
int net_counters_read(int netns_fd, const char *ifname, struct net_counters *ret, struct err *e);
