/*
 * The sweep of what a crashed daemon has left of networks, at the start: on the pool, since it
 * waits for the kernel, with copies of what is known. See networks.h.
 */
#include "agent/networks.h"
#include "base/log.h"
#include "net/sweep.h"

struct sweep {
	struct net_op op;
	struct net_known known;
	struct net_bridge *bridges;
	const char **overlays, **endpoints;
	struct strs texts; /* that `known` points to */
	struct net_swept swept;
};

static const char *text_keep(struct sweep *s, const char *text)
{
	strs_add(&s->texts, text);
	return s->texts.v[s->texts.n - 1];
}

static void known_fill(struct sweep *s, struct networks *nets)
{
	struct net_known *known = &s->known;
	struct engine_network_live *net;
	struct net_box *box;

	known->bridges = s->bridges;
	known->overlays = s->overlays;
	known->endpoints = s->endpoints;
	for (net = nets->nets; net; net = net->hh.next) {
		if (hostnet_is(net, "bridge")) {
			struct net_bridge *b = &s->bridges[known->bridge_count++];

			hostnet_bridge(net, b);
			b->id = text_keep(s, b->id);
			b->name = text_keep(s, b->name);
		} else if (hostnet_is(net, "overlay")) {
			s->overlays[known->overlay_count++] = text_keep(s, net->pub.id);
		}
	}
	for (box = nets->boxes; box; box = box->hh.next)
		LIST_EACH (ep, &box->eps)
			s->endpoints[known->endpoint_count++] = text_keep(s, (*ep)->id);
}

static void sweep_run(struct net_op *op)
{
	struct sweep *s = container_of(op, struct sweep, op);

	op->job.status = net_sweep(&op->host, &s->known, &s->swept, &op->job.err);
}

/* What cannot be removed is no reason to run nothing. */
static void sweep_end(struct net_op *op)
{
	struct sweep *s = container_of(op, struct sweep, op);

	if (op->job.status < 0)
		log_warn("networks: what an earlier daemon left cannot all be removed: %s",
			 err_text(&op->job.err));
	else if (s->swept.links || s->swept.namespaces)
		log_info("networks: removed %u interfaces and %u namespaces that an earlier "
			 "daemon left behind",
			 s->swept.links, s->swept.namespaces);
	free(s->bridges);
	free(s->overlays);
	free(s->endpoints);
	strs_done(&s->texts);
	free(s);
}

void network_sweep(struct networks *nets)
{
	size_t n_nets = HASH_COUNT(nets->nets) + 1, n_eps = 1;
	struct sweep *s = xcalloc(1, sizeof *s);
	struct net_box *box;

	for (box = nets->boxes; box; box = box->hh.next)
		n_eps += box->eps.n;
	s->bridges = xcalloc(n_nets, sizeof *s->bridges);
	s->overlays = xcalloc(n_nets, sizeof *s->overlays);
	s->endpoints = xcalloc(n_eps, sizeof *s->endpoints);
	known_fill(s, nets);
	s->op.run = sweep_run;
	s->op.end = sweep_end;
	net_op_start_first(nets, &s->op);
}
