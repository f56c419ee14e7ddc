/*
 * agent/network.h with bridge networks: containers connected, found by name, released; what a
 * restart and a crash leave; and what is refused.
 */
#include "unit/agent/networks_rig.h"

static struct network_spec spec_of(const char *name)
{
	return (struct network_spec){.name = xstrdup(name)};
}

static char *make(struct engine *e, const char *name, const char *subnet)
{
	struct network_spec spec = spec_of(name);
	struct answer a;

	if (subnet)
		LIST_ADD(&spec.ipam.config)->subnet = xstrdup(subnet);
	assert_ok(rig_create(e, &spec, &a), &a.err);
	table_done(&network_spec_table, &spec);
	return xstrdup(a.id);
}

static struct container *user_container(struct engine *e, const char *name, const char *mode)
{
	struct container *c = rig_container(e, name, mode);

	rig_check(e, c);
	return c;
}

static const struct endpoint_settings *shown(const struct container *c, const char *network)
{
	return MAP_GET(&c->networks.endpoints, network);
}

static void predefined_networks_stay_and_do_not_overlap(void **state)
{
	struct engine *e = rig_new("pre", "shoal0");
	const struct engine_network *n;
	const struct engine_network **v;
	struct err err = ERR_INIT;
	char id[ID_HOST_LEN + 1];
	struct answer a;
	size_t count;

	world_run(e->host, "ip link add d0 type bridge && ip addr add 172.17.9.1/24 dev d0 && "
			   "ip link set d0 up");
	rig_open(e);
	v = engine_networks(e, &count);
	assert_int_equal(count, 3);
	free(v);
	assert_ok(engine_network_find(e, "bridge", &n, &err), &err);
	assert_string_equal(n->ipam.config.v[0].subnet, "172.18.0.0/16");
	assert_string_equal(n->ipam.config.v[0].gateway, "172.18.0.1");
	(void)snprintf(id, sizeof id, "%s", n->id);
	assert_int_equal(rig_remove(e, "bridge", &a), -EPERM);
	assert_int_equal(rig_remove(e, "nothing", &a), -ENOENT);
	rig_close(e);
	rig_open(e);
	assert_ok(engine_network_find(e, "bridge", &n, &err), &err);
	assert_string_equal(n->id, id);
	assert_int_equal(engine_network_find(e, "", &n, &err), -ENOENT);
	rig_close(e);
	world_shows(e->host, "172.18.0.1/16", "ip addr show shoal0");
	rig_free(e);
}

static void a_container_on_the_plain_bridge(void **state)
{
	struct engine *e = rig_new("plain", "shoal0");
	struct container *c;
	struct box b;
	auto_buf text = BUF_INIT(1 << 16);

	rig_open(e);
	c = user_container(e, "one", "default");
	assert_string_equal(c->host.network_mode, "bridge");
	assert_false(network_container_has_dns(e, c));
	b = rig_start(e, c);
	assert_string_equal(shown(c, "bridge")->ip, "172.17.0.2");
	assert_string_equal(shown(c, "bridge")->gateway, "172.17.0.1");
	assert_string_equal(shown(c, "bridge")->mac_address, "02:42:ac:11:00:02");
	assert_int_equal(shown(c, "bridge")->ip_prefix, 16);
	world_shows(b.netns, "inet 172.17.0.2/16", "ip addr show eth0");
	world_shows(b.netns, "default via 172.17.0.1 dev eth0", "ip route");
	assert_true(world_ping(b.netns, "172.17.0.1"));
	assert_int_equal(file_read_at(AT_FDCWD, c->hosts_path, &text), 0);
	assert_non_null(strstr(buf_text(&text), "172.17.0.2\t"));
	assert_non_null(strstr(buf_text(&text), c->config.hostname));
	rig_stop(e, &b);
	assert_string_equal(shown(c, "bridge")->ip, "");
	assert_string_equal(shown(c, "bridge")->mac_address, "");
	/* The container's end has not waited for its device. */
	while (hostnet_by_name(e->networks, "bridge")->endpoints)
		(void)uv_run(&rig_loop, UV_RUN_ONCE);
	world_hides(e->host, "veth", "ip link");
	rig_close(e);
	rig_free(e);
}

