/*
 * Overlays as the managers tell of them: made on this host when the first container here needs
 * one, told who is where, and taken down when it is no more. See agent/engine.h.
 */
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/log.h"

/* Making it: devices, and the table as far as it is known. */

struct raise_overlay {
	struct net_op op;
	struct net_overlay overlay;
	char id[ID_HOST_LEN + 1];
	bool encrypted;
	bool known;
	struct net_peers peers;
	uint64_t version;
};

static void raise_run(struct net_op *op)
{
	struct raise_overlay *r = container_of(op, struct raise_overlay, op);
	struct err *e = &op->job.err;
	int rc;

	if (r->encrypted)
		rc = err_set(e, -ENOSYS, "encrypted overlay networks are not supported");
	else if (!r->overlay.data_ip.family)
		rc = err_set(e, -EAGAIN,
			     "this node's address for overlay traffic is not known yet");
	else
		rc = net_overlay_create(&op->host, &r->overlay, NULL, NULL, e);
	if (rc == 0 && r->known)
		rc = net_overlay_peers_apply(&op->host, r->id, r->peers.v, r->peers.n, NULL, e);
	op->job.status = rc;
}

static void raise_end(struct net_op *op)
{
	struct raise_overlay *r = container_of(op, struct raise_overlay, op);
	struct engine_network_live *net = op->net;
	bool same = net_ip_equal(&r->overlay.data_ip, &net->nets->data_ip) &&
		    op->host.vxlan_port == net->nets->host.vxlan_port;
	int status = op->job.status;

	net->raising = false;
	net->up = status == 0 && same;
	net->up_err = op->job.err;
	if (status < 0)
		log_error("overlay network %s: %s", net->pub.name, err_text(&net->up_err));
	else if (r->known)
		overlay_table_applied(net->table, r->version, true);
	free(r->peers.v);
	free(r);
	if (status == 0 && !same)
		hostnet_raise(net);
}

static unsigned mtu_of(const struct engine_network_live *net)
{
	const char *text = strmap_get(&net->pub.spec.options, OPTION_MTU);
	unsigned long v = text ? strtoul(text, NULL, 10) : 0;

	return v >= 68 && v <= 65535 ? (unsigned)v : 0;
}

struct net_op *overlay_raise_op(struct engine_network_live *net)
{
	struct raise_overlay *r = xcalloc(1, sizeof *r);

	(void)snprintf(r->id, sizeof r->id, "%s", net->pub.id);
	r->overlay = (struct net_overlay){.id = r->id,
					  .vni = net->pub.vni,
					  .data_ip = net->nets->data_ip,
					  .mtu = mtu_of(net)};
	r->encrypted = strmap_get(&net->pub.spec.options, "encrypted") != NULL;
	r->known = overlay_table_peers(net->table, &r->peers);
	r->version = overlay_table_version(net->table);
	r->op.run = raise_run;
	r->op.end = raise_end;
	return &r->op;
}

/* Taking it down */

struct lower {
	struct net_op op;
	char id[ID_HOST_LEN + 1];
};

static void lower_run(struct net_op *op)
{
	struct lower *l = container_of(op, struct lower, op);

	op->job.status = net_overlay_remove(&op->host, l->id, &op->job.err);
}

static void lower_end(struct net_op *op)
{
	struct lower *l = container_of(op, struct lower, op);
	struct engine_network_live *net = op->net;

	net->up = false;
	net->up_err = (struct err){0};
	if (op->job.status < 0)
		log_error("overlay network %s: %s", net->pub.name, err_text(&op->job.err));
	if (net->state == NETWORK_REMOVING) { /* not told of again meanwhile */
		overlay_keep_drop(net);
		network_store_delete(net);
		hostnet_drop(net);
	}
	free(l);
}

void overlay_settle(struct engine_network_live *net)
{
	struct lower *l;

	if (!hostnet_is(net, "overlay") || net->endpoints || net->told || net->dropped ||
	    net->state == NETWORK_REMOVING || net->nets->closing)
		return;
	net->state = NETWORK_REMOVING;
	l = xcalloc(1, sizeof *l);
	(void)snprintf(l->id, sizeof l->id, "%s", net->pub.id);
	l->op.alone = true;
	l->op.run = lower_run;
	l->op.end = lower_end;
	net_op_start(net->nets, net, &l->op);
}

/* What the managers say */

void engine_overlay_node(struct engine *e, const char *data_addr, uint16_t data_port)
{
	struct networks *nets = engine_networks_of(e);
	struct engine_network_live *net;
	struct err err = ERR_INIT;
	struct net_ip ip = {0};

	if (data_addr)
		(void)net_ip_parse(data_addr, &ip);
	if (!ip.family || (net_ip_equal(&ip, &nets->data_ip) && data_port == nets->host.vxlan_port))
		return;
	nets->data_ip = ip;
	nets->host.vxlan_port = data_port;
	if (networks_data_keep(nets, &err) < 0)
		log_error("the networks' database: %s", err_text(&err));
	for (net = nets->nets; net; net = net->hh.next) {
		if (!hostnet_is(net, "overlay"))
			continue;
		net->up = false; /* its tunnels begin elsewhere */
		if (net->endpoints)
			hostnet_raise(net);
	}
}

