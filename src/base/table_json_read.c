/*
 * Reading JSON into structs by their tables. See table.h. Every error names the member's path.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/table_impl.h"

/* The way from the root to the value in hand, for messages; lives on the stack. */
struct json_path {
	const struct json_path *up;
	const char *name; /* NULL: an index */
	size_t index;
};

static void path_write(const struct json_path *path, struct buf *ret)
{
	if (!path)
		return;
	path_write(path->up, ret);
	if (!path->name)
		(void)buf_addf(ret, "[%zu]", path->index);
	else
		(void)buf_addf(ret, "%s%s", ret->len ? "." : "", path->name);
}

static const char *json_kind(const json_t *v)
{
	static const char *const names[] = {"an object", "a list", "a string", "a number",
					    "a number",  "true",   "false",    "null"};

	return names[json_typeof(v)];
}

static int json_bad(const struct json_path *path, const char *wanted, const json_t *got,
		    struct err *e)
{
	auto_buf where = BUF_INIT(200);

	path_write(path, &where);
	return err_set(e, -EINVAL, "invalid JSON: %s must be %s, not %s",
		       where.len ? buf_text(&where) : "the body", wanted, json_kind(got));
}

static int json_bad_value(const struct json_path *path, const char *value, const char *why,
			  struct err *e)
{
	auto_buf where = BUF_INIT(200);

	path_write(path, &where);
	return err_set(e, -EINVAL, "invalid JSON: %s: \"%.100s\" %s", buf_text(&where), value, why);
}

static int struct_read(const struct table *t, const json_t *value, void *ret,
		       const struct json_path *path, struct err *e);

static int required_check(const struct table *t, const json_t *value, const struct json_path *path,
			  struct err *e);

static int integer_read(const json_t *v, int64_t min, int64_t max, int64_t *ret,
			const struct json_path *path, struct err *e)
{
	if (!json_is_integer(v))
		return json_bad(path, "a whole number", v, e);
	if (json_integer_value(v) < min || json_integer_value(v) > max)
		return json_bad(path,
				max == UINT32_MAX || min == 0
					? "a number that is not negative and in range"
					: "a number in range",
				v, e);
	*ret = json_integer_value(v);
	return 0;
}

static int text_read(const json_t *v, char **ret, const struct json_path *path, struct err *e)
{
	if (!json_is_string(v))
		return json_bad(path, "a string", v, e);
	str_set(ret, json_string_value(v));
	return 0;
}

static int enum_read(const struct field *f, const json_t *v, int *ret, const struct json_path *path,
		     struct err *e)
{
	auto_buf allowed = BUF_INIT(300);

	if (!json_is_string(v))
		return json_bad(path, "a string", v, e);
	for (uint32_t i = 0; i < f->n_names; i++) {
		if (f->names[i] && strcmp(f->names[i], json_string_value(v)) == 0) {
			*ret = (int)i;
			return 0;
		}
		if (f->names[i] && *f->names[i])
			(void)buf_addf(&allowed, "%s%s", allowed.len ? ", " : "is none of ",
				       f->names[i]);
	}
	return json_bad_value(path, json_string_value(v), buf_text(&allowed), e);
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* What was given is not quoted: it may be a secret, and the sentence goes to clients and logs. */
static int base64_bad(const struct json_path *path, size_t at, struct err *e)
{
	auto_buf where = BUF_INIT(200);

	path_write(path, &where);
	return err_set(e, -EINVAL, "invalid JSON: %s is not base64 (at character %zu)",
		       buf_text(&where), at + 1);
}

static int bytes_read(const json_t *v, struct bytes *ret, const struct json_path *path,
		      struct err *e)
{
	const char *s = json_string_value(v);
	uint32_t acc = 0;
	size_t len;

	if (!s)
		return json_bad(path, "a string", v, e);
	len = strlen(s);
	ret->p = secret_new(len / 4 * 3 + 3); /* most bytes in JSON are a secret's */
	while (len && s[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++) {
		int d = base64_value(s[i]);

		if (d < 0 || len % 4 == 1)
			return base64_bad(path, len % 4 == 1 ? len - 1 : i, e);
		acc = acc << 6 | (uint32_t)d;
		if (i % 4 > 0)
			ret->p[ret->n++] = (uint8_t)(acc >> (6 - 2 * (i % 4)));
	}
	return 0;
}

static int strings_read(const struct field *f, const json_t *v, struct strs *ret,
			const struct json_path *path, struct err *e)
{
	size_t n = json_array_size(v);

	if ((f->flags & FIELD_ONE) && json_is_string(v)) {
		strs_add(ret, json_string_value(v));
		return 0;
	}
	if (!json_is_array(v))
		return json_bad(path, "a list of strings", v, e);
	ret->v = n ? xcalloc(n, sizeof *ret->v) : NULL;
	for (size_t i = 0; i < n; i++) {
		struct json_path at = {.up = path, .index = i};

		ret->n = i + 1;
		if (text_read(json_array_get(v, i), &ret->v[i], &at, e) < 0)
			return -EINVAL;
	}
	return 0;
}

static int strmap_read(bool set, const json_t *v, void *ret, const struct json_path *path,
		       struct err *e)
{
	struct strmap m = {0};
	struct strs *names = ret;
	const char *key;
	json_t *item;
	int rc = 0;

