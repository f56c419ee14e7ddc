/*
 * Placement: which node a task goes to. Pure and incremental: it is told of nodes and of tasks
 * that hold resources on them, keeps their sums, and answers for one group of tasks of one template
 * at a time. No clock, no loop, no I/O, no store; the same calls give the same answers everywhere.
 * Called by the manager's scheduler core and by the placement bench.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/node.h"
#include "model/service.h"

/* A node with so many failures of a template within the window comes last for it. */
#define SCHED_FAILURES 5
#define SCHED_FAILURE_WINDOW_NS (5 * 60 * 1000000000LL)

/* Room for any explanation, in bytes. */
#define SCHED_WHY_MAX 512

struct scheduler;

/* Tasks that are alike for placement: of one template. The pointers are the caller's. */
struct sched_group {
	const char *service;
	uint64_t template_version;
	const struct task_spec *spec;
	const struct endpoint_spec *endpoint; /* for host-mode ports; may be NULL */
	/* Of hold and release: what this one task has been given of generic resources; or NULL. */
	const struct generics *given;
};

struct scheduler *scheduler_new(void);
void scheduler_free(struct scheduler *s);

/* A node is new or has changed. `n` must live until the next call for the same id. */
void scheduler_node_set(struct scheduler *s, const struct node *n);
/* The node is gone; what tasks hold on it stays known until they let go. */
void scheduler_node_remove(struct scheduler *s, const char *id);

/*
 * A task holds (or lets go) its reservations and ports on a node. `active`: it is wanted, and
 * counts when tasks are spread. Both calls for one task must say the same.
 */
void scheduler_hold(struct scheduler *s, const struct sched_group *g, const char *node,
		    bool active);
void scheduler_release(struct scheduler *s, const struct sched_group *g, const char *node,
		       bool active);

/* A task of the template failed or was rejected on the node at that time (ns). */
void scheduler_failed(struct scheduler *s, const char *service, uint64_t template_version,
		      const char *node, int64_t at_ns);

/*
 * Places the first tasks of `n` (ids) and returns how many; ret_nodes[i] is the node's id, valid
 * until nodes change. When that is less than `n`, `why` says it in Swarm's words: "no suitable node
 * (insufficient resources on 2 nodes; ...)". What is placed counts at once, until rollback.
 */
size_t scheduler_place(struct scheduler *s, const struct sched_group *g, const char *const *tasks,
		       size_t n, int64_t now_ns, const char **ret_nodes, struct buf *why);

/* The same for one task whose node is given already: whether it may run there. */
bool scheduler_place_on(struct scheduler *s, const struct sched_group *g, const char *node,
			struct buf *why);

/* Whether constraints and platforms allow the node, whatever it does and has free. */
bool scheduler_allows(const struct task_spec *spec, const struct node *n);

struct sched_move {
	const char *from, *to; /* nodes' ids, valid until nodes change */
};
/*
 * The move of one of the group's tasks that improves most how they are spread, by the order in
 * which nodes are chosen: branches of the preferences first, then tasks of the service on the node,
 * then tasks in all. False when no move improves it. A node is left only when `may_leave` says that
 * it has a task which can go; it is asked for the best moves first.
 */
bool scheduler_improve(struct scheduler *s, const struct sched_group *g, int64_t now_ns,
		       bool (*may_leave)(void *arg, const char *node), void *arg,
		       struct sched_move *ret);

/*
 * What the i-th task of the last scheduler_place() or scheduler_place_on() is given of its node's
 * generic resources; valid until rollback.
 */
const struct generics *scheduler_given(const struct scheduler *s, size_t i);

/*
 * Takes back all that was placed: the caller tells with scheduler_hold() what came true. The groups
 * that were placed must still be valid.
 */
void scheduler_rollback(struct scheduler *s);
