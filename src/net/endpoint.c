/*
 * Endpoints; see endpoint.h. The pair is made in one netlink batch, its inner end at once in the
 * container's namespace under its last name: there is no moment at which half of it exists.
 */
#include "net/endpoint.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>

#include "net/link.h"
#include "net/netns.h"
#include "net/segment.h"

#define ENDPOINT_PREFIX 7 /* characters of the id in the host end's name */

struct pair {
	struct link outer, inner; /* index 0: not there */
};

void net_endpoint_name(const char *id, char ret[NET_IFNAME_MAX])
{
	snprintf(ret, NET_IFNAME_MAX, "veth%.*s", ENDPOINT_PREFIX, id);
}

static int check(const struct net_host *h, const struct net_endpoint *ep, struct err *e)
{
	int rc = net_host_check(h, e);

	if (rc < 0)
		return rc;
	if (ep->id == NULL || strlen(ep->id) < ENDPOINT_PREFIX || strlen(ep->id) > 64 ||
	    strspn(ep->id, "0123456789abcdefghijklmnopqrstuvwxyz") != strlen(ep->id))
		return err_set(e, -EINVAL, "\"%.80s\" is no endpoint id",
			       ep->id != NULL ? ep->id : "");
	if ((ep->ip4.ip.family != 0 && ep->ip4.ip.family != AF_INET) ||
	    (ep->ip6.ip.family != 0 && ep->ip6.ip.family != AF_INET6))
		return err_set(e, -EINVAL, "endpoint %.12s has an address of the wrong family",
			       ep->id);
	return link_name_check(ep->ifname, e);
}

static struct net_mac mac_of(const struct net_endpoint *ep)
{
	if (!net_mac_is_zero(&ep->mac))
		return ep->mac;
	return net_mac_from_ip(ep->ip4.ip.family != 0 ? &ep->ip4.ip : &ep->ip6.ip);
}

/* The host end if it is ours; index 0: none. */
static int find_outer(const struct net_host *h, int nl, const char *id, struct link *ret,
		      struct err *e)
{
	char name[NET_IFNAME_MAX];
	const char *owner;
	int rc;

	net_endpoint_name(id, name);
	rc = link_get(nl, name, ret, e);
	if (rc == -ENODEV) {
		*ret = (struct link){0};
		return 0;
	}
	if (rc < 0)
		return rc;
	owner = link_alias_id(h, "endpoint", ret->alias);
	if (owner == NULL || strcmp(owner, id) != 0)
		return err_set(e, -EEXIST, "the network interface %s belongs to something else",
			       name);
	return 0;
}

static int find_inner(int nl, const char *name, struct link *ret, struct err *e)
{
	int rc = link_get(nl, name, ret, e);

	if (rc == -ENODEV)
		*ret = (struct link){0};
	return rc == -ENODEV ? 0 : rc;
}

static bool is_whole(const struct pair *p, const struct net_mac *mac)
{
	return p->outer.index != 0 && p->inner.index != 0 && strcmp(p->inner.kind, "veth") == 0 &&
	       p->outer.peer == p->inner.index && p->inner.peer == p->outer.index &&
	       memcmp(&p->inner.mac, mac, sizeof(*mac)) == 0;
}

static void add_pair(struct nl_batch *b, const struct net_endpoint *ep, const char *name,
		     unsigned mtu)
{
	struct net_mac mac = mac_of(ep);
	struct ifinfomsg ifi = {0};

	link_add_begin(b, "create a veth pair", 0, name);
	nl_attr_u32(b, IFLA_MTU, mtu);
	nl_nest(b, IFLA_LINKINFO);
	nl_attr_str(b, IFLA_INFO_KIND, "veth");
	nl_nest(b, IFLA_INFO_DATA);
	nl_nest(b, VETH_INFO_PEER);
	nl_raw(b, &ifi, sizeof(ifi));
	nl_attr_str(b, IFLA_IFNAME, ep->ifname);
	nl_attr(b, IFLA_ADDRESS, &mac, sizeof(mac));
	nl_attr_u32(b, IFLA_MTU, mtu);
	nl_attr_u32(b, IFLA_NET_NS_FD, (uint32_t)ep->netns_fd);
	nl_unnest(b);
	nl_unnest(b);
	nl_unnest(b);
	nl_end(b);
}

