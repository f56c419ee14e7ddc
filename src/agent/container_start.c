/*
 * Starting a container: its files and addresses, its shim, its endpoints, whoever is attached, and
 * then its program.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "agent/network.h"
#include "agent/shim_link.h"
#include "base/clock.h"
#include "base/file.h"
#include "runtime/container/caps.h"
#include "runtime/container/seccomp_filter.h"

#define SPAWN_MS 60000 /* milliseconds for a shim to make a container */
#define CODE_NOT_STARTED 128

struct start {
	struct op op;
	struct job job;
	struct container *copy; /* the job's own */
	char *dir, *filters;
	struct engine_files *files; /* NULL: none */
	bool dns;
	struct shim_client client;
	struct shim_fds fds;
	struct shim_state state;
	struct err err;
};

static struct start *start_of(struct op *op)
{
	return container_of(op, struct start, op);
}

static void start_free(struct op *op)
{
	struct start *s = start_of(op);

	table_free(&container_table, s->copy);
	engine_files_free(s->files);
	free(s->dir);
	free(s->filters);
	shim_client_done(&s->client);
	shim_fds_done(&s->fds);
}

/* ---- Failing ---- */

/* Given back is everything; now it is told. A restart that fails ends the restarting. */
static void failed_end(void *arg)
{
	struct start *s = arg;
	struct container_live *l = s->op.live;
	struct container *c = l->c;

	if (c->status == CONTAINER_RESTARTING)
		c->status = CONTAINER_EXITED;
	str_set(&c->error, err_text(&s->err));
	container_save(l);
	attaches_end(&l->attaches);
	if (c->host.auto_remove)
		container_queue_remove(l, true);
	op_end(&s->op, s->err.code, &s->err);
}

static void failed_stopped(struct op *op)
{
	container_cleanup(op->live, failed_end, op);
}

static void failed(struct start *s, int code, const struct err *err, int exit_code)
{
	struct container_live *l = s->op.live;

	if (err)
		s->err = *err;
	s->err.code = code;
	l->c->exit_code = exit_code ? exit_code : CODE_NOT_STARTED;
	if (!l->link && !l->lost) {
		failed_stopped(&s->op);
		return;
	}
	/* The shim lives, or is being looked after: the rest comes when it has ended. */
	l->exit_op = &s->op;
	l->exit_then = failed_stopped;
	s->op.stays = true;
	if (!exit_code)
		container_signal(l, SIGKILL, true);
}

/* ---- The last step: the program ---- */

static void started(void *arg, int status, int exit_code, const struct err *err)
{
	struct start *s = arg;
	struct container_live *l = s->op.live;
	struct container *c = l->c;

	if (status < 0) {
		failed(s, exit_code ? -ENOEXEC : status, err, exit_code);
		return;
	}
	c->status = CONTAINER_RUNNING;
	c->pid = s->state.pid;
	/* The shim's own word on it may have come first; it is after the end of the run before. */
	if (c->started_ns <= c->finished_ns)
		c->started_ns = clock_wall_ns();
	c->finished_ns = 0;
	c->exit_code = 0;
	c->oom_killed = false;
	str_set(&c->error, "");
	health_start(l, true);
	container_save(l);
	container_event(l, "start", NULL, NULL);
	op_end(&s->op, 0, NULL);
}

static void attached(void *arg)
{
	struct start *s = arg;
	struct container_live *l = s->op.live;
	struct err err;

	if (!l->link) {
		(void)err_set(&err, -ECONNRESET, "the container ended while it was being created");
		failed(s, err.code, &err, 0);
		return;
	}
	link_request(l->link, SHIM_START, NULL, 0, started, s);
}

static void connected(void *arg, int status, const struct err *err)
{
	struct start *s = arg;

	if (status < 0)
		failed(s, status, err, 0);
	else
		attaches_connect(&s->op.live->attaches, attached, s);
}

static void spawned(struct job *j)
{
	struct start *s = container_of(j, struct start, job);
	struct container_live *l = s->op.live;
	int netns = TAKE_FD(s->fds.netns), udp = TAKE_FD(s->fds.dns_udp);
	int tcp = TAKE_FD(s->fds.dns_tcp);
	int rc = j->status;

	if (rc == 0) {
		rc = container_adopt(l, &s->client);
		if (rc < 0)
			(void)err_code(&j->err, rc, "cannot watch the shim");
	}
	engine_release(l->engine);
	if (rc == 0)
		l->pidfd = TAKE_FD(s->fds.pid);
	if (rc < 0) {
		fd_close_at(&netns);
		fd_close_at(&udp);
		fd_close_at(&tcp);
		failed(s, rc, &j->err, 0);
		return;
	}
	network_container_connect(l->engine, l->c, netns, udp, tcp, connected, s);
}

/* ---- The job: files, filter, shim ---- */

static int set_filter(struct start *s, const struct spec *spec, struct shim_config *shim,
		      struct err *e)
{
	uint64_t caps = 0;
	int rc = 0;

