/*
 * base/http_server.h at its bounds: headers, bodies, sockets, connections, time, garbage.
 */
#include "unit/base/http_fixture.h"

#include "base/http_impl.h"
#include "base/id.h"

static void answer(struct http_req *req)
{
	rep(req, 200, "ok");
}

static void send_header_of(int fd, size_t total)
{
	auto_buf b = BUF_INIT(1 << 20);
	size_t fixed;

	buf_adds(&b, "GET /a HTTP/1.1\r\nHost: x\r\nX-Big: ");
	fixed = b.len + 4;
	for (size_t i = fixed; i < total; i++)
		buf_addc(&b, 'a');
	buf_adds(&b, "\r\n\r\n");
	cl_send_some(fd, b.p, b.len, 1000);
}

static void headers_are_bounded(void **state)
{
	static const size_t sizes[] = {LIMIT_HTTP_HEADERS - 1024, LIMIT_HTTP_HEADERS + 1,
				       LIMIT_HTTP_HEADERS * 2, 1000000};

	fix_start(answer, 0, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		auto_buf b = BUF_INIT(1 << 20);
		int fd = cl_open();

		send_header_of(fd, sizes[i]);
		cl_expect(fd, &b, "\r\n\r\n");
		if (strstr(b.p, i == 0 ? " 200 " : " 431 ") == NULL)
			fail_msg("%zu bytes: %s", sizes[i], b.p);
		close(fd);
	}
	assert_int_equal(F.calls, 1);
	fix_stop();
}

static void arguments_are_bounded(void **state)
{
	for (int n = LIMIT_HTTP_ARGS; n <= LIMIT_HTTP_ARGS + 1; n++) {
		auto_buf b = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
		int fd;

		fix_start(answer, 0, 0, 0);
		buf_adds(&text, "GET /a?");
		for (int i = 0; i < n; i++)
			buf_adds(&text, "a=1&");
		buf_adds(&text, " HTTP/1.1\r\nHost: x\r\n\r\n");
		fd = cl_open();
		cl_send(fd, text.p);
		cl_expect(fd, &b, "\r\n\r\n");
		assert_non_null(strstr(b.p, n == LIMIT_HTTP_ARGS ? " 200 " : " 400 "));
		close(fd);
		fix_stop();
	}
}

