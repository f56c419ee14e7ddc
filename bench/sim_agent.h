/*
 * Simulated agents for bench_agents: each is a member of the swarm with a certificate and a session
 * of its own (agent/session.h), which "runs" whatever it is told to by reporting the states that a
 * worker reports, and nothing else. All of them live on one loop.
 */
#pragma once

#include <uv.h>

#include "agent/session.h"
#include "base/id.h"

struct sim_task;

/* What all agents share, and what they have come to; changed on the loop alone. */
struct sim_fleet {
	uv_loop_t *loop;
	uint64_t step_ms;         /* from one state of a task to the next */
	size_t open;              /* sessions */
	size_t assigned, running; /* tasks that agents have and are wanted; those that run */
	size_t refused;           /* dials that failed, and sessions that were lost */
	void (*moved)(struct sim_fleet *f); /* any of these has changed */
};

struct sim_agent {
	struct sim_fleet *fleet;
	char id[ID_CLUSTER_LEN + 1];
	char hostname[32];
	const char *roots; /* PEM, lent */
	struct stream_hub *hub;
	struct session_client *session;
	struct sim_task *tasks;
	size_t assigned, running; /* its part of the fleet's */
	unsigned round;           /* of complete sets of assignments */
	uv_timer_t step;
};

/* Opens its session, with that identity, to one of the managers. `a` stays where it is. */
void sim_agent_start(struct sim_agent *a, struct tls_identity *id,
		     const struct session_manager *managers, size_t n);
/* As if its power failed: it says nothing more, and its tasks do not count any more. */
void sim_agent_cut(struct sim_agent *a);
