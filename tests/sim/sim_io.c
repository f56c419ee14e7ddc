/*
 * The simulated disk, see sim_io.h. An entry is durable or not; a torn one is found by its
 * checksum and so as good as lost. Metadata is written synchronously, as raft_uv does.
 */
#include "sim/sim_io.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/sim_node.h"

#define DISK_CAPACITY_KIB 24576

struct disk_entry {
	raft_term term;
	enum raft_entry_type type;
	size_t len;
	uint8_t *bytes;
};

struct disk_snapshot {
	bool valid;
	raft_index index;
	raft_term term;
	raft_index conf_index;
	struct raft_buffer conf;
	struct raft_buffer data;
};

enum op_kind { OP_APPEND, OP_TRUNCATE, OP_SNAPSHOT };

struct disk_op {
	enum op_kind kind;
	struct disk_op *next;
	/* append: copies; the first is at `index` */
	struct disk_entry *entries;
	unsigned count;
	raft_index index;
	unsigned trailing;
	struct disk_snapshot snapshot;
	bool acknowledged;
	struct raft_io_append *append;
	raft_io_append_cb append_cb;
	struct raft_io_snapshot_put *put;
	raft_io_snapshot_put_cb put_cb;
};

struct sim_disk {
	struct raft_io io;
	struct sim *sim;
	struct sim_node *node;
	/* Durable */
	raft_term term;
	raft_id vote;
	raft_index start; /* index of the first entry */
	struct disk_entry *log;
	size_t count, cap;
	struct disk_snapshot snapshot;
	/* This life's */
	bool open;
	bool full;
	raft_index next; /* where the next append goes */
	struct disk_op *ops, **last_op;
	bool busy; /* an operation is under way */
	struct disk_read *reads;
	unsigned tick_ms;
	raft_io_tick_cb tick;
};

static struct sim_disk *disk_of(struct raft_io *io)
{
	return container_of(io, struct sim_disk, io);
}

static struct raft_buffer buffer_copy(const struct raft_buffer *b)
{
	struct raft_buffer copy = {.len = b->len, .base = raft_malloc(MAX_OF(b->len, (size_t)8))};

	if (b->len > 0)
		memcpy(copy.base, b->base, b->len);
	return copy;
}

static void snapshot_done(struct disk_snapshot *s)
{
	raft_free(s->conf.base);
	raft_free(s->data.base);
	memset(s, 0, sizeof(*s));
}

static void op_free(struct disk_op *op)
{
	for (unsigned i = 0; i < op->count; i++)
		free(op->entries[i].bytes);
	free(op->entries);
	snapshot_done(&op->snapshot);
	free(op);
}

/* What is durable */

static void log_push(struct sim_disk *d, struct disk_entry *e)
{
	if (d->count == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 256;
		d->log = xreallocarray(d->log, d->cap, sizeof(*d->log));
	}
	d->log[d->count++] = *e;
	e->bytes = NULL;
}

static void log_cut_end(struct sim_disk *d, raft_index index)
{
	while (d->count > 0 && d->start + d->count - 1 >= index)
		free(d->log[--d->count].bytes);
}

static void log_cut_front(struct sim_disk *d, raft_index first)
{
	size_t n = first > d->start ? MIN_OF(first - d->start, d->count) : 0;

	for (size_t i = 0; i < n; i++)
		free(d->log[i].bytes);
	memmove(d->log, d->log + n, (d->count - n) * sizeof(*d->log));
	d->count -= n;
	d->start += n;
}

/* Makes the first `n` entries of an append durable. */
static void keep_entries(struct sim_disk *d, struct disk_op *op, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (d->start + d->count != op->index + i) {
			sim_fail(d->sim, "%s appends entry %llu to a log that ends at %llu",
				 d->node->name, op->index + i, d->start + d->count - 1);
			return;
		}
		log_push(d, &op->entries[i]);
	}
}

static void keep_snapshot(struct sim_disk *d, struct disk_op *op, bool cut)
{
	snapshot_done(&d->snapshot);
	d->snapshot = op->snapshot;
	memset(&op->snapshot, 0, sizeof(op->snapshot));
	if (!cut)
		return;
	if (op->trailing == 0) {
		log_cut_end(d, 0);
		d->start = d->snapshot.index + 1;
	} else if (d->snapshot.index > op->trailing) {
		log_cut_front(d, d->snapshot.index - op->trailing + 1);
	}
}

