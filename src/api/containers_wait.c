/*
 * POST /containers/{id}/wait: the headers leave at once, the exit code when it is known. Clients
 * ask before they start a container and rely on the headers to know that they are heard.
 */
#include <string.h>

#include "api/containers.h"
#include "base/limits.h"
#include "base/mem.h"

struct wait_error {
	char *message;
};
#define T struct wait_error
static const struct field wait_error_fields[] = {
	FIELD_STR(T, 0, message, "Message", 0),
};
#undef T
static TABLE_DEFINE(wait_error, wait_error_fields);

struct wait_view {
	int32_t code;
	struct wait_error *error;
};
#define T struct wait_view
static const struct field wait_view_fields[] = {
	FIELD_PTR(T, 0, error, "Error", FIELD_OMIT, wait_error),
	FIELD_I32(T, 0, code, "StatusCode", 0),
};
#undef T
static TABLE_DEFINE(wait_view, wait_view_fields);

struct waiting {
	struct engine_wait *wait;
	struct http_stream *stream;
};

static void wait_gone(struct api_req *r)
{
	struct waiting *w = api_req_state(r);

	if (w->wait)
		engine_wait_cancel(TAKE_PTR(w->wait));
	if (w->stream)
		http_stream_end(TAKE_PTR(w->stream));
}

static void waited(void *arg, int exit_code, const char *error)
{
	struct waiting *w = arg;
	auto_buf json = BUF_INIT(LIMIT_JSON_BODY);
	struct wait_error why = {.message = (char *)error};
	struct wait_view view = {.code = exit_code, .error = error && *error ? &why : NULL};

	w->wait = NULL;
	(void)json_write(&wait_view_table, &view, &json);
	(void)buf_addc(&json, '\n');
	/* The queue is empty: it is refused only when the client has gone. */
	(void)http_stream_write(w->stream, json.p, json.len);
	http_stream_end(TAKE_PTR(w->stream));
}

static int condition_arg(struct api_req *r, enum engine_wait_for *ret)
{
	static const char *const names[] = {
		[WAIT_NOT_RUNNING] = "not-running",
		[WAIT_NEXT_EXIT] = "next-exit",
		[WAIT_REMOVED] = "removed",
	};
	const char *text = http_req_arg(r->http, "condition");

	*ret = WAIT_NOT_RUNNING;
	if (!text || !*text || r->minor < 30)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], text) == 0) {
			*ret = (enum engine_wait_for)i;
			return 0;
		}
	return err_set(&r->err, -EINVAL, "invalid condition: \"%.40s\"", text);
}

void container_wait_handler(struct api_req *r)
{
	struct container *c = containers_find(r);
	enum engine_wait_for what;
	struct waiting *w;

	if (!c)
		return;
	if (condition_arg(r, &what) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	w = xcalloc(1, sizeof *w);
	api_req_own(r, w, wait_gone, free);
	w->stream = http_reply_stream(r->http, 200, "application/json", 0);
	w->wait = engine_wait(r->ctx, c, what, waited, w);
}
