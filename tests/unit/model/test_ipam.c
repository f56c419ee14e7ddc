/*
 * model/ipam.h: pools of addresses to their bounds, and subnets that never overlap.
 */
#include "unit/test.h"

#include <stdio.h>

#include "base/mem.h"
#include "model/ipam.h"

static struct net_prefix prefix(const char *text)
{
	struct net_prefix p;

	assert_int_equal(net_prefix_parse(text, &p), 0);
	return p;
}

static struct net_ip ip(const char *text)
{
	struct net_ip a;

	assert_int_equal(net_ip_parse(text, &a), 0);
	return a;
}

static struct addr_pool *pool_of(const char *subnet, const char *range, const char *gateway)
{
	struct ipam_pool config = {.subnet = (char *)(uintptr_t)subnet,
				   .range = (char *)(uintptr_t)range,
				   .gateway = (char *)(uintptr_t)gateway};
	struct err e = ERR_INIT;
	struct addr_pool *p;

	assert_ok(addr_pool_of(&p, &config, NULL, &e), &e);
	return p;
}

static void expect_next(struct addr_pool *p, const char *want)
{
	char text[NET_IP_TEXT];
	struct net_ip a;

	assert_true(addr_pool_next(p, &a));
	assert_string_equal(net_ip_format(&a, text), want);
}

static void in_turn_and_to_the_end(void **state)
{
	struct addr_pool *p = pool_of("10.0.1.0/29", NULL, NULL);
	struct net_ip a = ip("10.0.1.3");
	struct net_ip none;

	for (int i = 2; i <= 6; i++) {
		char want[16];

		snprintf(want, sizeof want, "10.0.1.%d", i);
		expect_next(p, want);
	}
	assert_int_equal(addr_pool_used(p), 5);
	assert_false(addr_pool_next(p, &none));
	assert_true(addr_pool_drop(p, &a));
	assert_false(addr_pool_drop(p, &a));
	expect_next(p, "10.0.1.3");
	assert_false(addr_pool_next(p, &none));
	addr_pool_free(p);
}

static void what_was_freed_comes_last(void **state)
{
	struct addr_pool *p = pool_of("10.0.1.0/29", NULL, NULL);
	struct net_ip a = ip("10.0.1.2");

	expect_next(p, "10.0.1.2");
	assert_true(addr_pool_drop(p, &a));
	for (int i = 3; i <= 6; i++)
		addr_pool_next(p, &a);
	expect_next(p, "10.0.1.2");
	addr_pool_free(p);
}

static void a_new_counter_goes_on_after_the_highest(void **state)
{
	static const char *const subnets[] = {"10.0.0.0/24", "10.0.0.0/16", "10.0.0.0/8"};

	for (size_t i = 0; i < ARRAY_LEN(subnets); i++) {
		struct addr_pool *p = pool_of(subnets[i], NULL, NULL);
		struct net_ip a = ip("10.0.0.77"), last = ip("10.0.0.254");

		assert_true(addr_pool_take(p, &a));
		assert_false(addr_pool_take(p, &a));
		addr_pool_rewind(p);
		expect_next(p, "10.0.0.78");
		assert_true(addr_pool_take(p, &last));
		addr_pool_rewind(p);
		expect_next(p, i == 0 ? "10.0.0.2" : "10.0.0.255");
		addr_pool_free(p);
	}
}

static void range_gateway_and_auxiliary(void **state)
{
	struct ipam_pool config = {.subnet = (char *)(uintptr_t) "10.1.0.0/24",
				   .range = (char *)(uintptr_t) "10.1.0.8/30",
				   .gateway = (char *)(uintptr_t) "10.1.0.9"};
	struct net_prefix gateway;
	struct err e = ERR_INIT;
	struct addr_pool *p;
	struct net_ip a = ip("10.1.0.200");

	strmap_set(&config.aux, "router", "10.1.0.10");
	assert_ok(addr_pool_of(&p, &config, &gateway, &e), &e);
	assert_int_equal(gateway.len, 24);
	expect_next(p, "10.1.0.8");
	expect_next(p, "10.1.0.11");
	assert_false(addr_pool_next(p, &a));
	a = ip("10.1.0.200");
	assert_true(addr_pool_take(p, &a)); /* by name, outside of the range */
	a = ip("10.1.1.1");
	assert_false(addr_pool_take(p, &a));
	addr_pool_free(p);
	strmap_done(&config.aux);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *subnet, *range, *gateway, *aux, *say;
	} bad[] = {
		{"10.0.0.0", NULL, NULL, NULL, "10.0.0.0"},
		{"10.0.0.0/33", NULL, NULL, NULL, "10.0.0.0/33"},
		{NULL, NULL, NULL, NULL, "invalid subnet"},
		{"10.0.0.0/24", "10.0.1.0/28", NULL, NULL, "range"},
		{"10.0.0.0/24", "10.0.0.0/16", NULL, NULL, "range"},
		{"10.0.0.0/24", "x", NULL, NULL, "range"},
		{"10.0.0.0/24", NULL, "10.0.1.1", NULL, "gateway"},
		{"10.0.0.0/24", NULL, "x", NULL, "gateway"},
		{"10.0.0.0/24", NULL, NULL, "10.9.0.1", "auxiliary"},
		{"10.0.0.0/24", NULL, NULL, "10.0.0.1", "taken"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct ipam_pool config = {.subnet = (char *)(uintptr_t)bad[i].subnet,
					   .range = (char *)(uintptr_t)bad[i].range,
					   .gateway = (char *)(uintptr_t)bad[i].gateway};
		struct err e = ERR_INIT;

		if (bad[i].aux)
			strmap_set(&config.aux, "a", bad[i].aux);
		assert_int_equal(ipam_pool_check(&config, &e), -EINVAL);
		if (!strstr(e.msg, bad[i].say))
			fail_msg("%zu: %s", i, e.msg);
		strmap_done(&config.aux);
	}
}

