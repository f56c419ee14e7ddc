/*
 * Requests of users and agents to a manager, see sim_services_impl.h. A request outlives its
 * asker's patience: what was sent may still come to be.
 */
#include "sim/sim_services_impl.h"

#include <string.h>

#include "base/mem.h"

static void call_free(struct call *call)
{
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

static void on_done(struct replica_op *op, int status, uint64_t version, const struct err *e)
{
	struct call *call = container_of(op, struct call, op);

	/* A subnet may be that of a network which is not gone yet. */
	if (status == -ENOSYS || (status == -EINVAL && call->request.op != CONTROL_NETWORK_CREATE))
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

static void on_arrival(void *arg)
{
	struct call *call = arg;
	struct manager_life *m = svc_life(call->target);
	int rc;

	if (!m) {
		on_lost(call);
		return;
	}
	call->sent = true;
	rc = replica_write(m->replica, &call->op, NULL);
	if (rc < 0)
		call_end(call, rc, 0);
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
