/*
 * Processes executed in containers, as they are remembered: made, found, ended, forgotten. Each
 * has a shim and a runtime directory of its own, so that neither the daemon's end nor the
 * container's first shim matters to it. Starting is exec_start.c's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/shim_link.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"

#define EVENT_MAX (64u << 10)

static const char *const status_names[] = {"created", "running", "ended"};

#define T struct engine_exec
static const struct field engine_exec_fields[] = {
	FIELD_STR(T, 0, id, "Id", FIELD_REQUIRED),
	FIELD_STR(T, 0, container, "Container", FIELD_REQUIRED),
	FIELD_OBJ(T, 0, config, "Config", 0, exec_config),
	FIELD_ENUM(T, 0, status, "Status", 0, status_names),
	FIELD_I64(T, 0, pid, "Pid", 0),
	FIELD_I32(T, 0, exit_code, "ExitCode", 0),
	FIELD_TIME(T, 0, finished_ns, "FinishedAt", 0),
	FIELD_BOOL(T, 0, probe, "Probe", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(engine_exec, engine_exec_fields);

char *exec_run_dir(const struct engine *e, const char *id)
{
	return xasprintf("%s/execs/%s", e->config.exec_root, id);
}

struct exec_live *exec_new(struct container_live *l, struct engine_exec *config)
{
	struct exec_live *x = xcalloc(1, sizeof *x), **at = &l->execs;

	x->x = *config;
	*config = (struct engine_exec){0};
	x->engine = l->engine;
	x->live = l;
	x->attaches = (struct attaches){.engine = l->engine,
					.dir = exec_run_dir,
					.id = x->x.id,
					.until_exit = x->x.status != EXEC_ENDED};
	while (*at)
		at = &(*at)->next;
	*at = x;
	l->n_execs++;
	HASH_ADD_KEYPTR(hh, l->engine->execs, x->x.id, strlen(x->x.id), x);
	return x;
}

/* ---- Forgetting ---- */

struct dir_removal {
	struct job job;
	struct engine *engine;
	char *dir;
};

static void dir_removal_run(struct job *j)
{
	struct dir_removal *r = container_of(j, struct dir_removal, job);

	j->status = dir_remove(AT_FDCWD, r->dir, &j->err);
}

static void dir_removal_done(struct job *j)
{
	struct dir_removal *r = container_of(j, struct dir_removal, job);

	if (j->status < 0 && j->status != -ENOENT)
		log_warn("the runtime directory of a process executed in a container stays: %s",
			 err_text(&j->err));
	engine_release(r->engine);
	free(r->dir);
	free(r);
}

static void exec_free(struct exec_live *x)
{
	struct dir_removal *r;

	if (x->x.status != EXEC_CREATED) {
		r = xcalloc(1, sizeof *r);
		r->job.run = dir_removal_run;
		r->job.done = dir_removal_done;
		r->engine = x->engine;
		r->dir = exec_run_dir(x->engine, x->x.id);
		engine_hold(x->engine);
		job_start(x->engine->config.loop, &r->job);
	}
	table_done(&engine_exec_table, &x->x);
	free(x);
}

/* `at` is where its container's list has it. */
static void forget(struct container_live *l, struct exec_live **at)
{
	struct exec_live *x = *at;

	*at = x->next;
	HASH_DELETE(hh, x->engine->execs, x);
	l->n_execs--;
	x->live = NULL;
	attaches_end(&x->attaches);
	exec_drop_link(x);
	if (!x->busy)
		exec_free(x);
}

void exec_forget(struct exec_live *x)
{
	struct exec_live **at = &x->live->execs;

	while (*at != x)
		at = &(*at)->next;
	forget(x->live, at);
}

void exec_unbusy(struct exec_live *x)
{
	if (--x->busy == 0 && !x->live)
		exec_free(x);
}

void execs_free(struct container_live *l)
{
	struct exec_live *x;

	while ((x = l->execs)) {
		l->execs = x->next;
		HASH_DELETE(hh, l->engine->execs, x);
		table_done(&engine_exec_table, &x->x);
		free(x);
	}
}

void execs_drop(struct container_live *l)
{
	while (l->execs)
		forget(l, &l->execs);
}

/* The oldest that does not run; with `ended_before_ns` only one that ended before that. */
static struct exec_live **oldest(struct container_live *l, int64_t ended_before_ns)
{
	struct exec_live **at = &l->execs;

	for (; *at; at = &(*at)->next) {
		const struct engine_exec *x = &(*at)->x;

		if (x->status == EXEC_RUNNING || (*at)->busy)
			continue;
		if (!ended_before_ns ||
		    (x->status == EXEC_ENDED && x->finished_ns < ended_before_ns))
			break;
	}
	return at;
}

/* What ended long ago, and, at the bound, the oldest that does not run. */
static void forget_old(struct container_live *l)
{
	int64_t kept_since = clock_wall_ns() - (int64_t)LIMIT_EXEC_KEPT_MS * NS_PER_MS;
	struct exec_live **at;

	while (*(at = oldest(l, kept_since)))
		forget(l, at);
	while (l->n_execs >= LIMIT_EXECS && *(at = oldest(l, 0)))
		forget(l, at);
}

/* ---- Its end ---- */

