/*
 * service ps and node ps: tasks, the newest attempt of each slot first.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/names.h"
#include "cli/stack.h"
#include "cli/text.h"
#include "cli/views.h"

#define ERROR_WIDTH 30

static const struct column columns[] = {
	{"ID", "ID", true},
	{".Name", "NAME", true},
	{"Image", "IMAGE", true},
	{"Node", "NODE", true},
	{"DesiredState", "DESIRED STATE", true},
	{"CurrentState", "CURRENT STATE", true},
	{"Error", "ERROR", true},
	{"Ports", "PORTS", true},
	{"Name", "NAME", false},
};

/* Those that are published on the task's node. */
static char *ports_text(const struct port_status *s)
{
	struct buf b = BUF_INIT(LIMIT_HTTP_ANSWER);

	for (size_t i = 0; s && i < s->ports.n; i++)
		buf_addf(&b, "%s*:%" PRIu32 "->%" PRIu32 "/%s", b.len ? "," : "",
			 s->ports.v[i].published, s->ports.v[i].target,
			 port_protocol_name(s->ports.v[i].protocol));
	return buf_take(&b);
}

static void cell_state(json_t *row, const char *cell, enum task_state state, const char *after)
{
	char name[32];

	(void)snprintf(name, sizeof name, "%s", task_state_name(state));
	name[0] = (char)toupper((unsigned char)name[0]);
	cell_format(row, cell, "%s%s", name, after);
}

