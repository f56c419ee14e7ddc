/*
 * The handlers of the host's part over a real server and the fake engine: one request at a time,
 * or a connection that a test keeps.
 */
#pragma once

#include "unit/api/fake_engine.h"

static struct api_router *rig_router;

static void rig_request(struct http_req *req)
{
	api_router_request(req, rig_router);
}

static struct manager *rig_manager(void *arg)
{
	return NULL;
}

static bool rig_active(void *arg)
{
	return false;
}

static void rig_status(void *arg, struct swarm_status *ret)
{
	ret->local_state = "inactive";
}

static struct api_swarm rig_swarm = {
	.manager = rig_manager, .active = rig_active, .status = rig_status};

static inline void rig_start(void)
{
	static int engine; /* never looked into */
	struct engine *e = (struct engine *)&engine;

	fake_start();
	rig_router = api_router_new();
	api_containers_add(rig_router, e);
	api_exec_add(rig_router, e, &rig_swarm);
	api_images_add(rig_router, e);
	api_networks_add(rig_router, e, &rig_swarm);
	api_system_add(rig_router, e, &rig_swarm);
	api_events_add(rig_router, e);
	api_services_add(rig_router, &rig_swarm);
	fix_start(rig_request, 0, 0, 0);
}

static inline void rig_stop(void)
{
	fix_stop();
	api_router_free(rig_router);
	fake_stop();
}

/* Sends a request and returns its connection; `rest` is what follows the Host header. */
static inline int rig_open(const char *line, const char *rest)
{
	auto_free char *text = xasprintf("%s HTTP/1.1\r\nHost: x\r\n%s", line, rest);
	int fd = cl_open();

	cl_send(fd, text);
	return fd;
}

/* One request on a connection of its own: its status is to be `status`, its text to hold `text`. */
static inline void rig_want_body(const char *line, const char *json, int status, const char *text)
{
	auto_buf b = BUF_INIT(4u << 20);
	auto_free char *rest = xasprintf("Connection: close\r\nContent-Type: application/json\r\n"
					 "Content-Length: %zu\r\n\r\n%s",
					 strlen(json), json);
	int fd = rig_open(line, rest);
	char first[32];

	assert_true(cl_read_until(fd, &b, NULL));
	close(fd);
	snprintf(first, sizeof first, "HTTP/1.1 %d ", status);
	if (strncmp(buf_text(&b), first, strlen(first)) != 0 || !strstr(buf_text(&b), text))
		fail_msg("%s: wanted %d and %s, got %s", line, status, text, buf_text(&b));
}

static inline void rig_want(const char *line, int status, const char *text)
{
	rig_want_body(line, "", status, text);
}

/* The same, and `text` is not to be there. */
static inline void rig_want_not(const char *line, int status, const char *text)
{
	auto_buf b = BUF_INIT(4u << 20);
	int fd = rig_open(line, "Connection: close\r\n\r\n");

	assert_true(cl_read_until(fd, &b, NULL));
	close(fd);
	assert_true(b.len > 9);
	assert_int_equal(strtol(b.p + 9, NULL, 10), status);
	assert_null(strstr(buf_text(&b), text));
}
