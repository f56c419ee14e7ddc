/*
 * api/router.h over a real server: versions, routes, what is not there, bodies.
 */
#include "unit/base/http_fixture.h"

#include "api/error.h"
#include "api/ping.h"
#include "api/router.h"

static struct api_router *router;
static char seen[256];
static int seen_minor;

static void to_router(struct http_req *req)
{
	api_router_request(req, router);
}

static void see(struct api_req *r)
{
	snprintf(seen, sizeof(seen), "%s", r->vars[0] ? r->vars[0] : "-");
	seen_minor = r->minor;
	assert_string_equal(r->ctx, "ctx");
	api_reply_empty(r, 204);
}

static void echo(struct api_req *r)
{
	api_reply_json(r, 201, r->body);
}

static void fail_stale(struct api_req *r)
{
	api_reply_fail(r, -ESTALE, "update <out> of \"sequence\"");
}

static const struct api_route routes[] = {
	{.method = "GET", .pattern = "/images/{name:.*}/json", .handler = see},
	{.method = "GET", .pattern = "/images/json", .handler = see},
	{.method = "GET", .pattern = "/containers/{id:.*}/json", .handler = see},
	{.method = "GET", .pattern = "/services/{id}", .handler = see, .minor_min = 30},
	{.method = "GET", .pattern = "/volumes", .handler = see},
	{.method = "POST", .pattern = "/services/create", .handler = echo, .body = API_BODY_JSON},
	{.method = "POST", .pattern = "/services/{id}/update", .handler = fail_stale},
};

static void ping_info(struct api_ping_info *ret, void *data)
{
	ret->swarm = "active/manager";
}

static struct api_ping ping = {.info = ping_info};

static void start(void)
{
	router = api_router_new();
	api_router_add(router, routes, ARRAY_LEN(routes), (void *)"ctx");
	api_ping_add(router, &ping);
	fix_start(to_router, 0, 0, 0);
	api_router_headers(F.server);
}

static void stop(void)
{
	fix_stop();
	api_router_free(router);
}

/* One request on a connection of its own; all that came is in `b`. */
static const char *ask(struct buf *b, const char *line, const char *rest)
{
	auto_free char *text =
		xasprintf("%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", line, rest);
	int fd = cl_open();

	seen[0] = 0;
	buf_reset(b);
	cl_send(fd, text);
	assert_true(cl_read_until(fd, b, NULL));
	close(fd);
	return buf_text(b);
}

static void want(const char *line, int status, const char *text)
{
	auto_buf b = BUF_INIT(1 << 20);
	const char *got = ask(&b, line, "\r\n");
	char first[32];

	snprintf(first, sizeof(first), "HTTP/1.1 %d ", status);
	if (strncmp(got, first, strlen(first)) != 0 || !strstr(got, text))
		fail_msg("%s: wanted %d and %s, got %s", line, status, text, got);
	assert_non_null(strstr(got, "Api-Version: 1.51\r\n"));
	assert_non_null(strstr(got, "Ostype: linux\r\n"));
	assert_non_null(strstr(got, "Server: Shoal/"));
}

static void routes_and_variables(void **state)
{
	start();
	want("GET /images/json", 204, "");
	assert_string_equal(seen, "-");
	assert_int_equal(seen_minor, 51);
	want("GET /v1.44/images/docker.io/library/busybox:1/json", 204, "");
	assert_string_equal(seen, "docker.io/library/busybox:1");
	assert_int_equal(seen_minor, 44);
	want("GET /v1.24/images/a%2Fb%3Ac/json", 204, "");
	assert_string_equal(seen, "a/b:c");
	want("GET /containers//web/json", 204, "");
	assert_string_equal(seen, "/web");
	want("GET /volumes", 204, "");
	want("GET /services/a/b", 404, "{\"message\":\"page not found\"}\n");
	want("GET /services/", 404, "{\"message\":\"page not found\"}\n");
	want("GET /nothing", 404, "{\"message\":\"page not found\"}\n");
	want("PUT /images/json", 404, "{\"message\":\"page not found\"}\n");
	want("GET /v1.29/services/x", 404, "page not found");
	want("GET /v1.30/services/x", 204, "");
	want("POST /containers/x/pause", 501, "ContainerPause");
	want("GET /v1.40/system/df", 501, "SystemDataUsage");
	stop();
}

