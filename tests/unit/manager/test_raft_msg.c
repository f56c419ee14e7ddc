/*
 * manager/raft_msg.h: what is written is read back, and nothing that libraft would assert about
 * gets through.
 */
#include "unit/test.h"

#include <raft.h>

#include "base/frame.h"
#include "base/limits.h"
#include "manager/raft_msg.h"

static struct raft_msg decode(const struct buf *b)
{
	struct err e = ERR_INIT;
	struct raft_msg m;

	assert_ok(raft_msg_decode(b->p, b->len, &m, &e), &e);
	return m;
}

static void votes_come_back(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = 7};
	struct raft_msg got;

	m.request_vote = (struct raft_request_vote){.version = 2,
						    .term = 9,
						    .candidate_id = 3,
						    .last_log_index = 1000,
						    .last_log_term = 8,
						    .disrupt_leader = true,
						    .pre_vote = true};
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	got = decode(&b);
	assert_int_equal(got.from, 3);
	assert_int_equal(got.to, 7);
	assert_memory_equal(&got.message.request_vote, &m.request_vote, 1);
	assert_int_equal(got.message.request_vote.term, 9);
	assert_int_equal(got.message.request_vote.candidate_id, 3);
	assert_int_equal(got.message.request_vote.last_log_index, 1000);
	assert_int_equal(got.message.request_vote.last_log_term, 8);
	assert_true(got.message.request_vote.disrupt_leader);
	assert_true(got.message.request_vote.pre_vote);

	buf_reset(&b);
	m.type = RAFT_REQUEST_VOTE_RESULT;
	m.request_vote_result = (struct raft_request_vote_result){.version = 2,
								  .term = 5,
								  .vote_granted = true,
								  .pre_vote = false,
								  .features = 0x1234,
								  .capacity = 0xffee};
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	got = decode(&b);
	assert_int_equal(got.message.request_vote_result.term, 5);
	assert_true(got.message.request_vote_result.vote_granted);
	assert_false(got.message.request_vote_result.pre_vote);
	assert_int_equal(got.message.request_vote_result.features, 0x1234);
	assert_int_equal(got.message.request_vote_result.capacity, 0xffee);
	assert_int_equal(got.message.request_vote_result.version, 2);
}

static void results_and_timeouts_come_back(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = 7};
	struct raft_msg got;

	m.append_entries_result = (struct raft_append_entries_result){.version = 2,
								      .term = 5,
								      .rejected = 90,
								      .last_log_index = 89,
								      .features = 1,
								      .capacity = 512};
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	got = decode(&b);
	assert_int_equal(got.message.append_entries_result.rejected, 90);
	assert_int_equal(got.message.append_entries_result.last_log_index, 89);
	assert_int_equal(got.message.append_entries_result.capacity, 512);

	buf_reset(&b);
	m.type = RAFT_TIMEOUT_NOW;
	m.timeout_now =
		(struct raft_timeout_now){.term = 6, .last_log_index = 77, .last_log_term = 5};
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	got = decode(&b);
	assert_int_equal(got.message.type, RAFT_TIMEOUT_NOW);
	assert_int_equal(got.message.timeout_now.term, 6);
	assert_int_equal(got.message.timeout_now.last_log_index, 77);
	assert_int_equal(got.message.timeout_now.last_log_term, 5);
}

static struct raft_entry entry(uint64_t term, enum raft_entry_type type, size_t len, char fill)
{
	struct raft_entry e = {.term = term, .type = type};

	e.buf.len = len;
	e.buf.base = test_malloc(len);
	memset(e.buf.base, fill, len);
	return e;
}

static struct raft_entry change_entry(uint64_t term)
{
	struct raft_entry e = {.term = term, .type = RAFT_CHANGE};
	struct raft_configuration c;

