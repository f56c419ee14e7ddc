/*
 * Things that a core looks at again at a given time: a heap of (time, id), one time an id. No clock
 * of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct wake {
	int64_t at_ns;
	size_t place; /* in the heap */
	UT_hash_handle hh;
	char id[];
};

struct wakes {
	struct wake *by_id;
	struct wake **heap;
	size_t n, cap;
};

/* Sets when the id is due, in place of an earlier answer. */
void wakes_set(struct wakes *w, const char *id, int64_t at_ns);
void wakes_clear(struct wakes *w, const char *id);
/* The earliest time, INT64_MAX when there is none. */
int64_t wakes_next(const struct wakes *w);
/* The id that is due by `now_ns` for longest, or NULL; valid until the next call. */
const char *wakes_due(const struct wakes *w, int64_t now_ns);
void wakes_done(struct wakes *w);
