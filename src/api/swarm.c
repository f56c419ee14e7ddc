/*
 * /swarm: the swarm as a whole, and this node's coming to it and going. See swarm.h.
 */
#include "api/swarm.h"

#include <string.h>

#include "api/error.h"
#include "api/query.h"
#include "base/mem.h"
#include "base/x509.h"
#include "model/token.h"

#define T struct swarm_init
static const struct field swarm_init_fields[] = {
	FIELD_STR(T, 0, listen_addr, "ListenAddr", 0),
	FIELD_STR(T, 0, advertise_addr, "AdvertiseAddr", 0),
	FIELD_STR(T, 0, data_path_addr, "DataPathAddr", 0),
	FIELD_I64(T, 0, data_path_port, "DataPathPort", 0),
	FIELD_STRS(T, 0, default_addr_pool, "DefaultAddrPool", 0),
	FIELD_I64(T, 0, subnet_size, "SubnetSize", 0),
	FIELD_BOOL(T, 0, force_new_cluster, "ForceNewCluster", 0),
	FIELD_BOOL(T, 0, auto_lock, "AutoLockManagers", 0),
	FIELD_STR(T, 0, availability, "Availability", 0),
	FIELD_OBJ(T, 0, spec, "Spec", 0, cluster_spec),
};
#undef T
TABLE_DEFINE(swarm_init, swarm_init_fields);

#define T struct swarm_join
static const struct field swarm_join_fields[] = {
	FIELD_STR(T, 0, listen_addr, "ListenAddr", 0),
	FIELD_STR(T, 0, advertise_addr, "AdvertiseAddr", 0),
	FIELD_STR(T, 0, data_path_addr, "DataPathAddr", 0),
	FIELD_STRS(T, 0, remote_addrs, "RemoteAddrs", 0),
	FIELD_STR(T, 0, token, "JoinToken", 0),
	FIELD_STR(T, 0, availability, "Availability", 0),
};
#undef T
TABLE_DEFINE(swarm_join, swarm_join_fields);

/* GET /swarm. Lent from the store but for the TLS information. */
struct swarm_view {
	struct cluster c;
	struct cluster_spec spec; /* with Swarm's defaults where the stored one is silent */
	struct tls_info tls;
	bool rotation;
	uint32_t data_port;
	uint32_t subnet_size;
};
#define T struct swarm_view
static const struct field swarm_view_fields[] = {
	FIELD_STR(T, 0, c.o.id, "ID", 0),
	FIELD_OBJ(T, 0, c.o.version, "Version", 0, version),
	FIELD_TIME(T, 0, c.o.created, "CreatedAt", 0),
	FIELD_TIME(T, 0, c.o.updated, "UpdatedAt", 0),
	FIELD_OBJ(T, 0, spec, "Spec", 0, cluster_spec),
	FIELD_OBJ(T, 0, tls, "TLSInfo", 0, tls_info),
	FIELD_BOOL(T, 0, rotation, "RootRotationInProgress", 0),
	FIELD_STRS(T, 0, c.default_pools, "DefaultAddrPool", 0),
	FIELD_U32(T, 0, subnet_size, "SubnetSize", 0),
	FIELD_U32(T, 0, data_port, "DataPathPort", 0),
	FIELD_OBJ(T, 0, c.tokens, "JoinTokens", 0, join_tokens),
};
#undef T
static TABLE_DEFINE(swarm_view, swarm_view_fields);

/*
 * Swarm's, for clients that show them and send them back: Shoal's raft has times of its own, and
 * measures its log in bytes unless other numbers of entries are asked for.
 */
static const struct raft_settings raft_defaults = {
	.snapshot_interval = RAFT_INTERVAL_DEFAULT,
	.log_entries_for_slow_followers = RAFT_TRAILING_DEFAULT,
	.election_tick = RAFT_ELECTION_DEFAULT,
	.heartbeat_tick = RAFT_HEARTBEAT_DEFAULT,
};

void api_cluster_spec(const struct cluster *c, struct cluster_spec *ret)
{
	table_copy(&cluster_spec_table, ret, &c->spec);
	if (!ret->orchestration.task_history) {
		ret->orchestration.task_history = xcalloc(1, sizeof(int64_t));
		*ret->orchestration.task_history = cluster_task_history(c);
	}
	if (ret->raft.snapshot_interval == 0)
		ret->raft.snapshot_interval = raft_defaults.snapshot_interval;
	if (ret->raft.log_entries_for_slow_followers == 0)
		ret->raft.log_entries_for_slow_followers =
			raft_defaults.log_entries_for_slow_followers;
	if (ret->raft.election_tick == 0)
		ret->raft.election_tick = raft_defaults.election_tick;
	if (ret->raft.heartbeat_tick == 0)
		ret->raft.heartbeat_tick = raft_defaults.heartbeat_tick;
	ret->dispatcher.heartbeat_period = cluster_heartbeat_ns(c);
	if (ret->ca.node_cert_expiry == 0)
		ret->ca.node_cert_expiry = CERT_EXPIRY_DEFAULT_NS;
}

struct strs api_cluster_pools(const struct cluster *c)
{
	static char *pool = (char *)"10.0.0.0/8";

	return c->default_pools.n ? c->default_pools : (struct strs){&pool, 1};
}

