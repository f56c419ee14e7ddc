/*
 * Snapshots of the store: a head, then each object with its kind and version, then the end with
 * their number. Written on the pool from what was pinned; read in pieces of any size. The raft
 * wrapper seals them; a cut or damaged one is still refused here. See store.h.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manager/store_impl.h"

#define SNAPSHOT_MAGIC "shoalst1"
#define SNAPSHOT_PIECE (64u << 10)
#define SNAPSHOT_LOAD (1u << 20)   /* bytes read at once, besides what an object has begun */
#define SNAPSHOT_OBJECT (8u << 20) /* bytes of one object, well above what an entry can carry */
#define SNAPSHOT_END 0             /* in the place of a kind */

struct sink {
	int (*write)(void *arg, const void *p, size_t n);
	void *arg;
	struct buf out;
	struct buf object;
	uint64_t count;
};

static int sink_flush(struct sink *s, size_t threshold)
{
	int rc = 0;

	if (s->out.len > threshold) {
		rc = s->write(s->arg, s->out.p, s->out.len);
		buf_reset(&s->out);
	}
	return rc;
}

static int object_save(struct sink *s, const struct object *o)
{
	buf_reset(&s->object);
	if (tlv_write(object_table(o->kind), o, &s->object) < 0)
		return -EMSGSIZE;
	tlv_varint_write(&s->out, o->kind);
	tlv_varint_write(&s->out, o->version.index);
	tlv_varint_write(&s->out, s->object.len);
	(void)buf_join(&s->out, &s->object);
	s->count++;
	return sink_flush(s, SNAPSHOT_PIECE);
}

int store_pin_encode(const struct store_pin *pin, int (*sink)(void *arg, const void *p, size_t n),
		     void *arg)
{
	struct sink s = {.write = sink,
			 .arg = arg,
			 .out = BUF_SECRET(2 * SNAPSHOT_OBJECT),
			 .object = BUF_INIT(SNAPSHOT_OBJECT)};
	int rc = 0;

	(void)buf_adds(&s.out, SNAPSHOT_MAGIC);
	tlv_varint_write(&s.out, pin->roots.version);
	for (int kind = KIND_NONE + 1; rc == 0 && kind < KIND_LIMIT; kind++) {
		const struct object *o;
		struct store_walk w;

		store_pin_walk(&w, pin, (enum object_kind)kind);
		while (rc == 0 && (o = store_walk_next(&w)))
			rc = object_save(&s, o);
	}
	tlv_varint_write(&s.out, SNAPSHOT_END);
	tlv_varint_write(&s.out, s.count);
	if (rc == 0)
		rc = sink_flush(&s, 0);
	buf_done(&s.out);
	buf_done(&s.object);
	return rc;
}

struct store_load {
	struct store_roots roots;
	struct buf rest; /* of what came, the part of an object that is not whole yet */
	bool begun, ended;
	uint64_t count;
};

struct store_load *store_load_new(void)
{
	struct store_load *l = xcalloc(1, sizeof *l);

	l->rest = BUF_SECRET(2 * SNAPSHOT_OBJECT);
	return l;
}

void store_load_free(struct store_load *l)
{
	if (!l)
		return;
	store_roots_unref(&l->roots);
	buf_done(&l->rest);
	free(l);
}

struct store_roots store_load_take(struct store_load *l)
{
	struct store_roots roots = l->roots;

	l->roots = (struct store_roots){0};
	return roots;
}

static int load_damaged(struct err *e, const char *why)
{
	return err_set(e, -EBADMSG, "the snapshot of the cluster's state is damaged: %s", why);
}

static int object_load(struct store_load *l, uint64_t kind, uint64_t version, const uint8_t *p,
		       size_t n, struct err *e)
{
	struct object *o;
	int rc;

	if (kind >= KIND_LIMIT)
		return load_damaged(e, "it has a kind of object that cannot be");
	o = xcalloc(1, object_table((enum object_kind)kind)->size);
	rc = tlv_read(object_table((enum object_kind)kind), p, n, o, e);
	o->kind = (enum object_kind)kind;
	o->refs = 1;
	o->version.index = version;
	if (rc == 0 && !o->id)
		rc = load_damaged(e, "it has an object without an id");
	if (rc == 0) {
		store_roots_put(&l->roots, NULL, o);
		l->count++;
	}
	object_unref(o);
	return rc;
}

/* Takes one record from [*p, end). 0; 1 when it is not whole yet; -EBADMSG. */
static int record_load(struct store_load *l, const uint8_t **p, const uint8_t *end, struct err *e)
{
	const uint8_t *at = *p;
	uint64_t kind, version, n;
	bool more = end - at < 32; /* a number that ends here may be cut, not damaged */

	if (tlv_varint_read(&at, end, &kind) < 0 || tlv_varint_read(&at, end, &version) < 0)
		return more ? 1 : load_damaged(e, "a number is too long");
	if (kind == SNAPSHOT_END) {
		if (version != l->count)
			return load_damaged(e, "objects are missing");
		l->ended = true;
		*p = at;
		return 0;
	}
	if (tlv_varint_read(&at, end, &n) < 0)
		return more ? 1 : load_damaged(e, "a number is too long");
	if (n > SNAPSHOT_OBJECT)
		return load_damaged(e, "an object is too large");
	if (n > (uint64_t)(end - at))
		return 1;
	*p = at + n;
	return object_load(l, kind, version, at, (size_t)n, e);
}

static int head_load(struct store_load *l, const uint8_t **p, const uint8_t *end, struct err *e)
{
	size_t magic = strlen(SNAPSHOT_MAGIC);
	const uint8_t *at = *p + magic;

	if ((size_t)(end - *p) < magic)
		return 1;
	if (memcmp(*p, SNAPSHOT_MAGIC, magic) != 0)
		return err_set(e, -EBADMSG,
			       "the snapshot of the cluster's state has a format that this version "
			       "does not know");
	if (tlv_varint_read(&at, end, &l->roots.version) < 0)
		return (size_t)(end - *p) < magic + 10 ? 1
						       : load_damaged(e, "a number is too long");
	l->begun = true;
	*p = at;
	return 0;
}

static int piece_load(struct store_load *l, const void *bytes, size_t n, struct err *e)
{
	const uint8_t *p, *end;
	int rc = 0;

	if (buf_add(&l->rest, bytes, n) < 0)
		return load_damaged(e, "an object is too large");
	p = (const uint8_t *)l->rest.p;
	end = p + l->rest.len;
	while (rc == 0 && p < end) {
		if (l->ended)
			return load_damaged(e, "something follows its end");
		rc = l->begun ? record_load(l, &p, end, e) : head_load(l, &p, end, e);
	}
	buf_shift(&l->rest, (size_t)(p - (const uint8_t *)l->rest.p));
	return rc < 0 ? rc : 0;
}

int store_load_feed(struct store_load *l, const void *bytes, size_t n, struct err *e)
{
	const uint8_t *p = bytes;
	int rc = 0;

	while (rc == 0 && n > 0) {
		size_t piece = MIN_OF(n, (size_t)SNAPSHOT_LOAD);

		rc = piece_load(l, p, piece, e);
		p += piece;
		n -= piece;
	}
	return rc;
}

int store_load_finish(struct store_load *l, struct err *e)
{
	return l->ended ? 0 : load_damaged(e, "its end is missing");
}
