/*
 * Sessions: who is connected, what they say, and when they are told. See dispatcher.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "manager/data.h"
#include "manager/dispatcher_impl.h"
#include "manager/join.h"

#define FLUSH_PACE_MS 100 /* between two flushes of one session's tables */
#define FLUSH_TURN 200    /* sessions flushed in one turn of the loop */
#define CHECK_MS 250
#define DIGEST_MS 60000
#define BEATS_LOST 3
#define OUT_OF_TOUCH_MS 3000 /* without a leader: agents are sent to other managers */

static uint64_t now_ms(struct dispatcher *d)
{
	return world_mono_ms(manager_world(d->manager));
}

static uint64_t beat_ms(struct dispatcher *d)
{
	const struct cluster *c = store_cluster(manager_store(d->manager));

	return (uint64_t)((c ? cluster_heartbeat_ns(c) : HEARTBEAT_DEFAULT_NS) / 1000000);
}

static struct session *session_of(struct dispatcher *d, const char *node)
{
	struct session *s;

	HASH_FIND_STR(d->sessions, node, s);
	return s;
}

void session_send(struct session *s, enum session_frame type, const struct table *t,
		  const void *message)
{
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	if (tlv_write(t, message, &bytes) < 0 ||
	    stream_send_copy(s->stream, (uint16_t)type, bytes.p, bytes.len) < 0)
		stream_close(s->stream, -ENOBUFS, "the agent does not take what is sent");
}

/*
 * As which member the node counts: while it still does as another than it is to be, that one, as it
 * throws its log away when it hears that it is another.
 */
static uint64_t member_now(struct manager *m, const struct node *n)
{
	const struct raft_member *v;
	size_t count = raft_node_members(manager_raft(m), &v);

	for (size_t i = 0; i < count; i++)
		if (strcmp(v[i].node, n->o.id) == 0)
			return v[i].id;
	return n->manager ? n->manager->raft_id : SESSION_NO_MEMBER;
}

static void welcome_send(struct session *s, enum session_frame type)
{
	struct store *store = manager_store(s->dispatcher->manager);
	const struct cluster *c = store_cluster(store);
	const struct node *n = store_node(store, s->node);
	struct session_welcome w = {.heartbeat_ms = (uint32_t)beat_ms(s->dispatcher),
				    .data_port = c && c->data_port ? c->data_port : 4789};

	managers_list(store, &w.managers.v, &w.managers.n);
	if (n)
		table_copy(&node_spec_table, &w.spec, &n->spec);
	if (n && n->spec.role == ROLE_MANAGER)
		w.raft_id = member_now(s->dispatcher->manager, n);
	session_send(s, type, &session_welcome_table, &w);
	table_done(&session_welcome_table, &w);
}

void dispatcher_data(struct dispatcher *d, const char *node, const struct data_request *r)
{
	struct session *s = session_of(d, node);

	if (s && s->opened)
		session_send(s, SESSION_DATA, &data_request_table, r);
}

/* The pace of telling */

static void flush_arm(struct dispatcher *d, uint64_t at_ms)
{
	uint64_t now = now_ms(d);

	if (d->flush_at_ms && d->flush_at_ms <= at_ms)
		return;
	d->flush_at_ms = MAX_OF(at_ms, (uint64_t)1);
	world_timer_start(manager_world(d->manager), &d->flush, at_ms > now ? at_ms - now : 0);
}

static void queue_add(struct dispatcher *d, struct session *s)
{
	s->queued = true;
	s->queue_next = NULL;
	*d->queue_end = s;
	d->queue_end = &s->queue_next;
}

static struct session *queue_pop(struct dispatcher *d)
{
	struct session *s = d->queue;

	d->queue = s->queue_next;
	if (!d->queue)
		d->queue_end = &d->queue;
	s->queued = false;
	return s;
}

uint64_t session_due_ms(const struct session *s)
{
	if (s->complete_due || s->dirty || !s->last_tables_ms)
		return 0;
	return s->last_tables_ms + FLUSH_PACE_MS;
}

