/*
 * base/http_server.h: connections that leave HTTP, with and without upgrade; both halves closed one
 * by one, early bytes, bounds.
 */
#include "unit/base/http_fixture.h"

static void on_read(struct http_hijack *h, const void *p, size_t len, void *data)
{
	buf_add(&F.got, p, len);
}

static void on_eof(struct http_hijack *h, void *data)
{
	F.eofs++;
}

static void on_drain(struct http_hijack *h, void *data)
{
	F.drained++;
}

static void on_lost(struct http_hijack *h, void *data)
{
	F.lost++;
	F.hijack = NULL;
	http_hijack_close(h);
}

static void on_opened(struct http_hijack *h, void *data)
{
	F.hijack = h;
	if (!h)
		F.opened_null++;
}

static const struct http_hijack_cb cb = {
	.opened = on_opened, .read = on_read, .eof = on_eof, .drain = on_drain, .lost = on_lost};

static void on_done(void *state)
{
	F.done++;
}

static void ready(struct http_req *req, struct buf *body, const struct err *e, void *data)
{
	F.code = (int)body->len;
	http_reply_hijack(req, "application/vnd.docker.raw-stream", &cb);
}

static void hijack(struct http_req *req)
{
	http_req_own(req, &F, NULL, on_done);
	http_req_read_body(req, 1000, ready, NULL);
}

static void later(struct http_req *req)
{
	http_req_own(req, &F, NULL, on_done);
	F.req = req;
}

static void run_half_closes(int fd, const char *request, const char *first_line)
{
	auto_buf b = BUF_INIT(1 << 20);

	F.hijack = NULL;
	F.eofs = F.done = F.lost = 0;
	buf_reset(&F.got);
	cl_send(fd, request);
	cl_expect(fd, &b, "\r\n\r\n");
	assert_memory_equal(b.p, first_line, strlen(first_line));
	assert_non_null(strstr(b.p, "Content-Type: application/vnd.docker.raw-stream\r\n"));
	assert_non_null(strstr(b.p, "Server: Shoal/test\r\n"));
	assert_null(strstr(b.p, "Content-Length"));
	assert_null(strstr(b.p, "chunked"));
	if (strstr(first_line, "101"))
		assert_non_null(strstr(b.p, "Upgrade: tcp\r\n"));
	fix_wait(F.hijack);
	assert_int_equal(F.done, 1);
	assert_int_equal(F.code, 5);
	fix_wait(F.got.len == 5);
	assert_string_equal(F.got.p, "early");
	cl_send(fd, "more");
	fix_wait(F.got.len == 9);
	/* The client's half closes, ours goes on. */
	shutdown(fd, SHUT_WR);
	fix_wait(F.eofs == 1);
	buf_reset(&b);
	assert_int_equal(http_hijack_write(F.hijack, "output", 6), 0);
	cl_expect(fd, &b, "output");
	assert_int_equal(b.len, 6);
	assert_int_equal(F.lost, 0);
	http_hijack_end(F.hijack);
	assert_int_equal(http_hijack_write(F.hijack, "x", 1), -EPIPE);
	assert_true(cl_read_until(fd, &b, NULL));
	assert_int_equal(b.len, 6);
	assert_int_equal(http_server_clients(F.server), 1);
	http_hijack_close(F.hijack);
	fix_wait(http_server_clients(F.server) == 0);
	close(fd);
}

#define UPGRADE "Connection: Upgrade\r\nUpgrade: tcp\r\n"
#define POST "POST /attach HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"

static void with_and_without_upgrade(void **state)
{
	struct err e = ERR_INIT;

	fix_start(hijack, 0, 0, 0);
	assert_ok(http_server_listen(F.server, "tcp://127.0.0.1:0", NULL, &e), &e);
	for (int i = 0; i < 3; i++) {
		run_half_closes(cl_open(), POST UPGRADE "\r\nhelloearly", "HTTP/1.1 101 ");
		run_half_closes(cl_open(), POST "\r\nhelloearly", "HTTP/1.1 200 OK\r\n");
		run_half_closes(cl_open_tcp(), POST UPGRADE "\r\nhelloearly", "HTTP/1.1 101 ");
		run_half_closes(cl_open_tcp(), POST "\r\nhelloearly", "HTTP/1.1 200 OK\r\n");
	}
	fix_stop();
}

