/*
 * Snapshots of the raft node: taking one (pinned on the loop, encoded on the pool), sending one
 * frame by frame, and installing one (received, made into a state on the pool, then handed to
 * libraft, which only swaps). Part of the raft node.
 */
#include "manager/raft_impl.h"

#include <limits.h>
#include <string.h>

#include "base/frame.h"
#include "base/log.h"
#include "base/mem.h"

/* Taking */

/*
 * libraft 0.22.1 records a committed change of the group one event after it was applied, yet takes
 * a snapshot in between, which then holds the group as it was before: after a restart, a member
 * would count other voters than the rest. Such a moment is let pass; it asks again at its next
 * event.
 */
static bool group_is_behind(const struct raft_node *n)
{
	uint64_t applied = raft_last_applied((struct raft *)&n->raft);
	uint64_t open = n->raft.configuration_uncommitted_index;

	return (open != 0 && open <= applied) || n->raft.configuration_committed_index > applied;
}

void node_snapshot_set_interval(struct raft_node *n)
{
	raft_set_snapshot_threshold(&n->raft, n->interval > 0 && n->interval < UINT_MAX
						      ? (unsigned)n->interval
						      : UINT_MAX);
}

void raft_node_set_snapshots(struct raft_node *n, uint64_t interval, uint64_t trailing)
{
	n->interval = interval;
	n->trailing = trailing;
	node_snapshot_set_interval(n);
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
	struct raft_node *n = fsm->data;
	unsigned trailing;

	if (group_is_behind(n))
		return RAFT_BUSY;
	/* Where the log may be cut is decided now, as libraft counts entries and we bound bytes. */
	node_snapshot_set_interval(n);
	trailing = raft_size_trailing(&n->size, raft_last_applied(&n->raft),
				      n->options.trailing_bytes);
	if (n->trailing > 0)
		trailing = (unsigned)MIN_OF(n->trailing, (uint64_t)trailing);
	raft_set_snapshot_trailing(&n->raft, trailing);
	raft_size_snapshot(&n->size, raft_last_applied(&n->raft));
	n->take.pin = n->state.snapshot_pin(n->state.arg);
	/* The bytes follow when the pool has made them, in node_snapshot_put(). */
	*bufs = raft_calloc(1, sizeof(**bufs));
	*n_bufs = 1;
	return *bufs ? 0 : RAFT_NOMEM;
}

static int fsm_snapshot_finalize(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
	struct raft_node *n = fsm->data;

	buf_done(&n->take.bytes);
	raft_free(*bufs);
	*bufs = NULL;
	*n_bufs = 0;
	return 0;
}

static void take_run(struct world_work *work)
{
	struct node_take *t = container_of(work, struct node_take, work);
	struct raft_node *n = container_of(t, struct raft_node, take);
	const uint8_t head[SNAPSHOT_HEAD_LEN] = {SNAPSHOT_VERSION}, zeros[8] = {0};
	size_t pad;

	t->bytes = BUF_SECRET(LIMIT_SNAPSHOT);
	(void)buf_add(&t->bytes, head, sizeof(head));
	t->status = n->state.snapshot_encode(n->state.arg, t->pin, &t->bytes);
	for (pad = 0; t->status == 0 && (t->bytes.len + pad) % 8 != 0;)
		pad++;
	(void)buf_add(&t->bytes, zeros, pad);
	if (t->status == 0)
		t->status = buf_status(&t->bytes);
	if (t->status == 0)
		t->bytes.p[SNAPSHOT_HEAD_PAD] = (char)pad;
}

static void take_finish(struct raft_node *n, int status)
{
	struct node_take *t = &n->take;

	t->busy = false;
	node_enter(n);
	t->cb(t->req, status);
	node_leave(n);
}

static void on_put(struct raft_io_snapshot_put *put, int status)
{
	struct node_take *t = container_of(put, struct node_take, put);
	struct raft_node *n = container_of(t, struct raft_node, take);

	if (status != 0 && status != RAFT_CANCELED)
		node_fatal(n, "storing a snapshot", NULL);
	if (status == 0) {
		n->size.snapshot_bytes = t->bytes.len;
		if (t->snapshot->index > t->trailing)
			raft_size_forget(&n->size, t->snapshot->index - t->trailing);
	}
	take_finish(n, status);
	if (!n->closing)
		node_install_maybe_deliver(n);
}

