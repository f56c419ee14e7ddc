/*
 * Which addresses a node listens on and tells others: what users give to --listen-addr,
 * --advertise-addr and --data-path-addr.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "main/swarm_impl.h"
#include "net/probe.h"

/* Cuts "HOST:PORT", "HOST" or "[IP6]:PORT"; the parts are copies. */
static int host_port_cut(const char *text, char **ret_host, char **ret_port, struct err *e)
{
	const char *colon = strrchr(text, ':');
	const char *bracket = strchr(text, ']');
	bool has_port = colon && (bracket ? colon > bracket : strchr(text, ':') == colon);
	size_t n = has_port ? (size_t)(colon - text) : strlen(text);
	long port = has_port ? strtol(colon + 1, NULL, 10) : 0;

	if (has_port &&
	    (port < 1 || port > 65535 || strspn(colon + 1, "0123456789") != strlen(colon + 1)))
		return err_set(e, -EINVAL, "invalid port in the address \"%.100s\"", text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	*ret_host = xstrndup(text, n);
	*ret_port = xstrdup(has_port ? colon + 1 : CLUSTER_PORT_TEXT);
	return 0;
}

static char *host_port_join(const struct net_ip *ip, const char *port)
{
	char text[NET_IP_TEXT];

	(void)net_ip_format(ip, text);
	return xasprintf(ip->family == AF_INET6 ? "[%s]:%s" : "%s:%s", text, port);
}

int swarm_address(const char *text, const char *flag, char **ret, struct err *e)
{
	struct net_host host = {.netns_fd = -1, .tag = "addr", .netns_dir = "/nowhere"};
	auto_free char *name = NULL, *port = NULL;
	struct net_ip ip;
	int rc = host_port_cut(text ? text : "", &name, &port, e);

	if (rc == 0)
		rc = net_local_address(&host, name, flag, &ip, e);
	if (rc < 0)
		return rc;
	*ret = host_port_join(&ip, port);
	return 0;
}

int swarm_listen_address(const char *text, char **ret, struct err *e)
{
	auto_free char *name = NULL, *port = NULL;
	struct net_ip ip;
	int rc = host_port_cut(text && *text ? text : "0.0.0.0", &name, &port, e);

	if (rc < 0)
		return rc;
	if (*name == '\0')
		str_set(&name, "0.0.0.0");
	if (net_ip_parse(name, &ip) < 0)
		return swarm_address(text, "--listen-addr", ret, e);
	*ret = host_port_join(&ip, port);
	return 0;
}

char *swarm_address_ip(const char *address)
{
	auto_free char *name = NULL, *port = NULL;

	if (host_port_cut(address, &name, &port, NULL) < 0)
		return xstrdup("");
	return TAKE_PTR(name);
}

int swarm_address_towards(const char *address, char **ret, struct err *e)
{
	auto_free char *host = NULL, *port = NULL;
	struct sockaddr_storage sa;
	struct net_ip ip;
	char text[NET_IP_TEXT];
	socklen_t n;
	auto_close int fd = -1;
	int rc = host_port_cut(address, &host, &port, e);

	if (rc < 0)
		return rc;
	if (net_ip_parse(host, &ip) < 0)
		return err_set(e, -EINVAL, "\"%s\" is not an address", host);
	n = net_ip_sockaddr(&ip, 9, &sa); /* a datagram socket sends nothing when it connects */
	fd = socket(ip.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, n) < 0)
		return err_sys(e, "there is no route to %s", host);
	n = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0 ||
	    net_ip_from_sockaddr((struct sockaddr *)&sa, &ip, NULL) < 0)
		return err_set(e, -EADDRNOTAVAIL, "the address towards %s is not known", host);
	*ret = xstrdup(net_ip_format(&ip, text));
	return 0;
}