	raft_configuration_init(&c);
	assert_int_equal(raft_configuration_add(&c, 5, "abcdefghijklmnopqrstuvwxy", RAFT_VOTER), 0);
	assert_int_equal(raft_configuration_add(&c, 6, "b", RAFT_SPARE), 0);
	assert_int_equal(raft_configuration_encode(&c, &e.buf), 0);
	raft_configuration_close(&c);
	return e;
}

static void entries_come_back_split_at_the_bound_and_at_changes(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_entry entries[5] = {
		entry(3, RAFT_COMMAND, 1u << 20, 'a'),   entry(3, RAFT_COMMAND, 900u << 10, 'b'),
		entry(4, RAFT_COMMAND, 900u << 10, 'c'), change_entry(4),
		entry(4, RAFT_BARRIER, 8, '\0'),
	};
	struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 7};
	const unsigned want[] = {2, 1, 2};
	unsigned first = 0;

	m.append_entries = (struct raft_append_entries){.term = 4,
							.prev_log_index = 10,
							.prev_log_term = 3,
							.leader_commit = 9,
							.entries = entries,
							.n_entries = 5};
	for (unsigned i = 0; i < 3; i++) {
		unsigned count = raft_msg_fit(&m.append_entries, first);
		struct raft_append_entries *ae;
		struct raft_msg got;

		assert_int_equal(count, want[i]);
		buf_reset(&b);
		assert_int_equal(raft_msg_encode(&b, 3, &m, first, count), 0);
		got = decode(&b);
		ae = &got.message.append_entries;
		assert_int_equal(ae->prev_log_index, 10 + first);
		assert_int_equal(ae->prev_log_term, first == 0 ? 3 : entries[first - 1].term);
		assert_int_equal(ae->leader_commit, 9);
		assert_int_equal(ae->n_entries, count);
		for (unsigned j = 0; j < count; j++) {
			assert_int_equal(ae->entries[j].term, entries[first + j].term);
			assert_int_equal(ae->entries[j].type, entries[first + j].type);
			assert_int_equal(ae->entries[j].buf.len, entries[first + j].buf.len);
			assert_memory_equal(ae->entries[j].buf.base, entries[first + j].buf.base,
					    ae->entries[j].buf.len);
			assert_ptr_equal(ae->entries[j].batch, ae->entries[0].buf.base);
		}
		raft_msg_done(&got);
		first += count;
	}
	for (unsigned i = 0; i < 5; i++)
		i == 3 ? raft_free(entries[i].buf.base) : test_free(entries[i].buf.base);
}

static void a_heartbeat_comes_back(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 7};
	struct raft_msg got;

	m.append_entries.term = 1;
	assert_int_equal(raft_msg_fit(&m.append_entries, 0), 0);
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	got = decode(&b);
	assert_int_equal(got.message.append_entries.n_entries, 0);
	assert_int_equal(got.message.append_entries.term, 1);
}

static void snapshots_come_back(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_install_snapshot is = {.term = 9, .last_index = 50, .last_term = 8};
	struct raft_msg got;

	is.conf_index = 4;
	is.data.len = 12345;
	raft_configuration_init(&is.conf);
	assert_int_equal(raft_configuration_add(&is.conf, 5, "a", RAFT_VOTER), 0);
	assert_int_equal(raft_msg_encode_begin(&b, 3, 7, &is, 99), 0);
	raft_configuration_close(&is.conf);
	got = decode(&b);
	assert_int_equal(got.transfer, 99);
	assert_int_equal(got.message.install_snapshot.last_index, 50);
	assert_int_equal(got.message.install_snapshot.last_term, 8);
	assert_int_equal(got.message.install_snapshot.conf_index, 4);
	assert_int_equal(got.message.install_snapshot.data.len, 12345);
	assert_int_equal(got.message.install_snapshot.conf.n, 1);
	assert_string_equal(got.message.install_snapshot.conf.servers[0].address, "a");
	raft_msg_done(&got);

	buf_reset(&b);
	assert_int_equal(raft_msg_encode_chunk(&b, 3, 7, 99, 4096, "hello", 5), 0);
	got = decode(&b);
	assert_int_equal(got.kind, RAFT_MSG_SNAPSHOT_CHUNK);
	assert_int_equal(got.offset, 4096);
	assert_int_equal(got.chunk_len, 5);
	assert_memory_equal(got.chunk, "hello", 5);
}

