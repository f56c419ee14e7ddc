/*
 * The host's own addresses and routes; see probe.h. Read-only. Used for choosing pools, MTUs and
 * the address to advertise.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/link.h"
#include "net/netns.h"
#include "net/probe.h"

struct local_addr {
	int index;
	struct net_prefix p;
	uint8_t scope;
	uint32_t flags;
};

struct local_route {
	int index; /* 0: several ways out */
	struct net_prefix to;
	uint32_t priority;
};

#define LOCAL_MAX 4096 /* addresses, routes or links of a host that are looked at */

struct local {
	struct local_addr *addrs;
	struct local_route *routes;
	struct link *links;
	size_t addr_count, route_count, link_count;
	size_t addr_cap, route_cap, link_cap;
};

static void local_done(struct local *l)
{
	free(l->addrs);
	free(l->routes);
	free(l->links);
}

#define auto_local CLEANUP(local_done) struct local

static int room(void **v, size_t *cap, size_t count, size_t size)
{
	if (count == LOCAL_MAX)
		return -E2BIG;
	if (count == *cap) {
		*cap = *cap > 0 ? *cap * 2 : 32;
		*v = xreallocarray(*v, *cap, size);
	}
	return 0;
}

static int take_link(void *arg, const struct link *link)
{
	struct local *l = arg;
	int rc;

	if (link == NULL) {
		l->link_count = 0;
		return 0;
	}
	rc = room((void **)&l->links, &l->link_cap, l->link_count, sizeof(*l->links));
	if (rc == 0)
		l->links[l->link_count++] = *link;
	return rc;
}

static int take_addr(void *arg, const struct nlmsghdr *m)
{
	struct local *l = arg;
	const struct nlattr *a[IFA_MAX + 1];
	const struct ifaddrmsg *ifa;
	struct local_addr addr = {0};
	size_t head = NLMSG_SPACE(sizeof(*ifa));
	int rc;

	if (m == NULL) {
		l->addr_count = 0;
		return 0;
	}
	if (m->nlmsg_type != RTM_NEWADDR || m->nlmsg_len < head)
		return 0;
	ifa = NLMSG_DATA(m);
	nl_parse((const char *)m + head, m->nlmsg_len - head, a, IFA_MAX);
	addr.index = (int)ifa->ifa_index;
	addr.p.ip = nl_ip(a[IFA_LOCAL] != NULL ? a[IFA_LOCAL] : a[IFA_ADDRESS]);
	addr.p.len = ifa->ifa_prefixlen;
	addr.scope = ifa->ifa_scope;
	addr.flags = a[IFA_FLAGS] != NULL ? nl_u32(a[IFA_FLAGS]) : ifa->ifa_flags;
	if (addr.p.ip.family == 0)
		return 0;
	rc = room((void **)&l->addrs, &l->addr_cap, l->addr_count, sizeof(*l->addrs));
	if (rc == 0)
		l->addrs[l->addr_count++] = addr;
	return rc;
}

/* Also what an administrator routes to nowhere is not free for a pool. */
static bool is_taken(const struct rtmsg *rt)
{
	return rt->rtm_type == RTN_UNICAST || rt->rtm_type == RTN_BLACKHOLE ||
	       rt->rtm_type == RTN_UNREACHABLE || rt->rtm_type == RTN_PROHIBIT;
}

static int take_route(void *arg, const struct nlmsghdr *m)
{
	struct local *l = arg;
	const struct nlattr *a[RTA_MAX + 1];
	const struct rtmsg *rt;
	struct local_route r = {0};
	size_t head = NLMSG_SPACE(sizeof(*rt));
	int rc;

	if (m == NULL) {
		l->route_count = 0;
		return 0;
	}
	if (m->nlmsg_type != RTM_NEWROUTE || m->nlmsg_len < head)
		return 0;
	rt = NLMSG_DATA(m);
	nl_parse((const char *)m + head, m->nlmsg_len - head, a, RTA_MAX);
	if (!is_taken(rt) || (rt->rtm_flags & RTM_F_CLONED) || net_ip_size(rt->rtm_family) == 0)
		return 0;
	r.index = (int)nl_u32(a[RTA_OIF]);
	r.to.ip = nl_ip(a[RTA_DST]);
	r.to.ip.family = rt->rtm_family;
	r.to.len = rt->rtm_dst_len;
	r.priority = nl_u32(a[RTA_PRIORITY]);
	rc = room((void **)&l->routes, &l->route_cap, l->route_count, sizeof(*l->routes));
	if (rc == 0)
		l->routes[l->route_count++] = r;
	return rc;
}

