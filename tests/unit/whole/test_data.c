/*
 * Data streams at their bounds, against agents that are slow, greedy or not there: what one node
 * may hold open, what one manager may ask, what waits for whom in logs and in executed processes.
 */
#include "unit/whole/rig.h"

#include "base/limits.h"
#include "manager/data.h"
#include "model/data.h"

/* ---- An agent's end, by hand ---- */

struct dialled {
	struct stream *s;
	char ticket[64];
	bool open, closed, got_exec;
	int code;
	size_t input;
	unsigned finals, sent;
	bool input_over;
};

static void dialled_open(struct stream *s, void *data)
{
	struct dialled *d = data;
	const struct data_ticket ticket = {.ticket = d->ticket};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	d->open = true;
	if (!*d->ticket)
		return;
	assert_int_equal(tlv_write(&data_ticket_table, &ticket, &bytes), 0);
	assert_int_equal(stream_send_copy(s, DATA_TICKET, bytes.p, bytes.len), 0);
}

static void dialled_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct dialled *d = data;

	(void)s;
	d->got_exec = d->got_exec || f->type == DATA_EXEC;
	d->input += f->type == DATA_INPUT ? f->len : 0;
	d->input_over = d->input_over || f->type == DATA_INPUT_END;
	d->finals += f->type == DATA_TASK_FINAL;
}

static void dialled_closed(struct stream *s, const struct err *why, void *data)
{
	struct dialled *d = data;

	(void)s;
	d->closed = true;
	d->code = why->code;
	d->s = NULL;
}

/* `ticket`: that of what the host was asked for last, else none. */
static void dial(struct host *from, struct host *to, bool ticket, struct dialled *d)
{
	static const struct stream_ops ops = {
		.open = dialled_open, .recv = dialled_recv, .closed = dialled_closed};
	struct stream_target target = {.address = to->address, .purpose = STREAM_DATA};
	struct err e = ERR_INIT;

	*d = (struct dialled){0};
	if (ticket)
		(void)snprintf(d->ticket, sizeof d->ticket, "%s", from->data.ticket);
	assert_ok(stream_connect(from->hub, &target, &ops, d, &d->s, &e), &e);
}

static void hang_up(struct rig *r, struct dialled *d)
{
	if (d->s)
		stream_close(d->s, 0, NULL);
	RIG_UNTIL(r, d->closed);
}

/* ---- The broker ---- */

static void streams_without_a_ticket(void **state)
{
	static struct dialled held[LIMIT_DATA_GUESTS], last;
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1), *other = rig_worker(r, 2);

	(void)state;
	for (size_t i = 0; i < LIMIT_DATA_GUESTS; i++) {
		dial(w, m, false, &held[i]);
		RIG_UNTIL(r, held[i].open);
	}
	dial(w, m, false, &last);
	RIG_UNTIL(r, last.closed);
	assert_int_equal(last.code, -EBUSY);
	for (size_t i = 0; i < LIMIT_DATA_GUESTS; i++)
		assert_false(held[i].closed);
	/* Others are not kept out by it, and a place that is given up is free again. */
	dial(other, m, false, &last);
	RIG_UNTIL(r, last.open);
	RIG_RUN_MS(r, 50);
	assert_false(last.closed);
	hang_up(r, &last);
	hang_up(r, &held[3]);
	RIG_RUN_MS(r, 50);
	dial(w, m, false, &held[3]);
	RIG_UNTIL(r, held[3].open);
	RIG_RUN_MS(r, 50);
	assert_false(held[3].closed);
	for (size_t i = 0; i < LIMIT_DATA_GUESTS; i++)
		hang_up(r, &held[i]);
	rig_done(r);
}

static void ask(struct stream *s, uint64_t id, const char *node)
{
	auto_free char *ticket = xasprintf("%032u", (unsigned)id);
	struct data_request q = {.id = id,
				 .ticket = ticket,
				 .node = (char *)(uintptr_t)node,
				 .manager = (char *)(uintptr_t) "x",
				 .addr = (char *)(uintptr_t) "127.0.0.1:1"};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	assert_int_equal(tlv_write(&data_request_table, &q, &bytes), 0);
	assert_int_equal(stream_send_copy(s, DATA_ASK, bytes.p, bytes.len), 0);
}

static void session_with(struct host *h, struct host *m)
{
	struct session_client_config config = {
		.loop = &h->rig->loop, .hub = h->hub, .node = h->node, .ops = &fake_ops, .arg = h};

	h->known[0] = (struct session_manager){.node = m->node, .addr = m->address};
	h->session_gone = false;
	h->session = session_client_new(&config, h->known, 1);
}

