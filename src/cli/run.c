/*
 * run and create: a container from flags; run stays with it until it ends, and ends as it did.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/attached.h"
#include "cli/call.h"
#include "cli/container_spec.h"
#include "cli/views.h"

#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NOT_FOUND 127

static int body_make(const struct flags *f, bool attached, struct buf *ret, struct err *e)
{
	struct container_create spec = {0};
	int rc = container_spec_fill(f, attached, &spec, e);

	if (rc == 0 && container_create_write(&spec, ret) < 0)
		rc = err_set(e, -EMSGSIZE, "what is asked for is too large: more than %u bytes",
			     LIMIT_JSON_BODY);
	container_create_done(&spec);
	return rc;
}

/* Asks the daemon to fetch an image that it does not have. */
static int pull(struct cli *c, const char *image, struct err *e)
{
	auto_buf path = CALL_PATH;

	(void)fprintf(c->err, "Unable to find image '%s' locally\n", image);
	path_add(&path, "/images/create");
	path_query(&path, "fromImage", image);
	return call_do(c, "POST", buf_text(&path), NULL, e);
}

static int create(struct cli *c, const struct flags *f, bool attached, struct id_view *ret,
		  struct err *e)
{
	auto_buf body = BUF_INIT(LIMIT_JSON_BODY);
	auto_buf path = CALL_PATH;
	int rc = body_make(f, attached, &body, e);

	path_add(&path, "/containers/create");
	if (flag_is_set(f, "name"))
		path_query(&path, "name", flag_text(f, "name"));
	if (rc == 0)
		rc = call_read(c, "POST", buf_text(&path), &body, &id_view_table, ret, e);
	/* 404 is also said of networks. */
	if (rc == -ENOENT && strstr(err_text(e), "image")) {
		rc = pull(c, f->args[0], e);
		if (rc == 0)
			rc = call_read(c, "POST", buf_text(&path), &body, &id_view_table, ret, e);
	}
	if (rc < 0)
		return rc;
	STRS_EACH (text, &ret->warnings)
		(void)fprintf(c->err, "WARNING: %s\n", text);
	return ret->id ? 0 : err_set(e, -EPROTO, "the daemon named no container");
}

/* docker's statuses: 127 when the program is not there, 126 when it cannot be executed. */
static int start_status(const struct err *e)
{
	if (strstr(e->msg, "not found") || strstr(e->msg, "no such file or directory"))
		return STATUS_NOT_FOUND;
	if (strstr(e->msg, "permission denied"))
		return STATUS_CANNOT_EXECUTE;
	return CLI_DAEMON_FAILED;
}

static int start(struct cli *c, const char *id, struct err *e)
{
	auto_buf path = CALL_PATH;

	path_add(&path, "/containers/%/start", id);
	return call_do(c, "POST", buf_text(&path), NULL, e);
}

static int run_failed(struct cli *c, const struct err *e, int status)
{
	(void)fprintf(c->err, "shoal: %s\n\nRun 'shoal run --help' for more information\n",
		      err_text(e));
	return status;
}

static int run_attached(struct cli *c, const struct flags *f, const char *id)
{
	struct attached a = {.c = c,
			     .id = id,
			     .input = flag_true(f, "interactive"),
			     .tty = flag_true(f, "tty"),
			     .proxy = !flag_is_set(f, "sig-proxy") || flag_true(f, "sig-proxy")};
	enum attached_end end = ATTACHED_ENDED;
	struct err e = ERR_INIT;
	int status = CLI_DAEMON_FAILED;
	int rc = attached_open(&a, flag_true(f, "rm") ? "removed" : "next-exit", &e);

	if (rc == 0 && start(c, id, &e) < 0) {
		status = start_status(&e);
		rc = e.code;
	}
	if (rc == 0)
		rc = attached_run(&a, &end, &e);
	attached_close(&a);
	if (rc < 0)
		return run_failed(c, &e, status);
	return end == ATTACHED_DETACHED ? 0 : (int)a.code;
}

int cli_container_run(struct cli *c, const struct flags *f)
{
	struct id_view made = {0};
	struct err e = ERR_INIT;
	int status = 0;

	if (flag_true(f, "tty") && flag_true(f, "interactive") && !flag_true(f, "detach") &&
	    !isatty(STDIN_FILENO)) {
		(void)fprintf(c->err, "the input device is not a TTY\n");
		return 1;
	}
	if (create(c, f, !flag_true(f, "detach"), &made, &e) < 0)
		return run_failed(c, &e, CLI_DAEMON_FAILED);
	if (!flag_true(f, "detach"))
		status = run_attached(c, f, made.id);
	else if (start(c, made.id, &e) < 0)
		status = run_failed(c, &e, start_status(&e));
	else
		(void)fprintf(c->out, "%s\n", made.id);
	table_done(&id_view_table, &made);
	return status;
}

int cli_container_create(struct cli *c, const struct flags *f)
{
	struct id_view made = {0};
	struct err e = ERR_INIT;

	if (create(c, f, true, &made, &e) < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out, "%s\n", made.id);
	table_done(&id_view_table, &made);
	return 0;
}
