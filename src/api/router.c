/*
 * Finds the handler of a request: version prefix, route table, body rules. It knows nothing of what
 * handlers do.
 */
#include "api/router.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/error.h"
#include "base/limits.h"
#include "base/mem.h"

#define ROUTES_MAX 160

/* A pattern has at most one {variable}: what stands before it and after it. */
struct pattern {
	const char *text;
	size_t before_len;
	const char *after; /* NULL: no variable */
	bool slashes;      /* the variable may hold them */
};

struct entry {
	const char *method;
	const struct api_route_name *name;
	struct pattern pattern;
	const struct api_route *route; /* NULL: no handler yet */
	void *ctx;
};

struct api_router {
	struct entry entries[ROUTES_MAX];
	size_t count;
};

/* What the router keeps beside the handler's view of a request. */
struct call {
	struct api_req r;
	char *var;
	void *state;
	void (*gone)(struct api_req *r);
	void (*done)(void *state);
};

static struct pattern pattern_parse(const char *text)
{
	const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : NULL;
	struct pattern p = {.text = text, .before_len = strlen(text)};

	if (!close)
		return p;
	p.before_len = (size_t)(open - text);
	p.after = close + 1;
	p.slashes = strncmp(close - 3, ":.*", 3) == 0;
	return p;
}

/* True when the path fits; where the pattern has a variable, its place is given. */
static bool pattern_match(const struct pattern *p, const char *path, size_t len, const char **ret,
			  size_t *ret_len)
{
	size_t after_len, n;

	if (strncmp(path, p->text, p->before_len) != 0)
		return false;
	if (!p->after)
		return len == p->before_len;
	after_len = strlen(p->after);
	if (len <= p->before_len + after_len || strcmp(path + len - after_len, p->after) != 0)
		return false;
	n = len - p->before_len - after_len;
	*ret = path + p->before_len;
	*ret_len = n;
	return p->slashes || !memchr(*ret, '/', n);
}

struct api_router *api_router_new(void)
{
	struct api_router *r = xcalloc(1, sizeof(*r));

	for (const struct api_route_name *n = api_all_routes; n->method; n++) {
		if (r->count == ROUTES_MAX)
			abort();
		r->entries[r->count++] = (struct entry){
			.method = n->method, .name = n, .pattern = pattern_parse(n->pattern)};
	}
	return r;
}

void api_router_free(struct api_router *r)
{
	free(r);
}

static struct entry *entry_named(struct api_router *r, const char *method, const char *pattern)
{
	for (size_t i = 0; i < r->count; i++) {
		struct entry *e = &r->entries[i];

		if (strcmp(e->method, method) == 0 && strcmp(e->pattern.text, pattern) == 0)
			return e;
	}
	return NULL;
}

void api_router_add(struct api_router *r, const struct api_route *routes, size_t count, void *ctx)
{
	for (size_t i = 0; i < count; i++) {
		struct entry *e = entry_named(r, routes[i].method, routes[i].pattern);

		if (!e || e->route)
			abort(); /* not a route of the API, or one that has its handler */
		e->route = &routes[i];
		e->ctx = ctx;
	}
}

/* A route without a variable goes before one whose variable would fit as well. */
static struct entry *entry_find(struct api_router *r, const char *method, const char *path,
				const char **ret_var, size_t *ret_var_len)
{
	struct entry *found = NULL;
	size_t len = strlen(path);

	for (size_t i = 0; i < r->count; i++) {
		struct entry *e = &r->entries[i];
		const char *var = NULL;
		size_t var_len = 0;

		if (strcmp(e->method, method) != 0 ||
		    !pattern_match(&e->pattern, path, len, &var, &var_len))
			continue;
		if (found && (e->pattern.after || !found->pattern.after))
			continue;
		found = e;
		*ret_var = var;
		*ret_var_len = var_len;
	}
	return found;
}

/* Versions */

/* "/v1.41/info" gives "/info"; a path without a version speaks the newest. */
static const char *version_skip(const char *path, char *ret_version, size_t room)
{
	size_t n = 0;

	*ret_version = 0;
	if (path[0] != '/' || path[1] != 'v')
		return path;
	n = strspn(path + 2, "0123456789.");
	if (n == 0 || path[2 + n] != '/')
		return path;
	snprintf(ret_version, room, "%.*s", (int)n, path + 2);
	return path + 2 + n;
}

