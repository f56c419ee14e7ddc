/*
 * manager/control.h: requests against a store, with their refusals. Pure: ids count up, the time is
 * given.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manager/control.h"

static unsigned ids;

static void next_id(void *arg, char ret[ID_CLUSTER_LEN + 1])
{
	(void)arg;
	(void)snprintf(ret, ID_CLUSTER_LEN + 1, "%025u", ++ids);
}

static struct err last;

/* Builds and applies a request; returns its status, the error in `last`, the id in `ret_id`. */
static int ask(struct store *s, const struct control_request *r, char **ret_id)
{
	struct control_answer answer = {0};
	struct store *fork = store_fork(s);
	struct store_result result;
	struct changes changes;
	struct control c = {.view = fork,
			    .now_ns = 1000,
			    .new_id = next_id,
			    .self = "self",
			    .out = &changes,
			    .answer = &answer};
	int rc;

	last = ERR_INIT;
	changes_init(&changes);
	rc = control_build(&c, r, &last);
	if (rc < 0)
		assert_int_equal(changes.n, 0);
	if (rc == 0 && changes.n) {
		store_apply_changes(s, &changes, &result);
		assert_int_equal(result.verdict, STORE_APPLIED);
	}
	if (ret_id)
		*ret_id = xstrdup(answer.id);
	table_done(&control_answer_table, &answer);
	changes_done(&changes);
	store_free(fork);
	return rc;
}

static struct store *with_cluster(void)
{
	struct store *s = store_new();
	struct store_result result;
	struct changes changes;
	struct cluster *c = object_new(KIND_CLUSTER, "cluster", 1);
	struct node *n = object_new(KIND_NODE, "self", 1);

	str_set(&c->spec.name, "default");
	n->spec.role = ROLE_MANAGER;
	n->status.state = NODE_READY;
	str_set(&n->description.hostname, "alpha");
	changes_init(&changes);
	changes_create(&changes, &c->o);
	changes_create(&changes, &n->o);
	store_apply_changes(s, &changes, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	changes_done(&changes);
	return s;
}

static struct service_spec *spec_read(const char *json)
{
	struct service_spec *spec = xcalloc(1, sizeof *spec);
	struct err e = ERR_INIT;

	assert_ok(json_read(&service_spec_table, json, strlen(json), spec, &e), &e);
	return spec;
}

#define WEB                                                                             \
	"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"}}," \
	"\"Mode\":{\"Replicated\":{\"Replicas\":3}}}"

static int create(struct store *s, const char *json, char **ret_id)
{
	struct control_request r = {.op = CONTROL_SERVICE_CREATE, .service = spec_read(json)};
	int rc = ask(s, &r, ret_id);

	table_free(&service_spec_table, r.service);
	return rc;
}

static int update(struct store *s, const char *id, uint64_t version, const char *json)
{
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE,
				    .id = (char *)(uintptr_t)id,
				    .version = version,
				    .service = spec_read(json)};
	int rc = ask(s, &r, NULL);

	table_free(&service_spec_table, r.service);
	return rc;
}

static void a_service_is_stored_with_its_template(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;
	const struct service *web;

	assert_ok(create(s, WEB, &id), &last);
	web = store_service(s, id);
	assert_int_equal(service_replicas(&web->spec), 3);
	assert_string_equal(store_template(s, id, web->template_version)->spec.container->image,
			    "nginx");
	assert_int_equal(create(s, WEB, NULL), -EEXIST);
	store_free(s);
}

static void scaling_keeps_the_template(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;
	uint64_t before;

	assert_ok(create(s, WEB, &id), &last);
	before = store_service(s, id)->template_version;
	assert_ok(update(s, id, store_service(s, id)->o.version.index,
			 "{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":"
			 "\"nginx\"}},\"Mode\":{\"Replicated\":{\"Replicas\":9}}}"),
		  &last);
	assert_int_equal(service_replicas(&store_service(s, id)->spec), 9);
	assert_int_equal(store_service(s, id)->template_version, before);
	assert_int_equal(service_replicas(store_service(s, id)->previous_spec), 3);
	assert_ok(update(s, "web", store_service(s, id)->o.version.index,
			 "{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":"
			 "\"nginx:2\"}},\"Mode\":{\"Replicated\":{\"Replicas\":9}}}"),
		  &last);
	assert_true(store_service(s, id)->template_version > before);
	assert_int_equal(store_count(s, KIND_TEMPLATE), 2);
	store_free(s);
}

static int roll_back(struct store *s, const char *id)
{
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE,
				    .id = (char *)(uintptr_t)id,
				    .version = store_service(s, id)->o.version.index,
				    .rollback = true};

	return ask(s, &r, NULL);
}

#define WEB_OF(image, replicas, more)                                                            \
	"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"" image "\"}}," more \
	"\"Mode\":{\"Replicated\":{\"Replicas\":" replicas "}}}"

