/*
 * swarm init, join, join-token, update, leave.
 */
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/spec_flags.h"
#include "model/cluster.h"
#include "model/node.h"

#define LISTEN_DEFAULT "0.0.0.0:2377"

struct init_body {
	char *listen_addr;
	char *advertise_addr;
	char *data_path_addr;
	int64_t data_path_port;
	struct strs pools;
	int64_t subnet_size;
	bool force_new;
	bool auto_lock;
	char *availability;
	struct cluster_spec spec;
};
#define T struct init_body
static const struct field init_body_fields[] = {
	FIELD_STR(T, 0, listen_addr, "ListenAddr", 0),
	FIELD_STR(T, 0, advertise_addr, "AdvertiseAddr", 0),
	FIELD_STR(T, 0, data_path_addr, "DataPathAddr", 0),
	FIELD_I64(T, 0, data_path_port, "DataPathPort", 0),
	FIELD_STRS(T, 0, pools, "DefaultAddrPool", FIELD_NULL),
	FIELD_I64(T, 0, subnet_size, "SubnetSize", 0),
	FIELD_BOOL(T, 0, force_new, "ForceNewCluster", 0),
	FIELD_BOOL(T, 0, auto_lock, "AutoLockManagers", 0),
	FIELD_STR(T, 0, availability, "Availability", 0),
	FIELD_OBJ(T, 0, spec, "Spec", 0, cluster_spec),
};
#undef T
static TABLE_DEFINE(init_body, init_body_fields);

struct join_body {
	char *listen_addr;
	char *advertise_addr;
	char *data_path_addr;
	struct strs remotes;
	char *token;
	char *availability;
};
#define T struct join_body
static const struct field join_body_fields[] = {
	FIELD_STR(T, 0, listen_addr, "ListenAddr", 0),
	FIELD_STR(T, 0, advertise_addr, "AdvertiseAddr", 0),
	FIELD_STR(T, 0, data_path_addr, "DataPathAddr", 0),
	FIELD_STRS(T, 0, remotes, "RemoteAddrs", 0),
	FIELD_STR(T, 0, token, "JoinToken", 0),
	FIELD_STR(T, 0, availability, "Availability", 0),
};
#undef T
static TABLE_DEFINE(join_body, join_body_fields);

/* GET /swarm: the tokens; version and spec for an update. */
struct swarm_view {
	struct version version;
	struct cluster_spec spec;
	struct join_tokens tokens;
};
#define T struct swarm_view
static const struct field swarm_view_fields[] = {
	FIELD_OBJ(T, 0, version, "Version", 0, version),
	FIELD_OBJ(T, 0, spec, "Spec", 0, cluster_spec),
	FIELD_OBJ(T, 0, tokens, "JoinTokens", 0, join_tokens),
};
#undef T
static TABLE_DEFINE(swarm_view, swarm_view_fields);

/* Of GET /info: which node this is. */
struct self_view {
	struct self_swarm {
		char *node;
	} swarm;
};
static const struct field self_swarm_fields[] = {
	FIELD_STR(struct self_swarm, 0, node, "NodeID", 0)};
static TABLE_DEFINE(self_swarm, self_swarm_fields);
static const struct field self_view_fields[] = {
	FIELD_OBJ(struct self_view, 0, swarm, "Swarm", 0, self_swarm)};
static TABLE_DEFINE(self_view, self_view_fields);

static int get(struct cli *c, const char *pattern, const char *id, const struct table *t, void *ret,
	       struct err *e)
{
	auto_buf path = CALL_PATH;

	path_add(&path, pattern, id);
	return call_get(c, buf_text(&path), t, ret, e);
}

static int post(struct cli *c, const char *name, const struct table *t, const void *obj,
		struct http_answer *ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	int rc = call_body(t, obj, &body, e);

	path_add(&path, name);
	return rc < 0 ? rc : call_send(c, "POST", buf_text(&path), &body, ret, e);
}

