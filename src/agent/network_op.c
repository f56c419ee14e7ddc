/*
 * What blocks, one network at a time: the queue of a network's operations. See networks.h.
 */
#include "agent/networks.h"

static void op_done(struct job *j);

static void op_run(struct job *j)
{
	struct net_op *op = container_of(j, struct net_op, job);

	op->run(op);
}

static void op_launch(struct net_op *op)
{
	struct networks *nets = op->nets;

	if (nets->first_op && nets->first_op != op) {
		op->next = NULL;
		*nets->held_end = op;
		nets->held_end = &op->next;
		return;
	}
	op->host = nets->host;
	op->job.run = op_run;
	op->job.done = op_done;
	job_start(nets->loop, &op->job);
}

static void held_launch(struct networks *nets)
{
	struct net_op *op = TAKE_PTR(nets->held), *next;

	for (; op; op = next) {
		next = op->next;
		op_launch(op);
	}
}

static void pump(struct engine_network_live *net)
{
	struct net_op *op;

	while ((op = net->first) && !net->running_alone && !(op->alone && net->running)) {
		net->first = op->next;
		if (!net->first)
			net->last = NULL;
		net->running++;
		net->running_alone = op->alone;
		op_launch(op);
	}
}

static void op_done(struct job *j)
{
	struct net_op *op = container_of(j, struct net_op, job);
	struct engine_network_live *net = op->net;
	struct networks *nets = op->nets;
	bool first = nets->first_op == op;

	if (net && op->alone)
		net->running_alone = false;
	op->end(op);
	if (first) {
		nets->first_op = NULL;
		held_launch(nets);
	}
	if (net) {
		net->running--; /* not before: `end` may drop the network */
		pump(net);
		if (net->dropped && !net->running && !net->first)
			hostnet_free(net);
	}
	nets->busy--;
	networks_idle(nets);
}

void net_op_start(struct networks *nets, struct engine_network_live *net, struct net_op *op)
{
	op->nets = nets;
	op->net = net;
	op->next = NULL;
	nets->busy++;
	if (!net) {
		op_launch(op);
		return;
	}
	if (net->last)
		net->last->next = op;
	else
		net->first = op;
	net->last = op;
	pump(net);
}

void net_op_start_first(struct networks *nets, struct net_op *op)
{
	nets->first_op = op;
	nets->held_end = &nets->held;
	net_op_start(nets, NULL, op);
}
