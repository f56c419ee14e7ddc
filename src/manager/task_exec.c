/*
 * See task_exec.h. Output is passed on as it comes and waits in TCP for a slow client; input waits
 * here for a node that has not taken what is under way, so that neither queue grows.
 */
#include "manager/task_exec.h"

#include <errno.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "manager/data.h"
#include "manager/manager_impl.h"

#define INPUT_PIECE (64u << 10)
#define ERRNO_MAX 4095 /* the kernel's bound */

struct live {
	struct task_exec v; /* what others see of it */
	struct task_execs *all;
	struct buf request; /* its config as JSON, until its node has it */
	uint32_t rows, cols;
	bool detach;
	struct data_ask ask;
	struct stream *stream;
	const struct task_exec_ops *ops; /* NULL: nobody listens */
	void *arg;
	struct buf out; /* output that waits for the client: one piece */
	int out_stream;
	struct buf in; /* input that waits for the node */
	size_t under_way;
	bool in_over, in_full, paused;
	bool left;         /* the client has: what it said is still passed on */
	bool told;         /* the client has heard of the end */
	uint64_t since_ms; /* of the state */
	struct world_timer limit, soon;
	struct live *next;
};

struct task_execs {
	struct manager *manager;
	struct live *first; /* oldest first */
	size_t n;
	struct store_watch watch;
};

static struct live *live_of(struct task_exec *v)
{
	return container_of(v, struct live, v);
}

static const struct world *world_of(const struct task_execs *all)
{
	return manager_world(all->manager);
}

static void state_set(struct live *x, enum task_exec_state state)
{
	x->v.state = state;
	x->since_ms = world_mono_ms(world_of(x->all));
}

/* ---- The stream's end ---- */

static void stream_drop(struct live *x, int code, const char *why)
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
	state_set(x, TASK_EXEC_ENDED);
	x->told = !opened;
	buf_done(&x->in);
	if (opened)
		world_timer_start(world_of(x->all), &x->soon, 0);
}

static void broken(struct live *x, int code, const char *why)
{
	bool opened = x->v.state == TASK_EXEC_RUNNING;
	const struct task_exec_ops *ops = x->ops;
	struct err e = ERR_INIT;

	if (x->v.state == TASK_EXEC_ENDED)
		return;
	str_set(&x->v.error, why);
	stream_drop(x, -ECANCELED, why);
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

	broken(x, -ETIMEDOUT, why);
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
		broken(x, -ECANCELED, "its client has left; the process may run on");
}

static void taken_read(struct live *x, const struct frame_view *f)
{
	uint64_t n = f->len == sizeof n ? le64_get(f->payload) : UINT64_MAX;

	if (n > x->under_way) {
		broken(x, -EPROTO, "the task's node sent what makes no sense");
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
		broken(x, -EPROTO, "the task's node sent what makes no sense");
		return;
	}
	if (end.code) {
		broken(x, end.code > 0 && end.code <= ERRNO_MAX ? -end.code : -EIO,
		       end.error && *end.error ? end.error : "it did not run");
	} else {
		x->v.has_code = true;
		x->v.exit_code = end.exit_code;
		stream_drop(x, 0, NULL);
		ended(x);
	}
	table_done(&data_exit_table, &end);
}

static void open_read(struct live *x)
{
	if (x->v.state != TASK_EXEC_STARTING)
		return;
	world_timer_stop(world_of(x->all), &x->limit);
	state_set(x, TASK_EXEC_RUNNING);
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
		broken(x, -ENOSYS, "the task's node is too old to execute something in it");
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
	broken(x, -ENOTCONN, text);
}

static void on_taken(struct data_ask *a, struct stream *s)
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

/* ---- Made, started, forgotten ---- */

static void forget(struct task_execs *all, struct live **at)
{
	struct live *x = *at;

	*at = x->next;
	all->n--;
	world_timer_stop(world_of(all), &x->limit);
	world_timer_stop(world_of(all), &x->soon);
	stream_drop(x, -ECANCELED, "the manager stops");
	data_ask_done(manager_data(all->manager), &x->ask);
	buf_done(&x->request);
	buf_done(&x->in);
	buf_done(&x->out);
	table_done(&exec_config_table, &x->v.config);
	free(x->v.task);
	free(x->v.node);
	free(x->v.container);
	free(x->v.error);
	free(x);
}

