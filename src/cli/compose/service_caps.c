/*
 * `cap_add` and `cap_drop` of a service, written as docker writes them: what is equal must not
 * replace the tasks of a stack that docker has deployed.
 */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "cli/compose/stack_impl.h"

#define MAKER(data) ((struct service_maker *)(data))

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "net_admin" is CAP_NET_ADMIN; each once, in order; ALL stands for all others. */
static void caps_read(struct compose_project *p, const struct compose_node *n, struct strs *ret)
{
	struct strs texts = {0};

	compose_strs(p, n, &texts);
	STRS_EACH (text, &texts) {
		auto_free char *name = NULL;

		for (char *c = text; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		name = strcmp(text, "ALL") == 0 || strncmp(text, "CAP_", 4) == 0
			       ? xstrdup(text)
			       : xasprintf("CAP_%s", text);
		if (!strs_has(ret, name))
			strs_add(ret, name);
	}
	strs_done(&texts);
	if (strs_has(ret, "ALL")) {
		strs_done(ret);
		strs_add(ret, "ALL");
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof *ret->v, by_text);
}

void stack_service_caps(struct compose_project *p, struct service_maker *m)
{
	struct container_spec *c = m->c;
	struct strs dropped = {0};

	caps_read(p, compose_get(m->node, "cap_add"), &c->cap_add);
	caps_read(p, compose_get(m->node, "cap_drop"), &dropped);
	STRS_EACH (name, &dropped)
		if (!strs_has(&c->cap_add, name)) /* adding is before dropping */
			strs_add(&c->cap_drop, name);
	strs_done(&dropped);
}
