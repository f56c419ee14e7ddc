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

/* What a changed template means for a slot; only those before SLOT_CURRENT have to do with it. */
enum slot_class { SLOT_WAITING, SLOT_IDLE, SLOT_RUNNING, SLOT_CURRENT };

/* The look for slots of an older template, in slices. */
struct slot_search {
	uint64_t template_version;
	size_t pos; /* the next slot to look at; 0: not begun */
	struct slot_plan found[SLOT_CURRENT];
};

struct replicated_service {
	char *id;
	struct slot_plan shrink;
	struct slot_plan update;
	uint64_t updated_to; /* the template that `update` was worked out for */
	struct slot_search search;
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

/*
 * Brings the tasks of a service to its current template, one slot at a time: the rolling update of
 * later takes this function's place. Adds at most one slot's changes. `looks` counts the slots that
 * the step has looked at; with too many the step is left behind and goes on the next time.
 */
void replicated_update(struct replicated_service *r, const struct slot_service *tasks,
		       const struct service *svc, struct core_step *step, size_t *looks);
void replicated_search_done(struct replicated_service *r);
