/*
 * Merging. See merge.h.
 */
#include "cli/compose/merge.h"

#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

/* Appends a copy of "key<sign>value" entries as pairs; without the sign the value is null. */
static int pairs_of(struct compose_node **at, const char *signs, const char *otherwise,
		    struct err *e)
{
	struct compose_node *list = *at;
	struct compose_node *map;

	if (!list || list->type != COMPOSE_LIST)
		return 0;
	map = compose_new(COMPOSE_MAP, list);
	map->tag = list->tag;
	for (size_t i = 0; i < list->n; i++) {
		const struct compose_node *item = list->v[i];
		const char *sign = item->type == COMPOSE_TEXT ? strpbrk(item->text, signs) : NULL;
		auto_free char *key = NULL;
		struct compose_node *value;

		if (item->type != COMPOSE_TEXT) {
			compose_free(map);
			return compose_err(e, item, "an entry of %s is to be a text", list->key);
		}
		key = sign ? xstrndup(item->text, (size_t)(sign - item->text))
			   : xstrdup(item->text);
		value = sign || otherwise ? compose_new_text(sign ? sign + 1 : otherwise, item)
					  : compose_new(COMPOSE_NULL, item);
		value->quoted = sign != NULL;
		compose_put(map, key, value);
	}
	map->key = TAKE_PTR(list->key);
	compose_free(list);
	*at = map;
	return 0;
}

static struct compose_node **child_at(struct compose_node *map, const char *key)
{
	for (size_t i = 0; map && map->type == COMPOSE_MAP && i < map->n; i++)
		if (strcmp(map->v[i]->key, key) == 0)
			return &map->v[i];
	return NULL;
}

static int pairs_in(struct compose_node *map, const char *key, const char *signs, struct err *e)
{
	struct compose_node **at = child_at(map, key);

	return at ? pairs_of(at, signs, NULL, e) : 0;
}

static void list_of(struct compose_node *map, const char *key)
{
	struct compose_node **at = child_at(map, key);
	struct compose_node *list;

	if (!at || ((*at)->type != COMPOSE_TEXT && (*at)->type != COMPOSE_MAP))
		return;
	list = compose_new(COMPOSE_LIST, *at);
	list->tag = (*at)->tag;
	list->key = TAKE_PTR((*at)->key);
	compose_add(list, *at);
	*at = list;
}

/* depends_on: [a] is depends_on: {a: {condition: service_started}}. */
static int depends_shape(struct compose_node *service, struct err *e)
{
	struct compose_node *map;

	if (pairs_in(service, "depends_on", "\n", e) < 0)
		return -EINVAL;
	map = compose_get(service, "depends_on");
	for (size_t i = 0; map && map->type == COMPOSE_MAP && i < map->n; i++) {
		struct compose_node *inner;

		if (map->v[i]->type != COMPOSE_NULL)
			continue;
		map->v[i]->type = COMPOSE_MAP;
		inner = compose_new_text("service_started", map->v[i]);
		compose_put(map->v[i], "condition", inner);
	}
	return 0;
}

int compose_shape(struct compose_node *service, struct err *e)
{
	static const char *const maps[] = {"environment", "labels", "sysctls", "annotations"};
	static const char *const lists[] = {"dns",      "dns_search", "dns_opt", "tmpfs",
					    "env_file", "profiles",   "expose",  "label_file"};
	int rc = depends_shape(service, e);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(maps); i++)
		rc = pairs_in(service, maps[i], "=", e);
	if (rc == 0)
		rc = pairs_in(service, "extra_hosts", "=:", e);
	if (rc == 0)
		rc = pairs_in(service, "networks", "\n", e);
	if (rc == 0)
		rc = pairs_in(compose_get(service, "deploy"), "labels", "=", e);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(lists); i++)
		list_of(service, lists[i]);
	return rc;
}

char *compose_volume_target(const struct compose_node *n)
{
	const struct compose_node *target = compose_get(n, "target");
	const char *p;

	if (n->type != COMPOSE_TEXT)
		return target && target->type == COMPOSE_TEXT ? xstrdup(target->text) : NULL;
	p = strchr(n->text, ':');
	p = p ? p + 1 : n->text;
	return xstrndup(p, strcspn(p, ":"));
}

/* By what an entry of a list is another version of an entry below it; NULL: by being equal. */
static char *identity(const char *list, const struct compose_node *n)
{
	const struct compose_node *at;

	if (strcmp(list, "volumes") == 0)
		return compose_volume_target(n);
	if (strcmp(list, "secrets") != 0 && strcmp(list, "configs") != 0)
		return NULL;
	at = compose_get(n, "target") ? compose_get(n, "target") : compose_get(n, "source");
	at = n->type == COMPOSE_TEXT ? n : at;
	return at && at->type == COMPOSE_TEXT ? xstrdup(at->text) : NULL;
}

static bool same_entry(const char *list, const struct compose_node *a, const struct compose_node *b)
{
	auto_free char *x = identity(list, a);
	auto_free char *y = identity(list, b);

	return x && y ? strcmp(x, y) == 0 : compose_equal(a, b);
}

static int full(struct err *e, const struct compose_node *at)
{
	compose_err(e, at, "the files have more than %u values, or a list more than %u",
		    LIMIT_COMPOSE_NODES, LIMIT_COMPOSE_LIST);
	return -E2BIG;
}

static int list_merge(struct compose_node *base, const struct compose_node *over, size_t *budget,
		      struct err *e)
{
	for (size_t i = 0; i < over->n; i++) {
		struct compose_node *copy = compose_copy(over->v[i], budget);
		size_t at = 0;

		if (!copy)
			return full(e, over);
		while (at < base->n && !same_entry(base->key, base->v[at], copy))
			at++;
		if (at < base->n) {
			compose_free(base->v[at]);
			base->v[at] = copy;
		} else if (base->n < LIMIT_COMPOSE_LIST) {
			compose_add(base, copy);
		} else {
			compose_free(copy);
			return full(e, over);
		}
	}
	return 0;
}

static bool is_whole(const char *key)
{
	return strcmp(key, "command") == 0 || strcmp(key, "entrypoint") == 0 ||
	       strcmp(key, "test") == 0;
}

static int child_merge(struct compose_node *base, const struct compose_node *over, size_t *budget,
		       struct err *e)
{
	struct compose_node *below = compose_get(base, over->key);
	struct compose_node *copy;

	if (over->tag == COMPOSE_RESET) {
		compose_remove(base, over->key);
		return 0;
	}
	if (below && over->type == COMPOSE_NULL)
		return 0;
	if (below && over->tag == COMPOSE_MERGE && below->type == over->type) {
		if (over->type == COMPOSE_MAP)
			return compose_merge(below, over, budget, e);
		if (over->type == COMPOSE_LIST && !is_whole(over->key))
			return list_merge(below, over, budget, e);
	}
	copy = base->n < LIMIT_COMPOSE_LIST || below ? compose_copy(over, budget) : NULL;
	if (!copy)
		return full(e, over);
	copy->tag = COMPOSE_MERGE;
	compose_put(base, over->key, copy);
	return 0;
}

int compose_merge(struct compose_node *base, const struct compose_node *over, size_t *budget,
		  struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < over->n; i++)
		rc = child_merge(base, over->v[i], budget, e);
	return rc;
}