/* Swapped both ways, and with the very template that the tasks still run. */
static void a_rollback_swaps_the_specifications(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;
	const struct service *svc;
	uint64_t first, second;

	(void)state;
	assert_int_equal(create(s, WEB_OF("one", "3", ""), &id), 0);
	first = store_service(s, id)->template_version;
	assert_int_equal(roll_back(s, id), -EINVAL);
	assert_non_null(strstr(last.msg, "service web does not have a previous spec"));
	assert_int_equal(
		update(s, id, store_service(s, id)->o.version.index, WEB_OF("two", "5", "")), 0);
	second = store_service(s, id)->template_version;
	assert_int_not_equal(first, second);
	assert_int_equal(roll_back(s, id), 0);
	svc = store_service(s, id);
	assert_string_equal(svc->spec.task.container->image, "one");
	assert_string_equal(svc->previous_spec->task.container->image, "two");
	assert_int_equal(service_replicas(&svc->spec), 3);
	assert_int_equal(svc->template_version, first);
	assert_int_equal(svc->update_status->state, UPDATE_ROLLBACK_STARTED);
	assert_string_equal(svc->update_status->message, "manually requested rollback");
	assert_int_equal(svc->update.number, 2);
	assert_int_equal(roll_back(s, id), 0);
	assert_string_equal(store_service(s, id)->spec.task.container->image, "two");
	assert_int_equal(store_service(s, id)->template_version, second);
	store_free(s);
}

/* An update that says nothing new resumes one that has paused, and changes nothing else. */
static void an_update_resumes_what_has_paused(void **state)
{
	struct store *s = with_cluster();
	struct store_result result;
	struct changes changes;
	struct service *paused;
	const struct service *svc;
	auto_free char *id = NULL;

	(void)state;
	assert_int_equal(create(s, WEB_OF("one", "3", ""), &id), 0);
	svc = store_service(s, id);
	assert_int_equal(update(s, id, svc->o.version.index, WEB_OF("two", "3", "")), 0);
	svc = store_service(s, id);
	assert_int_equal(update(s, id, svc->o.version.index, WEB_OF("two", "3", "")), 0);
	assert_int_equal(store_service(s, id)->update.number, 1);
	changes_init(&changes);
	svc = store_service(s, id);
	paused = object_clone(&svc->o);
	paused->update_status = xcalloc(1, sizeof *paused->update_status);
	paused->update_status->state = UPDATE_PAUSED;
	paused->update.total = 3;
	changes_update(&changes, &svc->o, &paused->o, 1);
	store_apply_changes(s, &changes, &result);
	changes_done(&changes);
	svc = store_service(s, id);
	assert_int_equal(update(s, id, svc->o.version.index, WEB_OF("two", "3", "")), 0);
	svc = store_service(s, id);
	assert_null(svc->update_status);
	assert_int_equal(svc->update.number, 2);
	assert_int_equal(svc->update.total, 0);
	assert_string_equal(svc->previous_spec->task.container->image, "one");
	store_free(s);
}

static void update_configurations_are_checked(void **state)
{
	static const struct {
		const char *json, *why;
	} bad[] = {
		{"\"UpdateConfig\":{\"Delay\":-1},", "update-delay cannot be negative"},
		{"\"UpdateConfig\":{\"Monitor\":-1},", "update-monitor cannot be negative"},
		{"\"UpdateConfig\":{\"MaxFailureRatio\":1.1},", "bigger than 1"},
		{"\"UpdateConfig\":{\"MaxFailureRatio\":-0.1},", "less than 0"},
		{"\"UpdateConfig\":{\"FailureAction\":\"explode\"},",
		 "unrecognized update failure action explode"},
		{"\"UpdateConfig\":{\"Order\":\"both\"},", "unrecognized update order both"},
		{"\"UpdateConfig\":{\"Delay\":9223372036854775807},", "at most 73 years"},
		{"\"RollbackConfig\":{\"Delay\":-1},", "rollback-delay cannot be negative"},
		{"\"RollbackConfig\":{\"Order\":\"both\"},", "unrecognized rollback order both"},
		{"\"Labels\":{\"shoal.update.deadline\":\"soon\"},", "is not a duration"},
		{"\"Labels\":{\"shoal.update.deadline\":\"-5m\"},", "is not a duration"},
	};
	static const char good[] =
		"\"UpdateConfig\":{\"Parallelism\":0,\"Delay\":1,\"Monitor\":1,\"FailureAction\":"
		"\"rollback\",\"MaxFailureRatio\":1,\"Order\":\"start-first\"},"
		"\"RollbackConfig\":{\"FailureAction\":\"continue\",\"Order\":\"stop-first\"},"
		"\"Labels\":{\"shoal.update.deadline\":\"1h30m\"},";
	static const char form[] = "{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{"
				   "\"Image\":\"i\"}},%s\"Mode\":{\"Replicated\":{}}}";
	struct store *s = with_cluster();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_free char *json = xasprintf(form, bad[i].json);

		assert_int_equal(create(s, json, NULL), -EINVAL);
		if (!strstr(last.msg, bad[i].why))
			fail_msg("%s: %s", bad[i].why, last.msg);
	}
	auto_free char *json = xasprintf(form, good);
	assert_int_equal(create(s, json, NULL), 0);
	store_free(s);
}