	if (!json_is_object(v))
		return json_bad(path, "an object", v, e);
	m.v = xcalloc(json_object_size(v) + 1, sizeof *m.v);
	json_object_foreach((json_t *)(uintptr_t)v, key, item)
	{
		struct json_path at = {.up = path, .name = key};

		m.v[m.n].key = xstrdup(key);
		m.v[m.n].value = NULL;
		m.n++;
		if (!set)
			rc = json_is_null(item) ? 0 : text_read(item, &m.v[m.n - 1].value, &at, e);
		if (rc < 0)
			break;
		if (!set && !m.v[m.n - 1].value)
			m.v[m.n - 1].value = xstrdup("");
	}
	strmap_sort(&m);
	if (!set) {
		*(struct strmap *)ret = m;
		return rc;
	}
	for (size_t i = 0; i < m.n; i++)
		strs_add(names, m.v[i].key);
	strmap_done(&m);
	return rc;
}

/* What stands in a list or a map: null is an empty object there, as Go has it. */
static int item_read(const struct table *t, const json_t *v, void *ret,
		     const struct json_path *path, struct err *e)
{
	return json_is_null(v) ? required_check(t, v, path, e) : struct_read(t, v, ret, path, e);
}

static int list_read(const struct field *f, const json_t *v, struct table_list *ret,
		     const struct json_path *path, struct err *e)
{
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		return json_bad(path, "a list", v, e);
	ret->v = n ? xcalloc(n, f->sub->size) : NULL;
	ret->n = n;
	for (size_t i = 0; i < n; i++) {
		struct json_path at = {.up = path, .index = i};

		if (item_read(f->sub, json_array_get(v, i), ret->v + i * f->sub->size, &at, e) < 0)
			return -EINVAL;
	}
	return 0;
}

static int map_read(const struct field *f, const json_t *v, struct table_list *ret,
		    const struct json_path *path, struct err *e)
{
	size_t size = map_entry_size(f->sub);
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return json_bad(path, "an object", v, e);
	ret->v = xcalloc(json_object_size(v) + 1, size);
	json_object_foreach((json_t *)(uintptr_t)v, key, item)
	{
		struct json_path at = {.up = path, .name = key};
		char *entry = ret->v + ret->n * size;

		*(char **)entry = xstrdup(key);
		ret->n++;
		if (item_read(f->sub, item, entry + sizeof(char *), &at, e) < 0)
			return -EINVAL;
	}
	map_sort(f->sub, ret);
	return 0;
}

static int number_read(const struct field *f, const json_t *v, void *at,
		       const struct json_path *path, struct err *e)
{
	int64_t n = 0;
	int rc;

	switch (f->type) {
	case FIELD_TYPE_I32:
		rc = integer_read(v, INT32_MIN, INT32_MAX, &n, path, e);
		*(int32_t *)at = (int32_t)n;
		return rc;
	case FIELD_TYPE_U32:
		rc = integer_read(v, 0, UINT32_MAX, &n, path, e);
		*(uint32_t *)at = (uint32_t)n;
		return rc;
	case FIELD_TYPE_I64:
		return integer_read(v, INT64_MIN, INT64_MAX, at, path, e);
	case FIELD_TYPE_U64:
		return integer_read(v, 0, INT64_MAX, at, path, e);
	case FIELD_TYPE_OPT_I64:
	case FIELD_TYPE_OPT_U64:
		*(int64_t **)at = xcalloc(1, sizeof(int64_t));
		return integer_read(v, f->type == FIELD_TYPE_OPT_U64 ? 0 : INT64_MIN, INT64_MAX,
				    *(int64_t **)at, path, e);
	default:
		if (!json_is_number(v))
			return json_bad(path, "a number", v, e);
		*(double *)at = json_number_value(v);
		return 0;
	}
}

static int bool_read(const struct field *f, const json_t *v, void *at, const struct json_path *path,
		     struct err *e)
{
	bool *to = at;

