/*
 * manager/netmap.h: an agent that is sent differences has what the store has, whatever it has
 * missed. The agent here holds its table as a set of encoded entries.
 */
#include "unit/test.h"

#include <stdio.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "manager/netmap.h"

#define NET "net0000000000000000000000"
#define SERVICE "service000000000000000000"
#define AGENT_MAX 6000

struct rig {
	struct store *store;
	struct netmap *map;
	struct store_watch watch;
};

static void rig_changed(void *arg, const struct object *old, const struct object *new)
{
	netmap_event(((struct rig *)arg)->map, old, new);
}

static void apply(struct rig *r, struct changes *c)
{
	struct store_result result;

	store_apply_changes(r->store, c, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	changes_done(c);
	changes_init(c);
}

static void node_make(struct changes *c, const char *id, const char *addr)
{
	struct node *n = object_new(KIND_NODE, id, 1);

	n->data_addr = xstrdup(addr);
	changes_create(c, &n->o);
}

static void rig_init(struct rig *r)
{
	struct template *tpl;
	struct network *network;
	struct changes c;
	char id[TEMPLATE_ID_MAX];

	*r = (struct rig){.store = store_new()};
	r->map = netmap_new(r->store);
	r->watch = (struct store_watch){.changed = rig_changed, .arg = r};
	store_watch_add(r->store, &r->watch);
	changes_init(&c);
	node_make(&c, "node1", "192.0.2.1");
	node_make(&c, "node2", "192.0.2.2");
	template_id(SERVICE, 1, id);
	tpl = object_new(KIND_TEMPLATE, id, 1);
	str_set(&tpl->service, SERVICE);
	tpl->template_version = 1;
	str_set(&tpl->service_name, "web");
	changes_create(&c, &tpl->o);
	network = object_new(KIND_NETWORK, NET, 1);
	str_set(&network->spec.name, "overlay");
	changes_create(&c, &network->o);
	apply(r, &c);
	changes_done(&c);
}

static void rig_done(struct rig *r)
{
	store_watch_remove(r->store, &r->watch);
	netmap_free(r->map);
	store_free(r->store);
}

static void task_id(unsigned i, char ret[ID_CLUSTER_LEN + 1])
{
	(void)snprintf(ret, ID_CLUSTER_LEN + 1, "task%021u", i);
}

static void task_create(struct changes *c, unsigned i)
{
	char id[ID_CLUSTER_LEN + 1];
	struct attachment *a;
	struct task *t;

	task_id(i, id);
	t = object_new(KIND_TASK, id, 1);
	str_set(&t->service, SERVICE);
	t->template_version = 1;
	t->slot = i + 1;
	str_set(&t->node, i % 2 ? "node1" : "node2");
	t->status.state = TASK_ASSIGNED;
	t->desired = TASK_RUNNING;
	a = LIST_ADD(&t->networks);
	str_set(&a->network, NET);
	strs_add(&a->addresses, "10.0.0.2/24");
	changes_create(c, &t->o);
}

static void task_state(struct rig *r, struct changes *c, unsigned i, enum task_state state)
{
	char id[ID_CLUSTER_LEN + 1];
	const struct task *old;
	struct task *t;

	task_id(i, id);
	old = store_task(r->store, id);
	assert_non_null(old);
	t = object_clone(&old->o);
	t->status.state = state;
	changes_update(c, &old->o, &t->o, 2);
}

/* The agent */

struct agent {
	uint64_t version;
	struct session_peer *peers[AGENT_MAX]; /* sorted by task */
	size_t n;
	unsigned frames, complete;
	bool taking; /* a complete table in several frames */
};

static size_t agent_place(const struct agent *a, const char *task)
{
	size_t i = 0;

	while (i < a->n && strcmp(a->peers[i]->task, task) < 0)
		i++;
	return i;
}

static void agent_drop(struct agent *a, const char *task)
{
	size_t i = agent_place(a, task);

	if (i == a->n || strcmp(a->peers[i]->task, task) != 0)
		return;
	table_free(&session_peer_table, a->peers[i]);
	memmove(&a->peers[i], &a->peers[i + 1], (--a->n - i) * sizeof a->peers[0]);
}

static void agent_put(struct agent *a, const struct session_peer *p)
{
	size_t i;

	agent_drop(a, p->task);
	i = agent_place(a, p->task);
	assert_true(a->n < AGENT_MAX);
	memmove(&a->peers[i + 1], &a->peers[i], (a->n++ - i) * sizeof a->peers[0]);
	a->peers[i] = table_dup(&session_peer_table, p);
}

static void agent_clear(struct agent *a)
{
	while (a->n)
		table_free(&session_peer_table, a->peers[--a->n]);
}

static void agent_recv(void *arg, struct frame *f)
{
	struct session_peers m = {0};
	struct agent *a = arg;
	struct err e = ERR_INIT;

	assert_int_equal(f->type, SESSION_PEERS);
	assert_true(f->len <= LIMIT_FRAME);
	assert_ok(tlv_read(&session_peers_table, f->payload, f->len, &m, &e), &e);
	assert_string_equal(m.network, NET);
	a->frames++;
	if (m.complete && !a->taking)
		agent_clear(a);
	if (!m.complete)
		assert_int_equal(m.from, a->version);
	a->taking = m.more;
	a->complete += m.complete && !m.more;
	STRS_EACH (id, &m.gone)
		agent_drop(a, id);
	LIST_EACH (p, &m.peers)
		agent_put(a, p);
	if (!m.more)
		a->version = m.version;
	table_done(&session_peers_table, &m);
}

static void agent_update(struct rig *r, struct agent *a)
{
	uint64_t reached = netmap_frames(r->map, NET, a->version, agent_recv, a);

	assert_int_equal(reached, a->version);
	assert_int_equal(reached, netmap_version(r->map, NET));
}

/* The digest that the managers say is that of what the agent has. */
static void agent_check(struct rig *r, struct agent *a)
{
	auto_buf bytes = BUF_INIT(64u << 20);
	struct session_peers m = {0};
	struct err e = ERR_INIT;
	uint8_t digest[SHA256_LEN];
	struct frame *f = netmap_digest(r->map, NET);

	assert_non_null(f);
	assert_ok(tlv_read(&session_peers_table, f->payload, f->len, &m, &e), &e);
	assert_int_equal(m.version, a->version);
	for (size_t i = 0; i < a->n; i++)
		assert_int_equal(tlv_write(&session_peer_table, a->peers[i], &bytes), 0);
	crypto_sha256(buf_text(&bytes), bytes.len, digest);
	assert_int_equal(m.digest.n, SHA256_LEN);
	assert_memory_equal(m.digest.p, digest, SHA256_LEN);
	table_done(&session_peers_table, &m);
	frame_unref(f);
}

static void test_deltas(void **state)
{
	struct agent a = {0};
	struct changes c;
	struct node *n;
	struct rig r;

	(void)state;
	rig_init(&r);
	changes_init(&c);
	assert_int_equal(netmap_version(r.map, NET), 0);
	assert_null(netmap_digest(r.map, NET));
	for (unsigned i = 0; i < 3; i++)
		task_create(&c, i);
	apply(&r, &c);
	agent_update(&r, &a);
	assert_int_equal(a.complete, 1);
	assert_int_equal(a.n, 3);
	assert_string_equal(a.peers[0]->tunnel, "192.0.2.2");
	assert_string_equal(a.peers[1]->tunnel, "192.0.2.1");
	assert_string_equal(a.peers[0]->service, "web");
	assert_false(a.peers[0]->running);
	agent_check(&r, &a);

	task_state(&r, &c, 0, TASK_RUNNING);
	task_state(&r, &c, 1, TASK_FAILED);
	apply(&r, &c);
	task_create(&c, 3);
	apply(&r, &c);
	agent_update(&r, &a);
	assert_int_equal(a.frames, 2);
	assert_int_equal(a.complete, 1);
	assert_int_equal(a.n, 3);
	assert_true(a.peers[0]->running);
	agent_check(&r, &a);
	agent_update(&r, &a); /* nothing new: nothing sent */
	assert_int_equal(a.frames, 2);

	/* What changes nothing of the table sends nothing. */
	task_state(&r, &c, 3, TASK_STARTING);
	apply(&r, &c);
	agent_update(&r, &a);
	assert_int_equal(a.frames, 2);

	n = object_clone(&store_node(r.store, "node2")->o);
	str_set(&n->data_addr, "192.0.2.9");
	changes_update(&c, &store_node(r.store, "node2")->o, &n->o, 3);
	apply(&r, &c);
	agent_update(&r, &a);
	assert_int_equal(a.frames, 3);
	assert_string_equal(a.peers[0]->tunnel, "192.0.2.9");
	agent_check(&r, &a);
	changes_done(&c);
	agent_clear(&a);
	rig_done(&r);
}

/* Agents at different versions, one far behind the ring, one from another manager's future. */
static void test_ring(void **state)
{
	struct agent near = {0}, far = {0}, future = {0};
	struct changes c;
	struct rig r;

	(void)state;
	rig_init(&r);
	changes_init(&c);
	for (unsigned i = 0; i < 200; i++)
		task_create(&c, i);
	apply(&r, &c);
	agent_update(&r, &far);
	for (unsigned round = 0; round < 4500; round++) {
		task_state(&r, &c, round % 200, round / 200 % 2 ? TASK_STARTING : TASK_RUNNING);
		apply(&r, &c);
		if (round % 100 == 50)
			agent_update(&r, &near);
	}
	agent_update(&r, &near);
	assert_int_equal(near.complete, 1);
	agent_check(&r, &near);
	agent_update(&r, &far);
	assert_int_equal(far.complete, 2);
	agent_check(&r, &far);
	future.version = far.version + 100;
	agent_update(&r, &future);
	assert_int_equal(future.complete, 1);
	agent_check(&r, &future);
	agent_clear(&near);
	agent_clear(&far);
	agent_clear(&future);
	changes_done(&c);
	rig_done(&r);
}

/* A table too large for a frame goes in several; one that has become empty is told as such. */
static void test_large(void **state)
{
	struct agent a = {0};
	struct changes c;
	struct rig r;

	(void)state;
	rig_init(&r);
	changes_init(&c);
	for (unsigned i = 0; i < 5500; i++)
		task_create(&c, i);
	apply(&r, &c);
	agent_update(&r, &a);
	assert_true(a.frames > 1);
	assert_int_equal(a.complete, 1);
	assert_int_equal(a.n, 5500);
	agent_check(&r, &a);
	for (unsigned i = 0; i < 5500; i++)
		task_state(&r, &c, i, TASK_SHUTDOWN);
	apply(&r, &c);
	agent_update(&r, &a);
	assert_int_equal(a.n, 0);
	assert_int_equal(a.complete, 2);
	agent_check(&r, &a);
	/* The network goes: nothing is said of it any more. */
	changes_delete(&c, &store_network(r.store, NET)->o);
	apply(&r, &c);
	assert_int_equal(netmap_version(r.map, NET), 0);
	changes_done(&c);
	agent_clear(&a);
	rig_done(&r);
}

/* What another manager derives from the same store after a restart serves the same agents. */
static void test_reset(void **state)
{
	struct agent a = {0};
	struct changes c;
	uint64_t changes;
	struct rig r;

	(void)state;
	rig_init(&r);
	changes_init(&c);
	for (unsigned i = 0; i < 10; i++)
		task_create(&c, i);
	apply(&r, &c);
	agent_update(&r, &a);
	task_state(&r, &c, 4, TASK_FAILED);
	apply(&r, &c);
	changes = netmap_changes(r.map);
	netmap_reset(r.map);
	assert_true(netmap_changes(r.map) > changes);
	agent_update(&r, &a);
	assert_int_equal(a.n, 9);
	assert_int_equal(a.complete, 2);
	agent_check(&r, &a);
	changes_done(&c);
	agent_clear(&a);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deltas),
		TEST(test_ring),
		TEST(test_large),
		TEST(test_reset),
	};

	return RUN_TESTS(tests);
}
