/*
 * What the stack commands share, and the listings of services and tasks that they borrow.
 */
#pragma once

#include "cli/cli.h"
#include "cli/compose/stack.h"
#include "cli/views.h"

/* "com.docker.stack.namespace=NAME". Free with free(). */
char *stack_label(const char *name);
/* GET of the family's objects ("services") of the stack; NULL: of all stacks. */
int stack_get(struct cli *c, const char *family, const char *name, const struct table *t, void *ret,
	      struct err *e);

/* What secrets, configs and networks have in common. */
struct stack_item_spec {
	char *name;
};
struct stack_item {
	char *id;
	char *name; /* of a network */
	char *scope;
	struct version version;
	struct stack_item_spec spec; /* of the others */
};
extern const struct table stack_item_table;
VIEW_LIST(stack_item);

/* `service ls` and `service ps`, of one stack. Return the exit status. */
int service_list(struct cli *c, const struct flags *f, const char *label);
int task_list(struct cli *c, const struct flags *f, const char *label);

/* The stack's service of that name, or NULL. */
const struct service_view *stack_service_find(const struct list_service_view *all,
					      const char *name);
/* What a service that is there keeps, though the files say nothing of it. */
void stack_service_keep(struct service_spec *spec, const struct service_view *was);
/* Whether an external network is there. */
int stack_external_check(struct cli *c, const char *name, struct err *e);
/* What deploying it would do, printed. */
int stack_plan(struct cli *c, const struct flags *f, struct stack *s, struct err *e);
/* 0, or -EEXIST when the state is not that of the plan with this index. */
int stack_plan_check(struct cli *c, const struct flags *f, const struct stack *s, struct err *e);

/* Makes the cluster have the stack: what lacks is created, the rest updated. */
int stack_apply(struct cli *c, struct stack *s, bool prune, struct strs *ret_services,
		struct err *e);
