/*
 * Nodes that leave on purpose: the agent says so once nothing of its tasks is left there, and the
 * swarm need not wait for three missed heartbeats to know. See dispatcher_impl.h.
 */
#include <string.h>

#include "base/log.h"
#include "manager/dispatcher_impl.h"

static void left_done(void *arg, int status, const struct control_answer *answer,
		      const struct err *e)
{
	struct session *s = arg;

	(void)answer;
	s->leave_call = NULL;
	if (status < 0) /* silence will say it then */
		log_warn("node %s leaves, and the leader could not be told: %s", s->node,
			 e ? err_text(e) : "");
	(void)stream_send_copy(s->stream, SESSION_LEAVE, NULL, 0);
}

void session_leaves(struct session *s)
{
	struct dispatcher *d = s->dispatcher;
	struct control_request r = {.op = CONTROL_NODE_LEFT, .id = s->node};

	s->left = true;
	session_seen_drop(s); /* or it would be ready again */
	liveness_left(d->liveness, s->node);
	s->leave_call = manager_control(d->manager, &r, left_done, s);
}

void session_leave_clear(struct session *s)
{
	manager_cancel(TAKE_PTR(s->leave_call));
}
