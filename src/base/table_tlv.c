/*
 * The binary form of structs: what the raft log, snapshots and cluster streams carry. See table.h.
 *
 * Wire types as in Protocol Buffers: 0 varint, 1 fixed 64, 2 length-delimited; signed numbers are
 * zig-zag. A list repeats its field; a map's entry is {1: key, 2: value}. Absent values take no
 * bytes. Optional numbers are always written when present, also when 0. What this version does
 * not know is kept as it came, and written after the known fields.
 */
#include <errno.h>

#include "base/mem.h"
#include "base/table_impl.h"

#define TLV_DEPTH 24         /* nested structs */
#define TLV_REST (64u << 10) /* bytes of unknown fields kept in one struct */

enum tlv_wire { TLV_VARINT = 0, TLV_FIXED64 = 1, TLV_BYTES = 2 };

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

void tlv_varint_write(struct buf *ret, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	(void)buf_add(ret, out, n);
}

int tlv_varint_read(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t c = *(*p)++;

		if (shift == 63 && c > 1)
			return -EBADMSG;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return -EBADMSG;
}

static void tag_write(struct buf *ret, unsigned number, enum tlv_wire wire)
{
	tlv_varint_write(ret, (uint64_t)number << 3 | wire);
}

static void bytes_write(struct buf *ret, unsigned number, const void *p, size_t n)
{
	tag_write(ret, number, TLV_BYTES);
	tlv_varint_write(ret, n);
	(void)buf_add(ret, p, n);
}

/* Reserves one byte for the length of what follows; most structs are shorter than 128 bytes. */
static size_t length_begin(struct buf *ret, unsigned number)
{
	tag_write(ret, number, TLV_BYTES);
	(void)buf_addc(ret, 0);
	return ret->len;
}

static void length_end(struct buf *ret, size_t start)
{
	uint8_t head[10];
	size_t n, extra = 0;

	if (ret->failed)
		return;
	n = ret->len - start;
	for (uint64_t v = n;; v >>= 7) {
		head[extra++] = (uint8_t)(v & 0x7f) | (v >= 0x80 ? 0x80 : 0);
		if (v < 0x80)
			break;
	}
	if (extra > 1) {
		if (buf_reserve(ret, extra - 1) < 0)
			return;
		memmove(ret->p + start + extra - 1, ret->p + start, n);
		ret->len += extra - 1;
	}
	memcpy(ret->p + start - 1, head, extra);
}

static void struct_write(const struct table *t, const void *obj, struct buf *ret);

static void nested_write(struct buf *ret, unsigned number, const struct table *sub, const void *obj)
{
	size_t start = length_begin(ret, number);

	struct_write(sub, obj, ret);
	length_end(ret, start);
}

/* An embedded struct that holds nothing takes no bytes; one behind a pointer takes its presence. */
static void embedded_write(struct buf *ret, const struct field *f, const void *obj)
{
	size_t before = ret->len, start = length_begin(ret, f->number);

	struct_write(f->sub, obj, ret);
	if (ret->len > start)
		length_end(ret, start);
	else
		ret->len = before;
}

static void varint_field(struct buf *ret, unsigned number, uint64_t v)
{
	tag_write(ret, number, TLV_VARINT);
	tlv_varint_write(ret, v);
}

static void list_write(const struct field *f, const struct table_list *list, struct buf *ret)
{
	bool map = f->type == FIELD_TYPE_MAP;
	size_t size = map ? map_entry_size(f->sub) : f->sub->size;

	for (size_t i = 0; i < list->n; i++) {
		const char *item = list->v + i * size;
		size_t start;

		if (!map) {
			nested_write(ret, f->number, f->sub, item);
			continue;
		}
		start = length_begin(ret, f->number);
		bytes_write(ret, 1, *(char *const *)item, strlen(*(char *const *)item));
		nested_write(ret, 2, f->sub, item + sizeof(char *));
		length_end(ret, start);
	}
}

