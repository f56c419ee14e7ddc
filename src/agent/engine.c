/*
 * Opening and closing the engine of one host, and what its files share: holding, deferring. See
 * engine.h; the order of closing is that of engine_release().
 */
#include "agent/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/engine_impl.h"
#include "agent/network.h"
#include "agent/shim_link.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"

#define ID_FILE_MAX 128

static const char *const migrations[] = {
	DB_DOCS("containers"),
};

void engine_defer(struct engine *e, struct deferred *d)
{
	d->next = NULL;
	*e->deferred_end = d;
	e->deferred_end = &d->next;
	(void)uv_async_send(&e->wake);
}

/* What is deferred meanwhile waits for the next turn. */
static void on_wake(uv_async_t *wake)
{
	struct engine *e = wake->data;
	struct deferred *d = e->deferred;

	e->deferred = NULL;
	e->deferred_end = &e->deferred;
	while (d) {
		struct deferred *next = d->next;

		d->run(d);
		d = next;
	}
}

void engine_hold(struct engine *e)
{
	e->holds++;
}

static void engine_free(struct engine *e)
{
	struct container_live *l;

	while ((l = e->by_id)) {
		HASH_DELETE(hh_id, e->by_id, l);
		HASH_DELETE(hh_name, e->by_name, l);
		execs_free(l);
		fd_close_at(&l->pidfd);
		table_free(&container_table, l->c);
		free(l);
	}
	events_done(e);
	db_close(e->db);
	image_store_close(e->images);
	fd_close_at(&e->shim_binary);
	fd_close_at(&e->lock);
	strs_done(&e->labels);
	strs_done(&e->warnings);
	free((char *)e->config.data_root);
	free((char *)e->config.exec_root);
	free((char *)e->config.shim_path);
	free((char *)e->config.init_path);
	free((char *)e->config.cgroup_parent);
	free((char *)e->config.bridge);
	free(e->id);
	free(e);
}

static void on_wake_closed(uv_handle_t *h)
{
	struct engine *e = h->data;
	void (*closed)(void *arg) = e->closed;
	void *arg = e->closed_arg;

	engine_free(e);
	if (closed)
		closed(arg);
}

static void on_held_closed(void *arg)
{
	engine_release(arg);
}

/* No operation runs any more: let go of the containers. */
static void let_go(struct engine *e)
{
	engine_hold(e);
	CONTAINERS_EACH(l, e)
	{
		waits_drop(l);
		health_stop(l);
		attaches_end(&l->attaches);
		execs_let_go(l);
		(void)restart_cancel(l);
		if (l->link) {
			engine_hold(e);
			link_close(TAKE_PTR(l->link), on_held_closed, e);
		}
		live_timer_close(l);
	}
	engine_hold(e);
	networks_close(e, on_held_closed, e);
	engine_release(e);
}

void engine_release(struct engine *e)
{
	if (--e->holds || !e->closing)
		return;
	if (!e->let_go) {
		e->let_go = true;
		let_go(e);
		return;
	}
	if (!uv_is_closing((uv_handle_t *)&e->wake))
		uv_close((uv_handle_t *)&e->wake, on_wake_closed);
}

void engine_close(struct engine *e, void (*done)(void *arg), void *arg)
{
	e->closed = done;
	e->closed_arg = arg;
	engine_hold(e);
	e->closing = true;
	CONTAINERS_EACH(l, e)
	{
		struct err err;

		logs_close_all(l);
		stats_end(l);
		if (!l->exit_op || l->exit_op->stays)
			continue;
		(void)err_set(&err, -ECANCELED, "the daemon stops");
		op_end(TAKE_PTR(l->exit_op), err.code, &err);
	}
	engine_release(e);
}

/* ---- Opening ---- */

static int lock_data_root(struct engine *e, struct err *err)
{
	auto_free char *path = xasprintf("%s/engine.lock", e->config.data_root);

	e->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (e->lock < 0)
		return err_sys(err, "cannot open %s", path);
	if (file_wait_lock(e->lock, LIMIT_TAKEOVER_MS) < 0)
		return err_set(err, -EBUSY,
			       "another daemon uses %s: give this one another "
			       "--data-root, or stop that one",
			       e->config.data_root);
	return 0;
}

/* Made once, as `docker info` shows it. */
static int read_id(struct engine *e, struct err *err)
{
	auto_free char *path = xasprintf("%s/engine-id", e->config.data_root);
	auto_buf text = BUF_INIT(ID_FILE_MAX);
	uint8_t r[16];
	char hex[33];
	int rc = file_read_at(AT_FDCWD, path, &text);

	if (rc == 0 && text.len) {
		e->id = xstrndup(text.p, strcspn(text.p, "\n"));
		return 0;
	}
	if (rc < 0 && rc != -ENOENT)
		return err_code(err, rc, "cannot read %s", path);
	random_bytes(r, sizeof r);
	hex_encode(r, sizeof r, hex);
	e->id = xasprintf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	rc = file_write_atomic(AT_FDCWD, path, e->id, strlen(e->id), 0600);
	return rc < 0 ? err_code(err, rc, "cannot write %s", path) : 0;
}