static int version_check(const char *version, int *ret_minor, struct err *e)
{
	char *end;
	long major = strtol(version, &end, 10);
	long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;

	if (!*version) {
		*ret_minor = API_MINOR_MAX;
		return 0;
	}
	if (major > 1 || (major == 1 && minor > API_MINOR_MAX))
		return err_set(e, -EINVAL,
			       "client version %s is too new. Maximum supported API version is %s",
			       version, API_VERSION);
	if (major < 1 || minor < API_MINOR_MIN)
		return err_set(e, -EINVAL,
			       "client version %s is too old. Minimum supported API version is "
			       "%s, please upgrade your client to a newer version",
			       version, API_VERSION_MIN);
	*ret_minor = (int)minor;
	return 0;
}

/* Calls */

static void call_gone(struct http_req *req, void *state)
{
	struct call *c = state;

	if (c->gone)
		c->gone(&c->r);
}

static void call_done(void *state)
{
	struct call *c = state;

	if (c->done)
		c->done(c->state);
	free(c->var);
	free(c);
}

void api_req_own(struct api_req *r, void *state, void (*gone)(struct api_req *r),
		 void (*done)(void *state))
{
	struct call *c = container_of(r, struct call, r);

	if (c->done && c->state != state)
		c->done(c->state); /* of whoever handed the request on */
	c->state = state;
	c->gone = gone;
	c->done = done;
}

void *api_req_state(const struct api_req *r)
{
	return container_of(r, const struct call, r)->state;
}

/* "application/json; charset=utf-8" is JSON as well. */
static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t n = strcspn(type, "; \t");

	return n == sizeof(json) - 1 && strncasecmp(type, json, n) == 0;
}

static void on_body(struct http_req *req, struct buf *body, const struct err *e, void *data)
{
	struct call *c = data;
	const char *type = http_req_header(req, "Content-Type");

	if (e) {
		api_reply_error(&c->r, e);
		return;
	}
	c->r.body = body;
	if (body->len > 0 && (!type || !is_json(type)))
		api_reply_fail(&c->r, -EINVAL,
			       "unsupported Content-Type header (%s): must be 'application/json'",
			       type ? type : "");
	else
		c->r.route->handler(&c->r);
}

static void call_start(struct http_req *req, const struct entry *e, const char *var, size_t var_len,
		       int minor)
{
	struct call *c = xcalloc(1, sizeof(*c));

	c->var = var ? xstrndup(var, var_len) : NULL;
	c->r = (struct api_req){.http = req,
				.route = e->route,
				.ctx = e->ctx,
				.query = http_req_query(req),
				.minor = minor,
				.vars = {c->var}};
	http_req_own(req, c, call_gone, call_done);
	if (e->route->body == API_BODY_JSON)
		http_req_read_body(req, LIMIT_JSON_BODY, on_body, c);
	else
		e->route->handler(&c->r);
}

static bool version_fits(const struct api_route *route, int minor)
{
	return minor >= route->minor_min && (route->minor_max == 0 || minor <= route->minor_max);
}

void api_router_request(struct http_req *req, void *data)
{
	struct api_router *r = data;
	const char *method = http_req_method(req), *var = NULL, *path;
	struct err e = ERR_INIT;
	struct entry *entry;
	size_t var_len = 0;
	char version[16], text[256];
	int minor = API_MINOR_MAX;

	path = version_skip(http_req_path(req), version, sizeof(version));
	entry = entry_find(r, method, path, &var, &var_len);
	if (!entry) {
		http_reply_error(req, 404, "page not found");
	} else if (version_check(version, &minor, &e) < 0) {
		http_reply_error(req, 400, e.msg);
	} else if (!entry->route) {
		snprintf(text, sizeof(text),
			 "%s (%s %s) is not implemented by this version of Shoal",
			 entry->name->name, method, entry->name->pattern);
		http_reply_error(req, 501, text);
	} else if (!version_fits(entry->route, minor)) {
		http_reply_error(req, 404, "page not found");
	} else {
		call_start(req, entry, var, var_len, minor);
	}
}

void api_router_headers(struct http_server *s)
{
	http_server_header(s, "Server", "Shoal/" SHOAL_VERSION " (linux)");
	http_server_header(s, "Api-Version", API_VERSION);
	http_server_header(s, "Ostype", "linux");
}
