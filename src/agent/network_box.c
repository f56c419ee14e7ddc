/*
 * Containers and their endpoints in memory: which addresses they hold, under which names they are
 * found. Nothing here blocks. See networks.h.
 */
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/log.h"

struct net_box *box_find(const struct networks *nets, const char *container)
{
	struct net_box *box;

	HASH_FIND_STR(nets->boxes, container, box);
	return box;
}

struct net_box *box_get(struct networks *nets, const char *container)
{
	struct net_box *box = box_find(nets, container);

	if (box)
		return box;
	box = xcalloc(1, sizeof *box);
	(void)snprintf(box->id, sizeof box->id, "%s", container);
	box->nets = nets;
	HASH_ADD_STR(nets->boxes, id, box);
	return box;
}

struct net_ep *box_add(struct net_box *box, struct engine_network_live *net, const char *id)
{
	struct net_ep *ep = xcalloc(1, sizeof *ep);

	(void)snprintf(ep->id, sizeof ep->id, "%s", id);
	ep->box = box;
	ep->net = net;
	net->endpoints++;
	*LIST_ADD(&box->eps) = ep;
	return ep;
}

static void ep_unname(struct net_ep *ep)
{
	if (ep->named)
		names_remove(&ep->net->names, &ep->holder);
	ep->named = false;
	name_holder_done(&ep->holder);
}

static void ep_free(struct net_ep *ep)
{
	ep_unname(ep);
	ep->net->endpoints--;
	free(ep);
}

void ep_release(struct net_ep *ep)
{
	struct engine_network_live *net = ep->net;

	for (size_t i = 0; i < ARRAY_LEN(ep->ip); i++)
		if (ep->ip[i].ip.family && net->pools[i])
			(void)addr_pool_drop(net->pools[i], &ep->ip[i].ip);
	network_store_delete_endpoint(net->nets, ep->id);
	ep_free(ep);
	overlay_settle(net);
}

void box_free(struct net_box *box)
{
	LIST_EACH (ep, &box->eps)
		ep_free(*ep);
	box_ports_drop(box);
	HASH_DEL(box->nets->boxes, box);
	free(box->eps.v);
	free(box);
}

/* Addresses */

static struct net_prefix with_length(const struct net_ip *ip, const struct engine_network_live *net)
{
	struct net_prefix p, ret = {.ip = *ip, .len = (uint8_t)(net_ip_size(ip->family) * 8)};

	LIST_EACH (c, &net->pub.ipam.config)
		if (c->subnet && net_prefix_parse(c->subnet, &p) == 0 &&
		    net_prefix_contains(&p, ip))
			ret.len = p.len;
	return ret;
}

static const char *static_address(const struct endpoint_settings *s, int at)
{
	if (!s->ipam)
		return NULL;
	return at == 0 ? s->ipam->ip4 : s->ipam->ip6;
}

/* The one asked for, else the one it had, else the next. */
static int pool_take(struct net_ep *ep, int at, const struct endpoint_settings *s, struct err *e)
{
	const char *fixed = static_address(s, at), *had = at == 0 ? s->ip : s->ip6;
	struct addr_pool *pool = ep->net->pools[at];
	struct net_ip ip;

	if (fixed && *fixed) {
		if (net_ip_parse(fixed, &ip) < 0)
			return err_set(e, -EINVAL, "invalid address \"%.60s\"", fixed);
		if (!addr_pool_take(pool, &ip))
			return err_set(e, -EADDRINUSE, "Address already in use: %s in network %s",
				       fixed, ep->net->pub.name);
	} else if (!(had && *had && net_ip_parse(had, &ip) == 0 && addr_pool_take(pool, &ip)) &&
		   !addr_pool_next(pool, &ip)) {
		return err_set(e, -ENOSPC,
			       "no available %s addresses on this network's address pools: %s (%s)",
			       at == 0 ? "IPv4" : "IPv6", ep->net->pub.name, ep->net->pub.id);
	}
	ep->ip[at] = with_length(&ip, ep->net);
	return 0;
}

/* The managers have counted. */
static int overlay_take(struct net_ep *ep, int at, const struct endpoint_settings *s, struct err *e)
{
	const char *fixed = static_address(s, at);
	struct net_ip ip;

	if (!fixed || !*fixed)
		return 0;
	if (net_ip_parse(fixed, &ip) < 0)
		return err_set(e, -EINVAL, "invalid address \"%.60s\"", fixed);
	ep->ip[at] = with_length(&ip, ep->net);
	return 0;
}

static int ep_address(struct net_ep *ep, const struct endpoint_settings *s, struct err *e)
{
	int rc = 0;

	for (int at = 0; rc == 0 && at < 2; at++) {
		if (ep->net->pools[at])
			rc = pool_take(ep, at, s, e);
		else if (hostnet_is(ep->net, "overlay"))
			rc = overlay_take(ep, at, s, e);
	}
	if (rc == 0 && s->mac_address && *s->mac_address &&
	    net_mac_parse(s->mac_address, &ep->mac) < 0)
		rc = err_set(e, -EINVAL, "invalid MAC address \"%.40s\"", s->mac_address);
	return rc;
}

