/*
 * service plan and stack plan: what an update or a deploy would do, as the daemon has worked it
 * out, and the index by which it is done only if that still holds.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/service_spec.h"
#include "cli/stack.h"
#include "cli/text.h"
#include "model/plan.h"

#define SHORT_ID 12

static void task_row(struct buf *out, const struct plan_task *t)
{
	const char *from = t->from_hostname ? t->from_hostname : t->from ? t->from : "-";
	const char *to = t->to_hostname ? t->to_hostname : t->to ? t->to : "-";

	if (t->slot)
		(void)buf_addf(out, "%" PRIu64, t->slot);
	else
		(void)buf_adds(out, "-");
	(void)buf_addf(out, "\t%s\t%.*s\t%s\t%s\t%s\n", plan_action_names[t->action], SHORT_ID,
		       t->task ? t->task : "-", from, to, t->err ? t->err : "");
}

static void service_print(struct cli *c, const struct plan_service *s)
{
	auto_buf rows = BUF_INIT(LIMIT_HTTP_ANSWER);

	(void)fprintf(c->out,
		      "Service %s: %s (%" PRIu64 " created, %" PRIu64 " replaced, %" PRIu64
		      " stay, %" PRIu64 " removed)\n",
		      s->name, strcmp(s->action, "none") == 0 ? "nothing changes" : s->action,
		      s->create, s->replace, s->stay, s->remove);
	if (s->waiting)
		(void)fprintf(c->out, "%" PRIu64 " of them would find no place\n", s->waiting);
	(void)buf_adds(&rows, "SLOT\tACTION\tTASK\tFROM\tTO\tERROR\n");
	LIST_EACH (t, &s->tasks)
		task_row(&rows, t);
	if (s->tasks.n)
		columns_print(c->out, buf_text(&rows));
	if (s->update_state)
		(void)fprintf(c->out, "Update: %s: %s\n", s->update_state,
			      s->message ? s->message : "");
	(void)fputc('\n', c->out);
}

static void report_print(struct cli *c, const struct plan_report *r, const char *apply)
{
	LIST_EACH (s, &r->services)
		service_print(c, s);
	if (r->truncated)
		(void)fprintf(c->out, "There are more tasks than are listed.\n");
	if (!r->complete)
		(void)fprintf(c->out,
			      "It was not seen to its end: it would take too many steps.\n");
	if (r->duration >= NS_PER_SEC)
		(void)fprintf(c->out,
			      "Delays and watching take %" PRId64
			      " seconds, besides what tasks take to start.\n",
			      (int64_t)(r->duration / NS_PER_SEC));
	(void)fprintf(c->out, "Check index: %" PRIu64 " (%s --check-index %" PRIu64 " ...)\n",
		      r->index, apply, r->index);
}

/* Asks for the plan and prints it. */
static int plan_show(struct cli *c, const struct flags *f, const char *path, const struct buf *body,
		     const char *apply, struct err *e)
{
	const char *format = flag_text(f, "format");
	struct plan_report report = {0};
	int rc;

	if (format && strcmp(format, "json") != 0 && strcmp(format, "table") != 0)
		return err_set(e, -EINVAL, "--format is table or json, not \"%s\"", format);
	rc = call_read(c, "POST", path, body, &plan_report_table, &report, e);
	if (rc == 0 && format && strcmp(format, "json") == 0) {
		auto_buf json = BUF_INIT(LIMIT_HTTP_ANSWER);

		(void)json_write(&plan_report_table, &report, &json);
		(void)fprintf(c->out, "%s\n", buf_text(&json));
	} else if (rc == 0) {
		report_print(c, &report, apply);
	}
	table_done(&plan_report_table, &report);
	return rc;
}

int cli_service_plan(struct cli *c, const struct flags *f)
{
	auto_free char *version = NULL;
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct service_view s = {0};
	struct err e = ERR_INIT;
	int rc = service_update_body(c, f, &s, &body, &e);

	if (rc == 0) {
		version = xasprintf("%" PRIu64, s.s.o.version.index);
		path_add(&path, "/services/%/plan", s.s.o.id);
		path_query(&path, "version", version);
		if (flag_true(f, "rollback"))
			path_query(&path, "rollback", "previous");
		rc = plan_show(c, f, buf_text(&path), &body, "shoal service update", &e);
	}
	table_done(&service_view_table, &s);
	return rc < 0 ? cli_fail(c, &e) : 0;
}

/* Stacks */

/* The stack's services that its files no longer have. */
static void removed_fill(const struct stack *s, const struct list_service_view *all,
			 struct strs *ret)
{
	LIST_EACH (v, &all->list) {
		bool kept = false;

		LIST_EACH (spec, &s->services)
			kept |= v->s.spec.name && strcmp(spec->name, v->s.spec.name) == 0;
		if (!kept)
			strs_add(ret, v->s.o.id);
	}
}

int stack_plan(struct cli *c, const struct flags *f, struct stack *s, struct err *e)
{
	struct list_service_view all = {0};
	struct plan_wish wish = {0}; /* services and networks are lent */
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	int rc = stack_get(c, "services", s->name, &list_service_view_table, &all, e);

	STRS_EACH (name, &s->external_networks)
		rc = rc < 0 ? rc : stack_external_check(c, name, e);
	LIST_EACH (spec, &s->services)
		if (stack_service_find(&all, spec->name))
			stack_service_keep(spec, stack_service_find(&all, spec->name));
	wish.services.v = s->services.v;
	wish.services.n = s->services.n;
	wish.networks.v = s->networks.v;
	wish.networks.n = s->networks.n;
	LIST_EACH (b, &s->secrets)
		strs_add(&wish.secrets, b->name);
	LIST_EACH (b, &s->configs)
		strs_add(&wish.configs, b->name);
	if (flag_true(f, "prune"))
		removed_fill(s, &all, &wish.remove);
	path_add(&path, "/plan");
	if (rc == 0)
		rc = call_body(&plan_wish_table, &wish, &body, e);
	if (rc == 0)
		rc = plan_show(c, f, buf_text(&path), &body, "shoal stack deploy", e);
	strs_done(&wish.secrets);
	strs_done(&wish.configs);
	strs_done(&wish.remove);
	table_done(&list_service_view_table, &all);
	return rc;
}

int stack_plan_check(struct cli *c, const struct flags *f, const struct stack *s, struct err *e)
{
	struct plan_check_wish check = {.index = (uint64_t)flag_get(f, "check-index")->number};
	struct list_service_view all = {0};
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	int rc = stack_get(c, "services", s->name, &list_service_view_table, &all, e);

	LIST_EACH (spec, &s->services)
		strs_add(&check.services, spec->name);
	if (flag_true(f, "prune"))
		removed_fill(s, &all, &check.services);
	path_add(&path, "/plan/check");
	if (rc == 0)
		rc = call_body(&plan_check_wish_table, &check, &body, e);
	if (rc == 0)
		rc = call_do(c, "POST", buf_text(&path), &body, e);
	table_done(&plan_check_wish_table, &check);
	table_done(&list_service_view_table, &all);
	return rc;
}