/* Every truncation and every single changed byte is either read or refused, never more. */
static void broken_frames_are_refused_or_read(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_entry entries[2] = {change_entry(4), entry(4, RAFT_COMMAND, 16, 'x')};
	struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 7};

	m.append_entries = (struct raft_append_entries){.term = 4,
							.prev_log_index = 10,
							.prev_log_term = 3,
							.entries = entries,
							.n_entries = 2};
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 2), 0);
	for (size_t n = 0; n < b.len; n++) {
		struct raft_msg got;
		char *copy = test_malloc(n + 1);

		memcpy(copy, b.p, n);
		assert_int_equal(raft_msg_decode(copy, n, &got, NULL), -EBADMSG);
		test_free(copy);
	}
	for (size_t i = 0; i < b.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct raft_msg got;

			b.p[i] = (char)(b.p[i] ^ (1 << bit));
			if (raft_msg_decode(b.p, b.len, &got, NULL) == 0)
				raft_msg_done(&got);
			b.p[i] = (char)(b.p[i] ^ (1 << bit));
		}
	}
	raft_free(entries[0].buf.base);
	test_free(entries[1].buf.base);
}

static void what_libraft_asserts_is_refused(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 7};
	struct raft_msg got;

	/* A previous index without a term. */
	m.append_entries.term = 4;
	m.append_entries.prev_log_index = 10;
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	assert_int_equal(raft_msg_decode(b.p, b.len, &got, NULL), -EBADMSG);
	/* A hint at or past what was rejected. */
	buf_reset(&b);
	m.type = RAFT_APPEND_ENTRIES_RESULT;
	m.append_entries_result =
		(struct raft_append_entries_result){.term = 1, .rejected = 5, .last_log_index = 5};
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	assert_int_equal(raft_msg_decode(b.p, b.len, &got, NULL), -EBADMSG);
}

static void a_later_version_may_add_fields(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_FRAME);
	struct raft_message m = {.type = RAFT_TIMEOUT_NOW, .server_id = 7};
	struct raft_msg got;

	m.timeout_now.term = 4;
	assert_int_equal(raft_msg_encode(&b, 3, &m, 0, 0), 0);
	assert_int_equal(buf_adds(&b, "more"), 0);
	assert_int_equal(raft_msg_decode(b.p, b.len, &got, NULL), -EBADMSG);
	b.p[0] = 2;
	assert_int_equal(raft_msg_decode(b.p, b.len, &got, NULL), 0);
}

static void configurations_are_bounded(void **state)
{
	struct raft_entry e = change_entry(1);
	uint8_t *p = e.buf.base;

	assert_int_equal(raft_msg_check_configuration(p, e.buf.len), 0);
	assert_int_equal(raft_msg_check_configuration(p, e.buf.len - 8), -EBADMSG);
	p[1] = 200; /* servers that are not there */
	assert_int_equal(raft_msg_check_configuration(p, e.buf.len), -EBADMSG);
	p[1] = 0;
	assert_int_equal(raft_msg_check_configuration(p, e.buf.len), -EBADMSG);
	raft_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(votes_come_back),
		TEST(results_and_timeouts_come_back),
		TEST(entries_come_back_split_at_the_bound_and_at_changes),
		TEST(a_heartbeat_comes_back),
		TEST(snapshots_come_back),
		TEST(broken_frames_are_refused_or_read),
		TEST(what_libraft_asserts_is_refused),
		TEST(a_later_version_may_add_fields),
		TEST(configurations_are_bounded),
	};

	return RUN_TESTS(tests);
}