	if (!json_is_boolean(v))
		return json_bad(path, "true or false", v, e);
	if (f->type == FIELD_TYPE_OPT_BOOL)
		to = *(bool **)at = xcalloc(1, sizeof(bool));
	*to = json_is_true(v);
	return 0;
}

static int raw_read(const json_t *v, char **ret)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	*ret = xstrdup(text ? text : "null");
	free(text);
	return 0;
}

static int field_read(const struct field *f, const json_t *v, void *obj,
		      const struct json_path *path, struct err *e)
{
	void *at = field_at(f, obj);

	field_done(f, obj); /* a hostile text may name a member twice */
	switch (f->type) {
	case FIELD_TYPE_BOOL:
	case FIELD_TYPE_OPT_BOOL:
		return bool_read(f, v, at, path, e);
	case FIELD_TYPE_TIME:
		if (!json_is_string(v))
			return json_bad(path, "a time", v, e);
		if (time_parse(json_string_value(v), at) < 0)
			return json_bad_value(path, json_string_value(v), "is no RFC 3339 time", e);
		return 0;
	case FIELD_TYPE_ENUM:
		return enum_read(f, v, at, path, e);
	case FIELD_TYPE_STR:
		return text_read(v, at, path, e);
	case FIELD_TYPE_BYTES:
		return bytes_read(v, at, path, e);
	case FIELD_TYPE_RAW:
		return raw_read(v, at);
	case FIELD_TYPE_STRS:
		return strings_read(f, v, at, path, e);
	case FIELD_TYPE_SET:
	case FIELD_TYPE_STRMAP:
		return strmap_read(f->type == FIELD_TYPE_SET, v, at, path, e);
	case FIELD_TYPE_OBJ:
		return struct_read(f->sub, v, at, path, e);
	case FIELD_TYPE_PTR:
		*(void **)at = xcalloc(1, f->sub->size);
		return struct_read(f->sub, v, *(void **)at, path, e);
	case FIELD_TYPE_LIST:
		return list_read(f, v, at, path, e);
	case FIELD_TYPE_MAP:
		return map_read(f, v, at, path, e);
	default:
		return number_read(f, v, at, path, e);
	}
}

static const struct field *field_named(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (t->fields[i].json && strcasecmp(t->fields[i].json, name) == 0)
			return &t->fields[i];
	return NULL;
}

static int required_check(const struct table *t, const json_t *value, const struct json_path *path,
			  struct err *e)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];
		struct json_path at = {.up = path, .name = f->json};
		auto_buf where = BUF_INIT(200);
		const char *key;
		json_t *item;
		bool found = false;

		if (!(f->flags & FIELD_REQUIRED))
			continue;
		json_object_foreach((json_t *)(uintptr_t)value, key, item) found |=
			strcasecmp(key, f->json) == 0 && !json_is_null(item);
		if (found)
			continue;
		path_write(&at, &where);
		return err_set(e, -EINVAL, "invalid JSON: %s is missing", buf_text(&where));
	}
	return 0;
}

static int struct_read(const struct table *t, const json_t *value, void *ret,
		       const struct json_path *path, struct err *e)
{
	const char *key;
	json_t *item;

	if (t->transparent)
		return field_read(&t->fields[0], value, ret, path, e);
	if (!json_is_object(value))
		return json_bad(path, "an object", value, e);
	json_object_foreach((json_t *)(uintptr_t)value, key, item)
	{
		const struct field *f = field_named(t, key);
		struct json_path at = {.up = path, .name = key};

		if (!f || json_is_null(item))
			continue;
		if (field_read(f, item, ret, &at, e) < 0)
			return -EINVAL;
	}
	return required_check(t, value, path, e);
}

int json_read_value(const struct table *t, const json_t *value, void *ret, struct err *e)
{
	int rc = struct_read(t, value, ret, NULL, e);

	if (rc < 0)
		table_done(t, ret);
	return rc;
}

/* A text of JSON may hold secrets, and jansson keeps pieces of it in memory of its own. */
static void json_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static pthread_once_t json_memory = PTHREAD_ONCE_INIT;

static void json_memory_set(void)
{
	json_set_alloc_funcs(malloc, json_free);
}

int json_read(const struct table *t, const char *text, size_t n, void *ret, struct err *e)
{
	json_error_t why;
	json_t *value;
	int rc;

	(void)pthread_once(&json_memory, json_memory_set);
	value = json_loadb(text, n, JSON_DECODE_ANY, &why);
	if (!value)
		return err_set(e, -EINVAL, "invalid JSON: %s (line %d, column %d)", why.text,
			       why.line, why.column);
	rc = json_read_value(t, value, ret, e);
	json_decref(value);
	return rc;
}
