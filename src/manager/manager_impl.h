/*
 * What the files of the manager share. Included by manager/manager*.c alone.
 */
#pragma once

#include "manager/manager.h"

struct first_write;
struct manager_leaving;
struct data_broker;
struct service_logs;
struct task_execs;
struct history;
struct manager_call;

struct manager {
	struct manager_config config;
	char node[ID_CLUSTER_LEN + 1];
	struct replica *replica;
	struct raft_link *link;
	struct forward *forward;
	struct membership *membership;
	struct dispatcher *dispatcher;
	struct data_broker *data;
	struct service_logs *logs; /* whom they are read for (service_logs.c) */
	struct task_execs *execs;  /* what is executed in tasks (task_exec.c) */
	struct history *history;
	struct join_service *joins;
	struct store_watch watch;
	struct first_write *first; /* of a new cluster, until this manager leads */
	struct manager_call *calls;
	struct manager_call *calls_next; /* of a walk that answers them */
	unsigned calls_waiting;          /* for a connection to the leader */
	struct world_timer removing;     /* this node has left: told outside of raft's calls */
	struct world_timer stopping;     /* hands leadership over before it closes */
	struct world_timer yielding;     /* another has to lead, to remove this node */
	struct manager_leaving *leaving;
	struct {
		char node[ID_CLUSTER_LEN + 1];
		uint64_t at_ms;
	} refusals[LIMIT_MANAGERS]; /* managers that say that this node is none */
	bool gone; /* this node is no manager any more, as the store or another manager says */
	bool closing;
	unsigned closing_parts;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Whether this peer may have a stream of its purpose, as the store is now. */
int manager_peer_check(const struct manager *m, const struct stream_peer *peer, struct err *e);
/* A request of another manager (manager_call.c). */
void manager_serve(struct manager *m, struct forward_in *in, const struct control_request *r);
/* Calls that wait for this version to be applied here can be answered. */
void manager_calls_applied(struct manager *m, uint64_t version);
/* Calls that wait for a connection to the leader may go: there is one, or this manager leads. */
void manager_calls_retry(struct manager *m);
/* Answers every call that is still open: the manager stops. */
void manager_calls_fail(struct manager *m);
/* Whether another voter could lead. */
bool manager_has_heir(struct manager *m);
/*
 * This node gives up its role by a request that only another leader can carry out: leadership goes
 * there first. `done` always comes, 0 also when it is the last manager. One such request at a time:
 * an earlier one is answered with -ECANCELED (manager_leave.c).
 */
void manager_give_up(struct manager *m, const struct control_request *r, control_done done,
		     void *arg);
/* Ends what is being read: the manager stops (service_logs.c). */
void manager_logs_fail(struct manager *m);
/* The manager closes while it leaves (manager_leave.c). */
void manager_leaving_end(struct manager *m);
