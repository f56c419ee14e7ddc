/*
 * manager/store.h: batches apply whole or not at all, indexes follow, forks and snapshots are apart
 * from the store, and what a snapshot brings back is the same.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/limits.h"
#include "manager/store.h"

#define ID "%025d"

static struct service *service_make(int n, const char *name)
{
	auto_free char *id = xasprintf(ID, n);
	struct service *s = object_new(KIND_SERVICE, id, 1);

	str_set(&s->spec.name, name);
	return s;
}

static struct task *task_make(int n, int service, const char *node)
{
	auto_free char *id = xasprintf(ID, n);
	struct task *t = object_new(KIND_TASK, id, 1);

	t->service = xasprintf(ID, service);
	t->template_version = 1;
	t->node = xstrdup(node);
	return t;
}

static enum store_verdict apply(struct store *s, struct changes *c)
{
	auto_buf bytes = BUF_INIT(1 << 20);
	struct store_result r;
	struct err e = ERR_INIT;

	assert_int_equal(changes_encode(c, &bytes), 0);
	assert_ok(store_apply(s, bytes.p, bytes.len, &r, &e), &e);
	changes_done(c);
	return r.verdict;
}

static struct store *filled(void)
{
	struct store *s = store_new();
	struct changes c;

	changes_init(&c);
	changes_create(&c, &service_make(1, "web")->o);
	changes_create(&c, &service_make(2, "db")->o);
	for (int i = 0; i < 10; i++)
		changes_create(&c, &task_make(100 + i, 1 + i % 2, i < 6 ? "n1" : NULL)->o);
	assert_int_equal(apply(s, &c), STORE_APPLIED);
	return s;
}

static size_t walk_count(struct store_walk *w)
{
	size_t n = 0;

	while (store_walk_next(w))
		n++;
	return n;
}

static void indexes_follow(void **state)
{
	struct store *s = filled();
	auto_free char *web = xasprintf(ID, 1), *id = xasprintf(ID, 100);
	struct store_walk w;
	struct changes c;
	struct task *t;

	assert_int_equal(store_version(s), 1);
	assert_int_equal(store_count(s, KIND_TASK), 10);
	assert_string_equal(store_named(s, KIND_SERVICE, "db")->id + 24, "2");
	assert_null(store_named(s, KIND_NETWORK, "db"));
	store_walk_service_tasks(&w, s, web);
	assert_int_equal(walk_count(&w), 5);
	assert_int_equal(store_service_task_count(s, web), 5);
	assert_int_equal(store_node_task_count(s, "n1"), 6);
	assert_int_equal(store_template_users(s, web, 1), 5);
	assert_int_equal(store_template_users(s, web, 2), 0);

	changes_init(&c);
	t = object_clone(store_get(s, KIND_TASK, id));
	str_set(&t->node, "n2");
	changes_update(&c, store_get(s, KIND_TASK, id), &t->o, 9);
	assert_int_equal(apply(s, &c), STORE_APPLIED);
	assert_int_equal(store_node_task_count(s, "n1"), 5);
	assert_int_equal(store_node_task_count(s, "n2"), 1);
	assert_int_equal(store_task(s, id)->o.version.index, 2);
	assert_int_equal(store_task(s, id)->o.updated, 9);

	changes_delete(&c, store_get(s, KIND_TASK, id));
	assert_int_equal(apply(s, &c), STORE_APPLIED);
	assert_null(store_task(s, id));
	assert_int_equal(store_node_task_count(s, "n2"), 0);
	assert_int_equal(store_service_task_count(s, web), 4);
	store_free(s);
}

static void a_refused_batch_changes_nothing(void **state)
{
	struct store *s = filled();
	auto_free char *web = xasprintf(ID, 1);
	const struct object *old = store_get(s, KIND_SERVICE, web);
	struct service *new;
	struct task *missing;
	struct changes c;

	changes_init(&c);
	changes_create(&c, &service_make(3, "new")->o);
	changes_create(&c, &service_make(4, "web")->o); /* the name is taken */
	assert_int_equal(apply(s, &c), STORE_EXISTS);
	assert_null(store_named(s, KIND_SERVICE, "new"));
	assert_int_equal(store_version(s), 1);

	changes_create(&c, &service_make(1, "other")->o); /* the id is taken */
	assert_int_equal(apply(s, &c), STORE_EXISTS);

	new = object_clone(old);
	str_set(&new->spec.name, "db"); /* a rename onto another */
	changes_update(&c, old, &new->o, 2);
	assert_int_equal(apply(s, &c), STORE_EXISTS);

	new = object_clone(old);
	changes_update(&c, old, &new->o, 2);
	c.v[0].expect = 77;
	assert_int_equal(apply(s, &c), STORE_STALE);

	missing = task_make(999, 1, NULL);
	changes_delete(&c, &missing->o);
	object_free(&missing->o);
	assert_int_equal(apply(s, &c), STORE_MISSING);
	assert_int_equal(store_version(s), 1);
	assert_ptr_equal(store_get(s, KIND_SERVICE, web), old);
	store_free(s);
}