static int make_dirs(struct engine *e, struct err *err)
{
	auto_free char *data = xasprintf("%s/containers", e->config.data_root);
	auto_free char *run = xasprintf("%s/containers", e->config.exec_root);
	auto_free char *execs = xasprintf("%s/execs", e->config.exec_root);
	auto_free char *volumes = xasprintf("%s/volumes", e->config.data_root);
	int rc = dir_make(e->config.data_root, 0710, err);

	if (rc == 0)
		rc = dir_make(data, 0710, err);
	if (rc == 0)
		rc = dir_make(volumes, 0701, err);
	if (rc == 0)
		rc = dir_make(execs, 0700, err);
	return rc == 0 ? dir_make(run, 0700, err) : rc;
}

static int open_parts(struct engine *e, struct err *err)
{
	const struct db_options options = {.migrations = migrations,
					   .n_migrations = ARRAY_LEN(migrations),
					   .manual_checkpoint = true};
	auto_free char *path = xasprintf("%s/containers.db", e->config.data_root);
	int rc = make_dirs(e, err);

	if (rc == 0)
		rc = lock_data_root(e, err);
	if (rc == 0)
		rc = read_id(e, err);
	if (rc == 0) {
		e->shim_binary = shim_binary_open(e->config.shim_path, err);
		rc = MIN_OF(e->shim_binary, 0);
	}
	if (rc == 0)
		rc = image_store_open(e->config.data_root, &e->images, err);
	if (rc == 0)
		rc = db_open(path, &options, &e->db, err);
	return rc == 0 ? containers_load(e, err) : rc;
}

static void sweep_run(struct job *j)
{
	struct sweep_job *s = container_of(j, struct sweep_job, job);

	j->status = image_store_sweep(s->engine->images, &j->err);
	for (size_t i = 0; i < s->strangers.n; i++) {
		struct err err = ERR_INIT;

		if (shim_lost_cleanup(s->strangers.v[i], SWEEP_MS, &err) < 0 ||
		    run_dir_remove(s->strangers.v[i], &err) < 0)
			log_warn("what is left of a container in %s stays: %s", s->strangers.v[i],
				 err_text(&err));
	}
}

static void sweep_done(struct job *j)
{
	struct sweep_job *s = container_of(j, struct sweep_job, job);

	if (j->status < 0)
		log_warn("old layers could not be removed: %s", err_text(&j->err));
	engine_release(s->engine);
	strs_done(&s->strangers);
	free(s);
}

static void sweep(struct engine *e)
{
	struct sweep_job *s = xcalloc(1, sizeof *s);

	s->engine = e;
	s->job.run = sweep_run;
	s->job.done = sweep_done;
	run_dirs_of_nobody(e, &s->strangers);
	engine_hold(e);
	job_start(e->config.loop, &s->job);
}

static void copy_config(struct engine *e, const struct engine_config *c)
{
	e->config = *c;
	e->config.data_root = xstrdup(c->data_root);
	e->config.exec_root = xstrdup(c->exec_root);
	e->config.shim_path = xstrdup(c->shim_path);
	e->config.init_path = xstrdup(c->init_path);
	e->config.cgroup_parent = xstrdup(c->cgroup_parent);
	e->config.bridge = xstrdup(c->bridge);
	if (c->labels)
		STRS_EACH (label, c->labels)
			strs_add(&e->labels, label);
	e->config.labels = &e->labels;
}

int engine_open(struct engine **ret, const struct engine_config *config, struct err *err)
{
	struct engine *e = xcalloc(1, sizeof *e);
	int rc;

	copy_config(e, config);
	e->lock = e->shim_binary = -1;
	e->deferred_end = &e->deferred;
	e->cgroup_version = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? 2 : 1;
	rc = open_parts(e, err);
	if (rc == 0)
		rc = networks_open(e, err);
	if (rc == 0 && (rc = uv_async_init(config->loop, &e->wake, on_wake)) < 0)
		(void)err_code(err, rc, "cannot wake the loop");
	if (rc < 0) {
		engine_free(e);
		return rc;
	}
	e->wake.data = e;
	sweep(e);
	CONTAINERS_EACH(l, e)
	container_restore(l);
	execs_restore(e);
	*ret = e;
	return 0;
}

uv_loop_t *engine_loop(struct engine *e)
{
	return e->config.loop;
}

struct networks *engine_networks_of(struct engine *e)
{
	return e->networks;
}

void engine_networks_set(struct engine *e, struct networks *nets)
{
	e->networks = nets;
}

const struct engine_config *engine_config_of(struct engine *e)
{
	return &e->config;
}

struct image_store *engine_images(struct engine *e)
{
	return e->images;
}

void engine_info(struct engine *e, struct engine_info *ret)
{
	*ret = (struct engine_info){.data_root = e->config.data_root,
				    .id = e->id,
				    .cgroup_version = e->cgroup_version,
				    .labels = &e->labels,
				    .warnings = &e->warnings,
				    .generic = e->config.generic};
	CONTAINERS_EACH(l, e)
	{
		ret->total++;
		if (l->c->paused)
			ret->paused++;
		else if (container_is_running(l->c))
			ret->running++;
		else
			ret->stopped++;
	}
}
