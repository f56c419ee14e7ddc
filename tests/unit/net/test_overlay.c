/*
 * net/overlay.h: two hosts with an overlay between them, tables and their reconciling, MTU, many
 * peers, daemons side by side.
 */
#include "unit/net/world.h"

#include "base/clock.h"
#include "net/bridge.h"
#include "net/endpoint.h"
#include "net/overlay.h"
#include "net/sweep.h"

#define NET "n1e2t3w4o5r6k7i8d9a0b1c2d"
#define VNI 4097

struct pair {
	struct net_host h[2];
	struct net_ip ip[2];
	struct net_overlay o[2];
};

static void host_init(struct pair *p, int i, int netns)
{
	static char dirs[64][128];
	static unsigned count;
	char *dir = dirs[count++];

	assert_true(count < ARRAY_LEN(dirs));
	snprintf(dir, sizeof(dirs[0]), "%s/netns%u", world_dir, count);
	p->h[i] = (struct net_host){
		.netns_fd = netns, .tag = i == 0 ? "hosta" : "hostb", .netns_dir = dir};
	p->o[i] = (struct net_overlay){.id = NET, .vni = VNI, .data_ip = p->ip[i]};
}

static struct pair pair_new(unsigned mtu)
{
	struct pair p = {.ip = {ip_of("192.0.2.1"), ip_of("192.0.2.2")}};
	int a = world_netns(), b = world_netns();

	world_wire(a, b, "192.0.2", mtu);
	host_init(&p, 0, a);
	host_init(&p, 1, b);
	return p;
}

static void pair_done(struct pair *p)
{
	struct net_known none = {0};
	struct err e = ERR_INIT;

	for (int i = 0; i < 2; i++) {
		assert_ok(net_sweep(&p->h[i], &none, NULL, &e), &e);
		close(p->h[i].netns_fd);
	}
}

static void pair_up(struct pair *p)
{
	struct err e = ERR_INIT;
	bool fresh;

	for (int i = 0; i < 2; i++) {
		assert_ok(net_overlay_create(&p->h[i], &p->o[i], NULL, &fresh, &e), &e);
		assert_true(fresh);
	}
}

/* A container of an overlay on that host. Its address is 10.9.0.N and fd09::N. */
static int container(const struct net_host *h, unsigned n)
{
	struct net_segment s = {.overlay = NET};
	char id[65], ip4[32], ip6[32];
	struct err e = ERR_INIT;
	struct net_endpoint ep = {.id = id, .ifname = "eth0", .netns_fd = world_netns()};

	snprintf(id, sizeof(id), "%07x%057x", n, n);
	snprintf(ip4, sizeof(ip4), "10.9.0.%u/24", n);
	snprintf(ip6, sizeof(ip6), "fd09::%u/64", n);
	ep.ip4 = prefix_of(ip4);
	ep.ip6 = prefix_of(ip6);
	assert_ok(net_endpoint_create(h, &s, &ep, NULL, &e), &e);
	return ep.netns_fd;
}

/* The two peers of container N on a host. */
static void peers_of(struct net_peer ret[2], unsigned n, struct net_ip vtep)
{
	char text[32];

	snprintf(text, sizeof(text), "10.9.0.%u", n);
	ret[0] = (struct net_peer){ip_of(text), mac_of_text(text), vtep};
	ret[1] = ret[0];
	snprintf(text, sizeof(text), "fd09::%u", n);
	ret[1].ip = ip_of(text);
}

static void add_peer(const struct net_host *h, unsigned n, struct net_ip vtep)
{
	struct net_peer peers[2];
	struct err e = ERR_INIT;

	peers_of(peers, n, vtep);
	assert_ok(net_overlay_peers_update(h, NET, peers, 2, NULL, 0, &e), &e);
}

