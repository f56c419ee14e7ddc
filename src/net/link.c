/*
 * Reading links and the messages all devices have in common; see link.h. Internal to net.
 */
#include "net/link.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/id.h"

#include "net/netns.h"

#define OPER_UP 6      /* IF_OPER_UP: linux/if.h cannot stand beside net/if.h */
#define LINK_UP_MS 200 /* how long a link's other end is waited for */

static void parse_vxlan(const struct nlattr *data, struct link *l)
{
	const struct nlattr *a[IFLA_VXLAN_MAX + 1];
	uint16_t port;

	nl_parse(nl_data(data), nl_len(data), a, IFLA_VXLAN_MAX);
	port = nl_u16(a[IFLA_VXLAN_PORT]);
	l->vni = nl_u32(a[IFLA_VXLAN_ID]);
	l->vxlan_port = (uint16_t)(port >> 8 | port << 8);
	l->vxlan_local =
		nl_ip(a[IFLA_VXLAN_LOCAL] != NULL ? a[IFLA_VXLAN_LOCAL] : a[IFLA_VXLAN_LOCAL6]);
}

static int link_parse(const struct nlmsghdr *m, struct link *l)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(m);
	const struct nlattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	size_t head = NLMSG_SPACE(sizeof(*ifi));

	if (m->nlmsg_type != RTM_NEWLINK || m->nlmsg_len < head)
		return -EBADMSG;
	*l = (struct link){.index = ifi->ifi_index, .flags = ifi->ifi_flags};
	nl_parse((const char *)m + head, m->nlmsg_len - head, a, IFLA_MAX);
	l->master = (int)nl_u32(a[IFLA_MASTER]);
	l->peer = (int)nl_u32(a[IFLA_LINK]);
	l->mtu = nl_u32(a[IFLA_MTU]);
	l->operstate = nl_u8(a[IFLA_OPERSTATE]);
	nl_str(a[IFLA_IFNAME], l->name, sizeof(l->name));
	nl_str(a[IFLA_IFALIAS], l->alias, sizeof(l->alias));
	if (a[IFLA_ADDRESS] != NULL && nl_len(a[IFLA_ADDRESS]) == sizeof(l->mac))
		memcpy(&l->mac, nl_data(a[IFLA_ADDRESS]), sizeof(l->mac));
	if (a[IFLA_LINKINFO] == NULL)
		return 0;
	nl_parse(nl_data(a[IFLA_LINKINFO]), nl_len(a[IFLA_LINKINFO]), info, IFLA_INFO_MAX);
	nl_str(info[IFLA_INFO_KIND], l->kind, sizeof(l->kind));
	if (strcmp(l->kind, "vxlan") == 0 && info[IFLA_INFO_DATA] != NULL)
		parse_vxlan(info[IFLA_INFO_DATA], l);
	return 0;
}

static int parse_one(void *arg, const struct nlmsghdr *m)
{
	return m != NULL ? link_parse(m, arg) : 0;
}

static int get(int nl, int index, const char *name, struct link *ret, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_index = index};
	auto_batch b;
	struct link l = {0};
	int rc;

	nl_batch_init(&b);
	nl_begin(&b, "read a link", ENODEV, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	if (name != NULL)
		nl_attr_str(&b, IFLA_IFNAME, name);
	nl_attr_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	nl_end(&b);
	rc = nl_get(nl, &b, parse_one, &l, e);
	if (rc < 0)
		return rc;
	if (l.index == 0)
		return -ENODEV;
	*ret = l;
	return 0;
}

int link_get(int nl, const char *name, struct link *ret, struct err *e)
{
	return get(nl, 0, name, ret, e);
}

int link_get_index(int nl, int index, struct link *ret, struct err *e)
{
	return get(nl, index, NULL, ret, e);
}

struct each {
	link_fn fn;
	void *arg;
};

static int each_message(void *arg, const struct nlmsghdr *m)
{
	struct each *each = arg;
	struct link l;

	if (m == NULL)
		return each->fn(each->arg, NULL);
	return link_parse(m, &l) < 0 ? 0 : each->fn(each->arg, &l);
}

