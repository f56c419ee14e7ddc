/*
 * The target of a request taken apart: path and query, percent-decoding. Pure text; what comes in
 * is hostile. The HTTP server and the CLI call it.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct http_arg {
	const char *name;
	const char *value; /* "" when there is none */
};

struct http_query {
	struct http_arg *args;
	size_t count;
};

/* Decodes %XX in place, and '+' as a blank where `plus`. 0, or -EINVAL for a bad escape or a NUL.
 */
int http_url_decode(char *text, int plus);
/*
 * Takes "/a%2Fb?x=1&y" apart in place. An absolute target ("http://host/a") loses its host.
 * `ret_path` points into `target`; free with http_query_done(). 0, or -EINVAL with the reason.
 */
int http_target_parse(char *target, char **ret_path, struct http_query *ret, struct err *e);
/* The first value of that name; NULL when there is none. */
const char *http_query_get(const struct http_query *q, const char *name);
void http_query_done(struct http_query *q);

struct buf;
/* Adds `text` percent-encoded, as one path segment or query value (all but A-Za-z0-9-._~). */
int http_url_encode(struct buf *b, const char *text);
