/*
 * manager/history.h and api/watch.h: what was listed and the changes since then make what is there
 * now, whatever happens and wherever a follower stops and goes on, each change once; what is
 * forgotten is said to be; nothing secret is in it; bounds.
 */
#include "unit/test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/watch.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/secret.h"

#define OBJECTS 40
#define SECRET_BYTES "c2VjcmV0" /* base64 of what the secrets here hold */

static unsigned seed;

static unsigned draw(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* ---- Random changes ---- */

static const enum object_kind kinds[] = {KIND_SERVICE, KIND_TEMPLATE, KIND_TASK,   KIND_NODE,
					 KIND_NETWORK, KIND_SECRET,   KIND_CONFIG, KIND_CLUSTER};

static void object_fill(struct object *o, unsigned n)
{
	auto_free char *name = xasprintf("n%s", o->id + 20);

	switch (o->kind) {
	case KIND_SERVICE:
		str_set(&((struct service *)o)->spec.name, name);
		break;
	case KIND_TASK:
		((struct task *)o)->slot = n;
		if (!((struct task *)o)->service)
			((struct task *)o)->service = xasprintf("%025u", n % 3);
		break;
	case KIND_NETWORK:
		str_set(&((struct network *)o)->spec.name, name);
		break;
	case KIND_SECRET:
	case KIND_CONFIG:
		str_set(&((struct secret *)o)->spec.name, name);
		if (!((struct secret *)o)->spec.data.n)
			((struct secret *)o)->spec.data = (struct bytes){xmemdup("secret", 6), 6};
		break;
	default:
		break;
	}
}

static void change_one(struct store *s, struct changes *c, unsigned n)
{
	enum object_kind kind = kinds[draw(ARRAY_LEN(kinds))];
	auto_free char *id = kind == KIND_CLUSTER    ? xasprintf("%025u", 999u)
			     : kind == KIND_TEMPLATE ? xasprintf("%025u.1", n)
						     : xasprintf("%025u", n);
	const struct object *old = store_get(s, kind, id);
	struct object *new;

	if (old && kind != KIND_CLUSTER && draw(3) == 0) {
		changes_delete(c, old);
		return;
	}
	new = old ? object_clone(old) : object_new(kind, id, 1);
	object_fill(new, n);
	if (old && draw(5) == 0 && kind == KIND_NETWORK)
		((struct network *)new)->pending_delete = true;
	if (old && draw(5) == 0 && kind == KIND_SERVICE)
		((struct service *)new)->pending_delete = true;
	if (old)
		changes_update(c, old, new, 2);
	else
		changes_create(c, new);
}

/* One batch, of objects that are all different. */
static void change_some(struct store *s)
{
	struct store_result r;
	struct changes c;
	unsigned n = 1 + draw(5), first = draw(OBJECTS);

	changes_init(&c);
	for (unsigned i = 0; i < n; i++)
		change_one(s, &c, (first + i) % OBJECTS);
	store_apply_changes(s, &c, &r);
	changes_done(&c);
}

/* ---- What a follower knows: "kind/id" to the version ---- */

struct known {
	struct strmap objects;
	uint64_t version;
	uint64_t last; /* of the last line, and whether its version was over */
	bool over, ended;
};

static void list(const struct store *s, struct known *k)
{
	strmap_done(&k->objects);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct object *o;
		struct store_walk w;

		if (kinds[i] == KIND_TEMPLATE || kinds[i] == KIND_CLUSTER)
			continue;
		store_walk_kind(&w, s, kinds[i]);
		while ((o = store_walk_next(&w))) {
			auto_free char *key = xasprintf("%s/%s", object_kind_name(o->kind), o->id);
			auto_free char *version = xasprintf("%" PRIu64, o->version.index);

			if (!object_is_going(o))
				strmap_set(&k->objects, key, version);
		}
	}
	k->version = k->last = store_version(s);
	k->over = true;
}

static const char *text_of(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	return text ? text : "";
}

