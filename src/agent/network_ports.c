/*
 * Ports of the host that lead to a container: what was asked for, taking the ports, what is shown.
 * The forwarding itself is net/publish.h's; network_container.c has it made and ended. See
 * networks.h.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/networks.h"
#include "model/service.h"

static const char *protocol_name(const struct net_port *p)
{
	static_assert((int)NET_PORT_TCP == PORT_TCP && (int)NET_PORT_UDP == PORT_UDP &&
			      (int)NET_PORT_SCTP == PORT_SCTP,
		      "the two say the same");
	return port_protocol_name((enum port_protocol)p->protocol);
}

/* "80/tcp" or "80". */
static int key_read(const char *key, struct net_port *ret, struct err *e)
{
	enum port_protocol protocol;
	char *end;
	unsigned long n = strtoul(key, &end, 10);

	if (n < 1 || n > UINT16_MAX || !strchr("0123456789", *key) || (*end && *end != '/') ||
	    port_protocol_parse(*end ? end + 1 : "tcp", &protocol) < 0)
		return err_set(e, -EINVAL, "invalid port specification: \"%.64s\"", key);
	ret->to_port = (uint16_t)n;
	ret->protocol = (enum net_port_protocol)protocol;
	return 0;
}

static int number_read(const char *text, char **ret_end, unsigned long *ret)
{
	*ret = strtoul(text, ret_end, 10);
	return strchr("0123456789", *text) && *text && *ret <= UINT16_MAX ? 0 : -EINVAL;
}

/* "": any; "8080"; "8000-8010": the first that is free. */
static int range_read(const char *text, uint16_t *ret_first, uint16_t *ret_last, struct err *e)
{
	unsigned long first = 0, last;
	char *end = NULL;

	if (!text || !*text) {
		*ret_first = *ret_last = 0;
		return 0;
	}
	if (number_read(text, &end, &first) < 0)
		return err_set(e, -EINVAL, "invalid published port: \"%.64s\"", text);
	last = first;
	if (*end == '-' && number_read(end + 1, &end, &last) < 0)
		return err_set(e, -EINVAL, "invalid published port: \"%.64s\"", text);
	if (*end || last < first)
		return err_set(e, -EINVAL, "invalid published port: \"%.64s\"", text);
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)last;
	return 0;
}

/* IPv6 of "any" is nothing of its own here: only IPv4 is published. */
static int address_read(const char *text, struct net_ip *ret, bool *ret_skip, struct err *e)
{
	*ret = (struct net_ip){0};
	*ret_skip = text && strcmp(text, "::") == 0;
	if (!text || !*text || strcmp(text, "0.0.0.0") == 0 || *ret_skip)
		return 0;
	if (net_ip_parse(text, ret) < 0)
		return err_set(e, -EINVAL, "invalid host IP address: %.64s", text);
	return ret->family == AF_INET ? 0
				      : err_set(e, -ENOSYS,
						"publishing ports on the IPv6 address %.64s is not "
						"supported",
						text);
}

/* Calls `fn` for each port to be published; a container without a network of its own has none. */
static int each_port(const struct container *c,
		     int (*fn)(void *arg, struct net_port *p, uint16_t last, struct err *e),
		     void *arg, struct err *e)
{
	const struct host_config *h = &c->host;
	struct net_port p = {0};
	uint16_t last = 0;
	bool skip;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < h->port_bindings.n; i++) {
		for (size_t k = 0; rc == 0 && k < h->port_bindings.v[i].value.list.n; k++) {
			const struct port_binding *b = &h->port_bindings.v[i].value.list.v[k];

			rc = key_read(h->port_bindings.v[i].key, &p, e);
			if (rc == 0)
				rc = address_read(b->host_ip, &p.host_ip, &skip, e);
			if (rc == 0)
				rc = range_read(b->host_port, &p.host_port, &last, e);
			if (rc == 0 && !skip)
				rc = fn(arg, &p, last, e);
		}
	}
	for (size_t i = 0; rc == 0 && h->publish_all && i < c->config.exposed_ports.n; i++) {
		if (MAP_GET(&h->port_bindings, c->config.exposed_ports.v[i]))
			continue;
		p = (struct net_port){0};
		rc = key_read(c->config.exposed_ports.v[i], &p, e);
		if (rc == 0)
			rc = fn(arg, &p, 0, e);
	}
	return rc;
}

