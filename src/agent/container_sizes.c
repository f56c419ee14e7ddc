/*
 * How large containers are on the disk. Each is measured by a job of its own, one at a time for
 * the whole engine, so that walking through many files leaves the pool to others.
 */
#include "agent/engine_impl.h"
#include "runtime/image/snapshot.h"

#define T struct container_size
static const struct field container_size_fields[] = {
	FIELD_STR(T, 0, id, NULL, 0),
	FIELD_I64(T, 0, rw, NULL, 0),
	FIELD_I64(T, 0, root, NULL, 0),
};
#undef T
static TABLE_DEFINE(container_size, container_size_fields);

#define T struct container_sizes
static const struct field container_sizes_fields[] = {
	FIELD_LIST(T, 0, list, NULL, 0, container_size),
};
#undef T
TABLE_DEFINE(container_sizes, container_sizes_fields);

struct sizing {
	struct job job;
	struct deferred deferred;
	struct engine *engine;
	struct sizing *next;
	struct strs ids;
	size_t at;
	char *image; /* of the one that is being measured */
	int64_t rw, root;
	struct container_sizes sizes;
	engine_sized done;
	void *arg;
};

static void sizing_step(struct deferred *d);

static void step_later(struct sizing *s)
{
	s->deferred.run = sizing_step;
	engine_defer(s->engine, &s->deferred);
}

static void sizing_free(struct sizing *s)
{
	struct engine *e = s->engine;

	strs_done(&s->ids);
	table_done(&container_sizes_table, &s->sizes);
	free(s->image);
	free(s);
	engine_release(e);
}

static void sizing_end(struct sizing *s)
{
	struct engine *e = s->engine;
	struct err err;

	e->sizings = s->next;
	if (e->sizings)
		step_later(e->sizings);
	if (e->closing)
		s->done(s->arg, -ESHUTDOWN, NULL,
			(err_set(&err, -ESHUTDOWN, "the daemon stops"), &err));
	else
		s->done(s->arg, 0, &s->sizes, NULL);
	sizing_free(s);
}

static void measure_run(struct job *j)
{
	struct sizing *s = container_of(j, struct sizing, job);
	struct image image = {0};

	j->status = snapshot_usage(s->engine->images, s->ids.v[s->at], &s->rw, &j->err);
	s->root = s->rw;
	/* The image of a container may have been removed by force. */
	if (j->status == 0 && image_get(s->engine->images, s->image, &image, NULL) == 0) {
		s->root += image.size;
		table_done(&image_table, &image);
	}
}

static void measure_done(struct job *j)
{
	struct sizing *s = container_of(j, struct sizing, job);

	/* One that could not be measured was removed meanwhile. */
	if (j->status == 0) {
		struct container_size *size = LIST_ADD(&s->sizes.list);

		size->id = xstrdup(s->ids.v[s->at]);
		size->rw = s->rw;
		size->root = s->root;
	}
	s->at++;
	step_later(s);
}

static void sizing_step(struct deferred *d)
{
	struct sizing *s = container_of(d, struct sizing, deferred);
	struct engine *e = s->engine;
	struct container *c = NULL;

	while (s->at < s->ids.n && engine_container_find(e, s->ids.v[s->at], &c, NULL) < 0)
		s->at++;
	if (s->at == s->ids.n || e->closing || !c) {
		sizing_end(s);
		return;
	}
	str_set(&s->image, c->image_id);
	s->job.run = measure_run;
	s->job.done = measure_done;
	job_start(e->config.loop, &s->job);
}

/* A refusal; never from within the call. */
static void refused(struct deferred *d)
{
	struct sizing *s = container_of(d, struct sizing, deferred);

	s->done(s->arg, s->job.err.code, NULL, &s->job.err);
	sizing_free(s);
}

void engine_container_sizes(struct engine *e, const struct strs *ids, engine_sized done, void *arg)
{
	struct sizing *s = xcalloc(1, sizeof *s), **at = &e->sizings;
	size_t n = 0;

	s->engine = e;
	s->done = done;
	s->arg = arg;
	STRS_EACH (id, ids)
		strs_add(&s->ids, id);
	engine_hold(e);
	for (; *at; at = &(*at)->next)
		n++;
	if (n == LIMIT_SIZES) {
		(void)err_set(&s->job.err, -EAGAIN,
			      "%d requests for sizes of containers wait already: ask again later",
			      LIMIT_SIZES);
		s->deferred.run = refused;
		engine_defer(e, &s->deferred);
		return;
	}
	*at = s;
	if (n == 0)
		step_later(s);
}
