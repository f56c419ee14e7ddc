/*
 * /containers/{id}/exec and /exec: further processes in a running container. The stream of one
 * that is attached is containers_attach.c's; those in tasks of other nodes are task_exec.c's, which
 * hands on here what is this host's. Called by the router; asks the engine.
 */
#include "api/containers.h"
#include "api/exec.h"
#include "base/mem.h"

static struct engine_exec *find(struct api_req *r)
{
	struct engine_exec *x;

	if (engine_exec_find(r->ctx, r->vars[0], &x, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return NULL;
	}
	return x;
}

/* POST /containers/{id}/exec */

struct created_view {
	char *id;
};
#define T struct created_view
static const struct field created_view_fields[] = {
	FIELD_STR(T, 0, id, "Id", 0),
};
#undef T
static TABLE_DEFINE(created_view, created_view_fields);

int exec_config_read(struct api_req *r, struct exec_config *ret)
{
	if (json_read(&exec_config_table, buf_text(r->body), r->body->len, ret, &r->err) < 0)
		return err_wrap(&r->err, "invalid JSON");
	return 0;
}

void exec_created_reply(struct api_req *r, const char *id)
{
	struct created_view view = {.id = (char *)(uintptr_t)id};

	api_reply_table(r, 201, &created_view_table, &view);
}

void exec_create_handler(struct api_req *r)
{
	struct container *c = containers_find(r);
	struct exec_config config = {0};
	struct engine_exec *x;

	if (!c)
		return;
	if (exec_config_read(r, &config) < 0 ||
	    engine_exec_create(r->ctx, c, &config, &x, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		exec_created_reply(r, x->id);
	table_done(&exec_config_table, &config);
}

/* POST /exec/{id}/start */

#define T struct exec_start_args
static const struct field exec_start_args_fields[] = {
	FIELD_BOOL(T, 0, detach, "Detach", 0),
	FIELD_BOOL(T, 0, tty, "Tty", 0),
	FIELD_RAW(T, 0, console_size, "ConsoleSize", 0),
};
#undef T
static TABLE_DEFINE(exec_start_args, exec_start_args_fields);

static void ignore(void *arg, int status, const struct err *e)
{
	(void)arg;
	(void)status;
	(void)e;
}

int exec_start_read(struct api_req *r, struct exec_start_args *ret)
{
	int rc = 0;

	if (r->body->len)
		rc = json_read(&exec_start_args_table, buf_text(r->body), r->body->len, ret,
			       &r->err);
	if (rc < 0)
		return err_wrap(&r->err, "invalid JSON");
	rc = console_size_read(ret->console_size, &ret->rows, &ret->cols, &r->err);
	free(TAKE_PTR(ret->console_size));
	return rc;
}

void exec_start_handler(struct api_req *r)
{
	struct engine_exec *x = find(r);
	struct exec_start_args args = {0};

	if (!x)
		return;
	if (exec_start_read(r, &args) < 0 || engine_exec_check(r->ctx, x, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	if (args.rows && args.cols)
		engine_exec_resize(r->ctx, x, (int)args.rows, (int)args.cols, ignore, NULL);
	if (args.detach)
		engine_exec_start(r->ctx, x, containers_done_ok, r);
	else
		containers_attach_exec(r, x);
}

void exec_resize_handler(struct api_req *r)
{
	struct engine_exec *x = find(r);
	int64_t rows, cols;

	if (!x)
		return;
	if (containers_size_args(r, &rows, &cols) < 0)
		api_reply_error(r, &r->err);
	else
		engine_exec_resize(r->ctx, x, (int)rows, (int)cols, containers_done_ok, r);
}

/* GET /exec/{id}/json */

struct process_view {
	bool tty, *privileged;
	char *entrypoint;
	struct strs arguments;
	char *user;
};
#define T struct process_view
static const struct field process_view_fields[] = {
	FIELD_BOOL(T, 0, tty, "tty", 0),
	FIELD_STR(T, 0, entrypoint, "entrypoint", 0),
	FIELD_STRS(T, 0, arguments, "arguments", 0),
	FIELD_OPT_BOOL(T, 0, privileged, "privileged", FIELD_OMIT),
	FIELD_STR(T, 0, user, "user", FIELD_OMIT),
};
#undef T
static TABLE_DEFINE(process_view, process_view_fields);

struct inspect_view {
	char *id;
	bool running;
	int64_t *exit_code;
	struct process_view process;
	bool open_stdin, open_stderr, open_stdout, can_remove;
	char *container;
	char *detach_keys;
	int64_t pid;
	struct exec_place place;
};
#define T struct inspect_view
static const struct field inspect_view_fields[] = {
	FIELD_STR(T, 0, id, "ID", 0),
	FIELD_BOOL(T, 0, running, "Running", 0),
	FIELD_OPT_I64(T, 0, exit_code, "ExitCode", 0),
	FIELD_OBJ(T, 0, process, "ProcessConfig", 0, process_view),
	FIELD_BOOL(T, 0, open_stdin, "OpenStdin", 0),
	FIELD_BOOL(T, 0, open_stderr, "OpenStderr", 0),
	FIELD_BOOL(T, 0, open_stdout, "OpenStdout", 0),
	FIELD_BOOL(T, 0, can_remove, "CanRemove", 0),
	FIELD_STR(T, 0, container, "ContainerID", 0),
	FIELD_STR(T, 0, detach_keys, "DetachKeys", 0),
	FIELD_I64(T, 0, pid, "Pid", 0),
	FIELD_STR(T, 0, place.task, "TaskID", FIELD_OMIT),
	FIELD_STR(T, 0, place.node, "NodeID", FIELD_OMIT),
	FIELD_STR(T, 0, place.error, "Error", FIELD_OMIT),
};
#undef T
static TABLE_DEFINE(inspect_view, inspect_view_fields);

void exec_inspect_reply(struct api_req *r, const struct engine_exec *x,
			const struct exec_place *place)
{
	struct inspect_view view = {0};
	int64_t exit_code = x->exit_code;
	bool privileged = x->config.privileged;

	if (place)
		view.place = *place;
	view.id = x->id;
	view.running = x->status == EXEC_RUNNING;
	view.exit_code = x->status == EXEC_ENDED && !view.place.error ? &exit_code : NULL;
	view.can_remove = x->status == EXEC_ENDED;
	view.process = (struct process_view){
		.tty = x->config.tty,
		.privileged = &privileged,
		.entrypoint = x->config.cmd.v[0],
		.arguments = {.v = x->config.cmd.v + 1, .n = x->config.cmd.n - 1},
		.user = x->config.user,
	};
	view.open_stdin = x->config.attach_stdin;
	view.open_stderr = x->config.attach_stderr;
	view.open_stdout = x->config.attach_stdout;
	view.container = x->container;
	view.detach_keys = x->config.detach_keys;
	view.pid = x->pid;
	api_reply_table(r, 200, &inspect_view_table, &view);
}

void exec_inspect_handler(struct api_req *r)
{
	struct engine_exec *x = find(r);

	if (x)
		exec_inspect_reply(r, x, NULL);
}
