/*
 * net/bridge.h and net/endpoint.h in namespaces: NAT to the outside, isolation, internal networks,
 * IPv6 off where there is none, each call run twice.
 */
#include "unit/net/world.h"

#include "net/bridge.h"
#include "net/endpoint.h"
#include "net/link.h"
#include "net/netns.h"
#include "net/sweep.h"

struct place {
	int host, outside;
	struct net_host h;
};

#define ID_A "aaaaaaaaaaaabbbbbbbbbbbbccccccccccccddddddddddddeeeeeeeeeeee0001"
#define ID_B "bbbbbbbbbbbbaaaaaaaaaaaaccccccccccccddddddddddddeeeeeeeeeeee0002"

static struct place place_new(void)
{
	struct place p = {.host = world_netns(), .outside = world_netns()};

	p.h = (struct net_host){
		.netns_fd = p.host, .tag = "test1", .netns_dir = world_dir, .forward_guard = true};
	world_wire(p.host, p.outside, "192.0.2", 1500);
	world_run(p.host, "ip route add default via 192.0.2.2");
	return p;
}

static void place_done(struct place *p)
{
	close(p->host);
	close(p->outside);
}

static struct net_bridge bridge_a(void)
{
	return (struct net_bridge){.id = ID_A,
				   .name = "shoal0",
				   .ip4 = prefix_of("172.30.0.1/16"),
				   .icc = true,
				   .masquerade = true};
}

static struct net_bridge bridge_b(void)
{
	return (struct net_bridge){.id = ID_B,
				   .name = "br-bbbbbbbbbbbb",
				   .ip4 = prefix_of("172.31.0.1/16"),
				   .icc = true,
				   .masquerade = true};
}

static void bridge_make(struct place *p, const struct net_bridge *b)
{
	struct err e = ERR_INIT;

	assert_ok(net_bridge_create(&p->h, b, &e), &e);
}

/* A container on a bridge: its namespace. The id is a letter over and over. */
static int container(struct place *p, const struct net_bridge *b, char letter, const char *ip)
{
	struct net_segment s = {.bridge = b->name};
	struct err e = ERR_INIT;
	struct net_endpoint ep = {.ifname = "eth0",
				  .netns_fd = world_netns(),
				  .ip4 = prefix_of(ip),
				  .gateway4 = b->ip4.ip,
				  .isolated = !b->icc};
	char id[65];

	memset(id, letter, 64);
	id[64] = '\0';
	ep.id = id;
	if (b->internal)
		ep.gateway4.family = 0;
	assert_ok(net_endpoint_create(&p->h, &s, &ep, NULL, &e), &e);
	return ep.netns_fd;
}

static void a_container_reaches_the_outside_by_nat(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	char peer[NET_IP_TEXT];
	int c;

	bridge_make(&p, &a);
	c = container(&p, &a, '1', "172.30.0.2/16");
	assert_true(world_tcp(c, p.outside, "192.0.2.2", peer));
	assert_string_equal(peer, "192.0.2.1");
	assert_true(world_udp(c, p.outside, "192.0.2.2", 100));
	assert_true(world_ping(c, "192.0.2.2"));
	assert_true(world_ping(c, "172.30.0.1"));
	/* The host reaches the container with its own address. */
	assert_true(world_tcp(p.host, c, "172.30.0.2", peer));
	assert_string_equal(peer, "172.30.0.1");
	/* The outside does not, even when it knows the way. */
	world_run(p.outside, "ip route add 172.30.0.0/16 via 192.0.2.1");
	assert_blocked(world_tcp(p.outside, c, "172.30.0.2", NULL));
	close(c);
	place_done(&p);
}