/* Reserving */

struct wish {
	struct engine_network_live *net;
	const struct endpoint_settings *settings;
	const char *name;
	bool first; /* the network of the container's mode */
};

static int wish_order(const void *pa, const void *pb)
{
	const struct wish *a = pa, *b = pb;

	if (a->first != b->first)
		return a->first ? -1 : 1;
	return strcmp(a->name, b->name);
}

static bool has_endpoints(const struct engine_network_live *net)
{
	return hostnet_is(net, "bridge") || hostnet_is(net, "overlay");
}

/* What the container wants, in the order of its ethN; free the array. */
static int wishes_of(const struct networks *nets, const struct container *c, struct wish **ret,
		     size_t *ret_n, struct err *e)
{
	const struct networking_config *w = &c->networks;
	struct wish *v = xcalloc(w->endpoints.n + 1, sizeof *v);
	size_t n = 0;

	for (size_t i = 0; i < w->endpoints.n; i++) {
		const struct endpoint_settings *s = &w->endpoints.v[i].value;
		struct engine_network_live *net =
			s->network ? hostnet_find(nets, s->network) : NULL;
		const char *mode = c->host.network_mode ? c->host.network_mode : "";

		if (!net || net->state != NETWORK_READY) {
			free(v);
			return err_set(e, -ENOENT, "network %s not found", w->endpoints.v[i].key);
		}
		if (has_endpoints(net))
			v[n++] = (struct wish){net, s, net->pub.name,
					       strcmp(mode, net->pub.name) == 0 ||
						       strcmp(mode, net->pub.id) == 0};
	}
	qsort(v, n, sizeof *v, wish_order);
	*ret = v;
	*ret_n = n;
	return 0;
}

static bool leads_out(const struct engine_network_live *net)
{
	return hostnet_is(net, "bridge") && !net->pub.spec.internal;
}

static bool wishes_need_gateway(const struct wish *v, size_t n)
{
	bool overlay = false;

	for (size_t i = 0; i < n; i++) {
		if (leads_out(v[i].net))
			return false;
		overlay |= hostnet_is(v[i].net, "overlay") && !v[i].net->pub.spec.internal;
	}
	return overlay;
}

bool container_needs_gateway(const struct networks *nets, const struct container *c)
{
	struct wish *v;
	size_t n;
	bool needs;

	if (wishes_of(nets, c, &v, &n, NULL) < 0)
		return false;
	needs = wishes_need_gateway(v, n);
	free(v);
	return needs;
}

/* The default route goes by the highest priority, then by the first that leads out. */
static void gateway_choose(struct net_box *box, const struct container *c)
{
	struct net_ep *best = NULL;
	int64_t best_priority = INT64_MIN;

	LIST_EACH (at, &box->eps) {
		struct endpoint_settings *s = settings_of(c, (*at)->net->pub.id);
		int64_t priority = s ? s->gw_priority : 0;

		if (!leads_out((*at)->net) || priority <= best_priority)
			continue;
		best = *at;
		best_priority = priority;
	}
	if (best)
		best->gateway = true;
}

static int box_fill(struct net_box *box, const struct container *c, const struct wish *v, size_t n,
		    struct err *e)
{
	struct endpoint_settings none = {0};
	struct engine_network_live *out;
	char id[ID_HOST_LEN + 1];
	struct net_ep *ep;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		id_host(id);
		ep = box_add(box, v[i].net, id);
		ep->index = (int64_t)i;
		rc = ep_address(ep, v[i].settings, e);
	}
	if (rc == 0 && wishes_need_gateway(v, n)) {
		out = hostnet_by_name(box->nets, NETWORK_GATEWAY);
		if (!out || out->state != NETWORK_READY)
			return err_set(e, -EAGAIN, "the network " NETWORK_GATEWAY " is not there");
		id_host(id);
		ep = box_add(box, out, id);
		ep->index = (int64_t)n;
		ep->hidden = true;
		rc = ep_address(ep, &none, e);
	}
	if (rc < 0)
		return rc;
	gateway_choose(box, c);
	LIST_EACH (at, &box->eps)
		if (rc == 0)
			rc = network_store_put_endpoint(*at, e);
	return rc;
}

/* Whether what it has is what it wants. */
static bool box_fits(const struct net_box *box, const struct wish *v, size_t n)
{
	size_t shown = 0;

	LIST_EACH (ep, &box->eps) {
		if ((*ep)->hidden)
			continue;
		if (shown >= n || v[shown].net != (*ep)->net)
			return false;
		shown++;
	}
	return shown == n;
}

static void box_release(struct net_box *box)
{
	while (box->eps.n)
		ep_release(box->eps.v[--box->eps.n]);
	box_free(box);
}

int box_reserve(struct networks *nets, const struct container *c, struct net_box **ret,
		struct err *e)
{
	struct net_box *box = box_find(nets, c->id);
	struct wish *v;
	size_t n;
	int rc = wishes_of(nets, c, &v, &n, e);

