/*
 * The engine's overlays: two engines on two hosts with a wire between them, told by hand what
 * managers would tell. Traffic, names, tables that do not fit, moves, restarts, and the end.
 */
#include "unit/agent/networks_rig.h"

#include "base/crypto.h"

#define NET "n1e2t3w4o5r6k7i8d9a0b1c2d"
#define HOSTS 2

struct pair {
	struct engine *e[HOSTS];
	struct container *c[HOSTS];
	struct box box[HOSTS];
	struct network n;
	struct session_peers table; /* whole */
};

static const char *const tunnels[HOSTS] = {"192.0.2.1", "192.0.2.2"};

static void table_add(struct session_peers *m, const char *task, int host, const char *address,
		      bool running)
{
	struct session_peer *p = LIST_ADD(&m->peers);

	p->task = xstrdup(task);
	p->node = xasprintf("node%d", host);
	p->tunnel = xstrdup(tunnels[host]);
	strs_add(&p->addresses, address);
	strs_add(&p->aliases, "front");
	p->service = xstrdup("web");
	p->name = xasprintf("web.%d.%s", host + 1, task);
	p->running = running;
}

static struct container *task_new(struct engine *e, const char *name, const char *address)
{
	struct container *c = rig_container(e, name, "default");
	struct engine_endpoint ep = {.network = (char *)(uintptr_t)NET};
	struct err err = ERR_INIT;

	strs_add(&ep.addresses, address);
	assert_ok(network_container_check(e, c, &ep, 1, &err), &err);
	strs_done(&ep.addresses);
	return c;
}

static void pair_tell(struct pair *p, int host)
{
	engine_overlay_node(p->e[host], tunnels[host], 4789);
	engine_overlay_set(p->e[host], &p->n);
}

static void applied_wait(struct engine *e, uint64_t version)
{
	for (int i = 0; i < 1000 && engine_overlay_version(e, NET) != version; i++)
		(void)uv_run(&rig_loop, UV_RUN_ONCE);
	assert_int_equal(engine_overlay_version(e, NET), version);
}

static struct pair pair_new(const char *name, bool internal)
{
	struct pair p = {0};
	char text[64];

	p.n.o.id = xstrdup(NET);
	p.n.vni = 4097;
	p.n.spec.name = xstrdup("mesh");
	p.n.spec.internal = internal;
	LIST_ADD(&p.n.ipam.config)->subnet = xstrdup("10.0.9.0/24");
	p.table = (struct session_peers){.network = xstrdup(NET), .complete = true, .version = 10};
	table_add(&p.table, "task0", 0, "10.0.9.2/24", true);
	table_add(&p.table, "task1", 1, "10.0.9.3/24", true);
	for (int i = 0; i < HOSTS; i++) {
		(void)snprintf(text, sizeof text, "%s%d", name, i);
		p.e[i] = rig_new(text, "shoal0");
	}
	world_wire(p.e[0]->host, p.e[1]->host, "192.0.2", 1500);
	for (int i = 0; i < HOSTS; i++) {
		rig_open(p.e[i]);
		pair_tell(&p, i);
	}
	return p;
}

static void pair_start(struct pair *p)
{
	for (int i = 0; i < HOSTS; i++) {
		char name[32], address[32];

		(void)snprintf(name, sizeof name, "web.%d.task%d", i + 1, i);
		(void)snprintf(address, sizeof address, "10.0.9.%d/24", i + 2);
		p->c[i] = task_new(p->e[i], name, address);
		p->box[i] = rig_start(p->e[i], p->c[i]);
		assert_int_equal(engine_overlay_peers(p->e[i], &p->table), 0);
	}
	for (int i = 0; i < HOSTS; i++)
		applied_wait(p->e[i], 10);
}

static void pair_free(struct pair *p)
{
	for (int i = 0; i < HOSTS; i++) {
		rig_close(p->e[i]);
		rig_free(p->e[i]);
	}
	table_done(&network_table, &p->n);
	table_done(&session_peers_table, &p->table);
}

static void pair_stop(struct pair *p)
{
	for (int i = 0; i < HOSTS; i++)
		rig_stop(p->e[i], &p->box[i]);
}

/* The answer has both addresses, in whatever order. */
static void assert_both(const struct box *b, const char *name)
{
	char got[256];

	assert_int_equal(rig_ask(b, name, DNS_A, got, sizeof got), 0);
	assert_non_null(strstr(got, "10.0.9.2"));
	assert_non_null(strstr(got, "10.0.9.3"));
	assert_int_equal(strlen(got), 17);
}

