/*
 * One simulated manager: its disk, its lives, and in each life a raft node, a proposer and what
 * stands on them: the program, which is pluggable. Checks what holds for every program: one leader
 * a term, the same entries applied everywhere. Callers: the programs and their drivers.
 */
#pragma once

#include "base/limits.h"
#include "manager/proposer.h"
#include "manager/raft_node.h"
#include "sim/sim.h"
#include "sim/sim_io.h"
#include "sim/sim_net.h"

struct sim_node;

/* What runs on a manager. `self` is made anew for each life. */
struct sim_program {
	/* Fills what is replicated and how it is proposed; the raft node does not exist yet. */
	void *(*start)(struct sim_node *n, struct raft_state_ops *state, struct proposer_ops *ops);
	/* The raft node and the proposer run. May be NULL. */
	void (*started)(void *self);
	void (*leadership)(void *self, bool leader, uint64_t term); /* may be NULL */
	void (*applied)(void *self, uint64_t index);                /* may be NULL */
	/* The life ends; what it has asked of the proposer was answered. */
	void (*stop)(void *self);
	/*
	 * Instead of all above, for a program that makes its raft node itself: sets n->self and
	 * n->raft from sim_node_config(); and the end of it, which must be over when it returns
	 * but for what still runs on the pool.
	 */
	void (*open)(struct sim_node *n, bool bootstrap);
	void (*close)(struct sim_node *n);
};

struct sim_node {
	struct sim *sim;
	const struct sim_program *program;
	unsigned place;
	char name[ID_CLUSTER_LEN + 1];
	uint64_t raft_id;
	bool retired;       /* no manager at present: it does not start */
	uint64_t committed; /* as far as the record knows this life */
	struct sim_disk *disk;
	struct raft_node_options options;
	unsigned life; /* raised at each crash */
	int64_t wall_offset_ns;
	struct sim_world world;
	struct raft_state_ops state; /* the program's */
	struct raft_node *raft;      /* NULL while it is down */
	struct proposer *proposer;
	void *self;
};

struct sim_node *sim_node_new(struct sim *s, unsigned place, const struct sim_program *program,
			      const struct raft_node_options *options);
void sim_node_free(struct sim_node *n);
/* Starts a life from what is on the disk; `bootstrap` makes a new group of it. */
void sim_node_start(struct sim_node *n, bool bootstrap);
/* Ends it: all that is not on the disk is gone. Never from inside the node. */
void sim_node_crash(struct sim_node *n);
struct sim_node *sim_node_named(struct sim *s, const char *name);
/* The node that leads in the highest term, NULL for none. */
struct sim_node *sim_leader(struct sim *s);
/* The members' common record: who led, what was committed and applied. */
void sim_record_start(struct sim *s);
void sim_record_free(struct sim *s);
