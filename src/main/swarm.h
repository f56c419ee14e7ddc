/*
 * This node's life in a swarm: init, join, leave, and what runs while it is in one: the hub of its
 * streams, on a manager the manager, and the worker with its session. The only place that knows
 * both manager and agent. Made by main/shoald.c; the API calls it by struct api_swarm.
 */
#pragma once

#include <uv.h>

#include "agent/engine.h"
#include "agent/task_container.h"
#include "api/ping.h"
#include "api/swarm.h"

struct swarm;

struct swarm_config {
	uv_loop_t *loop;
	struct engine *engine;
	const char *data_root;
	const struct strs *labels;          /* of the engine */
	const struct generics *generic;     /* what tasks can reserve of this node */
	const struct task_permit *permit;   /* what they may have of it */
	unsigned election_ms, heartbeat_ms; /* of raft; 0: the defaults */
	/* The manager has come or gone: what reads its store (events) attaches or lets go. */
	void (*manager_changed)(void *arg, struct manager *m);
	void *arg;
};

/* Takes up what is stored: a member comes back. A manager whose log cannot be read stays off, and
 * says why in the log and in `info`; the rest of the daemon works. */
int swarm_open(struct swarm **ret, const struct swarm_config *config, struct err *e);
/* Hands leadership on, closes everything; tasks live on. */
void swarm_close(struct swarm *s, void (*done)(void *arg), void *arg);

/* For the routes; lives as long as the swarm. */
struct api_swarm *swarm_api(struct swarm *s);
/* For /_ping's header. */
const char *swarm_ping(struct swarm *s);
