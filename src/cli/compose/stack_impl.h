/*
 * What the makers of a stack's parts share: the maker of services asks those of the other sections
 * for names.
 */
#pragma once

#include "cli/compose/stack.h"
#include "cli/compose/values.h"

struct service_maker {
	struct stack *stack;
	const struct compose_node *node;
	struct service_spec *spec;
	struct container_spec *c;
	struct strmap environment;
	struct strs without; /* variables that have no value */
	char *depends;       /* the label of model/depends.h; NULL: it waits for none */
	const char *restart; /* lent; NULL: none */
	struct compose_node const *restart_at;
};

/*
 * The name in the cluster of what `key` is in the section ("networks", "volumes", "secrets",
 * "configs"): NULL and a problem at `at` when it is not declared there. Free with free().
 */
char *stack_name_of(struct compose_project *p, const struct stack *s, const char *section,
		    const char *key, const struct compose_node *at);
bool stack_is_external(struct compose_project *p, const struct compose_node *declared);

void stack_networks(struct compose_project *p, struct stack *s);
void stack_blobs(struct compose_project *p, struct stack *s);
void stack_volumes_check(struct compose_project *p, struct stack *s);
void stack_services(struct compose_project *p, struct stack *s);
/* Once all of the service is there. */
void stack_service_order(struct service_spec *s);
/* Both of cap_add and cap_drop. */
void stack_service_caps(struct compose_project *p, struct service_maker *m);
/* Whether what they wait for can come, and in which order they are made: see stack.h. */
void stack_depends_check(struct compose_project *p, struct stack *s);

/* Keys of a service; `data` is a struct service_maker. */
#define STACK_KEY(name) \
	void name(struct compose_project *p, const struct compose_node *n, void *data)
STACK_KEY(stack_depends);
STACK_KEY(stack_deploy);
STACK_KEY(stack_ports);
STACK_KEY(stack_volumes);
STACK_KEY(stack_tmpfs);
STACK_KEY(stack_service_networks);
STACK_KEY(stack_service_secrets);
STACK_KEY(stack_service_configs);
STACK_KEY(stack_healthcheck);
