/*
 * "{{.Task.Slot}}" and the like in a task's specification. Pure. Used by the agent, which knows the
 * values, and by the managers, who check the names.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Appends the value of a name like ".Task.Slot". -EINVAL: there is no such name. */
typedef int (*placeholder_value)(const void *arg, const char *name, size_t n, struct buf *ret);

/* `text` with its placeholders filled in. -EINVAL with the reason. Free with free(). */
int placeholders_expand(const char *text, placeholder_value value, const void *arg, char **ret,
			struct err *e);
/*
 * The label that ".Service.Labels.KEY" or "index .Service.Labels \"KEY\"" asks for, within `key`,
 * which may be cut; NULL when it is something else.
 */
const char *placeholder_label(char *key);
/* Whether all of its names are known. 0, or -EINVAL with the reason. */
int placeholders_check(const char *text, struct err *e);
