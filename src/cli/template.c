/*
 * Templates of --format. See template.h.
 */
#include "cli/template.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/text.h"

/* "{{ .A.B }}" or "{{ json .A }}" between the braces. */
static int action(const char *text, size_t n, const struct template_parts *parts, struct err *e)
{
	auto_free char *copy = xstrndup(text, n);
	char *p = copy;
	size_t len;
	bool json = false;

	p += strspn(p, " \t-");
	for (len = strlen(p); len > 0 && strchr(" \t-", p[len - 1]); len--)
		p[len - 1] = 0;
	if (strncmp(p, "json", 4) == 0 && (p[4] == ' ' || p[4] == '\t')) {
		json = true;
		p += 4 + strspn(p + 4, " \t");
	}
	if (*p != '.' || strpbrk(p, " \t|()\"$")) {
		return err_set(e, -EINVAL,
			       "template parsing error: {{%.*s}} is not understood; only plain "
			       "fields like {{.ID}} and {{json .}} are",
			       (int)MIN_OF(n, 100), text);
	}
	return parts->field(p + 1, json, parts->data, e);
}

/* The text between actions, with \t and \n as what they stand for. */
static int literal(const char *text, size_t n, const struct template_parts *parts, struct err *e)
{
	auto_free char *copy = xmalloc(n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\\' && i + 1 < n && (text[i + 1] == 't' || text[i + 1] == 'n'))
			copy[len++] = text[++i] == 't' ? '\t' : '\n';
		else
			copy[len++] = text[i];
	}
	return len ? parts->literal(copy, len, parts->data, e) : 0;
}

int template_walk(const char *text, const struct template_parts *parts, struct err *e)
{
	int rc = 0;

	while (rc == 0 && *text) {
		const char *open = strstr(text, "{{");
		const char *close = open ? strstr(open, "}}") : NULL;
		size_t n = open ? (size_t)(open - text) : strlen(text);

		if (open && !close)
			return err_set(e, -EINVAL, "template parsing error: unclosed action in %s",
				       text);
		rc = literal(text, n, parts, e);
		if (rc == 0 && open)
			rc = action(open + 2, (size_t)(close - open) - 2, parts, e);
		text = close ? close + 2 : text + n;
	}
	return rc;
}

/* Filling in */

static void value_print(const json_t *v, struct buf *ret);

/* Go prints maps by their sorted keys. */
static void map_print(const json_t *v, struct buf *ret)
{
	size_t n = json_object_size(v);
	auto_free const char **keys = xcalloc(n + 1, sizeof *keys);
	const char *key;
	json_t *item;
	size_t i = 0;

	json_object_foreach((json_t *)(uintptr_t)v, key, item) keys[i++] = key;
	qsort(keys, n, sizeof *keys, text_order);
	buf_adds(ret, "map[");
	for (i = 0; i < n; i++) {
		buf_addf(ret, "%s%s:", i ? " " : "", keys[i]);
		value_print(json_object_get(v, keys[i]), ret);
	}
	buf_addc(ret, ']');
}

static void value_print(const json_t *v, struct buf *ret)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		buf_adds(ret, json_string_value(v));
		break;
	case JSON_INTEGER:
		buf_addf(ret, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		buf_addf(ret, "%g", json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_adds(ret, json_is_true(v) ? "true" : "false");
		break;
	case JSON_NULL:
		buf_adds(ret, "<no value>");
		break;
	case JSON_ARRAY:
		buf_addc(ret, '[');
		for (size_t i = 0; i < json_array_size(v); i++) {
			if (i)
				buf_addc(ret, ' ');
			value_print(json_array_get(v, i), ret);
		}
		buf_addc(ret, ']');
		break;
	case JSON_OBJECT:
		map_print(v, ret);
		break;
	}
}

struct fill {
	const json_t *value;
	struct buf *ret;
};

static int fill_literal(const char *text, size_t n, void *data, struct err *e)
{
	struct fill *f = data;

	(void)e;
	return buf_add(f->ret, text, n);
}

static int no_field(const json_t *at, const char *name, struct err *e)
{
	auto_buf names = BUF_INIT(400);
	const char *key;
	json_t *item;

	if (!json_is_object(at))
		return err_set(e, -EINVAL,
			       "template: there is no field %s: the value is not an object", name);
	json_object_foreach((json_t *)(uintptr_t)at, key, item) if (*key != '.')
		buf_addf(&names, "%s%s", names.len ? ", " : "", key);
	return err_set(e, -EINVAL, "template: there is no field %s; there are: %s", name,
		       buf_text(&names));
}

static int fill_field(const char *path, bool json, void *data, struct err *e)
{
	auto_free char *copy = xstrdup(path);
	struct fill *f = data;
	const json_t *at = f->value;
	char *save = NULL;

	for (char *name = strtok_r(copy, ".", &save); name; name = strtok_r(NULL, ".", &save)) {
		const json_t *next = json_object_get(at, name);

		if (!next)
			return no_field(at, name, e);
		at = next;
	}
	if (json) {
		auto_free char *text = json_dumps(at, JSON_COMPACT | JSON_ENCODE_ANY);

		return buf_adds(f->ret, text ? text : "null");
	}
	value_print(at, f->ret);
	return buf_status(f->ret);
}

int template_run(const char *text, const json_t *value, struct buf *ret, struct err *e)
{
	struct fill f = {value, ret};
	struct template_parts parts = {fill_literal, fill_field, &f};

	return template_walk(text, &parts, e);
}
