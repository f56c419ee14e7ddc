/*
 * Data streams (base/stream.h, STREAM_DATA): what a node gives to the manager that a user has
 * asked, outside of its session. The manager makes a ticket and has the node told of it, by
 * whichever manager the node's agent is in session with (SESSION_DATA); the agent dials back, and
 * the ticket, good for one stream, says what the stream is for. Used by manager/data.c,
 * manager/service_logs.c, manager/task_exec.c, agent/data_logs.c and agent/data_exec.c.
 *
 * Asking manager      Other managers        Agent
 *   ASK (a request) ->
 *                       SESSION_DATA     ->
 *                   <-----------------------   TICKET
 *  logs:            <-----------------------   ENTRY …, CAUGHT_UP, ENTRY …, END
 *       TASK_FINAL  ----------------------->
 *  a process:  EXEC ----------------------->
 *                   <-----------------------   OPEN (or at once EXIT, with why not)
 *  INPUT …, INPUT_END, RESIZE … ----------->
 *                   <-----------------------   TAKEN …, OUTPUT …, EXIT
 *   DROP (its id)   ->
 *
 * What is to be executed goes on the stream itself, not with the request: nobody but the node
 * sees a command and its environment. Of input no more than LIMIT_EXEC_INPUT bytes are under way
 * that are not TAKEN, so that the node reads on: it has to notice at any time that the asker left.
 */
#pragma once

#include "base/table.h"

/* On the wire: never renumber. */
enum data_frame {
	DATA_ASK = 1,        /* struct data_request: between managers */
	DATA_DROP = 2,       /* the same; only its id counts */
	DATA_TICKET = 3,     /* struct data_ticket: the first word of an agent */
	DATA_ENTRY = 4,      /* struct data_entry */
	DATA_CAUGHT_UP = 5,  /* no payload: what was there has been said, new entries follow */
	DATA_END = 6,        /* no payload: nothing will follow */
	DATA_TASK_FINAL = 7, /* struct data_task: it will have no container if it has none */
	DATA_EXEC = 8,       /* struct data_exec: the first word of the asker */
	DATA_OPEN = 9,       /* no payload: it is about to run (detached: it runs) */
	DATA_INPUT = 10,     /* bytes of stdin */
	DATA_INPUT_END = 11, /* no payload */
	DATA_TAKEN = 12,     /* u64: so many bytes of input have been taken */
	DATA_STDOUT = 13,    /* bytes; of a terminal as well */
	DATA_STDERR = 14,
	DATA_RESIZE = 15, /* u32 rows, u32 columns */
	DATA_EXIT = 16,   /* struct data_exit: the last word */
};

/* On the wire: what a request is for. A node leaves alone what it does not know. */
enum data_kind {
	DATA_KIND_LOGS = 0,
	DATA_KIND_EXEC = 1,
};

/* One task's log, from where on: entries of before `since`, and `skip` ones of then, are known. */
struct data_task {
	char *task;
	int64_t since; /* ns */
	uint64_t skip;
	bool final; /* it has ended: a container that is not there is not waited for */
	struct table_rest *rest;
};
extern const struct table data_task_table;

/* What a node is asked for: logs of its tasks, or to execute something in one of them. */
struct data_request {
	uint64_t id; /* the asking manager's own; a later request of the same id replaces it */
	char *ticket;
	char *node;    /* who is asked */
	char *manager; /* who asks, and where it listens */
	char *addr;
	LIST_OF(struct data_task) tasks;
	bool follow;
	bool out;
	bool err;
	bool all; /* entries, not the last `tail` of each task */
	uint64_t tail;
	int64_t until; /* ns; 0: no end */
	uint32_t kind; /* enum data_kind */
	char *task;    /* DATA_KIND_EXEC: in which */
	struct table_rest *rest;
};
extern const struct table data_request_table;

struct data_ticket {
	char *ticket;
	struct table_rest *rest;
};
extern const struct table data_ticket_table;

/* An entry of a task's log. */
struct data_entry {
	char *task;
	uint32_t stream; /* 1 or 2 */
	int64_t time;    /* ns */
	struct bytes text;
	struct table_rest *rest;
};
extern const struct table data_entry_table;

/* What to execute: exec_config of model/exec.h as JSON. */
struct data_exec {
	struct bytes config;
	uint32_t rows, cols; /* of its terminal; 0: as the config says */
	bool detach;         /* no input, and nobody reads its output */
	struct table_rest *rest;
};
extern const struct table data_exec_table;

/* How it ended. */
struct data_exit {
	int32_t exit_code;
	int32_t code; /* errno; 0: it ran, or what could not be executed has an exit code */
	char *error;  /* with `code`: why it did not run */
	struct table_rest *rest;
};
extern const struct table data_exit_table;
