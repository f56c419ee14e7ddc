/*
 * The embedded DNS server: serves the sockets of 127.0.0.11 of every container on the loop. Names
 * come from a callback that answers out of memory; what it does not know goes to the container's
 * upstream servers, from the host's namespace. Lives on the loop thread alone. Called by the agent;
 * knows nothing of services or containers but the opaque pointer it was given.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "net/addr.h"
#include "net/dns_msg.h"

/*
 * Docker answers with 600 s. Here addresses move with their tasks, and a client that caches for
 * minutes would keep on talking to a dead one; the question costs a loopback round trip, so a few
 * seconds lose nothing.
 */
#define DNS_TTL_S 5

struct dns_records {
	struct net_ip *ips; /* room for LIMIT_DNS_RECORDS, the server's memory */
	size_t count;
	char ptr[DNS_NAME_TEXT]; /* for PTR: the name, "" for none */
};

/* Adds an address; past the bound it is left out. */
void dns_records_add(struct dns_records *r, const struct net_ip *ip);

enum dns_outcome {
	DNS_UNKNOWN, /* not ours: forward it where forwarding is allowed */
	DNS_FOUND,   /* what is in the records; none of this type is an empty answer */
	DNS_NO_NAME, /* ours, and there is no such name: NXDOMAIN without forwarding */
};

/*
 * Called on the loop for A, AAAA and PTR; must not block. `name` is lower case without the last
 * dot; for PTR `ip` is the address asked for, else NULL. For A and AAAA the callback may add
 * addresses of both families: the server picks those asked for and shuffles them.
 */
typedef enum dns_outcome (*dns_lookup_fn)(void *arg, const char *name, uint16_t type,
					  const struct net_ip *ip, struct dns_records *ret);

struct dns_upstream {
	struct net_ip ip;
	uint16_t port; /* 0 means 53 */
};

struct dns_sandbox_options {
	dns_lookup_fn lookup;
	void *arg;
	const struct dns_upstream
		*upstreams; /* copied; asked in order; at most LIMIT_DNS_UPSTREAMS */
	size_t upstream_count;
	bool internal;       /* only internal networks: nothing is ever forwarded */
	bool keep_single;    /* the user set ndots: single-label A/AAAA questions stay here */
	unsigned timeout_ms; /* for one upstream's answer; 0 means 4000 */
	unsigned idle_ms;    /* a silent TCP connection is kept so long; 0: LIMIT_DNS_IDLE_MS */
};

struct dns_server;
struct dns_sandbox;
typedef void (*dns_close_fn)(void *arg);

/* One per daemon: bounds what is in flight over all containers. */
int dns_server_new(uv_loop_t *loop, struct dns_server **ret, struct err *e);
/* Closes all sandboxes as well, then calls `cb` (may be NULL) and frees the server. */
void dns_server_close(struct dns_server *s, dns_close_fn cb, void *arg);

/*
 * Begins to serve one container. `udp_fd` and `tcp_fd` are bound in its namespace (dns_sockets_open
 * or the shim) and are taken over in any case; tcp_fd may be -1.
 */
int dns_sandbox_new(struct dns_server *s, int udp_fd, int tcp_fd,
		    const struct dns_sandbox_options *o, struct dns_sandbox **ret, struct err *e);
/* Changes upstreams and flags (a network was connected or left); questions in flight go on. */
int dns_sandbox_update(struct dns_sandbox *d, const struct dns_sandbox_options *o, struct err *e);
/* No callback is called after this returns; the memory follows from the loop. */
void dns_sandbox_close(struct dns_sandbox *d);

/*
 * Blocking, on the pool. Opens UDP and TCP sockets at 127.0.0.11 on ports of the kernel's choice in
 * the container's namespace; the TCP one listens. Not port 53, so that a container may run its own
 * name server on 0.0.0.0:53.
 */
int dns_sockets_open(int netns_fd, int *ret_udp_fd, int *ret_tcp_fd, struct err *e);
/*
 * Blocking, on the pool. Makes 127.0.0.11:53 in the container's namespace lead to the ports that
 * these sockets are bound to. By rewriting ports without state, so that the container's traffic is
 * not tracked. May be called again with other sockets.
 */
int dns_redirect(int netns_fd, int udp_fd, int tcp_fd, struct err *e);
