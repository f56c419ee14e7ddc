/*
 * manager/tree.h against a plain sorted array: thousands of random changes with versions kept, each
 * of which must stay as it was.
 */
#include "unit/test.h"

#include <stdio.h>

#include "base/mem.h"
#include "manager/tree.h"

#define KEYS 300
#define ROUNDS 4000
#define KEPT 16

static struct object *pool[KEYS];

static int by_id(const struct object *a, const struct object *b)
{
	return strcmp(a->id, b->id);
}

static uint64_t id_rank(const struct object *o)
{
	return tree_text_rank(o->id);
}

static const struct tree_order order = {by_id, id_rank};

static int prefix(const struct object *o, const void *key)
{
	return strncmp(o->id, key, strlen(key));
}

/* Checks order, sizes and balance; returns the height. */
static unsigned check(const struct tree *t)
{
	unsigned l, r;
	size_t wl, wr;

	if (!t)
		return 0;
	l = check(t->left);
	r = check(t->right);
	wl = tree_size(t->left) + 1;
	wr = tree_size(t->right) + 1;
	assert_int_equal(t->size, wl + wr - 1);
	assert_true(wl <= 3 * wr && wr <= 3 * wl);
	assert_true(!t->left || by_id(t->left->object, t->object) < 0);
	assert_true(!t->right || by_id(t->right->object, t->object) > 0);
	return 1 + (l > r ? l : r);
}

static void assert_is(const struct tree *t, const bool *have)
{
	struct tree_walk w;
	const struct object *o;
	size_t i = 0, n = 0;

	(void)check(t);
	tree_walk_start(&w, t, NULL);
	while ((o = tree_walk_next(&w))) {
		while (!have[i])
			i++;
		assert_ptr_equal(o, pool[i++]);
		n++;
	}
	while (i < KEYS)
		assert_false(have[i++]);
	assert_int_equal(n, tree_size(t));
}

static void versions_stay_as_they_were(void **state)
{
	struct tree *now = NULL, *kept[KEPT] = {0}, *garbage = NULL;
	static bool have[KEYS], had[KEPT][KEYS];
	uint32_t seed = 7;

	for (size_t i = 0; i < KEYS; i++) {
		char id[16];

		(void)snprintf(id, sizeof id, "k%04zu", i);
		pool[i] = object_new(KIND_NODE, id, 0);
	}
	for (size_t round = 0; round < ROUNDS; round++) {
		size_t k, slot;

		seed = seed * 1664525 + 1013904223;
		k = (seed >> 8) % KEYS;
		slot = (seed >> 20) % KEPT;
		if ((seed >> 28) % 2) {
			now = tree_put(now, &order, pool[k]);
			have[k] = true;
		} else {
			now = tree_remove(now, &order, pool[k]);
			have[k] = false;
		}
		if (round % 7 == 0) {
			if (kept[slot])
				assert_is(kept[slot], had[slot]);
			if (round % 2)
				tree_unref(kept[slot]);
			else
				tree_discard(&garbage, kept[slot]);
			kept[slot] = tree_ref(now);
			memcpy(had[slot], have, sizeof have);
			(void)tree_collect(&garbage, 5);
		}
		if (round % 50 == 0)
			assert_is(now, have);
	}
	for (size_t i = 0; i < KEPT; i++) {
		assert_is(kept[i], had[i]);
		tree_discard(&garbage, kept[i]);
	}
	tree_unref(now);
	while (tree_collect(&garbage, 3))
		;
	for (size_t i = 0; i < KEYS; i++) {
		assert_int_equal(pool[i]->refs, 1); /* nothing holds it any more */
		object_unref(pool[i]);
	}
}

static void ranges(void **state)
{
	const struct tree_key b = {.match = prefix, .key = "b"}, d = {.match = prefix, .key = "d"},
			      none = {.match = prefix, .key = "A"};
	struct tree_key one = {.match = prefix, .key = "c0002", .ranked = true};
	struct tree *t = NULL;
	struct tree_walk w;
	size_t n = 0;

	for (size_t i = 0; i < KEYS; i++) {
		char id[16];

		(void)snprintf(id, sizeof id, "%c%04zu", (char)('a' + i % 3), i);
		pool[i] = object_new(KIND_NODE, id, 0);
		t = tree_put(t, &order, pool[i]);
	}
	assert_int_equal(tree_count(t, &b), KEYS / 3);
	assert_int_equal(tree_count(t, &d), 0);
	assert_string_equal(tree_find(t, &b)->id, "b0001");
	assert_null(tree_find(t, &none));
	one.rank = tree_text_rank("c0002");
	assert_string_equal(tree_find(t, &one)->id, "c0002");
	assert_int_equal(tree_count(t, &one), 1);
	tree_walk_start(&w, t, &b);
	for (const struct object *o; (o = tree_walk_next(&w)); n++)
		assert_int_equal(o->id[0], 'b');
	assert_int_equal(n, KEYS / 3);
	tree_unref(t);
	for (size_t i = 0; i < KEYS; i++)
		object_unref(pool[i]);
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void ranks_agree_with_texts(void **state)
{
	static const char *const texts[] = {"",
					    "a",
					    "a\x01",
					    "ab",
					    "abcdefg",
					    "abcdefgh",
					    "abcdefghi",
					    "abcdefgz",
					    "\x7f",
					    "\xc3\xa4",
					    "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
					    "0123456789"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (size_t j = 0; j < ARRAY_LEN(texts); j++) {
			uint64_t a = tree_text_rank(texts[i]), b = tree_text_rank(texts[j]);
			int ranked = a < b ? -1 : a > b;

			if (ranked)
				assert_int_equal(ranked, sign(strcmp(texts[i], texts[j])));
			else
				assert_int_equal(strncmp(texts[i], texts[j], 8), 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(versions_stay_as_they_were),
		TEST(ranges),
		TEST(ranks_agree_with_texts),
	};

	return RUN_TESTS(tests);
}
