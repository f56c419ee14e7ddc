/*
 * After a start of the daemon: what is executed in containers goes on, and what has ended
 * meanwhile still has its exit status.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define CONNECT_MS 5000
#define RECORD_MAX (1u << 20)
#define CODE_LOST 255

struct restore {
	struct job job;
	struct exec_live *x;
	char *dir;
	bool runs, probe;
	struct shim_client client;
	struct shim_state state;
	struct shim_exit exit;
};

static void restore_run(struct job *j)
{
	struct restore *r = container_of(j, struct restore, job);

	j->status = shim_find(r->dir, CONNECT_MS, &r->client, &r->state, &j->err);
	/* Nobody waits any more for one that had not begun. */
	if (j->status == 0 && r->state.phase == SHIM_CREATED)
		(void)shim_abort(&r->client, CONNECT_MS, &j->err);
	if (j->status == 0)
		j->status = shim_subscribe(&r->client, CONNECT_MS, &j->err);
	/* Nobody waits any more for a probe: its container's health is asked for anew. */
	if (j->status == 0 && r->probe) {
		(void)shim_kill(&r->client, SIGKILL, true, CONNECT_MS, &j->err);
		(void)shim_await_gone(r->dir, CONNECT_MS);
		return;
	}
	r->runs = j->status == 0;
	if (!r->runs)
		j->status = shim_exit_read(r->dir, &r->exit, &j->err);
}

static void restore_done(struct job *j)
{
	struct restore *r = container_of(j, struct restore, job);
	struct exec_live *x = r->x;
	struct engine *e = x->engine;

	if (r->runs && x->live) {
		x->x.pid = r->state.pid;
		r->runs = exec_adopt(x, &r->client) == 0;
	}
	if (!r->runs) {
		if (j->status == 0)
			exec_ended(x, r->exit.exit_code, r->exit.finished_ns);
		else
			exec_ended(x, CODE_LOST, 0);
	}
	shim_client_done(&r->client);
	free(r->dir);
	free(r);
	exec_unbusy(x);
	engine_release(e);
}

static void restore_start(struct exec_live *x)
{
	struct restore *r = xcalloc(1, sizeof *r);

	r->job.run = restore_run;
	r->job.done = restore_done;
	r->x = x;
	r->probe = x->x.probe;
	r->dir = exec_run_dir(x->engine, x->x.id);
	shim_client_init(&r->client);
	x->busy++;
	engine_hold(x->engine);
	job_start(x->engine->config.loop, &r->job);
}

/* The record of one, if its container is still there. */
static bool read_record(const struct engine *e, const char *id, struct engine_exec *ret)
{
	auto_free char *dir = exec_run_dir(e, id);
	auto_free char *path = xasprintf("%s/exec.json", dir);
	auto_buf text = BUF_INIT(RECORD_MAX);
	struct container_live *l = NULL;
	struct err err = ERR_INIT;

	if (file_read_at(AT_FDCWD, path, &text) < 0)
		return false;
	if (json_read(&engine_exec_table, buf_text(&text), text.len, ret, &err) < 0) {
		log_warn("%s is damaged and is removed: %s", path, err_text(&err));
		return false;
	}
	HASH_FIND(hh_id, e->by_id, ret->container, strlen(ret->container), l);
	if (l && l->n_execs < LIMIT_EXECS && strcmp(ret->id, id) == 0)
		return true;
	table_done(&engine_exec_table, ret);
	return false;
}

static void restore_one(struct engine *e, const char *id)
{
	struct engine_exec record = {0};
	struct container_live *l;

	if (!read_record(e, id, &record)) {
		auto_free char *dir = exec_run_dir(e, id);

		(void)dir_remove(AT_FDCWD, dir, NULL);
		return;
	}
	HASH_FIND(hh_id, e->by_id, record.container, strlen(record.container), l);
	record.status = EXEC_RUNNING;
	restore_start(exec_new(l, &record));
}

void execs_restore(struct engine *e)
{
	auto_free char *path = xasprintf("%s/execs", e->config.exec_root);
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			restore_one(e, entry->d_name);
	if (d)
		closedir(d);
}
