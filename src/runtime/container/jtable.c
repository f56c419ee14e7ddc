/*
 * JSON by table: see jtable.h. The document's shape is checked to the letter; every sentence
 * names the property by its path.
 */
#include "runtime/container/jtable.h"

#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define PATH_MAX_LEN 256

/* All lists look like this: {T *v; size_t n}. */
struct jt_list {
	void *v;
	size_t n;
};

struct jt_reader {
	bool strict;
	struct err *e;
	char path[PATH_MAX_LEN]; /* "config.json: linux.resources" */
	size_t len;
};

static int read_object(struct jt_reader *r, const struct jt_type *t, json_t *o, void *p);

void jt_init(const struct jt_type *t, void *p)
{
	memset(p, 0, t->size);
	for (const struct jt_field *f = t->fields; f->name; f++) {
		char *at = (char *)p + f->off;

		if (f->kind == JT_I64)
			*(int64_t *)at = SPEC_UNSET;
		else if (f->kind == JT_OBJ)
			jt_init(f->type, at);
	}
}

static void done_field(const struct jt_field *f, char *at)
{
	struct jt_list *l = (struct jt_list *)at;

	switch (f->kind) {
	case JT_STR:
		free(*(char **)at);
		break;
	case JT_STRS:
		spec_strs_done((struct spec_strs *)at);
		break;
	case JT_U32S:
		free(l->v);
		break;
	case JT_PAIRS:
		for (size_t i = 0; i < l->n; i++) {
			free(((struct spec_pair *)l->v)[i].key);
			free(((struct spec_pair *)l->v)[i].value);
		}
		free(l->v);
		break;
	case JT_OBJ:
		jt_done(f->type, at);
		break;
	case JT_MAP:
		for (size_t i = 0; i < l->n; i++)
			free(*(char **)((char *)l->v + i * f->type->size));
		/* fall through */
	case JT_OBJS:
		for (size_t i = 0; i < l->n; i++)
			jt_done(f->type, (char *)l->v + i * f->type->size);
		free(l->v);
		break;
	default:
		break;
	}
}

void jt_done(const struct jt_type *t, void *p)
{
	for (const struct jt_field *f = t->fields; f->name; f++)
		done_field(f, (char *)p + f->off);
	jt_init(t, p);
}

static int bad(struct jt_reader *r, const char *name, const char *must)
{
	return err_set(r->e, -EINVAL, "%s%s %s", r->path, name, must);
}

static int read_strs(struct jt_reader *r, const char *name, json_t *v, struct spec_strs *ret)
{
	size_t i;
	json_t *item;

	if (!json_is_array(v) || json_array_size(v) > LIMIT_SPEC_LIST)
		return bad(r, name, "must be a list of strings");
	json_array_foreach(v, i, item)
	{
		if (!json_is_string(item) ||
		    strlen(json_string_value(item)) != json_string_length(item))
			return bad(r, name, "must be a list of strings");
		spec_strs_add(ret, json_string_value(item));
	}
	return 0;
}

static int read_u32s(struct jt_reader *r, const char *name, json_t *v, struct spec_u32s *ret)
{
	size_t i;
	json_t *item;

	if (!json_is_array(v) || json_array_size(v) > LIMIT_SPEC_LIST)
		return bad(r, name, "must be a list of numbers");
	json_array_foreach(v, i, item)
	{
		double d = json_number_value(item);

		if (!json_is_number(item) || d < 0 || d > UINT32_MAX || d != __builtin_trunc(d))
			return bad(r, name, "must be a list of numbers below 2^32");
		spec_u32s_add(ret, (uint32_t)d);
	}
	return 0;
}

static int read_pairs(struct jt_reader *r, const char *name, json_t *v, struct spec_pairs *ret)
{
	const char *key;
	json_t *item;

	if (!json_is_object(v) || json_object_size(v) > LIMIT_SPEC_LIST)
		return bad(r, name, "must be an object of strings");
	json_object_foreach(v, key, item)
	{
		if (!json_is_string(item))
			return bad(r, name, "must be an object of strings");
		spec_pairs_add(ret, key, json_string_value(item));
	}
	return 0;
}

static size_t path_push(struct jt_reader *r, const char *name, long index)
{
	size_t old = r->len;
	int n;

	if (index < 0)
		n = snprintf(r->path + r->len, sizeof(r->path) - r->len, "%s.", name);
	else
		n = snprintf(r->path + r->len, sizeof(r->path) - r->len, "%s[%ld].", name, index);
	r->len = MIN_OF(r->len + (size_t)n, sizeof(r->path) - 1);
	return old;
}

static void path_pop(struct jt_reader *r, size_t old)
{
	r->len = old;
	r->path[old] = 0;
}

/* As much as spec_add_*() expects behind a list: up to the next power of two. */
static void *list_room(size_t n, size_t size)
{
	size_t room = 1;

	while (room < n)
		room *= 2;
	return xcalloc(room, size);
}

static int read_objects(struct jt_reader *r, const struct jt_field *f, json_t *v,
			struct jt_list *ret)
{
	size_t i;
	json_t *item;

