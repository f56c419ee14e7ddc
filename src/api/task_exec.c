/*
 * POST /tasks/{id}/exec, and /exec: processes in the tasks of any node, in the Engine API's own
 * shape, so that its clients can use what they have. An id that this manager did not give is the
 * host's engine's. The streams are as for one of this host: whoever is slow stops the other side,
 * and nothing is dropped. See manager/task_exec.h.
 */
#include <string.h>

#include "api/containers.h"
#include "api/engine_api.h"
#include "api/exec.h"
#include "base/limits.h"
#include "base/mem.h"

/* A client that is attached to one. */
struct joined {
	struct api_req *r;   /* until it is answered */
	struct task_exec *x; /* NULL once it has ended or was left */
	struct http_hijack *h;
	bool raw;
	bool output_over;
	struct buf out; /* what found the queue full */
};

static void joined_free(struct joined *j)
{
	if (j->x)
		task_exec_leave(TAKE_PTR(j->x));
	if (j->h)
		http_hijack_close(TAKE_PTR(j->h));
	buf_done(&j->out);
	free(j);
}

/* ---- Output ---- */

static void out_add(struct joined *j, int stream, const void *p, size_t n)
{
	uint8_t head[FRAME_HEAD];

	containers_frame_head(head, stream == 2 ? ENGINE_STDERR : ENGINE_STDOUT, n);
	if (!j->raw)
		(void)buf_add(&j->out, head, sizeof head);
	(void)buf_add(&j->out, p, n);
}

/* True when nothing waits for the client any more. */
static bool out_flush(struct joined *j)
{
	if (j->out.len > 0 && http_hijack_write(j->h, j->out.p, j->out.len) == -ENOBUFS)
		return false;
	buf_reset(&j->out);
	return true;
}

static bool on_output(void *arg, int stream, const void *p, size_t n)
{
	struct joined *j = arg;

	/* Taken whole or, while the last piece has not left, not at all. */
	if (!j->h || !out_flush(j))
		return false;
	out_add(j, stream, p, n);
	(void)out_flush(j);
	return true;
}

static void on_end(void *arg)
{
	struct joined *j = arg;
	const struct task_exec *x = TAKE_PTR(j->x);

	if (x->error) {
		auto_free char *text = xasprintf("%s\n", x->error);

		out_add(j, 2, text, strlen(text));
	}
	j->output_over = true;
	if (j->h && out_flush(j))
		joined_free(j);
}

static void on_input_drained(void *arg)
{
	struct joined *j = arg;

	if (j->h)
		http_hijack_pause(j->h, false);
}

/* ---- The connection ---- */

static void hijack_opened(struct http_hijack *h, void *data)
{
	struct joined *j = data;

	j->h = h;
	if (!h) {
		joined_free(j);
	} else if (j->output_over) {
		if (out_flush(j))
			joined_free(j);
	} else {
		task_exec_resume(j->x);
	}
}

static void hijack_read(struct http_hijack *h, const void *p, size_t n, void *data)
{
	struct joined *j = data;

	if (j->x && task_exec_write(j->x, p, n) == 1)
		http_hijack_pause(h, true);
}

static void hijack_eof(struct http_hijack *h, void *data)
{
	struct joined *j = data;

	(void)h;
	if (j->x)
		task_exec_close_stdin(j->x);
}

static void hijack_drain(struct http_hijack *h, void *data)
{
	struct joined *j = data;

	(void)h;
	if (!out_flush(j))
		return;
	if (j->output_over)
		joined_free(j);
	else if (j->x)
		task_exec_resume(j->x);
}

static void hijack_lost(struct http_hijack *h, void *data)
{
	(void)h;
	joined_free(data);
}

/* ---- Starting ---- */

/* The client goes while the node is waited for: `opened` does not come any more. */
static void start_gone(struct api_req *r)
{
	struct joined **state = api_req_state(r);
	struct joined *j = *state;

	if (!j)
		return;
	*state = NULL;
	joined_free(j);
	api_reply_fail(r, -ECANCELED, "the client has gone");
}

static void on_opened(void *arg, int status, const struct err *e)
{
	struct joined *j = arg;
	struct api_req *r = TAKE_PTR(j->r);
	struct joined **state = api_req_state(r);
	const struct http_hijack_cb cb = {.opened = hijack_opened,
					  .read = hijack_read,
					  .eof = hijack_eof,
					  .drain = hijack_drain,
					  .lost = hijack_lost,
					  .data = j};

	*state = NULL;
	if (status < 0) {
		j->x = NULL;
		joined_free(j);
		api_reply_error(r, e);
		return;
	}
	http_reply_hijack(r->http, containers_stream_type(r, j->raw), &cb);
}

