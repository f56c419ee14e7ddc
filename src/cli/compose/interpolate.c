/*
 * Variables in texts. See interpolate.h.
 */
#include "cli/compose/interpolate.h"

#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

struct expansion {
	const struct strmap *vars;
	struct strs *unset;
	struct buf *out;
	struct err *e;
};

static int expand(struct expansion *x, const char *p, const char *end, size_t depth);

static size_t name_length(const char *p, const char *end)
{
	size_t n = 0;

	if (p < end && (isalpha((unsigned char)*p) || *p == '_'))
		for (n = 1; p + n < end && (isalnum((unsigned char)p[n]) || p[n] == '_');)
			n++;
	return n;
}

/* The brace that closes what `p` stands in; NULL when there is none. */
static const char *brace_end(const char *p, const char *end)
{
	size_t open = 1;

	for (; p < end; p++) {
		if (*p == '$' && p + 1 < end && (p[1] == '$' || p[1] == '{'))
			open += *++p == '{';
		else if (*p == '}' && --open == 0)
			return p;
	}
	return NULL;
}

static void put(struct expansion *x, const char *name, const char *value)
{
	if (value)
		(void)buf_adds(x->out, value);
	else if (x->unset && !strs_has(x->unset, name))
		strs_add(x->unset, name);
}

/* What stands after ${NAME: an operator and its word, up to `end`. */
static int operate(struct expansion *x, const char *name, const char *p, const char *end,
		   size_t depth)
{
	const char *value = strmap_get(x->vars, name);
	bool colon = p < end && *p == ':';
	bool given = value && (!colon || *value);
	const char *word = p + colon + 1;
	char sign = p + colon < end ? p[colon] : 0;
	struct buf message = BUF_INIT(ERR_MSG_MAX / 2);
	struct expansion inner = {x->vars, x->unset, &message, x->e};
	int rc;

	switch (sign) {
	case '-':
		if (!given)
			return expand(x, word, end, depth + 1);
		put(x, name, value);
		return 0;
	case '+':
		return given ? expand(x, word, end, depth + 1) : 0;
	case '?':
		if (given) {
			put(x, name, value);
			return 0;
		}
		rc = expand(&inner, word, end, depth + 1);
		if (rc == 0)
			rc = err_set(x->e, -EINVAL, "required variable %s is missing a value%s%s",
				     name, message.len ? ": " : "", buf_text(&message));
		buf_done(&message);
		return rc;
	default:
		return err_set(x->e, -EINVAL,
			       "invalid interpolation at ${%s: after the name comes }, or one of "
			       "- ? + (with : before it or not)",
			       name);
	}
}

/* "${...}" from behind its brace; advances *p behind the closing one. */
static int braced(struct expansion *x, const char **p, const char *end, size_t depth)
{
	const char *close = brace_end(*p, end);
	size_t n = name_length(*p, end);
	auto_free char *name = xstrndup(*p, n);
	const char *rest = *p + n;

	if (!close || !n)
		return err_set(x->e, -EINVAL,
			       "invalid interpolation at ${%.40s: %s; write $$ for a dollar", *p,
			       n ? "the brace is not closed" : "a name is to follow");
	*p = close + 1;
	if (rest < close)
		return operate(x, name, rest, close, depth);
	put(x, name, strmap_get(x->vars, name));
	return 0;
}

static int expand(struct expansion *x, const char *p, const char *end, size_t depth)
{
	if (depth > LIMIT_COMPOSE_NESTED)
		return err_set(x->e, -EINVAL, "variables are nested deeper than %u",
			       LIMIT_COMPOSE_NESTED);
	while (p < end) {
		const char *dollar = memchr(p, '$', (size_t)(end - p));
		size_t n;

		(void)buf_add(x->out, p, (size_t)((dollar ? dollar : end) - p));
		if (!dollar)
			break;
		p = dollar + 1;
		n = name_length(p, end);
		if (n) {
			auto_free char *name = xstrndup(p, n);

			put(x, name, strmap_get(x->vars, name));
			p += n;
		} else if (p < end && *p == '$') {
			(void)buf_addc(x->out, '$');
			p++;
		} else if (p < end && *p == '{') {
			p++;
			if (braced(x, &p, end, depth) < 0)
				return -EINVAL;
		} else {
			return err_set(x->e, -EINVAL,
				       "invalid interpolation: a $ with neither a name nor a brace "
				       "after it; write $$ for a dollar");
		}
	}
	return 0;
}

