/*
 * Moving a running task to another node, the new one first: what the rebalance and the draining of
 * nodes share. A move is a task with a mark (model/rebalance.h) in the slot of the one that it
 * replaces; all of its state is in the two. Private to the cores.
 */
#pragma once

#include "manager/core_impl.h"

enum move_state {
	MOVE_OVER,    /* done, or nothing of it is left */
	MOVE_COMING,  /* the new task is on its way; it has failed by `until` */
	MOVE_RUNS,    /* it runs: the old one can go */
	MOVE_FAILED,  /* it has failed and is to be counted */
	MOVE_DROPPED, /* somebody else does not want it any more */
	MOVE_RESTING, /* the next one waits until `until` */
	MOVE_WATCHED, /* it is up, and a failure before `until` counts */
};

/* How a service's moves go. */
struct move_rules {
	uint64_t parallelism;
	int64_t delay;    /* after one that came up, ns */
	int64_t monitor;  /* how long a failure after that counts */
	int64_t again;    /* after one that failed */
	int64_t deadline; /* for a new task to run */
};
void move_rules_of(const struct service *svc, struct move_rules *ret);

/* `t` may be NULL. `ret_until` is INT64_MAX when not by time. */
enum move_state move_look(const struct store *s, const struct move_rules *rules,
			  const struct task *t, int64_t now_ns, int64_t *ret_until);
/* Whether the task is a replacement on its way. */
bool move_is_coming(const struct task *t);

/* Makes the task that is to take `old`'s place: on `node`, or NULL: where it fits best. */
void move_begin(struct core_step *step, const struct service *svc, const struct task *old,
		uint64_t run, const char *node);
/* Of a move that runs, or that nothing is waited for any longer: the old task goes. */
void move_settle(struct core_step *step, const struct task *new);
/* Of one that failed or is not wanted any more: the new task goes, the old one stays. */
void move_give_up(struct core_step *step, const struct task *new);

/*
 * Whether the task, on a drained node, runs on until a replacement does: where the service's order
 * is start-first, and not too many replacements have failed.
 */
bool move_drains(const struct store *s, const struct service *svc, const struct task *t);
/*
 * Whether the task has found no node for as long as one on a drained node is held for it; if not,
 * but it has none now, *ret_due is when it will have.
 */
bool move_is_nowhere(const struct task *new, int64_t now_ns, int64_t *ret_due);
/* Of a move that failed: gives it up, and counts that on the old task, which is wanted. */
void move_count(struct core_step *step, const struct task *new, const struct task *old);