static void attach(struct api_req *r, struct task_exec *x, const struct exec_start_args *args)
{
	static const struct task_exec_ops ops = {
		.opened = on_opened, .output = on_output, .drain = on_input_drained, .end = on_end};
	struct joined *j = xcalloc(1, sizeof *j), **state;

	if (task_exec_start(x, false, args->rows, args->cols, &ops, j, &r->err) < 0) {
		free(j);
		api_reply_error(r, &r->err);
		return;
	}
	j->r = r;
	j->x = x;
	j->raw = x->config.tty;
	j->out = BUF_INIT(LIMIT_HTTP_STREAM + LIMIT_FRAME);
	state = xcalloc(1, sizeof *state);
	*state = j;
	api_req_own(r, state, start_gone, free);
}

static void detached_opened(void *arg, int status, const struct err *e)
{
	struct api_req *r = arg;

	if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_empty(r, 200);
}

static void detach(struct api_req *r, struct task_exec *x, const struct exec_start_args *args)
{
	static const struct task_exec_ops ops = {.opened = detached_opened};

	if (task_exec_start(x, true, args->rows, args->cols, &ops, r, &r->err) < 0)
		api_reply_error(r, &r->err);
}

/* ---- The routes ---- */

/* NULL: it is the engine's, for which `r` is made ready; or there is none. */
static struct task_exec *find(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct manager *m = swarm->manager(swarm->arg);
	struct task_exec *x = m ? task_exec_find(m, r->vars[0]) : NULL;

	if (!x)
		r->ctx = swarm->engine;
	return x;
}

static void create(struct api_req *r)
{
	struct manager *m = api_manager(r);
	struct exec_config config = {0};
	struct task_exec *x;

	if (!m)
		return;
	if (exec_config_read(r, &config) < 0 ||
	    task_exec_create(m, r->vars[0], &config, &x, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		exec_created_reply(r, x->id);
	table_done(&exec_config_table, &config);
}

static void start(struct api_req *r)
{
	struct task_exec *x = find(r);
	struct exec_start_args args = {0};

	if (!x)
		exec_start_handler(r);
	else if (exec_start_read(r, &args) < 0)
		api_reply_error(r, &r->err);
	else if (args.detach)
		detach(r, x, &args);
	else
		attach(r, x, &args);
}

static void resize(struct api_req *r)
{
	struct task_exec *x = find(r);
	int64_t rows, cols;

	if (!x)
		exec_resize_handler(r);
	else if (containers_size_args(r, &rows, &cols) < 0 ||
		 task_exec_resize(x, (uint32_t)rows, (uint32_t)cols, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		api_reply_empty(r, 200);
}

static void inspect(struct api_req *r)
{
	static const enum exec_status states[] = {[TASK_EXEC_CREATED] = EXEC_CREATED,
						  [TASK_EXEC_STARTING] = EXEC_CREATED,
						  [TASK_EXEC_RUNNING] = EXEC_RUNNING,
						  [TASK_EXEC_ENDED] = EXEC_ENDED};
	struct task_exec *x = find(r);
	struct exec_place place;
	struct engine_exec shown;

	if (!x) {
		exec_inspect_handler(r);
		return;
	}
	place = (struct exec_place){.task = x->task, .node = x->node, .error = x->error};
	shown = (struct engine_exec){.id = x->id,
				     .container = x->container,
				     .config = x->config,
				     .status = states[x->state],
				     .exit_code = x->exit_code};
	exec_inspect_reply(r, &shown, &place);
}

static const struct api_route routes[] = {
	{"POST", "/tasks/{id}/exec", create, API_BODY_JSON, 0, 0},
	{"POST", "/exec/{id}/start", start, API_BODY_JSON, 0, 0},
	{"POST", "/exec/{id}/resize", resize, API_BODY_NONE, 0, 0},
	{"GET", "/exec/{id}/json", inspect, API_BODY_NONE, 0, 0},
};

void api_exec_add(struct api_router *r, struct engine *engine, struct api_swarm *swarm)
{
	swarm->engine = engine;
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
