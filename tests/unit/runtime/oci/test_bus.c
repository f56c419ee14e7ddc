/*
 * D-Bus as the command speaks it, with a stand-in at the other end: what is sent byte by byte,
 * answers and ends of jobs in every order, and another side that is silent, gone or talks nonsense.
 */
#include "unit/test.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/limits.h"
#undef LIMIT_BUS_MS
#define LIMIT_BUS_MS 500     /* milliseconds: the same code, to be watched reaching it */
#include "runtime/oci/bus.c" /* NOLINT(bugprone-suspicious-include): with another bound */

#define UNIT "a.scope"

/* What the stand-in says after "OK", all at once: it does not look at what it is told. */
static struct buf script;
static pid_t server;
static char path[64];

static int set_up(void **state)
{
	script = BUF_INIT(2 * LIMIT_BUS_MESSAGE);
	snprintf(path, sizeof(path), "/tmp/shoal-bus-%d", (int)getpid());
	return 0;
}

static void stop_server(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	server = 0;
	(void)unlink(path);
}

static int tear_down(void **state)
{
	stop_server();
	buf_done(&script);
	return 0;
}

_Noreturn static void serve(int listener, const char *greeting, bool stays)
{
	char text[4096];
	int fd = accept(listener, NULL, NULL);
	ssize_t n = 0;

	/* Up to the end of the second line of the client's. */
	for (int lines = 0; fd >= 0 && lines < 2 && (n = read(fd, text, 1)) > 0;)
		lines += text[0] == '\n';
	if (n <= 0 || write(fd, greeting, strlen(greeting)) < 0 ||
	    (script.len && send(fd, script.p, script.len, MSG_NOSIGNAL) < 0))
		_exit(1);
	while (stays && read(fd, text, sizeof(text)) > 0)
		;
	_exit(0);
}

static void start_server(const char *greeting, bool stays)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	char address[128];

	stop_server();
	memcpy(a.sun_path, path, strlen(path));
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	server = fork();
	if (server == 0)
		serve(listener, greeting, stays);
	close(listener);
	snprintf(address, sizeof(address), "tcp:host=x;unix:path=%s", path);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", strchr(address, ';') + 1, 1);
}

#define GREETING "DATA\r\nOK 0123456789abcdef\r\n"

/* A message from the stand-in. */
static void say(uint8_t type, uint32_t reply_to, const char *member, const char *error,
		const char *types, const struct buf *body)
{
	struct buf one = BUF_INIT(LIMIT_BUS_MESSAGE);
	struct bus_array fields;

	buf_addc(&one, ENDIAN);
	buf_addc(&one, (char)type);
	buf_addc(&one, 1);
	buf_addc(&one, 1);
	bus_put_u32(&one, body ? (uint32_t)body->len : 0);
	bus_put_u32(&one, 99);
	fields = bus_array_begin(&one, 8);
	if (reply_to) {
		bus_align(&one, 8);
		buf_addc(&one, FIELD_REPLY);
		bus_put_types(&one, "u");
		bus_put_u32(&one, reply_to);
	}
	if (member)
		put_field(&one, FIELD_MEMBER, "s", member);
	if (error)
		put_field(&one, FIELD_ERROR, "s", error);
	if (types)
		put_field(&one, FIELD_TYPES, "g", types);
	bus_array_end(&one, fields);
	bus_align(&one, 8);
	if (body)
		buf_add(&one, body->p, body->len);
	assert_int_equal(buf_add(&script, one.p, one.len), 0);
	buf_done(&one);
}

static void say_str(uint8_t type, uint32_t reply_to, const char *error, const char *text)
{
	struct buf body = BUF_INIT(LIMIT_BUS_MESSAGE);

	bus_put_str(&body, text);
	say(type, reply_to, NULL, error, "s", &body);
	buf_done(&body);
}

