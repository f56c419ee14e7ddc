/*
 * Networks and endpoints on disk: what a daemon that comes back knows before anybody tells it, so
 * that its sweep leaves alone what running containers use. One row each, in JSON.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/file.h"
#include "base/log.h"

#define DOC_MAX (256u << 10) /* bytes of a row */
#define SETTING_BOOT "boot_id"

#define T struct engine_network
static const struct field engine_network_fields[] = {
	FIELD_STR(T, 0, id, "Id", FIELD_REQUIRED),
	FIELD_STR(T, 0, name, "Name", FIELD_REQUIRED),
	FIELD_STR(T, 0, driver, "Driver", FIELD_REQUIRED),
	FIELD_STR(T, 0, scope, "Scope", FIELD_REQUIRED),
	FIELD_TIME(T, 0, created_ns, "Created", 0),
	FIELD_OBJ(T, 0, spec, "Spec", 0, network_spec),
	FIELD_OBJ(T, 0, ipam, "IPAM", 0, ipam),
	FIELD_U32(T, 0, vni, "VNI", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(engine_network, engine_network_fields);

struct endpoint_row {
	char *container;
	char *network;
	int64_t index;
	bool hidden;
	bool gateway;
	char *ip4;
	char *ip6;
	char *mac;
};
#define T struct endpoint_row
static const struct field endpoint_row_fields[] = {
	FIELD_STR(T, 0, container, "Container", FIELD_REQUIRED),
	FIELD_STR(T, 0, network, "Network", FIELD_REQUIRED),
	FIELD_I64(T, 0, index, "Index", 0),
	FIELD_BOOL(T, 0, hidden, "Hidden", FIELD_OMIT),
	FIELD_BOOL(T, 0, gateway, "Gateway", FIELD_OMIT),
	FIELD_STR(T, 0, ip4, "IPv4", FIELD_OMIT),
	FIELD_STR(T, 0, ip6, "IPv6", FIELD_OMIT),
	FIELD_STR(T, 0, mac, "MAC", FIELD_OMIT),
};
#undef T
static TABLE_DEFINE(endpoint_row, endpoint_row_fields);

static const char *const migrations[] = {
	DB_DOCS("networks") DB_DOCS("endpoints") "CREATE TABLE settings (key TEXT NOT NULL PRIMARY "
						 "KEY, value TEXT NOT NULL) STRICT;",
};

int network_store_open(struct networks *nets, struct err *e)
{
	struct db_options options = {.migrations = migrations,
				     .n_migrations = ARRAY_LEN(migrations),
				     .manual_checkpoint = true};

	return db_open(nets->db_path, &options, &nets->db, e);
}

/* Checkpoints wait for the disk: on the pool. */

struct checkpoint {
	struct net_op op;
	char *path;
};

static void checkpoint_run(struct net_op *op)
{
	struct checkpoint *c = container_of(op, struct checkpoint, op);

	op->job.status = db_checkpoint(c->path, &op->job.err);
}

static void checkpoint_end(struct net_op *op)
{
	struct checkpoint *c = container_of(op, struct checkpoint, op);

	op->nets->checkpointing = false;
	if (op->job.status < 0)
		log_warn("the networks' database: %s", err_text(&op->job.err));
	free(c->path);
	free(c);
}

static void checkpoint_maybe(struct networks *nets)
{
	struct checkpoint *c;

	if (nets->checkpointing || nets->closing || db_wal_pages(nets->db) <= DB_WAL_PAGES)
		return;
	c = xcalloc(1, sizeof *c);
	c->path = xstrdup(nets->db_path);
	c->op.run = checkpoint_run;
	c->op.end = checkpoint_end;
	nets->checkpointing = true;
	net_op_start(nets, NULL, &c->op);
}

static int doc_put(struct networks *nets, const char *table, const char *id, const struct table *t,
		   const void *obj, struct err *e)
{
	auto_buf doc = BUF_INIT(DOC_MAX);
	int rc;

	if (json_write(t, obj, &doc) < 0)
		return err_set(e, -EMSGSIZE, "the network's description is too large");
	rc = db_doc_put(nets->db, table, id, buf_text(&doc), e);
	checkpoint_maybe(nets);
	return rc;
}

static void doc_delete(struct networks *nets, const char *table, const char *id)
{
	struct err e = ERR_INIT;
	int rc = db_doc_delete(nets->db, table, id, &e);

	if (rc < 0 && rc != -ENOENT)
		log_error("the networks' database: %s", err_text(&e));
	checkpoint_maybe(nets);
}

int network_store_put(struct engine_network_live *net, struct err *e)
{
	return doc_put(net->nets, "networks", net->pub.id, &engine_network_table, &net->pub, e);
}

void network_store_delete(struct engine_network_live *net)
{
	doc_delete(net->nets, "networks", net->pub.id);
}

int network_store_put_endpoint(const struct net_ep *ep, struct err *e)
{
	char ip[2][NET_PREFIX_TEXT] = {"", ""}, mac[NET_MAC_TEXT] = "";
	struct endpoint_row row = {.container = ep->box->id,
				   .network = ep->net->pub.id,
				   .index = ep->index,
				   .hidden = ep->hidden,
				   .gateway = ep->gateway,
				   .ip4 = ip[0],
				   .ip6 = ip[1],
				   .mac = mac};

	for (int i = 0; i < 2; i++)
		if (ep->ip[i].ip.family)
			net_prefix_format(&ep->ip[i], ip[i]);
	if (!net_mac_is_zero(&ep->mac))
		net_mac_format(&ep->mac, mac);
	return doc_put(ep->net->nets, "endpoints", ep->id, &endpoint_row_table, &row, e);
}

void network_store_delete_endpoint(struct networks *nets, const char *id)
{
	doc_delete(nets, "endpoints", id);
}

int network_store_set(struct networks *nets, const char *key, const char *value, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(nets->db, "INSERT OR REPLACE INTO settings VALUES (?1, ?2)", &st, e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, key);
	db_bind_text(st, 2, value);
	return db_run(st, e);
}

int network_store_get(struct networks *nets, const char *key, struct buf *ret, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(nets->db, "SELECT value FROM settings WHERE key = ?1", &st, e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, key);
	rc = db_step(st, e);
	if (rc == DB_ROW && buf_adds(ret, db_text(st, 0)) < 0)
		return err_set(e, -EMSGSIZE, "the stored value of %s is too long", key);
	return rc < 0 ? rc : 0;
}

/* Loading */

static int network_load(void *arg, const char *id, const char *doc, size_t n, struct err *e)
{
	struct networks *nets = arg;
	struct engine_network pub = {0};
	struct engine_network_live *net;
	int rc = json_read(&engine_network_table, doc, n, &pub, e);

	if (rc < 0)
		return err_wrap(e, "the stored network %s", id);
	net = hostnet_new(nets, pub.id, pub.name, pub.driver, pub.scope);
	pub.live = net;
	HASH_DEL(nets->nets, net); /* its key moves */
	table_done(&engine_network_table, &net->pub);
	net->pub = pub;
	HASH_ADD_KEYPTR(hh, nets->nets, net->pub.id, strlen(net->pub.id), net);
	net->state = NETWORK_READY;
	if (hostnet_is(net, "overlay")) {
		net->dns = true;
		net->table = overlay_table_new(net);
	}
	net->predefined = hostnet_is(net, "host") || hostnet_is(net, "null") ||
			  strcmp(net->pub.name, "bridge") == 0 ||
			  strcmp(net->pub.name, NETWORK_GATEWAY) == 0;
	rc = hostnet_configure(net, e);
	return rc < 0 ? err_wrap(e, "the stored network %s", net->pub.name) : 0;
}

static void row_address(struct net_ep *ep, int at, const char *text)
{
	if (!text || !*text || net_prefix_parse(text, &ep->ip[at]) < 0)
		return;
	if (ep->net->pools[at])
		(void)addr_pool_take(ep->net->pools[at], &ep->ip[at].ip);
}

static int endpoint_load(void *arg, const char *id, const char *doc, size_t n, struct err *e)
{
	struct networks *nets = arg;
	struct endpoint_row row = {0};
	struct engine_network_live *net;
	struct net_ep *ep;
	int rc = json_read(&endpoint_row_table, doc, n, &row, e);

	if (rc < 0)
		return err_wrap(e, "the stored endpoint %s", id);
	net = hostnet_find(nets, row.network);
	/* One of a network that is no more is not known to the sweep, which removes it. */
	if (net && strlen(row.container) == ID_HOST_LEN && strlen(id) == ID_HOST_LEN) {
		ep = box_add(box_get(nets, row.container), net, id);
		ep->index = row.index;
		ep->hidden = row.hidden;
		ep->gateway = row.gateway;
		row_address(ep, 0, row.ip4);
		row_address(ep, 1, row.ip6);
		if (row.mac && *row.mac)
			(void)net_mac_parse(row.mac, &ep->mac);
	}
	table_done(&endpoint_row_table, &row);
	return 0;
}

static int index_order(const void *a, const void *b)
{
	const struct net_ep *x = *(struct net_ep *const *)a, *y = *(struct net_ep *const *)b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/*
 * Endpoints end with the host: what was stored before it was started anew is not there any more,
 * and its addresses are free.
 */
static int endpoints_of_this_boot(struct networks *nets, struct err *e)
{
	auto_buf stored = BUF_INIT(LIMIT_FILE_SMALL), now = BUF_INIT(LIMIT_FILE_SMALL);
	int rc = network_store_get(nets, SETTING_BOOT, &stored, e);

	if (rc < 0)
		return rc;
	rc = file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &now);
	if (rc < 0)
		return err_code(e, rc, "cannot read this host's boot id");
	if (strcmp(buf_text(&stored), buf_text(&now)) == 0)
		return 0;
	rc = db_exec(nets->db, "DELETE FROM endpoints", e);
	return rc < 0 ? rc : network_store_set(nets, SETTING_BOOT, buf_text(&now), e);
}

int network_store_load(struct networks *nets, struct err *e)
{
	struct engine_network_live *net, *next;
	struct net_box *box, *next_box;
	int rc = db_doc_each(nets->db, "networks", network_load, nets, e);

	if (rc == 0)
		rc = endpoints_of_this_boot(nets, e);
	if (rc == 0)
		rc = db_doc_each(nets->db, "endpoints", endpoint_load, nets, e);
	if (rc < 0)
		return rc;
	HASH_ITER (hh, nets->boxes, box, next_box)
		qsort(box->eps.v, box->eps.n, sizeof(*box->eps.v), index_order);
	HASH_ITER (hh, nets->nets, net, next)
		for (size_t i = 0; i < ARRAY_LEN(net->pools); i++)
			if (net->pools[i])
				addr_pool_rewind(net->pools[i]);
	return 0;
}