int link_each(int nl, link_fn fn, void *arg, struct err *e)
{
	struct each each = {fn, arg};
	struct ifinfomsg ifi = {0};
	auto_batch b;

	nl_batch_init(&b);
	nl_begin(&b, "list the links", 0, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	nl_attr_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	nl_end(&b);
	return nl_dump(nl, &b, each_message, &each, e);
}

int link_name_check(const char *name, struct err *e)
{
	size_t n = name != NULL ? strlen(name) : 0;

	if (n == 0 || n >= IF_NAMESIZE || name[0] == '.' || name[0] == '-' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != n)
		return err_set(e, -EINVAL,
			       "\"%s\" is no name of a network interface: 1 to %d letters, digits, "
			       "'_', '.' or '-'",
			       name != NULL ? name : "", IF_NAMESIZE - 1);
	return 0;
}

void link_alias(const struct net_host *h, const char *kind, const char *id,
		char ret[LINK_ALIAS_MAX])
{
	snprintf(ret, LINK_ALIAS_MAX, "shoal:%s:%s:%s", h->tag, kind, id);
}

const char *link_alias_id(const struct net_host *h, const char *kind, const char *alias)
{
	char prefix[LINK_ALIAS_MAX];
	size_t n;

	link_alias(h, kind, "", prefix);
	n = strlen(prefix);
	return strncmp(alias, prefix, n) == 0 ? alias + n : NULL;
}

void link_add_begin(struct nl_batch *b, const char *what, int tolerate, const char *name)
{
	struct ifinfomsg ifi = {0};

	nl_begin(b, what, tolerate, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));
	nl_attr_str(b, IFLA_IFNAME, name);
}

void link_set_begin(struct nl_batch *b, const char *what, int index, const char *name,
		    unsigned flags)
{
	struct ifinfomsg ifi = {.ifi_index = index, .ifi_flags = flags, .ifi_change = flags};

	nl_begin(b, what, 0, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	if (index == 0)
		nl_attr_str(b, IFLA_IFNAME, name);
}

void link_del(struct nl_batch *b, int index)
{
	struct ifinfomsg ifi = {.ifi_index = index};

	nl_begin(b, "remove a link", ENODEV, RTM_DELLINK, 0, &ifi, sizeof(ifi));
	nl_end(b);
}

/*
 * The kernel waits for all its processors at each removal, some ten milliseconds; of a group of
 * devices it removes all with one wait. The group is a random one, for this call alone.
 */
int link_delete(int nl, const int *indexes, unsigned count, struct err *e)
{
	uint32_t group = (uint32_t)random_u64() | 0x80000000u;
	struct ifinfomsg ifi = {0};
	auto_batch b;
	int rc = 0;

	nl_batch_init(&b);
	if (count == 1)
		link_del(&b, indexes[0]);
	for (unsigned i = 0; count > 1 && i < count && rc == 0; i++) {
		ifi.ifi_index = indexes[i];
		nl_begin(&b, "group links for removal", ENODEV, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
		nl_attr_u32(&b, IFLA_GROUP, group);
		nl_end(&b);
		rc = nl_send_if_full(nl, &b, e);
	}
	if (rc == 0 && count > 1) {
		ifi.ifi_index = 0;
		nl_begin(&b, "remove links", ENODEV, RTM_DELLINK, 0, &ifi, sizeof(ifi));
		nl_attr_u32(&b, IFLA_GROUP, group);
		nl_end(&b);
	}
	return rc < 0 ? rc : nl_send(nl, &b, e);
}

static bool is_up(int nl, int index)
{
	struct link l;

	/* A kernel from 6.8 on catches up by being asked. */
	return link_get_index(nl, index, &l, NULL) < 0 || l.operstate == OPER_UP;
}

void link_await_up(int netns_fd, int nl, int index)
{
	uint64_t end = clock_mono_ms() + LINK_UP_MS, now;
	auto_close int events = -1;
	int group = RTNLGRP_LINK;
	char drain[8192];

	if (is_up(nl, index) || nl_open(netns_fd, NETLINK_ROUTE, &events, NULL) < 0 ||
	    setsockopt(events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return;
	while (!is_up(nl, index) && (now = clock_mono_ms()) < end) {
		struct pollfd p = {.fd = events, .events = POLLIN};

		if (poll(&p, 1, (int)(end - now)) <= 0)
			return;
		(void)recv(events, drain, sizeof(drain), MSG_DONTWAIT);
	}
}

void link_no_ip6_autoconf(struct nl_batch *b)
{
	nl_nest(b, IFLA_AF_SPEC);
	nl_nest(b, AF_INET6);
	nl_attr_u8(b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nl_unnest(b);
	nl_unnest(b);
}

static int set_one(const char *name, const char *key, const char *value, struct err *e)
{
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "ipv6/conf/%s/%s", name, key);
	rc = sysctl_write(path, value, e);
	return rc == -ENOENT ? 0 : rc; /* a kernel without IPv6 has nothing to switch off */
}

int link_ip6_set(const char *name, bool on, struct err *e)
{
	int rc;

	if (!on)
		return set_one(name, "disable_ipv6", "1", e);
	rc = set_one(name, "accept_ra", "0", e);
	/* MACs, and so link-local addresses, are unique: no second of silence to find that out. */
	if (rc == 0)
		rc = set_one(name, "accept_dad", "0", e);
	return rc < 0 ? rc : set_one(name, "disable_ipv6", "0", e);
}
