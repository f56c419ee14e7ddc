/*
 * TCP over an overlay against the same shape built by hand with `ip link`, which has nothing of
 * ours in its way: two hosts joined by a wire, a tunnel, a bridge and a veth pair on each. Ours
 * has a gateway bridge with its NAT rules besides, as every node has. Both are measured in turns,
 * because the machine's speed drifts. Needs root and iperf3; works in namespaces of its own.
 * usage: bench_overlay_tcp [SECONDS [ROUNDS]]
 */
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/bridge.h"
#include "net/endpoint.h"
#include "net/overlay.h"
#include "net/sweep.h"

#define NET "b1e2n3c4h"
#define ROUNDS_MAX 100

struct shape {
	const char *name;
	int container[2];
	const char *server; /* its address */
	double gbits[ROUNDS_MAX];
};

static char dirs[2][64];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_overlay_tcp: %s: %s\n", what, why);
	exit(1);
}

static void check(int rc, const struct err *e)
{
	if (rc < 0)
		die("net", err_text(e));
}

static int self(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("namespace", strerror(errno));
	return fd;
}

static int netns_new(void)
{
	int home = self(), fd;

	if (unshare(CLONE_NEWNET) < 0)
		die("unshare", strerror(errno));
	fd = self();
	if (setns(home, CLONE_NEWNET) < 0)
		die("setns", strerror(errno));
	close(home);
	return fd;
}

static void __attribute__((format(printf, 2, 3))) run(int netns, const char *fmt, ...)
{
	char command[1024], *argv[] = {(char *)"sh", (char *)"-c", command, NULL};
	int home = self(), status;
	va_list args;
	pid_t pid;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (setns(netns, CLONE_NEWNET) < 0 ||
	    posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid || status != 0)
		die("command failed", command);
	(void)setns(home, CLONE_NEWNET);
	close(home);
}

static void wire(int a, int b)
{
	run(a, "ip link set lo up; ip link add wa type veth peer name wb netns /proc/%d/fd/%d",
	    getpid(), b);
	run(a, "ip addr add 192.0.2.1/24 dev wa && ip link set wa up");
	run(b, "ip link set lo up; ip addr add 192.0.2.2/24 dev wb && ip link set wb up");
}

static struct net_prefix prefix_of(const char *text)
{
	struct net_prefix p = {0};

	if (net_prefix_parse(text, &p) < 0)
		die("no prefix", text);
	return p;
}

static struct net_ip host_ip(int i)
{
	return prefix_of(i == 0 ? "192.0.2.1/24" : "192.0.2.2/24").ip;
}

/* A node with a gateway bridge, an overlay and a container on both. */
static void node_up(int i, int netns, int *ret_container)
{
	struct net_host h = {.netns_fd = netns, .tag = "bench", .netns_dir = dirs[i]};
	struct net_bridge gw = {.id = "aaaaaaaaaaaa",
				.name = "shoal_gwbridge",
				.ip4 = prefix_of("172.30.0.1/16"),
				.masquerade = true};
	struct net_overlay o = {.id = NET, .vni = 4097, .data_ip = host_ip(i)};
	struct net_segment on_overlay = {.overlay = NET}, on_gw = {.bridge = gw.name};
	struct net_endpoint ep = {.id = i == 0 ? "1111111111" : "2222222222",
				  .ifname = "eth0",
				  .ip4 = prefix_of(i == 0 ? "10.9.0.2/24" : "10.9.0.3/24")};
	struct net_endpoint out = {.id = i == 0 ? "3333333333" : "4444444444",
				   .ifname = "eth1",
				   .ip4 = prefix_of("172.30.0.2/16"),
				   .gateway4 = gw.ip4.ip,
				   .isolated = true};
	struct net_peer peer = {.ip = prefix_of(i == 0 ? "10.9.0.3/24" : "10.9.0.2/24").ip,
				.vtep = host_ip(!i)};
	struct err e = ERR_INIT;

	peer.mac = net_mac_from_ip(&peer.ip);
	*ret_container = ep.netns_fd = out.netns_fd = netns_new();
	check(net_bridge_create(&h, &gw, &e), &e);
	check(net_overlay_create(&h, &o, NULL, NULL, &e), &e);
	check(net_endpoint_create(&h, &on_overlay, &ep, NULL, &e), &e);
	check(net_endpoint_create(&h, &on_gw, &out, NULL, &e), &e);
	check(net_overlay_peers_apply(&h, NET, &peer, 1, NULL, &e), &e);
}

static void node_down(int i, int netns)
{
	struct net_host h = {.netns_fd = netns, .tag = "bench", .netns_dir = dirs[i]};
	struct err e = ERR_INIT;

	check(net_sweep(&h, &(struct net_known){0}, NULL, &e), &e);
}

