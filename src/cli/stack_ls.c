/*
 * stack ls, services, ps and rm: what goes by the label of a stack.
 */
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/progress.h"
#include "cli/stack.h"

static const struct column columns[] = {
	{"Name", "NAME", true},
	{"Services", "SERVICES", true},
	{"Orchestrator", "ORCHESTRATOR", false},
};

int cli_stack_ls(struct cli *c, const struct flags *f)
{
	struct list_service_view all = {0};
	struct strmap counts = {0};
	struct err e = ERR_INIT;
	struct listing l;
	int status;

	if (stack_get(c, "services", NULL, &list_service_view_table, &all, &e) < 0)
		return cli_fail(c, &e);
	LIST_EACH (v, &all.list) {
		const char *name = strmap_get(&v->s.spec.labels, STACK_LABEL);
		const char *had = name ? strmap_get(&counts, name) : NULL;
		auto_free char *count = xasprintf("%d", had ? (int)strtol(had, NULL, 10) + 1 : 1);

		if (name)
			strmap_set(&counts, name, count);
	}
	listing_init(&l, columns, ARRAY_LEN(columns), "Name");
	LIST_EACH (v, &counts) {
		json_t *row = listing_row(&l);

		cell_text(row, "Name", v->key);
		cell_text(row, "Services", v->value);
		cell_text(row, "Orchestrator", "Swarm");
	}
	status = listing_print(c, &l, f);
	listing_done(&l);
	strmap_done(&counts);
	table_done(&list_service_view_table, &all);
	return status;
}

/* 1 when the stack has services; else 0, or an error. */
static int stack_known(struct cli *c, const char *name, struct err *e)
{
	struct list_service_view all = {0};
	int rc = stack_get(c, "services", name, &list_service_view_table, &all, e);
	bool any = rc == 0 && all.list.n;

	table_done(&list_service_view_table, &all);
	return rc < 0 ? rc : any;
}

/* As docker does it: a stack without services is a failure for `ps` alone. */
static int listed(struct cli *c, const struct flags *f,
		  int (*list)(struct cli *c, const struct flags *f, const char *label),
		  const char *nothing, int status)
{
	auto_free char *label = stack_label(f->args[0]);
	struct err e = ERR_INIT;
	int rc = stack_known(c, f->args[0], &e);

	if (rc < 0)
		return cli_fail(c, &e);
	if (rc)
		return list(c, f, label);
	(void)fprintf(c->err, "%s found in stack: %s\n", nothing, f->args[0]);
	return status;
}

int cli_stack_services(struct cli *c, const struct flags *f)
{
	return listed(c, f, service_list, "Nothing", 0);
}

int cli_stack_ps(struct cli *c, const struct flags *f)
{
	return listed(c, f, task_list, "nothing", 1);
}

/* Removal */

static int item_remove(struct cli *c, const char *family, const char *id, const char *name,
		       struct err *e)
{
	auto_free char *pattern = xasprintf("/%s/%%", family);
	auto_buf path = CALL_PATH;
	int rc;

	(void)fprintf(c->out, "Removing %.*s %s\n", (int)strlen(family) - 1, family, name);
	path_add(&path, pattern, id);
	rc = call_do(c, "DELETE", buf_text(&path), NULL, e);
	return rc == -ENOENT ? 0 : rc; /* another was faster */
}

/* A daemon without the family has none of the stack's. */
static int items_remove(struct cli *c, const char *family, const char *stack, size_t *count,
			struct err *e)
{
	struct list_stack_item all = {0};
	int rc = stack_get(c, family, stack, &list_stack_item_table, &all, e);

	if (rc == -ENOSYS)
		rc = 0;
	LIST_EACH (item, &all.list) {
		const char *name = item->spec.name ? item->spec.name : item->name;

		if (rc == 0)
			rc = item_remove(c, family, item->id, name ? name : item->id, e);
		++*count;
	}
	table_done(&list_stack_item_table, &all);
	return rc;
}

/* Whether tasks of the stack are still to end: networks are in use until then. */
static int tasks_left(struct cli *c, const char *stack, bool *ret, struct err *e)
{
	struct list_task_view tasks = {0};
	int rc = stack_get(c, "tasks", stack, &list_task_view_table, &tasks, e);

	*ret = false;
	LIST_EACH (t, &tasks.list)
		*ret |= t->status.state <= TASK_RUNNING;
	table_done(&list_task_view_table, &tasks);
	return rc;
}

static int tasks_wait(struct cli *c, const char *stack, struct err *e)
{
	bool left = true;
	int rc = 0;

	while (rc == 0 && left) {
		rc = tasks_left(c, stack, &left, e);
		if (rc == 0 && left)
			(void)poll(NULL, 0, PROGRESS_POLL_MS);
	}
	return rc;
}

static int stack_remove(struct cli *c, const char *stack, bool wait, struct err *e)
{
	static const char *const families[] = {"secrets", "configs", "networks"};
	size_t count = 0;
	int rc = items_remove(c, "services", stack, &count, e);

	if (rc == 0 && wait)
		rc = tasks_wait(c, stack, e);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(families); i++)
		rc = items_remove(c, families[i], stack, &count, e);
	if (rc == 0 && !count)
		(void)fprintf(c->err, "Nothing found in stack: %s\n", stack);
	return rc < 0 ? err_wrap(e, "failed to remove some resources from stack %s", stack) : 0;
}

int cli_stack_rm(struct cli *c, const struct flags *f)
{
	int status = 0;

	for (size_t i = 0; i < f->n_args; i++) {
		struct err e = ERR_INIT;

		if (stack_remove(c, f->args[i], !flag_true(f, "detach"), &e) < 0)
			status = cli_fail(c, &e);
	}
	return status;
}
