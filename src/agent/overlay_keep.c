/*
 * Tables of overlays on disk: a daemon that comes back while no manager is in reach still knows
 * the names and places of before. One file a network, written by the pool some moments after a
 * change; what is lost by a crash in between comes from the managers, as a difference.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/file.h"
#include "base/log.h"

#define KEEP_MS 2000 /* milliseconds from a change to its file */

static char *keep_path(const struct networks *nets, const char *id)
{
	return xasprintf("%s/%s", nets->tables_dir, id);
}

struct keep {
	struct net_op op;
	char *path;
	struct buf bytes;
};

static void keep_run(struct net_op *op)
{
	struct keep *k = container_of(op, struct keep, op);
	int rc = file_write_atomic(AT_FDCWD, k->path, buf_text(&k->bytes), k->bytes.len, 0600);

	op->job.status = rc < 0 ? err_code(&op->job.err, rc, "cannot write %s", k->path) : 0;
}

static void keep_end(struct net_op *op)
{
	struct keep *k = container_of(op, struct keep, op);

	if (op->job.status < 0)
		log_warn("an overlay's table is not kept: %s", err_text(&op->job.err));
	if (op->net->state == NETWORK_REMOVING)
		overlay_keep_drop(op->net);
	free(k->path);
	buf_done(&k->bytes);
	free(k);
}

static void keep(struct engine_network_live *net)
{
	struct keep *k = xcalloc(1, sizeof *k);

	k->bytes = BUF_INIT(LIMIT_PEERS_TABLE);
	if (overlay_table_write(net->table, &k->bytes) < 0) {
		log_warn("the table of overlay network %s is too large to be kept", net->pub.name);
		buf_done(&k->bytes);
		free(k);
		return;
	}
	k->path = keep_path(net->nets, net->pub.id);
	k->op.alone = true; /* files of one network in their order */
	k->op.run = keep_run;
	k->op.end = keep_end;
	net_op_start(net->nets, net, &k->op);
}

void overlay_keep_all(struct networks *nets)
{
	struct engine_network_live *net;

	for (net = nets->nets; net; net = net->hh.next) {
		if (!net->table || !net->changed)
			continue;
		net->changed = false;
		keep(net);
	}
}

static void on_keep(uv_timer_t *timer)
{
	overlay_keep_all(timer->data);
}

void overlay_keep_soon(struct engine_network_live *net)
{
	net->changed = true;
	if (!uv_is_active((uv_handle_t *)&net->nets->keep))
		(void)uv_timer_start(&net->nets->keep, on_keep, KEEP_MS, 0);
}

void overlay_keep_drop(struct engine_network_live *net)
{
	auto_free char *path = keep_path(net->nets, net->pub.id);

	net->changed = false;
	if (unlink(path) < 0 && errno != ENOENT)
		log_warn("cannot remove %s: %s", path, strerror(errno));
}

void overlay_keep_load(struct engine_network_live *net)
{
	auto_free char *path = keep_path(net->nets, net->pub.id);
	auto_buf bytes = BUF_INIT(LIMIT_PEERS_TABLE);
	struct session_peers m = {0};
	struct overlay_delta d = {0};
	struct err e = ERR_INIT;
	int rc = file_read_at(AT_FDCWD, path, &bytes);

	if (rc == -ENOENT)
		return;
	if (rc == 0)
		rc = tlv_read(&session_peers_table, bytes.p, bytes.len, &m, &e);
	if (rc == 0)
		rc = overlay_table_lay(net->table, &m, &d);
	if (rc < 0)
		log_warn("the kept table of overlay network %s cannot be read: %s", net->pub.name,
			 e.code ? err_text(&e) : strerror(-rc));
	overlay_delta_done(&d);
	table_done(&session_peers_table, &m);
}
