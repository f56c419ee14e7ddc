/*
 * Probing a container's health: after each wait its check is executed in it, by the same way as
 * any other process, but neither listed nor kept. One probe at a time; one that takes too long is
 * killed with what it has started. What results mean is model/health.c's.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/shim_link.h"
#include "base/clock.h"
#include "base/id.h"
#include "model/health.h"

#define CODE_NOT_STARTED 126

struct monitor {
	struct container_live *live; /* NULL: stopped, its timer closes */
	struct engine *engine;
	uv_timer_t timer; /* the wait for the next probe, or the time that one may take */
	struct exec_live *probe;
	struct engine_attach *attach; /* to its output, until that has ended */
	struct deferred settle;
	bool settling, closed, exited, timed_out;
	int64_t start_ns;
	struct err failed; /* why it could not be executed */
	struct buf output;
	bool cut; /* there was more of it */
};

static const struct healthcheck *check_of(const struct monitor *m)
{
	return m->live->c->config.healthcheck;
}

static void timer_start(struct monitor *m, uv_timer_cb cb, int64_t ns)
{
	uv_update_time(m->engine->config.loop);
	(void)uv_timer_start(&m->timer, cb, (uint64_t)((ns + NS_PER_MS - 1) / NS_PER_MS), 0);
}

static void probe_begin(uv_timer_t *t);

static void wait_next(struct monitor *m)
{
	const struct container *c = m->live->c;

	timer_start(
		m, probe_begin,
		healthcheck_wait(check_of(m), c->health->status, clock_wall_ns() - c->started_ns));
}

/* ---- A result ---- */

static char *result_text(struct monitor *m)
{
	const char *said = buf_text(&m->output), *more = m->cut ? "..." : "";
	char limit[DURATION_TEXT_MAX];

	if (m->failed.code)
		return xstrdup(err_text(&m->failed));
	if (!m->timed_out)
		return xasprintf("%s%s", said, more);
	duration_format(healthcheck_timeout(check_of(m)), limit);
	return xasprintf("Health check exceeded timeout (%s)%s%s%s", limit, *said ? ": " : "", said,
			 more);
}

static void result_take(struct monitor *m, int exit_code)
{
	struct container_live *l = m->live;
	struct health *h = l->c->health;
	int64_t streak = h->streak;
	bool lost = m->failed.code || m->timed_out;
	struct health_result result = {.start_ns = m->start_ns,
				       .end_ns = clock_wall_ns(),
				       .exit_code = lost ? -1 : exit_code,
				       .output = result_text(m)};
	bool changed = health_add(h, check_of(m), l->c->started_ns, &result);
	auto_free char *action = NULL;

	/* The log alone is not worth a write each time. */
	if (changed || h->streak != streak)
		container_save(l);
	if (!changed)
		return;
	action = xasprintf("health_status: %s", container_health_name(l->c));
	container_event(l, action, NULL, NULL);
}

static void monitor_free(struct monitor *m)
{
	buf_done(&m->output);
	free(m);
}

/* Apart from the callbacks that say that it has ended, as it is forgotten here. */
static void settle(struct deferred *d)
{
	struct monitor *m = container_of(d, struct monitor, settle);
	struct exec_live *x = TAKE_PTR(m->probe);
	struct engine *e = m->engine;
	int exit_code;

	m->settling = false;
	if (m->live && x) {
		exit_code = x->x.exit_code;
		x->monitor = NULL;
		exec_forget(x);
		result_take(m, exit_code);
		/* Whoever heard of it may have ended the container. */
		if (m->live)
			wait_next(m);
	}
	if (m->closed)
		monitor_free(m);
	engine_release(e);
}

static void settle_soon(struct monitor *m)
{
	if (!m->exited || m->attach || m->settling)
		return;
	(void)uv_timer_stop(&m->timer);
	m->settling = true;
	m->settle.run = settle;
	engine_hold(m->engine);
	engine_defer(m->engine, &m->settle);
}

void health_probe_ended(struct exec_live *x)
{
	if (!x->monitor) {
		if (x->live)
			exec_forget(x);
		return;
	}
	x->monitor->exited = true;
	settle_soon(x->monitor);
}

/* ---- A probe ---- */

static bool on_output(void *arg, int stream, const void *p, size_t n)
{
	struct monitor *m = arg;
	size_t room = LIMIT_HEALTH_OUTPUT - m->output.len;

	(void)stream;
	m->cut = m->cut || n > room;
	(void)buf_add(&m->output, p, MIN_OF(n, room));
	return true;
}

