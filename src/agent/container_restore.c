/*
 * After a start of the daemon: a container whose shim lives is taken over as it is, one that has
 * ended meanwhile gets its end, one whose shim was lost is ended.
 */
#include <signal.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "agent/network.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/container/cgroup.h"

#define CONNECT_MS 5000
#define CLEANUP_MS 10000

enum found { FOUND_NOTHING, FOUND_RUNNING, FOUND_ENDED, FOUND_CREATED };

struct restore {
	struct op op;
	struct job job;
	char *dir, *group;
	bool looked; /* at once, not on the pool */
	enum found found;
	bool frozen;
	struct shim_client client;
	struct shim_state state;
	struct shim_fds fds;
	struct shim_exit exit;
};

static void restore_free(struct op *op)
{
	struct restore *r = container_of(op, struct restore, op);

	op->live->restoring = false;
	free(r->dir);
	free(r->group);
	shim_client_done(&r->client);
	shim_fds_done(&r->fds);
}

static int look(struct restore *r, struct err *e)
{
	int rc = shim_find(r->dir, CONNECT_MS, &r->client, &r->state, e);

	if (rc < 0)
		return rc;
	if (r->state.phase == SHIM_CREATED) {
		rc = shim_abort(&r->client, CONNECT_MS, e);
		r->found = FOUND_CREATED;
		if (rc == -ENOSYS) /* of an older version */
			rc = shim_kill(&r->client, SIGKILL, true, CONNECT_MS, e);
		if (rc != -EALREADY) {
			(void)shim_await_gone(r->dir, CONNECT_MS);
			return rc;
		}
		/* Whoever asked for it had given the word. */
		r->found = FOUND_NOTHING;
		*e = ERR_INIT;
	}
	rc = shim_get_fds(&r->client, CONNECT_MS, &r->fds, e);
	if (rc == 0)
		rc = shim_subscribe(&r->client, CONNECT_MS, e);
	if (rc == 0)
		rc = shim_get_status(&r->client, CONNECT_MS, &r->state, e);
	if (rc == 0)
		r->found = FOUND_RUNNING;
	return rc;
}

static void restore_run(struct job *j)
{
	struct restore *r = container_of(j, struct restore, job);
	struct err err = ERR_INIT;

	if (look(r, &err) == 0 && r->found == FOUND_RUNNING) {
		r->frozen = cgroup_frozen_at(CGROUP_ROOT, r->group);
		return;
	}
	if (r->found != FOUND_CREATED && shim_exit_read(r->dir, &r->exit, NULL) == 0) {
		r->found = FOUND_ENDED;
		return;
	}
	if (shim_lost_cleanup(r->dir, CLEANUP_MS, &err) < 0)
		log_error("what is left of the container of %s cannot be ended: %s", r->dir,
			  err_text(&err));
}

static void connected(void *arg, int status, const struct err *err)
{
	struct restore *r = arg;

	if (status < 0)
		log_error("the networks of container %s are not whole: %s", r->op.live->c->id,
			  err_text(err));
	health_start(r->op.live, false);
	op_end(&r->op, 0, NULL);
}

static void take_over(struct restore *r)
{
	struct container_live *l = r->op.live;
	int netns = TAKE_FD(r->fds.netns), udp = TAKE_FD(r->fds.dns_udp);
	int tcp = TAKE_FD(r->fds.dns_tcp);
	struct container *c = l->c;

	c->pid = r->state.pid;
	c->paused = r->frozen;
	if (r->looked)
		container_save(l);
	if (container_adopt(l, &r->client) < 0) {
		log_error("the shim of container %s cannot be watched", c->id);
		fd_close_at(&netns);
		fd_close_at(&udp);
		fd_close_at(&tcp);
		op_end(&r->op, -EIO, NULL);
		return;
	}
	l->pidfd = TAKE_FD(r->fds.pid);
	network_container_connect(l->engine, c, netns, udp, tcp, connected, r);
}