	if (spec->linux_.seccomp.default_action) /* the shim compiles what is the user's own */
		return 0;
	if (s->copy->host.privileged)
		return 0;
	STRS_EACH (opt, &s->copy->host.security_opt)
		if (strcmp(opt, "seccomp=unconfined") == 0 ||
		    strcmp(opt, "seccomp:unconfined") == 0)
			return 0;
	rc = caps_parse(&spec->process.capabilities.bounding, &caps, e);
	if (rc == 0)
		rc = dir_make(s->filters, 0700, e);
	return rc == 0 ? seccomp_filter_ensure(s->filters, caps, &shim->seccomp_filter, e) : rc;
}

static int prepare_files(struct start *s, struct err *e)
{
	const struct engine *engine = s->op.live->engine;
	struct container_spec_input in = {.c = s->copy,
					  .init = engine->config.init_path,
					  .cgroup_parent = engine->config.cgroup_parent,
					  .dns = s->dns};
	struct snapshot snapshot = {0};
	struct shim_config shim;
	struct spec spec;
	int rc = snapshot_prepare(engine->images, s->copy->id, s->copy->image_id, &snapshot, e);

	if (rc < 0)
		return rc;
	in.snapshot = &snapshot;
	in.files = s->files;
	in.files_dir = s->dir;
	rc = container_spec_make(&in, &spec, &shim, e);
	table_done(&snapshot_table, &snapshot);
	if (rc < 0)
		return rc;
	rc = set_filter(s, &spec, &shim, e);
	if (rc == 0)
		rc = run_dir_write(s->dir, &spec, &shim, e);
	if (rc == 0)
		rc = container_volumes_mount(s->copy, s->dir, e);
	if (rc == 0 && s->files)
		rc = run_dir_files(s->dir, s->files, e);
	spec_done(&spec);
	shim_config_done(&shim);
	return rc;
}

static void spawn_run(struct job *j)
{
	struct start *s = container_of(j, struct start, job);

	j->status = prepare_files(s, &j->err);
	if (j->status == 0)
		j->status = shim_spawn(s->op.live->engine->shim_binary, s->dir, SPAWN_MS,
				       &s->client, &s->state, &s->fds, &j->err);
}

static void prepared(void *arg, int status, const struct err *err)
{
	struct start *s = arg;
	struct container_live *l = s->op.live;
	struct engine *e = l->engine;

	if (status < 0) {
		failed(s, status, err, 0);
		return;
	}
	s->copy = table_dup(&container_table, l->c);
	s->dns = network_container_has_dns(e, l->c);
	s->dir = container_run_dir(e, l->c->id);
	s->filters = xasprintf("%s/seccomp", e->config.exec_root);
	s->job.run = spawn_run;
	s->job.done = spawned;
	engine_hold(e);
	job_start(e->config.loop, &s->job);
}

static void cleaned(void *arg)
{
	struct start *s = arg;
	struct container_live *l = s->op.live;

	l->dirty = true;
	atomic_fetch_add(&l->engine->starts, 1);
	network_container_prepare(l->engine, l->c, prepared, s);
}

static void start_run(struct op *op)
{
	struct container_live *l = op->live;
	struct container *c = l->c;
	struct err err;

	if (c->paused) {
		(void)err_set(&err, -EBUSY, "cannot start a paused container, try unpause instead");
		op_end(op, err.code, &err);
		return;
	}
	if (c->status == CONTAINER_RUNNING) {
		op_end(op, -EALREADY, NULL);
		return;
	}
	if (c->files && !start_of(op)->files) {
		(void)err_set(&err, -EPERM,
			      "container %s has secrets or configs of the swarm, which alone can "
			      "start it",
			      c->id);
		op_end(op, err.code, &err);
		return;
	}
	if (c->status == CONTAINER_REMOVING || c->status == CONTAINER_DEAD || l->lost || l->link) {
		(void)err_set(&err, -EBUSY,
			      c->status == CONTAINER_DEAD
				      ? "container %s is dead: it can only be removed"
				      : "container %s is being removed, or has not ended yet",
			      c->id);
		op_end(op, err.code, &err);
		return;
	}
	(void)restart_cancel(l);
	c->stopped_by_user = false;
	container_cleanup(l, cleaned, op);
}

static struct start *start_new(void)
{
	struct start *s = xcalloc(1, sizeof *s);

	s->op.run = start_run;
	s->op.free = start_free;
	s->fds = SHIM_FDS_INIT;
	shim_client_init(&s->client);
	return s;
}

void engine_container_start_files(struct engine *e, struct container *c, struct engine_files *files,
				  engine_done done, void *arg)
{
	struct start *s = start_new();

	(void)e;
	s->files = files;
	op_queue(c->live, &s->op, done, arg);
}

void engine_container_start(struct engine *e, struct container *c, engine_done done, void *arg)
{
	(void)e;
	/* A user's start begins the counting anew. */
	c->live->restart_delay_ms = 0;
	if (c->status != CONTAINER_RUNNING)
		c->restart_count = 0;
	op_queue(c->live, &start_new()->op, done, arg);
}

/* What failed here stands in the container's error. */
void container_queue_start(struct container_live *l)
{
	op_queue(l, &start_new()->op, NULL, NULL);
}
