/*
 * From an HTTP request to a handler of the Engine API: version, route, body. It knows every route
 * of API 1.51, so that one without a handler answers 501 by its name. Object families bring their
 * handlers as static tables; main puts them together.
 */
#pragma once

#include "base/err.h"
#include "base/http_server.h"

#define API_VERSION "1.51"
#define API_VERSION_MIN "1.24"
#define API_MINOR_MAX 51
#define API_MINOR_MIN 24
#define API_VARS_MAX 1

struct api_router;
struct api_route;

/* One request on its way through a handler; valid until it has been answered and `done`. */
struct api_req {
	struct http_req *http;
	const struct api_route *route;
	void *ctx; /* what came with the handler's table: its engine, manager, ... */
	const struct http_query *query;
	int minor; /* of the API version that the client speaks: 1.<minor> */
	const char
		*vars[API_VARS_MAX]; /* what stands at {id}, {name}, ..., in the pattern's order */
	struct buf *body; /* API_BODY_JSON: the collected body, empty when there was none */
	struct err err;   /* room for the handler's failures: api_reply_error(r, &r->err) */
};

enum api_body {
	API_BODY_NONE,   /* a body is read and dropped */
	API_BODY_JSON,   /* collected (LIMIT_JSON_BODY) and checked before the handler is called */
	API_BODY_STREAM, /* the handler calls http_req_stream_body() or answers without */
};

struct api_route {
	const char *method;
	const char *pattern; /* "/containers/{id}/json"; {name:.*} takes slashes as well */
	void (*handler)(struct api_req *r);
	enum api_body body;
	int minor_min; /* first API version that has it (1.<minor_min>); 0: all */
	int minor_max; /* last one; 0: still there */
};

struct api_router *api_router_new(void);
void api_router_free(struct api_router *r);
/*
 * Adds the handlers of one family, `ctx` with each. The table must outlive the router. A pattern
 * that is not a route of the API, or has a handler already, is a programming error and aborts.
 */
void api_router_add(struct api_router *r, const struct api_route *routes, size_t count, void *ctx);
/* Server, Api-Version and Ostype, which every answer of that server carries from now on. */
void api_router_headers(struct http_server *s);
/* The http_server_opts.request callback; `data` is the router. */
void api_router_request(struct http_req *req, void *data);

/*
 * State of the handler across callbacks, as http_req_own(): `gone` when the client left (answer
 * all the same), `done` when the request is freed.
 */
void api_req_own(struct api_req *r, void *state, void (*gone)(struct api_req *r),
		 void (*done)(void *state));
void *api_req_state(const struct api_req *r);

/* Every route of API 1.51, method and pattern; for tests and documentation. Ends with a NULL
 * method. */
struct api_route_name {
	const char *method;
	const char *pattern;
	const char *name; /* "ContainerInspect", as the API calls it */
};
extern const struct api_route_name api_all_routes[];
