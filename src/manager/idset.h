/*
 * A set of short strings (ids) in the order in which they came: what is dirty in a core. Walking it
 * is the same for the same history. Knows nothing of what the ids stand for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"

#define IDSET_ID_MAX 64 /* bytes with the NUL: a template's id is the longest */

struct idset_entry {
	UT_hash_handle hh;
	char id[];
};

struct idset {
	struct idset_entry *head;
};

/* False when it was in it already. */
bool idset_add(struct idset *s, const char *id);
/* False when it was not in it. */
bool idset_remove(struct idset *s, const char *id);
bool idset_has(const struct idset *s, const char *id);
size_t idset_count(const struct idset *s);
void idset_done(struct idset *s);

/* Walks the set; what `entry` stands for may be removed meanwhile. */
#define IDSET_EACH(entry, set)                                                 \
	for (struct idset_entry *entry = (set)->head,                          \
				*entry##_next = entry ? entry->hh.next : NULL; \
	     entry; entry = entry##_next, entry##_next = entry ? entry->hh.next : NULL)