static void a_rename_moves_the_name(void **state)
{
	struct store *s = filled();
	auto_free char *web = xasprintf(ID, 1);
	struct service *new = object_clone(store_get(s, KIND_SERVICE, web));
	struct changes c;

	changes_init(&c);
	str_set(&new->spec.name, "www");
	changes_update(&c, store_get(s, KIND_SERVICE, web), &new->o, 2);
	assert_int_equal(apply(s, &c), STORE_APPLIED);
	assert_null(store_named(s, KIND_SERVICE, "web"));
	assert_string_equal(store_named(s, KIND_SERVICE, "www")->id, web);
	store_free(s);
}

struct told {
	unsigned created, updated, deleted, batches, swaps;
	struct store *store;
};

static void on_changed(void *arg, const struct object *old, const struct object *new)
{
	struct told *t = arg;

	t->created += !old;
	t->deleted += !new;
	t->updated += old && new;
}

static void on_applied(void *arg, uint64_t version, bool swapped)
{
	struct told *t = arg;

	assert_int_equal(version, store_version(t->store));
	t->batches++;
	t->swaps += swapped;
}

static void watchers_hear_of_what_was_applied(void **state)
{
	struct store *s = filled();
	struct told told = {.store = s};
	struct store_watch w = {.changed = on_changed, .applied = on_applied, .arg = &told};
	auto_free char *web = xasprintf(ID, 1), *db = xasprintf(ID, 2);
	struct changes c;

	changes_init(&c);
	store_watch_add(s, &w);
	changes_create(&c, &service_make(5, "five")->o);
	changes_update(&c, store_get(s, KIND_SERVICE, web),
		       object_clone(store_get(s, KIND_SERVICE, web)), 3);
	changes_delete(&c, store_get(s, KIND_SERVICE, db));
	assert_int_equal(apply(s, &c), STORE_APPLIED);
	assert_int_equal(told.created, 1);
	assert_int_equal(told.updated, 1);
	assert_int_equal(told.deleted, 1);
	assert_int_equal(told.batches, 1);
	changes_create(&c, &service_make(5, "again")->o);
	assert_int_equal(apply(s, &c), STORE_EXISTS);
	assert_int_equal(told.batches, 1);
	store_watch_remove(s, &w);
	changes_create(&c, &service_make(6, "six")->o);
	assert_int_equal(apply(s, &c), STORE_APPLIED);
	assert_int_equal(told.batches, 1);
	store_free(s);
}

static void a_fork_is_apart_and_goes_back(void **state)
{
	struct store *s = filled(), *fork = store_fork(s);
	auto_free char *web = xasprintf(ID, 1), *three = xasprintf(ID, 3);
	struct store_result r;
	struct changes c;
	struct service *again;

	changes_init(&c);
	changes_create(&c, &service_make(3, "three")->o);
	store_stage(fork, &c, 0, &r);
	assert_int_equal(r.verdict, STORE_APPLIED);
	assert_int_equal(r.version, 2);
	assert_non_null(store_service(fork, three));
	assert_null(store_service(s, three));
	/* a later builder of the same entry changes what an earlier one made */
	store_mark(fork);
	again = object_clone(store_get(fork, KIND_SERVICE, three));
	again->spec_version = 8;
	changes_update(&c, store_get(fork, KIND_SERVICE, three), &again->o, 4);
	store_stage(fork, &c, 1, &r);
	assert_int_equal(r.verdict, STORE_APPLIED);
	/* the next fails and is taken back alone */
	store_mark(fork);
	changes_create(&c, &service_make(7, "web")->o);
	store_stage(fork, &c, 2, &r);
	assert_int_equal(r.verdict, STORE_EXISTS);
	assert_int_equal(r.change, 2);
	changes_truncate(&c, 2);
	store_rewind(fork);
	assert_int_equal(store_service(fork, three)->spec_version, 8);
	assert_int_equal(apply(s, &c),
			 STORE_APPLIED); /* both changes, with the versions foreseen */
	assert_int_equal(store_service(s, three)->spec_version, 8);
	assert_non_null(store_service(s, web));
	store_free(fork);
	store_free(s);
}

static int to_buf(void *arg, const void *p, size_t n)
{
	return buf_add(arg, p, n);
}

static void snapshot(struct store *s, struct buf *ret)
{
	struct store_pin *pin = store_pin(s);

	assert_int_equal(store_pin_encode(pin, to_buf, ret), 0);
	store_unpin(s, pin);
}

