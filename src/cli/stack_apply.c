/*
 * Making the cluster have a stack: networks first, then secrets and configs, then services. What is
 * there already is updated under its version; a service whose tasks would be the same keeps them,
 * which the daemon decides.
 */
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/stack.h"

#define T struct stack_item_spec
static const struct field stack_item_spec_fields[] = {FIELD_STR(T, 0, name, "Name", 0)};
#undef T
static TABLE_DEFINE(stack_item_spec, stack_item_spec_fields);
#define T struct stack_item
static const struct field stack_item_fields[] = {
	FIELD_STR(T, 0, id, "ID", 0),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STR(T, 0, scope, "Scope", 0),
	FIELD_OBJ(T, 0, version, "Version", 0, version),
	FIELD_OBJ(T, 0, spec, "Spec", 0, stack_item_spec),
};
#undef T
TABLE_DEFINE(stack_item, stack_item_fields);
static const struct field list_stack_item_fields[] = {
	FIELD_LIST(struct list_stack_item, 0, list, "list", 0, stack_item)};
TABLE_DEFINE(list_stack_item, list_stack_item_fields, .transparent = true);

char *stack_label(const char *name)
{
	return name ? xasprintf(STACK_LABEL "=%s", name) : xstrdup(STACK_LABEL);
}

int stack_get(struct cli *c, const char *family, const char *name, const struct table *t, void *ret,
	      struct err *e)
{
	auto_free char *label = stack_label(name);
	auto_free char *pattern = xasprintf("/%s", family);
	auto_buf path = CALL_PATH;
	int rc;

	path_add(&path, pattern);
	rc = path_filters(&path, &(struct strs){0}, "label", label, e);
	return rc < 0 ? rc : call_get(c, buf_text(&path), t, ret, e);
}

/* The object by its name; 1 when there is none. */
static int item_find(struct cli *c, const char *family, const char *name, struct stack_item *ret,
		     struct err *e)
{
	auto_free char *pattern = xasprintf("/%s/%%", family);
	auto_buf path = CALL_PATH;
	int rc;

	path_add(&path, pattern, name);
	rc = call_get(c, buf_text(&path), &stack_item_table, ret, e);
	return rc == -ENOENT ? 1 : rc;
}

static int create(struct cli *c, const char *pattern, const struct table *t, const void *obj,
		  char **ret_id, struct err *e)
{
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct id_view made = {0};
	int rc = call_body(t, obj, &body, e);

	path_add(&path, pattern);
	if (rc == 0)
		rc = call_read(c, "POST", buf_text(&path), &body, &id_view_table, &made, e);
	STRS_EACH (text, &made.warnings)
		(void)fprintf(c->err, "%s\n", text);
	if (rc == 0 && ret_id)
		*ret_id = TAKE_PTR(made.id);
	table_done(&id_view_table, &made);
	return rc;
}

/* Networks */

int stack_external_check(struct cli *c, const char *name, struct err *e)
{
	struct stack_item item = {0};
	int rc;

	if (network_is_nodes_own(name))
		return 0;
	rc = item_find(c, "networks", name, &item, e);
	if (rc == 1)
		rc = err_set(e, -ENOENT,
			     "network \"%s\" is declared as external, but could not be found: "
			     "create it as a network of the swarm first",
			     name);
	else if (rc == 0 && (!item.scope || strcmp(item.scope, "swarm") != 0))
		rc = err_set(e, -EINVAL,
			     "network \"%s\" is declared as external, but it is of the scope %s, "
			     "not of the swarm",
			     name, item.scope ? item.scope : "local");
	table_done(&stack_item_table, &item);
	return rc;
}

static int network_ensure(struct cli *c, const struct network_spec *spec, struct err *e)
{
	struct stack_item item = {0};
	int rc = item_find(c, "networks", spec->name, &item, e);

	table_done(&stack_item_table, &item);
	if (rc <= 0)
		return rc;
	(void)fprintf(c->out, "Creating network %s\n", spec->name);
	rc = create(c, "/networks/create", &network_spec_table, spec, NULL, e);
	return rc < 0 ? err_wrap(e, "failed to create network %s", spec->name) : 0;
}

