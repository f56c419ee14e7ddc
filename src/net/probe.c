/*
 * Which network features this kernel has; see probe.h. Each is tried for real in a namespace of
 * its own that ends with the probe: a list of modules would tell neither what is built in nor what
 * a container host forbids.
 */
#include "net/probe.h"

#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <string.h>

#include "net/link.h"
#include "net/netns.h"
#include "net/nft.h"

/* Those that need a device below or parameters of their own get them from `fill`. */
static bool try_link(int nl, const char *kind, void (*fill)(struct nl_batch *), int below)
{
	auto_batch b;

	nl_batch_init(&b);
	link_add_begin(&b, "try a device", 0, "probe0");
	if (below != 0)
		nl_attr_u32(&b, IFLA_LINK, (uint32_t)below);
	nl_nest(&b, IFLA_LINKINFO);
	nl_attr_str(&b, IFLA_INFO_KIND, kind);
	if (fill != NULL) {
		nl_nest(&b, IFLA_INFO_DATA);
		fill(&b);
		nl_unnest(&b);
	}
	nl_unnest(&b);
	nl_end(&b);
	return nl_send(nl, &b, NULL) == 0;
}

static void drop_link(int nl, const char *name)
{
	struct link l;

	if (link_get(nl, name, &l, NULL) == 0)
		(void)link_delete(nl, &l.index, 1, NULL);
}

static bool probe_link(int nl, const char *kind, void (*fill)(struct nl_batch *), int below)
{
	bool ok = try_link(nl, kind, fill, below);

	drop_link(nl, "probe0");
	return ok;
}

static void fill_vxlan(struct nl_batch *b)
{
	nl_attr_u32(b, IFLA_VXLAN_ID, 1);
	nl_attr_u16(b, IFLA_VXLAN_PORT, 0xb512); /* 4789 in network order */
}

static void fill_veth(struct nl_batch *b)
{
	struct ifinfomsg ifi = {0};

	nl_nest(b, VETH_INFO_PEER);
	nl_raw(b, &ifi, sizeof(ifi));
	nl_attr_str(b, IFLA_IFNAME, "probe1");
	nl_unnest(b);
}

static void probe_links(int nl, struct net_features *f)
{
	f->bridge = probe_link(nl, "bridge", NULL, 0);
	f->vxlan = probe_link(nl, "vxlan", fill_vxlan, 0);
	f->dummy = probe_link(nl, "dummy", NULL, 0);
	f->wireguard = probe_link(nl, "wireguard", NULL, 0);
	f->veth = probe_link(nl, "veth", fill_veth, 0);
}

/* macvlan and ipvlan need a device to sit on. */
static void probe_stacked(int nl, struct net_features *f)
{
	auto_batch b;
	struct link below;

	nl_batch_init(&b);
	link_add_begin(&b, "try a device", 0, "probe2");
	nl_nest(&b, IFLA_LINKINFO);
	nl_attr_str(&b, IFLA_INFO_KIND, f->veth ? "veth" : "dummy");
	nl_unnest(&b);
	nl_end(&b);
	if (nl_send(nl, &b, NULL) < 0 || link_get(nl, "probe2", &below, NULL) < 0)
		return;
	f->macvlan = probe_link(nl, "macvlan", NULL, below.index);
	f->ipvlan = probe_link(nl, "ipvlan", NULL, below.index);
}

static void probe_nft(struct net_features *f)
{
	f->nftables =
		nft_run("add table inet probe\n"
			"add set inet probe s { type ipv4_addr; flags interval; }\n"
			"add chain inet probe p { type nat hook postrouting priority srcnat; }\n"
			"add rule inet probe p ip saddr @s masquerade\n"
			"add chain inet probe o { type nat hook output priority -100; }\n"
			"add rule inet probe o ip daddr 192.0.2.1 dnat ip to 192.0.2.2\n",
			NULL) == 0;
	f->nft_numgen =
		f->nftables && nft_run("add rule inet probe o ip daddr 192.0.2.3 dnat ip to "
				       "numgen inc mod 2 map { 0 : 192.0.2.4, 1 : 192.0.2.5 }\n",
				       NULL) == 0;
	f->conntrack = f->nftables && nft_run("add chain inet probe f { type filter hook forward "
					      "priority 0; }\n"
					      "add rule inet probe f ct state established accept\n",
					      NULL) == 0;
}

