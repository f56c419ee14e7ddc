/*
 * See tree.h.
 */
#include "manager/tree.h"

#include <assert.h>

#include "base/mem.h"

#define WEIGHT_DELTA 3
#define WEIGHT_GAMMA 2

static size_t weight(const struct tree *t)
{
	return tree_size(t) + 1;
}

struct tree *tree_ref(struct tree *t)
{
	if (t)
		t->refs++;
	return t;
}

void tree_unref(struct tree *t)
{
	while (t && --t->refs == 0) {
		struct tree *right = t->right;

		tree_unref(t->left);
		object_unref(t->object);
		free(t);
		t = right;
	}
}

static void size_update(struct tree *t)
{
	t->size = (unsigned)(tree_size(t->left) + tree_size(t->right) + 1);
}

/* The node for the caller alone: itself when nobody else holds it, else a copy. */
static struct tree *tree_own(struct tree *t)
{
	struct tree *copy;

	if (t->refs == 1)
		return t;
	copy = xmalloc(sizeof *copy);
	*copy = *t;
	copy->refs = 1;
	tree_ref(copy->left);
	tree_ref(copy->right);
	object_ref(copy->object);
	t->refs--;
	return copy;
}

/* Both rotations take an owned node and return an owned one. */
static struct tree *rotate_left(struct tree *t)
{
	struct tree *r = tree_own(t->right);

	t->right = r->left;
	r->left = t;
	size_update(t);
	size_update(r);
	return r;
}

static struct tree *rotate_right(struct tree *t)
{
	struct tree *l = tree_own(t->left);

	t->left = l->right;
	l->right = t;
	size_update(t);
	size_update(l);
	return l;
}

/* Restores the balance of an owned node after one of its subtrees changed by one. */
static struct tree *balance(struct tree *t)
{
	size_update(t);
	if (weight(t->right) > WEIGHT_DELTA * weight(t->left)) {
		if (weight(t->right->left) >= WEIGHT_GAMMA * weight(t->right->right)) {
			t->right = tree_own(t->right);
			t->right = rotate_right(t->right);
		}
		return rotate_left(t);
	}
	if (weight(t->left) > WEIGHT_DELTA * weight(t->right)) {
		if (weight(t->left->right) >= WEIGHT_GAMMA * weight(t->left->left)) {
			t->left = tree_own(t->left);
			t->left = rotate_left(t->left);
		}
		return rotate_right(t);
	}
	return t;
}

uint64_t tree_text_rank(const char *text)
{
	uint64_t rank = 0;
	int left = 8;

	for (; left > 0 && *text; left--)
		rank = rank << 8 | (unsigned char)*text++;
	return left == 8 ? 0 : rank << 8 * left;
}

/* An object on its way into a tree or out of it. */
struct placing {
	const struct tree_order *order;
	const struct object *object;
	uint64_t rank;
};

static struct placing placing_of(const struct tree_order *order, const struct object *o)
{
	return (struct placing){order, o, order->rank ? order->rank(o) : 0};
}

/* On which side of `t` it belongs. */
static int placing_side(const struct placing *p, const struct tree *t)
{
	if (p->rank != t->rank)
		return p->rank < t->rank ? -1 : 1;
	return p->order->compare(p->object, t->object);
}

static struct tree *node_new(const struct placing *p)
{
	struct tree *t = xmalloc(sizeof *t);

	*t = (struct tree){.refs = 1, .size = 1, .object = object_ref(p->object), .rank = p->rank};
	return t;
}

static struct tree *placed_put(struct tree *t, const struct placing *p)
{
	int side;

	if (!t)
		return node_new(p);
	t = tree_own(t);
	side = placing_side(p, t);
	if (side == 0) {
		const struct object *old = t->object;

		t->object = object_ref(p->object);
		object_unref(old);
		return t;
	}
	if (side < 0)
		t->left = placed_put(t->left, p);
	else
		t->right = placed_put(t->right, p);
	return balance(t);
}

struct tree *tree_put(struct tree *t, const struct tree_order *order, const struct object *o)
{
	struct placing p = placing_of(order, o);

	return placed_put(t, &p);
}

/* Takes the smallest node out of a tree; it is returned in *ret_first, owned and alone. */
static struct tree *first_take(struct tree *t, struct tree **ret_first)
{
	struct tree *rest;

