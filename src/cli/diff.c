/*
 * shoal diff: what a container changed of its image's files.
 */
#include "cli/call.h"

int cli_diff(struct cli *c, const struct flags *f)
{
	static const char kinds[] = "CAD";
	auto_buf path = CALL_PATH;
	json_t *root = NULL, *item;
	struct err e = ERR_INIT;
	size_t i;

	path_add(&path, "/containers/%/changes", f->args[0]);
	if (call_json(c, buf_text(&path), 0, &root, &e) < 0)
		return cli_fail(c, &e);
	json_array_foreach(root, i, item)
	{
		json_int_t kind = json_integer_value(json_object_get(item, "Kind"));
		const char *name = json_string_value(json_object_get(item, "Path"));

		if (kind >= 0 && kind < (json_int_t)sizeof kinds - 1 && name)
			(void)fprintf(c->out, "%c %s\n", kinds[kind], name);
	}
	json_decref(root);
	return 0;
}
