/*
 * The world of libuv, see world_uv.h. A timer's handle lives until the loop has closed it, so that
 * a timer's owner may go at any time.
 */
#include "manager/world_uv.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"

static int64_t loop_wall_ns(void *arg)
{
	(void)arg;
	return clock_wall_ns();
}

static uint64_t loop_mono_ms(void *arg)
{
	(void)arg;
	return clock_mono_ms();
}

static void loop_random(void *arg, void *p, size_t n)
{
	(void)arg;
	random_bytes(p, n);
}

/* Of both kinds `data` is the struct world_timer, NULL once it was stopped. */
union soon {
	uv_handle_t handle;
	uv_timer_t timer;
	uv_idle_t idle; /* the next turn of the loop */
};

/* This loop's timers are being fired. */
static _Thread_local bool firing;

static void on_handle_closed(uv_handle_t *handle)
{
	free(handle);
}

static void loop_timer_stop(void *arg, struct world_timer *t)
{
	union soon *soon = TAKE_PTR(t->impl);

	(void)arg;
	if (!soon)
		return;
	soon->handle.data = NULL;
	uv_close(&soon->handle, on_handle_closed);
}

/* Ended before it fires: whoever fires may start it anew, or go. */
static void on_soon(uv_idle_t *handle)
{
	struct world_timer *t = handle->data;

	loop_timer_stop(NULL, t);
	t->fire(t);
}

static void on_timer(uv_timer_t *handle)
{
	struct world_timer *t = handle->data;

	loop_timer_stop(NULL, t);
	firing = true;
	t->fire(t);
	firing = false;
}

static union soon *soon_new(uv_loop_t *loop, struct world_timer *t, uint64_t delay_ms)
{
	union soon *soon = xcalloc(1, sizeof(*soon));

	if (delay_ms > 0)
		(void)uv_timer_init(loop, &soon->timer);
	else
		(void)uv_idle_init(loop, &soon->idle);
	soon->handle.data = t;
	return soon;
}

/*
 * Timers that are started while timers fire must not fire in the same turn, or a chain of them
 * keeps the loop from its sockets: libuv (before 1.45) fires whatever is due by its clock until
 * nothing is. So no delay means an idle handle, of which each turn runs those that it found; and
 * the clock, which a delay has to be counted from, is not put on meanwhile.
 */
static void loop_timer_start(void *arg, struct world_timer *t, uint64_t delay_ms)
{
	union soon *soon = t->impl;

	if (soon && (delay_ms == 0 || soon->handle.type != UV_TIMER))
		loop_timer_stop(arg, t);
	if (!t->impl)
		t->impl = soon_new(arg, t, delay_ms);
	soon = t->impl;
	if (delay_ms == 0) {
		(void)uv_idle_start(&soon->idle, on_soon);
		return;
	}
	if (firing)
		delay_ms += clock_mono_ms() - MIN_OF(clock_mono_ms(), uv_now(arg));
	else
		uv_update_time(arg);
	(void)uv_timer_start(&soon->timer, on_timer, delay_ms, 0);
}

struct job {
	uv_work_t uv;
	struct world_work *work;
};

static void on_run(uv_work_t *uv)
{
	struct world_work *work = container_of(uv, struct job, uv)->work;

	work->run(work);
}

static void on_ran(uv_work_t *uv, int status)
{
	struct job *job = container_of(uv, struct job, uv);
	struct world_work *work = job->work;

	(void)status; /* jobs are never taken back */
	free(job);
	work->done(work);
}

static void loop_work(void *arg, struct world_work *work)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->work = work;
	if (uv_queue_work(arg, &job->uv, on_run, on_ran) != 0)
		abort();
}

void world_uv_init(struct world *w, uv_loop_t *loop)
{
	*w = (struct world){
		.arg = loop,
		.wall_ns = loop_wall_ns,
		.mono_ms = loop_mono_ms,
		.random = loop_random,
		.timer_start = loop_timer_start,
		.timer_stop = loop_timer_stop,
		.work = loop_work,
	};
}
