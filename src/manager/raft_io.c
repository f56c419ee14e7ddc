/*
 * What libraft asks of us: the raft_io between it and the storage. Messages go out as frames,
 * results of the disk are seen here first, sizes are counted, snapshots take the way round by the
 * pool. Part of the raft node; knows neither raft_uv nor the simulation.
 */
#include <raft.h>
#include <string.h>

#include "base/mem.h"
#include "manager/raft_impl.h"

static struct raft_node *node_of(struct raft_io *io)
{
	return container_of(io, struct raft_node, io);
}

static int disk_result(struct raft_node *n, int rv, const char *what)
{
	if (rv != 0 && rv != RAFT_CANCELED)
		node_fatal(n, what, NULL);
	return rv;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
	struct raft_node *n = node_of(io);
	int rv = n->disk->init(n->disk, id, address);

	if (rv != 0)
		memcpy(io->errmsg, n->disk->errmsg, sizeof(io->errmsg));
	return rv;
}

void node_io_maybe_closed(struct raft_node *n)
{
	raft_io_close_cb cb = n->io_closed;

	if (!cb || !n->disk_closed || n->jobs > 0)
		return;
	n->io_closed = NULL;
	cb(&n->io);
}

static void disk_closed(struct raft_io *disk)
{
	struct raft_node *n = disk->data;

	n->disk_closed = true;
	node_io_maybe_closed(n);
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
	struct raft_node *n = node_of(io);

	n->io_closed = cb;
	n->disk->close(n->disk, disk_closed);
}

static bool is_sole_voter(const struct raft_configuration *c, raft_id id)
{
	unsigned voters = 0;
	bool own = false;

	for (unsigned i = 0; i < c->n; i++) {
		voters += c->servers[i].role == RAFT_VOTER;
		own = own || (c->servers[i].role == RAFT_VOTER && c->servers[i].id == id);
	}
	return own && voters == 1;
}

/* Whether this member starts as the only voter of what it has stored. */
static bool starts_alone(const struct raft_node *n, const struct raft_snapshot *snapshot,
			 const struct raft_entry *entries, size_t count)
{
	struct raft_configuration c;
	bool alone;

	for (; count > 0; count--) {
		if (entries[count - 1].type != RAFT_CHANGE)
			continue;
		if (raft_configuration_decode(&entries[count - 1].buf, &c) != 0)
			return false;
		alone = is_sole_voter(&c, n->raft.id);
		raft_configuration_close(&c);
		return alone;
	}
	return snapshot && is_sole_voter(&snapshot->configuration, n->raft.id);
}

/*
 * A sole voter leads as soon as it starts; libraft 0.22.1 does so without a new term. After a
 * crash it would then give an index and term out a second time, of which a member that was
 * catching up may hold the first.
 */
static int raise_term(struct raft_node *n, raft_term *term, raft_id *voted_for)
{
	int rv = n->disk->set_term(n->disk, *term + 1);

	if (rv == 0)
		rv = n->disk->set_vote(n->disk, n->raft.id);
	if (rv == 0) {
		*term += 1;
		*voted_for = n->raft.id;
	}
	return rv;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
		   struct raft_snapshot **snapshot, raft_index *start_index,
		   struct raft_entry *entries[], size_t *n_entries)
{
	struct raft_node *n = node_of(io);
	int rv = n->disk->load(n->disk, term, voted_for, snapshot, start_index, entries, n_entries);

	if (rv != 0) {
		memcpy(io->errmsg, n->disk->errmsg, sizeof(io->errmsg));
		return rv;
	}
	if (starts_alone(n, *snapshot, *entries, *n_entries) && raise_term(n, term, voted_for) != 0)
		node_fatal(n, "storing the raft term", NULL);
	raft_size_reset(&n->size, *start_index);
	for (size_t i = 0; i < *n_entries; i++)
		raft_size_add(&n->size, (*entries)[i].buf.len);
	if (*snapshot) {
		raft_size_snapshot(&n->size, (*snapshot)->index);
		n->last_snapshot.index = (*snapshot)->index;
		n->last_snapshot.term = (*snapshot)->term;
		n->size.snapshot_bytes = (*snapshot)->bufs[0].len;
	}
	return 0;
}

/*
 * At each tick of a leader, libraft 0.22.1 gives up every follower that has said nothing since the
 * last tick at which a majority had: it then sends entries with heartbeats only. A heartbeat comes
 * once in two ticks, and later still after a write, so that silence is the rule in a quiet group.
 * What it compares with is set back, so that silence means an election timeout without a word; a
 * leader that a majority does not answer for so long steps down, as before.
 */
static void be_patient(struct raft_node *n)
{
	struct raft *r = &n->raft;
	uint64_t now = world_mono_ms(n->world), patience = n->options.election_ms;

	if (r->state != RAFT_LEADER)
		return;
	if (n->led_term != r->current_term) {
		n->led_term = r->current_term;
		n->led_since_ms = r->election_timer_start;
	}
	if (now > n->led_since_ms + patience)
		r->election_timer_start = MIN_OF(r->election_timer_start, now - patience);
	else
		r->election_timer_start = MIN_OF(r->election_timer_start, n->led_since_ms);
}

static void on_tick(struct raft_io *disk)
{
	struct raft_node *n = disk->data;

	if (n->closing)
		return;
	be_patient(n);
	node_enter(n);
	n->tick(&n->io);
	node_leave(n);
}

/* Messages come by raft_node_receive(), never from the storage. */
static void on_recv(struct raft_io *disk, struct raft_message *message)
{
	(void)disk;
	(void)message;
}

