/*
 * Who is where in each network: the tables that agents need for their tunnels and their DNS,
 * derived from the store and versioned by it, so that any manager can serve a difference to any
 * agent. What changed lately is kept in a bounded ring a network; whoever is further behind gets
 * the whole table. Called by the dispatcher.
 */
#pragma once

#include "base/frame.h"
#include "manager/store.h"
#include "model/session.h"

struct netmap;

struct netmap *netmap_new(const struct store *s);
void netmap_free(struct netmap *m);

/* Derives everything again: at the start, and after the store was swapped. */
void netmap_reset(struct netmap *m);
/* One applied change, as store_watch.changed() tells it. */
void netmap_event(struct netmap *m, const struct object *old, const struct object *new);

/* Counts every change of any table; a reset counts too. */
uint64_t netmap_changes(const struct netmap *m);

/* The version of a network's table: what an agent that has all of it says. 0: it has no entry. */
uint64_t netmap_version(const struct netmap *m, const char *network);
/*
 * Calls `send` with the frames (SESSION_PEERS) that bring an agent from version `from` to now; none
 * when there is nothing new. A frame is made once and shared by all that are at the same version.
 * Returns the version reached.
 */
uint64_t netmap_frames(struct netmap *m, const char *network, uint64_t from,
		       void (*send)(void *arg, struct frame *f), void *arg);
/* A frame that lets an agent check what it has: the digest of the whole table. Unref it. */
struct frame *netmap_digest(struct netmap *m, const char *network);