void api_tls_info(const struct cluster *c, struct tls_info *ret)
{
	const char *root_pem = c->root_cert;
	struct cert *root = NULL;
	const uint8_t *p;
	size_t n;

	if (!root_pem || cert_read(root_pem, strlen(root_pem), &root, NULL) < 0)
		return;
	ret->trust_root = xstrdup(root_pem);
	cert_subject_der(root, &p, &n);
	ret->issuer_subject = (struct bytes){xmemdup(p, n), n};
	cert_public_key_der(root, &p, &n);
	ret->issuer_public_key = (struct bytes){xmemdup(p, n), n};
	cert_unref(root);
}

static void inspect_ready(struct api_req *r, struct manager *m)
{
	const struct cluster *c = store_cluster(manager_store(m));
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct swarm_view view = {0};

	if (!c) {
		api_reply_fail(r, -EAGAIN, "this manager does not have the swarm's state yet");
		return;
	}
	view.c = *c;
	view.c.default_pools = api_cluster_pools(c);
	view.data_port = c->data_port ? c->data_port : 4789;
	view.subnet_size = c->subnet_size ? c->subnet_size : 24;
	api_cluster_spec(c, &view.spec);
	api_tls_info(c, &view.tls);
	(void)json_write(&swarm_view_table, &view, &json);
	table_done(&cluster_spec_table, &view.spec);
	table_done(&tls_info_table, &view.tls);
	api_reply_json(r, 200, &json);
}

static void swarm_inspect(struct api_req *r)
{
	api_manager_read(r, inspect_ready);
}

static int token_make(const struct cluster *c, char **ret, struct err *e)
{
	struct cert *root = NULL;
	struct join_token token;
	char text[TOKEN_TEXT_LEN + 1];
	int rc = cert_read(c->root_cert, strlen(c->root_cert), &root, e);

	if (rc < 0)
		return rc;
	join_token_new(cert_info(root)->sha256, &token);
	join_token_format(&token, text);
	*ret = xstrdup(text);
	explicit_bzero(&token, sizeof token);
	cert_unref(root);
	return 0;
}

static int update_parse(struct api_req *r, const struct cluster *c, struct control_request *ret)
{
	int rc = api_version_arg(r, &ret->version, &r->err);

	ret->rotate_worker_token = query_bool(r->query, "rotateWorkerToken", false);
	ret->rotate_manager_token = query_bool(r->query, "rotateManagerToken", false);
	if (rc == 0 && query_bool(r->query, "rotateManagerUnlockKey", false))
		rc = err_set(&r->err, -ENOSYS, "rotating the unlock key is not implemented");
	if (rc == 0)
		rc = json_read(&cluster_spec_table, buf_text(r->body), r->body->len, ret->cluster,
			       &r->err);
	if (rc == 0 && ret->rotate_worker_token)
		rc = token_make(c, &ret->worker_token, &r->err);
	if (rc == 0 && ret->rotate_manager_token)
		rc = token_make(c, &ret->manager_token, &r->err);
	return rc;
}

static void swarm_update(struct api_req *r)
{
	struct control_request request = {.op = CONTROL_CLUSTER_UPDATE};
	struct manager *m = api_manager(r);
	const struct cluster *c = m ? store_cluster(manager_store(m)) : NULL;

	if (!m)
		return;
	if (!c) {
		api_reply_fail(r, -EAGAIN, "this manager does not have the swarm's state yet");
		return;
	}
	request.cluster = xcalloc(1, sizeof *request.cluster);
	if (update_parse(r, c, &request) < 0)
		api_reply_error(r, &r->err);
	else
		api_control(r, &request, 200, NULL);
	table_done(&control_request_table, &request);
}

/* What main carries out */

static void init_done(void *arg, int status, const char *node, const struct err *e)
{
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct api_req *r = arg;

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	(void)json_quote(&json, node, strlen(node));
	api_reply_json(r, 200, &json);
}

static void plain_done(void *arg, int status, const char *node, const struct err *e)
{
	struct api_req *r = arg;

	(void)node;
	if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_empty(r, 200);
}

static void swarm_do_init(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct swarm_init init = {0};

	if (json_read(&swarm_init_table, buf_text(r->body), r->body->len, &init, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	swarm->init(swarm->arg, &init, init_done, r);
	table_done(&swarm_init_table, &init);
}

static void swarm_do_join(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct swarm_join join = {0};

	if (json_read(&swarm_join_table, buf_text(r->body), r->body->len, &join, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	swarm->join(swarm->arg, &join, plain_done, r);
	table_done(&swarm_join_table, &join);
}

static void swarm_do_leave(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;

	swarm->leave(swarm->arg, query_bool(r->query, "force", false), plain_done, r);
}

static const struct api_route routes[] = {
	{"GET", "/swarm", swarm_inspect, API_BODY_NONE, 0, 0},
	{"POST", "/swarm/init", swarm_do_init, API_BODY_JSON, 0, 0},
	{"POST", "/swarm/join", swarm_do_join, API_BODY_JSON, 0, 0},
	{"POST", "/swarm/leave", swarm_do_leave, API_BODY_NONE, 0, 0},
	{"POST", "/swarm/update", swarm_update, API_BODY_JSON, 0, 0},
};

void api_swarm_add(struct api_router *r, struct api_swarm *swarm)
{
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
