/*
 * The raft_io on a real disk, see raft_disk.h: seals what goes down to raft_uv, opens what comes
 * up, and looks at each result first.
 */
#include "manager/raft_disk.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "manager/raft_heap.h"
#include "manager/raft_disk_impl.h"

#define DISK_RETRY_MS 500

static struct raft_disk *disk_of(struct raft_io *io)
{
	return container_of(io, struct raft_disk, io);
}

static struct raft_disk *disk_of_uv(struct raft_io *uv)
{
	return container_of(uv, struct raft_disk, uv);
}

/* The sentence that the node will pass on. */
__attribute__((format(printf, 2, 3))) static void say(struct raft_disk *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(d->io.errmsg, sizeof(d->io.errmsg), fmt, args);
	va_end(args);
}

/* What raft_uv said, with the folder's name. */
static int failed(struct raft_disk *d, int rv)
{
	if (rv != 0)
		say(d, "%s: %s", d->dir, d->uv.errmsg[0] ? d->uv.errmsg : raft_strerror(rv));
	return rv;
}

static int disk_init(struct raft_io *io, raft_id id, const char *address)
{
	struct raft_disk *d = disk_of(io);
	int rv;

	/* raft_uv tries the file system out first, for which it needs a little room. */
	disk_reserve_give(d);
	rv = d->uv.init(&d->uv, id, address);
	disk_reserve(d);
	d->inited = rv == 0;
	return failed(d, rv);
}

static void maybe_closed(struct raft_disk *d)
{
	raft_io_close_cb cb = d->closed;

	if (!d->uv_closed || d->jobs > 0 || !cb)
		return;
	d->closed = NULL;
	cb(&d->io);
}

static void on_uv_closed(struct raft_io *uv)
{
	struct raft_disk *d = disk_of_uv(uv);

	d->uv_closed = true;
	maybe_closed(d);
}

static void disk_close(struct raft_io *io, raft_io_close_cb cb)
{
	struct raft_disk *d = disk_of(io);

	d->closing = true;
	d->closed = cb;
	d->uv.close(&d->uv, on_uv_closed);
}

/* Loading */

static void entries_free(struct raft_entry *entries, size_t n)
{
	void *batch = NULL;

	for (size_t i = 0; i < n; i++) {
		if (entries[i].batch != batch)
			raft_free(entries[i].batch);
		batch = entries[i].batch;
	}
	raft_free(entries);
}

static void snapshot_free(struct raft_snapshot *s)
{
	if (!s)
		return;
	raft_configuration_close(&s->configuration);
	for (unsigned i = 0; i < s->n_bufs; i++)
		raft_free(s->bufs[i].base);
	raft_free(s->bufs);
	raft_free(s);
}

static int open_all(struct raft_disk *d, struct raft_snapshot *snapshot, raft_index start,
		    struct raft_entry *entries, size_t n)
{
	if (snapshot && disk_open_snapshot(d->sealer, snapshot) < 0) {
		say(d,
		    "%s: snapshot-%llu-%llu-* was damaged, changed, or sealed under "
		    "another key",
		    d->dir, snapshot->term, snapshot->index);
		return RAFT_CORRUPT;
	}
	for (size_t i = 0; i < n; i++) {
		if (disk_open_entry(d->sealer, &entries[i], start + i) == 0)
			continue;
		say(d,
		    "%s: entry %llu of the log was damaged, changed, or sealed under "
		    "another key",
		    d->dir, start + i);
		return RAFT_CORRUPT;
	}
	raft_entries_split(entries, n);
	return 0;
}

static int disk_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
		     struct raft_snapshot **snapshot, raft_index *start_index,
		     struct raft_entry *entries[], size_t *n_entries)
{
	struct raft_disk *d = disk_of(io);
	int rv;

	disk_trim(d);
	rv = d->uv.load(&d->uv, term, voted_for, snapshot, start_index, entries, n_entries);
	if (rv != 0)
		return failed(d, rv);
	d->next = *start_index + *n_entries;
	rv = open_all(d, *snapshot, *start_index, *entries, *n_entries);
	if (rv != 0) {
		entries_free(*entries, *n_entries);
		snapshot_free(*snapshot);
	}
	return rv;
}

