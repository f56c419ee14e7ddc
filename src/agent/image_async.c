/*
 * The image store for the loop: each call is a job. See engine.h and runtime/image/store.h.
 */
#include <unistd.h>

#include "agent/engine_impl.h"
#include "base/clock.h"

struct image_job {
	struct job job;
	struct engine *engine;
	char *ref, *other;
	int fd;
	struct image_filters filters;
	struct image_remove_options remove;
	union {
		struct image_loaded loaded;
		struct image_list list;
		struct image image;
		struct image_removed removed;
	} ret;
	union {
		engine_loaded loaded;
		engine_images_listed listed;
		engine_image_got got;
		engine_image_removed removed;
		engine_done done;
	} cb;
	void *arg;
};

static struct image_job *image_job_of(struct job *j)
{
	return container_of(j, struct image_job, job);
}

static struct image_job *image_job_new(struct engine *e, const char *ref, void *arg)
{
	struct image_job *i = xcalloc(1, sizeof *i);

	i->engine = e;
	i->ref = xstrdup(ref);
	i->fd = -1;
	i->arg = arg;
	engine_hold(e);
	return i;
}

static void image_job_start(struct image_job *i, void (*run)(struct job *j),
			    void (*done)(struct job *j))
{
	i->job.run = run;
	i->job.done = done;
	job_start(i->engine->config.loop, &i->job);
}

static void image_job_free(struct image_job *i)
{
	struct engine *e = i->engine;

	fd_close_at(&i->fd);
	free(i->ref);
	free(i->other);
	strs_done(&i->filters.reference);
	strs_done(&i->filters.label);
	strs_done(&i->filters.before);
	strs_done(&i->filters.since);
	free(i->filters.dangling);
	strs_done(&i->remove.running);
	free(i);
	engine_release(e);
}

static void tell(struct engine *e, const char *action, const char *id, const char *name)
{
	struct strmap attributes = {0};
	struct engine_event ev = {.type = "image",
				  .action = action,
				  .id = id,
				  .scope = "local",
				  .time_ns = clock_wall_ns(),
				  .attributes = &attributes};

	strmap_set(&attributes, "name", name);
	engine_event(e, &ev);
	strmap_done(&attributes);
}

static const struct err *err_of(const struct job *j)
{
	return j->status < 0 ? &j->err : NULL;
}

/* ---- Load ---- */

static void load_run(struct job *j)
{
	struct image_job *i = image_job_of(j);
	struct image_load_options options = {.platform = i->ref};

	j->status = image_load(i->engine->images, i->fd, &options, &i->ret.loaded, &j->err);
}

static void load_done(struct job *j)
{
	struct image_job *i = image_job_of(j);

	STRS_EACH (name, &i->ret.loaded.names)
		tell(i->engine, "load", name, name);
	STRS_EACH (id, &i->ret.loaded.ids)
		tell(i->engine, "load", id, id);
	i->cb.loaded(i->arg, j->status, j->status < 0 ? NULL : &i->ret.loaded, err_of(j));
	table_done(&image_loaded_table, &i->ret.loaded);
	image_job_free(i);
}

void engine_image_load(struct engine *e, int fd, const char *platform, engine_loaded done,
		       void *arg)
{
	struct image_job *i = image_job_new(e, platform, arg);

	i->fd = fd;
	i->cb.loaded = done;
	image_job_start(i, load_run, load_done);
}

/* ---- List and get ---- */

static void list_run(struct job *j)
{
	struct image_job *i = image_job_of(j);

	j->status = image_list(i->engine->images, &i->filters, &i->ret.list, &j->err);
}

static void list_done(struct job *j)
{
	struct image_job *i = image_job_of(j);

	i->cb.listed(i->arg, j->status, j->status < 0 ? NULL : &i->ret.list, err_of(j));
	table_done(&image_list_table, &i->ret.list);
	image_job_free(i);
}

void engine_image_list(struct engine *e, struct image_filters *filters, engine_images_listed done,
		       void *arg)
{
	struct image_job *i = image_job_new(e, NULL, arg);

	i->filters = *filters;
	*filters = (struct image_filters){0};
	i->cb.listed = done;
	image_job_start(i, list_run, list_done);
}

static void get_run(struct job *j)
{
	struct image_job *i = image_job_of(j);

	j->status = image_get(i->engine->images, i->ref, &i->ret.image, &j->err);
}

static void get_done(struct job *j)
{
	struct image_job *i = image_job_of(j);

	i->cb.got(i->arg, j->status, j->status < 0 ? NULL : &i->ret.image, err_of(j));
	if (j->status == 0)
		table_done(&image_table, &i->ret.image);
	image_job_free(i);
}

void engine_image_get(struct engine *e, const char *ref, engine_image_got done, void *arg)
{
	struct image_job *i = image_job_new(e, ref, arg);

	i->cb.got = done;
	image_job_start(i, get_run, get_done);
}

/* ---- Tag and remove ---- */

static void tag_run(struct job *j)
{
	struct image_job *i = image_job_of(j);

	j->status = image_tag(i->engine->images, i->ref, i->other, &j->err);
	if (j->status == 0 && image_get(i->engine->images, i->other, &i->ret.image, NULL) < 0)
		i->ret.image = (struct image){0};
}

static void tag_done(struct job *j)
{
	struct image_job *i = image_job_of(j);

	if (j->status == 0 && i->ret.image.id)
		tell(i->engine, "tag", i->ret.image.id, i->other);
	i->cb.done(i->arg, j->status, err_of(j));
	table_done(&image_table, &i->ret.image);
	image_job_free(i);
}

void engine_image_tag(struct engine *e, const char *source, const char *target, engine_done done,
		      void *arg)
{
	struct image_job *i = image_job_new(e, source, arg);

	i->other = xstrdup(target);
	i->cb.done = done;
	image_job_start(i, tag_run, tag_done);
}

static void remove_run(struct job *j)
{
	struct image_job *i = image_job_of(j);

	j->status = image_remove(i->engine->images, i->ref, &i->remove, &i->ret.removed, &j->err);
}

static void remove_done(struct job *j)
{
	struct image_job *i = image_job_of(j);
	const struct image_removed *r = &i->ret.removed;

	if (j->status == 0) {
		STRS_EACH (name, &r->untagged)
			tell(i->engine, "untag", r->id ? r->id : name, name);
		if (r->deleted.n)
			tell(i->engine, "delete", r->deleted.v[0], r->deleted.v[0]);
	}
	i->cb.removed(i->arg, j->status, j->status < 0 ? NULL : r, err_of(j));
	table_done(&image_removed_table, &i->ret.removed);
	image_job_free(i);
}

void engine_image_remove(struct engine *e, const char *ref, bool force, engine_image_removed done,
			 void *arg)
{
	struct image_job *i = image_job_new(e, ref, arg);

	i->remove.force = force;
	CONTAINERS_EACH(l, e)
	if (container_is_running(l->c))
		strs_add(&i->remove.running, l->c->id);
	i->cb.removed = done;
	image_job_start(i, remove_run, remove_done);
}