static void a_snapshot_is_of_its_moment_and_comes_back(void **state)
{
	struct store *s = filled(), *other = store_new();
	struct store_pin *pin = store_pin(s);
	struct told told = {.store = other};
	struct store_watch w = {.applied = on_applied, .arg = &told};
	auto_buf bytes = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	auto_free char *web = xasprintf(ID, 1);
	struct err e = ERR_INIT;
	struct changes c;

	changes_init(&c);
	changes_delete(&c, store_get(s, KIND_SERVICE, web));
	assert_int_equal(apply(s, &c), STORE_APPLIED);
	assert_int_equal(store_pin_encode(pin, to_buf, &bytes), 0);
	assert_int_equal(store_pin_version(pin), 1);
	store_unpin(s, pin);
	store_watch_add(other, &w);
	for (size_t step = 1; step < 200; step += 13) {
		struct store_load *l = store_load_new();

		for (size_t at = 0; at < bytes.len; at += step)
			assert_ok(
				store_load_feed(l, bytes.p + at, MIN_OF(step, bytes.len - at), &e),
				&e);
		assert_ok(store_load_finish(l, &e), &e);
		store_swap(other, l);
		store_load_free(l);
	}
	assert_int_equal(told.swaps, told.batches);
	assert_int_equal(store_version(other), 1);
	assert_non_null(store_service(other, web));
	assert_int_equal(store_service(other, web)->o.version.index, 1);
	assert_int_equal(store_node_task_count(other, "n1"), 6);
	snapshot(other, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.p, bytes.p, bytes.len);
	store_free(s);
	store_free(other);
}

/* Larger than what a load may hold back, and fed in one piece, as raft does. */
static void a_large_snapshot_comes_back_in_one_piece(void **state)
{
	struct store *s = store_new(), *other = store_new();
	struct store_load *l = store_load_new();
	auto_buf bytes = BUF_INIT(LIMIT_SNAPSHOT);
	auto_free char *long_text = xcalloc(1, 1 << 20);
	struct store_result r;
	struct err e = ERR_INIT;
	struct changes c;

	memset(long_text, 'x', (1 << 20) - 1);
	changes_init(&c);
	for (int i = 0; i < 20; i++) {
		auto_free char *name = xasprintf("web%d", i);
		struct service *svc = service_make(i, name);

		strmap_set(&svc->spec.labels, "long", long_text);
		changes_create(&c, &svc->o);
	}
	store_apply_changes(s, &c, &r);
	changes_done(&c);
	snapshot(s, &bytes);
	assert_true(bytes.len > 20u << 20);
	assert_ok(store_load_feed(l, bytes.p, bytes.len, &e), &e);
	assert_ok(store_load_finish(l, &e), &e);
	store_swap(other, l);
	store_load_free(l);
	assert_int_equal(store_count(other, KIND_SERVICE), 20);
	store_free(s);
	store_free(other);
}

static void a_damaged_snapshot_is_refused(void **state)
{
	struct store *s = filled();
	auto_buf bytes = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	snapshot(s, &bytes);
	for (size_t n = 0; n < bytes.len; n++) {
		struct store_load *l = store_load_new();

		if (store_load_feed(l, bytes.p, n, &e) == 0)
			assert_int_equal(store_load_finish(l, &e), -EBADMSG);
		store_load_free(l);
	}
	for (size_t i = 0; i < bytes.len; i++) { /* no crash, no leak */
		auto_free char *bad = xmemdup(bytes.p, bytes.len);
		struct store_load *l = store_load_new();

		bad[i] = (char)(bad[i] ^ (1 << i % 8));
		(void)store_load_feed(l, bad, bytes.len, &e);
		store_load_free(l);
	}
	store_free(s);
}

static void damaged_batches_are_refused(void **state)
{
	struct store *s = filled();
	auto_buf bytes = BUF_INIT(1 << 20);
	struct store_result r;
	struct changes c;
	struct err e = ERR_INIT;

	changes_init(&c);
	changes_create(&c, &service_make(3, "new")->o);
	changes_create(&c, &task_make(300, 3, NULL)->o);
	assert_int_equal(changes_encode(&c, &bytes), 0);
	changes_done(&c);
	for (size_t n = 0; n < bytes.len; n++) {
		int rc = store_apply(s, bytes.p, n, &r, &e);

		assert_true(rc == -EBADMSG || (rc == 0 && n > 0));
	}
	for (size_t i = 0; i < bytes.len; i++) {
		auto_free char *bad = xmemdup(bytes.p, bytes.len);

		bad[i] = (char)(bad[i] ^ (1 << i % 8));
		(void)store_apply(s, bad, bytes.len, &r, &e);
	}
	store_free(s);
}

static void a_batch_has_a_bound(void **state)
{
	struct changes c;
	int n = 0;

	changes_init(&c);
	for (; changes_fit(&c); n++)
		changes_create(&c, &task_make(n, 1, "some-node")->o);
	{
		auto_buf bytes = BUF_INIT(LIMIT_ENTRY);

		assert_int_equal(changes_encode(&c, &bytes), 0);
		assert_true(n == LIMIT_BATCH || c.bytes > LIMIT_ENTRY / 2);
		assert_true(c.bytes >= bytes.len);
	}
	changes_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(indexes_follow),
		TEST(a_refused_batch_changes_nothing),
		TEST(a_rename_moves_the_name),
		TEST(watchers_hear_of_what_was_applied),
		TEST(a_fork_is_apart_and_goes_back),
		TEST(a_snapshot_is_of_its_moment_and_comes_back),
		TEST(a_large_snapshot_comes_back_in_one_piece),
		TEST(a_damaged_snapshot_is_refused),
		TEST(damaged_batches_are_refused),
		TEST(a_batch_has_a_bound),
	};

	return RUN_TESTS(tests);
}
