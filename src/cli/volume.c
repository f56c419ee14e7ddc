/*
 * volume ls and create.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/service_spec.h"

static const struct column columns[] = {
	{"Driver", "DRIVER", true},
	{"Name", "VOLUME NAME", true},
	{"Availability", "AVAILABILITY", false},
	{"Group", "GROUP", false},
	{"Labels", "LABELS", false},
	{"Links", "LINKS", false},
	{"Mountpoint", "MOUNTPOINT", false},
	{"Scope", "SCOPE", false},
	{"Size", "SIZE", false},
	{"Status", "STATUS", false},
};

static const char *text_of(const json_t *v, const char *name)
{
	return json_string_value(json_object_get(v, name));
}

static void row_fill(json_t *row, const json_t *v)
{
	/* What docker knows of cluster volumes, and of sizes in `system df` alone. */
	static const char *const unknown[] = {"Availability", "Group", "Links", "Size", "Status"};
	static const char *const same[] = {"Driver", "Name", "Mountpoint", "Scope"};
	auto_buf labels = BUF_INIT(LIMIT_HTTP_ANSWER);
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(v, "Labels"), key, value)
		buf_addf(&labels, "%s%s=%s", labels.len ? "," : "", key, json_string_value(value));
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		cell_text(row, unknown[i], "N/A");
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		cell_text(row, same[i], text_of(v, same[i]));
	cell_text(row, "Labels", buf_text(&labels));
}

int cli_volume_ls(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	struct err e = ERR_INIT;
	json_t *all = NULL, *v;
	struct listing l;
	int status;
	size_t i;

	path_add(&path, "/volumes");
	if (path_filters(&path, flag_list(f, "filter"), NULL, NULL, &e) < 0 ||
	    call_json(c, buf_text(&path), 0, &all, &e) < 0)
		return cli_fail(c, &e);
	listing_init(&l, columns, ARRAY_LEN(columns), "Name");
	json_array_foreach(json_object_get(all, "Volumes"), i, v) row_fill(listing_row(&l), v);
	status = listing_print(c, &l, f);
	listing_done(&l);
	json_decref(all);
	return status;
}

struct volume_spec {
	char *name, *driver;
	struct strmap options, labels;
};
#define T struct volume_spec
static const struct field volume_spec_fields[] = {
	FIELD_STR(T, 0, name, "Name", FIELD_OMIT),
	FIELD_STR(T, 0, driver, "Driver", 0),
	FIELD_STRMAP(T, 0, options, "DriverOpts", 0),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
};
#undef T
static TABLE_DEFINE(volume_spec, volume_spec_fields);

struct volume_made {
	char *name;
};
#define T struct volume_made
static const struct field volume_made_fields[] = {
	FIELD_STR(T, 0, name, "Name", 0),
};
#undef T
static TABLE_DEFINE(volume_made, volume_made_fields);

int cli_volume_create(struct cli *c, const struct flags *f)
{
	const char *driver = flag_text(f, "driver");
	struct volume_spec spec = {.driver = xstrdup(driver ? driver : "local")};
	struct volume_made made = {0};
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct err e = ERR_INIT;
	int rc;

	spec.name = f->n_args ? xstrdup(f->args[0]) : NULL;
	STRS_EACH (item, flag_list(f, "label"))
		label_put(&spec.labels, item);
	STRS_EACH (item, flag_list(f, "opt"))
		label_put(&spec.options, item);
	path_add(&path, "/volumes/create");
	rc = call_body(&volume_spec_table, &spec, &body, &e);
	if (rc == 0)
		rc = call_read(c, "POST", buf_text(&path), &body, &volume_made_table, &made, &e);
	if (rc == 0)
		(void)fprintf(c->out, "%s\n", made.name ? made.name : "");
	table_done(&volume_spec_table, &spec);
	table_done(&volume_made_table, &made);
	return rc < 0 ? cli_fail(c, &e) : 0;
}
