/*
 * api/containers*.c over the fake engine: what is asked of it, and what clients get to see.
 */
#include "unit/api/api_rig.h"

#include "api/containers.h"

static void durations(void **state)
{
	static const struct {
		int64_t s;
		const char *text;
	} cases[] = {
		{0, "Less than a second"},  {1, "1 second"},          {59, "59 seconds"},
		{60, "About a minute"},     {119, "About a minute"},  {120, "2 minutes"},
		{3599, "59 minutes"},       {3600, "About an hour"},  {5399, "About an hour"},
		{5400, "2 hours"},          {47 * 3600, "47 hours"},  {48 * 3600, "2 days"},
		{14 * 86400, "2 weeks"},    {59 * 86400, "8 weeks"},  {60 * 86400, "2 months"},
		{729 * 86400, "24 months"}, {730 * 86400, "2 years"},
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		containers_duration_text(cases[i].s * NS_PER_SEC, text, sizeof text);
		assert_string_equal(text, cases[i].text);
	}
}

static void want_status(struct container *c, int64_t now_s, const char *text)
{
	auto_free char *got = containers_status_text(c, now_s * NS_PER_SEC);

	assert_string_equal(got, text);
}

static void statuses(void **state)
{
	struct container c = {.status = CONTAINER_RUNNING, .started_ns = 100 * NS_PER_SEC};

	want_status(&c, 105, "Up 5 seconds");
	c.paused = true;
	want_status(&c, 105, "Up 5 seconds (Paused)");
	c.paused = false;
	c.status = CONTAINER_EXITED;
	c.exit_code = 137;
	want_status(&c, 105, "");
	c.finished_ns = 200 * NS_PER_SEC;
	want_status(&c, 320, "Exited (137) 2 minutes ago");
	c.status = CONTAINER_RESTARTING;
	want_status(&c, 203, "Restarting (137) 3 seconds ago");
	c.status = CONTAINER_CREATED;
	want_status(&c, 203, "Created");
	c.status = CONTAINER_DEAD;
	want_status(&c, 203, "Dead");
	c.status = CONTAINER_REMOVING;
	want_status(&c, 203, "Removal In Progress");
}

static void lists(void **state)
{
	rig_start();
	rig_want("GET /containers/json", 200, "\"Names\":[\"/web\"]");
	rig_want_not("GET /containers/json", 200, "/old");
	rig_want("GET /containers/json?all=1", 200, "/old");
	rig_want("GET /containers/json?limit=2", 200, "/old");
	rig_want_not("GET /containers/json?limit=1", 200, "/old");
	rig_want("GET /containers/json?filters={\"status\":[\"exited\"]}", 200, "/old");
	rig_want_not("GET /containers/json?filters={\"status\":[\"exited\"]}", 200, "/web");
	rig_want("GET /containers/json?filters={\"status\":[\"up\"]}", 400, "invalid filter");
	rig_want_not("GET /containers/json?all=1&filters={\"exited\":[\"0\"]}", 200, "/old");
	rig_want("GET /containers/json?filters={\"bogus\":[\"x\"]}", 400, "invalid filter 'bogus'");
	rig_want("GET /containers/json?all=1&filters={\"name\":[\"^/web$\"]}", 200, "/web");
	rig_want_not("GET /containers/json?all=1&filters={\"name\":[\"^web$\"]}", 200, "/old");
	rig_want("GET /containers/json?filters={\"ancestor\":[\"busybox\"]}", 200, "/web");
	rig_want_not("GET /containers/json?filters={\"ancestor\":[\"nothing\"]}", 200, "/web");
	rig_want_not("GET /containers/json?all=1&filters={\"is-task\":[\"false\"]}", 200, "/old");
	rig_want_not("GET /containers/json?all=1&filters={\"before\":[\"web\"]}", 200, "/web");
	rig_want("GET /containers/json?all=1&filters={\"before\":[\"web\"]}", 200, "/old");
	rig_want_not("GET /containers/json?all=1&filters={\"since\":[\"old\"]}", 200, "/old");
	rig_want("GET /containers/json?filters={\"since\":[\"no\"]}", 404, "No such container: no");
	rig_stop();
}