static void the_container_side_is_as_docker_makes_it(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	int c;

	a.mtu = 1400;
	bridge_make(&p, &a);
	c = container(&p, &a, '1', "172.30.0.2/16");
	world_shows(c, "02:42:ac:1e:00:02", "ip link show eth0");
	world_shows(c, "mtu 1400", "ip link show eth0");
	world_shows(c, "inet 172.30.0.2/16 brd 172.30.255.255", "ip addr show eth0");
	world_shows(c, "default via 172.30.0.1 dev eth0", "ip route");
	world_shows(c, "LOOPBACK,UP", "ip link show lo");
	world_shows(c, "127.0.0.1/8", "ip addr show lo");
	/* CVE-2024-32473 and CVE-2020-13401 */
	world_hides(c, "inet6", "ip addr show eth0");
	world_shows(c, "1", "cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6");
	world_shows(p.host, "1", "cat /proc/sys/net/ipv6/conf/shoal0/disable_ipv6");
	world_hides(p.host, "inet6", "ip addr show veth1111111");
	world_shows(p.host, "master shoal0", "ip link show veth1111111");
	world_shows(p.host, "02:42:ac:1e:00:01", "ip link show shoal0");
	close(c);
	place_done(&p);
}

static void networks_are_isolated_from_each_other(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a(), b = bridge_b();
	int a1, a2, b1;

	bridge_make(&p, &a);
	bridge_make(&p, &b);
	a1 = container(&p, &a, '1', "172.30.0.2/16");
	a2 = container(&p, &a, '2', "172.30.0.3/16");
	b1 = container(&p, &b, '3', "172.31.0.2/16");
	assert_true(world_tcp(a1, a2, "172.30.0.3", NULL));
	assert_blocked(world_tcp(a1, b1, "172.31.0.2", NULL));
	assert_blocked(world_tcp(b1, a1, "172.30.0.2", NULL));
	assert_blocked(world_ping(b1, "172.30.0.2"));
	close(a1);
	close(a2);
	close(b1);
	place_done(&p);
}

static void without_icc_the_containers_of_a_network_are_apart(void **state)
{
	struct place p = place_new();
	struct net_bridge gw = bridge_a();
	int a1, a2;

	gw.name = "shoal_gwbridge";
	gw.icc = false;
	bridge_make(&p, &gw);
	a1 = container(&p, &gw, '1', "172.30.0.2/16");
	a2 = container(&p, &gw, '2', "172.30.0.3/16");
	assert_blocked(world_tcp(a1, a2, "172.30.0.3", NULL));
	/* Nor by way of the host, with a route that leads there. */
	world_run(a1, "ip route add 172.30.0.3/32 via 172.30.0.1");
	assert_blocked(world_tcp(a1, a2, "172.30.0.3", NULL));
	assert_true(world_tcp(a1, p.outside, "192.0.2.2", NULL));
	assert_true(world_tcp(p.host, a2, "172.30.0.3", NULL));
	close(a1);
	close(a2);
	place_done(&p);
}

static void an_internal_network_has_no_way_out(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a(), b = bridge_b();
	int a1, a2;

	a.internal = true;
	bridge_make(&p, &a);
	bridge_make(&p, &b); /* switches forwarding on */
	a1 = container(&p, &a, '1', "172.30.0.2/16");
	a2 = container(&p, &a, '2', "172.30.0.3/16");
	assert_true(world_tcp(a1, a2, "172.30.0.3", NULL));
	world_run(a1, "ip route add default via 172.30.0.1");
	assert_blocked(world_tcp(a1, p.outside, "192.0.2.2", NULL));
	world_run(p.outside, "ip route add 172.30.0.0/16 via 192.0.2.1");
	assert_blocked(world_tcp(p.outside, a1, "172.30.0.2", NULL));
	close(a1);
	close(a2);
	place_done(&p);
}

