/*
 * What services ask of nodes by kinds and names: generic resources, devices, privileges. See
 * service_spec.h.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/service_spec.h"
#include "cli/spec_flags.h"
#include "model/task_rights.h"

static const char *kind_of(const struct generic_resource *r)
{
	const char *kind = r->discrete ? r->discrete->kind : r->named ? r->named->kind : NULL;

	return kind ? kind : "";
}

static void kind_remove(struct generics *g, const char *kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->n; i++) {
		if (strcmp(kind_of(&g->v[i]), kind) == 0)
			table_done(&generic_resource_table, &g->v[i]);
		else
			g->v[kept++] = g->v[i];
	}
	g->n = kept;
}

static int wish_read(const struct strs *texts, struct generics *ret, struct err *e)
{
	int rc = generics_parse(texts, ret, e);

	LIST_EACH (r, ret)
		if (rc == 0 && r->named)
			rc = err_set(e, -EINVAL,
				     "invalid generic-resource request `%s=%s`, Named Generic "
				     "Resources is not supported for service create or update",
				     r->named->kind, r->named->value);
	return rc;
}

int service_generic(struct task_spec *t, const struct flags *f, const char *add, const char *remove,
		    struct err *e)
{
	const struct strs *adds = flag_list(f, add);
	const struct strs *removes = remove ? flag_list(f, remove) : NULL;
	struct generics wish = {0};
	struct resources *r;
	int rc;

	if (!adds->n && !(removes && removes->n))
		return 0;
	if (!t->resources)
		t->resources = xcalloc(1, sizeof *t->resources);
	if (!t->resources->reservations)
		t->resources->reservations = xcalloc(1, sizeof *t->resources->reservations);
	r = t->resources->reservations;
	for (size_t i = 0; removes && i < removes->n; i++)
		kind_remove(&r->generic, removes->v[i]);
	rc = wish_read(adds, &wish, e);
	if (rc == 0) {
		LIST_EACH (one, &wish)
			kind_remove(&r->generic, kind_of(one));
		generics_add(&r->generic, &wish);
	}
	generics_done(&wish);
	return rc;
}

static bool is_same_device(const char *one, const char *host)
{
	size_t n = strlen(host);

	return strncmp(one, host, n) == 0 && (!one[n] || one[n] == ':');
}

/* The label's list without `host`. */
static void device_remove(struct strs *list, const char *host)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (is_same_device(list->v[i], host))
			free(list->v[i]);
		else
			list->v[kept++] = list->v[i];
	}
	list->n = kept;
}

static void devices_split(const char *text, struct strs *ret)
{
	auto_free char *copy = xstrdup(text ? text : "");
	char *at = copy, *one;

	while ((one = strsep(&at, ",")))
		if (*one)
			strs_add(ret, one);
}

static int device_add(struct strs *list, const char *text, struct err *e)
{
	struct device_mapping d = {0};
	int rc = device_mapping_parse(text, &d, e);

	if (rc == 0) {
		device_remove(list, d.host);
		strs_add(list, text);
	}
	table_done(&device_mapping_table, &d);
	return rc;
}

static void devices_label(struct strmap *labels, const struct strs *list)
{
	auto_buf text = BUF_INIT(LIMIT_JSON_BODY);

	STRS_EACH (one, list)
		buf_addf(&text, "%s%s", text.len ? "," : "", one);
	if (list->n)
		strmap_set(labels, DEVICES_LABEL, buf_text(&text));
	else
		strmap_remove(labels, DEVICES_LABEL);
}

int service_rights(struct container_spec *c, const struct flags *f, const char *add,
		   const char *remove, struct err *e)
{
	struct strs list = {0};
	int rc = 0;

	if (flag_is_set(f, "privileged") && flag_true(f, "privileged"))
		strmap_set(&c->labels, PRIVILEGED_LABEL, "true");
	else if (flag_is_set(f, "privileged"))
		strmap_remove(&c->labels, PRIVILEGED_LABEL);
	if (!flag_list(f, add)->n && !(remove && flag_list(f, remove)->n))
		return 0;
	devices_split(strmap_get(&c->labels, DEVICES_LABEL), &list);
	for (size_t i = 0; remove && i < flag_list(f, remove)->n; i++)
		device_remove(&list, flag_list(f, remove)->v[i]);
	for (size_t i = 0; rc == 0 && i < flag_list(f, add)->n; i++)
		rc = device_add(&list, flag_list(f, add)->v[i], e);
	if (rc == 0)
		devices_label(&c->labels, &list);
	strs_done(&list);
	return rc;
}
