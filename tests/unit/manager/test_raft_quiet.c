/*
 * A quiet raft group by a clock that the test moves: however long nothing was said, a write is
 * agreed upon and known everywhere without waiting for a heartbeat, and a leader whom nobody
 * answers steps down in time. Disk and network take no time here, so that each millisecond that
 * passes is raft's own.
 */
#include "unit/test.h"

#include <raft.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manager/raft_node.h"

#define NODES 3
#define ELECTION_MS 300
#define HEARTBEAT_MS 50

struct append {
	struct append *next;
	struct raft_io_append *req;
};

struct member {
	struct raft_io disk;
	struct raft_node *raft;
	char name[8];
	unsigned tick_ms;
	uint64_t ticked_ms;
	raft_io_tick_cb tick;
	struct append *first, **last;
	unsigned applied;
	bool cut, closed;
};

struct packet {
	struct packet *next;
	struct member *from, *to;
	size_t len;
	uint8_t bytes[];
};

static struct member members[NODES];
static struct packet *packets, **last_packet;
static uint64_t now_ms, randomness;

/* The world */

static uint64_t mono_ms(void *arg)
{
	return now_ms;
}

static int64_t wall_ns(void *arg)
{
	return (int64_t)now_ms * 1000000;
}

static void numbers(void *arg, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		randomness = randomness * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)p)[i] = (uint8_t)(randomness >> 56);
	}
}

static const struct world world = {.wall_ns = wall_ns, .mono_ms = mono_ms, .random = numbers};

/* A disk that is done as soon as it is looked at, and forgets everything. */

static struct member *member_of(struct raft_io *io)
{
	return container_of(io, struct member, disk);
}

static int disk_init(struct raft_io *io, raft_id id, const char *address)
{
	return 0;
}

static void disk_close(struct raft_io *io, raft_io_close_cb cb)
{
	cb(io);
}

static struct raft_entry *first_entry(void)
{
	struct raft_entry *entry = raft_calloc(1, sizeof(*entry));
	struct raft_configuration c;

	raft_configuration_init(&c);
	assert_int_equal(raft_configuration_add(&c, 1, members[0].name, RAFT_VOTER), 0);
	entry->term = 1;
	entry->type = RAFT_CHANGE;
	assert_int_equal(raft_configuration_encode(&c, &entry->buf), 0);
	entry->batch = entry->buf.base;
	raft_configuration_close(&c);
	return entry;
}

static int disk_load(struct raft_io *io, raft_term *term, raft_id *vote,
		     struct raft_snapshot **snapshot, raft_index *start,
		     struct raft_entry *entries[], size_t *n)
{
	*snapshot = NULL;
	*term = *vote = 0;
	*start = 1;
	*n = 0;
	*entries = NULL;
	if (member_of(io) != &members[0])
		return 0;
	/* The first one's log: the group that it is alone in. */
	*term = *n = 1;
	*entries = first_entry();
	return 0;
}

static int disk_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
		      raft_io_recv_cb recv)
{
	struct member *m = member_of(io);

	m->tick_ms = msecs;
	m->ticked_ms = now_ms;
	m->tick = tick;
	return 0;
}

static int disk_term(struct raft_io *io, raft_term term)
{
	return 0;
}

static int disk_vote(struct raft_io *io, raft_id id)
{
	return 0;
}

static int disk_append(struct raft_io *io, struct raft_io_append *req,
		       const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
	struct member *m = member_of(io);
	struct append *a = xcalloc(1, sizeof(*a));

	req->cb = cb;
	a->req = req;
	*m->last = a;
	m->last = &a->next;
	return 0;
}

static int disk_truncate(struct raft_io *io, raft_index index)
{
	return 0;
}

static bool disk_work(struct member *m)
{
	struct append *a = m->first;

	if (!a)
		return false;
	m->first = a->next;
	if (!m->first)
		m->last = &m->first;
	a->req->cb(a->req, 0);
	free(a);
	return true;
}

/* The network */

static void net_send(void *arg, const char *peer, const void *p, size_t n)
{
	struct packet *packet = xmalloc(sizeof(*packet) + n);

	packet->next = NULL;
	packet->from = arg;
	packet->to = &members[peer[4] - '0'];
	packet->len = n;
	memcpy(packet->bytes, p, n);
	*last_packet = packet;
	last_packet = &packet->next;
}

static void net_send_snapshot(void *arg, const char *peer, struct raft_snapshot_out *out)
{
	raft_snapshot_out_free(out);
}

static bool net_work(void)
{
	struct packet *packet = packets;

	if (!packet)
		return false;
	packets = packet->next;
	if (!packets)
		last_packet = &packets;
	if (!packet->from->cut && !packet->to->cut && packet->to->raft)
		assert_int_equal(raft_node_receive(packet->to->raft, packet->from->name,
						   packet->bytes, packet->len, NULL),
				 0);
	free(packet);
	return true;
}