static void ipv6_works_where_a_network_has_it(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	struct net_segment s = {.bridge = a.name};
	struct err e = ERR_INIT;
	struct net_endpoint ep = {.id = ID_A,
				  .ifname = "eth0",
				  .netns_fd = world_netns(),
				  .ip4 = prefix_of("172.30.0.2/16"),
				  .ip6 = prefix_of("fd00:30::2/64"),
				  .gateway4 = ip_of("172.30.0.1"),
				  .gateway6 = ip_of("fd00:30::1")};
	char peer[NET_IP_TEXT];

	world_run(p.host, "ip addr add 2001:db8::1/64 dev $(ip -o -4 addr show | "
			  "grep 192.0.2.1 | cut -d' ' -f2) nodad");
	world_run(p.outside, "ip addr add 2001:db8::2/64 dev $(ip -o -4 addr show | "
			     "grep 192.0.2.2 | cut -d' ' -f2) nodad");
	a.ip6 = prefix_of("fd00:30::1/64");
	bridge_make(&p, &a);
	assert_ok(net_endpoint_create(&p.h, &s, &ep, NULL, &e), &e);
	assert_true(world_tcp(ep.netns_fd, p.outside, "2001:db8::2", peer));
	assert_string_equal(peer, "2001:db8::1");
	assert_true(world_tcp(p.host, ep.netns_fd, "fd00:30::2", NULL));
	world_shows(ep.netns_fd, "0", "cat /proc/sys/net/ipv6/conf/eth0/accept_ra");
	world_shows(p.host, "0", "cat /proc/sys/net/ipv6/conf/shoal0/accept_ra");
	close(ep.netns_fd);
	place_done(&p);
}

static char *state_of(int netns)
{
	/* Without counters, ages, the random MACs of the host ends and what comes late. */
	return world_out(netns, "ip -d -o addr; ip route | sed 's/ linkdown//'; ip -6 route; "
				"nft list ruleset; bridge link");
}

static void every_call_twice_is_as_once(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	struct net_segment s = {.bridge = a.name};
	struct err e = ERR_INIT;
	struct net_endpoint ep = {.id = ID_A,
				  .ifname = "eth0",
				  .netns_fd = world_netns(),
				  .ip4 = prefix_of("172.30.0.2/16"),
				  .gateway4 = ip_of("172.30.0.1")};
	auto_free char *before = state_of(p.host), *outer = NULL, *inner = NULL;
	struct net_mac mac;

	bridge_make(&p, &a);
	assert_ok(net_endpoint_create(&p.h, &s, &ep, &mac, &e), &e);
	outer = state_of(p.host);
	inner = state_of(ep.netns_fd);
	for (int i = 0; i < 3; i++) {
		auto_free char *outer2 = NULL, *inner2 = NULL;

		bridge_make(&p, &a);
		assert_ok(net_endpoint_create(&p.h, &s, &ep, &mac, &e), &e);
		outer2 = state_of(p.host);
		inner2 = state_of(ep.netns_fd);
		assert_string_equal(outer, outer2);
		assert_string_equal(inner, inner2);
	}
	for (int i = 0; i < 2; i++) {
		assert_ok(net_endpoint_remove(&p.h, &s, ep.id, &e), &e);
		world_hides(ep.netns_fd, "eth0", "ip link");
	}
	for (int i = 0; i < 2; i++) {
		assert_ok(net_bridge_remove(&p.h, &a, &e), &e);
		world_hides(p.host, "shoal0", "ip link");
		world_hides(p.host, "172.30", "nft list ruleset");
	}
	assert_ok(net_sweep(&p.h, &(struct net_known){0}, NULL, &e), &e);
	free(outer);
	outer = state_of(p.host);
	assert_string_equal(before, outer);
	close(ep.netns_fd);
	place_done(&p);
}

static void a_running_connection_survives_a_second_create(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	auto_free char *before = NULL, *after = NULL;
	int c;

	bridge_make(&p, &a);
	c = container(&p, &a, '1', "172.30.0.2/16");
	before = world_out(p.host, "ip -o link show veth1111111 | cut -d: -f1");
	bridge_make(&p, &a);
	{
		struct net_segment s = {.bridge = a.name};
		struct err e = ERR_INIT;
		char id[65];
		struct net_endpoint ep = {.id = id,
					  .ifname = "eth0",
					  .netns_fd = c,
					  .ip4 = prefix_of("172.30.0.9/16"),
					  .gateway4 = a.ip4.ip,
					  .mac = mac_of_text("172.30.0.2")};

		memset(id, '1', 64);
		id[64] = '\0';
		assert_ok(net_endpoint_create(&p.h, &s, &ep, NULL, &e), &e);
		after = world_out(p.host, "ip -o link show veth1111111 | cut -d: -f1");
		assert_string_equal(before, after);
		/* A changed address takes the place of the old one. */
		world_shows(c, "172.30.0.9/16", "ip addr show eth0");
		world_hides(c, "172.30.0.2/16", "ip addr show eth0");
		/* Another MAC needs another pair. */
		ep.mac = mac_of_text("172.30.0.77");
		assert_ok(net_endpoint_create(&p.h, &s, &ep, NULL, &e), &e);
		world_shows(c, "02:42:ac:1e:00:4d", "ip link show eth0");
	}
	assert_true(world_tcp(c, p.outside, "192.0.2.2", NULL));
	close(c);
	place_done(&p);
}

