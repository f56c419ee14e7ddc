/*
 * The store's trees: finding, walking, forking. See store.h.
 */
#include "manager/store.h"

#include <string.h>

#include "base/mem.h"
#include "manager/store_impl.h"

#define COLLECT_BUDGET 4000 /* nodes freed a turn: well below a millisecond */

struct name_key {
	enum object_kind kind;
	const char *name;
};

/* Orders and matches. A match gives the object's place against the key. */

static int compare_id(const struct object *a, const struct object *b)
{
	return strcmp(a->id, b->id);
}

static uint64_t rank_id(const struct object *o)
{
	return tree_text_rank(o->id);
}

static const struct tree_order order_id = {compare_id, rank_id};

static int match_id(const struct object *o, const void *key)
{
	return strcmp(o->id, key);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* By kind first, so that only seven characters of the name are left. */
static uint64_t rank_name(enum object_kind kind, const char *name)
{
	return (uint64_t)kind << 56 | tree_text_rank(name) >> 8;
}

static uint64_t rank_of_name(const struct object *o)
{
	return rank_name(o->kind, object_name(o));
}

static int compare_name(const struct object *a, const struct object *b)
{
	int by_kind = compare_u64(a->kind, b->kind);

	return by_kind ? by_kind : strcmp(object_name(a), object_name(b));
}

static const struct tree_order order_name = {compare_name, rank_of_name};

static int match_name(const struct object *o, const void *key)
{
	const struct name_key *k = key;
	int by_kind = compare_u64(o->kind, k->kind);

	return by_kind ? by_kind : strcmp(object_name(o), k->name);
}

static uint64_t rank_service(const struct object *o)
{
	return tree_text_rank(((const struct task *)o)->service);
}

static int compare_service_task(const struct object *a, const struct object *b)
{
	const struct task *x = (const struct task *)a, *y = (const struct task *)b;
	int by_service = strcmp(x->service, y->service);
	int by_version = compare_u64(x->template_version, y->template_version);

	return by_service ? by_service : by_version ? by_version : strcmp(a->id, b->id);
}

static const struct tree_order order_service_task = {compare_service_task, rank_service};

static int match_service_task(const struct object *o, const void *key)
{
	return strcmp(((const struct task *)o)->service, ((const struct store_key *)key)->id);
}

static int match_template_task(const struct object *o, const void *key)
{
	const struct task *t = (const struct task *)o;
	const struct store_key *k = key;
	int by_service = strcmp(t->service, k->id);

	return by_service ? by_service : compare_u64(t->template_version, k->version);
}

static uint64_t rank_node(const struct object *o)
{
	return tree_text_rank(((const struct task *)o)->node);
}

static int compare_node_task(const struct object *a, const struct object *b)
{
	int by_node = strcmp(((const struct task *)a)->node, ((const struct task *)b)->node);

	return by_node ? by_node : strcmp(a->id, b->id);
}

static const struct tree_order order_node_task = {compare_node_task, rank_node};

static int match_node_task(const struct object *o, const void *key)
{
	return strcmp(((const struct task *)o)->node, ((const struct store_key *)key)->id);
}

/* Templates have ids "SERVICE.VERSION": those of a service share a prefix. */
static int match_template_prefix(const struct object *o, const void *key)
{
	const char *service = ((const struct store_key *)key)->id;
	size_t n = strlen(service);
	int by_service = strncmp(o->id, service, n);

	return by_service ? by_service : compare_u64((unsigned char)o->id[n], '.');
}

/* Which trees besides its kind's an object belongs to. */
static bool has_name(const struct object *o)
{
	return o && object_name(o);
}

static bool has_service(const struct object *o)
{
	return o && o->kind == KIND_TASK && ((const struct task *)o)->service;
}

static bool has_node(const struct object *o)
{
	return o && o->kind == KIND_TASK && ((const struct task *)o)->node;
}

static void tree_change(struct tree **t, const struct tree_order *order,
			bool (*belongs)(const struct object *), const struct object *old,
			const struct object *new)
{
	bool was = belongs(old), is = belongs(new);

	if (was && (!is || order->compare(old, new) != 0))
		*t = tree_remove(*t, order, old);
	if (is)
		*t = tree_put(*t, order, new);
}

void store_roots_put(struct store_roots *r, const struct object *old, const struct object *new)
{
	struct tree **kind = &r->kinds[old ? old->kind : new->kind];

	object_ref(old); /* the trees may hold the last ones while it is still compared with */
	tree_change(&r->names, &order_name, has_name, old, new);
	tree_change(&r->service_tasks, &order_service_task, has_service, old, new);
	tree_change(&r->node_tasks, &order_node_task, has_node, old, new);
	if (new)
		*kind = tree_put(*kind, &order_id, new);
	else
		*kind = tree_remove(*kind, &order_id, old);
	object_unref(old);
}

struct store_roots store_roots_ref(const struct store_roots *r)
{
	for (size_t i = 0; i < KIND_LIMIT; i++)
		tree_ref(r->kinds[i]);
	tree_ref(r->names);
	tree_ref(r->service_tasks);
	tree_ref(r->node_tasks);
	return *r;
}

void store_roots_unref(struct store_roots *r)
{
	for (size_t i = 0; i < KIND_LIMIT; i++)
		tree_unref(r->kinds[i]);
	tree_unref(r->names);
	tree_unref(r->service_tasks);
	tree_unref(r->node_tasks);
	*r = (struct store_roots){0};
}

void store_roots_discard(struct store_roots *r, struct tree **garbage)
{
	for (size_t i = 0; i < KIND_LIMIT; i++)
		tree_discard(garbage, r->kinds[i]);
	tree_discard(garbage, r->names);
	tree_discard(garbage, r->service_tasks);
	tree_discard(garbage, r->node_tasks);
	*r = (struct store_roots){0};
}

struct store *store_new(void)
{
	return xcalloc(1, sizeof(struct store));
}

void store_free(struct store *s)
{
	if (!s)
		return;
	store_roots_unref(&s->now);
	store_roots_unref(&s->mark);
	while (store_collect(s))
		;
	free(s);
}

bool store_collect(struct store *s)
{
	return tree_collect(&s->garbage, COLLECT_BUDGET);
}

uint64_t store_version(const struct store *s)
{
	return s->now.version;
}

const struct object *store_get(const struct store *s, enum object_kind kind, const char *id)
{
	struct tree_key key = {.match = match_id, .key = id, .ranked = true};

	if (!id)
		return NULL;
	key.rank = tree_text_rank(id);
	return tree_find(s->now.kinds[kind], &key);
}

const struct object *store_named(const struct store *s, enum object_kind kind, const char *name)
{
	struct name_key wanted = {kind, name};
	struct tree_key key = {.match = match_name, .key = &wanted, .ranked = true};

	if (!name)
		return NULL;
	key.rank = rank_name(kind, name);
	return tree_find(s->now.names, &key);
}

size_t store_count(const struct store *s, enum object_kind kind)
{
	return tree_size(s->now.kinds[kind]);
}

const struct template *store_template(const struct store *s, const char *service,
				      uint64_t template_version)
{
	char id[TEMPLATE_ID_MAX];

	template_id(service, template_version, id);
	return (const struct template *)store_get(s, KIND_TEMPLATE, id);
}

void store_walk_kind(struct store_walk *w, const struct store *s, enum object_kind kind)
{
	tree_walk_start(&w->tree, s->now.kinds[kind], NULL);
}

static int match_after(const struct object *o, const void *key)
{
	return strcmp(o->id, ((const struct store_key *)key)->id) <= 0 ? -1 : 0;
}

void store_walk_kind_after(struct store_walk *w, const struct store *s, enum object_kind kind,
			   const char *id)
{
	w->key = (struct store_key){.id = id};
	tree_walk_start(&w->tree, s->now.kinds[kind],
			&(struct tree_key){.match = match_after, .key = &w->key});
	w->tree.key.match = NULL; /* what follows is behind it too */
}

/* Of an index whose rank is that of `key->id`. */
static struct tree_key key_ranked(tree_match match, const struct store_key *key)
{
	return (struct tree_key){
		.match = match, .key = key, .ranked = true, .rank = tree_text_rank(key->id)};
}

void store_walk_service_tasks(struct store_walk *w, const struct store *s, const char *service)
{
	struct tree_key key;

	w->key = (struct store_key){.id = service};
	key = key_ranked(match_service_task, &w->key);
	tree_walk_start(&w->tree, s->now.service_tasks, &key);
}

void store_walk_node_tasks(struct store_walk *w, const struct store *s, const char *node)
{
	struct tree_key key;

	w->key = (struct store_key){.id = node};
	key = key_ranked(match_node_task, &w->key);
	tree_walk_start(&w->tree, s->now.node_tasks, &key);
}

void store_walk_service_templates(struct store_walk *w, const struct store *s, const char *service)
{
	w->key = (struct store_key){.id = service};
	tree_walk_start(&w->tree, s->now.kinds[KIND_TEMPLATE],
			&(struct tree_key){.match = match_template_prefix, .key = &w->key});
}

const void *store_walk_next(struct store_walk *w)
{
	return tree_walk_next(&w->tree);
}

size_t store_service_task_count(const struct store *s, const char *service)
{
	struct store_key wanted = {.id = service};
	struct tree_key key = key_ranked(match_service_task, &wanted);

	return tree_count(s->now.service_tasks, &key);
}

size_t store_node_task_count(const struct store *s, const char *node)
{
	struct store_key wanted = {.id = node};
	struct tree_key key = key_ranked(match_node_task, &wanted);

	return tree_count(s->now.node_tasks, &key);
}

size_t store_template_users(const struct store *s, const char *service, uint64_t template_version)
{
	struct store_key wanted = {.id = service, .version = template_version};
	struct tree_key key = key_ranked(match_template_task, &wanted);

	return tree_count(s->now.service_tasks, &key);
}

void store_watch_add(struct store *s, struct store_watch *w)
{
	struct store_watch **at = &s->watches;

	while (*at) /* at the end: watchers are told in the order in which they came */
		at = &(*at)->next;
	w->next = NULL;
	*at = w;
}

void store_watch_remove(struct store *s, struct store_watch *w)
{
	for (struct store_watch **at = &s->watches; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			return;
		}
	}
}

struct store *store_fork(const struct store *s)
{
	struct store *fork = store_new();

	fork->fork = true;
	fork->now = store_roots_ref(&s->now);
	fork->now.version++; /* what the entry will get */
	fork->mark = store_roots_ref(&fork->now);
	return fork;
}

void store_mark(struct store *fork)
{
	store_roots_unref(&fork->mark);
	fork->mark = store_roots_ref(&fork->now);
}

void store_rewind(struct store *fork)
{
	store_roots_unref(&fork->now);
	fork->now = store_roots_ref(&fork->mark);
}

struct store_pin *store_pin(struct store *s)
{
	struct store_pin *pin = xcalloc(1, sizeof *pin);

	pin->roots = store_roots_ref(&s->now);
	return pin;
}

void store_unpin(struct store *s, struct store_pin *pin)
{
	if (!pin)
		return;
	store_roots_discard(&pin->roots, &s->garbage);
	free(pin);
}

void store_pin_walk(struct store_walk *w, const struct store_pin *pin, enum object_kind kind)
{
	tree_walk_start(&w->tree, pin->roots.kinds[kind], NULL);
}

uint64_t store_pin_version(const struct store_pin *pin)
{
	return pin->roots.version;
}