static void flush_fire(struct world_timer *t)
{
	struct dispatcher *d = container_of(t, struct dispatcher, flush);
	uint64_t now = now_ms(d), next = UINT64_MAX;
	unsigned turn = 0, waiting = HASH_COUNT(d->sessions);

	d->flush_at_ms = 0;
	while (d->queue && waiting-- > 0 && turn < FLUSH_TURN) {
		struct session *s = queue_pop(d);
		uint64_t due = session_due_ms(s);

		if (due > now) { /* behind the others, who may be due */
			next = MIN_OF(next, due);
			queue_add(d, s);
			continue;
		}
		session_flush(s);
		turn++;
	}
	if (turn == FLUSH_TURN && d->queue)
		next = now;
	if (next != UINT64_MAX)
		flush_arm(d, next);
}

void session_queue(struct session *s)
{
	if (!s->queued)
		queue_add(s->dispatcher, s);
	flush_arm(s->dispatcher, session_due_ms(s));
}

static void session_unqueue(struct session *s)
{
	struct dispatcher *d = s->dispatcher;
	struct session **at = &d->queue;

	if (!s->queued)
		return;
	s->queued = false;
	while (*at != s)
		at = &(*at)->queue_next;
	*at = s->queue_next;
	for (d->queue_end = &d->queue; *d->queue_end;)
		d->queue_end = &(*d->queue_end)->queue_next;
}

/* A session that has ended, was replaced, or whose dispatcher has gone. */
static void session_detach(struct session *s)
{
	session_unqueue(s);
	HASH_DEL(s->dispatcher->sessions, s);
	names_clear(&s->dirty);
	names_clear(&s->secrets);
	session_nets_clear(s);
	session_seen_drop(s);
	session_cert_clear(s);
	session_leave_clear(s);
	s->dispatcher = NULL;
}

/* What agents say */

static void open_read(struct session *s, const struct frame_view *f)
{
	struct session_open open = {0};

	if (tlv_read(&session_open_table, f->payload, f->len, &open, NULL) < 0) {
		stream_close(s->stream, -EPROTO, "a damaged message");
		return;
	}
	session_seen(s, &open);
	if (!s->opened) {
		s->opened = s->complete_due = true;
		welcome_send(s, SESSION_WELCOME);
		data_session_open(manager_data(s->dispatcher->manager), s->node);
	}
	session_nets_clear(s);
	LIST_EACH (known, &open.known) {
		struct session_net *n;

		if (!known->network || strlen(known->network) > ID_CLUSTER_LEN)
			continue;
		HASH_FIND_STR(s->nets, known->network, n);
		if (n || !store_network(manager_store(s->dispatcher->manager), known->network))
			continue;
		n = xcalloc(1, sizeof *n);
		(void)snprintf(n->id, sizeof n->id, "%s", known->network);
		n->version = known->version;
		HASH_ADD_STR(s->nets, id, n);
	}
	s->complete_due = true;
	table_done(&session_open_table, &open);
	session_queue(s);
}

static void status_read(struct session *s, const struct frame_view *f)
{
	struct session_status status = {0};

	if (tlv_read(&session_status_table, f->payload, f->len, &status, NULL) < 0)
		stream_close(s->stream, -EPROTO, "a damaged message");
	else
		session_reported(s, &status);
	table_done(&session_status_table, &status);
}

static void cert_read_request(struct session *s, const struct frame_view *f)
{
	struct session_cert_request r = {0};

	if (tlv_read(&session_cert_request_table, f->payload, f->len, &r, NULL) < 0)
		stream_close(s->stream, -EPROTO, "a damaged message");
	else
		session_cert_requested(s, &r);
	table_done(&session_cert_request_table, &r);
}

static void measured_read(struct session *s, const struct frame_view *f)
{
	struct session_measured m = {0};

	if (tlv_read(&session_measured_table, f->payload, f->len, &m, NULL) < 0)
		stream_close(s->stream, -EPROTO, "a damaged message");
	else
		session_measured(s, &m);
	table_done(&session_measured_table, &m);
}

