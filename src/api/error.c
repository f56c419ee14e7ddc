/*
 * How failures and plain results leave the Engine API: the one table from errno to HTTP status,
 * and the JSON around them. It knows no object.
 */
#include "api/error.h"

#include <stdio.h>
#include <string.h>

#include "api/router.h"
#include "base/http_server.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"

static const struct {
	int code;
	int status;
} statuses[] = {
	{EINVAL, 400},
	{ERANGE, 400},
	{E2BIG, 400},
	{ENAMETOOLONG, 400},
	{EBADMSG, 400},
	{ECONNRESET, 400}, /* the client's own upload broke off: nobody reads this */
	{ECANCELED, 400},
	{EPERM, 403},
	{EACCES, 403},
	{ENOENT, 404},
	{EEXIST, 409},
	{EBUSY, 409},
	{ESRCH, 409}, /* what is not running */
	{ENOEXEC, 400},
	/* "update out of sequence". Clients look at the sentence, none at the status. */
	{ESTALE, 409},
	{ENOTEMPTY, 409},
	{EOVERFLOW, 410}, /* what is not remembered any more */
	{EMSGSIZE, 413},
	{ENOSYS, 501},
	{EOPNOTSUPP, 501},
	{EAGAIN, 503},
	{EHOSTUNREACH, 503},
	{ENETUNREACH, 503},
	{ENOTCONN, 503},
	{ETIMEDOUT, 503},
	{ECONNREFUSED, 503},
	{ENOSPC, 503},
	{EINPROGRESS, 503}, /* the outcome is unknown: the sentence says to look first */
};

int api_error_status(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].code == -code)
			return statuses[i].status;
	return 500;
}

void http_reply_error(struct http_req *req, int status, const char *message)
{
	/* A byte of the sentence is at most six in JSON. */
	struct buf b = BUF_INIT(strlen(message) * 6 + 64);

	buf_adds(&b, "{\"message\":");
	json_quote(&b, message, strlen(message));
	buf_adds(&b, "}\n");
	http_reply(req, status, "application/json", &b);
}

void api_reply_error(struct api_req *r, const struct err *e)
{
	http_reply_error(r->http, api_error_status(e->code), err_text(e));
}

void api_reply_fail(struct api_req *r, int code, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	http_reply_error(r->http, api_error_status(code), text);
}

void api_reply_json(struct api_req *r, int status, struct buf *json)
{
	if (buf_addc(json, '\n') < 0) {
		buf_done(json);
		api_reply_fail(r, -ENOMEM, "the answer is larger than %zu bytes", json->max);
		return;
	}
	http_reply(r->http, status, "application/json", json);
}

void api_reply_table(struct api_req *r, int status, const struct table *t, const void *obj)
{
	struct buf b = BUF_INIT(LIMIT_HTTP_ANSWER);

	json_write(t, obj, &b);
	api_reply_json(r, status, &b);
}

void api_reply_empty(struct api_req *r, int status)
{
	http_reply(r->http, status, NULL, NULL);
}

int api_req_read(struct api_req *r, const struct table *t, void *ret, struct err *e)
{
	if (!r->body || r->body->len == 0)
		return err_set(e, -EINVAL, "invalid JSON: the request has no body");
	if (json_read(t, r->body->p, r->body->len, ret, e) < 0)
		return err_wrap(e, "invalid JSON");
	return 0;
}
