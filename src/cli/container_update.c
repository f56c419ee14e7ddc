/*
 * shoal update: other limits and another restart policy for containers that are there.
 */
#include "base/mem.h"
#include "cli/call.h"
#include "cli/container_spec.h"

static int update_one(struct cli *c, const char *name, const struct buf *body, struct err *e)
{
	auto_buf path = CALL_PATH;

	path_add(&path, "/containers/%/update", name);
	return call_do(c, "POST", buf_text(&path), body, e);
}

int cli_container_update(struct cli *c, const struct flags *f)
{
	struct host_config changes = {0};
	auto_buf body = BUF_INIT(0);
	struct err e = ERR_INIT;
	int status = 0;
	int rc = container_limits_fill(f, &changes, &e);

	if (rc == 0)
		rc = call_body(&host_config_table, &changes, &body, &e);
	table_done(&host_config_table, &changes);
	if (rc < 0)
		return cli_fail(c, &e);
	for (size_t i = 0; i < f->n_args; i++) {
		e = ERR_INIT;
		if (update_one(c, f->args[i], &body, &e) < 0)
			status = cli_fail(c, &e);
		else
			(void)fprintf(c->out, "%s\n", f->args[i]);
	}
	return status;
}
