/*
 * One follower's way through the store's history, as lines of JSON: which changes it wants, where
 * it stands, and the lines that are next. Knows no connection. Used by api/watch.c and the tests.
 */
#pragma once

#include "api/query.h"
#include "api/swarm.h"

struct watcher {
	const struct store *store;
	const struct history *history;
	struct filters filters;
	uint64_t place; /* of the next change to be looked at */
	uint64_t held;  /* the place of one that is wanted and not yet written */
	bool has_held;
	uint64_t done;           /* all that it wants up to this version has been written */
	uint64_t looked_version; /* of the change that was looked at last */
	unsigned passed;         /* changes since its last line */
};

/* The filters that it takes, NULL-terminated. */
extern const char *const watch_filter_keys[];
/* Those that are no kind or action: -EINVAL with the reason. */
int watch_filters_check(const struct filters *f, struct err *e);
/*
 * Begins after version `from`, with a line that says so. `filters` is moved. -EOVERFLOW: changes of
 * after it are forgotten.
 */
int watcher_begin(struct watcher *w, const struct store *s, const struct history *h, uint64_t from,
		  struct filters *filters, struct buf *ret, struct err *e);
void watcher_done(struct watcher *w);
/*
 * Appends lines until `ret` holds `enough` bytes or much was looked at; true when there is more to
 * be looked at now.
 */
bool watcher_lines(struct watcher *w, size_t enough, struct buf *ret);
/* The last line: why it ends and from where to go on. */
void watcher_end(const struct watcher *w, const char *why, struct buf *ret);
