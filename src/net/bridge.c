/*
 * Bridge networks in the host's namespace; see bridge.h. Order matters: the rules stand before the
 * device may forward anything, and they go only after it is gone.
 */
#include "net/bridge.h"

#include <dirent.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "net/link.h"
#include "net/netns.h"
#include "net/nft.h"

#define MTU_DEFAULT 1500 /* bytes */

void net_bridge_name(const char *id, char ret[NET_IFNAME_MAX])
{
	snprintf(ret, NET_IFNAME_MAX, "br-%.12s", id);
}

static int check(const struct net_host *h, const struct net_bridge *b, struct err *e)
{
	int rc = net_host_check(h, e);

	if (rc < 0)
		return rc;
	rc = link_name_check(b->name, e);
	if (rc < 0)
		return rc;
	if (b->ip4.ip.family != 0 && (b->ip4.ip.family != AF_INET || b->ip4.len > 32))
		return err_set(e, -EINVAL, "bridge %s: the IPv4 gateway is none", b->name);
	if (b->ip6.ip.family != 0 && (b->ip6.ip.family != AF_INET6 || b->ip6.len > 128))
		return err_set(e, -EINVAL, "bridge %s: the IPv6 gateway is none", b->name);
	return 0;
}

/* 0 and the link (index 0: there is none yet), -EEXIST: it is another's. */
static int find_own(const struct net_host *h, const struct net_bridge *b, int nl, struct link *ret,
		    struct err *e)
{
	int rc = link_get(nl, b->name, ret, e);
	const char *id;

	if (rc == -ENODEV) {
		*ret = (struct link){0};
		return 0;
	}
	if (rc < 0)
		return rc;
	id = link_alias_id(h, "bridge", ret->alias);
	if (strcmp(ret->kind, "bridge") != 0 || id == NULL || strcmp(id, b->id) != 0)
		return err_set(e, -EEXIST,
			       "a network interface %s exists already and is not this network's; "
			       "remove it or choose another name",
			       b->name);
	return 0;
}

static void add_device(struct nl_batch *batch, const struct net_bridge *b)
{
	struct net_mac mac = net_mac_from_ip(b->ip4.ip.family != 0 ? &b->ip4.ip : &b->ip6.ip);

	link_add_begin(batch, "create a bridge", 0, b->name);
	/* A fixed one: otherwise it changes with the ports, and neighbours lose their entry. */
	if (b->ip4.ip.family != 0 || b->ip6.ip.family != 0)
		nl_attr(batch, IFLA_ADDRESS, &mac, sizeof(mac));
	nl_nest(batch, IFLA_LINKINFO);
	nl_attr_str(batch, IFLA_INFO_KIND, "bridge");
	nl_unnest(batch);
	nl_end(batch);
}

static int make_device(const struct net_host *h, const struct net_bridge *b, int nl, struct link *l,
		       struct err *e)
{
	char alias[LINK_ALIAS_MAX];
	auto_batch batch;
	int rc;

	nl_batch_init(&batch);
	if (l->index == 0)
		add_device(&batch, b);
	link_alias(h, "bridge", b->id, alias);
	link_set_begin(&batch, "set up a bridge", l->index, b->name, 0);
	nl_attr(&batch, IFLA_IFALIAS, alias, strlen(alias));
	nl_attr_u32(&batch, IFLA_GROUP, LINK_GROUP);
	nl_attr_u32(&batch, IFLA_MTU, b->mtu != 0 ? b->mtu : MTU_DEFAULT);
	nl_end(&batch);
	rc = nl_send(nl, &batch, e);
	return rc < 0 ? rc : link_get(nl, b->name, l, e);
}

