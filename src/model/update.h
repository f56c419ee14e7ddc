/*
 * How a service's tasks are brought to a changed specification: what users may say of it, with
 * Swarm's defaults, how far it has come, and the marks on tasks by which a new leader goes on where
 * the old one stood. Knows nothing of how updates are run.
 */
#pragma once

#include "base/table.h"

struct update_config {
	uint64_t parallelism; /* 0: all at once */
	int64_t delay;
	char *failure_action; /* pause, continue, rollback */
	int64_t monitor;      /* ns; 0: 5 s */
	double max_failure_ratio;
	char *order; /* stop-first, start-first */
	struct table_rest *rest;
};
extern const struct table update_config_table;

enum update_state {
	UPDATE_UPDATING,
	UPDATE_PAUSED,
	UPDATE_COMPLETED,
	UPDATE_ROLLBACK_STARTED,
	UPDATE_ROLLBACK_PAUSED,
	UPDATE_ROLLBACK_COMPLETED,
};

/* "updating", …, as the Engine API writes it. */
const char *update_state_name(enum update_state state);

/* What users see of the last update; absent when no task had to be replaced. */
struct update_status {
	enum update_state state;
	int64_t started;
	int64_t completed; /* 0: not yet */
	char *message;
	struct table_rest *rest;
};
extern const struct table update_status_table;
/* Whether it is under way, forwards or back. `u` may be NULL: there was none. */
bool update_is_under_way(const struct update_status *u);
/* Whether it has the tasks in hand: it is under way, or has paused on its way. */
bool update_is_open(const struct update_status *u);

/* The run of the updater that a service is in, or has ended. */
struct update_run {
	uint64_t number; /* one more for each change of the specification: stands in its tasks */
	uint64_t total;  /* places that it replaces; 0: they have not been counted yet */
	uint64_t failed; /* of them */
	struct table_rest *rest;
};
extern const struct table update_run_table;

/* What the updater has noted on a task that it made; wall ns of the leader. */
struct update_mark {
	uint64_t run;   /* update_run.number */
	int64_t up;     /* when the task was first seen running; 0: not yet */
	int64_t failed; /* when its failure was counted; 0: it was not */
	struct table_rest *rest;
};
extern const struct table update_mark_table;

enum update_action { UPDATE_PAUSE, UPDATE_CONTINUE, UPDATE_ROLL_BACK };

/* A configuration with the defaults filled in. */
struct update_rules {
	uint64_t parallelism; /* UINT64_MAX: all at once */
	int64_t delay;
	int64_t monitor; /* longer than the delay */
	enum update_action action;
	double max_failure_ratio;
	bool start_first;
};
/* `c` may be NULL. Texts that are unknown count as the default: the API lets none in. */
void update_rules_of(const struct update_config *c, struct update_rules *ret);

/* `c` may be NULL. */
bool update_starts_first(const struct update_config *c);

/* 0, or -EINVAL with a sentence. `which` is "update" or "rollback". */
int update_config_check(const struct update_config *c, const char *which, struct err *e);

/*
 * The label by which a service bounds how long a new task may take to come up: a Go duration, 0 or
 * no label is no bound.
 */
#define UPDATE_DEADLINE_LABEL "shoal.update.deadline"
/* 0, or -EINVAL with a sentence. *ret is 0 for no bound. */
int update_deadline_of(const struct strmap *labels, int64_t *ret, struct err *e);
