/*
 * What users ask of the cluster, as pure functions: a request and a view of the store give changes
 * and an answer, or a refusal that a person understands. No clock, randomness or I/O of its own:
 * the proposer brings time and ids. The leader runs them when the request's turn in the queue
 * comes; a follower sends the request to the leader (it is a table, so it travels as it is). Called
 * by the manager; the API builds the requests.
 */
#pragma once

#include "base/id.h"
#include "manager/changes.h"
#include "manager/store.h"
#include "model/secret.h"
#include "model/session.h"

/* Numbers travel between managers: never used again once released. */
enum control_op {
	CONTROL_NONE = 0,
	CONTROL_SERVICE_CREATE = 1,
	CONTROL_SERVICE_UPDATE = 2,
	CONTROL_SERVICE_REMOVE = 3,
	CONTROL_NODE_UPDATE = 4,
	CONTROL_NODE_REMOVE = 5,
	CONTROL_NETWORK_CREATE = 6,
	CONTROL_NETWORK_REMOVE = 7,
	CONTROL_CLUSTER_UPDATE = 8,
	CONTROL_NODE_JOIN = 9,    /* a new node's object, made by the join service */
	CONTROL_TASK_STATUS = 10, /* reports of one node's agent */
	CONTROL_NODE_SEEN = 11,   /* an agent's session has opened, or its host has changed */
	CONTROL_NODES_LOST = 12,  /* the leader has not heard of these for too long */
	CONTROL_NODES_ALIVE =
		13, /* from a follower: these agents beat there. Changes nothing stored */
	CONTROL_TASKS_ORPHANED = 14, /* tasks of nodes that have been down for a day */
	CONTROL_BARRIER = 15, /* changes nothing: the answer's version is what a reader waits for */
	CONTROL_NODE_LEAVE = 16,    /* a manager is about to leave: it gives up its role */
	CONTROL_NODES_DOUBTED = 17, /* the leader may have lost these: nothing new goes there */
	CONTROL_SECRET_CREATE = 18, /* these three: of secrets and configs, by `kind` */
	CONTROL_SECRET_UPDATE = 19,
	CONTROL_SECRET_REMOVE = 20,
	CONTROL_SERVICE_REBALANCE = 21,
	CONTROL_PLAN_CHECK = 22, /* changes nothing: whether what was planned still holds */
	CONTROL_TASKS_MEASURED =
		24, /* `loads`, or with `id` how a service's scaling stands. Changes nothing */
	CONTROL_NODE_LEFT = 30,    /* an agent has gone on purpose; none of its tasks runs */
	CONTROL_NODE_CERTIFY = 34, /* a node is about to get a certificate for a new key */
	CONTROL_OP_MAX
};

struct control_request {
	uint32_t op;
	char *id;         /* of the object: full id, unique prefix of one, or name */
	uint64_t version; /* Version.Index that the client saw, for updates */
	struct service_spec *service;
	struct node_spec *node;
	struct network_spec *network;
	struct cluster_spec *cluster;
	bool force;               /* remove a node that is not down */
	bool rotate_worker_token; /* CLUSTER_UPDATE */
	bool rotate_manager_token;
	char *worker_token; /* the new ones, made by whoever asks */
	char *manager_token;
	struct node *new_node;                  /* NODE_JOIN */
	LIST_OF(struct session_report) reports; /* TASK_STATUS; `id` is the node */
	struct node_description *description;   /* NODE_SEEN */
	char *addr;                             /* NODE_SEEN: where its session comes from */
	char *data_addr;                        /* NODE_SEEN: of its tunnels */
	char *csr;                              /* NODE_CERTIFY; PEM */
	uint64_t raft_id;                       /* NODE_CERTIFY: for one without a log */
	uint64_t held_raft_id;                  /* NODE_CERTIFY: whose log the node has; or 0 */
	struct strs ids; /* NODES_LOST, NODES_DOUBTED, NODES_ALIVE: nodes; TASKS_ORPHANED: nodes */
	bool rollback;   /* SERVICE_UPDATE: to the previous specification; `service` is not read */
	struct secret_spec *secret; /* SECRET_* */
	uint32_t kind;              /* SECRET_*: KIND_SECRET or KIND_CONFIG */
	uint64_t check;             /* SERVICE_CREATE, SERVICE_UPDATE, PLAN_CHECK: a plan's index */
	bool stop;                  /* SERVICE_REBALANCE: the one that goes on */
	LIST_OF(struct task_load) loads; /* TASKS_MEASURED */
	struct table_rest *rest;
};
extern const struct table control_request_table;