void exec_event(struct exec_live *x, const char *action)
{
	struct strmap extra = {0};
	char code[16];

	if (!x->live)
		return;
	strmap_set(&extra, "execID", x->x.id);
	if (x->x.status == EXEC_ENDED) {
		(void)snprintf(code, sizeof code, "%d", x->x.exit_code);
		strmap_set(&extra, "exitCode", code);
	}
	container_event_with(x->live, action, &extra);
	strmap_done(&extra);
}

void exec_command_event(struct exec_live *x, const char *action)
{
	auto_buf text = BUF_INIT(EVENT_MAX);

	buf_addf(&text, "%s:", action);
	STRS_EACH (word, &x->x.config.cmd)
		buf_addf(&text, " %s", word);
	exec_event(x, buf_text(&text));
}

void exec_ended(struct exec_live *x, int exit_code, int64_t finished_ns)
{
	bool ran = x->x.status == EXEC_RUNNING;

	if (x->x.status == EXEC_ENDED)
		return;
	x->x.status = EXEC_ENDED;
	x->x.exit_code = exit_code;
	x->x.finished_ns = finished_ns ? finished_ns : clock_wall_ns();
	if (ran)
		exec_event(x, "exec_die");
	attaches_exited(&x->attaches);
	if (x->x.probe)
		health_probe_ended(x); /* may free it */
}

static void held_closed(void *arg)
{
	engine_release(arg);
}

void exec_drop_link(struct exec_live *x)
{
	if (!x->link)
		return;
	engine_hold(x->engine);
	link_close(TAKE_PTR(x->link), held_closed, x->engine);
}

void execs_let_go(struct container_live *l)
{
	for (struct exec_live *x = l->execs; x; x = x->next) {
		attaches_end(&x->attaches);
		exec_drop_link(x);
	}
}

/* ---- The calls ---- */

static int check_runs(const struct container *c, struct err *err)
{
	int rc = container_check_runs(c, err);

	if (rc == 0 && c->paused)
		rc = err_set(err, -EBUSY,
			     "Container %s is paused, unpause the container before exec", c->id);
	return rc;
}

static int check_config(const struct exec_config *config, struct err *err)
{
	uint32_t rows, cols;

	if (config->cmd.n == 0 || !*config->cmd.v[0])
		return err_set(err, -EINVAL, "No exec command specified");
	if (config->working_dir && *config->working_dir && config->working_dir[0] != '/')
		return err_set(err, -EINVAL,
			       "the working directory '%.200s' is invalid, it needs to be an "
			       "absolute path",
			       config->working_dir);
	STRS_EACH (env, &config->env)
		if (!*env || env[0] == '=')
			return err_set(err, -EINVAL, "invalid environment variable: %.200s", env);
	return console_size_read(config->console_size, &rows, &cols, err);
}

struct exec_live *exec_make(struct container_live *l, struct exec_config *config, bool probe)
{
	struct engine_exec x = {.probe = probe};
	struct err err = ERR_INIT;
	struct exec_live *made;
	char id[ID_HOST_LEN + 1];

	id_host(id);
	x.id = xstrdup(id);
	x.container = xstrdup(l->c->id);
	x.config = *config;
	*config = (struct exec_config){0};
	made = exec_new(l, &x);
	(void)console_size_read(made->x.config.console_size, &made->rows, &made->cols, &err);
	exec_command_event(made, "exec_create");
	return made;
}

int engine_exec_create(struct engine *e, struct container *c, struct exec_config *config,
		       struct engine_exec **ret, struct err *err)
{
	struct container_live *l = c->live;
	int rc = check_runs(c, err);

	if (rc == 0 && e->closing)
		rc = err_set(err, -ESHUTDOWN, "the daemon stops");
	if (rc == 0)
		rc = check_config(config, err);
	if (rc < 0)
		return rc;
	forget_old(l);
	if (l->n_execs >= LIMIT_EXECS)
		return err_set(err, -EBUSY,
			       "%d processes that were executed in container %s run already: end "
			       "some of them first",
			       LIMIT_EXECS, c->id);
	*ret = &exec_make(l, config, false)->x;
	return 0;
}

int engine_exec_find(struct engine *e, const char *id, struct engine_exec **ret, struct err *err)
{
	struct exec_live *x;

	HASH_FIND(hh, e->execs, id, strlen(id), x);
	if (!x)
		return err_set(err, -ENOENT, "No such exec instance: %.64s", id);
	*ret = &x->x;
	return 0;
}

int engine_exec_check(struct engine *e, const struct engine_exec *x, struct err *err)
{
	const struct exec_live *live = container_of((struct engine_exec *)x, struct exec_live, x);

	if (x->status == EXEC_ENDED)
		return err_set(err, -EBUSY, "Error: Exec command %s has already run", x->id);
	if (x->status == EXEC_RUNNING || live->busy)
		return err_set(err, -EBUSY, "Error: Exec command %s is already running", x->id);
	if (e->closing)
		return err_set(err, -ESHUTDOWN, "the daemon stops");
	return check_runs(live->live->c, err);
}

struct engine_attach *engine_exec_attach(struct engine *e, struct engine_exec *x, unsigned streams,
					 const struct engine_attach_ops *ops, void *arg,
					 struct err *err)
{
	struct exec_live *live = container_of(x, struct exec_live, x);

	return engine_exec_check(e, x, err) < 0
		       ? NULL
		       : attaches_add(&live->attaches, streams, ops, arg, err);
}

void engine_exec_ids(const struct container *c, struct strs *ret)
{
	for (struct exec_live *x = c->live->execs; x; x = x->next)
		if (!x->x.probe)
			strs_add(ret, x->x.id);
}