static void session_recv(struct stream *stream, const struct frame_view *f, void *data)
{
	struct session *s = data;

	if (s->left)
		return;
	s->last_beat_ms = now_ms(s->dispatcher);
	liveness_beat(s->dispatcher->liveness, s->node);
	switch (f->type) {
	case SESSION_OPEN:
	case SESSION_DESCRIBE:
		open_read(s, f);
		break;
	case SESSION_BEAT:
		(void)stream_send_copy(stream, SESSION_BEAT, NULL, 0);
		break;
	case SESSION_STATUS:
		status_read(s, f);
		break;
	case SESSION_MEASURED:
		measured_read(s, f);
		break;
	case SESSION_CERT_REQUEST:
		cert_read_request(s, f);
		break;
	case SESSION_LEAVE:
		session_leaves(s);
		break;
	default: /* of a later version */
		break;
	}
}

static void session_drain(struct stream *stream, void *data)
{
	(void)stream;
	session_queue(data);
}

static void session_closed(struct stream *stream, const struct err *why, void *data)
{
	struct session *s = data;

	(void)stream;
	if (s->dispatcher) {
		log_debug("the session of node %s has ended: %s", s->node, err_text(why));
		session_detach(s);
	}
	free(s);
}

static const struct stream_ops session_ops = {
	.recv = session_recv,
	.drain = session_drain,
	.closed = session_closed,
};

static void gone_recv(struct stream *stream, const struct frame_view *f, void *data)
{
	(void)stream;
	(void)f;
	(void)data;
}

static const struct stream_ops gone_ops = {
	.recv = gone_recv,
	.closed = session_closed,
};

static void session_replace(struct session *s, int code, const char *reason)
{
	struct stream *stream = s->stream;

	session_detach(s);
	stream_start(stream, &gone_ops, s);
	stream_close(stream, code, reason);
}

void dispatcher_accept(struct dispatcher *d, struct stream *stream, const struct stream_peer *peer)
{
	struct session *s = session_of(d, peer->node_id);

	if (s)
		session_replace(s, -EALREADY, "the node has opened a newer session");
	s = xcalloc(1, sizeof *s);
	s->dispatcher = d;
	s->stream = stream;
	s->serial = ++d->last_serial;
	s->last_beat_ms = now_ms(d);
	(void)snprintf(s->node, sizeof s->node, "%s", peer->node_id);
	HASH_ADD_STR(d->sessions, node, s);
	stream_start(stream, &session_ops, s);
}

/* What the store tells */

static bool managers_changed(const struct node *old, const struct node *new)
{
	const char *was = old && old->manager ? old->manager->addr : NULL;
	const char *is = new &&new->manager ? new->manager->addr : NULL;

	return !was != !is || (was && strcmp(was, is) != 0);
}

static uint64_t member_of(const struct node *n)
{
	return n->manager ? n->manager->raft_id : 0;
}

static void node_event(struct dispatcher *d, const struct node *old, const struct node *new)
{
	struct session *s, *next;
	bool all = managers_changed(old, new);

	HASH_ITER (hh, d->sessions, s, next) {
		bool own = new &&strcmp(s->node, new->o.id) == 0 && old &&
			   (member_of(old) != member_of(new) ||
			    !table_equal(&node_spec_table, &old->spec, &new->spec));

		if (s->opened && (all || own))
			welcome_send(s, SESSION_MANAGERS);
	}
}

void dispatcher_members(struct dispatcher *d)
{
	struct session *s, *next;

	HASH_ITER (hh, d->sessions, s, next) {
		const struct node *n = store_node(manager_store(d->manager), s->node);

		if (s->opened && n && n->spec.role == ROLE_MANAGER)
			welcome_send(s, SESSION_MANAGERS);
	}
}

/* Agents beat in the new time as soon as they hear of it: nobody is silent until then. */
static void cluster_event(struct dispatcher *d, const struct cluster *old,
			  const struct cluster *new)
{
	struct session *s, *next;

	if (!old || !new || cluster_heartbeat_ns(old) == cluster_heartbeat_ns(new))
		return;
	HASH_ITER (hh, d->sessions, s, next) {
		s->last_beat_ms = now_ms(d);
		if (s->opened)
			welcome_send(s, SESSION_MANAGERS);
	}
	liveness_period_changed(d->liveness);
}

