/*
 * From a user's seccomp profile to the runtime's form of it: what holds on this machine and for the
 * container's capabilities. Called by container_spec.c.
 */
#pragma once

#include "runtime/container/spec.h"

/* `ret` is a new spec's: spec_done() frees it. -EINVAL with the reason. */
int seccomp_spec_make(const char *profile, const struct spec_strs *caps, struct spec_seccomp *ret,
		      struct err *e);