/* The second message may set what needs the port to be one, so there are two after the pair. */
static void set_outer(struct nl_batch *b, const struct net_host *h, const struct net_endpoint *ep,
		      const char *name, const struct link *bridge, unsigned mtu)
{
	char alias[LINK_ALIAS_MAX];

	link_alias(h, "endpoint", ep->id, alias);
	link_set_begin(b, "set up an endpoint's host end", 0, name, IFF_UP);
	nl_attr(b, IFLA_IFALIAS, alias, strlen(alias));
	nl_attr_u32(b, IFLA_MTU, mtu);
	link_no_ip6_autoconf(b);
	nl_attr_u32(b, IFLA_MASTER, (uint32_t)bridge->index);
	nl_end(b);
	link_set_begin(b, "set up an endpoint's bridge port", 0, name, 0);
	nl_nest(b, IFLA_LINKINFO);
	nl_attr_str(b, IFLA_INFO_SLAVE_KIND, "bridge");
	nl_nest(b, IFLA_INFO_SLAVE_DATA);
	nl_attr_u8(b, IFLA_BRPORT_ISOLATED, ep->isolated);
	nl_unnest(b);
	nl_unnest(b);
	nl_end(b);
}

static int set_inner(const struct net_endpoint *ep, int nl, unsigned mtu, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	auto_batch b;
	struct link inner;
	int rc = netns_enter(&visit, ep->netns_fd, e);

	nl_batch_init(&b);
	/* Before it is up: no address by itself, no router that a neighbour names. */
	if (rc == 0)
		rc = link_ip6_set(ep->ifname, ep->ip6.ip.family != 0, e);
	if (rc == 0)
		rc = link_get(nl, ep->ifname, &inner, e);
	/* First: with an old address the kernel drops those of its subnet, and the routes. */
	if (rc == 0)
		rc = link_addr_only(nl, inner.index, AF_INET, &ep->ip4, e);
	if (rc == 0)
		rc = link_addr_only(nl, inner.index, AF_INET6, &ep->ip6, e);
	if (rc < 0)
		return rc;
	link_set_begin(&b, "bring up the loopback", 0, "lo", IFF_UP);
	nl_end(&b);
	link_set_begin(&b, "bring up an endpoint", inner.index, ep->ifname, IFF_UP);
	nl_attr_u32(&b, IFLA_MTU, mtu);
	nl_end(&b);
	if (ep->ip4.ip.family != 0)
		link_addr_add(&b, inner.index, &ep->ip4);
	if (ep->ip6.ip.family != 0)
		link_addr_add(&b, inner.index, &ep->ip6);
	if (ep->gateway4.family != 0)
		link_default_route(&b, inner.index, &ep->gateway4);
	if (ep->gateway6.family != 0)
		link_default_route(&b, inner.index, &ep->gateway6);
	return nl_send(nl, &b, e);
}

/* Finds the pair; what is only half of one, or another's, is out of the way after this. */
static int find_pair(const struct net_host *h, const struct net_endpoint *ep, int nl, int nl_inner,
		     struct pair *ret, struct err *e)
{
	struct net_mac mac = mac_of(ep);
	int rc = find_outer(h, nl, ep->id, &ret->outer, e);

	if (rc == 0)
		rc = find_inner(nl_inner, ep->ifname, &ret->inner, e);
	if (rc < 0 || is_whole(ret, &mac))
		return rc;
	if (ret->outer.index != 0) {
		rc = link_delete(nl, &ret->outer.index, 1, e);
		ret->outer.index = 0;
		if (rc == 0)
			rc = find_inner(nl_inner, ep->ifname, &ret->inner, e);
	}
	if (rc == 0 && ret->inner.index != 0)
		return err_set(e, -EEXIST, "the container has another interface named %s",
			       ep->ifname);
	return rc;
}

static int find_bridge(const struct net_segment *s, int nl, struct link *ret, struct err *e)
{
	const char *name = s->bridge != NULL ? s->bridge : OVERLAY_BRIDGE;
	int rc = link_get(nl, name, ret, e);

	if (rc == -ENODEV || (rc == 0 && strcmp(ret->kind, "bridge") != 0))
		return err_set(e, -ENODEV, "the bridge %s is not there", name);
	return rc;
}

