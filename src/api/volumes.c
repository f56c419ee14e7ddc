/*
 * /volumes: list, create, inspect, remove and prune. Called by the router; asks the engine, which
 * works on the pool. The only driver is local.
 */
#include <string.h>

#include "api/engine_api.h"
#include "api/error.h"
#include "api/query.h"
#include "base/limits.h"
#include "base/mem.h"

struct volumes_state {
	struct filters filters;
	bool all; /* prune: those with names as well */
	char *name;
};

static void state_free(void *data)
{
	struct volumes_state *s = data;

	filters_done(&s->filters);
	free(s->name);
	free(s);
}

static struct volumes_state *state_new(struct api_req *r)
{
	struct volumes_state *s = xcalloc(1, sizeof *s);

	api_req_own(r, s, NULL, state_free);
	return s;
}

/* GET /volumes */

static bool passes(struct api_req *r, const struct filters *f, const struct volume *v)
{
	bool dangling = false;

	(void)filters_bool(f, "dangling", false, &dangling, NULL);
	return filters_match(f, "driver", v->driver) && filters_match_name(f, "name", v->name) &&
	       filters_match_labels(f, "label", &v->labels) &&
	       (!filters_has(f, "dangling") ||
		dangling == !engine_volume_users(r->ctx, v->name, NULL));
}

static void listed(void *arg, int status, const struct volumes *found, const struct err *e)
{
	struct api_req *r = arg;
	const struct volumes_state *s = api_req_state(r);
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	bool any = false;

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	(void)buf_adds(&json, "{\"Volumes\":[");
	LIST_EACH (v, found) {
		if (!passes(r, &s->filters, v))
			continue;
		(void)buf_adds(&json, any ? "," : "");
		(void)json_write(&volume_table, v, &json);
		any = true;
	}
	(void)buf_adds(&json, "],\"Warnings\":null}");
	api_reply_json(r, 200, &json);
}

