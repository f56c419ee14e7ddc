/*
 * Scaling down: which slots go. Tasks without a node go first, then those that are the n-th copy of
 * the service on their node with the highest n, so that the rest is balanced; among equals, what
 * does not run goes before what runs. See core_replicated.h.
 */
#include "manager/core_replicated.h"

#include <string.h>

struct candidate {
	uint64_t slot;
	const char *node; /* NULL: not exactly one task with a node */
	bool running;
	size_t copy; /* the n-th on its node, from 1 */
};

static bool runs(const struct slot *slot)
{
	for (size_t i = 0; i < slot->n; i++)
		if (task_is_wanted(slot_task(slot, i)) &&
		    slot_task(slot, i)->status.state == TASK_RUNNING)
			return true;
	return false;
}

/* Counting order: running ones are the first copies of their nodes. */
static int by_node(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;
	int nodes = strcmp(a->node ? a->node : "", b->node ? b->node : "");

	if (nodes)
		return nodes;
	if (a->running != b->running)
		return a->running ? -1 : 1;
	return a->slot < b->slot ? -1 : a->slot > b->slot;
}

/* The worst first. */
static int by_worth(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;

	if (!a->node != !b->node)
		return a->node ? 1 : -1;
	if (a->node && a->copy != b->copy)
		return a->copy > b->copy ? -1 : 1;
	if (a->running != b->running)
		return a->running ? 1 : -1;
	return a->slot > b->slot ? -1 : a->slot < b->slot;
}

void replicated_choose(const struct slot_service *service, size_t excess, struct slot_plan *ret)
{
	struct candidate *v = xcalloc(service->used, sizeof *v);
	size_t n = 0;

	for (size_t i = 1; i < service->n; i++) {
		const struct slot *slot = &service->v[i];
		const struct task *t = slot->kept ? slot_wanted(slot) : NULL;

		if (!slot->kept)
			continue;
		v[n++] = (struct candidate){
			.slot = i, .node = t ? t->node : NULL, .running = runs(slot)};
	}
	qsort(v, n, sizeof *v, by_node);
	for (size_t i = 0; i < n; i++) {
		bool next = i && v[i].node && v[i - 1].node && !strcmp(v[i].node, v[i - 1].node);

		v[i].copy = next ? v[i - 1].copy + 1 : 1;
	}
	qsort(v, n, sizeof *v, by_worth);
	for (size_t i = 0; i < MIN_OF(n, excess); i++)
		slot_plan_add(ret, v[i].slot);
	free(v);
}
