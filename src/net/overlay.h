/*
 * Overlay networks on this host: one network namespace each, kept by a bind mount, with a bridge
 * br0 and a vxlan0 whose UDP socket lives in the host's namespace. Nothing is learned and nothing
 * is broadcast: who is where comes from the managers' tables through net_overlay_peers_*().
 * Called by the agent; knows nothing of where the tables come from.
 */
#pragma once

#include <stddef.h>

#include "net/addr.h"
#include "net/host.h"

struct net_overlay {
	const char *id;        /* the network's id: [a-z0-9], names the namespace's file */
	uint32_t vni;          /* 1 to 2^24 - 1 */
	struct net_ip data_ip; /* this node's data-path address: the tunnels' source */
	unsigned mtu;          /* bytes inside; 0: the uplink's less the encapsulation */
};

/* An address of a container on another host. A dual-stack endpoint is two peers of one MAC. */
struct net_peer {
	struct net_ip ip;   /* inside the overlay */
	struct net_mac mac; /* of the endpoint */
	struct net_ip vtep; /* data-path address of its host */
};

/*
 * Makes the namespace, bridge and tunnel device, or brings existing ones to this state (a changed
 * data address or port makes a new vxlan0: apply the peers again, in full, after that: `ret_fresh`
 * says so and may be NULL; after a daemon's start apply them in full whatever it says: a crash may
 * have come between). `ret_mtu` (may be NULL) is the MTU in use.
 * -EEXIST: another device of this host has the VNI on that port. -EOPNOTSUPP: no VXLAN here.
 * -EADDRNOTAVAIL: data_ip is no address of this host.
 */
int net_overlay_create(const struct net_host *h, const struct net_overlay *o, unsigned *ret_mtu,
		       bool *ret_fresh, struct err *e);

/* Takes down all of it, endpoints included. 0 when it is gone already. */
int net_overlay_remove(const struct net_host *h, const char *id, struct err *e);

/* An open descriptor of the overlay's namespace (close it), -ENOENT: none. */
int net_overlay_open(const struct net_host *h, const char *id, struct err *e);

/*
 * Adds or moves `add`, then forgets `del` (its `ip` and `mac` count; a MAC still used by a peer
 * of `add` stays). Whatever is named twice is no error. In one netlink batch.
 */
int net_overlay_peers_update(const struct net_host *h, const char *id, const struct net_peer *add,
			     size_t add_count, const struct net_peer *del, size_t del_count,
			     struct err *e);

struct net_peers_result {
	size_t added, removed, kept; /* entries of the kernel's tables, not peers */
};

/*
 * Makes the tables exactly `peers`: adds what is missing, moves what moved, removes what is
 * stale, touches nothing else. `ret` may be NULL.
 */
int net_overlay_peers_apply(const struct net_host *h, const char *id, const struct net_peer *peers,
			    size_t count, struct net_peers_result *ret, struct err *e);
