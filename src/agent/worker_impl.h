/*
 * What the files of the worker share. Included by agent/worker*.c alone.
 */
#pragma once

#include <uthash.h>

#include "agent/vault.h"
#include "agent/worker.h"
#include "base/id.h"

enum work_op { OP_NONE, OP_PREPARE, OP_START, OP_STOP, OP_REMOVE };

/* Where a task is that is started again without a manager: its container is made anew. */
enum work_restart { RESTART_NO, RESTART_REMOVE, RESTART_PREPARE, RESTART_START };

/* What is on disk of a task. */
struct work_record {
	struct task task;
	struct template template;
	LIST_OF(struct network) networks;
	bool gone;               /* the managers have deleted it: to be stopped and removed */
	uint64_t local_restarts; /* since the managers were last in reach */
	struct table_rest *rest;
};
extern const struct table work_record_table;

struct work {
	struct worker *worker;
	char id[ID_CLUSTER_LEN + 1];
	struct work_record record; /* record.task.status is this node's own */
	enum work_op op;           /* in flight */
	bool stopping;             /* the stop was asked for: its exit is a shutdown */
	bool awaits_health;        /* it runs, and is to be found healthy */
	bool unhealthy;            /* and is stopped for it: its exit is a failure */
	bool prepared;             /* its container is made */
	bool removed;              /* and was removed again */
	bool waits_for_secret;     /* that is all its start waits for */
	enum work_restart restart;
	uint64_t due_ms; /* loop time of the next try; 0: none */
	UT_hash_handle hh;
};

struct worker {
	struct worker_config config;
	struct db *db;
	uv_timer_t timer;
	struct work *works;
	struct session_assign pending; /* frames with `more` */
	struct strs networks;          /* told to the engine */
	struct vault *vault;           /* what the tasks here use, in memory alone */
	bool connected, closing;
	void (*left)(void *arg);
	void *left_arg;
};

/* Disk (worker_store.c) */
int worker_store_open(struct worker *w, struct err *e);
/* A failure is logged: the task goes on, and is asked of the managers after a restart. */
void work_save(struct work *work);
void work_forget(struct work *work);

/* Starts the next operation that the task needs, if none is in flight. */
void work_step(struct work *work);
/* Writes the task's status and reports it. */
void work_status(struct work *work, enum task_state state, const char *message, const char *err);
void work_free(struct work *work);
/* Forgets secrets that no living task uses. */
void worker_vault_prune(struct worker *w);
void worker_timer_arm(struct worker *w);
void worker_fire(uv_timer_t *t);
/* Frees it once its timer is closed. */
void worker_free(struct worker *w);
void work_exited(struct work *work, const struct runner_state *state);
/* It runs, as healthy as `state` says. */
void work_health(struct work *work, const struct runner_state *state);
struct work *work_find(const struct worker *w, const char *task);