static void say_removed(const char *job, const char *unit, const char *result)
{
	struct buf body = BUF_INIT(LIMIT_BUS_MESSAGE);

	bus_put_u32(&body, 1);
	bus_put_str(&body, job);
	bus_put_str(&body, unit);
	bus_put_str(&body, result);
	say(SIGNAL, 0, "JobRemoved", NULL, "uoss", &body);
	buf_done(&body);
}

static const struct bus_method method = {"to", "/path", "iface", "Member", ""};

static void test_values(void **state)
{
	static const char want[] = "\3\0\0\0abc\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1au\0\7\0\0\0";
	struct buf b = BUF_INIT(1024);
	struct bus_array a;
	size_t at = 0;

	bus_put_str(&b, "abc");
	bus_align(&b, 16);
	bus_put_u64(&b, 2);
	buf_addc(&b, 1);
	buf_add(&b, "au", 3);
	bus_put_u32(&b, 7);
	if (ENDIAN == 'l') {
		assert_int_equal(b.len, sizeof(want) - 1);
		assert_memory_equal(b.p, want, b.len);
	}
	assert_string_equal(bus_get_str(&b, &at), "abc");
	assert_int_equal(at, 8);
	buf_reset(&b);
	a = bus_array_begin(&b, 8);
	bus_array_end(&b, a);
	assert_int_equal(b.len, 8);
	assert_int_equal(bus_u32_at(b.p), 0);
	buf_done(&b);
}

/* No length in a text leads out of it. */
static void test_cut_values(void **state)
{
	struct buf b = BUF_INIT(64), cut;
	size_t at;

	bus_put_str(&b, "abcdef");
	for (size_t n = 0; n < b.len; n++) {
		cut = (struct buf){.p = xmemdup(b.p, n + 1), .len = n};
		at = 0;
		assert_null(bus_get_str(&cut, &at));
		free(cut.p);
	}
	for (size_t from = 0; from < 12; from++) {
		at = from;
		(void)bus_get_str(&b, &at);
		at = from;
		(void)bus_get_types(&b, &at);
	}
	b.p[7] = 0; /* inside */
	at = 0;
	assert_null(bus_get_str(&b, &at));
	memset(b.p, 0xff, 4);
	at = 0;
	assert_null(bus_get_str(&b, &at));
	buf_done(&b);
}

