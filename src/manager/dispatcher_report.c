/*
 * What agents say of themselves and of their tasks, on its way to the leader: who is there and what
 * it has to offer, once, and statuses, batch by batch. See dispatcher_impl.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "manager/dispatcher_impl.h"

#define REPORTS_MAX 16 /* batches of one agent on their way; it is paused above */

/* Who is there */

void session_seen_drop(struct session *s)
{
	manager_cancel(TAKE_PTR(s->seen_call));
	table_free(&control_request_table, TAKE_PTR(s->seen));
}

static void seen_done(void *arg, int status, const struct control_answer *answer,
		      const struct err *e)
{
	struct session *s = arg;

	(void)answer;
	s->seen_call = NULL;
	if (status == 0)
		table_free(&control_request_table, TAKE_PTR(s->seen));
	else
		log_debug("the leader could not be told of node %s: %s", s->node,
			  e ? err_text(e) : ""); /* again at the next check */
}

void session_seen_send(struct session *s)
{
	if (s->seen && !s->seen_call)
		s->seen_call = manager_control(s->dispatcher->manager, s->seen, seen_done, s);
}

void session_seen(struct session *s, const struct session_open *open)
{
	char addr[STREAM_ADDRESS_MAX];
	struct control_request r = {
		.op = CONTROL_NODE_SEEN,
		.id = s->node,
		.description = (struct node_description *)(uintptr_t)&open->description,
		.addr = addr,
		.data_addr = open->data_addr};
	char *port;

	(void)snprintf(addr, sizeof addr, "%s", stream_peer(s->stream)->address);
	port = strrchr(addr, ':');
	if (port)
		*port = '\0';
	if (addr[0] == '[') { /* "[ip6]:port" */
		memmove(addr, addr + 1, strlen(addr));
		addr[strcspn(addr, "]")] = '\0';
	}
	session_seen_drop(s);
	s->seen = table_dup(&control_request_table, &r);
	session_seen_send(s);
}

/* Statuses */

/* A batch of statuses on its way to the leader. */
struct report {
	struct dispatcher *dispatcher;
	char node[ID_CLUSTER_LEN + 1];
	uint64_t serial; /* of the session it came on: another may have taken its place */
	uint64_t sequence;
	struct manager_call *call;
	struct report *prev, *next;
};

static void report_unlink(struct report *r)
{
	if (r->prev)
		r->prev->next = r->next;
	else
		r->dispatcher->reports = r->next;
	if (r->next)
		r->next->prev = r->prev;
}

static void report_done(void *arg, int status, const struct control_answer *answer,
			const struct err *e)
{
	struct report *r = arg;
	struct session *s;

	(void)answer;
	HASH_FIND_STR(r->dispatcher->sessions, r->node, s);
	if (s && s->serial == r->serial) {
		struct session_taken taken = {.sequence = r->sequence};

		s->reports--;
		if (status == 0)
			session_send(s, SESSION_STATUS_TAKEN, &session_taken_table, &taken);
		else
			log_debug("statuses of node %s were not taken: %s", r->node,
				  e ? err_text(e) : ""); /* the agent sends them again */
		if (s->paused && s->reports < REPORTS_MAX / 2) {
			s->paused = false;
			stream_resume(s->stream);
		}
	}
	report_unlink(r);
	free(r);
}

void session_reported(struct session *s, const struct session_status *status)
{
	struct dispatcher *d = s->dispatcher;
	struct control_request request = {.op = CONTROL_TASK_STATUS, .id = s->node};
	struct manager_call *call;
	struct report *r = xcalloc(1, sizeof *r);

	*r = (struct report){.dispatcher = d,
			     .serial = s->serial,
			     .sequence = status->sequence,
			     .next = d->reports};
	(void)snprintf(r->node, sizeof r->node, "%s", s->node);
	if (r->next)
		r->next->prev = r;
	d->reports = r;
	if (++s->reports >= REPORTS_MAX && !s->paused) {
		s->paused = true;
		stream_pause(s->stream);
	}
	request.reports.v = status->reports.v; /* lent */
	request.reports.n = status->reports.n;
	call = manager_control(d->manager, &request, report_done, r);
	if (call) /* else it was answered already, and `r` is gone */
		r->call = call;
}

void reports_clear(struct dispatcher *d)
{
	while (d->reports) {
		struct report *r = d->reports;

		d->reports = r->next;
		manager_cancel(r->call);
		free(r);
	}
}