static void containers_find_each_other_by_name(void **state)
{
	struct engine *e = rig_new("names", "shoal0");
	struct container *c, *d;
	struct box a, b, stranger;
	auto_free char *net = NULL, *other = NULL;
	char id[13];

	rig_open(e);
	net = make(e, "mine", "10.77.0.0/24");
	other = make(e, "other", NULL);
	c = rig_container(e, "web", "mine");
	strs_add(&MAP_PUT(&c->networks.endpoints, "mine")->aliases, "Front");
	rig_check(e, c);
	d = user_container(e, "db", "mine");
	assert_true(network_container_has_dns(e, c));
	a = rig_start(e, c);
	b = rig_start(e, d);
	stranger = rig_start(e, user_container(e, "far", "other"));
	assert_answer(&b, "web", DNS_A, "10.77.0.2");
	assert_answer(&b, "WEB.mine", DNS_A, "10.77.0.2");
	assert_answer(&b, "front", DNS_A, "10.77.0.2");
	(void)snprintf(id, sizeof id, "%.12s", c->id);
	assert_answer(&b, id, DNS_A, "10.77.0.2");
	assert_answer(&b, "web", DNS_AAAA, "");
	assert_answer(&a, "db", DNS_A, "10.77.0.3");
	assert_answer(&a, "3.0.77.10.in-addr.arpa", DNS_PTR, "db.mine");
	assert_true(world_tcp(a.netns, b.netns, "10.77.0.3", NULL));
	assert_blocked(world_tcp(stranger.netns, b.netns, "10.77.0.3", NULL));
	{
		char got[64];

		assert_int_not_equal(rig_ask(&stranger, "web.mine", DNS_A, got, sizeof got), 0);
		assert_string_equal(got, "");
	}
	str_set(&c->name, "site");
	network_container_renamed(e, c);
	assert_answer(&b, "site", DNS_A, "10.77.0.2");
	rig_stop(e, &a);
	{
		char got[64];

		assert_int_not_equal(rig_ask(&b, "site", DNS_A, got, sizeof got), 0);
	}
	rig_stop(e, &b);
	rig_stop(e, &stranger);
	rig_close(e);
	rig_free(e);
}

static void addresses_are_fixed_or_refused(void **state)
{
	struct engine *e = rig_new("fixed", "none");
	struct endpoint_settings *s;
	struct container *c, *d;
	struct err err = ERR_INIT;
	struct answer ans;
	struct box a;
	auto_free char *net = NULL;

	rig_open(e);
	net = make(e, "small", "10.78.0.0/30"); /* one container */
	c = rig_container(e, "fixed", "small");
	s = MAP_PUT(&c->networks.endpoints, "small");
	s->ipam = xcalloc(1, sizeof *s->ipam);
	s->ipam->ip4 = xstrdup("10.78.1.2");
	s->mac_address = xstrdup("02:00:00:00:00:77");
	assert_int_equal(network_container_check(e, c, NULL, 0, &err), -EINVAL);
	str_set(&MAP_GET(&c->networks.endpoints, "small")->ipam->ip4, "10.78.0.2");
	rig_check(e, c);
	a = rig_start(e, c);
	world_shows(a.netns, "02:00:00:00:00:77", "ip link show eth0");
	d = user_container(e, "late", "small");
	assert_int_equal(rig_prepare(e, d, &ans), -ENOSPC);
	assert_non_null(strstr(ans.err.msg, "no available IPv4 addresses"));
	assert_int_equal(rig_remove(e, "small", &ans), -EBUSY);
	rig_stop(e, &a);
	assert_string_equal(shown(c, "small")->mac_address, "02:00:00:00:00:77");
	assert_ok(rig_prepare(e, d, &ans), &ans.err);
	assert_ok(rig_release(e, d, &ans), &ans.err);
	assert_ok(rig_remove(e, "small", &ans), &ans.err);
	world_hides(e->host, "br-", "ip link");
	rig_close(e);
	rig_free(e);
}

