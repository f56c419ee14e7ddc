/*
 * Operations of a container: one after the other, in the order of asking. Nobody is called back
 * from within the call that asks.
 */
#include "agent/engine_impl.h"

static void op_run(struct deferred *d)
{
	struct op *op = container_of(d, struct op, deferred);
	struct container_live *l = op->live;
	struct err err = ERR_INIT;

	if (l->removed)
		(void)err_set(&err, -ENOENT, "No such container: %s", l->c->id);
	else if (l->engine->closing)
		(void)err_set(&err, -ESHUTDOWN, "the daemon stops");
	if (err.code)
		op_end(op, err.code, &err);
	else
		op->run(op);
}

static void op_next(struct container_live *l)
{
	if (!l->ops)
		return;
	l->ops->deferred.run = op_run;
	engine_defer(l->engine, &l->ops->deferred);
}

void op_queue(struct container_live *l, struct op *op, engine_done done, void *arg)
{
	bool first = !l->ops;

	op->live = l;
	op->done = done;
	op->arg = arg;
	op->next = NULL;
	*l->ops_end = op;
	l->ops_end = &op->next;
	engine_hold(l->engine);
	if (first)
		op_next(l);
}

void op_end(struct op *op, int status, const struct err *err)
{
	struct container_live *l = op->live;
	struct engine *e = l->engine;
	struct err own;

	if (status < 0 && !err) {
		(void)err_code(&own, status, "container %s", l->c->id);
		err = &own;
	}
	l->ops = op->next;
	if (!l->ops)
		l->ops_end = &l->ops;
	op_next(l);
	if (op->done)
		op->done(op->arg, status, status < 0 ? err : NULL);
	if (op->free)
		op->free(op);
	free(op);
	if (l->removed && !l->ops)
		live_free(l);
	engine_release(e);
}
