/*
 * The queue of walks through containers' files: see struct walk.
 */
#include "agent/engine_impl.h"

static void turn(struct deferred *d)
{
	struct walk *w = container_of(d, struct walk, deferred);

	w->turn(w);
}

static void refused(struct deferred *d)
{
	struct walk *w = container_of(d, struct walk, deferred);

	w->refused(w);
}

static void turn_later(struct walk *w)
{
	w->deferred.run = turn;
	engine_defer(w->engine, &w->deferred);
}

void walk_queue(struct engine *e, struct walk *w)
{
	struct walk **at = &e->walks;
	size_t n = 0;

	w->engine = e;
	engine_hold(e);
	for (; *at; at = &(*at)->next)
		n++;
	if (n == LIMIT_WALKS) {
		w->job.status = err_set(&w->job.err, -EAGAIN,
					"%d requests that look through containers' files wait"
					" already: ask again later",
					LIMIT_WALKS);
		w->deferred.run = refused;
		engine_defer(e, &w->deferred);
		return;
	}
	*at = w;
	if (n == 0)
		turn_later(w);
}

void walk_end(struct walk *w)
{
	struct engine *e = w->engine;

	if (e->walks == w) {
		e->walks = w->next;
		if (e->walks)
			turn_later(e->walks);
	}
	engine_release(e);
}
