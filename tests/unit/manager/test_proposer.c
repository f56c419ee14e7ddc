/*
 * manager/proposer.h over one real node: batching, bounds, rejection, cancelling, steps, reads.
 */
#include "unit/test.h"

#include <fcntl.h>

#include "unit/manager/raft_rig.h"

static char dir[64];
static struct rig rig;

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)snprintf(dir, sizeof(dir), "/tmp/shoal-proposer-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	rig_init(&rig, dir);
	if (rig_start(&rig, 0, true, &e) < 0)
		return -1;
	return rig_until(&rig, rig_has_leader, 1000) ? 0 : -1;
}

static int teardown(void **state)
{
	rig_done(&rig);
	return dir_remove(AT_FDCWD, dir, NULL);
}

static struct proposer *proposer(void)
{
	return rig.nodes[0].proposer;
}

/* A write that notes what it was told. */
struct note {
	struct proposer_write write;
	size_t len;       /* bytes it appends in one change */
	int build_status; /* what its builder says */
	unsigned builds;
	bool done;
	int status;
	uint64_t version;
	char why[ERR_MSG_MAX];
};

static unsigned answered;

static int note_build(struct proposer_write *w, struct proposal *p, struct err *e)
{
	struct note *n = container_of(w, struct note, write);
	char *bytes = xcalloc(1, n->len + 1);

	n->builds++;
	if (n->len > 0) {
		(void)buf_add(&p->bytes, bytes, n->len);
		p->changes++;
	}
	free(bytes);
	return n->build_status < 0 ? err_set(e, n->build_status, "it cannot be") : 0;
}

static void note_done(struct proposer_write *w, int status, uint64_t version, const struct err *e)
{
	struct note *n = container_of(w, struct note, write);

	assert_false(n->done);
	n->done = true;
	n->status = status;
	n->version = version;
	(void)snprintf(n->why, sizeof(n->why), "%s", e ? err_text(e) : "");
	answered++;
}

static void note_write(struct note *n, size_t len)
{
	struct err e = ERR_INIT;

	memset(n, 0, sizeof(*n));
	n->len = len;
	n->write.build = note_build;
	n->write.done = note_done;
	assert_ok(proposer_write(proposer(), &n->write, &e), &e);
}

static unsigned wanted;

static bool all_answered(struct rig *r)
{
	return answered == wanted;
}

static void wait_for(unsigned n)
{
	wanted = n;
	assert_true(rig_until(&rig, all_answered, 5000));
}

/* One leaves at once; those that come meanwhile leave together. */
static void writes_that_wait_leave_together(void **state)
{
	struct note notes[10];

	answered = 0;
	for (unsigned i = 0; i < ARRAY_LEN(notes); i++)
		note_write(&notes[i], 8);
	assert_int_equal(proposer_waiting(proposer()), 9);
	wait_for(10);
	for (unsigned i = 0; i < ARRAY_LEN(notes); i++)
		assert_int_equal(notes[i].status, 0);
	/* The rig counts entries: two. */
	assert_int_equal(notes[0].version, 1);
	assert_int_equal(notes[1].version, 2);
	assert_int_equal(notes[9].version, 2);
	assert_int_equal(rig.nodes[0].changes, 2);
}

static void a_batch_is_bounded_and_keeps_its_order(void **state)
{
	struct note notes[5];

	answered = 0;
	note_write(&notes[0], 8);
	note_write(&notes[1], LIMIT_ENTRY / 2);
	note_write(&notes[2], LIMIT_ENTRY / 2);
	note_write(&notes[3], LIMIT_ENTRY / 2);
	note_write(&notes[4], LIMIT_ENTRY + 1);
	wait_for(5);
	assert_int_equal(notes[1].version, 2);
	assert_int_equal(notes[2].version, 2);
	assert_int_equal(notes[3].version, 3);
	assert_int_equal(notes[3].builds, 2);
	assert_int_equal(notes[4].status, -EMSGSIZE);
	assert_int_equal(rig.nodes[0].state.len, 8 + LIMIT_ENTRY + LIMIT_ENTRY / 2);
}