static void containers_on_two_hosts_talk(void **state)
{
	struct pair p = pair_new(1500);
	struct err e = ERR_INIT;
	char peer[NET_IP_TEXT];
	int a, a2, b, fd;

	pair_up(&p);
	a = container(&p.h[0], 2);
	a2 = container(&p.h[0], 4);
	b = container(&p.h[1], 3);
	/* Nobody is known yet, and nothing is flooded. */
	assert_blocked(world_tcp(a, b, "10.9.0.3", NULL));
	assert_true(world_tcp(a, a2, "10.9.0.4", NULL));
	add_peer(&p.h[0], 3, p.ip[1]);
	add_peer(&p.h[1], 2, p.ip[0]);
	assert_true(world_ping(a, "10.9.0.3"));
	assert_true(world_tcp(a, b, "10.9.0.3", peer));
	assert_string_equal(peer, "10.9.0.2");
	assert_true(world_tcp(b, a, "10.9.0.2", NULL));
	assert_true(world_udp(a, b, "10.9.0.3", 1400));
	assert_true(world_udp(a, b, "10.9.0.3", 9000));
	assert_true(world_tcp(a, b, "fd09::3", peer));
	assert_string_equal(peer, "fd09::2");
	assert_true(world_udp(b, a, "fd09::2", 1300));
	/* The tunnel's socket is the host's, its devices are not. */
	world_shows(p.h[0].netns_fd, ":4789", "ss -uan");
	world_hides(p.h[0].netns_fd, "vxlan", "ip link");
	fd = net_overlay_open(&p.h[0], NET, &e);
	assert_true(fd >= 0);
	world_shows(fd, "nolearning proxy", "ip -d link show vxlan0");
	world_shows(fd, "learning off", "bridge -d link show dev vxlan0");
	close(fd);
	close(a);
	close(a2);
	close(b);
	pair_done(&p);
}

static void a_second_create_keeps_what_runs(void **state)
{
	struct pair p = pair_new(1500);
	struct err e = ERR_INIT;
	bool fresh;
	int a, b;

	pair_up(&p);
	a = container(&p.h[0], 2);
	b = container(&p.h[1], 3);
	add_peer(&p.h[0], 3, p.ip[1]);
	add_peer(&p.h[1], 2, p.ip[0]);
	for (int i = 0; i < 2; i++) {
		assert_ok(net_overlay_create(&p.h[0], &p.o[0], NULL, &fresh, &e), &e);
		assert_false(fresh);
		assert_true(world_tcp(a, b, "10.9.0.3", NULL));
	}
	/* Another data address is another tunnel. */
	world_run(p.h[0].netns_fd, "ip addr add 192.0.2.9/24 dev "
				   "$(ip -o -4 addr show | grep 192.0.2.1/ | cut -d' ' -f2)");
	p.o[0].data_ip = ip_of("192.0.2.9");
	assert_ok(net_overlay_create(&p.h[0], &p.o[0], NULL, &fresh, &e), &e);
	assert_true(fresh);
	add_peer(&p.h[0], 3, p.ip[1]);
	add_peer(&p.h[1], 2, p.o[0].data_ip);
	assert_true(world_tcp(a, b, "10.9.0.3", NULL));
	for (int i = 0; i < 2; i++) {
		assert_ok(net_overlay_remove(&p.h[0], NET, &e), &e);
		assert_int_equal(net_overlay_open(&p.h[0], NET, &e), -ENOENT);
	}
	world_hides(a, "eth0", "ip link");
	close(a);
	close(b);
	pair_done(&p);
}

static void the_mtu_follows_the_uplink(void **state)
{
	static const struct {
		unsigned uplink, asked, inside;
	} cases[] = {{1500, 0, 1450}, {9000, 0, 8950}, {1400, 0, 1350}, {1500, 1300, 1300}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair p = pair_new(cases[i].uplink);
		struct err e = ERR_INIT;
		char want[16];
		unsigned mtu;
		int a, b;

		p.o[0].mtu = p.o[1].mtu = cases[i].asked;
		pair_up(&p);
		assert_ok(net_overlay_create(&p.h[0], &p.o[0], &mtu, NULL, &e), &e);
		assert_int_equal(mtu, cases[i].inside);
		a = container(&p.h[0], 2);
		b = container(&p.h[1], 3);
		snprintf(want, sizeof(want), "mtu %u ", mtu);
		world_shows(a, want, "ip link show eth0");
		add_peer(&p.h[0], 3, p.ip[1]);
		add_peer(&p.h[1], 2, p.ip[0]);
		/* A datagram that fills it is not split on the way: 28 bytes of headers. */
		assert_true(world_udp(a, b, "10.9.0.3", mtu - 28));
		close(a);
		close(b);
		pair_done(&p);
	}
}

