/*
 * Removing a container with all that belongs to it alone.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "base/file.h"
#include "runtime/image/snapshot.h"

struct removal {
	struct op op;
	struct job job;
	bool force, volumes;
	char *id, *dir;
	struct strs volume_dirs;
};

static void removal_free(struct op *op)
{
	struct removal *r = container_of(op, struct removal, op);

	free(r->id);
	free(r->dir);
	strs_done(&r->volume_dirs);
}

static void remove_run(struct job *j)
{
	struct removal *r = container_of(j, struct removal, job);
	struct image_store *images = r->op.live->engine->images;

	j->status = snapshot_remove(images, r->id, &j->err);
	if (j->status == 0)
		j->status = dir_remove(AT_FDCWD, r->dir, &j->err);
	STRS_EACH (dir, &r->volume_dirs)
		if (j->status == 0)
			j->status = dir_remove(AT_FDCWD, dir, &j->err);
}

static void remove_done(struct job *j)
{
	struct removal *r = container_of(j, struct removal, job);
	struct container_live *l = r->op.live;

	if (j->status < 0) {
		l->c->status = CONTAINER_DEAD;
		l->removing = false;
		container_save(l);
		op_end(&r->op, j->status, &j->err);
		return;
	}
	container_forget(l);
	live_hide(l);
	container_event(l, "destroy", NULL, NULL);
	waits_wake(l, WAIT_REMOVED);
	waits_drop(l);
	attaches_end(&l->attaches);
	execs_drop(l);
	stats_end(l);
	logs_detach_all(l);
	op_end(&r->op, 0, NULL);
}

static bool is_used_by_another(struct engine *e, const struct container *c, const char *volume)
{
	CONTAINERS_EACH(l, e)
	{
		if (l->c == c)
			continue;
		LIST_EACH (m, &l->c->mounts)
			if (m->name && strcmp(m->name, volume) == 0)
				return true;
	}
	return false;
}

static void cleaned(void *arg)
{
	struct removal *r = container_of((struct op *)arg, struct removal, op);
	struct container_live *l = r->op.live;
	struct engine *e = l->engine;

	r->id = xstrdup(l->c->id);
	r->dir = container_data_dir(e, l->c->id);
	LIST_EACH (m, &l->c->mounts) {
		auto_free char *dir = NULL;

		if (!r->volumes || !m->name || !volume_is_anonymous(m->name) ||
		    is_used_by_another(e, l->c, m->name))
			continue;
		dir = xasprintf("%s/volumes/%s", e->config.data_root, m->name);
		strs_add(&r->volume_dirs, dir);
	}
	r->job.run = remove_run;
	r->job.done = remove_done;
	job_start(e->config.loop, &r->job);
}

static void stopped(struct op *op)
{
	container_cleanup(op->live, cleaned, op);
}

static void removal_run(struct op *op)
{
	struct removal *r = container_of(op, struct removal, op);
	struct container_live *l = op->live;
	struct container *c = l->c;
	struct err err;

	if (container_is_running(c) && !r->force) {
		(void)(c->paused
			       ? err_set(&err, -EBUSY,
					 "cannot remove container \"/%s\": container is paused and "
					 "must be unpaused first",
					 c->name)
			       : err_set(&err, -EBUSY,
					 "cannot remove container \"/%s\": container is %s: stop "
					 "the "
					 "container before removing or force remove",
					 c->name, container_state_name(c)));
		op_end(op, err.code, &err);
		return;
	}
	l->removing = c->status == CONTAINER_RUNNING;
	if (!l->removing) {
		c->status = CONTAINER_REMOVING;
		container_save(l);
	}
	container_end_by(op, SIGKILL, 0, stopped);
}

static void queue(struct container_live *l, bool force, bool volumes, engine_done done, void *arg)
{
	struct removal *r = xcalloc(1, sizeof *r);

	r->op.run = removal_run;
	r->op.free = removal_free;
	r->force = force;
	r->volumes = volumes;
	op_queue(l, &r->op, done, arg);
}

void engine_container_remove(struct engine *e, struct container *c, bool force, bool volumes,
			     engine_done done, void *arg)
{
	(void)e;
	queue(c->live, force, volumes, done, arg);
}

void container_queue_remove(struct container_live *l, bool volumes)
{
	queue(l, false, volumes, NULL, NULL);
}
