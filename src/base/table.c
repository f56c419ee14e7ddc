/*
 * The memory side of tables: free, copy, equal, check. See table.h.
 */
#include "base/table.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/table_impl.h"

static size_t field_size(const struct field *f)
{
	switch (f->type) {
	case FIELD_TYPE_BOOL:
		return sizeof(bool);
	case FIELD_TYPE_I32:
	case FIELD_TYPE_U32:
	case FIELD_TYPE_ENUM:
		return 4;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
	case FIELD_TYPE_STRMAP:
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
	case FIELD_TYPE_BYTES:
		return sizeof(struct table_list);
	case FIELD_TYPE_OBJ:
		return f->sub->size;
	default:
		return 8;
	}
}

static size_t list_item_size(const struct field *f)
{
	return f->type == FIELD_TYPE_MAP ? map_entry_size(f->sub) : f->sub->size;
}

/* Where the struct lies in an item of a LIST or MAP. */
static void *list_item(const struct field *f, const struct table_list *list, size_t i)
{
	return list->v + i * list_item_size(f) + (f->type == FIELD_TYPE_MAP ? sizeof(char *) : 0);
}

static char **map_key(const struct field *f, const struct table_list *list, size_t i)
{
	return (char **)(list->v + i * list_item_size(f));
}

static void list_done(const struct field *f, struct table_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		table_done(f->sub, list_item(f, list, i));
		if (f->type == FIELD_TYPE_MAP)
			free(*map_key(f, list, i));
	}
	free(list->v);
}

void field_done(const struct field *f, void *obj)
{
	void *at = field_at(f, obj);
	struct bytes *bytes = at;
	char **s = at;

	switch (f->type) {
	case FIELD_TYPE_STR:
	case FIELD_TYPE_RAW:
		if (*s && (f->flags & FIELD_SECRET))
			explicit_bzero(*s, strlen(*s));
		free(*s);
		break;
	case FIELD_TYPE_OPT_BOOL:
	case FIELD_TYPE_OPT_I64:
	case FIELD_TYPE_OPT_U64:
		free(*s);
		break;
	case FIELD_TYPE_BYTES:
		secret_free(bytes->p, bytes->n);
		break;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
		strs_done(at);
		break;
	case FIELD_TYPE_STRMAP:
		strmap_done(at);
		break;
	case FIELD_TYPE_OBJ:
		table_done(f->sub, at);
		break;
	case FIELD_TYPE_PTR:
		table_free(f->sub, *(void **)at);
		break;
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
		list_done(f, at);
		break;
	default:
		break;
	}
	memset(at, 0, field_size(f));
}

void table_done(const struct table *t, void *obj)
{
	struct table_rest **rest = table_rest_at(t, obj);

	for (size_t i = 0; i < t->n_fields; i++)
		field_done(&t->fields[i], obj);
	if (rest) {
		free(*rest);
		*rest = NULL;
	}
}

void table_free(const struct table *t, void *obj)
{
	if (obj)
		table_done(t, obj);
	free(obj);
}

static void list_copy(const struct field *f, struct table_list *dst, const struct table_list *src)
{
	dst->n = src->n;
	dst->v = src->n ? xcalloc(src->n, list_item_size(f)) : NULL;
	for (size_t i = 0; i < src->n; i++) {
		table_copy(f->sub, list_item(f, dst, i), list_item(f, src, i));
		if (f->type == FIELD_TYPE_MAP)
			*map_key(f, dst, i) = xstrdup(*map_key(f, src, i));
	}
}

static void strings_copy(struct strs *dst, const struct strs *src)
{
	dst->n = src->n;
	dst->v = src->n ? xcalloc(src->n, sizeof *dst->v) : NULL;
	for (size_t i = 0; i < src->n; i++)
		dst->v[i] = xstrdup(src->v[i]);
}

