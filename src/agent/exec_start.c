/*
 * Executing a process in a container: its documents, its shim, whoever is attached, and then its
 * program; and what its shim says afterwards.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/exec_spec.h"
#include "agent/shim_link.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"

#define SPAWN_MS 60000       /* milliseconds for a shim to make the process */
#define CODE_NOT_STARTED 126 /* as docker has it */
#define CODE_LOST 255
#define RECORD_MAX (1u << 20)

struct exec_start {
	struct job job;
	struct exec_live *x;
	engine_done done;
	void *arg;
	char *container_dir, *dir;
	struct container_config *container; /* the job's own, as is `record` */
	struct engine_exec *record;
	int target;
	uint32_t rows, cols;
	struct shim_client client;
	struct shim_state state;
	int exit_code;
};

static void start_free(struct exec_start *s)
{
	struct exec_live *x = s->x;
	struct engine *e = x->engine;

	table_free(&container_config_table, s->container);
	table_free(&engine_exec_table, s->record);
	free(s->container_dir);
	free(s->dir);
	fd_close_at(&s->target);
	shim_client_done(&s->client);
	free(s);
	exec_unbusy(x);
	engine_release(e);
}

/* The attached ones hear the reason before their end. */
static void start_end(struct exec_start *s, int status, const struct err *err)
{
	struct err own = status < 0 ? *err : ERR_INIT;

	own.code = status;
	if (s->done)
		s->done(s->arg, status, status < 0 ? &own : NULL);
	if (status < 0)
		exec_ended(s->x, s->exit_code ? s->exit_code : CODE_NOT_STARTED, 0);
	start_free(s);
}

/* ---- Its shim's word ---- */

static bool on_frame(void *arg, const struct shim_frame *f)
{
	struct exec_live *x = arg;
	struct shim_state state;
	uint32_t mask;

	if (f->type != SHIM_EXITED || shim_get_state(f, &state, &mask) < 0)
		return true;
	exec_drop_link(x);
	/* Its own end comes with the answer to its start. */
	if (x->x.status == EXEC_RUNNING)
		exec_ended(x, (int)state.exit_code, state.finished_ns);
	return true;
}

struct lost {
	struct job job;
	struct exec_live *x;
	char *dir;
	struct shim_exit exit;
};

static void lost_run(struct job *j)
{
	struct lost *lost = container_of(j, struct lost, job);

	j->status = shim_exit_read(lost->dir, &lost->exit, NULL);
}

static void lost_done(struct job *j)
{
	struct lost *lost = container_of(j, struct lost, job);
	struct exec_live *x = lost->x;
	struct engine *e = x->engine;

	if (j->status == 0)
		exec_ended(x, lost->exit.exit_code, lost->exit.finished_ns);
	else
		exec_ended(x, CODE_LOST, 0);
	free(lost->dir);
	free(lost);
	exec_unbusy(x);
	engine_release(e);
}

/* The process has died with its shim, unless it had ended before. */
static void on_lost(void *arg)
{
	struct exec_live *x = arg;
	struct lost *lost = xcalloc(1, sizeof *lost);

	exec_drop_link(x);
	lost->job.run = lost_run;
	lost->job.done = lost_done;
	lost->x = x;
	lost->dir = exec_run_dir(x->engine, x->x.id);
	x->busy++;
	engine_hold(x->engine);
	job_start(x->engine->config.loop, &lost->job);
}

int exec_adopt(struct exec_live *x, struct shim_client *client)
{
	static const struct link_ops ops = {.frame = on_frame, .lost = on_lost};

	return link_new(&x->link, x->engine->config.loop, client, &ops, x);
}

/* ---- The start ---- */

static void started(void *arg, int status, int exit_code, const struct err *err)
{
	struct exec_start *s = arg;

	s->exit_code = exit_code;
	if (status < 0 && exit_code)
		status = -ENOEXEC;
	start_end(s, status, err);
}

static void attached(void *arg)
{
	struct exec_start *s = arg;
	struct exec_live *x = s->x;
	struct err err;

	if (!x->link) {
		(void)err_set(&err, -ESRCH, "the container has stopped");
		start_end(s, err.code, &err);
		return;
	}
	/* Before it runs, so that its end cannot be told first. */
	x->x.status = EXEC_RUNNING;
	x->x.pid = s->state.pid;
	link_request(x->link, SHIM_START, NULL, 0, started, s);
	exec_command_event(x, "exec_start");
}

static void spawned(struct job *j)
{
	struct exec_start *s = container_of(j, struct exec_start, job);
	struct exec_live *x = s->x;
	int rc = j->status;

	if (rc == 0 && !x->live)
		rc = err_set(&j->err, -ESRCH, "the container has been removed");
	if (rc == 0) {
		rc = exec_adopt(x, &s->client);
		if (rc < 0)
			(void)err_code(&j->err, rc, "cannot watch the shim");
	}
	if (rc < 0) {
		start_end(s, s->exit_code ? -ENOEXEC : rc, &j->err);
		return;
	}
	attaches_connect(&x->attaches, attached, s);
}

static int write_record(const struct exec_start *s, struct err *e)
{
	auto_buf text = BUF_INIT(RECORD_MAX);
	auto_free char *path = xasprintf("%s/exec.json", s->dir);
	int rc = json_write(&engine_exec_table, s->record, &text);

	if (rc == 0)
		rc = file_write_atomic(AT_FDCWD, path, text.p, text.len, 0600);
	return rc < 0 ? err_code(e, rc, "cannot write %s", path) : 0;
}

