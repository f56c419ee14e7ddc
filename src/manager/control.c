/*
 * The tables of requests, their dispatch and the search for what they name. See control.h.
 */
#include "manager/control.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

#define T struct control_request
static const struct field control_request_fields[] = {
	FIELD_U32(T, 1, op, NULL, 0),
	FIELD_STR(T, 2, id, NULL, 0),
	FIELD_U64(T, 3, version, NULL, 0),
	FIELD_PTR(T, 4, service, NULL, 0, service_spec),
	FIELD_PTR(T, 5, node, NULL, 0, node_spec),
	FIELD_PTR(T, 6, network, NULL, 0, network_spec),
	FIELD_PTR(T, 7, cluster, NULL, 0, cluster_spec),
	FIELD_BOOL(T, 8, force, NULL, 0),
	FIELD_BOOL(T, 9, rotate_worker_token, NULL, 0),
	FIELD_BOOL(T, 10, rotate_manager_token, NULL, 0),
	FIELD_STR(T, 11, worker_token, NULL, FIELD_SECRET),
	FIELD_STR(T, 12, manager_token, NULL, FIELD_SECRET),
	FIELD_PTR(T, 13, new_node, NULL, 0, node),
	FIELD_LIST(T, 14, reports, NULL, 0, session_report),
	FIELD_PTR(T, 15, description, NULL, 0, node_description),
	FIELD_STR(T, 16, addr, NULL, 0),
	FIELD_STR(T, 17, data_addr, NULL, 0),
	FIELD_STRS(T, 18, ids, NULL, 0),
	FIELD_STR(T, 30, csr, NULL, 0),
	FIELD_U64(T, 31, raft_id, NULL, 0),
	FIELD_U64(T, 32, held_raft_id, NULL, 0),
	FIELD_BOOL(T, 33, rollback, NULL, 0),
	FIELD_PTR(T, 40, secret, NULL, 0, secret_spec),
	FIELD_U32(T, 41, kind, NULL, 0),
	FIELD_U64(T, 42, check, NULL, 0),
	FIELD_BOOL(T, 43, stop, NULL, 0),
	FIELD_LIST(T, 46, loads, NULL, 0, task_load),
};
#undef T
TABLE_DEFINE(control_request, control_request_fields, TABLE_REST(control_request));

#define T struct control_answer
static const struct field control_answer_fields[] = {
	FIELD_STR(T, 1, id, "ID", 0),
	FIELD_U64(T, 2, version, NULL, 0),
	FIELD_STRS(T, 3, warnings, "Warnings", FIELD_OMIT),
	FIELD_PTR(T, 46, autoscale, NULL, 0, autoscale_view),
};
#undef T
TABLE_DEFINE(control_answer, control_answer_fields, TABLE_REST(control_answer));

static int (*const builders[CONTROL_OP_MAX])(struct control *c, const struct control_request *r,
					     struct err *e) = {
	[CONTROL_SERVICE_CREATE] = control_service_create,
	[CONTROL_SERVICE_UPDATE] = control_service_update,
	[CONTROL_SERVICE_REMOVE] = control_service_remove,
	[CONTROL_PLAN_CHECK] = control_plan_check,
	[CONTROL_SERVICE_REBALANCE] = control_service_rebalance,
	[CONTROL_NODE_UPDATE] = control_node_update,
	[CONTROL_NODE_REMOVE] = control_node_remove,
	[CONTROL_NETWORK_CREATE] = control_network_create,
	[CONTROL_NETWORK_REMOVE] = control_network_remove,
	[CONTROL_CLUSTER_UPDATE] = control_cluster_update,
	[CONTROL_NODE_JOIN] = control_node_join,
	[CONTROL_TASK_STATUS] = control_task_status,
	[CONTROL_NODE_SEEN] = control_node_seen,
	[CONTROL_NODES_LOST] = control_nodes_lost,
	[CONTROL_TASKS_ORPHANED] = control_tasks_orphaned,
	[CONTROL_NODE_LEAVE] = control_node_leave,
	[CONTROL_NODES_DOUBTED] = control_nodes_doubted,
	[CONTROL_NODE_LEFT] = control_node_left,
	[CONTROL_NODE_CERTIFY] = control_node_certify,
	[CONTROL_SECRET_CREATE] = control_secret_create,
	[CONTROL_SECRET_UPDATE] = control_secret_update,
	[CONTROL_SECRET_REMOVE] = control_secret_remove,
};

int control_build(struct control *c, const struct control_request *r, struct err *e)
{
	size_t before = c->out->n;
	int rc;

	if (r->op >= CONTROL_OP_MAX || !builders[r->op])
		return err_set(e, -ENOSYS,
			       "this manager does not know the request (number %" PRIu32
			       "): is it older than the one that sent it?",
			       r->op);
	strs_done(&c->answer->warnings); /* of an earlier run */
	rc = builders[r->op](c, r, e);
	if (rc < 0)
		changes_truncate(c->out, before);
	return rc;
}

/* The only object whose id begins with `prefix`; *ret is NULL when there is none or several. */
static size_t find_prefix(const struct store *view, enum object_kind kind, const char *prefix,
			  const struct object **ret)
{
	size_t n = 0, len = strlen(prefix);
	const struct object *o;
	struct store_walk w;

	store_walk_kind(&w, view, kind);
	while ((o = store_walk_next(&w)) && n < 2) {
		if (strncmp(o->id, prefix, len) == 0) {
			*ret = o;
			n++;
		}
	}
	return n;
}

static const struct object *node_by_hostname(const struct store *view, const char *name,
					     size_t *ret_n)
{
	const struct object *found = NULL;
	const struct node *n;
	struct store_walk w;

	*ret_n = 0;
	store_walk_kind(&w, view, KIND_NODE);
	while ((n = store_walk_next(&w))) {
		if (n->description.hostname && strcmp(n->description.hostname, name) == 0) {
			found = &n->o;
			(*ret_n)++;
		}
	}
	return found;
}

int control_find(const struct store *view, enum object_kind kind, const char *ref,
		 const struct object **ret, struct err *e)
{
	size_t n = 1;

	if (!ref || !*ref)
		return err_set(e, -EINVAL, "the name or id of a %s is missing",
			       object_kind_name(kind));
	*ret = store_get(view, kind, ref);
	if (!*ret)
		*ret = store_named(view, kind, ref);
	if (!*ret && kind == KIND_NODE)
		*ret = node_by_hostname(view, ref, &n);
	if (!*ret)
		n = find_prefix(view, kind, ref, ret);
	if (n > 1)
		return err_set(e, -EINVAL, "%s %s is ambiguous: use more of its id",
			       object_kind_name(kind), ref);
	return *ret ? 0 : err_set(e, -ENOENT, "%s %s not found", object_kind_name(kind), ref);
}
