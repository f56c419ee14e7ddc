/*
 * node ls, update, promote and demote, and which node this is.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/spec_flags.h"
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

int node_self(struct cli *c, char **ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct info_view info = {0};
	int rc;

	path_add(&path, "/info");
	rc = call_get(c, buf_text(&path), &info_view_table, &info, e);
	if (rc == 0 && (!info.swarm.node || !*info.swarm.node))
		rc = err_set(e, -EAGAIN,
			     "This node is not part of a swarm: use \"shoal swarm init\" or "
			     "\"shoal swarm join\" first");
	if (rc == 0)
		*ret = TAKE_PTR(info.swarm.node);
	table_done(&info_view_table, &info);
	return rc;
}

int node_path(struct cli *c, const char *name, struct buf *ret, struct err *e)
{
	auto_free char *self = NULL;
	int rc = strcmp(name, "self") == 0 ? node_self(c, &self, e) : 0;

	if (rc == 0)
		path_add(ret, "/nodes/%", self ? self : name);
	return rc;
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

static int availability_read(const char *text, enum node_availability *ret, struct err *e)
{
	static const char *const names[] = {"active", "pause", "drain"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], text) == 0) {
			*ret = (enum node_availability)i;
			return 0;
		}
	return err_set(e, -EINVAL, "invalid availability %s: it must be active, pause or drain",
		       text);
}

static int role_read(const char *text, enum node_role *ret, struct err *e)
{
	if (strcmp(text, "worker") != 0 && strcmp(text, "manager") != 0)
		return err_set(e, -EINVAL, "invalid role %s: it must be worker or manager", text);
	*ret = *text == 'm' ? ROLE_MANAGER : ROLE_WORKER;
	return 0;
}

static int spec_change(const struct flags *f, struct node_spec *s, struct err *e)
{
	const char *availability = flag_text(f, "availability");
	const char *role = flag_text(f, "role");

	if (availability && availability_read(availability, &s->availability, e) < 0)
		return e->code;
	if (role && role_read(role, &s->role, e) < 0)
		return e->code;
	STRS_EACH (key, flag_list(f, "label-rm")) {
		if (!strmap_get(&s->labels, key))
			return err_set(e, -ENOENT, "key %s doesn't exist in node's labels", key);
		strmap_remove(&s->labels, key);
	}
	spec_labels(&s->labels, f, "label-add");
	return 0;
}

static int spec_send(struct cli *c, const struct node *n, struct err *e)
{
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	auto_free char *version = xasprintf("%" PRIu64, n->o.version.index);
	int rc = call_body(&node_spec_table, &n->spec, &body, e);

	if (rc < 0)
		return rc;
	path_add(&path, "/nodes/%/update", n->o.id);
	path_query(&path, "version", version);
	return call_do(c, "POST", buf_text(&path), &body, e);
}

static int update(struct cli *c, const struct flags *f, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct node n = {0};
	int rc;

	rc = node_path(c, f->args[0], &path, e);
	if (rc == 0)
		rc = call_get(c, buf_text(&path), &node_table, &n, e);
	if (rc == 0)
		rc = spec_change(f, &n.spec, e);
	if (rc == 0)
		rc = spec_send(c, &n, e);
	table_done(&node_table, &n);
	return rc;
}

/* 0 with *ret_had: it has that role already. */
static int role_set(struct cli *c, const char *node, enum node_role role, bool *ret_had,
		    struct err *e)
{
	auto_buf path = CALL_PATH;
	struct node n = {0};
	int rc;

	rc = node_path(c, node, &path, e);
	if (rc == 0)
		rc = call_get(c, buf_text(&path), &node_table, &n, e);
	*ret_had = rc == 0 && n.spec.role == role;
	if (rc == 0 && !*ret_had) {
		n.spec.role = role;
		rc = spec_send(c, &n, e);
	}
	table_done(&node_table, &n);
	return rc;
}

static int roles_set(struct cli *c, const struct flags *f, enum node_role role)
{
	static const char *const names[] = {"worker", "manager"};
	int status = 0;

	for (size_t i = 0; i < f->n_args; i++) {
		struct err e = ERR_INIT;
		bool had;

		if (role_set(c, f->args[i], role, &had, &e) < 0)
			status = cli_fail(c, &e);
		else if (had)
			(void)fprintf(c->out, "Node %s is already a %s.\n", f->args[i],
				      names[role]);
		else if (role == ROLE_MANAGER)
			(void)fprintf(c->out, "Node %s promoted to a manager in the swarm.\n",
				      f->args[i]);
		else
			(void)fprintf(c->out, "Manager %s demoted in the swarm.\n", f->args[i]);
	}
	return status;
}

int cli_node_promote(struct cli *c, const struct flags *f)
{
	return roles_set(c, f, ROLE_MANAGER);
}

int cli_node_demote(struct cli *c, const struct flags *f)
{
	return roles_set(c, f, ROLE_WORKER);
}

int cli_node_update(struct cli *c, const struct flags *f)
{
	struct err e = ERR_INIT;

	if (update(c, f, &e) < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out, "%s\n", f->args[0]);
	return 0;
}
