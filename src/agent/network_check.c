/*
 * What a container asks of networks when it is made: its mode and the networks named beside it are
 * resolved to ids, and what is not there is refused by its name. See agent/network.h.
 */
#include <string.h>

#include "agent/networks.h"

static void networks_empty(struct container *c)
{
	table_done(&networking_config_table, &c->networks);
}

static struct endpoint_settings *network_put(struct container *c,
					     const struct engine_network_live *net)
{
	struct endpoint_settings *s = MAP_PUT(&c->networks.endpoints, net->pub.name);

	str_set(&s->network, net->pub.id);
	return s;
}

/* A task's: addresses come from the managers. */
static int task_networks(struct networks *nets, struct container *c,
			 const struct engine_endpoint *endpoints, size_t n, struct err *e)
{
	networks_empty(c);
	for (size_t i = 0; i < n; i++) {
		struct engine_network_live *net;
		struct endpoint_settings *s;
		struct net_prefix p;
		char text[NET_IP_TEXT];
		int rc = hostnet_resolve(nets, endpoints[i].network, &net, e);

		if (rc < 0)
			return rc;
		s = network_put(c, net);
		STRS_EACH (alias, &endpoints[i].aliases)
			strs_add(&s->aliases, alias);
		STRS_EACH (addr, &endpoints[i].addresses) {
			if (net_prefix_parse(addr, &p) < 0)
				return err_set(e, -EINVAL, "invalid address \"%.60s\"", addr);
			if (!s->ipam)
				s->ipam = xcalloc(1, sizeof *s->ipam);
			str_set(p.ip.family == AF_INET ? &s->ipam->ip4 : &s->ipam->ip6,
				net_ip_format(&p.ip, text));
		}
		if (i == 0)
			str_set(&c->host.network_mode, net->pub.name);
	}
	return 0;
}

static int address_check(const struct engine_network_live *net, const char *text, int at,
			 struct err *e)
{
	struct net_ip ip;

	if (!text || !*text)
		return 0;
	if (net_ip_parse(text, &ip) < 0 || FAMILY_AT(ip.family) != at)
		return err_set(e, -EINVAL, "invalid IPv%d address: %.60s", at ? 6 : 4, text);
	if (!net->dns)
		return err_set(e, -EINVAL,
			       "user specified IP address is supported on user defined networks "
			       "only");
	if (!net->pools[at])
		return err_set(e, -EINVAL, "network %s has no IPv%d subnet", net->pub.name,
			       at ? 6 : 4);
	if (!net_prefix_contains(addr_pool_subnet(net->pools[at]), &ip))
		return err_set(e, -EINVAL, "no configured subnet contains IP address %s", text);
	if (net_ip_equal(&ip, &net->gateway[at].ip))
		return err_set(e, -EINVAL, "%s is the gateway of network %s", text, net->pub.name);
	return 0;
}

static int settings_check(const struct engine_network_live *net, const struct endpoint_settings *s,
			  struct err *e)
{
	struct net_mac mac;
	int rc = 0;

	if (s->links.n)
		return err_set(e, -ENOSYS, "links between containers are not supported");
	if (s->driver_opts.n)
		return err_set(e, -ENOSYS, "the endpoint option %.100s is not supported",
			       s->driver_opts.v[0].key);
	if (s->ipam && s->ipam->link_local.n)
		return err_set(e, -ENOSYS, "link-local addresses of endpoints are not supported");
	if (s->aliases.n && !net->dns)
		return err_set(e, -EINVAL,
			       "network-scoped alias is supported only for containers in user "
			       "defined networks");
	if (s->mac_address && *s->mac_address && net_mac_parse(s->mac_address, &mac) < 0)
		return err_set(e, -EINVAL, "invalid MAC address: %.40s", s->mac_address);
	if (s->ipam)
		rc = address_check(net, s->ipam->ip4, 0, e);
	if (rc == 0 && s->ipam)
		rc = address_check(net, s->ipam->ip6, 1, e);
	return rc;
}

/* A user's names become networks, each under its own name. */
static int names_resolve(struct networks *nets, struct container *c, struct err *e)
{
	struct networking_config asked = c->networks;
	int rc = 0;

	c->networks = (struct networking_config){0};
	for (size_t i = 0; rc == 0 && i < asked.endpoints.n; i++) {
		struct endpoint_settings *from = &asked.endpoints.v[i].value, *to;
		const char *key = asked.endpoints.v[i].key;
		struct engine_network_live *net;

		rc = hostnet_resolve(nets, strcmp(key, "default") == 0 ? "bridge" : key, &net, e);
		if (rc < 0)
			break;
		if (MAP_GET(&c->networks.endpoints, net->pub.name)) {
			rc = err_set(e, -EINVAL, "network %s is named twice", net->pub.name);
			break;
		}
		to = network_put(c, net);
		table_done(&endpoint_settings_table, to);
		*to = *from;
		*from = (struct endpoint_settings){0};
		str_set(&to->network, net->pub.id);
	}
	table_done(&networking_config_table, &asked);
	return rc;
}

