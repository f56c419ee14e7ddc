/*
 * Inside the raft node only: its struct, shared by raft_node.c (life, proposals, events),
 * raft_io.c (what libraft asks of us), raft_tell.c, raft_snapshot.c and raft_change.c. Nobody else
 * includes it.
 */
#pragma once

#include <raft.h>

#include "manager/raft_msg.h"
#include "manager/raft_node.h"
#include "manager/raft_size.h"

/*
 * The envelope of an entry's payload: u8 version, u8 kind, u16 zero, u32 length, u64 nonce, u64
 * term. libraft does not tell the state machine the term.
 */
#define ENVELOPE_LEN 24
#define ENVELOPE_VERSION 1
enum envelope_kind { ENVELOPE_BATCH = 1, ENVELOPE_BARRIER };

/* The head of a snapshot's bytes, so that none is empty: u8 version, u8 padding, 6 zero. */
#define SNAPSHOT_HEAD_LEN 8
#define SNAPSHOT_HEAD_PAD 1 /* where in it: with how many bytes the state was filled up */
#define SNAPSHOT_VERSION 1

enum change_kind {
	CHANGE_NONE,
	CHANGE_ADD,
	CHANGE_PROMOTE,
	CHANGE_DEMOTE,
	CHANGE_REMOVE,
	CHANGE_TRANSFER,
};

struct node_proposal {
	bool busy;
	bool applied;
	uint64_t nonce;
	uint64_t term;
	int status;
	uint64_t version;
	raft_propose_cb cb;
	void *arg;
	struct raft_apply req;
};

struct node_change {
	enum change_kind kind;
	enum change_kind then; /* for a transfer that another change of this very node needs */
	uint64_t id;
	char node[ID_CLUSTER_LEN + 1];
	raft_change_done cb;
	void *arg;
	struct raft_change req;
	struct raft_transfer transfer;
};

/* A snapshot being taken: pinned on the loop, encoded on the pool, then put on the disk. */
struct node_take {
	bool busy;
	void *pin;
	struct buf bytes;
	int status;
	struct world_work work;
	unsigned trailing;
	const struct raft_snapshot *snapshot;
	struct raft_io_snapshot_put *req; /* libraft's */
	raft_io_snapshot_put_cb cb;
	struct raft_io_snapshot_put put; /* ours, at the storage */
};

enum install_stage {
	INSTALL_NONE,
	INSTALL_RECEIVING,
	INSTALL_PREPARING, /* on the pool */
	INSTALL_READY,     /* waits until no snapshot is being taken */
	INSTALL_STORING,   /* handed to libraft */
};

struct node_install {
	enum install_stage stage;
	struct raft_msg begin;
	char peer[ID_CLUSTER_LEN + 1];
	struct buf bytes;
	const void *base; /* what libraft will hand to restore */
	void *prepared;
	int status;
	struct err err;
	struct world_work work;
	struct raft_io_snapshot_put *req;
	raft_io_snapshot_put_cb cb;
	struct raft_io_snapshot_put put;
};

struct raft_node {
	struct raft raft;
	struct raft_io io; /* what libraft sees; `disk` does the storing */
	struct raft_fsm fsm;
	struct raft_io *disk;
	const struct world *world;
	struct raft_state_ops state;
	struct raft_node_events events;
	struct raft_transport transport;
	struct raft_node_options options;
	char node[ID_CLUSTER_LEN + 1];
	raft_io_tick_cb tick;
	raft_io_recv_cb recv;
	struct err load_err;

	unsigned inside; /* calls into libraft that have not returned */
	bool polling;
	bool started;
	bool closing;
	unsigned jobs; /* on the pool */
	raft_io_close_cb io_closed;
	bool disk_closed;
	void (*closed)(void *arg);
	void *closed_arg;

	/* As last told to the manager */
	bool leader;
	uint64_t term;
	char leader_node[ID_CLUSTER_LEN + 1];
	uint64_t applied;
	uint64_t members_index;
	struct raft_member members[LIMIT_MANAGERS];
	size_t member_count;

	uint64_t contact_ms; /* when the leader was last heard; 0 never */
	/* The last term in which this manager led, and since when. */
	uint64_t led_term, led_since_ms;
	/*
	 * Whether the state is at least as new as what this manager has shown before it was started
	 * anew: once an entry of a leader's own term was applied, and all that this leader had
	 * committed when we heard of it.
	 */
	bool fresh;
	uint64_t fresh_term, fresh_index;
	uint64_t applied_term; /* of the last batch or barrier */
	struct {
		uint64_t id;
		unsigned kib;
	} capacity[LIMIT_MANAGERS]; /* free log space as the others last said */
	/* As a leader: up to where each member was told, in `told_term`, what is committed. */
	struct {
		uint64_t id, index;
	} told[LIMIT_MANAGERS];
	uint64_t told_term;
	struct node_proposal proposal;
	struct node_change change;
	struct raft_size size;
	uint64_t interval, trailing; /* of raft_node_set_snapshots() */
	struct node_take take;
	struct node_install install;
	uint64_t transfers;
	struct {
		uint64_t index, term;
	} last_snapshot; /* the last one read from the disk */
};

/* Around each call into libraft: what it changed is told once the outermost has returned. */
void node_enter(struct raft_node *n);
void node_leave(struct raft_node *n);

/*
 * libraft cannot bear what has happened ("storing ... failed"): says so and ends the process.
 * `why` may be NULL: what the storage said last.
 */
void node_fatal(const struct raft_node *n, const char *what, const char *why)
	__attribute__((noreturn));

/* raft_io.c */
void node_io_init(struct raft_node *n);
void node_io_maybe_closed(struct raft_node *n);

/* raft_tell.c */
void node_told(struct raft_node *n, const struct raft_message *m);
void node_tell(struct raft_node *n);

/* raft_snapshot.c */
void node_fsm_init(struct raft_node *n);
int node_snapshot_put(struct raft_node *n, unsigned trailing, struct raft_io_snapshot_put *req,
		      const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb);
void node_snapshot_send(struct raft_node *n, const struct raft_message *m);
int node_snapshot_receive(struct raft_node *n, const char *peer, struct raft_msg *msg,
			  struct err *e);
void node_install_maybe_deliver(struct raft_node *n);
void node_install_drop(struct raft_node *n);
void node_snapshot_maybe_take(struct raft_node *n);
/* Until bytes say otherwise, libraft takes a snapshot after so many entries. */
void node_snapshot_set_interval(struct raft_node *n);

/* raft_change.c */
void node_change_poll(struct raft_node *n);
void node_change_fail(struct raft_node *n, int status);
