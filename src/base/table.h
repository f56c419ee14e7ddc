/*
 * Tables describe structs: one static table a type, from which come its JSON (read and write), its
 * binary form, free, copy and equal. Nothing in Shoal handles such a struct field by field. The
 * FIELD_* macros check at compile time that the member has the type that the row says.
 *
 * A row has a number for the binary form (explicit, never used again once released; 0: the field
 * is not stored) and a name for JSON (NULL: the field is not shown). All structs start zeroed;
 * zero is "absent" for strings, pointers, lists and maps. Used by every floor above; knows nothing
 * of what it describes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* A list of strings; also the set form {"a":{},"b":{}} of the Engine API. */
struct strs {
	char **v;
	size_t n;
};

/* A map of strings, kept sorted by key without doubles. */
struct strmap_entry {
	char *key;
	char *value;
};
struct strmap {
	struct strmap_entry *v;
	size_t n;
};

struct bytes {
	uint8_t *p;
	size_t n;
};

/* What a newer version stored and this one does not know, as it stood in the binary form. */
struct table_rest {
	size_t n;
	uint8_t p[];
};

#define LIST_OF(type)     \
	struct {          \
		type *v;  \
		size_t n; \
	}

/* A map from strings to structs, kept sorted by key without doubles. */
#define MAP_OF(type)                \
	struct {                    \
		struct {            \
			char *key;  \
			type value; \
		} * v;              \
		size_t n;           \
	}

enum field_type {
	FIELD_TYPE_BOOL,
	FIELD_TYPE_I32,
	FIELD_TYPE_U32,
	FIELD_TYPE_I64,
	FIELD_TYPE_U64,
	FIELD_TYPE_DOUBLE,
	FIELD_TYPE_TIME, /* int64_t nanoseconds since the epoch; RFC 3339 in JSON */
	FIELD_TYPE_ENUM, /* an enum counted from 0; its name in JSON */
	FIELD_TYPE_STR,
	FIELD_TYPE_BYTES, /* base64 in JSON */
	FIELD_TYPE_RAW,   /* char * with JSON text, kept as it came */
	FIELD_TYPE_OPT_BOOL,
	FIELD_TYPE_OPT_I64,
	FIELD_TYPE_OPT_U64,
	FIELD_TYPE_STRS,
	FIELD_TYPE_SET,
	FIELD_TYPE_STRMAP,
	FIELD_TYPE_OBJ, /* an embedded struct */
	FIELD_TYPE_PTR, /* a pointer to a struct, NULL when absent */
	FIELD_TYPE_LIST,
	FIELD_TYPE_MAP,
};

enum field_flag {
	FIELD_OMIT = 1 << 0, /* left out of JSON while empty (Go's omitempty) */
	FIELD_NULL = 1 << 1, /* an empty list or map is written as null instead of [] or {} */
	FIELD_ONE = 1 << 2,  /* STRS: a bare string is read as a list of one (Cmd, Entrypoint) */
	FIELD_REQUIRED = 1 << 3, /* reading JSON fails when the member is missing or null */
	FIELD_SECRET = 1 << 4, /* never in JSON; overwritten when freed; BYTES: in locked memory */
};

struct table;

struct field {
	const char *json;
	const struct table *sub;
	const char *const *names; /* ENUM */
	uint32_t offset;
	uint16_t number;
	uint8_t type;
	uint8_t flags;
	uint32_t n_names;
};

struct table {
	const char *name; /* the struct's, for messages and the checked-in list of numbers */
	const struct field *fields;
	size_t n_fields;
	size_t size;
	size_t rest_end;  /* just past `struct table_rest *rest`; 0: unknown fields are dropped */
	bool transparent; /* its JSON is that of its only field (PortMap's lists) */
};

/* A length of -1 is a compile error that means: the member has not the type that the row says. */
#define FIELD_CHECK(ok) (0 * sizeof(char[(ok) ? 1 : -1]))
#define FIELD_IS(T, member, type) \
	FIELD_CHECK(__builtin_types_compatible_p(__typeof__(((T *)0)->member), type))