static void strmap_write(const struct field *f, const struct strmap *m, struct buf *ret)
{
	for (size_t i = 0; i < m->n; i++) {
		size_t start = length_begin(ret, f->number);

		bytes_write(ret, 1, m->v[i].key, strlen(m->v[i].key));
		bytes_write(ret, 2, m->v[i].value, strlen(m->v[i].value));
		length_end(ret, start);
	}
}

static void opt_write(const struct field *f, const void *opt, struct buf *ret)
{
	if (!opt)
		return;
	if (f->type == FIELD_TYPE_OPT_BOOL)
		varint_field(ret, f->number, *(const bool *)opt);
	else if (f->type == FIELD_TYPE_OPT_I64)
		varint_field(ret, f->number, zigzag(*(const int64_t *)opt));
	else
		varint_field(ret, f->number, *(const uint64_t *)opt);
}

static void number_write(const struct field *f, const void *at, struct buf *ret)
{
	uint64_t v;

	switch (f->type) {
	case FIELD_TYPE_BOOL:
		v = *(const bool *)at;
		break;
	case FIELD_TYPE_I32:
		v = zigzag(*(const int32_t *)at);
		break;
	case FIELD_TYPE_U32:
	case FIELD_TYPE_ENUM:
		v = *(const uint32_t *)at;
		break;
	case FIELD_TYPE_I64:
	case FIELD_TYPE_TIME:
		v = zigzag(*(const int64_t *)at);
		break;
	default:
		v = *(const uint64_t *)at;
	}
	if (v)
		varint_field(ret, f->number, v);
}

static void field_write(const struct field *f, const void *obj, struct buf *ret)
{
	const void *at = field_at(f, obj);
	const char *s = f->type >= FIELD_TYPE_STR ? *(char *const *)at : NULL;
	const struct strs *list = at;

	if (f->flags & FIELD_SECRET)
		ret->secret = true;
	switch (f->type) {
	case FIELD_TYPE_STR:
	case FIELD_TYPE_RAW:
		if (s)
			bytes_write(ret, f->number, s, strlen(s));
		break;
	case FIELD_TYPE_BYTES:
		if (list->n)
			bytes_write(ret, f->number, s, list->n);
		break;
	case FIELD_TYPE_DOUBLE:
		if (*(const double *)at != 0) {
			tag_write(ret, f->number, TLV_FIXED64);
			(void)buf_add(ret, at, 8);
		}
		break;
	case FIELD_TYPE_OPT_BOOL:
	case FIELD_TYPE_OPT_I64:
	case FIELD_TYPE_OPT_U64:
		opt_write(f, s, ret);
		break;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
		for (size_t i = 0; i < list->n; i++)
			bytes_write(ret, f->number, list->v[i], strlen(list->v[i]));
		break;
	case FIELD_TYPE_STRMAP:
		strmap_write(f, at, ret);
		break;
	case FIELD_TYPE_OBJ:
		embedded_write(ret, f, at);
		break;
	case FIELD_TYPE_PTR:
		if (s)
			nested_write(ret, f->number, f->sub, s);
		break;
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
		list_write(f, at, ret);
		break;
	default:
		number_write(f, at, ret);
	}
}

static void struct_write(const struct table *t, const void *obj, struct buf *ret)
{
	struct table_rest **rest = table_rest_at(t, obj);

	for (size_t i = 0; i < t->n_fields; i++)
		if (t->fields[i].number)
			field_write(&t->fields[i], obj, ret);
	if (rest && *rest)
		(void)buf_add(ret, (*rest)->p, (*rest)->n);
}

int tlv_write(const struct table *t, const void *obj, struct buf *ret)
{
	struct_write(t, obj, ret);
	return buf_status(ret);
}

/* One field as it stands in the bytes. */
struct tlv_item {
	unsigned number;
	enum tlv_wire wire;
	uint64_t value;   /* VARINT, FIXED64 */
	const uint8_t *p; /* BYTES */
	size_t n;
};

