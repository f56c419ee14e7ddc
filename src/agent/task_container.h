/*
 * From a task and its template to the container that the engine is asked for. Pure. Called by
 * agent/runner_engine.c.
 */
#pragma once

#include "model/container.h"
#include "model/service.h"
#include "model/task.h"

/* What a template's {{.Node.…}} means here. */
struct task_node {
	const char *id;
	const char *hostname;
};

/*
 * Fills the zeroed `ret`; free it with container_create_done(). -EINVAL for a template text that is
 * not understood, -ENOSYS for what cannot be carried out.
 */
int task_container_make(const struct task *t, const struct template *tpl,
			const struct task_node *node, struct container_create *ret, struct err *e);
/*
 * Appends the value that ".Service.ID" and the like have for the task. -EINVAL when the name is
 * none of these, -EMSGSIZE past the buffer's bound.
 */
int task_template_value(const char *name, size_t n, const struct task *t,
			const struct template *tpl, const struct task_node *node, struct buf *ret);
/*
 * Expands {{.Service.ID}}, {{.Service.Name}}, {{.Service.Labels.k}}, {{.Node.ID}},
 * {{.Node.Hostname}}, {{.Task.ID}}, {{.Task.Name}} and {{.Task.Slot}} in `text`. Free `*ret`.
 */
int task_template_expand(const char *text, const struct task *t, const struct template *tpl,
			 const struct task_node *node, char **ret, struct err *e);