static int connect_pair(const struct net_host *h, const struct net_segment *s,
			const struct net_endpoint *ep, struct err *e)
{
	auto_segment seg = SEGMENT_INIT;
	auto_close int nl_inner = -1;
	auto_batch b;
	char name[NET_IFNAME_MAX];
	struct link bridge;
	struct pair pair;
	unsigned mtu;
	int rc = segment_open(h, s, &seg, e);

	nl_batch_init(&b);
	if (rc == 0)
		rc = nl_open(ep->netns_fd, NETLINK_ROUTE, &nl_inner, e);
	if (rc == 0)
		rc = find_bridge(s, seg.nl, &bridge, e);
	if (rc == 0)
		rc = find_pair(h, ep, seg.nl, nl_inner, &pair, e);
	if (rc < 0)
		return rc;
	mtu = ep->mtu != 0 ? ep->mtu : bridge.mtu;
	net_endpoint_name(ep->id, name);
	if (pair.outer.index == 0)
		add_pair(&b, ep, name, mtu);
	set_outer(&b, h, ep, name, &bridge, mtu);
	rc = nl_send(seg.nl, &b, e);
	if (rc == 0)
		rc = set_inner(ep, nl_inner, mtu, e);
	if (rc == 0)
		rc = find_outer(h, seg.nl, ep->id, &pair.outer, e);
	if (rc < 0)
		return rc;
	link_await_up(seg.netns >= 0 ? seg.netns : h->netns_fd, seg.nl, pair.outer.index);
	link_await_up(seg.netns >= 0 ? seg.netns : h->netns_fd, seg.nl, bridge.index);
	return 0;
}

int net_endpoint_create(const struct net_host *h, const struct net_segment *s,
			const struct net_endpoint *ep, struct net_mac *ret_mac, struct err *e)
{
	int rc = check(h, ep, e);

	if (rc == 0)
		rc = connect_pair(h, s, ep, e);
	if (rc < 0)
		return err_wrap(e, "cannot connect endpoint %.12s to %s",
				ep->id != NULL ? ep->id : "",
				s->bridge != NULL ? s->bridge : "its overlay network");
	if (ret_mac != NULL)
		*ret_mac = mac_of(ep);
	return 0;
}

int net_endpoint_remove(const struct net_host *h, const struct net_segment *s, const char *id,
			struct err *e)
{
	struct net_endpoint ep = {.id = id, .ifname = "eth0"};
	auto_segment seg = SEGMENT_INIT;
	struct link outer;
	int rc = check(h, &ep, e);

	if (rc == 0)
		rc = segment_open(h, s, &seg, e);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = find_outer(h, seg.nl, id, &outer, e);
	if (rc == -EEXIST)
		return 0;
	if (rc == 0 && outer.index != 0)
		rc = link_delete(seg.nl, &outer.index, 1, e);
	return rc < 0 ? err_wrap(e, "cannot disconnect endpoint %.12s", id) : 0;
}

static int take_counters(void *arg, const struct nlmsghdr *m)
{
	const struct nlattr *a[IFLA_MAX + 1];
	struct net_counters *c = arg;
	struct rtnl_link_stats64 st;
	size_t head = NLMSG_SPACE(sizeof(struct ifinfomsg));

	if (m == NULL || m->nlmsg_type != RTM_NEWLINK || m->nlmsg_len < head)
		return 0;
	nl_parse((const char *)m + head, m->nlmsg_len - head, a, IFLA_MAX);
	memset(&st, 0, sizeof(st));
	if (a[IFLA_STATS64] != NULL)
		memcpy(&st, nl_data(a[IFLA_STATS64]), MIN_OF(sizeof(st), nl_len(a[IFLA_STATS64])));
	*c = (struct net_counters){
		.rx_bytes = st.rx_bytes,
		.rx_packets = st.rx_packets,
		.rx_errors = st.rx_errors,
		.rx_dropped = st.rx_dropped,
		.tx_bytes = st.tx_bytes,
		.tx_packets = st.tx_packets,
		.tx_errors = st.tx_errors,
		.tx_dropped = st.tx_dropped,
	};
	return 0;
}

int net_counters_read(int netns_fd, const char *ifname, struct net_counters *ret, struct err *e)
{
	struct ifinfomsg ifi = {0};
	struct net_counters c = {0};
	auto_close int nl = -1;
	auto_batch b;
	int rc = link_name_check(ifname, e);

	nl_batch_init(&b);
	if (rc == 0)
		rc = nl_open(netns_fd, NETLINK_ROUTE, &nl, e);
	if (rc < 0)
		return rc;
	nl_begin(&b, "read a link's counters", 0, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	nl_attr_str(&b, IFLA_IFNAME, ifname);
	nl_end(&b);
	rc = nl_get(nl, &b, take_counters, &c, e);
	if (rc == 0)
		*ret = c;
	return rc;
}
