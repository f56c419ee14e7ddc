/*
 * tag and rmi: the names of images.
 */
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"

/* "host:5000/name:tag": the colon behind the last slash begins the tag. */
int cli_tag(struct cli *c, const struct flags *f)
{
	auto_free char *repo = xstrdup(f->args[1]);
	char *slash = strrchr(repo, '/'), *colon = strchr(slash ? slash : repo, ':');
	auto_buf path = CALL_PATH;
	struct err e = ERR_INIT;

	if (colon)
		*colon = 0;
	path_add(&path, "/images/%/tag", f->args[0]);
	path_query(&path, "repo", repo);
	if (colon)
		path_query(&path, "tag", colon + 1);
	return call_do(c, "POST", buf_text(&path), NULL, &e) < 0 ? cli_fail(c, &e) : 0;
}

struct removed_item {
	char *untagged, *deleted;
};
#define T struct removed_item
static const struct field removed_item_fields[] = {
	FIELD_STR(T, 0, untagged, "Untagged", 0),
	FIELD_STR(T, 0, deleted, "Deleted", 0),
};
#undef T
static TABLE_DEFINE(removed_item, removed_item_fields);

struct removed_items {
	LIST_OF(struct removed_item) list;
};
#define T struct removed_items
static const struct field removed_items_fields[] = {
	FIELD_LIST(T, 0, list, "", 0, removed_item),
};
#undef T
static TABLE_DEFINE(removed_items, removed_items_fields, .transparent = true);

static int remove_one(struct cli *c, const struct flags *f, const char *name, struct err *e)
{
	struct removed_items all = {0};
	auto_buf path = CALL_PATH;
	int rc;

	path_add(&path, "/images/%", name);
	if (flag_true(f, "force"))
		path_query(&path, "force", "1");
	rc = call_read(c, "DELETE", buf_text(&path), NULL, &removed_items_table, &all, e);
	LIST_EACH (item, &all.list) {
		if (item->deleted)
			(void)fprintf(c->out, "Deleted: %s\n", item->deleted);
		else
			(void)fprintf(c->out, "Untagged: %s\n",
				      item->untagged ? item->untagged : "");
	}
	table_done(&removed_items_table, &all);
	return rc;
}

int cli_rmi(struct cli *c, const struct flags *f)
{
	int status = 0;

	for (size_t i = 0; i < f->n_args; i++) {
		struct err e = ERR_INIT;

		if (remove_one(c, f, f->args[i], &e) < 0)
			status = cli_fail(c, &e);
	}
	return status;
}
