/*
 * /tasks: list and inspect. A task is shown whole, with its template's spec and its networks,
 * though the store keeps only references to them. See swarm.h.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "api/error.h"
#include "api/query.h"
#include "api/swarm.h"
#include "base/mem.h"

/* A network inside a task: swarm's own form, whose drivers are objects. Lent from the store. */
struct ipam_view {
	struct driver driver;
	LIST_OF(struct ipam_pool) configs;
};
#define T struct ipam_view
static const struct field ipam_view_fields[] = {
	FIELD_OBJ(T, 0, driver, "Driver", 0, driver),
	FIELD_LIST(T, 0, configs, "Configs", FIELD_OMIT, ipam_pool),
};
#undef T
static TABLE_DEFINE(ipam_view, ipam_view_fields);

struct network_view {
	struct network n;
	struct driver driver;
	struct ipam_view ipam;
};
#define T struct network_view
static const struct field network_view_fields[] = {
	FIELD_STR(T, 0, n.o.id, "ID", 0),
	FIELD_OBJ(T, 0, n.o.version, "Version", 0, version),
	FIELD_TIME(T, 0, n.o.created, "CreatedAt", 0),
	FIELD_TIME(T, 0, n.o.updated, "UpdatedAt", 0),
	FIELD_OBJ(T, 0, n.spec, "Spec", 0, network_spec),
	FIELD_OBJ(T, 0, driver, "DriverState", 0, driver),
	FIELD_OBJ(T, 0, ipam, "IPAMOptions", 0, ipam_view),
};
#undef T
static TABLE_DEFINE(network_view, network_view_fields);

struct attachment_view {
	struct network_view network;
	struct strs addresses;
};
#define T struct attachment_view
static const struct field attachment_view_fields[] = {
	FIELD_OBJ(T, 0, network, "Network", 0, network_view),
	FIELD_STRS(T, 0, addresses, "Addresses", 0),
};
#undef T
static TABLE_DEFINE(attachment_view, attachment_view_fields);

/* Its members are lent from the store, but for `spec`. */
struct task_view {
	struct task t;
	char *spec; /* JSON */
	struct strmap labels;
	LIST_OF(struct attachment_view) networks;
};
#define T struct task_view
static const struct field task_view_fields[] = {
	FIELD_STR(T, 0, t.o.id, "ID", 0),
	FIELD_OBJ(T, 0, t.o.version, "Version", 0, version),
	FIELD_TIME(T, 0, t.o.created, "CreatedAt", 0),
	FIELD_TIME(T, 0, t.o.updated, "UpdatedAt", 0),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
	FIELD_RAW(T, 0, spec, "Spec", 0),
	FIELD_STR(T, 0, t.service, "ServiceID", FIELD_OMIT),
	FIELD_U64(T, 0, t.slot, "Slot", FIELD_OMIT),
	FIELD_STR(T, 0, t.node, "NodeID", FIELD_OMIT),
	FIELD_OBJ(T, 0, t.status, "Status", 0, task_status),
	FIELD_ENUM(T, 0, t.desired, "DesiredState", 0, task_state_names),
	FIELD_PTR(T, 0, t.iteration, "JobIteration", FIELD_OMIT, job_iteration),
	FIELD_LIST(T, 0, t.generic, "AssignedGenericResources", FIELD_OMIT, generic_resource),
	FIELD_LIST(T, 0, networks, "NetworksAttachments", FIELD_OMIT, attachment_view),
};
#undef T
static TABLE_DEFINE(task_view, task_view_fields);

/*
 * The specifications of a listing's tasks as JSON. Most tasks share theirs with many others, which
 * lie anywhere in the list; a specification is most of what is written of a task.
 */
struct spec_key {
	char service[ID_CLUSTER_LEN + 7]; /* without padding behind it: the bytes are hashed */
	uint64_t template_version;
};

static_assert(sizeof(struct spec_key) == ID_CLUSTER_LEN + 7 + sizeof(uint64_t), "no padding");

struct spec_text {
	struct spec_key key;
	char *json;
	UT_hash_handle hh;
};

static char *spec_write(const struct template *tpl)
{
	static const struct task_spec none;
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);

	(void)json_write(&task_spec_table, tpl ? &tpl->spec : &none, &json);
	return buf_take(&json);
}

static void specs_clear(struct spec_text **specs)
{
	struct spec_text *s, *next;

	HASH_ITER (hh, *specs, s, next) {
		HASH_DEL(*specs, s);
		free(s->json);
		free(s);
	}
}

/* Belongs to `specs`, and may go with the next one. */
static char *spec_text_of(struct spec_text **specs, const struct store *store, const struct task *t)
{
	struct spec_key key = {.template_version = t->template_version};
	struct spec_text *s;

	(void)snprintf(key.service, sizeof key.service, "%s", t->service);
	HASH_FIND(hh, *specs, &key, sizeof key, s);
	if (s)
		return s->json;
	if (HASH_COUNT(*specs) >= LIMIT_LIST_SPECS)
		specs_clear(specs);
	s = xcalloc(1, sizeof *s);
	s->key = key;
	s->json = spec_write(store_template(store, t->service, t->template_version));
	HASH_ADD(hh, *specs, key, sizeof s->key, s);
	return s->json;
}

static void task_write(const struct store *store, const struct task *t, char *spec, struct buf *ret)
{
	struct task_view view = {.t = *t, .spec = spec};

	LIST_EACH (a, &t->networks) {
		const struct network *n = store_network(store, a->network);
		struct attachment_view *at = LIST_ADD(&view.networks);

		if (n)
			at->network.n = *n;
		else
			at->network.n.o.id = a->network;
		at->network.driver.name = (char *)"overlay";
		at->network.ipam.driver.name = (char *)"default";
		at->network.ipam.configs.v = at->network.n.ipam.config.v;
		at->network.ipam.configs.n = at->network.n.ipam.config.n;
		at->addresses = a->addresses;
	}
	(void)json_write(&task_view_table, &view, ret);
	free(view.networks.v);
}

void api_task_write(const struct store *store, const struct task *t, const struct template *tpl,
		    struct buf *ret)
{
	auto_free char *spec = spec_write(tpl);

	task_write(store, t, spec, ret);
}

static void inspect_ready(struct api_req *r, struct manager *m)
{
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	const struct task *t;
	const struct object *o;

	if (control_find(manager_store(m), KIND_TASK, r->vars[0], &o, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	t = (const struct task *)o;
	api_task_write(manager_store(m), t,
		       store_template(manager_store(m), t->service, t->template_version), &json);
	api_reply_json(r, 200, &json);
}

static void task_inspect(struct api_req *r)
{
	api_manager_read(r, inspect_ready);
}

struct list_state {
	struct filters filters;
	struct strs services; /* the filters' values, as full ids */
	struct strs nodes;
	struct spec_text *specs;
	bool by_date, up_to_date;
};

static void list_done(void *state)
{
	struct list_state *s = state;

	filters_done(&s->filters);
	strs_done(&s->services);
	strs_done(&s->nodes);
	specs_clear(&s->specs);
	free(s);
}

static bool is_up_to_date(const struct store *store, const struct task *t)
{
	const struct service *s = store_service(store, t->service);

	return s && service_task_is_current(store, s, t);
}

static bool name_matches(const struct filters *f, const struct store *store, const struct task *t)
{
	const struct template *tpl;
	auto_free char *name = NULL;

	if (!filters_has(f, "name"))
		return true;
	tpl = store_template(store, t->service, t->template_version);
	name = task_container_name(tpl ? tpl->service_name : "", t);
	return filters_match_prefix(f, "name", name);
}

static bool labels_match(const struct filters *f, const struct store *store, const struct task *t)
{
	static const struct strmap none;
	const struct template *tpl;

	if (!filters_has(f, "label"))
		return true;
	tpl = store_template(store, t->service, t->template_version);
	return filters_match_labels(
		f, "label", tpl && tpl->spec.container ? &tpl->spec.container->labels : &none);
}

static bool list_write(void *state, const struct store *store, const struct object *o,
		       struct buf *ret)
{
	struct list_state *l = state;
	const struct task *t = (const struct task *)o;

	if (!filters_match_prefix(&l->filters, "id", o->id) ||
	    !filters_match(&l->filters, "desired-state", task_state_name(t->desired)) ||
	    (l->services.n && !strs_has(&l->services, t->service)) ||
	    (l->nodes.n && (!t->node || !strs_has(&l->nodes, t->node))) ||
	    !name_matches(&l->filters, store, t) || !labels_match(&l->filters, store, t) ||
	    (l->by_date && is_up_to_date(store, t) != l->up_to_date))
		return false;
	task_write(store, t, spec_text_of(&l->specs, store, t), ret);
	return true;
}

/* A filter's names and prefixes as full ids; one that names nothing matches nothing. */
static void resolve(const struct filters *f, const char *key, const struct store *store,
		    enum object_kind kind, struct strs *ret)
{
	const char *value;

	for (size_t i = 0; (value = filters_value(f, key, i)); i++) {
		const struct object *o;

		strs_add(ret, control_find(store, kind, value, &o, NULL) == 0 ? o->id : value);
	}
}

static int list_parse(struct api_req *r, struct manager *m, struct list_state *l)
{
	static const char *const keys[] = {"id",      "name",        "label",
					   "service", "node",        "desired-state",
					   "runtime", "_up-to-date", NULL};
	int rc = filters_read(r->query, keys, &l->filters, &r->err);

	if (rc < 0)
		return rc;
	l->by_date = filters_has(&l->filters, "_up-to-date");
	rc = filters_bool(&l->filters, "_up-to-date", false, &l->up_to_date, &r->err);
	for (size_t i = 0; rc == 0 && filters_value(&l->filters, "desired-state", i); i++) {
		enum task_state state;
		const char *value = filters_value(&l->filters, "desired-state", i);

		if (task_state_parse(value, &state) < 0)
			rc = err_set(&r->err, -EINVAL, "invalid desired-state filter \"%.40s\"",
				     value);
	}
	resolve(&l->filters, "service", manager_store(m), KIND_SERVICE, &l->services);
	resolve(&l->filters, "node", manager_store(m), KIND_NODE, &l->nodes);
	return rc;
}

static void list_ready(struct api_req *r, struct manager *m)
{
	struct list_state *state = xcalloc(1, sizeof *state);
	struct api_list list = {
		.kind = KIND_TASK, .write = list_write, .done = list_done, .state = state};

	if (list_parse(r, m, state) < 0) {
		list_done(state);
		api_reply_error(r, &r->err);
		return;
	}
	api_list_reply(r, m, &list);
}

static void task_list(struct api_req *r)
{
	api_manager_read(r, list_ready);
}

static const struct api_route routes[] = {
	{"GET", "/tasks", task_list, API_BODY_NONE, 0, 0},
	{"GET", "/tasks/{id}", task_inspect, API_BODY_NONE, 0, 0},
	{"GET", "/tasks/{id}/logs", task_logs_handler, API_BODY_NONE, 0, 0},
};

void api_tasks_add(struct api_router *r, struct api_swarm *swarm)
{
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