/* What a manager asks beyond the bound is not kept; a node that comes hears of all the others. */
static void asks_of_one_manager(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *second = rig_manager(r, 1), *w = rig_worker(r, 2);
	struct dialled d;

	(void)state;
	host_session_close(w);
	dial(second, m, false, &d);
	RIG_UNTIL(r, d.open);
	for (uint64_t id = 1; id <= LIMIT_DATA_ASKS + 10; id++)
		ask(d.s, id, w->node);
	RIG_RUN_MS(r, 300);
	assert_false(d.closed);
	w->data_asked = 0;
	session_with(w, m);
	RIG_UNTIL(r, w->data_asked >= LIMIT_DATA_ASKS);
	RIG_RUN_MS(r, 300);
	assert_int_equal(w->data_asked, LIMIT_DATA_ASKS);
	hang_up(r, &d);
	/* A worker may ask nothing. */
	dial(w, m, false, &d);
	RIG_UNTIL(r, d.open);
	ask(d.s, 1, w->node);
	RIG_UNTIL(r, d.closed);
	assert_int_equal(d.code, -EPROTO);
	rig_done(r);
}

/* ---- Logs ---- */

struct reading {
	struct service_logs *logs;
	unsigned entries;
	bool ended;
	char missing[4096];
};

static bool on_entry(void *arg, const struct service_log_entry *entry)
{
	struct reading *g = arg;

	(void)entry;
	g->entries++;
	return true;
}

static void on_end(void *arg, const char *missing)
{
	struct reading *g = arg;

	g->ended = true;
	(void)snprintf(g->missing, sizeof g->missing, "%s", missing ? missing : "");
	service_logs_close(TAKE_PTR(g->logs));
}

static const struct service_logs_ops log_ops = {.entry = on_entry, .end = on_end};

static void read_logs(struct host *m, const char *service, bool follow, struct reading *g)
{
	struct service_logs_options o = {.follow = follow, .out = true, .err = true, .tail = -1};
	struct err e = ERR_INIT;

	*g = (struct reading){0};
	g->logs = service_logs(m->manager, service_of(m, service)->o.id, NULL, &o, &log_ops, g, &e);
	assert_ok(g->logs ? 0 : e.code, &e);
}

static bool send_entry(struct dialled *d, const char *task, int64_t time, size_t size)
{
	auto_free uint8_t *text = xcalloc(1, size);
	struct data_entry entry = {
		.task = (char *)(uintptr_t)task, .stream = 1, .time = time, .text = {text, size}};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	assert_int_equal(tlv_write(&data_entry_table, &entry, &bytes), 0);
	if (!stream_writable(d->s) || stream_send_copy(d->s, DATA_ENTRY, bytes.p, bytes.len) < 0)
		return false;
	d->sent++;
	return true;
}

#define ENTRY_BYTES (16u << 10)

/* One node's entries wait for another's: what waits is bounded, and nothing is lost. */
static void entries_that_wait(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w[2] = {rig_worker(r, 1), rig_worker(r, 2)};
	struct dialled d[2];
	struct reading g;
	struct asked a = host_create(m, "web", 2);
	unsigned before;
	uint64_t end;

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w[0]->node) == 1 &&
			     tasks_running(m, "web", w[1]->node) == 1);
	read_logs(m, "web", false, &g);
	RIG_UNTIL(r, w[0]->data_asked && w[1]->data_asked);
	for (int i = 0; i < 2; i++)
		dial(w[i], m, true, &d[i]);
	RIG_UNTIL(r, d[0].open && d[1].open);
	/* The kernel's buffers are some megabytes: what does not stop by 64 MiB never does. */
	end = clock_mono_ms() + 1000;
	while (clock_mono_ms() < end && d[0].sent < 4096) {
		if (send_entry(&d[0], w[0]->tasks[0].id, 1000 + d[0].sent, ENTRY_BYTES))
			end = clock_mono_ms() + 1000;
		(void)uv_run(&r->loop, UV_RUN_NOWAIT);
	}
	assert_in_range(d[0].sent, LIMIT_LOG_QUEUE / ENTRY_BYTES, 4095);
	assert_int_equal(g.entries, 0);
	before = d[0].sent;
	assert_true(send_entry(&d[1], w[1]->tasks[0].id, 1, 10));
	assert_int_equal(stream_send_copy(d[1].s, DATA_END, NULL, 0), 0);
	RIG_UNTIL(r, g.entries == before + 1);
	assert_int_equal(stream_send_copy(d[0].s, DATA_END, NULL, 0), 0);
	RIG_UNTIL(r, g.ended);
	assert_string_equal(g.missing, "");
	RIG_UNTIL(r, d[0].closed && d[1].closed);
	rig_done(r);
}