	if (!json_is_array(v) || json_array_size(v) > LIMIT_SPEC_LIST)
		return bad(r, f->name, "must be a list of objects");
	ret->v = list_room(json_array_size(v), f->type->size);
	json_array_foreach(v, i, item)
	{
		void *at = (char *)ret->v + i * f->type->size;
		size_t old;
		int rc;

		if (!json_is_object(item))
			return bad(r, f->name, "must be a list of objects");
		jt_init(f->type, at);
		ret->n = i + 1;
		old = path_push(r, f->name, (long)i);
		rc = read_object(r, f->type, item, at);
		path_pop(r, old);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_map(struct jt_reader *r, const struct jt_field *f, json_t *v, struct jt_list *ret)
{
	const char *key;
	json_t *item;

	if (!json_is_object(v) || json_object_size(v) > LIMIT_SPEC_LIST)
		return bad(r, f->name, "must be an object of objects");
	ret->v = list_room(json_object_size(v), f->type->size);
	json_object_foreach(v, key, item)
	{
		void *at = (char *)ret->v + ret->n * f->type->size;
		size_t old, inner;
		int rc;

		if (!json_is_object(item))
			return bad(r, f->name, "must be an object of objects");
		jt_init(f->type, at);
		*(char **)at = xstrdup(key);
		ret->n++;
		old = path_push(r, f->name, -1);
		inner = path_push(r, key, -1);
		rc = read_object(r, f->type, item, at);
		path_pop(r, inner);
		path_pop(r, old);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Go's tools write 2^64-1 for "no limit", which jansson only takes when it reads reals. */
static int read_number(struct jt_reader *r, const struct jt_field *f, json_t *v, char *at)
{
	double d = json_number_value(v);

	if (!json_is_number(v) || d != __builtin_trunc(d))
		return bad(r, f->name, "must be a whole number");
	if (d < (f->kind == JT_U64 ? -1.0 : -9223372036854774784.0) ||
	    d > (f->kind == JT_U64 ? 18446744073709551616.0 : 9223372036854774784.0))
		return bad(r, f->name, "is out of range");
	if (f->kind == JT_U64)
		*(uint64_t *)at = json_is_integer(v)            ? (uint64_t)json_integer_value(v)
				  : d >= 18446744073709549568.0 ? UINT64_MAX
								: (uint64_t)d;
	else
		*(int64_t *)at = json_is_integer(v) ? json_integer_value(v) : (int64_t)d;
	return 0;
}

static bool json_is_empty(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) ||
	       (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0) ||
	       (json_is_string(v) && json_string_length(v) == 0);
}

static int read_field(struct jt_reader *r, const struct jt_field *f, json_t *v, void *p)
{
	char *at = (char *)p + f->off;
	size_t old;
	int rc;

	switch (f->kind) {
	case JT_STR:
		if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
			return bad(r, f->name, "must be a string");
		*(char **)at = xstrdup(json_string_value(v));
		return 0;
	case JT_BOOL:
		if (!json_is_boolean(v))
			return bad(r, f->name, "must be true or false");
		*(bool *)at = json_is_true(v);
		return 0;
	case JT_I64:
	case JT_U64:
		return read_number(r, f, v, at);
	case JT_STRS:
		return read_strs(r, f->name, v, (struct spec_strs *)at);
	case JT_U32S:
		return read_u32s(r, f->name, v, (struct spec_u32s *)at);
	case JT_PAIRS:
		return read_pairs(r, f->name, v, (struct spec_pairs *)at);
	case JT_OBJ:
		if (!json_is_object(v))
			return bad(r, f->name, "must be an object");
		if (f->has)
			*((bool *)((char *)p + f->has - 1)) = true;
		old = path_push(r, f->name, -1);
		rc = read_object(r, f->type, v, at);
		path_pop(r, old);
		return rc;
	case JT_OBJS:
		return read_objects(r, f, v, (struct jt_list *)at);
	case JT_MAP:
		return read_map(r, f, v, (struct jt_list *)at);
	case JT_NO:
		if (json_is_empty(v))
			return 0;
		return err_set(r->e, -ENOSYS, "%s%s is not supported", r->path, f->name);
	case JT_SKIP:
		return 0;
	}
	return 0;
}

static int read_object(struct jt_reader *r, const struct jt_type *t, json_t *o, void *p)
{
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
	{
		const struct jt_field *f = t->fields;
		int rc;

		while (f->name && strcmp(f->name, key) != 0)
			f++;
		if (!f->name) {
			if (!r->strict)
				continue;
			return err_set(r->e, -EINVAL, "%s%.64s is not a property of this document",
				       r->path, key);
		}
		if (json_is_null(v))
			continue;
		rc = read_field(r, f, v, p);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int jt_parse(const struct jt_type *t, const char *json, size_t n, bool strict, const char *what,
	     void *p, struct err *e)
{
	struct jt_reader r = {.strict = strict, .e = e};
	json_error_t je;
	json_t *root;
	int rc;

	jt_init(t, p);
	if (n > LIMIT_SPEC_JSON)
		return err_set(e, -EINVAL, "%s is larger than %u bytes", what, LIMIT_SPEC_JSON);
	root = json_loadb(json, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (!root)
		root = json_loadb(
			json, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL,
			&je);
	if (!root)
		return err_set(e, -EINVAL, "%s, line %d: %s", what, je.line, je.text);
	r.len = (size_t)snprintf(r.path, sizeof(r.path), "%s: ", what);
	if (!json_is_object(root))
		rc = err_set(e, -EINVAL, "%s must be a JSON object", what);
	else
		rc = read_object(&r, t, root, p);
	json_decref(root);
	if (rc < 0)
		jt_done(t, p);
	return rc;
}
