/*
 * A task: one slot's attempt to run a container on a node. It refers to its service's template and
 * never copies it, so that 100,000 of them stay small.
 */
#pragma once

#include "model/object.h"
#include "model/service.h"

/* Swarm's own numbers: they only ever rise in a task's life. */
enum task_state {
	TASK_NEW = 0,
	TASK_PENDING = 64,
	TASK_ASSIGNED = 192,
	TASK_ACCEPTED = 256,
	TASK_PREPARING = 320,
	TASK_READY = 384,
	TASK_STARTING = 448,
	TASK_RUNNING = 512,
	TASK_COMPLETE = 576,
	TASK_SHUTDOWN = 640,
	TASK_FAILED = 704,
	TASK_REJECTED = 768,
	TASK_REMOVE = 800, /* a desired state alone */
	TASK_ORPHANED = 832,
};

/* Who may write a state. */
enum task_writer {
	WRITER_ORCHESTRATOR,
	WRITER_ALLOCATOR,
	WRITER_SCHEDULER,
	WRITER_ENFORCER,
	WRITER_DISPATCHER,
	WRITER_AGENT,
};

struct container_status {
	char *container;
	int64_t pid;
	int64_t exit_code;
	struct table_rest *rest;
};
extern const struct table container_status_table;

/* The host-mode ports of a task, as they are published on its node. */
struct port_status {
	LIST_OF(struct port_config) ports;
	struct table_rest *rest;
};
extern const struct table port_status_table;

struct task_status {
	int64_t timestamp;
	enum task_state state;
	char *message;
	char *err;
	struct container_status *container;
	struct port_status *ports; /* NULL: it publishes none on its node */
	struct table_rest *rest;
};
extern const struct table task_status_table;

/* A task's place in one network; also a service's and a node's. */
struct attachment {
	char *network;         /* its id */
	struct strs addresses; /* CIDR, unique in the cluster */
	struct strs aliases;
	struct table_rest *rest;
};
extern const struct table attachment_table;

struct task {
	struct object o;
	char *service;
	uint64_t template_version; /* with `service`: the KIND_TEMPLATE it runs */
	uint64_t slot;             /* from 1, a job's from 0; 0 for a task of a global service */
	char *node;                /* set by the scheduler */
	struct task_status status;
	enum task_state desired;
	/*
	 * The constraint enforcer rejected it while its container may still run. The dispatcher
	 * clears this when the agent reports that it has ended; until then the task keeps its
	 * addresses and its resources.
	 */
	bool evicted;
	/* Of a global service or job: it was made for the node that it has, and has no slot. */
	bool global;
	LIST_OF(struct attachment) networks;
	int64_t not_before; /* desired is READY until then (restart delay); wall ns, 0: at once */
	uint64_t restarts;  /* of its template in its slot before it: what max attempts counts */
	struct move_mark *move;          /* NULL: no node is or was to be left by or for it */
	struct update_mark *update;      /* NULL: it was not made by an update */
	struct job_iteration *iteration; /* of jobs alone */
	struct generics generic;         /* what it was given of its node's */
	struct table_rest *rest;
};
extern const struct table task_table;
/*
 * A service's places are its slots, or nodes where it is global. Orders tasks (pointers to such, as
 * qsort() has it) by place, in each the oldest first.
 */
int task_by_place(const void *a, const void *b);
bool task_same_place(const struct task *a, const struct task *b);

/* Indexed by the state, with gaps, for tables. */
extern const char *const task_state_names[TASK_ORPHANED + 1];
/* "running", …; "" for what is no state. */
const char *task_state_name(enum task_state state);
/* 0 or -EINVAL. */
int task_state_parse(const char *name, enum task_state *ret);

/* After these a task never runs again. */
static inline bool task_state_final(enum task_state state)
{
	return state >= TASK_COMPLETE;
}

/*
 * Whether `writer` may move a task's status from one state to another: the one table of allowed
 * transitions. A state may be written again (with a new message) by whoever may write it.
 */
bool task_transition_allowed(enum task_writer writer, enum task_state from, enum task_state to);

/* The job's iteration that it belongs to; 0 for what is no job. */
static inline uint64_t task_iteration(const struct task *t)
{
	return t->iteration ? t->iteration->index : 0;
}

/* Whether the task is wanted: it should run (a job's: to its end), or be got ready to. */
static inline bool task_is_wanted(const struct task *t)
{
	return t->desired <= TASK_COMPLETE;
}

/* Whether it is wanted and may still come to run. */
static inline bool task_is_live(const struct task *t)
{
	return t->desired <= TASK_COMPLETE && t->status.state <= TASK_RUNNING;
}

/*
 * Whether nothing of the task is left on any node, nor will be: it ended, or it is not wanted and
 * was never assigned. What it held may be given to others.
 */
static inline bool task_is_over(const struct task *t)
{
	if (task_state_final(t->status.state))
		return !t->evicted;
	return t->status.state < TASK_ASSIGNED && !task_is_wanted(t);
}

/* "NAME.SLOT.ID" (or "NAME.NODE.ID" without a slot): the container's name. Free with free(). */
char *task_container_name(const char *service_name, const struct task *t);
/* The same without the id: what users see in `service ps`. */
char *task_name(const char *service_name, const struct task *t);
