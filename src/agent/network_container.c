/*
 * A container's way through its networks: files and addresses before it is started, devices and
 * DNS once its namespace is there, and all of it given back at its end. One operation a container
 * at a time; within one, an endpoint after the other. See agent/network.h.
 */
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/log.h"

/* Before the start */

struct prepare {
	struct net_op op;
	struct container *c;
	struct network_files *files;
	engine_done done;
	void *arg;
	struct prepare *next; /* of those that wait for endpoints to be gone */
};

static void prepare_run(struct net_op *op)
{
	struct prepare *p = container_of(op, struct prepare, op);

	op->job.status = network_files_write(p->files, &op->job.err);
}

static void prepare_end(struct net_op *op)
{
	struct prepare *p = container_of(op, struct prepare, op);

	p->done(p->arg, op->job.status, op->job.status < 0 ? &op->job.err : NULL);
	network_files_free(p->files);
	free(p);
}

static void prepare_wait(struct prepare *p)
{
	struct prepare **at = &p->op.nets->waiters;

	while (*at)
		at = &(*at)->next;
	p->next = NULL;
	*at = p;
}

static void prepare_go(struct prepare *p)
{
	struct networks *nets = p->op.nets;
	struct err e = ERR_INIT;
	struct net_box *box = NULL;
	int rc = box_reserve(nets, p->c, &box, &e);

	if ((rc == -ENOSPC || rc == -EADDRINUSE) && nets->leaving) {
		prepare_wait(p); /* what is missing may be about to be given back */
		return;
	}
	if (rc < 0) {
		network_reply(nets, p->done, p->arg, rc, &e);
		free(p);
		return;
	}
	p->files = network_files_new(nets, p->c, box);
	p->op.run = prepare_run;
	p->op.end = prepare_end;
	net_op_start(nets, NULL, &p->op);
}

static void prepare_gateway(void *arg, int status, const struct err *e)
{
	struct prepare *p = arg;

	if (status == 0) {
		prepare_go(p);
		return;
	}
	network_reply(p->op.nets, p->done, p->arg, status, e);
	free(p);
}

static void prepare_begin(struct prepare *p)
{
	struct networks *nets = p->op.nets;
	const struct net_box *box = box_find(nets, p->c->id);

	if (box && box->leaving)
		prepare_wait(p);
	else if (!container_needs_gateway(nets, p->c) ||
		 network_gateway_want(nets, prepare_gateway, p))
		prepare_go(p);
}

void network_container_prepare(struct engine *e, struct container *c, engine_done done, void *arg)
{
	struct prepare *p = xcalloc(1, sizeof *p);

	p->op.nets = engine_networks_of(e);
	p->c = c;
	p->done = done;
	p->arg = arg;
	prepare_begin(p);
}

/* The devices: all endpoints and the DNS at once, as none of them needs another. */

struct release;
struct connect {
	struct net_op op; /* DNS */
	struct networks *nets;
	struct net_box *box;
	struct container *c;
	engine_done done;
	void *arg;
	int netns, udp, tcp;
	unsigned pending; /* parts that are not done */
	int status;       /* the first failure */
	struct err err;
	bool dns;
	struct strs servers, options;
	struct network_dns answers;
};

/* An endpoint that is being made. The pool reads copies. */
struct connect_part {
	struct net_op op;
	struct connect *connect;
	struct net_segment segment;
	struct net_endpoint endpoint;
	char id[ID_HOST_LEN + 1];
	char network[ID_HOST_LEN + 1];
	char device[NET_IFNAME_MAX];
	char ifname[NET_IFNAME_MAX];
};

static void connect_free(struct connect *n)
{
	if (n->netns >= 0)
		close(n->netns);
	if (n->udp >= 0)
		close(n->udp);
	if (n->tcp >= 0)
		close(n->tcp);
	strs_done(&n->servers);
	strs_done(&n->options);
	free(n);
}

static bool all_internal(const struct net_box *box)
{
	LIST_EACH (ep, &box->eps)
		if (!(*ep)->net->pub.spec.internal)
			return false;
	return true;
}

