/*
 * How many replicas a service should have: the arithmetic of the Kubernetes Horizontal Pod
 * Autoscaler ("Algorithm details", kubernetes.io/docs/tasks/run-application/
 * horizontal-pod-autoscale), and its stabilisation windows. Pure: time and what was measured are
 * given. Called by core_autoscale.
 */
#pragma once

#include "model/autoscale.h"

/* What is known of the tasks of a service by one target. */
struct autoscale_tally {
	int64_t sum;
	uint64_t tasks;   /* that run and are known */
	uint64_t coming;  /* that do not run yet, or only just, and are not known */
	uint64_t missing; /* that run and are not known */
};

struct autoscale_look {
	uint64_t replicas;
	struct autoscale_tally tally[AUTOSCALE_KINDS]; /* of kinds that are targets */
};

struct autoscale_verdict {
	uint64_t wanted; /* within the bounds */
	enum autoscale_kind by;
	bool blind; /* a target is not known of all: nothing is made smaller */
};

/* Adds a value; saturates. */
void autoscale_tally_add(struct autoscale_tally *t, int64_t value);
/*
 * The most that any target asks for: ceil(sum / target). Nothing changes within the tolerance.
 * Upwards, tasks that are coming or missing count as idle; downwards what is coming does not count,
 * and what is missing forbids it. One verdict at most doubles the service, or adds four.
 */
void autoscale_judge(const struct autoscale *a, const struct autoscale_look *l,
		     struct autoscale_verdict *ret);

/*
 * The largest of what was wanted within a span of time, or with `smallest` the smallest. Only what
 * can still become it is kept.
 */
struct autoscale_wish {
	int64_t at_ns;
	uint64_t wanted;
};
struct autoscale_window {
	bool smallest;
	LIST_OF(struct autoscale_wish) wishes; /* the oldest first, each outdone by those before */
};
void autoscale_window_add(struct autoscale_window *w, int64_t span_ns, int64_t now_ns,
			  uint64_t wanted);
/* After an add. */
uint64_t autoscale_window_bound(const struct autoscale_window *w);
/* When all that was wanted will be below `replicas`, if nothing more is; for the largest. */
int64_t autoscale_window_until(const struct autoscale_window *w, int64_t span_ns,
			       uint64_t replicas);
void autoscale_window_clear(struct autoscale_window *w);
