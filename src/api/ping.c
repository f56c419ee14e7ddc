/*
 * /_ping: the first thing that every client asks, and what tells it which version to speak.
 */
#include "api/ping.h"

#include <string.h>

#include "api/router.h"
#include "base/mem.h"

static void ping(struct api_req *r)
{
	const struct api_ping *p = r->ctx;
	struct api_ping_info info = {.swarm = "inactive", .builder_version = "1"};
	struct buf body = BUF_INIT(8);

	p->info(&info, p->data);
	http_reply_header(r->http, "Cache-Control", "no-cache, no-store, must-revalidate");
	http_reply_header(r->http, "Pragma", "no-cache");
	http_reply_header(r->http, "Builder-Version", info.builder_version);
	http_reply_header(r->http, "Docker-Experimental", info.experimental ? "true" : "false");
	http_reply_header(r->http, "Swarm", info.swarm);
	if (strcmp(http_req_method(r->http), "GET") == 0)
		buf_adds(&body, "OK");
	http_reply(r->http, 200, "text/plain; charset=utf-8", &body);
}

static const struct api_route routes[] = {
	{.method = "GET", .pattern = "/_ping", .handler = ping},
	{.method = "HEAD", .pattern = "/_ping", .handler = ping},
};

void api_ping_add(struct api_router *r, struct api_ping *p)
{
	api_router_add(r, routes, ARRAY_LEN(routes), p);
}
