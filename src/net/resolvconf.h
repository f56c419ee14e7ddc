/*
 * The contents of a container's resolv.conf, hosts and hostname, and reading the host's
 * resolv.conf. Pure functions over text; the agent writes the files. Source: resolv.conf(5) and
 * Docker's resolvconf behaviour.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "net/addr.h"

#define RESOLV_SERVERS 8  /* nameserver lines that are kept (libc uses three) */
#define RESOLV_SEARCH 32  /* search domains that are kept */
#define RESOLV_OPTIONS 32 /* options that are kept */

struct resolv_conf {
	struct net_ip servers[RESOLV_SERVERS];
	size_t server_count;
	char *search[RESOLV_SEARCH];
	size_t search_count;
	char *options[RESOLV_OPTIONS];
	size_t option_count;
};

#define auto_resolv CLEANUP(resolv_done) struct resolv_conf
#define RESOLV_INIT ((struct resolv_conf){0})

/* Reads the file's text; what is not understood is passed over. Free with resolv_done(). */
void resolv_parse(const char *text, struct resolv_conf *ret);
void resolv_done(struct resolv_conf *r);

/*
 * The host's file: /run/systemd/resolve/resolv.conf in the place of /etc/resolv.conf when that
 * names only systemd-resolved's stub (127.0.0.53). A missing file is an empty one.
 */
int resolv_read_host(struct resolv_conf *ret, struct err *e);

/* What a user gave with --dns, --dns-search, --dns-option; counts of 0 take the host's. */
struct resolv_user {
	const struct net_ip *servers;
	size_t server_count;
	const char *const *search; /* a single "." means none at all */
	size_t search_count;
	const char *const *options;
	size_t option_count;
};

/*
 * For a container with the embedded server: nameserver 127.0.0.11, search, options with ndots:0
 * unless the user or host sets ndots. 0, -EMSGSIZE past `ret`'s bound, -EINVAL for a domain or
 * option with a blank or control character.
 */
int resolv_build_embedded(const struct resolv_conf *host, const struct resolv_user *user,
			  struct buf *ret);
/*
 * For a container without it (the default bridge): the upstreams themselves. Those of loopback mean
 * nothing inside a container and are left out; without any left, Google's public ones, as Docker.
 */
int resolv_build_plain(const struct resolv_conf *host, const struct resolv_user *user, bool ipv6,
		       struct buf *ret);
/*
 * The upstreams of the embedded server: the user's, else the host's (loopback ones too: they are
 * asked from the host's namespace). Returns how many were put in `ret`.
 */
size_t resolv_upstreams(const struct resolv_conf *host, const struct resolv_user *user,
			struct net_ip *ret, size_t max);
/* Whether the user's options set ndots above 0. */
bool resolv_user_sets_ndots(const struct resolv_user *user);

struct hosts_entry {
	struct net_ip ip;
	const char *names; /* one or more, separated by blanks */
};

/* /etc/hosts: loopback, IPv6's well-known names where `ipv6`, then the entries. 0 or as above. */
int hosts_build(const struct hosts_entry *entries, size_t count, bool ipv6, struct buf *ret);
/* /etc/hostname: the name and a newline. */
int hostname_build(const char *hostname, struct buf *ret);