#define JOB(image, total)                                                           \
	"{\"Name\":\"job\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"" image \
	"\"}},\"Mode\":{\"ReplicatedJob\":{\"TotalCompletions\":" total "}}}"

static void a_job_starts_anew_with_another_template(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;

	assert_ok(create(s, JOB("a", "3"), &id), &last);
	assert_int_equal(service_iteration(store_service(s, id)), 0);
	assert_true(store_service(s, id)->job->last_execution > 0);
	assert_ok(update(s, id, store_service(s, id)->o.version.index, JOB("a", "4")), &last);
	assert_int_equal(service_iteration(store_service(s, id)), 0);
	assert_ok(update(s, id, store_service(s, id)->o.version.index, JOB("b", "4")), &last);
	assert_int_equal(service_iteration(store_service(s, id)), 1);
	assert_int_equal(job_completions(&store_service(s, id)->spec), 4);
	assert_int_equal(job_concurrency(&store_service(s, id)->spec), 1);
	store_free(s);
}

#define CRON(image, force, labels)                                                               \
	"{\"Name\":\"cron\",\"Labels\":{" labels                                                 \
	"},\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"" image "\"},\"ForceUpdate\":" force \
	"},\"Mode\":{\"GlobalJob\":{}}}"
#define DAILY "\"shoal.cron\":\"@daily\""

static void a_scheduled_job_waits_for_its_time(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;
	uint64_t before;

	assert_ok(create(s, CRON("a", "0", DAILY), &id), &last);
	assert_int_equal(store_service(s, id)->job->last_execution, 0);
	assert_true(store_service(s, id)->job->schedule->since > 0);
	before = store_service(s, id)->template_version;
	assert_ok(update(s, id, store_service(s, id)->o.version.index, CRON("b", "0", DAILY)),
		  &last);
	assert_true(store_service(s, id)->template_version > before);
	assert_int_equal(store_service(s, id)->job->last_execution, 0);
	assert_ok(update(s, id, store_service(s, id)->o.version.index, CRON("b", "1", DAILY)),
		  &last);
	assert_true(store_service(s, id)->job->last_execution > 0); /* --force starts it now */
	assert_int_equal(service_iteration(store_service(s, id)), 0);
	assert_ok(update(s, id, store_service(s, id)->o.version.index, CRON("b", "1", "")), &last);
	assert_null(store_service(s, id)->job->schedule);
	assert_int_equal(update(s, id, store_service(s, id)->o.version.index,
				CRON("b", "1", "\"shoal.cron\":\"daily\"")),
			 -EINVAL);
	assert_non_null(strstr(last.msg, "label shoal.cron"));
	store_free(s);
}

static void updates_out_of_sequence_are_refused(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;

	assert_ok(create(s, WEB, &id), &last);
	assert_int_equal(update(s, id, 99, WEB), -ESTALE);
	assert_non_null(strstr(last.msg, "update out of sequence"));
	assert_int_equal(update(s, "nobody", 1, WEB), -ENOENT);
	assert_string_equal(last.msg, "service nobody not found");
	assert_int_equal(
		update(s, id, store_service(s, id)->o.version.index,
		       "{\"Name\":\"other\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":"
		       "\"x\"}},\"Mode\":{\"Replicated\":{}}}"),
		-EINVAL);
	store_free(s);
}

