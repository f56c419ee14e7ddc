/*
 * The same for unit tests: that an assertion of cmocka which fails ends the test. (Its own
 * functions jump out of the test, which the analysers cannot know either.)
 */
#pragma once

#include "unit/test.h"

#define HINT_ASSERT(holds) ((holds) ? (void)0 : __builtin_trap())

#define _assert_true(value, ...) HINT_ASSERT(value)
#define _assert_int_equal(a, b, ...) HINT_ASSERT((a) == (b))
#define _assert_int_not_equal(a, b, ...) HINT_ASSERT((a) != (b))
#define _fail(...) HINT_ASSERT(0)
