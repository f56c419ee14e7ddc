/*
 * What every unit test includes first: cmocka with the headers that it needs.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEST(fn) cmocka_unit_test(fn)
#define RUN_TESTS(tests) cmocka_run_group_tests(tests, NULL, NULL)

/* Like assert_int_equal() with 0, but shows the error's text. */
#define assert_ok(rc, e)                                            \
	do {                                                        \
		int rc_ = (rc);                                     \
		if (rc_ < 0)                                        \
			fail_msg("%s: %d: %s", #rc, rc_, (e)->msg); \
	} while (0)