/* Until nothing moves any more; no time passes. */
static void settle(void)
{
	bool moved = true;

	while (moved) {
		moved = net_work();
		for (unsigned i = 0; i < NODES; i++)
			moved = disk_work(&members[i]) || moved;
	}
}

static void pass(unsigned ms)
{
	for (; ms > 0; ms--) {
		now_ms++;
		for (unsigned i = 0; i < NODES; i++) {
			struct member *m = &members[i];

			if (m->raft && now_ms - m->ticked_ms >= m->tick_ms) {
				m->ticked_ms = now_ms;
				m->tick(&m->disk);
			}
		}
		settle();
	}
}

/* The group */

static int state_apply(void *arg, uint64_t index, const void *p, size_t n, bool own,
		       uint64_t *ret_version)
{
	struct member *m = arg;

	*ret_version = ++m->applied;
	return 0;
}

static void start(unsigned i)
{
	struct member *m = &members[i];
	struct raft_node_config config = {
		.world = &world,
		.io = &m->disk,
		.id = i + 1,
		.node = m->name,
		.state = {.arg = m, .apply = state_apply},
		.transport = {.arg = m, .send = net_send, .send_snapshot = net_send_snapshot},
		.options = {.election_ms = ELECTION_MS, .heartbeat_ms = HEARTBEAT_MS},
	};
	struct err e = ERR_INIT;

	(void)snprintf(m->name, sizeof(m->name), "node%u", i);
	m->last = &m->first;
	m->disk = (struct raft_io){
		.version = 2,
		.init = disk_init,
		.close = disk_close,
		.load = disk_load,
		.start = disk_start,
		.set_term = disk_term,
		.set_vote = disk_vote,
		.append = disk_append,
		.truncate = disk_truncate,
		.capacity = 65535,
	};
	assert_ok(raft_node_new(&m->raft, &config, &e), &e);
	assert_ok(raft_node_start(m->raft, &e), &e);
	settle();
}

static void join(unsigned i)
{
	struct raft_node *leader = members[0].raft;
	struct err e = ERR_INIT;

	start(i);
	assert_ok(raft_node_add(leader, i + 1, members[i].name, NULL, NULL, &e), &e);
	pass(4 * HEARTBEAT_MS);
	assert_ok(raft_node_promote(leader, i + 1, NULL, NULL, &e), &e);
	pass(4 * HEARTBEAT_MS);
}

static unsigned written;

static void on_written(void *arg, int status, uint64_t version, const struct err *e)
{
	assert_int_equal(status, 0);
	written++;
}

/* No time passes between a write and its answer, nor until all that hear of it have applied it. */
static void put(void)
{
	struct err e = ERR_INIT;
	unsigned before = written;

	assert_ok(raft_node_propose(members[0].raft, "x", 1, on_written, NULL, &e), &e);
	settle();
	assert_int_equal(written, before + 1);
	for (unsigned i = 1; i < NODES; i++) {
		if (members[i].raft && !members[i].cut)
			assert_int_equal(members[i].applied, members[0].applied);
	}
}

static int setup(void **state)
{
	memset(members, 0, sizeof(members));
	packets = NULL;
	last_packet = &packets;
	now_ms = 1000;
	randomness = 7;
	start(0);
	assert_true(raft_node_is_leader(members[0].raft));
	put(); /* before a leader has committed something it takes nobody in */
	join(1);
	join(2);
	return 0;
}

static void on_closed(void *arg)
{
	((struct member *)arg)->closed = true;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < NODES; i++) {
		raft_node_close(TAKE_PTR(members[i].raft), on_closed, &members[i]);
		settle();
		assert_true(members[i].closed);
	}
	return 0;
}

static void test_write_after_silence(void **state)
{
	for (unsigned quiet = 0; quiet < 8 * HEARTBEAT_MS; quiet++) {
		pass(quiet);
		put();
	}
	assert_true(raft_node_is_leader(members[0].raft));
}

/* One follower that is away must not slow the others down. */
static void test_write_while_one_is_away(void **state)
{
	members[2].cut = true;
	pass(2 * ELECTION_MS);
	for (unsigned quiet = 0; quiet < 4 * HEARTBEAT_MS; quiet++) {
		pass(quiet);
		put();
	}
	members[2].cut = false;
	pass(4 * HEARTBEAT_MS);
	put();
}

static void test_leader_alone_steps_down(void **state)
{
	pass(ELECTION_MS + 17);
	members[0].cut = true;
	pass(ELECTION_MS - 2 * HEARTBEAT_MS);
	assert_true(raft_node_is_leader(members[0].raft));
	pass(3 * HEARTBEAT_MS);
	assert_false(raft_node_is_leader(members[0].raft));
	pass(4 * ELECTION_MS);
	assert_true(raft_node_is_leader(members[1].raft) || raft_node_is_leader(members[2].raft));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write_after_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_while_one_is_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leader_alone_steps_down, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
