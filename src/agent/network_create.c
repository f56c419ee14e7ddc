/*
 * Making and removing bridge networks: the subnet is chosen so that it overlaps with nothing that
 * this host knows, the row stands before the device, and goes after it. Also the gateway bridge,
 * which is made when the first container needs it.
 */
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/clock.h"
#include "net/probe.h"

struct network_waiter {
	network_gateway_cb *cb;
	void *arg;
	struct network_waiter *next;
};

/* Subnets */

int network_host_subnets(const struct net_host *h, struct net_prefix **ret, size_t *ret_n,
			 struct err *e)
{
	struct net_prefix *v = xcalloc(LIMIT_HOST_SUBNETS, sizeof *v);
	int n = net_host_subnets(h, v, LIMIT_HOST_SUBNETS, e);

	if (n < 0) {
		free(v);
		return n;
	}
	*ret = v;
	*ret_n = (size_t)n;
	return 0;
}

/* `host` and the subnets of all other networks here; free the array. */
static struct net_prefix *subnets_taken(const struct engine_network_live *net,
					const struct net_prefix *host, size_t n_host, size_t *ret_n)
{
	const struct engine_network_live *o;
	struct net_prefix p;
	LIST_OF(struct net_prefix) list = {0};

	for (size_t i = 0; i < n_host; i++)
		*LIST_ADD(&list) = host[i];
	for (o = net->nets->nets; o; o = o->hh.next)
		if (o != net)
			LIST_EACH (c, &o->pub.ipam.config)
				if (c->subnet && net_prefix_parse(c->subnet, &p) == 0)
					*LIST_ADD(&list) = net_prefix_subnet(&p);
	*ret_n = list.n;
	return list.v;
}

/* Of Docker's local pools. */
static bool subnet_choose(struct net_prefix *taken, size_t n, struct net_prefix *ret)
{
	struct net_prefix wide[15], narrow = {.ip = {AF_INET, {192, 168}}, .len = 16};

	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		wide[i] = (struct net_prefix){.ip = {AF_INET, {172, (uint8_t)(17 + i)}}, .len = 16};
	return subnet_next(wide, ARRAY_LEN(wide), 16, taken, n, NULL, ret) ||
	       subnet_next(&narrow, 1, 20, taken, n, NULL, ret);
}

/* A unique local /64 (RFC 4193): 40 random bits. */
static struct net_prefix subnet6_choose(void)
{
	struct net_prefix p = {.ip = {AF_INET6, {0xfd}}, .len = 64};

	random_bytes(p.ip.b + 1, 5);
	return p;
}

static void config_add(struct ipam *ipam, const struct net_prefix *subnet)
{
	char text[NET_PREFIX_TEXT];

	str_set(&LIST_ADD(&ipam->config)->subnet, net_prefix_format(subnet, text));
}

static int overlap_check(const struct engine_network_live *net, struct err *e)
{
	struct net_prefix p, *taken;
	size_t n;
	int rc = 0;

	taken = subnets_taken(net, NULL, 0, &n);
	LIST_EACH (c, &net->pub.ipam.config)
		for (size_t i = 0; i < n && rc == 0; i++)
			if (net_prefix_parse(c->subnet, &p) == 0 &&
			    net_prefix_overlap(&p, &taken[i]))
				rc = err_set(e, -EINVAL,
					     "Pool overlaps with other one on this address space: "
					     "%s is in use by another network",
					     c->subnet);
	free(taken);
	return rc;
}

int network_choose(struct engine_network_live *net, const struct net_prefix *host, size_t n_host,
		   struct err *e)
{
	struct net_prefix p, *taken;
	bool has[2] = {false, false}, found = true;
	size_t n;
	int rc = overlap_check(net, e);

	if (rc < 0)
		return rc;
	LIST_EACH (c, &net->pub.ipam.config)
		if (net_prefix_parse(c->subnet, &p) == 0)
			has[FAMILY_AT(p.ip.family)] = true;
	if (!has[0]) {
		taken = subnets_taken(net, host, n_host, &n);
		found = subnet_choose(taken, n, &p);
		free(taken);
		if (found)
			config_add(&net->pub.ipam, &p);
	}
	if (!found)
		return err_set(e, -ENOSPC,
			       "all predefined address pools have been fully subnetted; remove "
			       "networks that are not used, or name a subnet (--subnet)");
	if (!has[1] && net->pub.spec.enable_ipv6) {
		p = subnet6_choose();
		config_add(&net->pub.ipam, &p);
	}
	return hostnet_configure(net, e);
}

/* Answers */

struct reply {
	struct net_op op;
	engine_done done;
	void *arg;
};

static void nothing_run(struct net_op *op)
{
	(void)op;
}

static void reply_end(struct net_op *op)
{
	struct reply *r = container_of(op, struct reply, op);

	r->done(r->arg, op->job.status, op->job.status < 0 ? &op->job.err : NULL);
	free(r);
}

