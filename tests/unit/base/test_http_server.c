/*
 * base/http_server.h: answers at once, later, in pieces; clients that go away; many at once; the
 * end.
 */
#include "unit/base/http_fixture.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/limits.h"

static void answer_path(struct http_req *req)
{
	if (strcmp(http_req_path(req), "/arg") == 0)
		rep(req, 200, http_req_arg(req, "x"));
	else
		rep(req, 200, http_req_path(req));
}

static void get_head_keepalive_pipeline(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	struct stat st;
	int fd;

	fix_start(answer_path, 0, 0, 0);
	assert_int_equal(stat(F.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	fd = cl_open();
	cl_send(fd, "GET /a%2Fb%20c HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "/a/b c");
	assert_non_null(strstr(b.p, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(b.p, "Server: Shoal/test\r\n"));
	assert_non_null(strstr(b.p, "Content-Type: text/plain\r\n"));
	assert_non_null(strstr(b.p, "Content-Length: 6\r\n"));
	assert_non_null(strstr(b.p, "Date: "));
	buf_reset(&b);
	cl_send(fd, "HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n"
		    "GET /arg?x=a+b%26c HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "a b&c");
	assert_non_null(strstr(b.p, "Content-Length: 4\r\n"));
	assert_null(strstr(b.p, "/abc"));
	assert_non_null(strstr(b.p, "/second"));
	assert_int_equal(F.calls, 4);
	assert_int_equal(http_server_clients(F.server), 1);
	close(fd);
	fix_wait(http_server_clients(F.server) == 0);
	fix_stop();
}

static void bad_targets_are_refused(void **state)
{
	static const char *const bad[] = {"/a%00b", "/a%zz", "/a%4", "/?x=%", "*", "/?a=%00"};

	fix_start(answer_path, 0, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_buf b = BUF_INIT(1 << 20);
		auto_free char *text = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", bad[i]);
		auto_close int fd = cl_open();

		cl_send(fd, text);
		cl_expect(fd, &b, "}\n");
		assert_non_null(strstr(b.p, "HTTP/1.1 400 "));
	}
	assert_int_equal(F.calls, 0);
	fix_stop();
}

static void on_gone(struct http_req *req, void *state)
{
	F.gone++;
}

static void on_done(void *state)
{
	F.done++;
}

static void keep(struct http_req *req)
{
	F.req = req;
	http_req_own(req, &F, on_gone, on_done);
}

static void later_and_gone(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(keep, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_wait(F.req);
	rep(F.req, 200, "later");
	cl_expect(fd, &b, "later");
	assert_int_equal(F.done, 1);
	assert_int_equal(F.gone, 0);

	/* Twice on one connection, then the client leaves while it waits. */
	F.req = NULL;
	cl_send(fd, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_wait(F.req);
	assert_false(http_req_is_gone(F.req));
	close(fd);
	fix_wait(F.gone == 1);
	assert_int_equal(http_server_clients(F.server), 0);
	assert_int_equal(F.done, 1);
	assert_true(http_req_is_gone(F.req));
	assert_null(http_req_header(F.req, "Host"));
	rep(F.req, 200, "nobody hears");
	assert_int_equal(F.done, 2);
	fix_stop();
}

static int pull_number(void *data, struct buf *out)
{
	int *n = data;

	(*n)++;
	/* An empty piece is not an end. */
	if (*n % 3 == 0)
		return 1;
	buf_addf(out, "piece %d;", *n);
	for (int i = 0; i < 1000; i++)
		buf_adds(out, "0123456789");
	return *n < 100;
}

static void pull_done(void *data)
{
	F.done++;
}

static int pieces;

static void pull(struct http_req *req)
{
	struct http_pull p = {.pull = pull_number, .done = pull_done, .data = &pieces};

	pieces = 0;
	http_reply_pull(req, 200, "text/plain", &p);
}

/* One object that cannot be cut, such as a service with a long environment. */
static int pull_big(void *data, struct buf *out)
{
	for (int i = 0; i < 1000; i++)
		buf_addf(out, "%0*d", LIMIT_HTTP_PIECE / 500, i);
	return 0;
}

static void pull_one_big(struct http_req *req)
{
	struct http_pull p = {.pull = pull_big, .done = pull_done};

	http_reply_pull(req, 200, "text/plain", &p);
}

static void a_piece_may_be_big(void **state)
{
	auto_buf b = BUF_INIT(4 << 20);
	int fd;

	fix_start(pull_one_big, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.0\r\n\r\n");
	assert_true(cl_read_until(fd, &b, NULL));
	assert_true(b.len > LIMIT_HTTP_PIECE);
	assert_memory_equal(b.p + b.len - 4, "0999", 4);
	assert_int_equal(F.done, 1);
	close(fd);
	fix_stop();
}

static void pulled_as_the_client_takes_it(void **state)
{
	auto_buf b = BUF_INIT(4 << 20);
	int fd;

	fix_start(pull, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_settle(50);
	/* The client takes nothing: only what fits into the socket was rendered. */
	assert_true(pieces > 0 && pieces < 90);
	cl_expect(fd, &b, "\r\n0\r\n\r\n");
	assert_int_equal(pieces, 100);
	assert_non_null(memmem(b.p, b.len, "piece 100;", 10));
	assert_int_equal(F.done, 1);
	/* HTTP/1.0 has no chunks: the end of the connection is the end. */
	buf_reset(&b);
	close(fd);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.0\r\n\r\n");
	assert_true(cl_read_until(fd, &b, NULL));
	assert_non_null(memmem(b.p, b.len, "piece 100;", 10));
	assert_null(memmem(b.p, b.len, "chunked", 7));
	close(fd);
	/* A client that leaves in the middle. */
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_settle(20);
	assert_int_equal(F.done, 2);
	close(fd);
	fix_wait(F.done == 3);
	fix_stop();
}

static void on_drain(struct http_stream *st, void *data)
{
	F.drained++;
}

static void push(struct http_req *req)
{
	http_req_own(req, &F, on_gone, on_done);
	F.req = req;
	F.stream = http_reply_stream(req, 200, "application/json", 64 << 10);
	http_stream_on_drain(F.stream, on_drain, NULL);
}

static void pushed_with_a_bound(void **state)
{
	auto_buf b = BUF_INIT(4 << 20);
	char block[8192];
	size_t written = 0;
	int fd, rc;

	memset(block, 'x', sizeof(block));
	fix_start(push, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	/* Headers at once, before anything was written. */
	cl_expect(fd, &b, "\r\n\r\n");
	assert_int_equal(http_stream_write(F.stream, "hello", 5), 0);
	cl_expect(fd, &b, "hello");
	/* A client that does not read: the queue fills and refuses, nothing grows. */
	do {
		fix_settle(2);
		rc = http_stream_write(F.stream, block, sizeof(block));
		written += rc == 0 ? sizeof(block) : 0;
	} while (rc == 0 && written < (8u << 20));
	assert_int_equal(rc, -ENOBUFS);
	assert_true(http_stream_room(F.stream) < sizeof(block));
	assert_int_equal(http_stream_write(F.stream, block, 65 << 10), -EMSGSIZE);
	assert_int_equal(F.drained, 0);
	buf_reset(&b);
	while (!F.drained)
		assert_true(cl_read_until(fd, &b, "xxxxxxxx")), buf_reset(&b);
	assert_int_equal(http_stream_write(F.stream, "the end", 7), 0);
	http_stream_end(F.stream);
	cl_expect(fd, &b, "\r\n0\r\n\r\n");
	fix_wait(F.done == 1);
	assert_int_equal(F.gone, 0);
	/* The connection goes on. */
	buf_reset(&b);
	F.stream = NULL;
	cl_send(fd, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "\r\n\r\n");
	close(fd);
	fix_wait(F.gone == 1);
	assert_int_equal(http_stream_write(F.stream, "x", 1), -EPIPE);
	http_stream_end(F.stream);
	assert_int_equal(F.done, 2);
	fix_stop();
}

static void end_at_once(struct http_req *req)
{
	struct http_stream *st;

	http_req_own(req, &F, on_gone, on_done);
	st = http_reply_stream(req, 200, NULL, 0);
	http_stream_write(st, "short", 5);
	if (strcmp(http_req_path(req), "/abort") == 0)
		http_stream_abort(st);
	else
		http_stream_end(st);
}

static void stream_ended_before_it_began(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(end_at_once, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "5\r\nshort\r\n0\r\n\r\n");
	cl_send(fd, "GET /abort HTTP/1.1\r\nHost: x\r\n\r\n");
	buf_reset(&b);
	assert_true(cl_read_until(fd, &b, NULL));
	assert_null(strstr(buf_text(&b), "\r\n0\r\n\r\n"));
	fix_wait(F.done == 2);
	close(fd);
	fix_stop();
}

static void a_thousand_at_once(void **state)
{
	enum { N = 1000 };
	auto_buf b = BUF_INIT(1 << 20);
	int fds[N];

	fix_start(answer_path, 0, 0, 0);
	for (int i = 0; i < N; i++) {
		fds[i] = cl_open();
		if (i % 100 == 99)
			fix_settle(1);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++)
			cl_send(fds[i], "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
		for (int i = 0; i < N; i++) {
			buf_reset(&b);
			cl_expect(fds[i], &b, "\r\n\r\n/x");
		}
	}
	assert_int_equal(F.calls, 2 * N);
	assert_int_equal(http_server_clients(F.server), N);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	fix_wait(http_server_clients(F.server) == 0);
	fix_stop();
}

static void tcp_and_headers_at_once(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	uint64_t t;
	int fd;

	fix_start(push, 0, 0, 0);
	assert_ok(http_server_listen(F.server, "tcp://127.0.0.1:0", NULL, &e), &e);
	assert_true(http_server_port(F.server) > 0);
	fd = cl_open_tcp();
	t = clock_mono_ms();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "\r\n\r\n");
	/* No 200 ms of a corked socket. */
	assert_true(clock_mono_ms() - t < 150);
	http_stream_write(F.stream, "event", 5);
	cl_expect(fd, &b, "event");
	assert_true(clock_mono_ms() - t < 150);
	close(fd);
	fix_wait(F.gone == 1);
	http_stream_end(F.stream);
	fix_stop();
}

/* What a killed daemon was just starting has its socket still, for a moment. */
static void a_dead_daemons_socket_is_waited_for(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ends[2], status;
	struct err e = ERR_INIT;
	char url[140];
	pid_t pid;

	fix_start(answer_path, 0, 0, 0);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/shoal-http-dead.%d.sock",
		       (int)getpid());
	(void)snprintf(url, sizeof(url), "unix://%s", addr.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct pollfd other = {.fd = ends[0], .events = POLLIN};

		close(ends[1]);
		_exit(poll(&other, 1, 300)); /* the pipe ends when the parent fails */
	}
	close(ends[0]);
	close(fd);
	assert_ok(http_server_listen(F.server, url, NULL, &e), &e);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ends[1]);
	fix_stop();
}

static void sockets_are_refused_with_reasons(void **state)
{
	struct err e = ERR_INIT;
	char url[300];
	uint64_t t;

	fix_start(answer_path, 0, 0, 0);
	snprintf(url, sizeof(url), "unix://%s", F.path);
	t = clock_mono_ms();
	assert_int_equal(http_server_listen(F.server, url, NULL, &e), -EADDRINUSE);
	assert_true(clock_mono_ms() - t >= LIMIT_TAKEOVER_MS);
	assert_non_null(strstr(e.msg, "another daemon"));
	assert_int_equal(http_server_listen(F.server, "unix:///tmp/x.sock", "no-such-group", &e),
			 -ENOENT);
	assert_int_equal(access("/tmp/x.sock", F_OK), -1);
	memset(url + 7, 'x', 200);
	url[207] = 0;
	assert_int_equal(http_server_listen(F.server, url, NULL, &e), -EINVAL);
	assert_int_equal(http_server_listen(F.server, "tcp://nowhere", NULL, &e), -EINVAL);
	assert_int_equal(http_server_listen(F.server, "ftp://x", NULL, &e), -EINVAL);
	assert_int_equal(http_server_listen(F.server, "fd://", NULL, &e), -ENOENT);
	assert_int_equal(http_server_listen_fd(F.server, dup(0), &e), -EINVAL);
	/* A socket file that nobody serves any more is replaced. */
	snprintf(url, sizeof(url), "unix://%s.dead", F.path);
	{
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		memcpy(a.sun_path, url + 7, strlen(url + 7));
		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
		close(fd);
	}
	assert_ok(http_server_listen(F.server, url, NULL, &e), &e);
	fix_stop();
	assert_int_equal(access(url + 7, F_OK), -1);
}

static void stop_finishes_what_is_begun(void **state)
{
	auto_buf b = BUF_INIT(1 << 20), b2 = BUF_INIT(1 << 20);
	int idle, fd;

	fix_start(keep, 0, 0, 0);
	idle = cl_open();
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_wait(F.req);
	http_server_close(F.server, 5000, fix_closed, NULL);
	assert_true(cl_read_until(idle, &b2, NULL));
	assert_int_equal(access(F.path, F_OK), -1);
	assert_false(F.closed);
	assert_int_equal(F.gone, 0);
	rep(F.req, 200, "in time");
	assert_true(cl_read_until(fd, &b, NULL));
	assert_non_null(strstr(b.p, "Connection: close"));
	assert_non_null(strstr(b.p, "in time"));
	fix_wait(F.closed);
	close(idle);
	close(fd);
	while (uv_run(&F.loop, UV_RUN_NOWAIT))
		;
	assert_int_equal(uv_loop_close(&F.loop), 0);
	buf_done(&F.got);
}

static void stop_does_not_wait_for_ever(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(keep, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_wait(F.req);
	fix_stop_in(20);
	assert_int_equal(F.gone, 1);
	assert_true(cl_read_until(fd, &b, NULL));
	/* The handler answers when it is ready, and nothing is left over. */
	rep(F.req, 200, "too late");
	assert_int_equal(F.done, 1);
	close(fd);
}

static void end_stream_when_gone(struct http_req *req, void *state)
{
	F.gone++;
	http_stream_write(F.stream, "bye", 3);
	http_stream_end(F.stream);
}

static void push_until_stop(struct http_req *req)
{
	http_req_own(req, &F, end_stream_when_gone, on_done);
	F.stream = http_reply_stream(req, 200, NULL, 0);
}

static void stop_ends_streams(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(push_until_stop, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "\r\n\r\n");
	fix_stop_in(5000);
	assert_int_equal(F.gone, 1);
	assert_int_equal(F.done, 1);
	assert_true(cl_read_until(fd, &b, NULL));
	assert_non_null(strstr(b.p, "3\r\nbye\r\n0\r\n\r\n"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get_head_keepalive_pipeline),
		TEST(bad_targets_are_refused),
		TEST(later_and_gone),
		TEST(pulled_as_the_client_takes_it),
		TEST(a_piece_may_be_big),
		TEST(pushed_with_a_bound),
		TEST(stream_ended_before_it_began),
		TEST(a_thousand_at_once),
		TEST(tcp_and_headers_at_once),
		TEST(a_dead_daemons_socket_is_waited_for),
		TEST(sockets_are_refused_with_reasons),
		TEST(stop_finishes_what_is_begun),
		TEST(stop_does_not_wait_for_ever),
		TEST(stop_ends_streams),
	};

	return RUN_TESTS(tests);
}
