/*
 * Services: a virtual address in each of their overlays, and published ports. See core_allocator.h.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "manager/core_allocator.h"

static uint32_t port_key(enum port_protocol protocol, uint32_t port)
{
	return (uint32_t)protocol << 16 | (port & 0xffff);
}

static const char *protocol_name(enum port_protocol p)
{
	return p == PORT_UDP ? "udp" : p == PORT_SCTP ? "sctp" : "tcp";
}

bool alloc_service_has_ingress(const struct service *svc)
{
	if (svc->spec.endpoint)
		LIST_EACH (p, &svc->spec.endpoint->ports)
			if (p->mode == PUBLISH_INGRESS)
				return true;
	return false;
}

static void endpoint_hold(struct core_allocator *c, const struct service *svc, bool hold)
{
	LIST_EACH (vip, &svc->endpoint.vips)
		alloc_network_hold(c, vip->network, vip->address, hold);
	LIST_EACH (p, &svc->endpoint.ports) {
		uint32_t key = port_key(p->protocol, p->published);

		if (p->mode != PUBLISH_INGRESS || !p->published)
			continue;
		if (hold)
			alloc_number_take(&c->ports, key, svc->o.id);
		else
			alloc_number_drop(&c->ports, key, svc->o.id);
	}
}

void alloc_service_event(struct core *core, const struct store *s, const struct service *old,
			 const struct service *new)
{
	struct core_allocator *c = container_of(core, struct core_allocator, core);
	bool same = old && new &&table_equal(&endpoint_table, &old->endpoint, &new->endpoint);

	assert(old || new);
	if (old && !same)
		endpoint_hold(c, old, false);
	if (new && !same)
		endpoint_hold(c, new, true);
	c->freed = true;
	for (struct alloc_blocked *b = c->blocked; b; b = b->hh.next)
		(void)idset_add(&c->dirty_services, b->id);
	if (new)
		(void)idset_add(&c->dirty_services, new->o.id);
	else
		alloc_unblock(c, old->o.id);
}

/* The one it has in this network already, or a new one. */
static int vip_add(struct core_allocator *c, const struct store *s, const struct service *old,
		   const char *network, struct endpoint *ret, struct err *e)
{
	struct alloc_network *n = alloc_network_find(c, network);
	char text[NET_PREFIX_TEXT];
	struct virtual_ip *vip;
	const char *address = NULL;

	if (!n || !store_network(s, network))
		return alloc_network_missing(c, s, network, e);
	if (!n->vni)
		return 0;
	LIST_EACH (had, &old->endpoint.vips)
		if (had->network && strcmp(had->network, network) == 0)
			address = had->address;
	if (!address && alloc_address(c, n, AF_INET, text))
		address = text;
	if (!address)
		return err_set(e, -ENOSPC, "no free address is left in network %s",
			       store_network(s, network)->spec.name);
	vip = LIST_ADD(&ret->vips);
	vip->network = xstrdup(network);
	vip->address = xstrdup(address);
	return 0;
}