static int read_addrs(int nl, struct local *l, struct err *e)
{
	struct ifaddrmsg ifa = {0};
	auto_batch b;

	nl_batch_init(&b);
	nl_begin(&b, "list the host's addresses", 0, RTM_GETADDR, 0, &ifa, sizeof(ifa));
	nl_end(&b);
	return nl_dump(nl, &b, take_addr, l, e);
}

static int read_routes(int nl, struct local *l, struct err *e)
{
	struct rtmsg rt = {0};
	auto_batch b;

	nl_batch_init(&b);
	nl_begin(&b, "list the host's routes", 0, RTM_GETROUTE, 0, &rt, sizeof(rt));
	nl_end(&b);
	return nl_dump(nl, &b, take_route, l, e);
}

static int local_read(const struct net_host *h, struct local *l, struct err *e)
{
	auto_close int nl = -1;
	int rc = nl_open(h->netns_fd, NETLINK_ROUTE, &nl, e);

	if (rc == 0)
		rc = link_each(nl, take_link, l, e);
	if (rc == 0)
		rc = read_addrs(nl, l, e);
	if (rc == 0)
		rc = read_routes(nl, l, e);
	return rc;
}

static const struct link *link_of(const struct local *l, int index)
{
	for (size_t i = 0; i < l->link_count; i++)
		if (l->links[i].index == index)
			return &l->links[i];
	return NULL;
}

struct subnets {
	struct net_prefix *v;
	size_t count, max;
};

static int subnets_add(struct subnets *s, const struct net_prefix *p)
{
	struct net_prefix subnet = net_prefix_subnet(p);

	for (size_t i = 0; i < s->count; i++)
		if (s->v[i].len == subnet.len && net_ip_equal(&s->v[i].ip, &subnet.ip))
			return 0;
	if (s->count == s->max)
		return -E2BIG;
	s->v[s->count++] = subnet;
	return 0;
}

static bool counts(const struct net_host *h, const struct local *l, int index)
{
	const struct link *link = link_of(l, index);

	return link == NULL ||
	       (!(link->flags & IFF_LOOPBACK) && link_alias_id(h, "bridge", link->alias) == NULL);
}

int net_host_subnets(const struct net_host *h, struct net_prefix *ret, size_t max, struct err *e)
{
	struct subnets s = {ret, 0, max};
	auto_local l = {0};
	int rc = net_host_check(h, e);

	if (rc == 0)
		rc = local_read(h, &l, e);
	for (size_t i = 0; i < l.addr_count && rc == 0; i++)
		if (counts(h, &l, l.addrs[i].index) && !net_ip_is_link_local(&l.addrs[i].p.ip))
			rc = subnets_add(&s, &l.addrs[i].p);
	for (size_t i = 0; i < l.route_count && rc == 0; i++)
		if (l.routes[i].to.len > 0 && counts(h, &l, l.routes[i].index) &&
		    !net_ip_is_link_local(&l.routes[i].to.ip))
			rc = subnets_add(&s, &l.routes[i].to);
	if (rc == -E2BIG)
		return err_set(e, rc, "the host has more than %zu routes", max);
	return rc < 0 ? rc : (int)s.count;
}

/* The default route of the lowest metric, IPv4 before IPv6. */
static int default_index(const struct local *l)
{
	const struct local_route *best = NULL;

	for (size_t i = 0; i < l->route_count; i++) {
		const struct local_route *r = &l->routes[i];

		if (r->to.len != 0 || r->index == 0)
			continue;
		if (best == NULL || r->to.ip.family < best->to.ip.family ||
		    (r->to.ip.family == best->to.ip.family && r->priority < best->priority))
			best = r;
	}
	return best != NULL ? best->index : 0;
}

