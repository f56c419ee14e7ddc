/*
 * What agents have measured of tasks, in the leader's memory alone: the last values of each task
 * and when they came. A leader begins with none. Filled by the replica, read by core_autoscale.
 */
#pragma once

#include "base/hash.h"
#include "base/id.h"
#include "base/limits.h"
#include "model/autoscale.h"

struct measure {
	char task[ID_CLUSTER_LEN + 1];
	int64_t at_ns;
	bool has[AUTOSCALE_KINDS];
	int64_t value[AUTOSCALE_KINDS]; /* from 0 to LIMIT_METRIC_VALUE */
	char error[LIMIT_AUTOSCALE_ERROR + 1];
	UT_hash_handle hh;
};

struct measures {
	struct measure *by_task;
	int64_t pruned_ns;
};

/* Takes the task's values in place of its last. What is out of range counts as absent. */
void measures_put(struct measures *m, const struct task_load *l, int64_t now_ns);
/* NULL: nothing that still says something. */
const struct measure *measures_get(const struct measures *m, const char *task, int64_t now_ns);
void measures_clear(struct measures *m);
