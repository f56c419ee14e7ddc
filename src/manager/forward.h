/*
 * How a follower hands requests to the leader: one control stream to it, requests and answers with
 * numbers. When the stream breaks, what was sent has an unknown outcome and is answered so. Called
 * by the manager.
 */
#pragma once

#include "base/stream.h"
#include "manager/control.h"

struct forward;
struct forward_in;

/* 0 and the answer; what the leader said; -EINPROGRESS: the outcome is unknown. */
typedef void (*control_done)(void *arg, int status, const struct control_answer *answer,
			     const struct err *e);

struct forward_config {
	struct stream_hub *hub;
	void *arg;
	/* The leader's node id, NULL while none is known or it is this node. */
	const char *(*leader)(void *arg);
	int (*address)(void *arg, const char *node, char ret[STREAM_ADDRESS_MAX]);
	void (*open)(void *arg); /* there is a connection to the leader now */
	/*
	 * A request of another manager, to be answered once by forward_answer(), now or later. The
	 * request belongs to `in` and lives until then.
	 */
	void (*serve)(void *arg, struct forward_in *in, const struct control_request *r);
};

struct forward *forward_new(const struct forward_config *config);
/* Answers all that is open, closes the streams, then calls `done`; it is freed then. */
void forward_close(struct forward *f, void (*done)(void *arg), void *arg);

/* Another node leads now, or none. */
void forward_leader_changed(struct forward *f);

/*
 * Sends to the leader. `ret_id` (may be NULL) names the request for forward_cancel(). -EHOSTUNREACH
 * while there is no connection to a leader, -EAGAIN above LIMIT_PROPOSALS; `done` is not called
 * then.
 */
int forward_send(struct forward *f, const struct control_request *r, control_done done, void *arg,
		 uint64_t *ret_id, struct err *e);
/* The asker has gone: `done` does not come any more. */
void forward_cancel(struct forward *f, uint64_t id);

/* Takes an accepted stream of STREAM_CONTROL. Calls stream_start(). */
void forward_accept(struct forward *f, struct stream *s);
void forward_answer(struct forward_in *in, int status, const struct control_answer *answer,
		    const struct err *e);
/* The manager that asks. */
const char *forward_in_node(const struct forward_in *in);
