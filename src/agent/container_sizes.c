/*
 * How large containers are on the disk: one walk, with a job for each of them.
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
	struct walk walk;
	struct strs ids;
	size_t at;
	char *image; /* of the one that is being measured */
	int64_t rw, root;
	struct container_sizes sizes;
	engine_sized done;
	void *arg;
};

static void sizing_end(struct sizing *s, int status, const struct err *e)
{
	s->done(s->arg, status, status < 0 ? NULL : &s->sizes, e);
	strs_done(&s->ids);
	table_done(&container_sizes_table, &s->sizes);
	free(s->image);
	walk_end(&s->walk);
	free(s);
}

static void sizing_step(struct sizing *s);

static void measure_run(struct job *j)
{
	struct sizing *s = container_of(j, struct sizing, walk.job);
	struct image image = {0};

	j->status = snapshot_usage(s->walk.engine->images, s->ids.v[s->at], &s->rw, &j->err);
	s->root = s->rw;
	/* The image of a container may have been removed by force. */
	if (j->status == 0 && image_get(s->walk.engine->images, s->image, &image, NULL) == 0) {
		s->root += image.size;
		table_done(&image_table, &image);
	}
}

static void measure_done(struct job *j)
{
	struct sizing *s = container_of(j, struct sizing, walk.job);

	/* One that could not be measured was removed meanwhile. */
	if (j->status == 0) {
		struct container_size *size = LIST_ADD(&s->sizes.list);

		size->id = xstrdup(s->ids.v[s->at]);
		size->rw = s->rw;
		size->root = s->root;
	}
	s->at++;
	sizing_step(s);
}

static void sizing_step(struct sizing *s)
{
	struct engine *e = s->walk.engine;
	struct container *c = NULL;
	struct err err;

	while (s->at < s->ids.n && engine_container_find(e, s->ids.v[s->at], &c, NULL) < 0)
		s->at++;
	if (e->closing) {
		(void)err_set(&err, -ESHUTDOWN, "the daemon stops");
		sizing_end(s, -ESHUTDOWN, &err);
	} else if (s->at == s->ids.n || !c) {
		sizing_end(s, 0, NULL);
	} else {
		str_set(&s->image, c->image_id);
		s->walk.job.run = measure_run;
		s->walk.job.done = measure_done;
		job_start(e->config.loop, &s->walk.job);
	}
}

static void sizing_turn(struct walk *w)
{
	sizing_step(container_of(w, struct sizing, walk));
}

static void sizing_refused(struct walk *w)
{
	sizing_end(container_of(w, struct sizing, walk), w->job.status, &w->job.err);
}

void engine_container_sizes(struct engine *e, const struct strs *ids, engine_sized done, void *arg)
{
	struct sizing *s = xcalloc(1, sizeof *s);

	s->walk.turn = sizing_turn;
	s->walk.refused = sizing_refused;
	s->done = done;
	s->arg = arg;
	STRS_EACH (id, ids)
		strs_add(&s->ids, id);
	walk_queue(e, &s->walk);
}
