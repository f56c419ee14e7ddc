/*
 * base/backoff.h: doubles to its bound, never below half of it, and starts over.
 */
#include "unit/test.h"

#include "base/backoff.h"

static void doubles_with_jitter(void **state)
{
	struct backoff b = BACKOFF_INIT;
	uint32_t full = 100;

	for (int i = 0; i < 200; i++) {
		struct backoff low = b, high = b;

		assert_int_equal(backoff_next_ms(&low, 0), full / 2);
		assert_int_equal(backoff_next_ms(&high, full / 2), full);
		assert_in_range(backoff_next_ms(&b, (uint64_t)i * 0x9e3779b97f4a7c15u), full / 2,
				full);
		full = full * 2 > 8000 ? 8000 : full * 2;
	}
	backoff_reset(&b);
	assert_int_equal(backoff_next_ms(&b, 0), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(doubles_with_jitter)};

	return RUN_TESTS(tests);
}
