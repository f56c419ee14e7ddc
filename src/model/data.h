/*
 * Data streams (base/stream.h, STREAM_DATA): what a node gives to the manager that a user has
 * asked, outside of its session. The manager makes a ticket and has the node told of it, by
 * whichever manager the node's agent is in session with (SESSION_DATA); the agent dials back, and
 * the ticket, good for one stream, says what the stream is for. Used by manager/data.c,
 * manager/service_logs.c and agent/data_logs.c.
 *
 * Asking manager      Other managers        Agent
 *   ASK (a request) ->
 *                       SESSION_DATA     ->
 *                   <-----------------------   TICKET
 *                   <-----------------------   ENTRY …, CAUGHT_UP, ENTRY …, END
 *   DROP (its id)   ->
 */
#pragma once

#include "base/table.h"

/* On the wire: never renumber. */
enum data_frame {
	DATA_ASK = 1,       /* struct data_request: between managers */
	DATA_DROP = 2,      /* the same; only its id counts */
	DATA_TICKET = 3,    /* struct data_ticket: the first word of an agent */
	DATA_ENTRY = 4,     /* struct data_entry */
	DATA_CAUGHT_UP = 5, /* no payload: what was there has been said, new entries follow */
	DATA_END = 6,       /* no payload: nothing will follow */
};

/* One task's log, from where on: entries of before `since`, and `skip` ones of then, are known. */
struct data_task {
	char *task;
	int64_t since; /* ns */
	uint64_t skip;
	struct table_rest *rest;
};
extern const struct table data_task_table;

/* What a node is asked for: logs of its tasks. */
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
