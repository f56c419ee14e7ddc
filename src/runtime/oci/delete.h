/*
 * The end of a container, for `delete` and for `run` in the foreground.
 */
#pragma once

#include "runtime/oci/state.h"

/*
 * Kills what is left of a container, removes its group and its state, then runs the poststop
 * hooks of `spec` (NULL: none). A hook that fails is an error, but everything is removed. `group`
 * is the container's where the caller still has it open; NULL: it is looked for.
 */
int oci_delete_container(const struct oci *o, struct oci_container *c, const struct spec *spec,
			 const struct cgroup *group, struct err *e);
