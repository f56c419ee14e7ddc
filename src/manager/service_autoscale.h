/*
 * How many replicas a scaled service has when its specification is changed: users' numbers are
 * brought between the bounds, and what was decided by the load is not undone by a specification
 * that only repeats the number that its user began with. Pure; called where specifications change.
 */
#pragma once

#include "model/service.h"

/*
 * A user's specification, checked already, is about to become that of `s` (of a new service: it
 * has it). Changes its replicas, and what `s` notes of its scaling. Adds sentences for the user
 * where it gets another number than it says.
 */
void service_autoscale_fit(struct service *s, bool is_new, struct service_spec *spec,
			   struct strs *warnings);
/* `s` is about to be rolled back to `to`, with the replicas that it has. */
void service_autoscale_keep(struct service *s, struct service_spec *to);
