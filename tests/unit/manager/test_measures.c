/*
 * What the leader keeps of what agents measure: how long it counts, and its bounds.
 */
#include "manager/measures.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "unit/test.h"

#define STALE (LIMIT_AUTOSCALE_STALE * LIMIT_AUTOSCALE_MS * NS_PER_MS)

static void put(struct measures *m, const char *task, int64_t cpu, const char *error, int64_t now)
{
	struct task_load l = {.task = (char *)(uintptr_t)task,
			      .value = {&cpu, NULL, NULL},
			      .error = (char *)(uintptr_t)error};

	measures_put(m, &l, now);
}

static void what_is_old_says_nothing(void **state)
{
	struct measures m = {0};

	put(&m, "a", 5, NULL, 1000);
	assert_int_equal(measures_get(&m, "a", 1000 + STALE)->value[AUTOSCALE_CPU], 5);
	assert_false(measures_get(&m, "a", 1000)->has[AUTOSCALE_MEMORY]);
	assert_null(measures_get(&m, "a", 1001 + STALE));
	assert_null(measures_get(&m, "b", 1000));
	/* It is forgotten, when others come. */
	put(&m, "b", 5, NULL, 2000 + 2 * STALE);
	assert_int_equal(HASH_COUNT(m.by_task), 1);
	measures_clear(&m);
	assert_null(measures_get(&m, "b", 2000 + 2 * STALE));
}

static void what_is_out_of_range_is_absent(void **state)
{
	struct measures m = {0};
	auto_free char *text = xcalloc(1, LIMIT_AUTOSCALE_ERROR + 10);

	put(&m, "a", -1, NULL, 1);
	assert_false(measures_get(&m, "a", 1)->has[AUTOSCALE_CPU]);
	put(&m, "a", LIMIT_METRIC_VALUE + 1, NULL, 1);
	assert_false(measures_get(&m, "a", 1)->has[AUTOSCALE_CPU]);
	put(&m, "a", LIMIT_METRIC_VALUE, NULL, 1);
	assert_true(measures_get(&m, "a", 1)->has[AUTOSCALE_CPU]);
	memset(text, 'x', LIMIT_AUTOSCALE_ERROR + 5);
	put(&m, "a", 1, text, 1);
	assert_int_equal(strlen(measures_get(&m, "a", 1)->error), LIMIT_AUTOSCALE_ERROR);
	put(&m, "a-name-that-is-longer-than-any-id", 1, NULL, 1);
	put(&m, NULL, 1, NULL, 1);
	assert_int_equal(HASH_COUNT(m.by_task), 1);
	measures_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_old_says_nothing),
		TEST(what_is_out_of_range_is_absent),
	};

	return RUN_TESTS(tests);
}
