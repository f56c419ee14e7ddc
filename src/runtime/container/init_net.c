/*
 * The little that a container's init does in its network namespace: the loopback interface, and
 * the sockets on which the daemon answers DNS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/init.h"

#define DNS_BACKLOG 128

static int lo_up(struct err *e)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return err_sys(e, "cannot bring up the loopback interface");
	return 0;
}

static int bind_dns(int type, int port, struct err *e)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(0x7f00000b),
	};
	auto_close int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	/* With it a program of the container that sets it too may still take 0.0.0.0:53. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, DNS_BACKLOG) < 0))
		return err_sys(e, "cannot bind the DNS sockets to 127.0.0.11:%d", port);
	return TAKE_FD(fd);
}

int init_net(const struct shim_dns_config *dns, bool own_net, int *ret_udp, int *ret_tcp,
	     struct err *e)
{
	int rc = own_net ? lo_up(e) : 0;

	if (rc < 0 || dns->port == SPEC_UNSET)
		return rc;
	*ret_udp = bind_dns(SOCK_DGRAM, (int)dns->port, e);
	if (*ret_udp < 0)
		return *ret_udp;
	*ret_tcp = bind_dns(SOCK_STREAM, (int)dns->port, e);
	return *ret_tcp < 0 ? *ret_tcp : 0;
}