static void versions(void **state)
{
	start();
	want("GET /v1.52/volumes", 400,
	     "client version 1.52 is too new. Maximum supported API version is 1.51");
	want("GET /v2.0/volumes", 400, "too new");
	want("GET /v99999999999999999999.1/volumes", 400, "too new");
	want("GET /v1.23/volumes", 400,
	     "client version 1.23 is too old. Minimum supported API version is 1.24");
	want("GET /v0.9/volumes", 400, "too old");
	want("GET /v1/volumes", 400, "too old");
	want("GET /v/volumes", 404, "page not found");
	want("GET /v1.51volumes", 404, "page not found");
	stop();
}

static void pings(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	const char *got;

	start();
	got = ask(&b, "GET /_ping", "\r\n");
	assert_non_null(strstr(got, "\r\n\r\nOK"));
	assert_non_null(strstr(got, "Content-Length: 2\r\n"));
	assert_non_null(strstr(got, "Swarm: active/manager\r\n"));
	assert_non_null(strstr(got, "Builder-Version: 1\r\n"));
	assert_non_null(strstr(got, "Docker-Experimental: false\r\n"));
	assert_non_null(strstr(got, "Cache-Control: no-cache, no-store, must-revalidate\r\n"));
	got = ask(&b, "HEAD /v1.30/_ping", "\r\n");
	assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(got, "Content-Length: 0\r\n"));
	stop();
}

static void bodies(void **state)
{
	static const struct {
		const char *rest;
		const char *want;
	} cases[] = {
		{"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "\r\n\r\n{}\n"},
		{"Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}",
		 "\r\n\r\n{}\n"},
		{"\r\n", "201 Created"},
		{"Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n", "201 Created"},
		{"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
		 "unsupported Content-Type header (text/plain): must be 'application/json'"},
		{"Content-Length: 2\r\n\r\n{}", "unsupported Content-Type header (): must be"},
	};

	start();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf b = BUF_INIT(1 << 20);
		const char *got = ask(&b, "POST /services/create", cases[i].rest);

		if (!strstr(got, cases[i].want))
			fail_msg("case %zu: %s", i, got);
	}
	stop();
}

static void errors(void **state)
{
	start();
	want("POST /services/x/update", 409,
	     "\r\n\r\n{\"message\":\"update <out> of \\\"sequence\\\"\"}\n");
	stop();
	assert_int_equal(api_error_status(-EINVAL), 400);
	assert_int_equal(api_error_status(-EACCES), 403);
	assert_int_equal(api_error_status(-ENOENT), 404);
	assert_int_equal(api_error_status(-EEXIST), 409);
	assert_int_equal(api_error_status(-EMSGSIZE), 413);
	assert_int_equal(api_error_status(-EIO), 500);
	assert_int_equal(api_error_status(-ENOSYS), 501);
	assert_int_equal(api_error_status(-EAGAIN), 503);
	assert_int_equal(api_error_status(-EINPROGRESS), 503);
}

/* "{name:.*}" is "{name}" to the API's own description. */
static void plain_pattern(const char *pattern, char *ret, size_t room)
{
	const char *star = strstr(pattern, ":.*}");

	if (star)
		snprintf(ret, room, "%.*s%s", (int)(star - pattern), pattern, star + 3);
	else
		snprintf(ret, room, "%s", pattern);
}

static void every_route_of_the_api_is_known(void **state)
{
	FILE *f = fopen(ROUTES_FILE, "re");
	char line[256], plain[128], want_line[256];
	size_t n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		const struct api_route_name *r = &api_all_routes[n++];

		assert_non_null(r->method);
		plain_pattern(r->pattern, plain, sizeof(plain));
		snprintf(want_line, sizeof(want_line), "%s %s %s\n", r->method, plain, r->name);
		assert_string_equal(line, want_line);
	}
	fclose(f);
	assert_int_equal(n, 115);
	assert_null(api_all_routes[n].method);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(routes_and_variables),
		TEST(versions),
		TEST(pings),
		TEST(bodies),
		TEST(errors),
		TEST(every_route_of_the_api_is_known),
	};

	return RUN_TESTS(tests);
}