/* "To add a worker to this swarm, ..." for one role. */
static int print_join(struct cli *c, const char *role, bool quiet, struct err *e)
{
	bool manager = strcmp(role, "manager") == 0;
	struct self_view self = {0};
	struct swarm_view swarm = {0};
	struct node node = {0};
	const char *token = NULL;
	int rc = get(c, "/swarm", NULL, &swarm_view_table, &swarm, e);

	if (rc == 0)
		token = manager ? swarm.tokens.manager : swarm.tokens.worker;
	if (rc == 0 && quiet)
		(void)fprintf(c->out, "%s\n", token ? token : "");
	if (rc == 0 && !quiet)
		rc = get(c, "/info", NULL, &self_view_table, &self, e);
	if (rc == 0 && !quiet)
		rc = get(c, "/nodes/%", self.swarm.node ? self.swarm.node : "", &node_table, &node,
			 e);
	if (rc == 0 && !quiet)
		(void)fprintf(c->out,
			      "To add a %s to this swarm, run the following command:\n\n"
			      "    shoal swarm join --token %s %s\n\n",
			      role, token ? token : "",
			      node.manager && node.manager->addr ? node.manager->addr : "");
	table_done(&self_view_table, &self);
	table_done(&swarm_view_table, &swarm);
	table_done(&node_table, &node);
	return rc;
}

/* What init and update both set; a flag that was not given changes nothing. */
static void settings_fill(const struct flags *f, struct cluster_spec *s)
{
	spec_opt_i64(&s->orchestration.task_history, f, "task-history-limit");
	spec_number(&s->dispatcher.heartbeat_period, f, "dispatcher-heartbeat");
	spec_number(&s->ca.node_cert_expiry, f, "cert-expiry");
	spec_number((int64_t *)&s->raft.snapshot_interval, f, "snapshot-interval");
	spec_opt_u64(&s->raft.keep_old_snapshots, f, "max-snapshots");
	spec_bool(&s->encryption.auto_lock, f, "autolock");
}

static void init_fill(const struct flags *f, struct init_body *b)
{
	const char *listen = flag_text(f, "listen-addr");
	const char *availability = flag_text(f, "availability");

	b->listen_addr = xstrdup(listen ? listen : LISTEN_DEFAULT);
	b->advertise_addr = xstrdup(flag_text(f, "advertise-addr"));
	b->data_path_addr = xstrdup(flag_text(f, "data-path-addr"));
	b->data_path_port = flag_get(f, "data-path-port")->number;
	STRS_EACH (pool, flag_list(f, "default-addr-pool"))
		strs_add(&b->pools, pool);
	b->subnet_size = flag_is_set(f, "default-addr-pool-mask-length")
				 ? flag_get(f, "default-addr-pool-mask-length")->number
				 : 24;
	b->force_new = flag_true(f, "force-new-cluster");
	b->auto_lock = flag_true(f, "autolock");
	b->availability = xstrdup(availability ? availability : "active");
	settings_fill(f, &b->spec);
}

int cli_swarm_init(struct cli *c, const struct flags *f)
{
	struct init_body body = {0};
	struct http_answer answer;
	struct err e = ERR_INIT;
	json_t *id;
	int rc;

	init_fill(f, &body);
	rc = post(c, "/swarm/init", &init_body_table, &body, &answer, &e);
	table_done(&init_body_table, &body);
	if (rc < 0)
		return cli_fail(c, &e);
	id = json_loadb(buf_text(&answer.body), answer.body.len, JSON_DECODE_ANY, NULL);
	(void)fprintf(c->out, "Swarm initialized: current node (%s) is now a manager.\n\n",
		      json_string_value(id) ? json_string_value(id) : "");
	json_decref(id);
	http_answer_done(&answer);
	if (print_join(c, "worker", false, &e) < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out,
		      "To add a manager to this swarm, run 'shoal swarm join-token manager' "
		      "and follow the instructions.\n\n");
	return 0;
}

