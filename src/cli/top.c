/*
 * shoal top: a container's processes as the host's ps has them.
 */
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"

#define TEXT_MAX (64u << 20) /* bytes of the table */

static void add_line(struct buf *b, json_t *cells)
{
	size_t i;
	json_t *cell;

	json_array_foreach(cells, i, cell)
	{
		if (i)
			(void)buf_addc(b, '\t');
		(void)buf_adds(b, json_string_value(cell) ? json_string_value(cell) : "");
	}
	(void)buf_addc(b, '\n');
}

static int ask(struct cli *c, const struct flags *f, json_t **ret, struct err *e)
{
	auto_buf path = CALL_PATH, args = CALL_PATH;

	for (size_t i = 1; i < f->n_args; i++)
		(void)buf_addf(&args, "%s%s", i > 1 ? " " : "", f->args[i]);
	path_add(&path, "/containers/%/top", f->args[0]);
	if (args.len)
		path_query(&path, "ps_args", buf_text(&args));
	return call_json(c, buf_text(&path), 0, ret, e);
}

int cli_top(struct cli *c, const struct flags *f)
{
	auto_buf text = BUF_INIT(TEXT_MAX);
	json_t *root = NULL, *row;
	struct err e = ERR_INIT;
	size_t i;

	if (ask(c, f, &root, &e) < 0)
		return cli_fail(c, &e);
	add_line(&text, json_object_get(root, "Titles"));
	json_array_foreach(json_object_get(root, "Processes"), i, row) add_line(&text, row);
	columns_print(c->out, buf_text(&text));
	json_decref(root);
	return 0;
}
