/*
 * GET /watch: the changes of the swarm's services, tasks, nodes, networks, secrets and configs, as
 * lines of JSON, from a version on, without a gap (docs/watch.md). The history is the queue: what
 * waits here for a client is one piece. A client that falls so far behind that it would miss
 * something is told from where to go on, and cut off.
 */
#include "api/watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/error.h"
#include "base/limits.h"
#include "base/mem.h"

#define PIECE (64u << 10)

struct watching {
	struct manager *manager; /* NULL: nothing follows any more */
	struct watcher watcher;
	struct history_follower follower;
	struct world_timer soon;
	struct http_stream *stream;
	struct buf out; /* lines that wait */
	size_t sent;    /* bytes of it that have been taken */
	bool over;      /* the last line is among them */
};

static void watching_stop(struct watching *w)
{
	struct manager *m = TAKE_PTR(w->manager);

	if (!m)
		return;
	history_unfollow(manager_history(m), &w->follower);
	world_timer_stop(manager_world(m), &w->soon);
}

static void watching_free(void *state)
{
	struct watching *w = state;

	watching_stop(w);
	watcher_done(&w->watcher);
	buf_done(&w->out);
	free(w);
}

static void watching_gone(struct api_req *r)
{
	struct watching *w = api_req_state(r);

	watching_stop(w);
	if (w->stream)
		http_stream_end(TAKE_PTR(w->stream));
}

/* False: the client has to take some of it first. */
static bool flush(struct watching *w)
{
	while (w->sent < w->out.len) {
		size_t n = MIN_OF(w->out.len - w->sent, (size_t)PIECE);
		int rc = http_stream_write(w->stream, w->out.p + w->sent, n);

		if (rc == -ENOBUFS)
			return false;
		w->sent += n;
	}
	buf_reset(&w->out);
	w->sent = 0;
	return true;
}

static void pump(struct watching *w)
{
	if (!w->stream || !flush(w))
		return;
	if (w->over) {
		http_stream_end(TAKE_PTR(w->stream));
		return;
	}
	if (!w->manager)
		return;
	if (watcher_lines(&w->watcher, PIECE, &w->out))
		world_timer_start(manager_world(w->manager), &w->soon, 0);
	(void)flush(w);
}

static void soon_fire(struct world_timer *t)
{
	pump(container_of(t, struct watching, soon));
}

static void cut(struct watching *w, const char *why)
{
	watching_stop(w);
	watcher_end(&w->watcher, why, &w->out);
	w->over = true;
	pump(w);
}

static void on_news(void *arg)
{
	struct watching *w = arg;
	uint64_t at = w->watcher.has_held ? w->watcher.held : w->watcher.place;

	if (history_is_behind(manager_history(w->manager), at))
		cut(w, "too much happened that was not read");
	else if (w->out.len == 0)
		pump(w);
}

static void on_lost(void *arg, const char *why)
{
	cut(arg, why);
}

static void on_drain(struct http_stream *st, void *data)
{
	(void)st;
	pump(data);
}

/* ---- The request ---- */

static int from_read(struct api_req *r, uint64_t now, uint64_t *ret)
{
	const char *text = http_req_arg(r->http, "from");
	char *end;

	*ret = now;
	if (!text)
		return 0;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (!*text || *end || errno || *text < '0' || *text > '9')
		return err_set(&r->err, -EINVAL,
			       "invalid version \"%.40s\" to watch from: a list's answer tells one "
			       "in its header X-Shoal-Version",
			       text);
	return 0;
}

static int begin(struct watching *w, struct api_req *r, struct manager *m)
{
	const struct history *h = manager_history(m);
	struct filters filters = {0};
	uint64_t from;
	int rc = filters_read(r->query, watch_filter_keys, &filters, &r->err);

	if (rc == 0)
		rc = watch_filters_check(&filters, &r->err);
	if (rc == 0)
		rc = from_read(r, history_version(h), &from);
	if (rc == 0 && from > history_version(h))
		rc = err_set(&r->err, -EINVAL,
			     "version %" PRIu64 " is not reached yet: the swarm is at %" PRIu64,
			     from, history_version(h));
	if (rc == 0)
		rc = watcher_begin(&w->watcher, manager_store(m), h, from, &filters, &w->out,
				   &r->err);
	filters_done(&filters);
	return rc;
}

static void ready(struct api_req *r, struct manager *m)
{
	struct watching *w = xcalloc(1, sizeof *w);

	w->out = BUF_INIT(LIMIT_HTTP_ANSWER);
	w->soon.fire = soon_fire;
	if (begin(w, r, m) < 0) {
		watching_free(w);
		api_reply_error(r, &r->err);
		return;
	}
	w->manager = m;
	w->follower = (struct history_follower){.news = on_news, .lost = on_lost, .arg = w};
	history_follow(manager_history(m), &w->follower);
	api_req_own(r, w, watching_gone, watching_free);
	w->stream = http_reply_stream(r->http, 200, "application/json", 0);
	http_stream_on_drain(w->stream, on_drain, w);
	pump(w);
}

/* A version that another manager told may be one that this one is about to reach. */
static void watch(struct api_req *r)
{
	struct manager *m = api_manager(r);
	const char *text = http_req_arg(r->http, "from");

	if (!m)
		return;
	if (text && strtoull(text, NULL, 10) > history_version(manager_history(m)))
		api_manager_barrier(r, ready);
	else
		ready(r, m);
}

static const struct api_route routes[] = {
	{"GET", "/watch", watch, API_BODY_NONE, 0, 0},
};

void api_watch_add(struct api_router *r, struct api_swarm *swarm)
{
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
