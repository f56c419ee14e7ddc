/*
 * All of a stack asked of a plan at once. See plan.h.
 */
#include "base/mem.h"
#include "manager/plan_impl.h"

static int network_ask(struct plan *p, const struct network_spec *spec, struct err *e)
{
	struct network_spec copy = *spec; /* lent */
	struct control_request r = {.op = CONTROL_NETWORK_CREATE, .network = &copy};

	if (spec->name && store_named(p->store, KIND_NETWORK, spec->name))
		return 0;
	return plan_ask(p, &r, e);
}

/* Its bytes do not matter: no agent will see them. */
static int secret_ask(struct plan *p, enum object_kind kind, const char *name, struct err *e)
{
	struct secret_spec spec = {.name = xstrdup(name)};
	struct control_request r = {.op = CONTROL_SECRET_CREATE, .kind = kind, .secret = &spec};
	int rc = 0;

	spec.data.p = xmemdup("planned", 7);
	spec.data.n = 7;
	if (!store_named(p->store, kind, name))
		rc = plan_ask(p, &r, e);
	table_done(&secret_spec_table, &spec);
	return rc;
}

static void ref_fill(const struct plan *p, enum object_kind kind, const char *name, char **id)
{
	const struct object *o = name ? store_named(p->store, kind, name) : NULL;

	if ((!*id || !**id) && o)
		str_set(id, o->id);
}

static int service_ask(struct plan *p, const struct service_spec *wish, struct err *e)
{
	const struct object *o = store_named(p->store, KIND_SERVICE, wish->name ? wish->name : "");
	struct service_spec spec = {0};
	struct control_request r = {.op = CONTROL_SERVICE_CREATE, .service = &spec};
	int rc;

	table_copy(&service_spec_table, &spec, wish);
	if (o) {
		r.op = CONTROL_SERVICE_UPDATE;
		r.id = o->id;
		r.version = o->version.index;
	}
	if (spec.task.container) {
		LIST_EACH (ref, &spec.task.container->secrets)
			ref_fill(p, KIND_SECRET, ref->name, &ref->id);
		LIST_EACH (ref, &spec.task.container->configs)
			ref_fill(p, KIND_CONFIG, ref->name, &ref->id);
	}
	rc = plan_ask(p, &r, e);
	table_done(&service_spec_table, &spec);
	return rc < 0 ? err_wrap(e, "service %s", wish->name ? wish->name : "") : 0;
}

static int removal_ask(struct plan *p, char *service, struct err *e)
{
	struct control_request r = {.op = CONTROL_SERVICE_REMOVE, .id = service};

	return plan_ask(p, &r, e);
}

int plan_ask_all(struct plan *p, const struct plan_wish *wish, struct err *e)
{
	int rc = 0;

	STRS_EACH (id, &wish->remove)
		rc = rc < 0 ? rc : removal_ask(p, (char *)(uintptr_t)id, e);
	LIST_EACH (n, &wish->networks)
		rc = rc < 0 ? rc : network_ask(p, n, e);
	STRS_EACH (name, &wish->secrets)
		rc = rc < 0 ? rc : secret_ask(p, KIND_SECRET, name, e);
	STRS_EACH (name, &wish->configs)
		rc = rc < 0 ? rc : secret_ask(p, KIND_CONFIG, name, e);
	LIST_EACH (s, &wish->services)
		rc = rc < 0 ? rc : service_ask(p, s, e);
	return rc;
}
