/*
 * manager/raft_size.h: sizes by index are right to a mark, and what was cut off no longer counts.
 */
#include "unit/test.h"

#include "base/mem.h"
#include "manager/raft_size.h"

#define LEN (32u << 10)
#define COST (LEN + RAFT_SIZE_ENTRY)

static void fill(struct raft_size *s, unsigned entries)
{
	for (unsigned i = 0; i < entries; i++)
		raft_size_add(s, LEN);
}

static void counts_since_the_snapshot(void **state)
{
	struct raft_size s = {0};

	raft_size_reset(&s, 1);
	fill(&s, 100);
	assert_int_equal(raft_size_since(&s), 100 * COST);
	raft_size_snapshot(&s, 100);
	assert_int_equal(raft_size_since(&s), 0);
	fill(&s, 4);
	assert_int_equal(raft_size_since(&s), 4 * COST);
	raft_size_truncate(&s, 103);
	assert_int_equal(s.last, 102);
	assert_in_range(raft_size_since(&s), COST, 2 * COST);
	raft_size_done(&s);
}

static void trailing_is_bounded_by_bytes(void **state)
{
	struct raft_size s = {0};
	unsigned n;

	raft_size_reset(&s, 11);
	fill(&s, 1000);
	assert_int_equal(s.last, 1010);
	n = raft_size_trailing(&s, 1010, 100 * COST);
	assert_in_range(n, 97, 100);
	n = raft_size_trailing(&s, 510, 100 * COST);
	assert_in_range(n, 96, 100);
	assert_int_equal(raft_size_trailing(&s, 1010, UINT64_MAX / 2), 1000);
	assert_int_equal(raft_size_trailing(&s, 1010, 0), 1);
	assert_int_equal(raft_size_trailing(&s, 5, 100 * COST), 1);
	raft_size_done(&s);
}

static void what_is_forgotten_does_not_count(void **state)
{
	struct raft_size s = {0};

	raft_size_reset(&s, 1);
	fill(&s, 1000);
	raft_size_forget(&s, 900);
	assert_int_equal(s.start, 901);
	assert_in_range(s.bytes - s.start_bytes, 100 * COST, 102 * COST);
	assert_in_range(raft_size_trailing(&s, 1000, UINT64_MAX / 2), 99, 100);
	raft_size_forget(&s, 5);
	assert_int_equal(s.start, 901);
	raft_size_truncate(&s, 901);
	assert_int_equal(s.last, 900);
	raft_size_done(&s);
}

/* Against a plain list of sizes, with random cuts. */
static void agrees_with_a_list(void **state)
{
	struct raft_size s = {0};
	uint64_t sum[20001] = {0};
	unsigned seed = 7;

	raft_size_reset(&s, 1);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned r = (unsigned)rand_r(&seed);

		if (r % 50 == 0 && s.last > s.start + 20) {
			uint64_t cut = s.last - r / 50 % 20;

			raft_size_truncate(&s, cut);
			assert_int_equal(s.last, cut - 1);
			/* Rounded down to the last mark. */
			assert_in_range(s.bytes,
					sum[s.last] < RAFT_SIZE_STEP + 9000
						? 0
						: sum[s.last] - RAFT_SIZE_STEP - 9000,
					sum[s.last]);
			sum[s.last] = s.bytes;
		} else if (s.last < 20000) {
			raft_size_add(&s, r % 8192);
			sum[s.last] = sum[s.last - 1] + r % 8192 + RAFT_SIZE_ENTRY;
			assert_int_equal(s.bytes, sum[s.last]);
		}
	}
	raft_size_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_since_the_snapshot),
		TEST(trailing_is_bounded_by_bytes),
		TEST(what_is_forgotten_does_not_count),
		TEST(agrees_with_a_list),
	};

	return RUN_TESTS(tests);
}
