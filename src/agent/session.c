/*
 * See session.h.
 */
#include "agent/session.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "base/dialer.h"
#include "base/id.h"
#include "base/mem.h"

#define REDIAL_MIN_MS 100
#define REDIAL_MAX_MS 8000
#define BEATS_LOST 3
#define RETRY_MIN_MS 500   /* a batch that nobody took by then is sent again, */
#define RETRY_MAX_MS 8000  /* each time after twice as long */
#define PASSING_MS 100     /* that a state waits for the next one, when it may be passed soon */
#define REPORTS_BATCH 2000 /* statuses of one frame */
#define HEARTBEAT_MS 5000  /* until a manager says otherwise */
#define LEAVE_MS 2000      /* what a manager has to take the word that this node leaves */

/* The last status of a task that no manager has taken yet. */
struct pending {
	char task[ID_CLUSTER_LEN + 1];
	struct task_status status;
	uint64_t sequence; /* of the batch that carries it; 0: not sent */
	uint64_t sent_ms;
	uint64_t since_ms; /* from which on something of the task is not sent */
	UT_hash_handle hh;
};

struct session_client {
	struct session_client_config config;
	char node[ID_CLUSTER_LEN + 1];
	struct dialer dialer;
	uv_timer_t beat, flush, leave;
	LIST_OF(struct session_manager) managers;
	size_t next; /* of the managers, to be tried */
	char address[STREAM_ADDRESS_MAX];
	char manager[ID_CLUSTER_LEN + 1];
	bool open, closing;
	uint32_t heartbeat_ms;
	uint64_t heard_ms, retry_ms;
	uint64_t sequence;
	struct pending *pending;
	unsigned handles;
	void (*left)(void *arg); /* while the word that it leaves is on its way */
	void *left_arg;
	void (*done)(void *arg);
	void *done_arg;
};

static struct stream *stream_of(struct session_client *c)
{
	return dialer_stream(&c->dialer);
}

static void message_send(struct session_client *c, enum session_frame type, const struct table *t,
			 const void *message)
{
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);
	struct stream *s = stream_of(c);

	if (!s)
		return;
	if (tlv_write(t, message, &bytes) < 0 ||
	    stream_send_copy(s, (uint16_t)type, bytes.p, bytes.len) < 0)
		stream_close(s, -ENOBUFS, "the manager does not take what is sent");
}

/* Statuses */

static void unsend(struct session_client *c)
{
	struct pending *p, *next;

	HASH_ITER (hh, c->pending, p, next)
		p->sequence = 0;
}

/*
 * A state on the way to one that is waited for. It leaves together with that one, or when the task
 * stays in it: most tasks pass it within milliseconds, and each report is a write of the managers.
 */
static bool is_passing(enum task_state state)
{
	return state < TASK_RUNNING && state != TASK_READY;
}

/* When it is to leave: now or earlier, unless it waits for its next state or for an answer. */
static uint64_t pending_due_ms(const struct session_client *c, const struct pending *p)
{
	if (p->sequence)
		return p->sent_ms + c->retry_ms;
	return p->since_ms + (is_passing(p->status.state) ? PASSING_MS : 0);
}

static void flush_fire(uv_timer_t *t)
{
	struct session_client *c = t->data;
	struct session_status message = {.sequence = c->sequence + 1};
	uint64_t now = uv_now(c->config.loop), next_ms = UINT64_MAX;
	struct pending *p, *next;
	bool again = false;

	if (!c->open || c->closing)
		return;
	HASH_ITER (hh, c->pending, p, next) {
		struct session_report *r;

		if (message.reports.n >= REPORTS_BATCH) {
			next_ms = now;
			break;
		}
		if (pending_due_ms(c, p) <= now) {
			again = again || p->sequence;
			r = LIST_ADD(&message.reports); /* lent */
			r->task = p->task;
			r->status = p->status;
			p->sequence = message.sequence;
			p->sent_ms = now;
		}
		next_ms = MIN_OF(next_ms, pending_due_ms(c, p));
	}
	if (again)
		c->retry_ms = MIN_OF(2 * c->retry_ms, (uint64_t)RETRY_MAX_MS);
	if (message.reports.n) {
		c->sequence++;
		message_send(c, SESSION_STATUS, &session_status_table, &message);
	}
	if (c->pending) /* more than one batch takes; what waits; or what nobody takes */
		(void)uv_timer_start(t, flush_fire, next_ms - now, 0);
	free(message.reports.v);
}