static void inspects(void **state)
{
	rig_start();
	rig_want("GET /containers/web/json", 200, "\"Name\":\"/web\"");
	rig_want("GET /containers/web/json", 200,
		 "\"State\":{\"Status\":\"running\",\"Running\":true,\"Paused\":false,"
		 "\"Restarting\":false,\"OOMKilled\":false,\"Dead\":false,\"Pid\":42,"
		 "\"ExitCode\":0,\"Error\":\"\",\"StartedAt\":\"0001-01-01T00:00:00Z\"");
	rig_want("GET /containers/web/json", 200, "\"ExecIDs\":null");
	rig_want("GET /containers/old/json", 200, "\"Pid\":0,\"ExitCode\":3");
	rig_want("GET /containers/none/json", 404, "No such container: none");
	rig_stop();
}

static void creates(void **state)
{
	rig_start();
	rig_want_body("POST /containers/create?name=n&platform=linux/amd64",
		      "{\"Image\":\"busybox\"}", 201, "{\"Id\":\"" FAKE_ID "\",\"Warnings\":[]}");
	assert_string_equal(E.asked, "create n linux/amd64 busybox");
	rig_want("POST /containers/create", 400, "config cannot be empty");
	rig_want_body("POST /containers/create", "{\"Image\":1}", 400, "invalid JSON");
	E.status = -ENOENT;
	rig_want_body("POST /containers/create", "{\"Image\":\"x\"}", 404, "the fake fails");
	rig_stop();
}

static void acts(void **state)
{
	rig_start();
	rig_want("POST /containers/old/start", 204, "");
	rig_want("POST /containers/web/stop?signal=SIGINT&t=3", 204, "");
	assert_string_equal(E.asked, "stop web 2 3;");
	rig_want("POST /containers/old/stop", 304, "");
	rig_want("POST /containers/web/restart", 204, "");
	assert_string_equal(E.asked, "stop web 0 -1;start web;");
	rig_want("POST /containers/web/kill", 204, "");
	assert_string_equal(E.asked, "kill web 9");
	rig_want("POST /containers/web/kill?signal=usr1", 204, "");
	assert_string_equal(E.asked, "kill web 10");
	rig_want("POST /containers/web/kill?signal=64", 204, "");
	rig_want("POST /containers/web/kill?signal=65", 400, "Invalid signal: 65");
	rig_want("POST /containers/web/kill?signal=0", 400, "Invalid signal");
	rig_want("POST /containers/web/kill?signal=-9", 400, "Invalid signal");
	rig_want("POST /containers/web/resize?h=24&w=80", 200, "");
	assert_string_equal(E.asked, "resize web 24 80");
	rig_want("POST /containers/web/pause", 204, "");
	assert_string_equal(E.asked, "pause web");
	rig_want("POST /containers/web/unpause", 204, "");
	assert_string_equal(E.asked, "unpause web");
	rig_want("GET /containers/web/top?ps_args=-o+pid", 200,
		 "{\"Titles\":[\"PID\",\"CMD\"],\"Processes\":[[\"42\",\"sh -c "
		 "\\\"x\\\"\"],[\"43\"");
	assert_string_equal(E.asked, "top web -o pid");
	for (size_t more = 0; more < 2; more++) {
		auto_buf ask = BUF_INIT(2 * LIMIT_PS_ARGS);

		buf_adds(&ask, "GET /containers/web/top?ps_args=");
		for (size_t i = 0; i < LIMIT_PS_ARGS + more; i++)
			buf_addc(&ask, 'x');
		rig_want(buf_text(&ask), more ? 400 : 200, more ? "longer than 1024" : "");
	}
	rig_want("GET /containers/web/changes", 200,
		 "[{\"Path\":\"/etc\",\"Kind\":0},{\"Path\":\"/etc/\357\277\275\\\"new\","
		 "\"Kind\":1},{\"Path\":\"/gone\",\"Kind\":2}]\n");
	rig_want("GET /containers/old/changes", 200, "[]\n");
	rig_want("GET /containers/nobody/changes", 404, "No such container: nobody");
	rig_want("GET /containers/json?size=1", 200, "\"SizeRw\":1000,\"SizeRootFs\":5000");
	rig_want_not("GET /containers/json", 200, "SizeRw");
	rig_want("GET /containers/web/json?size=1", 200, "\"SizeRw\":1000,\"SizeRootFs\":5000");
	rig_want("GET /containers/web/stats?stream=1&one-shot=1", 400, "one-shot=true");
	rig_want("GET /containers/old/stats?stream=0", 200, "\"read\":\"0001-01-01T00:00:00Z\"");
	rig_want("POST /containers/web/resize?h=70000&w=80", 400, "");
	rig_want("POST /containers/web/rename?name=site", 204, "");
	rig_want("POST /containers/web/rename", 400, "may be empty");
	rig_want("DELETE /containers/web?force=1&v=1", 204, "");
	assert_string_equal(E.asked, "remove web 1 1");
	rig_want("DELETE /containers/web?link=1", 501, "links");
	E.status = -EALREADY;
	rig_want("POST /containers/web/start", 304, "");
	E.status = -ESRCH;
	rig_want("POST /containers/web/kill", 409, "the fake fails");
	E.status = -E2BIG;
	rig_want("GET /containers/web/changes", 400, "the fake fails");
	rig_stop();
}

