/*
 * The real world: clocks of the kernel, timers and the pool of a libuv loop. Made by main for the
 * manager; see manager/world.h.
 */
#pragma once

#include <uv.h>

#include "manager/world.h"

/* `loop` must outlive all timers and work. */
void world_uv_init(struct world *w, uv_loop_t *loop);
