/*
 * base/addr.h and net/host.h: addresses, prefixes, MACs and tags as text and back.
 */
#include "unit/test.h"

#include "base/mem.h"
#include "base/addr.h"
#include "net/host.h"

static void prefixes(void **state)
{
	static const struct {
		const char *text, *subnet; /* subnet NULL: not a prefix */
	} cases[] = {
		{"10.1.2.3/24", "10.1.2.0/24"},
		{"10.1.2.3/0", "0.0.0.0/0"},
		{"10.1.2.255/25", "10.1.2.128/25"},
		{"10.1.2.3/32", "10.1.2.3/32"},
		{"fd00:1:2:3::5/64", "fd00:1:2:3::/64"},
		{"fd00::ffff/121", "fd00::ff80/121"},
		{"10.1.2.3/33", NULL},
		{"10.1.2.3", NULL},
		{"10.1.2/24", NULL},
		{"10.1.2.3/", NULL},
		{"10.1.2.3/-1", NULL},
		{"10.1.2.3/0024", NULL},
		{"fd00::/129", NULL},
		{"fd00::%eth0/64", NULL},
		{"", NULL},
		{"/8", NULL},
		{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/64", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_prefix p, subnet;
		char text[NET_PREFIX_TEXT];
		int rc = net_prefix_parse(cases[i].text, &p);

		assert_int_equal(rc, cases[i].subnet != NULL ? 0 : -EINVAL);
		if (rc < 0)
			continue;
		assert_string_equal(net_prefix_format(&p, text), cases[i].text);
		subnet = net_prefix_subnet(&p);
		assert_string_equal(net_prefix_format(&subnet, text), cases[i].subnet);
		assert_true(net_prefix_contains(&subnet, &p.ip));
	}
	assert_int_equal(net_prefix_parse(NULL, &(struct net_prefix){0}), -EINVAL);
}

static bool overlap(const char *a, const char *b)
{
	struct net_prefix pa, pb;

	assert_int_equal(net_prefix_parse(a, &pa), 0);
	assert_int_equal(net_prefix_parse(b, &pb), 0);
	assert_int_equal(net_prefix_overlap(&pa, &pb), net_prefix_overlap(&pb, &pa));
	return net_prefix_overlap(&pa, &pb);
}

static void overlaps(void **state)
{
	assert_true(overlap("10.0.0.0/8", "10.5.0.0/16"));
	assert_true(overlap("10.5.0.0/16", "10.5.0.0/16"));
	assert_false(overlap("10.5.0.0/16", "10.6.0.0/16"));
	assert_false(overlap("10.0.0.128/25", "10.0.0.0/25"));
	assert_false(overlap("0.0.0.0/0", "::/0"));
	assert_true(overlap("0.0.0.0/0", "192.168.1.0/24"));
}

static void macs(void **state)
{
	struct net_mac mac;
	struct net_ip ip;
	char text[NET_MAC_TEXT];

	assert_int_equal(net_ip_parse("172.17.0.2", &ip), 0);
	mac = net_mac_from_ip(&ip);
	assert_string_equal(net_mac_format(&mac, text), "02:42:ac:11:00:02");
	assert_int_equal(net_ip_parse("fd00::a:b", &ip), 0);
	mac = net_mac_from_ip(&ip);
	assert_string_equal(net_mac_format(&mac, text), "02:42:00:0a:00:0b");
	assert_int_equal(net_mac_parse("02:42:AC:11:00:ff", &mac), 0);
	assert_string_equal(net_mac_format(&mac, text), "02:42:ac:11:00:ff");
	assert_false(net_mac_is_zero(&mac));
	assert_int_equal(net_mac_parse("02:42:ac:11:00", &mac), -EINVAL);
	assert_int_equal(net_mac_parse("2:42:ac:11:00:ff:", &mac), -EINVAL);
	assert_int_equal(net_mac_parse("02-42-ac-11-00-ff", &mac), -EINVAL);
}

static void sockaddrs(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "2001:db8::1"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct sockaddr_storage ss;
		struct net_ip ip, back;
		uint16_t port;

		assert_int_equal(net_ip_parse(texts[i], &ip), 0);
		assert_true(net_ip_sockaddr(&ip, 4789, &ss) > 0);
		assert_int_equal(net_ip_from_sockaddr((struct sockaddr *)&ss, &back, &port), 0);
		assert_true(net_ip_equal(&ip, &back));
		assert_int_equal(port, 4789);
	}
}

static void tags(void **state)
{
	struct err e = ERR_INIT;
	char a[NET_TAG_MAX + 1], b[NET_TAG_MAX + 1];
	struct net_host h = {.netns_fd = -1, .tag = a};

	net_tag_from("/run/shoal", a);
	net_tag_from("/run/shoal2", b);
	assert_string_not_equal(a, b);
	assert_ok(net_host_check(&h, &e), &e);
	h.tag = "toolongtag";
	assert_int_equal(net_host_check(&h, &e), -EINVAL);
	h.tag = "a;b";
	assert_int_equal(net_host_check(&h, &e), -EINVAL);
	h.tag = "";
	assert_int_equal(net_host_check(&h, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(prefixes), TEST(overlaps), TEST(macs), TEST(sockaddrs), TEST(tags),
	};

	return RUN_TESTS(tests);
}
