/*
 * Moving a service's tasks to where there are fewer of them: how far a rebalance has come, the
 * marks on tasks by which a new leader goes on where the old one stood, and the label of the
 * automatic policy. Knows nothing of how tasks are moved.
 */
#pragma once

#include "base/table.h"

enum rebalance_state {
	REBALANCE_MOVING,
	REBALANCE_COMPLETED,
	REBALANCE_PAUSED, /* too many moves have failed, or a user stopped it */
};

/* What users see of the last rebalance; absent when there was none. */
struct rebalance_status {
	uint64_t number; /* one more for each run: stands in the tasks that it makes */
	enum rebalance_state state;
	int64_t started;
	int64_t completed; /* 0: not yet */
	uint64_t moved;    /* tasks whose replacement has come up */
	uint64_t failed;   /* moves that were given up */
	char *message;
	struct table_rest *rest;
};
extern const struct table rebalance_status_table;

/*
 * On a task that is to take another's place in its slot, on another node. The older one stands
 * until this one runs. Wall ns of the leader.
 */
struct move_mark {
	uint64_t run;   /* rebalance_status.number; 0: the older one's node is drained */
	char *of;       /* the task whose place it takes */
	int64_t up;     /* when the older one was told to stop; 0: not yet */
	int64_t failed; /* when it was given up; 0: it was not */
	uint64_t tries; /* of a task that is to leave its node: replacements that failed */
	struct table_rest *rest;
};
extern const struct table move_mark_table;

/*
 * The label by which a service is rebalanced without being asked, when a node has come or come
 * back: "auto"; "off" is as no label.
 */
#define REBALANCE_LABEL "shoal.rebalance"
bool rebalance_is_auto(const struct strmap *labels);
/* 0, or -EINVAL with a sentence. `replicated`: whether the service's mode can be rebalanced. */
int rebalance_check(const struct strmap *labels, bool replicated, struct err *e);
