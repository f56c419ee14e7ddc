/*
 * ps: the containers of this host.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/ports.h"
#include "cli/text.h"
#include "cli/views.h"

static const struct column columns[] = {
	{"ID", "CONTAINER ID", true},    {"Image", "IMAGE", true},
	{"Command", "COMMAND", true},    {"RunningFor", "CREATED", true},
	{"Status", "STATUS", true},      {"Ports", "PORTS", true},
	{"Names", "NAMES", true},        {"CreatedAt", "CREATED AT", false},
	{"State", "STATE", false},       {"Labels", "LABELS", false},
	{"Mounts", "MOUNTS", false},     {"LocalVolumes", "LOCAL VOLUMES", false},
	{"Networks", "NETWORKS", false}, {"Size", "SIZE", false},
};

/* The container's own names, and with `whole` those that links of others gave it. */
static char *names_text(const struct container_view *v, bool whole)
{
	struct buf b = BUF_INIT(LIMIT_HTTP_ANSWER);

	STRS_EACH (name, &v->names) {
		const char *own = name + (*name == '/');

		if (whole || !strchr(own, '/'))
			buf_addf(&b, "%s%s", b.len ? "," : "", own);
	}
	return buf_take(&b);
}

static void lists_fill(json_t *row, const struct container_view *v, bool whole)
{
	auto_buf labels = BUF_INIT(LIMIT_HTTP_ANSWER);
	auto_buf mounts = BUF_INIT(LIMIT_HTTP_ANSWER);
	auto_buf networks = BUF_INIT(LIMIT_HTTP_ANSWER);
	size_t local = 0;

	LIST_EACH (l, &v->labels)
		buf_addf(&labels, "%s%s=%s", labels.len ? "," : "", l->key, l->value);
	LIST_EACH (m, &v->mounts) {
		const char *name = m->name && *m->name ? m->name : m->source;
		auto_free char *cut = text_cut(name ? name : "", whole ? SIZE_MAX : 15);

		buf_addf(&mounts, "%s%s", mounts.len ? "," : "", cut);
		local += m->type && strcmp(m->type, "volume") == 0;
	}
	LIST_EACH (n, &v->settings.networks)
		buf_addf(&networks, "%s%s", networks.len ? "," : "", n->key);
	cell_text(row, "Labels", buf_text(&labels));
	cell_text(row, "Mounts", buf_text(&mounts));
	cell_text(row, "Networks", buf_text(&networks));
	cell_format(row, "LocalVolumes", "%zu", local);
}

static void size_fill(json_t *row, const struct container_view *v)
{
	char rw[TEXT_SHORT];
	char root[TEXT_SHORT];

	size_human((double)v->size_rw, 3, rw);
	size_human((double)v->size_root, 3, root);
	if (v->size_root > 0)
		cell_format(row, "Size", "%s (virtual %s)", rw, root);
	else
		cell_text(row, "Size", rw);
}

static void row_fill(json_t *row, const struct container_view *v, bool whole, int64_t now_ns)
{
	char time[TEXT_SHORT];
	auto_free char *command = text_cut(v->command ? v->command : "", whole ? SIZE_MAX : 20);

	cell_take(row, "ID", id_short(v->id, whole));
	cell_text(row, "Image", v->image);
	cell_format(row, "Command", "\"%s\"", command);
	duration_human(now_ns - v->created * NS_PER_SEC, time);
	cell_format(row, "RunningFor", "%s ago", time);
	time_local(v->created * NS_PER_SEC, time);
	cell_text(row, "CreatedAt", time);
	cell_text(row, "Status", v->status);
	cell_text(row, "State", v->state);
	cell_take(row, "Ports", ports_text(v->ports.v, v->ports.n));
	cell_take(row, "Names", names_text(v, whole));
	lists_fill(row, v, whole);
	size_fill(row, v);
}

static int path_make(struct buf *path, const struct flags *f, struct err *e)
{
	int64_t last = flag_is_set(f, "last") ? flag_get(f, "last")->number : -1;

	if (flag_true(f, "latest") && last == -1)
		last = 1;
	path_add(path, "/containers/json");
	if (flag_true(f, "all"))
		path_query(path, "all", "1");
	if (last > 0) {
		auto_free char *text = xasprintf("%" PRId64, last);

		path_query(path, "limit", text);
	}
	if (flag_true(f, "size"))
		path_query(path, "size", "1");
	return path_filters(path, flag_list(f, "filter"), NULL, NULL, e);
}

int cli_ps(struct cli *c, const struct flags *f)
{
	struct column shown[ARRAY_LEN(columns)];
	auto_buf path = CALL_PATH;
	struct list_container_view all = {0};
	struct err e = ERR_INIT;
	struct listing l;
	int status;

	if (path_make(&path, f, &e) < 0 ||
	    call_get(c, buf_text(&path), &list_container_view_table, &all, &e) < 0)
		return cli_fail(c, &e);
	memcpy(shown, columns, sizeof shown);
	shown[ARRAY_LEN(shown) - 1].shown = flag_true(f, "size");
	listing_init(&l, shown, ARRAY_LEN(shown), "ID");
	LIST_EACH (v, &all.list)
		row_fill(listing_row(&l), v, flag_true(f, "no-trunc"), clock_wall_ns());
	status = listing_print(c, &l, f);
	listing_done(&l);
	table_done(&list_container_view_table, &all);
	return status;
}
