/*
 * What the files of plans share. Included by plan*.c alone.
 */
#pragma once

#include <assert.h>

#include "manager/core.h"
#include "manager/idset.h"
#include "manager/plan.h"

#define PLAN_CORES 8

struct plan {
	struct store *store;  /* the copy, on which everything happens */
	struct store *before; /* as it was */
	struct store_watch watch;
	struct core *cores[PLAN_CORES];
	struct core_derive derive;
	bool ready; /* they have derived what they need */
	int64_t start, now;
	uint64_t ids;
	struct idset agents;  /* tasks whose agent may have something to say */
	struct strs services; /* ids of those that are planned */
	size_t rounds;
	bool complete; /* all is quiet */
	const struct world *world;
	struct world_timer timer;
	void (*done)(void *arg);
	void *done_arg;
};
