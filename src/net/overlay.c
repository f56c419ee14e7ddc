/*
 * Overlay networks on one host; see overlay.h. The tunnel device is made by a socket of the host's
 * namespace right inside the overlay's: its UDP socket stays with the host, and there is never a
 * half-made device of a passing name in the host's namespace that a crash could leave.
 */
#include "net/overlay.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/file.h"
#include "net/link.h"
#include "net/netns.h"
#include "net/probe.h"
#include "net/segment.h"

#define OVERHEAD_IP4 50 /* bytes: outer Ethernet, IPv4, UDP, VXLAN headers */
#define OVERHEAD_IP6 70
#define MTU_MIN 68 /* bytes: RFC 791 */

struct works {
	const struct net_host *h;
	const struct net_overlay *o;
	uint16_t port;
	unsigned mtu;
	int netns;   /* the overlay's */
	int nl;      /* in the overlay's namespace */
	int nl_host; /* in the host's */
};

static void works_close(struct works *w)
{
	fd_close_at(&w->netns);
	fd_close_at(&w->nl);
	fd_close_at(&w->nl_host);
}

static int check(const struct net_host *h, const struct net_overlay *o, struct err *e)
{
	int rc = net_host_check(h, e);

	if (rc < 0)
		return rc;
	if (o->vni == 0 || o->vni >= 1u << 24)
		return err_set(e, -EINVAL, "VXLAN id %u is not within 1 and 16777215", o->vni);
	if (net_ip_size(o->data_ip.family) == 0)
		return err_set(e, -EINVAL, "the node has no data path address");
	return 0;
}

static int find_mtu(struct works *w, struct err *e)
{
	unsigned overhead = w->o->data_ip.family == AF_INET ? OVERHEAD_IP4 : OVERHEAD_IP6;
	unsigned uplink;
	int rc = net_uplink_mtu(w->h, &w->o->data_ip, &uplink, e);

	if (rc < 0)
		return rc;
	w->mtu = w->o->mtu != 0 ? w->o->mtu : uplink > overhead ? uplink - overhead : 0;
	if (w->mtu < MTU_MIN)
		return err_set(e, -EINVAL, "an MTU of %u is too small", w->mtu);
	return 0;
}

