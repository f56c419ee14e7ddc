/*
 * The world as the manager sees it: clocks, timers, randomness and the pool. The daemon gives the
 * real one (manager/world_uv.h), the simulation its own (tests/sim), so that a run of the manager
 * is decided by a seed. Nothing in the manager asks the kernel or libuv for these directly.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroed and with `fire` set by its owner before the first start; lives inside its owner. */
struct world_timer {
	void (*fire)(struct world_timer *t);
	void *impl; /* the world's own */
};

/* One leaf for the pool: `run` there, then `done` on the loop. Lives until `done` was called. */
struct world_work {
	void (*run)(struct world_work *w);
	void (*done)(struct world_work *w);
	void *impl; /* the world's own */
};

struct world {
	void *arg;
	int64_t (*wall_ns)(void *arg);
	uint64_t (*mono_ms)(void *arg);
	void (*random)(void *arg, void *p, size_t n);
	void (*timer_start)(void *arg, struct world_timer *t, uint64_t delay_ms);
	void (*timer_stop)(void *arg, struct world_timer *t);
	void (*work)(void *arg, struct world_work *w);
};

/* Nanoseconds since the epoch; may jump. */
static inline int64_t world_wall_ns(const struct world *w)
{
	return w->wall_ns(w->arg);
}

/* Milliseconds of a clock that never goes back. */
static inline uint64_t world_mono_ms(const struct world *w)
{
	return w->mono_ms(w->arg);
}

static inline void world_random(const struct world *w, void *p, size_t n)
{
	w->random(w->arg, p, n);
}

static inline uint64_t world_random_u64(const struct world *w)
{
	uint64_t n;

	w->random(w->arg, &n, sizeof(n));
	return n;
}

/* Fires once after `delay_ms`; a running timer starts anew. */
static inline void world_timer_start(const struct world *w, struct world_timer *t,
				     uint64_t delay_ms)
{
	w->timer_start(w->arg, t, delay_ms);
}

/* After it the timer holds nothing of the world and its memory may go. Allowed at any time. */
static inline void world_timer_stop(const struct world *w, struct world_timer *t)
{
	w->timer_stop(w->arg, t);
}

static inline void world_work(const struct world *w, struct world_work *work)
{
	w->work(w->arg, work);
}