static void a_builder_that_fails_answers_alone(void **state)
{
	struct note notes[3];

	answered = 0;
	note_write(&notes[0], 8);
	note_write(&notes[1], 8);
	notes[1].build_status = -ENOENT;
	note_write(&notes[2], 8);
	wait_for(3);
	assert_int_equal(notes[0].status, 0);
	assert_int_equal(notes[1].status, -ENOENT);
	assert_string_equal(notes[1].why, "it cannot be");
	assert_int_equal(notes[2].status, 0);
	assert_int_equal(rig.nodes[0].state.len, 16);
}

static void a_write_of_nothing_is_answered_at_once(void **state)
{
	struct note first, nothing;

	answered = 0;
	note_write(&first, 8);
	wait_for(1);
	note_write(&nothing, 0);
	assert_true(nothing.done);
	assert_int_equal(nothing.status, 0);
	assert_int_equal(nothing.version, first.version);
}

/* What it found done already may be in an entry that is lost: it is answered with that. */
static void a_write_of_nothing_waits_for_what_it_has_seen(void **state)
{
	struct note notes[3];

	answered = 0;
	note_write(&notes[0], 8);
	note_write(&notes[1], 8);
	note_write(&notes[2], 0);
	wait_for(3);
	assert_int_equal(notes[1].version, notes[0].version + 1);
	assert_int_equal(notes[2].status, 0);
	assert_int_equal(notes[2].version, notes[1].version);
}

static void a_client_that_has_gone_is_dropped(void **state)
{
	struct note notes[3];

	answered = 0;
	for (unsigned i = 0; i < 3; i++)
		note_write(&notes[i], 8);
	assert_false(proposer_cancel(proposer(), &notes[0].write));
	assert_true(proposer_cancel(proposer(), &notes[1].write));
	assert_false(proposer_cancel(proposer(), &notes[1].write));
	wait_for(2);
	assert_false(notes[1].done);
	assert_int_equal(rig.nodes[0].state.len, 16);
}

static void the_queue_is_bounded(void **state)
{
	struct note *notes = xcalloc(LIMIT_PROPOSALS + 2, sizeof(*notes));
	struct err e = ERR_INIT;

	answered = 0;
	for (unsigned i = 0; i < LIMIT_PROPOSALS + 1; i++)
		note_write(&notes[i], 8);
	assert_int_equal(proposer_waiting(proposer()), LIMIT_PROPOSALS);
	assert_int_equal(proposer_write(proposer(), &notes[LIMIT_PROPOSALS + 1].write, &e),
			 -EAGAIN);
	assert_non_null(strstr(e.msg, "try again later"));
	wait_for(LIMIT_PROPOSALS + 1);
	assert_int_equal(proposer_waiting(proposer()), 0);
	free(notes);
}

struct reader {
	struct proposer_read read;
	size_t seen;
	int status;
};

static void on_seen(struct proposer_read *r, int status, const struct err *e)
{
	struct reader *reader = container_of(r, struct reader, read);

	reader->seen = rig.nodes[0].state.len;
	reader->status = status;
	answered++;
}

/* All that wait share one entry, and see what was written before them. */
static void readers_share_a_barrier(void **state)
{
	struct reader readers[50] = {0};
	struct raft_node_stats before, after;
	struct note first;

	answered = 0;
	raft_node_stats(rig.nodes[0].raft, &before);
	note_write(&first, 8);
	for (unsigned i = 0; i < ARRAY_LEN(readers); i++) {
		readers[i].read.done = on_seen;
		assert_int_equal(proposer_read(proposer(), &readers[i].read, NULL), 0);
	}
	wait_for(51);
	raft_node_stats(rig.nodes[0].raft, &after);
	for (unsigned i = 0; i < ARRAY_LEN(readers); i++) {
		assert_int_equal(readers[i].status, 0);
		assert_int_equal(readers[i].seen, 8);
	}
	assert_int_equal(after.last_index - before.last_index, 2);
}

