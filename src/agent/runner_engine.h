/*
 * The worker's runner over this host's engine. Made by main.
 */
#pragma once

#include "agent/engine.h"
#include "agent/runner.h"

struct runner_engine;

/* `node` is this node's id, `hostname` its name; both are copied. */
struct runner_engine *runner_engine_new(struct engine *e, const char *node, const char *hostname);
/* After worker_close(), once its operations have come back. */
void runner_engine_free(struct runner_engine *r);
struct runner runner_engine_runner(struct runner_engine *r);