static void bad_specs_say_what_is_wrong(void **state)
{
	static const struct {
		const char *json;
		int rc;
		const char *say;
	} bad[] = {
		{"{\"Name\":\"-x\"}", -EINVAL, "invalid service name"},
		{"{\"Name\":\"x\"}", -EINVAL, "mode is missing"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}}}", -EINVAL,
		 "ContainerSpec: missing"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{},\"Global\":{}}}", -EINVAL,
		 "only one service mode"},
		{"{\"Name\":\"x\",\"Mode\":{\"Global\":{}}}", -EINVAL, "ContainerSpec: missing"},
		{"{\"Name\":\"x\",\"Mode\":{\"GlobalJob\":{}},\"UpdateConfig\":{}}", -EINVAL,
		 "not supported for jobs"},
		{"{\"Name\":\"x\",\"Mode\":{\"ReplicatedJob\":{\"TotalCompletions\":100001}}}",
		 -EINVAL, "completions are too many: at most 100000"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{\"Replicas\":100001}}}", -EINVAL,
		 "too many: at most 100000"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}},\"TaskTemplate\":{\"ContainerSpec\":"
		 "{\"Image\":\"\"}}}",
		 -EINVAL, "image reference must be provided"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}},\"TaskTemplate\":{\"ContainerSpec\":"
		 "{\"Image\":\"a\",\"Secrets\":[{}]}}}",
		 -EINVAL, "malformed secret reference"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}},\"TaskTemplate\":{\"ContainerSpec\":"
		 "{\"Image\":\"a\"},\"Resources\":{\"Limits\":{\"MemoryBytes\":5}}}}",
		 -EINVAL, "at least 4MiB"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}},\"TaskTemplate\":{\"ContainerSpec\":"
		 "{\"Image\":\"a\"},\"Resources\":{\"Reservations\":{\"NanoCPUs\":5}}}}",
		 -EINVAL, "invalid cpu value"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}},\"TaskTemplate\":{\"ContainerSpec\":"
		 "{\"Image\":\"a\"},\"Placement\":{\"Constraints\":[\"node.role\"]}}}",
		 -EINVAL, "constraint"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}},\"TaskTemplate\":{\"ContainerSpec\":"
		 "{\"Image\":\"a\"},\"Networks\":[{\"Target\":\"nope\"}]}}",
		 -ENOENT, "network nope not found"},
		{"{\"Name\":\"x\",\"Mode\":{\"Replicated\":{}},\"TaskTemplate\":{\"ContainerSpec\":"
		 "{\"Image\":\"a\",\"Mounts\":[{\"Target\":\"x\",\"Type\":\"tmpfs\"}]}}}",
		 -EINVAL, "invalid mount target"},
	};
	struct store *s = with_cluster();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int rc = create(s, bad[i].json, NULL);

		if (rc != bad[i].rc || !strstr(last.msg, bad[i].say))
			fail_msg("%s: %d %s", bad[i].json, rc, last.msg);
	}
	assert_int_equal(store_count(s, KIND_SERVICE), 0);
	store_free(s);
}

static void a_removed_service_frees_its_name_at_once(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;
	struct control_request r = {.op = CONTROL_SERVICE_REMOVE, .id = (char *)"web"};

	assert_ok(create(s, WEB, &id), &last);
	assert_ok(ask(s, &r, NULL), &last);
	assert_true(store_service(s, id)->pending_delete);
	assert_int_equal(ask(s, &r, NULL), -ENOENT);
	r.id = id;
	assert_int_equal(ask(s, &r, NULL), -ENOENT);
	assert_ok(create(s, WEB, NULL), &last);
	store_free(s);
}

static void networks_are_resolved_and_kept_while_used(void **state)
{
	struct store *s = with_cluster();
	struct ipam_pool pool = {.subnet = (char *)"10.0.0.0/99"};
	struct network_spec net = {.name = (char *)"back"};
	struct control_request r = {.op = CONTROL_NETWORK_CREATE, .network = &net};
	auto_free char *id = NULL, *web = NULL;

	assert_ok(ask(s, &r, &id), &last);
	assert_int_equal(ask(s, &r, NULL), -EEXIST);
	net.ipam.config.v = &pool;
	net.ipam.config.n = 1;
	net.name = (char *)"bad";
	assert_int_equal(ask(s, &r, NULL), -EINVAL);
	assert_ok(create(s,
			 "{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"a\"}},"
			 "\"Networks\":[{\"Target\":\"back\",\"Aliases\":[\"w\"]}],"
			 "\"Mode\":{\"Replicated\":{}}}",
			 &web),
		  &last);
	assert_string_equal(store_service(s, web)->spec.task.networks.v[0].target, id);
	assert_int_equal(store_service(s, web)->spec.networks.n, 0);
	r = (struct control_request){.op = CONTROL_NETWORK_REMOVE, .id = id};
	assert_int_equal(ask(s, &r, NULL), -EBUSY);
	assert_non_null(strstr(last.msg, "in use by service web"));
	store_free(s);
}

static void ids_may_be_cut_short_while_they_are_clear(void **state)
{
	struct store *s = with_cluster();
	const struct object *o;
	auto_free char *a = NULL, *b = NULL;

	ids = 0;
	assert_ok(create(s, WEB, &a), &last);
	assert_int_equal(control_find(s, KIND_SERVICE, "00000", &o, &last), 0);
	ids = 10;
	assert_ok(create(s,
			 "{\"Name\":\"b\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"a\"}},"
			 "\"Mode\":{\"Replicated\":{}}}",
			 &b),
		  &last);
	assert_int_equal(control_find(s, KIND_SERVICE, "00000", &o, &last), -EINVAL);
	assert_int_equal(control_find(s, KIND_SERVICE, b, &o, &last), 0);
	assert_int_equal(control_find(s, KIND_SERVICE, "", &o, &last), -EINVAL);
	assert_int_equal(control_find(s, KIND_NODE, "alpha", &o, &last), 0);
	store_free(s);
}

static struct task *task_add(struct store *s, const char *id, const char *node, enum task_state st)
{
	struct task *t = object_new(KIND_TASK, id, 1);
	struct store_result result;
	struct changes changes;