	t = tree_own(t);
	if (!t->left) {
		rest = t->right;
		t->right = NULL;
		*ret_first = t;
		return rest;
	}
	t->left = first_take(t->left, ret_first);
	return balance(t);
}

/* Frees an owned node alone and joins its subtrees. */
static struct tree *node_remove(struct tree *t)
{
	struct tree *left = t->left, *right = t->right, *first;

	object_unref(t->object);
	free(t);
	if (!left || !right)
		return left ? left : right;
	right = first_take(right, &first);
	first->left = left;
	first->right = right;
	return balance(first);
}

static struct tree *placed_remove(struct tree *t, const struct placing *p)
{
	int side;

	t = tree_own(t);
	side = placing_side(p, t);
	if (side == 0)
		return node_remove(t);
	if (side < 0)
		t->left = placed_remove(t->left, p);
	else
		t->right = placed_remove(t->right, p);
	return balance(t);
}

struct tree *tree_remove(struct tree *t, const struct tree_order *order, const struct object *o)
{
	struct placing p = placing_of(order, o);
	const struct tree *at = t;

	/* Looked up first: a path must not be copied for nothing. */
	while (at) {
		int side = placing_side(&p, at);

		if (side == 0)
			return placed_remove(t, &p);
		at = side < 0 ? at->left : at->right;
	}
	return t;
}

/* Where a node stands against what is looked for, as a tree_match. */
static int node_side(const struct tree *t, const struct tree_key *key)
{
	if (key->ranked && t->rank != key->rank)
		return t->rank < key->rank ? -1 : 1;
	return key->match(t->object, key->key);
}

const struct object *tree_find(const struct tree *t, const struct tree_key *key)
{
	const struct object *found = NULL;

	while (t) {
		int side = node_side(t, key);

		if (side == 0)
			found = t->object;
		t = side >= 0 ? t->left : t->right;
	}
	return found;
}

/* How many objects come before all that match (`after`: or match). */
static size_t count_before(const struct tree *t, const struct tree_key *key, bool after)
{
	size_t n = 0;

	while (t) {
		int side = node_side(t, key);

		if (side < 0 || (after && side == 0)) {
			n += tree_size(t->left) + 1;
			t = t->right;
		} else {
			t = t->left;
		}
	}
	return n;
}

size_t tree_count(const struct tree *t, const struct tree_key *key)
{
	return count_before(t, key, true) - count_before(t, key, false);
}

static void walk_push_left(struct tree_walk *w, const struct tree *t)
{
	for (; t; t = t->left) {
		assert(w->depth < TREE_DEPTH);
		w->path[w->depth++] = t;
	}
}

void tree_walk_start(struct tree_walk *w, const struct tree *t, const struct tree_key *key)
{
	w->depth = 0;
	w->key = key ? *key : (struct tree_key){0};
	if (!key) {
		walk_push_left(w, t);
		return;
	}
	while (t) {
		if (node_side(t, key) < 0) {
			t = t->right;
		} else {
			assert(w->depth < TREE_DEPTH);
			w->path[w->depth++] = t;
			t = t->left;
		}
	}
}

const struct object *tree_walk_next(struct tree_walk *w)
{
	const struct tree *t;

	if (w->depth == 0)
		return NULL;
	t = w->path[--w->depth];
	if (w->key.match && node_side(t, &w->key) > 0) {
		w->depth = 0;
		return NULL;
	}
	walk_push_left(w, t->right);
	return t->object;
}

void tree_discard(struct tree **garbage, struct tree *t)
{
	if (!t)
		return;
	if (t->refs > 1) {
		t->refs--;
		return;
	}
	/* A tree that waits hangs on the list by its left side; its own left is moved to the right.
	 */
	while (t->left) {
		struct tree *l = t->left;

		if (l->refs > 1) {
			l->refs--;
			t->left = NULL;
			break;
		}
		t->left = l->right;
		l->right = t;
		t = l;
	}
	t->left = *garbage;
	*garbage = t;
}

bool tree_collect(struct tree **garbage, size_t budget)
{
	while (*garbage && budget-- > 0) {
		struct tree *t = *garbage;
		struct tree *right = t->right;

		*garbage = t->left;
		object_unref(t->object);
		free(t);
		tree_discard(garbage, right);
	}
	return *garbage != NULL;
}
