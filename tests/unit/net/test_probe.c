/*
 * net/probe.h: what a host has and can, in namespaces with known links and routes.
 */
#include "unit/net/world.h"

#include "base/clock.h"
#include "net/bridge.h"
#include "net/probe.h"

static struct net_host host_new(void)
{
	return (struct net_host){.netns_fd = world_netns(), .tag = "probe", .netns_dir = world_dir};
}

static void the_features_are_found(void **state)
{
	struct net_host h = host_new();
	struct net_features f;
	struct err e = ERR_INIT;
	int64_t t = clock_mono_ns();
	unsigned warnings = 0;

	assert_ok(net_features_probe(&h, &f, &e), &e);
	printf("features_probe %.1f ms: bridge %d veth %d vxlan %d macvlan %d ipvlan %d wireguard "
	       "%d "
	       "dummy %d nftables %d numgen %d conntrack %d ipvs %d ipsec %d ipv6 %d forward %d\n",
	       (double)(clock_mono_ns() - t) / 1e6, f.bridge, f.veth, f.vxlan, f.macvlan, f.ipvlan,
	       f.wireguard, f.dummy, f.nftables, f.nft_numgen, f.conntrack, f.ipvs, f.ipsec, f.ipv6,
	       f.ip_forward);
	/* The other tests of net need these, and the world itself was made of them. */
	assert_true(f.bridge && f.veth && f.vxlan && f.nftables && f.conntrack);
	assert_int_equal(f.dummy,
			 world_try(h.netns_fd, "ip link add d0 type dummy 2>/dev/null") == 0);
	assert_int_equal(f.ipvlan,
			 world_try(h.netns_fd,
				   "ip link add v0 type veth && "
				   "ip link add i0 link v0 type ipvlan 2>/dev/null") == 0);
	assert_false(f.ip_forward);
	while (net_features_warning(&f, warnings) != NULL)
		warnings++;
	assert_string_equal(net_features_warning(&f, warnings - 1),
			    "WARNING: IPv4 forwarding is disabled");
	world_run(h.netns_fd, "echo 1 >/proc/sys/net/ipv4/ip_forward");
	assert_ok(net_features_probe(&h, &f, &e), &e);
	assert_true(f.ip_forward);
	assert_int_equal(net_features_warning(&(struct net_features){0}, 5) != NULL, 1);
	assert_null(net_features_warning(&(struct net_features){0}, 6));
	close(h.netns_fd);
}

static bool holds(const struct net_prefix *all, int count, const char *text)
{
	char s[NET_PREFIX_TEXT];

	for (int i = 0; i < count; i++)
		if (strcmp(net_prefix_format(&all[i], s), text) == 0)
			return true;
	return false;
}

static void the_subnets_in_use_are_listed(void **state)
{
	struct net_bridge b = {.id = "0123456789ab",
			       .name = "shoal0",
			       .ip4 = prefix_of("172.30.0.1/16"),
			       .icc = true,
			       .masquerade = true};
	struct net_host h = host_new();
	int far = world_netns(), n;
	struct net_prefix all[32];
	struct err e = ERR_INIT;

	world_wire(h.netns_fd, far, "192.0.2", 1500);
	world_run(h.netns_fd, "ip route add default via 192.0.2.2 && "
			      "ip route add 10.20.0.0/16 via 192.0.2.2 && "
			      "ip route add blackhole 10.99.0.0/16 && "
			      "ip -6 route add 2001:db8:5::/48 dev $(ip -o -4 addr show | "
			      "grep 192.0.2.1 | cut -d' ' -f2)");
	assert_ok(net_bridge_create(&h, &b, &e), &e);
	n = net_host_subnets(&h, all, ARRAY_LEN(all), &e);
	assert_int_equal(n, 4);
	assert_true(holds(all, n, "10.99.0.0/16"));
	assert_true(holds(all, n, "192.0.2.0/24"));
	assert_true(holds(all, n, "10.20.0.0/16"));
	assert_true(holds(all, n, "2001:db8:5::/48"));
	assert_int_equal(net_host_subnets(&h, all, 3, &e), -E2BIG);
	assert_int_equal(net_host_subnets(&h, all, 4, &e), 4);
	close(far);
	close(h.netns_fd);
}

