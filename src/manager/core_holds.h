/*
 * What tasks are to placement (scheduler/): what they hold on nodes, and where they failed. For the
 * cores that feed it.
 */
#pragma once

#include "manager/store.h"
#include "scheduler/scheduler.h"

/* False when the task (NULL: none) holds nothing on any node. `ret` is lent from the store. */
bool core_task_holds(const struct store *s, const struct task *t, struct sched_group *ret,
		     bool *ret_active);
/* Notes a task that has ended badly. */
void core_task_failed(struct scheduler *s, const struct task *t);
/* A group of the service's tasks as they would be made now; false when it has no template. */
bool core_service_group(const struct store *s, const struct service *svc, struct sched_group *ret);
