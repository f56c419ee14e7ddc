/*
 * See exposition.h. Source: "Exposition formats", prometheus.io/docs/instrumenting.
 */
#include "model/exposition.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define NAME_START "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:"
#define NAME_REST NAME_START "0123456789"
#define BLANKS " \t"

static const char *blanks_skip(const char *p)
{
	return p + strspn(p, BLANKS);
}

static size_t name_length(const char *p)
{
	return strspn(p, NAME_START) ? strspn(p, NAME_REST) : 0;
}

/* `"text"` with \\, \" and \n; what follows it, or NULL. */
static const char *quoted_read(const char *p, struct buf *ret)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		char c = *p;

		if (!c)
			return NULL;
		if (c == '\\') {
			c = *++p;
			if (c == 'n')
				c = '\n';
			else if (c != '\\' && c != '"')
				return NULL;
		}
		if (buf_add(ret, &c, 1) < 0)
			return NULL;
	}
	return p + 1;
}

/* After a name: `{a="b",...}`, if it is there, into the map. What follows it, or NULL. */
static const char *labels_read(const char *p, struct strmap *ret)
{
	if (*p != '{')
		return p;
	p = blanks_skip(p + 1);
	while (*p != '}') {
		size_t n = name_length(p);
		auto_free char *name = xstrndup(p, n);
		auto_buf value = BUF_INIT(LIMIT_METRIC_LINE);

		p = blanks_skip(p + n);
		if (!n || *p != '=' || !(p = quoted_read(blanks_skip(p + 1), &value)) ||
		    ret->n >= LIMIT_METRIC_LABELS)
			return NULL;
		strmap_set(ret, name, buf_text(&value));
		p = blanks_skip(p);
		if (*p == ',')
			p = blanks_skip(p + 1);
		else if (*p != '}')
			return NULL;
	}
	return p + 1;
}

int metric_selector_read(const char *text, struct metric_selector *ret, struct err *e)
{
	struct metric_selector s = {0};
	size_t n = name_length(text);
	const char *end =
		n && strlen(text) <= LIMIT_METRIC_TEXT ? labels_read(text + n, &s.labels) : NULL;

	if (!end || *end) {
		strmap_done(&s.labels);
		return err_set(e, -EINVAL,
			       "\"%.80s\" is neither a metric's name nor NAME{label=\"value\",...} "
			       "of at most %d characters",
			       text, LIMIT_METRIC_TEXT);
	}
	s.name = xstrndup(text, n);
	*ret = s;
	return 0;
}

void metric_selector_done(struct metric_selector *s)
{
	free(s->name);
	strmap_done(&s->labels);
	*s = (struct metric_selector){0};
}

void exposition_init(struct exposition *x, const struct metric_selector *selector)
{
	*x = (struct exposition){.selector = selector, .line = BUF_INIT(LIMIT_METRIC_LINE)};
}

void exposition_done(struct exposition *x)
{
	buf_done(&x->line);
}

/* Whether `name` is the first `n` bytes of `base` and one of the endings, up to a NULL. */
static bool is_part_of(const char *name, const char *base, size_t n, const char *const *endings)
{
	if (strncmp(name, base, n) != 0)
		return false;
	for (; *endings; endings++)
		if (strcmp(name + n, *endings) == 0)
			return true;
	return false;
}

/* "# TYPE name counter"; parts of histograms and summaries only rise as well. */
static void type_read(struct exposition *x, const char *p)
{
	static const char *const counters[] = {"", "_total", NULL};
	static const char *const parts[] = {"_sum", "_count", "_bucket", NULL};
	const char *name, *metric = x->selector->name;
	size_t n;

	p = blanks_skip(p + 1);
	if (strncmp(p, "TYPE", 4) != 0 || !strchr(BLANKS, p[4]))
		return;
	name = blanks_skip(p + 4);
	n = name_length(name);
	p = blanks_skip(name + n);
	if (strncmp(p, "counter", 7) == 0)
		x->counter |= is_part_of(metric, name, n, counters);
	else if (strncmp(p, "histogram", 9) == 0 || strncmp(p, "summary", 7) == 0)
		x->counter |= is_part_of(metric, name, n, parts);
}

