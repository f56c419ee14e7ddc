/*
 * See spread.h.
 */
#include "scheduler/spread.h"

#include <assert.h>
#include <string.h>

void spread_init(struct spread_tree *t, const struct placement *p, uint64_t seed)
{
	*t = (struct spread_tree){.seed = seed};
	if (!p || !p->preferences.n)
		return;
	t->keys.v = xcalloc(p->preferences.n, sizeof *t->keys.v);
	LIST_EACH (pref, &p->preferences)
		if (pref->spread &&
		    spread_key_parse(pref->spread->descriptor, &t->keys.v[t->keys.n], NULL) == 0)
			t->keys.n++;
}

static void children_free(struct spread_branch *b)
{
	struct spread_branch *child = b->children, *next;

	HASH_CLEAR(hh, b->children); /* the table; the list through the children stays */
	for (; child; child = next) {
		next = child->hh.next;
		children_free(child);
		free(child->value);
		free(child);
	}
}

void spread_done(struct spread_tree *t)
{
	children_free(&t->root);
	constraints_done(&t->keys);
}

static struct spread_branch *child_get(struct spread_tree *t, struct spread_branch *b,
				       const char *value)
{
	struct spread_branch *child;

	HASH_FIND(hh, b->children, value, strlen(value), child);
	if (child)
		return child;
	child = xcalloc(1, sizeof *child);
	child->value = xstrdup(value);
	child->tie = sched_mix(t->seed ^ sched_hash(value));
	child->parent = b;
	HASH_ADD_KEYPTR(hh, b->children, child->value, strlen(child->value), child);
	return child;
}

struct spread_branch *spread_leaf(struct spread_tree *t, const struct node *n, uint64_t tasks)
{
	struct spread_branch *b = &t->root;

	b->tasks += tasks;
	for (size_t i = 0; i < t->keys.n; i++) {
		b = child_get(t, b, constraint_value(&t->keys.v[i], n));
		b->tasks += tasks;
	}
	return b;
}

void spread_room(struct spread_branch *leaf)
{
	for (struct spread_branch *b = leaf; b; b = b->parent)
		b->room++;
}

static void layout(struct spread_branch *b, struct sched_rank *heap)
{
	b->heap = heap;
	for (struct spread_branch *child = b->children; child; child = child->hh.next) {
		layout(child, heap);
		heap += child->room;
	}
}

void spread_layout(struct spread_tree *t, struct sched_rank *heap)
{
	layout(&t->root, heap);
}

void spread_put(struct spread_branch *leaf, const struct sched_rank *r)
{
	leaf->heap[leaf->n++] = *r;
}

static void heaps_make(struct spread_branch *b)
{
	for (size_t i = b->n / 2; i > 0; i--)
		sched_heap_sink(b->heap, b->n, i - 1);
	for (struct spread_branch *child = b->children; child; child = child->hh.next)
		heaps_make(child);
}

void spread_ready(struct spread_tree *t)
{
	heaps_make(&t->root);
}

static bool is_better(const struct spread_branch *a, const struct spread_branch *b)
{
	if (a->tasks != b->tasks)
		return a->tasks < b->tasks;
	if (a->tie != b->tie)
		return a->tie < b->tie;
	return strcmp(a->value, b->value) < 0;
}

struct spread_branch *spread_least(struct spread_branch *b)
{
	struct spread_branch *best = NULL;

	for (struct spread_branch *child = b->children; child; child = child->hh.next)
		if (child->room && (!best || is_better(child, best)))
			best = child;
	return best;
}

struct spread_branch *spread_best_below(struct spread_branch *b)
{
	while (b->children) {
		b = spread_least(b);
		assert(b); /* there is room below */
	}
	return b;
}

struct spread_branch *spread_best(struct spread_tree *t)
{
	return t->root.room ? spread_best_below(&t->root) : NULL;
}

void spread_took(struct spread_branch *leaf, bool fits)
{
	if (!fits)
		leaf->heap[0] = leaf->heap[--leaf->n];
	if (leaf->n)
		sched_heap_sink(leaf->heap, leaf->n, 0);
	for (struct spread_branch *b = leaf; b; b = b->parent) {
		b->tasks++;
		b->room -= !fits;
	}
}