static int item_read(const uint8_t **p, const uint8_t *end, struct tlv_item *ret)
{
	uint64_t tag, n;

	*ret = (struct tlv_item){0};
	if (tlv_varint_read(p, end, &tag) < 0 || tag >> 3 == 0 || tag >> 3 > UINT16_MAX)
		return -EBADMSG;
	ret->number = (unsigned)(tag >> 3);
	ret->wire = (enum tlv_wire)(tag & 7);
	if (ret->wire == TLV_VARINT)
		return tlv_varint_read(p, end, &ret->value);
	if (ret->wire == TLV_FIXED64) {
		if (end - *p < 8)
			return -EBADMSG;
		memcpy(&ret->value, *p, 8);
		*p += 8;
		return 0;
	}
	if (ret->wire != TLV_BYTES || tlv_varint_read(p, end, &n) < 0 || n > (uint64_t)(end - *p))
		return -EBADMSG;
	ret->p = *p;
	ret->n = (size_t)n;
	*p += n;
	return 0;
}

static int struct_read(const struct table *t, const uint8_t *p, size_t n, void *ret, int depth);

static int text_read(const struct tlv_item *item, char **ret)
{
	if (memchr(item->p, '\0', item->n))
		return -EBADMSG;
	free(*ret);
	*ret = xstrndup((const char *)item->p, item->n);
	return 0;
}

/* Reads a map's entry into `key` and, for a struct (sub) or a string, the value. */
static int entry_read(const struct tlv_item *entry, char **key, const struct table *sub,
		      void *value, int depth)
{
	const uint8_t *p = entry->p, *end = p + entry->n;
	struct tlv_item item;
	int rc = 0;

	while (rc == 0 && p < end) {
		rc = item_read(&p, end, &item);
		if (rc < 0 || item.wire != TLV_BYTES)
			return -EBADMSG;
		if (item.number == 1)
			rc = text_read(&item, key);
		else if (item.number == 2 && sub)
			rc = struct_read(sub, item.p, item.n, value, depth + 1);
		else if (item.number == 2)
			rc = text_read(&item, value);
	}
	return rc < 0 || !*key ? -EBADMSG : 0;
}

static int list_read(const struct field *f, const struct tlv_item *item, void *at, int depth)
{
	struct table_list *list = at;
	struct strmap *strings = at;
	struct strmap_entry *pair;
	size_t size;
	char *entry;

	switch (f->type) {
	case FIELD_TYPE_LIST:
		entry = list_add_((void **)&list->v, &list->n, f->sub->size);
		return struct_read(f->sub, item->p, item->n, entry, depth + 1);
	case FIELD_TYPE_MAP:
		size = map_entry_size(f->sub);
		entry = list_add_((void **)&list->v, &list->n, size);
		if (entry_read(item, (char **)entry, f->sub, entry + sizeof(char *), depth) == 0)
			return 0;
		if (!*(char **)entry)
			*(char **)entry = xstrdup("");
		return -EBADMSG;
	default:
		pair = list_add_((void **)&strings->v, &strings->n, sizeof *strings->v);
		if (entry_read(item, &pair->key, NULL, &pair->value, depth) == 0 && pair->value)
			return 0;
		return -EBADMSG;
	}
}

static int number_read(const struct field *f, const struct tlv_item *item, void *at)
{
	uint64_t v = item->value;

	switch (f->type) {
	case FIELD_TYPE_BOOL:
		*(bool *)at = v != 0;
		return v > 1 ? -EBADMSG : 0;
	case FIELD_TYPE_I32:
		*(int32_t *)at = (int32_t)unzigzag(v);
		return unzigzag(v) != *(int32_t *)at ? -EBADMSG : 0;
	case FIELD_TYPE_U32:
	case FIELD_TYPE_ENUM:
		*(uint32_t *)at = (uint32_t)v;
		return v > UINT32_MAX ? -EBADMSG : 0;
	case FIELD_TYPE_I64:
	case FIELD_TYPE_TIME:
		*(int64_t *)at = unzigzag(v);
		return 0;
	case FIELD_TYPE_U64:
		*(uint64_t *)at = v;
		return 0;
	default:
		free(*(void **)at);
		*(void **)at = xcalloc(1, 8);
		if (f->type == FIELD_TYPE_OPT_BOOL)
			**(bool **)at = v != 0;
		else if (f->type == FIELD_TYPE_OPT_I64)
			**(int64_t **)at = unzigzag(v);
		else
			**(uint64_t **)at = v;
		return 0;
	}
}