static int dns_serve(struct connect *n, struct err *e)
{
	struct dns_sandbox_options o = {
		.lookup = names_lookup,
		.arg = n->box,
		.upstreams = n->answers.upstreams,
		.upstream_count = n->answers.n,
		.internal = all_internal(n->box),
		.keep_single = n->answers.keep_single,
	};

	if (n->box->dns)
		dns_sandbox_close(TAKE_PTR(n->box->dns));
	return dns_sandbox_new(n->nets->dns, TAKE_FD(n->udp), TAKE_FD(n->tcp), &o, &n->box->dns, e);
}

/* All parts are there. Frees `n`. */
static int connect_finish(struct connect *n, struct err *e)
{
	int rc = n->status;

	*e = n->err;
	if (rc == 0 && n->dns)
		rc = dns_serve(n, e);
	if (rc == 0) {
		box_names_add(n->box, n->c);
		box_show(n->box, n->c);
		LIST_EACH (ep, &n->box->eps)
			if (!(*ep)->hidden)
				network_tell((*ep)->net, "connect", n->c->id);
	}
	connect_free(n);
	return rc;
}

static void connected(struct connect *n)
{
	engine_done done = n->done;
	struct err err;
	void *arg = n->arg;
	int rc = connect_finish(n, &err); /* before: what follows may end the namespace */

	done(arg, rc, rc < 0 ? &err : NULL);
}

static void part_done(struct connect *n, int status, const struct err *e)
{
	if (status < 0 && n->status == 0) {
		n->status = status;
		n->err = *e;
	}
	if (--n->pending == 0)
		connected(n);
}

static void dns_run(struct net_op *op)
{
	struct connect *n = container_of(op, struct connect, op);
	struct err *e = &op->job.err;

	op->job.status = network_dns_read(&n->servers, &n->options, &n->answers, e);
	if (op->job.status == 0)
		op->job.status = dns_redirect(n->netns, n->udp, n->tcp, e);
}

static void dns_end(struct net_op *op)
{
	struct connect *n = container_of(op, struct connect, op);

	part_done(n, op->job.status, &op->job.err);
}

static void part_run(struct net_op *op)
{
	struct connect_part *p = container_of(op, struct connect_part, op);

	op->job.status =
		net_endpoint_create(&op->host, &p->segment, &p->endpoint, NULL, &op->job.err);
}

static void part_end(struct net_op *op)
{
	struct connect_part *p = container_of(op, struct connect_part, op);
	/* Why the network itself is not there says more. */
	const struct err *e = op->net->up_err.code < 0 ? &op->net->up_err : &op->job.err;
	int status = op->job.status;

	if (status < 0 && e->code < 0)
		status = e->code;
	part_done(p->connect, status, e);
	free(p);
}

static void part_start(struct connect *n, struct net_ep *ep)
{
	struct connect_part *p = xcalloc(1, sizeof *p);
	struct engine_network_live *net = ep->net;
	bool overlay = hostnet_is(net, "overlay");

	p->connect = n;
	memcpy(p->id, ep->id, sizeof p->id);
	(void)snprintf(p->network, sizeof p->network, "%s", net->pub.id);
	memcpy(p->device, net->settings.device, sizeof p->device);
	(void)snprintf(p->ifname, sizeof p->ifname, "eth%u", (unsigned)ep->index);
	p->segment = (struct net_segment){.bridge = overlay ? NULL : p->device,
					  .overlay = overlay ? p->network : NULL};
	p->endpoint = (struct net_endpoint){
		.id = p->id,
		.netns_fd = n->netns,
		.ifname = p->ifname,
		.mac = ep->mac,
		.ip4 = ep->ip[0],
		.ip6 = ep->ip[1],
		.isolated = !overlay && !net->settings.icc,
	};
	if (ep->gateway) {
		p->endpoint.gateway4 = net->gateway[0].ip;
		p->endpoint.gateway6 = net->gateway[1].ip;
	}
	p->op.run = part_run;
	p->op.end = part_end;
	hostnet_raise(net);
	net_op_start(n->nets, net, &p->op);
}

