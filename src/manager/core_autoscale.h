/*
 * What the leader shows of the core that scales services. Called by the replica.
 */
#pragma once

#include "manager/core.h"

/*
 * How the service's scaling stood at the core's last look. -ENOENT: there is no such service,
 * -EINVAL: nothing scales it, -EAGAIN: this leader has not looked yet.
 */
int core_autoscale_view(const struct core *core, const struct store *store, const char *ref,
			struct autoscale_view *ret, struct err *e);