/* The same by hand, with what `ip link` does by itself. */
static void by_hand(int i, int host, int *ret_container)
{
	int segment = netns_new(), c = netns_new();

	run(host,
	    "ip link add vx0 type vxlan id 200 dstport 4789 local 192.0.2.%d remote 192.0.2.%d"
	    " && ip link set vx0 netns /proc/%d/fd/%d",
	    i + 1, 2 - i, getpid(), segment);
	run(segment,
	    "ip link add br0 type bridge && ip link set br0 up && ip link set vx0 mtu 1450 "
	    "master br0 up && ip link add v0 mtu 1450 type veth peer name eth0 mtu 1450 "
	    "netns /proc/%d/fd/%d && ip link set v0 master br0 up",
	    getpid(), c);
	run(c, "ip link set lo up; ip addr add 10.9.0.%d/24 dev eth0 && ip link set eth0 up",
	    i + 2);
	*ret_container = c; /* both stay open: that alone keeps them */
}

static pid_t spawn(int netns, const char *const argv[], int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setns(netns, CLONE_NEWNET) == 0 && dup2(out, 1) >= 0)
			execvp(argv[0], (char *const *)argv); /* which changes none of them */
		_exit(127);
	}
	return pid;
}

static double result(FILE *f)
{
	json_t *all = json_loadf(f, 0, NULL);
	json_t *sum = json_object_get(json_object_get(all, "end"), "sum_received");
	double v = json_number_value(json_object_get(sum, "bits_per_second")) / 1e9;

	json_decref(all);
	return v;
}

/* Until the server says that it listens. */
static void await_server(int fd)
{
	char text[4096];
	size_t n = 0;

	while (n < sizeof(text) - 1) {
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);

		if (got <= 0)
			die("iperf3", "the server does not start");
		n += (size_t)got;
		text[n] = '\0';
		if (strstr(text, "listening") != NULL)
			return;
	}
}

/* One run of iperf3 from the first container to the second, in Gbit/s. */
static double measure(const struct shape *s, const char *seconds)
{
	const char *server[] = {"iperf3", "-s", "--forceflush", NULL};
	const char *client[] = {"iperf3", "-J", "-t", seconds, "-c", s->server, NULL};
	FILE *f = tmpfile();
	pid_t one, two;
	int out[2];
	double gbits;

	if (f == NULL || pipe2(out, O_CLOEXEC) < 0)
		die("pipe", strerror(errno));
	one = spawn(s->container[1], server, out[1]);
	close(out[1]);
	await_server(out[0]);
	two = spawn(s->container[0], client, fileno(f));
	waitpid(two, NULL, 0);
	kill(one, SIGKILL);
	waitpid(one, NULL, 0);
	close(out[0]);
	rewind(f);
	gbits = result(f);
	fclose(f);
	if (gbits == 0)
		die("iperf3", "no result");
	return gbits;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), ascending);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

int main(int argc, char **argv)
{
	const char *seconds = argc > 1 ? argv[1] : "2";
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 7, hosts[4];
	struct shape shapes[2] = {{.name = "overlay_tcp", .server = "10.9.0.3"},
				  {.name = "by_hand_tcp", .server = "10.9.0.3"}};
	char dir[] = "/tmp/bench-overlay-XXXXXX";
	double ratios[ROUNDS_MAX];

	if (rounds < 1 || rounds > ROUNDS_MAX)
		die("rounds", "1 to 100");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mkdtemp(dir) == NULL ||
	    mount("tmpfs", dir, "tmpfs", 0, NULL) < 0)
		die("namespaces (root?)", strerror(errno));
	for (int i = 0; i < 4; i++)
		hosts[i] = netns_new();
	wire(hosts[0], hosts[1]);
	wire(hosts[2], hosts[3]);
	for (int i = 0; i < 2; i++) {
		snprintf(dirs[i], sizeof(dirs[i]), "%s/%d", dir, i);
		node_up(i, hosts[i], &shapes[0].container[i]);
		by_hand(i, hosts[2 + i], &shapes[1].container[i]);
	}
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < 2; i++)
			shapes[(r + i) % 2].gbits[r] = measure(&shapes[(r + i) % 2], seconds);
		ratios[r] = shapes[0].gbits[r] / shapes[1].gbits[r];
		fprintf(stderr, "round %d: %.2f and %.2f Gbit/s\n", r + 1, shapes[0].gbits[r],
			shapes[1].gbits[r]);
	}
	for (int i = 0; i < 2; i++)
		printf("%s %.2f Gbit/s\n", shapes[i].name, median(shapes[i].gbits, rounds));
	printf("overlay_tcp_ratio %.3f ratio\n", median(ratios, rounds));
	for (int i = 0; i < 2; i++)
		node_down(i, hosts[i]);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return 0;
}