static void what_is_not_ours_is_left_alone(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	struct net_segment s = {.bridge = a.name};
	struct net_host other = p.h;
	struct err e = ERR_INIT;
	struct net_endpoint ep = {.id = ID_A,
				  .ifname = "eth0",
				  .netns_fd = world_netns(),
				  .ip4 = prefix_of("172.30.0.2/16")};

	world_run(p.host, "ip link add shoal0 type bridge");
	assert_int_equal(net_bridge_create(&p.h, &a, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "shoal0"));
	assert_ok(net_bridge_remove(&p.h, &a, &e), &e);
	world_run(p.host, "ip link show shoal0 >/dev/null && ip link del shoal0");
	/* Nor may a second daemon take the first one's. */
	bridge_make(&p, &a);
	other.tag = "test2";
	assert_int_equal(net_bridge_create(&other, &a, &e), -EEXIST);
	assert_ok(net_bridge_remove(&other, &a, &e), &e);
	world_run(p.host, "ip link show shoal0 >/dev/null");
	/* An eth0 that someone else put into the container. */
	world_run(ep.netns_fd, "ip link add eth0 type bridge");
	assert_int_equal(net_endpoint_create(&p.h, &s, &ep, NULL, &e), -EEXIST);
	world_shows(ep.netns_fd, "bridge", "ip -d link show eth0");
	world_hides(p.host, "vethaaaaaaa", "ip link");
	close(ep.netns_fd);
	place_done(&p);
}

static void bad_input_is_refused(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	struct net_segment s = {.bridge = "nosuch"}, both = {.bridge = "x", .overlay = "y"};
	struct err e = ERR_INIT;
	struct net_endpoint ep = {.id = ID_A, .ifname = "eth0", .netns_fd = p.outside};

	a.name = "evil\" }; drop";
	assert_int_equal(net_bridge_create(&p.h, &a, &e), -EINVAL);
	a.name = "muchtoolongforaname";
	assert_int_equal(net_bridge_create(&p.h, &a, &e), -EINVAL);
	assert_int_equal(net_endpoint_create(&p.h, &s, &ep, NULL, &e), -ENODEV);
	assert_int_equal(net_endpoint_create(&p.h, &both, &ep, NULL, &e), -EINVAL);
	ep.id = "short";
	assert_int_equal(net_endpoint_create(&p.h, &s, &ep, NULL, &e), -EINVAL);
	ep.id = "../../../../etc";
	assert_int_equal(net_endpoint_create(&p.h, &s, &ep, NULL, &e), -EINVAL);
	place_done(&p);
}

static void forwarding_does_not_make_the_host_a_router(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	int far = world_netns();

	world_wire(p.host, far, "198.51.100", 1500);
	world_run(far, "ip route add default via 198.51.100.1");
	world_run(p.outside, "ip route add default via 192.0.2.1");
	world_shows(p.host, "0", "cat /proc/sys/net/ipv4/ip_forward");
	bridge_make(&p, &a);
	world_shows(p.host, "1", "cat /proc/sys/net/ipv4/ip_forward");
	assert_blocked(world_tcp(p.outside, far, "198.51.100.2", NULL));
	assert_true(world_tcp(p.host, far, "198.51.100.2", NULL));
	close(far);
	place_done(&p);
}