static int alone_check(const struct container *c, const char *mode, struct err *e)
{
	if (c->networks.endpoints.n > 1)
		return err_set(e, -EINVAL,
			       "container cannot be connected to other networks beside \"%s\"",
			       mode);
	return 0;
}

static int mode_resolve(struct networks *nets, struct container *c, struct err *e)
{
	const char *mode = c->host.network_mode ? c->host.network_mode : "";
	struct engine_network_live *net;
	int rc;

	if (strncmp(mode, "container:", 10) == 0)
		return err_set(e, -ENOSYS,
			       "sharing the network of another container is not supported");
	if (!*mode || strcmp(mode, "default") == 0)
		mode = "bridge";
	rc = hostnet_resolve(nets, mode, &net, e);
	if (rc < 0)
		return rc;
	str_set(&c->host.network_mode, net->pub.name);
	if (!MAP_GET(&c->networks.endpoints, net->pub.name))
		(void)network_put(c, net);
	return hostnet_is(net, "host") || hostnet_is(net, "null") ? alone_check(c, net->pub.name, e)
								  : 0;
}

static int networks_check(struct networks *nets, struct container *c, struct err *e)
{
	const struct networking_config *w = &c->networks;

	for (size_t i = 0; i < w->endpoints.n; i++) {
		const struct endpoint_settings *s = &w->endpoints.v[i].value;
		const struct engine_network_live *net = hostnet_find(nets, s->network);
		int rc;

		if (hostnet_is(net, "overlay"))
			return err_set(e, -ENOSYS,
				       "attaching a single container to the overlay network %s is "
				       "not supported; make a service",
				       net->pub.name);
		if (strcmp(net->pub.name, c->host.network_mode) != 0 &&
		    (hostnet_is(net, "host") || hostnet_is(net, "null")))
			return err_set(e, -EINVAL,
				       "container cannot be connected to other networks beside "
				       "\"%s\"",
				       net->pub.name);
		rc = settings_check(net, s, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What stands in HostConfig. */
static int host_check(const struct container *c, struct err *e)
{
	struct net_ip ip;
	bool gateway;
	size_t n;

	if (c->host.links.n)
		return err_set(e, -ENOSYS, "links between containers are not supported");
	if (network_ports_check(c, e) < 0)
		return e->code;
	STRS_EACH (server, &c->host.dns)
		if (net_ip_parse(server, &ip) < 0)
			return err_set(e, -EINVAL, "invalid DNS server: %.60s is not an IP address",
				       server);
	STRS_EACH (extra, &c->host.extra_hosts) {
		int rc = extra_host_parse(extra, &ip, &gateway, &n, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The older way of naming a MAC address: it is the mode's network's. */
static void mac_move(struct container *c)
{
	struct endpoint_settings *s = MAP_GET(&c->networks.endpoints, c->host.network_mode);

	if (s && c->config.mac_address && *c->config.mac_address &&
	    (!s->mac_address || !*s->mac_address))
		str_set(&s->mac_address, c->config.mac_address);
}

int network_container_check(struct engine *e, struct container *c,
			    const struct engine_endpoint *endpoints, size_t n, struct err *err)
{
	struct networks *nets = engine_networks_of(e);
	int rc = host_check(c, err);

	if (rc == 0 && n > 0)
		return task_networks(nets, c, endpoints, n, err);
	if (rc == 0)
		rc = names_resolve(nets, c, err);
	if (rc == 0)
		rc = mode_resolve(nets, c, err);
	if (rc < 0)
		return rc;
	mac_move(c);
	return networks_check(nets, c, err);
}

bool network_container_has_dns(struct engine *e, const struct container *c)
{
	const struct networking_config *w = &c->networks;

	for (size_t i = 0; i < w->endpoints.n; i++) {
		const char *id = w->endpoints.v[i].value.network;
		const struct engine_network_live *net =
			id ? hostnet_find(engine_networks_of(e), id) : NULL;

		if (net && net->dns)
			return true;
	}
	return false;
}