static void a_restart_finds_everything_again(void **state)
{
	struct engine *e = rig_new("again", "shoal0");
	auto_free char *net = NULL, *link_before = NULL, *link_after = NULL;
	struct container *c, *d;
	struct answer ans;
	struct box a, b, lost;

	rig_open(e);
	net = make(e, "mine", NULL);
	c = user_container(e, "web", "mine");
	d = user_container(e, "db", "mine");
	a = rig_start(e, c);
	b = rig_start(e, d);
	lost = rig_start(e, user_container(e, "lost", "mine"));
	link_before = world_out(a.netns, "ip -o link show eth0");
	rig_crash(e);
	/* The third one is not known to the engine that comes back. */
	rig_container_free(e->containers[--e->n_containers]);
	world_run(e->host, "ip link del shoal0");
	rig_open(e);
	assert_ok(rig_connect(e, c, a.netns, a.udp, a.tcp, &ans), &ans.err);
	assert_ok(rig_connect(e, d, b.netns, b.udp, b.tcp, &ans), &ans.err);
	link_after = world_out(a.netns, "ip -o link show eth0");
	assert_string_equal(link_before, link_after);
	assert_answer(&a, "db", DNS_A, shown(d, "mine")->ip);
	assert_true(world_tcp(a.netns, b.netns, shown(d, "mine")->ip, NULL));
	world_shows(e->host, "state", "ip link show shoal0");
	/* Its endpoint has gone, its address is free. */
	while (hostnet_by_name(e->networks, "mine")->endpoints > 2)
		(void)uv_run(&rig_loop, UV_RUN_ONCE);
	world_hides(lost.netns, "eth0", "ip link");
	rig_stop(e, &a);
	rig_stop(e, &b);
	close(lost.netns);
	close(lost.udp);
	close(lost.tcp);
	assert_ok(rig_remove(e, "mine", &ans), &ans.err);
	rig_close(e);
	rig_free(e);
}

static void endpoints_end_with_the_host(void **state)
{
	struct engine *e = rig_new("boot", "shoal0");
	struct err err = ERR_INIT;
	struct answer ans;
	struct box b;
	char *net;

	rig_open(e);
	net = make(e, "mine", NULL);
	b = rig_start(e, user_container(e, "web", "mine"));
	assert_ok(network_store_set(e->networks, "boot_id", "another", &err), &err);
	rig_crash(e);
	rig_open(e);
	assert_int_equal(hostnet_by_name(e->networks, "mine")->endpoints, 0);
	assert_ok(rig_remove(e, "mine", &ans), &ans.err);
	world_hides(e->host, "veth", "ip link");
	close(b.netns);
	close(b.udp);
	close(b.tcp);
	free(net);
	rig_close(e);
	rig_free(e);
}