	t->service = xstrdup("svc");
	t->node = xstrdup(node);
	t->status.state = st;
	t->desired = TASK_RUNNING;
	changes_init(&changes);
	changes_create(&changes, &t->o);
	store_apply_changes(s, &changes, &result);
	changes_done(&changes);
	return t;
}

static int report(struct store *s, const char *node, const char *task, enum task_state st,
		  int64_t when)
{
	struct session_report item = {.task = (char *)(uintptr_t)task,
				      .status = {.state = st, .timestamp = when}};
	struct control_request r = {.op = CONTROL_TASK_STATUS, .id = (char *)(uintptr_t)node};

	r.reports.v = &item;
	r.reports.n = 1;
	return ask(s, &r, NULL);
}

static void agents_speak_for_their_own_tasks_and_only_upwards(void **state)
{
	struct store *s = with_cluster();

	(void)task_add(s, "mine", "self", TASK_ASSIGNED);
	(void)task_add(s, "theirs", "other", TASK_ASSIGNED);
	(void)task_add(s, "new", "self", TASK_NEW);
	assert_ok(report(s, "self", "mine", TASK_RUNNING, 5), &last);
	assert_int_equal(store_task(s, "mine")->status.state, TASK_RUNNING);
	assert_ok(report(s, "self", "mine", TASK_STARTING, 9), &last);
	assert_int_equal(store_task(s, "mine")->status.state, TASK_RUNNING);
	assert_ok(report(s, "self", "theirs", TASK_RUNNING, 5), &last);
	assert_int_equal(store_task(s, "theirs")->status.state, TASK_ASSIGNED);
	assert_ok(report(s, "self", "new", TASK_RUNNING, 5), &last);
	assert_int_equal(store_task(s, "new")->status.state, TASK_NEW);
	assert_ok(report(s, "self", "gone", TASK_RUNNING, 5), &last);
	assert_int_equal(report(s, "stranger", "mine", TASK_FAILED, 5), -ENOENT);
	assert_ok(report(s, "self", "mine", TASK_FAILED, 10), &last);
	assert_ok(report(s, "self", "mine", TASK_REJECTED, 11), &last);
	assert_int_equal(store_task(s, "mine")->status.state, TASK_FAILED);
	store_free(s);
}

/* The enforcer's verdict stays; only that its container has ended is learned from the agent. */
static void an_evicted_task_is_over_when_its_agent_says_so(void **state)
{
	struct store *s = with_cluster();
	struct task *t = task_add(s, "mine", "self", TASK_REJECTED);

	t->evicted = true;
	assert_ok(report(s, "self", "mine", TASK_RUNNING, 5), &last);
	assert_true(store_task(s, "mine")->evicted);
	assert_ok(report(s, "self", "mine", TASK_SHUTDOWN, 6), &last);
	assert_false(store_task(s, "mine")->evicted);
	assert_int_equal(store_task(s, "mine")->status.state, TASK_REJECTED);
	store_free(s);
}

static void a_report_that_comes_twice_changes_nothing(void **state)
{
	struct store *s = with_cluster();
	uint64_t version;

	(void)task_add(s, "mine", "self", TASK_ASSIGNED);
	assert_ok(report(s, "self", "mine", TASK_RUNNING, 5), &last);
	version = store_version(s);
	assert_ok(report(s, "self", "mine", TASK_RUNNING, 5), &last);
	assert_int_equal(store_version(s), version);
	store_free(s);
}

static void nodes_come_go_and_are_kept_out(void **state)
{
	struct store *s = with_cluster();
	struct node *n = object_new(KIND_NODE, "1111111111111111111111111", 1);
	struct control_request join = {.op = CONTROL_NODE_JOIN, .new_node = n};
	struct strs lost = {0};
	struct control_request down = {.op = CONTROL_NODES_LOST};
	struct control_request remove = {.op = CONTROL_NODE_REMOVE, .id = n->o.id};
	struct node_description d = {.hostname = (char *)"beta"};
	struct control_request seen = {.op = CONTROL_NODE_SEEN,
				       .id = n->o.id,
				       .description = &d,
				       .addr = (char *)"10.0.0.2"};

	assert_ok(ask(s, &join, NULL), &last);
	assert_int_equal(ask(s, &join, NULL), -EEXIST);
	assert_ok(ask(s, &seen, NULL), &last);
	assert_int_equal(store_node(s, n->o.id)->status.state, NODE_READY);
	assert_string_equal(store_node(s, n->o.id)->data_addr, "10.0.0.2");
	assert_int_equal(ask(s, &remove, NULL), -EBUSY);
	strs_add(&lost, n->o.id);
	down.ids = lost;
	assert_ok(ask(s, &down, NULL), &last);
	assert_int_equal(store_node(s, n->o.id)->status.state, NODE_DOWN);
	assert_ok(ask(s, &remove, NULL), &last);
	assert_null(store_node(s, n->o.id));
	assert_non_null(MAP_GET(&store_cluster(s)->blocked, n->o.id));
	remove.id = (char *)"self";
	remove.force = true;
	assert_int_equal(ask(s, &remove, NULL), -EBUSY); /* the last manager */
	strs_done(&lost);
	object_free(&n->o);
	store_free(s);
}