/* 0: at the end of this turn of the loop, so that what happens together leaves together. */
static void flush_within(struct session_client *c, uint64_t ms)
{
	if (!uv_is_active((uv_handle_t *)&c->flush) || uv_timer_get_due_in(&c->flush) > ms)
		(void)uv_timer_start(&c->flush, flush_fire, ms, 0);
}

static void pending_free(struct session_client *c, struct pending *p)
{
	HASH_DEL(c->pending, p);
	table_done(&task_status_table, &p->status);
	free(p);
}

void session_client_report(struct session_client *c, const char *task,
			   const struct task_status *status)
{
	struct pending *p;

	if (c->closing || strlen(task) > ID_CLUSTER_LEN)
		return;
	HASH_FIND_STR(c->pending, task, p);
	if (!p) {
		p = xcalloc(1, sizeof *p);
		(void)snprintf(p->task, sizeof p->task, "%s", task);
		HASH_ADD_STR(c->pending, task, p);
	}
	table_done(&task_status_table, &p->status);
	table_copy(&task_status_table, &p->status, status);
	if (p->sequence || !p->since_ms)
		p->since_ms = uv_now(c->config.loop);
	p->sequence = 0;
	if (c->open)
		flush_within(c, is_passing(status->state) ? PASSING_MS : 0);
}

/* What managers say */

static bool frame_read(struct session_client *c, const struct frame_view *f, const struct table *t,
		       void *ret)
{
	if (tlv_read(t, f->payload, f->len, ret, NULL) == 0)
		return true;
	stream_close(stream_of(c), -EPROTO, "a damaged message");
	return false;
}

static void welcome_read(struct session_client *c, const struct frame_view *f)
{
	struct session_welcome w = {0};

	if (!frame_read(c, f, &session_welcome_table, &w))
		return;
	if (w.heartbeat_ms >= 20 && w.heartbeat_ms != c->heartbeat_ms) {
		c->heartbeat_ms = w.heartbeat_ms;
		(void)uv_timer_start(&c->beat, c->beat.timer_cb, c->heartbeat_ms, c->heartbeat_ms);
	}
	if (w.managers.n) {
		for (size_t i = 0; i < c->managers.n; i++)
			table_done(&session_manager_table, &c->managers.v[i]);
		c->managers.n = 0;
		LIST_EACH (m, &w.managers)
			if (m->addr && m->node)
				table_copy(&session_manager_table, LIST_ADD(&c->managers), m);
	}
	c->config.ops->welcome(c->config.arg, &w);
	table_done(&session_welcome_table, &w);
}

static void taken_read(struct session_client *c, const struct frame_view *f)
{
	struct session_taken taken = {0};
	struct pending *p, *next;

	if (!frame_read(c, f, &session_taken_table, &taken))
		return;
	HASH_ITER (hh, c->pending, p, next)
		if (p->sequence == taken.sequence)
			pending_free(c, p);
	c->retry_ms = RETRY_MIN_MS;
	table_done(&session_taken_table, &taken);
}

static void assign_read(struct session_client *c, const struct frame_view *f)
{
	struct session_assign a = {0};

	if (!frame_read(c, f, &session_assign_table, &a))
		return;
	c->config.ops->assign(c->config.arg, &a);
	table_done(&session_assign_table, &a);
}

static void secret_read(struct session_client *c, const struct frame_view *f)
{
	struct session_secret s = {0};

	if (!frame_read(c, f, &session_secret_table, &s))
		return;
	if (s.id)
		c->config.ops->secret(c->config.arg, &s);
	table_done(&session_secret_table, &s);
}

