/*
 * Health checks as plain values: what one may say, with Docker's defaults, and what a probe's
 * result does to what is known of a container's health. Pure. Used by the engine, which probes, and
 * by the managers, who check what is asked for.
 */
#pragma once

#include <stdbool.h>

#include "model/container.h"

/* -EINVAL with the reason. */
int healthcheck_check(const struct healthcheck *h, struct err *e);
/* Whether there is something to probe: neither NULL, nor empty, nor NONE. */
bool healthcheck_is_on(const struct healthcheck *h);
/* What a probe executes, added to `ret`; `shell` is the image's, empty for /bin/sh -c. */
void healthcheck_command(const struct healthcheck *h, const struct strs *shell, struct strs *ret);
/* ns that one probe may take. */
int64_t healthcheck_timeout(const struct healthcheck *h);
/* ns until the next probe of a container that has run for `ran_ns`. */
int64_t healthcheck_wait(const struct healthcheck *h, enum health_status status, int64_t ran_ns);
/* Takes a result in (it is moved). True when the status is another one now. */
bool health_add(struct health *h, const struct healthcheck *check, int64_t started_ns,
		struct health_result *result);
