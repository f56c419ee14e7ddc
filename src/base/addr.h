/*
 * Addresses as plain values: IPv4 and IPv6 alike, prefixes, MACs. Pure functions; used by all of
 * net, by the cluster's address allocation and by placement. Knows nothing of sockets or links.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define NET_IP_TEXT 46     /* bytes of an address as text, NUL included */
#define NET_PREFIX_TEXT 50 /* bytes of address/length as text, NUL included */
#define NET_MAC_TEXT 18    /* bytes of a MAC as text, NUL included */

struct net_ip {
	uint8_t family; /* AF_INET, AF_INET6, or 0 for "none" */
	uint8_t b[16];  /* network order; IPv4 uses the first four, the rest are 0 */
};

/* An address with the length of its subnet's prefix, as in 10.0.0.5/24. */
struct net_prefix {
	struct net_ip ip;
	uint8_t len; /* bits */
};

struct net_mac {
	uint8_t b[6];
};

/* Reads an address without zone. 0 or -EINVAL. */
int net_ip_parse(const char *text, struct net_ip *ret);
/* "" for family 0. Returns `ret`. */
char *net_ip_format(const struct net_ip *ip, char ret[NET_IP_TEXT]);
bool net_ip_equal(const struct net_ip *a, const struct net_ip *b);
/* Orders by family, then bytes: <0, 0, >0. */
int net_ip_compare(const struct net_ip *a, const struct net_ip *b);
bool net_ip_is_loopback(const struct net_ip *ip);
bool net_ip_is_link_local(const struct net_ip *ip);
/* Bytes of an address of this family: 4, 16 or 0. */
unsigned net_ip_size(uint8_t family);
/* Fills a socket address; returns its length. `port` is in host order. */
socklen_t net_ip_sockaddr(const struct net_ip *ip, uint16_t port, struct sockaddr_storage *ret);
/* 0, or -EAFNOSUPPORT. `ret_port` (host order) may be NULL. */
int net_ip_from_sockaddr(const struct sockaddr *sa, struct net_ip *ret, uint16_t *ret_port);

/* Reads "address/length". 0 or -EINVAL. Host bits are kept. */
int net_prefix_parse(const char *text, struct net_prefix *ret);
char *net_prefix_format(const struct net_prefix *p, char ret[NET_PREFIX_TEXT]);
/* The subnet that `p` lies in: the host bits zeroed. */
struct net_prefix net_prefix_subnet(const struct net_prefix *p);
bool net_prefix_contains(const struct net_prefix *subnet, const struct net_ip *ip);
/* Whether the two subnets share any address. Different families never do. */
bool net_prefix_overlap(const struct net_prefix *a, const struct net_prefix *b);

/* Reads six colon-separated hex bytes. 0 or -EINVAL. */
int net_mac_parse(const char *text, struct net_mac *ret);
char *net_mac_format(const struct net_mac *mac, char ret[NET_MAC_TEXT]);
bool net_mac_is_zero(const struct net_mac *mac);
/*
 * The MAC that Docker gives to an address: 02:42 and the IPv4 bytes; for IPv6, 02:42 and the last
 * four. An address and its MAC always travel together, so that a reused address never meets
 * another's stale neighbour entry.
 */
struct net_mac net_mac_from_ip(const struct net_ip *ip);