/* A node that does not come with its logs is waited for LIMIT_LOG_WAIT_MS, and named then. */
static void a_node_that_does_not_come(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct reading g;
	struct asked a = host_create(m, "web", 1);
	uint64_t begun;

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 1);
	begun = clock_mono_ms();
	read_logs(m, "web", false, &g);
	RIG_UNTIL(r, g.ended);
	assert_in_range(clock_mono_ms() - begun, LIMIT_LOG_WAIT_MS, LIMIT_LOG_WAIT_MS + 2000);
	assert_non_null(strstr(g.missing, w->node));
	assert_non_null(strstr(g.missing, w->tasks[0].id));
	rig_done(r);
}

static void logs_of_many_tasks(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0];
	struct service_logs_options o = {.follow = true, .out = true, .tail = -1};
	struct asked a = host_create(m, "web", LIMIT_LOG_TASKS);
	struct err e = ERR_INIT;
	struct reading g = {0};
	const char *id;

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, store_service_task_count(manager_store(m->manager), a.id) == LIMIT_LOG_TASKS);
	id = service_of(m, "web")->o.id;
	g.logs = service_logs(m->manager, id, NULL, &o, &log_ops, &g, &e);
	assert_ok(g.logs ? 0 : e.code, &e);
	service_logs_close(TAKE_PTR(g.logs));
	a = host_scale(m, "web", LIMIT_LOG_TASKS + 1);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, store_service_task_count(manager_store(m->manager),
					      service_of(m, "web")->o.id) == LIMIT_LOG_TASKS + 1);
	assert_null(
		service_logs(m->manager, service_of(m, "web")->o.id, NULL, &o, &log_ops, &g, &e));
	assert_int_equal(e.code, -E2BIG);
	rig_done(r);
}

/* The node of a followed task hears of the task's end, at once and with what is asked later. */
static void a_followed_task_that_ends(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct dialled d;
	struct reading g;
	struct asked a = host_create(m, "web", 1);

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 1);
	read_logs(m, "web", true, &g);
	RIG_UNTIL(r, w->data_asked);
	assert_false(w->data.tasks.v[0].final);
	dial(w, m, true, &d);
	RIG_UNTIL(r, d.open);
	RIG_RUN_MS(r, 50);
	assert_int_equal(d.finals, 0);
	a = host_scale(m, "web", 0);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, d.finals == 1);
	/* The stream breaks: it is asked again, and says so from the start. */
	w->data_asked = 0;
	stream_abort(d.s);
	RIG_UNTIL(r, d.closed && w->data_asked);
	assert_true(w->data.tasks.v[0].final);
	service_logs_close(g.logs);
	rig_done(r);
}

/* A service that is removed while a node with a task of it is away: there is nothing to wait for.
 */
static void a_followed_service_that_goes(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct dialled d;
	struct reading g;
	struct asked a = host_create(m, "web", 1);

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 1);
	read_logs(m, "web", true, &g);
	RIG_UNTIL(r, w->data_asked);
	dial(w, m, true, &d);
	RIG_UNTIL(r, d.open);
	host_session_close(w);
	hang_up(r, &d);
	RIG_UNTIL(r, node_state_of(m, w->node) == NODE_DOWN);
	RIG_RUN_MS(r, 500);
	assert_false(g.ended); /* the node may come back */
	a = host_name(m, CONTROL_SERVICE_REMOVE, "web", false);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, g.ended);
	assert_non_null(strstr(g.missing, w->node));
	rig_done(r);
}

/* ---- Processes ---- */

struct executed {
	int opened, status, ends;
	unsigned drains;
	size_t output;
	struct err e;
};

static void exec_opened(void *arg, int status, const struct err *e)
{
	struct executed *x = arg;

	x->opened++;
	x->status = status;
	if (e)
		x->e = *e;
}

static bool exec_output(void *arg, int stream, const void *p, size_t n)
{
	(void)stream;
	(void)p;
	((struct executed *)arg)->output += n;
	return true;
}

static void exec_drain(void *arg)
{
	((struct executed *)arg)->drains++;
}

static void exec_end(void *arg)
{
	((struct executed *)arg)->ends++;
}

static const struct task_exec_ops exec_ops = {
	.opened = exec_opened, .output = exec_output, .drain = exec_drain, .end = exec_end};