static void peers_read(struct session_client *c, const struct frame_view *f)
{
	struct session_peers p = {0};

	if (!frame_read(c, f, &session_peers_table, &p))
		return;
	if (c->config.ops->peers(c->config.arg, &p) == -ESTALE)
		session_client_describe(c);
	table_done(&session_peers_table, &p);
}

static void cert_read_answer(struct session_client *c, const struct frame_view *f)
{
	struct session_cert cert = {0};

	if (!frame_read(c, f, &session_cert_table, &cert))
		return;
	c->config.ops->certificate(c->config.arg, &cert);
	table_done(&session_cert_table, &cert);
}

static void measure_read(struct session_client *c, const struct frame_view *f)
{
	struct session_measure m = {0};

	if (!c->config.ops->measure || !frame_read(c, f, &session_measure_table, &m))
		return;
	c->config.ops->measure(c->config.arg, &m);
	table_done(&session_measure_table, &m);
}

static void data_read(struct session_client *c, const struct frame_view *f)
{
	struct data_request r = {0};

	if (!c->config.ops->data || !frame_read(c, f, &data_request_table, &r))
		return;
	c->config.ops->data(c->config.arg, &r);
	table_done(&data_request_table, &r);
}

/* Leaving */

static void left_fire(uv_timer_t *t)
{
	struct session_client *c = t->data;
	void (*left)(void *arg) = c->left;

	c->left = NULL; /* once: the session may be lost on the way out */
	left(c->left_arg);
}

/* Not from within the stream's own call: the session is closed then. */
static void left_soon(struct session_client *c)
{
	if (c->left && !c->closing)
		(void)uv_timer_start(&c->leave, left_fire, 0, 0);
}

void session_client_leave(struct session_client *c, void (*left)(void *arg), void *arg)
{
	struct stream *s = stream_of(c);

	if (!c->open || !s || stream_send_copy(s, SESSION_LEAVE, NULL, 0) < 0) {
		left(arg);
		return;
	}
	c->left = left;
	c->left_arg = arg;
	(void)uv_timer_start(&c->leave, left_fire, LEAVE_MS, 0);
}

static void session_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct session_client *c = data;

	(void)s;
	c->heard_ms = uv_now(c->config.loop);
	switch (f->type) {
	case SESSION_WELCOME:
	case SESSION_MANAGERS:
		welcome_read(c, f);
		break;
	case SESSION_STATUS_TAKEN:
		taken_read(c, f);
		break;
	case SESSION_ASSIGN:
		assign_read(c, f);
		break;
	case SESSION_SECRET:
		secret_read(c, f);
		break;
	case SESSION_PEERS:
		peers_read(c, f);
		break;
	case SESSION_CERT:
		cert_read_answer(c, f);
		break;
	case SESSION_DATA:
		data_read(c, f);
		break;
	case SESSION_LEAVE:
		left_soon(c);
		break;
	case SESSION_MEASURE:
		measure_read(c, f);
		break;
	default: /* a beat; or of a later version */
		break;
	}
}

/* The connection */

/* This node's own manager first, then the others in turn from a place of chance. */
static const struct session_manager *manager_next(struct session_client *c)
{
	if (c->managers.n == 0)
		return NULL;
	if (c->next++ == 0) {
		LIST_EACH (m, &c->managers)
			if (strcmp(m->node, c->node) == 0)
				return m;
		c->next = 1 + (size_t)(random_u64() % c->managers.n);
	}
	return &c->managers.v[c->next % c->managers.n];
}

static int session_target(struct stream_target *ret, void *data, struct err *e)
{
	struct session_client *c = data;
	const struct session_manager *m = manager_next(c);

	if (!m)
		return err_set(e, -EHOSTUNREACH, "no manager is known");
	(void)snprintf(c->address, sizeof c->address, "%s", m->addr);
	(void)snprintf(c->manager, sizeof c->manager, "%s", m->node);
	*ret = (struct stream_target){
		.address = c->address, .purpose = STREAM_SESSION, .node_id = c->manager};
	return 0;
}

static void open_send(struct session_client *c, enum session_frame type)
{
	struct session_open open = {0};

	c->config.ops->describe(c->config.arg, &open);
	message_send(c, type, &session_open_table, &open);
	table_done(&session_open_table, &open);
}