/* The forwarding of published ports: to an address, so it waits for no endpoint. */
struct ports_part {
	struct net_op op;
	struct connect *connect; /* of the making */
	struct release *release; /* of the ending */
	struct net_port *v;
	size_t n;
	char device[NET_IFNAME_MAX];
};

static void ports_add_run(struct net_op *op)
{
	struct ports_part *p = container_of(op, struct ports_part, op);

	op->job.status = net_ports_add(&op->host, p->device, p->v, p->n, &op->job.err);
}

static void ports_add_end(struct net_op *op)
{
	struct ports_part *p = container_of(op, struct ports_part, op);

	part_done(p->connect, op->job.status, &op->job.err);
	free(p->v);
	free(p);
}

static struct ports_part *ports_part_new(const struct net_box *box)
{
	char device[NET_IFNAME_MAX];
	size_t n = 0;
	struct net_port *v = box_ports_copy(box, &n, device);
	struct ports_part *p;

	if (!v)
		return NULL;
	p = xcalloc(1, sizeof *p);
	p->v = v;
	p->n = n;
	memcpy(p->device, device, sizeof p->device);
	return p;
}

/* On the network by which the container is reached: after its bridge was made. */
static void ports_start(struct connect *n, struct ports_part *p)
{
	struct engine_network_live *net = NULL;

	LIST_EACH (ep, &n->box->eps)
		if ((*ep)->gateway)
			net = (*ep)->net;
	p->connect = n;
	p->op.run = ports_add_run;
	p->op.end = ports_add_end;
	net_op_start(n->nets, net, &p->op);
}

/* The loopback is up by now: the container's init has seen to that. */
static void connect_go(struct connect *n)
{
	struct networks *nets = n->nets;
	engine_done done = n->done;
	void *arg = n->arg;
	struct ports_part *ports;
	struct err err;
	int rc;

	ports = ports_part_new(n->box);
	n->pending = (unsigned)n->box->eps.n + n->dns + (ports ? 1 : 0);
	if (n->pending == 0) {
		rc = connect_finish(n, &err);
		network_reply(nets, done, arg, rc, &err);
		return;
	}
	if (n->dns) {
		n->op.run = dns_run;
		n->op.end = dns_end;
		net_op_start(n->nets, NULL, &n->op);
	}
	LIST_EACH (ep, &n->box->eps)
		part_start(n, *ep);
	if (ports)
		ports_start(n, ports);
}

void network_container_connect(struct engine *e, struct container *c, int netns_fd, int dns_udp_fd,
			       int dns_tcp_fd, engine_done done, void *arg)
{
	struct networks *nets = engine_networks_of(e);
	struct connect *n = xcalloc(1, sizeof *n);
	struct err err = ERR_INIT;
	int rc;

	*n = (struct connect){.nets = nets,
			      .c = c,
			      .done = done,
			      .arg = arg,
			      .netns = netns_fd,
			      .udp = dns_udp_fd,
			      .tcp = dns_tcp_fd};
	STRS_EACH (server, &c->host.dns)
		strs_add(&n->servers, server);
	STRS_EACH (option, &c->host.dns_options)
		strs_add(&n->options, option);
	rc = box_reserve(nets, c, &n->box, &err);
	n->dns = rc == 0 && dns_udp_fd >= 0 && network_container_has_dns(e, c);
	if (rc == 0 && n->box->eps.n && netns_fd < 0)
		rc = err_set(&err, -EINVAL, "container %.12s has no network namespace", c->id);
	if (rc < 0) {
		network_reply(nets, done, arg, rc, &err);
		connect_free(n);
		return;
	}
	connect_go(n);
}

/*
 * The end. Taking a device away is slow (the kernel waits until no processor can be using it), so
 * nobody waits for it but the container itself, should it start again, and its networks, should
 * they be removed: until then its addresses are not given to others.
 */

struct release {
	struct net_box *box;
	unsigned pending; /* parts that are not done */
};