static void waits(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	rig_start();
	fd = rig_open("POST /v1.51/containers/web/wait?condition=removed", "\r\n");
	cl_expect(fd, &b, "\r\n\r\n"); /* before anything has ended */
	assert_string_equal(E.asked, "wait web 2");
	E.waited(E.waited_arg, 7, NULL);
	cl_expect(fd, &b, "{\"StatusCode\":7}\n");
	close(fd);
	buf_reset(&b);
	fd = rig_open("POST /containers/web/wait", "\r\n");
	cl_expect(fd, &b, "\r\n\r\n");
	E.waited(E.waited_arg, 1, "why");
	cl_expect(fd, &b, "{\"Error\":{\"Message\":\"why\"},\"StatusCode\":1}\n");
	close(fd);
	fd = rig_open("POST /containers/web/wait", "\r\n");
	buf_reset(&b);
	cl_expect(fd, &b, "\r\n\r\n");
	close(fd);
	fix_wait(E.wait_cancelled);
	rig_want("POST /containers/web/wait?condition=never", 400, "invalid condition");
	rig_want("POST /containers/none/wait", 404, "No such container: none");
	rig_stop();
}

static bool has(const struct buf *b, const void *p, size_t n)
{
	return b->len >= n && memmem(b->p, b->len, p, n);
}

static void logs(void **state)
{
	static const char frame[] = "\2\0\0\0\0\0\0\x22"
				    "1970-01-01T00:00:01.000000000Z oh\n";
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	rig_start();
	rig_want("GET /containers/web/logs", 400, "you must choose at least one stream");
	fd = rig_open("GET /containers/web/logs?stderr=1&timestamps=1&follow=1&tail=5", "\r\n");
	cl_expect(fd, &b, "vnd.docker.multiplexed-stream");
	assert_true(E.logs_options.err && !E.logs_options.out && E.logs_options.follow);
	assert_int_equal(E.logs_options.tail, 5);
	assert_true(E.logs_ops->entry(E.logs_arg, ENGINE_STDERR, NS_PER_SEC, "oh\n", 3));
	cl_expect(fd, &b, "oh\n");
	assert_true(has(&b, frame, sizeof frame - 1));
	E.logs_ops->end(E.logs_arg, NULL);
	assert_true(E.logs_closed);
	cl_expect(fd, &b, "0\r\n\r\n");
	close(fd);
	buf_reset(&b);
	fd = rig_open("GET /v1.41/containers/web/logs?stdout=1&tail=x", "\r\n");
	cl_expect(fd, &b, "vnd.docker.raw-stream");
	assert_int_equal(E.logs_options.tail, -1);
	E.logs_ops->end(E.logs_arg, NULL);
	close(fd);
	rig_stop();
}

static void logs_pause_for_a_slow_client(void **state)
{
	static char piece[16384];
	auto_buf b = BUF_INIT(1 << 20);
	size_t got = 0, sent = 0;
	char room[65536];
	int fd, taken = 1;

	rig_start();
	E.web.config.tty = true; /* raw: what comes out is what went in */
	memset(piece, 'x', sizeof piece);
	fd = rig_open("GET /containers/web/logs?stdout=1", "\r\n");
	cl_expect(fd, &b, "\r\n\r\n");
	while (taken && sent < (16u << 20)) {
		taken = E.logs_ops->entry(E.logs_arg, ENGINE_STDOUT, 0, piece, sizeof piece);
		sent += sizeof piece;
	}
	assert_false(taken); /* bounded, whatever the container says */
	for (int64_t end = (int64_t)clock_mono_ms() + WAIT_MS; !E.resumed;) {
		ssize_t n = recv(fd, room, sizeof room, 0);

		got += n > 0 ? (size_t)n : 0;
		assert_true(fix_turn(fd, POLLIN, end));
	}
	E.logs_ops->end(E.logs_arg, NULL);
	buf_reset(&b);
	b.max = 32u << 20;
	assert_true(cl_read_until(fd, &b, "\r\n0\r\n\r\n"));
	assert_true(got + b.len >= sent);
	close(fd);
	rig_stop();
}

