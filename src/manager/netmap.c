/*
 * See netmap.h.
 */
#include "manager/netmap.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "base/crypto.h"
#include "base/mem.h"

#define RING 4096               /* changes of one network that are remembered */
#define PART_BYTES (512u << 10) /* of a table that goes in several frames */

struct entry {
	struct session_peer peer;
	UT_hash_handle hh;
};

struct ring_item {
	uint64_t version;
	char task[ID_CLUSTER_LEN + 1];
};

struct net {
	char id[ID_CLUSTER_LEN + 1];
	uint64_t version;
	uint64_t floor; /* changes after this version are all in the ring */
	struct entry *entries;
	struct ring_item *ring;
	size_t first, count;
	uint64_t cached_from; /* `cached` leads from here to `version` */
	struct frame *cached;
	UT_hash_handle hh;
};

struct netmap {
	const struct store *store;
	struct net *nets;
	uint64_t changes;
};

static struct net *net_find(const struct netmap *m, const char *id)
{
	struct net *n;

	HASH_FIND_STR(m->nets, id, n);
	return n;
}

static struct net *net_get(struct netmap *m, const char *id)
{
	struct net *n = net_find(m, id);

	if (n)
		return n;
	n = xcalloc(1, sizeof *n);
	(void)snprintf(n->id, sizeof n->id, "%s", id);
	n->ring = xcalloc(RING, sizeof *n->ring);
	n->floor = n->version = store_version(m->store);
	HASH_ADD_STR(m->nets, id, n);
	return n;
}

static void entry_free(struct entry *e)
{
	table_done(&session_peer_table, &e->peer);
	free(e);
}

static void net_free(struct netmap *m, struct net *n)
{
	struct entry *e, *next;

	HASH_ITER (hh, n->entries, e, next) {
		HASH_DEL(n->entries, e);
		entry_free(e);
	}
	HASH_DEL(m->nets, n);
	frame_unref(n->cached);
	free(n->ring);
	free(n);
}

static void cache_drop(struct net *n)
{
	frame_unref(TAKE_PTR(n->cached));
}

/* Notes that this task's entry has changed at the store's present version. */
static void net_touch(struct netmap *m, struct net *n, const char *task)
{
	struct ring_item *item;

	m->changes++;
	if (n->count == RING) {
		n->floor = n->ring[n->first].version;
		n->first = (n->first + 1) % RING;
		n->count--;
	}
	item = &n->ring[(n->first + n->count++) % RING];
	item->version = n->version = store_version(m->store);
	(void)snprintf(item->task, sizeof item->task, "%s", task);
	cache_drop(n);
}

/* A task has a place in its networks from the time it has a node until it has ended. */
static bool task_has_place(const struct task *t)
{
	return t && t->node && t->status.state >= TASK_ASSIGNED &&
	       !task_state_final(t->status.state);
}

static void peer_fill(const struct netmap *m, const struct task *t, const struct attachment *a,
		      struct session_peer *ret)
{
	const struct template *tpl = store_template(m->store, t->service, t->template_version);
	const struct node *node = store_node(m->store, t->node);

	ret->task = xstrdup(t->o.id);
	ret->node = xstrdup(t->node);
	ret->tunnel = xstrdup(node ? node->data_addr : NULL);
	STRS_EACH (addr, &a->addresses)
		strs_add(&ret->addresses, addr);
	STRS_EACH (alias, &a->aliases)
		strs_add(&ret->aliases, alias);
	if (tpl) {
		ret->service = xstrdup(tpl->service_name);
		ret->name = task_container_name(tpl->service_name, t);
	}
	ret->running = t->status.state == TASK_RUNNING && task_is_wanted(t);
}

