/*
 * The last changes of a store, in order, for those who follow it: a ring with a bound, in memory.
 * Versions are the store's own, the same on every manager, so that a follower can go on at another
 * one where it stopped. Holds neither the bytes of secrets and configs nor the cluster's object
 * with its keys. Owned by the manager; read by api/watch.c.
 */
#pragma once

#include "manager/store.h"

struct history;

enum history_action { HISTORY_CREATE, HISTORY_UPDATE, HISTORY_REMOVE };

struct history_entry {
	uint64_t version; /* of the store once its batch was applied */
	enum history_action action;
	const struct object *o;          /* as it became; as it was when it was removed */
	const struct template *template; /* of a task; NULL when it is gone */
	size_t bytes;
};

/* Whoever follows. From the loop; the follower may be removed from within. */
struct history_follower {
	void (*news)(void *arg);
	/* The store was replaced by a snapshot, or the manager stops: what was between is unknown.
	 */
	void (*lost)(void *arg, const char *why);
	void *arg;
	struct history_follower *prev, *next; /* the history's */
};

struct history *history_new(struct store *s);
/* Followers are told with `lost`. */
void history_free(struct history *h);
void history_follow(struct history *h, struct history_follower *f);
void history_unfollow(struct history *h, struct history_follower *f);

/* The store's version, up to which all changes are here. */
uint64_t history_version(const struct history *h);
/* The lowest version from which on nothing is missing. */
uint64_t history_oldest(const struct history *h);

/*
 * Places count the changes and do not change while others are forgotten. The first change of a
 * version above `version`: 0; -EOVERFLOW with the reason when some of those are forgotten.
 */
int history_find(const struct history *h, uint64_t version, uint64_t *ret_place, struct err *e);
/* NULL: nothing is there yet. What is forgotten must not be asked for. */
const struct history_entry *history_at(const struct history *h, uint64_t place);
/* The place of the next change. */
uint64_t history_end(const struct history *h);
/* Whether a reader at this place is so far behind that what it needs is forgotten soon, or is. */
bool history_is_behind(const struct history *h, uint64_t place);

/* Whether users are not to see it any more, though it is kept until its tasks are gone. */
bool object_is_going(const struct object *o);