static void the_uplinks_mtu(void **state)
{
	struct net_host h = host_new();
	struct net_ip ip = ip_of("192.0.2.1"), none = {0}, wrong = ip_of("192.0.2.77");
	struct err e = ERR_INIT;
	int far = world_netns();
	unsigned mtu;

	world_wire(h.netns_fd, far, "192.0.2", 1400);
	world_wire(h.netns_fd, far, "198.51.100", 9000);
	assert_ok(net_uplink_mtu(&h, &ip, &mtu, &e), &e);
	assert_int_equal(mtu, 1400);
	assert_int_equal(net_uplink_mtu(&h, &none, &mtu, &e), -EADDRNOTAVAIL);
	world_run(h.netns_fd, "ip route add default via 198.51.100.2 && "
			      "ip route add default via 192.0.2.2 metric 50");
	assert_ok(net_uplink_mtu(&h, &none, &mtu, &e), &e);
	assert_int_equal(mtu, 9000);
	assert_int_equal(net_uplink_mtu(&h, &wrong, &mtu, &e), -EADDRNOTAVAIL);
	assert_non_null(strstr(e.msg, "192.0.2.77"));
	close(far);
	close(h.netns_fd);
}

static void the_address_to_advertise(void **state)
{
	struct net_bridge b = {.id = "0123456789ab",
			       .name = "shoal0",
			       .ip4 = prefix_of("172.30.0.1/16"),
			       .icc = true,
			       .masquerade = true};
	struct net_host h = host_new();
	struct net_ip ip, want = ip_of("192.0.2.1"), other = ip_of("198.51.100.1");
	auto_free char *name = NULL;
	struct err e = ERR_INIT;
	int far = world_netns();

	assert_int_equal(net_local_address(&h, NULL, "--advertise-addr", &ip, &e), -EADDRNOTAVAIL);
	world_wire(h.netns_fd, far, "192.0.2", 1500);
	/* Bridges for containers are no way to other hosts: ours, and dockerd's. */
	assert_ok(net_bridge_create(&h, &b, &e), &e);
	world_run(h.netns_fd, "ip link add docker0 type bridge && ip link set docker0 up && "
			      "ip addr add 172.17.0.1/16 dev docker0");
	assert_ok(net_local_address(&h, NULL, "--advertise-addr", &ip, &e), &e);
	assert_true(net_ip_equal(&ip, &want));
	world_wire(h.netns_fd, far, "198.51.100", 1500);
	assert_int_equal(net_local_address(&h, "", "--advertise-addr", &ip, &e), -ENOTUNIQ);
	assert_non_null(strstr(e.msg, "192.0.2.1 on wire"));
	assert_non_null(strstr(e.msg, "198.51.100.1 on wire"));
	assert_non_null(strstr(e.msg, "--advertise-addr"));
	name = world_out(h.netns_fd, "ip -o -4 addr show | grep 198.51.100.1 | cut -d' ' -f2 | "
				     "tr -d '\\n'");
	assert_ok(net_local_address(&h, name, "--advertise-addr", &ip, &e), &e);
	assert_true(net_ip_equal(&ip, &other));
	assert_ok(net_local_address(&h, "203.0.113.7", "--advertise-addr", &ip, &e), &e);
	assert_int_equal(net_local_address(&h, "eth99", "--advertise-addr", &ip, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "eth99"));
	/* Two on one interface: its name is not enough. */
	world_run(h.netns_fd, "ip addr add 198.51.100.9/24 dev %s", name);
	assert_int_equal(net_local_address(&h, name, "--advertise-addr", &ip, &e), -ENOTUNIQ);
	assert_non_null(strstr(e.msg, "198.51.100.9"));
	close(far);
	close(h.netns_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_features_are_found),
		TEST(the_subnets_in_use_are_listed),
		TEST(the_uplinks_mtu),
		TEST(the_address_to_advertise),
	};
	int rc;

	if (!world_begin())
		return 0;
	rc = RUN_TESTS(tests);
	world_end();
	return rc;
}