/* It does not run. What was running has ended; the others may be wanted again. */
static void settle(struct container_live *l, const struct container_end *end)
{
	struct container *c = l->c;

	if (c->status == CONTAINER_RUNNING) {
		container_ended(l, end);
		return;
	}
	container_queue_cleanup(l);
	if (c->status == CONTAINER_REMOVING)
		container_queue_remove(l, false);
	else if (c->status == CONTAINER_RESTARTING)
		restart_schedule(l, 0);
	else if (c->status == CONTAINER_EXITED && c->host.auto_remove)
		container_queue_remove(l, true);
	else if (c->status == CONTAINER_EXITED && restart_wanted_at_boot(c))
		container_queue_start(l);
}

/* It was started by a daemon that did not live to write that down. */
static void note_late_start(struct container_live *l, const struct shim_exit *exit)
{
	struct container *c = l->c;

	if (c->status == CONTAINER_RUNNING || c->status == CONTAINER_REMOVING ||
	    exit->started_ns == 0 || exit->finished_ns <= c->finished_ns)
		return;
	c->status = CONTAINER_RUNNING;
	c->started_ns = exit->started_ns;
}

/*
 * What was being started when the daemon died: before anybody can ask, as what is in the database
 * of it is not so any more.
 */
static void look_now(struct container_live *l, struct restore *r)
{
	r->looked = true;
	restore_run(&r->job);
	if (r->found == FOUND_ENDED)
		note_late_start(l, &r->exit);
	if (r->found == FOUND_RUNNING && l->c->status != CONTAINER_REMOVING) {
		l->c->status = CONTAINER_RUNNING;
		l->c->started_ns = r->state.started_ns;
	}
}

static void restore_done(struct job *j)
{
	struct restore *r = container_of(j, struct restore, job);
	struct container_live *l = r->op.live;
	struct container_end end = {
		.exit_code = 255, .finished_ns = clock_wall_ns(), .error = "shim lost"};

	if (r->found == FOUND_RUNNING) {
		take_over(r);
		return;
	}
	if (r->found == FOUND_ENDED)
		end = (struct container_end){.exit_code = r->exit.exit_code,
					     .oom_killed = r->exit.oom_killed,
					     .finished_ns = r->exit.finished_ns,
					     .error = r->exit.error};
	settle(l, &end);
	op_end(&r->op, 0, NULL);
}

static void restore_op(struct op *op)
{
	struct restore *r = container_of(op, struct restore, op);

	if (r->looked) {
		restore_done(&r->job);
		return;
	}
	r->job.run = restore_run;
	r->job.done = restore_done;
	job_start(op->live->engine->config.loop, &r->job);
}

void container_restore(struct container_live *l)
{
	auto_free char *dir = container_run_dir(l->engine, l->c->id);
	struct restore *r;

	l->dirty = access(dir, F_OK) == 0;
	if (!l->dirty) {
		/* Nothing of this boot: no pool thread is needed to know it. */
		const struct container_end end = {
			.exit_code = 255, .finished_ns = clock_wall_ns(), .error = "shim lost"};

		settle(l, &end);
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->op.run = restore_op;
	r->op.free = restore_free;
	r->dir = TAKE_PTR(dir);
	r->group = container_cgroup_path(l->c, l->engine->config.cgroup_parent);
	r->fds = SHIM_FDS_INIT;
	shim_client_init(&r->client);
	l->restoring = true;
	if (l->c->status != CONTAINER_RUNNING)
		look_now(l, r);
	/* Whoever asks before the shim has answered is told what is so. */
	l->c->paused = l->c->status == CONTAINER_RUNNING && cgroup_frozen_at(CGROUP_ROOT, r->group);
	op_queue(l, &r->op, NULL, NULL);
}

static void nothing(struct op *op)
{
	op_end(op, 0, NULL);
}

void container_restored(struct container_live *l, engine_done done, void *arg)
{
	struct op *op = xcalloc(1, sizeof *op);

	op->run = nothing;
	op_queue(l, op, done, arg);
}