static void on_tick(struct raft_io *uv)
{
	struct raft_disk *d = disk_of_uv(uv);

	d->io.capacity = disk_capacity(d);
	d->tick(&d->io);
}

static void on_recv(struct raft_io *uv, struct raft_message *message)
{
	(void)uv;
	(void)message;
}

static int disk_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
		      raft_io_recv_cb recv)
{
	struct raft_disk *d = disk_of(io);
	int rv;

	(void)recv;
	d->tick = tick;
	rv = d->uv.start(&d->uv, msecs, on_tick, on_recv);
	d->io.capacity = disk_capacity(d);
	return failed(d, rv);
}

static int disk_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
	struct raft_disk *d = disk_of(io);

	return failed(d, d->uv.bootstrap(&d->uv, conf));
}

static int disk_recover(struct raft_io *io, const struct raft_configuration *conf)
{
	(void)conf;
	say(disk_of(io), "%s: sealed logs are not recovered this way", disk_of(io)->dir);
	return RAFT_INVALID;
}

static int disk_set_term(struct raft_io *io, raft_term term)
{
	struct raft_disk *d = disk_of(io);
	int rv = d->uv.set_term(&d->uv, term);

	if (rv == 0)
		return 0;
	disk_reserve_give(d);
	return failed(d, d->uv.set_term(&d->uv, term));
}

static int disk_set_vote(struct raft_io *io, raft_id id)
{
	struct raft_disk *d = disk_of(io);
	int rv = d->uv.set_vote(&d->uv, id);

	if (rv == 0)
		return 0;
	disk_reserve_give(d);
	return failed(d, d->uv.set_vote(&d->uv, id));
}

static int disk_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *m,
		     raft_io_send_cb cb)
{
	(void)io;
	(void)req;
	(void)m;
	(void)cb;
	return RAFT_INVALID; /* the node sends */
}

/* Appending */

struct disk_append {
	struct raft_io_append put;
	struct raft_io_append *req;
	raft_io_append_cb cb;
	struct raft_disk *disk;
	uint8_t *sealed;
	struct raft_entry entries[];
};

static void on_append(struct raft_io_append *put, int status)
{
	struct disk_append *a = container_of(put, struct disk_append, put);
	struct raft_disk *d = a->disk;
	struct raft_io_append *req = a->req;
	raft_io_append_cb cb = a->cb;

	free(a->sealed);
	free(a);
	d->io.capacity = disk_capacity(d);
	if (status != 0 && status != RAFT_CANCELED)
		disk_fatal(d, "writing the raft log", d->uv.errmsg);
	cb(req, status);
}

static int disk_append(struct raft_io *io, struct raft_io_append *req,
		       const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
	struct raft_disk *d = disk_of(io);
	struct disk_append *a = xcalloc(1, sizeof(*a) + n * sizeof(a->entries[0]));
	size_t bytes = 0;
	uint8_t *box;
	int rv;

	for (unsigned i = 0; i < n; i++)
		bytes += entries[i].buf.len + SEAL_OVERHEAD;
	a->req = req;
	a->cb = cb;
	a->disk = d;
	a->sealed = box = xmalloc(bytes);
	for (unsigned i = 0; i < n; i++) {
		a->entries[i] = entries[i];
		a->entries[i].batch = NULL;
		a->entries[i].buf.base = box;
		a->entries[i].buf.len += SEAL_OVERHEAD;
		if (disk_seal_entry(d->sealer, &entries[i], d->next + i, box) < 0)
			disk_fatal(d, "sealing an entry of the raft log", "the cipher failed");
		box += a->entries[i].buf.len;
	}
	d->next += n;
	rv = d->uv.append(&d->uv, &a->put, a->entries, n, on_append);
	if (rv != 0)
		disk_fatal(d, "writing the raft log", d->uv.errmsg);
	return 0;
}

