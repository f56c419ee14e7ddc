/*
 * How many replicas a service is to have by what its tasks use, as labels of the service say:
 * shoal.autoscale.max and those beside it. What agents report of tasks for it, what was decided,
 * and what the leader shows of it. Knows nothing of how it is decided: manager/autoscale.h.
 *
 *   shoal.autoscale.max          most replicas; without it nothing is scaled
 *   shoal.autoscale.min          fewest; 1
 *   shoal.autoscale.cpu          target: percent of one processor that a task uses, on average
 *   shoal.autoscale.memory       target: what a task uses without the page cache, "256m"
 *   shoal.autoscale.metric       NAME or NAME{label="value",...}: sum of these samples of a task;
 *                                of a counter how much it rises a second
 *   shoal.autoscale.metric.port, .metric.path (/metrics), .metric.target
 *   shoal.autoscale.window       scaling down waits for it; 5m
 *   shoal.autoscale.up-window    scaling up waits for it; 0s
 *   shoal.autoscale.tolerance    percent off the target that change nothing; 10
 */
#pragma once

#include "base/table.h"

#define AUTOSCALE_LABEL "shoal.autoscale"

enum autoscale_kind { AUTOSCALE_CPU, AUTOSCALE_MEMORY, AUTOSCALE_METRIC, AUTOSCALE_KINDS };

struct autoscale {
	uint64_t min, max;
	/* Billionths of a processor, bytes, thousandths of the metric; 0: not a target. */
	int64_t target[AUTOSCALE_KINDS];
	const char *metric, *path; /* lent from the labels */
	uint32_t port;
	int64_t window_ns, up_window_ns;
	uint32_t tolerance; /* percent */
};

bool autoscale_is_set(const struct strmap *labels);
/* Whether another thing would be measured, or decided by it. */
bool autoscale_differs(const struct strmap *a, const struct strmap *b);
/* Of labels for which autoscale_is_set(). -EINVAL with the label's name. */
int autoscale_read(const struct strmap *labels, struct autoscale *ret, struct err *e);
/* Whether the labels make sense, on a service whose tasks are replicas or are not. */
int autoscale_check(const struct strmap *labels, bool replicated, struct err *e);
/* The number of replicas brought between the bounds; 0 stays 0: the service rests. */
uint64_t autoscale_clamp(const struct autoscale *a, uint64_t replicas);

/* What a kind's numbers are called, and one of them as text with its unit: "70%", "25 a task". */
const char *autoscale_kind_name(enum autoscale_kind kind);
void autoscale_value_text(enum autoscale_kind kind, int64_t value, struct buf *ret);

/* A task as its agent has measured it since the last time; what is absent could not be. */
struct task_load {
	char *task;
	int64_t *value[AUTOSCALE_KINDS]; /* in the units of struct autoscale */
	char *error;                     /* why there is no metric */
	struct table_rest *rest;
};
extern const struct table task_load_table;

/* What the managers have noted in the service; absent while nothing is scaled. */
struct autoscale_status {
	uint64_t asked;  /* replicas as a user asked for them last */
	int64_t decided; /* when the last decision was made; 0: none was */
	uint64_t from, to;
	char *reason;
	struct table_rest *rest;
};
extern const struct table autoscale_status_table;

/* One target as the leader sees it. */
struct autoscale_gauge {
	char *name;
	char *value; /* the average of a task, or "unknown" */
	char *target;
	uint64_t tasks; /* it is known of */
	struct table_rest *rest;
};
extern const struct table autoscale_gauge_table;

/* How a service's scaling stands; the leader's memory alone has it. */
struct autoscale_view {
	uint64_t min, max;
	uint64_t replicas;
	uint64_t wanted;  /* what the load asks for by itself */
	uint64_t coming;  /* tasks that do not count yet */
	uint64_t missing; /* tasks that run and of which nothing is known */
	LIST_OF(struct autoscale_gauge) gauges;
	char *state;  /* what holds it, or what comes next */
	int64_t next; /* when a smaller number can be decided at the earliest; 0: nothing waits */
	struct autoscale_status *last;
	struct table_rest *rest;
};
extern const struct table autoscale_view_table;
