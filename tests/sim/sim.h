/*
 * The simulation: managers over a simulated disk, network and clock, all decided by one seed. This
 * page is its floor: events in virtual time, randomness, the world of a node, and what is wrong.
 * It knows nothing of raft; sim_io.h, sim_net.h and sim_node.h build on it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manager/world.h"

#define SIM_NODES 8
#define SIM_MS 1000ull /* virtual time is counted in microseconds */

struct sim;
struct sim_node;
struct sim_event;
struct sim_work;
struct sim_workload;

/* Faults that can be put back, to show that the simulation sees them. */
enum sim_fault {
	SIM_FAULT_NONE,
	SIM_FAULT_ACK_BEFORE_DURABLE,
	SIM_FAULT_OLD_TERM_COMMIT,
	SIM_FAULT_ALLOCATOR_FORGETS,
	SIM_FAULT_UPDATE_TOO_MANY,    /* one more than parallelism says */
	SIM_FAULT_UPDATE_ORDER,       /* always start-first */
	SIM_FAULT_ROLLBACK_ELSEWHERE, /* not to the specification that was */
	SIM_FAULT_JOB_TOO_OFTEN,      /* one completion more */
	SIM_FAULT_SECRET_TO_ALL,      /* to whatever node has had a task once */
	SIM_FAULT_SECRET_STAYS,       /* its removal removes nothing */
	SIM_FAULT_SECRET_MISSING,     /* services may name what is not there */
	SIM_FAULT_SLOT_NOT_IDLE,      /* a task starts before the one before has ended */
	SIM_FAULT_CRON_TWICE,         /* a time is meant more than once */
	SIM_FAULT_CRON_OVERLAP,       /* whatever the policy says */
};

struct sim_options {
	uint64_t seed;
	unsigned nodes;
	const struct sim_workload *workload;
	enum sim_fault fault;
	bool trace;
};

struct sim {
	struct sim_options options;
	uint64_t random;   /* state of the generator */
	uint64_t now;      /* microseconds since the start */
	uint64_t sequence; /* of events, to order those of one instant */
	struct sim_event **heap;
	size_t events, heap_cap;
	struct sim_node *nodes[SIM_NODES];
	struct sim_net *net;
	void (*after)(struct sim *s); /* called after each event, to look for what is wrong */
	uint64_t digest;              /* of all that has happened: equal runs have equal digests */
	char failure[512];            /* empty while nothing is wrong */
	bool over;                    /* what is dropped now is dropped for good */
};

void sim_init(struct sim *s, const struct sim_options *options);
/* Drops what is still to come and frees it. */
void sim_done(struct sim *s);

/* Randomness: below `n`; true once in `n`; true with n percent. */
uint64_t sim_random(struct sim *s, uint64_t n);
bool sim_once_in(struct sim *s, unsigned n);
bool sim_percent(struct sim *s, unsigned n);

/*
 * Calls `fire` after `delay` microseconds. With a node it belongs to the node's present life: it
 * is dropped when that ends. `drop` frees `arg` then; it may be NULL.
 */
struct sim_event *sim_after(struct sim *s, uint64_t delay, struct sim_node *node,
			    void (*fire)(void *arg), void (*drop)(void *arg), void *arg);
/* Takes an event back; `drop` is not called. */
void sim_cancel(struct sim *s, struct sim_event *e);

/* Runs until `until` (microseconds), or until something is wrong. */
void sim_run(struct sim *s, uint64_t until);

/* Says what is wrong; the first one counts. */
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One line of what happens, printed with --trace and part of the digest. */
void sim_trace(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The world of one life of a node; sim_world_end() runs what is still on its pool. */
struct sim_world {
	struct sim *sim;
	struct sim_node *node;
	struct world world;
	struct sim_work *works;
};

void sim_world_init(struct sim_world *w, struct sim *s, struct sim_node *node);
void sim_world_end(struct sim_world *w);
