/*
 * The simulation's floor: a heap of events, a seeded generator and the nodes' worlds. See sim.h.
 */
#include "sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/sim_node.h"

struct sim_event {
	uint64_t at, sequence;
	size_t place; /* in the heap */
	struct sim_node *node;
	unsigned life;
	void (*fire)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

void sim_init(struct sim *s, const struct sim_options *options)
{
	memset(s, 0, sizeof(*s));
	s->options = *options;
	s->random = options->seed * 0x9e3779b97f4a7c15ull + 1;
	s->digest = 0xcbf29ce484222325ull;
}

/* splitmix64 */
static uint64_t next_random(struct sim *s)
{
	uint64_t z = (s->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t sim_random(struct sim *s, uint64_t n)
{
	return n > 0 ? next_random(s) % n : 0;
}

bool sim_once_in(struct sim *s, unsigned n)
{
	return sim_random(s, n) == 0;
}

bool sim_percent(struct sim *s, unsigned n)
{
	return sim_random(s, 100) < n;
}

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

/* The analyser cannot see that an event is in the heap no more once heap_remove() gave it out. */
/* NOLINTBEGIN(clang-analyzer-unix.Malloc) */

static void heap_set(struct sim *s, size_t i, struct sim_event *e)
{
	s->heap[i] = e;
	e->place = i;
}

static void heap_up(struct sim *s, size_t i)
{
	struct sim_event *e = s->heap[i];

	while (i > 0 && earlier(e, s->heap[(i - 1) / 2])) {
		heap_set(s, i, s->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_set(s, i, e);
}

static void heap_down(struct sim *s, size_t i)
{
	struct sim_event *e = s->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < s->events && earlier(s->heap[child + 1], s->heap[child]))
			child++;
		if (child >= s->events || !earlier(s->heap[child], e))
			break;
		heap_set(s, i, s->heap[child]);
		i = child;
	}
	heap_set(s, i, e);
}

static struct sim_event *heap_remove(struct sim *s, size_t i)
{
	struct sim_event *e = s->heap[i];
	struct sim_event *last = s->heap[--s->events];

	if (e == last)
		return e;
	heap_set(s, i, last);
	heap_up(s, i);
	heap_down(s, last->place);
	return e;
}

struct sim_event *sim_after(struct sim *s, uint64_t delay, struct sim_node *node,
			    void (*fire)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct sim_event *e = xcalloc(1, sizeof(*e));

	e->at = s->now + delay;
	e->sequence = s->sequence++;
	e->node = node;
	e->life = node ? node->life : 0;
	e->fire = fire;
	e->drop = drop;
	e->arg = arg;
	if (s->events == s->heap_cap) {
		s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 1024;
		s->heap = xreallocarray(s->heap, s->heap_cap, sizeof(*s->heap));
	}
	heap_set(s, s->events++, e);
	heap_up(s, e->place);
	return e;
}

void sim_cancel(struct sim *s, struct sim_event *e)
{
	free(heap_remove(s, e->place));
}

static bool stale(const struct sim_event *e)
{
	return e->node && e->node->life != e->life;
}

void sim_run(struct sim *s, uint64_t until)
{
	while (s->events > 0 && s->heap[0]->at <= until && !s->failure[0]) {
		struct sim_event *e = heap_remove(s, 0);

		s->now = e->at;
		if (!stale(e))
			e->fire(e->arg);
		else if (e->drop)
			e->drop(e->arg);
		free(e);
		if (s->after)
			s->after(s);
	}
	if (!s->failure[0])
		s->now = until;
}

void sim_done(struct sim *s)
{
	s->over = true;
	while (s->events > 0) {
		struct sim_event *e = heap_remove(s, 0);

		if (e->drop)
			e->drop(e->arg);
		free(e);
	}
	free(s->heap);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list args;

	if (s->failure[0])
		return;
	va_start(args, fmt);
	(void)vsnprintf(s->failure, sizeof(s->failure), fmt, args);
	va_end(args);
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
	char line[256];
	va_list args;
	int n;

	n = snprintf(line, sizeof(line), "%10.3f ", (double)s->now / 1000);
	va_start(args, fmt);
	(void)vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, args);
	va_end(args);
	for (const char *p = line; *p; p++)
		s->digest = (s->digest ^ (uint8_t)*p) * 0x100000001b3ull;
	if (s->options.trace)
		(void)fprintf(stderr, "%s\n", line);
}

/* Worlds */

/* Its clock may be wrong by years, and jump: nothing may depend on it. */
static int64_t node_wall_ns(void *arg)
{
	struct sim_world *w = arg;

	return (int64_t)(w->sim->now * 1000) + w->node->wall_offset_ns;
}

static uint64_t node_mono_ms(void *arg)
{
	struct sim_world *w = arg;

	return w->sim->now / 1000 + 1000;
}

static void node_random(void *arg, void *p, size_t n)
{
	struct sim_world *w = arg;
	uint8_t *bytes = p;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)next_random(w->sim);
}

static void on_timer(void *arg)
{
	struct world_timer *t = arg;

	t->impl = NULL;
	t->fire(t);
}

static void node_timer_stop(void *arg, struct world_timer *t)
{
	struct sim_world *w = arg;

	if (t->impl)
		sim_cancel(w->sim, t->impl);
	t->impl = NULL;
}

static void node_timer_start(void *arg, struct world_timer *t, uint64_t delay_ms)
{
	struct sim_world *w = arg;

	node_timer_stop(arg, t);
	t->impl = sim_after(w->sim, delay_ms * SIM_MS, w->node, on_timer, NULL, t);
}

struct sim_work {
	struct sim_world *world;
	struct world_work *work;
	struct sim_work *next;
};

static void work_unlink(struct sim_work *work)
{
	struct sim_work **at = &work->world->works;

	while (*at != work)
		at = &(*at)->next;
	*at = work->next;
}

static void on_work(void *arg)
{
	struct sim_work *job = arg;
	struct world_work *work = job->work;

	work_unlink(job);
	free(job);
	work->run(work);
	work->done(work);
}

static void node_work(void *arg, struct world_work *work)
{
	struct sim_world *w = arg;
	struct sim_work *job = xcalloc(1, sizeof(*job));

	job->world = w;
	job->work = work;
	job->next = w->works;
	w->works = job;
	(void)sim_after(w->sim, sim_random(w->sim, 30 * SIM_MS), w->node, on_work, NULL, job);
}

void sim_world_init(struct sim_world *w, struct sim *s, struct sim_node *node)
{
	w->sim = s;
	w->node = node;
	w->works = NULL;
	w->world = (struct world){
		.arg = w,
		.wall_ns = node_wall_ns,
		.mono_ms = node_mono_ms,
		.random = node_random,
		.timer_start = node_timer_start,
		.timer_stop = node_timer_stop,
		.work = node_work,
	};
}

/* The life is over: its events are stale, so that they do not run a second time. */
void sim_world_end(struct sim_world *w)
{
	while (w->works)
		on_work(w->works);
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */
