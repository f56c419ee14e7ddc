/*
 * One network of this host in memory: its addresses, what its options mean, how it is found, and
 * making its devices. See networks.h.
 */
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/clock.h"
#include "base/log.h"

struct engine_network_live *hostnet_new(struct networks *nets, const char *id, const char *name,
					const char *driver, const char *scope)
{
	struct engine_network_live *net = xcalloc(1, sizeof *net);

	net->nets = nets;
	net->pub.id = xstrdup(id);
	net->pub.name = xstrdup(name);
	net->pub.driver = xstrdup(driver);
	net->pub.scope = xstrdup(scope);
	net->pub.live = net;
	HASH_ADD_KEYPTR(hh, nets->nets, net->pub.id, strlen(net->pub.id), net);
	return net;
}

static void pools_free(struct engine_network_live *net)
{
	for (size_t i = 0; i < ARRAY_LEN(net->pools); i++) {
		addr_pool_free(TAKE_PTR(net->pools[i]));
		net->gateway[i] = (struct net_prefix){0};
	}
}

void hostnet_free(struct engine_network_live *net)
{
	pools_free(net);
	overlay_table_free(net->table);
	names_done(&net->names);
	table_done(&engine_network_table, &net->pub);
	free(net);
}

void hostnet_drop(struct engine_network_live *net)
{
	HASH_DEL(net->nets->nets, net);
	net->dropped = true;
	if (!net->running && !net->first)
		hostnet_free(net);
}

bool hostnet_is(const struct engine_network_live *net, const char *driver)
{
	return strcmp(net->pub.driver, driver) == 0;
}

static int pool_configure(struct engine_network_live *net, struct ipam_pool *config, struct err *e)
{
	struct net_prefix gateway;
	struct addr_pool *pool;
	char text[NET_IP_TEXT];
	int at, rc;

	rc = addr_pool_of(&pool, config, &gateway, e);
	if (rc < 0)
		return rc;
	at = FAMILY_AT(gateway.ip.family);
	if (net->pools[at]) {
		addr_pool_free(pool);
		return err_set(e, -ENOSYS,
			       "several subnets of one address family in one network "
			       "are not supported");
	}
	net->pools[at] = pool;
	net->gateway[at] = gateway;
	if (!config->gateway || !*config->gateway)
		str_set(&config->gateway, net_ip_format(&gateway.ip, text));
	return 0;
}

int hostnet_configure(struct engine_network_live *net, struct err *e)
{
	int rc = 0;

	pools_free(net);
	if (hostnet_is(net, "bridge")) {
		rc = network_settings_read(&net->pub.spec, net->pub.id, &net->settings, e);
		net->dns = !net->predefined && strcmp(net->pub.name, NETWORK_GATEWAY) != 0;
		for (size_t i = 0; rc == 0 && i < net->pub.ipam.config.n; i++)
			rc = pool_configure(net, &net->pub.ipam.config.v[i], e);
	}
	return rc;
}

struct engine_network_live *hostnet_find(const struct networks *nets, const char *id)
{
	struct engine_network_live *net;

	HASH_FIND_STR(nets->nets, id, net);
	return net;
}

struct engine_network_live *hostnet_by_name(const struct networks *nets, const char *name)
{
	struct engine_network_live *net, *next;

	HASH_ITER (hh, nets->nets, net, next)
		if (strcmp(net->pub.name, name) == 0)
			return net;
	return NULL;
}

static bool is_shown(const struct engine_network_live *net)
{
	return net->state != NETWORK_MAKING;
}

int hostnet_resolve(const struct networks *nets, const char *ref, struct engine_network_live **ret,
		    struct err *e)
{
	struct engine_network_live *net = hostnet_find(nets, ref), *next, *found = NULL;
	size_t n = strlen(ref);