#define UPGRADE "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"

static void attaches(void **state)
{
	static const char frame[] = "\1\0\0\0\0\0\0\2hi";
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	rig_start();
	E.web.config.open_stdin = E.web.config.stdin_once = true;
	fd = rig_open("POST /containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1", UPGRADE);
	cl_expect(fd, &b, "\r\n\r\n");
	assert_non_null(strstr(buf_text(&b), "HTTP/1.1 101 "));
	assert_non_null(strstr(buf_text(&b), "vnd.docker.multiplexed-stream"));
	assert_string_equal(E.asked, "attach web 7");
	cl_send(fd, "to you");
	fix_wait(E.input.len == 6);
	shutdown(fd, SHUT_WR);
	fix_wait(E.input_closed);
	/* The end of input leaves output alone. */
	buf_reset(&b);
	assert_true(E.attach_ops->output(E.attach_arg, ENGINE_STDOUT, "hi", 2));
	cl_expect(fd, &b, "hi");
	assert_true(has(&b, frame, sizeof frame - 1));
	E.attach_ops->end(E.attach_arg);
	assert_true(E.attach_closed);
	assert_true(cl_read_until(fd, &b, NULL));
	close(fd);
	rig_stop();
}

static void attach_replays_first(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	rig_start();
	E.web.config.tty = true;
	fd = rig_open("POST /containers/web/attach?stream=1&logs=1&stdout=1", UPGRADE);
	cl_expect(fd, &b, "\r\n\r\n");
	assert_non_null(strstr(buf_text(&b), "vnd.docker.raw-stream"));
	assert_null(E.attach_ops);
	assert_false(E.logs_options.follow);
	assert_true(E.logs_ops->entry(E.logs_arg, ENGINE_STDOUT, 0, "old ", 4));
	E.logs_ops->end(E.logs_arg, NULL);
	assert_true(E.logs_closed);
	assert_true(E.attach_ops->output(E.attach_arg, ENGINE_STDOUT, "new", 3));
	cl_expect(fd, &b, "old new");
	close(fd);
	fix_wait(E.attach_closed);
	rig_stop();
}

static void attach_holds_both_ways(void **state)
{
	static char piece[32768];
	auto_buf b = BUF_INIT(64u << 20);
	size_t given = 0;
	int fd;

	rig_start();
	E.web.config.tty = E.web.config.open_stdin = true;
	E.attach_write_says = 1;
	fd = rig_open("POST /containers/web/attach?stream=1&stdin=1&stdout=1", UPGRADE);
	cl_expect(fd, &b, "\r\n\r\n");
	buf_reset(&b);
	cl_send(fd, "one");
	fix_wait(E.input.len == 3);
	cl_send(fd, "two");
	fix_settle(50);
	assert_int_equal(E.input.len, 3); /* the container does not read */
	E.attach_write_says = 0;
	E.attach_ops->drain(E.attach_arg);
	fix_wait(E.input.len == 6);
	while (given < (32u << 20) &&
	       E.attach_ops->output(E.attach_arg, ENGINE_STDOUT, piece, sizeof piece))
		given += sizeof piece;
	assert_true(given < (8u << 20)); /* the client does not read */
	E.resumed = 0;
	for (int64_t end = (int64_t)clock_mono_ms() + WAIT_MS; !E.resumed;) {
		char room[65536];
		ssize_t n = recv(fd, room, sizeof room, 0);

		if (n > 0)
			buf_add(&b, room, (size_t)n);
		assert_true(fix_turn(fd, POLLIN, end));
	}
	E.attach_ops->end(E.attach_arg);
	assert_true(cl_read_until(fd, &b, NULL));
	assert_int_equal(b.len, given);
	close(fd);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(durations),
		TEST(statuses),
		TEST(lists),
		TEST(inspects),
		TEST(creates),
		TEST(acts),
		TEST(waits),
		TEST(logs),
		TEST(logs_pause_for_a_slow_client),
		TEST(attaches),
		TEST(attach_replays_first),
		TEST(attach_holds_both_ways),
	};

	return RUN_TESTS(tests);
}
