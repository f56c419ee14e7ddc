/*
 * A manager of the cluster: its replica, its links to the other managers, and the services that it
 * gives to users, agents and joining nodes. It works the same whether it leads or follows: what
 * changes something goes to the leader, what is read comes from here. Called by api and main, on
 * the loop thread; knows neither HTTP nor how tasks are run.
 */
#pragma once

#include "base/stream.h"
#include "manager/forward.h"
#include "manager/history.h"
#include "manager/plan.h"
#include "manager/replica.h"
#include "manager/service_spec.h"
#include "manager/service_logs.h"
#include "manager/task_exec.h"

struct manager;

struct manager_config {
	const struct world *world;
	struct stream_hub *hub; /* its identity is this node's */
	struct raft_io *io;     /* the raft log, opened; lives longer than the manager */
	const char *node;       /* this node's id */
	uint64_t raft_id;
	struct raft_node_options raft;
	void *arg;
	/*
	 * Where another manager listened as far as this node remembers, or -ENOENT: asked for those
	 * that the store does not know. After a restart the managers must find each other before
	 * any of them can apply the log that says where they are. May be NULL.
	 */
	int (*address)(void *arg, const char *node, char ret[STREAM_ADDRESS_MAX]);
	/* May be NULL. Who leads, or how this manager stands, has changed. */
	void (*changed)(void *arg);
	/* This node was removed from the swarm, or is no manager any more. */
	void (*removed)(void *arg);
};

/* Loads what is stored and takes part. The reason when it cannot. */
int manager_open(struct manager **ret, const struct manager_config *config, struct err *e);
/*
 * Makes a new cluster: `cluster` and `self` are its first two objects (taken over); `done` comes
 * when they are stored. The raft log must be empty. In place of manager_open().
 */
int manager_bootstrap(struct manager **ret, const struct manager_config *config,
		      struct cluster *cluster, struct node *self, control_done done, void *arg,
		      struct err *e);
/*
 * This node is about to leave the swarm: hands leadership over and has the others take its vote, so
 * that they do not count on it any more. `done` always comes: 0, also when it is the last manager,
 * or -ETIMEDOUT with the reason when the others could not agree in time.
 */
void manager_leave(struct manager *m, control_done done, void *arg);
/* Hands leadership over if it leads, answers what is open, closes, then calls `done`. */
void manager_close(struct manager *m, void (*done)(void *arg), void *arg);

/* A stream of any purpose: authorises its peer by the store and takes it. */
int manager_accept(struct manager *m, struct stream *s, const struct stream_peer *peer,
		   struct err *e);

/* Users' requests */

/*
 * Carries a request out, here or at the leader. `done` comes once its effect can be read here: 0
 * and the answer; a refusal; -EINPROGRESS: the outcome is unknown; -EHOSTUNREACH: there is no
 * leader. It may come before this returns. The request is only read during the call. Returns a
 * handle for manager_cancel(), valid until `done`; NULL when `done` has come already.
 */
struct manager_call;
struct manager_call *manager_control(struct manager *m, const struct control_request *r,
				     control_done done, void *arg);
/* The asker has gone: `done` does not come any more; a write that still waits is dropped. */
void manager_cancel(struct manager_call *call);

/*
 * Whether reads of the swarm may be answered now: 0, or -EHOSTUNREACH with the reason when this
 * manager has had no contact with a leader for an election timeout.
 */
int manager_readable(struct manager *m, struct err *e);
/* For ?consistent=1: `done` comes when all that was acknowledged before has been applied here. */
struct manager_call *manager_read_barrier(struct manager *m, control_done done, void *arg);

struct store *manager_store(struct manager *m);
/* The leader's node id, NULL while none is known. Until the loop's next turn. */
const char *manager_leader(struct manager *m);
bool manager_is_leading(const struct manager *m);
/* Whether a manager node can be reached from here, as `node ls` shows it. */
enum node_reachability manager_reachability(struct manager *m, const char *node);
const struct world *manager_world(struct manager *m);
/* The leader's time, by which it writes; for the leader alone. */
int64_t manager_now_ns(struct manager *m);
struct raft_node *manager_raft(struct manager *m);
struct data_broker *manager_data(struct manager *m);
/* The last changes of its store. */
struct history *manager_history(struct manager *m);
