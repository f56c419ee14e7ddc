/*
 * The worker's runner over this host's engine. Made by main.
 */
#pragma once

#include "agent/engine.h"
#include "agent/runner.h"
#include "agent/task_container.h"

struct runner_engine;

/* Strings of `node` are copied; its permit is lent. */
struct runner_engine *runner_engine_new(struct engine *e, const struct task_node *node);
/* After worker_close(), once its operations have come back. */
void runner_engine_free(struct runner_engine *r);
struct runner runner_engine_runner(struct runner_engine *r);
