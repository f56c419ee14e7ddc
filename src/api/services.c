/*
 * /services: create, list, inspect, update, remove. See swarm.h.
 */
#include <string.h>

#include "api/error.h"
#include "api/query.h"
#include "api/swarm.h"
#include "base/mem.h"
#include "base/nickname.h"

struct service_status {
	uint64_t running;
	uint64_t desired;
	uint64_t completed;
};
#define T struct service_status
static const struct field service_status_fields[] = {
	FIELD_U64(T, 0, running, "RunningTasks", 0),
	FIELD_U64(T, 0, desired, "DesiredTasks", 0),
	FIELD_U64(T, 0, completed, "CompletedTasks", 0),
};
#undef T
static TABLE_DEFINE(service_status, service_status_fields);

/* A service as it is shown: its members are lent from the store. */
struct service_view {
	struct service s;
	struct service_status *status;
};
#define T struct service_view
static const struct field service_view_fields[] = {
	FIELD_STR(T, 0, s.o.id, "ID", 0),
	FIELD_OBJ(T, 0, s.o.version, "Version", 0, version),
	FIELD_TIME(T, 0, s.o.created, "CreatedAt", 0),
	FIELD_TIME(T, 0, s.o.updated, "UpdatedAt", 0),
	FIELD_OBJ(T, 0, s.spec, "Spec", 0, service_spec),
	FIELD_PTR(T, 0, s.previous_spec, "PreviousSpec", FIELD_OMIT, service_spec),
	FIELD_OBJ(T, 0, s.endpoint, "Endpoint", 0, endpoint),
	FIELD_PTR(T, 0, s.update_status, "UpdateStatus", FIELD_OMIT, update_status),
	FIELD_PTR(T, 0, s.rebalance, "RebalanceStatus", FIELD_OMIT, rebalance_status),
	FIELD_PTR(T, 0, s.autoscale, "Autoscale", FIELD_OMIT, autoscale_status),
	FIELD_PTR(T, 0, s.job, "JobStatus", FIELD_OMIT, job_status),
	FIELD_PTR(T, 0, status, "ServiceStatus", FIELD_OMIT, service_status),
};
#undef T
static TABLE_DEFINE(service_view, service_view_fields);

/* Of a job only its iteration counts; of a global service what it wants is what it was given. */
static void task_count(const struct service *s, const struct task *t, struct service_status *ret)
{
	bool wanted = task_is_wanted(t);

	if (task_iteration(t) != service_iteration(s))
		return;
	ret->running += t->status.state == TASK_RUNNING && wanted;
	if (service_is_job(&s->spec) && t->status.state == TASK_COMPLETE)
		ret->completed++;
	else if (!s->spec.mode.replicated)
		ret->desired += wanted;
}

static void status_count(const struct store *store, const struct service *s,
			 struct service_status *ret)
{
	const struct task *t;
	struct store_walk w;

	*ret = (struct service_status){.desired = service_replicas(&s->spec)};
	store_walk_service_tasks(&w, store, s->o.id);
	while ((t = store_walk_next(&w)))
		task_count(s, t, ret);
}

static void service_write(const struct store *store, const struct service *s, bool status,
			  struct buf *ret)
{
	struct service_status counted;
	struct service_view view = {.s = *s};

	if (status) {
		status_count(store, s, &counted);
		view.status = &counted;
	}
	(void)json_write(&service_view_table, &view, ret);
}

void api_service_write(const struct service *s, struct buf *ret)
{
	service_write(NULL, s, false, ret);
}

/* Create */

struct created {
	char *id;
	struct strs warnings;
};
#define T struct created
static const struct field created_fields[] = {
	FIELD_STR(T, 0, id, "ID", 0),
	FIELD_STRS(T, 0, warnings, "Warnings", FIELD_NULL),
};
static const struct field updated_fields[] = {
	FIELD_STRS(T, 0, warnings, "Warnings", FIELD_NULL),
};
#undef T
static TABLE_DEFINE(created, created_fields);
static const struct table updated_table = {
	.name = "updated", .fields = updated_fields, .n_fields = 1, .size = sizeof(struct created)};

static void created_write(const struct control_answer *answer, struct buf *ret)
{
	struct created c = {answer->id, answer->warnings}; /* lent */

	(void)json_write(&created_table, &c, ret);
}