static void strmap_copy(struct strmap *dst, const struct strmap *src)
{
	dst->n = src->n;
	dst->v = src->n ? xcalloc(src->n, sizeof *dst->v) : NULL;
	for (size_t i = 0; i < src->n; i++) {
		dst->v[i].key = xstrdup(src->v[i].key);
		dst->v[i].value = xstrdup(src->v[i].value);
	}
}

static void field_copy(const struct field *f, void *dst_obj, const void *src_obj)
{
	void *dst = field_at(f, dst_obj), *src = field_at(f, src_obj);

	switch (f->type) {
	case FIELD_TYPE_STR:
	case FIELD_TYPE_RAW:
		*(char **)dst = xstrdup(*(char **)src);
		break;
	case FIELD_TYPE_OPT_BOOL:
		*(bool **)dst = *(bool **)src ? xmemdup(*(bool **)src, sizeof(bool)) : NULL;
		break;
	case FIELD_TYPE_OPT_I64:
	case FIELD_TYPE_OPT_U64:
		*(int64_t **)dst = *(int64_t **)src ? xmemdup(*(int64_t **)src, 8) : NULL;
		break;
	case FIELD_TYPE_BYTES: {
		struct bytes *to = dst, *from = src;

		to->n = from->n;
		to->p = from->p ? bytes_copy(f, from->p, from->n) : NULL;
		break;
	}
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
		strings_copy(dst, src);
		break;
	case FIELD_TYPE_STRMAP:
		strmap_copy(dst, src);
		break;
	case FIELD_TYPE_OBJ:
		table_copy(f->sub, dst, src);
		break;
	case FIELD_TYPE_PTR:
		*(void **)dst = table_dup(f->sub, *(void **)src);
		break;
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
		list_copy(f, dst, src);
		break;
	default:
		memcpy(dst, src, field_size(f));
	}
}

void table_copy(const struct table *t, void *dst, const void *src)
{
	struct table_rest **from = table_rest_at(t, src);

	memset(dst, 0, t->size);
	for (size_t i = 0; i < t->n_fields; i++)
		field_copy(&t->fields[i], dst, src);
	if (from && *from)
		*table_rest_at(t, dst) = xmemdup(*from, sizeof **from + (*from)->n);
}

void *table_dup(const struct table *t, const void *src)
{
	void *dst;

	if (!src)
		return NULL;
	dst = xmalloc(t->size);
	table_copy(t, dst, src);
	return dst;
}

static bool str_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool opt_equal(const void *a, const void *b, size_t size)
{
	return a == b || (a && b && memcmp(a, b, size) == 0);
}

static bool list_equal(const struct field *f, const struct table_list *a,
		       const struct table_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (f->type == FIELD_TYPE_MAP && !str_equal(*map_key(f, a, i), *map_key(f, b, i)))
			return false;
		if (!table_equal(f->sub, list_item(f, a, i), list_item(f, b, i)))
			return false;
	}
	return true;
}

static bool strings_equal(const struct strs *a, const struct strs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_equal(a->v[i], b->v[i]))
			return false;
	return true;
}

