/*
 * Writing structs as JSON by their tables, straight into a buffer. See table.h.
 */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/table_impl.h"

/* Bytes of the UTF-8 sequence that starts at `s`; 0 when it is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static void escape_write(struct buf *ret, unsigned char c)
{
	switch (c) {
	case '"':
		(void)buf_adds(ret, "\\\"");
		break;
	case '\\':
		(void)buf_adds(ret, "\\\\");
		break;
	case '\n':
		(void)buf_adds(ret, "\\n");
		break;
	case '\r':
		(void)buf_adds(ret, "\\r");
		break;
	case '\t':
		(void)buf_adds(ret, "\\t");
		break;
	default:
		(void)buf_addf(ret, "\\u%04x", c);
	}
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

int json_quote(struct buf *ret, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t from = 0, i = 0;

	(void)buf_addc(ret, '"');
	while (i < n) {
		size_t len;

		if (is_plain(p[i])) {
			i++;
			continue;
		}
		len = utf8_length(p + i, n - i);
		if (len > 1) {
			i += len;
			continue;
		}
		(void)buf_add(ret, s + from, i - from);
		if (len == 1)
			escape_write(ret, p[i]);
		else
			(void)buf_adds(ret, "\xef\xbf\xbd");
		from = ++i;
	}
	(void)buf_add(ret, s + from, i - from);
	return buf_addc(ret, '"');
}

static void text_write(struct buf *ret, const char *s)
{
	(void)json_quote(ret, s ? s : "", s ? strlen(s) : 0);
}

static void base64_write(struct buf *ret, const struct bytes *b)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)buf_addc(ret, '"');
	for (size_t i = 0; i < b->n; i += 3) {
		size_t left = b->n - i;
		uint32_t v = (uint32_t)b->p[i] << 16 | (left > 1 ? (uint32_t)b->p[i + 1] << 8 : 0) |
			     (left > 2 ? b->p[i + 2] : 0);
		char out[4] = {digits[v >> 18], digits[v >> 12 & 63],
			       left > 1 ? digits[v >> 6 & 63] : '=',
			       left > 2 ? digits[v & 63] : '='};

		(void)buf_add(ret, out, sizeof out);
	}
	(void)buf_addc(ret, '"');
}

static void strings_write(struct buf *ret, const struct strs *s, bool set)
{
	(void)buf_addc(ret, set ? '{' : '[');
	for (size_t i = 0; i < s->n; i++) {
		if (i)
			(void)buf_addc(ret, ',');
		text_write(ret, s->v[i]);
		if (set)
			(void)buf_adds(ret, ":{}");
	}
	(void)buf_addc(ret, set ? '}' : ']');
}

static void strmap_write(struct buf *ret, const struct strmap *m)
{
	(void)buf_addc(ret, '{');
	for (size_t i = 0; i < m->n; i++) {
		if (i)
			(void)buf_addc(ret, ',');
		text_write(ret, m->v[i].key);
		(void)buf_addc(ret, ':');
		text_write(ret, m->v[i].value);
	}
	(void)buf_addc(ret, '}');
}

static void list_write(struct buf *ret, const struct field *f, const struct table_list *list)
{
	bool map = f->type == FIELD_TYPE_MAP;
	size_t size = map ? map_entry_size(f->sub) : f->sub->size;

	(void)buf_addc(ret, map ? '{' : '[');
	for (size_t i = 0; i < list->n; i++) {
		const char *item = list->v + i * size;

		if (i)
			(void)buf_addc(ret, ',');
		if (map) {
			text_write(ret, *(char *const *)item);
			(void)buf_addc(ret, ':');
			item += sizeof(char *);
		}
		(void)json_write(f->sub, item, ret);
	}
	(void)buf_addc(ret, map ? '}' : ']');
}

static void double_write(struct buf *ret, double v)
{
	char text[40];

	if (!isfinite(v))
		v = 0;
	(void)snprintf(text, sizeof text, "%.15g", v);
	if (strtod(text, NULL) != v)
		(void)snprintf(text, sizeof text, "%.17g", v);
	(void)buf_adds(ret, text);
}

/* Not by printf(), which takes longer than all else that is done for a number. */
static void u64_write(struct buf *ret, uint64_t v)
{
	char text[20], *p = text + sizeof text;

	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	(void)buf_add(ret, p, (size_t)(text + sizeof text - p));
}

