/*
 * A container's specification from the flags of `run` and `create`. Pure; the API validates.
 */
#pragma once

#include "cli/flags.h"
#include "model/container.h"

/*
 * Fills the zeroed `ret` from flags and "IMAGE [COMMAND] [ARG...]"; `attached`: somebody will be
 * joined to its streams. -EINVAL with a sentence.
 */
int container_spec_fill(const struct flags *f, bool attached, struct container_create *ret,
			struct err *e);
/* What `update` can change as well: limits and the restart policy. -EINVAL with a sentence. */
int container_limits_fill(const struct flags *f, struct host_config *h, struct err *e);
