/*
 * See data_exec.h. Who asks has proved to be a manager twice: the request came in this node's
 * session, and the stream is dialled to a manager's certificate. It may reach the containers of
 * this node's tasks, as they are: no container without a task, and no privileges that its service
 * does not have. A process runs on when the one who asked is gone, as one does whose local client
 * leaves.
 */
#include "agent/data_exec.h"

#include <errno.h>
#include <string.h>

#include "agent/data_line.h"
#include "base/mem.h"
#include "model/exec.h"

struct starting;

/* One stream. */
struct call {
	struct data_line line;
	struct engine *engine;
	struct engine_attach *attach;
	struct starting *starting; /* NULL: it has started, or it never will */
	char id[ID_HOST_LEN + 1];  /* of what is executed; "": nothing yet */
	bool tty, input, detach;
	bool opened, over;
	size_t untaken; /* bytes of input that wait for the engine's drain */
};

/* A start cannot be called off: what it comes back to may be gone. */
struct starting {
	struct call *call; /* NULL: gone */
};

struct data_execs {
	struct engine *engine;
	struct data_lines lines;
};

static struct call *call_of(struct data_line *l)
{
	return container_of(l, struct call, line);
}

/* ---- Sending ---- */

static void send_bytes(struct call *c, enum data_frame type, const void *p, size_t n)
{
	if (stream_send_copy(c->line.stream, (uint16_t)type, p, n) == -ENOBUFS)
		stream_close(c->line.stream, -ENOBUFS,
			     "the manager does not take what it asked for");
}

static void send_message(struct call *c, enum data_frame type, const struct table *t,
			 const void *message)
{
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	(void)tlv_write(t, message, &bytes);
	send_bytes(c, type, bytes.p, bytes.len);
}

/* The last word. The manager closes, once it has read what came before. */
static void finish(struct call *c, const struct data_exit *end)
{
	if (c->over)
		return;
	c->over = true;
	send_message(c, DATA_EXIT, &data_exit_table, end);
}

static void refuse(struct call *c, const struct err *why)
{
	struct data_exit end = {.exit_code = 255,
				.code = why->code ? -why->code : EIO,
				.error = (char *)(uintptr_t)err_text(why)};

	finish(c, &end);
}

static void taken(struct call *c, size_t n)
{
	uint8_t bytes[sizeof(uint64_t)];

	le64_put(bytes, n);
	if (n)
		send_bytes(c, DATA_TAKEN, bytes, sizeof bytes);
}

/* ---- The process ---- */

static bool on_output(void *arg, int stream, const void *p, size_t n)
{
	struct call *c = arg;

	if (c->detach || c->over)
		return true;
	if (!stream_writable(c->line.stream))
		return false; /* the stream's drain lets it go on */
	send_bytes(c, stream == ENGINE_STDERR ? DATA_STDERR : DATA_STDOUT, p, n);
	return true;
}

static void on_end(void *arg)
{
	struct call *c = arg;
	struct data_exit end = {.exit_code = 255};
	struct engine_exec *x;

	engine_attach_close(TAKE_PTR(c->attach));
	if (engine_exec_find(c->engine, c->id, &x, NULL) == 0 && x->status == EXEC_ENDED) {
		end.exit_code = x->exit_code;
	} else {
		end.code = ECONNABORTED;
		end.error = (char *)(uintptr_t) "the node has let go of the process, which may run "
						"on: its output was not taken for too long, or its "
						"daemon stops";
	}
	finish(c, &end);
}

static void on_input_drained(void *arg)
{
	struct call *c = arg;
	size_t n = c->untaken;

	c->untaken = 0;
	taken(c, n);
}

static void on_started(void *arg, int status, const struct err *e)
{
	struct starting *s = arg;
	struct call *c = s->call;

	free(s);
	if (!c)
		return;
	c->starting = NULL;
	if (c->detach && status < 0) {
		refuse(c, e);
	} else if (c->detach) {
		c->opened = true;
		send_bytes(c, DATA_OPEN, NULL, 0);
	} else if (status < 0 && !c->over) {
		/* As a local client hears it; the attachment's end tells the exit code. */
		auto_free char *text = xasprintf("%s\n", err_text(e));

		send_bytes(c, DATA_STDERR, text, strlen(text));
	}
}

static int container_of_task(const struct call *c, struct container **ret, struct err *e)
{
	*ret = engine_container_of_task(c->engine, c->line.request.task);
	if (!*ret)
		return err_set(e, -ENOENT, "task %.64s has no container on its node",
			       c->line.request.task);
	if ((*ret)->status != CONTAINER_RUNNING)
		return err_set(e, -ESRCH, "the container of task %.64s is not running",
			       c->line.request.task);
	return 0;
}

/* NULL with the reason. */
static struct engine_exec *exec_make(struct call *c, const struct data_exec *asked, struct err *e)
{
	struct exec_config config = {0};
	struct engine_exec *x = NULL;
	struct container *container;
	int rc = container_of_task(c, &container, e);

	if (rc == 0)
		rc = json_read(&exec_config_table, (const char *)asked->config.p, asked->config.n,
			       &config, e);
	if (rc == 0 && config.privileged)
		rc = err_set(e, -EPERM,
			     "a privileged process can be executed in a task on its own node "
			     "alone");
	if (rc == 0)
		rc = engine_exec_create(c->engine, container, &config, &x, e);
	table_done(&exec_config_table, &config);
	return rc == 0 ? x : NULL;
}