/* Operations, one after the other */

static void start_op(struct sim_disk *d);

static void acknowledge(struct sim_disk *d, struct disk_op *op, int status)
{
	if (op->acknowledged)
		return;
	op->acknowledged = true;
	if (op->kind == OP_APPEND)
		op->append_cb(op->append, status);
	else if (op->kind == OP_SNAPSHOT)
		op->put_cb(op->put, status);
}

static void on_op(void *arg)
{
	struct sim_disk *d = arg;
	struct disk_op *op = d->ops;

	if (d->full) {
		/* Waits for room, as raft_uv does. */
		(void)sim_after(d->sim, 200 * SIM_MS, d->node, on_op, NULL, d);
		return;
	}
	d->ops = op->next;
	if (!d->ops)
		d->last_op = &d->ops;
	d->busy = false;
	if (op->kind == OP_APPEND)
		keep_entries(d, op, op->count);
	else if (op->kind == OP_TRUNCATE)
		log_cut_end(d, op->index);
	else
		keep_snapshot(d, op, true);
	acknowledge(d, op, 0);
	op_free(op);
	if (d->open)
		start_op(d);
}

static void start_op(struct sim_disk *d)
{
	uint64_t delay = 50 + sim_random(d->sim, 1 * SIM_MS);

	if (d->busy || !d->ops)
		return;
	d->busy = true;
	/* A disk that hangs for a while, now and then. */
	if (sim_once_in(d->sim, 200))
		delay += sim_random(d->sim, 400 * SIM_MS);
	if (d->ops->kind == OP_SNAPSHOT)
		delay += sim_random(d->sim, 50 * SIM_MS);
	(void)sim_after(d->sim, delay, d->node, on_op, NULL, d);
}

/* The fault: says that entries are durable while they are on their way. */
static void on_early(void *arg)
{
	struct sim_disk *d = arg;

	for (struct disk_op *op = d->ops; op; op = op->next) {
		if (op->kind == OP_APPEND && !op->acknowledged) {
			acknowledge(d, op, 0);
			return;
		}
	}
}

static void push_op(struct sim_disk *d, struct disk_op *op)
{
	*d->last_op = op;
	d->last_op = &op->next;
	start_op(d);
	if (d->sim->options.fault == SIM_FAULT_ACK_BEFORE_DURABLE && op->kind == OP_APPEND)
		(void)sim_after(d->sim, 1, d->node, on_early, NULL, d);
}

/* The raft_io */

static int disk_init(struct raft_io *io, raft_id id, const char *address)
{
	(void)io;
	(void)id;
	(void)address;
	return 0;
}

struct disk_read {
	struct disk_read *next;
	struct sim_disk *disk;
	struct sim_event *event;
	struct raft_io_snapshot_get *req;
	raft_io_snapshot_get_cb cb;
};

static void finish_read(struct disk_read *r);

/* What is under way is over by now: the power was lost before. */
static void disk_close(struct raft_io *io, raft_io_close_cb cb)
{
	struct sim_disk *d = disk_of(io);

	while (d->ops) {
		struct disk_op *op = d->ops;

		d->ops = op->next;
		acknowledge(d, op, RAFT_CANCELED);
		op_free(op);
	}
	d->last_op = &d->ops;
	d->busy = false;
	d->open = false;
	/* libraft waits for what it reads, and frees what it would leak. */
	while (d->reads) {
		sim_cancel(d->sim, d->reads->event);
		finish_read(d->reads);
	}
	cb(io);
}

static struct raft_snapshot *snapshot_load(const struct disk_snapshot *from)
{
	struct raft_snapshot *s = raft_calloc(1, sizeof(*s));

	s->index = from->index;
	s->term = from->term;
	s->configuration_index = from->conf_index;
	if (raft_configuration_decode(&from->conf, &s->configuration) != 0)
		abort();
	s->bufs = raft_calloc(1, sizeof(*s->bufs));
	s->bufs[0] = buffer_copy(&from->data);
	s->n_bufs = 1;
	return s;
}

static struct raft_entry *load_entries(const struct sim_disk *d)
{
	struct raft_entry *entries = raft_calloc(d->count, sizeof(*entries));
	size_t bytes = 0;
	uint8_t *batch;

