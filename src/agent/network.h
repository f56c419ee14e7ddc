/*
 * What the containers' part of the engine asks of the networks' part: checking what was asked for,
 * connecting a container that its shim has made, letting go of it, and serving its names. The
 * public functions on networks are in engine.h. Called by agent/container_*.c.
 */
#pragma once

#include "agent/engine.h"

struct net_host;

/* Opens the networks' part: database, predefined networks, sweep. Blocks. Before any container. */
int networks_open(struct engine *e, struct err *err);
void networks_close(struct engine *e, void (*done)(void *arg), void *arg);

/*
 * At create: resolves the network mode and what the user asked for in c->networks (names to
 * networks, static addresses, aliases) and, for a task, its endpoints. Fills c->networks with ids.
 * "host", "none", "container:…" as the mode says (the last is -ENOSYS).
 */
int network_container_check(struct engine *e, struct container *c,
			    const struct engine_endpoint *endpoints, size_t n, struct err *err);

/*
 * Before start: writes c->hosts_path, c->resolv_path and c->hostname_path and reserves addresses,
 * so that the shim can mount the files. Blocking parts run on the pool; `done` from the loop.
 */
void network_container_prepare(struct engine *e, struct container *c, engine_done done, void *arg);

/* Whether the shim is to make DNS sockets for it; false for host, none and the plain bridge. */
bool network_container_has_dns(struct engine *e, const struct container *c);

/*
 * The shim has made the namespace: makes the endpoints in it and serves its DNS. The descriptors
 * are the networks' from now on (dns ones may be -1). Also after a restart of the daemon, where it
 * finds what is there already. Fills c->networks with addresses as inspect shows them.
 */
void network_container_connect(struct engine *e, struct container *c, int netns_fd, int dns_udp_fd,
			       int dns_tcp_fd, engine_done done, void *arg);

/* It has ended, or could not be started: endpoints, addresses and DNS are given back. */
void network_container_release(struct engine *e, struct container *c, engine_done done, void *arg);

/* It has another name: the names that lead to it follow. */
void network_container_renamed(struct engine *e, struct container *c);
