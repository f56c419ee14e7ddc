/*
 * base/buf.h: the bound holds, and one failed add is remembered.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/buf.h"

static void grows_to_its_bound_and_no_further(void **state)
{
	auto_buf b = BUF_INIT(10);

	assert_int_equal(buf_adds(&b, "12345"), 0);
	assert_int_equal(buf_addf(&b, "%d", 67890), 0);
	assert_int_equal(b.len, 10);
	assert_string_equal(buf_text(&b), "1234567890");
	assert_int_equal(buf_addc(&b, 'x'), -EMSGSIZE);
	assert_int_equal(b.len, 10);
	assert_int_equal(buf_status(&b), -EMSGSIZE);
	buf_reset(&b);
	assert_int_equal(buf_adds(&b, "x"), 0);
	assert_string_equal(buf_text(&b), "x");
}

static void a_failed_add_spoils_the_ones_after_it(void **state)
{
	auto_buf b = BUF_INIT(4);

	assert_int_equal(buf_adds(&b, "12345"), -EMSGSIZE);
	assert_int_equal(buf_adds(&b, "1"), -EMSGSIZE);
	assert_int_equal(b.len, 0);
}

static void cut_keeps_the_beginning(void **state)
{
	auto_buf b = BUF_INIT(100);

	buf_cut(&b, 0);
	assert_string_equal(buf_text(&b), "");
	buf_adds(&b, "hello world");
	buf_cut(&b, 11);
	buf_cut(&b, 5);
	assert_string_equal(buf_text(&b), "hello");
	buf_cut(&b, 50);
	assert_int_equal(b.len, 5);
	buf_cut(&b, 0);
	assert_string_equal(buf_text(&b), "");
}

static void shift_and_take(void **state)
{
	auto_buf b = BUF_INIT(100);
	char *s;

	buf_adds(&b, "hello world");
	buf_shift(&b, 6);
	assert_string_equal(buf_text(&b), "world");
	s = buf_take(&b);
	assert_string_equal(s, "world");
	assert_int_equal(b.len, 0);
	free(s);
	s = buf_take(&b);
	assert_string_equal(s, "");
	free(s);
	buf_adds(&b, "abc");
	buf_shift(&b, 99);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(grows_to_its_bound_and_no_further),
		TEST(a_failed_add_spoils_the_ones_after_it),
		TEST(cut_keeps_the_beginning),
		TEST(shift_and_take),
	};

	return RUN_TESTS(tests);
}
