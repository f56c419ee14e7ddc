/*
 * base/http_client.h against a server in another thread: answers, streams, refusals, hijacks, and
 * what is said when no daemon is there.
 */
#include "unit/base/http_fixture.h"

#include <pthread.h>

#include "base/http_client.h"

static uv_async_t stop_async;
static size_t uploaded;

static void on_body(struct http_req *req, struct buf *body, const struct err *e, void *data)
{
	http_reply(req, 201, http_req_header(req, "Content-Type"), body);
}

static ssize_t on_piece(struct http_req *req, const void *p, size_t len, const struct err *e,
			void *data)
{
	char text[32];

	uploaded += len;
	if (strcmp(http_req_path(req), "/refuse") == 0 && len > 0 && uploaded > 500000) {
		rep(req, 400, "no such tar");
		return -EINVAL;
	}
	if (len == 0) {
		snprintf(text, sizeof(text), "%zu", uploaded);
		rep(req, 200, text);
	}
	return (ssize_t)len;
}

static void echo_opened(struct http_hijack *h, void *data)
{
	http_hijack_write(h, "hi:", 3);
}

static void echo_read(struct http_hijack *h, const void *p, size_t len, void *data)
{
	http_hijack_write(h, p, len);
}

static void echo_end(struct http_hijack *h, void *data)
{
	http_hijack_close(h);
}

static void serve(struct http_req *req)
{
	static const struct http_hijack_cb echo = {
		.opened = echo_opened, .read = echo_read, .eof = echo_end, .lost = echo_end};
	const char *path = http_req_path(req);

	if (strcmp(path, "/echo") == 0) {
		http_req_read_body(req, 1 << 20, on_body, NULL);
	} else if (strcmp(path, "/load") == 0 || strcmp(path, "/refuse") == 0) {
		uploaded = 0;
		http_req_stream_body(req, on_piece, NULL);
	} else if (strcmp(path, "/attach") == 0) {
		http_reply_hijack(req, "application/vnd.docker.raw-stream", &echo);
	} else if (strcmp(path, "/hang") == 0) {
		F.req = req;
	} else {
		http_reply_header(req, "X-Thing", "value");
		rep(req, strcmp(path, "/big") == 0 ? 200 : 404, "{\"message\":\"not here\"}\n");
	}
}

static void on_stop(uv_async_t *async)
{
	if (F.req)
		rep(F.req, 200, "late");
	uv_close((uv_handle_t *)async, NULL);
	http_server_close(F.server, 0, fix_closed, NULL);
}

static void *run_loop(void *data)
{
	uv_run(&F.loop, UV_RUN_DEFAULT);
	return NULL;
}

static pthread_t thread;

static struct http_client *start(void)
{
	struct http_client *c;
	struct err e = ERR_INIT;
	char url[128];

	fix_start(serve, 0, 0, 0);
	uv_async_init(&F.loop, &stop_async, on_stop);
	pthread_create(&thread, NULL, run_loop, NULL);
	snprintf(url, sizeof(url), "unix://%s", F.path);
	assert_ok(http_client_new(url, &c, &e), &e);
	return c;
}

static void stop(struct http_client *c)
{
	http_client_free(c);
	uv_async_send(&stop_async);
	pthread_join(thread, NULL);
	assert_int_equal(uv_loop_close(&F.loop), 0);
	buf_done(&F.got);
}

static void calls_and_answers(void **state)
{
	struct http_client *c = start();
	struct http_answer a;
	struct err e = ERR_INIT;
	struct http_call get = {.method = "GET", .path = "/x"};
	struct http_call head = {.method = "HEAD", .path = "/x"};
	struct http_call post = {
		.method = "POST", .path = "/echo", .body = "{\"a\":1}", .body_len = 7};
	struct http_call del = {.method = "DELETE", .path = "/echo"};
	char *value;

	for (int i = 0; i < 3; i++) {
		assert_ok(http_client_call(c, &get, &a, &e), &e);
		assert_int_equal(a.status, 404);
		assert_string_equal(a.type, "text/plain");
		assert_string_equal(buf_text(&a.body), "{\"message\":\"not here\"}\n");
		value = http_answer_header(&a, "x-thing");
		assert_string_equal(value, "value");
		free(value);
		assert_null(http_answer_header(&a, "nothing"));
		http_answer_done(&a);
		assert_ok(http_client_call(c, &head, &a, &e), &e);
		assert_int_equal(a.body.len, 0);
		http_answer_done(&a);
		assert_ok(http_client_call(c, &post, &a, &e), &e);
		assert_int_equal(a.status, 201);
		assert_string_equal(a.type, "application/json");
		assert_string_equal(buf_text(&a.body), "{\"a\":1}");
		http_answer_done(&a);
		assert_ok(http_client_call(c, &del, &a, &e), &e);
		assert_int_equal(a.status, 201);
		http_answer_done(&a);
	}
	/* All on one connection. */
	assert_int_equal(http_server_clients(F.server), 1);
	/* An answer at its bound, and past it. */
	get.answer_max = 23;
	assert_ok(http_client_call(c, &get, &a, &e), &e);
	http_answer_done(&a);
	get.answer_max = 22;
	assert_int_equal(http_client_call(c, &get, &a, &e), -EMSGSIZE);
	stop(c);
}