static void on_output_end(void *arg)
{
	struct monitor *m = arg;

	engine_attach_close(TAKE_PTR(m->attach));
	settle_soon(m);
}

static void on_drain(void *arg)
{
	(void)arg;
}

static void killed(void *arg, int status, int exit_code, const struct err *err)
{
	(void)arg;
	(void)status;
	(void)exit_code;
	(void)err;
}

static void probe_kill(struct exec_live *x)
{
	const uint32_t v[] = {SIGKILL, true};

	if (x->link)
		link_request(x->link, SHIM_KILL, v, ARRAY_LEN(v), killed, NULL);
}

/* By its id, as all of it may be gone by the answer. */
struct starting {
	struct engine *engine;
	char id[ID_HOST_LEN + 1];
};

static void on_started(void *arg, int status, const struct err *err)
{
	struct starting *s = arg;
	struct engine_exec *exec;
	struct exec_live *x;

	if (engine_exec_find(s->engine, s->id, &exec, NULL) == 0) {
		x = container_of(exec, struct exec_live, x);
		if (status < 0 && x->monitor)
			x->monitor->failed = *err;
		if (status < 0)
			exec_ended(x, CODE_NOT_STARTED, 0);
		else if (!x->monitor || x->monitor->timed_out)
			probe_kill(x); /* nobody waits for it any more */
	}
	free(s);
}

static void on_timeout(uv_timer_t *t)
{
	struct monitor *m = t->data;

	m->timed_out = true;
	probe_kill(m->probe);
}

static void probe_begin(uv_timer_t *t)
{
	static const struct engine_attach_ops ops = {
		.output = on_output, .end = on_output_end, .drain = on_drain};
	struct monitor *m = t->data;
	struct exec_config config = {.attach_stdout = true, .attach_stderr = true};
	const struct container_config *c = &m->live->c->config;
	struct starting *s = xcalloc(1, sizeof *s);
	struct exec_live *x;

	healthcheck_command(check_of(m), &c->shell, &config.cmd);
	x = exec_make(m->live, &config, true);
	x->monitor = m;
	m->probe = x;
	m->exited = m->timed_out = m->cut = false;
	m->failed = ERR_INIT;
	buf_reset(&m->output);
	m->start_ns = clock_wall_ns();
	m->attach = attaches_add(&x->attaches, ENGINE_STDOUT | ENGINE_STDERR, &ops, m, &m->failed);
	timer_start(m, on_timeout, healthcheck_timeout(c->healthcheck));
	s->engine = m->engine;
	(void)snprintf(s->id, sizeof s->id, "%s", x->x.id);
	engine_exec_start(m->engine, &x->x, on_started, s);
}

/* ---- The monitor ---- */

void health_start(struct container_live *l, bool new_run)
{
	struct container *c = l->c;
	struct monitor *m;

	if (l->monitor || c->paused || c->status != CONTAINER_RUNNING ||
	    !healthcheck_is_on(c->config.healthcheck))
		return;
	if (!c->health)
		c->health = xcalloc(1, sizeof *c->health);
	if (new_run) {
		c->health->status = HEALTH_STARTING;
		c->health->streak = 0;
	}
	m = xcalloc(1, sizeof *m);
	m->live = l;
	m->engine = l->engine;
	m->output = BUF_INIT(LIMIT_HEALTH_OUTPUT);
	(void)uv_timer_init(l->engine->config.loop, &m->timer);
	m->timer.data = m;
	l->monitor = m;
	wait_next(m);
}

static void on_closed(uv_handle_t *h)
{
	struct monitor *m = h->data;
	struct engine *e = m->engine;

	m->closed = true;
	if (!m->settling)
		monitor_free(m);
	engine_release(e);
}

void health_stop(struct container_live *l)
{
	struct monitor *m = TAKE_PTR(l->monitor);
	struct exec_live *x;

	if (!m)
		return;
	m->live = NULL;
	x = TAKE_PTR(m->probe);
	if (m->attach)
		engine_attach_close(TAKE_PTR(m->attach));
	engine_hold(m->engine);
	uv_close((uv_handle_t *)&m->timer, on_closed);
	if (!x)
		return;
	x->monitor = NULL;
	if (m->exited)
		exec_forget(x);
	else
		probe_kill(x);
}
