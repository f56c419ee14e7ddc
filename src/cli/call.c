/*
 * Calls to the daemon. See call.h.
 */
#include "cli/call.h"

#include <string.h>

#include "base/http_url.h"
#include "base/limits.h"
#include "base/mem.h"

#define API_PREFIX "/v1.51"

struct refusal {
	char *message;
};
static const struct field refusal_fields[] = {FIELD_STR(struct refusal, 0, message, "message", 0)};
static TABLE_DEFINE(refusal, refusal_fields);

void path_add(struct buf *b, const char *pattern, ...)
{
	va_list args;

	va_start(args, pattern);
	buf_adds(b, API_PREFIX);
	for (; *pattern; pattern++) {
		if (*pattern == '%')
			(void)http_url_encode(b, va_arg(args, const char *));
		else
			buf_addc(b, *pattern);
	}
	va_end(args);
}

void path_query(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, "%c%s=", strchr(buf_text(b), '?') ? '&' : '?', name);
	(void)http_url_encode(b, value);
}

static void filter_put(json_t *filters, const char *key, const char *value)
{
	json_t *values = json_object_get(filters, key);

	if (!values) {
		values = json_object();
		json_object_set_new(filters, key, values);
	}
	json_object_set_new(values, value, json_true());
}

int path_filters(struct buf *b, const struct strs *filters, const char *key, const char *value,
		 struct err *e)
{
	json_t *all = json_object();
	auto_free char *text = NULL;
	int rc = 0;

	STRS_EACH (item, filters) {
		const char *sign = strchr(item, '=');
		auto_free char *name = sign ? xstrndup(item, (size_t)(sign - item)) : NULL;

		if (!sign) {
			rc = err_set(e, -EINVAL,
				     "invalid filter \"%s\": it must be of the form NAME=VALUE",
				     item);
			break;
		}
		filter_put(all, name, sign + 1);
	}
	if (rc == 0 && key)
		filter_put(all, key, value);
	text = rc == 0 && json_object_size(all) ? json_dumps(all, JSON_COMPACT) : NULL;
	if (text)
		path_query(b, "filters", text);
	json_decref(all);
	return rc;
}

static int status_code(int status)
{
	switch (status) {
	case 404:
		return -ENOENT;
	case 409:
		return -EEXIST;
	case 501:
		return -ENOSYS;
	case 503:
		return -EAGAIN;
	default:
		return -EREMOTEIO;
	}
}

int call_refusal(const struct http_answer *a, struct err *e)
{
	struct refusal r = {0};

	if (a->status < 400)
		return 0;
	if (json_read(&refusal_table, buf_text(&a->body), a->body.len, &r, NULL) < 0 || !r.message)
		(void)err_set(e, status_code(a->status),
			      "Error response from daemon: status %d without a message", a->status);
	else
		(void)err_set(e, status_code(a->status), "Error response from daemon: %s",
			      r.message);
	table_done(&refusal_table, &r);
	return status_code(a->status);
}

int call_client(struct cli *c, struct http_client **ret, struct err *e)
{
	int rc = c->http ? 0 : http_client_new(c->host, &c->http, e);

	*ret = c->http;
	return rc;
}

int call_send(struct cli *c, const char *method, const char *path, const struct buf *body,
	      struct http_answer *ret, struct err *e)
{
	struct http_call call = {.method = method, .path = path};
	struct http_client *http;
	int rc = call_client(c, &http, e);

	if (body) {
		call.body = buf_text(body);
		call.body_len = body->len;
	}
	if (rc == 0)
		rc = http_client_call(http, &call, ret, e);
	if (rc < 0)
		return rc;
	rc = call_refusal(ret, e);
	if (rc < 0)
		http_answer_done(ret);
	return rc;
}

int call_do(struct cli *c, const char *method, const char *path, const struct buf *body,
	    struct err *e)
{
	struct http_answer answer;
	int rc = call_send(c, method, path, body, &answer, e);

	if (rc == 0)
		http_answer_done(&answer);
	return rc;
}

int call_read(struct cli *c, const char *method, const char *path, const struct buf *body,
	      const struct table *t, void *ret, struct err *e)
{
	struct http_answer answer;
	int rc = call_send(c, method, path, body, &answer, e);

	if (rc < 0)
		return rc;
	rc = json_read(t, buf_text(&answer.body), answer.body.len, ret, e);
	if (rc < 0)
		rc = err_wrap(e, "cannot read the daemon's answer to %s %s", method, path);
	http_answer_done(&answer);
	return rc;
}

int call_get(struct cli *c, const char *path, const struct table *t, void *ret, struct err *e)
{
	return call_read(c, "GET", path, NULL, t, ret, e);
}

int call_body(const struct table *t, const void *obj, struct buf *ret, struct err *e)
{
	*ret = BUF_INIT(LIMIT_JSON_BODY);
	if (json_write(t, obj, ret) == 0)
		return 0;
	return err_set(e, -EMSGSIZE, "what is asked for is too large: more than %u bytes",
		       LIMIT_JSON_BODY);
}

int call_json(struct cli *c, const char *path, size_t flags, json_t **ret, struct err *e)
{
	struct http_answer answer;
	json_error_t why;
	int rc = call_send(c, "GET", path, NULL, &answer, e);

	if (rc < 0)
		return rc;
	*ret = json_loadb(buf_text(&answer.body), answer.body.len, flags, &why);
	http_answer_done(&answer);
	return *ret ? 0 : err_set(e, -EBADMSG, "cannot read the daemon's answer: %s", why.text);
}
