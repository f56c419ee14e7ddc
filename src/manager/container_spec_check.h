/*
 * What a task's container may be asked to be, as far as that needs no node: what makes no sense is
 * refused before it is stored, and not by each task again, and what is not there by its name.
 * Pure. Called by service_check.c.
 */
#pragma once

#include "model/service.h"

/* -EINVAL, or -ENOSYS for what is not there. */
int container_spec_check(const struct container_spec *s, struct err *e);
