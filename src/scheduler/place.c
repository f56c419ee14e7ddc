/*
 * Ordering: a heap of the nodes that fit (in each leaf of the tree of preferences, see spread.h),
 * worked out once a group, from which each task takes the best. Nodes where the template keeps
 * failing come last, then fewest tasks of the service first, then fewest tasks in all; ties are
 * broken by a hash, so that not the same node is always first.
 */
#include "scheduler/placing.h"

#include <assert.h>
#include <string.h>

uint64_t sched_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t sched_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	return sched_mix(h);
}

static bool rank_before(const struct sched_rank *a, const struct sched_rank *b)
{
	if (a->failing != b->failing)
		return b->failing;
	if (a->same != b->same)
		return a->same < b->same;
	if (a->total != b->total)
		return a->total < b->total;
	if (a->tie != b->tie)
		return a->tie < b->tie;
	return a->node->serial < b->node->serial;
}

void sched_heap_sink(struct sched_rank *heap, size_t n, size_t i)
{
	struct sched_rank moving = heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && rank_before(&heap[child + 1], &heap[child]))
			child++;
		if (!rank_before(&heap[child], &moving))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moving;
}

/* Memory for heap and arrays, kept from call to call. */
static void scratch_reserve(struct scheduler *s, struct placing *p)
{
	size_t size = s->n_nodes * (sizeof(struct sched_rank) + sizeof(struct spread_branch *) +
				    sizeof(uint32_t) + sizeof(bool));

	if (size > s->scratch_size) {
		free(s->scratch);
		s->scratch_size = size * 2;
		s->scratch = xmalloc(s->scratch_size);
	}
	if (!s->n_nodes)
		return;
	p->heap = s->scratch;
	p->leaves = (struct spread_branch **)(p->heap + s->n_nodes);
	p->same = (uint32_t *)(p->leaves + s->n_nodes);
	p->failing = (bool *)(p->same + s->n_nodes);
	memset(p->same, 0, s->n_nodes * (sizeof(uint32_t) + sizeof(bool)));
}

static void history_fill(const struct scheduler *s, const struct sched_group *g, int64_t now_ns,
			 struct placing *p)
{
	const struct sched_service *service = sched_service_find(s, g->service);

	if (!service)
		return;
	for (size_t i = 0; i < service->n_counts; i++)
		p->same[service->counts[i].node->index] = service->counts[i].active;
	for (size_t i = 0; i < service->n_failures; i++)
		p->failing[service->failures[i].node->index] |=
			sched_is_failing(&service->failures[i], g->template_version, now_ns);
}

/* Which leaf each node that fits belongs to; all nodes count for the branches. */
static void leaves_find(const struct scheduler *s, const struct sched_group *g, uint64_t seed,
			struct placing *p)
{
	spread_init(&p->tree, g->spec->placement, seed);
	for (size_t i = 0; i < s->n_nodes; i++) {
		struct sched_node *node = s->nodes[i];

		p->leaves[i] = NULL;
		if (!node || !node->n)
			continue;
		p->leaves[i] = spread_leaf(&p->tree, node->n, p->same[i]);
		if (sched_filter_node(&p->needs, node, p->same[i]) == FILTER_NONE &&
		    !(p->no_failing && p->failing[i]))
			spread_room(p->leaves[i]);
		else
			p->leaves[i] = NULL;
	}
	spread_layout(&p->tree, p->heap);
}

static void heap_build(const struct scheduler *s, uint64_t seed, struct placing *p)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		if (p->leaves[i])
			spread_put(p->leaves[i], &(struct sched_rank){
							 .failing = p->failing[i],
							 .same = p->same[i],
							 .total = s->nodes[i]->active,
							 .tie = sched_mix(seed ^ s->nodes[i]->hash),
							 .node = s->nodes[i],
						 });
	spread_ready(&p->tree);
}

void placing_init(struct scheduler *s, const struct sched_group *g, uint64_t seed, int64_t now_ns,
		  struct placing *p)
{
	sched_needs_init(&p->needs, g);
	scratch_reserve(s, p);
	history_fill(s, g, now_ns, p);
	leaves_find(s, g, seed, p);
	heap_build(s, seed, p);
}

void placing_done(struct placing *p)
{
	spread_done(&p->tree);
	sched_needs_done(&p->needs);
}

static void placed_note(struct scheduler *s, const struct sched_group *g,
			const struct sched_needs *needs, struct sched_node *node)
{
	struct sched_placed *p;

	if (s->n_placed == s->cap_placed) {
		s->cap_placed = s->cap_placed ? s->cap_placed * 2 : 64;
		s->placed = xreallocarray(s->placed, s->cap_placed, sizeof *s->placed);
	}
	p = &s->placed[s->n_placed++];
	*p = (struct sched_placed){.node = node, .group = *g};
	if (needs->generic) {
		p->given = xcalloc(1, sizeof *p->given);
		generics_choose(&node->generic_free, needs->generic, p->given);
		p->group.given = p->given;
	}
	sched_hold_on(s, &p->group, node, true);
}

const struct generics *scheduler_given(const struct scheduler *s, size_t i)
{
	static const struct generics none;
	const struct sched_placed *p = &s->placed[s->last_placed + i];

	assert(s->last_placed + i < s->n_placed);
	return p->given ? p->given : &none;
}

/* Gives the best node of a leaf to one task. */
static const char *heap_take(struct scheduler *s, const struct sched_group *g, struct placing *p,
			     struct spread_branch *leaf)
{
	struct sched_rank *top = &leaf->heap[0];
	struct sched_node *node = top->node;

	placed_note(s, g, &p->needs, node);
	top->same = ++p->same[node->index];
	top->total = node->active;
	spread_took(leaf, sched_still_fits(&p->needs, node, top->same));
	return node->id;
}

static void explain_all(const struct scheduler *s, struct placing *p, struct buf *why)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct sched_node *node = s->nodes[i];
		enum sched_filter f;

		if (!node || !node->n)
			continue;
		f = sched_filter_node(&p->needs, node, p->same[i]);
		if (f != FILTER_NONE)
			p->refused[f]++;
	}
	sched_explain(p->refused, why);
}

size_t scheduler_place(struct scheduler *s, const struct sched_group *g, const char *const *tasks,
		       size_t n, int64_t now_ns, const char **ret_nodes, struct buf *why)
{
	struct placing p = {0};
	struct spread_branch *leaf;
	size_t placed = 0;

	s->last_placed = s->n_placed;
	if (!n)
		return 0;
	placing_init(s, g, sched_hash(g->service) ^ sched_hash(tasks[0]), now_ns, &p);
	while (placed < n && (leaf = spread_best(&p.tree)))
		ret_nodes[placed++] = heap_take(s, g, &p, leaf);
	if (placed < n)
		explain_all(s, &p, why);
	placing_done(&p);
	return placed;
}

bool scheduler_place_on(struct scheduler *s, const struct sched_group *g, const char *node_id,
			struct buf *why)
{
	struct sched_node *node = sched_node_find(s, node_id);
	struct placing p = {0};
	enum sched_filter f = FILTER_READY;

	s->last_placed = s->n_placed;
	sched_needs_init(&p.needs, g);
	if (node && node->n) {
		scratch_reserve(s, &p);
		history_fill(s, g, 0, &p);
		f = sched_filter_node(&p.needs, node, p.same[node->index]);
	}
	if (f == FILTER_NONE) {
		placed_note(s, g, &p.needs, node);
	} else {
		p.refused[f] = 1;
		sched_explain(p.refused, why);
	}
	sched_needs_done(&p.needs);
	return f == FILTER_NONE;
}
