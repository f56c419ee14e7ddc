/*
 * logs and events: what the daemon streams, until it ends or the user has enough.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/demux.h"
#include "cli/logs.h"
#include "cli/template.h"
#include "cli/text.h"

struct tty_view {
	bool tty;
};
static const struct field tty_fields[] = {FIELD_BOOL(struct tty_view, 0, tty, "Tty", 0)};
static TABLE_DEFINE(tty_view, tty_fields);

struct shown_view {
	char *id;
	struct tty_view config;
};
static const struct field shown_fields[] = {
	FIELD_STR(struct shown_view, 0, id, "Id", 0),
	FIELD_OBJ(struct shown_view, 0, config, "Config", 0, tty_view)};
static TABLE_DEFINE(shown_view, shown_fields);

/* A point in time as the API wants it: durations count back from here. */
static int query_time(struct buf *path, const struct flags *f, const char *name, struct err *e)
{
	const char *text = flag_text(f, name);
	auto_free char *stamp = NULL;
	int64_t at;

	if (!text)
		return 0;
	if (time_parse_query(text, clock_wall_ns(), &at) < 0)
		return err_set(e, -EINVAL,
			       "invalid value for --%s: %s; it must be a time like "
			       "2026-01-02T13:23:37Z, seconds since 1970 or a duration like 42m",
			       name, text);
	stamp = xasprintf("%" PRId64 ".%09" PRId64, at / 1000000000, at % 1000000000);
	path_query(path, name, stamp);
	return 0;
}

int logs_stream(struct cli *c, const char *path, int (*sink)(const void *, size_t, void *),
		void *data, struct err *e)
{
	struct http_call call = {.method = "GET", .path = path, .sink = sink, .data = data};
	struct http_answer answer;
	struct http_client *http;
	int rc = call_client(c, &http, e);

	if (rc == 0)
		rc = http_client_call(http, &call, &answer, e);
	if (rc < 0)
		return rc;
	rc = call_refusal(&answer, e);
	http_answer_done(&answer);
	return rc;
}

/* logs */

struct log_sink {
	struct demux demux;
	struct err e;
};

static int log_take(const void *p, size_t n, void *data)
{
	struct log_sink *s = data;

	return demux_take(&s->demux, p, n, &s->e);
}

int logs_query(struct buf *path, const struct flags *f, struct err *e)
{
	if (flag_true(f, "follow"))
		path_query(path, "follow", "1");
	if (flag_true(f, "timestamps"))
		path_query(path, "timestamps", "1");
	if (flag_is_set(f, "tail"))
		path_query(path, "tail", flag_text(f, "tail"));
	if (query_time(path, f, "since", e) < 0)
		return e->code;
	return query_time(path, f, "until", e);
}

static int logs_path(struct buf *path, const struct flags *f, const char *id, struct err *e)
{
	path_add(path, "/containers/%/logs?stdout=1&stderr=1", id);
	if (flag_true(f, "details"))
		path_query(path, "details", "1");
	return logs_query(path, f, e);
}

int cli_logs(struct cli *c, const struct flags *f)
{
	auto_buf inspect_path = CALL_PATH;
	auto_buf path = CALL_PATH;
	struct log_sink sink = {.demux = {.out = c->out, .err = c->err}, .e = ERR_INIT};
	struct shown_view shown = {0};
	struct err e = ERR_INIT;
	int rc;

	path_add(&inspect_path, "/containers/%/json", f->args[0]);
	rc = call_get(c, buf_text(&inspect_path), &shown_view_table, &shown, &e);
	if (rc == 0)
		rc = logs_path(&path, f, shown.id, &e);
	sink.demux.raw = shown.config.tty;
	table_done(&shown_view_table, &shown);
	if (rc == 0)
		rc = logs_stream(c, buf_text(&path), log_take, &sink, &e);
	if (rc < 0)
		return cli_fail(c, sink.e.code ? &sink.e : &e);
	return 0;
}

/* events */

struct event_sink {
	struct cli *c;
	const char *format;
	struct buf text; /* what is no whole event yet */
	struct err e;
};

/* "2026-01-02T15:04:05.000000000+01:00 container start ID (image=web:1, name=web)" */
static void event_line(struct cli *c, const json_t *event)
{
	json_t *actor = json_object_get(event, "Actor");
	json_t *attributes = json_object_get(actor, "Attributes");
	const char *type = json_string_value(json_object_get(event, "Type"));
	const char *action = json_string_value(json_object_get(event, "Action"));
	const char *id = json_string_value(json_object_get(actor, "ID"));
	auto_free const char **keys = xcalloc(json_object_size(attributes) + 1, sizeof *keys);
	char when[TEXT_SHORT];
	const char *key, *sign = " (";
	json_t *value;
	size_t n = 0;

	time_local_rfc(json_integer_value(json_object_get(event, "timeNano")), when);
	(void)fprintf(c->out, "%s %s %s %s", when, type ? type : "", action ? action : "",
		      id ? id : "");
	json_object_foreach(attributes, key, value) keys[n++] = key;
	if (n)
		qsort(keys, n, sizeof *keys, text_order);
	for (size_t i = 0; i < n; i++, sign = ", ") {
		const char *text = json_string_value(json_object_get(attributes, keys[i]));

		(void)fprintf(c->out, "%s%s=%s", sign, keys[i], text ? text : "");
	}
	(void)fprintf(c->out, "%s\n", n ? ")" : "");
}

static int event_print(struct event_sink *s, const json_t *event)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_ANSWER);

	if (!s->format || !*s->format) {
		event_line(s->c, event);
	} else {
		if (template_run(s->format, event, &b, &s->e) < 0)
			return s->e.code;
		(void)fprintf(s->c->out, "%s\n", buf_text(&b));
	}
	return fflush(s->c->out) ? err_set(&s->e, -EPIPE, "cannot write events: %m") : 0;
}

/* Events come as JSON texts, one a line. */
static int event_take(const void *p, size_t n, void *data)
{
	struct event_sink *s = data;
	const char *end;

	if (buf_add(&s->text, p, n) < 0)
		return err_set(&s->e, -EMSGSIZE, "the daemon sent an event that is too large");
	while ((end = memchr(s->text.p, '\n', s->text.len)) != NULL) {
		size_t len = (size_t)(end - s->text.p);
		json_t *event = json_loadb(s->text.p, len, 0, NULL);
		int rc = event ? event_print(s, event) : 0;

		if (!event && len > 0)
			rc = err_set(&s->e, -EPROTO, "cannot read an event of the daemon's");
		json_decref(event);
		if (rc < 0)
			return rc;
		buf_shift(&s->text, len + 1);
	}
	return 0;
}

int cli_events(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	struct event_sink sink = {.c = c,
				  .format = flag_text(f, "format"),
				  .text = BUF_INIT(LIMIT_HTTP_ANSWER),
				  .e = ERR_INIT};
	struct err e = ERR_INIT;
	int rc;

	if (sink.format && strcmp(sink.format, "json") == 0)
		sink.format = "{{json .}}";
	path_add(&path, "/events");
	rc = query_time(&path, f, "since", &e);
	if (rc == 0)
		rc = query_time(&path, f, "until", &e);
	if (rc == 0)
		rc = path_filters(&path, flag_list(f, "filter"), NULL, NULL, &e);
	if (rc == 0)
		rc = logs_stream(c, buf_text(&path), event_take, &sink, &e);
	buf_done(&sink.text);
	if (rc < 0)
		return cli_fail(c, sink.e.code ? &sink.e : &e);
	return 0;
}
