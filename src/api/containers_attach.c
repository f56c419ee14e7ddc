/*
 * POST /containers/{id}/attach, and /exec/{id}/start when it is not detached: the connection
 * becomes the streams of the container or of the process. With logs=1 what was said before is
 * replayed first. Each side may close its direction alone; whoever is slow stops the other, and
 * nothing is dropped.
 */
#include <string.h>

#include "api/containers.h"
#include "base/limits.h"
#include "base/mem.h"

struct exec_starting {
	struct attaching *a; /* NULL: the client has gone */
};

struct attaching {
	struct engine *engine;
	char *id;
	bool exec; /* `id` is an exec's: it is started once the client has its answer */
	struct exec_starting *starting;
	struct http_hijack *h;
	struct engine_attach *attach;
	struct engine_logs *logs;
	unsigned streams;
	struct engine_logs_options options; /* of the replay */
	bool replay, stream;
	bool raw;         /* a terminal: no frames */
	bool stdin_once;  /* the container's input ends with the client's */
	bool output_over; /* what is to be said waits in `out`, and no more comes */
	bool input_over;
	struct buf out;   /* what found the queue full */
	struct buf early; /* input that came before there was somebody to take it */
};

/* Output that waits for the client; the engine stops giving while there is any. */
#define ATTACH_OUT_MAX LIMIT_HTTP_STREAM

static void attach_free(struct attaching *a)
{
	if (a->starting)
		a->starting->a = NULL;
	if (a->attach)
		engine_attach_close(TAKE_PTR(a->attach));
	if (a->logs)
		engine_logs_close(TAKE_PTR(a->logs));
	if (a->h)
		http_hijack_close(TAKE_PTR(a->h));
	buf_done(&a->out);
	buf_done(&a->early);
	free(a->id);
	free(a);
}

static void out_add(struct attaching *a, int stream, const void *p, size_t n)
{
	uint8_t head[FRAME_HEAD];

	if (n == 0)
		return;
	containers_frame_head(head, stream, n);
	if (!a->raw)
		(void)buf_add(&a->out, head, sizeof head);
	(void)buf_add(&a->out, p, n);
}

/* True when nothing waits for the client any more. */
static bool out_flush(struct attaching *a)
{
	int rc = 0;

	if (a->out.len > 0)
		rc = http_hijack_write(a->h, a->out.p, a->out.len);
	if (rc == -ENOBUFS)
		return false;
	buf_reset(&a->out);
	return true;
}

/* Replay */

static void stream_begin(struct attaching *a);

static void finish(struct attaching *a)
{
	a->output_over = true;
	if (out_flush(a))
		attach_free(a);
}

static bool replay_entry(void *arg, int stream, int64_t time_ns, const char *p, size_t n)
{
	struct attaching *a = arg;

	out_add(a, stream, p, n);
	return out_flush(a);
}

static void replay_end(void *arg, const struct err *e)
{
	struct attaching *a = arg;

	engine_logs_close(TAKE_PTR(a->logs));
	if (out_flush(a))
		stream_begin(a);
}

static bool replay_begin(struct attaching *a, struct err *e)
{
	static const struct engine_logs_ops ops = {.entry = replay_entry, .end = replay_end};
	struct container *c;

	if (engine_container_find(a->engine, a->id, &c, e) < 0)
		return false;
	a->logs = engine_logs(a->engine, c, &a->options, &ops, a, e);
	return a->logs != NULL;
}

/* Streams */

static bool on_output(void *arg, int stream, const void *p, size_t n)
{
	struct attaching *a = arg;

	if (!(a->streams & (unsigned)stream))
		return true;
	/* Taken whole or, while the last piece has not left, not at all. */
	if (!a->h || !out_flush(a))
		return false;
	out_add(a, stream, p, n);
	(void)out_flush(a);
	return true;
}

static void on_end(void *arg)
{
	struct attaching *a = arg;

	engine_attach_close(TAKE_PTR(a->attach));
	if (a->h)
		finish(a);
	else
		a->output_over = true; /* `opened` finds it so */
}

static void on_input_drained(void *arg)
{
	struct attaching *a = arg;

	if (a->h)
		http_hijack_pause(a->h, false);
}

static const struct engine_attach_ops attach_ops = {
	.output = on_output, .end = on_end, .drain = on_input_drained};

/* Failures come in the stream once the connection has been taken over. */
static void fail_inband(struct attaching *a, const struct err *e)
{
	auto_free char *text = xasprintf("%s\n", err_text(e));

	out_add(a, ENGINE_STDERR, text, strlen(text));
	finish(a);
}

static void input_begin(struct attaching *a)
{
	if (a->early.len > 0 && (a->streams & ENGINE_STDIN) &&
	    engine_attach_write(a->attach, a->early.p, a->early.len) == 1)
		return; /* `drain` lets the client go on */
	buf_reset(&a->early);
	http_hijack_pause(a->h, false);
}

static void stream_begin(struct attaching *a)
{
	struct err e = ERR_INIT;
	struct container *c;

	if (!a->stream || a->output_over) {
		finish(a);
		return;
	}
	if (!a->attach) {
		if (engine_container_find(a->engine, a->id, &c, &e) == 0)
			a->attach = engine_attach(a->engine, c, a->streams, &attach_ops, a, &e);
		if (!a->attach) {
			fail_inband(a, &e);
			return;
		}
	} else {
		engine_attach_resume(a->attach);
	}
	input_begin(a);
	if (a->input_over && a->stdin_once)
		engine_attach_close_stdin(a->attach);
}

