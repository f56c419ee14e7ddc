/*
 * How one process that is executed in a task goes: the data stream to its node, joined to its
 * client. Output is passed on as it comes and waits in TCP for a slow client; input waits here for
 * a node that has not taken what is under way, so that neither queue grows. See task_exec.h.
 */
#include "manager/task_exec_impl.h"

#include <errno.h>

#include "base/mem.h"

#define INPUT_PIECE (64u << 10)
#define ERRNO_MAX 4095 /* the kernel's bound */

void live_state_set(struct live *x, enum task_exec_state state)
{
	x->v.state = state;
	x->since_ms = world_mono_ms(world_of(x->all));
}

/* ---- The stream's end ---- */

void live_stream_drop(struct live *x, int code, const char *why)
{
	if (x->stream)
		stream_leave(TAKE_PTR(x->stream), code, why);
	x->paused = false;
}

/* Nothing more comes of it. The client hears of it once it has taken the output. */
static void ended(struct live *x)
{
	bool opened = x->v.state == TASK_EXEC_RUNNING;

	if (x->v.state == TASK_EXEC_ENDED)
		return;
	world_timer_stop(world_of(x->all), &x->limit);
	data_ask_done(manager_data(x->all->manager), &x->ask);
	live_state_set(x, TASK_EXEC_ENDED);
	x->told = !opened;
	buf_done(&x->in);
	if (opened)
		world_timer_start(world_of(x->all), &x->soon, 0);
}

void live_broken(struct live *x, int code, const char *why)
{
	bool opened = x->v.state == TASK_EXEC_RUNNING;
	const struct task_exec_ops *ops = x->ops;
	struct err e = ERR_INIT;

	if (x->v.state == TASK_EXEC_ENDED)
		return;
	str_set(&x->v.error, why);
	live_stream_drop(x, -ECANCELED, why);
	ended(x);
	if (opened || !ops)
		return;
	x->ops = NULL;
	(void)err_set(&e, code, "%s", why);
	ops->opened(x->arg, code, &e);
}

static void limit_fire(struct world_timer *t)
{
	struct live *x = container_of(t, struct live, limit);
	auto_free char *why = xasprintf("node %s, which runs task %s, does not answer: nothing was "
					"executed; see \"node ls\"",
					x->v.node, x->v.task);

	live_broken(x, -ETIMEDOUT, why);
}

/* ---- Output ---- */

/* False: the client has to take what waits first. */
static bool out_flush(struct live *x)
{
	if (x->out.len && x->ops && !x->ops->output(x->arg, x->out_stream, x->out.p, x->out.len))
		return false;
	buf_reset(&x->out);
	return true;
}

static void soon_fire(struct world_timer *t)
{
	struct live *x = container_of(t, struct live, soon);
	const struct task_exec_ops *ops = x->ops;

	if (!out_flush(x))
		return;
	if (x->paused && x->stream) {
		x->paused = false;
		stream_resume(x->stream);
	}
	if (x->v.state != TASK_EXEC_ENDED || x->told || !ops)
		return;
	x->told = true;
	x->ops = NULL;
	ops->end(x->arg);
}

void task_exec_resume(struct task_exec *v)
{
	struct live *x = live_of(v);
	world_timer_start(world_of(x->all), &x->soon, 0);
}

static void output_read(struct live *x, int stream, const struct frame_view *f)
{
	if (!x->ops || x->detach || x->ops->output(x->arg, stream, f->payload, f->len))
		return;
	x->out_stream = stream;
	(void)buf_add(&x->out, f->payload, f->len);
	x->paused = true;
	stream_pause(x->stream);
}

/* ---- Input ---- */

static void in_flush(struct live *x)
{
	while (x->in.len && x->under_way < LIMIT_EXEC_INPUT) {
		size_t n = MIN_OF(MIN_OF(x->in.len, (size_t)INPUT_PIECE),
				  (size_t)LIMIT_EXEC_INPUT - x->under_way);

		(void)stream_send_copy(x->stream, DATA_INPUT, x->in.p, n);
		buf_shift(&x->in, n);
		x->under_way += n;
	}
	if (x->in_over && !x->in.len) {
		x->in_over = false;
		(void)stream_send_copy(x->stream, DATA_INPUT_END, NULL, 0);
	}
}

int task_exec_write(struct task_exec *v, const void *p, size_t n)
{
	struct live *x = live_of(v);
	if (!x->stream || x->v.state != TASK_EXEC_RUNNING || buf_add(&x->in, p, n) < 0)
		return 0;
	in_flush(x);
	x->in_full = x->in.len > 0;
	return x->in_full;
}

void task_exec_close_stdin(struct task_exec *v)
{
	struct live *x = live_of(v);
	if (!x->stream || x->v.state != TASK_EXEC_RUNNING)
		return;
	x->in_over = true;
	in_flush(x);
}

