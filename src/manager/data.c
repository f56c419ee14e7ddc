/*
 * See data.h. A ticket is random, for one node and for one stream; the node's certificate has to be
 * its own. Links to the other managers are kept once something was asked.
 */
#include "manager/data.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/dialer.h"
#include "base/hash.h"
#include "base/mem.h"
#include "manager/dispatcher.h"
#include "manager/join.h"
#include "manager/manager_impl.h"

#define TICKET_BYTES 16

/* To another manager, that this one asks through it. */
struct data_link {
	struct data_broker *broker;
	char node[ID_CLUSTER_LEN + 1];
	char addr[STREAM_ADDRESS_MAX];
	struct dialer dialer;
	bool open;
	struct data_link *next;
};

/* A stream that has not said what it is for, or another manager's link to this one. */
struct data_guest {
	struct data_broker *broker; /* NULL: let go */
	struct stream *stream;
	bool manager;
	LIST_OF(struct data_request) asks; /* of that manager, for nodes in session here */
	struct data_guest *prev, *next;
};

struct data_broker {
	struct manager *manager;
	struct stream_hub *hub;
	uint64_t last_id;
	struct data_ask *asks;
	struct data_link *links;
	struct data_guest *guests;
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
};

static void message_send(struct stream *s, enum data_frame type, const struct data_request *r)
{
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	if (tlv_write(&data_request_table, r, &bytes) < 0 ||
	    stream_send_copy(s, (uint16_t)type, bytes.p, bytes.len) < 0)
		stream_close(s, -ENOBUFS, "the manager does not take what is asked");
}

/* ---- Links to the others ---- */

static int link_target(struct stream_target *ret, void *data, struct err *e)
{
	struct data_link *l = data;

	(void)e;
	*ret = (struct stream_target){
		.address = l->addr, .purpose = STREAM_DATA, .node_id = l->node};
	return 0;
}

static void link_open(struct stream *s, void *data)
{
	struct data_link *l = data;

	l->open = true;
	for (struct data_ask *a = l->broker->asks; a; a = a->next)
		message_send(s, DATA_ASK, &a->request);
}

static void link_recv(struct stream *s, const struct frame_view *f, void *data)
{
	(void)s;
	(void)f;
	(void)data;
}

static void link_lost(const struct err *why, bool was_open, uint32_t wait_ms, void *data)
{
	(void)why;
	(void)was_open;
	(void)wait_ms;
	((struct data_link *)data)->open = false;
}

static const struct dialer_ops link_ops = {
	.target = link_target, .open = link_open, .recv = link_recv, .lost = link_lost};

static void broker_end(struct data_broker *b)
{
	if (!b->closing || b->links)
		return;
	if (b->done)
		b->done(b->done_arg);
	free(b);
}

static void link_closed(struct dialer *d, void *data)
{
	struct data_link *l = data, **at = &l->broker->links;

	(void)d;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	broker_end(l->broker);
	free(l);
}

static struct data_link *link_of(const struct data_broker *b, const char *node)
{
	struct data_link *l = b->links;

	while (l && strcmp(l->node, node) != 0)
		l = l->next;
	return l;
}

static bool is_manager(const struct data_broker *b, const char *node)
{
	const struct node *n = store_node(manager_store(b->manager), node);

	return n && n->spec.role == ROLE_MANAGER;
}

/* One to each other manager, as the store has them now. */
static void links_sync(struct data_broker *b)
{
	LIST_OF(struct session_manager) all = {0};

	for (struct data_link *l = b->links, *next; l; l = next) {
		next = l->next;
		if (!is_manager(b, l->node) && !l->dialer.closing)
			dialer_close(&l->dialer, link_closed);
	}
	managers_list(manager_store(b->manager), &all.v, &all.n);
	LIST_EACH (m, &all) {
		struct data_link *l = link_of(b, m->node);

		if (!l && strcmp(m->node, b->manager->node) != 0) {
			l = xcalloc(1, sizeof *l);
			l->broker = b;
			(void)snprintf(l->node, sizeof l->node, "%s", m->node);
			l->next = b->links;
			b->links = l;
			dialer_start(&l->dialer, b->hub, &link_ops, l);
		}
		if (l)
			(void)snprintf(l->addr, sizeof l->addr, "%s", m->addr);
		table_done(&session_manager_table, m);
	}
	free(all.v);
}

/* ---- What is asked here ---- */

static void tell(struct data_broker *b, enum data_frame type, const struct data_request *r)
{
	for (struct data_link *l = b->links; l; l = l->next)
		if (l->open && dialer_stream(&l->dialer))
			message_send(dialer_stream(&l->dialer), type, r);
}

static void own_address(struct data_broker *b, struct data_request *r)
{
	const struct node *n = store_node(manager_store(b->manager), b->manager->node);

	str_set(&r->manager, b->manager->node);
	str_set(&r->addr, n && n->manager && n->manager->addr ? n->manager->addr : "");
}

void data_ask(struct data_broker *b, struct data_ask *a)
{
	uint8_t bytes[TICKET_BYTES];
	char hex[2 * TICKET_BYTES + 1];

	world_random(manager_world(b->manager), bytes, sizeof bytes);
	hex_encode(bytes, sizeof bytes, hex);
	str_set(&a->request.ticket, hex);
	own_address(b, &a->request);
	if (!a->open) {
		a->request.id = ++b->last_id;
		a->prev = NULL;
		a->next = b->asks;
		if (a->next)
			a->next->prev = a;
		b->asks = a;
		a->open = true;
	}
	links_sync(b);
	dispatcher_data(b->manager->dispatcher, a->request.node, &a->request);
	tell(b, DATA_ASK, &a->request);
}