static void what_waits_is_answered_when_the_manager_stops(void **state)
{
	struct note notes[3];

	answered = 0;
	for (unsigned i = 0; i < 3; i++)
		note_write(&notes[i], 8);
	rig_stop(&rig, 0);
	assert_int_equal(answered, 3);
	/* The first was on its way: nobody knows. The others never left. */
	assert_int_equal(notes[0].status, -EINPROGRESS);
	assert_int_equal(notes[1].status, -EHOSTUNREACH);
	assert_int_equal(notes[2].status, -EHOSTUNREACH);
}

static void followers_refuse_and_name_the_leader(void **state)
{
	struct note n = {0};
	struct err e = ERR_INIT;

	assert_int_equal(rig_start(&rig, 1, false, &e), 0);
	assert_int_equal(rig_start(&rig, 2, false, &e), 0);
	assert_true(rig_until(&rig, rig_is_formed, 10000));
	n.write.build = note_build;
	n.write.done = note_done;
	assert_int_equal(proposer_write(rig.nodes[1].proposer, &n.write, &e), -EHOSTUNREACH);
	assert_non_null(strstr(e.msg, "node0"));
	assert_false(n.done);
}

static unsigned pieces, in_turn;

static bool one_piece(void *arg)
{
	(void)arg;
	assert_int_equal(in_turn++, 0);
	return --pieces == 0;
}

static uint64_t step_of_a_prepared_one(void *arg, struct proposal *p, uint64_t term)
{
	assert_int_equal(pieces, 0);
	return 0;
}

static int setup_in_pieces(void **state)
{
	struct err e = ERR_INIT;

	(void)snprintf(dir, sizeof(dir), "/tmp/shoal-proposer-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	rig_init(&rig, dir);
	pieces = 50;
	rig.prepare = one_piece;
	rig.step = step_of_a_prepared_one;
	return rig_start(&rig, 0, true, &e);
}

static bool leads(struct rig *r)
{
	in_turn = 0;
	return raft_node_is_leader(r->nodes[0].raft) && pieces < 50;
}

static bool all_prepared(struct rig *r)
{
	in_turn = 0;
	return pieces == 0;
}

/* A piece a turn of the loop, whatever comes meanwhile; nobody writes before the last, all may
 * read. */
static void a_new_leader_gets_ready_in_pieces(void **state)
{
	struct note notes[20];
	struct reader reader = {.read.done = on_seen};

	answered = 0;
	assert_true(rig_until(&rig, leads, 5000));
	for (unsigned i = 0; i < ARRAY_LEN(notes); i++)
		note_write(&notes[i], 8);
	assert_int_equal(proposer_read(proposer(), &reader.read, NULL), 0);
	assert_false(proposer_ready(proposer()));
	assert_true(rig_until(&rig, all_prepared, 5000));
	assert_true(proposer_ready(proposer()));
	wait_for(ARRAY_LEN(notes) + 1);
	for (unsigned i = 0; i < ARRAY_LEN(notes); i++)
		assert_int_equal(notes[i].status, 0);
	assert_int_equal(reader.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_that_wait_leave_together, setup, teardown),
		cmocka_unit_test_setup_teardown(a_batch_is_bounded_and_keeps_its_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_builder_that_fails_answers_alone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_write_of_nothing_is_answered_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_write_of_nothing_waits_for_what_it_has_seen,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_has_gone_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(the_queue_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(readers_share_a_barrier, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_is_answered_when_the_manager_stops,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_leader_gets_ready_in_pieces, setup_in_pieces,
						teardown),
		cmocka_unit_test_setup_teardown(followers_refuse_and_name_the_leader, setup,
						teardown),
	};

	return RUN_TESTS(tests);
}
