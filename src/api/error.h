/*
 * How failures and plain results leave the Engine API. The one table from errno to HTTP status
 * stands in error.c; handlers answer with these and never with a status of their own for a failure.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct api_req;
struct http_req;

/* The HTTP status for a negative errno; 500 for what the table does not name. */
int api_error_status(int code);
/* Answers {"message": sentence} with the status of its code. */
void api_reply_error(struct api_req *r, const struct err *e);
/* The same with a code and a sentence of its own. */
void api_reply_fail(struct api_req *r, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Answers with JSON text: `json` is taken and gets its trailing newline here. */
void api_reply_json(struct api_req *r, int status, struct buf *json);
/* Answers without a body: 200, 204, 304. */
void api_reply_empty(struct api_req *r, int status);

/* The same for a request that has not become an API request yet. */
void http_reply_error(struct http_req *req, int status, const char *message);
/* Adds a JSON string literal: quoted, escaped, UTF-8 kept, broken UTF-8 replaced, no HTML escaping.
 */
int json_add_string(struct buf *b, const char *text);
