/*
 * What a run has its managers do: which program they are, who uses it, and how it is judged.
 * Callers: sim_run.c; the workloads are the list program (sim_lists_impl.h) and the services of the
 * real manager (sim_services_impl.h).
 */
#pragma once

#include "sim/sim_node.h"

struct sim_workload {
	const char *name;
	const struct sim_program *program;
	struct raft_node_options options;
	uint64_t wall_spread_ns; /* how far the managers' clocks are set wrong */
	unsigned chaos_ms;       /* of trouble */
	unsigned calm_ms;        /* its users go on for so long after all is well again */
	unsigned heal_ms;        /* in which all must come to rest after that */
	/* Before there is any manager. */
	void *(*prepare)(struct sim *s);
	/* Its users and whatever else surrounds the managers, in a group that is formed. */
	void (*start)(void *self);
	void (*trouble)(void *self); /* one of its own; may be NULL */
	void (*heal)(void *self);    /* what it has broken itself is well again; may be NULL */
	/* Brings a member back that is none; NULL: raft's members are the driver's. */
	void (*form_step)(void *self);
	/* Nobody asks for anything new. */
	void (*stop)(void *self);
	/* All has come to rest, and the managers agree. */
	bool (*at_rest)(void *self);
	const char *(*why)(void *self); /* what it waits for */
	/* Judges all that happened against where it ended. */
	void (*judge)(void *self);
	unsigned (*acknowledged)(const void *self);
	void (*free)(void *self);
};

extern const struct sim_workload lists_workload, services_workload, schedules_workload;
