/*
 * net/resolvconf.h: the files of a container, word by word.
 */
#include "unit/test.h"

#include <errno.h>

#include "net/resolvconf.h"

static const char host_text[] = "# made by hand\n"
				"; so too\n"
				"domain old.example\n"
				"nameserver 192.0.2.53\n"
				"nameserver\t127.0.0.53 \n"
				"nameserver fe80::1%eth0\n"
				"nameserver 2001:db8::53\r\n"
				"nameserver nonsense\n"
				"search a.example  b.example\n"
				"options timeout:1 attempts:2\n"
				"options edns0\n"
				"nosuchkey x\n"
				"   \n"
				"nameserver";

static void the_hosts_file_is_read(void **state)
{
	auto_resolv r = RESOLV_INIT;
	char text[NET_IP_TEXT];

	resolv_parse(host_text, &r);
	assert_int_equal(r.server_count, 3);
	assert_string_equal(net_ip_format(&r.servers[0], text), "192.0.2.53");
	assert_string_equal(net_ip_format(&r.servers[1], text), "127.0.0.53");
	assert_string_equal(net_ip_format(&r.servers[2], text), "2001:db8::53");
	assert_int_equal(r.search_count, 2);
	assert_string_equal(r.search[0], "a.example");
	assert_string_equal(r.search[1], "b.example");
	assert_int_equal(r.option_count, 3);
	assert_string_equal(r.options[2], "edns0");
}

static void its_bounds_hold(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	auto_resolv r = RESOLV_INIT;

	for (int i = 0; i < 100; i++)
		buf_addf(&b, "nameserver 192.0.2.%d\noptions o%d\n", i, i);
	buf_adds(&b, "search");
	for (int i = 0; i < 100; i++)
		buf_addf(&b, " d%d", i);
	resolv_parse(buf_text(&b), &r);
	assert_int_equal(r.server_count, RESOLV_SERVERS);
	assert_int_equal(r.search_count, RESOLV_SEARCH);
	assert_int_equal(r.option_count, RESOLV_OPTIONS);
}

static void with_the_embedded_server(void **state)
{
	static const char *const search[] = {"corp.example"}, *const none[] = {"."};
	static const char *const options[] = {"ndots:2", "rotate"};
	struct resolv_user user = {0};
	auto_resolv host = RESOLV_INIT;
	auto_buf b = BUF_INIT(4096);

	resolv_parse(host_text, &host);
	assert_int_equal(resolv_build_embedded(&host, &user, &b), 0);
	assert_string_equal(buf_text(&b), "nameserver 127.0.0.11\n"
					  "search a.example b.example\n"
					  "options timeout:1 attempts:2 edns0 ndots:0\n");
	assert_false(resolv_user_sets_ndots(&user));
	buf_reset(&b);
	user = (struct resolv_user){
		.search = search, .search_count = 1, .options = options, .option_count = 2};
	assert_int_equal(resolv_build_embedded(&host, &user, &b), 0);
	assert_string_equal(buf_text(&b), "nameserver 127.0.0.11\n"
					  "search corp.example\n"
					  "options ndots:2 rotate\n");
	assert_true(resolv_user_sets_ndots(&user));
	buf_reset(&b);
	user.search = none;
	resolv_done(&host);
	user.option_count = 0;
	assert_int_equal(resolv_build_embedded(&host, &user, &b), 0);
	assert_string_equal(buf_text(&b), "nameserver 127.0.0.11\noptions ndots:0\n");
}

