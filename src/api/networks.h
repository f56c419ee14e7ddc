/*
 * What the files of the networks' handlers share: a network of the host or of the cluster under
 * one look, and its JSON. Included by api/networks*.c alone.
 */
#pragma once

#include "agent/engine.h"
#include "api/swarm.h"
#include "model/network.h"

/* Lent from the engine or the store: valid until either changes. */
struct network_ref {
	char *id;
	char *name;
	char *driver;
	char *scope;
	int64_t created_ns;
	const struct network_spec *spec;
	const struct ipam *ipam; /* as in use */
};

/* All of the host, then those of the cluster that the engine did not name already. */
struct networks_walk {
	const struct engine_network **local;
	size_t n, at;
	const struct store *store; /* NULL: this node has none */
	struct store_walk walk;
};
void networks_walk(struct networks_walk *w, struct engine *e, const struct store *store);
bool networks_next(struct networks_walk *w, struct network_ref *ret);
void networks_walk_done(struct networks_walk *w);

/* By full id, name, or prefix of the id, in `scope` (NULL or "": any). 0, -ENOENT, -EINVAL. */
int networks_find(struct api_swarm *swarm, const char *text, const char *scope,
		  struct network_ref *ret, struct err *e);
/* Whether a container of this host has an endpoint in it. */
bool network_in_use(struct engine *e, const char *id);
/* Appends its JSON, with its containers when there is an engine to ask (not in lists). */
void network_render(struct engine *e, const struct network_ref *n, struct buf *ret);
