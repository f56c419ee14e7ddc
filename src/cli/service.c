/*
 * service create and scale, and how a changed specification is sent.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/progress.h"
#include "cli/service_spec.h"
#include "cli/views.h"

static void warn(struct cli *c, const struct strs *warnings)
{
	STRS_EACH (text, warnings)
		(void)fprintf(c->err, "%s\n", text);
}

static int create(struct cli *c, const struct flags *f, struct id_view *ret, struct err *e)
{
	struct service_spec spec = {0};
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	int rc = service_spec_fill(f, &spec, e);

	path_add(&path, "/services/create");
	if (rc == 0)
		rc = service_files_fill(c, spec.task.container, f, e);
	if (rc == 0)
		rc = call_body(&service_spec_table, &spec, &body, e);
	if (rc == 0)
		rc = call_read(c, "POST", buf_text(&path), &body, &id_view_table, ret, e);
	table_done(&service_spec_table, &spec);
	return rc;
}

int cli_service_create(struct cli *c, const struct flags *f)
{
	struct progress_options options = progress_options_of(f, false);
	struct id_view created = {0};
	struct err e = ERR_INIT;
	int status = 0;

	if (create(c, f, &created, &e) < 0)
		return cli_fail(c, &e);
	warn(c, &created.warnings);
	(void)fprintf(c->out, "%s\n", created.id ? created.id : "");
	if (!flag_true(f, "detach") && created.id)
		status = progress_watch(c, created.id, &options);
	table_done(&id_view_table, &created);
	return status;
}

int service_put(struct cli *c, const struct service_view *s, const struct buf *body, bool rollback,
		const char *check, struct err *e)
{
	auto_free char *version = xasprintf("%" PRIu64, s->s.o.version.index);
	auto_buf path = CALL_PATH;
	struct id_view answer = {0};
	int rc;

	path_add(&path, "/services/%/update", s->s.o.id);
	path_query(&path, "version", version);
	if (rollback)
		path_query(&path, "rollback", "previous");
	if (check)
		path_query(&path, "check", check);
	rc = call_read(c, "POST", buf_text(&path), body, &id_view_table, &answer, e);
	if (rc == 0)
		warn(c, &answer.warnings);
	table_done(&id_view_table, &answer);
	return rc;
}

/* scale */

struct goal {
	char *name;
	uint64_t replicas;
	char *id; /* once it was updated */
};

static int goal_parse(const char *text, struct goal *ret, struct err *e)
{
	const char *sign = strchr(text, '=');
	char *end;

	if (!sign || sign == text)
		return err_set(e, -EINVAL,
			       "invalid scale specifier '%s'; it must be of the form "
			       "SERVICE=REPLICAS, see 'shoal service scale --help'",
			       text);
	if (!sign[1] || strspn(sign + 1, "0123456789") != strlen(sign + 1) || strlen(sign + 1) > 18)
		return err_set(e, -EINVAL, "%.*s: invalid replicas value %s", (int)(sign - text),
			       text, sign + 1);
	ret->name = xstrndup(text, (size_t)(sign - text));
	ret->replicas = strtoull(sign + 1, &end, 10);
	return 0;
}

/* What scaling sets, or NULL where there is nothing to scale. */
static uint64_t **scaled_number(struct service_mode *m)
{
	if (m->replicated)
		return &m->replicated->replicas;
	return m->replicated_job ? &m->replicated_job->total_completions : NULL;
}

static int scale(struct cli *c, struct goal *g, struct err *e)
{
	uint64_t **number;
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct service_view s = {0};
	int rc;

	path_add(&path, "/services/%", g->name);
	rc = call_get(c, buf_text(&path), &service_view_table, &s, e);
	number = rc == 0 ? scaled_number(&s.s.spec.mode) : NULL;
	if (rc == 0 && !number)
		rc = err_set(e, -EINVAL,
			     "scale can only be used with replicated or replicated-job mode");
	if (rc == 0) {
		*number = *number ? *number : xcalloc(1, sizeof **number);
		**number = g->replicas;
		rc = call_body(&service_spec_table, &s.s.spec, &body, e);
	}
	if (rc == 0)
		rc = service_put(c, &s, &body, false, NULL, e);
	if (rc == 0)
		g->id = xstrdup(s.s.o.id);
	table_done(&service_view_table, &s);
	return rc < 0 ? err_wrap(e, "%s", g->name) : 0;
}

static int scale_all(struct cli *c, const struct flags *f, struct goal *goals)
{
	struct progress_options options = progress_options_of(f, false);
	struct err e = ERR_INIT;
	int status = 0;

	for (size_t i = 0; i < f->n_args; i++)
		if (goal_parse(f->args[i], &goals[i], &e) < 0)
			return cli_fail(c, &e);
	for (size_t i = 0; i < f->n_args; i++) {
		if (scale(c, &goals[i], &e) < 0)
			status = cli_fail(c, &e);
		else
			(void)fprintf(c->out, "%s scaled to %" PRIu64 "\n", goals[i].name,
				      goals[i].replicas);
	}
	for (size_t i = 0; i < f->n_args && !flag_true(f, "detach"); i++)
		if (goals[i].id)
			status |= progress_watch(c, goals[i].id, &options);
	return status;
}

int cli_service_scale(struct cli *c, const struct flags *f)
{
	struct goal *goals = xcalloc(f->n_args, sizeof *goals);
	int status = scale_all(c, f, goals);

	for (size_t i = 0; i < f->n_args; i++) {
		free(goals[i].name);
		free(goals[i].id);
	}
	free(goals);
	return status;
}
