/*
 * The sweep at a daemon's start: whatever carries this daemon's tag and belongs to nothing known
 * is removed, and the nft table is rewritten whole from what is known. Called by the agent, once,
 * before anything else of net; also with nothing known, to leave no trace.
 */
#pragma once

#include <stddef.h>

#include "net/bridge.h"
#include "net/host.h"

struct net_known {
	const struct net_bridge *bridges; /* with all fields: the table is made from them */
	size_t bridge_count;
	const char *const *overlays; /* network ids */
	size_t overlay_count;
	const char *const *endpoints; /* endpoint ids */
	size_t endpoint_count;
};

struct net_swept {
	unsigned links;      /* interfaces removed */
	unsigned namespaces; /* overlay namespaces removed */
};

/* Goes on past single failures and returns the first of them. `ret` may be NULL. */
int net_sweep(const struct net_host *h, const struct net_known *known, struct net_swept *ret,
	      struct err *e);
