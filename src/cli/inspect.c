/*
 * The inspect commands: what the daemon says of an object, whole.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/template.h"

struct kind {
	const char *name; /* as --type says it, and in "no such ..." */
	const char *pattern;
};

static const struct kind kinds[] = {
	{"container", "/containers/%/json"},
	{"image", "/images/%/json"},
	{"network", "/networks/%"},
	{"volume", "/volumes/%"},
	{"service", "/services/%"},
	{"task", "/tasks/%"},
	{"node", "/nodes/%"},
	{"secret", "/secrets/%"},
	{"config", "/configs/%"},
};

static int get(struct cli *c, const struct kind *k, const char *name, json_t **ret, struct err *e)
{
	auto_buf path = CALL_PATH;

	if (strcmp(k->name, "node") == 0 && node_path(c, name, &path, e) < 0)
		return e->code;
	if (!path.len)
		path_add(&path, k->pattern, name);
	return call_json(c, buf_text(&path), 0, ret, e);
}

/* The first kind that knows the name; a node outside a swarm refuses, which says nothing. */
static int find(struct cli *c, const char *type, const char *name, json_t **ret, struct err *e)
{
	struct err last = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (type && strcmp(kinds[i].name, type) != 0)
			continue;
		if (get(c, &kinds[i], name, ret, &last) == 0)
			return 0;
		if (type)
			return err_set(e, last.code, "%s", last.msg);
		if (last.code != -ENOENT && last.code != -EAGAIN && last.code != -ENOSYS)
			return err_set(e, last.code, "%s", last.msg);
	}
	if (type)
		return err_set(e, -EINVAL, "\"%s\" is not a valid value for --type", type);
	return err_set(e, -ENOENT, "Error: No such object: %s", name);
}

static int print(struct cli *c, const json_t *found, const char *format)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct err e = ERR_INIT;
	const json_t *v;
	size_t i;

	if (!format || !*format) {
		auto_free char *text = json_dumps(found, JSON_INDENT(4));

		(void)fprintf(c->out, "%s\n", text ? text : "[]");
		return 0;
	}
	if (strcmp(format, "json") == 0)
		format = "{{json .}}";
	json_array_foreach(found, i, v)
	{
		if (template_run(format, v, &b, &e) < 0)
			return cli_fail(c, &e);
		buf_addc(&b, '\n');
	}
	(void)fputs(buf_text(&b), c->out);
	return 0;
}

static int inspect(struct cli *c, const struct flags *f, const char *type)
{
	json_t *found = json_array();
	int status = 0;

	for (size_t i = 0; i < f->n_args; i++) {
		struct err e = ERR_INIT;
		json_t *v = NULL;

		if (find(c, type, f->args[i], &v, &e) < 0)
			status = cli_fail(c, &e);
		else
			json_array_append_new(found, v);
	}
	status |= print(c, found, flag_text(f, "format"));
	json_decref(found);
	return status;
}

int cli_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, flag_text(f, "type"));
}

int cli_service_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "service");
}

int cli_node_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "node");
}

int cli_secret_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "secret");
}

int cli_config_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "config");
}

int cli_network_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "network");
}

int cli_volume_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "volume");
}