static int networks_ensure(struct cli *c, const struct stack *s, struct err *e)
{
	int rc = 0;

	STRS_EACH (name, &s->external_networks)
		if (rc == 0)
			rc = stack_external_check(c, name, e);
	LIST_EACH (n, &s->networks)
		if (rc == 0)
			rc = network_ensure(c, n, e);
	return rc;
}

/* Secrets and configs: the API takes other labels for what is there, but no other content. */

static int blob_update(struct cli *c, const char *family, const struct stack_item *item,
		       const struct stack_blob *b, struct err *e)
{
	auto_free char *version = xasprintf("%" PRIu64, item->version.index);
	auto_free char *pattern = xasprintf("/%s/%%/update", family);
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	int rc = call_body(&stack_blob_table, b, &body, e);

	path_add(&path, pattern, item->id);
	path_query(&path, "version", version);
	return rc < 0 ? rc : call_do(c, "POST", buf_text(&path), &body, e);
}

static int blob_ensure(struct cli *c, const char *family, const struct stack_blob *b, struct err *e)
{
	auto_free char *pattern = xasprintf("/%s/create", family);
	struct stack_item item = {0};
	int kind = (int)strlen(family) - 1; /* "secrets" without its s */
	int rc = item_find(c, family, b->name, &item, e);

	if (rc == 1) {
		(void)fprintf(c->out, "Creating %.*s %s\n", kind, family, b->name);
		rc = create(c, pattern, &stack_blob_table, b, NULL, e);
	} else if (rc == 0) {
		rc = blob_update(c, family, &item, b, e);
	}
	table_done(&stack_item_table, &item);
	return rc < 0 ? err_wrap(e, "%.*s %s", kind, family, b->name) : 0;
}

static int ref_find(struct cli *c, const char *family, const char *name, char **id, struct err *e)
{
	struct stack_item item = {0};
	int rc = item_find(c, family, name, &item, e);

	if (rc == 0)
		*id = TAKE_PTR(item.id);
	table_done(&stack_item_table, &item);
	return rc == 1 ? err_set(e, -ENOENT, "there is no %.*s %s", (int)strlen(family) - 1, family,
				 name)
		       : rc;
}

static int blobs_ensure(struct cli *c, struct stack *s, struct err *e)
{
	int rc = 0;

	LIST_EACH (b, &s->secrets)
		rc = rc < 0 ? rc : blob_ensure(c, "secrets", b, e);
	LIST_EACH (b, &s->configs)
		rc = rc < 0 ? rc : blob_ensure(c, "configs", b, e);
	LIST_EACH (service, &s->services) {
		LIST_EACH (r, &service->task.container->secrets)
			rc = rc < 0 ? rc : ref_find(c, "secrets", r->name, &r->id, e);
		LIST_EACH (r, &service->task.container->configs)
			rc = rc < 0 ? rc : ref_find(c, "configs", r->name, &r->id, e);
	}
	return rc;
}

/* Services */

const struct service_view *stack_service_find(const struct list_service_view *all, const char *name)
{
	LIST_EACH (v, &all->list)
		if (v->s.spec.name && strcmp(v->s.spec.name, name) == 0)
			return v;
	return NULL;
}

/*
 * The image as it was resolved when the same text was deployed before, and the count of forced
 * updates: neither is the file's to change.
 */
void stack_service_keep(struct service_spec *spec, const struct service_view *was)
{
	const struct task_spec *old = &was->s.spec.task;
	const char *image = strmap_get(&was->s.spec.labels, STACK_IMAGE_LABEL);

	if (image && old->container && old->container->image &&
	    strcmp(image, spec->task.container->image) == 0)
		str_set(&spec->task.container->image, old->container->image);
	spec->task.force_update = old->force_update;
}