/* Executing */

static void exec_started(void *arg, int status, const struct err *e)
{
	struct exec_starting *s = arg;
	struct attaching *a = s->a;

	free(s);
	if (!a)
		return;
	a->starting = NULL;
	if (status < 0)
		fail_inband(a, e);
}

/* False: it has been forgotten meanwhile, and so is `a`. */
static bool exec_begin(struct attaching *a)
{
	struct err e = ERR_INIT;
	struct engine_exec *x;

	if (engine_exec_find(a->engine, a->id, &x, &e) < 0) {
		fail_inband(a, &e);
		return false;
	}
	a->starting = xcalloc(1, sizeof *a->starting);
	a->starting->a = a;
	engine_exec_start(a->engine, x, exec_started, a->starting);
	return true;
}

/* The connection */

static void on_opened(struct http_hijack *h, void *data)
{
	struct attaching *a = data;
	struct err e = ERR_INIT;

	if (!h) {
		attach_free(a);
		return;
	}
	a->h = h;
	http_hijack_pause(h, true);
	if (a->exec && !a->output_over && !exec_begin(a))
		return;
	if (!a->replay)
		stream_begin(a);
	else if (!replay_begin(a, &e))
		fail_inband(a, &e);
}

static void on_read(struct http_hijack *h, const void *p, size_t len, void *data)
{
	struct attaching *a = data;

	if (!(a->streams & ENGINE_STDIN))
		return;
	if (!a->attach)
		(void)buf_add(&a->early, p, len);
	else if (engine_attach_write(a->attach, p, len) == 1)
		http_hijack_pause(h, true);
}

static void on_eof(struct http_hijack *h, void *data)
{
	struct attaching *a = data;

	a->input_over = true;
	if (a->attach && a->stdin_once)
		engine_attach_close_stdin(a->attach);
}

static void on_drain(struct http_hijack *h, void *data)
{
	struct attaching *a = data;

	if (!out_flush(a))
		return;
	if (a->output_over)
		attach_free(a);
	else if (a->logs)
		engine_logs_resume(a->logs);
	else if (a->attach)
		engine_attach_resume(a->attach);
	else
		stream_begin(a); /* the replay has ended with its last piece waiting */
}

static void on_lost(struct http_hijack *h, void *data)
{
	attach_free(data);
}

static void attach_args(struct api_req *r, const struct container *c, struct attaching *a)
{
	a->raw = c->config.tty;
	a->replay = query_bool(r->query, "logs", false);
	a->stream = query_bool(r->query, "stream", false);
	if (query_bool(r->query, "stdin", false) && c->config.open_stdin) {
		a->streams |= ENGINE_STDIN;
		a->stdin_once = c->config.stdin_once && !c->config.tty;
	}
	if (query_bool(r->query, "stdout", false))
		a->streams |= ENGINE_STDOUT;
	if (query_bool(r->query, "stderr", false))
		a->streams |= ENGINE_STDERR;
}

static struct attaching *attaching_new(struct api_req *r, const char *id)
{
	struct attaching *a = xcalloc(1, sizeof *a);

	a->engine = r->ctx;
	a->id = xstrdup(id);
	a->out = BUF_INIT(ATTACH_OUT_MAX);
	a->early = BUF_INIT(LIMIT_HTTP_STREAM);
	return a;
}

static void hijack(struct api_req *r, struct attaching *a)
{
	const struct http_hijack_cb cb = {.opened = on_opened,
					  .read = on_read,
					  .eof = on_eof,
					  .drain = on_drain,
					  .lost = on_lost,
					  .data = a};

	http_reply_hijack(r->http, containers_stream_type(r, a->raw), &cb);
}

void containers_attach_exec(struct api_req *r, struct engine_exec *x)
{
	const struct exec_config *config = &x->config;
	struct attaching *a = attaching_new(r, x->id);

	a->exec = a->stream = true;
	a->raw = config->tty;
	a->stdin_once = !config->tty;
	a->streams = (config->attach_stdin ? ENGINE_STDIN : 0u) |
		     (config->attach_stdout ? ENGINE_STDOUT : 0u) |
		     (config->attach_stderr ? ENGINE_STDERR : 0u);
	/* The end of the output is wanted by those as well who want none of it. */
	a->attach = engine_exec_attach(a->engine, x, a->streams | ENGINE_STDOUT | ENGINE_STDERR,
				       &attach_ops, a, &r->err);
	if (!a->attach) {
		api_reply_error(r, &r->err);
		attach_free(a);
		return;
	}
	hijack(r, a);
}

void container_attach_handler(struct api_req *r)
{
	struct container *c = containers_find(r);
	struct engine_logs_options options;
	struct attaching *a;

	if (!c)
		return;
	if (c->status == CONTAINER_RESTARTING) {
		api_reply_fail(r, -EBUSY,
			       "Container %s is restarting, wait until the container is running",
			       r->vars[0]);
		return;
	}
	if (containers_logs_options(r, &options, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	a = attaching_new(r, c->id);
	a->options = options;
	attach_args(r, c, a);
	/*
	 * Without a replay it attaches before it answers: a client starts the container as soon as
	 * it has the answer, and is to see the first byte of it.
	 */
	if (a->stream && !a->replay) {
		a->attach = engine_attach(a->engine, c, a->streams, &attach_ops, a, &r->err);
		if (!a->attach) {
			api_reply_error(r, &r->err);
			attach_free(a);
			return;
		}
	}
	hijack(r, a);
}