	for (size_t i = 0; i < d->count; i++)
		bytes += d->log[i].len;
	batch = raft_malloc(bytes);
	for (size_t i = 0; i < d->count; i++) {
		entries[i].batch = i > 0 ? entries[0].batch : batch;
		entries[i].term = d->log[i].term;
		entries[i].type = d->log[i].type;
		entries[i].buf.len = d->log[i].len;
		entries[i].buf.base = batch;
		memcpy(batch, d->log[i].bytes, d->log[i].len);
		batch += d->log[i].len;
	}
	return entries;
}

static int disk_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
		     struct raft_snapshot **snapshot, raft_index *start_index,
		     struct raft_entry *entries[], size_t *n_entries)
{
	struct sim_disk *d = disk_of(io);

	/* A crash between storing a snapshot and cutting the log leaves old entries. */
	if (d->snapshot.valid && d->start + d->count - 1 < d->snapshot.index) {
		log_cut_end(d, 0);
		d->start = d->snapshot.index + 1;
	}
	*term = d->term;
	*voted_for = d->vote;
	*snapshot = d->snapshot.valid ? snapshot_load(&d->snapshot) : NULL;
	*start_index = d->start;
	*n_entries = d->count;
	*entries = d->count > 0 ? load_entries(d) : NULL;
	d->next = d->start + d->count;
	return 0;
}

static void on_tick(void *arg)
{
	struct sim_disk *d = arg;

	(void)sim_after(d->sim, d->tick_ms * SIM_MS + sim_random(d->sim, 2 * SIM_MS), d->node,
			on_tick, NULL, d);
	d->tick(&d->io);
}

static int disk_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
		      raft_io_recv_cb recv)
{
	struct sim_disk *d = disk_of(io);

	(void)recv;
	d->tick_ms = msecs;
	d->tick = tick;
	(void)sim_after(d->sim, sim_random(d->sim, msecs * SIM_MS), d->node, on_tick, NULL, d);
	return 0;
}

static int disk_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
	struct sim_disk *d = disk_of(io);
	struct disk_entry e = {.term = 1, .type = RAFT_CHANGE};
	struct raft_buffer buf;

	if (d->term != 0)
		return RAFT_CANTBOOTSTRAP;
	if (raft_configuration_encode(conf, &buf) != 0)
		return RAFT_NOMEM;
	d->term = 1;
	d->start = 1;
	e.len = buf.len;
	e.bytes = xmemdup(buf.base, buf.len);
	raft_free(buf.base);
	log_push(d, &e);
	return 0;
}

static int disk_recover(struct raft_io *io, const struct raft_configuration *conf)
{
	(void)io;
	(void)conf;
	return RAFT_INVALID;
}

static int disk_set_term(struct raft_io *io, raft_term term)
{
	struct sim_disk *d = disk_of(io);

	if (term < d->term)
		sim_fail(d->sim, "%s goes back from term %llu to %llu", d->node->name, d->term,
			 term);
	d->term = term;
	d->vote = 0;
	return 0;
}

static int disk_set_vote(struct raft_io *io, raft_id id)
{
	disk_of(io)->vote = id;
	return 0;
}

static int disk_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *m,
		     raft_io_send_cb cb)
{
	(void)io;
	(void)req;
	(void)m;
	(void)cb;
	return RAFT_INVALID;
}

static int disk_append(struct raft_io *io, struct raft_io_append *req,
		       const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
	struct sim_disk *d = disk_of(io);
	struct disk_op *op = xcalloc(1, sizeof(*op));

	op->kind = OP_APPEND;
	op->entries = xcalloc(n, sizeof(*op->entries));
	op->count = n;
	op->index = d->next;
	op->append = req;
	op->append_cb = cb;
	for (unsigned i = 0; i < n; i++) {
		if (entries[i].buf.len % 8 != 0)
			sim_fail(d->sim, "%s appends an entry of %zu bytes", d->node->name,
				 entries[i].buf.len);
		op->entries[i].term = entries[i].term;
		op->entries[i].type = entries[i].type;
		op->entries[i].len = entries[i].buf.len;
		op->entries[i].bytes = xmemdup(entries[i].buf.base, entries[i].buf.len);
	}
	d->next += n;
	push_op(d, op);
	return 0;
}

static int disk_truncate(struct raft_io *io, raft_index index)
{
	struct sim_disk *d = disk_of(io);
	struct disk_op *op;

	if (index >= d->next)
		return 0;
	op = xcalloc(1, sizeof(*op));
	op->kind = OP_TRUNCATE;
	op->index = index;
	d->next = index;
	push_op(d, op);
	return 0;
}