static int prepare_files(struct exec_start *s, struct err *e)
{
	const struct exec_spec_input in = {.exec = &s->record->config,
					   .container = s->container,
					   .rows = s->rows,
					   .cols = s->cols};
	struct spec container, spec;
	struct shim_config shim;
	int rc = run_dir_read(s->container_dir, &container, &shim, e);

	if (rc < 0)
		return rc;
	exec_spec_make(&in, &container, &spec, &shim);
	rc = run_dir_write(s->dir, &spec, &shim, e);
	spec_done(&spec);
	spec_done(&container);
	shim_config_done(&shim);
	return rc == 0 ? write_record(s, e) : rc;
}

static void spawn_run(struct job *j)
{
	struct exec_start *s = container_of(j, struct exec_start, job);

	j->status = prepare_files(s, &j->err);
	if (j->status == 0)
		j->status = shim_spawn_exec(s->x->engine->shim_binary, s->dir, s->target, SPAWN_MS,
					    &s->client, &s->state, &s->exit_code, &j->err);
}

struct refusal {
	struct deferred deferred;
	struct engine *engine;
	engine_done done;
	void *arg;
	struct err err;
};

static void refusal_run(struct deferred *d)
{
	struct refusal *r = container_of(d, struct refusal, deferred);

	if (r->done)
		r->done(r->arg, r->err.code, r->err.code < 0 ? &r->err : NULL);
	engine_release(r->engine);
	free(r);
}

/* An answer that is known at once still comes from the loop. */
static void answer_later(struct engine *e, const struct err *err, engine_done done, void *arg)
{
	struct refusal *r = xcalloc(1, sizeof *r);

	r->deferred.run = refusal_run;
	r->engine = e;
	r->done = done;
	r->arg = arg;
	r->err = *err;
	engine_hold(e);
	engine_defer(e, &r->deferred);
}

struct later {
	struct engine *engine;
	char id[ID_HOST_LEN + 1];
	engine_done done;
	void *arg;
};

static void start_restored(void *arg, int status, const struct err *err)
{
	struct later *l = arg;
	struct engine_exec *exec;
	struct err own = ERR_INIT;

	if (status < 0)
		own = *err;
	if (status == 0 && engine_exec_find(l->engine, l->id, &exec, &own) == 0)
		engine_exec_start(l->engine, exec, l->done, l->arg);
	else if (l->done)
		l->done(l->arg, own.code, &own);
	engine_release(l->engine);
	free(l);
}

/* Of a container whose shim is looked for. */
static void start_later(struct exec_live *x, engine_done done, void *arg)
{
	struct later *l = xcalloc(1, sizeof *l);

	*l = (struct later){.engine = x->engine, .done = done, .arg = arg};
	(void)snprintf(l->id, sizeof l->id, "%s", x->x.id);
	engine_hold(x->engine);
	container_restored(x->live, start_restored, l);
}

void engine_exec_start(struct engine *e, struct engine_exec *exec, engine_done done, void *arg)
{
	struct exec_live *x = container_of(exec, struct exec_live, x);
	struct exec_start *s;
	struct err err = ERR_INIT;
	int target = -1;

	if (x->live->restoring) {
		start_later(x, done, arg);
		return;
	}
	if (engine_exec_check(e, exec, &err) == 0) {
		target = fcntl(x->live->pidfd, F_DUPFD_CLOEXEC, 3);
		if (target < 0)
			(void)err_sys(&err, "cannot hold on to container %s", exec->container);
	}
	if (err.code) {
		answer_later(e, &err, done, arg);
		return;
	}
	s = xcalloc(1, sizeof *s);
	s->x = x;
	s->done = done;
	s->arg = arg;
	s->target = target;
	s->container_dir = container_run_dir(e, exec->container);
	s->dir = exec_run_dir(e, exec->id);
	s->container = table_dup(&container_config_table, &x->live->c->config);
	s->record = table_dup(&engine_exec_table, exec);
	s->record->status = EXEC_RUNNING;
	s->rows = x->rows;
	s->cols = x->cols;
	shim_client_init(&s->client);
	s->job.run = spawn_run;
	s->job.done = spawned;
	x->busy++;
	engine_hold(e);
	job_start(e->config.loop, &s->job);
}

/* ---- Its terminal ---- */

struct resize {
	struct engine *engine;
	engine_done done;
	void *arg;
};

static void resized(void *arg, int status, int exit_code, const struct err *err)
{
	struct resize *r = arg;

	(void)exit_code;
	r->done(r->arg, status, status < 0 ? err : NULL);
	engine_release(r->engine);
	free(r);
}

void engine_exec_resize(struct engine *e, struct engine_exec *exec, int rows, int cols,
			engine_done done, void *arg)
{
	struct exec_live *x = container_of(exec, struct exec_live, x);
	const uint32_t v[] = {(uint32_t)rows, (uint32_t)cols};
	struct err err = ERR_INIT;
	struct resize *r;

	x->rows = v[0];
	x->cols = v[1];
	if (!x->link) {
		if (exec->status == EXEC_ENDED)
			(void)err_set(&err, -ESRCH, "exec %s is not running", exec->id);
		answer_later(e, &err, done, arg);
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->engine = e;
	r->done = done;
	r->arg = arg;
	engine_hold(e);
	link_request(x->link, SHIM_RESIZE, v, ARRAY_LEN(v), resized, r);
}