static void updated_write(const struct control_answer *answer, struct buf *ret)
{
	struct created c = {answer->id, answer->warnings}; /* lent */

	(void)json_write(&updated_table, &c, ret);
}

static void default_set(uint64_t **number, uint64_t value)
{
	if (!*number)
		*number = xmemdup(&value, sizeof value);
}

/* Without a mode a service is replicated, once, as docker has it: SDKs leave the mode out. */
void api_service_defaults(struct service_spec *ret)
{
	struct service_mode *m = &ret->mode;

	if (!m->replicated && !m->global && !m->replicated_job && !m->global_job)
		m->replicated = xcalloc(1, sizeof *m->replicated);
	if (m->replicated)
		default_set(&m->replicated->replicas, 1);
	if (m->replicated_job) {
		default_set(&m->replicated_job->max_concurrent, 1);
		default_set(&m->replicated_job->total_completions,
			    *m->replicated_job->max_concurrent);
	}
}

static int spec_read(struct api_req *r, struct service_spec *ret)
{
	int rc = json_read(&service_spec_table, buf_text(r->body), r->body->len, ret, &r->err);

	if (rc == 0)
		api_service_defaults(ret);
	return rc;
}

/* ?check=: the index of a plan, without which nothing is checked. */
static int check_arg(struct api_req *r, uint64_t *ret)
{
	const char *text = http_req_arg(r->http, "check");

	if (!text || !*text)
		return 0;
	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 18)
		return err_set(&r->err, -EINVAL, "invalid check index \"%.40s\"", text);
	*ret = strtoull(text, NULL, 10);
	return 0;
}

static bool name_is_taken(const char *name, void *arg)
{
	struct manager *m = arg;

	return m && store_named(manager_store(m), KIND_SERVICE, name);
}

int api_service_create_read(struct api_req *r, struct service_spec *spec,
			    struct control_request *ret)
{
	const struct api_swarm *swarm = r->ctx;
	int rc = check_arg(r, &ret->check);

	ret->op = CONTROL_SERVICE_CREATE;
	ret->service = spec;
	if (rc == 0)
		rc = spec_read(r, spec);
	if (rc == 0 && (!spec->name || !*spec->name)) {
		free(spec->name);
		/* Not by api_manager(), which answers where there is none: that is the caller's. */
		spec->name = nickname_choose(name_is_taken, swarm->manager(swarm->arg));
	}
	return rc;
}

static void service_create(struct api_req *r)
{
	struct service_spec spec = {0};
	struct control_request request = {0};

	if (api_service_create_read(r, &spec, &request) < 0)
		api_reply_error(r, &r->err);
	else
		api_control(r, &request, 201, created_write);
	table_done(&service_spec_table, &spec);
}

/* With "previous" the body counts for nothing: clients send the specification that they have. */
static int rollback_arg(struct api_req *r, bool *ret)
{
	const char *text = http_req_arg(r->http, "rollback");

	*ret = text && strcmp(text, "previous") == 0;
	if (!text || !*text || *ret || strcmp(text, "none") == 0)
		return 0;
	return err_set(&r->err, -EINVAL, "unrecognized rollback option %.60s: it must be previous",
		       text);
}

/* There are no credentials of registries yet, so that either place says the same. */
static int registry_arg(struct api_req *r)
{
	const char *text = http_req_arg(r->http, "registryAuthFrom");

	if (!text || !*text || strcmp(text, "spec") == 0 || strcmp(text, "previous-spec") == 0)
		return 0;
	return err_set(&r->err, -EINVAL,
		       "unsupported registryAuthFrom %.60s: it must be spec or previous-spec",
		       text);
}

int api_service_update_read(struct api_req *r, struct service_spec *spec,
			    struct control_request *ret)
{
	int rc = rollback_arg(r, &ret->rollback);

	ret->op = CONTROL_SERVICE_UPDATE;
	ret->id = (char *)(uintptr_t)r->vars[0];
	if (rc == 0)
		rc = registry_arg(r);
	if (rc == 0)
		rc = check_arg(r, &ret->check);
	if (rc == 0)
		rc = api_version_arg(r, &ret->version, &r->err);
	if (rc == 0 && !ret->rollback) {
		rc = spec_read(r, spec);
		ret->service = spec;
	}
	return rc;
}

