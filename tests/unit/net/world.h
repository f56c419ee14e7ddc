/*
 * A world of network namespaces for the tests of net: made by the test process itself in network
 * and mount namespaces of its own, so that nothing of the machine is touched and all of it ends
 * with the process. Sockets of several "hosts" live side by side in this one process.
 */
#pragma once

#include "unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/host.h"

/* What must come may take long on a busy machine; what must not come is waited for shortly. */
#define WORLD_WAIT_MS 8000
#define WORLD_BLOCKED_MS 400
#define WORLD_AGAIN_MS 500
__attribute__((unused)) static int world_wait_ms = WORLD_WAIT_MS;

/* Asserts that world_tcp() and the like do not get through. */
#define assert_blocked(call)                      \
	do {                                      \
		world_wait_ms = WORLD_BLOCKED_MS; \
		assert_false(call);               \
		world_wait_ms = WORLD_WAIT_MS;    \
	} while (0)

static char world_dir[64];

/* False (with the reason printed) when the tests cannot run here. */
__attribute__((unused)) static bool world_begin(void)
{
	if (geteuid() != 0) {
		printf("skipped: needs root for network namespaces\n");
		return false;
	}
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("skipped: no namespaces here: %s\n", strerror(errno));
		return false;
	}
	snprintf(world_dir, sizeof(world_dir), "/tmp/shoal-net-XXXXXX");
	if (mkdtemp(world_dir) == NULL || mount("tmpfs", world_dir, "tmpfs", 0, NULL) < 0) {
		printf("skipped: no tmpfs here: %s\n", strerror(errno));
		return false;
	}
	return true;
}

__attribute__((unused)) static void world_end(void)
{
	umount2(world_dir, MNT_DETACH);
	rmdir(world_dir);
}

__attribute__((unused)) static int world_self(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

__attribute__((unused)) static void world_visit(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

/* A new namespace with its loopback up. */
__attribute__((unused)) static int world_netns(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int home = world_self(), fd, s;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = world_self();
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &lo), 0);
	close(s);
	/* A new namespace takes over from the machine's whether it forwards; here it never does. */
	s = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(s, "0", 1), 1);
	close(s);
	world_visit(home);
	close(home);
	return fd;
}