static void i64_write(struct buf *ret, int64_t v)
{
	if (v < 0)
		(void)buf_addc(ret, '-');
	u64_write(ret, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void scalar_write(const struct field *f, const void *at, struct buf *ret)
{
	const void *opt = *(void *const *)(f->type >= FIELD_TYPE_STR ? at : &at);

	switch (f->type) {
	case FIELD_TYPE_BOOL:
		(void)buf_adds(ret, *(const bool *)at ? "true" : "false");
		break;
	case FIELD_TYPE_I32:
		i64_write(ret, *(const int32_t *)at);
		break;
	case FIELD_TYPE_U32:
		u64_write(ret, *(const uint32_t *)at);
		break;
	case FIELD_TYPE_I64:
		i64_write(ret, *(const int64_t *)at);
		break;
	case FIELD_TYPE_U64:
		u64_write(ret, *(const uint64_t *)at);
		break;
	case FIELD_TYPE_DOUBLE:
		double_write(ret, *(const double *)at);
		break;
	case FIELD_TYPE_OPT_BOOL:
		(void)buf_adds(ret, !opt ? "null" : *(const bool *)opt ? "true" : "false");
		break;
	default: /* an optional number */
		if (!opt)
			(void)buf_adds(ret, "null");
		else if (f->type == FIELD_TYPE_OPT_I64)
			i64_write(ret, *(const int64_t *)opt);
		else
			u64_write(ret, *(const uint64_t *)opt);
	}
}

static void field_write(const struct field *f, const void *obj, struct buf *ret)
{
	const void *at = field_at(f, obj);
	char text[TIME_TEXT_MAX];
	int value;

	if ((f->flags & FIELD_NULL) && field_is_empty(f, obj)) {
		(void)buf_adds(ret, "null");
		return;
	}
	switch (f->type) {
	case FIELD_TYPE_TIME:
		time_format(*(const int64_t *)at, text);
		text_write(ret, text);
		break;
	case FIELD_TYPE_ENUM:
		memcpy(&value, at, sizeof value);
		text_write(ret, (uint32_t)value < f->n_names ? f->names[value] : "");
		break;
	case FIELD_TYPE_STR:
		text_write(ret, *(char *const *)at);
		break;
	case FIELD_TYPE_RAW:
		(void)buf_adds(ret, *(char *const *)at ? *(char *const *)at : "null");
		break;
	case FIELD_TYPE_BYTES:
		base64_write(ret, at);
		break;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
		strings_write(ret, at, f->type == FIELD_TYPE_SET);
		break;
	case FIELD_TYPE_STRMAP:
		strmap_write(ret, at);
		break;
	case FIELD_TYPE_OBJ:
		(void)json_write(f->sub, at, ret);
		break;
	case FIELD_TYPE_PTR:
		if (*(void *const *)at)
			(void)json_write(f->sub, *(void *const *)at, ret);
		else
			(void)buf_adds(ret, "null");
		break;
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
		list_write(ret, f, at);
		break;
	default:
		scalar_write(f, at, ret);
	}
}

/* A member's name and what stands around it. */
static void name_write(struct buf *ret, const char *name, bool first)
{
	size_t n = strlen(name);
	char *p;

	if (buf_reserve(ret, n + 4) < 0)
		return;
	p = ret->p + ret->len;
	if (!first)
		*p++ = ',';
	*p++ = '"';
	memcpy(p, name, n);
	p += n;
	*p++ = '"';
	*p++ = ':';
	*p = '\0';
	ret->len = (size_t)(p - ret->p);
}

int json_write(const struct table *t, const void *obj, struct buf *ret)
{
	bool first = true;

	if (t->transparent) {
		field_write(&t->fields[0], obj, ret);
		return buf_status(ret);
	}
	(void)buf_addc(ret, '{');
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		if (!f->json || ((f->flags & FIELD_OMIT) && field_is_empty(f, obj)))
			continue;
		name_write(ret, f->json, first);
		first = false;
		field_write(f, obj, ret);
	}
	return buf_addc(ret, '}');
}
