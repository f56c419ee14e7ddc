/*
 * The host's events: told to the watchers as they happen, the last LIMIT_EVENTS kept for those who
 * come later.
 */
#include "agent/engine_impl.h"
#include "base/clock.h"

static void kept_done(struct kept_event *k)
{
	free((char *)k->event.type);
	free((char *)k->event.action);
	free((char *)k->event.id);
	free((char *)k->event.scope);
	strmap_done(&k->attributes);
	*k = (struct kept_event){0};
}

void events_done(struct engine *e)
{
	for (size_t i = 0; i < LIMIT_EVENTS; i++)
		kept_done(&e->events[i]);
}

void engine_watch_add(struct engine *e, struct engine_watch *w)
{
	w->prev = NULL;
	w->next = e->watches;
	if (w->next)
		w->next->prev = w;
	e->watches = w;
}

/* Also from within a callback: the walk has the next one already. */
void engine_watch_remove(struct engine *e, struct engine_watch *w)
{
	if (e->watch_next == w)
		e->watch_next = w->next;
	if (w->prev)
		w->prev->next = w->next;
	else
		e->watches = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->prev = w->next = NULL;
}

void engine_event(struct engine *e, const struct engine_event *ev)
{
	size_t at = (e->events_at + e->n_events) % LIMIT_EVENTS;
	struct kept_event *k = &e->events[at];
	struct engine_watch *outer = e->watch_next;

	if (e->n_events == LIMIT_EVENTS)
		e->events_at = (e->events_at + 1) % LIMIT_EVENTS;
	else
		e->n_events++;
	kept_done(k);
	k->event = (struct engine_event){.type = xstrdup(ev->type),
					 .action = xstrdup(ev->action),
					 .id = xstrdup(ev->id),
					 .scope = xstrdup(ev->scope ? ev->scope : "local"),
					 .time_ns = ev->time_ns ? ev->time_ns : clock_wall_ns(),
					 .attributes = &k->attributes};
	for (size_t i = 0; ev->attributes && i < ev->attributes->n; i++)
		strmap_set(&k->attributes, ev->attributes->v[i].key, ev->attributes->v[i].value);
	for (struct engine_watch *w = e->watches; w; w = e->watch_next) {
		e->watch_next = w->next;
		w->event(w->arg, &k->event);
	}
	e->watch_next = outer;
}

void engine_events_each(struct engine *e, void (*cb)(void *arg, const struct engine_event *ev),
			void *arg)
{
	for (size_t i = 0; i < e->n_events; i++)
		cb(arg, &e->events[(e->events_at + i) % LIMIT_EVENTS].event);
}
