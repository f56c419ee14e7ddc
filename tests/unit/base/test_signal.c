/*
 * base/signal.h: every name that users have for a signal, and what is none.
 */
#include "unit/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/signal.h"

static void names_and_numbers(void **state)
{
	const struct {
		const char *text;
		int number;
	} good[] = {
		{NULL, 0},
		{"", 0},
		{"SIGTERM", SIGTERM},
		{"term", SIGTERM},
		{"sigTerm", SIGTERM},
		{"9", SIGKILL},
		{"1", SIGHUP},
		{"64", 64},
		{"RTMIN", 34},
		{"sigrtmin+3", 37},
		{"RTMIN+30", 64},
		{"RTMAX", 64},
		{"SIGRTMAX-1", 63},
		{"RTMAX-30", 34},
		{"IOT", SIGABRT},
		{"CLD", SIGCHLD},
		{"POLL", SIGIO},
		{"STKFLT", 16},
	};
	int number;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(signal_parse(good[i].text, &number), 0);
		assert_int_equal(number, good[i].number);
	}
}

static void what_is_none(void **state)
{
	static const char *const bad[] = {
		"0",
		"65",
		"SIGNOPE",
		"RTMIN+31",
		"RTMIN+99",
		"RTMIN-1",
		"RTMAX+1",
		"RTMAX-31",
		"RTMIN+",
		"RTMIN+ 1",
		"RTMIN1",
		"RT",
		"-1",
		"+9",
		"9 ",
		" 9",
		"9TERM",
		"SIG",
		"SIGSIGTERM",
		"99999999999999999999",
		"RTMIN+99999999999999999999",
	};
	int number = 1;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(signal_parse(bad[i], &number), -EINVAL);
		assert_int_equal(number, 0);
	}
}

/* Whatever libc has a name for is known by it. */
static void as_libc_has_them(void **state)
{
	int number;

	for (int i = 1; i < 32; i++) {
		auto_free char *name = xasprintf("SIG%s", sigabbrev_np(i));

		assert_int_equal(signal_parse(name, &number), 0);
		assert_int_equal(number, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_and_numbers),
		TEST(what_is_none),
		TEST(as_libc_has_them),
	};

	return RUN_TESTS(tests);
}
