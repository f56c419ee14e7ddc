/*
 * manager/raft_heap.h: entries that hold secrets are known, and lie in locked memory however they
 * came: proposed, received, or read from the disk.
 */
#include "unit/test.h"

#include <raft.h>

#include "base/frame.h"
#include "base/limits.h"
#include "base/secret_memory.h"
#include "manager/changes.h"
#include "manager/raft_heap.h"
#include "manager/raft_impl.h"
#include "manager/raft_msg.h"
#include "model/object.h"

#define SEGMENT_MAX 8

static const char id[] = "aaaaaaaaaaaaaaaaaaaaaaaaa";

/* A batch that creates an object of each of these kinds, as it lies in the log. */
static struct buf entry_of(const enum object_kind *kinds, size_t n)
{
	struct buf batch = BUF_INIT(LIMIT_ENTRY), ret = BUF_INIT(LIMIT_ENTRY);
	uint8_t head[ENVELOPE_LEN] = {ENVELOPE_VERSION, ENVELOPE_BATCH};
	struct changes c;

	changes_init(&c);
	for (size_t i = 0; i < n; i++)
		changes_create(&c, object_new(kinds[i], id, 1));
	assert_int_equal(changes_encode(&c, &batch), 0);
	changes_done(&c);
	le32_put(head + 4, (uint32_t)batch.len);
	(void)buf_add(&ret, head, sizeof head);
	(void)buf_join(&ret, &batch);
	while (ret.len % 8)
		(void)buf_addc(&ret, 0);
	buf_done(&batch);
	return ret;
}

static bool is_secret(const enum object_kind *kinds, size_t n)
{
	auto_buf b = entry_of(kinds, n);

	return raft_entry_is_secret(b.p, b.len);
}

static void entries_with_secrets_are_known(void **state)
{
	static const enum object_kind plain[] = {KIND_SERVICE, KIND_TASK, KIND_CONFIG},
				      secret[] = {KIND_NODE, KIND_SECRET, KIND_TASK},
				      swarm[] = {KIND_CLUSTER};
	auto_buf b = entry_of(secret, 3);

	assert_false(is_secret(plain, ARRAY_LEN(plain)));
	assert_true(is_secret(secret, ARRAY_LEN(secret)));
	assert_true(is_secret(swarm, ARRAY_LEN(swarm)));
	/* What is cut anywhere is looked at no further than it goes. */
	for (size_t n = 0; n < b.len; n++) {
		char *part = xmemdup(b.p, MAX_OF(n, (size_t)1));

		(void)raft_entry_is_secret(part, n);
		(void)changes_hold_secrets(part, n);
		free(part);
	}
	b.p[1] = ENVELOPE_BARRIER;
	assert_false(raft_entry_is_secret(b.p, b.len));
}

static void what_libraft_takes_for_a_copy_is_locked(void **state)
{
	char *p, *q;

	raft_heap_use();
	p = raft_malloc(100);
	assert_false(secret_owns(p));
	raft_heap_secret(true);
	q = raft_malloc(100);
	raft_heap_secret(false);
	assert_true(secret_owns(q));
	memcpy(q, "kept", 5);
	q = raft_realloc(q, 5000);
	assert_string_equal(q, "kept");
	raft_free(p);
	raft_free(q);
	raft_free(NULL);
}

/* Entries in one piece of memory, as raft_uv gives a segment. */
static void segment_make(struct raft_entry *ret, const struct buf *const *what, size_t n)
{
	size_t size = 0;
	char *p;

	for (size_t i = 0; i < n; i++)
		size += what[i]->len;
	p = raft_malloc(size);
	for (size_t i = 0, at = 0; i < n; at += what[i++]->len) {
		memcpy(p + at, what[i]->p, what[i]->len);
		ret[i] = (struct raft_entry){.term = 1,
					     .type = RAFT_COMMAND,
					     .buf = {.base = p + at, .len = what[i]->len},
					     .batch = p};
	}
}

static void a_loaded_segment_with_secrets_is_taken_apart(void **state)
{
	static const enum object_kind service = KIND_SERVICE, secret = KIND_SECRET;
	auto_buf s = entry_of(&service, 1);
	auto_buf x = entry_of(&secret, 1);
	const struct buf *const first[] = {&s, &s, &s}, *const second[] = {&s, &x, &s, &x};
	struct raft_entry entries[SEGMENT_MAX];

	raft_heap_use();
	segment_make(entries, first, 3);
	segment_make(entries + 3, second, 4);
	raft_entries_split(entries, 7);
	for (size_t i = 0; i < 3; i++)
		assert_ptr_equal(entries[i].batch, entries[0].buf.base);
	for (size_t i = 3; i < 7; i++) {
		const struct buf *was = second[i - 3];

		assert_null(entries[i].batch);
		assert_int_equal(entries[i].buf.len, was->len);
		assert_memory_equal(entries[i].buf.base, was->p, was->len);
		assert_int_equal(secret_owns(entries[i].buf.base), was == &x);
		raft_free(entries[i].buf.base);
	}
	raft_free(entries[0].batch);
}

static void received_entries_with_secrets_are_locked(void **state)
{
	static const enum object_kind kinds[] = {KIND_SERVICE, KIND_SECRET};

	raft_heap_use();
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		auto_buf entry = entry_of(&kinds[i], 1);
		auto_buf frame = BUF_INIT(LIMIT_FRAME);
		struct raft_entry e = {.term = 1,
				       .type = RAFT_COMMAND,
				       .buf = {.base = entry.p, .len = entry.len}};
		struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 7};
		struct err why = ERR_INIT;
		struct raft_msg got;

		m.append_entries =
			(struct raft_append_entries){.term = 1, .entries = &e, .n_entries = 1};
		assert_int_equal(raft_msg_encode(&frame, 3, &m, 0, 1), 0);
		assert_ok(raft_msg_decode(frame.p, frame.len, &got, &why), &why);
		assert_int_equal(got.secret, i == 1);
		assert_int_equal(secret_owns(got.message.append_entries.entries[0].buf.base),
				 i == 1);
		raft_msg_done(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(entries_with_secrets_are_known),
		TEST(what_libraft_takes_for_a_copy_is_locked),
		TEST(a_loaded_segment_with_secrets_is_taken_apart),
		TEST(received_entries_with_secrets_are_locked),
	};

	return RUN_TESTS(tests);
}