/* What nobody will start or has asked for in LIMIT_EXEC_KEPT_MS, and at the bound the oldest. */
static void forget_old(struct task_execs *all)
{
	uint64_t now = world_mono_ms(world_of(all));
	bool full = all->n >= LIMIT_TASK_EXECS;

	for (struct live **at = &all->first, *x; (x = *at);) {
		bool idle = x->v.state == TASK_EXEC_CREATED || x->v.state == TASK_EXEC_ENDED;

		if (idle && !x->ops && (full || now - x->since_ms >= LIMIT_EXEC_KEPT_MS)) {
			forget(all, at);
			full = false;
		} else {
			at = &x->next;
		}
	}
}

static int target_check(const struct store *store, const struct task *t, struct err *e)
{
	const struct node *n = t->node ? store_node(store, t->node) : NULL;

	if (t->status.state != TASK_RUNNING)
		return err_set(e, -ESRCH, "task %s is not running: it is %s%s%s", t->o.id,
			       task_state_name(t->status.state),
			       t->status.err && *t->status.err ? ", " : "",
			       t->status.err ? t->status.err : "");
	if (!n || n->status.state == NODE_DOWN)
		return err_set(e, -EHOSTUNREACH,
			       "node %s, which runs task %s, is down: nothing can be executed "
			       "there until it is back",
			       t->node ? t->node : "", t->o.id);
	return 0;
}

static int config_check(const struct exec_config *config, struct buf *ret_json, struct err *e)
{
	uint32_t rows, cols;

	if (config->cmd.n == 0 || !*config->cmd.v[0])
		return err_set(e, -EINVAL, "No exec command specified");
	if (config->privileged)
		return err_set(e, -EPERM,
			       "a privileged process can be executed in a task on its own node "
			       "alone: use \"docker exec --privileged\" there");
	if (json_write(&exec_config_table, config, ret_json) < 0)
		return err_set(e, -EMSGSIZE,
			       "the command and its environment are larger than %u bytes",
			       LIMIT_EXEC_CONFIG);
	return console_size_read(config->console_size, &rows, &cols, e);
}

static void id_make(const struct world *w, char ret[ID_HOST_LEN + 1])
{
	uint8_t bytes[ID_HOST_LEN / 2];

	world_random(w, bytes, sizeof bytes);
	hex_encode(bytes, sizeof bytes, ret);
}

static struct live *exec_new(struct task_execs *all, const struct task *t,
			     struct exec_config *config)
{
	struct live *x = xcalloc(1, sizeof *x), **at = &all->first;

	id_make(world_of(all), x->v.id);
	x->all = all;
	x->v.task = xstrdup(t->o.id);
	x->v.node = xstrdup(t->node);
	x->v.container = xstrdup(t->status.container ? t->status.container->container : NULL);
	x->v.config = *config;
	*config = (struct exec_config){0};
	x->out = BUF_INIT(LIMIT_FRAME);
	x->in = BUF_INIT(LIMIT_HTTP_STREAM);
	x->limit.fire = limit_fire;
	x->soon.fire = soon_fire;
	state_set(x, TASK_EXEC_CREATED);
	while (*at)
		at = &(*at)->next;
	*at = x;
	all->n++;
	return x;
}

int task_exec_create(struct manager *m, const char *task, struct exec_config *config,
		     struct task_exec **ret, struct err *e)
{
	const struct store *store = manager_store(m);
	struct buf json = BUF_INIT(LIMIT_EXEC_CONFIG);
	const struct task *t;
	struct live *x;
	int rc = task_exec_target(store, task, &t, e);

