/*
 * Links: reading them, the tag in their alias by which we know our own, and the messages that
 * bridge.c, endpoint.c and overlay.c have in common. Internal to net.
 */
#pragma once

#include <net/if.h>

#include "net/addr.h"
#include "net/host.h"
#include "net/netlink.h"

#define LINK_ALIAS_MAX 256 /* bytes of an alias, NUL included */
/* The device group of every bridge of ours, whatever the daemon: "sh" and a version. */
#define LINK_GROUP 0x73680001u

struct link {
	int index;
	int master;        /* index of the bridge it is a port of, 0: none */
	int peer;          /* index of a veth's other end, in its namespace */
	unsigned flags;    /* IFF_* */
	uint8_t operstate; /* RFC 2863 */
	unsigned mtu;
	char name[IF_NAMESIZE];
	char kind[16]; /* "bridge", "veth", "vxlan", ... */
	char alias[LINK_ALIAS_MAX];
	struct net_mac mac;
	uint32_t vni; /* of a vxlan */
	uint16_t vxlan_port;
	struct net_ip vxlan_local;
};

/* -ENODEV (without a sentence) when there is none of that name. */
int link_get(int nl, const char *name, struct link *ret, struct err *e);
int link_get_index(int nl, int index, struct link *ret, struct err *e);

/* Called with NULL: begin again. As nl_message_fn. */
typedef int (*link_fn)(void *arg, const struct link *l);
int link_each(int nl, link_fn fn, void *arg, struct err *e);

/* 0, or -EINVAL for what is no interface's name (also kept out: what means something to nft). */
int link_name_check(const char *name, struct err *e);

/* "shoal:<tag>:<kind>:<id>"; kind is bridge, endpoint or overlay. */
void link_alias(const struct net_host *h, const char *kind, const char *id,
		char ret[LINK_ALIAS_MAX]);
/* The id in an alias of this daemon and kind, else NULL. */
const char *link_alias_id(const struct net_host *h, const char *kind, const char *alias);

/*
 * Messages for a batch; the caller adds attributes and ends them. A new link is down: what must be
 * set before it may speak goes into a second message of the same batch.
 */
void link_add_begin(struct nl_batch *b, const char *what, int tolerate, const char *name);
void link_set_begin(struct nl_batch *b, const char *what, int index, const char *name,
		    unsigned flags);
void link_del(struct nl_batch *b, int index);
/* IFLA_AF_SPEC: the kernel makes no IPv6 address on it by itself. Within an open link message. */
void link_no_ip6_autoconf(struct nl_batch *b);

/*
 * Waits until the kernel has noticed that a link's other end is up: before that it drops what is
 * sent through it, and a first packet that is lost costs its sender a second. Gives up quietly
 * after a while: the link may have no other end yet.
 */
void link_await_up(int netns_fd, int nl, int index);

/* Removes links by index, all at once. One that is gone is no error. */
int link_delete(int nl, const int *indexes, unsigned count, struct err *e);

/* Addresses of a link. */
void link_addr_add(struct nl_batch *b, int index, const struct net_prefix *p);
/* Removes every address of the family but `keep` (family 0 in it: all) and the link-local ones. */
int link_addr_only(int nl, int index, uint8_t family, const struct net_prefix *keep, struct err *e);
void link_default_route(struct nl_batch *b, int index, const struct net_ip *gateway);

/*
 * IPv6 of an interface in the calling thread's namespace: off, or on without router
 * advertisements (a neighbour must not be able to become the default router).
 */
int link_ip6_set(const char *name, bool on, struct err *e);
