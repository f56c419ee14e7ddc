/*
 * GET /containers/{id}/logs: entries as they are read, in Docker's frames unless the container has
 * a terminal. A slow client stops the reading, nothing is dropped.
 */
#include <string.h>

#include "api/containers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

/* What one entry becomes: its text, a time and a frame around it. */
#define LOG_OUT_MAX (LIMIT_HTTP_STREAM / 2)

void containers_frame_head(uint8_t ret[FRAME_HEAD], int stream, size_t n)
{
	memset(ret, 0, FRAME_HEAD);
	ret[0] = stream == ENGINE_STDERR ? 2 : 1;
	for (int i = 0; i < 4; i++)
		ret[4 + i] = (uint8_t)(n >> (24 - 8 * i));
}

const char *containers_stream_type(const struct api_req *r, bool tty)
{
	return r->minor >= 42 && !tty ? "application/vnd.docker.multiplexed-stream"
				      : "application/vnd.docker.raw-stream";
}

int containers_logs_options(struct api_req *r, struct engine_logs_options *ret, struct err *e)
{
	const char *tail = http_req_arg(r->http, "tail");
	int64_t now_ns = clock_wall_ns();
	char *end;

	*ret = (struct engine_logs_options){
		.out = query_bool(r->query, "stdout", false),
		.err = query_bool(r->query, "stderr", false),
		.tail = -1,
	};
	/* As docker has it, what is no number means all. */
	if (tail && *tail) {
		ret->tail = strtoll(tail, &end, 10);
		if (*end || ret->tail < 0)
			ret->tail = -1;
	}
	if (query_time(r->query, "since", now_ns, &ret->since_ns, e) < 0 ||
	    query_time(r->query, "until", now_ns, &ret->until_ns, e) < 0)
		return e->code;
	return 0;
}

struct following {
	struct engine_logs *logs;
	struct http_stream *stream;
	struct buf out; /* an entry that found the queue full */
	bool raw, timestamps, details;
};

static void follow_free(void *state)
{
	struct following *f = state;

	buf_done(&f->out);
	free(f);
}

static void follow_gone(struct api_req *r)
{
	struct following *f = api_req_state(r);

	if (f->logs)
		engine_logs_close(TAKE_PTR(f->logs));
	if (f->stream)
		http_stream_end(TAKE_PTR(f->stream));
}

static void entry_render(struct following *f, int stream, int64_t time_ns, const char *p, size_t n)
{
	uint8_t head[FRAME_HEAD];
	char when[TIME_TEXT_MAX] = "";
	size_t total;

	if (f->timestamps)
		time_format_fixed(time_ns, when);
	/* Of what --details would show (attributes by log options) the json-file has none. */
	total = strlen(when) + f->timestamps + f->details + n;
	containers_frame_head(head, stream, total);
	if (!f->raw)
		(void)buf_add(&f->out, head, sizeof head);
	(void)buf_adds(&f->out, when);
	if (f->timestamps)
		(void)buf_addc(&f->out, ' ');
	if (f->details)
		(void)buf_addc(&f->out, ' ');
	(void)buf_add(&f->out, p, n);
}

/* True when nothing waits. */
static bool follow_flush(struct following *f)
{
	if (f->out.len == 0)
		return true;
	if (http_stream_write(f->stream, f->out.p, f->out.len) == -ENOBUFS)
		return false;
	buf_reset(&f->out);
	return true;
}

static bool on_entry(void *arg, int stream, int64_t time_ns, const char *p, size_t n)
{
	struct following *f = arg;

	entry_render(f, stream, time_ns, p, n);
	return follow_flush(f);
}

static void on_end(void *arg, const struct err *e)
{
	struct following *f = arg;
	auto_free char *text = e ? xasprintf("Error grabbing logs: %s\n", err_text(e)) : NULL;

	engine_logs_close(TAKE_PTR(f->logs));
	if (text) {
		bool timestamps = f->timestamps;

		f->timestamps = false;
		entry_render(f, ENGINE_STDERR, 0, text, strlen(text));
		f->timestamps = timestamps;
	}
	if (follow_flush(f))
		http_stream_end(TAKE_PTR(f->stream));
}

static void on_drain(struct http_stream *st, void *data)
{
	struct following *f = data;

	if (!follow_flush(f))
		return;
	if (f->logs)
		engine_logs_resume(f->logs);
	else
		http_stream_end(TAKE_PTR(f->stream));
}

void container_logs_handler(struct api_req *r)
{
	static const struct engine_logs_ops ops = {.entry = on_entry, .end = on_end};
	struct engine_logs_options options;
	struct container *c = containers_find(r);
	struct following *f;

	if (!c)
		return;
	if (containers_logs_options(r, &options, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	if (!options.out && !options.err) {
		api_reply_fail(r, -EINVAL, "Bad parameters: you must choose at least one stream");
		return;
	}
	options.follow = query_bool(r->query, "follow", false);
	f = xcalloc(1, sizeof *f);
	f->out = BUF_INIT(LOG_OUT_MAX);
	f->raw = c->config.tty;
	f->timestamps = query_bool(r->query, "timestamps", false);
	f->details = query_bool(r->query, "details", false);
	api_req_own(r, f, follow_gone, follow_free);
	f->logs = engine_logs(r->ctx, c, &options, &ops, f, &r->err);
	if (!f->logs) {
		api_reply_error(r, &r->err);
		return;
	}
	f->stream = http_reply_stream(r->http, 200, containers_stream_type(r, c->config.tty), 0);
	http_stream_on_drain(f->stream, on_drain, f);
}
