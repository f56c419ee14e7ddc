/*
 * One event as the Engine API shows it, and which filters it passes. Included by api/events.c and
 * the tests.
 */
#pragma once

#include "agent/engine.h"
#include "api/query.h"

/* The filters that GET /events takes, NULL-terminated. */
extern const char *const event_filter_keys[];
bool event_passes(const struct filters *f, const struct engine_event *ev);
/* Appends its JSON and a newline. */
void event_render(const struct engine_event *ev, struct buf *ret);
