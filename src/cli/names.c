/*
 * See names.h.
 */
#include "cli/names.h"

#include "base/mem.h"
#include "cli/call.h"
#include "cli/views.h"

const char *names_service(struct names *n, const char *id)
{
	auto_buf path = CALL_PATH;
	struct service s = {0};

	if (n->off || !id || !*id)
		return id ? id : "";
	if (strmap_get(&n->services, id))
		return strmap_get(&n->services, id);
	path_add(&path, "/services/%", id);
	if (call_get(n->c, buf_text(&path), &service_table, &s, NULL) < 0 || !s.spec.name)
		strmap_set(&n->services, id, id);
	else
		strmap_set(&n->services, id, s.spec.name);
	table_done(&service_table, &s);
	return strmap_get(&n->services, id);
}

const char *names_node(struct names *n, const char *id)
{
	auto_buf path = CALL_PATH;
	struct node node = {0};
	const char *name = id;

	if (n->off || !id || !*id)
		return id ? id : "";
	if (strmap_get(&n->nodes, id))
		return strmap_get(&n->nodes, id);
	path_add(&path, "/nodes/%", id);
	if (call_get(n->c, buf_text(&path), &node_table, &node, NULL) == 0) {
		if (node.description.hostname)
			name = node.description.hostname;
		if (node.spec.name && *node.spec.name)
			name = node.spec.name;
	}
	strmap_set(&n->nodes, id, name);
	table_done(&node_table, &node);
	return strmap_get(&n->nodes, id);
}

void names_done(struct names *n)
{
	strmap_done(&n->services);
	strmap_done(&n->nodes);
}
