/*
 * Placement preferences: a tree whose branches are the values that nodes have for the labels to be
 * spread over, one level a preference; a label that a node lacks is the empty value. A task goes to
 * the branch with the fewest tasks of the service at each level, and in the leaf to the best node
 * of its heap. Without preferences the root is the only leaf. Pure; called by place.c alone.
 */
#pragma once

#include "base/hash.h"
#include "scheduler/impl.h"

struct spread_branch {
	char *value;
	uint64_t tie;
	uint64_t tasks; /* of the service on all nodes below, whether they fit or not */
	size_t room;    /* nodes below that fit */
	struct spread_branch *parent;
	struct spread_branch *children; /* by value */
	struct sched_rank *heap;        /* of a leaf: `n` of `room` */
	size_t n;
	UT_hash_handle hh;
};

struct spread_tree {
	struct constraints keys;
	uint64_t seed; /* breaks ties */
	struct spread_branch root;
};

/* `p` may be NULL. */
void spread_init(struct spread_tree *t, const struct placement *p, uint64_t seed);
void spread_done(struct spread_tree *t);
/* The node's leaf, which is made when it is new; its `tasks` count at once. */
struct spread_branch *spread_leaf(struct spread_tree *t, const struct node *n, uint64_t tasks);
/* One more node of the leaf fits. */
void spread_room(struct spread_branch *leaf);
/* Gives each leaf its part of `heap`, which has room for all nodes that fit. */
void spread_layout(struct spread_tree *t, struct sched_rank *heap);
void spread_put(struct spread_branch *leaf, const struct sched_rank *r);
/* All nodes that fit were put: makes heaps of them. */
void spread_ready(struct spread_tree *t);
/* The leaf of which the next task takes the first of the heap; NULL when no node fits any more. */
struct spread_branch *spread_best(struct spread_tree *t);
/* The same below a branch, which has room. */
struct spread_branch *spread_best_below(struct spread_branch *b);
/* Of a branch's children with room the one with the fewest tasks; NULL when none has. */
struct spread_branch *spread_least(struct spread_branch *b);
/* A task took the first of the leaf's heap, whose rank was changed; whether that node fits still.
 */
void spread_took(struct spread_branch *leaf, bool fits);
