/*
 * /networks: those of this host and, on a manager, those of the cluster, as one list. What is of
 * the cluster is made and removed by the managers, the rest by the engine. Called by the router.
 */
#include <string.h>

#include "api/engine_api.h"
#include "api/error.h"
#include "api/networks.h"
#include "api/query.h"
#include "base/limits.h"
#include "base/mem.h"

/* The manager's store, NULL where this node has none that may be read. */
static const struct store *store_of(struct api_swarm *swarm)
{
	struct manager *m = swarm->manager(swarm->arg);

	return m && manager_readable(m, NULL) == 0 ? manager_store(m) : NULL;
}

/* Finding: by full id, by name, by a prefix of the id; those of the host first. */

enum match { MATCH_NONE, MATCH_PREFIX, MATCH_NAME, MATCH_ID };

struct found {
	struct network_ref ref;
	enum match how;
	bool several;
};

static void found_try(struct found *f, const struct network_ref *ref, const char *text)
{
	enum match how = MATCH_NONE;

	if (strcmp(ref->id, text) == 0)
		how = MATCH_ID;
	else if (strcmp(ref->name, text) == 0)
		how = MATCH_NAME;
	else if (strncmp(ref->id, text, strlen(text)) == 0)
		how = MATCH_PREFIX;
	if (how == MATCH_NONE || how < f->how)
		return;
	f->several = how == f->how && strcmp(f->ref.id, ref->id) != 0;
	if (how == f->how && !f->several)
		return; /* the same overlay, known to the engine as well */
	f->how = how;
	f->ref = *ref;
}

int networks_find(struct api_swarm *swarm, const char *text, const char *scope,
		  struct network_ref *ret, struct err *e)
{
	struct found f = {0};
	struct networks_walk w;
	struct network_ref ref;

	if (scope && strcmp(scope, "swarm") == 0 && network_is_nodes_own(text) && store_of(swarm) &&
	    networks_find(swarm, text, "local", ret, e) == 0) {
		/* Clients ask so what a service may name: it is the same on each node. */
		ret->id = ret->name;
		ret->scope = (char *)"swarm";
		return 0;
	}
	networks_walk(&w, swarm->engine, store_of(swarm));
	while (*text && networks_next(&w, &ref))
		if (!scope || !*scope || strcmp(scope, ref.scope) == 0)
			found_try(&f, &ref, text);
	networks_walk_done(&w);
	if (f.how == MATCH_NONE)
		return err_set(e, -ENOENT, "network %.128s not found", text);
	if (f.several)
		return err_set(e, -EINVAL, "network %.128s is ambiguous (several networks match)",
			       text);
	*ret = f.ref;
	return 0;
}

/* GET /networks */

static bool is_builtin(const struct network_ref *n)
{
	return strcmp(n->scope, "local") == 0 &&
	       (strcmp(n->name, "bridge") == 0 || strcmp(n->name, "host") == 0 ||
		strcmp(n->name, "none") == 0);
}

static bool passes(const struct filters *f, const struct network_ref *n)
{
	return filters_match(f, "driver", n->driver) && filters_match_name(f, "name", n->name) &&
	       filters_match_prefix(f, "id", n->id) &&
	       filters_match_labels(f, "label", &n->spec->labels) &&
	       filters_match(f, "scope", n->scope) &&
	       filters_match(f, "type", is_builtin(n) ? "builtin" : "custom");
}

static int list_parse(struct api_req *r, struct filters *f, bool *ret_dangling)
{
	static const char *const keys[] = {"dangling", "driver", "id",   "label",
					   "name",     "scope",  "type", NULL};
	const char *value;
	int rc = filters_read(r->query, keys, f, &r->err);

	if (rc == 0)
		rc = filters_bool(f, "dangling", false, ret_dangling, &r->err);
	for (size_t i = 0; rc == 0 && (value = filters_value(f, "type", i)); i++)
		if (strcmp(value, "builtin") != 0 && strcmp(value, "custom") != 0)
			rc = err_set(&r->err, -EINVAL, "invalid filter: 'type'='%.40s'", value);
	return rc;
}

static void list_reply(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct filters f = {0};
	struct networks_walk w;
	struct network_ref n;
	bool dangling = false;

	if (list_parse(r, &f, &dangling) < 0) {
		filters_done(&f);
		api_reply_error(r, &r->err);
		return;
	}
	(void)buf_addc(&json, '[');
	networks_walk(&w, swarm->engine, store_of(swarm));
	while (networks_next(&w, &n)) {
		if (!passes(&f, &n))
			continue;
		if (filters_has(&f, "dangling") &&
		    dangling != (!is_builtin(&n) && !network_in_use(swarm->engine, n.id)))
			continue;
		if (json.len > 1)
			(void)buf_addc(&json, ',');
		network_render(NULL, &n, &json);
	}
	networks_walk_done(&w);
	filters_done(&f);
	(void)buf_addc(&json, ']');
	if (swarm->manager(swarm->arg))
		api_version_header(r, swarm->manager(swarm->arg));
	api_reply_json(r, 200, &json);
}

