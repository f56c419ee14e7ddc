/*
 * Published ports: what comes to a port of the host goes on to a container, by the nftables table
 * of this daemon (maps in the host's namespace, so their number costs nothing a packet). IPv4; also
 * from the host itself and by its loopback address. Who publishes holds the port with a socket of
 * its own, so that nobody else on the host takes it. Called by the agent.
 */
#pragma once

#include "base/addr.h"
#include "net/host.h"

enum net_port_protocol { NET_PORT_TCP, NET_PORT_UDP, NET_PORT_SCTP };

struct net_port {
	enum net_port_protocol protocol;
	struct net_ip host_ip; /* family 0: all of the host's */
	uint16_t host_port;
	struct net_ip to; /* of the container, IPv4 */
	uint16_t to_port;
};

/*
 * Takes the port for as long as the descriptor lives: *ret_fd is to be closed, -1 where the kernel
 * has no such sockets (SCTP). host_port 0: a free one is chosen and filled in. -EADDRINUSE with
 * docker's sentence.
 */
int net_port_hold(const struct net_host *h, struct net_port *p, int *ret_fd, struct err *e);

/*
 * Makes and ends the forwarding of these. `bridge` is the device by which they are reached, of a
 * network that stands. Done already, or gone already, is 0.
 */
int net_ports_add(const struct net_host *h, const char *bridge, const struct net_port *v, size_t n,
		  struct err *e);
int net_ports_remove(const struct net_host *h, const struct net_port *v, size_t n, struct err *e);