#define FIELD_ROW(T, num, member, kind, json_name, field_flags, check, ...)               \
	{                                                                                 \
		.json = (json_name), .offset = (uint32_t)(offsetof(T, member) + (check)), \
		.number = (num), .type = (kind), .flags = (field_flags), ##__VA_ARGS__    \
	}
#define FIELD_PLAIN(T, num, m, kind, ctype, json_name, flag) \
	FIELD_ROW(T, num, m, kind, json_name, flag, FIELD_IS(T, m, ctype))

#define FIELD_BOOL(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_BOOL, bool, j, f)
#define FIELD_I32(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_I32, int32_t, j, f)
#define FIELD_U32(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_U32, uint32_t, j, f)
#define FIELD_I64(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_I64, int64_t, j, f)
#define FIELD_U64(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_U64, uint64_t, j, f)
#define FIELD_DOUBLE(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_DOUBLE, double, j, f)
#define FIELD_TIME(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_TIME, int64_t, j, f)
#define FIELD_STR(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_STR, char *, j, f)
#define FIELD_RAW(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_RAW, char *, j, f)
#define FIELD_BYTES(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_BYTES, struct bytes, j, f)
#define FIELD_OPT_BOOL(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_OPT_BOOL, bool *, j, f)
#define FIELD_OPT_I64(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_OPT_I64, int64_t *, j, f)
#define FIELD_OPT_U64(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_OPT_U64, uint64_t *, j, f)
#define FIELD_STRS(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_STRS, struct strs, j, f)
#define FIELD_SET(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_SET, struct strs, j, f)
#define FIELD_STRMAP(T, num, m, j, f) FIELD_PLAIN(T, num, m, FIELD_TYPE_STRMAP, struct strmap, j, f)

/* `value_names` is a static array of strings indexed by the enum's value. */
#define FIELD_ENUM(T, num, m, j, f, value_names)                                           \
	FIELD_ROW(T, num, m, FIELD_TYPE_ENUM, j, f,                                        \
		  FIELD_CHECK(sizeof(((T *)0)->m) == sizeof(int)), .names = (value_names), \
		  .n_names = sizeof(value_names) / sizeof((value_names)[0]))

