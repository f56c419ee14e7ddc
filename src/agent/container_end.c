/*
 * The end of a container, however it came about: its state, who waited for it, what its policy
 * says, and what is given back.
 */
#include <fcntl.h>
#include <stdio.h>

#include "agent/engine_impl.h"
#include "agent/network.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

struct cleanup {
	struct job job;
	struct deferred deferred;
	struct container_live *live;
	char *dir;
	size_t mounts; /* how many it has */
	void (*done)(void *arg);
	void *arg;
};

static void cleanup_end(struct cleanup *c)
{
	void (*done)(void *arg) = c->done;
	struct engine *e = c->live->engine;
	void *arg = c->arg;

	free(c->dir);
	free(c);
	done(arg);
	engine_release(e);
}

static void cleanup_none(struct deferred *d)
{
	cleanup_end(container_of(d, struct cleanup, deferred));
}

static void cleanup_run(struct job *j)
{
	struct cleanup *c = container_of(j, struct cleanup, job);

	j->status = run_dir_volumes_unmount(c->dir, c->mounts, &j->err);
	if (j->status == 0)
		j->status = run_dir_remove(c->dir, &j->err);
}

static void cleanup_done(struct job *j)
{
	struct cleanup *c = container_of(j, struct cleanup, job);

	if (j->status < 0)
		log_warn("the runtime directory of container %s stays: %s", c->live->c->id,
			 err_text(&j->err));
	c->live->dirty = false;
	container_volumes_release(c->live);
	cleanup_end(c);
}

static void released(void *arg, int status, const struct err *err)
{
	struct cleanup *c = arg;

	if (status < 0)
		log_warn("the endpoints of container %s are not given back: %s", c->live->c->id,
			 err_text(err));
	job_start(c->live->engine->config.loop, &c->job);
}

void container_cleanup(struct container_live *l, void (*done)(void *arg), void *arg)
{
	struct cleanup *c = xcalloc(1, sizeof *c);

	c->live = l;
	c->done = done;
	c->arg = arg;
	engine_hold(l->engine);
	if (!l->dirty) {
		c->deferred.run = cleanup_none;
		engine_defer(l->engine, &c->deferred);
		return;
	}
	c->dir = container_run_dir(l->engine, l->c->id);
	c->mounts = l->c->mounts.n;
	c->job.run = cleanup_run;
	c->job.done = cleanup_done;
	network_container_release(l->engine, l->c, released, c);
}

static void op_cleaned(void *arg)
{
	op_end(arg, 0, NULL);
}

static void op_cleanup(struct op *op)
{
	/* Started again meanwhile, or not ended yet: whoever comes then cleans up. */
	if (op->live->link || op->live->lost || op->live->c->status == CONTAINER_RUNNING)
		op_end(op, 0, NULL);
	else
		container_cleanup(op->live, op_cleaned, op);
}

void container_queue_cleanup(struct container_live *l)
{
	struct op *op = xcalloc(1, sizeof *op);

	op->run = op_cleanup;
	op_queue(l, op, NULL, NULL);
}

static void set_ended(struct container *c, const struct container_end *end)
{
	c->pid = 0;
	c->paused = false;
	c->exit_code = end->exit_code;
	c->oom_killed = end->oom_killed;
	c->finished_ns = end->finished_ns ? end->finished_ns : clock_wall_ns();
	str_set(&c->error, end->error ? end->error : "");
}

static void tell_die(struct container_live *l)
{
	char code[16];

	(void)snprintf(code, sizeof code, "%d", l->c->exit_code);
	if (l->c->oom_killed)
		container_event(l, "oom", NULL, NULL);
	container_event(l, "die", "exitCode", code);
}

static void ended_running(struct container_live *l, const struct container_end *end)
{
	struct container *c = l->c;
	bool removing = l->removing;
	bool again = !removing && restart_wanted(c, end->exit_code);
	int64_t ran_ns;

	set_ended(c, end);
	ran_ns = c->finished_ns - c->started_ns;
	c->status = removing ? CONTAINER_REMOVING : again ? CONTAINER_RESTARTING : CONTAINER_EXITED;
	container_save(l);
	tell_die(l);
	logs_ended(l);
	waits_wake(l, WAIT_NOT_RUNNING);
	container_queue_cleanup(l);
	if (again)
		restart_schedule(l, ran_ns);
	else if (c->host.auto_remove && !removing)
		container_queue_remove(l, true);
}

void container_ended(struct container_live *l, const struct container_end *end)
{
	struct op *op = TAKE_PTR(l->exit_op);

	live_timer_stop(l); /* of the grace */
	health_stop(l);
	if (l->pidfd >= 0)
		close(TAKE_FD(l->pidfd));
	l->killing = false;
	if (l->c->status == CONTAINER_RUNNING || l->removing)
		ended_running(l, end);
	if (op)
		l->exit_then(op);
}