static bool strmap_equal(const struct strmap *a, const struct strmap *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_equal(a->v[i].key, b->v[i].key) ||
		    !str_equal(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

static bool bytes_equal(const struct bytes *a, const struct bytes *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static bool field_equal(const struct field *f, const void *a_obj, const void *b_obj)
{
	const void *a = field_at(f, a_obj), *b = field_at(f, b_obj);
	const void *a_ptr = f->type == FIELD_TYPE_PTR ? *(void *const *)a : NULL;
	const void *b_ptr = f->type == FIELD_TYPE_PTR ? *(void *const *)b : NULL;

	switch (f->type) {
	case FIELD_TYPE_STR:
	case FIELD_TYPE_RAW:
		return str_equal(*(char *const *)a, *(char *const *)b);
	case FIELD_TYPE_OPT_BOOL:
		return opt_equal(*(bool *const *)a, *(bool *const *)b, sizeof(bool));
	case FIELD_TYPE_OPT_I64:
	case FIELD_TYPE_OPT_U64:
		return opt_equal(*(void *const *)a, *(void *const *)b, 8);
	case FIELD_TYPE_BYTES:
		return bytes_equal(a, b);
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
		return strings_equal(a, b);
	case FIELD_TYPE_STRMAP:
		return strmap_equal(a, b);
	case FIELD_TYPE_OBJ:
		return table_equal(f->sub, a, b);
	case FIELD_TYPE_PTR:
		return a_ptr == b_ptr || (a_ptr && b_ptr && table_equal(f->sub, a_ptr, b_ptr));
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
		return list_equal(f, a, b);
	default:
		return memcmp(a, b, field_size(f)) == 0;
	}
}

bool table_equal(const struct table *t, const void *a, const void *b)
{
	struct table_rest **ra = table_rest_at(t, a), **rb = table_rest_at(t, b);

	for (size_t i = 0; i < t->n_fields; i++)
		if (!field_equal(&t->fields[i], a, b))
			return false;
	if (!ra || *ra == *rb)
		return true;
	return *ra && *rb && (*ra)->n == (*rb)->n && memcmp((*ra)->p, (*rb)->p, (*ra)->n) == 0;
}

bool field_is_empty(const struct field *f, const void *obj)
{
	const void *at = field_at(f, obj);

	switch (f->type) {
	case FIELD_TYPE_BOOL:
		return !*(const bool *)at;
	case FIELD_TYPE_I32:
	case FIELD_TYPE_U32:
	case FIELD_TYPE_ENUM:
		return *(const int32_t *)at == 0;
	case FIELD_TYPE_STR:
		return !*(char *const *)at || !**(char *const *)at;
	case FIELD_TYPE_STRS:
	case FIELD_TYPE_SET:
	case FIELD_TYPE_STRMAP:
	case FIELD_TYPE_LIST:
	case FIELD_TYPE_MAP:
	case FIELD_TYPE_BYTES:
		return ((const struct table_list *)at)->n == 0;
	case FIELD_TYPE_OBJ:
		for (size_t i = 0; i < f->sub->n_fields; i++)
			if (!field_is_empty(&f->sub->fields[i], at))
				return false;
		return true;
	default:
		return *(const uint64_t *)at == 0;
	}
}

static int field_check(const struct table *t, size_t i, bool stored, struct err *e)
{
	const struct field *f = &t->fields[i];

	if (f->offset + field_size(f) > t->size)
		return err_set(e, -EINVAL, "%s row %zu: outside of the struct", t->name, i);
	if (f->json && (f->flags & FIELD_SECRET))
		return err_set(e, -EINVAL, "%s row %zu: a secret with a JSON name", t->name, i);
	for (size_t k = 0; k < i; k++) {
		if (f->number && t->fields[k].number == f->number)
			return err_set(e, -EINVAL, "%s rows %zu and %zu: number %u twice", t->name,
				       k, i, f->number);
		if (f->json && t->fields[k].json && strcasecmp(f->json, t->fields[k].json) == 0)
			return err_set(e, -EINVAL, "%s rows %zu and %zu: name %s twice", t->name, k,
				       i, f->json);
	}
	if (f->sub && stored && f->number)
		return table_check(f->sub, e);
	return 0;
}

int table_check(const struct table *t, struct err *e)
{
	bool stored = false;
	int rc = 0;

	for (size_t i = 0; i < t->n_fields; i++)
		stored |= t->fields[i].number != 0;
	if (stored && !t->rest_end)
		return err_set(e, -EINVAL, "%s is stored but drops unknown fields", t->name);
	if (t->transparent && t->n_fields != 1)
		return err_set(e, -EINVAL, "%s is transparent but has %zu fields", t->name,
			       t->n_fields);
	for (size_t i = 0; i < t->n_fields && rc == 0; i++)
		rc = field_check(t, i, stored, e);
	return rc;
}