/* `tag` is the struct's name; its table is called tag_table. */
#define FIELD_OBJ(T, num, m, j, f, tag) \
	FIELD_ROW(T, num, m, FIELD_TYPE_OBJ, j, f, FIELD_IS(T, m, struct tag), .sub = &tag##_table)
#define FIELD_PTR(T, num, m, j, f, tag)                                          \
	FIELD_ROW(T, num, m, FIELD_TYPE_PTR, j, f, FIELD_IS(T, m, struct tag *), \
		  .sub = &tag##_table)
#define FIELD_LIST(T, num, m, j, f, tag)                                            \
	FIELD_ROW(T, num, m, FIELD_TYPE_LIST, j, f, FIELD_IS(T, m.v, struct tag *), \
		  .sub = &tag##_table)
#define FIELD_MAP(T, num, m, j, f, tag)                                                       \
	FIELD_ROW(T, num, m, FIELD_TYPE_MAP, j, f,                                            \
		  FIELD_CHECK(__builtin_types_compatible_p(__typeof__(((T *)0)->m.v->value),  \
							   struct tag) &&                     \
			      offsetof(__typeof__(*((T *)0)->m.v), value) == sizeof(char *)), \
		  .sub = &tag##_table)

/* Defines `tag_table` for `struct tag` from the static array `rows`. */
#define TABLE_DEFINE(tag, rows, ...)                                                    \
	const struct table tag##_table = {.name = #tag,                                 \
					  .fields = (rows),                             \
					  .n_fields = sizeof(rows) / sizeof((rows)[0]), \
					  .size = sizeof(struct tag),                   \
					  ##__VA_ARGS__}
/* For TABLE_DEFINE: `struct tag` has a member `struct table_rest *rest`. */
#define TABLE_REST(tag)                                                        \
	.rest_end = offsetof(struct tag, rest) + sizeof(struct table_rest *) + \
		    FIELD_IS(struct tag, rest, struct table_rest *)

/* Memory. An object is any struct that a table describes. */

/* Frees what the object holds and leaves it zeroed; the struct itself is the caller's. */
void table_done(const struct table *t, void *obj);
/* table_done() and free(); NULL is allowed. */
void table_free(const struct table *t, void *obj);
/* Makes `dst` (uninitialised or zeroed) a deep copy of `src`. */
void table_copy(const struct table *t, void *dst, const void *src);
/* As table_copy() into new memory; NULL gives NULL. Free with table_free(). */
void *table_dup(const struct table *t, const void *src);
/* Deep equality of all fields, stored or not, and of what is kept unknown. */
bool table_equal(const struct table *t, const void *a, const void *b);

/* JSON */

/*
 * Reads one JSON text (nothing but white space may follow it) into the zeroed `ret`. Names match
 * without regard to case, unknown members are ignored and null is absent, as Go's decoder does.
 * -EINVAL with the member's path in the sentence; `ret` is left zeroed then. The caller bounds `n`.
 */
int json_read(const struct table *t, const char *text, size_t n, void *ret, struct err *e);
/* The same from a value that is parsed already. */
int json_read_value(const struct table *t, const json_t *value, void *ret, struct err *e);
/* Appends the object's compact JSON. 0, or -EMSGSIZE past the buffer's bound. */
int json_write(const struct table *t, const void *obj, struct buf *ret);
/* Appends `n` bytes as a JSON string; bytes that are not UTF-8 become U+FFFD. 0 or -EMSGSIZE. */
int json_quote(struct buf *ret, const char *s, size_t n);

/* Binary (the Protocol Buffers wire format: varint, fixed 64, length-delimited) */

/* Appends the stored fields. 0, or -EMSGSIZE past the buffer's bound. */
int tlv_write(const struct table *t, const void *obj, struct buf *ret);
/*
 * Reads what tlv_write() wrote, by this or another version, into the zeroed `ret`. -EBADMSG when
 * it is damaged; `ret` is left zeroed then.
 */
int tlv_read(const struct table *t, const void *p, size_t n, void *ret, struct err *e);

/* Base-128 numbers, for those who frame objects. */
void tlv_varint_write(struct buf *ret, uint64_t v);
/* Advances *p up to `end`. 0 or -EBADMSG. */
int tlv_varint_read(const uint8_t **p, const uint8_t *end, uint64_t *ret);

/*
 * 0 when the table and those below it are sound: numbers and names unique, sizes matching, what is
 * stored keeping its unknown fields. Otherwise -EINVAL with the row. For tests.
 */
int table_check(const struct table *t, struct err *e);

/* Lists and maps of strings. Strings given are copied. */
void strs_add(struct strs *s, const char *value);
void strs_done(struct strs *s);
bool strs_has(const struct strs *s, const char *value);
#define STRS_EACH(item, list)                                                            \
	for (char **item##_at = (list)->v, *item;                                        \
	     (size_t)(item##_at - (list)->v) < (list)->n && ((item = *item##_at), true); \
	     item##_at++)
#define LIST_EACH(item, list)                                                                    \
	for (__typeof__((list)->v + 0) item = (list)->v; (size_t)(item - (list)->v) < (list)->n; \
	     item++)

/* NULL when the key is missing. Valid until the map changes. */
const char *strmap_get(const struct strmap *m, const char *key);
void strmap_set(struct strmap *m, const char *key, const char *value);
void strmap_remove(struct strmap *m, const char *key);
void strmap_done(struct strmap *m);

/* Grows a LIST_OF by one zeroed item and returns it; valid until the next change. */
#define LIST_ADD(list) \
	((__typeof__((list)->v))list_add_((void **)&(list)->v, &(list)->n, sizeof *(list)->v))
void *list_add_(void **v, size_t *n, size_t size);

/* A MAP_OF's value for `key`, NULL when missing; MAP_PUT adds a zeroed one when missing. */
#define MAP_GET(map, key_) \
	((__typeof__(&(map)->v->value))map_find_((map)->v, (map)->n, sizeof *(map)->v, key_))
#define MAP_PUT(map, key_)                                                                       \
	((__typeof__(&(map)->v->value))map_put_((void **)&(map)->v, &(map)->n, sizeof *(map)->v, \
						key_))
void *map_find_(const void *v, size_t n, size_t size, const char *key);
void *map_put_(void **v, size_t *n, size_t size, const char *key);