/* An endpoint that is taken away. The pool reads copies. */
struct release_part {
	struct net_op op;
	struct release *release;
	struct net_ep *ep;
	struct net_segment segment;
	char id[ID_HOST_LEN + 1];
	char network[ID_HOST_LEN + 1];
	char device[NET_IFNAME_MAX];
};

static void release_run(struct net_op *op)
{
	struct release_part *p = container_of(op, struct release_part, op);

	op->job.status = net_endpoint_remove(&op->host, &p->segment, p->id, &op->job.err);
}

static void release_done(struct release *r)
{
	struct networks *nets = r->box->nets;
	struct prepare *p = TAKE_PTR(nets->waiters), *next;

	nets->leaving--;
	r->box->eps.n = 0;
	box_free(r->box);
	free(r);
	for (; p; p = next) {
		next = p->next;
		prepare_begin(p);
	}
}

static void release_part_done(struct release *r)
{
	if (--r->pending == 0)
		release_done(r);
}

static void ports_remove_run(struct net_op *op)
{
	struct ports_part *p = container_of(op, struct ports_part, op);

	op->job.status = net_ports_remove(&op->host, p->v, p->n, &op->job.err);
}

static void ports_remove_end(struct net_op *op)
{
	struct ports_part *p = container_of(op, struct ports_part, op);

	if (op->job.status < 0)
		log_warn("networks: %s", err_text(&op->job.err));
	box_ports_drop(p->release->box);
	release_part_done(p->release);
	free(p->v);
	free(p);
}

static void release_end(struct net_op *op)
{
	struct release_part *p = container_of(op, struct release_part, op);
	struct release *r = p->release;

	if (op->job.status < 0)
		log_warn("networks: %s", err_text(&op->job.err));
	op->net->leaving--;
	ep_release(p->ep);
	free(p);
	release_part_done(r);
}

static void release_part_start(struct release *r, struct net_ep *ep)
{
	struct release_part *p = xcalloc(1, sizeof *p);
	bool overlay = hostnet_is(ep->net, "overlay");

	p->release = r;
	p->ep = ep;
	memcpy(p->id, ep->id, sizeof p->id);
	(void)snprintf(p->network, sizeof p->network, "%s", ep->net->pub.id);
	memcpy(p->device, ep->net->settings.device, sizeof p->device);
	p->segment = (struct net_segment){.bridge = overlay ? NULL : p->device,
					  .overlay = overlay ? p->network : NULL};
	p->op.run = release_run;
	p->op.end = release_end;
	ep->net->leaving++;
	if (!ep->hidden)
		network_tell(ep->net, "disconnect", r->box->id);
	net_op_start(r->box->nets, ep->net, &p->op);
}

void box_abandon(struct net_box *box)
{
	struct ports_part *ports;
	struct release *r;

	if (box->dns)
		dns_sandbox_close(TAKE_PTR(box->dns));
	box_names_remove(box);
	if (!box->eps.n) {
		box_free(box);
		return;
	}
	ports = ports_part_new(box);
	r = xcalloc(1, sizeof *r);
	r->box = box;
	r->pending = (unsigned)box->eps.n + (ports ? 1 : 0);
	box->leaving = true;
	box->nets->leaving++;
	if (ports) {
		ports->release = r;
		ports->op.run = ports_remove_run;
		ports->op.end = ports_remove_end;
		net_op_start(box->nets, NULL, &ports->op);
	}
	LIST_EACH (ep, &box->eps)
		release_part_start(r, *ep);
}

void network_container_release(struct engine *e, struct container *c, engine_done done, void *arg)
{
	struct networks *nets = engine_networks_of(e);
	struct net_box *box = box_find(nets, c->id);

	if (box && !box->leaving)
		box_abandon(box);
	box_show(NULL, c);
	network_reply(nets, done, arg, 0, NULL);
}

void network_container_renamed(struct engine *e, struct container *c)
{
	struct net_box *box = box_find(engine_networks_of(e), c->id);

	for (size_t i = 0; box && i < box->eps.n; i++) {
		if (!box->eps.v[i]->named)
			continue;
		box_names_add(box, c);
		break;
	}
}
