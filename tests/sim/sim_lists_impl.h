/*
 * The list program: lists to which clients append, replicated by raft; small enough that every
 * history can be judged completely, as a list is its own order of writes. This is what its state
 * machine (sim_lists.c) and its clients and judge (sim_lists_clients.c) share.
 */
#pragma once

#include "sim/sim_node.h"
#include "sim/sim_workload.h"

#define LISTS 6
#define LIST_STEPS (LISTS - 1) /* written by the step function alone */
#define CLIENTS 6

extern const struct sim_program lists_program;

struct list {
	uint32_t *values;
	size_t count, cap;
};

struct lists {
	struct sim_node *node;
	struct list list[LISTS];
	uint64_t version; /* changes applied */
	unsigned pins;
};

/* One append in a batch: u8 list, 3 zero, u32 value, u32 length that the list must have. */
#define CHANGE_LEN 12

void lists_change(struct proposal *p, unsigned list, uint32_t value, size_t expect);
uint64_t list_digest(const struct list *l, size_t count);
