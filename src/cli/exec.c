/*
 * exec: a further process in a running container, or in a task wherever it runs; stays with it
 * until it ends, and ends as it did.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/attached.h"
#include "cli/call.h"
#include "cli/spec_flags.h"
#include "cli/views.h"
#include "model/exec.h"

struct ended_view {
	int64_t *exit_code;
	char *error; /* of one in a task: it was lost, and its streams said so */
};
#define T struct ended_view
static const struct field ended_view_fields[] = {
	FIELD_OPT_I64(T, 0, exit_code, "ExitCode", 0),
	FIELD_STR(T, 0, error, "Error", 0),
};
#undef T
static TABLE_DEFINE(ended_view, ended_view_fields);

/* [rows, columns], so that the program finds its terminal as it is. */
static char *console_size(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_row)
		return NULL;
	return xasprintf("[%u,%u]", w.ws_row, w.ws_col);
}

static int config_fill(const struct flags *f, struct exec_config *x, struct err *e)
{
	bool attached = !flag_true(f, "detach");

	x->tty = flag_true(f, "tty");
	x->attach_stdin = attached && flag_true(f, "interactive");
	x->attach_stdout = x->attach_stderr = attached;
	x->privileged = flag_true(f, "privileged");
	spec_text(&x->user, f, "user");
	spec_text(&x->working_dir, f, "workdir");
	if (x->tty)
		x->console_size = console_size();
	for (size_t i = 1; i < f->n_args; i++)
		strs_add(&x->cmd, f->args[i]);
	return spec_env(&x->env, f, "env-file", "env", e);
}

#define CODE_LOST 255 /* what is not known to have ended otherwise */

enum place { IN_CONTAINER, IN_TASK };

static int create_in(struct cli *c, enum place place, const char *name,
		     const struct exec_config *config, struct id_view *ret, struct err *e)
{
	auto_buf body = BUF_INIT(LIMIT_JSON_BODY);
	auto_buf path = CALL_PATH;
	int rc = call_body(&exec_config_table, config, &body, e);

	path_add(&path, place == IN_TASK ? "/tasks/%/exec" : "/containers/%/exec", name);
	if (rc == 0)
		rc = call_read(c, "POST", buf_text(&path), &body, &id_view_table, ret, e);
	return rc == 0 && !ret->id ? err_set(e, -EPROTO, "the daemon named no process") : rc;
}

/* A container of this host comes first; what looks like SERVICE.SLOT may be a task elsewhere. */
static int create(struct cli *c, enum place place, const char *name,
		  const struct exec_config *config, struct id_view *ret, struct err *e)
{
	int rc = create_in(c, place, name, config, ret, e);
	struct err other = ERR_INIT;

	if (rc != -ENOENT || place == IN_TASK || !strchr(name, '.'))
		return rc;
	rc = create_in(c, IN_TASK, name, config, ret, &other);
	if (rc < 0)
		(void)err_set(e, rc, "no container %.100s on this host, and as a task: %.350s",
			      name, err_text(&other));
	return rc;
}

static int start_body(const struct exec_config *x, bool detach, struct buf *ret)
{
	return buf_addf(ret, "{\"Detach\":%s,\"Tty\":%s}", detach ? "true" : "false",
			x->tty ? "true" : "false");
}

static int start_detached(struct cli *c, const struct exec_config *x, const char *id, struct err *e)
{
	auto_buf body = BUF_INIT(LIMIT_JSON_BODY);
	auto_buf path = CALL_PATH;

	(void)start_body(x, true, &body);
	path_add(&path, "/exec/%/start", id);
	return call_do(c, "POST", buf_text(&path), &body, e);
}

static int exit_status(struct cli *c, const char *id, int *ret, struct err *e)
{
	struct ended_view ended = {0};
	auto_buf path = CALL_PATH;
	int rc;

	path_add(&path, "/exec/%/json", id);
	rc = call_get(c, buf_text(&path), &ended_view_table, &ended, e);
	if (rc == 0 && ended.error && *ended.error)
		*ret = CODE_LOST;
	else if (rc == 0 && !ended.exit_code)
		rc = err_set(e, -ECONNRESET,
			     "the connection to the process is lost; it may run on: see \"shoal "
			     "top\"");
	else if (rc == 0)
		*ret = (int)*ended.exit_code;
	table_done(&ended_view_table, &ended);
	return rc;
}

static int stay(struct cli *c, const struct exec_config *x, const char *id, int *ret_status,
		struct err *e)
{
	struct attached a = {
		.c = c, .id = id, .exec = true, .input = x->attach_stdin, .tty = x->tty};
	enum attached_end end = ATTACHED_ENDED;
	auto_buf body = BUF_INIT(LIMIT_JSON_BODY);
	int rc;

	(void)start_body(x, false, &body);
	rc = attached_open_exec(&a, &body, e);
	if (rc == 0)
		rc = attached_run(&a, &end, e);
	attached_close(&a);
	if (rc == 0 && end == ATTACHED_ENDED)
		rc = exit_status(c, id, ret_status, e);
	return rc;
}

static int run(struct cli *c, const struct flags *f, enum place place)
{
	struct exec_config config = {0};
	struct id_view made = {0};
	struct err e = ERR_INIT;
	int status = 0;
	int rc = config_fill(f, &config, &e);

	if (rc == 0 && config.tty && config.attach_stdin && !isatty(STDIN_FILENO))
		rc = err_set(&e, -ENOTTY, "the input device is not a TTY");
	if (rc == 0)
		rc = create(c, place, f->args[0], &config, &made, &e);
	if (rc == 0)
		rc = flag_true(f, "detach") ? start_detached(c, &config, made.id, &e)
					    : stay(c, &config, made.id, &status, &e);
	table_done(&id_view_table, &made);
	table_done(&exec_config_table, &config);
	return rc < 0 ? cli_fail(c, &e) : status;
}

int cli_exec(struct cli *c, const struct flags *f)
{
	return run(c, f, IN_CONTAINER);
}

int cli_task_exec(struct cli *c, const struct flags *f)
{
	return run(c, f, IN_TASK);
}
