/*
 * One member of the managers' raft group: libraft behind the one wrapper of the project. Storage
 * comes as a `struct raft_io` (manager/raft_disk.h, or the simulation's), time and randomness as a
 * world, the network as two functions, the replicated state as `struct raft_state_ops`. It knows
 * nothing of objects, TLS or HTTP. manager/proposer.h and the manager call it, on the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "manager/world.h"

struct raft_io;
struct raft_node;
struct raft_snapshot_out;

/* A member's role: a spare only waits, a voter counts. */
enum raft_node_role { RAFT_NODE_SPARE, RAFT_NODE_VOTER };

struct raft_member {
	uint64_t id;                   /* raft's, never used twice */
	char node[ID_CLUSTER_LEN + 1]; /* the node's; its network address comes from the store */
	enum raft_node_role role;
};

/* What is replicated. All but the functions marked "pool" run on the loop. */
struct raft_state_ops {
	void *arg;
	/*
	 * Applies a committed batch: deterministic, without clock, randomness or I/O. `own` says
	 * that this manager proposed it in its present term. The result (0, or -errno of a
	 * rejection) and the version go to the proposal's callback.
	 */
	int (*apply)(void *arg, uint64_t index, const void *p, size_t n, bool own,
		     uint64_t *ret_version);
	/* Pins the state in O(1). */
	void *(*snapshot_pin)(void *arg);
	/* Pool. Writes what is pinned; `out` is bounded by LIMIT_SNAPSHOT. 0 or -errno. */
	int (*snapshot_encode)(void *arg, void *pin, struct buf *out);
	void (*snapshot_unpin)(void *arg, void *pin);
	/* Pool. Makes a new state from a snapshot's bytes without touching the present one. */
	int (*restore_prepare)(void *arg, const void *p, size_t n, void **ret, struct err *e);
	/* Swaps the new state in; or throws it away. Each takes `prepared`. */
	void (*restore_commit)(void *arg, void *prepared, uint64_t index);
	void (*restore_discard)(void *arg, void *prepared);
};

/* What the manager is told. Each may be NULL. Called after libraft has returned, never inside. */
struct raft_node_events {
	void *arg;
	void (*leadership)(void *arg, bool leader, uint64_t term);
	/* `node` is the leader's node id, NULL while none is known. */
	void (*leader)(void *arg, const char *node);
	/* The members as last committed. */
	void (*members)(void *arg, const struct raft_member *m, size_t n);
	/* After one or more entries were applied. */
	void (*applied)(void *arg, uint64_t index);
};

/* Both may drop what they are given: raft sends again. `peer` is a node id. */
struct raft_transport {
	void *arg;
	/* One frame of at most LIMIT_FRAME bytes, copied before it returns. */
	void (*send)(void *arg, const char *peer, const void *p, size_t n);
	/* Takes `out`: frames for a connection of their own, pulled as it drains. */
	void (*send_snapshot)(void *arg, const char *peer, struct raft_snapshot_out *out);
};

/* The next frame, replacing what `frame` holds: 1, or 0 after the last one. */
int raft_snapshot_out_next(struct raft_snapshot_out *out, struct buf *frame);
void raft_snapshot_out_free(struct raft_snapshot_out *out);

/* Zero means the default. */
struct raft_node_options {
	unsigned election_ms;  /* 300 */
	unsigned heartbeat_ms; /* 50 */
	unsigned install_ms;   /* 10000: after it an unanswered snapshot is sent again */
	size_t snapshot_bytes; /* 64 MiB: least log before a snapshot is taken */
	size_t trailing_bytes; /* 32 MiB: log kept behind a snapshot */
};

struct raft_node_config {
	const struct world *world;
	struct raft_io *io; /* storage; lives longer than the node */
	uint64_t id;        /* of this member, not 0, never used twice */
	const char *node;   /* this node's id */
	struct raft_state_ops state;
	struct raft_node_events events;
	struct raft_transport transport;
	struct raft_node_options options;
};

