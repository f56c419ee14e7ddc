/*
 * What an agent and a manager say to each other on a session (base/stream.h, STREAM_SESSION): frame
 * types and the structs that travel in them in binary form. The agent dials any manager; every
 * manager serves from its own replica. Used by manager/dispatcher and agent/session.
 *
 * Agent                               Manager
 *   OPEN (who I am, what I know)  ->
 *                                 <-    WELCOME (heartbeat, managers)
 *                                 <-    ASSIGN complete, then incremental
 *                                 <-    SECRET, one each, that these tasks use
 *                                 <-    PEERS of each network that its tasks are in
 *   BEAT                          ->    (answered by BEAT)
 *   STATUS n                      ->
 *                                 <-    STATUS_TAKEN n, once committed
 *                                 <-    MEASURE, of tasks whose service is scaled by it
 *   MEASURED                      ->    every so often
 *   CERT_REQUEST                  ->    (its certificate grows old, or its role is another now)
 *                                 <-    CERT
 *   LEAVE                         ->    (it leaves the swarm; none of its tasks is left)
 *                                 <-    LEAVE, once committed
 */
#pragma once

#include "model/data.h"
#include "model/network.h"
#include "model/node.h"
#include "model/task.h"

/* On the wire: never renumber. */
enum session_frame {
	SESSION_OPEN = 1,
	SESSION_WELCOME = 2,
	SESSION_BEAT = 3, /* no payload; both ways */
	SESSION_STATUS = 4,
	SESSION_STATUS_TAKEN = 5,
	SESSION_ASSIGN = 6,
	SESSION_PEERS = 7,
	SESSION_MANAGERS = 8, /* a session_welcome again: something in it has changed */
	SESSION_DESCRIBE = 9, /* a session_open again: the host has changed */
	SESSION_CERT_REQUEST = 20,
	SESSION_CERT = 21,
	SESSION_LEAVE = 26,    /* no payload; both ways */
	SESSION_DATA = 15,     /* to the agent, a data_request: dial a manager with a ticket */
	SESSION_SECRET = 10,   /* one secret or config of a task that is assigned */
	SESSION_MEASURE = 11,  /* a session_measure: what is to be measured from now on */
	SESSION_MEASURED = 12, /* from the agent, a session_measured */
};

/* A version of a network's table that the agent still holds from an earlier session. */
struct session_known {
	char *network;
	uint64_t version;
	struct table_rest *rest;
};
extern const struct table session_known_table;

struct session_open {
	struct node_description description;
	char *data_addr; /* address of its tunnels; empty: the one it comes from */
	LIST_OF(struct session_known) known;
	struct table_rest *rest;
};
extern const struct table session_open_table;

struct session_manager {
	char *node;
	char *addr; /* "IP:PORT" */
	struct table_rest *rest;
};
extern const struct table session_manager_table;

#define SESSION_NO_MEMBER UINT64_MAX /* ids of members have 63 bits */

struct session_welcome {
	uint32_t heartbeat_ms; /* the agent beats this often; silence for three of them is death */
	uint32_t data_port;    /* UDP port of VXLAN */
	LIST_OF(struct session_manager) managers;
	/*
	 * Of a node whose role is that of a manager: its member of the raft group, or
	 * SESSION_NO_MEMBER while it has none. 0: a manager of before does not say it.
	 */
	uint64_t raft_id;
	struct node_spec spec; /* labels, availability and role as the managers have them */
	struct table_rest *rest;
};
extern const struct table session_welcome_table;

struct session_report {
	char *task;
	struct task_status status;
	struct table_rest *rest;
};
extern const struct table session_report_table;

struct session_status {
	uint64_t sequence; /* counts up within a session */
	LIST_OF(struct session_report) reports;
	struct table_rest *rest;
};
extern const struct table session_status_table;

struct session_taken {
	uint64_t sequence;
	struct table_rest *rest;
};
extern const struct table session_taken_table;

/*
 * What the node is to run. A complete set replaces all that the agent has; an incremental one may
 * only be laid over the version that it names. Tasks come whole, with their state as the managers
 * have it; each template comes once, with the first task that needs it. A set too large for one
 * frame is sent in several with `more`, which take effect together.
 */
struct session_assign {
	bool complete;
	bool more;
	uint64_t applies_to;
	uint64_t results_in;
	LIST_OF(struct task) tasks;
	LIST_OF(struct template) templates;
	LIST_OF(struct network) networks;
	struct strs gone_tasks;
	struct strs gone_networks;
	struct table_rest *rest;
};
extern const struct table session_assign_table;

/* A certificate for a new key, with the role that the node has in the store. */
struct session_cert_request {
	char *csr;         /* PEM */
	char *listen_addr; /* as in struct join_request: where it would listen as a manager */
	uint64_t raft_id;  /* of a manager that still has its log; else 0 */
	struct table_rest *rest;
};
extern const struct table session_cert_request_table;

struct session_cert {
	int32_t status; /* 0 or negative errno */
	char *message;
	char *cert;       /* PEM */
	uint64_t raft_id; /* of a manager */
	char *addr;       /* what the managers took as this manager's own address */
	struct table_rest *rest;
};
extern const struct table session_cert_table;
/*
 * A secret or config that a task of the node uses. It comes after each assignment that may be new
 * to the agent; the agent keeps it in memory alone, as long as one of its tasks uses it.
 */
struct session_secret {
	char *id;
	bool templated; /* its text has {{…}} to be expanded for each task */
	struct bytes data;
	struct table_rest *rest;
};
extern const struct table session_secret_table;

/* An endpoint of a network: a task that has an address in it. */
struct session_peer {
	char *task;
	char *node;
	char *tunnel; /* address of the node's end of the tunnels */
	struct strs addresses;
	char *mac;     /* empty: derived from the first IPv4 address, as Docker does */
	char *service; /* its service's name: DNS answers it with the running tasks' addresses */
	char *name;    /* the task's: "web.1.ID" */
	struct strs aliases;
	bool running; /* names lead to it */
	struct table_rest *rest;
};
extern const struct table session_peer_table;

/* The table of one network, whole or what has changed since `from`. */
struct session_peers {
	char *network;
	bool complete;
	bool more; /* of a complete one: the rest follows */
	uint64_t from;
	uint64_t version;
	LIST_OF(struct session_peer) peers;
	struct strs gone;    /* tasks */
	struct bytes digest; /* of the whole table at `version`; empty but once a minute */
	struct table_rest *rest;
};
extern const struct table session_peers_table;

/* Tasks of one service of which the same is measured. */
struct session_measure_group {
	struct strs tasks;
	bool use;     /* of processors and memory */
	char *metric; /* as in the label; empty: none */
	uint32_t port;
	char *path;
	struct table_rest *rest;
};
extern const struct table session_measure_group_table;

/* In place of what was asked for before; an empty one ends it. */
struct session_measure {
	uint32_t period_ms;
	LIST_OF(struct session_measure_group) groups;
	struct table_rest *rest;
};
extern const struct table session_measure_table;

struct session_measured {
	LIST_OF(struct task_load) loads;
	struct table_rest *rest;
};
extern const struct table session_measured_table;