static void settings_and_tokens(void **state)
{
	struct store *s = with_cluster();
	struct cluster_spec spec = {0};
	struct control_request r = {.op = CONTROL_CLUSTER_UPDATE,
				    .version = store_cluster(s)->o.version.index,
				    .cluster = &spec,
				    .rotate_worker_token = true,
				    .worker_token = (char *)"SWMTKN-new"};

	spec.dispatcher.heartbeat_period = 1;
	assert_int_equal(ask(s, &r, NULL), -EINVAL);
	spec.dispatcher.heartbeat_period = 200000000;
	assert_ok(ask(s, &r, NULL), &last);
	assert_string_equal(store_cluster(s)->tokens.worker, "SWMTKN-new");
	assert_int_equal(cluster_heartbeat_ns(store_cluster(s)), 200000000);
	assert_int_equal(ask(s, &r, NULL), -ESTALE);
	r.version = store_cluster(s)->o.version.index;
	spec.encryption.auto_lock = true;
	assert_int_equal(ask(s, &r, NULL), -ENOSYS);
	store_free(s);
}

static void an_unknown_request_is_refused(void **state)
{
	struct store *s = with_cluster();
	struct control_request r = {.op = 4711};

	assert_int_equal(ask(s, &r, NULL), -ENOSYS);
	store_free(s);
}

static void requests_travel(void **state)
{
	struct control_request r = {.op = CONTROL_SERVICE_CREATE, .service = spec_read(WEB)};
	struct control_request back = {0};
	auto_buf bytes = BUF_INIT(10000);
	struct err e = ERR_INIT;

	assert_ok(table_check(&control_request_table, &e), &e);
	assert_ok(table_check(&control_answer_table, &e), &e);
	assert_int_equal(tlv_write(&control_request_table, &r, &bytes), 0);
	assert_ok(tlv_read(&control_request_table, bytes.p, bytes.len, &back, &e), &e);
	assert_true(table_equal(&control_request_table, &r, &back));
	table_done(&control_request_table, &back);
	table_free(&service_spec_table, r.service);
}

static int node_ask(struct store *s, const char *id, enum node_role role)
{
	const struct node *old = store_node(s, id);
	struct node_spec spec = {.role = role};
	struct control_request r = {.op = CONTROL_NODE_UPDATE,
				    .id = (char *)(uintptr_t)id,
				    .version = old->o.version.index,
				    .node = &spec};

	return ask(s, &r, NULL);
}

static int certify(struct store *s, const char *id, uint64_t fresh, uint64_t held)
{
	struct control_request r = {.op = CONTROL_NODE_CERTIFY,
				    .id = (char *)(uintptr_t)id,
				    .csr = (char *)(uintptr_t) "request",
				    .addr = (char *)(uintptr_t) "10.0.0.2:2377",
				    .raft_id = fresh,
				    .held_raft_id = held};

	return ask(s, &r, NULL);
}

static void node_add(struct store *s, const char *id)
{
	struct control_request r = {.op = CONTROL_NODE_JOIN,
				    .new_node = object_new(KIND_NODE, id, 1)};

	assert_int_equal(ask(s, &r, NULL), 0);
	object_free(&r.new_node->o);
}

#define OTHER "0000000000000000000000aaa"

static void a_promoted_node_gets_its_vote_with_its_certificate(void **state)
{
	struct store *s = with_cluster();

	node_add(s, OTHER);
	assert_int_equal(certify(s, OTHER, 0, 0), 0); /* a worker's renewal */
	assert_null(store_node(s, OTHER)->manager);
	assert_int_equal(node_ask(s, OTHER, ROLE_MANAGER), 0);
	assert_null(store_node(s, OTHER)->manager);
	assert_int_equal(certify(s, OTHER, 0, 0), -EAGAIN); /* by who took it for a worker */
	assert_int_equal(certify(s, OTHER, 71, 0), 0);
	assert_int_equal(store_node(s, OTHER)->manager->raft_id, 71);
	assert_string_equal(store_node(s, OTHER)->manager->addr, "10.0.0.2:2377");
	assert_int_equal(store_node(s, OTHER)->csr.n, strlen("request"));
	/* A renewal of one that has its log changes nothing of that, one that lost it does. */
	assert_int_equal(certify(s, OTHER, 72, 71), 0);
	assert_int_equal(store_node(s, OTHER)->manager->raft_id, 71);
	assert_int_equal(certify(s, OTHER, 73, 0), 0);
	assert_int_equal(store_node(s, OTHER)->manager->raft_id, 73);
	assert_int_equal(node_ask(s, OTHER, ROLE_WORKER), 0);
	assert_null(store_node(s, OTHER)->manager);
	assert_int_equal(certify(s, "0000000000000000000000bbb", 1, 0), -ENOENT);
	store_free(s);
}