void network_reply(struct networks *nets, engine_done done, void *arg, int status,
		   const struct err *e)
{
	struct reply *r = xcalloc(1, sizeof *r);

	r->done = done;
	r->arg = arg;
	r->op.run = nothing_run;
	r->op.end = reply_end;
	r->op.job.status = status;
	if (e)
		r->op.job.err = *e;
	net_op_start(nets, NULL, &r->op);
}

/* Making and removing */

struct make {
	struct net_op op;
	engine_network_done done;
	void *arg;
	struct net_prefix *subnets; /* of the host's routes */
	size_t n_subnets;
	struct net_bridge bridge; /* what is removed */
	char id[ID_HOST_LEN + 1];
	char device[NET_IFNAME_MAX];
	int status; /* why it could not be made */
	struct err err;
};

static void make_free(struct make *m)
{
	free(m->subnets);
	free(m);
}

static void make_start(struct make *m, struct engine_network_live *net,
		       void (*run)(struct net_op *), void (*end)(struct net_op *))
{
	m->op.run = run;
	m->op.end = end;
	m->op.alone = true;
	net_op_start(net->nets, net, &m->op);
}

static void make_answer(struct make *m, struct engine_network_live *net)
{
	m->done(m->arg, m->status, m->status < 0 ? NULL : &net->pub,
		m->status < 0 ? &m->err : NULL);
	make_free(m);
}

static void take_away_run(struct net_op *op)
{
	struct make *m = container_of(op, struct make, op);

	op->job.status = net_bridge_remove(&op->host, &m->bridge, &op->job.err);
}

static void take_away_start(struct make *m, struct engine_network_live *net,
			    void (*end)(struct net_op *))
{
	hostnet_bridge(net, &m->bridge);
	(void)snprintf(m->id, sizeof m->id, "%s", net->pub.id);
	memcpy(m->device, net->settings.device, sizeof m->device);
	m->bridge.id = m->id;
	m->bridge.name = m->device;
	make_start(m, net, take_away_run, end);
}

/* What could not be made whole is gone again. */
static void unmake_end(struct net_op *op)
{
	struct make *m = container_of(op, struct make, op);
	struct engine_network_live *net = op->net;

	network_store_delete(net);
	hostnet_drop(net);
	make_answer(m, net);
}

static void make_fail(struct make *m, struct engine_network_live *net, int status,
		      const struct err *e)
{
	m->status = status;
	m->err = *e;
	take_away_start(m, net, unmake_end);
}

static void make_raised(struct net_op *op)
{
	struct make *m = container_of(op, struct make, op);
	struct engine_network_live *net = op->net;

	if (!net->up) {
		make_fail(m, net, net->up_err.code, &net->up_err);
		return;
	}
	net->state = NETWORK_READY;
	network_tell(net, "create", NULL);
	make_answer(m, net);
}

static void make_probe_run(struct net_op *op)
{
	struct make *m = container_of(op, struct make, op);

	op->job.status = network_host_subnets(&op->host, &m->subnets, &m->n_subnets, &op->job.err);
}

static void make_probe_end(struct net_op *op)
{
	struct make *m = container_of(op, struct make, op);
	struct engine_network_live *net = op->net;
	struct err e = op->job.err;
	int rc = op->job.status;

	if (rc == 0)
		rc = network_choose(net, m->subnets, m->n_subnets, &e);
	if (rc == 0)
		rc = network_store_put(net, &e);
	if (rc < 0) {
		m->status = rc;
		m->err = e;
		hostnet_drop(net);
		make_answer(m, net);
		return;
	}
	hostnet_raise(net);
	make_start(m, net, nothing_run, make_raised);
}

/* `spec` is sound. */
static struct engine_network_live *make_begin(struct networks *nets,
					      const struct network_spec *spec,
					      engine_network_done done, void *arg)
{
	struct make *m = xcalloc(1, sizeof *m);
	struct engine_network_live *net;
	char id[ID_HOST_LEN + 1];

	id_host(id);
	net = hostnet_new(nets, id, spec->name, "bridge", "local");
	net->state = NETWORK_MAKING;
	net->pub.created_ns = clock_wall_ns();
	table_copy(&network_spec_table, &net->pub.spec, spec);
	str_set(&net->pub.spec.driver, "bridge");
	str_set(&net->pub.spec.scope, "local");
	str_set(&net->pub.ipam.driver, "default");
	LIST_EACH (c, &spec->ipam.config)
		if (c->subnet && *c->subnet)
			table_copy(&ipam_pool_table, LIST_ADD(&net->pub.ipam.config), c);
	m->done = done;
	m->arg = arg;
	make_start(m, net, make_probe_run, make_probe_end);
	return net;
}

struct refusal {
	engine_network_done done;
	void *arg;
};

static void refuse(void *arg, int status, const struct err *e)
{
	struct refusal *r = arg;

	r->done(r->arg, status, NULL, e);
	free(r);
}

static int may_be_made(const struct networks *nets, const struct network_spec *spec, struct err *e)
{
	int rc = network_spec_check(spec, e);

	if (rc < 0)
		return rc;
	if (hostnet_by_name(nets, spec->name))
		return err_set(e, -EEXIST, "network with name %s already exists", spec->name);
	if (HASH_COUNT(nets->nets) >= LIMIT_NETWORKS)
		return err_set(e, -ENOSPC, "there are %d networks already, which is the most",
			       LIMIT_NETWORKS);
	return 0;
}

