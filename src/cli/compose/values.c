/*
 * Typed readings of nodes. See values.h.
 */
#include "cli/compose/values.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/text.h"

static bool is_absent(const struct compose_node *n)
{
	return !n || n->type == COMPOSE_NULL;
}

/* The text of a scalar; NULL when there is none (a problem unless absent). */
static const char *text_of(struct compose_project *p, const struct compose_node *n)
{
	if (is_absent(n))
		return NULL;
	if (n->type == COMPOSE_TEXT)
		return n->text;
	compose_problem(p, n, "%s%sis to be a single value", n->key ? n->key : "",
			n->key ? " " : "");
	return NULL;
}

static void wrong(struct compose_project *p, const struct compose_node *n, const char *what)
{
	compose_problem(p, n, "%s%s%.60s is no %s", n->key ? n->key : "", n->key ? ": " : "",
			n->text, what);
}

void compose_keys(struct compose_project *p, const struct compose_node *map,
		  const struct compose_key *keys, size_t n, void *data)
{
	if (is_absent(map))
		return;
	if (map->type != COMPOSE_MAP) {
		compose_problem(p, map, "%s is to be a map", map->key ? map->key : "this");
		return;
	}
	for (size_t i = 0; i < map->n; i++) {
		const struct compose_node *child = map->v[i];
		size_t at = 0;

		if (strncmp(child->key, "x-", 2) == 0)
			continue;
		while (at < n && strcmp(keys[at].name, child->key) != 0)
			at++;
		if (at == n)
			compose_problem(p, child, "unknown key %.60s", child->key);
		else if (keys[at].fn)
			keys[at].fn(p, child, data);
		else if (keys[at].harmless)
			compose_warn(p, child, "%s is ignored: %s", child->key, keys[at].why);
		else
			compose_problem(p, child, "%s is not supported: %s", child->key,
					keys[at].why);
	}
}

void compose_text(struct compose_project *p, const struct compose_node *n, char **ret)
{
	const char *text = text_of(p, n);

	if (text)
		str_set(ret, text);
}

void compose_bool(struct compose_project *p, const struct compose_node *n, bool *ret)
{
	static const char *const names[] = {"false", "true", "no", "yes", "off", "on"};
	const char *text = text_of(p, n);

	if (!text)
		return;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i], text) == 0) {
			*ret = i % 2;
			return;
		}
	wrong(p, n, "boolean (true or false)");
}

void compose_number(struct compose_project *p, const struct compose_node *n, int64_t min,
		    int64_t max, int64_t *ret)
{
	const char *text = text_of(p, n);
	char *end;
	long long v;

	if (!text)
		return;
	errno = 0;
	v = strtoll(text, &end, 0);
	if (errno || *end || end == text || isspace((unsigned char)*text))
		wrong(p, n, "whole number");
	else if (v < min || v > max)
		compose_problem(p, n, "%s: %s is not between %lld and %lld", n->key ? n->key : "",
				text, (long long)min, (long long)max);
	else
		*ret = v;
}

void compose_real(struct compose_project *p, const struct compose_node *n, double *ret)
{
	const char *text = text_of(p, n);
	char *end;
	double v;

	if (!text)
		return;
	v = strtod(text, &end);
	if (*end || end == text || !(v >= 0 && v <= 1e9))
		wrong(p, n, "number");
	else
		*ret = v;
}

void compose_duration(struct compose_project *p, const struct compose_node *n, int64_t *ret)
{
	const char *text = text_of(p, n);
	int64_t v;

	if (!text)
		return;
	if (duration_parse(text, &v) < 0 || v < 0)
		wrong(p, n, "duration (like 1m30s)");
	else
		*ret = v;
}

void compose_bytes(struct compose_project *p, const struct compose_node *n, int64_t *ret)
{
	const char *text = text_of(p, n);
	int64_t v;

	if (!text)
		return;
	if (size_parse(text, &v) < 0 || v < 0)
		wrong(p, n, "size (like 512M)");
	else
		*ret = v;
}

void compose_choice(struct compose_project *p, const struct compose_node *n,
		    const char *const *names, size_t n_names, size_t *ret)
{
	const char *text = text_of(p, n);

	if (!text)
		return;
	for (size_t i = 0; i < n_names; i++)
		if (strcmp(names[i], text) == 0) {
			*ret = i;
			return;
		}
	compose_problem(p, n, "%s: %.60s is none of what may stand here (%s, ...)",
			n->key ? n->key : "", text, names[0]);
}

void compose_strs(struct compose_project *p, const struct compose_node *n, struct strs *ret)
{
	if (is_absent(n))
		return;
	if (n->type != COMPOSE_LIST) {
		const char *text = text_of(p, n);

		if (text)
			strs_add(ret, text);
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const char *text = text_of(p, n->v[i]);

		if (text)
			strs_add(ret, text);
	}
}

void compose_strmap(struct compose_project *p, const struct compose_node *n, struct strmap *ret)
{
	if (is_absent(n))
		return;
	if (n->type == COMPOSE_TEXT)
		compose_problem(p, n, "%s is to be a map or a list", n->key ? n->key : "this");
	for (size_t i = 0; i < n->n; i++) {
		const struct compose_node *item = n->v[i];
		const char *text = text_of(p, item);

		if (n->type == COMPOSE_MAP) {
			strmap_set(ret, item->key, text ? text : "");
		} else if (text) {
			size_t len = strcspn(text, "=");
			auto_free char *key = xstrndup(text, len);

			strmap_set(ret, key, text[len] ? text + len + 1 : "");
		}
	}
}

/* What isspace() has: where a word ends the next one is looked for. */
#define BLANKS " \t\n\v\f\r"

/* One word from `p` on, as POSIX shells quote; NULL when a quote is not closed. */
static const char *word_read(const char *p, char *out)
{
	char quote = 0;

	for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
		if (quote == *p) {
			quote = 0;
		} else if (!quote && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else if (*p == '\\' && quote != '\'' && p[1] &&
			   (!quote || strchr("\"\\$`", p[1]))) {
			*out++ = *++p;
		} else {
			*out++ = *p;
		}
	}
	*out = 0;
	return quote ? NULL : p;
}

void compose_words(struct compose_project *p, const struct compose_node *n, struct strs *ret)
{
	const char *text;

	if (is_absent(n) || n->type == COMPOSE_LIST) {
		compose_strs(p, n, ret);
		return;
	}
	text = text_of(p, n);
	while (text && *(text += strspn(text, BLANKS))) {
		auto_free char *word = xmalloc(strlen(text) + 1);

		text = word_read(text, word);
		if (text)
			strs_add(ret, word);
		else
			compose_problem(p, n, "%s: a quote is not closed", n->key ? n->key : "");
	}
}
