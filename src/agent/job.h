/*
 * Work for the pool: a function that blocks runs there, its end comes back to the loop. It owns its
 * inputs and outputs and touches nothing else. Used by everything in agent that may block.
 */
#pragma once

#include <uv.h>

#include "base/err.h"

struct job {
	uv_work_t work;
	void (*run)(struct job *j);  /* on the pool; sets status and err */
	void (*done)(struct job *j); /* on the loop; owns the job again */
	int status;
	struct err err;
};

/* Aborts only when the loop is closed. */
void job_start(uv_loop_t *loop, struct job *j);
/* Jobs that have not come back. Loop thread. */
unsigned job_count(void);
