/*
 * The simulated network, see sim_net.h.
 */
#include "sim/sim_net.h"

#include <string.h>

#include "base/mem.h"
#include "manager/raft_msg.h"
#include "sim/sim_node.h"

struct packet {
	struct sim_node *from, *to;
	size_t len;
	uint8_t bytes[];
};

struct sim_net *sim_net_new(struct sim *s)
{
	struct sim_net *net = xcalloc(1, sizeof(*net));

	net->sim = s;
	sim_net_heal(net);
	return net;
}

void sim_net_free(struct sim_net *net)
{
	free(net);
}

void sim_net_heal(struct sim_net *net)
{
	net->delay_us = 500;
	net->loss = net->duplicate = 0;
	memset(net->cut, 0, sizeof(net->cut));
}

static uint64_t delay(struct sim_net *net)
{
	uint64_t max = sim_once_in(net->sim, 50) ? 20 * net->delay_us : net->delay_us;

	return 20 + sim_random(net->sim, max);
}

static void deliver(struct sim_node *from, struct sim_node *to, const void *p, size_t len)
{
	struct sim_net *net = from->sim->net;
	struct err e = ERR_INIT;

	if (!to->raft || net->cut[from->place][to->place])
		return;
	if (raft_node_receive(to->raft, from->name, p, len, &e) < 0)
		sim_fail(from->sim, "%s refuses what %s sent: %s", to->name, from->name, e.msg);
}

static void on_packet(void *arg)
{
	struct packet *packet = arg;

	deliver(packet->from, packet->to, packet->bytes, packet->len);
	free(packet);
}

static void send_one(struct sim_node *from, struct sim_node *to, const void *p, size_t len)
{
	struct sim_net *net = from->sim->net;
	struct packet *packet;

	if (net->cut[from->place][to->place] || sim_percent(net->sim, net->loss))
		return;
	packet = xmalloc(sizeof(*packet) + len);
	packet->from = from;
	packet->to = to;
	packet->len = len;
	memcpy(packet->bytes, p, len);
	(void)sim_after(net->sim, delay(net), to, on_packet, free, packet);
}

/* The same AppendEntries as several, as a sender with smaller frames would make them. */
static bool send_chopped(struct sim_node *from, struct sim_node *to, const void *p, size_t len)
{
	struct raft_msg msg;
	auto_buf frame = BUF_INIT(LIMIT_FRAME);

	if (raft_msg_decode(p, len, &msg, NULL) < 0)
		return false;
	if (msg.kind != RAFT_MSG_APPEND || msg.message.append_entries.n_entries < 2) {
		raft_msg_done(&msg);
		return false;
	}
	msg.message.server_id = msg.to;
	for (unsigned i = 0; i < msg.message.append_entries.n_entries; i++) {
		buf_reset(&frame);
		if (raft_msg_encode(&frame, msg.from, &msg.message, i, 1) == 0)
			send_one(from, to, frame.p, frame.len);
	}
	raft_msg_done(&msg);
	return true;
}

static void net_send(void *arg, const char *peer, const void *p, size_t len)
{
	struct sim_node *from = arg;
	struct sim_node *to = sim_node_named(from->sim, peer);
	struct sim_net *net = from->sim->net;

	if (!to || !to->raft)
		return;
	if (sim_percent(net->sim, net->chop) && send_chopped(from, to, p, len))
		return;
	send_one(from, to, p, len);
	if (sim_percent(net->sim, net->duplicate))
		send_one(from, to, p, len);
}

/* A snapshot's own connection: in order, or broken as a whole. */
struct stream {
	struct sim_node *from, *to;
	unsigned from_life;
	struct raft_snapshot_out *out;
};

static void stream_end(void *arg)
{
	struct stream *st = arg;

	raft_snapshot_out_free(st->out);
	free(st);
}

static void on_stream(void *arg)
{
	struct stream *st = arg;
	struct sim_net *net = st->from->sim->net;
	auto_buf frame = BUF_INIT(LIMIT_FRAME);

	if (st->from->life != st->from_life || net->cut[st->from->place][st->to->place] ||
	    sim_percent(net->sim, net->loss) || raft_snapshot_out_next(st->out, &frame) <= 0) {
		stream_end(st);
		return;
	}
	deliver(st->from, st->to, frame.p, frame.len);
	(void)sim_after(net->sim, delay(net), st->to, on_stream, stream_end, st);
}

static void net_send_snapshot(void *arg, const char *peer, struct raft_snapshot_out *out)
{
	struct sim_node *from = arg;
	struct sim_node *to = sim_node_named(from->sim, peer);
	struct stream *st;

	if (!to || !to->raft) {
		raft_snapshot_out_free(out);
		return;
	}
	sim_trace(from->sim, "%s sends a snapshot to %s", from->name, to->name);
	st = xcalloc(1, sizeof(*st));
	st->from = from;
	st->from_life = from->life;
	st->to = to;
	st->out = out;
	(void)sim_after(from->sim, delay(from->sim->net), to, on_stream, stream_end, st);
}

struct raft_transport sim_net_transport(struct sim_node *from)
{
	return (struct raft_transport){
		.arg = from, .send = net_send, .send_snapshot = net_send_snapshot};
}
