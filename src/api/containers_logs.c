/*
 * GET /containers/{id}/logs: entries as they are read, in Docker's frames unless the container has
 * a terminal. A slow client stops the reading, nothing is dropped.
 */
#include <string.h>

#include "api/containers.h"
#include "api/log_out.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

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
	struct log_out out;
	bool details;
};

static void follow_free(void *state)
{
	struct following *f = state;

	log_out_done(&f->out);
	free(f);
}

static void follow_gone(struct api_req *r)
{
	struct following *f = api_req_state(r);

	if (f->logs)
		engine_logs_close(TAKE_PTR(f->logs));
	log_out_end(&f->out);
}

/* Of what --details would show (attributes by log options) the json-file has none. */
static bool on_entry(void *arg, int stream, int64_t time_ns, const char *p, size_t n)
{
	struct following *f = arg;

	log_out_entry(&f->out, stream == ENGINE_STDERR ? 2 : 1, time_ns, f->details ? "" : NULL, p,
		      n);
	return log_out_flush(&f->out);
}

static void on_end(void *arg, const struct err *e)
{
	struct following *f = arg;

	engine_logs_close(TAKE_PTR(f->logs));
	if (e)
		log_out_error(&f->out, err_text(e));
	if (log_out_flush(&f->out))
		log_out_end(&f->out);
}

static void on_drain(struct http_stream *st, void *data)
{
	struct following *f = data;

	(void)st;
	if (!log_out_flush(&f->out))
		return;
	if (f->logs)
		engine_logs_resume(f->logs);
	else
		log_out_end(&f->out);
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
	log_out_init(&f->out, c->config.tty, query_bool(r->query, "timestamps", false));
	f->details = query_bool(r->query, "details", false);
	api_req_own(r, f, follow_gone, follow_free);
	f->logs = engine_logs(r->ctx, c, &options, &ops, f, &r->err);
	if (!f->logs) {
		api_reply_error(r, &r->err);
		return;
	}
	f->out.stream =
		http_reply_stream(r->http, 200, containers_stream_type(r, c->config.tty), 0);
	http_stream_on_drain(f->out.stream, on_drain, f);
}