	if (!net || !is_shown(net))
		net = hostnet_by_name(nets, ref);
	if (net && is_shown(net)) {
		*ret = net;
		return 0;
	}
	HASH_ITER (hh, nets->nets, net, next) {
		if (n == 0 || !is_shown(net) || strncmp(net->pub.id, ref, n) != 0)
			continue;
		if (found)
			return err_set(e, -EINVAL,
				       "network %s is ambiguous: several ids begin with it", ref);
		found = net;
	}
	if (!found)
		return err_set(e, -ENOENT, "network %s not found", ref);
	*ret = found;
	return 0;
}

int engine_network_find(struct engine *e, const char *ref, const struct engine_network **ret,
			struct err *err)
{
	struct engine_network_live *net;
	int rc = hostnet_resolve(engine_networks_of(e), ref, &net, err);

	if (rc == 0)
		*ret = &net->pub;
	return rc;
}

const struct engine_network **engine_networks(struct engine *e, size_t *ret_n)
{
	struct networks *nets = engine_networks_of(e);
	const struct engine_network **v = xcalloc(HASH_COUNT(nets->nets) + 1, sizeof *v);
	struct engine_network_live *net, *next;

	*ret_n = 0;
	HASH_ITER (hh, nets->nets, net, next)
		if (is_shown(net))
			v[(*ret_n)++] = &net->pub;
	return v;
}

void network_tell(struct engine_network_live *net, const char *action, const char *container)
{
	struct strmap attributes = {0};
	struct engine_event ev = {.type = "network",
				  .action = action,
				  .id = net->pub.id,
				  .scope = net->pub.scope,
				  .time_ns = clock_wall_ns(),
				  .attributes = &attributes};

	strmap_set(&attributes, "name", net->pub.name);
	strmap_set(&attributes, "type", net->pub.driver);
	if (container)
		strmap_set(&attributes, "container", container);
	engine_event(net->nets->engine, &ev);
	strmap_done(&attributes);
}

/* Devices */

void hostnet_bridge(const struct engine_network_live *net, struct net_bridge *ret)
{
	*ret = (struct net_bridge){
		.id = net->pub.id,
		.name = net->settings.device,
		.ip4 = net->gateway[0],
		.ip6 = net->gateway[1],
		.mtu = net->settings.mtu,
		.internal = net->pub.spec.internal,
		.icc = net->settings.icc,
		.masquerade = net->settings.masquerade,
	};
}

struct raise_bridge {
	struct net_op op;
	char id[ID_HOST_LEN + 1];
	char device[NET_IFNAME_MAX];
	struct net_bridge bridge;
};

static void raise_bridge_run(struct net_op *op)
{
	struct raise_bridge *r = container_of(op, struct raise_bridge, op);

	op->job.status = net_bridge_create(&op->host, &r->bridge, &op->job.err);
}

static void raise_bridge_end(struct net_op *op)
{
	struct raise_bridge *r = container_of(op, struct raise_bridge, op);
	struct engine_network_live *net = op->net;

	net->raising = false;
	net->up = op->job.status == 0;
	net->up_err = op->job.err;
	if (!net->up && net->state == NETWORK_READY)
		log_error("network %s: %s", net->pub.name, err_text(&net->up_err));
	free(r);
}

static struct net_op *raise_bridge_op(struct engine_network_live *net)
{
	struct raise_bridge *r = xcalloc(1, sizeof *r);

	hostnet_bridge(net, &r->bridge);
	(void)snprintf(r->id, sizeof r->id, "%s", net->pub.id);
	memcpy(r->device, net->settings.device, sizeof r->device);
	r->bridge.id = r->id;
	r->bridge.name = r->device;
	r->op.run = raise_bridge_run;
	r->op.end = raise_bridge_end;
	return &r->op;
}

void hostnet_raise(struct engine_network_live *net)
{
	bool bridge = hostnet_is(net, "bridge");
	struct net_op *op;

	if (net->up || net->raising || (!bridge && !net->table))
		return;
	op = bridge ? raise_bridge_op(net) : overlay_raise_op(net);
	op->alone = true;
	net->raising = true;
	net_op_start(net->nets, net, op);
}
