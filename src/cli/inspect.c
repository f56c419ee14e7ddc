/*
 * The inspect commands: what the daemon says of an object, whole.
 */
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/compose/stack.h"
#include "cli/pretty.h"
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

/* --pretty */

/* Into one struct of its kind, with its names looked up, as text. */
static int service_show(struct cli *c, const char *name, struct buf *ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct service_view v = {0};
	struct strs networks = {0};
	int rc;

	path_add(&path, "/services/%", name);
	rc = call_get(c, buf_text(&path), &service_view_table, &v, e);
	LIST_EACH (a, &v.s.spec.task.networks) {
		auto_buf at = CALL_PATH;
		struct network_view n = {0};

		path_add(&at, "/networks/%", a->target);
		if (rc == 0 && call_get(c, buf_text(&at), &network_view_table, &n, NULL) == 0)
			strs_add(&networks, n.name);
		else
			strs_add(&networks, a->target); /* it was removed meanwhile */
		table_done(&network_view_table, &n);
	}
	if (rc == 0)
		pretty_service(&v.s, &networks, clock_wall_ns(), ret);
	strs_done(&networks);
	table_done(&service_view_table, &v);
	return rc;
}

static int node_show(struct cli *c, const char *name, struct buf *ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct node n = {0};
	int rc = node_path(c, name, &path, e);

	if (rc == 0)
		rc = call_get(c, buf_text(&path), &node_table, &n, e);
	if (rc == 0)
		pretty_node(&n, ret);
	table_done(&node_table, &n);
	return rc;
}

static int secret_show(struct cli *c, const char *name, struct buf *ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct secret s = {0};
	int rc;

	path_add(&path, "/secrets/%", name);
	rc = call_get(c, buf_text(&path), &secret_table, &s, e);
	if (rc == 0)
		pretty_secret(&s, NULL, ret);
	table_done(&secret_table, &s);
	return rc;
}

/* The content, beside what secrets have as well. */
struct config_content {
	struct stack_blob spec;
};
static const struct field config_content_fields[] = {
	FIELD_OBJ(struct config_content, 0, spec, "Spec", 0, stack_blob)};
static TABLE_DEFINE(config_content, config_content_fields);

static int config_show(struct cli *c, const char *name, struct buf *ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct config_content content = {0};
	struct secret s = {0};
	int rc;

	path_add(&path, "/configs/%", name);
	rc = call_get(c, buf_text(&path), &config_table, &s, e);
	if (rc == 0)
		rc = call_get(c, buf_text(&path), &config_content_table, &content, e);
	if (rc == 0)
		pretty_secret(&s, &content.spec.data, ret);
	table_done(&config_content_table, &content);
	table_done(&config_table, &s);
	return rc;
}

static int inspect_or_show(struct cli *c, const struct flags *f, const char *type,
			   int (*show)(struct cli *c, const char *name, struct buf *ret,
				       struct err *e))
{
	struct err e = ERR_INIT;
	int status = 0;

	if (!flag_true(f, "pretty"))
		return inspect(c, f, type);
	if (flag_text(f, "format") && *flag_text(f, "format")) {
		(void)err_set(&e, -EINVAL, "--format is incompatible with human friendly format");
		return cli_fail(c, &e);
	}
	for (size_t i = 0; i < f->n_args; i++) {
		auto_buf text = BUF_INIT(LIMIT_HTTP_ANSWER);

		e = ERR_INIT;
		if (show(c, f->args[i], &text, &e) < 0)
			status = cli_fail(c, &e);
		(void)fwrite(buf_text(&text), 1, text.len, c->out);
	}
	return status;
}

int cli_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, flag_text(f, "type"));
}

int cli_service_inspect(struct cli *c, const struct flags *f)
{
	return inspect_or_show(c, f, "service", service_show);
}

int cli_node_inspect(struct cli *c, const struct flags *f)
{
	return inspect_or_show(c, f, "node", node_show);
}

int cli_secret_inspect(struct cli *c, const struct flags *f)
{
	return inspect_or_show(c, f, "secret", secret_show);
}

int cli_config_inspect(struct cli *c, const struct flags *f)
{
	return inspect_or_show(c, f, "config", config_show);
}

int cli_network_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "network");
}

int cli_volume_inspect(struct cli *c, const struct flags *f)
{
	return inspect(c, f, "volume");
}
