/*
 * From a task and its template to the container that the engine is asked for. Pure. Called by
 * agent/runner_engine.c.
 */
#pragma once

#include "model/container.h"
#include "model/service.h"
#include "model/task.h"

/* What this node's operator permits to tasks, whatever the managers say. */
struct task_permit {
	bool privileged;
	struct strs devices;
};

/* What a template's {{.Node.…}} means here. */
struct task_node {
	const char *id;
	const char *hostname;
	const char *os, *architecture;    /* of {{.Node.Platform.…}} */
	const struct task_permit *permit; /* NULL: nothing */
};

/* Whether the node permits what the task asks for; -EPERM names what it does not. */
int task_permit_check(const struct template *tpl, const struct task_permit *permit, struct err *e);
/*
 * Fills the zeroed `ret`; free it with container_create_done(). -EINVAL for a template text that is
 * not understood, -EPERM for what the node does not permit.
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
 * Expands what placeholders_check() knows in `text`. Free `*ret`.
 */
int task_template_expand(const char *text, const struct task *t, const struct template *tpl,
			 const struct task_node *node, char **ret, struct err *e);