static size_t left;

static ssize_t source(void *p, size_t len, void *data)
{
	size_t n = MIN_OF(len, left);

	memset(p, 'x', n);
	left -= n;
	return (ssize_t)n;
}

static ssize_t source_fails(void *p, size_t len, void *data)
{
	return -EIO;
}

static int sink(const void *p, size_t len, void *data)
{
	return buf_add(data, p, len);
}

static int sink_refuses(const void *p, size_t len, void *data)
{
	return -EPIPE;
}

static void streams_both_ways(void **state)
{
	struct http_client *c = start();
	auto_buf got = BUF_INIT(100);
	struct http_answer a;
	struct err e = ERR_INIT;
	struct http_call load = {
		.method = "POST", .path = "/load", .source = source, .sink = sink, .data = &got};
	struct http_call big = {.method = "GET", .path = "/big", .sink = sink_refuses};

	left = 20u << 20;
	assert_ok(http_client_call(c, &load, &a, &e), &e);
	assert_int_equal(a.status, 200);
	assert_string_equal(buf_text(&got), "20971520");
	assert_int_equal(a.body.len, 0);
	http_answer_done(&a);
	/* Refused in the middle: the daemon's words arrive, not a broken pipe. */
	load.path = "/refuse";
	left = 50u << 20;
	assert_ok(http_client_call(c, &load, &a, &e), &e);
	assert_int_equal(a.status, 400);
	assert_string_equal(buf_text(&a.body), "no such tar");
	http_answer_done(&a);
	load.source = source_fails;
	assert_int_equal(http_client_call(c, &load, &a, &e), -EIO);
	assert_int_equal(http_client_call(c, &big, &a, &e), -EPIPE);
	stop(c);
}

static void time_and_cancel(void **state)
{
	struct http_client *c = start();
	struct http_answer a;
	struct err e = ERR_INIT;
	bool cancel = true;
	struct http_call hang = {.method = "GET", .path = "/hang", .cancel = &cancel};

	assert_int_equal(http_client_call(c, &hang, &a, &e), -ECANCELED);
	cancel = false;
	hang.timeout_ms = 50;
	assert_int_equal(http_client_call(c, &hang, &a, &e), -ETIMEDOUT);
	stop(c);
}

static void hijacks(void **state)
{
	struct http_client *c = start();
	struct http_answer a;
	struct err e = ERR_INIT;
	struct http_call attach = {.method = "POST", .path = "/attach"};
	char text[16] = "";
	size_t have;
	int fd;

	assert_ok(http_client_hijack(c, &attach, &a, &fd, &e), &e);
	assert_int_equal(a.status, 101);
	assert_string_equal(a.type, "application/vnd.docker.raw-stream");
	have = a.body.len;
	memcpy(text, buf_text(&a.body), have);
	http_answer_done(&a);
	assert_int_equal(write(fd, "abc", 3), 3);
	shutdown(fd, SHUT_WR);
	for (ssize_t n = 1; n > 0; have += (size_t)n) {
		n = read(fd, text + have, sizeof(text) - have);
		assert_true(n >= 0);
	}
	assert_string_equal(text, "hi:abc");
	close(fd);
	attach.path = "/nothing";
	assert_ok(http_client_hijack(c, &attach, &a, &fd, &e), &e);
	assert_int_equal(a.status, 404);
	assert_int_equal(fd, -1);
	assert_string_equal(buf_text(&a.body), "{\"message\":\"not here\"}\n");
	http_answer_done(&a);
	stop(c);
}

static void no_daemon(void **state)
{
	struct http_call get = {.method = "GET", .path = "/x"};
	const char *bad[] = {"", "unix://", "tcp://", "tcp://host", "ssh://x:1", "/run/x.sock"};
	struct http_client *c;
	struct http_answer a;
	struct err e = ERR_INIT;
	int fd;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(http_client_new(bad[i], &c, &e), -EINVAL);
	assert_ok(http_client_new("unix:///nonexistent/shoal.sock", &c, &e), &e);
	assert_int_equal(http_client_call(c, &get, &a, &e), -ENOENT);
	assert_string_equal(e.msg,
			    "cannot connect to shoald at unix:///nonexistent/shoal.sock: No such "
			    "file or directory; is it running? Start it, or name another one with "
			    "--host");
	assert_int_equal(http_client_hijack(c, &get, &a, &fd, &e), -ENOENT);
	http_client_free(c);
	assert_ok(http_client_new("tcp://127.0.0.1:1", &c, &e), &e);
	assert_int_equal(http_client_call(c, &get, &a, &e), -ECONNREFUSED);
	assert_int_equal(http_client_hijack(c, &get, &a, &fd, &e), -ECONNREFUSED);
	http_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_and_answers), TEST(streams_both_ways), TEST(time_and_cancel),
		TEST(hijacks),           TEST(no_daemon),
	};

	return RUN_TESTS(tests);
}
