/*
 * The secrets and configs of a service from flags: --secret and --config of create, and those with
 * -add and -rm of update. Names are looked up, as the daemon takes ids. See service_spec.h.
 */
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/service_spec.h"
#include "cli/views.h"

/* The id of the secret or config of this name; free() it. */
static int id_find(struct cli *c, const char *kind, const char *name, char **ret, struct err *e)
{
	auto_free char *route = xasprintf("/%ss/%%", kind);
	auto_buf path = CALL_PATH;
	struct secret s = {0};
	int rc;

	path_add(&path, route, name);
	rc = call_get(c, buf_text(&path), &secret_table, &s, e);
	if (rc == 0 && (!s.spec.name || strcmp(s.spec.name, name) != 0))
		rc = err_set(e, -ENOENT, "%s not found: %s", kind, name);
	if (rc == 0)
		*ret = xstrdup(s.o.id);
	table_done(&secret_table, &s);
	return rc;
}

static int one_add(struct cli *c, struct container_spec *s, const char *kind, const char *text,
		   struct err *e)
{
	auto_free char *name = NULL, *id = NULL;
	struct file_target file = {0};
	int rc = file_parse(text, &name, &file, e);

	if (rc == 0)
		rc = id_find(c, kind, name, &id, e);
	if (rc < 0) {
		table_done(&file_target_table, &file);
		return rc;
	}
	if (strcmp(kind, "secret") == 0)
		*LIST_ADD(&s->secrets) = (struct secret_ref){.id = TAKE_PTR(id),
							     .name = TAKE_PTR(name),
							     .file = xmemdup(&file, sizeof file)};
	else
		*LIST_ADD(&s->configs) = (struct config_ref){.id = TAKE_PTR(id),
							     .name = TAKE_PTR(name),
							     .file = xmemdup(&file, sizeof file)};
	return 0;
}

static void secret_drop(struct container_spec *s, const char *name)
{
	for (size_t i = s->secrets.n; i > 0; i--) {
		struct secret_ref *r = &s->secrets.v[i - 1];

		if (strcmp(r->name, name) != 0)
			continue;
		table_done(&secret_ref_table, r);
		memmove(r, r + 1, (s->secrets.n - i) * sizeof *r);
		s->secrets.n--;
	}
}

static void config_drop(struct container_spec *s, const char *name)
{
	for (size_t i = s->configs.n; i > 0; i--) {
		struct config_ref *r = &s->configs.v[i - 1];

		if (strcmp(r->name, name) != 0)
			continue;
		table_done(&config_ref_table, r);
		memmove(r, r + 1, (s->configs.n - i) * sizeof *r);
		s->configs.n--;
	}
}

int service_files_fill(struct cli *c, struct container_spec *s, const struct flags *f,
		       struct err *e)
{
	int rc = 0;

	STRS_EACH (text, flag_list(f, "secret"))
		if (rc == 0)
			rc = one_add(c, s, "secret", text, e);
	STRS_EACH (text, flag_list(f, "config"))
		if (rc == 0)
			rc = one_add(c, s, "config", text, e);
	return rc;
}

int service_files_change(struct cli *c, struct container_spec *s, const struct flags *f,
			 struct err *e)
{
	int rc = 0;

	STRS_EACH (name, flag_list(f, "secret-rm"))
		secret_drop(s, name);
	STRS_EACH (name, flag_list(f, "config-rm"))
		config_drop(s, name);
	STRS_EACH (text, flag_list(f, "secret-add"))
		if (rc == 0)
			rc = one_add(c, s, "secret", text, e);
	STRS_EACH (text, flag_list(f, "config-add"))
		if (rc == 0)
			rc = one_add(c, s, "config", text, e);
	return rc;
}
