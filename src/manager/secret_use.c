/*
 * See secret_use.h.
 */
#include "manager/secret_use.h"

#include <string.h>

bool task_is_for(const struct task *t, const char *node)
{
	return t && t->node && strcmp(t->node, node) == 0 && t->status.state >= TASK_ASSIGNED;
}

void secrets_of_task(const struct store *s, const struct task *t, const char *node,
		     void (*use)(void *arg, const char *id), void *arg)
{
	const struct template *tpl;

	if (!task_is_for(t, node) || !task_is_wanted(t) || task_state_final(t->status.state))
		return;
	tpl = store_template(s, t->service, t->template_version);
	if (!tpl || !tpl->spec.container)
		return;
	LIST_EACH (r, &tpl->spec.container->secrets)
		use(arg, r->id);
	LIST_EACH (r, &tpl->spec.container->configs)
		use(arg, r->id);
}

struct search {
	const char *id;
	bool found;
};

static void search_use(void *arg, const char *id)
{
	struct search *search = arg;

	search->found |= strcmp(search->id, id) == 0;
}

bool secret_is_for(const struct store *s, const char *node, const char *id)
{
	struct search search = {.id = id};
	const struct task *t;
	struct store_walk w;

	store_walk_node_tasks(&w, s, node);
	while (!search.found && (t = store_walk_next(&w)))
		secrets_of_task(s, t, node, search_use, &search);
	return search.found;
}
