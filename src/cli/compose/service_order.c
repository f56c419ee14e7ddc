/*
 * The order in which a service's lists are sent, where it means nothing: docker's, so that
 * deploying a stack by either command replaces no task of the other's.
 */
#include <string.h>

#include "base/mem.h"
#include "cli/compose/stack_impl.h"

#define BY(fn, type, member)                                                         \
	static int fn(const void *a, const void *b)                                  \
	{                                                                            \
		return strcmp(((const type *)a)->member, ((const type *)b)->member); \
	}
BY(by_secret, struct secret_ref, name)
BY(by_config, struct config_ref, name)
BY(by_ulimit, struct ulimit, name)
BY(by_network, struct network_attachment, target)

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

#define SORT(list, by)                                                        \
	do {                                                                  \
		if ((list)->n)                                                \
			qsort((list)->v, (list)->n, sizeof *(list)->v, (by)); \
	} while (0)

void stack_service_order(struct service_spec *s)
{
	struct container_spec *c = s->task.container;

	SORT(&c->env, by_text);
	SORT(&c->secrets, by_secret);
	SORT(&c->configs, by_config);
	SORT(&c->ulimits, by_ulimit);
	SORT(&s->task.networks, by_network);
}