static void small_and_wide_and_ipv6(void **state)
{
	struct addr_pool *p = pool_of("10.0.0.0/31", NULL, NULL);
	struct net_ip a;

	expect_next(p, "10.0.0.1");
	assert_false(addr_pool_next(p, &a));
	addr_pool_free(p);
	p = pool_of("10.0.0.0/8", NULL, NULL);
	a = ip("10.255.255.255");
	assert_true(addr_pool_take(p, &a));
	expect_next(p, "10.0.0.2");
	addr_pool_free(p);
	p = pool_of("fd00::/64", NULL, NULL);
	expect_next(p, "fd00::2");
	a = ip("fd00::1:0:0:5"); /* beyond what is counted */
	assert_false(addr_pool_take(p, &a));
	a = ip("fd00::ff:ffff");
	assert_true(addr_pool_take(p, &a));
	addr_pool_free(p);
}

static void expect_subnet(struct net_prefix *taken, size_t n, const char *after, uint8_t len,
			  const char *want)
{
	struct net_prefix pools[] = {prefix("10.0.0.0/22"), prefix("10.8.0.0/23")};
	struct net_prefix last, ret;
	char text[NET_PREFIX_TEXT];
	bool found;

	if (after)
		last = prefix(after);
	found = subnet_next(pools, 2, len, taken, n, after ? &last : NULL, &ret);
	if (!want) {
		assert_false(found);
		return;
	}
	assert_true(found);
	assert_string_equal(net_prefix_format(&ret, text), want);
}

static void subnets_do_not_overlap(void **state)
{
	struct net_prefix taken[6] = {prefix("10.0.1.128/25"), prefix("10.0.0.0/24")};

	expect_subnet(NULL, 0, NULL, 24, "10.0.0.0/24");
	expect_subnet(taken, 2, NULL, 24, "10.0.2.0/24");
	expect_subnet(taken, 2, "10.0.2.0/24", 24, "10.0.3.0/24");
	expect_subnet(taken, 2, "10.0.3.0/24", 24, "10.0.2.0/24");
	expect_subnet(taken, 2, NULL, 25, "10.0.1.0/25");
	expect_subnet(taken, 2, NULL, 23, "10.0.2.0/23");
	taken[2] = prefix("10.0.0.0/16");
	expect_subnet(taken, 3, NULL, 24, "10.8.0.0/24");
	taken[3] = prefix("10.8.1.7/32");
	taken[4] = prefix("10.8.0.0/24");
	expect_subnet(taken, 5, NULL, 24, NULL);
	expect_subnet(taken, 5, NULL, 25, "10.8.1.128/25");
	expect_subnet(NULL, 0, NULL, 16, NULL); /* larger than any pool */
}

/* Many subnets of random size: each one is free of all others until the pool is full. */
static void many_subnets(void **state)
{
	struct net_prefix pool = prefix("10.0.0.0/18"), taken[200], last, got;
	size_t n = 0;
	unsigned seed = 7;

	while (n < ARRAY_LEN(taken)) {
		uint8_t len;

		seed = seed * 1103515245 + 12345;
		len = (uint8_t)(24 + seed / 65536 % 5);
		if (!subnet_next(&pool, 1, len, taken, n, n ? &last : NULL, &got))
			break;
		assert_int_equal(got.len, len);
		assert_true(net_prefix_contains(&pool, &got.ip));
		for (size_t i = 0; i < n; i++)
			assert_false(net_prefix_overlap(&taken[i], &got));
		last = taken[n++] = got;
	}
	assert_true(n > 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_turn_and_to_the_end),
		TEST(what_was_freed_comes_last),
		TEST(a_new_counter_goes_on_after_the_highest),
		TEST(range_gateway_and_auxiliary),
		TEST(what_is_wrong_is_named),
		TEST(small_and_wide_and_ipv6),
		TEST(subnets_do_not_overlap),
		TEST(many_subnets),
	};

	return RUN_TESTS(tests);
}
