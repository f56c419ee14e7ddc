/*
 * base/http_server.h: bodies, collected and streamed, with their bounds; the refusals in between.
 */
#include "unit/base/http_fixture.h"
#include "unit/memory_scan.h"

static const char secret[] = "ydob-a-ni-si-taht-drow-a"; /* backwards, as memory_has() wants it */

static void echo_ready(struct http_req *req, struct buf *body, const struct err *e, void *data)
{
	F.code = e ? e->code : 0;
	if (e) {
		rep(req, e->code == -EMSGSIZE ? 413 : 400, e->msg);
		return;
	}
	http_reply(req, 200, "text/plain", body);
}

static void echo(struct http_req *req)
{
	http_req_read_body(req, 100000, echo_ready, NULL);
}

static void collected_plain_and_chunked(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(echo, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
	fix_settle(5);
	cl_send(fd, "lo");
	cl_expect(fd, &b, "\r\n\r\nhello");
	buf_reset(&b);
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "4\r\nabcd\r\n6\r\nefghij\r\n");
	cl_send(fd, "0\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\n\r\n");
	cl_expect(fd, &b, "abcdefghij");
	cl_expect(fd, &b, "Content-Length: 0\r\n");
	buf_reset(&b);
	cl_send(fd,
		"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	cl_expect(fd, &b, "HTTP/1.1 100 Continue\r\n\r\n");
	cl_send(fd, "late");
	cl_expect(fd, &b, "\r\n\r\nlate");
	assert_int_equal(http_server_clients(F.server), 1);
	close(fd);
	fix_stop();
}

static void collected_to_its_bound(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	auto_free char *big = xcalloc(1, 400001);
	int fd;

	memset(big, 'y', 400000);
	big[99999] = 'z';
	fix_start(echo, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
	assert_int_equal(cl_send_some(fd, big, 100000, WAIT_MS), 100000);
	cl_expect(fd, &b, "200 OK");
	cl_expect(fd, &b, "Content-Length: 100000\r\n");
	cl_expect(fd, &b, "yz");
	close(fd);
	buf_reset(&b);
	/* One more byte: refused, and the connection goes on after the rest was swallowed. */
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n");
	assert_int_equal(cl_send_some(fd, big, 100001, WAIT_MS), 100001);
	cl_expect(fd, &b, "larger than 100000 bytes");
	assert_non_null(strstr(b.p, "HTTP/1.1 413 "));
	assert_int_equal(F.code, -EMSGSIZE);
	buf_reset(&b);
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
	cl_expect(fd, &b, "\r\n\r\nok");
	close(fd);
	/* Far too much: answered in the middle, then closed. */
	buf_reset(&b);
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1E8480\r\n");
	for (int i = 0; i < 5; i++)
		cl_send_some(fd, big, 400000, 100);
	assert_true(cl_read_until(fd, &b, NULL));
	assert_non_null(strstr(b.p, "HTTP/1.1 413 "));
	assert_non_null(strstr(b.p, "Server: Shoal/test"));
	assert_non_null(strstr(b.p, "larger than 100000 bytes"));
	close(fd);
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

static void refuse(struct http_req *req)
{
	http_req_own(req, &F, on_gone, on_done);
	rep(req, 409, "no");
}

static void refused_before_the_body(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(refuse, 0, 0, 0);
	fd = cl_open();
	/* A small rest is swallowed, and the connection goes on. */
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	cl_expect(fd, &b, "\r\n\r\nno");
	buf_reset(&b);
	/* Who waits for "100 Continue" gets the answer instead. */
	cl_send(fd,
		"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
	assert_true(cl_read_until(fd, &b, NULL));
	assert_non_null(strstr(b.p, "HTTP/1.1 409 "));
	assert_null(strstr(b.p, "100 Continue"));
	close(fd);
	/* A huge one is not read. */
	buf_reset(&b);
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nxxxxxxx");
	assert_true(cl_read_until(fd, &b, NULL));
	assert_non_null(strstr(b.p, "HTTP/1.1 409 "));
	close(fd);
	fix_wait(F.done == 3);
	assert_int_equal(F.gone, 0);
	fix_stop();
}

static size_t received;

static ssize_t take(struct http_req *req, const void *p, size_t len, const struct err *e,
		    void *data)
{
	size_t n = MIN_OF(len, F.take_max);

	if (e || len == 0) {
		F.code = e ? e->code : 0;
		rep(req, 200, e ? "cut" : "whole");
		return 0;
	}
	received += n;
	F.take_max -= n;
	return (ssize_t)n;
}

static void stream(struct http_req *req)
{
	received = 0;
	F.req = req;
	http_req_own(req, &F, on_gone, on_done);
	http_req_stream_body(req, take, NULL);
}

static void streamed_with_backpressure(void **state)
{
	enum { TOTAL = 8 << 20 };
	auto_buf b = BUF_INIT(1 << 20);
	auto_free char *big = xcalloc(1, TOTAL);
	size_t sent;
	int fd;

	fix_start(stream, 0, 0, 0);
	F.take_max = 100000;
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
	/* The handler takes no more: the client cannot send all. */
	sent = cl_send_some(fd, big, TOTAL, 100);
	assert_true(sent < TOTAL / 2);
	assert_int_equal(received, 100000);
	F.take_max = SIZE_MAX;
	http_req_resume_body(F.req);
	sent += cl_send_some(fd, big, TOTAL - sent, WAIT_MS);
	assert_int_equal(sent, TOTAL);
	cl_expect(fd, &b, "\r\n\r\nwhole");
	assert_int_equal(received, TOTAL);

	/* The client leaves while it is held back. */
	F.take_max = 10;
	F.gone = 0;
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
	cl_send_some(fd, big, 1000, 100);
	fix_wait(received == 10);
	close(fd);
	fix_wait(F.done == 2);
	assert_int_equal(F.code, -ECONNRESET);
	assert_int_equal(F.gone, 1);

	/* And in the middle of sending. */
	F.take_max = SIZE_MAX;
	F.code = 0;
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
	fix_wait(received == 2);
	close(fd);
	fix_wait(F.done == 3);
	assert_int_equal(F.code, -ECONNRESET);
	fix_stop();
}

static ssize_t take_and_fail(struct http_req *req, const void *p, size_t len, const struct err *e,
			     void *data)
{
	rep(req, 400, "not a tar");
	return -EINVAL;
}

static void stream_fail(struct http_req *req)
{
	http_req_own(req, &F, on_gone, on_done);
	http_req_stream_body(req, take_and_fail, NULL);
}

static void streamed_and_refused_in_the_middle(void **state)
{
	enum { TOTAL = 8 << 20 };
	auto_buf b = BUF_INIT(1 << 20);
	auto_free char *big = xcalloc(1, TOTAL);
	int fd;

	fix_start(stream_fail, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
	cl_send_some(fd, big, TOTAL, 200);
	assert_true(cl_read_until(fd, &b, NULL));
	assert_non_null(strstr(b.p, "HTTP/1.1 400 "));
	assert_non_null(strstr(b.p, "not a tar"));
	assert_int_equal(F.done, 1);
	close(fd);
	fix_stop();
}

static void decide_later(struct http_req *req)
{
	F.req = req;
	http_req_own(req, &F, on_gone, on_done);
}

static void body_asked_for_later(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(decide_later, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	fix_wait(F.req);
	http_req_read_body(F.req, 100, echo_ready, NULL);
	cl_expect(fd, &b, "\r\n\r\nhello");
	/* Without a body, and after the client has gone. */
	F.req = NULL;
	buf_reset(&b);
	cl_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	fix_wait(F.req);
	fix_settle(2);
	http_req_read_body(F.req, 100, echo_ready, NULL);
	cl_expect(fd, &b, "Content-Length: 0\r\n");
	F.req = NULL;
	cl_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	fix_wait(F.req);
	close(fd);
	fix_wait(F.gone == 1);
	http_req_read_body(F.req, 100, echo_ready, NULL);
	assert_int_equal(F.code, -ECONNRESET);
	assert_int_equal(F.done, 3);
	fix_stop();
}

static void ok_ready(struct http_req *req, struct buf *body, const struct err *e, void *data)
{
	assert_int_equal(body->len, strlen(secret));
	rep(req, 200, "taken");
}

static void take_secret(struct http_req *req)
{
	http_req_read_body(req, 100000, ok_ready, NULL);
}

/* Bodies have secrets. On a connection that stays open for more, nothing is kept of one. */
static void a_body_leaves_nothing(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	char request[200];
	size_t n, len = strlen(secret);
	int fd;

	fix_start(take_secret, 0, 0, 0);
	fd = cl_open();
	n = (size_t)snprintf(request, sizeof request,
			     "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", len);
	for (size_t i = 0; i < len; i++)
		request[n + i] = secret[len - 1 - i];
	assert_int_equal(memory_has(secret), 1);
	assert_int_equal(cl_send_some(fd, request, n + len, WAIT_MS), n + len);
	explicit_bzero(request, sizeof request);
	cl_expect(fd, &b, "\r\n\r\ntaken");
	fix_settle(1);
	assert_int_equal(memory_has(secret), 0);
	assert_int_equal(http_server_clients(F.server), 1);
	close(fd);
	fix_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(collected_plain_and_chunked),
		TEST(collected_to_its_bound),
		TEST(refused_before_the_body),
		TEST(streamed_with_backpressure),
		TEST(streamed_and_refused_in_the_middle),
		TEST(body_asked_for_later),
		TEST(a_body_leaves_nothing),
	};

	return RUN_TESTS(tests);
}