/* Ticks at half the heartbeat, lest one that comes a moment early delays it to the next. */
static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
	struct raft_node *n = node_of(io);

	n->tick = tick;
	n->recv = recv;
	return n->disk->start(n->disk, MAX_OF(msecs / 2, 1u), on_tick, on_recv);
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
	struct raft_node *n = node_of(io);

	return n->disk->bootstrap(n->disk, conf);
}

static int io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
	struct raft_node *n = node_of(io);

	return n->disk->recover(n->disk, conf);
}

static int io_set_term(struct raft_io *io, raft_term term)
{
	struct raft_node *n = node_of(io);

	return disk_result(n, n->disk->set_term(n->disk, term), "storing the raft term");
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
	struct raft_node *n = node_of(io);

	return disk_result(n, n->disk->set_vote(n->disk, id), "storing the raft vote");
}

struct node_append {
	struct raft_io_append put;
	struct raft_io_append *req;
	struct raft_node *node;
};

static void on_append(struct raft_io_append *put, int status)
{
	struct node_append *a = container_of(put, struct node_append, put);
	struct raft_io_append *req = a->req;
	struct raft_node *n = a->node;

	free(a);
	(void)disk_result(n, status, "appending to the raft log");
	node_enter(n);
	req->cb(req, status);
	node_leave(n);
}

static int io_append(struct raft_io *io, struct raft_io_append *req,
		     const struct raft_entry entries[], unsigned count, raft_io_append_cb cb)
{
	struct raft_node *n = node_of(io);
	struct node_append *a = xcalloc(1, sizeof(*a));

	a->req = req;
	a->node = n;
	req->cb = cb;
	for (unsigned i = 0; i < count; i++)
		raft_size_add(&n->size, entries[i].buf.len);
	return disk_result(n, n->disk->append(n->disk, &a->put, entries, count, on_append),
			   "appending to the raft log");
}

static int io_truncate(struct raft_io *io, raft_index index)
{
	struct raft_node *n = node_of(io);

	raft_size_truncate(&n->size, index);
	return disk_result(n, n->disk->truncate(n->disk, index), "truncating the raft log");
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
			   const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
	return node_snapshot_put(node_of(io), trailing, req, snapshot, cb);
}

struct node_get {
	struct raft_io_snapshot_get get;
	struct raft_io_snapshot_get *req;
	raft_io_snapshot_get_cb cb;
	struct raft_node *node;
};

/* libraft frees what it never filled in when this fails, so that it must not. */
static void on_snapshot_get(struct raft_io_snapshot_get *get, struct raft_snapshot *snapshot,
			    int status)
{
	struct node_get *g = container_of(get, struct node_get, get);
	struct node_get got = *g;

	free(g);
	if (status != 0)
		node_fatal(got.node, "reading the last snapshot", NULL);
	got.node->last_snapshot.index = snapshot->index;
	got.node->last_snapshot.term = snapshot->term;
	node_enter(got.node);
	got.cb(got.req, snapshot, 0);
	node_leave(got.node);
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
			   raft_io_snapshot_get_cb cb)
{
	struct raft_node *n = node_of(io);
	struct node_get *g = xcalloc(1, sizeof(*g));

	g->req = req;
	g->cb = cb;
	g->node = n;
	return disk_result(n, n->disk->snapshot_get(n->disk, &g->get, on_snapshot_get),
			   "reading the last snapshot");
}

/* Frames of one AppendEntries, each complete in itself; what is past the bound comes later. */
static void send_append(struct raft_node *n, const struct raft_message *m, struct buf *frame)
{
	const struct raft_append_entries *ae = &m->append_entries;
	size_t sent = 0;
	unsigned first = 0;

	node_told(n, m);
	do {
		unsigned count = raft_msg_fit(ae, first);

		buf_reset(frame);
		if (raft_msg_encode(frame, n->raft.id, m, first, count) < 0)
			return;
		n->transport.send(n->transport.arg, m->server_address, frame->p, frame->len);
		sent += frame->len;
		first += count;
	} while (first < ae->n_entries && sent < LIMIT_RAFT_SEND);
}

static int io_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *m,
		   raft_io_send_cb cb)
{
	struct raft_node *n = node_of(io);
	auto_buf frame = BUF_SECRET(LIMIT_FRAME);

	if (n->closing)
		;
	else if (m->type == RAFT_INSTALL_SNAPSHOT)
		node_snapshot_send(n, m);
	else if (m->type == RAFT_APPEND_ENTRIES)
		send_append(n, m, &frame);
	else if (raft_msg_encode(&frame, n->raft.id, m, 0, 0) == 0)
		n->transport.send(n->transport.arg, m->server_address, frame.p, frame.len);
	req->cb = cb;
	cb(req, 0);
	return 0;
}

static raft_time io_time(struct raft_io *io)
{
	return world_mono_ms(node_of(io)->world);
}

static int io_random(struct raft_io *io, int min, int max)
{
	uint64_t r = world_random_u64(node_of(io)->world);

	return min + (int)(r % (uint64_t)(max - min));
}

void node_io_init(struct raft_node *n)
{
	n->disk->data = n;
	n->io = (struct raft_io){
		.version = 2,
		.init = io_init,
		.close = io_close,
		.load = io_load,
		.start = io_start,
		.bootstrap = io_bootstrap,
		.recover = io_recover,
		.set_term = io_set_term,
		.set_vote = io_set_vote,
		.send = io_send,
		.append = io_append,
		.truncate = io_truncate,
		.snapshot_put = io_snapshot_put,
		.snapshot_get = io_snapshot_get,
		.time = io_time,
		.random = io_random,
	};
}
