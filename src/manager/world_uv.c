/*
 * The world of libuv, see world_uv.h. A timer's handle lives until the loop has closed it, so that
 * a timer's owner may go at any time.
 */
#include "manager/world_uv.h"

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

static void on_handle_closed(uv_handle_t *handle)
{
	free(handle);
}

static void loop_timer_stop(void *arg, struct world_timer *t)
{
	uv_timer_t *handle = TAKE_PTR(t->impl);

	(void)arg;
	if (!handle)
		return;
	handle->data = NULL;
	(void)uv_timer_stop(handle);
	uv_close((uv_handle_t *)handle, on_handle_closed);
}

static void on_timer(uv_timer_t *handle)
{
	struct world_timer *t = handle->data;

	/* Ended before it fires: whoever fires may start it anew, or go. */
	loop_timer_stop(NULL, t);
	t->fire(t);
}

static void loop_timer_start(void *arg, struct world_timer *t, uint64_t delay_ms)
{
	uv_timer_t *handle = t->impl;

	if (!handle) {
		handle = xcalloc(1, sizeof(*handle));
		(void)uv_timer_init(arg, handle);
		handle->data = t;
		t->impl = handle;
	}
	uv_update_time(arg);
	(void)uv_timer_start(handle, on_timer, delay_ms, 0);
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
