/*
 * runtime/container/hooks.h: what a hook may take. That it is then killed is shown in tests/host.
 */
#include "unit/test.h"

#include <limits.h>

#include "base/limits.h"
#include "runtime/container/hooks.h"

static void a_hook_without_a_timeout_has_one_all_the_same(void **state)
{
	struct spec_hook h = {.timeout = SPEC_UNSET};

	assert_int_equal(hook_timeout_ms(&h), LIMIT_HOOK_MS);
	h.timeout = 7;
	assert_int_equal(hook_timeout_ms(&h), 7000);
	h.timeout = INT64_MAX;
	assert_in_range(hook_timeout_ms(&h), INT_MAX - 1000, INT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_hook_without_a_timeout_has_one_all_the_same)};

	return RUN_TESTS(tests);
}
