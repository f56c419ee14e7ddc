/*
 * A daemon with one container that echoes, for tests of the HTTP server and the API's frame with
 * real clients (docker CLI, docker SDK, curl). It holds no engine. usage: api-tool SOCKET
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "api/error.h"
#include "api/ping.h"
#include "api/query.h"
#include "api/router.h"
#include "base/limits.h"
#include "base/mem.h"

static uv_loop_t loop;
static uv_signal_t term;
static struct http_server *server;
static struct http_stream *waiter; /* of the one POST wait */

static void ping_info(struct api_ping_info *ret, void *data)
{
	ret->swarm = "inactive";
}

static void reply_text(struct api_req *r, const char *text)
{
	struct buf b = BUF_INIT(LIMIT_HTTP_PIECE);

	buf_adds(&b, text);
	api_reply_json(r, 200, &b);
}

static void container_list(struct api_req *r)
{
	static const char *const keys[] = {"name", NULL};
	char text[256];
	struct filters f;

	if (filters_read(r->query, keys, &f, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	snprintf(text, sizeof(text),
		 "[{\"Id\":\"c1\",\"Names\":[\"/echo\"],\"Image\":\"v1.%d\",\"Command\":\"cat\","
		 "\"Created\":0,\"State\":\"running\",\"Status\":\"Up\",\"Ports\":[]}]",
		 r->minor);
	reply_text(r, filters_match_name(&f, "name", "echo") ? text : "[]");
	filters_done(&f);
}

static void container_inspect(struct api_req *r)
{
	if (strcmp(r->vars[0], "echo") != 0) {
		api_reply_fail(r, -ENOENT, "No such container: %s", r->vars[0]);
		return;
	}
	reply_text(r, "{\"Id\":\"c1\",\"Name\":\"/echo\",\"State\":{\"Running\":true,"
		      "\"Status\":\"running\"},\"Config\":{\"Tty\":false,\"OpenStdin\":true,"
		      "\"AttachStdin\":true},\"HostConfig\":{}}");
}

static void wait_gone(struct api_req *r)
{
	http_stream_end(waiter);
	waiter = NULL;
}

static void container_wait(struct api_req *r)
{
	api_req_own(r, NULL, wait_gone, NULL);
	waiter = http_reply_stream(r->http, 200, "application/json", 0);
}

static void exited(void)
{
	static const char text[] = "{\"StatusCode\":7}\n";

	if (!waiter)
		return;
	http_stream_write(waiter, text, sizeof(text) - 1);
	http_stream_end(waiter);
	waiter = NULL;
}

static void frame(struct http_hijack *h, uint8_t stream, const char *p, size_t len)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_STREAM);
	uint8_t head[8] = {stream,
			   0,
			   0,
			   0,
			   (uint8_t)(len >> 24),
			   (uint8_t)(len >> 16),
			   (uint8_t)(len >> 8),
			   (uint8_t)len};

	buf_add(&b, head, sizeof(head));
	buf_add(&b, p, len);
	http_hijack_write(h, b.p, b.len);
}

static void echo_read(struct http_hijack *h, const void *p, size_t len, void *data)
{
	frame(h, 1, p, len);
}

static void echo_opened(struct http_hijack *h, void *data)
{
	if (h)
		frame(h, 2, "attached\n", 9);
}

/* The end of standard input must not kill what is still to be said. */
static void echo_eof(struct http_hijack *h, void *data)
{
	frame(h, 1, "bye\n", 4);
	http_hijack_close(h);
	exited();
}

static void echo_lost(struct http_hijack *h, void *data)
{
	http_hijack_close(h);
}

static void container_attach(struct api_req *r)
{
	static const struct http_hijack_cb cb = {
		.opened = echo_opened, .read = echo_read, .eof = echo_eof, .lost = echo_lost};

	http_reply_hijack(r->http,
			  r->minor >= 42 ? "application/vnd.docker.multiplexed-stream"
					 : "application/vnd.docker.raw-stream",
			  &cb);
}

static ssize_t load_piece(struct http_req *req, const void *p, size_t len, const struct err *e,
			  void *data)
{
	struct api_req *r = data;
	size_t *total = api_req_state(r);
	char text[64];

	*total += len;
	if (len > 0)
		return (ssize_t)len;
	snprintf(text, sizeof(text), "{\"stream\":\"Loaded %zu bytes\\n\"}", *total);
	reply_text(r, text);
	return 0;
}

static void image_load(struct api_req *r)
{
	api_req_own(r, xcalloc(1, sizeof(size_t)), NULL, free);
	http_req_stream_body(r->http, load_piece, r);
}

static const struct api_route routes[] = {
	{.method = "GET", .pattern = "/containers/json", .handler = container_list},
	{.method = "GET", .pattern = "/containers/{id:.*}/json", .handler = container_inspect},
	{.method = "POST", .pattern = "/containers/{id:.*}/wait", .handler = container_wait},
	{.method = "POST", .pattern = "/containers/{id:.*}/attach", .handler = container_attach},
	{.method = "POST",
	 .pattern = "/images/load",
	 .handler = image_load,
	 .body = API_BODY_STREAM},
};

static void on_closed(void *data)
{
	uv_close((uv_handle_t *)&term, NULL);
}

static void on_term(uv_signal_t *handle, int number)
{
	uv_signal_stop(handle);
	http_server_close(server, 1000, on_closed, NULL);
}

int main(int argc, char **argv)
{
	struct api_ping ping = {.info = ping_info};
	struct api_router *router = api_router_new();
	struct http_server_opts opts = {.request = api_router_request, .data = router};
	struct err e = ERR_INIT;

	api_ping_add(router, &ping);
	api_router_add(router, routes, ARRAY_LEN(routes), NULL);
	uv_loop_init(&loop);
	uv_signal_init(&loop, &term);
	uv_signal_start(&term, on_term, SIGTERM);
	if (argc != 2 || http_server_new(&loop, &opts, &server, &e) < 0)
		return 2;
	api_router_headers(server);
	if (http_server_listen(server, argv[1], NULL, &e) < 0) {
		fprintf(stderr, "%s\n", err_text(&e));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	uv_run(&loop, UV_RUN_DEFAULT);
	api_router_free(router);
	return uv_loop_close(&loop) == 0 ? 0 : 3;
}