static enum tlv_wire field_wire(const struct field *f)
{
	if (f->type == FIELD_TYPE_DOUBLE)
		return TLV_FIXED64;
	if (f->type < FIELD_TYPE_STR ||
	    (f->type >= FIELD_TYPE_OPT_BOOL && f->type <= FIELD_TYPE_OPT_U64))
		return TLV_VARINT;
	return TLV_BYTES;
}

static int field_read(const struct field *f, const struct tlv_item *item, void *obj, int depth)
{
	void *at = field_at(f, obj);
	struct strs *strings = at;
	struct bytes *bytes = at;

	if (item->wire != field_wire(f))
		return -EBADMSG;
	switch (f->type) {
	case FIELD_TYPE_STR:
	case FIELD_TYPE_RAW:
		return text_read(item, at);
	case FIELD_TYPE_BYTES:
		secret_free(bytes->p, bytes->n);
		*bytes = (struct bytes){bytes_copy(f, item->p, item->n), item->n};
		return 0;
	case FIELD_TYPE_DOUBLE:
		memcpy(at, &item->value, 8);
		return 0;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
		strings->v = xreallocarray(strings->v, strings->n + 1, sizeof *strings->v);
		strings->v[strings->n++] = NULL;
		return text_read(item, &strings->v[strings->n - 1]);
	case FIELD_TYPE_OBJ:
		return struct_read(f->sub, item->p, item->n, at, depth + 1);
	case FIELD_TYPE_PTR:
		if (!*(void **)at)
			*(void **)at = xcalloc(1, f->sub->size);
		return struct_read(f->sub, item->p, item->n, *(void **)at, depth + 1);
	case FIELD_TYPE_STRMAP:
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
		return list_read(f, item, at, depth);
	default:
		return number_read(f, item, at);
	}
}

static int rest_keep(const struct table *t, void *obj, const uint8_t *p, size_t n)
{
	struct table_rest **rest = table_rest_at(t, obj);
	size_t old;

	if (!rest)
		return 0;
	old = *rest ? (*rest)->n : 0;
	if (n > TLV_REST || old > TLV_REST - n)
		return -EBADMSG;
	*rest = xrealloc(*rest, sizeof **rest + old + n);
	memcpy((*rest)->p + old, p, n);
	(*rest)->n = old + n;
	return 0;
}

/* The row with this number; `hint` is where the search starts, since rows come in order. */
static const struct field *field_numbered(const struct table *t, unsigned number, size_t *hint)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		size_t at = (*hint + i) % t->n_fields;

		if (t->fields[at].number == number) {
			*hint = at;
			return &t->fields[at];
		}
	}
	return NULL;
}

/* Maps are written sorted; one that is not came from elsewhere and is put in order. */
static void maps_sort(const struct table *t, void *obj)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		if (f->type == FIELD_TYPE_MAP && f->number)
			map_sort(f->sub, field_at(f, obj));
		else if (f->type == FIELD_TYPE_STRMAP && f->number)
			strmap_sort(field_at(f, obj));
	}
}

static int struct_read(const struct table *t, const uint8_t *p, size_t n, void *ret, int depth)
{
	const uint8_t *end = p + n;
	size_t hint = 0;
	int rc = 0;

	if (depth > TLV_DEPTH)
		return -EBADMSG;
	while (rc == 0 && p < end) {
		const struct field *f;
		const uint8_t *start = p;
		struct tlv_item item;

		rc = item_read(&p, end, &item);
		if (rc < 0)
			break;
		f = field_numbered(t, item.number, &hint);
		rc = f ? field_read(f, &item, ret, depth)
		       : rest_keep(t, ret, start, (size_t)(p - start));
	}
	if (rc == 0)
		maps_sort(t, ret);
	return rc;
}

int tlv_read(const struct table *t, const void *p, size_t n, void *ret, struct err *e)
{
	int rc = struct_read(t, p, n, ret, 0);

	if (rc < 0) {
		table_done(t, ret);
		return err_set(e, rc, "a stored %s is damaged (%zu bytes)", t->name, n);
	}
	return 0;
}