static void without_it_loopback_servers_are_left_out(void **state)
{
	struct resolv_user user = {0};
	auto_resolv host = RESOLV_INIT, local = RESOLV_INIT;
	auto_buf b = BUF_INIT(4096);
	struct net_ip own;

	resolv_parse(host_text, &host);
	assert_int_equal(resolv_build_plain(&host, &user, false, &b), 0);
	assert_string_equal(buf_text(&b), "nameserver 192.0.2.53\n"
					  "search a.example b.example\n"
					  "options timeout:1 attempts:2 edns0\n");
	buf_reset(&b);
	assert_int_equal(resolv_build_plain(&host, &user, true, &b), 0);
	assert_non_null(strstr(buf_text(&b), "nameserver 2001:db8::53\n"));
	buf_reset(&b);
	resolv_parse("nameserver 127.0.0.1\nnameserver ::1\n", &local);
	assert_int_equal(resolv_build_plain(&local, &user, false, &b), 0);
	assert_string_equal(buf_text(&b), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
	buf_reset(&b);
	assert_int_equal(net_ip_parse("127.0.0.1", &own), 0);
	user = (struct resolv_user){.servers = &own, .server_count = 1};
	assert_int_equal(resolv_build_plain(&local, &user, false, &b), 0);
	assert_string_equal(buf_text(&b), "nameserver 127.0.0.1\n");
}

static void the_upstreams_keep_loopback_ones(void **state)
{
	struct resolv_user user = {0};
	auto_resolv host = RESOLV_INIT;
	struct net_ip got[4], own;

	resolv_parse(host_text, &host);
	assert_int_equal(resolv_upstreams(&host, &user, got, 4), 3);
	assert_true(net_ip_is_loopback(&got[1]));
	assert_int_equal(resolv_upstreams(&host, &user, got, 1), 1);
	assert_int_equal(net_ip_parse("198.51.100.1", &own), 0);
	user = (struct resolv_user){.servers = &own, .server_count = 1};
	assert_int_equal(resolv_upstreams(&host, &user, got, 4), 1);
	assert_true(net_ip_equal(&got[0], &own));
}

static void what_would_begin_another_line_is_refused(void **state)
{
	static const char *const bad[] = {"x\nnameserver 6.6.6.6", "a b", "", "a\tb", "\x7f"};
	auto_resolv host = RESOLV_INIT;
	struct hosts_entry entry = {.names = "a\n6.6.6.6\tbank.example"};

	assert_int_equal(net_ip_parse("10.0.0.2", &entry.ip), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_buf b = BUF_INIT(4096);
		struct resolv_user user = {.search = &bad[i], .search_count = 1};

		assert_int_equal(resolv_build_embedded(&host, &user, &b), -EINVAL);
		user = (struct resolv_user){.options = &bad[i], .option_count = 1};
		assert_int_equal(resolv_build_plain(&host, &user, true, &b), -EINVAL);
		assert_int_equal(hostname_build(bad[i], &b), -EINVAL);
	}
	{
		auto_buf b = BUF_INIT(4096);

		assert_int_equal(hosts_build(&entry, 1, true, &b), -EINVAL);
		entry.names = "";
		assert_int_equal(hosts_build(&entry, 1, true, &b), -EINVAL);
	}
}

static void the_hosts_and_hostname_files(void **state)
{
	struct hosts_entry entries[2] = {{.names = "web web.corp.example"}, {.names = "db"}};
	auto_buf b = BUF_INIT(4096), small = BUF_INIT(30);

	assert_int_equal(net_ip_parse("10.0.0.2", &entries[0].ip), 0);
	assert_int_equal(net_ip_parse("fd00::2", &entries[1].ip), 0);
	assert_int_equal(hosts_build(entries, 2, true, &b), 0);
	assert_string_equal(buf_text(&b), "127.0.0.1\tlocalhost\n"
					  "::1\tlocalhost ip6-localhost ip6-loopback\n"
					  "fe00::\tip6-localnet\n"
					  "ff00::\tip6-mcastprefix\n"
					  "ff02::1\tip6-allnodes\n"
					  "ff02::2\tip6-allrouters\n"
					  "10.0.0.2\tweb web.corp.example\n"
					  "fd00::2\tdb\n");
	buf_reset(&b);
	assert_int_equal(hosts_build(entries, 1, false, &b), 0);
	assert_string_equal(buf_text(&b), "127.0.0.1\tlocalhost\n10.0.0.2\tweb web.corp.example\n");
	assert_int_equal(hosts_build(entries, 1, false, &small), -EMSGSIZE);
	buf_reset(&b);
	assert_int_equal(hostname_build("web-1", &b), 0);
	assert_string_equal(buf_text(&b), "web-1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_hosts_file_is_read),
		TEST(its_bounds_hold),
		TEST(with_the_embedded_server),
		TEST(without_it_loopback_servers_are_left_out),
		TEST(the_upstreams_keep_loopback_ones),
		TEST(what_would_begin_another_line_is_refused),
		TEST(the_hosts_and_hostname_files),
	};

	return RUN_TESTS(tests);
}