/* The client has left: what it had said before comes first. */
static void left_look(struct live *x)
{
	if (x->left && !x->in.len && !x->under_way)
		live_broken(x, -ECANCELED, "its client has left; the process may run on");
}

static void taken_read(struct live *x, const struct frame_view *f)
{
	uint64_t n = f->len == sizeof n ? le64_get(f->payload) : UINT64_MAX;

	if (n > x->under_way) {
		live_broken(x, -EPROTO, "the task's node sent what makes no sense");
		return;
	}
	x->under_way -= n;
	in_flush(x);
	left_look(x);
	if (x->in_full && !x->in.len) {
		x->in_full = false;
		if (x->ops)
			x->ops->drain(x->arg);
	}
}

static void size_send(struct live *x)
{
	uint8_t bytes[2 * sizeof(uint32_t)];

	le32_put(bytes, x->rows);
	le32_put(bytes + sizeof(uint32_t), x->cols);
	(void)stream_send_copy(x->stream, DATA_RESIZE, bytes, sizeof bytes);
}

int task_exec_resize(struct task_exec *v, uint32_t rows, uint32_t cols, struct err *e)
{
	struct live *x = live_of(v);
	if (x->v.state == TASK_EXEC_ENDED)
		return err_set(e, -ESRCH, "exec %s has ended", x->v.id);
	x->rows = rows;
	x->cols = cols;
	if (x->stream)
		size_send(x);
	return 0;
}

/* ---- What the node says ---- */

static void exit_read(struct live *x, const struct frame_view *f)
{
	struct data_exit end = {0};

	if (tlv_read(&data_exit_table, f->payload, f->len, &end, NULL) < 0) {
		live_broken(x, -EPROTO, "the task's node sent what makes no sense");
		return;
	}
	if (end.code) {
		live_broken(x, end.code > 0 && end.code <= ERRNO_MAX ? -end.code : -EIO,
			    end.error && *end.error ? end.error : "it did not run");
	} else {
		x->v.has_code = true;
		x->v.exit_code = end.exit_code;
		live_stream_drop(x, 0, NULL);
		ended(x);
	}
	table_done(&data_exit_table, &end);
}

static void open_read(struct live *x)
{
	if (x->v.state != TASK_EXEC_STARTING)
		return;
	world_timer_stop(world_of(x->all), &x->limit);
	live_state_set(x, TASK_EXEC_RUNNING);
	if (x->ops)
		x->ops->opened(x->arg, 0, NULL);
	if (x->detach)
		x->ops = NULL;
}

static void on_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct live *x = data;

	(void)s;
	switch (f->type) {
	case DATA_OPEN:
		open_read(x);
		break;
	case DATA_STDOUT:
	case DATA_STDERR:
		output_read(x, f->type == DATA_STDERR ? 2 : 1, f);
		break;
	case DATA_TAKEN:
		taken_read(x, f);
		break;
	case DATA_EXIT:
		exit_read(x, f);
		break;
	case DATA_END: /* of a node that took it for something else */
		live_broken(x, -ENOSYS, "the task's node is too old to execute something in it");
		break;
	default: /* of a later version */
		break;
	}
}

static void on_closed(struct stream *s, const struct err *why, void *data)
{
	struct live *x = data;
	auto_free char *text = xasprintf("the connection to node %s is lost, and with it the "
					 "process, which may run on: %s",
					 x->v.node, err_text(why));

	(void)s;
	x->stream = NULL;
	x->paused = false;
	live_broken(x, -ENOTCONN, text);
}

void live_taken(struct data_ask *a, struct stream *s)
{
	static const struct stream_ops ops = {.recv = on_recv, .closed = on_closed};
	struct live *x = container_of(a, struct live, ask);
	const struct data_exec asked = {.config = {(uint8_t *)x->request.p, x->request.len},
					.rows = x->rows,
					.cols = x->cols,
					.detach = x->detach};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	x->stream = s;
	stream_start(s, &ops, x);
	if (tlv_write(&data_exec_table, &asked, &bytes) < 0 ||
	    stream_send_copy(s, DATA_EXEC, bytes.p, bytes.len) < 0)
		stream_close(s, -EMSGSIZE, "what is to be executed cannot be sent");
	buf_done(&x->request);
}

void task_exec_leave(struct task_exec *v)
{
	struct live *x = live_of(v);
	x->ops = NULL;
	if (x->v.state == TASK_EXEC_STARTING && x->detach)
		return; /* it is wanted all the same */
	x->left = true;
	task_exec_resume(v); /* no output holds it up any more */
	left_look(x);
}

void live_init(struct live *x)
{
	x->out = BUF_INIT(LIMIT_FRAME);
	x->in = BUF_INIT(LIMIT_HTTP_STREAM);
	x->limit.fire = limit_fire;
	x->soon.fire = soon_fire;
	live_state_set(x, TASK_EXEC_CREATED);
}