static void connections_are_bounded_and_idle_ones_make_room(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fds[9];

	fix_start(answer, 8, 0, 0);
	for (int i = 0; i < 8; i++) {
		fds[i] = cl_open();
		cl_send(fds[i], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
		buf_reset(&b);
		cl_expect(fds[i], &b, "ok");
		fix_settle(2);
	}
	assert_int_equal(http_server_clients(F.server), 8);
	fds[8] = cl_open();
	cl_send(fds[8], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	buf_reset(&b);
	cl_expect(fds[8], &b, "ok");
	assert_int_equal(http_server_clients(F.server), 8);
	/* The one that was idle for longest has made room. */
	buf_reset(&b);
	assert_true(cl_read_until(fds[0], &b, NULL));
	assert_int_equal(b.len, 0);
	for (int i = 0; i < 9; i++)
		close(fds[i]);
	fix_stop();
}

static struct http_req *held[8];
static int held_count;

static void hold(struct http_req *req)
{
	held[held_count++] = req;
}

static void busy_connections_are_not_thrown_out(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fds[5];

	held_count = 0;
	fix_start(hold, 4, 0, 0);
	for (int i = 0; i < 5; i++) {
		fds[i] = cl_open();
		cl_send(fds[i], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	fix_wait(held_count == 4);
	fix_settle(20);
	assert_int_equal(held_count, 4);
	rep(held[1], 200, "ok");
	cl_expect(fds[1], &b, "ok");
	/* Now that one is idle, the fifth comes in. */
	fix_wait(held_count == 5);
	for (int i = 0; i < 5; i++)
		if (i != 1)
			rep(held[i], 200, "ok");
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	fix_stop();
}

static void slow_requests_are_cut(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int64_t end;
	int fd, idle;

	fix_start(answer, 0, 1000, 300);
	fd = cl_open();
	idle = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\n");
	end = (int64_t)clock_mono_ms() + 6000;
	/* A byte now and then resets the library's timeout, not ours. */
	while (send(fd, "X", 1, MSG_NOSIGNAL) == 1) {
		assert_true((int64_t)clock_mono_ms() < end);
		fix_settle(50);
	}
	assert_int_equal(F.calls, 0);
	assert_true(cl_read_until(idle, &b, NULL));
	close(fd);
	close(idle);
	fix_stop();
}

static void keep(struct http_req *req)
{
	F.req = req;
}

static void waiting_and_streams_are_not_idle(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	struct http_stream *st;
	int fd;

	fix_start(keep, 0, 1000, 0);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_wait(F.req);
	fix_settle(2300);
	assert_false(http_req_is_gone(F.req));
	st = http_reply_stream(F.req, 200, NULL, 0);
	cl_expect(fd, &b, "\r\n\r\n");
	fix_settle(2300);
	assert_int_equal(http_stream_write(st, "still here", 10), 0);
	cl_expect(fd, &b, "still here");
	http_stream_end(st);
	cl_expect(fd, &b, "\r\n0\r\n\r\n");
	close(fd);
	fix_stop();
}

static void body_read(struct http_req *req, struct buf *body, const struct err *e, void *data)
{
	rep(req, !e ? 200 : e->code == -EAGAIN ? 503 : 500, "ok");
}

static void read_all(struct http_req *req)
{
	http_req_read_body(req, (size_t)LIMIT_HTTP_BODIES, body_read, NULL);
}

/* A connection whose body of `len` bytes is announced, and sent but for its last `missing`. */
static int post(size_t len, size_t missing)
{
	auto_free char *bytes = xcalloc(1, len), *head = NULL;
	int fd = cl_open();

	head = xasprintf("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", len);
	cl_send(fd, head);
	assert_int_equal(cl_send_some(fd, bytes, len - missing, WAIT_MS), len - missing);
	return fd;
}

static void assert_answer(int fd, const char *status)
{
	auto_buf b = BUF_INIT(1 << 20);

	cl_expect(fd, &b, "ok");
	if (!strstr(buf_text(&b), status))
		fail_msg("not %s: %s", status, buf_text(&b));
	close(fd);
}

/* All bodies together: what one has not given back yet another cannot have. */
static void bodies_are_bounded_together(void **state)
{
	enum { LEFT = 1000 };
	int big;

	fix_start(read_all, 0, 0, 0);
	big = post(LIMIT_HTTP_BODIES, LEFT);
	fix_wait(F.server->collected == LIMIT_HTTP_BODIES - LEFT);
	assert_answer(post(LEFT, 0), " 200 ");
	assert_answer(post(LEFT + 1, 0), " 503 ");
	cl_send(big, (char[LEFT + 1]){[0 ... LEFT - 1] = 'x'});
	assert_answer(big, " 200 ");
	fix_wait(F.server->collected == 0);
	assert_answer(post(LEFT + 1, 0), " 200 ");
	/* One that goes away gives its own back. */
	big = post(LIMIT_HTTP_BODIES, LEFT);
	fix_wait(F.server->collected == LIMIT_HTTP_BODIES - LEFT);
	close(big);
	fix_wait(F.server->collected == 0);
	fix_stop();
}

static void sockets_are_bounded(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	int fd;

	fix_start(answer, 0, 0, 0);
	for (int i = 1; i < LIMIT_HTTP_SOCKETS; i++)
		assert_ok(http_server_listen(F.server, "tcp://127.0.0.1:0", NULL, &e), &e);
	assert_int_equal(http_server_listen(F.server, "tcp://127.0.0.1:0", NULL, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "more than 32 sockets"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(http_server_listen_fd(F.server, fd, &e), -E2BIG);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was the server's to close */
	/* The last of them works as the first. */
	fd = cl_open_tcp();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "ok");
	close(fd);
	fix_stop();
}

static void garbage_is_survived(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	uint8_t junk[4096];
	int fd;

	fix_start(answer, 0, 0, 0);
	for (int i = 0; i < 200; i++) {
		static const char *const starts[] = {
			"",
			"GET ",
			"GET /a HTTP/1.1\r\n",
			"POST /a HTTP/1.1\r\nContent-Length: ",
			"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
			"\x16\x03\x01\x02",
			"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};

		random_bytes(junk, sizeof(junk));
		fd = cl_open();
		cl_send(fd, starts[(size_t)i % ARRAY_LEN(starts)]);
		cl_send_some(fd, junk, sizeof(junk), 10);
		close(fd);
	}
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "ok");
	close(fd);
	fix_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(headers_are_bounded),
		TEST(arguments_are_bounded),
		TEST(connections_are_bounded_and_idle_ones_make_room),
		TEST(busy_connections_are_not_thrown_out),
		TEST(slow_requests_are_cut),
		TEST(waiting_and_streams_are_not_idle),
		TEST(bodies_are_bounded_together),
		TEST(sockets_are_bounded),
		TEST(garbage_is_survived),
	};

	return RUN_TESTS(tests);
}
