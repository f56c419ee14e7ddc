/*
 * What the files of the replicated orchestrator share. Included by core_replicated*.c alone.
 */
#pragma once

#include "manager/core_impl.h"

/* Slots still to be worked through, in order. */
struct slot_plan {
	uint64_t *v;
	size_t n, pos;
};

struct replicated_service {
	char *id;
	struct slot_plan shrink;
	UT_hash_handle hh;
};

struct core_replicated {
	struct core core;
	struct slots slots;
	struct idset dirty; /* services */
	struct replicated_service *services;
};

void slot_plan_add(struct slot_plan *p, uint64_t slot);
void slot_plan_done(struct slot_plan *p);

/* Which slots go when `excess` of them must, worst first. */
void replicated_choose(const struct slot_service *service, size_t excess, struct slot_plan *ret);