static void peers_move_and_go(void **state)
{
	struct pair p = pair_new(1500);
	struct net_peer stale[2], right[2];
	struct net_peers_result r;
	struct err e = ERR_INIT;
	int a, b;

	pair_up(&p);
	a = container(&p.h[0], 2);
	b = container(&p.h[1], 3);
	add_peer(&p.h[1], 2, p.ip[0]);
	/* A table that sends to the wrong host, then is put right. */
	add_peer(&p.h[0], 3, ip_of("192.0.2.77"));
	assert_blocked(world_tcp(a, b, "10.9.0.3", NULL));
	peers_of(right, 3, p.ip[1]);
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, right, 2, &r, &e), &e);
	assert_int_equal(r.added, 1);
	assert_int_equal(r.kept, 3);
	assert_true(world_tcp(a, b, "10.9.0.3", NULL));
	/* What the full table does not name goes. */
	add_peer(&p.h[0], 55, p.ip[1]);
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, right, 2, &r, &e), &e);
	assert_int_equal(r.removed, 4);
	assert_int_equal(r.added, 0);
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, right, 2, &r, &e), &e);
	assert_int_equal(r.removed + r.added, 0);
	/* A move in one delta: the old place is forgotten, the new one stays. */
	peers_of(stale, 3, ip_of("192.0.2.77"));
	assert_ok(net_overlay_peers_update(&p.h[0], NET, right, 2, stale, 2, &e), &e);
	assert_true(world_tcp(a, b, "10.9.0.3", NULL));
	for (int i = 0; i < 2; i++)
		assert_ok(net_overlay_peers_update(&p.h[0], NET, NULL, 0, right, 2, &e), &e);
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, NULL, 0, &r, &e), &e);
	assert_int_equal(r.removed, 0);
	assert_blocked(world_tcp(a, b, "10.9.0.3", NULL));
	close(a);
	close(b);
	pair_done(&p);
}

static void a_container_that_comes_here_is_found_here(void **state)
{
	struct pair p = pair_new(1500);
	struct net_peer peers[4];
	struct err e = ERR_INIT;
	int a, moved;

	pair_up(&p);
	a = container(&p.h[0], 2);
	add_peer(&p.h[0], 3, p.ip[1]);
	moved = container(&p.h[0], 3);
	/* A table that still lists this host's own endpoints does no harm. */
	peers_of(peers, 2, p.ip[0]);
	peers_of(peers + 2, 3, p.ip[0]);
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, peers, 4, NULL, &e), &e);
	assert_true(world_tcp(a, moved, "10.9.0.3", NULL));
	close(a);
	close(moved);
	pair_done(&p);
}

static void a_container_cannot_take_a_peers_mac(void **state)
{
	struct pair p = pair_new(1500);
	int a, b, thief;

	pair_up(&p);
	a = container(&p.h[0], 2);
	b = container(&p.h[1], 3);
	add_peer(&p.h[0], 3, p.ip[1]);
	add_peer(&p.h[1], 2, p.ip[0]);
	thief = container(&p.h[0], 4);
	world_run(thief,
		  "ip link set eth0 down && ip link set eth0 address 02:42:0a:09:00:03 && "
		  "ip link set eth0 up && ip addr add 10.9.0.4/24 dev eth0 2>/dev/null; true");
	assert_blocked(world_ping(thief, "10.9.0.2"));
	assert_true(world_tcp(a, b, "10.9.0.3", NULL));
	close(a);
	close(b);
	close(thief);
	pair_done(&p);
}

static void thousands_of_peers_are_quick(void **state)
{
	enum { COUNT = 5000 };
	struct pair p = pair_new(1500);
	struct net_peer *peers = xcalloc(COUNT, sizeof(*peers));
	struct net_peers_result r;
	struct err e = ERR_INIT;
	int64_t t[5];

	pair_up(&p);
	for (unsigned i = 0; i < COUNT; i++) {
		peers[i].ip = (struct net_ip){AF_INET, {10, 9, (uint8_t)(i >> 8), (uint8_t)i}};
		peers[i].mac = net_mac_from_ip(&peers[i].ip);
		peers[i].vtep = (struct net_ip){AF_INET, {192, 0, 2, (uint8_t)(3 + i % 250)}};
	}
	t[0] = clock_mono_ns();
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, peers, COUNT, &r, &e), &e);
	t[1] = clock_mono_ns();
	assert_int_equal(r.added, 3 * COUNT);
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, peers, COUNT, &r, &e), &e);
	t[2] = clock_mono_ns();
	assert_int_equal(r.kept, 3 * COUNT);
	assert_ok(net_overlay_peers_update(&p.h[0], NET, peers, 64, NULL, 0, &e), &e);
	t[3] = clock_mono_ns();
	assert_ok(net_overlay_peers_apply(&p.h[0], NET, peers, 10, &r, &e), &e);
	t[4] = clock_mono_ns();
	assert_int_equal(r.removed, 3 * (COUNT - 10));
	printf("peers_5000_apply %.1f ms\npeers_5000_reconcile %.1f ms\npeers_64_update %.2f ms\n"
	       "peers_5000_remove %.1f ms\n",
	       (double)(t[1] - t[0]) / 1e6, (double)(t[2] - t[1]) / 1e6,
	       (double)(t[3] - t[2]) / 1e6, (double)(t[4] - t[3]) / 1e6);
	free(peers);
	pair_done(&p);
}

