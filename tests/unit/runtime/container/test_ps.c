/*
 * The host's ps as it is run, and what is taken of its table: only lines of the given processes.
 */
#include "unit/test.h"

#include <unistd.h>

#include "runtime/container/ps.h"

static void add_row(void *arg, const struct ps_row *r)
{
	for (size_t i = 0; i < r->n; i++)
		buf_addf(arg, "%.*s%s", (int)r->cells[i].len, r->cells[i].p,
			 i + 1 < r->n ? "|" : "\n");
}

static const char *rows_of(const char *table, const pid_t *v, size_t n)
{
	static struct buf out;
	struct buf pids = {.p = (char *)v, .len = n * sizeof(*v)};
	static struct err e;

	e = ERR_INIT;
	buf_done(&out);
	out = BUF_INIT(4096);
	return ps_table(table, &pids, add_row, &out, &e) < 0 ? err_text(&e) : buf_text(&out);
}

static void test_table(void **state)
{
	static const pid_t ours[] = {7, 30};

	assert_string_equal(rows_of("  PID TTY  CMD\n    1 ?  init\n    7 ?  sh -c  a b\n"
				    "   30 ?\n  307 ? x\n",
				    ours, 2),
			    "PID|TTY|CMD\n7|?|sh -c  a b\n30|?\n");
	/* Lines of threads go with the process before them. */
	assert_string_equal(rows_of("LWP PID\n- 7\n8 -\n- 9\n10 -\n", ours, 2),
			    "LWP|PID\n-|7\n8|-\n");
	assert_string_equal(rows_of("PPID CMD\n7 x\n", ours, 2),
			    "Couldn't find PID field in ps output");
	assert_string_equal(rows_of("", ours, 2), "Couldn't find PID field in ps output");
	assert_string_equal(rows_of("PID\n\n7", ours, 2), "PID\n7\n");
}

static void test_args(void **state)
{
	static const char *const good[] = {"-ef",        "aux",         "-o pid,args",
					   "-o pid=PID", "-o user=WHO", "-eo pid=PIDS"};
	static const char *const bad[] = {"-o comm=PID",     "-ocomm=PID -opid", "-o comm= PID",
					  "-o user,pid=PID", "-o comm=PID,pid",  "-o a\tPID",
					  "-o comm=X\nPID"};
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_ok((e = ERR_INIT, ps_args_check(good[i], &e)), &e);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ps_args_check(bad[i], &e), -EINVAL);
}

static void test_run(void **state)
{
	char *const self[] = {(char *)"ps", (char *)"-o", (char *)"pid=", (char *)"-p", NULL, NULL};
	char *const refused[] = {(char *)"ps", (char *)"--no-such", NULL};
	auto_free char *pid = xasprintf("%d", (int)getpid());
	auto_buf out = BUF_INIT(4096), small = BUF_INIT(3), none = BUF_INIT(64);
	char *const *argv = (char *const[]){self[0], self[1], self[2], self[3], pid, NULL};
	char *const all[] = {(char *)"ps", (char *)"-ef", NULL};
	struct err e = ERR_INIT;

	assert_ok(ps_run(argv, 10000, &out, &e), &e);
	assert_int_equal(strtol(buf_text(&out), NULL, 10), getpid());
	assert_int_equal(ps_run(refused, 10000, &none, &e), -EINVAL);
	assert_non_null(strstr(err_text(&e), "unknown gnu long option"));
	/* Bounds: of its output, and of its time. */
	assert_int_equal(ps_run(all, 10000, &small, &e), -EMSGSIZE);
	assert_int_equal(ps_run(all, 0, &out, &e), -ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
