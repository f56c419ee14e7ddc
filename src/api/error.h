/*
 * How failures and plain results leave the Engine API. The one table from errno to HTTP status
 * stands in error.c; handlers answer with these and never with a status of their own for a failure.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct api_req;
struct http_req;
struct table;

/* The HTTP status for a negative errno; 500 for what the table does not name. */
int api_error_status(int code);
/* Answers {"message": sentence} with the status of its code. */
void api_reply_error(struct api_req *r, const struct err *e);
/* The same with a code and a sentence of its own. */
void api_reply_fail(struct api_req *r, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Answers with JSON text: `json` is taken and gets its trailing newline here. */
void api_reply_json(struct api_req *r, int status, struct buf *json);
/* Answers with an object as its table writes it. */
void api_reply_table(struct api_req *r, int status, const struct table *t, const void *obj);
/* Answers without a body: 200, 204, 304. */
void api_reply_empty(struct api_req *r, int status);

/* The same for a request that has not become an API request yet. */
void http_reply_error(struct http_req *req, int status, const char *message);

/*
 * Reads the request's JSON body into the zeroed `ret` (table_done() frees it). An empty body is
 * -EINVAL as well: handlers that may go without look at r->body->len first. 0 or -EINVAL.
 */
int api_req_read(struct api_req *r, const struct table *t, void *ret, struct err *e);
