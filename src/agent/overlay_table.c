/*
 * The managers' table of one overlay: who is where and under which names. Whole tables and
 * differences are laid in here first, on the loop; what the kernel must know of them follows by an
 * operation of the network, in the same order. See agent/engine.h.
 */
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/crypto.h"

struct peer {
	struct session_peer s;
	struct name_holder holder;
	uint64_t whole; /* the version of the whole table that it came in */
	UT_hash_handle hh;
};

struct overlay_table {
	struct engine_network_live *net;
	struct peer *peers; /* by task */
	uint64_t version;   /* of what is here; 0: nothing is known */
	uint64_t applied;   /* of what the kernel has been told */
};

struct overlay_table *overlay_table_new(struct engine_network_live *net)
{
	struct overlay_table *t = xcalloc(1, sizeof *t);

	t->net = net;
	return t;
}

static void peer_free(struct overlay_table *t, struct peer *p)
{
	names_remove(&t->net->names, &p->holder);
	HASH_DEL(t->peers, p);
	name_holder_done(&p->holder);
	table_done(&session_peer_table, &p->s);
	free(p);
}

void overlay_table_free(struct overlay_table *t)
{
	struct peer *p, *next;

	if (!t)
		return;
	HASH_ITER (hh, t->peers, p, next)
		peer_free(t, p);
	free(t);
}

static struct peer *peer_find(const struct overlay_table *t, const char *task)
{
	struct peer *p;

	HASH_FIND_STR(t->peers, task, p);
	return p;
}

/* Names: the service, tasks.SERVICE, the task with and without its id, aliases. */
static void peer_name(struct overlay_table *t, struct peer *p)
{
	struct name_holder *h = &p->holder;
	struct net_prefix address;
	char *dot;

	if (p->s.service && *p->s.service) {
		auto_free char *tasks = xasprintf("tasks.%s", p->s.service);

		name_holder_name(h, p->s.service);
		name_holder_name(h, tasks);
	}
	if (p->s.name && *p->s.name) {
		auto_free char *slot = xstrdup(p->s.name);

		name_holder_name(h, slot);
		h->ptr = xasprintf("%s.%s", slot, t->net->pub.name);
		dot = strrchr(slot, '.');
		if (dot && strchr(slot, '.') != dot) {
			*dot = '\0';
			name_holder_name(h, slot);
		}
	}
	STRS_EACH (alias, &p->s.aliases)
		name_holder_name(h, alias);
	STRS_EACH (text, &p->s.addresses)
		if (net_prefix_parse(text, &address) == 0)
			*LIST_ADD(&h->ips) = address.ip;
	h->live = p->s.running;
	network_name_add(&t->net->names, h);
}

/* Where the peer is, as the kernel is told; nothing for one of this node or without a tunnel. */
static void peer_places(const struct overlay_table *t, const struct session_peer *s,
			struct net_peers *ret)
{
	struct net_peer p = {0};
	struct net_prefix address;
	bool has_mac = s->mac && *s->mac && net_mac_parse(s->mac, &p.mac) == 0;

	if (!s->tunnel || net_ip_parse(s->tunnel, &p.vtep) < 0 ||
	    net_ip_equal(&p.vtep, &t->net->nets->data_ip))
		return;
	/* Both sides derive it from the first IPv4 address, else from the first. */
	for (int only4 = 1; !has_mac && only4 >= 0; only4--)
		STRS_EACH (text, &s->addresses) {
			if (has_mac || net_prefix_parse(text, &address) < 0 ||
			    (only4 && address.ip.family != AF_INET))
				continue;
			p.mac = net_mac_from_ip(&address.ip);
			has_mac = true;
		}
	STRS_EACH (text, &s->addresses) {
		if (net_prefix_parse(text, &address) < 0)
			continue;
		p.ip = address.ip;
		*LIST_ADD(ret) = p;
	}
}

static bool is_in(const struct net_peers *list, const struct net_peer *p)
{
	LIST_EACH (other, list)
		if (net_ip_equal(&other->ip, &p->ip))
			return true;
	return false;
}

static struct peer *peer_put(struct overlay_table *t, const struct session_peer *s,
			     struct overlay_delta *d)
{
	struct peer *p = peer_find(t, s->task);
	struct net_peers before = {0}, after = {0};

	peer_places(t, s, &after);
	if (p) {
		peer_places(t, &p->s, &before);
		peer_free(t, p);
	}
	p = xcalloc(1, sizeof *p);
	table_copy(&session_peer_table, &p->s, s);
	HASH_ADD_KEYPTR(hh, t->peers, p->s.task, strlen(p->s.task), p);
	peer_name(t, p);
	LIST_EACH (old, &before)
		if (!is_in(&after, old))
			*LIST_ADD(&d->del) = *old;
	LIST_EACH (new, &after)
		*LIST_ADD(&d->add) = *new;
	free(before.v);
	free(after.v);
	return p;
}