static int disk_snapshot_put(struct raft_io *io, unsigned trailing,
			     struct raft_io_snapshot_put *req, const struct raft_snapshot *snapshot,
			     raft_io_snapshot_put_cb cb)
{
	struct sim_disk *d = disk_of(io);
	struct disk_op *op = xcalloc(1, sizeof(*op));

	op->kind = OP_SNAPSHOT;
	op->trailing = trailing;
	op->put = req;
	op->put_cb = cb;
	op->snapshot.valid = true;
	op->snapshot.index = snapshot->index;
	op->snapshot.term = snapshot->term;
	op->snapshot.conf_index = snapshot->configuration_index;
	if (raft_configuration_encode(&snapshot->configuration, &op->snapshot.conf) != 0)
		abort();
	op->snapshot.data = buffer_copy(&snapshot->bufs[0]);
	if (trailing == 0)
		d->next = snapshot->index + 1;
	push_op(d, op);
	return 0;
}

static void finish_read(struct disk_read *r)
{
	struct sim_disk *d = r->disk;
	struct disk_read **at = &d->reads;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->cb(r->req, snapshot_load(&d->snapshot), 0);
	free(r);
}

static void on_read(void *arg)
{
	finish_read(arg);
}

static int disk_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
			     raft_io_snapshot_get_cb cb)
{
	struct sim_disk *d = disk_of(io);
	struct disk_read *r = xcalloc(1, sizeof(*r));

	if (!d->snapshot.valid)
		sim_fail(d->sim, "%s reads a snapshot that is not there", d->node->name);
	r->disk = d;
	r->req = req;
	r->cb = cb;
	r->next = d->reads;
	d->reads = r;
	r->event = sim_after(d->sim, sim_random(d->sim, 20 * SIM_MS), d->node, on_read, NULL, r);
	return 0;
}

static raft_time disk_time(struct raft_io *io)
{
	return disk_of(io)->sim->now / 1000;
}

static int disk_random(struct raft_io *io, int min, int max)
{
	return min + (int)sim_random(disk_of(io)->sim, (uint64_t)(max - min));
}

struct sim_disk *sim_disk_new(struct sim *s, struct sim_node *node)
{
	struct sim_disk *d = xcalloc(1, sizeof(*d));

	d->sim = s;
	d->node = node;
	d->start = 1;
	d->last_op = &d->ops;
	return d;
}

void sim_disk_free(struct sim_disk *d)
{
	log_cut_end(d, 0);
	free(d->log);
	snapshot_done(&d->snapshot);
	free(d);
}

struct raft_io *sim_disk_open(struct sim_disk *d)
{
	d->open = true;
	d->full = false;
	d->busy = false;
	d->io = (struct raft_io){
		.version = 2,
		.capacity = DISK_CAPACITY_KIB,
		.init = disk_init,
		.close = disk_close,
		.load = disk_load,
		.start = disk_start,
		.bootstrap = disk_bootstrap,
		.recover = disk_recover,
		.set_term = disk_set_term,
		.set_vote = disk_set_vote,
		.send = disk_send,
		.append = disk_append,
		.truncate = disk_truncate,
		.snapshot_put = disk_snapshot_put,
		.snapshot_get = disk_snapshot_get,
		.time = disk_time,
		.random = disk_random,
	};
	return &d->io;
}

void sim_disk_crash(struct sim_disk *d)
{
	bool whole = true;

	/* The operations under way in their order: any number was finished, one is torn. */
	for (struct disk_op *op = d->ops; op && whole; op = op->next) {
		whole = sim_once_in(d->sim, 3);
		if (op->kind == OP_APPEND)
			keep_entries(d, op,
				     whole ? op->count
					   : (unsigned)sim_random(d->sim, op->count + 1));
		else if (op->kind == OP_TRUNCATE && whole)
			log_cut_end(d, op->index);
		else if (op->kind == OP_SNAPSHOT && (whole || sim_once_in(d->sim, 2)))
			keep_snapshot(d, op, whole);
	}
}

void sim_disk_set_full(struct sim_disk *d, bool full)
{
	d->full = full;
	d->io.capacity = full ? 0 : DISK_CAPACITY_KIB;
}

bool sim_disk_is_empty(const struct sim_disk *d)
{
	return d->term == 0;
}
