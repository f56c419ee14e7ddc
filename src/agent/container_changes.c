/*
 * What a container has changed of its image's files: one walk through its writable layer.
 */
#include "agent/engine_impl.h"

/*
 * Docker puts these into a layer between the image's and the container's own; here the runtime
 * makes those that the image lacks, in the container's, to mount something on them.
 */
static const char *const made[] = {"dev",       "dev/console",  "dev/pts",         "dev/shm", "etc",
				   "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc",    "sys",
				   NULL};

struct comparison {
	struct walk walk;
	char *id;
	struct buf changes;
	engine_compared done;
	void *arg;
};

static void comparison_end(struct comparison *c)
{
	struct job *j = &c->walk.job;

	if (j->status < 0)
		j->err.code = j->status;
	c->done(c->arg, j->status, &c->changes, j->status < 0 ? &j->err : NULL);
	buf_done(&c->changes);
	free(c->id);
	walk_end(&c->walk);
	free(c);
}

static void compare_run(struct job *j)
{
	struct comparison *c = container_of(j, struct comparison, walk.job);

	j->status = snapshot_changes(c->walk.engine->images, c->id, made, LIMIT_CHANGES,
				     &c->changes, &j->err);
}

static void compare_done(struct job *j)
{
	comparison_end(container_of(j, struct comparison, walk.job));
}

static void comparison_turn(struct walk *w)
{
	if (w->engine->closing) {
		w->job.status = err_set(&w->job.err, -ESHUTDOWN, "the daemon stops");
		comparison_end(container_of(w, struct comparison, walk));
		return;
	}
	w->job.run = compare_run;
	w->job.done = compare_done;
	job_start(w->engine->config.loop, &w->job);
}

static void comparison_refused(struct walk *w)
{
	comparison_end(container_of(w, struct comparison, walk));
}

void engine_container_changes(struct engine *e, const struct container *c, engine_compared done,
			      void *arg)
{
	struct comparison *n = xcalloc(1, sizeof *n);

	n->walk.turn = comparison_turn;
	n->walk.refused = comparison_refused;
	n->id = xstrdup(c->id);
	buf_init(&n->changes, LIMIT_CHANGES_TEXT);
	n->done = done;
	n->arg = arg;
	walk_queue(e, &n->walk);
}
