/*
 * See wakes.h.
 */
#include "manager/wakes.h"

#include <string.h>

/* By time, then by id: the order is the same whatever the history. */
static bool wake_before(const struct wake *a, const struct wake *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : strcmp(a->id, b->id) < 0;
}

static void heap_put(struct wakes *w, size_t place, struct wake *wake)
{
	w->heap[place] = wake;
	wake->place = place;
}

/* Moves the wake at `place` up or down to where it belongs. */
static void heap_fix(struct wakes *w, size_t place)
{
	struct wake *moving = w->heap[place];

	while (place > 0 && wake_before(moving, w->heap[(place - 1) / 2])) {
		heap_put(w, place, w->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * place + 1;

		if (child >= w->n)
			break;
		if (child + 1 < w->n && wake_before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!wake_before(w->heap[child], moving))
			break;
		heap_put(w, place, w->heap[child]);
		place = child;
	}
	heap_put(w, place, moving);
}

static struct wake *wake_find(const struct wakes *w, const char *id)
{
	struct wake *wake;

	HASH_FIND(hh, w->by_id, id, strlen(id), wake);
	return wake;
}

void wakes_set(struct wakes *w, const char *id, int64_t at_ns)
{
	struct wake *wake = wake_find(w, id);
	size_t n = strlen(id);

	if (!wake) {
		wake = xmalloc(sizeof *wake + n + 1);
		memcpy(wake->id, id, n + 1);
		HASH_ADD_KEYPTR(hh, w->by_id, wake->id, n, wake);
		if (w->n == w->cap) {
			w->cap = w->cap ? w->cap * 2 : 16;
			w->heap = xreallocarray(w->heap, w->cap, sizeof(struct wake *));
		}
		heap_put(w, w->n++, wake);
	}
	wake->at_ns = at_ns;
	heap_fix(w, wake->place);
}

void wakes_clear(struct wakes *w, const char *id)
{
	struct wake *wake = wake_find(w, id);
	size_t place;

	if (!wake)
		return;
	place = wake->place;
	HASH_DEL(w->by_id, wake);
	free(wake);
	if (place != --w->n) {
		heap_put(w, place, w->heap[w->n]);
		heap_fix(w, place);
	}
}

int64_t wakes_next(const struct wakes *w)
{
	return w->n ? w->heap[0]->at_ns : INT64_MAX;
}

const char *wakes_due(const struct wakes *w, int64_t now_ns)
{
	return wakes_next(w) <= now_ns && w->n ? w->heap[0]->id : NULL;
}

void wakes_done(struct wakes *w)
{
	while (w->n)
		wakes_clear(w, w->heap[w->n - 1]->id);
	free(w->heap);
	*w = (struct wakes){0};
}
