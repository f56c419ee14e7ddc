/*
 * Hooks at their bounds of time: their own timeout, and the one of who has none, which is made
 * short here so that the same code can be watched reaching it.
 */
#include "unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "runtime/container/spec.h"

static const int real_hook_ms = LIMIT_HOOK_MS;
#undef LIMIT_HOOK_MS
#define LIMIT_HOOK_MS 400
#include "runtime/container/hooks.c" /* NOLINT(bugprone-suspicious-include): with another bound */

/* `sh -c TEXT`, as the only hook of its kind. */
static int run(const char *text, int64_t timeout, uint64_t *ret_ms, struct err *e)
{
	char *args[] = {(char *)"sh", (char *)"-c", (char *)text};
	struct spec_hook hook = {
		.path = (char *)"/bin/sh", .args = {.v = args, .n = 3}, .timeout = timeout};
	struct spec_hook_list list = {.v = &hook, .n = 1};
	CLEANUP(spec_done) struct spec spec;
	struct hook_state s = {.id = "c", .bundle = "/b", .status = "created", .spec = &spec};
	uint64_t began = clock_mono_ms();
	int rc;

	spec_init(&spec);
	rc = hooks_run(&list, "prestart", &s, e);
	*ret_ms = clock_mono_ms() - began;
	return rc;
}

static void test_no_timeout(void **state)
{
	char file[] = "/tmp/shoal-hook-XXXXXX";
	auto_close int fd = mkstemp(file);
	auto_free char *text = xasprintf("sleep 1000 & echo $! > %s; wait", file);
	struct err e = ERR_INIT;
	char pid[32] = "";
	uint64_t ms;

	assert_int_equal(real_hook_ms, 600000);
	assert_int_equal(run(text, SPEC_UNSET, &ms, &e), -ETIMEDOUT);
	assert_in_range(ms, LIMIT_HOOK_MS, LIMIT_HOOK_MS + 10000);
	assert_string_equal(e.msg,
			    "the prestart hook /bin/sh was killed: it took more than 400 ms");
	/* Its children go with it; init reaps them when it comes to it. */
	assert_true(pread(fd, pid, sizeof(pid) - 1, 0) > 0);
	(void)unlink(file);
	for (int i = 0; i < 1000 && kill((pid_t)strtol(pid, NULL, 10), 0) == 0; i++) {
		auto_free char *path = xasprintf("/proc/%ld/stat", strtol(pid, NULL, 10));
		auto_close int stat = open(path, O_RDONLY | O_CLOEXEC);
		char line[128] = "";

		if (stat >= 0 && read(stat, line, sizeof(line) - 1) > 0 && strstr(line, ") Z "))
			return;
		(void)poll(NULL, 0, 10);
	}
	assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), 0), -1);
}

/* A timeout of its own counts alone: also one that is longer. */
static void test_own_timeout(void **state)
{
	struct err e = ERR_INIT;
	uint64_t ms;

	assert_int_equal(run("sleep 1000", 1, &ms, &e), -ETIMEDOUT);
	assert_in_range(ms, 1000, 10000);
	assert_non_null(strstr(e.msg, "more than 1000 ms"));
	e = ERR_INIT;
	assert_ok(run("sleep 0.6", 60, &ms, &e), &e);
	assert_in_range(ms, 600, 10000);
}

static void test_in_time(void **state)
{
	struct err e = ERR_INIT;
	uint64_t ms;

	assert_ok(run("cat >/dev/null", SPEC_UNSET, &ms, &e), &e);
	assert_int_equal(run("echo word; exit 3", SPEC_UNSET, &ms, &e), -ECANCELED);
	assert_non_null(strstr(e.msg, "status 3: word"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_timeout),
		TEST(test_own_timeout),
		TEST(test_in_time),
	};

	return RUN_TESTS(tests);
}