static void on_changed(void *arg, const struct object *old, const struct object *new)
{
	enum object_kind kind = (old ? old : new)->kind;
	struct dispatcher *d = arg;

	netmap_event(d->netmap, old, new);
	if (kind == KIND_TASK)
		session_task_changed(d, (const struct task *)old, (const struct task *)new);
	else if (kind == KIND_NODE)
		node_event(d, (const struct node *)old, (const struct node *)new);
	else if (kind == KIND_SERVICE)
		measure_service_changed(d, (const struct service *)old,
					(const struct service *)new);
	else if (kind == KIND_CLUSTER)
		cluster_event(d, (const struct cluster *)old, (const struct cluster *)new);
}

/* Tables may have moved with this batch for agents whose tasks did not. */
static void on_applied(void *arg, uint64_t version, bool swapped)
{
	struct dispatcher *d = arg;
	struct session *s, *next;

	(void)version;
	if (swapped)
		netmap_reset(d->netmap);
	if (d->netmap_seen == netmap_changes(d->netmap))
		return;
	d->netmap_seen = netmap_changes(d->netmap);
	HASH_ITER (hh, d->sessions, s, next) {
		struct session_net *n, *n_next;

		if (swapped && s->opened) {
			s->complete_due = true;
			session_queue(s);
			continue;
		}
		HASH_ITER (hh, s->nets, n, n_next) {
			if (n->version == netmap_version(d->netmap, n->id))
				continue;
			session_queue(s);
			break;
		}
	}
}

/* Silent agents, and a manager that is out of touch itself. */
static void check_fire(struct world_timer *t)
{
	struct dispatcher *d = container_of(t, struct dispatcher, check);
	uint64_t now = now_ms(d), silence = BEATS_LOST * beat_ms(d);
	bool digest = now - d->last_digest_ms > DIGEST_MS;
	struct session *s, *next;
	struct err e = ERR_INIT;
	int rc = manager_readable(d->manager, &e);

	if (rc == 0)
		d->untouched_from_ms = 0;
	else if (!d->untouched_from_ms)
		d->untouched_from_ms = now;
	HASH_ITER (hh, d->sessions, s, next) {
		session_seen_send(s);
		if (d->untouched_from_ms && now - d->untouched_from_ms >= OUT_OF_TOUCH_MS)
			stream_close(s->stream, rc, e.msg);
		else if (now - s->last_beat_ms > silence)
			stream_close(s->stream, -ETIMEDOUT, "no heartbeat");
		else if (digest && s->opened)
			session_digests(s);
	}
	if (digest)
		d->last_digest_ms = now;
	loads_send(d);
	world_timer_start(manager_world(d->manager), t, CHECK_MS);
}

void dispatcher_leading(struct dispatcher *d, bool leading)
{
	liveness_leading(d->liveness, leading);
}

void dispatcher_leader(struct dispatcher *d, const char *other)
{
	struct session *s, *next;

	liveness_leader(d->liveness, other);
	HASH_ITER (hh, d->sessions, s, next)
		if (other && s->opened)
			liveness_again(d->liveness, s->node);
}

void dispatcher_alive(struct dispatcher *d, const struct strs *nodes)
{
	liveness_report(d->liveness, nodes);
}

struct dispatcher *dispatcher_new(struct manager *m)
{
	struct dispatcher *d = xcalloc(1, sizeof *d);

	d->manager = m;
	d->queue_end = &d->queue;
	d->netmap = netmap_new(manager_store(m));
	d->liveness = liveness_new(m);
	d->flush.fire = flush_fire;
	d->check.fire = check_fire;
	d->last_digest_ms = now_ms(d);
	d->watch = (struct store_watch){.changed = on_changed, .applied = on_applied, .arg = d};
	store_watch_add(manager_store(m), &d->watch);
	world_timer_start(manager_world(m), &d->check, CHECK_MS);
	return d;
}

void dispatcher_free(struct dispatcher *d)
{
	struct session *s, *next;

	store_watch_remove(manager_store(d->manager), &d->watch);
	world_timer_stop(manager_world(d->manager), &d->flush);
	world_timer_stop(manager_world(d->manager), &d->check);
	HASH_ITER (hh, d->sessions, s, next)
		session_replace(s, -ESHUTDOWN, "this manager stops");
	reports_clear(d);
	loads_clear(d);
	liveness_free(d->liveness);
	netmap_free(d->netmap);
	free(d);
}