/* In the calling thread's namespace: the overlay's. Frames that are only bridged skip iptables. */
static int plain_bridging(struct err *e)
{
	static const char *const keys[] = {"bridge/bridge-nf-call-iptables",
					   "bridge/bridge-nf-call-ip6tables",
					   "bridge/bridge-nf-call-arptables"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		int rc = sysctl_write(keys[i], "0", e);

		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	return 0;
}

static int make_bridge(struct works *w, struct link *bridge, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	auto_batch b;
	int rc = netns_enter(&visit, w->netns, e);

	nl_batch_init(&b);
	if (rc == 0)
		rc = plain_bridging(e);
	netns_leave(&visit);
	if (rc == 0)
		rc = link_get(w->nl, OVERLAY_BRIDGE, bridge, e);
	if (rc < 0 && rc != -ENODEV)
		return rc;
	if (rc == -ENODEV) {
		link_add_begin(&b, "create a bridge", 0, OVERLAY_BRIDGE);
		nl_nest(&b, IFLA_LINKINFO);
		nl_attr_str(&b, IFLA_INFO_KIND, "bridge");
		nl_unnest(&b);
		nl_end(&b);
	}
	link_set_begin(&b, "set up a bridge", 0, OVERLAY_BRIDGE, IFF_UP);
	nl_attr_u32(&b, IFLA_MTU, w->mtu);
	link_no_ip6_autoconf(&b);
	nl_end(&b);
	link_set_begin(&b, "bring up the loopback", 0, "lo", IFF_UP);
	nl_end(&b);
	rc = nl_send(w->nl, &b, e);
	return rc < 0 ? rc : link_get(w->nl, OVERLAY_BRIDGE, bridge, e);
}

static void add_tunnel(struct nl_batch *b, const struct works *w)
{
	bool ip6 = w->o->data_ip.family == AF_INET6;

	link_add_begin(b, "create a VXLAN device", 0, OVERLAY_TUNNEL);
	nl_attr_u32(b, IFLA_NET_NS_FD, (uint32_t)w->netns);
	nl_attr_u32(b, IFLA_MTU, w->mtu);
	nl_nest(b, IFLA_LINKINFO);
	nl_attr_str(b, IFLA_INFO_KIND, "vxlan");
	nl_nest(b, IFLA_INFO_DATA);
	nl_attr_u32(b, IFLA_VXLAN_ID, w->o->vni);
	nl_attr_u16(b, IFLA_VXLAN_PORT, (uint16_t)(w->port >> 8 | w->port << 8));
	nl_attr_ip(b, ip6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, &w->o->data_ip);
	nl_attr_u8(b, IFLA_VXLAN_LEARNING, 0);
	/* Answers neighbour questions from the table, so that none has to be broadcast. */
	nl_attr_u8(b, IFLA_VXLAN_PROXY, 1);
	nl_unnest(b);
	nl_unnest(b);
	nl_end(b);
}

static bool tunnel_fits(const struct works *w, const struct link *l)
{
	return strcmp(l->kind, "vxlan") == 0 && l->vni == w->o->vni && l->vxlan_port == w->port &&
	       net_ip_equal(&l->vxlan_local, &w->o->data_ip);
}

static int make_tunnel(struct works *w, bool *ret_fresh, struct err *e)
{
	auto_batch b;
	struct link tunnel;
	int rc = link_get(w->nl, OVERLAY_TUNNEL, &tunnel, e);

	nl_batch_init(&b);
	*ret_fresh = rc == -ENODEV || (rc == 0 && !tunnel_fits(w, &tunnel));
	if (rc < 0 && rc != -ENODEV)
		return rc;
	if (rc == 0 && *ret_fresh)
		rc = link_delete(w->nl, &tunnel.index, 1, e);
	else
		rc = 0;
	if (rc == 0 && *ret_fresh) {
		add_tunnel(&b, w);
		rc = nl_send(w->nl_host, &b, e);
	}
	if (rc == -EEXIST)
		return err_set(e, rc,
			       "VXLAN id %u on UDP port %u is in use by another device of this "
			       "host; give this daemon another data path port or remove it",
			       w->o->vni, w->port);
	return rc;
}

static int join_tunnel(struct works *w, const struct link *bridge, struct err *e)
{
	auto_batch b;

	nl_batch_init(&b);
	link_set_begin(&b, "set up a VXLAN device", 0, OVERLAY_TUNNEL, IFF_UP);
	nl_attr_u32(&b, IFLA_MTU, w->mtu);
	link_no_ip6_autoconf(&b);
	nl_attr_u32(&b, IFLA_MASTER, (uint32_t)bridge->index);
	nl_end(&b);
	/* Who is behind the tunnel is said by the managers, never by a frame. */
	link_set_begin(&b, "set up a VXLAN bridge port", 0, OVERLAY_TUNNEL, 0);
	nl_nest(&b, IFLA_LINKINFO);
	nl_attr_str(&b, IFLA_INFO_SLAVE_KIND, "bridge");
	nl_nest(&b, IFLA_INFO_SLAVE_DATA);
	nl_attr_u8(&b, IFLA_BRPORT_LEARNING, 0);
	nl_unnest(&b);
	nl_unnest(&b);
	nl_end(&b);
	return nl_send(w->nl, &b, e);
}

static int make_all(struct works *w, bool *ret_fresh, struct err *e)
{
	char path[OVERLAY_PATH_MAX];
	struct link bridge;
	bool made;
	int rc = overlay_path(w->h, w->o->id, path, e);

	if (rc == 0)
		rc = find_mtu(w, e);
	if (rc == 0)
		rc = dir_make(w->h->netns_dir, 0700, e);
	if (rc == 0)
		rc = netns_keep(path, &w->netns, &made, e);
	if (rc == 0)
		rc = nl_open(w->netns, NETLINK_ROUTE, &w->nl, e);
	if (rc == 0)
		rc = nl_open(w->h->netns_fd, NETLINK_ROUTE, &w->nl_host, e);
	if (rc == 0)
		rc = make_bridge(w, &bridge, e);
	if (rc == 0)
		rc = make_tunnel(w, ret_fresh, e);
	if (rc == 0)
		rc = join_tunnel(w, &bridge, e);
	return rc;
}

int net_overlay_create(const struct net_host *h, const struct net_overlay *o, unsigned *ret_mtu,
		       bool *ret_fresh, struct err *e)
{
	CLEANUP(works_close)
	struct works w = {
		.h = h,
		.o = o,
		.netns = -1,
		.nl = -1,
		.nl_host = -1,
		.port = h->vxlan_port != 0 ? h->vxlan_port : NET_VXLAN_PORT,
	};
	bool fresh = false;
	int rc = check(h, o, e);

	if (rc == 0)
		rc = make_all(&w, &fresh, e);
	if (rc < 0)
		return err_wrap(e, "cannot make the overlay network %.25s",
				o->id != NULL ? o->id : "");
	if (ret_mtu != NULL)
		*ret_mtu = w.mtu;
	if (ret_fresh != NULL)
		*ret_fresh = fresh;
	return 0;
}

struct found {
	int *indexes;
	unsigned count, cap;
};

static int take_index(void *arg, const struct link *l)
{
	struct found *f = arg;

	if (l == NULL)
		f->count = 0;
	if (l == NULL || (l->flags & IFF_LOOPBACK))
		return 0;
	if (f->count == f->cap) {
		f->cap = f->cap > 0 ? f->cap * 2 : 64;
		f->indexes = xreallocarray(f->indexes, f->cap, sizeof(*f->indexes));
	}
	f->indexes[f->count++] = l->index;
	return 0;
}

/*
 * Empties the namespace by hand: someone else's mount or a process may keep it alive, and with it
 * the tunnel's UDP port and VXLAN id.
 */
static int empty_namespace(int netns_fd, struct err *e)
{
	auto_close int nl = -1;
	struct found found = {0};
	int rc = nl_open(netns_fd, NETLINK_ROUTE, &nl, e);

	if (rc == 0)
		rc = link_each(nl, take_index, &found, e);
	if (rc == 0)
		rc = link_delete(nl, found.indexes, found.count, e);
	free(found.indexes);
	return rc;
}

int net_overlay_remove(const struct net_host *h, const char *id, struct err *e)
{
	char path[OVERLAY_PATH_MAX];
	auto_close int fd = -1;
	int rc = net_host_check(h, e);

	if (rc == 0)
		rc = overlay_path(h, id, path, e);
	if (rc < 0)
		return rc;
	rc = netns_open(path, &fd, e);
	if (rc == 0)
		rc = empty_namespace(fd, e);
	if (rc == 0 || rc == -ENOENT)
		rc = netns_drop(path, e);
	return rc < 0 ? err_wrap(e, "cannot remove the overlay network %.25s", id) : 0;
}
