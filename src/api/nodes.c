/*
 * /nodes: list, inspect, update, remove. See swarm.h.
 */
#include <string.h>

#include "api/error.h"
#include "api/query.h"
#include "api/swarm.h"
#include "base/mem.h"

/* Leadership and reachability are not stored: they are what this manager sees now. */
static void node_write(struct manager *m, const struct node *n, struct buf *ret)
{
	struct node view = *n; /* lent */
	struct manager_status status;

	if (n->manager) {
		const char *leader = manager_leader(m);

		status = *n->manager;
		status.leader = leader && strcmp(leader, n->o.id) == 0;
		status.reachability = manager_reachability(m, n->o.id);
		view.manager = &status;
	}
	(void)json_write(&node_table, &view, ret);
}

static void inspect_ready(struct api_req *r, struct manager *m)
{
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	const struct object *o;

	if (control_find(manager_store(m), KIND_NODE, r->vars[0], &o, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	node_write(m, (const struct node *)o, &json);
	api_reply_json(r, 200, &json);
}

static void node_inspect(struct api_req *r)
{
	api_manager_read(r, inspect_ready);
}

static bool node_matches(const struct filters *f, const struct node *n)
{
	return filters_match_prefix(f, "id", n->o.id) &&
	       filters_match_prefix(f, "name",
				    n->description.hostname ? n->description.hostname : "") &&
	       filters_match(f, "role", n->spec.role == ROLE_MANAGER ? "manager" : "worker") &&
	       filters_match(f, "membership", "accepted") &&
	       filters_match_labels(f, "label", &n->description.engine.labels) &&
	       filters_match_labels(f, "node.label", &n->spec.labels);
}

/* Rendered in one piece: what a node shows depends on the manager, which may be gone later. */
static void list_ready(struct api_req *r, struct manager *m)
{
	static const char *const keys[] = {"id",         "name",       "label", "role",
					   "membership", "node.label", NULL};
	struct filters filters = {0};
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	const struct node *n;
	struct store_walk w;

	if (filters_read(r->query, keys, &filters, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	(void)buf_addc(&json, '[');
	store_walk_kind(&w, manager_store(m), KIND_NODE);
	while ((n = store_walk_next(&w))) {
		if (!node_matches(&filters, n))
			continue;
		if (json.len > 1)
			(void)buf_addc(&json, ',');
		node_write(m, n, &json);
	}
	(void)buf_addc(&json, ']');
	filters_done(&filters);
	api_version_header(r, m);
	api_reply_json(r, 200, &json);
}

static void node_list(struct api_req *r)
{
	api_manager_read(r, list_ready);
}

static void node_update(struct api_req *r)
{
	struct node_spec spec = {0};
	struct control_request request = {
		.op = CONTROL_NODE_UPDATE, .id = (char *)(uintptr_t)r->vars[0], .node = &spec};

	if (api_version_arg(r, &request.version, &r->err) < 0 ||
	    json_read(&node_spec_table, buf_text(r->body), r->body->len, &spec, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	api_control(r, &request, 200, NULL);
	table_done(&node_spec_table, &spec);
}

static void node_remove(struct api_req *r)
{
	struct control_request request = {.op = CONTROL_NODE_REMOVE,
					  .id = (char *)(uintptr_t)r->vars[0],
					  .force = query_bool(r->query, "force", false)};

	api_control(r, &request, 200, NULL);
}

static const struct api_route routes[] = {
	{"GET", "/nodes", node_list, API_BODY_NONE, 0, 0},
	{"GET", "/nodes/{id}", node_inspect, API_BODY_NONE, 0, 0},
	{"DELETE", "/nodes/{id}", node_remove, API_BODY_NONE, 0, 0},
	{"POST", "/nodes/{id}/update", node_update, API_BODY_JSON, 0, 0},
};

void api_nodes_add(struct api_router *r, struct api_swarm *swarm)
{
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
