/*
 * A user asks for a service to be rebalanced, or for that to stop. See control.h.
 */
#include "base/mem.h"
#include "manager/control.h"

/* Whether an update has the service's tasks in hand: going on, or paused on its way. */
static int update_check(const struct service *svc, struct err *e)
{
	const struct update_status *u = svc->update_status;

	if (!update_is_open(u))
		return 0;
	return err_set(e, -EBUSY,
		       "service %s cannot be rebalanced: its update is %s; let it end first",
		       svc->spec.name, update_state_name(u->state));
}

static int service_check(const struct service *svc, const char *name, struct err *e)
{
	if (svc->pending_delete)
		return err_set(e, -ENOENT, "service %s not found", name);
	if (svc->spec.mode.replicated)
		return 0;
	return err_set(e, -EINVAL,
		       service_is_job(&svc->spec)
			       ? "service %s is a job: its tasks run to their end where they are, "
				 "only replicated services can be rebalanced"
			       : "service %s is global: it has a task on each node already, only "
				 "replicated services can be rebalanced",
		       svc->spec.name);
}

static void stop(struct rebalance_status *r, int64_t now_ns)
{
	r->state = REBALANCE_PAUSED;
	r->completed = now_ns;
	str_set(&r->message, "rebalance stopped as requested");
}

static void start(struct service *svc, int64_t now_ns)
{
	struct rebalance_status *r = xcalloc(1, sizeof *r);

	r->number = svc->rebalance ? svc->rebalance->number + 1 : 1;
	r->started = now_ns;
	r->message = xstrdup("rebalance in progress");
	table_free(&rebalance_status_table, svc->rebalance);
	svc->rebalance = r;
}

/* One that goes on already is what was asked for. */
int control_service_rebalance(struct control *c, const struct control_request *r, struct err *e)
{
	const struct object *o;
	const struct service *old;
	struct service *svc;
	bool moving;
	int rc = control_find(c->view, KIND_SERVICE, r->id, &o, e);

	if (rc < 0)
		return rc;
	old = (const struct service *)o;
	moving = old->rebalance && old->rebalance->state == REBALANCE_MOVING;
	rc = service_check(old, r->id, e);
	if (rc == 0 && !r->stop && !moving)
		rc = update_check(old, e);
	if (rc < 0)
		return rc;
	str_set(&c->answer->id, o->id);
	if (moving != r->stop)
		return 0;
	svc = object_clone(o);
	if (r->stop)
		stop(svc->rebalance, c->now_ns);
	else
		start(svc, c->now_ns);
	changes_update(c->out, o, &svc->o, c->now_ns);
	return 0;
}
