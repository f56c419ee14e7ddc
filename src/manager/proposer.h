/*
 * The queue of everything that wants to change the replicated state: one raft entry is in flight,
 * what arrives meanwhile waits, is run against the applied state when its turn comes, and leaves
 * together with the others. Also shares one barrier among waiting readers, and asks the step
 * functions for work when the leader is idle. It does not know what the bytes of a batch mean.
 * Called by the manager's API, dispatcher and cores, on the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "manager/raft_node.h"

struct proposer;

/* The entry that is being built. */
struct proposal {
	struct buf bytes; /* its changes in binary form, bounded by LIMIT_ENTRY */
	unsigned changes; /* how many, at most LIMIT_BATCH */
	void *view; /* from proposer_ops.open: what a builder reads, changes of `bytes` included */
};

struct proposer_ops {
	void *arg;
	/* A view of the applied state over which the proposal's changes are laid; may be NULL. */
	void *(*open)(void *arg, struct proposal *p);
	/* Undoes what was added after this point. The bytes and the count are set back already. */
	void (*rewind)(void *arg, struct proposal *p);
	void (*close)(void *arg, struct proposal *p);
	/*
	 * A new leader, its barrier applied, gets ready in pieces: false when there is more to do,
	 * which is asked for in the next turn of the loop. Writes wait until then, so that the
	 * state stays as it is. May be NULL.
	 */
	bool (*prepare)(void *arg);
	/*
	 * The step functions: append the next system changes, if any. Called on the leader after
	 * is prepared, each time something was applied and when a wake-up is due. Returns the
	 * milliseconds until it wants to be asked again without a change, 0 for never.
	 */
	uint64_t (*step)(void *arg, struct proposal *p, uint64_t term);
};

/*
 * One write, inside its caller's memory until `done`.
 *   build: reads the view, appends changes; 0, or -errno with the reason, which is its answer.
 *          Appending nothing answers 0 with the version of the last entry: at once, or with the
 *          entry that is being built when that holds changes of others already. It may be called
 *          again (never after `done`) when the entry had no room or was rejected because of others.
 *   done:  0 and the version; what build or apply said; -EINPROGRESS: leadership was lost, the
 *          outcome is unknown; -EHOSTUNREACH: not the leader, nothing was done; -ENOSPC: disks
 * full.
 */
struct proposer_write {
	int (*build)(struct proposer_write *w, struct proposal *p, struct err *e);
	void (*done)(struct proposer_write *w, int status, uint64_t version, const struct err *e);
	struct proposer_write *prev, *next; /* the proposer's own */
	int place;                          /* the proposer's own: where it is */
	bool alone;                         /* the proposer's own: gets an entry of its own */
	unsigned changes;                   /* the proposer's own: how many it has added */
};

/* One reader that waits for a barrier; inside its caller's memory until `done`. */
struct proposer_read {
	/* 0: what was acknowledged before the call is applied here. Else as for a write. */
	void (*done)(struct proposer_read *r, int status, const struct err *e);
	struct proposer_read *prev, *next; /* the proposer's own */
	int place;                         /* the proposer's own */
};

/*
 * The node comes by proposer_attach(), as its events call the proposer. At the end close the node,
 * attach NULL, and free the proposer then.
 */
int proposer_new(struct proposer **ret, const struct world *world, const struct proposer_ops *ops);
void proposer_attach(struct proposer *p, struct raft_node *node);
/* Answers all that wait (-EHOSTUNREACH, what is in flight -EINPROGRESS) and frees it. */
void proposer_free(struct proposer *p);

/* From raft_node_events. */
void proposer_leadership(struct proposer *p, bool leader, uint64_t term);

/*
 * Queues a write; the caller owns `w` again once `done` was called, which may be before this
 * returns 0. On failure `done` is not called: -EAGAIN when LIMIT_PROPOSALS wait already,
 * -EHOSTUNREACH when this is not the leader (the sentence names it).
 */
int proposer_write(struct proposer *p, struct proposer_write *w, struct err *e);
/* The client has gone: drops a write that still waits (true); one in flight goes on (false). */
bool proposer_cancel(struct proposer *p, struct proposer_write *w);

/* Queues a reader; failures as for a write. All readers that wait share one barrier. */
int proposer_read(struct proposer *p, struct proposer_read *r, struct err *e);
bool proposer_cancel_read(struct proposer *p, struct proposer_read *r);

/* Asks the step functions soon: something they look at has changed outside the store. */
void proposer_wake(struct proposer *p);

/* The leader has applied its barrier, is prepared and may run its steps. */
bool proposer_ready(const struct proposer *p);
size_t proposer_waiting(const struct proposer *p);