static bool labels_match(const struct strmap *want, const struct strmap *have)
{
	for (size_t i = 0; i < want->n; i++) {
		const char *value = strmap_get(have, want->v[i].key);

		/* A label that is not there has the empty value. */
		if (strcmp(value ? value : "", want->v[i].value) != 0)
			return false;
	}
	return true;
}

/* Lines of other metrics are not looked at: nothing depends on them. */
static int line_read(struct exposition *x, const char *line, struct err *e)
{
	const char *p = blanks_skip(line), *metric = x->selector->name;
	size_t n = name_length(p);
	struct strmap labels = {0};
	const char *value;
	bool match;
	double v;
	char *end;

	if (*p == '#')
		type_read(x, p);
	if (!n || strlen(metric) != n || memcmp(p, metric, n) != 0)
		return 0;
	value = labels_read(blanks_skip(p + n), &labels);
	match = value && labels_match(&x->selector->labels, &labels);
	strmap_done(&labels);
	if (!value)
		return err_set(e, -EINVAL, "the labels of a sample of %.80s cannot be read",
			       metric);
	value = blanks_skip(value);
	v = strtod(value, &end);
	if (end == value || (*end && !strchr(BLANKS, *end)))
		return err_set(e, -EINVAL, "a sample of %.80s has the value \"%.20s\", no number",
			       metric, value);
	if (match) {
		x->sum += v;
		x->samples++;
	}
	return 0;
}

static int line_end(struct exposition *x, struct err *e)
{
	size_t n = x->line.len;
	char *text = (char *)(uintptr_t)buf_text(&x->line);
	int rc;

	if (++x->lines > LIMIT_METRIC_LINES)
		return err_set(e, -EMSGSIZE, "there are more than %d lines", LIMIT_METRIC_LINES);
	if (memchr(text, '\0', n))
		return err_set(e, -EINVAL, "a line has a zero byte");
	if (n && text[n - 1] == '\r')
		text[n - 1] = '\0';
	rc = line_read(x, text, e);
	buf_reset(&x->line);
	return rc;
}

int exposition_feed(struct exposition *x, const char *p, size_t n, struct err *e)
{
	x->bytes += n;
	if (x->bytes > LIMIT_METRIC_BYTES)
		return err_set(e, -EMSGSIZE, "there are more than %d bytes", LIMIT_METRIC_BYTES);
	while (n) {
		const char *newline = memchr(p, '\n', n);
		size_t part = newline ? (size_t)(newline - p) : n;
		int rc = 0;

		if (buf_add(&x->line, p, part) < 0)
			return err_set(e, -EMSGSIZE, "a line has more than %d bytes",
				       LIMIT_METRIC_LINE);
		if (newline)
			rc = line_end(x, e);
		if (rc < 0)
			return rc;
		p += part + !!newline;
		n -= part + !!newline;
	}
	return 0;
}

int exposition_end(struct exposition *x, int64_t *ret, struct err *e)
{
	int rc = x->line.len ? line_end(x, e) : 0;

	if (rc < 0)
		return rc;
	if (!x->samples)
		return err_set(e, -ENOENT, "there is no sample of %.80s%s", x->selector->name,
			       x->selector->labels.n ? " with these labels" : "");
	if (!isfinite(x->sum) || x->sum < 0 || x->sum > (double)LIMIT_METRIC_VALUE / 1000)
		return err_set(e, -ERANGE, "the value of %.80s, %g, cannot be scaled by",
			       x->selector->name, x->sum);
	*ret = (int64_t)(x->sum * 1000 + 0.5);
	return 0;
}
