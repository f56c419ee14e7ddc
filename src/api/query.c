/*
 * Query values as the Engine API reads them. Pure text, all of it hostile; filters that are
 * regular expressions are held to what cannot run away.
 */
#include "api/query.h"

#include <jansson.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

static bool text_is_true(const char *text)
{
	static const char *const no[] = {"", "0", "no", "false", "none"};

	while (*text == ' ')
		text++;
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (strcasecmp(text, no[i]) == 0)
			return false;
	return true;
}

bool query_bool(const struct http_query *q, const char *name, bool missing)
{
	const char *text = http_query_get(q, name);

	return text ? text_is_true(text) : missing;
}

int query_int(const struct http_query *q, const char *name, int64_t missing, int64_t min,
	      int64_t max, int64_t *ret, struct err *e)
{
	const char *text = http_query_get(q, name);
	long long n;
	char *end;

	if (!text || !*text) {
		*ret = missing;
		return 0;
	}
	errno = 0;
	n = strtoll(text, &end, 10);
	if (*end || end == text || strchr(" \t\n\v\f\r+", *text))
		return err_set(e, -EINVAL, "%s must be a number, not \"%.64s\"", name, text);
	if (errno == ERANGE || n < min || n > max)
		return err_set(e, -EINVAL, "%s must be between %lld and %lld, not %.64s", name,
			       (long long)min, (long long)max, text);
	*ret = n;
	return 0;
}

int query_time(const struct http_query *q, const char *name, int64_t now_ns, int64_t *ret_ns,
	       struct err *e)
{
	const char *text = http_query_get(q, name);

	if (!text || !*text || strcmp(text, "0") == 0)
		return 0;
	if (time_parse_query(text, now_ns, ret_ns) < 0)
		return err_set(e, -EINVAL,
			       "%s must be seconds since 1970, a time like "
			       "2006-01-02T15:04:05Z or a duration like 10m, not \"%.64s\"",
			       name, text);
	return 0;
}

/* Filters */

static int filters_add(struct filters *f, const char *key, const char *value, struct err *e)
{
	if (f->count == LIMIT_FILTER_VALUES)
		return err_set(e, -EINVAL, "the filters have more than %d values",
			       LIMIT_FILTER_VALUES);
	if (f->count % 16 == 0)
		f->v = xreallocarray(f->v, f->count + 16, sizeof(*f->v));
	f->v[f->count++] = (struct filter_value){xstrdup(key), xstrdup(value)};
	return 0;
}

static bool key_allowed(const char *const *allowed, const char *key)
{
	for (; *allowed; allowed++)
		if (strcmp(*allowed, key) == 0)
			return true;
	return false;
}