int cli_swarm_join(struct cli *c, const struct flags *f)
{
	const char *listen = flag_text(f, "listen-addr");
	const char *availability = flag_text(f, "availability");
	struct join_body body = {.listen_addr = xstrdup(listen ? listen : LISTEN_DEFAULT)};
	struct http_answer answer;
	struct self_view self = {0};
	struct node node = {0};
	struct err e = ERR_INIT;
	int rc;

	body.advertise_addr = xstrdup(flag_text(f, "advertise-addr"));
	body.data_path_addr = xstrdup(flag_text(f, "data-path-addr"));
	body.token = xstrdup(flag_text(f, "token"));
	body.availability = xstrdup(availability ? availability : "active");
	strs_add(&body.remotes, f->args[0]);
	rc = post(c, "/swarm/join", &join_body_table, &body, &answer, &e);
	table_done(&join_body_table, &body);
	if (rc < 0)
		return cli_fail(c, &e);
	http_answer_done(&answer);
	/* Only a manager can say what it is: a worker's daemon refuses to list nodes. */
	rc = get(c, "/info", NULL, &self_view_table, &self, &e);
	if (rc == 0 && self.swarm.node)
		rc = get(c, "/nodes/%", self.swarm.node, &node_table, &node, NULL);
	(void)fprintf(c->out, "This node joined a swarm as a %s.\n",
		      rc == 0 && node.manager ? "manager" : "worker");
	table_done(&self_view_table, &self);
	table_done(&node_table, &node);
	return 0;
}

/* Sends the settings back as they are now, or as they were changed, for `version`. */
static int swarm_put(struct cli *c, const struct swarm_view *swarm, bool worker_token,
		     bool manager_token, struct err *e)
{
	auto_free char *version = xasprintf("%llu", (unsigned long long)swarm->version.index);
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	int rc = call_body(&cluster_spec_table, &swarm->spec, &body, e);

	path_add(&path, "/swarm/update");
	path_query(&path, "version", version);
	path_query(&path, "rotateWorkerToken", worker_token ? "true" : "false");
	path_query(&path, "rotateManagerToken", manager_token ? "true" : "false");
	return rc < 0 ? rc : call_do(c, "POST", buf_text(&path), &body, e);
}

static int token_rotate(struct cli *c, bool manager, struct err *e)
{
	struct swarm_view swarm = {0};
	int rc = get(c, "/swarm", NULL, &swarm_view_table, &swarm, e);

	if (rc == 0)
		rc = swarm_put(c, &swarm, !manager, manager, e);
	table_done(&swarm_view_table, &swarm);
	return rc;
}

int cli_swarm_update(struct cli *c, const struct flags *f)
{
	struct swarm_view swarm = {0};
	struct err e = ERR_INIT;
	bool any = false;
	int rc;

	for (size_t i = 0; i < f->n; i++)
		any |= f->values[i].set;
	if (!any) {
		(void)fprintf(c->err, "nothing to update: see 'shoal swarm update --help'\n");
		return 1;
	}
	rc = get(c, "/swarm", NULL, &swarm_view_table, &swarm, &e);
	if (rc == 0) {
		settings_fill(f, &swarm.spec);
		rc = swarm_put(c, &swarm, false, false, &e);
	}
	table_done(&swarm_view_table, &swarm);
	if (rc < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out, "Swarm updated.\n");
	return 0;
}

int cli_swarm_join_token(struct cli *c, const struct flags *f)
{
	const char *role = f->args[0];
	bool manager = strcmp(role, "manager") == 0;
	bool quiet = flag_true(f, "quiet");
	struct err e = ERR_INIT;

	if (!manager && strcmp(role, "worker") != 0) {
		(void)fprintf(c->err, "unknown role %s: it must be worker or manager\n", role);
		return 1;
	}
	if (flag_true(f, "rotate")) {
		if (token_rotate(c, manager, &e) < 0)
			return cli_fail(c, &e);
		if (!quiet)
			(void)fprintf(c->out, "Successfully rotated %s join token.\n\n", role);
	}
	return print_join(c, role, quiet, &e) < 0 ? cli_fail(c, &e) : 0;
}

int cli_swarm_leave(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	struct err e = ERR_INIT;

	path_add(&path, "/swarm/leave");
	if (flag_true(f, "force"))
		path_query(&path, "force", "1");
	if (call_do(c, "POST", buf_text(&path), NULL, &e) < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out, "Node left the swarm.\n");
	return 0;
}