static int exec_make(struct host *m, const char *what, size_t size, struct task_exec **ret,
		     struct err *e)
{
	struct exec_config config = {0};
	auto_free char *word = xcalloc(1, size + 1);
	int rc;

	memset(word, 'x', size);
	strs_add(&config.cmd, word);
	rc = task_exec_create(m->manager, what, &config, ret, e);
	table_done(&exec_config_table, &config);
	return rc;
}

static void processes_of_one_manager(void **state)
{
	static struct executed all[LIMIT_TASK_EXECS];
	static struct task_exec *made[LIMIT_TASK_EXECS];
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct task_exec *x;
	struct err e = ERR_INIT;
	struct asked a = host_create(m, "web", 1);
	uint64_t begun;

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 1);
	assert_int_equal(exec_make(m, "web.1", LIMIT_EXEC_CONFIG, &x, &e), -EMSGSIZE);
	assert_int_equal(exec_make(m, "web.2", 1, &x, &e), -ENOENT);
	/* What nobody started gives its place to others. */
	for (size_t i = 0; i < 2 * LIMIT_TASK_EXECS; i++)
		assert_ok(exec_make(m, "web.1", 1, &x, &e), &e);
	begun = clock_mono_ms();
	for (size_t i = 0; i < LIMIT_TASK_EXECS; i++) {
		assert_ok(exec_make(m, "web.1", 1, &made[i], &e), &e);
		assert_ok(task_exec_start(made[i], false, 0, 0, &exec_ops, &all[i], &e), &e);
	}
	assert_int_equal(exec_make(m, "web.1", 1, &x, &e), -EBUSY);
	assert_int_equal(task_exec_start(made[0], false, 0, 0, &exec_ops, &all[0], &e), -EBUSY);
	/* One whose client leaves is at an end; the node never comes for the others. */
	task_exec_leave(made[5]);
	assert_ok(exec_make(m, "web.1", 1, &x, &e), &e);
	RIG_UNTIL(r, all[LIMIT_TASK_EXECS - 1].opened);
	assert_true(clock_mono_ms() - begun >= LIMIT_EXEC_OPEN_MS);
	for (size_t i = 0; i < LIMIT_TASK_EXECS; i++) {
		assert_int_equal(all[i].opened, i != 5);
		assert_int_equal(all[i].status, i != 5 ? -ETIMEDOUT : 0);
		assert_int_equal(all[i].ends, 0);
	}
	assert_non_null(strstr(all[0].e.msg, "does not answer"));
	rig_done(r);
}

static void say(struct dialled *d, enum data_frame type, const void *p, size_t n)
{
	assert_int_equal(stream_send_copy(d->s, (uint16_t)type, p, n), 0);
}

/* Its node has dialled, and has said nothing of it yet. */
static struct task_exec *exec_begin(struct rig *r, struct host *m, struct host *w,
				    struct dialled *d, struct executed *seen)
{
	struct task_exec *x;
	struct err e = ERR_INIT;

	*seen = (struct executed){0};
	w->data_asked = 0;
	assert_ok(exec_make(m, "web.1", 1, &x, &e), &e);
	assert_ok(task_exec_start(x, false, 0, 0, &exec_ops, seen, &e), &e);
	RIG_UNTIL(r, w->data_asked);
	assert_int_equal(w->data.kind, DATA_KIND_EXEC);
	dial(w, m, true, d);
	RIG_UNTIL(r, d->got_exec);
	return x;
}

static struct task_exec *exec_open(struct rig *r, struct host *m, struct host *w, struct dialled *d,
				   struct executed *seen)
{
	struct task_exec *x = exec_begin(r, m, w, d, seen);

	say(d, DATA_OPEN, NULL, 0);
	RIG_UNTIL(r, seen->opened);
	assert_int_equal(seen->status, 0);
	return x;
}