static void session_open(struct stream *s, void *data)
{
	struct session_client *c = data;

	(void)s;
	c->open = true;
	c->next = 0;
	c->heard_ms = uv_now(c->config.loop);
	open_send(c, SESSION_OPEN);
	unsend(c);
	c->retry_ms = RETRY_MIN_MS;
	c->config.ops->connected(c->config.arg, true);
	flush_within(c, 0);
}

static void session_lost(const struct err *why, bool was_open, uint32_t wait_ms, void *data)
{
	struct session_client *c = data;

	(void)wait_ms;
	c->open = false;
	if (was_open)
		c->config.ops->connected(c->config.arg, false);
	c->config.ops->refused(c->config.arg, why);
	left_soon(c);
}

static const struct dialer_ops dialer_ops_of_session = {
	.target = session_target,
	.open = session_open,
	.recv = session_recv,
	.lost = session_lost,
};

static void beat_fire(uv_timer_t *t)
{
	struct session_client *c = t->data;
	uint64_t now = uv_now(c->config.loop);
	struct stream *s = stream_of(c);

	if (!c->open || !s)
		return;
	if (now - c->heard_ms > (uint64_t)BEATS_LOST * c->heartbeat_ms) {
		stream_close(s, -ETIMEDOUT, "the manager is silent");
		return;
	}
	(void)stream_send_copy(s, SESSION_BEAT, NULL, 0);
}

void session_client_describe(struct session_client *c)
{
	if (c->open)
		open_send(c, SESSION_DESCRIBE);
}

void session_client_certify(struct session_client *c, const struct session_cert_request *r)
{
	if (c->open)
		message_send(c, SESSION_CERT_REQUEST, &session_cert_request_table, r);
}

void session_client_measured(struct session_client *c, const struct session_measured *m)
{
	if (c->open && !c->closing)
		message_send(c, SESSION_MEASURED, &session_measured_table, m);
}

struct session_client *session_client_new(const struct session_client_config *config,
					  const struct session_manager *managers, size_t n)
{
	struct session_client *c = xcalloc(1, sizeof *c);

	c->config = *config;
	(void)snprintf(c->node, sizeof c->node, "%s", config->node);
	for (size_t i = 0; i < n; i++)
		table_copy(&session_manager_table, LIST_ADD(&c->managers), &managers[i]);
	c->heartbeat_ms = HEARTBEAT_MS;
	c->retry_ms = RETRY_MIN_MS;
	(void)uv_timer_init(config->loop, &c->beat);
	(void)uv_timer_init(config->loop, &c->flush);
	(void)uv_timer_init(config->loop, &c->leave);
	c->beat.data = c->flush.data = c->leave.data = c;
	(void)uv_timer_start(&c->beat, beat_fire, c->heartbeat_ms, c->heartbeat_ms);
	dialer_start(&c->dialer, config->hub, &dialer_ops_of_session, c);
	dialer_set_backoff(&c->dialer, REDIAL_MIN_MS, REDIAL_MAX_MS);
	c->handles = 4;
	return c;
}

static void handle_gone(struct session_client *c)
{
	if (--c->handles > 0)
		return;
	while (c->pending)
		pending_free(c, c->pending);
	LIST_EACH (m, &c->managers)
		table_done(&session_manager_table, m);
	free(c->managers.v);
	if (c->done)
		c->done(c->done_arg);
	free(c);
}

static void timer_closed(uv_handle_t *h)
{
	handle_gone(h->data);
}

static void dialer_closed(struct dialer *d, void *data)
{
	(void)d;
	handle_gone(data);
}

void session_client_close(struct session_client *c, void (*done)(void *arg), void *arg)
{
	c->closing = true;
	c->done = done;
	c->done_arg = arg;
	uv_close((uv_handle_t *)&c->beat, timer_closed);
	uv_close((uv_handle_t *)&c->flush, timer_closed);
	uv_close((uv_handle_t *)&c->leave, timer_closed);
	dialer_close(&c->dialer, dialer_closed);
}
