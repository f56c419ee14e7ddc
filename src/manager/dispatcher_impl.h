/*
 * What the files of the dispatcher share. Included by manager/dispatcher*.c alone.
 */
#pragma once

#include <uthash.h>

#include "manager/dispatcher.h"
#include "manager/liveness.h"
#include "manager/netmap.h"

/* A string in a set. */
struct name {
	UT_hash_handle hh;
	char text[];
};
void names_add(struct name **set, const char *text);
bool names_has(struct name *set, const char *text);
void names_clear(struct name **set);

/* A network of which the agent has the table up to `version`. */
struct session_net {
	char id[ID_CLUSTER_LEN + 1];
	uint64_t version;
	UT_hash_handle hh;
};

struct session {
	struct dispatcher *dispatcher;
	struct stream *stream;
	char node[ID_CLUSTER_LEN + 1];
	uint64_t serial;   /* never that of another session */
	bool opened;       /* the agent has said who it is */
	bool complete_due; /* its next assignments are a complete set */
	uint64_t version;  /* of the store, up to which it has its assignments */
	uint64_t last_beat_ms;
	uint64_t last_tables_ms; /* when network tables were sent; 0: never */
	struct name *dirty;      /* tasks that have changed */
	bool measure_due;        /* what is to be measured there may have changed */
	bool measures;           /* it was asked for something */
	struct name *secrets;    /* and configs, to be sent once the stream takes them */
	struct session_net *nets;
	struct control_request *seen; /* what it says of itself, until the leader has it */
	struct manager_call *seen_call;
	char *cert_csr; /* the request for a certificate that is worked on */
	struct manager_call *cert_call;
	bool left; /* it has said that it leaves: nothing else of it counts */
	struct manager_call *leave_call;
	unsigned reports; /* batches of statuses on their way to the leader */
	bool paused;
	bool queued; /* in the dispatcher's queue of sessions to flush */
	struct session *queue_next;
	UT_hash_handle hh;
};

struct dispatcher {
	struct manager *manager;
	struct store_watch watch;
	struct netmap *netmap;
	uint64_t netmap_seen; /* its changes that sessions were queued for */
	struct liveness *liveness;
	struct session *sessions; /* by node: one each */
	struct session *queue, **queue_end;
	struct world_timer flush, check;
	uint64_t flush_at_ms;       /* when `flush` fires; 0: it does not run */
	uint64_t untouched_from_ms; /* since when there is no leader; 0: there is one */
	uint64_t last_digest_ms;
	uint64_t last_serial;
	struct loads *loads; /* what agents have measured, for the leader (dispatcher_measure.c) */
	struct report *reports; /* on their way; see dispatcher_report.c */
};

/* Sends one message; a peer that does not take it is closed. */
void session_send(struct session *s, enum session_frame type, const struct table *t,
		  const void *message);
/* The agent asks for a new certificate (dispatcher_cert.c). */
void session_cert_requested(struct session *s, const struct session_cert_request *r);
void session_cert_clear(struct session *s);
/* The agent leaves the swarm; it is told once that is stored (dispatcher_leave.c). */
void session_leaves(struct session *s);
void session_leave_clear(struct session *s);
/*
 * What it says of itself goes to the leader: at once, again where that failed, and no more
 * (dispatcher_report.c).
 */
void session_seen(struct session *s, const struct session_open *open);
void session_seen_send(struct session *s);
void session_seen_drop(struct session *s);
/* So do the statuses of its tasks; the agent hears when they are taken. */
void session_reported(struct session *s, const struct session_status *status);
void reports_clear(struct dispatcher *d);
/* The session's agent should hear of something: soon, within the pace. */
void session_queue(struct session *s);
/* When its turn is: assignments at once, tables at their pace. */
uint64_t session_due_ms(const struct session *s);
/* Sends what is due: assignments, then tables (dispatcher_assign.c). */
void session_flush(struct session *s);
/* Notes what a change of the store means for sessions. */
void session_task_changed(struct dispatcher *d, const struct task *old, const struct task *new);
/* What is to be measured of a session's tasks, and what was (dispatcher_measure.c). */
void measure_service_changed(struct dispatcher *d, const struct service *old,
			     const struct service *new);
void session_measure_send(struct session *s);
void session_measured(struct session *s, const struct session_measured *m);
/* Hands on what has come since the last time. */
void loads_send(struct dispatcher *d);
void loads_clear(struct dispatcher *d);
/* Sends the digests of its tables. */
void session_digests(struct session *s);
void session_nets_clear(struct session *s);
