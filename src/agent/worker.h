/*
 * Carries out what the managers assign to this node: a state machine a task, from ACCEPTED to its
 * end. It keeps its assignments on disk, so that after a restart with no manager in reach the tasks
 * go on and failed ones are started again by their restart policy. Knows neither sessions nor how
 * containers are made. Called by agent/session and main, on the loop thread.
 */
#pragma once

#include <uv.h>

#include "agent/runner.h"
#include "base/db.h"
#include "model/session.h"

struct worker;

struct worker_config {
	uv_loop_t *loop;
	struct runner runner;
	const char *db_path; /* of its own database */
	void *arg;
	/* A task's status has changed; `status` lives during the call. */
	void (*report)(void *arg, const char *task, const struct task_status *status);
	/* Networks that its tasks are in, before the first of them is prepared; and those no more.
	 */
	void (*network_set)(void *arg, const struct network *n);
	void (*network_gone)(void *arg, const char *network);
};

/* Opens its database and takes up what it finds there: nothing is asked of a manager. */
int worker_open(struct worker **ret, const struct worker_config *config, struct err *e);
/* Containers live on. No callback comes after it. */
void worker_close(struct worker *w);

/* The managers' word. Frames with `more` are kept until their last has come. */
void worker_assign(struct worker *w, const struct session_assign *a);
/* A secret or config of a task here: kept in memory while one uses it, never on disk. */
void worker_secret(struct worker *w, const struct session_secret *s);
/* A session is open, or is not: without one the restart policies are the worker's to carry out. */
void worker_connected(struct worker *w, bool connected);
/* Every task's present status, for a new session. */
void worker_report_all(struct worker *w);
/* This node has left the swarm: everything is stopped and removed, then `done`. */
void worker_leave(struct worker *w, void (*done)(void *arg), void *arg);

size_t worker_task_count(const struct worker *w);
/* The status of a task here, NULL when there is none. */
const struct task_status *worker_status(const struct worker *w, const char *task);