/* No more than the bound is on its way to a node that takes nothing; then all of it comes. */
static void input_of_a_process(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	static uint8_t piece[100000];
	struct asked a = host_create(m, "web", 1);
	struct executed seen;
	struct task_exec *x;
	struct dialled d;
	uint8_t taken[8];
	size_t given = 0;

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 1);
	x = exec_open(r, m, w, &d, &seen);
	while (task_exec_write(x, piece, sizeof piece) == 0)
		given += sizeof piece;
	given += sizeof piece;
	task_exec_close_stdin(x);
	RIG_UNTIL(r, d.input == LIMIT_EXEC_INPUT);
	RIG_RUN_MS(r, 100);
	assert_int_equal(d.input, LIMIT_EXEC_INPUT);
	assert_true(given > LIMIT_EXEC_INPUT && !d.input_over && seen.drains == 0);
	le64_put(taken, LIMIT_EXEC_INPUT);
	say(&d, DATA_TAKEN, taken, sizeof taken);
	RIG_UNTIL(r, d.input == given && d.input_over && seen.drains == 1);
	/* A node that takes what was not sent is not believed any further. */
	say(&d, DATA_TAKEN, taken, sizeof taken);
	RIG_UNTIL(r, seen.ends == 1 && d.closed);
	assert_int_equal(x->state, TASK_EXEC_ENDED);
	assert_false(x->has_code);
	rig_done(r);
}

/* The client leaves: what it had said is still passed on. A node that is lost ends it. */
static void ends_of_a_process(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	static uint8_t piece[LIMIT_EXEC_INPUT + 1000];
	struct asked a = host_create(m, "web", 1);
	const struct data_exit end = {.exit_code = 7};
	auto_buf bytes = BUF_INIT(1000);
	struct executed seen;
	struct task_exec *x;
	struct dialled d;
	uint8_t taken[8];

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 1);
	x = exec_open(r, m, w, &d, &seen);
	assert_int_equal(task_exec_write(x, piece, sizeof piece), 1);
	task_exec_leave(x);
	RIG_UNTIL(r, d.input == LIMIT_EXEC_INPUT);
	le64_put(taken, LIMIT_EXEC_INPUT);
	say(&d, DATA_TAKEN, taken, sizeof taken);
	RIG_UNTIL(r, d.input == sizeof piece);
	assert_false(d.closed);
	le64_put(taken, 1000);
	say(&d, DATA_TAKEN, taken, sizeof taken);
	RIG_UNTIL(r, d.closed);
	assert_int_equal(seen.ends, 0);

	x = exec_open(r, m, w, &d, &seen);
	say(&d, DATA_STDOUT, "hello", 5);
	assert_int_equal(tlv_write(&data_exit_table, &end, &bytes), 0);
	say(&d, DATA_EXIT, bytes.p, bytes.len);
	RIG_UNTIL(r, seen.ends == 1);
	assert_int_equal(seen.output, 5);
	assert_true(x->has_code && x->exit_code == 7 && !x->error);
	RIG_UNTIL(r, d.closed);

	x = exec_open(r, m, w, &d, &seen);
	stream_abort(d.s);
	RIG_UNTIL(r, seen.ends == 1 && d.closed);
	assert_non_null(strstr(x->error, "may run on"));

	/* It is silent, and its session is lost: the node goes down. */
	x = exec_open(r, m, w, &d, &seen);
	host_session_close(w);
	RIG_UNTIL(r, seen.ends == 1);
	assert_non_null(strstr(x->error, "is down"));
	hang_up(r, &d);
	rig_done(r);
}

/* What a node gives as an errno may be none: the client hears of a failure all the same. */
static void refusals_of_a_process(void **state)
{
	static const int32_t codes[] = {ESRCH, -ESRCH, INT32_MIN, INT32_MAX};
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct asked a = host_create(m, "web", 1);
	struct executed seen;
	struct dialled d;

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "web", w->node) == 1);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		const struct data_exit end = {.code = codes[i], .error = (char *)"not today"};
		struct task_exec *x = exec_begin(r, m, w, &d, &seen);
		auto_buf bytes = BUF_INIT(1000);

		assert_int_equal(tlv_write(&data_exit_table, &end, &bytes), 0);
		say(&d, DATA_EXIT, bytes.p, bytes.len);
		RIG_UNTIL(r, seen.opened);
		assert_int_equal(seen.status, i == 0 ? -ESRCH : -EIO);
		assert_int_equal(x->state, TASK_EXEC_ENDED);
		assert_string_equal(x->error, "not today");
		RIG_UNTIL(r, d.closed);
	}
	rig_done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(streams_without_a_ticket),
		TEST(asks_of_one_manager),
		TEST(entries_that_wait),
		TEST(a_node_that_does_not_come),
		TEST(logs_of_many_tasks),
		TEST(a_followed_task_that_ends),
		TEST(a_followed_service_that_goes),
		TEST(processes_of_one_manager),
		TEST(input_of_a_process),
		TEST(ends_of_a_process),
		TEST(refusals_of_a_process),
	};
	int failed;

	log_set_level(LOG_LEVEL_ERROR);
	failed = RUN_TESTS(tests);
	uv_library_shutdown();
	return failed;
}
