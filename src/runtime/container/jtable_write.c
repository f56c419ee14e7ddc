/*
 * The writing half of jtable.h: what is unset, empty or false is left out.
 */
#include <inttypes.h>

#include "runtime/container/jtable.h"

struct jt_list {
	void *v;
	size_t n;
};

void jt_write_text(struct buf *b, const char *s)
{
	buf_addc(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c < 0x20)
			buf_addf(b, "\\u%04x", c);
		else
			buf_addc(b, (char)c);
	}
	buf_addc(b, '"');
}

static bool is_empty(const struct jt_field *f, const char *at)
{
	switch (f->kind) {
	case JT_STR:
		return !*(char *const *)at;
	case JT_BOOL:
		return !*(const bool *)at;
	case JT_I64:
		return *(const int64_t *)at == SPEC_UNSET;
	case JT_U64:
		return false;
	case JT_STRS:
	case JT_U32S:
	case JT_PAIRS:
	case JT_OBJS:
	case JT_MAP:
		return ((const struct jt_list *)at)->n == 0;
	case JT_OBJ:
		for (const struct jt_field *g = f->type->fields; g->name; g++)
			if (!is_empty(g, at + g->off))
				return false;
		return true;
	default:
		return true;
	}
}

static void write_object(const struct jt_type *t, const char *p, struct buf *b);

static void write_list(const struct jt_field *f, const struct jt_list *l, struct buf *b)
{
	bool named = f->kind == JT_PAIRS || f->kind == JT_MAP;

	buf_addc(b, named ? '{' : '[');
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			buf_addc(b, ',');
		if (f->kind == JT_STRS) {
			jt_write_text(b, ((char **)l->v)[i]);
		} else if (f->kind == JT_U32S) {
			buf_addf(b, "%" PRIu32, ((uint32_t *)l->v)[i]);
		} else if (f->kind == JT_PAIRS) {
			jt_write_text(b, ((struct spec_pair *)l->v)[i].key);
			buf_addc(b, ':');
			jt_write_text(b, ((struct spec_pair *)l->v)[i].value);
		} else {
			if (f->kind == JT_MAP) {
				jt_write_text(b, *(char **)((char *)l->v + i * f->type->size));
				buf_addc(b, ':');
			}
			write_object(f->type, (char *)l->v + i * f->type->size, b);
		}
	}
	buf_addc(b, named ? '}' : ']');
}

static void write_field(const struct jt_field *f, const char *at, struct buf *b)
{
	switch (f->kind) {
	case JT_STR:
		jt_write_text(b, *(char *const *)at);
		break;
	case JT_BOOL:
		buf_adds(b, "true");
		break;
	case JT_I64:
		buf_addf(b, "%" PRId64, *(const int64_t *)at);
		break;
	case JT_U64:
		buf_addf(b, "%" PRIu64, *(const uint64_t *)at);
		break;
	case JT_OBJ:
		write_object(f->type, at, b);
		break;
	default:
		write_list(f, (const struct jt_list *)at, b);
		break;
	}
}

static void write_object(const struct jt_type *t, const char *p, struct buf *b)
{
	bool first = true;

	buf_addc(b, '{');
	for (const struct jt_field *f = t->fields; f->name; f++) {
		const char *at = p + f->off;
		bool there = f->has ? *(const bool *)(p + f->has - 1) : !is_empty(f, at);

		if (!there)
			continue;
		if (!first)
			buf_addc(b, ',');
		first = false;
		jt_write_text(b, f->name);
		buf_addc(b, ':');
		write_field(f, at, b);
	}
	buf_addc(b, '}');
}

int jt_write(const struct jt_type *t, const void *p, struct buf *ret)
{
	write_object(t, p, ret);
	return buf_status(ret);
}
