/*
 * See present.h.
 */
#include "cli/compose/present.h"

#include <string.h>

#include "base/mem.h"

static void dollars_double(struct compose_node *n)
{
	size_t dollars = 0;

	for (const char *p = n->text; p && (p = strchr(p, '$')); p++)
		dollars++;
	if (dollars) {
		char *longer = xmalloc(strlen(n->text) + dollars + 1), *out = longer;

		for (const char *p = n->text; *p; p++) {
			*out++ = *p;
			if (*p == '$')
				*out++ = '$';
		}
		*out = 0;
		free(n->text);
		n->text = longer;
	}
	for (size_t i = 0; i < n->n; i++)
		dollars_double(n->v[i]);
}

/* Whether it says no more than the name in a list would. */
static bool is_plain_wish(const struct compose_node *n)
{
	const struct compose_node *condition = compose_get(n, "condition");

	return n->type == COMPOSE_MAP && n->n == 1 && condition &&
	       condition->type == COMPOSE_TEXT && strcmp(condition->text, "service_started") == 0;
}

static void depends_shorten(struct compose_node *service)
{
	const struct compose_node *map = compose_get(service, "depends_on");
	struct compose_node *list;

	if (!map || map->type != COMPOSE_MAP)
		return;
	for (size_t i = 0; i < map->n; i++)
		if (!is_plain_wish(map->v[i]))
			return;
	list = compose_new(COMPOSE_LIST, map);
	for (size_t i = 0; i < map->n; i++)
		compose_add(list, compose_new_text(map->v[i]->key, map->v[i]));
	compose_put(service, "depends_on", list);
}

void compose_present(struct compose_node *root, bool raw)
{
	struct compose_node *services = compose_get(root, "services");

	if (!raw)
		dollars_double(root);
	for (size_t i = 0; services && services->type == COMPOSE_MAP && i < services->n; i++)
		depends_shorten(services->v[i]);
}