static void a_host_that_was_a_router_stays_one(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	int far = world_netns();

	world_wire(p.host, far, "198.51.100", 1500);
	world_run(far, "ip route add default via 198.51.100.1");
	world_run(p.outside, "ip route add default via 192.0.2.1");
	world_run(p.host, "echo 1 >/proc/sys/net/ipv4/ip_forward");
	bridge_make(&p, &a);
	assert_true(world_tcp(p.outside, far, "198.51.100.2", NULL));
	close(far);
	place_done(&p);
}

static void two_daemons_share_a_host(void **state)
{
	struct place p = place_new(), q = p;
	struct net_bridge a = bridge_a(), b = bridge_b();
	struct net_known none = {0};
	struct err e = ERR_INIT;
	int a1, b1;

	q.h.tag = "test2";
	bridge_make(&p, &a);
	bridge_make(&q, &b);
	a1 = container(&p, &a, '1', "172.30.0.2/16");
	b1 = container(&q, &b, '2', "172.31.0.2/16");
	/* The guard of the one does not stop the other, and they do not reach each other. */
	assert_true(world_tcp(a1, p.outside, "192.0.2.2", NULL));
	assert_true(world_tcp(b1, p.outside, "192.0.2.2", NULL));
	assert_blocked(world_tcp(a1, b1, "172.31.0.2", NULL));
	assert_blocked(world_tcp(b1, a1, "172.30.0.2", NULL));
	/* One leaves without a trace; the other goes on. */
	assert_ok(net_sweep(&p.h, &none, NULL, &e), &e);
	world_hides(p.host, "shoal_test1", "nft list ruleset");
	world_hides(p.host, "shoal0", "ip link");
	assert_true(world_tcp(b1, p.outside, "192.0.2.2", NULL));
	close(a1);
	close(b1);
	place_done(&p);
}

static void the_first_packet_is_not_lost(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();

	bridge_make(&p, &a);
	for (int i = 0; i < 10; i++) {
		char ip[32];
		int c;

		snprintf(ip, sizeof(ip), "172.30.0.%d/16", 2 + i);
		c = container(&p, &a, (char)('0' + i), ip);
		/* One datagram each way, sent once: no second try hides a loss. */
		assert_true(world_udp(c, p.outside, "192.0.2.2", 100));
		close(c);
	}
	place_done(&p);
}

static void counters_count(void **state)
{
	struct place p = place_new();
	struct net_bridge a = bridge_a();
	struct net_counters before, after;
	struct err e = ERR_INIT;
	int c;

	bridge_make(&p, &a);
	c = container(&p, &a, '1', "172.30.0.2/16");
	assert_ok(net_counters_read(c, "eth0", &before, &e), &e);
	assert_true(world_udp(c, p.outside, "192.0.2.2", 1000));
	assert_ok(net_counters_read(c, "eth0", &after, &e), &e);
	assert_true(after.tx_bytes >= before.tx_bytes + 1000);
	assert_true(after.rx_bytes >= before.rx_bytes + 1000);
	assert_int_equal(net_counters_read(c, "eth7", &after, &e), -ENODEV);
	close(c);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_container_reaches_the_outside_by_nat),
		TEST(the_container_side_is_as_docker_makes_it),
		TEST(networks_are_isolated_from_each_other),
		TEST(without_icc_the_containers_of_a_network_are_apart),
		TEST(an_internal_network_has_no_way_out),
		TEST(ipv6_works_where_a_network_has_it),
		TEST(every_call_twice_is_as_once),
		TEST(a_running_connection_survives_a_second_create),
		TEST(what_is_not_ours_is_left_alone),
		TEST(bad_input_is_refused),
		TEST(forwarding_does_not_make_the_host_a_router),
		TEST(a_host_that_was_a_router_stays_one),
		TEST(two_daemons_share_a_host),
		TEST(the_first_packet_is_not_lost),
		TEST(counters_count),
	};
	int rc;

	if (!world_begin())
		return 0;
	rc = RUN_TESTS(tests);
	world_end();
	return rc;
}
