/*
 * base/err.h: what the sentences are made of, and that the longest ones are cut, never overrun.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/err.h"

static void sentences_name_the_reason(void **state)
{
	struct err e = ERR_INIT;

	assert_string_equal(err_text(&(struct err){.code = -ENOENT}), strerror(ENOENT));
	assert_int_equal(err_set(&e, -EINVAL, "no %s", "name"), -EINVAL);
	assert_string_equal(err_text(&e), "no name");
	assert_int_equal(err_wrap(&e, "container %d", 7), -EINVAL);
	assert_string_equal(err_text(&e), "container 7: no name");
	errno = ENOENT;
	assert_int_equal(err_sys(&e, "cannot open %s", "x"), -ENOENT);
	assert_string_equal(err_text(&e), "cannot open x: No such file or directory");
	assert_int_equal(err_code(&e, -EIO, "cannot read"), -EIO);
	assert_string_equal(err_text(&e), "cannot read: Input/output error");
}

static void without_a_place_the_code_remains(void **state)
{
	assert_int_equal(err_set(NULL, -EINVAL, "x"), -EINVAL);
	assert_int_equal(err_code(NULL, -EPERM, "x"), -EPERM);
	assert_int_equal(err_wrap(NULL, "x"), -EIO);
}

/* Every length of prefix and reason up to both being longer than the whole. */
static void long_sentences_are_cut(void **state)
{
	static const int lens[] = {0, 1, 2, 100, 506, 507, 508, 509, 510, 511, 512, 513, 600};
	char prefix[601], reason[601], want[1300];

	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
		for (size_t j = 0; j < sizeof lens / sizeof lens[0]; j++) {
			struct err e = ERR_INIT;
			int n;

			memset(prefix, 'p', sizeof prefix);
			memset(reason, 'r', sizeof reason);
			prefix[lens[i]] = reason[lens[j]] = '\0';
			(void)err_set(&e, -EINVAL, "%s", reason);
			assert_true(strlen(e.msg) < ERR_MSG_MAX);
			(void)err_wrap(&e, "%s", prefix);
			n = snprintf(want, sizeof want, "%s: %s", prefix, reason);
			assert_true(strlen(e.msg) <= (size_t)n);
			assert_true(strlen(e.msg) + 3 > ERR_MSG_MAX - 1 || (int)strlen(e.msg) == n);
			assert_memory_equal(e.msg, want, strlen(e.msg));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sentences_name_the_reason),
		TEST(without_a_place_the_code_remains),
		TEST(long_sentences_are_cut),
	};

	return RUN_TESTS(tests);
}