/* 1 when the update has given the service another template of its tasks. */
static int tasks_differ(struct cli *c, const struct service_view *was, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct service_view now = {0};
	int rc;

	path_add(&path, "/services/%", was->s.o.id);
	rc = call_get(c, buf_text(&path), &service_view_table, &now, e);
	if (rc == 0)
		rc = !table_equal(&task_spec_table, &was->s.spec.task, &now.s.spec.task);
	table_done(&service_view_table, &now);
	return rc;
}

/*
 * A service that follows another ("restart: true") gets new tasks when that one did. `changed` has
 * the names of those that did; it is behind them in the stack's order.
 */
static bool follows(const struct stack *s, const char *service, const struct strs *changed)
{
	LIST_EACH (f, &s->followers)
		if (strcmp(f->service, service) == 0 && strs_has(changed, f->dependency))
			return true;
	return false;
}

static bool is_followed(const struct stack *s, const char *service)
{
	LIST_EACH (f, &s->followers)
		if (strcmp(f->dependency, service) == 0)
			return true;
	return false;
}

static int service_ensure(struct cli *c, const struct stack *s, struct service_spec *spec,
			  const struct list_service_view *all, struct strs *changed,
			  struct strs *ret, struct err *e)
{
	const struct service_view *was = stack_service_find(all, spec->name);
	auto_buf body = BUF_INIT(0);
	auto_free char *id = NULL;
	int rc;

	if (was) {
		(void)fprintf(c->out, "Updating service %s (id: %s)\n", spec->name, was->s.o.id);
		stack_service_keep(spec, was);
		spec->task.force_update += follows(s, spec->name, changed);
		rc = call_body(&service_spec_table, spec, &body, e);
		if (rc == 0)
			rc = service_put(c, was, &body, false, NULL, e);
	} else {
		(void)fprintf(c->out, "Creating service %s\n", spec->name);
		rc = create(c, "/services/create", &service_spec_table, spec, &id, e);
	}
	if (rc == 0 && was && is_followed(s, spec->name))
		rc = tasks_differ(c, was, e);
	if (rc < 0)
		return err_wrap(e, "failed to %s service %s", was ? "update" : "create",
				spec->name);
	if (rc == 1)
		strs_add(changed, spec->name);
	strs_add(ret, was ? was->s.o.id : id ? id : spec->name);
	return 0;
}

/* Removes the stack's services that its files no longer have. */
static int services_prune(struct cli *c, const struct stack *s, const struct list_service_view *all,
			  struct err *e)
{
	int rc = 0;

	LIST_EACH (v, &all->list) {
		auto_buf path = CALL_PATH;
		bool kept = false;

		LIST_EACH (spec, &s->services)
			kept |= v->s.spec.name && strcmp(spec->name, v->s.spec.name) == 0;
		if (kept || rc < 0)
			continue;
		(void)fprintf(c->out, "Removing service %s\n", v->s.spec.name);
		path_add(&path, "/services/%", v->s.o.id);
		rc = call_do(c, "DELETE", buf_text(&path), NULL, e);
	}
	return rc;
}

int stack_apply(struct cli *c, struct stack *s, bool prune, struct strs *ret_services,
		struct err *e)
{
	struct list_service_view all = {0};
	struct strs changed = {0};
	int rc = stack_get(c, "services", s->name, &list_service_view_table, &all, e);

	if (rc == 0 && prune)
		rc = services_prune(c, s, &all, e);
	if (rc == 0)
		rc = networks_ensure(c, s, e);
	if (rc == 0)
		rc = blobs_ensure(c, s, e);
	LIST_EACH (spec, &s->services)
		if (rc == 0)
			rc = service_ensure(c, s, spec, &all, &changed, ret_services, e);
	strs_done(&changed);
	table_done(&list_service_view_table, &all);
	return rc;
}