static void take_done(struct world_work *work)
{
	struct node_take *t = container_of(work, struct node_take, work);
	struct raft_node *n = container_of(t, struct raft_node, take);

	n->state.snapshot_unpin(n->state.arg, t->pin);
	t->pin = NULL;
	if (n->closing) {
		take_finish(n, RAFT_CANCELED);
		n->jobs--;
		node_io_maybe_closed(n);
		return;
	}
	n->jobs--;
	if (t->status < 0) {
		/* libraft cannot bear a failed snapshot: it stays open, and the log grows. */
		log_error("raft: the state cannot be written as a snapshot: %s; the log can no "
			  "longer be shortened",
			  strerror(-t->status));
		return;
	}
	t->snapshot->bufs[0] = (struct raft_buffer){.base = t->bytes.p, .len = t->bytes.len};
	if (n->disk->snapshot_put(n->disk, t->trailing, &t->put, t->snapshot, on_put) != 0)
		node_fatal(n, "storing a snapshot", NULL);
}

static int put_install(struct raft_node *n, struct raft_io_snapshot_put *req,
		       const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb);

int node_snapshot_put(struct raft_node *n, unsigned trailing, struct raft_io_snapshot_put *req,
		      const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
	struct node_take *t = &n->take;

	if (trailing == 0)
		return put_install(n, req, snapshot, cb);
	t->busy = true;
	t->trailing = trailing;
	t->snapshot = snapshot;
	t->req = req;
	t->cb = cb;
	t->work = (struct world_work){.run = take_run, .done = take_done};
	n->jobs++;
	world_work(n->world, &t->work);
	return 0;
}

void node_snapshot_maybe_take(struct raft_node *n)
{
	uint64_t bound = MAX_OF((uint64_t)n->options.snapshot_bytes, n->size.snapshot_bytes);

	if (!n->take.busy && raft_size_since(&n->size) >= bound)
		raft_set_snapshot_threshold(&n->raft, 1);
}

/* Sending */

struct raft_snapshot_out {
	uint64_t from, to, transfer;
	struct buf begin; /* empty once it was given */
	bool begun;
	uint8_t *data;
	size_t len;
	size_t offset;
};

/*
 * libraft has kept the message's address since before the snapshot was read, and may have freed it
 * since with the configuration that it stood in: it is looked up anew. NULL: no member any more.
 */
static const char *address_now(const struct raft_node *n, uint64_t id)
{
	const struct raft_configuration *c = &n->raft.configuration;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->servers[i].id == id)
			return c->servers[i].address;
	}
	return NULL;
}

/* Takes the bytes out of libraft's request, whose callback frees them otherwise. */
void node_snapshot_send(struct raft_node *n, const struct raft_message *m)
{
	struct raft_install_snapshot *is = (struct raft_install_snapshot *)&m->install_snapshot;
	const char *address = address_now(n, m->server_id);
	struct raft_snapshot_out *out;

	if (!address)
		return;
	out = xcalloc(1, sizeof(*out));
	/* libraft corrects the index when a newer snapshot was read, but not the term. */
	if (is->last_index == n->last_snapshot.index)
		is->last_term = n->last_snapshot.term;
	out->from = n->raft.id;
	out->to = m->server_id;
	out->transfer = ++n->transfers;
	buf_init(&out->begin, LIMIT_FRAME);
	if (raft_msg_encode_begin(&out->begin, out->from, out->to, is, out->transfer) < 0) {
		raft_snapshot_out_free(out);
		return;
	}
	out->data = is->data.base;
	out->len = is->data.len;
	is->data.base = NULL;
	n->transport.send_snapshot(n->transport.arg, address, out);
}

int raft_snapshot_out_next(struct raft_snapshot_out *out, struct buf *frame)
{
	size_t len = MIN_OF(out->len - out->offset, (size_t)RAFT_MSG_CHUNK);

	buf_reset(frame);
	if (!out->begun) {
		out->begun = true;
		return buf_add(frame, out->begin.p, out->begin.len) < 0 ? -EMSGSIZE : 1;
	}
	if (len == 0)
		return 0;
	if (raft_msg_encode_chunk(frame, out->from, out->to, out->transfer, out->offset,
				  out->data + out->offset, len) < 0)
		return -EMSGSIZE;
	out->offset += len;
	return 1;
}