static void volume_list(struct api_req *r)
{
	static const char *const keys[] = {"dangling", "driver", "label", "name", NULL};
	struct volumes_state *s = state_new(r);
	bool dangling;

	if (filters_read(r->query, keys, &s->filters, &r->err) < 0 ||
	    filters_bool(&s->filters, "dangling", false, &dangling, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		engine_volumes(r->ctx, listed, r);
}

/* GET /volumes/{name}, POST /volumes/create */

static void one_reply(struct api_req *r, int code, int status, const struct volumes *found,
		      const struct err *e)
{
	if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_table(r, code, &volume_table, &found->v[0]);
}

static void inspected(void *arg, int status, const struct volumes *found, const struct err *e)
{
	one_reply(arg, 200, status, found, e);
}

static void volume_inspect(struct api_req *r)
{
	engine_volume_get(r->ctx, r->vars[0], inspected, r);
}

static void created(void *arg, int status, const struct volumes *found, const struct err *e)
{
	one_reply(arg, 201, status, found, e);
}

struct volume_request {
	char *name, *driver;
	struct strmap labels, options;
};
#define T struct volume_request
static const struct field volume_request_fields[] = {
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STR(T, 0, driver, "Driver", 0),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
	FIELD_STRMAP(T, 0, options, "DriverOpts", 0),
};
#undef T
static TABLE_DEFINE(volume_request, volume_request_fields);

static void volume_create(struct api_req *r)
{
	struct volume_request q = {0};

	if (r->body->len && api_req_read(r, &volume_request_table, &q, &r->err) < 0)
		api_reply_error(r, &r->err);
	else if (q.driver && *q.driver && strcmp(q.driver, "local") != 0)
		api_reply_fail(r, -ENOSYS, "volume driver \"%.64s\" is not implemented: only local",
			       q.driver);
	else
		engine_volume_create(
			r->ctx,
			&(struct volume){.name = q.name, .labels = q.labels, .options = q.options},
			created, r);
	table_done(&volume_request_table, &q);
}

/* DELETE /volumes/{name} */

static void removed(void *arg, int status, const struct volumes_removed *what, const struct err *e)
{
	struct api_req *r = arg;
	const struct volumes_state *s = api_req_state(r);

	if (status < 0)
		api_reply_error(r, e);
	else if (!what->names.n)
		api_reply_fail(r, -EEXIST, "remove %.255s: volume is in use", s->name);
	else
		api_reply_empty(r, 204);
}

static void found_to_remove(void *arg, int status, const struct volumes *found, const struct err *e)
{
	struct api_req *r = arg;
	const struct volumes_state *s = api_req_state(r);
	struct strs names = {0}, users = {0};

	if (status == -ENOENT && query_bool(r->query, "force", false)) {
		api_reply_empty(r, 204);
	} else if (status < 0) {
		api_reply_error(r, e);
	} else if (engine_volume_users(r->ctx, s->name, &users)) {
		api_reply_fail(r, -EEXIST, "remove %.255s: volume is in use - [%s]%s", s->name,
			       users.v[0], users.n > 1 ? " and others" : "");
	} else {
		strs_add(&names, s->name);
		engine_volumes_remove(r->ctx, &names, removed, r);
	}
	strs_done(&names);
	strs_done(&users);
}

static void volume_delete(struct api_req *r)
{
	struct volumes_state *s = state_new(r);

	s->name = xstrdup(r->vars[0]);
	engine_volume_get(r->ctx, s->name, found_to_remove, r);
}

/* POST /volumes/prune */

struct pruned {
	struct strs names;
	int64_t bytes;
};
#define T struct pruned
static const struct field pruned_fields[] = {
	FIELD_STRS(T, 0, names, "VolumesDeleted", 0),
	FIELD_I64(T, 0, bytes, "SpaceReclaimed", 0),
};
#undef T
static TABLE_DEFINE(pruned, pruned_fields);

static void pruned(void *arg, int status, const struct volumes_removed *what, const struct err *e)
{
	struct pruned view = {0};

	if (status < 0) {
		api_reply_error(arg, e);
		return;
	}
	view.names = what->names; /* lent */
	view.bytes = what->bytes;
	api_reply_table(arg, 200, &pruned_table, &view);
}

/* Made without a name: by a container, or by a client that gave none. */
static bool is_anonymous(const struct volume *v)
{
	return strlen(v->name) == 64 && strspn(v->name, "0123456789abcdef") == 64;
}

static void found_to_prune(void *arg, int status, const struct volumes *found, const struct err *e)
{
	struct api_req *r = arg;
	const struct volumes_state *s = api_req_state(r);
	struct strs names = {0};

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	LIST_EACH (v, found) {
		/* Before 1.42 all were meant. */
		bool meant = s->all || r->minor < 42 || is_anonymous(v);

		if (meant && filters_match_labels(&s->filters, "label", &v->labels) &&
		    (!filters_has(&s->filters, "label!") ||
		     !filters_match_labels(&s->filters, "label!", &v->labels)))
			strs_add(&names, v->name);
	}
	engine_volumes_remove(r->ctx, &names, pruned, r);
	strs_done(&names);
}

static void volume_prune(struct api_req *r)
{
	static const char *const keys[] = {"all", "label", "label!", NULL};
	struct volumes_state *s = state_new(r);

	if (filters_read(r->query, keys, &s->filters, &r->err) < 0 ||
	    filters_bool(&s->filters, "all", false, &s->all, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		engine_volumes(r->ctx, found_to_prune, r);
}

static const struct api_route routes[] = {
	{"GET", "/volumes", volume_list, API_BODY_NONE, 0, 0},
	{"GET", "/volumes/{name:.*}", volume_inspect, API_BODY_NONE, 0, 0},
	{"POST", "/volumes/create", volume_create, API_BODY_JSON, 0, 0},
	{"POST", "/volumes/prune", volume_prune, API_BODY_NONE, 0, 0},
	{"DELETE", "/volumes/{name:.*}", volume_delete, API_BODY_NONE, 0, 0},
};

void api_volumes_add(struct api_router *r, struct engine *engine)
{
	api_router_add(r, routes, ARRAY_LEN(routes), engine);
}
