/*
 * A stack as the API is to have it, made of a project: services, networks, secrets and configs
 * under their names in the cluster, with the labels by which docker's stack commands know them.
 */
#pragma once

#include "cli/compose/project.h"
#include "model/network.h"
#include "model/service.h"

#define STACK_LABEL "com.docker.stack.namespace"
#define STACK_IMAGE_LABEL "com.docker.stack.image"

/* The body of POST /secrets/create and /configs/create. */
struct stack_blob {
	char *name;
	struct strmap labels;
	struct bytes data;
	struct driver *templating;
};
extern const struct table stack_blob_table;

/* One that is to get new tasks when the other got some. */
struct stack_follower {
	char *service;
	char *dependency;
};

struct stack {
	char *name;
	LIST_OF(struct network_spec) networks;
	struct strs external_networks; /* that must be there */
	LIST_OF(struct stack_blob) secrets;
	LIST_OF(struct stack_blob) configs;
	LIST_OF(struct service_spec) services; /* each behind those that it waits for */
	LIST_OF(struct stack_follower) followers;
};

/*
 * Makes the stack of that name (NULL: the project's own). What is wrong is added to the project's
 * problems; with none, the stack is whole. To be freed with stack_done() in any case.
 */
void stack_make(struct compose_project *p, const char *name, struct stack *ret);
void stack_done(struct stack *s);
/* The name that the files give; NULL when they give none. Lent. */
const char *stack_own_name(const struct compose_project *p);
/* Whether docker would take it as a stack's name. */
bool stack_name_valid(const char *name);
