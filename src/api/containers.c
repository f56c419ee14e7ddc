/*
 * /containers: making one and what is done to it. Lists, inspect, wait, logs and attach have files
 * of their own; all routes stand here. Called by the router; asks the engine.
 */
#include <signal.h>
#include <string.h>

#include "api/containers.h"
#include "api/engine_api.h"
#include "base/mem.h"
#include "base/signal.h"

struct container *containers_find(struct api_req *r)
{
	struct container *c;

	if (engine_container_find(r->ctx, r->vars[0], &c, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return NULL;
	}
	return c;
}

bool containers_is_running(const struct container *c)
{
	return c->status == CONTAINER_RUNNING || c->status == CONTAINER_RESTARTING;
}

/* POST /containers/create */

struct created_view {
	char *id;
	struct strs warnings;
};
#define T struct created_view
static const struct field created_view_fields[] = {
	FIELD_STR(T, 0, id, "Id", 0),
	FIELD_STRS(T, 0, warnings, "Warnings", 0),
};
#undef T
static TABLE_DEFINE(created_view, created_view_fields);

static void created(void *arg, int status, const struct container *c, const struct strs *warnings,
		    const struct err *e)
{
	struct api_req *r = arg;
	struct created_view view = {0};

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	view.id = c->id;
	if (warnings)
		view.warnings = *warnings;
	api_reply_table(r, 201, &created_view_table, &view);
}

static void container_create(struct api_req *r)
{
	struct container_create spec = {0};
	struct engine_create create = {.spec = &spec,
				       .name = http_req_arg(r->http, "name"),
				       .platform = http_req_arg(r->http, "platform")};

	if (create.platform && !*create.platform)
		create.platform = NULL;
	if (r->body->len == 0) {
		api_reply_fail(r, -EINVAL, "config cannot be empty in order to create a container");
		return;
	}
	if (container_create_read(r->body->p, r->body->len, &spec, &r->err) < 0) {
		err_wrap(&r->err, "invalid JSON");
		api_reply_error(r, &r->err);
		return;
	}
	engine_container_create(r->ctx, &create, created, r);
	container_create_done(&spec); /* what the engine has not taken */
}

/* What is done to one */

static void done_empty(void *arg, int status, const struct err *e)
{
	struct api_req *r = arg;

	if (status == -EALREADY)
		api_reply_empty(r, 304);
	else if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_empty(r, 204);
}

static void container_start(struct api_req *r)
{
	struct container *c = containers_find(r);

	if (c)
		engine_container_start(r->ctx, c, done_empty, r);
}

/* 0 for a missing one. */
static int signal_arg(struct api_req *r, int *ret, struct err *e)
{
	const char *text = http_req_arg(r->http, "signal");

	return signal_parse(text, ret) == 0 ? 0
					    : err_set(e, -EINVAL, "Invalid signal: %.40s", text);
}

/* signal and t of stop and restart. */
static int stop_args(struct api_req *r, int *ret_signal, int64_t *ret_grace_s)
{
	int rc = signal_arg(r, ret_signal, &r->err);

	if (rc == 0)
		rc = query_int(r->query, "t", -1, INT32_MIN, INT32_MAX, ret_grace_s, &r->err);
	return rc;
}

static void container_stop(struct api_req *r)
{
	struct container *c = containers_find(r);
	int64_t grace_s;
	int signal;

	if (!c)
		return;
	if (stop_args(r, &signal, &grace_s) < 0)
		api_reply_error(r, &r->err);
	else if (!containers_is_running(c))
		api_reply_empty(r, 304);
	else
		engine_container_stop(r->ctx, c, signal, grace_s, done_empty, r);
}

/* The second half of a restart. It may be gone by now: --rm. */
static void restart_stopped(void *arg, int status, const struct err *e)
{
	struct api_req *r = arg;
	struct container *c;

	if (status < 0 && status != -EALREADY) {
		api_reply_error(r, e);
		return;
	}
	c = containers_find(r);
	if (c)
		engine_container_start(r->ctx, c, done_empty, r);
}

static void container_restart(struct api_req *r)
{
	struct container *c = containers_find(r);
	int64_t grace_s;
	int signal;

	if (!c)
		return;
	if (stop_args(r, &signal, &grace_s) < 0)
		api_reply_error(r, &r->err);
	else if (!containers_is_running(c))
		engine_container_start(r->ctx, c, done_empty, r);
	else
		engine_container_stop(r->ctx, c, signal, grace_s, restart_stopped, r);
}

static void container_kill(struct api_req *r)
{
	struct container *c = containers_find(r);
	int signal;

	if (!c)
		return;
	if (signal_arg(r, &signal, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		engine_container_kill(r->ctx, c, signal ? signal : SIGKILL, done_empty, r);
}

static void container_delete(struct api_req *r)
{
	struct container *c;

	if (query_bool(r->query, "link", false)) {
		api_reply_fail(r, -ENOSYS, "removing links between containers is not implemented");
		return;
	}
	c = containers_find(r);
	if (c)
		engine_container_remove(r->ctx, c, query_bool(r->query, "force", false),
					query_bool(r->query, "v", false), done_empty, r);
}

void containers_done_ok(void *arg, int status, const struct err *e)
{
	struct api_req *r = arg;

	if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_empty(r, 200);
}

int containers_size_args(struct api_req *r, int64_t *ret_rows, int64_t *ret_cols)
{
	int rc = query_int(r->query, "h", 0, 0, UINT16_MAX, ret_rows, &r->err);

	return rc == 0 ? query_int(r->query, "w", 0, 0, UINT16_MAX, ret_cols, &r->err) : rc;
}

static void container_resize(struct api_req *r)
{
	struct container *c = containers_find(r);
	int64_t rows, cols;

	if (!c)
		return;
	if (containers_size_args(r, &rows, &cols) < 0)
		api_reply_error(r, &r->err);
	else
		engine_container_resize(r->ctx, c, (int)rows, (int)cols, containers_done_ok, r);
}

static void container_pause(struct api_req *r)
{
	struct container *c = containers_find(r);

	if (c)
		engine_container_pause(r->ctx, c, true, done_empty, r);
}

static void container_unpause(struct api_req *r)
{
	struct container *c = containers_find(r);

	if (c)
		engine_container_pause(r->ctx, c, false, done_empty, r);
}

/* POST /containers/{id}/update: the limits stand where create has them in HostConfig. */

struct updated_view {
	struct strs warnings;
};
#define T struct updated_view
static const struct field updated_view_fields[] = {
	FIELD_STRS(T, 0, warnings, "Warnings", FIELD_NULL),
};
#undef T
static TABLE_DEFINE(updated_view, updated_view_fields);

static void updated(void *arg, int status, const struct err *e)
{
	const struct updated_view view = {0};
	struct api_req *r = arg;

	if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_table(r, 200, &updated_view_table, &view);
}

static void container_update(struct api_req *r)
{
	struct container *c = containers_find(r);
	struct host_config changes = {0};

	if (!c)
		return;
	if (json_read(&host_config_table, buf_text(r->body), r->body->len, &changes, &r->err) < 0) {
		err_wrap(&r->err, "invalid JSON");
		api_reply_error(r, &r->err);
		return;
	}
	engine_container_update(r->ctx, c, &changes, updated, r);
	table_done(&host_config_table, &changes);
}

static void container_rename(struct api_req *r)
{
	const char *name = http_req_arg(r->http, "name");
	struct container *c = containers_find(r);

	if (!c)
		return;
	if (!name || !*name)
		api_reply_fail(r, -EINVAL, "Neither old nor new names may be empty");
	else if (engine_container_rename(r->ctx, c, name, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		api_reply_empty(r, 204);
}

static const struct api_route routes[] = {
	{"GET", "/containers/json", container_list_handler, API_BODY_NONE, 0, 0},
	{"POST", "/containers/create", container_create, API_BODY_JSON, 0, 0},
	{"GET", "/containers/{id:.*}/json", container_inspect_handler, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/start", container_start, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/stop", container_stop, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/restart", container_restart, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/kill", container_kill, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/update", container_update, API_BODY_JSON, 0, 0},
	{"POST", "/containers/{id:.*}/pause", container_pause, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/unpause", container_unpause, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/wait", container_wait_handler, API_BODY_NONE, 0, 0},
	{"GET", "/containers/{id:.*}/stats", container_stats_handler, API_BODY_NONE, 0, 0},
	{"GET", "/containers/{id:.*}/changes", container_changes_handler, API_BODY_NONE, 0, 0},
	{"GET", "/containers/{id:.*}/top", container_top_handler, API_BODY_NONE, 0, 0},
	{"GET", "/containers/{id:.*}/logs", container_logs_handler, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/attach", container_attach_handler, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/resize", container_resize, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/rename", container_rename, API_BODY_NONE, 0, 0},
	{"POST", "/containers/{id:.*}/exec", exec_create_handler, API_BODY_JSON, 0, 0},
	{"DELETE", "/containers/{id:.*}", container_delete, API_BODY_NONE, 0, 0},
};

void api_containers_add(struct api_router *r, struct engine *engine)
{
	api_router_add(r, routes, ARRAY_LEN(routes), engine);
}
