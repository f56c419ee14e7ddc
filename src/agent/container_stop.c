/*
 * Ending a container, signals, and the size of its terminal.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "agent/engine_impl.h"
#include "agent/shim_link.h"

#define GRACE_S 10          /* docker's default */
#define DEATH_MS 30000      /* milliseconds from SIGKILL to the end */
#define GRACE_MAX_S 1000000 /* seconds; what is asked beyond is as good as for ever */

static void on_no_death(uv_timer_t *t)
{
	struct container_live *l = t->data;
	struct op *op = TAKE_PTR(l->exit_op);
	struct err err;

	if (!op)
		return;
	(void)err_set(
		&err, -ETIMEDOUT,
		"container %s does not end after SIGKILL: a process of it hangs in the kernel",
		l->c->id);
	op_end(op, err.code, &err);
}

static void on_grace(uv_timer_t *t)
{
	struct container_live *l = t->data;

	l->killing = true;
	container_signal(l, SIGKILL, true);
	live_timer_start(l, on_no_death, DEATH_MS);
}

void container_end_by(struct op *op, int signal, int64_t grace_ms, void (*then)(struct op *op))
{
	struct container_live *l = op->live;

	if (restart_cancel(l)) {
		l->c->status = CONTAINER_EXITED;
		container_save(l);
	}
	if (!l->link && !l->lost) {
		then(op);
		return;
	}
	l->exit_op = op;
	l->exit_then = then;
	if (signal == SIGKILL || grace_ms == 0) {
		l->killing = true;
		container_signal(l, SIGKILL, true);
		container_thaw(l);
		live_timer_start(l, on_no_death, DEATH_MS);
		return;
	}
	container_signal(l, signal, false);
	container_thaw(l);
	live_timer_start(l, on_grace, (uint64_t)grace_ms);
}

/* ---- Stop ---- */

struct stop {
	struct op op;
	int signal;
	int64_t grace_s;
};

static void stop_end(struct op *op)
{
	container_event(op->live, "stop", NULL, NULL);
	op_end(op, 0, NULL);
}

static void stop_run(struct op *op)
{
	struct stop *s = container_of(op, struct stop, op);
	struct container *c = op->live->c;
	int64_t grace_s = s->grace_s;

	if (!container_is_running(c)) {
		op_end(op, -EALREADY, NULL);
		return;
	}
	c->stopped_by_user = true;
	container_save(op->live);
	if (grace_s < 0)
		grace_s = c->config.stop_timeout && *c->config.stop_timeout >= 0
				  ? *c->config.stop_timeout
				  : GRACE_S;
	grace_s = MIN_OF(grace_s, (int64_t)GRACE_MAX_S);
	container_end_by(op, s->signal ? s->signal : container_stop_signal(c), grace_s * 1000,
			 stop_end);
}

void engine_container_stop(struct engine *e, struct container *c, int signal, int64_t grace_s,
			   engine_done done, void *arg)
{
	struct stop *s = xcalloc(1, sizeof *s);

	(void)e;
	s->op.run = stop_run;
	s->signal = signal;
	s->grace_s = grace_s;
	op_queue(c->live, &s->op, done, arg);
}

/* ---- Kill and resize: at once, whatever is in the queue ---- */

struct request {
	struct deferred deferred;
	struct engine *engine;
	struct container_live *live;
	char *id;
	int signal;
	engine_done done;
	void *arg;
	struct err err;
};

static void request_end(struct request *r)
{
	struct engine *e = r->engine;

	r->done(r->arg, r->err.code, r->err.code ? &r->err : NULL);
	free(r->id);
	free(r);
	engine_release(e);
}

static void request_later(struct deferred *d)
{
	request_end(container_of(d, struct request, deferred));
}

static struct request *request_new(struct container *c, int signal, engine_done done, void *arg)
{
	struct request *r = xcalloc(1, sizeof *r);

	r->live = c->live;
	r->engine = c->live->engine;
	r->id = xstrdup(c->id);
	r->signal = signal;
	r->done = done;
	r->arg = arg;
	engine_hold(r->engine);
	return r;
}

/* As docker does, SIGKILL is done when the container has ended. */
static void killed_ended(void *arg, int exit_code, const char *error)
{
	struct request *r = arg;

	(void)exit_code;
	(void)error;
	engine_hold(r->engine);
	request_end(r);
}

static void request_answered(void *arg, int status, int exit_code, const struct err *err)
{
	struct request *r = arg;
	struct container *c;

	(void)exit_code;
	/* The shim went with its container before it answered: that is what was asked for. */
	if (status < 0 && (status != -ECONNRESET || !r->signal)) {
		r->err = *err;
		r->err.code = status;
	} else if (r->signal == SIGKILL && engine_container_find(r->engine, r->id, &c, NULL) == 0) {
		(void)engine_wait(r->engine, c, WAIT_NOT_RUNNING, killed_ended, r);
		engine_release(r->engine); /* a daemon that stops does not wait for this end */
		return;
	}
	request_end(r);
}

static void kill_event(struct container_live *l, int signal)
{
	char text[16];

	(void)snprintf(text, sizeof text, "%d", signal);
	container_event(l, "kill", "signal", text);
}

static void kill_now(struct container *c, struct request *r)
{
	const int signal = r->signal;
	const uint32_t v[] = {(uint32_t)signal, signal == SIGKILL};
	struct container_live *l = c->live;
	bool ends = false;

	if (c->status == CONTAINER_RUNNING && l->link) {
		l->killing = l->killing || signal == SIGKILL;
		if (signal == SIGKILL || signal == container_stop_signal(c)) {
			c->stopped_by_user = true;
			container_save(l);
			ends = true;
		}
		kill_event(l, signal);
		link_request(l->link, SHIM_KILL, v, ARRAY_LEN(v), request_answered, r);
		if (ends)
			container_thaw(l);
		return;
	}
	if (restart_cancel(l)) {
		c->status = CONTAINER_EXITED;
		c->stopped_by_user = true;
		container_save(l);
	} else {
		(void)err_set(&r->err, -ESRCH, "container %s is not running", c->id);
	}
	r->deferred.run = request_later;
	engine_defer(r->engine, &r->deferred);
}

static void kill_restored(void *arg, int status, const struct err *err)
{
	struct request *r = arg;
	struct container *c;

	if (status < 0) {
		r->err = *err;
	} else if (engine_container_find(r->engine, r->id, &c, &r->err) == 0) {
		kill_now(c, r);
		return;
	}
	request_end(r);
}

void engine_container_kill(struct engine *e, struct container *c, int signal, engine_done done,
			   void *arg)
{
	struct request *r = request_new(c, signal ? signal : SIGKILL, done, arg);

	(void)e;
	if (c->live->restoring)
		container_restored(c->live, kill_restored, r);
	else
		kill_now(c, r);
}

void engine_container_resize(struct engine *e, struct container *c, int rows, int cols,
			     engine_done done, void *arg)
{
	struct request *r = request_new(c, 0, done, arg);
	const uint32_t v[] = {(uint32_t)rows, (uint32_t)cols};

	(void)e;
	if (c->live->link) {
		link_request(c->live->link, SHIM_RESIZE, v, ARRAY_LEN(v), request_answered, r);
		return;
	}
	(void)err_set(&r->err, -ESRCH, "container %s is not running", c->id);
	r->deferred.run = request_later;
	engine_defer(r->engine, &r->deferred);
}