static int disk_truncate(struct raft_io *io, raft_index index)
{
	struct raft_disk *d = disk_of(io);

	d->next = MIN_OF(d->next, index);
	return failed(d, d->uv.truncate(&d->uv, index));
}

/* Snapshots */

struct disk_put {
	uv_work_t work;
	struct raft_io_snapshot_put put;
	struct raft_io_snapshot_put *req;
	raft_io_snapshot_put_cb cb;
	struct raft_disk *disk;
	unsigned trailing;
	int status;
	const struct raft_snapshot *plain;
	struct raft_snapshot sealed; /* as `plain`, but for its bytes */
	struct raft_buffer buf;
};

static void put_finish(struct disk_put *p, int status)
{
	struct raft_io_snapshot_put *req = p->req;
	raft_io_snapshot_put_cb cb = p->cb;
	struct raft_disk *d = p->disk;

	free(p->buf.base);
	free(p);
	cb(req, status);
	(void)d;
}

static void on_put(struct raft_io_snapshot_put *put, int status)
{
	struct disk_put *p = container_of(put, struct disk_put, put);

	if (status != 0 && status != RAFT_CANCELED)
		disk_fatal(p->disk, "storing a snapshot", p->disk->uv.errmsg);
	put_finish(p, status);
}

static void put_run(uv_work_t *work)
{
	struct disk_put *p = container_of(work, struct disk_put, work);
	struct sealer *s = NULL;

	p->status = sealer_new(p->disk->key, &s, NULL);
	if (p->status == 0)
		p->status = disk_seal_snapshot(s, p->plain, p->buf.base);
	sealer_free(s);
}

static void put_ran(uv_work_t *work, int cancelled)
{
	struct disk_put *p = container_of(work, struct disk_put, work);
	struct raft_disk *d = p->disk;
	int rv;

	(void)cancelled;
	d->jobs--;
	if (p->status < 0)
		disk_fatal(d, "sealing a snapshot", "the cipher failed");
	if (d->closing) {
		put_finish(p, RAFT_CANCELED);
		maybe_closed(d);
		return;
	}
	rv = d->uv.snapshot_put(&d->uv, p->trailing, &p->put, &p->sealed, on_put);
	if (rv != 0)
		disk_fatal(d, "storing a snapshot", d->uv.errmsg);
}

static int disk_snapshot_put(struct raft_io *io, unsigned trailing,
			     struct raft_io_snapshot_put *req, const struct raft_snapshot *snapshot,
			     raft_io_snapshot_put_cb cb)
{
	struct raft_disk *d = disk_of(io);
	struct disk_put *p = xcalloc(1, sizeof(*p));

	p->disk = d;
	p->req = req;
	p->cb = cb;
	p->trailing = trailing;
	p->plain = snapshot;
	p->sealed = *snapshot;
	p->buf.len = disk_snapshot_sealed_len(snapshot->bufs[0].len);
	p->buf.base = xmalloc(p->buf.len);
	p->sealed.bufs = &p->buf;
	p->sealed.n_bufs = 1;
	if (trailing == 0)
		d->next = snapshot->index + 1;
	d->jobs++;
	if (uv_queue_work(d->loop, &p->work, put_run, put_ran) != 0)
		abort();
	return 0;
}

struct disk_get {
	uv_work_t work;
	struct raft_io_snapshot_get get;
	struct raft_io_snapshot_get *req;
	raft_io_snapshot_get_cb cb;
	struct raft_disk *disk;
	struct raft_snapshot *snapshot;
	int status;
};

static void get_run(uv_work_t *work)
{
	struct disk_get *g = container_of(work, struct disk_get, work);
	struct sealer *s = NULL;

	g->status = sealer_new(g->disk->key, &s, NULL);
	if (g->status == 0)
		g->status = disk_open_snapshot(s, g->snapshot);
	sealer_free(s);
}