	if (rc == 0)
		rc = target_check(store, t, e);
	if (rc == 0)
		rc = config_check(config, &json, e);
	if (rc == 0)
		forget_old(m->execs);
	if (rc == 0 && m->execs->n >= LIMIT_TASK_EXECS)
		rc = err_set(e, -EBUSY,
			     "%d processes that this manager executed in tasks run already: end "
			     "some of them first, or ask another manager",
			     LIMIT_TASK_EXECS);
	if (rc < 0) {
		buf_done(&json);
		return rc;
	}
	x = exec_new(m->execs, t, config);
	x->request = json;
	*ret = &x->v;
	return 0;
}

struct task_exec *task_exec_find(struct manager *m, const char *id)
{
	struct live *x = m->execs->first;

	while (x && strcmp(x->v.id, id) != 0)
		x = x->next;
	return x ? &x->v : NULL;
}

int task_exec_start(struct task_exec *v, bool detach, uint32_t rows, uint32_t cols,
		    const struct task_exec_ops *ops, void *arg, struct err *e)
{
	struct live *x = live_of(v);
	const struct store *store = manager_store(x->all->manager);
	const struct task *t = store_task(store, x->v.task);
	int rc;

	if (x->v.state != TASK_EXEC_CREATED)
		return err_set(e, -EBUSY, "Error: Exec command %s is already running, or has run",
			       x->v.id);
	if (!t)
		return err_set(e, -ESRCH, "task %s is no more", x->v.task);
	rc = target_check(store, t, e);
	if (rc < 0)
		return rc;
	if (rows && cols) {
		x->rows = rows;
		x->cols = cols;
	}
	x->detach = detach;
	x->ops = ops;
	x->arg = arg;
	state_set(x, TASK_EXEC_STARTING);
	x->ask.taken = on_taken;
	x->ask.request.kind = DATA_KIND_EXEC;
	x->ask.request.node = xstrdup(x->v.node);
	x->ask.request.task = xstrdup(x->v.task);
	world_timer_start(world_of(x->all), &x->limit, LIMIT_EXEC_OPEN_MS);
	data_ask(manager_data(x->all->manager), &x->ask);
	return 0;
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

/* ---- Nodes that go down ---- */

static void node_lost(struct task_execs *all, const char *node)
{
	auto_free char *why = xasprintf(
		"node %s is down: the process is lost, or runs on without being seen", node);

	for (struct live *x = all->first, *next; x; x = next) {
		next = x->next;
		if (x->v.state != TASK_EXEC_CREATED && x->v.state != TASK_EXEC_ENDED &&
		    strcmp(x->v.node, node) == 0)
			broken(x, -EHOSTUNREACH, why);
	}
}

static void on_changed(void *arg, const struct object *old, const struct object *new)
{
	const struct object *o = new ? new : old;

	if (o->kind == KIND_NODE && (!new || ((const struct node *)new)->status.state == NODE_DOWN))
		node_lost(arg, o->id);
}

static void on_applied(void *arg, uint64_t version, bool swapped)
{
	struct task_execs *all = arg;
	const struct store *store = manager_store(all->manager);
	const struct node *n;
	struct store_walk w;

	(void)version;
	if (!swapped)
		return;
	store_walk_kind(&w, store, KIND_NODE);
	while ((n = store_walk_next(&w)))
		if (n->status.state == NODE_DOWN)
			node_lost(all, n->o.id);
}

struct task_execs *task_execs_new(struct manager *m)
{
	struct task_execs *all = xcalloc(1, sizeof *all);

	all->manager = m;
	all->watch = (struct store_watch){.changed = on_changed, .applied = on_applied, .arg = all};
	store_watch_add(manager_store(m), &all->watch);
	return all;
}

void task_execs_free(struct task_execs *all)
{
	store_watch_remove(manager_store(all->manager), &all->watch);
	for (struct live *x = all->first; x; x = x->next)
		broken(x, -EAGAIN, "the manager stops; the process may run on");
	/* Nobody will take what is left: each client hears of the end now. */
	for (struct live *x = all->first; x; x = x->next) {
		const struct task_exec_ops *ops = TAKE_PTR(x->ops);

		if (ops && !x->told)
			ops->end(x->arg);
	}
	while (all->first)
		forget(all, &all->first);
	free(all);
}