static int set_addresses(const struct net_bridge *b, int nl, int index, struct err *e)
{
	auto_batch batch;
	int rc = link_addr_only(nl, index, AF_INET, &b->ip4, e);

	nl_batch_init(&batch);
	if (rc == 0)
		rc = link_addr_only(nl, index, AF_INET6, &b->ip6, e);
	if (rc < 0)
		return rc;
	link_set_begin(&batch, "bring up a bridge", index, b->name, IFF_UP);
	nl_end(&batch);
	if (b->ip4.ip.family != 0)
		link_addr_add(&batch, index, &b->ip4);
	if (b->ip6.ip.family != 0)
		link_addr_add(&batch, index, &b->ip6);
	return nl_send(nl, &batch, e);
}

/*
 * With forwarding on, the kernel ignores router advertisements unless accept_ra is 2: the host
 * would lose the IPv6 default route it has by them.
 */
static int keep_host_routes(struct err *e)
{
	DIR *dir = opendir("/proc/sys/net/ipv6/conf");
	struct dirent *d;
	char path[300];
	int rc = 0;

	while (dir != NULL && rc == 0 && (d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || strcmp(d->d_name, "all") == 0)
			continue;
		snprintf(path, sizeof(path), "ipv6/conf/%s/accept_ra", d->d_name);
		if (sysctl_read(path) == 1)
			rc = sysctl_write(path, "2", e);
		if (rc == -ENOENT) /* the interface went away meanwhile */
			rc = 0;
	}
	if (dir != NULL)
		closedir(dir);
	return rc;
}

static int forward_on(const struct net_host *h, const struct net_bridge *b, struct err *e)
{
	int rc = 0;

	if (b->ip4.ip.family != 0 && sysctl_read("ipv4/ip_forward") == 0) {
		if (h->forward_guard)
			rc = nft_guard_add(h, e);
		if (rc == 0)
			rc = sysctl_write("ipv4/ip_forward", "1", e);
	}
	if (rc == 0 && b->ip6.ip.family != 0 && sysctl_read("ipv6/conf/all/forwarding") == 0) {
		if (h->forward_guard)
			rc = nft_guard_add(h, e);
		if (rc == 0)
			rc = keep_host_routes(e);
		if (rc == 0)
			rc = sysctl_write("ipv6/conf/all/forwarding", "1", e);
	}
	return rc == -ENOENT ? err_set(e, rc, "this kernel cannot forward between networks") : rc;
}

int net_bridge_create(const struct net_host *h, const struct net_bridge *b, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	auto_close int nl = -1;
	struct link l;
	int rc = check(h, b, e);

	if (rc == 0)
		rc = netns_enter(&visit, h->netns_fd, e);
	if (rc == 0)
		rc = nl_open(-1, NETLINK_ROUTE, &nl, e);
	if (rc == 0)
		rc = find_own(h, b, nl, &l, e);
	if (rc == 0)
		rc = nft_bridge_add(h, b, l.index == 0, e);
	if (rc == 0)
		rc = make_device(h, b, nl, &l, e);
	if (rc == 0)
		rc = link_ip6_set(b->name, b->ip6.ip.family != 0, e);
	if (rc == 0)
		rc = set_addresses(b, nl, l.index, e);
	if (rc == 0 && !b->internal)
		rc = forward_on(h, b, e);
	return rc < 0 ? err_wrap(e, "cannot make the network's bridge %s", b->name) : 0;
}

int net_bridge_remove(const struct net_host *h, const struct net_bridge *b, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	auto_close int nl = -1;
	struct link l;
	int rc = check(h, b, e);

	if (rc == 0)
		rc = netns_enter(&visit, h->netns_fd, e);
	if (rc == 0)
		rc = nl_open(-1, NETLINK_ROUTE, &nl, e);
	if (rc == 0)
		rc = find_own(h, b, nl, &l, e);
	if (rc == -EEXIST)
		return 0;
	if (rc == 0 && l.index != 0)
		rc = link_delete(nl, &l.index, 1, e);
	if (rc == 0)
		rc = nft_bridge_remove(h, b, e);
	return rc < 0 ? err_wrap(e, "cannot remove the network's bridge %s", b->name) : 0;
}
