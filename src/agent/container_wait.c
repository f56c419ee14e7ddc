/*
 * Waiting for a container: see engine_wait() in engine.h.
 */
#include "agent/engine_impl.h"

struct engine_wait {
	struct deferred deferred;
	struct engine *engine;
	struct container_live *live; /* NULL once it is being answered */
	enum engine_wait_for what;
	engine_waited done; /* NULL: given up */
	void *arg;
	int exit_code;
	char *error;
	struct engine_wait *prev, *next;
};

static void answer(struct deferred *d)
{
	struct engine_wait *w = container_of(d, struct engine_wait, deferred);
	struct engine *e = w->engine;

	if (w->done)
		w->done(w->arg, w->exit_code, w->error);
	free(w->error);
	free(w);
	engine_release(e);
}

static void unlink_wait(struct engine_wait *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		w->live->waits = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->prev = w->next = NULL;
}

/* Answered from the loop, also when there was nothing to wait for. */
static void answer_later(struct engine_wait *w, const struct container *c)
{
	w->exit_code = c->exit_code;
	w->error = xstrdup(c->error);
	w->live = NULL;
	w->deferred.run = answer;
	engine_hold(w->engine);
	engine_defer(w->engine, &w->deferred);
}

struct engine_wait *engine_wait(struct engine *e, struct container *c, enum engine_wait_for what,
				engine_waited done, void *arg)
{
	struct engine_wait *w = xcalloc(1, sizeof *w);

	w->engine = e;
	w->what = what;
	w->done = done;
	w->arg = arg;
	if (what == WAIT_NOT_RUNNING && !container_is_running(c)) {
		answer_later(w, c);
		return w;
	}
	w->live = c->live;
	w->next = c->live->waits;
	if (w->next)
		w->next->prev = w;
	c->live->waits = w;
	return w;
}

void engine_wait_cancel(struct engine_wait *w)
{
	if (w->live) {
		unlink_wait(w);
		free(w);
		return;
	}
	w->done = NULL;
}

/* An exit answers all but those who wait for the removal; that answers everybody. */
void waits_wake(struct container_live *l, enum engine_wait_for what)
{
	struct engine_wait *w = l->waits;

	while (w) {
		struct engine_wait *next = w->next;

		if (what == WAIT_REMOVED || w->what != WAIT_REMOVED) {
			unlink_wait(w);
			answer_later(w, l->c);
		}
		w = next;
	}
}

/* The daemon stops: nobody is answered any more. */
void waits_drop(struct container_live *l)
{
	for (struct engine_wait *next, *w = l->waits; w; w = next) {
		next = w->next;
		free(w->error);
		free(w);
	}
	l->waits = NULL;
}
