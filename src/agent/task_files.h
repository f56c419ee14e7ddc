/*
 * From a task's secrets and configs to the files of its container, with templates expanded. Called
 * by agent/runner_engine.c.
 */
#pragma once

#include "agent/engine.h"
#include "agent/task_container.h"
#include "agent/vault.h"
#include "model/secret.h"

/* Whether the task has secrets or configs at all. */
bool task_has_files(const struct template *tpl);
/*
 * The files, NULL when there are none; free with engine_files_free(). -ENOKEY when one has not come
 * from a manager yet, -EINVAL for a template that is not understood. No sentence has more of the
 * contents than the name of what a template asks for.
 */
int task_files_make(const struct task *t, const struct template *tpl, const struct task_node *node,
		    const struct vault *vault, struct engine_files **ret, struct err *e);
