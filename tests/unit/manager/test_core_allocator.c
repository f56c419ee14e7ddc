/*
 * The allocator: networks, virtual addresses, ports, task addresses, refusals and what frees them.
 */
#include "unit/manager/cores.h"

static const struct network *net(const struct cores *c, const char *id)
{
	return store_network(c->store, id);
}

static struct cores *one_node(void)
{
	struct cores *c = cores_new(3);

	node_add(c, "n1", 0, 0);
	return c;
}

static void networks_get_ids_and_subnets(void **state)
{
	struct cores *c = one_node();

	network_add(c, "a", NULL);
	network_add(c, "b", "192.168.5.0/24");
	network_add(c, "c", NULL);
	(void)cores_quiet(c);
	assert_int_equal(net(c, "a")->vni, 4096);
	/* 10.0.0.0/24 is the ingress network's. */
	assert_string_equal(net(c, "a")->ipam.config.v[0].subnet, "10.0.1.0/24");
	assert_string_equal(net(c, "a")->ipam.config.v[0].gateway, "10.0.1.1");
	assert_string_equal(net(c, "b")->ipam.config.v[0].subnet, "192.168.5.0/24");
	assert_string_equal(net(c, "b")->ipam.config.v[0].gateway, "192.168.5.1");
	assert_string_equal(net(c, "c")->ipam.config.v[0].subnet, "10.0.2.0/24");
	cores_delete(c, KIND_NETWORK, "a");
	cores_reset(c);
	network_add(c, "d", NULL);
	(void)cores_quiet(c);
	/* What was freed is used last. */
	assert_int_equal(net(c, "d")->vni, 4099);
	assert_string_equal(net(c, "d")->ipam.config.v[0].subnet, "10.0.3.0/24");
	cores_free(c);
}

static void pools_of_the_cluster_and_their_end(void **state)
{
	struct cores *c = one_node();
	struct cluster *cluster = object_new(KIND_CLUSTER, "cluster", c->now);
	struct service *s = service_make(c, "web", 1);
	struct changes batch;

	cluster->spec.name = xstrdup("default");
	strs_add(&cluster->default_pools, "172.30.0.0/24");
	cluster->subnet_size = 26;
	changes_init(&batch);
	changes_create(&batch, &cluster->o);
	cores_apply(c, &batch);
	network_add(c, "a", NULL);
	network_add(c, "b", NULL);
	network_add(c, "c", NULL);
	network_add(c, "d", NULL);
	service_attach(s, "d");
	service_add(c, s);
	(void)cores_settle(c);
	assert_string_equal(net(c, "a")->ipam.config.v[0].subnet, "172.30.0.64/26");
	assert_string_equal(net(c, "c")->ipam.config.v[0].subnet, "172.30.0.192/26");
	assert_int_equal(net(c, "d")->vni, 0);
	assert_int_equal(task_in(c, "web", 1)->status.state, TASK_NEW);
	assert_non_null(strstr(task_in(c, "web", 1)->status.err, "no free subnet"));
	cores_delete(c, KIND_NETWORK, "b");
	cores_pass(c, NS_PER_SEC);
	assert_string_equal(net(c, "d")->ipam.config.v[0].subnet, "172.30.0.128/26");
	assert_running(c, "web", 1);
	cores_free(c);
}

static void the_ingress_network_gets_the_first_subnet(void **state)
{
	struct cores *c = one_node();
	struct network *n = network_make(c, "ingress", NULL);
	struct service *s = service_make(c, "web", 1);
	struct changes batch;

	n->spec.ingress = true;
	network_add(c, "a", NULL);
	changes_init(&batch);
	changes_create(&batch, &n->o);
	cores_apply(c, &batch);
	service_publish(s, 80, 8080);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_string_equal(net(c, "ingress")->ipam.config.v[0].subnet, "10.0.0.0/24");
	assert_int_equal(store_service(c->store, "web")->endpoint.vips.n, 1);
	assert_string_equal(task_in(c, "web", 1)->networks.v[0].network, "ingress");
	cores_free(c);
}

static void tasks_and_services_get_addresses(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "web", 2);
	const struct task *t;

	network_add(c, "a", NULL);
	network_add(c, "b", NULL);
	service_attach(s, "a");
	service_attach(s, "b");
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 2);
	assert_int_equal(store_service(c->store, "web")->endpoint.vips.n, 2);
	assert_string_equal(store_service(c->store, "web")->endpoint.vips.v[0].network, "a");
	t = task_in(c, "web", 2);
	assert_int_equal(t->networks.n, 2);
	assert_string_equal(t->networks.v[1].network, "b");
	assert_int_equal(t->networks.v[1].addresses.n, 1);
	assert_non_null(strstr(t->networks.v[1].addresses.v[0], "10.0.2."));
	assert_non_null(strstr(t->networks.v[1].addresses.v[0], "/24"));
	cores_free(c);
}

static void names_alone_need_no_virtual_address(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "web", 1);

	network_add(c, "a", NULL);
	service_attach(s, "a");
	s->spec.endpoint = xcalloc(1, sizeof *s->spec.endpoint);
	s->spec.endpoint->mode = ENDPOINT_DNSRR;
	service_add(c, s);
	(void)cores_quiet(c);
	assert_int_equal(store_service(c->store, "web")->endpoint.vips.n, 0);
	/* And back: the mode is no part of the template. */
	s = cores_edit(c, KIND_SERVICE, "web");
	s->spec.endpoint->mode = ENDPOINT_VIP;
	service_change(c, s);
	(void)cores_quiet(c);
	assert_int_equal(store_service(c->store, "web")->endpoint.vips.n, 1);
	cores_free(c);
}

