/*
 * The end of a container, for `delete` and for `run` in the foreground.
 */
#pragma once

#include "runtime/oci/state.h"

/*
 * Kills what is left of a container, removes its group and its state, then runs the poststop
 * hooks of `spec` (NULL: none). A hook that fails is an error, but everything is removed.
 */
int oci_delete_container(const struct oci *o, struct oci_container *c, const struct spec *spec,
			 struct err *e);
