/*
 * What the files of the store share. Included by manager/store*.c alone.
 */
#pragma once

#include "manager/store.h"

/* Which trees there are. All are persistent, so that copying the roots is copying the store. */
struct store_roots {
	struct tree *kinds[KIND_LIMIT]; /* by id */
	struct tree *names;             /* by (kind, name) */
	struct tree *service_tasks;     /* by (service, template version, id) */
	struct tree *node_tasks;        /* by (node, id) */
	uint64_t version;
};

struct store {
	struct store_roots now;
	struct store_roots mark; /* of a fork: where store_rewind() goes back to */
	bool fork;
	struct store_watch *watches;
	struct tree *garbage;
};

struct store_pin {
	struct store_roots roots;
};

/* Takes a reference to every tree. */
struct store_roots store_roots_ref(const struct store_roots *r);
/* Drops them: at once, or onto a list that store_collect() works off. */
void store_roots_unref(struct store_roots *r);
void store_roots_discard(struct store_roots *r, struct tree **garbage);

/* Puts `new` in the place of `old` (either may be NULL) in every tree. */
void store_roots_put(struct store_roots *r, const struct object *old, const struct object *new);

/* The trees of a finished load, which is empty then. */
struct store_roots store_load_take(struct store_load *l);