/* What the answer to a success carries. */
struct control_answer {
	char *id;         /* of the object */
	uint64_t version; /* the store's once it is applied: readers elsewhere wait for it */
	struct strs warnings;
	struct autoscale_view *autoscale; /* of TASKS_MEASURED */
	struct table_rest *rest;
};
extern const struct table control_answer_table;

/* What a builder is given. */
struct control {
	const struct store *view; /* a fork, with what the entry holds already */
	int64_t now_ns;
	void (*new_id)(void *arg, char ret[ID_CLUSTER_LEN + 1]);
	void *new_id_arg;
	const char *self; /* this node's id: the leader's */
	struct changes *out;
	struct control_answer *answer;
};

/*
 * Adds the changes of one request. 0, or: -EINVAL for a bad spec, -ENOENT, -EEXIST for a taken
 * name, -ESTALE "update out of sequence", -EBUSY for what is in use, -ENOSYS for what is not there
 * (by its name). Nothing is added then.
 */
int control_build(struct control *c, const struct control_request *r, struct err *e);

/*
 * Finds an object by full id, by the name it has, or by a prefix of its id that only it has:
 * -ENOENT "service x not found", -EINVAL when the prefix is not unique.
 */
int control_find(const struct store *view, enum object_kind kind, const char *ref,
		 const struct object **ret, struct err *e);

/* The builders of the families, called by control_build() alone. */
int control_service_create(struct control *c, const struct control_request *r, struct err *e);
int control_service_update(struct control *c, const struct control_request *r, struct err *e);
int control_service_remove(struct control *c, const struct control_request *r, struct err *e);
int control_plan_check(struct control *c, const struct control_request *r, struct err *e);
int control_service_rebalance(struct control *c, const struct control_request *r, struct err *e);
int control_node_update(struct control *c, const struct control_request *r, struct err *e);
int control_node_remove(struct control *c, const struct control_request *r, struct err *e);
int control_node_leave(struct control *c, const struct control_request *r, struct err *e);
int control_node_certify(struct control *c, const struct control_request *r, struct err *e);
int control_node_join(struct control *c, const struct control_request *r, struct err *e);
int control_network_create(struct control *c, const struct control_request *r, struct err *e);
int control_network_remove(struct control *c, const struct control_request *r, struct err *e);
int control_task_status(struct control *c, const struct control_request *r, struct err *e);
int control_node_seen(struct control *c, const struct control_request *r, struct err *e);
int control_nodes_lost(struct control *c, const struct control_request *r, struct err *e);
int control_nodes_doubted(struct control *c, const struct control_request *r, struct err *e);
int control_tasks_orphaned(struct control *c, const struct control_request *r, struct err *e);
int control_node_left(struct control *c, const struct control_request *r, struct err *e);
int control_secret_create(struct control *c, const struct control_request *r, struct err *e);
int control_secret_update(struct control *c, const struct control_request *r, struct err *e);
int control_secret_remove(struct control *c, const struct control_request *r, struct err *e);
int control_cluster_update(struct control *c, const struct control_request *r, struct err *e);

/*
 * Checks a service's spec as far as that needs no store: names, sizes, limits, and what is not
 * there yet (-ENOSYS by its name).
 */
int service_spec_check(const struct service_spec *spec, struct err *e);
/* The files that its secrets and configs become: targets, owners, bounds. Part of the above. */
int service_files_check(const struct container_spec *s, struct err *e);
/*
 * Looks for what its secrets and configs name in the store: -EINVAL naming those that are not
 * there, or when they are too large together.
 */
int secrets_check(const struct store *view, const struct container_spec *s, struct err *e);
