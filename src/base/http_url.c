/*
 * The target of a request taken apart. Pure text; all of it is hostile, so every escape is checked
 * and a NUL byte, raw or escaped, is refused: what is looked at is what is used.
 */
#include "base/http_url.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int http_url_decode(char *text, int plus)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		if (*p == '%') {
			int hi = hex_digit(p[1]);
			int lo = hi < 0 ? -1 : hex_digit(p[2]);

			if (lo < 0 || (hi == 0 && lo == 0))
				return -EINVAL;
			*to++ = (char)(hi << 4 | lo);
			p += 2;
		} else {
			*to++ = plus && *p == '+' ? ' ' : *p;
		}
	}
	*to = 0;
	return 0;
}

static int query_add(struct http_query *q, size_t *cap, char *pair)
{
	char *value = strchr(pair, '=');

	if (q->count == LIMIT_HTTP_ARGS)
		return -E2BIG;
	if (value)
		*value++ = 0;
	else
		value = pair + strlen(pair);
	if (http_url_decode(pair, true) < 0 || http_url_decode(value, true) < 0)
		return -EINVAL;
	if (q->count == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		q->args = xreallocarray(q->args, *cap, sizeof(*q->args));
	}
	q->args[q->count++] = (struct http_arg){pair, value};
	return 0;
}

static int query_parse(char *text, struct http_query *q, struct err *e)
{
	size_t cap = 0;
	char *pair;

	while ((pair = strsep(&text, "&"))) {
		int rc = *pair ? query_add(q, &cap, pair) : 0;

		if (rc == -E2BIG)
			return err_set(e, -EINVAL, "the query has more than %d values",
				       LIMIT_HTTP_ARGS);
		if (rc < 0)
			return err_set(e, rc, "the query has a broken %%-escape");
	}
	return 0;
}

/* "http://host/path" becomes "/path". */
static char *skip_origin(char *target)
{
	char *host;

	if (strncmp(target, "http://", 7) == 0)
		host = target + 7;
	else if (strncmp(target, "https://", 8) == 0)
		host = target + 8;
	else
		return target;
	return host + strcspn(host, "/?");
}

int http_target_parse(char *target, char **ret_path, struct http_query *ret, struct err *e)
{
	struct http_query q = {0};
	char *path = skip_origin(target);
	char *query = strchr(path, '?');
	int rc;

	if (query)
		*query++ = 0;
	if (*path != '/')
		return err_set(e, -EINVAL, "the request's path does not begin with a slash");
	if (http_url_decode(path, false) < 0)
		return err_set(e, -EINVAL, "the request's path has a broken %%-escape");
	rc = query_parse(query, &q, e);
	if (rc < 0) {
		http_query_done(&q);
		return rc;
	}
	*ret_path = path;
	*ret = q;
	return 0;
}

const char *http_query_get(const struct http_query *q, const char *name)
{
	for (size_t i = 0; i < q->count; i++)
		if (strcmp(q->args[i].name, name) == 0)
			return q->args[i].value;
	return NULL;
}

void http_query_done(struct http_query *q)
{
	free(q->args);
	*q = (struct http_query){0};
}

int http_url_encode(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';

		if (plain)
			buf_addc(b, (char)c);
		else
			buf_addf(b, "%%%02X", c);
	}
	return buf_status(b);
}