static void networks_chosen_do_not_overlap(void **state)
{
	struct engine *e = rig_new("many", "shoal0");
	struct net_prefix seen[24], p;
	struct network_spec spec;
	struct answer a;
	size_t n = 0;

	rig_open(e);
	for (int i = 0; i < 20; i++) {
		char name[16];
		const struct engine_network *net;
		struct err err = ERR_INIT;

		(void)snprintf(name, sizeof name, "n%d", i);
		free(make(e, name, NULL));
		assert_ok(engine_network_find(e, name, &net, &err), &err);
		p = prefix_of(net->ipam.config.v[0].subnet);
		for (size_t j = 0; j < n; j++)
			assert_false(net_prefix_overlap(&p, &seen[j]));
		seen[n++] = p;
	}
	spec = spec_of("n3");
	assert_int_equal(rig_create(e, &spec, &a), -EEXIST);
	str_set(&spec.name, "host");
	assert_int_equal(rig_create(e, &spec, &a), -EPERM);
	str_set(&spec.name, "new");
	LIST_ADD(&spec.ipam.config)->subnet = xstrdup("172.17.3.0/24");
	assert_int_equal(rig_create(e, &spec, &a), -EINVAL);
	assert_non_null(strstr(a.err.msg, "overlap"));
	table_done(&network_spec_table, &spec);
	spec = spec_of("new");
	strmap_set(&spec.options, "com.example.magic", "1");
	assert_int_equal(rig_create(e, &spec, &a), -ENOSYS);
	assert_non_null(strstr(a.err.msg, "com.example.magic"));
	strmap_done(&spec.options);
	strmap_set(&spec.options, OPTION_BRIDGE_NAME, "shoal0"); /* another's */
	assert_int_equal(rig_create(e, &spec, &a), -EEXIST);
	assert_null(hostnet_by_name(e->networks, "new"));
	table_done(&network_spec_table, &spec);
	rig_close(e);
	rig_free(e);
}

static void host_and_none_have_no_endpoints(void **state)
{
	struct engine *e = rig_new("none", "shoal0");
	struct container *c, *d;
	struct err err = ERR_INIT;
	struct answer ans;
	struct box b;

	rig_open(e);
	c = user_container(e, "quiet", "none");
	b = rig_start(e, c);
	world_hides(b.netns, "eth0", "ip link");
	world_shows(b.netns, "UP", "ip link show lo");
	rig_stop(e, &b);
	d = user_container(e, "open", "host");
	assert_ok(rig_prepare(e, d, &ans), &ans.err);
	assert_ok(rig_connect(e, d, -1, -1, -1, &ans), &ans.err);
	assert_ok(rig_release(e, d, &ans), &ans.err);
	assert_ok(rig_release(e, d, &ans), &ans.err);
	d = rig_container(e, "shared", "container:quiet");
	assert_int_equal(network_container_check(e, d, NULL, 0, &err), -ENOSYS);
	d = rig_container(e, "lost", "nowhere");
	assert_int_equal(network_container_check(e, d, NULL, 0, &err), -ENOENT);
	d = rig_container(e, "both", "host");
	(void)MAP_PUT(&d->networks.endpoints, "bridge");
	assert_int_equal(network_container_check(e, d, NULL, 0, &err), -EINVAL);
	rig_close(e);
	rig_free(e);
}

static void names_are_bounded(void **state)
{
	struct network_spec spec = {.name = xmalloc(LIMIT_NETWORK_NAME + 2)};
	struct err e = ERR_INIT;

	memset(spec.name, 'n', LIMIT_NETWORK_NAME + 1);
	spec.name[LIMIT_NETWORK_NAME] = '\0';
	assert_ok(network_spec_check(&spec, &e), &e);
	spec.name[LIMIT_NETWORK_NAME] = 'n';
	spec.name[LIMIT_NETWORK_NAME + 1] = '\0';
	assert_int_equal(network_spec_check(&spec, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "at most 128 characters"));
	free(spec.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(predefined_networks_stay_and_do_not_overlap),
		TEST(a_container_on_the_plain_bridge),
		TEST(containers_find_each_other_by_name),
		TEST(addresses_are_fixed_or_refused),
		TEST(a_restart_finds_everything_again),
		TEST(endpoints_end_with_the_host),
		TEST(networks_chosen_do_not_overlap),
		TEST(host_and_none_have_no_endpoints),
		TEST(names_are_bounded),
	};
	int rc;

	if (!world_begin())
		return 0;
	if (uv_loop_init(&rig_loop) < 0)
		return 1;
	rc = RUN_TESTS(tests);
	world_end();
	return rc;
}
