/*
 * What the cores share: how they look at the store, and how they write a task. Private to the
 * cores.
 *
 * Two rules make a core safe whatever becomes of its changes. What is dirty stays dirty until a
 * step has looked at it and found nothing to do: a batch that was refused or lost is made again.
 * And what a core derived from events may lag behind the store that a step is given (a fork with
 * other changes of the same entry): an object is changed only while the store has it as it was
 * derived from, else it waits for its events.
 */
#pragma once

#include "manager/core.h"
#include "manager/idset.h"
#include "manager/slots.h"
#include "manager/wakes.h"

/* Changes that one core makes in one step: bounds the time that a step takes. */
#define CORE_SLICE 250
/* Objects that a step looks at when it may have to look at all of them. */
#define CORE_LOOKS 5000

/* Whether the step may add more; `start` is out->n at its beginning. */
static inline bool core_fits(struct core_step *step, size_t start)
{
	return step->out->n - start < CORE_SLICE && changes_fit(step->out);
}

/* Whether the store has the object just so; if not, what is being looked at stays dirty. */
static inline bool core_is_current(struct core_step *step, const struct object *o)
{
	bool ret = store_get(step->store, o->kind, o->id) == o;

	step->behind |= !ret;
	return ret;
}

/* After a look at something dirty: whether it needs no further one. `before` is out->n before. */
static inline bool core_is_clean(struct core_step *step, size_t before)
{
	bool ret = step->out->n == before && !step->behind;

	step->behind = false;
	return ret;
}

/* What is due is dirty. */
void core_wake(struct wakes *wakes, struct idset *dirty, int64_t now_ns);
/* Changes the task's desired state. */
void core_task_desire(struct core_step *step, const struct task *t, enum task_state desired);
/* A copy of the task with a new status, to be given to changes_update(). */
struct task *core_task_status(struct core_step *step, const struct task *t, enum task_writer writer,
			      enum task_state state, const char *message, const char *err);
/*
 * A new task of the service's template and iteration as they are now, to be given to
 * changes_create(): in a slot, or on a node. `desired` is TASK_RUNNING or TASK_READY; a job's tasks
 * run to their end, which is TASK_COMPLETE.
 */
struct task *core_task_new(struct core_step *step, const struct service *svc, uint64_t slot,
			   enum task_state desired);
struct task *core_task_new_on(struct core_step *step, const struct service *svc, const char *node,
			      enum task_state desired);
/* What a task of the service that is to be started is wanted to be. */
enum task_state core_task_goal(const struct service *svc);
/*
 * Whether the restart policy lets another task follow `t`, which has ended or must leave its node.
 * `slot` is the task's.
 */
bool core_may_restart(const struct store *s, const struct slot *slot, const struct service *svc,
		      const struct task *t, int64_t now_ns);
/* The rules that count for the task: those of its template. A job's tasks are never run again. */
void core_restart_rules(const struct store *s, const struct service *svc, const struct task *t,
			struct restart_rules *ret);
/* Whether a global service has its task on the node. Room for it is the scheduler's to judge. */
bool core_global_fits(const struct service *svc, const struct node *n);
/*
 * A job's tasks of earlier iterations in the slot: those that have not ended are removed (unless
 * the job's schedule lets them run on), the others stay as history for as many iterations as the
 * schedule says, or as the cluster keeps tasks of a slot.
 */
void core_job_retire(struct core_step *step, const struct service *svc, const struct slot *slot);
/*
 * What stands in the slot for the service's current iteration: the newest wanted task, else the
 * newest that is not to be removed, or NULL.
 */
const struct task *core_slot_current(const struct service *svc, const struct slot *slot);
/* Whether the node of the task is there and up. */
bool core_task_node_up(const struct store *s, const struct task *t);
/* Whether nothing of the task runs any more, as far as anybody can tell. */
bool core_task_is_past(const struct store *s, const struct task *t);
/*
 * Whether nothing of the slot and iteration runs, or will once it is not wanted; `except` (or NULL)
 * apart.
 */
bool core_slot_is_idle(const struct store *s, const struct slot *slot, uint64_t iteration,
		       const struct task *except);