static void line_take(struct known *k, const json_t *line)
{
	uint64_t version = (uint64_t)json_integer_value(json_object_get(line, "version"));
	const json_t *object = json_object_get(line, "object");
	const char *action = text_of(line, "action");
	auto_free char *key = xasprintf("%s/%s", text_of(line, "kind"), text_of(line, "id"));
	auto_free char *text = xasprintf("%" PRIu64, version);
	bool has = strmap_get(&k->objects, key) != NULL;

	if (strcmp(action, "progress") == 0 || strcmp(action, "error") == 0) {
		assert_true(version >= k->version);
		k->version = k->last = version;
		k->ended = action[0] == 'e';
		return;
	}
	/* Never one that was before, and no version is left before its last line. */
	assert_true(k->over ? version > k->last : version == k->last);
	k->last = version;
	k->over = json_is_true(json_object_get(line, "last"));
	if (k->over)
		k->version = version;
	assert_true(has == (strcmp(action, "create") != 0));
	if (strcmp(action, "remove") == 0) {
		strmap_remove(&k->objects, key);
		return;
	}
	strmap_set(&k->objects, key, text);
	if (strcmp(text_of(line, "kind"), "network") == 0)
		return; /* the API shows no version of these */
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(object, "Version"), "Index")),
		version);
}

static void take(struct known *k, struct buf *lines)
{
	char *at = lines->p, *line;

	assert_null(strstr(buf_text(lines), SECRET_BYTES));
	while (lines->len && (line = strsep(&at, "\n"))) {
		json_t *v = *line ? json_loads(line, 0, NULL) : NULL;

		if (!*line)
			continue;
		assert_non_null(v);
		line_take(k, v);
		json_decref(v);
	}
	buf_reset(lines);
}

static void same(const struct store *s, const struct known *k)
{
	struct known now = {0};

	list(s, &now);
	assert_int_equal(now.objects.n, k->objects.n);
	for (size_t i = 0; i < now.objects.n; i++) {
		assert_string_equal(now.objects.v[i].key, k->objects.v[i].key);
		assert_string_equal(now.objects.v[i].value, k->objects.v[i].value);
	}
	assert_true(k->version <= now.version);
	strmap_done(&now.objects);
}

static void begin(struct watcher *w, const struct store *s, const struct history *h,
		  struct known *k)
{
	struct buf lines = BUF_INIT(1u << 20);
	struct filters none = {0};
	struct err e = ERR_INIT;

	assert_ok(watcher_begin(w, s, h, k->version, &none, &lines, &e), &e);
	take(k, &lines);
	buf_done(&lines);
}

/* ---- Tests ---- */

/* Stops anywhere, also within a version, goes on from the last that was whole. */
static void listed_and_watched_is_what_is_there(void **state)
{
	(void)state;
	for (seed = 1; seed < 60; seed++) {
		unsigned begun = seed;
		struct store *s = store_new();
		struct history *h = history_new(s);
		struct buf lines = BUF_INIT(8u << 20);
		struct known k = {0};
		struct watcher w;

		for (unsigned i = draw(50); i > 0; i--)
			change_some(s);
		list(s, &k);
		begin(&w, s, h, &k);
		for (unsigned i = 0; i < 300; i++) {
			change_some(s);
			if (draw(4) == 0)
				(void)watcher_lines(&w, 1 + draw(2000), &lines);
			take(&k, &lines);
			if (draw(10) != 0)
				continue;
			/* What of a version was not whole comes once more. */
			if (!k.over) {
				list(s, &k);
			} else {
				k.last = k.version;
			}
			watcher_done(&w);
			begin(&w, s, h, &k);
		}
		while (watcher_lines(&w, 1u << 20, &lines))
			;
		take(&k, &lines);
		same(s, &k);
		assert_int_equal(w.done, store_version(s));
		watcher_done(&w);
		strmap_done(&k.objects);
		buf_done(&lines);
		history_free(h);
		store_free(s);
		seed = begun;
	}
}

struct hearing {
	struct history_follower f;
	unsigned news, lost;
};

static void on_news(void *arg)
{
	((struct hearing *)arg)->news++;
}

static void on_lost(void *arg, const char *why)
{
	assert_non_null(why);
	((struct hearing *)arg)->lost++;
}