static void entry_put(struct netmap *m, struct net *n, const struct task *t,
		      const struct attachment *a)
{
	struct session_peer peer = {0};
	struct entry *e;

	peer_fill(m, t, a, &peer);
	HASH_FIND_STR(n->entries, t->o.id, e);
	if (e && table_equal(&session_peer_table, &e->peer, &peer)) {
		table_done(&session_peer_table, &peer);
		return;
	}
	if (e) {
		HASH_DEL(n->entries, e);
		entry_free(e);
	}
	e = xcalloc(1, sizeof *e);
	e->peer = peer;
	HASH_ADD_KEYPTR(hh, n->entries, e->peer.task, strlen(e->peer.task), e);
	net_touch(m, n, t->o.id);
}

static void entry_remove(struct netmap *m, struct net *n, const char *task)
{
	struct entry *e;

	HASH_FIND_STR(n->entries, task, e);
	if (!e)
		return;
	HASH_DEL(n->entries, e);
	net_touch(m, n, task);
	entry_free(e);
}

static const struct attachment *attachment_of(const struct task *t, const char *network)
{
	LIST_EACH (a, &t->networks)
		if (strcmp(a->network, network) == 0)
			return a;
	return NULL;
}

static void task_event(struct netmap *m, const struct task *old, const struct task *new)
{
	bool is = task_has_place(new);

	if (old) {
		LIST_EACH (a, &old->networks) {
			struct net *n = net_find(m, a->network);

			if (n && (!is || !attachment_of(new, a->network)))
				entry_remove(m, n, old->o.id);
		}
	}
	if (!is)
		return;
	LIST_EACH (a, &new->networks)
		entry_put(m, net_get(m, a->network), new, a);
}

/* The node has another tunnel address: all its tasks have moved. */
static void node_event(struct netmap *m, const struct node *old, const struct node *new)
{
	const char *was = old && old->data_addr ? old->data_addr : "";
	const char *is = new &&new->data_addr ? new->data_addr : "";
	const struct task *t;
	struct store_walk w;

	if (strcmp(was, is) == 0)
		return;
	store_walk_node_tasks(&w, m->store, old ? old->o.id : new->o.id);
	while ((t = store_walk_next(&w)))
		task_event(m, NULL, t);
}

void netmap_event(struct netmap *m, const struct object *old, const struct object *new)
{
	enum object_kind kind = (old ? old : new)->kind;
	struct net *n;

	if (kind == KIND_TASK) {
		task_event(m, (const struct task *)old, (const struct task *)new);
	} else if (kind == KIND_NODE) {
		node_event(m, (const struct node *)old, (const struct node *)new);
	} else if (kind == KIND_NETWORK && !new) {
		n = net_find(m, old->id);
		if (n)
			net_free(m, n);
	}
}

void netmap_reset(struct netmap *m)
{
	struct net *n, *next;
	const struct task *t;
	struct store_walk w;

	m->changes++;
	HASH_ITER (hh, m->nets, n, next)
		net_free(m, n);
	store_walk_kind(&w, m->store, KIND_TASK);
	while ((t = store_walk_next(&w)))
		task_event(m, NULL, t);
	HASH_ITER (hh, m->nets, n, next) { /* what came before is not known */
		n->count = 0;
		n->floor = n->version;
	}
}

struct netmap *netmap_new(const struct store *s)
{
	struct netmap *m = xcalloc(1, sizeof *m);

	m->store = s;
	netmap_reset(m);
	return m;
}

void netmap_free(struct netmap *m)
{
	struct net *n, *next;

	HASH_ITER (hh, m->nets, n, next)
		net_free(m, n);
	free(m);
}

uint64_t netmap_changes(const struct netmap *m)
{
	return m->changes;
}

uint64_t netmap_version(const struct netmap *m, const char *network)
{
	const struct net *n = net_find(m, network);

	return n ? n->version : 0;
}

/* Sending */

static struct frame *message_frame(const struct session_peers *message)
{
	struct buf bytes = BUF_INIT(LIMIT_FRAME);
	struct frame *f = NULL;

	if (tlv_write(&session_peers_table, message, &bytes) == 0)
		f = frame_take(SESSION_PEERS, &bytes);
	buf_done(&bytes);
	return f;
}

static struct entry *entry_find(const struct net *n, const char *task)
{
	struct entry *e;

