/*
 * The simulated network between managers: delay, loss, duplication, reordering, partitions, and
 * messages cut in two. It carries bytes; what was sent to a life that has ended is lost.
 */
#pragma once

#include "manager/raft_node.h"
#include "sim/sim.h"

struct sim_net {
	struct sim *sim;
	unsigned delay_us;  /* a message takes up to so long; one in 50 up to 20 times as long */
	unsigned loss;      /* percent */
	unsigned duplicate; /* percent */
	unsigned chop;      /* percent of AppendEntries that travel entry by entry */
	bool cut[SIM_NODES][SIM_NODES]; /* from, to */
};

struct sim_net *sim_net_new(struct sim *s);
void sim_net_free(struct sim_net *net);
/* No loss, no cuts, short delays. */
void sim_net_heal(struct sim_net *net);
/* Makes the transport of one node. */
struct raft_transport sim_net_transport(struct sim_node *from);