	if (rc < 0)
		return rc;
	if (box && !box_fits(box, v, n)) {
		free(v);
		return err_set(e, -EBUSY, "container %.12s still has its endpoints of before",
			       c->id);
	}
	if (!box) {
		box = box_get(nets, c->id);
		rc = box_fill(box, c, v, n, e);
		if (rc < 0)
			box_release(box);
	}
	free(v);
	if (rc == 0)
		rc = box_ports_hold(box, c, e);
	if (rc == 0)
		*ret = box;
	return rc;
}

/* What inspect shows */

struct endpoint_settings *settings_of(const struct container *c, const char *network)
{
	for (size_t i = 0; i < c->networks.endpoints.n; i++) {
		struct endpoint_settings *s = &c->networks.endpoints.v[i].value;

		if (s->network && strcmp(s->network, network) == 0)
			return s;
	}
	return NULL;
}

static struct net_mac mac_of(const struct net_ep *ep)
{
	if (!net_mac_is_zero(&ep->mac))
		return ep->mac;
	return net_mac_from_ip(ep->ip[0].ip.family ? &ep->ip[0].ip : &ep->ip[1].ip);
}

static void show(const struct net_ep *ep, struct endpoint_settings *s)
{
	struct net_mac mac = mac_of(ep);
	char text[NET_IP_TEXT], mac_text[NET_MAC_TEXT];
	bool routed = !ep->net->pub.spec.internal;

	str_set(&s->endpoint, ep->id);
	str_set(&s->ip, net_ip_format(&ep->ip[0].ip, text));
	s->ip_prefix = ep->ip[0].ip.family ? ep->ip[0].len : 0;
	str_set(&s->ip6, net_ip_format(&ep->ip[1].ip, text));
	s->ip6_prefix = ep->ip[1].ip.family ? ep->ip[1].len : 0;
	str_set(&s->gateway, routed ? net_ip_format(&ep->net->gateway[0].ip, text) : "");
	str_set(&s->gateway6, routed ? net_ip_format(&ep->net->gateway[1].ip, text) : "");
	str_set(&s->mac_address, net_mac_format(&mac, mac_text));
}

/* A MAC that follows from the address goes with it; the user's own stays for the next start. */
static void hide(struct endpoint_settings *s)
{
	struct net_mac mac, derived;
	struct net_ip ip;

	if (s->mac_address && net_mac_parse(s->mac_address, &mac) == 0 &&
	    (net_ip_parse(s->ip ? s->ip : "", &ip) == 0 ||
	     net_ip_parse(s->ip6 ? s->ip6 : "", &ip) == 0)) {
		derived = net_mac_from_ip(&ip);
		if (memcmp(&mac, &derived, sizeof mac) == 0)
			str_set(&s->mac_address, "");
	}
	str_set(&s->endpoint, "");
	str_set(&s->ip, "");
	str_set(&s->ip6, "");
	str_set(&s->gateway, "");
	str_set(&s->gateway6, "");
	s->ip_prefix = s->ip6_prefix = 0;
}

void box_show(const struct net_box *box, struct container *c)
{
	box_ports_show(box, c);
	for (size_t i = 0; !box && i < c->networks.endpoints.n; i++)
		hide(&c->networks.endpoints.v[i].value);
	for (size_t i = 0; box && i < box->eps.n; i++) {
		struct endpoint_settings *s = settings_of(c, box->eps.v[i]->net->pub.id);

		if (s && !box->eps.v[i]->hidden)
			show(box->eps.v[i], s);
	}
}

/* Names */

static void ep_name(struct net_ep *ep, const struct container *c)
{
	struct endpoint_settings *s = settings_of(c, ep->net->pub.id);
	char id[13];

	ep_unname(ep);
	if (!ep->net->dns || !s)
		return;
	strs_done(&s->dns_names);
	(void)snprintf(id, sizeof id, "%.12s", c->id);
	name_holder_name(&ep->holder, c->name);
	STRS_EACH (alias, &s->aliases)
		name_holder_name(&ep->holder, alias);
	name_holder_name(&ep->holder, id);
	name_holder_name(&ep->holder, c->config.hostname);
	STRS_EACH (name, &ep->holder.names)
		strs_add(&s->dns_names, name);
	for (size_t i = 0; i < ARRAY_LEN(ep->ip); i++)
		if (ep->ip[i].ip.family)
			*LIST_ADD(&ep->holder.ips) = ep->ip[i].ip;
	ep->holder.ptr = xasprintf("%s.%s", c->name, ep->net->pub.name);
	ep->holder.live = true;
	network_name_add(&ep->net->names, &ep->holder);
	ep->named = true;
}

void box_names_add(struct net_box *box, const struct container *c)
{
	LIST_EACH (ep, &box->eps)
		if (hostnet_is((*ep)->net, "bridge")) /* those of overlays come with the tables */
			ep_name(*ep, c);
}

void box_names_remove(struct net_box *box)
{
	LIST_EACH (ep, &box->eps)
		ep_unname(*ep);
}
