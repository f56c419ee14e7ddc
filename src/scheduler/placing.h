/*
 * What one placement works on: which nodes fit a group, and how good each is. Made by place.c, for
 * placing and for finding better places. Private to the folder.
 */
#pragma once

#include "scheduler/spread.h"

/*
 * All arrays live in the scheduler's scratch, those but the heap are by the nodes' indexes. Each
 * leaf of the tree of preferences has a part of the heap.
 */
struct placing {
	struct sched_needs needs;
	uint32_t *same;
	bool *failing;
	struct sched_rank *heap;
	struct spread_tree tree;
	struct spread_branch **leaves; /* NULL: the node does not fit */
	uint32_t refused[FILTER_MAX];
	bool no_failing; /* set before: a node where the template keeps failing does not fit */
};

/* Works out everything for the group, in the zeroed `p`. `seed` breaks ties. */
void placing_init(struct scheduler *s, const struct sched_group *g, uint64_t seed, int64_t now_ns,
		  struct placing *p);
void placing_done(struct placing *p);
