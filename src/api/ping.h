/*
 * /_ping: the first thing that every client asks. The daemon says what to answer by a callback, so
 * that the answer never waits for anything.
 */
#pragma once

#include <stdbool.h>

struct api_router;

struct api_ping_info {
	const char *swarm; /* "inactive", "pending", "error", "locked", "active/manager", ... */
	const char *builder_version; /* "1": the classic builder */
	bool experimental;
};

struct api_ping {
	/* Fills in what holds now; the strings are static. */
	void (*info)(struct api_ping_info *ret, void *data);
	void *data;
};

/* Adds the routes; `ping` must outlive the router. */
void api_ping_add(struct api_router *r, struct api_ping *ping);