static void tasks_on_two_hosts_talk_by_name(void **state)
{
	struct pair p = pair_new("talk", false);

	pair_start(&p);
	for (int i = 0; i < HOSTS; i++) {
		assert_both(&p.box[i], "web");
		assert_both(&p.box[i], "tasks.web");
		assert_both(&p.box[i], "front");
		assert_answer(&p.box[i], "web.1.task0", DNS_A, "10.0.9.2");
		assert_answer(&p.box[i], "web.2", DNS_A, "10.0.9.3");
		assert_answer(&p.box[i], "2.9.0.10.in-addr.arpa", DNS_PTR, "web.1.task0.mesh");
	}
	assert_true(world_tcp(p.box[0].netns, p.box[1].netns, "10.0.9.3", NULL));
	assert_true(world_tcp(p.box[1].netns, p.box[0].netns, "10.0.9.2", NULL));
	/* The way out is the gateway bridge. */
	world_shows(p.box[0].netns, "dev eth1", "ip route show default");
	world_shows(p.e[0]->host, "shoal_gwbridge", "ip link");
	assert_true(world_ping(p.box[0].netns, "192.0.2.2"));
	pair_stop(&p);
	for (int i = 0; i < HOSTS; i++)
		engine_overlay_gone(p.e[i], NET);
	for (int i = 0; i < HOSTS; i++)
		while (hostnet_find(p.e[i]->networks, NET))
			(void)uv_run(&rig_loop, UV_RUN_ONCE);
	world_hides(p.e[0]->host, "veth", "ip link");
	pair_free(&p);
}

static void an_internal_overlay_has_no_way_out(void **state)
{
	struct pair p = pair_new("inner", true);

	pair_start(&p);
	world_hides(p.box[0].netns, "eth1", "ip link");
	world_hides(p.box[0].netns, "default", "ip route");
	assert_true(world_tcp(p.box[0].netns, p.box[1].netns, "10.0.9.3", NULL));
	pair_stop(&p);
	pair_free(&p);
}

static void digest_of(const struct session_peers *m, struct session_peers *ret)
{
	auto_buf bytes = BUF_INIT(1 << 20);

	LIST_EACH (p, &m->peers)
		assert_int_equal(tlv_write(&session_peer_table, p, &bytes), 0);
	ret->digest.p = xcalloc(1, SHA256_LEN);
	ret->digest.n = SHA256_LEN;
	crypto_sha256(buf_text(&bytes), bytes.len, ret->digest.p);
}

static void what_does_not_fit_is_stale(void **state)
{
	struct pair p = pair_new("stale", false);
	struct session_peers m = {.network = xstrdup(NET), .from = 9, .version = 11};
	struct engine *e = p.e[0];

	/* Nothing is known yet. */
	assert_int_equal(engine_overlay_peers(e, &m), -ESTALE);
	assert_int_equal(engine_overlay_peers(e, &p.table), 0);
	assert_int_equal(engine_overlay_version(e, NET), 10);
	/* A gap. */
	m.from = 11;
	m.version = 12;
	assert_int_equal(engine_overlay_peers(e, &m), -ESTALE);
	assert_int_equal(engine_overlay_version(e, NET), 0);
	assert_int_equal(engine_overlay_peers(e, &p.table), 0);
	/* The right digest, then a wrong one. */
	m.from = m.version = 10;
	digest_of(&p.table, &m);
	assert_int_equal(engine_overlay_peers(e, &m), 0);
	assert_int_equal(engine_overlay_version(e, NET), 10);
	m.digest.p[0] ^= 1;
	assert_int_equal(engine_overlay_peers(e, &m), -ESTALE);
	assert_int_equal(engine_overlay_version(e, NET), 0);
	/* An unknown network. */
	str_set(&m.network, "other");
	assert_int_equal(engine_overlay_peers(e, &m), -ESTALE);
	table_done(&session_peers_table, &m);
	pair_free(&p);
}

static void a_whole_table_comes_in_parts(void **state)
{
	struct pair p = pair_new("parts", false);
	struct session_peers a = {
		.network = xstrdup(NET), .complete = true, .more = true, .version = 20};
	struct session_peers b = {.network = xstrdup(NET), .complete = true, .version = 20};
	struct box box;
	char got[64];

	table_add(&a, "task7", 1, "10.0.9.7/24", true);
	table_add(&b, "task8", 1, "10.0.9.8/24", true);
	assert_int_equal(engine_overlay_peers(p.e[0], &p.table), 0);
	assert_int_equal(engine_overlay_peers(p.e[0], &a), 0);
	assert_int_equal(engine_overlay_version(p.e[0], NET), 10);
	assert_int_equal(engine_overlay_peers(p.e[0], &b), 0);
	assert_int_equal(engine_overlay_version(p.e[0], NET), 20);
	box = rig_start(p.e[0], task_new(p.e[0], "web.1.task0", "10.0.9.2/24"));
	assert_answer(&box, "web.2.task7", DNS_A, "10.0.9.7");
	assert_answer(&box, "web.2.task8", DNS_A, "10.0.9.8");
	assert_int_not_equal(rig_ask(&box, "web.1.task0", DNS_A, got, sizeof got), 0);
	rig_stop(p.e[0], &box);
	table_done(&session_peers_table, &a);
	table_done(&session_peers_table, &b);
	pair_free(&p);
}