static void two_daemons_share_a_host(void **state)
{
	struct pair p = pair_new(1500);
	struct net_host second = p.h[0];
	struct net_overlay o = p.o[0];
	char dir[128];
	struct err e = ERR_INIT;
	struct net_swept swept;
	int a;

	snprintf(dir, sizeof(dir), "%s/second", world_dir);
	second.tag = "hostc";
	second.netns_dir = dir;
	pair_up(&p);
	a = container(&p.h[0], 2);
	/* The same VXLAN id on the same port of one host cannot be; on another port it can. */
	assert_int_equal(net_overlay_create(&second, &o, NULL, NULL, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "4097"));
	assert_non_null(strstr(e.msg, "4789"));
	second.vxlan_port = 4790;
	assert_ok(net_overlay_create(&second, &o, NULL, NULL, &e), &e);
	assert_ok(net_sweep(&second, &(struct net_known){0}, &swept, &e), &e);
	assert_int_equal(swept.namespaces, 1);
	world_shows(a, "10.9.0.2", "ip addr show eth0");
	world_hides(p.h[0].netns_fd, ":4790", "ss -uan");
	world_shows(p.h[0].netns_fd, ":4789", "ss -uan");
	close(a);
	pair_done(&p);
}

static void bad_input_is_refused(void **state)
{
	struct pair p = pair_new(1500);
	struct net_peer bad = {ip_of("10.9.0.3"), mac_of_text("10.9.0.3"), {0}};
	struct net_overlay o = p.o[0];
	struct err e = ERR_INIT;

	o.vni = 0;
	assert_int_equal(net_overlay_create(&p.h[0], &o, NULL, NULL, &e), -EINVAL);
	o.vni = 1 << 24;
	assert_int_equal(net_overlay_create(&p.h[0], &o, NULL, NULL, &e), -EINVAL);
	o = p.o[0];
	o.id = "../../etc/passwd";
	assert_int_equal(net_overlay_create(&p.h[0], &o, NULL, NULL, &e), -EINVAL);
	o = p.o[0];
	o.data_ip = ip_of("198.51.100.1");
	assert_int_equal(net_overlay_create(&p.h[0], &o, NULL, NULL, &e), -EADDRNOTAVAIL);
	assert_non_null(strstr(e.msg, "198.51.100.1"));
	assert_int_equal(net_overlay_peers_apply(&p.h[0], NET, NULL, 0, NULL, &e), -ENOENT);
	pair_up(&p);
	assert_int_equal(net_overlay_peers_apply(&p.h[0], NET, &bad, 1, NULL, &e), -EINVAL);
	bad.vtep = p.ip[1];
	bad.mac.b[0] = 1;
	assert_int_equal(net_overlay_peers_update(&p.h[0], NET, &bad, 1, NULL, 0, &e), -EINVAL);
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(containers_on_two_hosts_talk),
		TEST(a_second_create_keeps_what_runs),
		TEST(the_mtu_follows_the_uplink),
		TEST(peers_move_and_go),
		TEST(a_container_that_comes_here_is_found_here),
		TEST(a_container_cannot_take_a_peers_mac),
		TEST(thousands_of_peers_are_quick),
		TEST(two_daemons_share_a_host),
		TEST(bad_input_is_refused),
	};
	int rc;

	if (!world_begin())
		return 0;
	rc = RUN_TESTS(tests);
	world_end();
	return rc;
}
