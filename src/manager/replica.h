/*
 * One manager's replica of the cluster: the store, raft's member that feeds it, the queue of
 * writes, and on the leader the cores. Storage, network, time and randomness are given, so that the
 * simulation runs this very code. It knows no stream, no agent and no HTTP. Called by the manager
 * and by tests/sim, on the loop thread.
 */
#pragma once

#include "manager/control.h"
#include "manager/proposer.h"
#include "manager/raft_node.h"
#include "manager/store.h"

struct replica;

struct replica_events {
	void *arg;
	/* This manager has become the leader and has applied all of its predecessors; or is it no
	 * more. */
	void (*leading)(void *arg, bool leading);
	/* Who leads; NULL while nobody is known to. */
	void (*leader)(void *arg, const char *node);
	/* The members of the raft group have changed. */
	void (*members)(void *arg);
	/* Entries, or a snapshot, were applied. May be NULL; unlike a watch of the store, it may
	 * write. */
	void (*applied)(void *arg);
};

struct replica_config {
	const struct world *world;
	struct raft_io *io;
	uint64_t raft_id;
	const char *node; /* this node's id */
	struct raft_transport transport;
	struct raft_node_options options;
	struct replica_events events;
};

/* Nothing is loaded yet. */
int replica_new(struct replica **ret, const struct replica_config *config, struct err *e);
/* Makes a new group of this node alone; the storage must be empty. Then replica_start(). */
int replica_bootstrap(struct replica *r, struct err *e);
/* Loads what is stored and takes part. On failure the replica must be closed. */
int replica_start(struct replica *r, struct err *e);
/* Answers what is open (-EINPROGRESS, -EHOSTUNREACH), frees everything, then calls `done`. */
void replica_close(struct replica *r, void (*done)(void *arg), void *arg);

/* The state as it is applied here. Add watches to it; never change it. */
struct store *replica_store(struct replica *r);
struct raft_node *replica_raft(struct replica *r);
/* The time by which the leader writes: it never goes back. For the leader alone. */
int64_t replica_now_ns(struct replica *r);
/* Leading and ready: the barrier of this term is applied. */
bool replica_is_leading(const struct replica *r);

/*
 * One write, inside its caller's memory until `done`. `build` is run on the leader when its turn
 * comes, perhaps several times: it reads c->view and adds to c->out (c->answer is op->answer).
 * `done` gets 0 and the version, or the refusal of `build`, or as in manager/proposer.h.
 */
struct replica_op {
	int (*build)(struct replica_op *op, struct control *c, struct err *e);
	void (*done)(struct replica_op *op, int status, uint64_t version, const struct err *e);
	struct control_answer *answer; /* may be NULL */
	struct proposer_write write;   /* the replica's */
	struct replica *replica;       /* the replica's */
};
/* -EAGAIN when the queue is full, -EHOSTUNREACH when this is not the leader: no `done` then. */
int replica_write(struct replica *r, struct replica_op *op, struct err *e);
/* The asker has gone: true when it was dropped from the queue (no `done` comes). */
bool replica_cancel(struct replica *r, struct replica_op *op);

/* See proposer_read(): what was acknowledged anywhere before is applied here when it is done. */
int replica_barrier(struct replica *r, struct proposer_read *read, struct err *e);

/* What agents have measured of tasks: kept while this manager leads. */
void replica_measured(struct replica *r, const struct task_load *loads, size_t n);
/* How a service's scaling stands; for the leader alone. See core_autoscale_view(). */
int replica_autoscale(const struct replica *r, const char *service, struct autoscale_view *ret,
		      struct err *e);

/* The cores should look again soon, though nothing in the store has changed. */
void replica_wake(struct replica *r);
