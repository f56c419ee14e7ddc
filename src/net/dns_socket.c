/*
 * The sockets of a container's name server and the way to them; see dns_server.h. Blocking calls
 * for the pool.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "net/dns_server.h"
#include "net/netns.h"
#include "net/nft.h"

#define DNS_ADDRESS 0x7f00000b /* 127.0.0.11 */
#define DNS_BACKLOG 16         /* connections that wait to be accepted */

static int open_one(int type, int *ret_fd, struct err *e)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(DNS_ADDRESS)};
	auto_close int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, DNS_BACKLOG) < 0))
		return err_sys(e, "cannot open a socket at 127.0.0.11 in the container");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int dns_sockets_open(int netns_fd, int *ret_udp_fd, int *ret_tcp_fd, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	auto_close int udp = -1, tcp = -1;
	int rc = netns_enter(&visit, netns_fd, e);

	if (rc == 0)
		rc = open_one(SOCK_DGRAM, &udp, e);
	if (rc == 0)
		rc = open_one(SOCK_STREAM, &tcp, e);
	if (rc < 0)
		return rc;
	*ret_udp_fd = TAKE_FD(udp);
	*ret_tcp_fd = TAKE_FD(tcp);
	return 0;
}

static int port_of(int fd, uint16_t *ret, struct err *e)
{
	struct sockaddr_in sin = {0};
	socklen_t len = sizeof(sin);

	if (getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		return err_sys(e, "cannot tell the port of a name server's socket");
	if (sin.sin_family != AF_INET || ntohl(sin.sin_addr.s_addr) != DNS_ADDRESS)
		return err_set(e, -EINVAL, "a name server's socket is not at 127.0.0.11");
	*ret = ntohs(sin.sin_port);
	return 0;
}

static void add_port(struct buf *s, const char *protocol, uint16_t port)
{
	if (port != 53)
		buf_addf(s,
			 "add rule ip shoal_dns output ip daddr 127.0.0.11 %s dport 53 %s dport "
			 "set %u\n"
			 "add rule ip shoal_dns output ip saddr 127.0.0.11 %s sport %u %s sport "
			 "set 53\n",
			 protocol, protocol, port, protocol, port, protocol);
}

static int redirect(uint16_t udp, uint16_t tcp, const char *begin, struct err *e)
{
	auto_buf s = BUF_INIT(4096);

	buf_adds(&s, begin);
	buf_adds(&s, "add chain ip shoal_dns output "
		     "{ type filter hook output priority raw; policy accept; }\n");
	add_port(&s, "udp", udp);
	add_port(&s, "tcp", tcp);
	return nft_run(buf_text(&s), e);
}

int dns_redirect(int netns_fd, int udp_fd, int tcp_fd, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	uint16_t udp, tcp;
	int rc = port_of(udp_fd, &udp, e);

	if (rc == 0)
		rc = port_of(tcp_fd, &tcp, e);
	if (rc == 0)
		rc = netns_enter(&visit, netns_fd, e);
	/* Nearly always the first time: a transaction that removes nothing is quick (0.5 ms, not
	 * 10). */
	if (rc == 0)
		rc = redirect(udp, tcp, "create table ip shoal_dns\n", e);
	if (rc == -EEXIST)
		rc = redirect(udp, tcp, "delete table ip shoal_dns\nadd table ip shoal_dns\n", e);
	return rc;
}
