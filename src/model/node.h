/*
 * A node of the cluster: what its operator wants of it, what it says of itself, and what the
 * managers know of it.
 */
#pragma once

#include "model/object.h"
#include "model/service.h"
#include "model/task.h"

enum node_role { ROLE_WORKER, ROLE_MANAGER };
enum node_availability { AVAILABILITY_ACTIVE, AVAILABILITY_PAUSE, AVAILABILITY_DRAIN };
enum node_state { NODE_UNKNOWN, NODE_DOWN, NODE_READY, NODE_DISCONNECTED };
enum node_reachability { REACHABILITY_UNKNOWN, REACHABILITY_UNREACHABLE, REACHABILITY_REACHABLE };

struct node_spec {
	char *name;
	struct strmap labels;
	enum node_role role;
	enum node_availability availability;
	struct table_rest *rest;
};
extern const struct table node_spec_table;

struct engine_plugin {
	char *type;
	char *name;
	struct table_rest *rest;
};
extern const struct table engine_plugin_table;

struct engine_description {
	char *version;
	struct strmap labels;
	LIST_OF(struct engine_plugin) plugins;
	struct table_rest *rest;
};
extern const struct table engine_description_table;

struct tls_info {
	char *trust_root; /* PEM */
	struct bytes issuer_subject;
	struct bytes issuer_public_key;
	struct table_rest *rest;
};
extern const struct table tls_info_table;

/* What an agent says of its host when its session opens, and again when it changes. */
struct node_description {
	char *hostname;
	struct platform platform;
	struct resources resources;
	struct engine_description engine;
	struct tls_info tls;
	uint32_t session_version; /* of the agent's side of the protocol */
	bool privileged_tasks;    /* its operator permits them */
	struct strs task_devices; /* and these devices, by their paths */
	struct table_rest *rest;
};
extern const struct table node_description_table;

struct node_status {
	enum node_state state;
	char *message;
	char *addr; /* the address its session comes from */
	struct table_rest *rest;
};
extern const struct table node_status_table;

/* Present on managers alone. */
struct manager_status {
	uint64_t raft_id;
	char *addr;                          /* where its cluster port listens: "IP:PORT" */
	bool leader;                         /* filled in when read */
	enum node_reachability reachability; /* filled in when read */
	struct table_rest *rest;
};
extern const struct table manager_status_table;

struct node {
	struct object o;
	struct node_spec spec;
	struct node_description description;
	struct node_status status;
	struct manager_status *manager;
	char *data_addr;  /* the address of its tunnels (VXLAN) */
	struct bytes csr; /* of the certificate that it holds */
	struct table_rest *rest;
};
extern const struct table node_table;

/* Whether tasks may stay on the node; NULL stands for one that was removed. */
static inline bool node_keeps_tasks(const struct node *n)
{
	return n && n->status.state != NODE_DOWN && n->spec.availability != AVAILABILITY_DRAIN;
}