static void test_answers(void **state)
{
	struct buf answer = BUF_INIT(64);
	struct err e = ERR_INIT;
	struct bus b;
	size_t at = 0;

	say_str(ANSWER, 1, NULL, ":1.7"); /* of Hello */
	say_str(SIGNAL, 0, NULL, "NameAcquired");
	say_str(ANSWER, 7, NULL, "to nobody");
	say_str(ANSWER, 2, NULL, "word");
	say_str(FAILURE, 3, "org.freedesktop.systemd1.NoSuchUnit", "Unit x not loaded.");
	say_str(FAILURE, 4, "org.freedesktop.systemd1.UnitExists", "Unit x was there.");
	say(FAILURE, 5, NULL, "some.Error", NULL, NULL);
	start_server(GREETING, true);
	assert_ok(bus_open(false, &b, &e), &e);
	assert_ok(bus_call(&b, &method, NULL, &answer, &e), &e);
	assert_string_equal(bus_get_str(&answer, &at), "word");
	assert_int_equal(bus_call(&b, &method, NULL, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "Member of systemd: Unit x not loaded.");
	assert_int_equal(bus_call(&b, &method, NULL, NULL, &e), -EEXIST);
	assert_int_equal(bus_call(&b, &method, NULL, NULL, &e), -EIO);
	assert_string_equal(e.msg, "Member of systemd: some.Error");
	/* Then it is silent. */
	assert_int_equal(bus_call(&b, &method, NULL, NULL, &e), -ETIMEDOUT);
	bus_done(&b);
	buf_done(&answer);
}

static void test_jobs(void **state)
{
	struct err e = ERR_INIT;
	struct bus b;

	say_str(ANSWER, 1, NULL, ":1.7");
	say_removed("/job/1", UNIT, "canceled");  /* an older one */
	say_removed("/job/2", "other", "failed"); /* of another unit */
	say_removed("/job/2", UNIT, "done");      /* before the answer that names it */
	say_str(ANSWER, 2, NULL, "/job/2");
	say_removed("/job/3", UNIT, "failed");
	start_server(GREETING, true);
	assert_ok(bus_open(false, &b, &e), &e);
	b.unit = UNIT;
	assert_ok(bus_call(&b, &method, NULL, NULL, &e), &e);
	assert_ok(bus_await_job(&b, "/job/2", &e), &e);
	assert_int_equal(bus_await_job(&b, "/job/3", &e), -EIO);
	assert_non_null(strstr(e.msg, UNIT ": failed"));
	assert_int_equal(bus_await_job(&b, "/job/4", &e), -ETIMEDOUT);
	bus_done(&b);
}

static int open_code(struct err *e)
{
	struct bus b;
	int rc;

	*e = ERR_INIT;
	rc = bus_open(false, &b, e);
	if (rc == 0)
		bus_done(&b);
	return rc;
}

static void test_who_is_not_let_in(void **state)
{
	struct err e;

	start_server("REJECTED EXTERNAL\r\nERROR\r\n", true);
	assert_int_equal(open_code(&e), -EACCES);
	start_server("DATA\r\nREJECTED\r\n", true);
	assert_int_equal(open_code(&e), -EACCES);
	start_server("DATA\r\n", true);
	assert_int_equal(open_code(&e), -ETIMEDOUT);
	start_server("DATA\r\n", false);
	assert_int_equal(open_code(&e), -ECONNRESET);
	start_server(GREETING, false);
	assert_true(open_code(&e) < 0);
	stop_server();
	assert_int_equal(open_code(&e), -ENOENT);
	assert_non_null(strstr(e.msg, path));
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "tcp:host=localhost", 1);
	assert_int_equal(open_code(&e), -EINVAL);
}

/* Whatever a header says, nothing is read that is not there. */
static void test_nonsense(void **state)
{
	struct err e;
	size_t whole;

	say_str(ANSWER, 1, NULL, ":1.7");
	whole = script.len;
	for (size_t i = 0; i < whole; i++) {
		char kept = script.p[i];
		int rc;

		for (int bit = 0; bit < 8; bit += 7) {
			script.p[i] = (char)(kept ^ (1 << bit));
			start_server(GREETING, false);
			rc = open_code(&e);
			assert_true(rc == 0 || rc == -EPROTO || rc == -ECONNRESET || rc == -EIO ||
				    rc == -EPIPE || rc == -ETIMEDOUT);
		}
		script.p[i] = kept;
	}
}

static void test_size(void **state)
{
	struct buf args = BUF_INIT(LIMIT_BUS_MESSAGE + 1);
	struct buf body = BUF_INIT(2 * LIMIT_BUS_MESSAGE);
	struct err e = ERR_INIT;
	struct bus b;

	/* The answer to Hello is as large as a message may be, and then one byte more. */
	for (size_t i = 0; i < LIMIT_BUS_MESSAGE - 32; i++)
		buf_addc(&body, 'x');
	say(ANSWER, 1, NULL, NULL, "s", &body);
	assert_int_equal(script.len, LIMIT_BUS_MESSAGE);
	start_server(GREETING, true);
	assert_ok(bus_open(false, &b, &e), &e);
	while (buf_addc(&args, 'x') == 0)
		;
	assert_int_equal(bus_call(&b, &method, &args, NULL, &e), -EMSGSIZE);
	bus_done(&b);
	*(uint32_t *)(void *)(script.p + 4) += 8;
	start_server(GREETING, true);
	assert_int_equal(open_code(&e), -EPROTO);
	buf_done(&args);
	buf_done(&body);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_values), CASE(test_cut_values),        CASE(test_answers),
		CASE(test_jobs),   CASE(test_who_is_not_let_in), CASE(test_nonsense),
		CASE(test_size),
	};

	return RUN_TESTS(tests);
}