static void the_last_manager_and_the_leader_are_not_demoted(void **state)
{
	struct store *s = with_cluster();

	assert_int_equal(node_ask(s, "self", ROLE_WORKER), -EINVAL);
	assert_non_null(strstr(last.msg, "last manager"));
	node_add(s, OTHER);
	assert_int_equal(node_ask(s, OTHER, ROLE_MANAGER), 0);
	assert_int_equal(node_ask(s, "self", ROLE_WORKER), -EBUSY);
	assert_int_equal(store_node(s, "self")->spec.role, ROLE_MANAGER);
	store_free(s);
}

static struct secret_spec secret_spec(const char *name, const char *data, size_t n)
{
	return (struct secret_spec){.name = (char *)(uintptr_t)name,
				    .data = {(uint8_t *)(uintptr_t)data, n}};
}

static int secret(struct store *s, uint32_t op, enum object_kind kind, const char *id,
		  uint64_t version, struct secret_spec *spec, char **ret_id)
{
	struct control_request r = {.op = op,
				    .kind = kind,
				    .id = (char *)(uintptr_t)id,
				    .version = version,
				    .secret = spec};

	return ask(s, &r, ret_id);
}

static void secrets_have_bounds_and_names(void **state)
{
	static const char *const bad[] = {"",
					  "-a",
					  "a-",
					  ".a",
					  "a b",
					  "a/b",
					  "01234567890123456789012345678901234567890123456789"
					  "012345678901234"};
	struct store *s = with_cluster();
	auto_free char *big = xcalloc(1, LIMIT_CONFIG_DATA + 1);
	struct driver vault = {.name = (char *)"vault"}, golang = {.name = (char *)"golang"};
	struct secret_spec spec;

	assert_int_equal(strlen(bad[6]), LIMIT_SECRET_NAME + 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		spec = secret_spec(bad[i], "x", 1);
		assert_int_equal(
			secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			-EINVAL);
	}
	spec = secret_spec("a", "", 0);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec = secret_spec("a", big, LIMIT_SECRET_DATA + 1);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec.data.n = LIMIT_SECRET_DATA;
	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL), &last);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			 -EEXIST);
	spec = secret_spec("a", big, LIMIT_CONFIG_DATA + 1); /* a config may have a secret's name */
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec.data.n = LIMIT_CONFIG_DATA;
	spec.driver = &vault;
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL),
			 -ENOSYS);
	spec.driver = NULL;
	spec.templating = &vault;
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec.templating = &golang;
	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL), &last);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_NODE, NULL, 0, &spec, NULL),
			 -EINVAL);
	store_free(s);
}

static void only_labels_of_a_secret_change(void **state)
{
	struct store *s = with_cluster();
	struct secret_spec spec = secret_spec("pw", "hunter2", 7), changed = {0};
	const struct secret *stored;
	auto_free char *id = NULL;

	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, &id), &last);
	stored = (const struct secret *)store_get(s, KIND_SECRET, id);
	strmap_set(&changed.labels, "k", "v");
	assert_int_equal(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, "pw", 99, &changed, NULL),
			 -ESTALE);
	assert_ok(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, "pw", stored->o.version.index,
			 &changed, NULL),
		  &last);
	stored = (const struct secret *)store_get(s, KIND_SECRET, id);
	assert_string_equal(strmap_get(&stored->spec.labels, "k"), "v");
	assert_int_equal(stored->spec.data.n, 7);
	changed.data = (struct bytes){(uint8_t *)(uintptr_t) "hunter3", 7};
	assert_int_equal(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, id, stored->o.version.index,
				&changed, NULL),
			 -EINVAL);
	assert_null(strstr(last.msg, "hunter"));
	changed.data = (struct bytes){0};
	changed.name = (char *)"other";
	assert_int_equal(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, id, stored->o.version.index,
				&changed, NULL),
			 -EINVAL);
	strmap_done(&changed.labels);
	store_free(s);
}

#define WITH_FILES(files)                                                                   \
	"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"," files \
	"}},\"Mode\":{\"Replicated\":{\"Replicas\":3}}}"

/* A service with one secret "pw" of the id, at each target. */
static int create_with(struct store *s, const char *id, const char *one, const char *two)
{
	auto_free char *json = xasprintf(
		WITH_FILES(
			"\"Secrets\":[{\"SecretID\":\"%s\",\"SecretName\":\"pw\",\"File\":"
			"{\"Name\":\"%s\",\"UID\":\"0\",\"GID\":\"0\",\"Mode\":292}},"
			"{\"SecretID\":\"%s\",\"SecretName\":\"pw\",\"File\":{\"Name\":\"%s\"}}]"),
		id, one, id, two);

	return create(s, json, NULL);
}