static void get_ran(uv_work_t *work, int cancelled)
{
	struct disk_get *g = container_of(work, struct disk_get, work);
	struct disk_get got = *g;

	(void)cancelled;
	if (g->status < 0)
		disk_fatal(g->disk, "reading the last snapshot",
			   "it was damaged, changed, or sealed under another key");
	free(g);
	got.disk->jobs--;
	got.cb(got.req, got.snapshot, 0);
	maybe_closed(got.disk);
}

static void on_get(struct raft_io_snapshot_get *get, struct raft_snapshot *snapshot, int status)
{
	struct disk_get *g = container_of(get, struct disk_get, get);

	if (status != 0)
		disk_fatal(g->disk, "reading the last snapshot", g->disk->uv.errmsg);
	g->snapshot = snapshot;
	if (uv_queue_work(g->disk->loop, &g->work, get_run, get_ran) != 0)
		abort();
}

static int disk_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
			     raft_io_snapshot_get_cb cb)
{
	struct raft_disk *d = disk_of(io);
	struct disk_get *g = xcalloc(1, sizeof(*g));
	int rv;

	g->disk = d;
	g->req = req;
	g->cb = cb;
	d->jobs++;
	rv = d->uv.snapshot_get(&d->uv, &g->get, on_get);
	if (rv != 0)
		disk_fatal(d, "reading the last snapshot", d->uv.errmsg);
	return 0;
}

static raft_time disk_time(struct raft_io *io)
{
	struct raft_disk *d = disk_of(io);

	return d->uv.time(&d->uv);
}

static int disk_random(struct raft_io *io, int min, int max)
{
	struct raft_disk *d = disk_of(io);

	return d->uv.random(&d->uv, min, max);
}

/* raft_uv wants a network: it gets one on which nothing ever happens. */

static int no_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
	(void)t;
	(void)id;
	(void)address;
	return 0;
}

static int no_listen(struct raft_uv_transport *t, raft_uv_accept_cb cb)
{
	(void)t;
	(void)cb;
	return 0;
}

static int no_connect(struct raft_uv_transport *t, struct raft_uv_connect *req, raft_id id,
		      const char *address, raft_uv_connect_cb cb)
{
	(void)t;
	(void)req;
	(void)id;
	(void)address;
	(void)cb;
	return RAFT_NOCONNECTION;
}

static void no_close(struct raft_uv_transport *t, raft_uv_transport_close_cb cb)
{
	cb(t);
}

static void set_functions(struct raft_disk *d)
{
	d->transport = (struct raft_uv_transport){.version = 1,
						  .init = no_init,
						  .listen = no_listen,
						  .connect = no_connect,
						  .close = no_close};
	d->io = (struct raft_io){
		.version = 2,
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
}

int raft_disk_new(struct raft_disk **ret, uv_loop_t *loop, const char *dir, struct seal_key *key,
		  struct err *e)
{
	struct raft_disk *d;
	int rc = dir_make(dir, 0700, e);

	if (rc < 0)
		return rc;
	d = xcalloc(1, sizeof(*d));
	set_functions(d);
	d->loop = loop;
	d->dir = xstrdup(dir);
	d->key = seal_key_ref(key);
	rc = sealer_new(key, &d->sealer, e);
	if (rc == 0 && raft_uv_init(&d->uv, loop, dir, &d->transport) != 0)
		rc = err_set(e, -EINVAL, "the raft log cannot be kept in %s: %s", dir,
			     d->uv.errmsg);
	if (rc < 0) {
		raft_disk_free(d);
		return rc;
	}
	disk_watch(d);
	raft_uv_set_disk_retry(&d->uv, DISK_RETRY_MS);
	/* It would drop what it cannot read, acknowledged or not. */
	raft_uv_set_auto_recovery(&d->uv, false);
	*ret = d;
	return 0;
}

struct raft_io *raft_disk_io(struct raft_disk *d)
{
	return &d->io;
}

void raft_disk_free(struct raft_disk *d)
{
	if (!d)
		return;
	if (d->uv.impl)
		raft_uv_close(&d->uv);
	sealer_free(d->sealer);
	seal_key_unref(d->key);
	free(d->dir);
	free(d);
}