/* A difference: the other task stops, its address goes to one on this host, and back. */
static void names_and_places_follow_differences(void **state)
{
	struct pair p = pair_new("follow", false);
	struct session_peers m = {.network = xstrdup(NET), .from = 10, .version = 11};
	struct box box;

	pair_start(&p);
	table_add(&m, "task1", 1, "10.0.9.3/24", false);
	assert_int_equal(engine_overlay_peers(p.e[0], &m), 0);
	assert_answer(&p.box[0], "web", DNS_A, "10.0.9.2");
	assert_no_name(&p.box[0], "web.2"); /* known, and not running: not asked elsewhere */
	applied_wait(p.e[0], 11);
	assert_true(world_tcp(p.box[0].netns, p.box[1].netns, "10.0.9.3", NULL));
	/* Gone, and its address another's, here. */
	rig_stop(p.e[1], &p.box[1]);
	table_done(&session_peers_table, &m);
	m = (struct session_peers){.network = xstrdup(NET), .from = 11, .version = 12};
	strs_add(&m.gone, "task1");
	table_add(&m, "task5", 0, "10.0.9.3/24", true);
	box = rig_start(p.e[0], task_new(p.e[0], "web.3.task5", "10.0.9.3/24"));
	assert_int_equal(engine_overlay_peers(p.e[0], &m), 0);
	applied_wait(p.e[0], 12);
	assert_both(&p.box[0], "web");
	assert_true(world_tcp(p.box[0].netns, box.netns, "10.0.9.3", NULL));
	/* What was known before changes nothing. */
	m.from = 9;
	m.version = 11;
	assert_int_equal(engine_overlay_peers(p.e[0], &m), 0);
	assert_int_equal(engine_overlay_version(p.e[0], NET), 12);
	rig_stop(p.e[0], &box);
	rig_stop(p.e[0], &p.box[0]);
	table_done(&session_peers_table, &m);
	pair_free(&p);
}

/* No manager is in reach when the daemon comes back: what runs goes on. */
static void a_restart_keeps_the_last_known_good(void **state)
{
	struct pair p = pair_new("keep", false);
	struct answer ans;

	pair_start(&p);
	rig_crash(p.e[0]);
	assert_true(world_tcp(p.box[0].netns, p.box[1].netns, "10.0.9.3", NULL));
	rig_open(p.e[0]);
	assert_ok(rig_connect(p.e[0], p.c[0], p.box[0].netns, p.box[0].udp, p.box[0].tcp, &ans),
		  &ans.err);
	assert_true(world_tcp(p.box[0].netns, p.box[1].netns, "10.0.9.3", NULL));
	applied_wait(p.e[0], 10);
	assert_both(&p.box[0], "web");
	pair_tell(&p, 0);
	p.table.version = 14;
	assert_int_equal(engine_overlay_peers(p.e[0], &p.table), 0);
	applied_wait(p.e[0], 14);
	assert_both(&p.box[0], "web");
	assert_true(world_tcp(p.box[0].netns, p.box[1].netns, "10.0.9.3", NULL));
	pair_stop(&p);
	/* With nothing in it any more, and nobody who names it, it goes at the next start. */
	rig_crash(p.e[0]);
	rig_open(p.e[0]);
	assert_null(hostnet_find(p.e[0]->networks, NET));
	pair_free(&p);
}

static void an_encrypted_overlay_is_refused(void **state)
{
	struct pair p = pair_new("crypt", true);
	struct box b = {.netns = world_netns(), .udp = -1, .tcp = -1};
	struct answer ans;

	strmap_set(&p.n.spec.options, "encrypted", "");
	pair_tell(&p, 0);
	b.c = task_new(p.e[0], "web.1.task0", "10.0.9.2/24");
	assert_ok(rig_prepare(p.e[0], b.c, &ans), &ans.err);
	assert_int_equal(rig_connect(p.e[0], b.c, b.netns, -1, -1, &ans), -ENOSYS);
	assert_non_null(strstr(ans.err.msg, "encrypted"));
	rig_stop(p.e[0], &b);
	pair_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tasks_on_two_hosts_talk_by_name),
		TEST(an_internal_overlay_has_no_way_out),
		TEST(what_does_not_fit_is_stale),
		TEST(a_whole_table_comes_in_parts),
		TEST(names_and_places_follow_differences),
		TEST(a_restart_keeps_the_last_known_good),
		TEST(an_encrypted_overlay_is_refused),
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