void raft_snapshot_out_free(struct raft_snapshot_out *out)
{
	if (!out)
		return;
	buf_done(&out->begin);
	raft_free(out->data);
	free(out);
}

/* Installing */

void node_install_drop(struct raft_node *n)
{
	struct node_install *in = &n->install;

	if (in->prepared)
		n->state.restore_discard(n->state.arg, in->prepared);
	raft_msg_done(&in->begin);
	buf_done(&in->bytes);
	memset(in, 0, sizeof(*in));
}

static int prepare(struct raft_node *n, const void *p, size_t len, void **ret, struct err *e)
{
	const uint8_t *head = p;
	size_t pad;

	if (len < SNAPSHOT_HEAD_LEN || head[0] != SNAPSHOT_VERSION)
		return err_set(e, -EBADMSG,
			       "the snapshot has a form that this version does not know");
	len -= SNAPSHOT_HEAD_LEN;
	pad = head[SNAPSHOT_HEAD_PAD];
	if (pad > 7 || pad > len)
		return err_set(e, -EBADMSG, "the snapshot is damaged: it cannot end as it says");
	return n->state.restore_prepare(n->state.arg, head + SNAPSHOT_HEAD_LEN, len - pad, ret, e);
}

static void install_run(struct world_work *work)
{
	struct node_install *in = container_of(work, struct node_install, work);
	struct raft_node *n = container_of(in, struct raft_node, install);

	in->status = prepare(n, in->bytes.p, in->bytes.len, &in->prepared, &in->err);
}

static void install_done(struct world_work *work)
{
	struct node_install *in = container_of(work, struct node_install, work);
	struct raft_node *n = container_of(in, struct raft_node, install);

	n->jobs--;
	if (n->closing) {
		node_install_drop(n);
		node_io_maybe_closed(n);
		return;
	}
	if (in->status < 0) {
		log_error("raft: the snapshot that %s sent cannot be read: %s", in->peer,
			  err_text(&in->err));
		node_install_drop(n);
		return;
	}
	in->stage = INSTALL_READY;
	node_install_maybe_deliver(n);
}

/*
 * libraft 0.22.1 loses its way (and leaks) when a snapshot comes while it takes or installs one:
 * it gets this one only when it is free.
 */
void node_install_maybe_deliver(struct raft_node *n)
{
	struct node_install *in = &n->install;
	struct raft_message *m = &in->begin.message;

	if (in->stage != INSTALL_READY || n->take.busy || n->raft.snapshot.installing)
		return;
	if (m->install_snapshot.term < n->raft.current_term ||
	    (n->raft.state == RAFT_LEADER && m->install_snapshot.term == n->raft.current_term)) {
		node_install_drop(n);
		return;
	}
	in->base = in->bytes.p;
	m->install_snapshot.data = (struct raft_buffer){.base = in->bytes.p, .len = in->bytes.len};
	(void)buf_take(&in->bytes);
	in->begin.kind = 0; /* what it holds is libraft's now */
	in->stage = INSTALL_STORING;
	m->server_address = in->peer;
	node_enter(n);
	n->recv(&n->io, m);
	node_leave(n);
	/* Not stored: libraft had something newer and has freed it. */
	if (n->install.stage == INSTALL_STORING && !n->install.req)
		node_install_drop(n);
}

static void on_install_put(struct raft_io_snapshot_put *put, int status)
{
	struct node_install *in = container_of(put, struct node_install, put);
	struct raft_node *n = container_of(in, struct raft_node, install);
	struct raft_io_snapshot_put *req = in->req;
	raft_io_snapshot_put_cb cb = in->cb;

	if (status != 0 && status != RAFT_CANCELED)
		node_fatal(n, "storing a snapshot from the leader", NULL);
	node_enter(n);
	cb(req, status);
	node_leave(n);
	if (n->install.stage == INSTALL_STORING)
		node_install_drop(n);
}

static int put_install(struct raft_node *n, struct raft_io_snapshot_put *req,
		       const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
	struct node_install *in = &n->install;

	in->req = req;
	in->cb = cb;
	raft_size_reset(&n->size, snapshot->index + 1);
	n->size.snapshot_bytes = snapshot->bufs[0].len;
	if (n->disk->snapshot_put(n->disk, 0, &in->put, snapshot, on_install_put) != 0)
		node_fatal(n, "storing a snapshot from the leader", NULL);
	return 0;
}

