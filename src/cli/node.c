/*
 * node ls.
 */
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/views.h"

static const struct column columns[] = {
	{".ID", "ID", true},
	{"Hostname", "HOSTNAME", true},
	{"Status", "STATUS", true},
	{"Availability", "AVAILABILITY", true},
	{"ManagerStatus", "MANAGER STATUS", true},
	{"EngineVersion", "ENGINE VERSION", true},
	{"ID", "ID", false},
	{"Self", "SELF", false},
	{"TLSStatus", "TLS STATUS", false},
};

struct info_swarm {
	char *node;
};
struct info_view {
	struct info_swarm swarm;
};
static const struct field info_swarm_fields[] = {
	FIELD_STR(struct info_swarm, 0, node, "NodeID", 0)};
static TABLE_DEFINE(info_swarm, info_swarm_fields);
static const struct field info_view_fields[] = {
	FIELD_OBJ(struct info_view, 0, swarm, "Swarm", 0, info_swarm)};
static TABLE_DEFINE(info_view, info_view_fields);

static void row_fill(json_t *row, const struct node *n, const char *self)
{
	static const char *const states[] = {"Unknown", "Down", "Ready", "Disconnected"};
	static const char *const availabilities[] = {"Active", "Pause", "Drain"};
	static const char *const reached[] = {"Unknown", "Unreachable", "Reachable"};
	bool here = self && strcmp(self, n->o.id) == 0;
	const char *status = "";

	if (n->manager)
		status = n->manager->leader ? "Leader" : reached[n->manager->reachability];
	cell_format(row, ".ID", "%s %s", n->o.id, here ? "*" : " ");
	cell_text(row, "ID", n->o.id);
	json_object_set_new(row, "Self", json_boolean(here));
	cell_text(row, "Hostname", n->description.hostname);
	cell_text(row, "Status", states[n->status.state]);
	cell_text(row, "Availability", availabilities[n->spec.availability]);
	cell_text(row, "ManagerStatus", status);
	cell_text(row, "EngineVersion", n->description.engine.version);
	cell_text(row, "TLSStatus", n->description.tls.trust_root ? "Ready" : "Unknown");
}

static int by_hostname(const void *a, const void *b)
{
	const struct node *x = a;
	const struct node *y = b;

	return strverscmp(x->description.hostname ? x->description.hostname : "",
			  y->description.hostname ? y->description.hostname : "");
}

int cli_node_ls(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	auto_buf info_path = CALL_PATH;
	struct list_node all = {0};
	struct info_view info = {0};
	struct err e = ERR_INIT;
	struct listing l;
	int status;

	path_add(&path, "/nodes");
	path_add(&info_path, "/info");
	if (path_filters(&path, flag_list(f, "filter"), NULL, NULL, &e) < 0 ||
	    call_get(c, buf_text(&path), &list_node_table, &all, &e) < 0)
		return cli_fail(c, &e);
	if (call_get(c, buf_text(&info_path), &info_view_table, &info, &e) < 0) {
		table_done(&list_node_table, &all);
		return cli_fail(c, &e);
	}
	if (all.list.n)
		qsort(all.list.v, all.list.n, sizeof *all.list.v, by_hostname);
	listing_init(&l, columns, ARRAY_LEN(columns), "ID");
	LIST_EACH (n, &all.list)
		row_fill(listing_row(&l), n, info.swarm.node);
	status = listing_print(c, &l, f);
	listing_done(&l);
	table_done(&list_node_table, &all);
	table_done(&info_view_table, &info);
	return status;
}
