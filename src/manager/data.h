/*
 * Data streams on a manager (model/data.h): asks nodes for them, wherever their agents are in
 * session, hands the streams that they dial to whoever asked, and passes on what other managers
 * ask. Knows nothing of what travels in them. Called by the manager; used by service_logs.c.
 */
#pragma once

#include "base/stream.h"
#include "model/data.h"

struct manager;
struct data_broker;

struct data_broker *data_broker_new(struct manager *m, struct stream_hub *hub);
/* Whoever asked has ended by then. `done` comes once it is freed. */
void data_broker_close(struct data_broker *b, void (*done)(void *arg), void *arg);

/* Takes a STREAM_DATA of a node of the store; `manager`: it may ask for other nodes' streams. */
void data_accept(struct data_broker *b, struct stream *s, bool manager);
/* A node's agent is in session with this manager: it is told what it is asked for. */
void data_session_open(struct data_broker *b, const char *node);

/* Something asked of a node; the asker's, who fills in request.node and what it is about. */
struct data_ask {
	struct data_request request;
	/*
	 * The node has come: the asker owns the stream, by stream_start() from within. The ticket
	 * is used up; data_ask() again makes a new one.
	 */
	void (*taken)(struct data_ask *a, struct stream *s);
	struct data_ask *prev, *next; /* the broker's */
	bool open;
};
/* Asks, or asks anew. */
void data_ask(struct data_broker *b, struct data_ask *a);
/* Nothing is waited for any more; request is freed. Allowed at any time. */
void data_ask_done(struct data_broker *b, struct data_ask *a);
