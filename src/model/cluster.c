/*
 * The tables of model/cluster.h, and its defaults.
 */
#include "model/cluster.h"

#include "base/clock.h"
#include "base/limits.h"

#define T struct raft_settings
static const struct field raft_settings_fields[] = {
	FIELD_U64(T, 1, snapshot_interval, "SnapshotInterval", FIELD_OMIT),
	FIELD_OPT_U64(T, 2, keep_old_snapshots, "KeepOldSnapshots", FIELD_OMIT),
	FIELD_U64(T, 3, log_entries_for_slow_followers, "LogEntriesForSlowFollowers", FIELD_OMIT),
	FIELD_I64(T, 4, election_tick, "ElectionTick", 0),
	FIELD_I64(T, 5, heartbeat_tick, "HeartbeatTick", 0),
};
#undef T
TABLE_DEFINE(raft_settings, raft_settings_fields, TABLE_REST(raft_settings));

#define T struct ca_settings
static const struct field ca_settings_fields[] = {
	FIELD_I64(T, 1, node_cert_expiry, "NodeCertExpiry", FIELD_OMIT),
	FIELD_RAW(T, 2, external, "ExternalCAs", FIELD_OMIT),
	FIELD_STR(T, 3, signing_cert, "SigningCACert", FIELD_OMIT),
	FIELD_STR(T, 4, signing_key, NULL, FIELD_SECRET),
	FIELD_U64(T, 5, force_rotate, "ForceRotate", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(ca_settings, ca_settings_fields, TABLE_REST(ca_settings));

#define T struct orchestration_settings
static const struct field orchestration_settings_fields[] = {
	FIELD_OPT_I64(T, 1, task_history, "TaskHistoryRetentionLimit", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(orchestration_settings, orchestration_settings_fields,
	     TABLE_REST(orchestration_settings));

#define T struct dispatcher_settings
static const struct field dispatcher_settings_fields[] = {
	FIELD_I64(T, 1, heartbeat_period, "HeartbeatPeriod", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(dispatcher_settings, dispatcher_settings_fields, TABLE_REST(dispatcher_settings));

#define T struct encryption_settings
static const struct field encryption_settings_fields[] = {
	FIELD_BOOL(T, 1, auto_lock, "AutoLockManagers", 0),
};
#undef T
TABLE_DEFINE(encryption_settings, encryption_settings_fields, TABLE_REST(encryption_settings));

#define T struct cluster_spec
static const struct field cluster_spec_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_STRMAP(T, 2, labels, "Labels", 0),
	FIELD_OBJ(T, 3, orchestration, "Orchestration", 0, orchestration_settings),
	FIELD_OBJ(T, 4, raft, "Raft", 0, raft_settings),
	FIELD_OBJ(T, 5, dispatcher, "Dispatcher", 0, dispatcher_settings),
	FIELD_OBJ(T, 6, ca, "CAConfig", 0, ca_settings),
	FIELD_RAW(T, 7, task_defaults, "TaskDefaults", FIELD_OMIT),
	FIELD_OBJ(T, 8, encryption, "EncryptionConfig", 0, encryption_settings),
};
#undef T
TABLE_DEFINE(cluster_spec, cluster_spec_fields, TABLE_REST(cluster_spec));

#define T struct join_tokens
static const struct field join_tokens_fields[] = {
	FIELD_STR(T, 1, worker, "Worker", 0),
	FIELD_STR(T, 2, manager, "Manager", 0),
};
#undef T
TABLE_DEFINE(join_tokens, join_tokens_fields, TABLE_REST(join_tokens));

#define T struct blocked_node
static const struct field blocked_node_fields[] = {
	FIELD_TIME(T, 1, expiry, NULL, 0),
};
#undef T
TABLE_DEFINE(blocked_node, blocked_node_fields, TABLE_REST(blocked_node));

#define T struct cluster
static const struct field cluster_fields[] = {
	OBJECT_FIELDS(T),
	FIELD_OBJ(T, 10, spec, "Spec", 0, cluster_spec),
	FIELD_STR(T, 11, root_cert, NULL, 0),
	FIELD_BYTES(T, 12, root_key, NULL, FIELD_SECRET),
	FIELD_OBJ(T, 13, tokens, NULL, 0, join_tokens),
	FIELD_MAP(T, 14, blocked, NULL, 0, blocked_node),
	FIELD_STRS(T, 15, default_pools, "DefaultAddrPool", 0),
	FIELD_U32(T, 16, subnet_size, "SubnetSize", 0),
	FIELD_U32(T, 17, data_port, "DataPathPort", 0),
	FIELD_U32(T, 18, feature_level, NULL, 0),
	FIELD_I64(T, 19, cert_longest, NULL, 0),
};
#undef T
TABLE_DEFINE(cluster, cluster_fields, TABLE_REST(cluster));

int64_t cluster_task_history(const struct cluster *c)
{
	const int64_t *limit = c->spec.orchestration.task_history;

	return limit ? *limit : TASK_HISTORY_DEFAULT;
}

uint64_t cluster_history_kept(const struct cluster *c)
{
	int64_t limit = c ? cluster_task_history(c) : TASK_HISTORY_DEFAULT;

	return limit < 0 || limit > LIMIT_TASK_HISTORY ? LIMIT_TASK_HISTORY : (uint64_t)limit;
}

int64_t cluster_cert_life(const struct cluster *c)
{
	int64_t now = c->spec.ca.node_cert_expiry;

	now = MAX_OF(now > 0 ? now : CERT_EXPIRY_DEFAULT_NS, c->cert_longest);
	/* Of clusters from before it was noted the default is a guess. */
	return MIN_OF(c->cert_longest ? now : MAX_OF(now, CERT_EXPIRY_DEFAULT_NS), NS_SPAN_MAX);
}

int64_t cluster_heartbeat_ns(const struct cluster *c)
{
	int64_t period = c->spec.dispatcher.heartbeat_period;

	return period > 0 ? period : HEARTBEAT_DEFAULT_NS;
}
