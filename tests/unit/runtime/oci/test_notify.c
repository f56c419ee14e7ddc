/*
 * The proxy for NOTIFY_SOCKET: which message counts, its bounds of size and time, and that a host
 * that does not read holds nobody for good.
 */
#include "unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/oci/notify.h"

struct pair {
	struct notify n;
	int host, container; /* the far ends */
	int living, ended;   /* of two processes */
};

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int set_up(void **state)
{
	struct pair *p = xcalloc(1, sizeof(*p));
	int a[2], b[2];
	pid_t pid;

	/* Before: it must hold none of the ends. */
	pid = fork();
	if (pid == 0)
		_exit(0);
	p->ended = pidfd_of(pid);
	p->living = pidfd_of(getpid());
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, a) < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, b) < 0)
		return -1;
	p->n = (struct notify){.host = a[0], .container = b[0], .main_pid = 77};
	p->host = a[1];
	p->container = b[1];
	*state = p;
	return pid > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct pair *p = *state;

	notify_done(&p->n);
	fd_close_at(&p->host);
	fd_close_at(&p->container);
	fd_close_at(&p->living);
	fd_close_at(&p->ended);
	free(p);
	return 0;
}

static void say(struct pair *p, const char *text, size_t n)
{
	struct err e = ERR_INIT;

	assert_int_equal(send(p->container, text, n, 0), n);
	assert_ok(notify_take(&p->n, &e), &e);
}

static const char *heard(struct pair *p)
{
	static char text[256];
	ssize_t n = recv(p->host, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void test_what_counts(void **state)
{
	static const char *const other[] = {
		"",         "READY=0",  "STATUS=READY=1",      "MAINPID=1",
		"READY=11", " READY=1", "WATCHDOG=1\nREADY=1 "};
	struct pair *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		say(p, other[i], strlen(other[i]));
		assert_string_equal(heard(p), "");
	}
	say(p, "STATUS=up\nMAINPID=1\nREADY=1\n", 28);
	assert_string_equal(heard(p), "READY=1\nMAINPID=77");
	assert_int_equal(p->n.host, -1);
	assert_int_equal(p->n.container, -1);
}

static void test_size(void **state)
{
	char text[LIMIT_NOTIFY + 1] = "READY=1\n";
	struct pair *p = *state;

	memset(text + 8, 'x', sizeof(text) - 8);
	say(p, text, LIMIT_NOTIFY + 1);
	assert_string_equal(heard(p), "");
	say(p, text, LIMIT_NOTIFY);
	assert_string_equal(heard(p), "READY=1\nMAINPID=77");
}

static void test_time(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;
	uint64_t began = clock_mono_ms();

	/* Words that are not the word do not make it longer. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(send(p->container, "STATUS=x", 8, 0), 8);
	assert_int_equal(notify_await(&p->n, p->living, 100, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.msg, "READY=1"));
	assert_in_range(clock_mono_ms() - began, 100, 5000);
}

static void test_end(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;

	assert_ok(notify_await(&p->n, p->ended, LIMIT_NOTIFY_MS, &e), &e);
	assert_string_equal(heard(p), "");
}

/* What it has said before its end counts; the host reads, and so nobody waits. */
static void test_last_words(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;
	pid_t reader;

	assert_int_equal(send(p->container, "STATUS=x", 8, 0), 8);
	assert_int_equal(send(p->container, "READY=1", 7, 0), 7);
	reader = fork();
	if (reader == 0) {
		char text[64];

		_exit(recv(p->host, text, sizeof(text), 0) > 0 &&
				      recv(p->host, text, sizeof(text), 0) == 9 &&
				      memcmp(text, "BARRIER=1", 9) == 0
			      ? 0
			      : 1);
	}
	close(TAKE_FD(p->host));
	assert_ok(notify_await(&p->n, p->ended, LIMIT_NOTIFY_MS, &e), &e);
}

static void test_a_host_that_does_not_read(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;
	uint64_t began = clock_mono_ms();

	assert_int_equal(send(p->container, "READY=1", 7, 0), 7);
	assert_ok(notify_await(&p->n, p->living, LIMIT_NOTIFY_MS, &e), &e);
	assert_in_range(clock_mono_ms() - began, LIMIT_NOTIFY_HOST_MS - 100,
			LIMIT_NOTIFY_HOST_MS + 5000);
	assert_string_equal(heard(p), "READY=1\nMAINPID=77");
}

static void test_a_host_that_is_gone(void **state)
{
	struct pair *p = *state;
	struct err e = ERR_INIT;

	close(TAKE_FD(p->host));
	assert_int_equal(send(p->container, "READY=1", 7, 0), 7);
	assert_true(notify_await(&p->n, p->living, LIMIT_NOTIFY_MS, &e) < 0);
	assert_non_null(strstr(e.msg, "NOTIFY_SOCKET"));
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_what_counts),
		CASE(test_size),
		CASE(test_time),
		CASE(test_end),
		CASE(test_last_words),
		CASE(test_a_host_that_does_not_read),
		CASE(test_a_host_that_is_gone),
	};

	return RUN_TESTS(tests);
}