static int take_any(void *arg, const struct nlmsghdr *m)
{
	*(bool *)arg = m != NULL;
	return 0;
}

/* A generic netlink family of that name. The kernel loads its module for the question. */
static bool probe_family(const char *name)
{
	struct genlmsghdr g = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
	auto_close int fd = -1;
	bool found = false;
	auto_batch b;

	nl_batch_init(&b);
	if (nl_open(-1, NETLINK_GENERIC, &fd, NULL) < 0)
		return false;
	nl_begin(&b, "find a family", ENOENT, GENL_ID_CTRL, 0, &g, sizeof(g));
	nl_attr_str(&b, CTRL_ATTR_FAMILY_NAME, name);
	nl_end(&b);
	return nl_get(fd, &b, take_any, &found, NULL) == 0 && found;
}

/* Installing an ESP state tells whether both XFRM and ESP are there. */
static bool probe_ipsec(void)
{
	struct {
		struct xfrm_algo_aead alg;
		char key[20];
	} aead = {.alg = {.alg_name = "rfc4106(gcm(aes))", .alg_key_len = 160, .alg_icv_len = 128}};
	struct xfrm_usersa_info sa = {
		.family = AF_INET,
		.mode = XFRM_MODE_TRANSPORT,
		.id = {.spi = 0x01000000, .proto = 50, .daddr.a4 = 0x020200c0},
		.saddr.a4 = 0x010200c0,
		.lft = {.soft_byte_limit = XFRM_INF,
			.hard_byte_limit = XFRM_INF,
			.soft_packet_limit = XFRM_INF,
			.hard_packet_limit = XFRM_INF},
	};
	auto_close int fd = -1;
	auto_batch b;

	nl_batch_init(&b);
	if (nl_open(-1, NETLINK_XFRM, &fd, NULL) < 0)
		return false;
	nl_begin(&b, "try ESP", 0, XFRM_MSG_NEWSA, NLM_F_CREATE, &sa, sizeof(sa));
	nl_attr(&b, XFRMA_ALG_AEAD, &aead, sizeof(aead.alg) + sizeof(aead.key));
	nl_end(&b);
	return nl_send(fd, &b, NULL) == 0;
}

static int probe_here(struct net_features *f, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	auto_close int nl = -1;
	int rc = netns_enter_new(&visit, e);

	if (rc == 0)
		rc = nl_open(-1, NETLINK_ROUTE, &nl, e);
	if (rc < 0)
		return rc;
	f->ipv6 = sysctl_read("ipv6/conf/all/disable_ipv6") >= 0;
	probe_links(nl, f);
	probe_stacked(nl, f);
	probe_nft(f);
	f->ipvs = probe_family("IPVS");
	f->ipsec = probe_ipsec();
	return 0;
}

int net_features_probe(const struct net_host *h, struct net_features *ret, struct err *e)
{
	struct net_features f = {0};
	auto_visit visit = NETNS_VISIT_INIT;
	int rc = net_host_check(h, e);

	if (rc == 0)
		rc = probe_here(&f, e);
	if (rc == 0)
		rc = netns_enter(&visit, h->netns_fd, e);
	if (rc < 0)
		return err_wrap(e, "cannot find out what the kernel's network can");
	f.ip_forward = sysctl_read("ipv4/ip_forward") > 0;
	*ret = f;
	return 0;
}

const char *net_features_warning(const struct net_features *f, unsigned i)
{
	const struct {
		bool ok;
		const char *text;
	} all[] = {
		{f->bridge && f->veth,
		 "WARNING: the kernel has no bridge or veth devices: only host and "
		 "none networks work"},
		{f->nftables,
		 "WARNING: the kernel has no nftables with NAT: containers cannot reach "
		 "the outside"},
		{f->conntrack, "WARNING: the kernel has no connection tracking in nftables"},
		{f->vxlan, "WARNING: the kernel has no VXLAN: overlay networks do not work"},
		{f->ipv6, "WARNING: the kernel has no IPv6"},
		{f->ip_forward, "WARNING: IPv4 forwarding is disabled"},
	};

	for (size_t k = 0; k < ARRAY_LEN(all); k++)
		if (!all[k].ok && i-- == 0)
			return all[k].text;
	return NULL;
}