void data_ask_done(struct data_broker *b, struct data_ask *a)
{
	if (a->open) {
		tell(b, DATA_DROP, &a->request);
		if (a->prev)
			a->prev->next = a->next;
		else
			b->asks = a->next;
		if (a->next)
			a->next->prev = a->prev;
		a->open = false;
	}
	table_done(&data_request_table, &a->request);
}

void data_session_open(struct data_broker *b, const char *node)
{
	for (struct data_ask *a = b->asks; a; a = a->next)
		if (*a->request.ticket && strcmp(a->request.node, node) == 0)
			dispatcher_data(b->manager->dispatcher, node, &a->request);
	for (struct data_guest *g = b->guests; g; g = g->next)
		LIST_EACH (r, &g->asks)
			if (strcmp(r->node, node) == 0)
				dispatcher_data(b->manager->dispatcher, node, r);
}

/* ---- Those who come ---- */

static void guest_unlink(struct data_guest *g)
{
	if (!g->broker)
		return;
	if (g->prev)
		g->prev->next = g->next;
	else
		g->broker->guests = g->next;
	if (g->next)
		g->next->prev = g->prev;
	g->broker = NULL;
}

static void guest_free(struct data_guest *g)
{
	guest_unlink(g);
	LIST_EACH (r, &g->asks)
		table_done(&data_request_table, r);
	free(g->asks.v);
	free(g);
}

static void guest_drop(struct data_guest *g, uint64_t id)
{
	for (size_t i = 0; i < g->asks.n; i++) {
		if (g->asks.v[i].id != id)
			continue;
		table_done(&data_request_table, &g->asks.v[i]);
		g->asks.v[i] = g->asks.v[--g->asks.n];
		return;
	}
}

static void guest_asks(struct data_guest *g, const struct frame_view *f)
{
	struct data_request r = {0};

	if (!g->manager || tlv_read(&data_request_table, f->payload, f->len, &r, NULL) < 0) {
		stream_close(g->stream, -EPROTO, "only a manager may ask for other nodes' data");
		return;
	}
	guest_drop(g, r.id);
	if (f->type == DATA_DROP || !r.node || g->asks.n >= LIMIT_DATA_ASKS) {
		table_done(&data_request_table, &r);
		return;
	}
	dispatcher_data(g->broker->manager->dispatcher, r.node, &r);
	*(struct data_request *)LIST_ADD(&g->asks) = r;
}

/* Nothing is learnt of a ticket from how long this takes. One that was used is "". */
static bool ticket_is(const char *ticket, const char *is)
{
	size_t n = strlen(is);

	return n > 0 && strlen(ticket) == n && secret_equal(ticket, is, n);
}

static void guest_ticket(struct data_guest *g, const struct frame_view *f)
{
	struct stream *s = g->stream;
	struct data_broker *b = g->broker;
	const char *node = stream_peer(s)->node_id;
	struct data_ticket t = {0};
	struct data_ask *a = b->asks;

	if (tlv_read(&data_ticket_table, f->payload, f->len, &t, NULL) < 0)
		t = (struct data_ticket){0};
	while (a && !(t.ticket && strcmp(a->request.node, node) == 0 &&
		      ticket_is(t.ticket, a->request.ticket)))
		a = a->next;
	table_done(&data_ticket_table, &t);
	if (!a) {
		stream_close(s, -EACCES, "the ticket is not known, or was used before");
		return;
	}
	str_set(&a->request.ticket, "");
	guest_free(g);
	a->taken(a, s);
}

static void guest_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct data_guest *g = data;

	if (!g->broker)
		return;
	if (f->type == DATA_TICKET)
		guest_ticket(g, f);
	else if (f->type == DATA_ASK || f->type == DATA_DROP)
		guest_asks(g, f);
	else
		stream_close(s, -EPROTO, "a ticket was expected");
}

static void guest_closed(struct stream *s, const struct err *why, void *data)
{
	(void)s;
	(void)why;
	guest_free(data);
}

static unsigned guests_of(const struct data_broker *b, const char *node)
{
	unsigned n = 0;

	for (const struct data_guest *g = b->guests; g; g = g->next)
		n += strcmp(stream_peer(g->stream)->node_id, node) == 0;
	return n;
}

void data_accept(struct data_broker *b, struct stream *s, bool manager)
{
	static const struct stream_ops ops = {.recv = guest_recv, .closed = guest_closed};
	struct data_guest *g = xcalloc(1, sizeof *g);
	unsigned same = guests_of(b, stream_peer(s)->node_id);

	g->broker = b;
	g->stream = s;
	g->manager = manager;
	g->next = b->guests;
	if (g->next)
		g->next->prev = g;
	b->guests = g;
	stream_start(s, &ops, g);
	if (same >= LIMIT_DATA_GUESTS)
		stream_close(s, -EBUSY, "too many streams of this node wait without a ticket");
}

struct data_broker *data_broker_new(struct manager *m, struct stream_hub *hub)
{
	struct data_broker *b = xcalloc(1, sizeof *b);

	b->manager = m;
	b->hub = hub;
	return b;
}

void data_broker_close(struct data_broker *b, void (*done)(void *arg), void *arg)
{
	b->closing = true;
	b->done = done;
	b->done_arg = arg;
	while (b->guests) {
		struct data_guest *g = b->guests;

		guest_unlink(g);
		stream_close(g->stream, -EAGAIN, "the manager stops");
	}
	for (struct data_link *l = b->links; l; l = l->next)
		if (!l->dialer.closing)
			dialer_close(&l->dialer, link_closed);
	broker_end(b);
}
