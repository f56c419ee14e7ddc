/*
 * Ordering: a heap of the nodes that fit, worked out once a group, from which each task takes the
 * best. Nodes where the template keeps failing come last, then fewest tasks of the service first,
 * then fewest tasks in all; ties are broken by a hash, so that not the same node is always first.
 */
#include "scheduler/impl.h"

#include <string.h>

struct rank {
	bool failing;
	uint32_t same;  /* tasks of the service there */
	uint32_t total; /* tasks there in all */
	uint64_t tie;
	struct sched_node *node;
};

static uint64_t hash_mix(uint64_t x)
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
	return hash_mix(h);
}

static bool rank_before(const struct rank *a, const struct rank *b)
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

static void heap_sink(struct rank *heap, size_t n, size_t i)
{
	struct rank moving = heap[i];

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

/* What one placement works on; all arrays are by the nodes' indexes and live in the scratch. */
struct placing {
	struct sched_needs needs;
	uint32_t *same;
	bool *failing;
	struct rank *heap;
	size_t n;
	uint32_t refused[FILTER_MAX];
};

/* Memory for heap and arrays, kept from call to call. */
static void scratch_reserve(struct scheduler *s, struct placing *p)
{
	size_t size = s->n_nodes * (sizeof(struct rank) + sizeof(uint32_t) + sizeof(bool));

	if (size > s->scratch_size) {
		free(s->scratch);
		s->scratch_size = size * 2;
		s->scratch = xmalloc(s->scratch_size);
	}
	if (!s->n_nodes)
		return;
	p->heap = s->scratch;
	p->same = (uint32_t *)(p->heap + s->n_nodes);
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

static void heap_build(const struct scheduler *s, uint64_t seed, struct placing *p)
{
	p->n = 0;
	for (size_t i = 0; i < s->n_nodes; i++) {
		struct sched_node *node = s->nodes[i];

		if (!node || !node->n ||
		    sched_filter_node(&p->needs, node, p->same[i]) != FILTER_NONE)
			continue;
		p->heap[p->n++] = (struct rank){
			.failing = p->failing[i],
			.same = p->same[i],
			.total = node->active,
			.tie = hash_mix(seed ^ node->hash),
			.node = node,
		};
	}
	for (size_t i = p->n / 2; i > 0; i--)
		heap_sink(p->heap, p->n, i - 1);
}

static void placed_note(struct scheduler *s, const struct sched_group *g, struct sched_node *node)
{
	if (s->n_placed == s->cap_placed) {
		s->cap_placed = s->cap_placed ? s->cap_placed * 2 : 64;
		s->placed = xreallocarray(s->placed, s->cap_placed, sizeof *s->placed);
	}
	s->placed[s->n_placed++] = (struct sched_placed){.node = node, .group = *g};
	sched_hold_on(s, g, node, true);
}

/* Gives the best node to one task. */
static const char *heap_take(struct scheduler *s, const struct sched_group *g, struct placing *p)
{
	struct rank *top = &p->heap[0];
	struct sched_node *node = top->node;

	placed_note(s, g, node);
	top->same = ++p->same[node->index];
	top->total = node->active;
	if (!sched_still_fits(&p->needs, node, top->same))
		p->heap[0] = p->heap[--p->n];
	if (p->n)
		heap_sink(p->heap, p->n, 0);
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
	size_t placed = 0;

	if (!n)
		return 0;
	sched_needs_init(&p.needs, g);
	scratch_reserve(s, &p);
	history_fill(s, g, now_ns, &p);
	heap_build(s, sched_hash(g->service) ^ sched_hash(tasks[0]), &p);
	while (placed < n && p.n)
		ret_nodes[placed++] = heap_take(s, g, &p);
	if (placed < n)
		explain_all(s, &p, why);
	sched_needs_done(&p.needs);
	return placed;
}

bool scheduler_place_on(struct scheduler *s, const struct sched_group *g, const char *node_id,
			struct buf *why)
{
	struct sched_node *node = sched_node_find(s, node_id);
	struct placing p = {0};
	enum sched_filter f = FILTER_READY;

	sched_needs_init(&p.needs, g);
	if (node && node->n) {
		scratch_reserve(s, &p);
		history_fill(s, g, 0, &p);
		f = sched_filter_node(&p.needs, node, p.same[node->index]);
	}
	if (f == FILTER_NONE) {
		placed_note(s, g, node);
	} else {
		p.refused[f] = 1;
		sched_explain(p.refused, why);
	}
	sched_needs_done(&p.needs);
	return f == FILTER_NONE;
}