/* It becomes the name of files. */
static bool is_id(const char *id)
{
	size_t n = strlen(id);

	return n > 0 && n <= ID_HOST_LEN && strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz") == n;
}

void engine_overlay_set(struct engine *e, const struct network *n)
{
	struct networks *nets = engine_networks_of(e);
	struct engine_network_live *net = hostnet_find(nets, n->o.id);
	struct err err = ERR_INIT;

	if (!net && !is_id(n->o.id)) {
		log_error("a network of the managers has no id: \"%.64s\"", n->o.id);
		return;
	}
	if (!net)
		net = hostnet_new(nets, n->o.id, n->spec.name, "overlay", "swarm");
	if (!net->table)
		net->table = overlay_table_new(net);
	net->state = NETWORK_READY;
	net->told = true;
	net->dns = true;
	net->pub.created_ns = n->o.created;
	net->pub.vni = n->vni;
	table_done(&network_spec_table, &net->pub.spec);
	table_copy(&network_spec_table, &net->pub.spec, &n->spec);
	table_done(&ipam_table, &net->pub.ipam);
	table_copy(&ipam_table, &net->pub.ipam, &n->ipam);
	if (network_store_put(net, &err) < 0)
		log_error("overlay network %s cannot be kept: %s", net->pub.name, err_text(&err));
}

void engine_overlay_gone(struct engine *e, const char *id)
{
	struct engine_network_live *net = hostnet_find(engine_networks_of(e), id);

	if (!net || !hostnet_is(net, "overlay"))
		return;
	net->told = false;
	overlay_settle(net);
}

/* Tables */

struct tell {
	struct net_op op;
	char id[ID_HOST_LEN + 1];
	bool whole;
	struct net_peers add, del;
	uint64_t version;
};

static void tell_run(struct net_op *op)
{
	struct tell *t = container_of(op, struct tell, op);

	op->job.status = t->whole ? net_overlay_peers_apply(&op->host, t->id, t->add.v, t->add.n,
							    NULL, &op->job.err)
				  : net_overlay_peers_update(&op->host, t->id, t->add.v, t->add.n,
							     t->del.v, t->del.n, &op->job.err);
}

static void tell_end(struct net_op *op)
{
	struct tell *t = container_of(op, struct tell, op);

	if (op->job.status < 0 && op->net->up)
		log_error("overlay network %s: %s", op->net->pub.name, err_text(&op->job.err));
	overlay_table_applied(op->net->table, t->version, op->job.status == 0);
	free(t->add.v);
	free(t->del.v);
	free(t);
}

/* Takes what is in the difference. */
static void tell_start(struct engine_network_live *net, struct overlay_delta *d)
{
	struct tell *t = xcalloc(1, sizeof *t);

	(void)snprintf(t->id, sizeof t->id, "%s", net->pub.id);
	t->whole = d->whole;
	t->version = d->version;
	if (d->whole) {
		(void)overlay_table_peers(net->table, &t->add);
	} else {
		t->add = d->add;
		t->del = d->del;
		d->add = d->del = (struct net_peers){0};
	}
	t->op.alone = true;
	t->op.run = tell_run;
	t->op.end = tell_end;
	net_op_start(net->nets, net, &t->op);
}

int engine_overlay_peers(struct engine *e, const struct session_peers *p)
{
	struct engine_network_live *net =
		p->network ? hostnet_find(engine_networks_of(e), p->network) : NULL;
	struct overlay_delta d = {0};
	int rc;

	if (!net || !net->table)
		return -ESTALE;
	rc = overlay_table_lay(net->table, p, &d);
	if (rc < 0 || d.whole || p->peers.n || p->gone.n)
		overlay_keep_soon(net);
	if (rc == 0 && !p->more) {
		if (!net->up && !net->raising) /* the kernel is told when it is made */
			overlay_table_applied(net->table, d.version, true);
		else if (d.whole || d.add.n || d.del.n ||
			 d.version != overlay_table_done_version(net->table))
			tell_start(net, &d);
	}
	overlay_delta_done(&d);
	return rc;
}

uint64_t engine_overlay_version(struct engine *e, const char *id)
{
	const struct engine_network_live *net = hostnet_find(engine_networks_of(e), id);

	if (!net || !net->table)
		return 0;
	/* Where no device is there yet, knowing is enough: the kernel is told when it is made. */
	return net->up || net->raising ? overlay_table_done_version(net->table)
				       : overlay_table_version(net->table);
}