static void row_fill(json_t *row, const struct task_view *t, const char *name, bool again,
		     const char *node, bool whole)
{
	const char *image =
		t->spec.container && t->spec.container->image ? t->spec.container->image : "";
	auto_free char *error = NULL;
	char when[TEXT_SHORT];
	auto_free char *since = NULL;

	if (t->status.err && *t->status.err) {
		auto_free char *cut =
			text_cut(t->status.err, whole ? SIZE_MAX : (size_t)ERROR_WIDTH);

		error = xasprintf("\"%s\"", cut);
	}
	duration_human(clock_wall_ns() - t->status.timestamp, when);
	for (char *p = when; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	since = xasprintf(" %s ago", when);
	cell_take(row, "ID", id_short(t->id, whole));
	cell_text(row, "Name", name);
	cell_format(row, ".Name", "%s%s", again ? " \\_ " : "", name);
	cell_take(row, "Image", xstrndup(image, whole ? strlen(image) : strcspn(image, "@")));
	cell_text(row, "Node", node);
	cell_state(row, "DesiredState", t->desired, "");
	cell_state(row, "CurrentState", t->status.state, since);
	cell_text(row, "Error", error);
	cell_take(row, "Ports", ports_text(t->status.ports));
}

static char *task_title(struct names *n, const struct task_view *t)
{
	const char *service = names_service(n, t->service);

	if (t->slot)
		return xasprintf("%s.%" PRIu64, service, t->slot);
	return xasprintf("%s.%s", service, t->node ? t->node : "");
}

struct titled {
	char *name;
	const struct task_view *task;
};

/* By what is shown as the name, with its numbers as numbers; the newest of a name first. */
static int by_title(const void *a, const void *b)
{
	const struct titled *x = a;
	const struct titled *y = b;
	int rc = text_natural(x->name, y->name);

	return rc ? rc
		  : (x->task->created < y->task->created) - (x->task->created > y->task->created);
}

static int tasks_print(struct cli *c, const struct flags *f, const struct list_task_view *all,
		       bool whole)
{
	struct names names = {.c = c, .off = flag_true(f, "no-resolve")};
	auto_free struct titled *titled = xcalloc(all->list.n, sizeof *titled);
	struct listing l;
	int status;

	listing_init(&l, columns, ARRAY_LEN(columns), "ID");
	for (size_t i = 0; i < all->list.n; i++)
		titled[i] = (struct titled){task_title(&names, &all->list.v[i]), &all->list.v[i]};
	if (all->list.n)
		qsort(titled, all->list.n, sizeof *titled, by_title);
	for (size_t i = 0; i < all->list.n; i++)
		row_fill(listing_row(&l), titled[i].task, titled[i].name,
			 i > 0 && strcmp(titled[i].name, titled[i - 1].name) == 0,
			 names_node(&names, titled[i].task->node), whole);
	for (size_t i = 0; i < all->list.n; i++)
		free(titled[i].name);
	status = listing_print(c, &l, f);
	listing_done(&l);
	names_done(&names);
	return status;
}

/* The tasks that the filters and the ids in `key` (service or node) choose. */
static int tasks_get(struct cli *c, const struct flags *f, const char *key, const struct strs *ids,
		     struct list_task_view *ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct strs filters = {0};
	int rc;

	STRS_EACH (item, flag_list(f, "filter"))
		strs_add(&filters, item);
	STRS_EACH (id, ids) {
		auto_free char *item = xasprintf("%s=%s", key, id);

		strs_add(&filters, item);
	}
	path_add(&path, "/tasks");
	rc = path_filters(&path, &filters, NULL, NULL, e);
	if (rc == 0)
		rc = call_get(c, buf_text(&path), &list_task_view_table, ret, e);
	strs_done(&filters);
	return rc;
}

/* Of services -q shows ids whole, as docker's command does; of nodes and stacks as far as lists do.
 */
static int tasks_show(struct cli *c, const struct flags *f, const char *key, const struct strs *ids)
{
	bool whole =
		flag_true(f, "no-trunc") || (flag_true(f, "quiet") && strcmp(key, "service") == 0);
	struct list_task_view all = {0};
	struct err e = ERR_INIT;
	int status;

	if (tasks_get(c, f, key, ids, &all, &e) < 0)
		return cli_fail(c, &e);
	status = tasks_print(c, f, &all, whole);
	table_done(&list_task_view_table, &all);
	return status;
}

int task_list(struct cli *c, const struct flags *f, const char *label)
{
	struct strs labels = {0};
	int status;

	strs_add(&labels, label);
	status = tasks_show(c, f, "label", &labels);
	strs_done(&labels);
	return status;
}

int cli_service_ps(struct cli *c, const struct flags *f)
{
	struct strs ids = {0};
	struct err e = ERR_INIT;
	int status = 0;

	for (size_t i = 0; i < f->n_args; i++) {
		auto_buf path = CALL_PATH;
		struct service s = {0};

		path_add(&path, "/services/%", f->args[i]);
		if (call_get(c, buf_text(&path), &service_table, &s, &e) == 0)
			strs_add(&ids, s.o.id);
		else if (e.code == -ENOENT)
			(void)fprintf(c->err, "no such service: %s\n", f->args[i]);
		else
			(void)cli_fail(c, &e);
		status |= e.code != 0;
		e = ERR_INIT;
		table_done(&service_table, &s);
	}
	if (ids.n)
		status |= tasks_show(c, f, "service", &ids);
	strs_done(&ids);
	return status;
}

/* The id of a node by name, id or "self". 0 or an error. Free with free(). */
static int node_id(struct cli *c, const char *name, char **ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct node n = {0};
	int rc = node_path(c, name, &path, e);

	if (rc == 0)
		rc = call_get(c, buf_text(&path), &node_table, &n, e);
	if (rc == 0)
		*ret = xstrdup(n.o.id);
	table_done(&node_table, &n);
	return rc;
}

int cli_node_ps(struct cli *c, const struct flags *f)
{
	size_t n = f->n_args ? f->n_args : 1;
	struct strs ids = {0};
	struct err e = ERR_INIT;
	int status = 0;

	for (size_t i = 0; i < n; i++) {
		auto_free char *id = NULL;

		if (node_id(c, f->n_args ? f->args[i] : "self", &id, &e) == 0)
			strs_add(&ids, id);
		else
			status = cli_fail(c, &e);
	}
	if (ids.n)
		status |= tasks_show(c, f, "node", &ids);
	strs_done(&ids);
	return status;
}