/* Each bound of what a service may have of them, and the step past it. */
static void files_of_a_service_are_bounded(void **state)
{
	static char names[LIMIT_TASK_FILES + 1][LIMIT_FILE_TARGET + 2];
	static struct file_target files[LIMIT_TASK_FILES + 1];
	static struct config_ref refs[LIMIT_TASK_FILES + 1];
	struct container_spec c = {.configs = {refs, LIMIT_TASK_FILES + 1}};
	auto_free char *big = xcalloc(1, LIMIT_CONFIG_DATA);
	struct secret_spec spec = secret_spec("big", big, LIMIT_CONFIG_DATA);
	struct store *s = with_cluster();
	struct err e = ERR_INIT;
	auto_free char *id = NULL;

	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, &id), &last);
	for (int i = 0; i <= LIMIT_TASK_FILES; i++) {
		(void)snprintf(names[i], sizeof names[i], "f%d", i);
		files[i].name = names[i];
		refs[i] = (struct config_ref){.file = &files[i], .id = id, .name = (char *)"big"};
	}
	assert_int_equal(service_files_check(&c, &e), -EINVAL);
	c.configs.n = LIMIT_TASK_FILES;
	assert_ok(service_files_check(&c, &e), &e);
	memset(names[0], 'x', LIMIT_FILE_TARGET);
	assert_ok(service_files_check(&c, &e), &e);
	names[0][LIMIT_FILE_TARGET] = 'x';
	assert_int_equal(service_files_check(&c, &e), -EINVAL);
	c.configs.n = LIMIT_TASK_PAYLOAD / LIMIT_CONFIG_DATA;
	assert_ok(secrets_check(s, &c, &e), &e);
	c.configs.n++;
	assert_int_equal(secrets_check(s, &c, &e), -EINVAL);
	files[1].uid = (char *)"4294967295";
	assert_int_equal(service_files_check(&c, &e), -EINVAL);
	store_free(s);
}

static void services_keep_their_secrets(void **state)
{
	static const char *const bad[] = {"", "..", "a/../b", "./a", "a/", "/"};
	struct store *s = with_cluster();
	struct secret_spec spec = secret_spec("pw", "hunter2", 7);
	struct control_request gone = {.op = CONTROL_SERVICE_REMOVE, .id = (char *)"web"};
	auto_free char *id = NULL;

	assert_int_equal(create_with(s, "0000000000000000000000000", "a", "b"), -EINVAL);
	assert_non_null(strstr(last.msg, "not found: secret pw"));
	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, &id), &last);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(create_with(s, id, bad[i], "good"), -EINVAL);
	assert_int_equal(create_with(s, id, "a", "/run//secrets/a"), -EINVAL);
	assert_non_null(strstr(last.msg, "conflicting target: '/run/secrets/a'"));
	assert_int_equal(create(s,
				WITH_FILES("\"Configs\":[{\"ConfigID\":\"x\",\"ConfigName\":"
					   "\"y\",\"Runtime\":{}}]"),
				NULL),
			 -ENOSYS);
	assert_ok(create_with(s, id, "a", "/b"), &last);
	assert_int_equal(secret(s, CONTROL_SECRET_REMOVE, KIND_SECRET, "pw", 0, NULL, NULL),
			 -EINVAL);
	assert_non_null(strstr(last.msg, "'pw' is in use by the following service: web"));
	assert_ok(ask(s, &gone, NULL), &last);
	assert_ok(secret(s, CONTROL_SECRET_REMOVE, KIND_SECRET, "pw", 0, NULL, NULL), &last);
	assert_int_equal(store_count(s, KIND_SECRET), 0);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_is_stored_with_its_template),
		TEST(scaling_keeps_the_template),
		TEST(a_rollback_swaps_the_specifications),
		TEST(an_update_resumes_what_has_paused),
		TEST(update_configurations_are_checked),
		TEST(a_job_starts_anew_with_another_template),
		TEST(a_scheduled_job_waits_for_its_time),
		TEST(updates_out_of_sequence_are_refused),
		TEST(bad_specs_say_what_is_wrong),
		TEST(a_removed_service_frees_its_name_at_once),
		TEST(networks_are_resolved_and_kept_while_used),
		TEST(ids_may_be_cut_short_while_they_are_clear),
		TEST(agents_speak_for_their_own_tasks_and_only_upwards),
		TEST(an_evicted_task_is_over_when_its_agent_says_so),
		TEST(a_report_that_comes_twice_changes_nothing),
		TEST(nodes_come_go_and_are_kept_out),
		TEST(settings_and_tokens),
		TEST(an_unknown_request_is_refused),
		TEST(requests_travel),
		TEST(a_promoted_node_gets_its_vote_with_its_certificate),
		TEST(the_last_manager_and_the_leader_are_not_demoted),
		TEST(secrets_have_bounds_and_names),
		TEST(only_labels_of_a_secret_change),
		TEST(files_of_a_service_are_bounded),
		TEST(services_keep_their_secrets),
	};

	return RUN_TESTS(tests);
}