static int count(void *arg, struct net_port *p, uint16_t last, struct err *e)
{
	size_t *n = arg;

	(void)p;
	(void)last;
	if (++*n > LIMIT_SERVICE_PORTS)
		return err_set(e, -EINVAL, "more than %u published ports", LIMIT_SERVICE_PORTS);
	return 0;
}

int network_ports_check(const struct container *c, struct err *e)
{
	size_t n = 0;

	return each_port(c, count, &n, e);
}

/* Taking */

struct holding {
	struct net_box *box;
	const struct container *c;
};

/* The number that it had when it ran last, and runs still: the daemon was started again. */
static uint16_t port_before(const struct holding *h, const struct net_port *p)
{
	char key[16];
	const struct port_bindings *had;
	size_t nth = 0;

	(void)snprintf(key, sizeof key, "%u/%s", p->to_port, protocol_name(p));
	had = MAP_GET(&h->c->ports, key);
	LIST_EACH (held, &h->box->ports)
		nth += held->port.to_port == p->to_port && held->port.protocol == p->protocol;
	if (!had || nth >= had->list.n || !had->list.v[nth].host_port)
		return 0;
	return (uint16_t)strtoul(had->list.v[nth].host_port, NULL, 10);
}

static int hold(void *arg, struct net_port *p, uint16_t last, struct err *e)
{
	struct holding *h = arg;
	struct net_published taken = {.port = *p, .fd = -1};
	uint16_t before = port_before(h, p);
	int rc;

	if (before)
		taken.port.host_port = last = before;
	while ((rc = net_port_hold(&h->box->nets->host, &taken.port, &taken.fd, e)) ==
		       -EADDRINUSE &&
	       taken.port.host_port && taken.port.host_port < last)
		taken.port.host_port++;
	if (rc == 0)
		*LIST_ADD(&h->box->ports) = taken;
	return rc;
}

int box_ports_hold(struct net_box *box, const struct container *c, struct err *e)
{
	struct holding h = {box, c};
	int rc;

	if (box->ports_held || !box->eps.n)
		return 0;
	rc = each_port(c, hold, &h, e);
	if (rc < 0)
		box_ports_drop(box);
	else
		box->ports_held = true;
	return rc;
}

void box_ports_drop(struct net_box *box)
{
	LIST_EACH (p, &box->ports)
		fd_close_at(&p->fd);
	free(box->ports.v);
	box->ports.v = NULL;
	box->ports.n = 0;
	box->ports_held = false;
}

/* Showing */

static void ports_forget(struct container *c)
{
	for (size_t i = 0; i < c->ports.n; i++) {
		table_done(&port_bindings_table, &c->ports.v[i].value);
		free(c->ports.v[i].key);
	}
	free(c->ports.v);
	c->ports.v = NULL;
	c->ports.n = 0;
}

void box_ports_show(const struct net_box *box, struct container *c)
{
	ports_forget(c);
	for (size_t i = 0; box && i < box->ports.n; i++) {
		const struct net_port *p = &box->ports.v[i].port;
		struct port_binding *b;
		char key[16], ip[NET_IP_TEXT];

		(void)snprintf(key, sizeof key, "%u/%s", p->to_port, protocol_name(p));
		b = LIST_ADD(&MAP_PUT(&c->ports, key)->list);
		b->host_ip =
			xstrdup(p->host_ip.family ? net_ip_format(&p->host_ip, ip) : "0.0.0.0");
		b->host_port = xasprintf("%u", p->host_port);
	}
}

struct net_port *box_ports_copy(const struct net_box *box, size_t *ret_n, char *ret_device)
{
	const struct net_ep *out = NULL;
	struct net_port *v;

	LIST_EACH (ep, &box->eps)
		if ((*ep)->gateway && (*ep)->ip[0].ip.family)
			out = *ep;
	if (!out || !box->ports.n)
		return NULL;
	v = xcalloc(box->ports.n, sizeof *v);
	for (size_t i = 0; i < box->ports.n; i++) {
		v[i] = box->ports.v[i].port;
		v[i].to = out->ip[0].ip;
	}
	*ret_n = box->ports.n;
	(void)snprintf(ret_device, NET_IFNAME_MAX, "%s", out->net->settings.device);
	return v;
}
