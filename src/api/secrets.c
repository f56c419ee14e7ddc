/*
 * /secrets and /configs: create, list, inspect, update of labels, remove. A secret's bytes come in
 * and never go out; a config's are shown. See swarm.h.
 */
#include <string.h>

#include "api/error.h"
#include "api/query.h"
#include "api/swarm.h"
#include "base/mem.h"

/* A specification with its bytes, which the stored one has no JSON for. */
struct secret_body {
	struct secret_spec spec;
};
#define T struct secret_body
static const struct field secret_body_fields[] = {
	FIELD_STR(T, 0, spec.name, "Name", 0),
	FIELD_STRMAP(T, 0, spec.labels, "Labels", 0),
	FIELD_BYTES(T, 0, spec.data, "Data", FIELD_OMIT | FIELD_LOCKED),
	FIELD_PTR(T, 0, spec.driver, "Driver", FIELD_OMIT, driver),
	FIELD_PTR(T, 0, spec.templating, "Templating", FIELD_OMIT, driver),
};
#undef T
static TABLE_DEFINE(secret_body, secret_body_fields);

/* As it is shown: lent from the store. */
struct secret_view {
	struct object o;
	struct secret_body body;
};
#define T struct secret_view
static const struct field secret_view_fields[] = {
	FIELD_STR(T, 0, o.id, "ID", 0),
	FIELD_OBJ(T, 0, o.version, "Version", 0, version),
	FIELD_TIME(T, 0, o.created, "CreatedAt", 0),
	FIELD_TIME(T, 0, o.updated, "UpdatedAt", 0),
	FIELD_OBJ(T, 0, body, "Spec", 0, secret_body),
};
#undef T
static TABLE_DEFINE(secret_view, secret_view_fields);

static void secret_write(const struct object *o, struct buf *ret)
{
	struct secret_view view = {.o = *o, .body.spec = ((const struct secret *)o)->spec};

	if (o->kind == KIND_SECRET)
		view.body.spec.data = (struct bytes){0};
	(void)json_write(&secret_view_table, &view, ret);
}

struct created {
	char *id;
};
#define T struct created
static const struct field created_fields[] = {FIELD_STR(T, 0, id, "ID", 0)};
#undef T
static TABLE_DEFINE(created, created_fields);

static void created_write(const struct control_answer *answer, struct buf *ret)
{
	struct created c = {answer->id}; /* lent */

	(void)json_write(&created_table, &c, ret);
}

static void body_done(struct secret_body *b)
{
	table_done(&secret_spec_table, &b->spec);
}

static void create(struct api_req *r, enum object_kind kind)
{
	struct secret_body body = {0};
	struct control_request request = {
		.op = CONTROL_SECRET_CREATE, .kind = kind, .secret = &body.spec};

	if (api_req_read(r, &secret_body_table, &body, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		api_control(r, &request, 201, created_write);
	body_done(&body);
}

static void update(struct api_req *r, enum object_kind kind)
{
	struct secret_body body = {0};
	struct control_request request = {.op = CONTROL_SECRET_UPDATE,
					  .kind = kind,
					  .id = (char *)(uintptr_t)r->vars[0],
					  .secret = &body.spec};

	if (api_version_arg(r, &request.version, &r->err) < 0 ||
	    api_req_read(r, &secret_body_table, &body, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		api_control(r, &request, 200, NULL);
	body_done(&body);
}

static void removal(struct api_req *r, enum object_kind kind)
{
	struct control_request request = {
		.op = CONTROL_SECRET_REMOVE, .kind = kind, .id = (char *)(uintptr_t)r->vars[0]};

	api_control(r, &request, 204, NULL);
}

static void inspect_reply(struct api_req *r, struct manager *m, enum object_kind kind)
{
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	const struct object *o;

	if (control_find(manager_store(m), kind, r->vars[0], &o, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	secret_write(o, &json);
	api_reply_json(r, 200, &json);
}

static void list_done(void *state)
{
	filters_done(state);
	free(state);
}

static bool list_write(void *state, const struct store *store, const struct object *o,
		       struct buf *ret)
{
	const struct filters *f = state;

	(void)store;
	if (!filters_match_prefix(f, "id", o->id) ||
	    !filters_match_prefix(f, "name", object_name(o)) ||
	    !filters_match(f, "names", object_name(o)) ||
	    !filters_match_labels(f, "label", &((const struct secret *)o)->spec.labels))
		return false;
	secret_write(o, ret);
	return true;
}

static void list_reply(struct api_req *r, struct manager *m, enum object_kind kind)
{
	static const char *const keys[] = {"id", "name", "names", "label", NULL};
	struct filters *f = xcalloc(1, sizeof *f);
	struct api_list list = {.kind = kind, .write = list_write, .done = list_done, .state = f};

	if (filters_read(r->query, keys, f, &r->err) < 0) {
		free(f);
		api_reply_error(r, &r->err);
		return;
	}
	api_list_reply(r, m, &list);
}

/* The router's handlers know the kind by the route alone. */

static void secret_list_ready(struct api_req *r, struct manager *m)
{
	list_reply(r, m, KIND_SECRET);
}

static void config_list_ready(struct api_req *r, struct manager *m)
{
	list_reply(r, m, KIND_CONFIG);
}

static void secret_inspect_ready(struct api_req *r, struct manager *m)
{
	inspect_reply(r, m, KIND_SECRET);
}

static void config_inspect_ready(struct api_req *r, struct manager *m)
{
	inspect_reply(r, m, KIND_CONFIG);
}

static void secret_list(struct api_req *r)
{
	api_manager_read(r, secret_list_ready);
}

static void config_list(struct api_req *r)
{
	api_manager_read(r, config_list_ready);
}

static void secret_inspect(struct api_req *r)
{
	api_manager_read(r, secret_inspect_ready);
}

static void config_inspect(struct api_req *r)
{
	api_manager_read(r, config_inspect_ready);
}

static void secret_create(struct api_req *r)
{
	create(r, KIND_SECRET);
}

static void config_create(struct api_req *r)
{
	create(r, KIND_CONFIG);
}

static void secret_update(struct api_req *r)
{
	update(r, KIND_SECRET);
}

static void config_update(struct api_req *r)
{
	update(r, KIND_CONFIG);
}

static void secret_remove(struct api_req *r)
{
	removal(r, KIND_SECRET);
}

static void config_remove(struct api_req *r)
{
	removal(r, KIND_CONFIG);
}

static const struct api_route routes[] = {
	{"GET", "/secrets", secret_list, API_BODY_NONE, 0, 0},
	{"POST", "/secrets/create", secret_create, API_BODY_JSON, 0, 0},
	{"GET", "/secrets/{id}", secret_inspect, API_BODY_NONE, 0, 0},
	{"DELETE", "/secrets/{id}", secret_remove, API_BODY_NONE, 0, 0},
	{"POST", "/secrets/{id}/update", secret_update, API_BODY_JSON, 0, 0},
	{"GET", "/configs", config_list, API_BODY_NONE, 0, 0},
	{"POST", "/configs/create", config_create, API_BODY_JSON, 0, 0},
	{"GET", "/configs/{id}", config_inspect, API_BODY_NONE, 0, 0},
	{"DELETE", "/configs/{id}", config_remove, API_BODY_NONE, 0, 0},
	{"POST", "/configs/{id}/update", config_update, API_BODY_JSON, 0, 0},
};

void api_secrets_add(struct api_router *r, struct api_swarm *swarm)
{
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
