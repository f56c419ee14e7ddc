/*
 * GET /events: what is kept since a time, then what happens, until the client leaves or `until`
 * has come. A client that does not keep up is cut off: it shall not believe that it saw all.
 */
#include "api/engine_api.h"
#include "api/error.h"
#include "api/event_view.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

struct listening {
	struct engine *engine;
	struct engine_watch watch;
	struct http_stream *stream;
	struct filters filters;
	uv_timer_t *until; /* NULL: no end */
	int64_t since_ns, until_ns;
	bool watching;
};

static void timer_closed(uv_handle_t *h)
{
	free(h);
}

/* No more events; the stream may still be ended. */
static void listen_stop(struct listening *l)
{
	if (l->watching)
		engine_watch_remove(l->engine, &l->watch);
	l->watching = false;
	if (l->until)
		uv_close((uv_handle_t *)TAKE_PTR(l->until), timer_closed);
}

static void listen_free(void *state)
{
	struct listening *l = state;

	listen_stop(l);
	filters_done(&l->filters);
	free(l);
}

static void listen_end(struct listening *l)
{
	listen_stop(l);
	if (l->stream)
		http_stream_end(TAKE_PTR(l->stream));
}

static void listen_gone(struct api_req *r)
{
	listen_end(api_req_state(r));
}

static void on_event(void *arg, const struct engine_event *ev)
{
	struct listening *l = arg;
	auto_buf json = BUF_INIT(LIMIT_JSON_BODY);

	if (!l->stream || !event_passes(&l->filters, ev))
		return;
	event_render(ev, &json);
	if (http_stream_write(l->stream, json.p, json.len) == -ENOBUFS) {
		listen_stop(l);
		http_stream_abort(TAKE_PTR(l->stream));
	}
}

static void on_kept(void *arg, const struct engine_event *ev)
{
	struct listening *l = arg;

	if (ev->time_ns >= l->since_ns && (!l->until_ns || ev->time_ns <= l->until_ns))
		on_event(l, ev);
}

static void on_until(uv_timer_t *timer)
{
	listen_end(timer->data);
}

static int args_read(struct api_req *r, struct listening *l, int64_t now_ns)
{
	if (filters_read(r->query, event_filter_keys, &l->filters, &r->err) < 0 ||
	    query_time(r->query, "since", now_ns, &l->since_ns, &r->err) < 0 ||
	    query_time(r->query, "until", now_ns, &l->until_ns, &r->err) < 0)
		return r->err.code;
	if (l->since_ns && l->until_ns && l->until_ns < l->since_ns)
		return err_set(&r->err, -EINVAL,
			       "`since` time (%lld) cannot be after `until` time (%lld)",
			       (long long)(l->since_ns / NS_PER_SEC),
			       (long long)(l->until_ns / NS_PER_SEC));
	return 0;
}

static void until_start(struct listening *l, int64_t now_ns)
{
	l->until = xcalloc(1, sizeof *l->until);
	(void)uv_timer_init(engine_loop(l->engine), l->until);
	l->until->data = l;
	(void)uv_timer_start(l->until, on_until, (uint64_t)((l->until_ns - now_ns) / NS_PER_MS) + 1,
			     0);
}

static void events_handler(struct api_req *r)
{
	struct listening *l = xcalloc(1, sizeof *l);
	int64_t now_ns = clock_wall_ns();

	l->engine = r->ctx;
	api_req_own(r, l, listen_gone, listen_free);
	if (args_read(r, l, now_ns) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	l->stream = http_reply_stream(r->http, 200, "application/json", 0);
	if (l->since_ns || l->until_ns)
		engine_events_each(l->engine, on_kept, l);
	if (!l->stream)
		return; /* what is kept was too much already */
	if (l->until_ns && l->until_ns <= now_ns) {
		listen_end(l);
		return;
	}
	l->watch = (struct engine_watch){.event = on_event, .arg = l};
	engine_watch_add(l->engine, &l->watch);
	l->watching = true;
	if (l->until_ns)
		until_start(l, now_ns);
}

static const struct api_route routes[] = {
	{"GET", "/events", events_handler, API_BODY_NONE, 0, 0},
};

void api_events_add(struct api_router *r, struct engine *engine)
{
	api_router_add(r, routes, ARRAY_LEN(routes), engine);
}