static void service_update(struct api_req *r)
{
	struct service_spec spec = {0};
	struct control_request request = {0};

	if (api_service_update_read(r, &spec, &request) < 0)
		api_reply_error(r, &r->err);
	else
		api_control(r, &request, 200, updated_write);
	table_done(&service_spec_table, &spec);
}

static void service_remove(struct api_req *r)
{
	struct control_request request = {.op = CONTROL_SERVICE_REMOVE,
					  .id = (char *)(uintptr_t)r->vars[0]};

	api_control(r, &request, 200, NULL);
}

static void service_rebalance(struct api_req *r)
{
	struct control_request request = {.op = CONTROL_SERVICE_REBALANCE,
					  .id = (char *)(uintptr_t)r->vars[0],
					  .stop = query_bool(r->query, "stop", false)};

	api_control(r, &request, 200, updated_write);
}

/* Read */

static void inspect_ready(struct api_req *r, struct manager *m)
{
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	const struct object *o;
	int rc = control_find(manager_store(m), KIND_SERVICE, r->vars[0], &o, &r->err);

	if (rc == 0 && ((const struct service *)o)->pending_delete)
		rc = err_set(&r->err, -ENOENT, "service %s not found", r->vars[0]);
	if (rc < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	service_write(manager_store(m), (const struct service *)o, false, &json);
	api_reply_json(r, 200, &json);
}

static void service_inspect(struct api_req *r)
{
	api_manager_read(r, inspect_ready);
}

static void autoscale_write(const struct control_answer *answer, struct buf *ret)
{
	(void)json_write(&autoscale_view_table, answer->autoscale, ret);
}

/* The leader alone knows it. */
static void service_autoscale(struct api_req *r)
{
	struct control_request request = {.op = CONTROL_TASKS_MEASURED,
					  .id = (char *)(uintptr_t)r->vars[0]};

	api_control(r, &request, 200, autoscale_write);
}

struct list_state {
	struct filters filters;
	bool status;
};

static void list_done(void *state)
{
	struct list_state *s = state;

	filters_done(&s->filters);
	free(s);
}

static const char *mode_name(const struct service_spec *spec)
{
	return spec->mode.replicated       ? "replicated"
	       : spec->mode.global         ? "global"
	       : spec->mode.replicated_job ? "replicated-job"
					   : "global-job";
}

static bool list_write(void *state, const struct store *store, const struct object *o,
		       struct buf *ret)
{
	const struct list_state *l = state;
	const struct service *s = (const struct service *)o;

	if (s->pending_delete || !filters_match_prefix(&l->filters, "id", o->id) ||
	    !filters_match_prefix(&l->filters, "name", s->spec.name) ||
	    !filters_match(&l->filters, "mode", mode_name(&s->spec)) ||
	    !filters_match_labels(&l->filters, "label", &s->spec.labels))
		return false;
	service_write(store, s, l->status, ret);
	return true;
}

static void list_ready(struct api_req *r, struct manager *m)
{
	static const char *const keys[] = {"id", "name", "label", "mode", "runtime", NULL};
	struct list_state *state = xcalloc(1, sizeof *state);
	struct api_list list = {
		.kind = KIND_SERVICE, .write = list_write, .done = list_done, .state = state};

	state->status = query_bool(r->query, "status", false);
	if (filters_read(r->query, keys, &state->filters, &r->err) < 0) {
		free(state);
		api_reply_error(r, &r->err);
		return;
	}
	api_list_reply(r, m, &list);
}

static void service_list(struct api_req *r)
{
	api_manager_read(r, list_ready);
}

static const struct api_route routes[] = {
	{"GET", "/services", service_list, API_BODY_NONE, 0, 0},
	{"POST", "/services/create", service_create, API_BODY_JSON, 0, 0},
	{"GET", "/services/{id}", service_inspect, API_BODY_NONE, 0, 0},
	{"DELETE", "/services/{id}", service_remove, API_BODY_NONE, 0, 0},
	{"GET", "/services/{id}/autoscale", service_autoscale, API_BODY_NONE, 0, 0},
	{"GET", "/services/{id}/logs", service_logs_handler, API_BODY_NONE, 0, 0},
	{"POST", "/services/{id}/rebalance", service_rebalance, API_BODY_NONE, 0, 0},
	{"POST", "/services/{id}/update", service_update, API_BODY_JSON, 0, 0},
};

void api_services_add(struct api_router *r, struct api_swarm *swarm)
{
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