static int vips_fill(struct core_allocator *c, const struct store *s, const struct service *old,
		     struct endpoint *ret, struct err *e)
{
	if (ret->spec.mode == ENDPOINT_DNSRR)
		return 0;
	if (c->ingress && alloc_service_has_ingress(old)) {
		int rc = vip_add(c, s, old, c->ingress, ret, e);

		if (rc < 0)
			return rc;
	}
	LIST_EACH (a, &old->spec.task.networks) {
		int rc = 0;

		if (a->target && !network_is_nodes_own(a->target))
			rc = vip_add(c, s, old, a->target, ret, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Whether the spec asks for this very port, so that it is not free for one that is chosen. */
static bool port_is_named(const struct service *svc, enum port_protocol protocol, uint32_t port)
{
	LIST_EACH (p, &svc->spec.endpoint->ports)
		if (p->protocol == protocol && p->published == port && p->mode == PUBLISH_INGRESS)
			return true;
	return false;
}

/* The port that was chosen for the same target before; 0 when there is none. */
static uint32_t port_before(const struct service *old, const struct port_config *want,
			    const struct endpoint *so_far)
{
	LIST_EACH (had, &old->endpoint.ports) {
		bool given = false;

		if (had->mode != want->mode || had->protocol != want->protocol ||
		    had->target != want->target ||
		    port_is_named(old, had->protocol, had->published))
			continue;
		LIST_EACH (p, &so_far->ports)
			given |= p->protocol == had->protocol && p->published == had->published;
		if (!given)
			return had->published;
	}
	return 0;
}

/* 0 when none is left. */
static uint32_t port_choose(struct core_allocator *c, const struct service *svc,
			    enum port_protocol protocol)
{
	uint32_t port = c->next_port[protocol];

	for (uint32_t tries = 0; tries <= PORT_LAST - PORT_FIRST; tries++, port++) {
		if (port < PORT_FIRST || port > PORT_LAST)
			port = PORT_FIRST;
		if (alloc_number_find(c->ports, port_key(protocol, port)) ||
		    port_is_named(svc, protocol, port))
			continue;
		c->next_port[protocol] = port + 1;
		return port;
	}
	return 0;
}

static int port_fill(struct core_allocator *c, const struct store *s, const struct service *old,
		     struct endpoint *ret, struct port_config *p, struct err *e)
{
	const struct alloc_number *holder;
	const struct service *other;

	if (p->mode != PUBLISH_INGRESS)
		return 0;
	if (!p->published)
		p->published = port_before(old, p, ret);
	if (!p->published)
		p->published = port_choose(c, old, p->protocol);
	if (!p->published)
		return err_set(e, -ENOSPC, "no free %s port is left between %d and %d",
			       protocol_name(p->protocol), PORT_FIRST, PORT_LAST);
	holder = alloc_number_find(c->ports, port_key(p->protocol, p->published));
	if (holder && strcmp(holder->owner, old->o.id) != 0) {
		other = store_service(s, holder->owner);
		return err_set(e, -EEXIST, "port %" PRIu32 "/%s is already in use by service %s",
			       p->published, protocol_name(p->protocol),
			       other ? other->spec.name : holder->owner);
	}
	if (!holder)
		alloc_mark_number(c, &c->ports, port_key(p->protocol, p->published), old->o.id);
	return 0;
}

static int ports_fill(struct core_allocator *c, const struct store *s, const struct service *old,
		      struct endpoint *ret, struct err *e)
{
	if (!old->spec.endpoint)
		return 0;
	LIST_EACH (want, &old->spec.endpoint->ports) {
		struct port_config p;
		int rc;

		table_copy(&port_config_table, &p, want);
		rc = port_fill(c, s, old, ret, &p, e);
		if (rc < 0) {
			table_done(&port_config_table, &p);
			return rc;
		}
		*LIST_ADD(&ret->ports) = p;
	}
	return 0;
}

bool alloc_service_step(struct core_allocator *c, struct core_step *step, const char *id)
{
	const struct service *old = store_service(step->store, id);
	struct endpoint endpoint = {0};
	size_t marks = c->n_marks;
	struct err e = ERR_INIT;
	struct service *new;
	int rc;

	if (!old || old->pending_delete)
		return false;
	if (old->spec.endpoint)
		table_copy(&endpoint_spec_table, &endpoint.spec, old->spec.endpoint);
	rc = vips_fill(c, step->store, old, &endpoint, &e);
	if (rc == 0)
		rc = ports_fill(c, step->store, old, &endpoint, &e);
	if (rc < 0)
		alloc_unmark(c, marks);
	if (rc == 0)
		alloc_unblock(c, id);
	else if (rc != -EAGAIN)
		alloc_block(c, id, e.msg);
	if (rc < 0 || table_equal(&endpoint_table, &endpoint, &old->endpoint)) {
		table_done(&endpoint_table, &endpoint);
		return rc == -EAGAIN;
	}
	new = object_clone(&old->o);
	table_done(&endpoint_table, &new->endpoint);
	new->endpoint = endpoint;
	changes_update(step->out, &old->o, &new->o, step->now_ns);
	return false;
}
