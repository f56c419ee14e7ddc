/*
 * The loop's side of one connection to a shim: requests with answers, events and stream frames as
 * they come, all without blocking. Called by container_*.c; knows nothing of containers.
 */
#pragma once

#include <uv.h>

#include "runtime/container/shim_client.h"

struct link;

struct link_ops {
	/* An event or stream frame. false: not taken; it comes again after link_resume(). */
	bool (*frame)(void *arg, const struct shim_frame *f);
	/* The connection has ended: close it. Requests have been answered with -ECONNRESET. */
	void (*lost)(void *arg);
	/* What waited to be sent has gone. May be NULL. */
	void (*drain)(void *arg);
};

/*
 * Takes the client over (`c` is empty after it). What it held is delivered from the loop, not from
 * within. -errno only when the descriptor cannot be watched; `c` is unchanged then.
 */
int link_new(struct link **ret, uv_loop_t *loop, struct shim_client *c, const struct link_ops *ops,
	     void *arg);
/*
 * Answers what was requested with -ECONNRESET, from within; after it no callback follows but
 * `closed` (may be NULL), once the handle is gone.
 */
void link_close(struct link *l, void (*closed)(void *arg), void *arg);

/* 0, or the shim's errno and sentence; `exit_code` is 126 or 127 for a program not executed. */
typedef void (*link_answer)(void *arg, int status, int exit_code, const struct err *e);
/* The answer comes once, from the loop or from within link_close(). */
void link_request(struct link *l, uint16_t type, const uint32_t *v, size_t n, link_answer answer,
		  void *arg);
/* A frame without an answer (SHIM_STDIN, SHIM_EOF). 0, 1: wait for `drain`, -EPIPE, -EMSGSIZE. */
int link_send(struct link *l, uint16_t type, const void *p, size_t n);
void link_resume(struct link *l);
