/*
 * JSON by table: one static table per struct, from which come reading, writing and freeing. For
 * the documents of a runtime directory alone (config.json, shim.json, state.json); jansson does
 * the syntax. It knows nothing of what the documents mean.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/spec.h"

enum jt_kind {
	JT_STR,   /* char * */
	JT_BOOL,  /* bool */
	JT_I64,   /* int64_t, SPEC_UNSET when absent; the document may say up to 2^63-1 */
	JT_U64,   /* uint64_t, 0 when absent; jansson's -1 is UINT64_MAX, as Go's tools write it */
	JT_STRS,  /* struct spec_strs */
	JT_U32S,  /* struct spec_u32s */
	JT_PAIRS, /* struct spec_pairs */
	JT_OBJ,   /* a struct in place, described by `type` */
	JT_OBJS,  /* {T *v; size_t n}, described by `type` */
	JT_MAP,  /* the same as an object; a T begins with a `char *` for its name, not in `type` */
	JT_NO,   /* known to the specification, refused by name with -ENOSYS unless it is empty */
	JT_SKIP, /* known, carries no meaning on Linux or for a runtime: ignored */
};

struct jt_type;

struct jt_field {
	const char *name; /* NULL ends a table */
	enum jt_kind kind;
	size_t off;
	const struct jt_type *type;
	size_t has; /* JT_OBJ: offset + 1 of a bool "it was there", or 0 */
};

struct jt_type {
	size_t size;
	const struct jt_field *fields;
};

/* Entries of tables; each checks the member's C type when it is compiled. */
#define JT_CHECK(s, m, t) \
	(offsetof(s, m) + 0 * sizeof(char[_Generic(((s *)0)->m, t : 1, default : -1)]))
#define JT_STR_(s, m, json)                                   \
	{                                                     \
		json, JT_STR, JT_CHECK(s, m, char *), NULL, 0 \
	}
#define JT_BOOL_(s, m, json)                                 \
	{                                                    \
		json, JT_BOOL, JT_CHECK(s, m, bool), NULL, 0 \
	}
#define JT_I64_(s, m, json)                                    \
	{                                                      \
		json, JT_I64, JT_CHECK(s, m, int64_t), NULL, 0 \
	}
#define JT_U64_(s, m, json)                                     \
	{                                                       \
		json, JT_U64, JT_CHECK(s, m, uint64_t), NULL, 0 \
	}
#define JT_STRS_(s, m, json)                                             \
	{                                                                \
		json, JT_STRS, JT_CHECK(s, m, struct spec_strs), NULL, 0 \
	}
#define JT_U32S_(s, m, json)                                             \
	{                                                                \
		json, JT_U32S, JT_CHECK(s, m, struct spec_u32s), NULL, 0 \
	}
#define JT_PAIRS_(s, m, json)                                              \
	{                                                                  \
		json, JT_PAIRS, JT_CHECK(s, m, struct spec_pairs), NULL, 0 \
	}
#define JT_OBJ_(s, m, json, t)                     \
	{                                          \
		json, JT_OBJ, offsetof(s, m), t, 0 \
	}
#define JT_OBJ_HAS_(s, m, json, t, h)                                     \
	{                                                                 \
		json, JT_OBJ, offsetof(s, m), t, JT_CHECK(s, h, bool) + 1 \
	}
#define JT_OBJS_(s, m, json, t)                     \
	{                                           \
		json, JT_OBJS, offsetof(s, m), t, 0 \
	}
#define JT_MAP_(s, m, json, t)                     \
	{                                          \
		json, JT_MAP, offsetof(s, m), t, 0 \
	}
#define JT_NO_(json)                    \
	{                               \
		json, JT_NO, 0, NULL, 0 \
	}
#define JT_SKIP_(json)                    \
	{                                 \
		json, JT_SKIP, 0, NULL, 0 \
	}
#define JT_END                            \
	{                                 \
		NULL, JT_SKIP, 0, NULL, 0 \
	}

void jt_init(const struct jt_type *t, void *p);
void jt_done(const struct jt_type *t, void *p);
/*
 * Reads a document of at most LIMIT_SPEC_JSON bytes; `what` begins every sentence. `strict`
 * refuses unknown properties. On failure `p` is empty. 0, -EINVAL or -ENOSYS.
 */
int jt_parse(const struct jt_type *t, const char *json, size_t n, bool strict, const char *what,
	     void *p, struct err *e);
/* Leaves out what is unset, empty or false. 0 or -EMSGSIZE. */
int jt_write(const struct jt_type *t, const void *p, struct buf *ret);
/* A string as JSON, quoted. */
void jt_write_text(struct buf *b, const char *s);
