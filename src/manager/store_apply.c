/*
 * Applying batches of changes: whole or not at all, the same on every manager. See store.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manager/store_impl.h"

/* What a batch did, kept until the watchers have been told. */
struct applied {
	struct {
		const struct object *old, *new;
	} * v;
	size_t n;
};

static void applied_done(struct applied *a)
{
	for (size_t i = 0; i < a->n; i++) {
		object_unref(a->v[i].old);
		object_unref(a->v[i].new);
	}
	free(a->v);
}

static const struct object *roots_get(const struct store *s, const struct change *c)
{
	return store_get(s, c->kind, c->id);
}

/* Whether another object of the kind has the name that this change would give. */
static bool name_is_taken(const struct store *s, const struct change *c)
{
	const char *name = c->object ? object_name(c->object) : NULL;
	const struct object *holder = name ? store_named(s, c->kind, name) : NULL;

	return holder && strcmp(holder->id, c->id) != 0;
}

static enum store_verdict change_judge(const struct store *s, const struct change *c,
				       const struct object *old)
{
	if (c->op == CHANGE_CREATE && old)
		return STORE_EXISTS;
	if (c->op != CHANGE_CREATE && !old)
		return STORE_MISSING;
	if (c->op != CHANGE_CREATE && old->version.index != c->expect)
		return STORE_STALE;
	return name_is_taken(s, c) ? STORE_EXISTS : STORE_APPLIED;
}

/* Works on `s`'s trees, which the caller has kept a copy of, with the version that they say. */
static enum store_verdict changes_apply(struct store *s, const struct changes *c, size_t from,
					struct applied *done, struct store_result *ret)
{
	for (size_t i = from; i < c->n; i++) {
		const struct change *change = &c->v[i];
		const struct object *old = roots_get(s, change);

		ret->verdict = change_judge(s, change, old);
		if (ret->verdict != STORE_APPLIED) {
			ret->change = i;
			(void)snprintf(ret->id, sizeof ret->id, "%s", change->id);
			return ret->verdict;
		}
		if (change->object)
			change->object->version.index = s->now.version;
		if (done) {
			done->v[done->n].old = object_ref(old);
			done->v[done->n++].new = object_ref(change->object);
		}
		store_roots_put(&s->now, old, change->object);
	}
	ret->version = s->now.version;
	return ret->verdict = STORE_APPLIED;
}

static void watches_tell(struct store *s, const struct applied *done, bool swapped)
{
	struct store_watch *next;

	for (struct store_watch *w = s->watches; w; w = next) {
		next = w->next;
		for (size_t i = 0; done && w->changed && i < done->n; i++)
			w->changed(w->arg, done->v[i].old, done->v[i].new);
	}
	for (struct store_watch *w = s->watches; w; w = next) {
		next = w->next;
		if (w->applied)
			w->applied(w->arg, s->now.version, swapped);
	}
}

void store_apply_changes(struct store *s, const struct changes *c, struct store_result *ret)
{
	struct store_roots before = store_roots_ref(&s->now);
	struct applied done = {.v = xcalloc(c->n, sizeof *done.v)};

	*ret = (struct store_result){.version = before.version};
	s->now.version++;
	if (changes_apply(s, c, 0, &done, ret) == STORE_APPLIED) {
		store_roots_discard(&before, &s->garbage);
		watches_tell(s, &done, false);
	} else {
		store_roots_unref(&s->now);
		s->now = before;
		ret->version = before.version;
	}
	applied_done(&done);
	(void)store_collect(s);
}

int store_apply(struct store *s, const void *p, size_t n, struct store_result *ret, struct err *e)
{
	struct changes c;
	int rc;

	changes_init(&c);
	rc = changes_decode(p, n, &c, e);
	if (rc == 0)
		store_apply_changes(s, &c, ret);
	changes_done(&c);
	return rc;
}

void store_stage(struct store *fork, const struct changes *c, size_t from, struct store_result *ret)
{
	struct store_roots before = store_roots_ref(&fork->now);

	*ret = (struct store_result){.version = before.version};
	if (changes_apply(fork, c, from, NULL, ret) == STORE_APPLIED) {
		store_roots_unref(&before);
	} else {
		store_roots_unref(&fork->now);
		fork->now = before;
	}
}

void store_swap(struct store *s, struct store_load *l)
{
	struct store_roots loaded = store_load_take(l);

	store_roots_discard(&s->now, &s->garbage);
	s->now = loaded;
	watches_tell(s, NULL, true);
}