static void what_is_forgotten(void **state)
{
	struct store *s = store_new();
	struct history *h = history_new(s);
	struct buf lines = BUF_INIT(64u << 20);
	struct known k = {0};
	struct err e = ERR_INIT;
	struct filters none = {0};
	struct watcher w, other;
	uint64_t place;

	(void)state;
	seed = 7;
	change_some(s);
	list(s, &k);
	begin(&w, s, h, &k);
	assert_int_equal(history_find(h, 0, &place, &e), 0);
	while (!history_is_behind(h, w.place))
		change_some(s);
	/* Told in time: nothing that it needs is gone, and it may go on from where it is. */
	assert_true(history_end(h) > LIMIT_WATCH_CHANGES);
	assert_non_null(history_at(h, w.place));
	assert_int_equal(history_find(h, 0, &place, &e), -EOVERFLOW);
	assert_non_null(strstr(e.msg, "list again"));
	assert_int_equal(watcher_begin(&other, s, h, history_oldest(h) - 1, &none, &lines, &e),
			 -EOVERFLOW);
	k.version = k.last = history_oldest(h);
	list(s, &k);
	begin(&other, s, h, &k);
	change_some(s);
	(void)watcher_lines(&other, 1u << 20, &lines);
	watcher_end(&other, "enough", &lines);
	take(&k, &lines);
	assert_true(k.ended);
	same(s, &k);
	watcher_done(&w);
	watcher_done(&other);
	strmap_done(&k.objects);
	buf_done(&lines);
	history_free(h);
	store_free(s);
}

/* Large objects are forgotten by their bytes, long before their number. */
static void bounded_in_bytes(void **state)
{
	struct store *s = store_new();
	struct history *h = history_new(s);
	auto_free char *large = xmalloc(1u << 20);
	struct err e = ERR_INIT;
	uint64_t place;

	(void)state;
	memset(large, 'x', (1u << 20) - 1);
	large[(1u << 20) - 1] = 0;
	/* A change of one takes its megabyte and a little: 15 of them are within LIMIT_WATCH_BYTES.
	 */
	assert_int_equal(LIMIT_WATCH_BYTES >> 20, 16);
	for (unsigned i = 0; i < 40; i++) {
		struct service *svc = object_new(KIND_SERVICE, "0000000000000000000000001", 1);
		const struct object *old = store_get(s, KIND_SERVICE, svc->o.id);
		struct store_result r;
		struct changes c;

		changes_init(&c);
		str_set(&svc->spec.name, "web");
		strmap_set(&svc->spec.labels, "much", large);
		if (old)
			changes_update(&c, old, &svc->o, 1);
		else
			changes_create(&c, &svc->o);
		store_apply_changes(s, &c, &r);
		assert_int_equal(r.verdict, STORE_APPLIED);
		changes_done(&c);
	}
	assert_int_equal(history_end(h), 40);
	assert_int_equal(history_find(h, 20, &place, &e), -EOVERFLOW);
	assert_int_equal(history_find(h, 23, &place, &e), -EOVERFLOW);
	assert_int_equal(history_find(h, 24, &place, &e), 0);
	assert_int_equal(place, 24);
	history_free(h);
	store_free(s);
}

static void large_add(struct changes *c, unsigned n, const char *large)
{
	auto_free char *id = xasprintf("%025u", n);
	struct service *svc = object_new(KIND_SERVICE, id, 1);

	svc->spec.name = xasprintf("web%u", n);
	strmap_set(&svc->spec.labels, "much", large);
	changes_create(c, &svc->o);
}

/* A batch that removes more than is remembered: what it has forgotten of itself is gone as well. */
static void a_batch_beyond_the_bound(void **state)
{
	enum { SERVICES = 20 };
	struct store *s = store_new();
	struct history *h = history_new(s);
	auto_free char *large = xmalloc(1u << 20);
	struct err e = ERR_INIT;
	struct store_result r;
	struct changes c;
	uint64_t place;

	(void)state;
	memset(large, 'x', (1u << 20) - 1);
	large[(1u << 20) - 1] = 0;
	for (unsigned i = 0; i < SERVICES; i++) {
		changes_init(&c);
		large_add(&c, i, large);
		store_apply_changes(s, &c, &r);
		changes_done(&c);
	}
	changes_init(&c);
	for (unsigned i = 0; i < SERVICES; i++) {
		auto_free char *id = xasprintf("%025u", i);

		changes_delete(&c, store_get(s, KIND_SERVICE, id));
	}
	store_apply_changes(s, &c, &r);
	assert_int_equal(r.verdict, STORE_APPLIED);
	changes_done(&c);
	assert_int_equal(history_oldest(h), SERVICES + 1);
	assert_int_equal(history_find(h, SERVICES, &place, &e), -EOVERFLOW);
	assert_int_equal(history_find(h, SERVICES + 1, &place, &e), 0);
	assert_int_equal(place, history_end(h));
	history_free(h);
	store_free(s);
}

