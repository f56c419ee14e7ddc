/*
 * The tree of a Compose document. See node.h.
 */
#include "cli/compose/node.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct compose_node *compose_new(enum compose_type type, const struct compose_node *at)
{
	struct compose_node *n = xcalloc(1, sizeof *n);

	n->type = type;
	n->file = at ? at->file : NULL;
	n->line = at ? at->line : 0;
	n->column = at ? at->column : 0;
	return n;
}

struct compose_node *compose_new_text(const char *text, const struct compose_node *at)
{
	struct compose_node *n = compose_new(COMPOSE_TEXT, at);

	n->text = xstrdup(text);
	return n;
}

void compose_free(struct compose_node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n; i++)
		compose_free(n->v[i]);
	free(n->v);
	free(n->key);
	free(n->text);
	free(n);
}

void compose_free_at(struct compose_node **n)
{
	compose_free(*n);
}

void compose_add(struct compose_node *list, struct compose_node *child)
{
	list->v = xreallocarray(list->v, list->n + 1, sizeof(struct compose_node *));
	list->v[list->n++] = child;
}

struct compose_node *compose_copy(const struct compose_node *n, size_t *budget)
{
	struct compose_node *copy;

	if (*budget == 0)
		return NULL;
	--*budget;
	copy = compose_new(n->type, n);
	copy->tag = n->tag;
	copy->quoted = n->quoted;
	copy->key = xstrdup(n->key);
	copy->text = xstrdup(n->text);
	for (size_t i = 0; i < n->n; i++) {
		struct compose_node *child = compose_copy(n->v[i], budget);

		if (!child) {
			compose_free(copy);
			return NULL;
		}
		compose_add(copy, child);
	}
	return copy;
}

static size_t find(const struct compose_node *map, const char *key)
{
	size_t i = 0;

	while (i < map->n && strcmp(map->v[i]->key, key) != 0)
		i++;
	return i;
}

struct compose_node *compose_get(const struct compose_node *map, const char *key)
{
	size_t i;

	if (!map || map->type != COMPOSE_MAP)
		return NULL;
	i = find(map, key);
	return i < map->n ? map->v[i] : NULL;
}

void compose_put(struct compose_node *map, const char *key, struct compose_node *child)
{
	size_t i = find(map, key);
	char *name = xstrdup(key); /* `key` may be the old child's */

	free(child->key);
	child->key = name;
	if (i == map->n) {
		compose_add(map, child);
		return;
	}
	compose_free(map->v[i]);
	map->v[i] = child;
}

void compose_remove(struct compose_node *map, const char *key)
{
	size_t i = find(map, key);

	if (i == map->n)
		return;
	compose_free(map->v[i]);
	memmove(&map->v[i], &map->v[i + 1], (map->n - i - 1) * sizeof(struct compose_node *));
	map->n--;
}

bool compose_equal(const struct compose_node *a, const struct compose_node *b)
{
	if (a->type != b->type || a->n != b->n ||
	    (a->type == COMPOSE_TEXT && strcmp(a->text, b->text) != 0))
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct compose_node *other =
			a->type == COMPOSE_MAP ? compose_get(b, a->v[i]->key) : b->v[i];

		if (!other || !compose_equal(a->v[i], other))
			return false;
	}
	return true;
}

int compose_err(struct err *e, const struct compose_node *at, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(e, -EINVAL, "%s:%zu:%zu: %s", at && at->file ? at->file : "compose",
		       at ? at->line : 0, at ? at->column : 0, text);
}