static void peer_drop(struct overlay_table *t, const char *task, struct overlay_delta *d)
{
	struct peer *p = peer_find(t, task);

	if (!p)
		return;
	peer_places(t, &p->s, &d->del);
	peer_free(t, p);
}

/* An address that has gone from one task to another is not to be forgotten after it is added. */
static void delta_settle(struct overlay_delta *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->del.n; i++)
		if (!is_in(&d->add, &d->del.v[i]))
			d->del.v[n++] = d->del.v[i];
	d->del.n = n;
}

void overlay_delta_done(struct overlay_delta *d)
{
	free(d->add.v);
	free(d->del.v);
	*d = (struct overlay_delta){0};
}

bool overlay_table_peers(const struct overlay_table *t, struct net_peers *ret)
{
	*ret = (struct net_peers){0};
	for (const struct peer *p = t->peers; p; p = p->hh.next)
		peer_places(t, &p->s, ret);
	return t->version != 0;
}

/* The digest */

static int task_order(const void *a, const void *b)
{
	return strcmp((*(struct peer *const *)a)->s.task, (*(struct peer *const *)b)->s.task);
}

static bool digest_fits(const struct overlay_table *t, const struct bytes *digest)
{
	size_t n = 0, count = HASH_COUNT(t->peers);
	auto_free const struct peer **v = xcalloc(count + 1, sizeof(struct peer *));
	auto_buf bytes = BUF_INIT(LIMIT_PEERS_TABLE);
	uint8_t own[SHA256_LEN];

	for (const struct peer *p = t->peers; p; p = p->hh.next)
		v[n++] = p;
	qsort(v, n, sizeof *v, task_order);
	for (size_t i = 0; i < n; i++)
		(void)tlv_write(&session_peer_table, &v[i]->s, &bytes);
	crypto_sha256(buf_text(&bytes), bytes.len, own);
	return digest->n == sizeof own && memcmp(own, digest->p, sizeof own) == 0;
}

int overlay_table_write(const struct overlay_table *t, struct buf *ret)
{
	struct session_peers m = {
		.network = t->net->pub.id, .complete = true, .version = t->version};
	int rc;

	for (const struct peer *p = t->peers; p; p = p->hh.next)
		*LIST_ADD(&m.peers) = p->s; /* lent for the encoding */
	rc = tlv_write(&session_peers_table, &m, ret);
	free(m.peers.v);
	return rc;
}

/* What comes */

/* From now on only a whole table helps. */
static int stale(struct overlay_table *t)
{
	t->version = t->applied = 0;
	return -ESTALE;
}

/* One part of a whole table; with the last one, whoever came in none of them is gone. */
static int whole_lay(struct overlay_table *t, const struct session_peers *m,
		     struct overlay_delta *d)
{
	struct peer *p, *next;

	/* Until the last part is here, those of before are there as well. */
	if (HASH_COUNT(t->peers) + m->peers.n > 2 * LIMIT_NET_PEERS)
		return stale(t);
	LIST_EACH (s, &m->peers)
		peer_put(t, s, d)->whole = m->version;
	if (m->more)
		return 0;
	HASH_ITER (hh, t->peers, p, next)
		if (p->whole != m->version)
			peer_free(t, p);
	if (HASH_COUNT(t->peers) > LIMIT_NET_PEERS)
		return stale(t);
	t->version = m->version;
	d->whole = true;
	return 0;
}

static int change_lay(struct overlay_table *t, const struct session_peers *m,
		      struct overlay_delta *d)
{
	if (m->from > t->version || t->version == 0 ||
	    HASH_COUNT(t->peers) + m->peers.n > LIMIT_NET_PEERS)
		return stale(t);
	if (m->version < t->version) /* an old one, of which all is known */
		return 0;
	STRS_EACH (task, &m->gone)
		peer_drop(t, task, d);
	LIST_EACH (s, &m->peers)
		(void)peer_put(t, s, d);
	t->version = m->version;
	delta_settle(d);
	return 0;
}

int overlay_table_lay(struct overlay_table *t, const struct session_peers *m,
		      struct overlay_delta *ret)
{
	int rc = m->complete ? whole_lay(t, m, ret) : change_lay(t, m, ret);

	if (rc == 0 && m->digest.n && m->version == t->version && !digest_fits(t, &m->digest))
		rc = stale(t);
	ret->version = t->version;
	return rc;
}

void overlay_table_applied(struct overlay_table *t, uint64_t version, bool ok)
{
	if (!ok)
		(void)stale(t);
	else if (t->version)
		t->applied = version;
}

uint64_t overlay_table_version(const struct overlay_table *t)
{
	return t->version;
}

uint64_t overlay_table_done_version(const struct overlay_table *t)
{
	return t->applied;
}
