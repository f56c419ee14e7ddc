/*
 * See changes.h. The binary form: a version byte, then for each change the varints op, kind and
 * expected version, the id and the object, each with its length before it.
 */
#include "manager/changes.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define CHANGES_FORMAT 1
/* What one more change may need at most is not known; a step stops this far before the bound. */
#define CHANGES_RESERVE (256u << 10)

void changes_init(struct changes *c)
{
	*c = (struct changes){.scratch = BUF_INIT(LIMIT_ENTRY)};
}

void changes_truncate(struct changes *c, size_t n)
{
	while (c->n > n) {
		struct change *last = &c->v[--c->n];

		c->bytes -= last->bytes;
		free(last->id);
		object_unref(last->object);
	}
}

void changes_done(struct changes *c)
{
	changes_truncate(c, 0);
	free(c->v);
	buf_done(&c->scratch);
	changes_init(c);
}

static struct change *change_add(struct changes *c, enum change_op op, enum object_kind kind,
				 const char *id, uint64_t expect)
{
	if (c->n == c->cap) {
		c->cap = MAX_OF(c->cap * 2, (size_t)16);
		c->v = xreallocarray(c->v, c->cap, sizeof *c->v);
	}
	c->v[c->n] = (struct change){.op = op, .kind = kind, .id = xstrdup(id), .expect = expect};
	return &c->v[c->n++];
}

static int change_encode(const struct change *change, struct buf *scratch, struct buf *ret)
{
	size_t id_len = strlen(change->id);

	tlv_varint_write(ret, change->op);
	tlv_varint_write(ret, change->kind);
	tlv_varint_write(ret, change->expect);
	tlv_varint_write(ret, id_len);
	(void)buf_add(ret, change->id, id_len);
	if (!change->object)
		return buf_status(ret);
	buf_reset(scratch);
	if (tlv_write(object_table(change->kind), change->object, scratch) < 0)
		return -EMSGSIZE;
	tlv_varint_write(ret, scratch->len);
	return buf_join(ret, scratch);
}

/* The size is counted as changes come, so that a step knows when to stop. */
static void change_measure(struct changes *c, struct change *change)
{
	buf_reset(&c->scratch);
	if (change->object)
		(void)tlv_write(object_table(change->kind), change->object, &c->scratch);
	change->bytes = c->scratch.failed ? LIMIT_ENTRY : c->scratch.len + strlen(change->id) + 24;
	c->bytes += change->bytes;
}

void changes_create(struct changes *c, struct object *object)
{
	struct change *change = change_add(c, CHANGE_CREATE, object->kind, object->id, 0);

	change->object = object;
	change_measure(c, change);
}

void changes_update(struct changes *c, const struct object *old, struct object *object,
		    int64_t now_ns)
{
	struct change *change =
		change_add(c, CHANGE_UPDATE, old->kind, old->id, old->version.index);

	assert(old->kind == object->kind && strcmp(old->id, object->id) == 0);
	object->updated = now_ns;
	change->object = object;
	change_measure(c, change);
}

void changes_delete(struct changes *c, const struct object *old)
{
	change_measure(c, change_add(c, CHANGE_DELETE, old->kind, old->id, old->version.index));
}

bool changes_fit(const struct changes *c)
{
	return c->n < LIMIT_BATCH && c->bytes + CHANGES_RESERVE < LIMIT_ENTRY;
}

int changes_encode_from(const struct changes *c, size_t from, struct buf *ret)
{
	auto_buf scratch = BUF_INIT(LIMIT_ENTRY);

	if (ret->len == 0)
		(void)buf_addc(ret, CHANGES_FORMAT);
	for (size_t i = from; i < c->n; i++)
		if (change_encode(&c->v[i], &scratch, ret) < 0)
			return -EMSGSIZE;
	return buf_status(ret);
}

int changes_encode(const struct changes *c, struct buf *ret)
{
	return changes_encode_from(c, 0, ret);
}

static int bytes_read(const uint8_t **p, const uint8_t *end, const uint8_t **ret, size_t *ret_n)
{
	uint64_t n;

	if (tlv_varint_read(p, end, &n) < 0 || n > (uint64_t)(end - *p))
		return -EBADMSG;
	*ret = *p;
	*ret_n = (size_t)n;
	*p += n;
	return 0;
}

static int object_decode(const uint8_t **p, const uint8_t *end, struct change *change,
			 struct err *e)
{
	const struct table *table = object_table(change->kind);
	struct object *o;
	const uint8_t *at;
	size_t n;
	int rc;

	if (bytes_read(p, end, &at, &n) < 0)
		return err_set(e, -EBADMSG, "a batch of changes is cut short");
	o = xcalloc(1, table->size);
	rc = tlv_read(table, at, n, o, e);
	o->kind = change->kind;
	o->refs = 1;
	if (rc == 0 && (!o->id || strcmp(o->id, change->id) != 0))
		rc = err_set(e, -EBADMSG, "a batch of changes names %s and holds another object",
			     change->id);
	if (rc < 0) {
		object_free(o);
		return rc;
	}
	change->object = o;
	return 0;
}

static int change_decode(const uint8_t **p, const uint8_t *end, struct changes *ret, struct err *e)
{
	uint64_t op, kind, expect;
	auto_free char *id = NULL;
	struct change *change;
	const uint8_t *at;
	size_t n;

	if (tlv_varint_read(p, end, &op) < 0 || tlv_varint_read(p, end, &kind) < 0 ||
	    tlv_varint_read(p, end, &expect) < 0 || bytes_read(p, end, &at, &n) < 0)
		return err_set(e, -EBADMSG, "a batch of changes is cut short");
	if (op < CHANGE_CREATE || op > CHANGE_DELETE || kind == KIND_NONE || kind >= KIND_LIMIT ||
	    n == 0 || memchr(at, '\0', n))
		return err_set(e, -EBADMSG, "a batch of changes has a change that cannot be");
	id = xstrndup((const char *)at, n);
	change = change_add(ret, (enum change_op)op, (enum object_kind)kind, id, expect);
	return op == CHANGE_DELETE ? 0 : object_decode(p, end, change, e);
}

int changes_decode(const void *bytes, size_t n, struct changes *ret, struct err *e)
{
	const uint8_t *p = bytes, *end = p + n;
	int rc = 0;

	if (n == 0 || *p++ != CHANGES_FORMAT)
		return err_set(e, -EBADMSG,
			       "a batch of changes has a format that this version does not know");
	while (rc == 0 && p < end)
		rc = change_decode(&p, end, ret, e);
	if (rc < 0)
		changes_truncate(ret, 0);
	return rc;
}

/* Secrets, and the swarm itself, which has the authority's key. What cannot be read is not kept. */
bool changes_hold_secrets(const void *bytes, size_t n)
{
	const uint8_t *p = bytes, *end = p + n, *at;
	uint64_t op, kind, expect;
	size_t len;

	if (n == 0 || *p++ != CHANGES_FORMAT)
		return false;
	while (p < end) {
		if (tlv_varint_read(&p, end, &op) < 0 || tlv_varint_read(&p, end, &kind) < 0 ||
		    tlv_varint_read(&p, end, &expect) < 0 || bytes_read(&p, end, &at, &len) < 0)
			return false;
		if (kind == KIND_SECRET || kind == KIND_CLUSTER)
			return true;
		if (op != CHANGE_DELETE && bytes_read(&p, end, &at, &len) < 0)
			return false;
	}
	return false;
}
