/*
 * The tables of an overlay's tunnel; see overlay.h. A peer is three entries: a neighbour (address
 * to MAC), the tunnel's forwarding entry (MAC to host) and the bridge's (MAC is behind the tunnel),
 * so that not even a first frame is flooded. All static: nothing a container sends moves them.
 */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/limits.h"
#include "net/link.h"
#include "net/overlay.h"
#include "net/segment.h"

enum entry_kind { ENTRY_NEIGHBOUR, ENTRY_TUNNEL, ENTRY_BRIDGE };

struct entry {
	enum entry_kind kind;
	struct net_ip ip;   /* of a neighbour; else family 0 */
	struct net_mac mac; /* key, or a neighbour's value */
	struct net_ip vtep; /* a tunnel entry's value */
};

struct entries {
	struct entry *v;
	size_t count, cap;
};

static void entries_done(struct entries *s)
{
	free(s->v);
}

#define auto_entries CLEANUP(entries_done) struct entries

struct table {
	struct segment seg;
	struct link tunnel;
};

static void table_close(struct table *t)
{
	segment_close(&t->seg);
}

static int table_open(const struct net_host *h, const char *id, struct table *t, struct err *e)
{
	struct net_segment s = {.overlay = id};
	int rc = net_host_check(h, e);

	if (rc == 0)
		rc = segment_open(h, &s, &t->seg, e);
	if (rc == 0)
		rc = link_get(t->seg.nl, OVERLAY_TUNNEL, &t->tunnel, e);
	if (rc == -ENODEV)
		return err_set(e, rc, "the overlay network %.25s has no tunnel device", id);
	return rc;
}

static void entries_add(struct entries *s, const struct entry *x)
{
	if (s->count == s->cap) {
		s->cap = s->cap > 0 ? s->cap * 2 : 256;
		s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->count++] = *x;
}

static int compare_keys(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == ENTRY_NEIGHBOUR)
		return net_ip_compare(&a->ip, &b->ip);
	return memcmp(&a->mac, &b->mac, sizeof(a->mac));
}

static bool same_value(const struct entry *a, const struct entry *b)
{
	if (a->kind == ENTRY_NEIGHBOUR)
		return memcmp(&a->mac, &b->mac, sizeof(a->mac)) == 0;
	return a->kind != ENTRY_TUNNEL || net_ip_equal(&a->vtep, &b->vtep);
}

static void entries_sort(struct entries *s)
{
	size_t n = 0;

	if (s->count == 0)
		return;
	qsort(s->v, s->count, sizeof(*s->v), compare_keys);
	/* Two addresses of one endpoint share its MAC's entries. */
	for (size_t i = 1; i < s->count; i++)
		if (compare_keys(&s->v[n], &s->v[i]) != 0)
			s->v[++n] = s->v[i];
	s->count = n + 1;
}

/* The entries of peers, sorted. Peers on this very host are not behind the tunnel. */
static void entries_from(struct entries *s, const struct table *t, const struct net_peer *peers,
			 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct net_peer *p = &peers[i];

		if (net_ip_equal(&p->vtep, &t->tunnel.vxlan_local))
			continue;
		if (net_ip_size(p->ip.family) != 0)
			entries_add(s, &(struct entry){ENTRY_NEIGHBOUR, p->ip, p->mac, {0}});
		entries_add(s, &(struct entry){ENTRY_TUNNEL, {0}, p->mac, p->vtep});
		entries_add(s, &(struct entry){ENTRY_BRIDGE, {0}, p->mac, {0}});
	}
	entries_sort(s);
}

static int check_peers(const struct net_peer *peers, size_t count, struct err *e)
{
	if (count > LIMIT_NET_PEERS)
		return err_set(e, -E2BIG, "an overlay network with %zu peers is too large", count);
	for (size_t i = 0; i < count; i++)
		if (net_ip_size(peers[i].vtep.family) == 0 || net_mac_is_zero(&peers[i].mac) ||
		    (peers[i].mac.b[0] & 1) != 0)
			return err_set(e, -EINVAL,
				       "a peer of an overlay network has no host or no MAC");
	return 0;
}

static void write_entry(struct nl_batch *b, const struct table *t, const struct entry *x, bool add)
{
	struct ndmsg nd = {.ndm_family = AF_BRIDGE, .ndm_ifindex = t->tunnel.index};
	uint16_t flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;

	if (x->kind == ENTRY_NEIGHBOUR) {
		nd.ndm_family = x->ip.family;
		nd.ndm_state = NUD_PERMANENT;
	} else if (x->kind == ENTRY_TUNNEL) {
		nd.ndm_state = NUD_PERMANENT;
		nd.ndm_flags = NTF_SELF;
	} else {
		/* Sticky: a container that sends under this MAC does not draw it to its port. */
		nd.ndm_state = NUD_NOARP;
		nd.ndm_flags = NTF_MASTER | (add ? NTF_STICKY : 0);
	}
	nl_begin(b, add ? "add a peer" : "remove a peer", add ? 0 : ENOENT,
		 add ? RTM_NEWNEIGH : RTM_DELNEIGH, flags, &nd, sizeof(nd));
	if (x->kind == ENTRY_NEIGHBOUR)
		nl_attr_ip(b, NDA_DST, &x->ip);
	if (x->kind != ENTRY_NEIGHBOUR || add)
		nl_attr(b, NDA_LLADDR, &x->mac, sizeof(x->mac));
	if (x->kind == ENTRY_TUNNEL && add)
		nl_attr_ip(b, NDA_DST, &x->vtep);
	nl_end(b);
}