int compose_expand(const char *text, const struct strmap *vars, struct strs *unset, struct buf *ret,
		   struct err *e)
{
	struct expansion x = {vars, unset, ret, e};

	if (expand(&x, text, text + strlen(text), 0) < 0)
		return -EINVAL;
	return buf_status(ret) < 0
		       ? err_set(e, -EMSGSIZE, "a text with its variables is longer than %u bytes",
				 LIMIT_COMPOSE_FILE)
		       : 0;
}

/* Environment files */

struct env_reader {
	const char *name;
	size_t line;
	struct strmap known; /* what variables are looked up in */
	struct strmap *ret;
	struct err *e;
};

/* The end of a quoted text whose quote stands before `p`; NULL when it is not closed. */
static char *quote_end(char *p, char quote)
{
	for (; *p && *p != quote; p++)
		if (quote == '"' && *p == '\\' && p[1])
			p++;
	return *p ? p : NULL;
}

static void unescape(char *text)
{
	static const char from[] = "nrt", to[] = "\n\r\t";
	char *out = text;

	for (; *text; text++) {
		const char *at;

		if (*text != '\\' || !text[1] || text[1] == '$') {
			*out++ = *text;
			continue;
		}
		at = strchr(from, *++text);
		*out++ = at ? to[at - from] : *text;
	}
	*out = 0;
}

static int env_put(struct env_reader *r, const char *key, const char *value, bool literal)
{
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);

	if (!literal && compose_expand(value, &r->known, NULL, &b, r->e) < 0)
		return err_wrap(r->e, "%s:%zu", r->name, r->line);
	strmap_set(r->ret, key, literal ? value : buf_text(&b));
	if (!strmap_get(&r->known, key)) /* the environment's own value stays before the file's */
		strmap_set(&r->known, key, literal ? value : buf_text(&b));
	return 0;
}

/* The value at `p`; *p goes to the line's end. */
static int env_value(struct env_reader *r, const char *key, char **p)
{
	char quote = **p;
	char *start = *p, *end;

	if (quote == '"' || quote == '\'') {
		end = quote_end(++start, quote);
		if (!end)
			return err_set(r->e, -EINVAL, "%s:%zu: the quote of %s is not closed",
				       r->name, r->line, key);
		*end++ = 0;
		for (const char *q = start; *q; q++)
			r->line += *q == '\n';
		*p = end + strcspn(end, "\n");
		if (quote == '"')
			unescape(start);
		return env_put(r, key, start, quote == '\'');
	}
	end = start + strcspn(start, "\n");
	*p = *end ? end + 1 : end;
	*end = 0;
	for (char *hash = start; (hash = strchr(hash, '#')); hash++)
		if (hash == start || hash[-1] == ' ' || hash[-1] == '\t') {
			*hash = 0;
			break;
		}
	for (end = start + strlen(start); end > start && isspace((unsigned char)end[-1]);)
		*--end = 0;
	return env_put(r, key, start, false);
}

/* One line from its first letter on. */
static int env_line(struct env_reader *r, char **p)
{
	auto_free char *key = NULL;
	const char *own;
	char *q = *p;
	size_t n;

	if (strncmp(q, "export ", 7) == 0)
		q += 7;
	n = strcspn(q, "= \t\r\n");
	key = xstrndup(q, n);
	q += n;
	q += strspn(q, " \t\r");
	if (!n || (*q && *q != '=' && *q != '\n' && *q != '#'))
		return err_set(r->e, -EINVAL, "%s:%zu: a line is NAME=value", r->name, r->line);
	if (*q == '=') {
		*p = q + 1 + strspn(q + 1, " \t");
		return env_value(r, key, p);
	}
	*p = q + strcspn(q, "\n");
	own = strmap_get(&r->known, key);
	return own ? env_put(r, key, own, true) : 0;
}

int compose_env_read(const char *name, char *text, const struct strmap *vars, struct strmap *ret,
		     struct err *e)
{
	struct env_reader r = {.name = name, .line = 1, .ret = ret, .e = e};
	char *p = text;
	int rc = 0;

	LIST_EACH (v, vars)
		strmap_set(&r.known, v->key, v->value);
	while (rc == 0 && *p) {
		char *before;

		p += strspn(p, " \t\r");
		before = p;
		if (*p == '\n') {
			p++;
			r.line++;
		} else if (*p == '#') {
			p += strcspn(p, "\n");
		} else if (*p) {
			rc = env_line(&r, &p);
			r.line += p > before && p[-1] == 0; /* the newline was overwritten */
		}
	}
	strmap_done(&r.known);
	return rc;
}