static void list_ready(struct api_req *r, struct manager *m)
{
	(void)m;
	list_reply(r);
}

/* A host without a swarm has networks too: only who asks for more waits for the managers. */
static void network_list(struct api_req *r)
{
	if (query_bool(r->query, "consistent", false))
		api_manager_barrier(r, list_ready);
	else
		list_reply(r);
}

static void inspect_reply(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct network_ref n;

	if (networks_find(swarm, r->vars[0], http_req_arg(r->http, "scope"), &n, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	network_render(swarm->engine, &n, &json);
	api_reply_json(r, 200, &json);
}

static void inspect_ready(struct api_req *r, struct manager *m)
{
	(void)m;
	inspect_reply(r);
}

static void network_inspect(struct api_req *r)
{
	if (query_bool(r->query, "consistent", false))
		api_manager_barrier(r, inspect_ready);
	else
		inspect_reply(r);
}

/* POST /networks/create */

struct network_created {
	char *id;
	char *warning;
};
#define T struct network_created
static const struct field network_created_fields[] = {
	FIELD_STR(T, 0, id, "Id", 0),
	FIELD_STR(T, 0, warning, "Warning", 0),
};
#undef T
static TABLE_DEFINE(network_created, network_created_fields);

static void created_write(const struct control_answer *answer, struct buf *ret)
{
	struct network_created view = {.id = answer->id};

	(void)json_write(&network_created_table, &view, ret);
}

static void created(void *arg, int status, const struct engine_network *n, const struct err *e)
{
	struct api_req *r = arg;
	struct network_created view = {0};

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	view.id = n->id;
	api_reply_table(r, 201, &network_created_table, &view);
}

static bool name_taken(struct api_swarm *swarm, const char *name)
{
	struct networks_walk w;
	struct network_ref n;
	bool taken = false;

	networks_walk(&w, swarm->engine, store_of(swarm));
	while (networks_next(&w, &n))
		taken = taken || strcmp(n.name, name) == 0;
	networks_walk_done(&w);
	return taken;
}

static bool is_of_swarm(const struct network_spec *spec)
{
	return (spec->driver && strcmp(spec->driver, "overlay") == 0) ||
	       (spec->scope && strcmp(spec->scope, "swarm") == 0);
}

static void network_create(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct network_spec *spec = xcalloc(1, sizeof *spec);
	struct control_request request = {.op = CONTROL_NETWORK_CREATE, .network = spec};

	if (api_req_read(r, &network_spec_table, spec, &r->err) < 0)
		api_reply_error(r, &r->err);
	else if (!spec->name || !*spec->name)
		api_reply_fail(r, -EINVAL, "invalid network name: it is empty");
	else if (name_taken(swarm, spec->name))
		api_reply_fail(r, -EEXIST, "network with name %s already exists", spec->name);
	else if (is_of_swarm(spec))
		api_control(r, &request, 201, created_write);
	else
		engine_network_create(swarm->engine, spec, created, r);
	table_done(&control_request_table, &request);
}

/* DELETE /networks/{id} */

static void removed(void *arg, int status, const struct err *e)
{
	struct api_req *r = arg;

	if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_empty(r, 204);
}

static void network_delete(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct control_request request = {.op = CONTROL_NETWORK_REMOVE};
	struct network_ref n;

	if (networks_find(swarm, r->vars[0], NULL, &n, &r->err) < 0) {
		api_reply_error(r, &r->err);
	} else if (strcmp(n.scope, "swarm") == 0) {
		request.id = n.id;
		api_control(r, &request, 204, NULL);
	} else {
		engine_network_remove(swarm->engine, n.id, removed, r);
	}
}

static const struct api_route routes[] = {
	{"GET", "/networks", network_list, API_BODY_NONE, 0, 0},
	{"GET", "/networks/{id:.*}", network_inspect, API_BODY_NONE, 0, 0},
	{"POST", "/networks/create", network_create, API_BODY_JSON, 0, 0},
	{"DELETE", "/networks/{id:.*}", network_delete, API_BODY_NONE, 0, 0},
};

void api_networks_add(struct api_router *r, struct engine *engine, struct api_swarm *swarm)
{
	swarm->engine = engine;
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
