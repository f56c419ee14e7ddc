/*
 * One call for each argument. See each.h; here are also the commands that are nothing more.
 */
#include "cli/each.h"

#include "base/http_url.h"
#include "cli/call.h"

int each_argument(struct cli *c, const struct flags *f, const char *method, const char *pattern,
		  const char *query)
{
	int status = 0;

	for (size_t i = 0; i < f->n_args; i++) {
		auto_buf path = CALL_PATH;
		struct err e = ERR_INIT;

		path_add(&path, pattern, f->args[i]);
		if (query && *query)
			buf_addf(&path, "?%s", query);
		if (call_do(c, method, buf_text(&path), NULL, &e) < 0)
			status = cli_fail(c, &e);
		else
			(void)fprintf(c->out, "%s\n", f->args[i]);
	}
	return status;
}

/* Adds "name=value" of the flag, when it was given. */
static void query_flag(struct buf *b, const struct flags *f, const char *flag, const char *name)
{
	if (!flag_is_set(f, flag))
		return;
	if (!b->len)
		buf_adds(b, "?");
	if (b->len > 1)
		buf_adds(b, "&");
	buf_addf(b, "%s=", name);
	if (f->defs[flag_get(f, flag) - f->values].type == FLAG_BOOL)
		buf_adds(b, flag_true(f, flag) ? "1" : "0");
	else
		(void)http_url_encode(b, flag_text(f, flag));
}

static const char *query_text(const struct buf *b)
{
	return b->len ? buf_text(b) + 1 : NULL;
}

int cli_stop(struct cli *c, const struct flags *f)
{
	auto_buf q = CALL_PATH;

	query_flag(&q, f, "signal", "signal");
	query_flag(&q, f, "timeout", "t");
	return each_argument(c, f, "POST", "/containers/%/stop", query_text(&q));
}

int cli_start(struct cli *c, const struct flags *f)
{
	return each_argument(c, f, "POST", "/containers/%/start", NULL);
}

int cli_pause(struct cli *c, const struct flags *f)
{
	return each_argument(c, f, "POST", "/containers/%/pause", NULL);
}

int cli_unpause(struct cli *c, const struct flags *f)
{
	return each_argument(c, f, "POST", "/containers/%/unpause", NULL);
}

int cli_kill(struct cli *c, const struct flags *f)
{
	auto_buf q = CALL_PATH;

	query_flag(&q, f, "signal", "signal");
	return each_argument(c, f, "POST", "/containers/%/kill", query_text(&q));
}

int cli_rm(struct cli *c, const struct flags *f)
{
	auto_buf q = CALL_PATH;

	query_flag(&q, f, "force", "force");
	query_flag(&q, f, "volumes", "v");
	return each_argument(c, f, "DELETE", "/containers/%", query_text(&q));
}

int cli_node_rm(struct cli *c, const struct flags *f)
{
	auto_buf q = CALL_PATH;

	query_flag(&q, f, "force", "force");
	return each_argument(c, f, "DELETE", "/nodes/%", query_text(&q));
}

int cli_service_rm(struct cli *c, const struct flags *f)
{
	return each_argument(c, f, "DELETE", "/services/%", NULL);
}

int cli_volume_rm(struct cli *c, const struct flags *f)
{
	auto_buf q = CALL_PATH;

	query_flag(&q, f, "force", "force");
	return each_argument(c, f, "DELETE", "/volumes/%", query_text(&q));
}

int cli_secret_rm(struct cli *c, const struct flags *f)
{
	return each_argument(c, f, "DELETE", "/secrets/%", NULL);
}

int cli_config_rm(struct cli *c, const struct flags *f)
{
	return each_argument(c, f, "DELETE", "/configs/%", NULL);
}

int cli_network_rm(struct cli *c, const struct flags *f)
{
	return each_argument(c, f, "DELETE", "/networks/%", NULL);
}