int net_uplink_mtu(const struct net_host *h, const struct net_ip *ip, unsigned *ret, struct err *e)
{
	auto_local l = {0};
	const struct link *link;
	char text[NET_IP_TEXT];
	int index = 0, rc = net_host_check(h, e);

	if (rc == 0)
		rc = local_read(h, &l, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < l.addr_count && ip->family != 0 && index == 0; i++)
		if (net_ip_equal(&l.addrs[i].p.ip, ip))
			index = l.addrs[i].index;
	if (ip->family == 0)
		index = default_index(&l);
	link = link_of(&l, index);
	if (link == NULL && ip->family != 0)
		return err_set(e, -EADDRNOTAVAIL, "%s is no address of this host",
			       net_ip_format(ip, text));
	if (link == NULL)
		return err_set(e, -EADDRNOTAVAIL, "this host has no default route");
	*ret = link->mtu;
	return 0;
}

static bool usable(const struct local_addr *a)
{
	return a->scope == RT_SCOPE_UNIVERSE && !net_ip_is_loopback(&a->p.ip) &&
	       !(a->flags & (IFA_F_TENTATIVE | IFA_F_DEPRECATED | IFA_F_DADFAILED));
}

/* Whether containers hang on it: then it is no way to other hosts. */
static bool is_for_containers(const struct link *link)
{
	return strncmp(link->alias, "shoal:", 6) == 0 || strcmp(link->name, "docker0") == 0 ||
	       strcmp(link->name, "docker_gwbridge") == 0 ||
	       (strcmp(link->kind, "bridge") == 0 && strncmp(link->name, "br-", 3) == 0);
}

/*
 * The only usable address of `link` (NULL: of the whole host), IPv4 before IPv6. Of several, the
 * sentence lists all.
 */
static int choose(const struct local *l, const struct link *only, const char *flag,
		  struct net_ip *ret, struct err *e)
{
	for (int family = AF_INET;; family = AF_INET6) {
		auto_buf list = BUF_INIT(ERR_MSG_MAX / 2);
		const struct local_addr *found = NULL;
		int count = 0;

		for (size_t i = 0; i < l->addr_count; i++) {
			const struct local_addr *a = &l->addrs[i];
			const struct link *link = link_of(l, a->index);
			char text[NET_IP_TEXT];

			if (a->p.ip.family != family || !usable(a) || link == NULL ||
			    !(link->flags & IFF_UP) || (only != NULL && link != only) ||
			    (only == NULL && is_for_containers(link)))
				continue;
			buf_addf(&list, "%s%s on %s", count++ > 0 ? ", " : "",
				 net_ip_format(&a->p.ip, text), link->name);
			found = a;
		}
		if (count == 1)
			*ret = found->p.ip;
		if (count == 1)
			return 0;
		if (count > 1)
			return err_set(e, -ENOTUNIQ,
				       "could not choose an IP address to advertise since %s has "
				       "multiple addresses (%s) - specify one with %s",
				       only != NULL ? only->name : "this system", buf_text(&list),
				       flag);
		if (family == AF_INET6)
			return err_set(e, -EADDRNOTAVAIL,
				       "could not find an IP address to advertise on %s - specify "
				       "one with %s",
				       only != NULL ? only->name : "this system", flag);
	}
}

int net_local_address(const struct net_host *h, const char *text, const char *flag,
		      struct net_ip *ret, struct err *e)
{
	auto_local l = {0};
	struct net_ip ip;
	int rc = net_host_check(h, e);

	if (rc < 0)
		return rc;
	if (text != NULL && text[0] != '\0' && net_ip_parse(text, &ip) == 0) {
		*ret = ip;
		return 0;
	}
	rc = local_read(h, &l, e);
	if (rc < 0)
		return rc;
	if (text == NULL || text[0] == '\0')
		return choose(&l, NULL, flag, ret, e);
	for (size_t i = 0; i < l.link_count; i++)
		if (strcmp(l.links[i].name, text) == 0)
			return choose(&l, &l.links[i], flag, ret, e);
	return err_set(e, -EINVAL, "%s: \"%s\" is neither an address nor an interface of this host",
		       flag, text);
}