/* 10.9.0.0/29: the gateway, a virtual address and four tasks. */
static void a_full_network_says_so_and_goes_on(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "web", 7);
	const struct task *t;
	struct store_walk w;
	size_t waiting = 0;

	network_add(c, "a", "10.9.0.0/29");
	service_attach(s, "a");
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 4);
	store_walk_service_tasks(&w, c->store, "web");
	while ((t = store_walk_next(&w)))
		if (t->status.state == TASK_NEW) {
			assert_string_equal(t->status.err, "no free address is left in network a");
			waiting++;
		}
	assert_int_equal(waiting, 3);
	service_scale(c, "web", 5);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 4);
	service_simple(c, "other", 0);
	service_scale(c, "web", 4);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "web", 4);
	assert_int_equal(tasks_count(c, "web", is_any), 4);
	cores_free(c);
}

static void addresses_are_kept_until_the_task_has_ended(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "web", 4), *late = service_make(c, "late", 1);
	const struct task *t;
	struct store_walk w;

	network_add(c, "a", "10.9.0.0/29");
	s->spec.endpoint = xcalloc(1, sizeof *s->spec.endpoint);
	s->spec.endpoint->mode = ENDPOINT_DNSRR;
	late->spec.endpoint = table_dup(&endpoint_spec_table, s->spec.endpoint);
	service_attach(s, "a");
	service_attach(late, "a");
	*s->spec.mode.replicated->replicas = 5;
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", 5);
	service_add(c, late);
	node_state(c, "n1", NODE_DOWN);
	service_remove(c, "web");
	node_add(c, "n2", 0, 0);
	cores_pass(c, 3600 * NS_PER_SEC);
	assert_running(c, "late", 0); /* the containers on n1 may still use them */
	node_state(c, "n1", NODE_READY);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "late", 1);
	store_walk_service_tasks(&w, c->store, "late");
	t = store_walk_next(&w);
	assert_null(t->status.err);
	cores_free(c);
}

static uint32_t port_of(const struct cores *c, const char *id, size_t i)
{
	return store_service(c->store, id)->endpoint.ports.v[i].published;
}

static void ports_are_chosen_and_kept(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "a", 0);

	service_publish(s, 80, 0);
	service_publish(s, 53, 0)->protocol = PORT_UDP;
	service_publish(s, 443, 30000);
	service_publish(s, 9, 0)->mode = PUBLISH_HOST;
	service_add(c, s);
	(void)cores_quiet(c);
	assert_int_equal(port_of(c, "a", 0), 30001);
	assert_int_equal(port_of(c, "a", 1), 30000); /* protocols are apart */
	assert_int_equal(port_of(c, "a", 2), 30000);
	assert_int_equal(port_of(c, "a", 3), 0); /* the node's to choose */
	s = cores_edit(c, KIND_SERVICE, "a");
	service_publish(s, 81, 0);
	service_change(c, s);
	cores_reset(c);
	(void)cores_quiet(c);
	assert_int_equal(port_of(c, "a", 0), 30001);
	assert_int_equal(port_of(c, "a", 1), 30000);
	assert_int_equal(port_of(c, "a", 4), 30002);
	cores_free(c);
}

static void a_port_in_use_is_named(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "a", 1);

	service_publish(s, 80, 8080);
	service_add(c, s);
	s = service_make(c, "b", 1);
	service_publish(s, 80, 8080);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "a", 1);
	assert_string_equal(task_in(c, "b", 1)->status.err,
			    "port 8080/tcp is already in use by service a");
	service_remove(c, "a");
	cores_pass(c, 2 * NS_PER_SEC);
	assert_running(c, "b", 1);
	cores_free(c);
}

static void ports_run_out(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "a", 1);

	for (int i = 0; i < 32767 - 30000 + 2; i++)
		service_publish(s, (uint32_t)i + 1, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_string_equal(task_in(c, "a", 1)->status.err,
			    "no free tcp port is left between 30000 and 32767");
	s = cores_edit(c, KIND_SERVICE, "a");
	s->spec.endpoint->ports.n--; /* nothing in it to free */
	service_change(c, s);
	cores_pass(c, NS_PER_SEC);
	assert_running(c, "a", 1);
	assert_int_equal(store_service(c->store, "a")->endpoint.ports.n, 2768);
	cores_free(c);
}

static void a_marked_network_goes_when_unused(void **state)
{
	struct cores *c = one_node();
	struct service *s = service_make(c, "web", 1);
	struct network *n;

	network_add(c, "a", NULL);
	service_attach(s, "a");
	service_add(c, s);
	(void)cores_quiet(c);
	service_remove(c, "web");
	n = cores_edit(c, KIND_NETWORK, "a");
	n->pending_delete = true;
	cores_update(c, n);
	(void)cores_settle(c);
	assert_non_null(net(c, "a"));
	cores_pass(c, 5 * NS_PER_SEC);
	assert_null(net(c, "a"));
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(networks_get_ids_and_subnets),
		TEST(pools_of_the_cluster_and_their_end),
		TEST(the_ingress_network_gets_the_first_subnet),
		TEST(tasks_and_services_get_addresses),
		TEST(names_alone_need_no_virtual_address),
		TEST(a_full_network_says_so_and_goes_on),
		TEST(addresses_are_kept_until_the_task_has_ended),
		TEST(ports_are_chosen_and_kept),
		TEST(a_port_in_use_is_named),
		TEST(ports_run_out),
		TEST(a_marked_network_goes_when_unused),
	};

	return RUN_TESTS(tests);
}