static int begin(struct call *c, const struct data_exec *asked, struct err *e)
{
	static const struct engine_attach_ops ops = {
		.output = on_output, .end = on_end, .drain = on_input_drained};
	struct engine *engine = c->engine;
	unsigned streams = ENGINE_STDOUT | ENGINE_STDERR; /* their end is wanted in any case */
	struct engine_exec *x = exec_make(c, asked, e);

	if (!x)
		return e->code;
	memcpy(c->id, x->id, sizeof c->id);
	c->detach = asked->detach;
	c->tty = x->config.tty;
	c->input = x->config.attach_stdin && !c->detach;
	if (c->input)
		streams |= ENGINE_STDIN;
	c->attach = engine_exec_attach(engine, x, streams, &ops, c, e);
	if (!c->attach)
		return e->code;
	return 0;
}

static void size_done(void *arg, int status, const struct err *e)
{
	(void)arg;
	(void)status;
	(void)e;
}

static void resize(struct call *c, uint32_t rows, uint32_t cols)
{
	struct engine_exec *x;

	if (rows && cols && rows <= UINT16_MAX && cols <= UINT16_MAX && *c->id &&
	    engine_exec_find(c->engine, c->id, &x, NULL) == 0)
		engine_exec_resize(c->engine, x, (int)rows, (int)cols, size_done, NULL);
}

static void exec_read(struct call *c, const struct frame_view *f)
{
	struct data_exec asked = {0};
	struct engine_exec *x;
	struct err e = ERR_INIT;

	if (*c->id || c->over || tlv_read(&data_exec_table, f->payload, f->len, &asked, NULL) < 0) {
		stream_close(c->line.stream, -EPROTO, "a damaged message");
		return;
	}
	if (begin(c, &asked, &e) < 0 || engine_exec_find(c->engine, c->id, &x, &e) < 0) {
		refuse(c, &e);
	} else {
		resize(c, asked.rows, asked.cols);
		if (!c->detach) {
			c->opened = true;
			send_bytes(c, DATA_OPEN, NULL, 0);
		}
		c->starting = xcalloc(1, sizeof *c->starting);
		c->starting->call = c;
		engine_exec_start(c->engine, x, on_started, c->starting);
	}
	table_done(&data_exec_table, &asked);
}

/* ---- What the manager says ---- */

static void input_read(struct call *c, const struct frame_view *f)
{
	if (!c->input || !c->attach) {
		taken(c, f->len); /* nobody is there to read it, or not any more */
		return;
	}
	c->untaken += f->len;
	if (c->untaken > LIMIT_EXEC_INPUT)
		stream_close(c->line.stream, -EPROTO, "more input came than was asked for");
	else if (engine_attach_write(c->attach, f->payload, f->len) != 1)
		on_input_drained(c);
}

static void on_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct call *c = call_of(data);

	if (!c->line.all)
		return;
	switch (f->type) {
	case DATA_EXEC:
		exec_read(c, f);
		break;
	case DATA_INPUT:
		input_read(c, f);
		break;
	case DATA_INPUT_END: /* the end of a terminal's input is a key, not an end */
		if (c->attach && c->input && !c->tty)
			engine_attach_close_stdin(c->attach);
		break;
	case DATA_RESIZE:
		if (f->len == 2 * sizeof(uint32_t))
			resize(c, le32_get(f->payload), le32_get(f->payload + 4));
		break;
	default: /* of a later version */
		(void)s;
		break;
	}
}

/* ---- Streams ---- */

static void call_stop(struct call *c)
{
	if (c->starting)
		c->starting->call = NULL;
	c->starting = NULL;
	if (c->attach)
		engine_attach_close(TAKE_PTR(c->attach));
	c->over = true;
}

static void call_free(struct call *c)
{
	call_stop(c);
	data_line_done(&c->line);
	free(c);
}

static void on_open(struct stream *s, void *data)
{
	(void)s;
	(void)data_line_open(data);
}

static void on_drain(struct stream *s, void *data)
{
	struct call *c = call_of(data);

	(void)s;
	if (c->attach)
		engine_attach_resume(c->attach);
}

static void on_closed(struct stream *s, const struct err *why, void *data)
{
	(void)s;
	(void)why;
	call_free(call_of(data));
}

void data_execs_ask(struct data_execs *d, const struct data_request *r)
{
	static const struct stream_ops ops = {
		.open = on_open, .recv = on_recv, .drain = on_drain, .closed = on_closed};
	struct call *c;

	if (!r->task || !data_line_is_new(&d->lines, r))
		return;
	c = xcalloc(1, sizeof *c);
	c->engine = d->engine;
	if (data_line_dial(&d->lines, &c->line, r, &ops) < 0)
		call_free(c);
}

struct data_execs *data_execs_new(struct engine *e, struct stream_hub *hub)
{
	struct data_execs *d = xcalloc(1, sizeof *d);

	d->engine = e;
	d->lines.hub = hub;
	return d;
}

void data_execs_free(struct data_execs *d)
{
	while (d->lines.first) {
		struct call *c = call_of(d->lines.first);

		call_stop(c);
		data_line_leave(&c->line, "the node's daemon stops; the process may run on");
	}
	free(d);
}