/* Prepares a node; nothing is loaded yet. Fails with the reason when the storage cannot be used. */
int raft_node_new(struct raft_node **ret, const struct raft_node_config *config, struct err *e);

/* Makes this node the only voter of a new group. -EEXIST when the storage holds one already. */
int raft_node_bootstrap(struct raft_node *n, struct err *e);

/*
 * Bounds in entries beside those of the options in bytes, from now on; 0: bytes alone. A snapshot
 * is taken `interval` entries after the last one, and at most `trailing` entries stay behind the
 * next: whichever bound is met first.
 */
void raft_node_set_snapshots(struct raft_node *n, uint64_t interval, uint64_t trailing);

/*
 * Loads the snapshot and the log and takes part from now on. On failure (the log cannot be read,
 * -EBADMSG when it was damaged or tampered with) the node must be closed; nothing was changed.
 */
int raft_node_start(struct raft_node *n, struct err *e);

/* Stops, fails what is open with -EINPROGRESS, frees the node and then calls `done`. */
void raft_node_close(struct raft_node *n, void (*done)(void *arg), void *arg);

/*
 * A frame that came from `peer` (as its certificate says), on whichever connection. 0, or -EBADMSG
 * with the reason: the connection is then to be closed.
 */
int raft_node_receive(struct raft_node *n, const char *peer, const void *p, size_t len,
		      struct err *e);

bool raft_node_is_leader(const struct raft_node *n);
uint64_t raft_node_term(const struct raft_node *n);
/* The leader's node id, this one's included; NULL while none is known. Until the next call. */
const char *raft_node_leader(const struct raft_node *n);
/*
 * 0 while this manager is in touch with a leader (or is one); -EHOSTUNREACH with the reason when it
 * has not heard of one for an election timeout, or has just started and may lag behind what it has
 * shown before: swarm reads and writes are refused then.
 */
int raft_node_available(const struct raft_node *n, struct err *e);

/* status 0, the rejection of `apply`, or -EINPROGRESS: leadership was lost, the outcome unknown. */
typedef void (*raft_propose_cb)(void *arg, int status, uint64_t version, const struct err *e);

/*
 * Proposes a batch (copied), or with n == 0 a barrier: `cb` is called once it and all before it
 * are applied here. One at a time: -EBUSY. -EHOSTUNREACH when this is not the leader, -ENOSPC when
 * a majority's disks are full, -EMSGSIZE past LIMIT_ENTRY; `cb` is not called then.
 */
int raft_node_propose(struct raft_node *n, const void *p, size_t len, raft_propose_cb cb, void *arg,
		      struct err *e);

typedef void (*raft_change_done)(void *arg, int status, const struct err *e);

/*
 * Changes of the group, one at a time (-EBUSY), only by the leader (-EHOSTUNREACH). Adding makes a
 * spare; promoting makes it a voter once it has caught up. Demoting and removing this very node
 * first hands leadership over and then answers -EAGAIN: the new leader has to do it.
 */
int raft_node_add(struct raft_node *n, uint64_t id, const char *node, raft_change_done cb,
		  void *arg, struct err *e);
int raft_node_promote(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		      struct err *e);
int raft_node_demote(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		     struct err *e);
int raft_node_remove(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		     struct err *e);
/* Hands leadership to the voter `id`, 0 for the one that is most up to date. */
int raft_node_transfer(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		       struct err *e);

/* The members as last committed; valid until the next call into the node. */
size_t raft_node_members(const struct raft_node *n, const struct raft_member **ret);

struct raft_node_stats {
	uint64_t term;
	uint64_t last_index;
	uint64_t commit_index;
	uint64_t applied_index;
	uint64_t snapshot_index;
	uint64_t log_entries;     /* since the log's start */
	uint64_t log_bytes;       /* of these, rounded up */
	uint64_t snapshot_bytes;  /* of the last snapshot */
	uint64_t last_contact_ms; /* since the leader was heard, 0 on the leader */
};

void raft_node_stats(const struct raft_node *n, struct raft_node_stats *ret);