/* {"value":true}: what is false was not asked for. */
static int read_set(struct filters *f, const char *key, json_t *set, struct err *e)
{
	const char *value;
	json_t *on;

	json_object_foreach(set, value, on)
	{
		int rc = 0;

		if (!json_is_boolean(on))
			return err_set(e, -EINVAL, "invalid filter '%.64s'", key);
		if (json_is_true(on))
			rc = filters_add(f, key, value, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_list(struct filters *f, const char *key, json_t *list, struct err *e)
{
	json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		int rc;

		if (!json_is_string(value))
			return err_set(e, -EINVAL, "invalid filter '%.64s'", key);
		rc = filters_add(f, key, json_string_value(value), e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_all(struct filters *f, json_t *root, const char *const *allowed, struct err *e)
{
	const char *key;
	json_t *values;

	json_object_foreach(root, key, values)
	{
		int rc;

		if (!key_allowed(allowed, key))
			return err_set(e, -EINVAL, "invalid filter '%.64s'", key);
		if (json_is_object(values))
			rc = read_set(f, key, values, e);
		else if (json_is_array(values))
			rc = read_list(f, key, values, e);
		else
			rc = err_set(e, -EINVAL, "invalid filter '%.64s'", key);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int filters_parse(const char *text, const char *const *allowed, struct filters *ret, struct err *e)
{
	struct filters f = {0};
	json_error_t why;
	json_t *root;
	int rc;

	*ret = f;
	if (!text || !*text)
		return 0;
	root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(root))
		rc = err_set(e, -EINVAL, "invalid filter: %s",
			     root ? "it must be a JSON object" : why.text);
	else
		rc = read_all(&f, root, allowed, e);
	json_decref(root);
	if (rc < 0)
		filters_done(&f);
	*ret = f;
	return rc;
}

int filters_read(const struct http_query *q, const char *const *allowed, struct filters *ret,
		 struct err *e)
{
	return filters_parse(http_query_get(q, "filters"), allowed, ret, e);
}

void filters_done(struct filters *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->v[i].key);
		free(f->v[i].value);
	}
	free(f->v);
	*f = (struct filters){0};
}

const char *filters_value(const struct filters *f, const char *key, size_t i)
{
	for (size_t k = 0; k < f->count; k++)
		if (strcmp(f->v[k].key, key) == 0 && i-- == 0)
			return f->v[k].value;
	return NULL;
}

bool filters_has(const struct filters *f, const char *key)
{
	return filters_value(f, key, 0) != NULL;
}

/*
 * glibc's matcher takes exponential memory for nested counts and time for back-references; a name
 * needs neither. What is not taken as an expression still matches as plain text.
 */
static bool pattern_is_tame(const char *pattern)
{
	if (strlen(pattern) > LIMIT_FILTER_PATTERN || strchr(pattern, '{'))
		return false;
	for (const char *p = pattern; (p = strchr(p, '\\')); p += p[1] ? 2 : 1)
		if (p[1] >= '0' && p[1] <= '9')
			return false;
	return true;
}

static bool regex_fits(const char *pattern, const char *value)
{
	regex_t re;
	bool fits;

	if (!pattern_is_tame(pattern) || regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	fits = regexec(&re, value, 0, NULL, 0) == 0;
	regfree(&re);
	return fits;
}

static bool value_equal(const char *wanted, const char *value)
{
	return strcmp(wanted, value) == 0;
}

static bool value_prefix(const char *wanted, const char *value)
{
	return strncmp(wanted, value, strlen(wanted)) == 0;
}

static bool value_name(const char *wanted, const char *value)
{
	return value_equal(wanted, value) || regex_fits(wanted, value);
}

static bool match_any(const struct filters *f, const char *key, const char *value,
		      bool (*fits)(const char *wanted, const char *value))
{
	const char *wanted;

	if (!filters_has(f, key))
		return true;
	for (size_t i = 0; (wanted = filters_value(f, key, i)); i++)
		if (fits(wanted, value ? value : ""))
			return true;
	return false;
}

bool filters_match(const struct filters *f, const char *key, const char *value)
{
	return match_any(f, key, value, value_equal);
}

bool filters_match_prefix(const struct filters *f, const char *key, const char *value)
{
	return match_any(f, key, value, value_prefix);
}

bool filters_match_name(const struct filters *f, const char *key, const char *value)
{
	return match_any(f, key, value, value_name);
}

static bool label_fits(const char *wanted, const struct strmap *labels)
{
	auto_free char *name = xstrdup(wanted);
	char *equals = strchr(name, '=');
	const char *value;

	if (equals)
		*equals = 0;
	value = strmap_get(labels, name);
	return value && (!equals || strcmp(value, equals + 1) == 0);
}

bool filters_match_labels(const struct filters *f, const char *key, const struct strmap *labels)
{
	const char *wanted;

	for (size_t i = 0; (wanted = filters_value(f, key, i)); i++)
		if (!label_fits(wanted, labels))
			return false;
	return true;
}

int filters_bool(const struct filters *f, const char *key, bool missing, bool *ret, struct err *e)
{
	const char *first = filters_value(f, key, 0), *text;
	bool value = missing;

	for (size_t i = 0; (text = filters_value(f, key, i)); i++) {
		bool yes = strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0;
		bool no = strcmp(text, "0") == 0 || strcasecmp(text, "false") == 0;

		if ((!yes && !no) || (text != first && value != yes))
			return err_set(e, -EINVAL, "invalid filter '%s=%.64s'", key, text);
		value = yes;
	}
	*ret = value;
	return 0;
}