static void after_other_requests_and_a_wait(void **state)
{
	static const char *const kinds[] = {UPGRADE, ""};

	fix_start(later, 0, 0, 0);
	for (size_t i = 0; i < 2; i++) {
		auto_buf b = BUF_INIT(1 << 20);
		auto_free char *text =
			xasprintf("POST /a HTTP/1.1\r\nHost: x\r\n%s\r\nearly", kinds[i]);
		int fd = cl_open();

		F.req = NULL;
		F.hijack = NULL;
		buf_reset(&F.got);
		cl_send(fd, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
		fix_wait(F.req);
		rep(F.req, 200, "plain");
		cl_expect(fd, &b, "plain");
		F.req = NULL;
		cl_send(fd, text);
		fix_wait(F.req);
		fix_settle(3);
		http_reply_hijack(F.req, "application/vnd.docker.raw-stream", &cb);
		fix_wait(F.got.len == 5);
		http_hijack_write(F.hijack, "answer", 6);
		http_hijack_close(F.hijack);
		assert_true(cl_read_until(fd, &b, NULL));
		assert_memory_equal(b.p + b.len - 10, "\r\n\r\nanswer", 10);
		close(fd);
	}
	/* The client leaves before the handler takes over. */
	for (size_t i = 0; i < 2; i++) {
		auto_free char *text = xasprintf("POST /a HTTP/1.1\r\nHost: x\r\n%s\r\n", kinds[i]);
		int fd = cl_open();

		F.req = NULL;
		F.hijack = NULL;
		F.opened_null = 0;
		cl_send(fd, text);
		fix_wait(F.req);
		if (i == 0) {
			close(fd);
			fix_wait(http_req_is_gone(F.req));
		}
		http_reply_hijack(F.req, "text/plain", &cb);
		if (i == 1) {
			close(fd);
			/* Too late to see it before: it is lost after it was opened, or never
			 * opened. */
			fix_wait(F.opened_null == 1 || F.lost == 1 || F.eofs == 1);
			if (F.hijack)
				http_hijack_close(F.hijack);
		} else {
			assert_int_equal(F.opened_null, 1);
		}
	}
	fix_wait(http_server_clients(F.server) == 0);
	fix_stop();
}

static void queue_is_bounded_and_pause_holds(void **state)
{
	auto_free char *big = xcalloc(1, 65536);
	size_t sent = 0;
	int fd, rc;

	fix_start(hijack, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, POST UPGRADE "\r\nhello");
	fix_wait(F.hijack);
	do {
		rc = http_hijack_write(F.hijack, big, 65536);
		sent += rc == 0 ? 65536 : 0;
	} while (rc == 0 && sent < (8u << 20));
	assert_int_equal(rc, -ENOBUFS);
	assert_true(sent <= (2u << 20));
	assert_int_equal(http_hijack_write(F.hijack, big, (1u << 20) + 1), -EMSGSIZE);
	while (!F.drained)
		cl_read_some(fd);
	http_hijack_pause(F.hijack, true);
	buf_reset(&F.got);
	rc = (int)cl_send_some(fd, big, 65536, 50);
	for (int i = 0; i < 20 && rc == 65536; i++)
		rc = (int)cl_send_some(fd, big, 65536, 50);
	assert_true(rc < 65536);
	assert_int_equal(F.got.len, 0);
	http_hijack_pause(F.hijack, false);
	fix_wait(F.got.len > 65536);
	/* The client goes away altogether. */
	shutdown(fd, SHUT_WR);
	fix_wait(F.eofs == 1);
	close(fd);
	fix_wait(F.lost == 1);
	fix_wait(http_server_clients(F.server) == 0);
	fix_stop();
}

static void gone_after_half_close(void **state)
{
	int fd;

	fix_start(hijack, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, POST UPGRADE "\r\nhello");
	fix_wait(F.hijack);
	close(fd);
	/* Nobody writes: the kernel tells all the same. */
	fix_wait(F.lost == 1);
	fix_stop();
}

static int taken_fd;

static void take_opened(struct http_hijack *h, void *data)
{
	taken_fd = http_hijack_take_fd(h, &F.got);
}

static void take(struct http_req *req)
{
	struct http_hijack_cb c = {.opened = take_opened};

	http_reply_hijack(req, "text/plain", &c);
}

static void descriptor_is_given_away(void **state)
{
	static const char *const requests[] = {
		"GET /a HTTP/1.1\r\nHost: x\r\n" UPGRADE "\r\nearly",
		"GET /a HTTP/1.1\r\nHost: x\r\n\r\nearly",
	};

	fix_start(take, 0, 0, 0);
	for (size_t i = 0; i < 2; i++) {
		auto_buf b = BUF_INIT(1 << 20);
		int fd = cl_open();

		taken_fd = -1;
		buf_reset(&F.got);
		cl_send(fd, requests[i]);
		fix_wait(taken_fd >= 0 && http_server_clients(F.server) == 0);
		assert_string_equal(F.got.p, "early");
		assert_int_equal(write(taken_fd, "raw", 3), 3);
		cl_expect(fd, &b, "\r\n\r\nraw");
		close(taken_fd);
		assert_true(cl_read_until(fd, &b, NULL));
		close(fd);
	}
	fix_stop();
}

static void stop_tells_them(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	fix_start(hijack, 0, 0, 0);
	fd = cl_open();
	cl_send(fd, POST "\r\nhello");
	fix_wait(F.hijack);
	fix_stop_in(1000);
	assert_int_equal(F.lost, 1);
	assert_true(cl_read_until(fd, &b, NULL));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_and_without_upgrade),         TEST(after_other_requests_and_a_wait),
		TEST(queue_is_bounded_and_pause_holds), TEST(gone_after_half_close),
		TEST(descriptor_is_given_away),         TEST(stop_tells_them),
	};

	return RUN_TESTS(tests);
}
