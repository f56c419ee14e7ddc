/*
 * Requests of users and agents to a manager, see sim_services_impl.h. A request outlives its
 * asker's patience: what was sent may still come to be.
 */
#include "sim/sim_services_impl.h"

#include <string.h>

#include "base/mem.h"

static void call_free(struct call *call)
{
	if (call->unvoting)
		membership_unvote_end(call->unvoting);
	table_done(&control_request_table, &call->request);
	table_done(&control_answer_table, &call->answer);
	free(call);
}

static void call_end(struct call *call, int status, uint64_t version)
{
	if (call->done)
		call->done(call->arg, call, status, version);
	call_free(call);
}

static int on_build(struct replica_op *op, struct control *c, struct err *e)
{
	return control_build(c, &container_of(op, struct call, op)->request, e);
}

/* What others may have done meanwhile. */
static bool may_be_refused(const struct call *call, const char *why)
{
	switch (call->request.op) {
	case CONTROL_NETWORK_CREATE: /* a subnet may be that of a network which is not gone yet */
		return true;
	case CONTROL_SERVICE_CREATE:
	case CONTROL_SERVICE_UPDATE:
		return strstr(why, "must belong together") != NULL;
	case CONTROL_SECRET_REMOVE:
		return strstr(why, "in use by the following service") != NULL;
	case CONTROL_NODE_UPDATE:
		return strstr(why, "last manager") != NULL;
	default:
		return false;
	}
}

static void on_done(struct replica_op *op, int status, uint64_t version, const struct err *e)
{
	struct call *call = container_of(op, struct call, op);

	if (status == -ENOSYS || (status == -EINVAL && !may_be_refused(call, e ? e->msg : "")))
		sim_fail(call->services->sim, "request %u was refused: %s", call->request.op,
			 e ? e->msg : "");
	call_end(call, status, version);
}

static void on_lost(void *arg)
{
	struct call *call = arg;

	if (call->services->sim->over)
		call->done = NULL;
	call_end(call, -ECONNRESET, 0);
}

static void call_write(struct call *call, struct manager_life *m)
{
	int rc;

	call->sent = true;
	rc = replica_write(m->replica, &call->op, NULL);
	if (rc < 0)
		call_end(call, rc, 0);
}

static void on_unvoted(void *arg, int status, const struct err *e)
{
	struct call *call = arg;

	(void)e;
	if (status == 0)
		call_write(call, call->life);
	else
		call_end(call, status, 0);
}

/* What a manager does that is asked to demote another: see membership_unvote(). */
static bool role_unvote(struct manager_life *m, struct call *call)
{
	const struct control_request *r = &call->request;
	const struct node *n =
		r->op == CONTROL_NODE_UPDATE ? store_node(replica_store(m->replica), r->id) : NULL;
	int rc;

	if (!n || !n->manager || r->node->role != ROLE_WORKER || n->o.version.index != r->version ||
	    !replica_is_leading(m->replica))
		return false;
	call->life = m;
	rc = membership_unvote(m->membership, n->o.id, n->manager->raft_id, on_unvoted, call, NULL);
	if (rc < 0)
		call_end(call, rc, 0);
	else
		call->unvoting = m->membership;
	return true;
}

static void on_arrival(void *arg)
{
	struct call *call = arg;
	struct manager_life *m = svc_life(call->target);

	if (!m) {
		on_lost(call);
		return;
	}
	if (role_unvote(m, call))
		return;
	call_write(call, m);
}

struct call *call_new(struct services *v, enum control_op op)
{
	struct call *call = xcalloc(1, sizeof *call);

	call->services = v;
	call->request.op = op;
	call->op.build = on_build;
	call->op.done = on_done;
	call->op.answer = &call->answer;
	return call;
}

void call_send(struct call *call, struct sim_node *target, uint64_t delay_us)
{
	call->target = target;
	if (delay_us > 0)
		(void)sim_after(call->services->sim, delay_us, target, on_arrival, on_lost, call);
	else
		on_arrival(call);
}

bool call_abandon(struct call *call)
{
	struct manager_life *m = svc_life(call->target);

	call->done = NULL;
	if (!call->sent || !m || !replica_cancel(m->replica, &call->op))
		return false;
	call_free(call);
	return true;
}