void engine_network_create(struct engine *e, const struct network_spec *spec,
			   engine_network_done done, void *arg)
{
	struct networks *nets = engine_networks_of(e);
	struct err err = ERR_INIT;
	struct refusal *r;
	int rc = may_be_made(nets, spec, &err);

	if (rc == 0) {
		make_begin(nets, spec, done, arg);
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->done = done;
	r->arg = arg;
	network_reply(nets, refuse, r, rc, &err);
}

struct removal {
	engine_done done;
	void *arg;
};

static void removal_answer(void *arg, int status, const struct engine_network *n,
			   const struct err *e)
{
	struct removal *r = arg;

	(void)n;
	r->done(r->arg, status, e);
	free(r);
}

static void remove_end(struct net_op *op)
{
	struct make *m = container_of(op, struct make, op);
	struct engine_network_live *net = op->net;

	m->status = op->job.status;
	m->err = op->job.err;
	if (m->status < 0) {
		net->state = NETWORK_READY;
		net->up = false;
	} else {
		network_store_delete(net);
		network_tell(net, "destroy", NULL);
		hostnet_drop(net);
	}
	make_answer(m, net);
}

static int may_be_removed(const struct networks *nets, const char *ref,
			  struct engine_network_live **ret, struct err *e)
{
	struct engine_network_live *net;
	int rc = hostnet_resolve(nets, ref, &net, e);

	if (rc < 0)
		return rc;
	if (net->predefined)
		return err_set(e, -EPERM, "%s is a pre-defined network and cannot be removed",
			       net->pub.name);
	if (!hostnet_is(net, "bridge"))
		return err_set(e, -EPERM, "the network %s is the cluster's: a manager removes it",
			       net->pub.name);
	if (net->state == NETWORK_REMOVING)
		return err_set(e, -EBUSY, "the network %s is being removed already", net->pub.name);
	/* What is leaving is waited for: it is before us in the network's queue. */
	if (net->endpoints > net->leaving)
		return err_set(e, -EBUSY,
			       "error while removing network: network %s has active endpoints",
			       net->pub.name);
	*ret = net;
	return 0;
}

void engine_network_remove(struct engine *e, const char *ref, engine_done done, void *arg)
{
	struct networks *nets = engine_networks_of(e);
	struct engine_network_live *net = NULL;
	struct err err = ERR_INIT;
	struct removal *r;
	struct make *m;
	int rc = may_be_removed(nets, ref, &net, &err);

	if (rc < 0) {
		network_reply(nets, done, arg, rc, &err);
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->done = done;
	r->arg = arg;
	m = xcalloc(1, sizeof *m);
	m->done = removal_answer;
	m->arg = r;
	net->state = NETWORK_REMOVING;
	take_away_start(m, net, remove_end);
}

/* The gateway bridge */

void network_waiters_end(struct networks *nets, int status, const struct err *e)
{
	struct network_waiter *w = TAKE_PTR(nets->gateway_waiters), *next;

	for (; w; w = next) {
		next = w->next;
		w->cb(w->arg, status, e);
		free(w);
	}
}

static void gateway_made(void *arg, int status, const struct engine_network *n, const struct err *e)
{
	(void)n;
	network_waiters_end(arg, status, e);
}

/* Its own device for each daemon of a host: those of other bridges' names are told apart by it. */
static void gateway_device(const struct networks *nets, char ret[NET_IFNAME_MAX])
{
	const char *bridge = engine_config_of(nets->engine)->bridge;

	if (!bridge || strcmp(bridge, "shoal0") == 0 || strcmp(bridge, "none") == 0)
		(void)snprintf(ret, NET_IFNAME_MAX, "%s", NETWORK_GATEWAY);
	else
		(void)snprintf(ret, NET_IFNAME_MAX, "gw-%s", nets->tag);
}

static void gateway_make(struct networks *nets)
{
	struct network_spec spec = {.name = (char *)(uintptr_t)NETWORK_GATEWAY};
	char device[NET_IFNAME_MAX];
	struct engine_network_live *net;

	gateway_device(nets, device);
	strmap_set(&spec.options, OPTION_BRIDGE_NAME, device);
	strmap_set(&spec.options, OPTION_ICC, "false");
	strmap_set(&spec.options, OPTION_MASQUERADE, "true");
	net = make_begin(nets, &spec, gateway_made, nets);
	net->predefined = true;
	strmap_done(&spec.options);
}

bool network_gateway_want(struct networks *nets, network_gateway_cb *cb, void *arg)
{
	struct engine_network_live *net = hostnet_by_name(nets, NETWORK_GATEWAY);
	struct network_waiter *w;

	if (net && net->state == NETWORK_READY)
		return true;
	w = xcalloc(1, sizeof *w);
	w->cb = cb;
	w->arg = arg;
	w->next = nets->gateway_waiters;
	nets->gateway_waiters = w;
	if (!net)
		gateway_make(nets);
	return false;
}
