/*
 * base/nickname.h: two words, never one that is taken, a number when words run out.
 */
#include "unit/test.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/nickname.h"

static bool nothing_is(const char *name, void *arg)
{
	return false;
}

/* All without a number are. */
static bool words_are(const char *name, void *arg)
{
	++*(int *)arg;
	return !isdigit((unsigned char)name[strlen(name) - 1]);
}

static void two_words(void **state)
{
	for (int i = 0; i < 200; i++) {
		auto_free char *name = nickname_choose(nothing_is, NULL);
		size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz");

		assert_true(n > 2 && name[n] == '_' && isalpha((unsigned char)name[n + 1]));
		assert_true(strlen(name) <= 63);
	}
}

static void a_number_when_words_are_taken(void **state)
{
	int asked = 0;
	auto_free char *name = nickname_choose(words_are, &asked);

	assert_true(asked > 1);
	assert_true(isdigit((unsigned char)name[strlen(name) - 1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_words),
		cmocka_unit_test(a_number_when_words_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