	HASH_FIND_STR(n->entries, task, e);
	return e;
}

/* The difference as one frame; NULL when it would not fit, or is longer than the table. */
static struct frame *delta_make(struct net *n, uint64_t from)
{
	struct session_peers message = {.network = n->id, .from = from, .version = n->version};
	struct strs seen = {0};
	struct frame *f;

	/* Backwards, so that a task that changed often is named once, as it is now. */
	for (size_t i = n->count; i-- > 0;) {
		const struct ring_item *item = &n->ring[(n->first + i) % RING];
		struct entry *e;

		if (item->version <= from)
			break;
		if (seen.n >= 512)
			break;
		if (strs_has(&seen, item->task))
			continue;
		strs_add(&seen, item->task);
		e = entry_find(n, item->task);
		if (e)
			*LIST_ADD(&message.peers) = e->peer; /* lent for the encoding */
		else
			strs_add(&message.gone, item->task);
	}
	f = seen.n < 512 ? message_frame(&message) : NULL;
	free(message.peers.v);
	strs_done(&message.gone);
	strs_done(&seen);
	return f;
}

static int entry_order(const void *a, const void *b)
{
	return strcmp((*(struct entry *const *)a)->peer.task,
		      (*(struct entry *const *)b)->peer.task);
}

static struct entry **entries_sorted(const struct net *n, size_t *ret_n)
{
	struct entry **v = xcalloc(HASH_COUNT(n->entries), sizeof *v);
	struct entry *e, *next;

	*ret_n = 0;
	HASH_ITER (hh, n->entries, e, next)
		v[(*ret_n)++] = e;
	qsort(v, *ret_n, sizeof *v, entry_order);
	return v;
}

static void table_send(const struct net *n, void (*send)(void *arg, struct frame *f), void *arg)
{
	struct session_peers message = {
		.network = (char *)(uintptr_t)n->id, .complete = true, .version = n->version};
	auto_buf measure = BUF_INIT(LIMIT_FRAME);
	struct entry **v;
	size_t count;

	v = entries_sorted(n, &count);
	for (size_t i = 0; i < count || i == 0; i++) {
		struct frame *f;

		if (i < count) {
			*LIST_ADD(&message.peers) = v[i]->peer;
			(void)tlv_write(&session_peer_table, &v[i]->peer, &measure);
		}
		if (i + 1 < count && measure.len < PART_BYTES)
			continue;
		message.more = i + 1 < count;
		f = message_frame(&message);
		if (f)
			send(arg, f);
		frame_unref(f);
		message.peers.n = 0;
		buf_reset(&measure);
	}
	free(message.peers.v);
	free(v);
}

uint64_t netmap_frames(struct netmap *m, const char *network, uint64_t from,
		       void (*send)(void *arg, struct frame *f), void *arg)
{
	struct net *n = net_find(m, network);

	if (!n || n->version == from)
		return from;
	if (from < n->floor || from > n->version || from == 0) {
		table_send(n, send, arg);
		return n->version;
	}
	if (!n->cached || n->cached_from != from) {
		cache_drop(n);
		n->cached = delta_make(n, from);
		n->cached_from = from;
	}
	if (n->cached)
		send(arg, n->cached);
	else
		table_send(n, send, arg);
	return n->version;
}

struct frame *netmap_digest(struct netmap *m, const char *network)
{
	struct net *n = net_find(m, network);
	struct session_peers message = {0};
	auto_buf bytes = BUF_INIT(64u << 20);
	uint8_t digest[SHA256_LEN];
	struct entry **v;
	size_t count;

	if (!n)
		return NULL;
	v = entries_sorted(n, &count);
	for (size_t i = 0; i < count; i++)
		(void)tlv_write(&session_peer_table, &v[i]->peer, &bytes);
	free(v);
	crypto_sha256(buf_text(&bytes), bytes.len, digest);
	message = (struct session_peers){.network = n->id,
					 .from = n->version,
					 .version = n->version,
					 .digest = {digest, sizeof digest}};
	return message_frame(&message);
}