/* Runs a shell command in the namespace; its exit status. */
__attribute__((unused, format(printf, 2, 3))) static int world_try(int netns, const char *fmt, ...)
{
	int home = world_self(), rc;
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	world_visit(netns);
	rc = system(command);
	world_visit(home);
	close(home);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

#define world_run(netns, ...) assert_int_equal(world_try(netns, __VA_ARGS__), 0)

/* What a command prints in the namespace; free it. */
__attribute__((unused, format(printf, 2, 3))) static char *world_out(int netns, const char *fmt,
								     ...)
{
	int home = world_self();
	char command[1024];
	struct buf out = BUF_INIT(4 << 20);
	va_list args;
	FILE *f;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	world_visit(netns);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(file_read_fd(fileno(f), &out), 0);
	pclose(f);
	world_visit(home);
	close(home);
	return buf_take(&out);
}

/* Asserts that the output of a command holds (or not) the text. */
#define world_shows(netns, text, ...)                                                          \
	do {                                                                                   \
		auto_free char *out_ = world_out(netns, __VA_ARGS__);                          \
		if (strstr(out_, text) == NULL)                                                \
			fail_msg("\"%s\" is not in the output of " #__VA_ARGS__ ":\n%s", text, \
				 out_);                                                        \
	} while (0)
#define world_hides(netns, text, ...)                                                             \
	do {                                                                                      \
		auto_free char *out_ = world_out(netns, __VA_ARGS__);                             \
		if (strstr(out_, text) != NULL)                                                   \
			fail_msg("\"%s\" is in the output of " #__VA_ARGS__ ":\n%s", text, out_); \
	} while (0)

__attribute__((unused)) static struct net_ip ip_of(const char *text)
{
	struct net_ip ip;

	assert_int_equal(net_ip_parse(text, &ip), 0);
	return ip;
}

__attribute__((unused)) static struct net_prefix prefix_of(const char *text)
{
	struct net_prefix p;

	assert_int_equal(net_prefix_parse(text, &p), 0);
	return p;
}

__attribute__((unused)) static struct net_mac mac_of_text(const char *text)
{
	struct net_ip ip = ip_of(text);

	return net_mac_from_ip(&ip);
}

__attribute__((unused)) static int world_socket(int netns, int family, int type, int protocol)
{
	int home = world_self(), fd;

	world_visit(netns);
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	world_visit(home);
	close(home);
	assert_true(fd >= 0);
	return fd;
}

__attribute__((unused)) static bool world_poll(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, world_wait_ms) == 1 && (p.revents & events) != 0;
}

/* A server of this type at any address of the namespace. */
__attribute__((unused)) static int world_server(int netns, const struct net_ip *ip, int type,
						uint16_t port)
{
	struct net_ip any = {.family = ip->family};
	struct sockaddr_storage ss;
	socklen_t len = net_ip_sockaddr(&any, port, &ss);
	int fd = world_socket(netns, ip->family, type, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/*
 * Connects by TCP from one namespace to an address in another and sends a few bytes both ways.
 * True when they came over; `ret_peer` (may be NULL) is whom the server saw.
 */
__attribute__((unused)) static bool world_tcp(int from, int to, const char *text,
					      char ret_peer[NET_IP_TEXT])
{
	static uint16_t port = 20000;
	struct net_ip ip = ip_of(text), peer;
	struct sockaddr_storage ss, ps;
	socklen_t len = net_ip_sockaddr(&ip, ++port, &ss), plen = sizeof(ps);
	auto_close int server = world_server(to, &ip, SOCK_STREAM, port);
	auto_close int client = world_socket(from, ip.family, SOCK_STREAM, 0);
	auto_close int conn = -1;
	char got[8] = "";

	if (connect(client, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return false;
	if (!world_poll(server, POLLIN))
		return false;
	conn = accept4(server, (struct sockaddr *)&ps, &plen, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (conn < 0 || !world_poll(client, POLLOUT))
		return false;
	assert_int_equal(net_ip_from_sockaddr((struct sockaddr *)&ps, &peer, NULL), 0);
	if (ret_peer != NULL)
		net_ip_format(&peer, ret_peer);
	assert_int_equal(send(client, "ahoy", 4, MSG_NOSIGNAL), 4);
	if (!world_poll(conn, POLLIN) || recv(conn, got, 4, 0) != 4 || memcmp(got, "ahoy", 4) != 0)
		return false;
	assert_int_equal(send(conn, "ahoi", 4, MSG_NOSIGNAL), 4);
	return world_poll(client, POLLIN) && recv(client, got, 4, 0) == 4 &&
	       memcmp(got, "ahoi", 4) == 0;
}

/* The same by one UDP datagram of `size` bytes there and back. */
__attribute__((unused)) static bool world_udp(int from, int to, const char *text, size_t size)
{
	static uint16_t port = 30000;
	struct net_ip ip = ip_of(text);
	struct sockaddr_storage ss, ps;
	socklen_t len = net_ip_sockaddr(&ip, ++port, &ss), plen = sizeof(ps);
	auto_close int server = world_server(to, &ip, SOCK_DGRAM, port);
	auto_close int client = world_socket(from, ip.family, SOCK_DGRAM, 0);
	auto_free char *data = xcalloc(1, size);
	struct pollfd arrives = {.fd = server, .events = POLLIN};

	if (connect(client, (struct sockaddr *)&ss, len) < 0)
		return false;
	/* A datagram may be lost while the links come up, and nobody would send it again. */
	for (int waited = 0; poll(&arrives, 1, 0) == 0; waited += WORLD_AGAIN_MS) {
		if (waited > world_wait_ms || send(client, data, size, 0) != (ssize_t)size)
			return false;
		(void)poll(&arrives, 1, WORLD_AGAIN_MS);
	}
	if (recvfrom(server, data, size, 0, (struct sockaddr *)&ps, &plen) != (ssize_t)size)
		return false;
	if (sendto(server, data, size, 0, (struct sockaddr *)&ps, plen) != (ssize_t)size)
		return false;
	return world_poll(client, POLLIN) && recv(client, data, size, 0) == (ssize_t)size;
}

__attribute__((unused)) static uint16_t world_checksum(const void *p, size_t n)
{
	const uint16_t *v = p;
	uint32_t sum = 0;

	for (; n > 1; n -= 2)
		sum += *v++;
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* One ICMP echo (IPv4). */
__attribute__((unused)) static bool world_ping(int from, const char *text)
{
	struct net_ip ip = ip_of(text);
	struct sockaddr_storage ss;
	socklen_t len = net_ip_sockaddr(&ip, 0, &ss);
	auto_close int fd = world_socket(from, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = 77, .sequence = 1}};
	uint8_t got[256];

	echo.checksum = world_checksum(&echo, sizeof(echo));
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 ||
	    send(fd, &echo, sizeof(echo), 0) != sizeof(echo))
		return false;
	while (world_poll(fd, POLLIN)) {
		ssize_t n = recv(fd, got, sizeof(got), 0);

		if (n >= 28 && got[20] == ICMP_ECHOREPLY)
			return true;
	}
	return false;
}

/* The kernel gives a link that comes up its IPv6 address when it gets round to it. */
__attribute__((unused)) static void world_wait_link(int netns, const char *name)
{
	uint64_t end = clock_mono_ms() + 20000;

	for (;;) {
		auto_free char *seen = world_out(netns, "ip -6 -o addr show dev %s", name);

		if (strstr(seen, "inet6 fe80:"))
			return;
		if (clock_mono_ms() >= end)
			fail_msg("%s does not come up", name);
		(void)poll(NULL, 0, 20);
	}
}

/* Two namespaces joined by a wire: `a` gets "net".1, `b` "net".2, both /24, and an MTU. */
__attribute__((unused)) static void world_wire(int a, int b, const char *net, unsigned mtu)
{
	static unsigned wires;
	char path[64], name[16];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), b);
	wires++;
	world_run(a, "ip link add wire%ua mtu %u type veth peer name wire%ub mtu %u netns %s",
		  wires, mtu, wires, mtu, path);
	world_run(a, "echo 0 >/proc/sys/net/ipv6/conf/wire%ua/accept_dad", wires);
	world_run(b, "echo 0 >/proc/sys/net/ipv6/conf/wire%ub/accept_dad", wires);
	world_run(a, "ip addr add %s.1/24 dev wire%ua && ip link set wire%ua up", net, wires,
		  wires);
	world_run(b, "ip addr add %s.2/24 dev wire%ub && ip link set wire%ub up", net, wires,
		  wires);
	snprintf(name, sizeof(name), "wire%ua", wires);
	world_wait_link(a, name);
	snprintf(name, sizeof(name), "wire%ub", wires);
	world_wait_link(b, name);
}