/* libraft has made `buf` ours. At the start nothing is prepared yet. */
static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
	struct raft_node *n = fsm->data;
	struct node_install *in = &n->install;
	uint64_t index = MAX_OF(raft_commit_index(&n->raft), n->last_snapshot.index);
	void *prepared = NULL;

	if (in->stage == INSTALL_STORING && in->base == buf->base)
		prepared = TAKE_PTR(in->prepared);
	else if (prepare(n, buf->base, buf->len, &prepared, &n->load_err) < 0)
		return RAFT_CORRUPT;
	/* Its last entry counts as applied: on an idle group no other may come for long. */
	n->applied_term = in->stage == INSTALL_STORING
				  ? in->begin.message.install_snapshot.last_term
				  : n->last_snapshot.term;
	n->state.restore_commit(n->state.arg, prepared, index);
	raft_free(buf->base);
	buf->base = NULL;
	return 0;
}

static void begin_install(struct raft_node *n, const char *peer, struct raft_msg *msg)
{
	struct node_install *in = &n->install;

	node_install_drop(n);
	in->stage = INSTALL_RECEIVING;
	in->begin = *msg;
	in->bytes = BUF_SECRET(msg->message.install_snapshot.data.len);
	(void)snprintf(in->peer, sizeof(in->peer), "%s", peer);
	memset(msg, 0, sizeof(*msg));
}

static int add_chunk(struct raft_node *n, const char *peer, const struct raft_msg *msg,
		     struct err *e)
{
	struct node_install *in = &n->install;

	if (in->stage != INSTALL_RECEIVING || in->begin.transfer != msg->transfer ||
	    in->begin.from != msg->from)
		return 0;
	if (in->bytes.len != msg->offset || buf_add(&in->bytes, msg->chunk, msg->chunk_len) < 0) {
		node_install_drop(n);
		return err_set(e, -EBADMSG, "a piece of the snapshot from %s is out of place",
			       peer);
	}
	if (in->bytes.len < in->bytes.max)
		return 0;
	in->stage = INSTALL_PREPARING;
	in->work = (struct world_work){.run = install_run, .done = install_done};
	n->jobs++;
	world_work(n->world, &in->work);
	return 0;
}

int node_snapshot_receive(struct raft_node *n, const char *peer, struct raft_msg *msg,
			  struct err *e)
{
	if (msg->kind == RAFT_MSG_SNAPSHOT_CHUNK)
		return add_chunk(n, peer, msg, e);
	if (n->install.stage > INSTALL_RECEIVING) {
		raft_msg_done(msg);
		return 0;
	}
	if (msg->message.install_snapshot.data.len < SNAPSHOT_HEAD_LEN) {
		raft_msg_done(msg);
		return err_set(e, -EBADMSG, "the snapshot from %s has no content", peer);
	}
	begin_install(n, peer, msg);
	return 0;
}

/* Applying */

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
	struct raft_node *n = fsm->data;
	struct node_proposal *p = &n->proposal;
	uint64_t index = raft_last_applied(&n->raft) + 1;
	const uint8_t *head = buf->base;
	uint64_t nonce, version = 0;
	uint32_t len;
	bool own;
	int status = 0;

	*result = NULL;
	if (buf->len < ENVELOPE_LEN || head[0] != ENVELOPE_VERSION)
		node_fatal(n, "applying a raft entry", "another version of shoald wrote it");
	len = le32_get(head + 4);
	nonce = le64_get(head + 8);
	n->applied_term = le64_get(head + 16);
	if (len > buf->len - ENVELOPE_LEN)
		node_fatal(n, "applying a raft entry", "its length is wrong");
	own = p->busy && !p->applied && p->nonce == nonce;
	if (head[1] == ENVELOPE_BATCH)
		status = n->state.apply(n->state.arg, index, head + ENVELOPE_LEN, len, own,
					&version);
	if (own) {
		p->applied = true;
		p->status = status;
		p->version = version;
	}
	return 0;
}

void node_fsm_init(struct raft_node *n)
{
	n->fsm = (struct raft_fsm){
		.version = 2,
		.data = n,
		.apply = fsm_apply,
		.snapshot = fsm_snapshot,
		.snapshot_finalize = fsm_snapshot_finalize,
		.restore = fsm_restore,
	};
}