static int load_feed(void *arg, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	return store_load_feed(arg, p, n, &e);
}

/* After a snapshot nothing of before is known; those who follow are told, once. */
static void a_snapshot(void **state)
{
	struct store *s = store_new(), *t = store_new();
	struct history *h = history_new(s);
	struct hearing hearing = {.f = {.news = on_news, .lost = on_lost, .arg = &hearing}};
	struct store_load *load = store_load_new();
	struct store_pin *pin;
	struct err e = ERR_INIT;
	uint64_t place;

	(void)state;
	seed = 11;
	history_follow(h, &hearing.f);
	change_some(s);
	assert_int_equal(hearing.news, 1);
	for (int i = 0; i < 10; i++)
		change_some(t);
	pin = store_pin(t);
	assert_int_equal(store_pin_encode(pin, load_feed, load), 0);
	store_unpin(t, pin);
	assert_ok(store_load_finish(load, &e), &e);
	store_swap(s, load);
	store_load_free(load);
	assert_int_equal(hearing.lost, 1);
	assert_int_equal(history_version(h), 10);
	assert_int_equal(history_find(h, 9, &place, &e), -EOVERFLOW);
	assert_int_equal(history_find(h, 10, &place, &e), 0);
	change_some(s);
	assert_int_equal(hearing.news, 2);
	assert_int_equal(history_at(h, place)->version, 11);
	history_free(h);
	assert_int_equal(hearing.lost, 2);
	store_free(s);
	store_free(t);
}

/* Filters leave lines out; that time goes on is said from time to time. */
static void filters_and_progress(void **state)
{
	struct store *s = store_new();
	struct history *h = history_new(s);
	struct buf lines = BUF_INIT(64u << 20);
	struct filters f = {0};
	struct err e = ERR_INIT;
	struct watcher w;

	(void)state;
	seed = 13;
	assert_int_equal(filters_parse("{\"kind\":[\"cluster\"]}", watch_filter_keys, &f, &e), 0);
	assert_int_equal(watch_filters_check(&f, &e), -EINVAL);
	filters_done(&f);
	assert_ok(filters_parse("{\"kind\":[\"task\"],\"service\":[\"0000000000000000000000001\"]}",
				watch_filter_keys, &f, &e),
		  &e);
	assert_ok(watch_filters_check(&f, &e), &e);
	assert_ok(watcher_begin(&w, s, h, 0, &f, &lines, &e), &e);
	for (int i = 0; i < 500; i++)
		change_some(s);
	while (watcher_lines(&w, 32u << 20, &lines))
		;
	assert_non_null(strstr(buf_text(&lines), "\"kind\":\"task\""));
	assert_null(strstr(buf_text(&lines), "\"kind\":\"service\""));
	assert_null(strstr(buf_text(&lines), "\"ServiceID\":\"0000000000000000000000002\""));
	watcher_done(&w);
	assert_ok(filters_parse("{\"id\":[\"zzz\"]}", watch_filter_keys, &f, &e), &e);
	assert_ok(watcher_begin(&w, s, h, store_version(s), &f, &lines, &e), &e);
	buf_reset(&lines);
	for (int i = 0; i < 3000; i++) {
		change_some(s);
		(void)watcher_lines(&w, 1u << 20, &lines);
	}
	assert_non_null(strstr(buf_text(&lines), "\"action\":\"progress\""));
	assert_null(strstr(buf_text(&lines), "\"kind\""));
	watcher_done(&w);
	buf_done(&lines);
	history_free(h);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(listed_and_watched_is_what_is_there),
		TEST(what_is_forgotten),
		TEST(bounded_in_bytes),
		TEST(a_batch_beyond_the_bound),
		TEST(a_snapshot),
		TEST(filters_and_progress),
	};

	return RUN_TESTS(tests);
}
