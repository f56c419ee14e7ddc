/*
 * What the files of the spec room share. Nobody else includes this.
 */
#pragma once

#include "runtime/container/spec.h"

/* Every optional number unset. */
void spec_device_init(struct spec_device *d);
/* What holds for these parts wherever they stand. 0 or -EINVAL. */
int spec_process_check(const struct spec_process *p, struct err *e);
int spec_resources_check(const struct spec_resources *r, struct err *e);
