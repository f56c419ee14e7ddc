/*
 * Inside the list program only: what its state machine (sim_lists.c) and its clients and judge
 * (sim_lists_clients.c) share.
 */
#pragma once

#include "sim/sim_lists.h"
#include "sim/sim_node.h"

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
