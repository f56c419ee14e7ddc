/*
 * model/task.h: the one table of transitions.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/mem.h"
#include "model/task.h"

static const enum task_state all[] = {
	TASK_NEW,    TASK_PENDING,  TASK_ASSIGNED, TASK_ACCEPTED, TASK_PREPARING,
	TASK_READY,  TASK_STARTING, TASK_RUNNING,  TASK_COMPLETE, TASK_SHUTDOWN,
	TASK_FAILED, TASK_REJECTED, TASK_REMOVE,   TASK_ORPHANED,
};

static void states_only_rise(void **state)
{
	for (int w = WRITER_ORCHESTRATOR; w <= WRITER_AGENT; w++)
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			for (size_t k = 0; k < i; k++)
				assert_false(task_transition_allowed((enum task_writer)w, all[i],
								     all[k]));
}

static void each_writer_has_its_part(void **state)
{
	assert_true(task_transition_allowed(WRITER_ALLOCATOR, TASK_NEW, TASK_PENDING));
	assert_false(task_transition_allowed(WRITER_SCHEDULER, TASK_NEW, TASK_ASSIGNED));
	assert_true(task_transition_allowed(WRITER_SCHEDULER, TASK_PENDING, TASK_ASSIGNED));
	assert_false(task_transition_allowed(WRITER_AGENT, TASK_PENDING, TASK_RUNNING));
	assert_true(task_transition_allowed(WRITER_AGENT, TASK_ASSIGNED, TASK_RUNNING));
	assert_true(task_transition_allowed(WRITER_AGENT, TASK_RUNNING, TASK_RUNNING));
	assert_true(task_transition_allowed(WRITER_AGENT, TASK_RUNNING, TASK_FAILED));
	assert_false(task_transition_allowed(WRITER_AGENT, TASK_FAILED, TASK_REJECTED));
	assert_false(task_transition_allowed(WRITER_AGENT, TASK_RUNNING, TASK_REMOVE));
	assert_true(task_transition_allowed(WRITER_ENFORCER, TASK_RUNNING, TASK_REJECTED));
	assert_true(task_transition_allowed(WRITER_DISPATCHER, TASK_RUNNING, TASK_ORPHANED));
	assert_false(task_transition_allowed(WRITER_DISPATCHER, TASK_NEW, TASK_ORPHANED));
}

static void names(void **state)
{
	enum task_state s;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(task_state_parse(task_state_name(all[i]), &s), 0);
		assert_int_equal(s, all[i]);
	}
	assert_int_equal(task_state_parse("", &s), -EINVAL);
	assert_string_equal(task_state_name((enum task_state)1), "");
	assert_string_equal(task_state_name((enum task_state)100000), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(states_only_rise),
		TEST(each_writer_has_its_part),
		TEST(names),
	};

	return RUN_TESTS(tests);
}
