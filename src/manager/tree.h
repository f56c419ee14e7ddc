/*
 * A persistent ordered tree of objects: a weight-balanced binary tree whose nodes are shared
 * between versions and counted. A root can be kept in O(1) and read later, also by another thread
 * while the loop goes on, because shared nodes are never changed: a change copies the path to them.
 * Nodes that nobody else holds are changed in place. The store's only container.
 * (Balance: Adams' trees with the parameters 3 and 2 of Hirai and Yamamoto, 2011.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/object.h"

struct tree {
	unsigned refs; /* the loop's alone; other threads never look at it */
	unsigned size; /* of the subtree */
	struct tree *left, *right;
	const struct object *object;
	uint64_t rank; /* see struct tree_order */
};

struct tree_order {
	/* Orders two objects of one tree; never 0 for two different ids. */
	int (*compare)(const struct object *a, const struct object *b);
	/*
	 * A number that never orders two objects the other way round than compare() does. The node
	 * keeps it, so that most steps down a tree look at nothing but nodes. NULL: none.
	 */
	uint64_t (*rank)(const struct object *o);
};

/* Orders an object against a key: negative when the object comes before all that match it. */
typedef int (*tree_match)(const struct object *o, const void *key);

struct tree_key {
	tree_match match;
	const void *key; /* lent, as long as a walk */
	bool ranked;     /* what matches has this rank in the tree */
	uint64_t rank;
};

/* The rank of an order that begins with strcmp() of this text. */
uint64_t tree_text_rank(const char *text);

/* NULL is the empty tree. */
struct tree *tree_ref(struct tree *t);
void tree_unref(struct tree *t);

/*
 * Each consumes the caller's reference to `t` and returns the new root. put() adds the object or
 * takes the place of the one that is equal in order, and takes a reference of its own; remove()
 * leaves the tree as it is when nothing is equal to `o`.
 */
struct tree *tree_put(struct tree *t, const struct tree_order *order, const struct object *o);
struct tree *tree_remove(struct tree *t, const struct tree_order *order, const struct object *o);

/* The first object that matches the key (order gives 0), or NULL. */
const struct object *tree_find(const struct tree *t, const struct tree_key *key);
/* How many objects match the key, in O(log n). */
size_t tree_count(const struct tree *t, const struct tree_key *key);
static inline size_t tree_size(const struct tree *t)
{
	return t ? t->size : 0;
}

/* In-order walk over what matches the key (NULL: all). */
#define TREE_DEPTH 64
struct tree_walk {
	const struct tree *path[TREE_DEPTH];
	unsigned depth;
	struct tree_key key; /* `match` is NULL when all is walked over */
};
void tree_walk_start(struct tree_walk *w, const struct tree *t, const struct tree_key *key);
const struct object *tree_walk_next(struct tree_walk *w);

/*
 * Frees up to `budget` nodes of trees whose last reference is gone, so that dropping a big one
 * never holds the loop: *garbage is a list that tree_discard() fills. False when it is empty.
 */
void tree_discard(struct tree **garbage, struct tree *t);
bool tree_collect(struct tree **garbage, size_t budget);
