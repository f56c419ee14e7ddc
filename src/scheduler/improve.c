/*
 * Finding a better place for a task that runs: the same tree and ranks as in place.c, looked at
 * from each node that has tasks of the service. A move must make things better, not only no worse,
 * so that moves come to an end: where it goes has, with the task, still fewer than where it comes
 * from had. See scheduler.h.
 */
#include "scheduler/placing.h"

#include <stdlib.h>

/* What a move from a node would gain. */
struct gain {
	size_t level;  /* of the preferences, from 0; then the node's own count, then its total */
	uint64_t gap;  /* how many more tasks there are where it comes from */
	uint32_t load; /* tasks there in all */
	uint64_t serial;
	const struct sched_node *from, *to;
};

static bool may_be_left(const struct node *n)
{
	return n && n->status.state == NODE_READY && n->spec.availability != AVAILABILITY_DRAIN;
}

/* The node's count, then its total, against the best of the same leaf. False: no gain. */
static bool leaf_gain(const struct spread_branch *leaf, size_t level, uint32_t same,
		      struct gain *ret)
{
	const struct sched_rank *best = leaf->n ? &leaf->heap[0] : NULL;

	if (!best)
		return false;
	if (best->same + 1 < same) {
		ret->level = level;
		ret->gap = same - best->same;
	} else if (best->same + 1 == same && best->total + 1 < ret->load) {
		ret->level = level + 1;
		ret->gap = ret->load - best->total;
	} else {
		return false;
	}
	ret->to = best->node;
	return true;
}

/* The highest level at which the task could go to a branch with fewer tasks. */
static bool node_gain(struct placing *p, const struct sched_node *from, struct gain *ret)
{
	struct spread_branch *leaf = spread_leaf(&p->tree, from->n, 0);
	size_t level = p->tree.keys.n;
	bool any;

	*ret = (struct gain){.load = from->active, .serial = from->serial, .from = from};
	any = leaf_gain(leaf, level, p->same[from->index], ret);
	for (struct spread_branch *b = leaf; b->parent; b = b->parent) {
		struct spread_branch *least = spread_least(b->parent);

		level--;
		if (!least || least->tasks + 1 >= b->tasks)
			continue;
		ret->level = level;
		ret->gap = b->tasks - least->tasks;
		ret->to = spread_best_below(least)->heap[0].node;
		any = true;
	}
	return any;
}

static int by_gain(const void *pa, const void *pb)
{
	const struct gain *a = pa, *b = pb;

	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	if (a->gap != b->gap)
		return a->gap > b->gap ? -1 : 1;
	if (a->load != b->load)
		return a->load > b->load ? -1 : 1;
	return a->serial < b->serial ? -1 : a->serial > b->serial;
}

bool scheduler_improve(struct scheduler *s, const struct sched_group *g, int64_t now_ns,
		       bool (*may_leave)(void *arg, const char *node), void *arg,
		       struct sched_move *ret)
{
	const struct sched_service *service = sched_service_find(s, g->service);
	size_t max = service ? service->n_counts : 0, n = 0;
	struct placing p = {.no_failing = true};
	struct gain *gains;
	bool found = false;

	if (!max)
		return false;
	gains = xcalloc(max, sizeof *gains);
	placing_init(s, g, sched_hash(g->service), now_ns, &p);
	for (size_t i = 0; i < max; i++)
		if (may_be_left(service->counts[i].node->n) &&
		    node_gain(&p, service->counts[i].node, &gains[n]))
			n++;
	qsort(gains, n, sizeof *gains, by_gain);
	for (size_t i = 0; i < n && !found; i++) {
		if (!may_leave(arg, gains[i].from->id))
			continue;
		*ret = (struct sched_move){gains[i].from->id, gains[i].to->id};
		found = true;
	}
	placing_done(&p);
	free(gains);
	return found;
}
