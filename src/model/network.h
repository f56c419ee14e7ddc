/*
 * A network of the cluster (or, with a local scope, of one host): what users ask for, and what the
 * allocator gave it.
 */
#pragma once

#include "model/object.h"
#include "model/service.h"

struct ipam_pool {
	char *subnet; /* CIDR; empty in a spec: chosen */
	char *range;
	char *gateway;
	struct strmap aux;
	struct table_rest *rest;
};
extern const struct table ipam_pool_table;

struct ipam {
	char *driver;
	struct strmap options;
	LIST_OF(struct ipam_pool) config;
	struct table_rest *rest;
};
extern const struct table ipam_table;

/* The body of POST /networks/create. */
struct network_spec {
	char *name;
	struct strmap labels;
	char *driver; /* overlay in the cluster; bridge, host, none on a host */
	char *scope;  /* swarm, local */
	bool internal;
	bool attachable;
	bool ingress;
	bool config_only;
	bool *enable_ipv4;
	bool enable_ipv6;
	struct strmap options;
	struct ipam ipam;
	struct table_rest *rest;
};
extern const struct table network_spec_table;

struct network {
	struct object o;
	struct network_spec spec;
	uint32_t vni;     /* VXLAN network identifier; 0 until allocated */
	struct ipam ipam; /* as allocated: subnets and gateways filled in */
	bool pending_delete;
	struct table_rest *rest;
};
extern const struct table network_table;

/*
 * Whether this is a network that each node has of its own, "host" or "bridge": services name it as
 * it is, since it is no object of the cluster.
 */
bool network_is_nodes_own(const char *name);
