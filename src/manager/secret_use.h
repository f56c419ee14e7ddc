/*
 * Which secrets and configs may go to which node: those that a task uses which the node has to run,
 * and no others. Pure; called by the dispatcher for what it sends, and by the simulation.
 */
#pragma once

#include "manager/store.h"
#include "model/task.h"

/* An agent is told of a task from its assignment until the task is deleted. */
bool task_is_for(const struct task *t, const char *node);
/* Calls `use` with the id of each secret and config that the task needs on the node; or none. */
void secrets_of_task(const struct store *s, const struct task *t, const char *node,
		     void (*use)(void *arg, const char *id), void *arg);
/* Whether a task on the node uses it now: to be asked when it is sent, as one may have ended. */
bool secret_is_for(const struct store *s, const char *node, const char *id);
