/*
 * Addresses and routes of links; see link.h. Internal to net.
 */
#include <linux/rtnetlink.h>
#include <string.h>

#include "net/link.h"

static void addr_begin(struct nl_batch *b, const char *what, int tolerate, uint16_t type,
		       uint16_t flags, int index, const struct net_prefix *p)
{
	struct ifaddrmsg ifa = {
		.ifa_family = p->ip.family,
		.ifa_prefixlen = p->len,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = (unsigned)index,
		/* The managers hand addresses out once: waiting for a duplicate only delays. */
		.ifa_flags = p->ip.family == AF_INET6 ? IFA_F_NODAD : 0,
	};

	nl_begin(b, what, tolerate, type, flags, &ifa, sizeof(ifa));
	nl_attr_ip(b, IFA_LOCAL, &p->ip);
	nl_attr_ip(b, IFA_ADDRESS, &p->ip);
}

void link_addr_add(struct nl_batch *b, int index, const struct net_prefix *p)
{
	struct net_prefix broadcast = *p;

	addr_begin(b, "give an address to a link", 0, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE,
		   index, p);
	if (p->ip.family == AF_INET && p->len < 31) {
		for (unsigned bit = p->len; bit < 32; bit++)
			broadcast.ip.b[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
		nl_attr_ip(b, IFA_BROADCAST, &broadcast.ip);
	}
	nl_end(b);
}

struct others {
	struct nl_batch *b; /* the removals */
	int index;
	uint8_t family;
	const struct net_prefix *keep;
};

static int drop_other(void *arg, const struct nlmsghdr *m)
{
	struct others *o = arg;
	const struct ifaddrmsg *ifa;
	const struct nlattr *a[IFA_MAX + 1];
	struct net_prefix p;
	size_t head = NLMSG_SPACE(sizeof(*ifa));

	if (m == NULL || m->nlmsg_type != RTM_NEWADDR || m->nlmsg_len < head)
		return 0;
	ifa = NLMSG_DATA(m);
	nl_parse((const char *)m + head, m->nlmsg_len - head, a, IFA_MAX);
	p.ip = nl_ip(a[IFA_LOCAL] != NULL ? a[IFA_LOCAL] : a[IFA_ADDRESS]);
	p.len = ifa->ifa_prefixlen;
	if ((int)ifa->ifa_index != o->index || p.ip.family != o->family ||
	    ifa->ifa_scope == RT_SCOPE_LINK)
		return 0;
	if (p.len == o->keep->len && net_ip_equal(&p.ip, &o->keep->ip))
		return 0;
	addr_begin(o->b, "take an address from a link", EADDRNOTAVAIL, RTM_DELADDR, 0, o->index,
		   &p);
	nl_end(o->b);
	return 0;
}

int link_addr_only(int nl, int index, uint8_t family, const struct net_prefix *keep, struct err *e)
{
	struct ifaddrmsg ifa = {.ifa_family = family, .ifa_index = (unsigned)index};
	auto_batch b, removals;
	struct others o = {.b = &removals, .index = index, .family = family, .keep = keep};
	int rc;

	nl_batch_init(&b);
	nl_batch_init(&removals);
	nl_begin(&b, "list a link's addresses", EAFNOSUPPORT, RTM_GETADDR, 0, &ifa, sizeof(ifa));
	nl_end(&b);
	rc = nl_dump(nl, &b, drop_other, &o, e);
	return rc < 0 ? rc : nl_send(nl, &removals, e);
}

void link_default_route(struct nl_batch *b, int index, const struct net_ip *gateway)
{
	struct rtmsg rt = {
		.rtm_family = gateway->family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};

	nl_begin(b, "set the default route", 0, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &rt,
		 sizeof(rt));
	nl_attr_ip(b, RTA_GATEWAY, gateway);
	nl_attr_u32(b, RTA_OIF, (uint32_t)index);
	nl_end(b);
}
