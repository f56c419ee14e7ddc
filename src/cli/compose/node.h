/*
 * A Compose document as a tree that remembers where each value stood. Aliases are copies, so that a
 * tree can be merged and cut freely; how many nodes there may be is the reader's budget. Knows no
 * key of the specification.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum compose_type { COMPOSE_NULL, COMPOSE_TEXT, COMPOSE_LIST, COMPOSE_MAP };
enum compose_tag { COMPOSE_MERGE, COMPOSE_RESET, COMPOSE_OVERRIDE }; /* !reset, !override */

struct compose_node {
	enum compose_type type;
	enum compose_tag tag;
	bool quoted;      /* the text stood in quotes or as a block: it is no number or boolean */
	const char *file; /* lent from the project */
	size_t line;      /* from 1 */
	size_t column;
	char *key;  /* of a map's child */
	char *text; /* COMPOSE_TEXT */
	struct compose_node **v;
	size_t n;
};

/* A node at the place of `at` (NULL: nowhere). */
struct compose_node *compose_new(enum compose_type type, const struct compose_node *at);
struct compose_node *compose_new_text(const char *text, const struct compose_node *at);
void compose_free(struct compose_node *n);
void compose_free_at(struct compose_node **n);
#define auto_node CLEANUP(compose_free_at) struct compose_node
/* A copy, or NULL when more than *budget nodes would be made; *budget sinks. */
struct compose_node *compose_copy(const struct compose_node *n, size_t *budget);

/* A map's child; NULL when there is none (or `map` is NULL or no map). */
struct compose_node *compose_get(const struct compose_node *map, const char *key);
/* Adds the child at the end, or in place of the one with that key; takes it. */
void compose_put(struct compose_node *map, const char *key, struct compose_node *child);
/* Adds to a list; takes it. */
void compose_add(struct compose_node *list, struct compose_node *child);
void compose_remove(struct compose_node *map, const char *key);
/* Same shape and texts, wherever they stood. */
bool compose_equal(const struct compose_node *a, const struct compose_node *b);

/* err_set() with "file:line:column: " before the sentence; -EINVAL. */
int compose_err(struct err *e, const struct compose_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