int net_overlay_peers_update(const struct net_host *h, const char *id, const struct net_peer *add,
			     size_t add_count, const struct net_peer *del, size_t del_count,
			     struct err *e)
{
	CLEANUP(table_close) struct table t = {.seg = SEGMENT_INIT};
	auto_entries more = {0}, less = {0};
	auto_batch b;
	int rc = check_peers(add, add_count, e);

	nl_batch_init(&b);
	if (rc == 0)
		rc = check_peers(del, del_count, e);
	if (rc == 0)
		rc = table_open(h, id, &t, e);
	if (rc < 0)
		return rc;
	entries_from(&more, &t, add, add_count);
	entries_from(&less, &t, del, del_count);
	for (size_t i = 0; i < more.count && rc == 0; i++) {
		write_entry(&b, &t, &more.v[i], true);
		rc = nl_send_if_full(t.seg.nl, &b, e);
	}
	for (size_t i = 0; i < less.count && rc == 0; i++) {
		if (more.count > 0 &&
		    bsearch(&less.v[i], more.v, more.count, sizeof(*more.v), compare_keys) != NULL)
			continue;
		write_entry(&b, &t, &less.v[i], false);
		rc = nl_send_if_full(t.seg.nl, &b, e);
	}
	return rc < 0 ? rc : nl_send(t.seg.nl, &b, e);
}

struct reading {
	const struct table *t;
	struct entries *ret;
};

static int read_entry(void *arg, const struct nlmsghdr *m)
{
	struct reading *r = arg;
	const struct nlattr *a[NDA_MAX + 1];
	const struct ndmsg *nd;
	struct entry x = {0};
	size_t head = NLMSG_SPACE(sizeof(*nd));

	if (m == NULL) /* entries seen twice are one after sorting */
		return 0;
	if (m->nlmsg_type != RTM_NEWNEIGH || m->nlmsg_len < head)
		return 0;
	nd = NLMSG_DATA(m);
	nl_parse((const char *)m + head, m->nlmsg_len - head, a, NDA_MAX);
	if (nd->ndm_ifindex != r->t->tunnel.index || a[NDA_LLADDR] == NULL ||
	    nl_len(a[NDA_LLADDR]) != sizeof(x.mac))
		return 0;
	memcpy(&x.mac, nl_data(a[NDA_LLADDR]), sizeof(x.mac));
	if (nd->ndm_family != AF_BRIDGE) {
		x.kind = ENTRY_NEIGHBOUR;
		x.ip = nl_ip(a[NDA_DST]);
		if (!(nd->ndm_state & NUD_PERMANENT) || x.ip.family == 0)
			return 0;
	} else if (nd->ndm_flags & NTF_SELF) {
		x.kind = ENTRY_TUNNEL;
		x.vtep = nl_ip(a[NDA_DST]);
	} else {
		x.kind = ENTRY_BRIDGE;
		if (nd->ndm_state & NUD_PERMANENT) /* the port's own MAC */
			return 0;
	}
	entries_add(r->ret, &x);
	return 0;
}

static int read_table(const struct table *t, uint8_t family, struct entries *ret, struct err *e)
{
	struct ndmsg nd = {.ndm_family = family};
	struct reading r = {t, ret};
	auto_batch b;

	nl_batch_init(&b);
	if (family == AF_BRIDGE)
		nd.ndm_ifindex = t->tunnel.index;
	nl_begin(&b, "list the peers", EAFNOSUPPORT, RTM_GETNEIGH, 0, &nd, sizeof(nd));
	if (family != AF_BRIDGE)
		nl_attr_u32(&b, NDA_IFINDEX, (uint32_t)t->tunnel.index);
	nl_end(&b);
	return nl_dump(t->seg.nl, &b, read_entry, &r, e);
}

/* Both sorted: one pass finds what is missing, changed and stale. */
static int reconcile(const struct table *t, const struct entries *want, const struct entries *have,
		     struct net_peers_result *result, struct err *e)
{
	size_t i = 0, j = 0;
	auto_batch b;
	int rc = 0;

	nl_batch_init(&b);
	while ((i < want->count || j < have->count) && rc == 0) {
		int order = i == want->count   ? 1
			    : j == have->count ? -1
					       : compare_keys(&want->v[i], &have->v[j]);

		if (order > 0) {
			write_entry(&b, t, &have->v[j++], false);
			result->removed++;
		} else if (order == 0 && same_value(&want->v[i], &have->v[j])) {
			result->kept++;
			i++, j++;
		} else {
			write_entry(&b, t, &want->v[i++], true);
			result->added++;
			j += order == 0;
		}
		rc = nl_send_if_full(t->seg.nl, &b, e);
	}
	return rc < 0 ? rc : nl_send(t->seg.nl, &b, e);
}

int net_overlay_peers_apply(const struct net_host *h, const char *id, const struct net_peer *peers,
			    size_t count, struct net_peers_result *ret, struct err *e)
{
	CLEANUP(table_close) struct table t = {.seg = SEGMENT_INIT};
	struct net_peers_result result = {0};
	auto_entries want = {0}, have = {0};
	int rc = check_peers(peers, count, e);

	if (rc == 0)
		rc = table_open(h, id, &t, e);
	if (rc == 0)
		rc = read_table(&t, AF_INET, &have, e);
	if (rc == 0)
		rc = read_table(&t, AF_INET6, &have, e);
	if (rc == 0)
		rc = read_table(&t, AF_BRIDGE, &have, e);
	if (rc < 0)
		return rc;
	entries_from(&want, &t, peers, count);
	entries_sort(&have);
	rc = reconcile(&t, &want, &have, &result, e);
	if (rc == 0 && ret != NULL)
		*ret = result;
	return rc;
}
