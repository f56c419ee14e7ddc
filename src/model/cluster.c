/*
 * The tables of model/cluster.h, and its defaults.
 */
#include "model/cluster.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"

#define CERT_EXPIRY_MIN (3600LL * 1000000000LL)
#define HEARTBEAT_MIN (100LL * 1000000LL)

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

/*
 * Managers beat by flags of their own, so these are only kept; but what could never work as raft
 * has it is a mistake of the caller's.
 */
static int ticks_check(const struct raft_settings *raft, struct err *e)
{
	int64_t election = raft->election_tick ? raft->election_tick : RAFT_ELECTION_DEFAULT;
	int64_t heartbeat = raft->heartbeat_tick ? raft->heartbeat_tick : RAFT_HEARTBEAT_DEFAULT;

	if (heartbeat < 0 || election > INT32_MAX)
		return err_set(e, -EINVAL,
			       "invalid Raft settings: HeartbeatTick %" PRId64
			       " and ElectionTick %" PRId64 " must be from 1 to %" PRId32,
			       heartbeat, election, INT32_MAX);
	if (election <= heartbeat)
		return err_set(e, -EINVAL,
			       "invalid Raft settings: ElectionTick %" PRId64
			       " must be greater than HeartbeatTick %" PRId64,
			       election, heartbeat);
	return 0;
}

int cluster_spec_check(const struct cluster_spec *s, struct err *e)
{
	if (s->encryption.auto_lock)
		return err_set(e, -ENOSYS, "EncryptionConfig.AutoLockManagers is not implemented");
	if (s->ca.external)
		return err_set(e, -ENOSYS, "CAConfig.ExternalCAs is not implemented");
	if (s->ca.signing_cert || s->ca.signing_key)
		return err_set(e, -ENOSYS, "rotating the root certificate is not implemented");
	if (s->ca.node_cert_expiry != 0 && s->ca.node_cert_expiry < CERT_EXPIRY_MIN)
		return err_set(e, -EINVAL, "the minimum certificate expiry is 1h0m0s");
	if (s->dispatcher.heartbeat_period != 0 && s->dispatcher.heartbeat_period < HEARTBEAT_MIN)
		return err_set(e, -EINVAL, "the heartbeat period must be at least 100ms");
	return ticks_check(&s->raft, e);
}

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

uint64_t cluster_snapshot_interval(const struct cluster *c)
{
	uint64_t n = c->spec.raft.snapshot_interval;

	return n == RAFT_INTERVAL_DEFAULT ? 0 : n;
}

uint64_t cluster_snapshot_trailing(const struct cluster *c)
{
	uint64_t n = c->spec.raft.log_entries_for_slow_followers;

	return n == RAFT_TRAILING_DEFAULT ? 0 : n;
}

int64_t cluster_heartbeat_ns(const struct cluster *c)
{
	int64_t period = c->spec.dispatcher.heartbeat_period;

	return period > 0 ? period : HEARTBEAT_DEFAULT_NS;
}
