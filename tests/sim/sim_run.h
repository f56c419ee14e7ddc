/*
 * Runs one seed from the forming of a group to its judgement. Callers: sim_main.c.
 */
#pragma once

#include "sim/sim.h"

struct sim_result {
	char failure[512]; /* empty when all was well */
	uint64_t digest;
	unsigned acknowledged;
};

void sim_run_seed(const struct sim_options *options, struct sim_result *ret);
