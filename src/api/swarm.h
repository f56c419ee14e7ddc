/*
 * The swarm's part of the Engine API: services, tasks, nodes, the swarm itself. Thin: a handler
 * reads the request, asks the manager, and writes JSON by the tables. What the node as a whole must
 * do (init, join, leave) it asks of main by the callbacks here.
 */
#pragma once

#include "api/router.h"
#include "manager/manager.h"

/* Bodies of POST /swarm/init, /swarm/join and /swarm/leave. */
struct swarm_init {
	char *listen_addr;
	char *advertise_addr;
	char *data_path_addr;
	int64_t data_path_port;
	struct strs default_addr_pool;
	int64_t subnet_size;
	bool force_new_cluster;
	bool auto_lock;
	char *availability;
	struct cluster_spec spec;
};
extern const struct table swarm_init_table;

struct swarm_join {
	char *listen_addr;
	char *advertise_addr;
	char *data_path_addr;
	struct strs remote_addrs;
	char *token;
	char *availability;
};
extern const struct table swarm_join_table;

/* `node` is this node's id, for init; NULL otherwise. Comes once, later or at once. */
typedef void (*swarm_done)(void *arg, int status, const char *node, const struct err *e);

/* A manager that this node may talk to. */
struct swarm_peer {
	char *node;
	char *addr; /* "IP:PORT" */
};
extern const struct table swarm_peer_table;

/* How this node stands to its swarm, for GET /info; all of it is lent during the call. */
struct swarm_status {
	const char *node;        /* its id; NULL: none */
	const char *addr;        /* its own address; NULL: none */
	const char *local_state; /* inactive, pending, active, error, locked */
	const char *error;       /* NULL: none */
	const struct swarm_peer *managers;
	size_t n_managers;
};

struct engine;

struct api_swarm {
	void *arg;
	struct engine *engine; /* of this host; set by api_networks_add(), api_system_add() */
	/* Fills the zeroed `ret`; what it lends stays until the loop's next turn. */
	void (*status)(void *arg, struct swarm_status *ret);
	/* This node's manager; NULL while it is none. */
	struct manager *(*manager)(void *arg);
	/* Whether this node is in a swarm at all. */
	bool (*active)(void *arg);
	/* Each takes what it needs of the request during the call. */
	void (*init)(void *arg, const struct swarm_init *r, swarm_done done, void *done_arg);
	void (*join)(void *arg, const struct swarm_join *r, swarm_done done, void *done_arg);
	void (*leave)(void *arg, bool force, swarm_done done, void *done_arg);
};

/* Adds the routes; `swarm` must outlive the router. */
void api_swarm_add(struct api_router *r, struct api_swarm *swarm);
void api_services_add(struct api_router *r, struct api_swarm *swarm);
void api_tasks_add(struct api_router *r, struct api_swarm *swarm);
void api_secrets_add(struct api_router *r, struct api_swarm *swarm);
void api_nodes_add(struct api_router *r, struct api_swarm *swarm);
void api_watch_add(struct api_router *r, struct api_swarm *swarm);

void api_plans_add(struct api_router *r, struct api_swarm *swarm);

/* A request to create or update a service, as it came: 0, or the reason in r->err. */
int api_service_create_read(struct api_req *r, struct service_spec *spec,
			    struct control_request *ret);
int api_service_update_read(struct api_req *r, struct service_spec *spec,
			    struct control_request *ret);
/* What docker takes where a specification is silent. */
void api_service_defaults(struct service_spec *ret);

/* Their logs (service_logs.c). */
void service_logs_handler(struct api_req *r);
void task_logs_handler(struct api_req *r);

/*
 * The manager, ready to be read from. NULL when the request has been answered: this node is no
 * manager, or has no contact with a leader (503 with the reason).
 */
struct manager *api_manager(struct api_req *r);
/*
 * The same, then `ready` once reads are as fresh as the query asks (?consistent=1 takes a barrier).
 * At once without it.
 */
void api_manager_read(struct api_req *r, void (*ready)(struct api_req *r, struct manager *m));
/* The same, always with a barrier. */
void api_manager_barrier(struct api_req *r, void (*ready)(struct api_req *r, struct manager *m));
/* Adds the header that says of which version of the store a list is, for GET /watch. */
void api_version_header(struct api_req *r, struct manager *m);
/*
 * Carries a request out and answers: with `status` and the JSON that `write` makes (NULL: none), or
 * with the failure. The request is only read during the call.
 */
void api_control(struct api_req *r, const struct control_request *request, int status,
		 void (*write)(const struct control_answer *answer, struct buf *ret));
/* The spec with Swarm's defaults where the stored one is silent; table_done() frees it. */
void api_cluster_spec(const struct cluster *c, struct cluster_spec *ret);
/* What nodes compare their own certificate's issuer with; `ret` is to be freed, and empty while the
 * swarm has no root. */
void api_tls_info(const struct cluster *c, struct tls_info *ret);
/* The pools that networks come from: the cluster's own, or Swarm's default; lent. */
struct strs api_cluster_pools(const struct cluster *c);
/* ?version= of updates. 0 or -EINVAL with the reason. */
int api_version_arg(struct api_req *r, uint64_t *ret, struct err *e);

/*
 * Answers with a JSON list of a kind's objects, rendered piece by piece from what is pinned:
 * `write` appends one object (without a comma) and returns true, or returns false when it is
 * filtered out. `done` frees `state` at the end.
 */
struct api_list {
	enum object_kind kind;
	bool (*write)(void *state, const struct store *s, const struct object *o, struct buf *ret);
	void (*done)(void *state);
	void *state;
};
void api_list_reply(struct api_req *r, struct manager *m, const struct api_list *list);

/* Appends an object's JSON as inspect and the lists have it, but for what is not stored. */
void api_service_write(const struct service *s, struct buf *ret);
/* `tpl` is its template, NULL when that is gone; its networks are looked up in the store. */
void api_task_write(const struct store *store, const struct task *t, const struct template *tpl,
		    struct buf *ret);
void api_network_write(const struct network *n, struct buf *ret);
/* Of a secret, or of a config, whose bytes are written as far as it has some. */
void api_secret_write(const struct object *o, struct buf *ret);
