/*
 * The one object that stands for the cluster as a whole: its settings, its authority, its tokens.
 */
#pragma once

#include "model/object.h"

struct raft_settings {
	uint64_t snapshot_interval;
	uint64_t *keep_old_snapshots;
	uint64_t log_entries_for_slow_followers;
	int64_t election_tick;
	int64_t heartbeat_tick;
	struct table_rest *rest;
};
extern const struct table raft_settings_table;

struct ca_settings {
	int64_t node_cert_expiry; /* ns; 0: 90 days */
	char *external;           /* raw JSON: kept only to be refused by name */
	char *signing_cert;
	char *signing_key;
	uint64_t force_rotate;
	struct table_rest *rest;
};
extern const struct table ca_settings_table;

struct orchestration_settings {
	int64_t *task_history; /* finished tasks kept a slot; absent: 5, negative: all */
	struct table_rest *rest;
};
extern const struct table orchestration_settings_table;

struct dispatcher_settings {
	int64_t heartbeat_period; /* ns; 0: 5 s */
	struct table_rest *rest;
};
extern const struct table dispatcher_settings_table;

struct encryption_settings {
	bool auto_lock;
	struct table_rest *rest;
};
extern const struct table encryption_settings_table;

struct cluster_spec {
	char *name;
	struct strmap labels;
	struct orchestration_settings orchestration;
	struct raft_settings raft;
	struct dispatcher_settings dispatcher;
	struct ca_settings ca;
	char *task_defaults; /* raw JSON */
	struct encryption_settings encryption;
	struct table_rest *rest;
};
extern const struct table cluster_spec_table;

struct join_tokens {
	char *worker;
	char *manager;
	struct table_rest *rest;
};
extern const struct table join_tokens_table;

/* A certificate that must never be accepted again: its node was removed. */
struct blocked_node {
	int64_t expiry; /* of the certificate; a day after it the reaper drops the entry */
	struct table_rest *rest;
};
extern const struct table blocked_node_table;

struct cluster {
	struct object o;
	struct cluster_spec spec;
	char *root_cert;       /* PEM */
	struct bytes root_key; /* PEM; never in an answer */
	struct join_tokens tokens;
	MAP_OF(struct blocked_node) blocked; /* by node id */
	struct strs default_pools;           /* CIDR; empty: 10.0.0.0/8 */
	uint32_t subnet_size;                /* bits; 0: 24 */
	uint32_t data_port;                  /* UDP port of VXLAN; 0: 4789 */
	uint32_t feature_level;              /* raised when every manager has it */
	int64_t cert_longest; /* ns: certificates live no longer that were made before; 0: unknown
			       */
	struct table_rest *rest;
};
extern const struct table cluster_table;

/* Swarm's defaults where the spec is silent. */
#define TASK_HISTORY_DEFAULT 5
#define HEARTBEAT_DEFAULT_NS (5 * 1000000000LL)
#define CERT_EXPIRY_DEFAULT_NS (90LL * 24 * 3600 * 1000000000LL)
#define RAFT_INTERVAL_DEFAULT 10000u
#define RAFT_TRAILING_DEFAULT 500u
#define RAFT_ELECTION_DEFAULT 10
#define RAFT_HEARTBEAT_DEFAULT 1
/* What holds of every specification, at `swarm init` and later. 0, -EINVAL or -ENOSYS. */
int cluster_spec_check(const struct cluster_spec *s, struct err *e);
int64_t cluster_task_history(const struct cluster *c);
/* How many a slot keeps by it; a negative setting keeps all that LIMIT_TASK_HISTORY allows. */
uint64_t cluster_history_kept(const struct cluster *c);
/* The longest that any certificate of a node lives that there is now, in ns; at most 73 years. */
int64_t cluster_cert_life(const struct cluster *c);
int64_t cluster_heartbeat_ns(const struct cluster *c);
/*
 * Entries between two snapshots of the raft log, and entries kept behind one; 0 leaves both to
 * their size in bytes. So do Swarm's defaults, which clients send back with every other change.
 */
uint64_t cluster_snapshot_interval(const struct cluster *c);
uint64_t cluster_snapshot_trailing(const struct cluster *c);
