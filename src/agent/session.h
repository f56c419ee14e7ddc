/*
 * The agent's side of a session (model/session.h): keeps one open to any manager that answers, says
 * what the worker reports, and hands on what the managers decide. Knows neither tasks' ways nor
 * networks. Called by main, on the loop thread.
 */
#pragma once

#include <uv.h>

#include "base/stream.h"
#include "model/session.h"

struct session_client;

struct session_client_ops {
	/* What this node is now: filled in, then freed by the session. */
	void (*describe)(void *arg, struct session_open *ret);
	void (*connected)(void *arg, bool connected);
	/* Heartbeat, managers' addresses, this node's spec: at the start and when they change. */
	void (*welcome)(void *arg, const struct session_welcome *w);
	void (*assign)(void *arg, const struct session_assign *a);
	/* A secret or config of a task here; wiped after the call. */
	void (*secret)(void *arg, const struct session_secret *s);
	/* -ESTALE: it does not fit what is known; the whole is asked for. */
	int (*peers)(void *arg, const struct session_peers *p);
	/* The answer to session_client_certify(). */
	void (*certificate)(void *arg, const struct session_cert *c);
	/* What is to be measured from now on; an empty one ends it. May be NULL. */
	void (*measure)(void *arg, const struct session_measure *m);
	/* A manager wants a data stream (model/data.h). May be NULL. */
	void (*data)(void *arg, const struct data_request *r);
	/* A manager did not let this node in, or the dial failed: for the log. */
	void (*refused)(void *arg, const struct err *why);
};

struct session_client_config {
	uv_loop_t *loop;
	struct stream_hub *hub;
	const char *node; /* this node's id: its own manager is asked first, where it is one */
	const struct session_client_ops *ops;
	void *arg;
};

struct session_client *session_client_new(const struct session_client_config *config,
					  const struct session_manager *managers, size_t n);
/* Closes; `done` comes once nothing uses it, and it is freed then. No other callback comes. */
void session_client_close(struct session_client *c, void (*done)(void *arg), void *arg);

/* A task's status has changed; sent soon, and again until a manager has taken it. */
void session_client_report(struct session_client *c, const char *task,
			   const struct task_status *status);
/* Asks for a new certificate; an answer that does not come is asked for again by the caller. */
void session_client_certify(struct session_client *c, const struct session_cert_request *r);
/*
 * Says that this node leaves the swarm: call it when nothing of its tasks is left. `left` comes
 * once a manager has taken it, or cannot be reached, or after two seconds; at once where there is
 * no session.
 */
void session_client_leave(struct session_client *c, void (*left)(void *arg), void *arg);
/* What was measured; dropped without a session, as the next comes soon. */
void session_client_measured(struct session_client *c, const struct session_measured *m);
/* The host has changed, or a table is not known any more: describes again. */
void session_client_describe(struct session_client *c);
