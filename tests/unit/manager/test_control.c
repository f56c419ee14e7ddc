/*
 * manager/control.h: requests against a store, with their refusals. Pure: ids count up, the time is
 * given.
 */
#include "unit/manager/control_rig.h"

#include "manager/service_spec.h"

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

/* How an update stands is written into the service: who has read it before may change it still. */
static void only_another_specification_is_out_of_sequence(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;
	struct store_result result;
	struct changes changes;
	struct service *told;
	uint64_t seen;

	assert_ok(create(s, WEB, &id), &last);
	seen = store_service(s, id)->o.version.index;
	assert_true(seen >= store_service(s, id)->spec_version);
	told = object_clone(&store_service(s, id)->o);
	told->update.total = 3;
	changes_init(&changes);
	changes_update(&changes, &store_service(s, id)->o, &told->o, 2);
	store_apply_changes(s, &changes, &result);
	changes_done(&changes);
	assert_true(store_service(s, id)->o.version.index > seen);
	assert_ok(update(s, id, seen, WEB_OF("other", "3", "")), &last);
	assert_int_equal(update(s, id, seen, WEB), -ESTALE);
	assert_int_equal(update(s, id, store_service(s, id)->o.version.index + 1, WEB), -ESTALE);
	store_free(s);
}

#define WEB_WITH_NOTHING                                                              \
	"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"," \
	"\"Privileges\":{\"CredentialSpec\":null,\"NoNewPrivileges\":false}},"        \
	"\"Placement\":{},\"Resources\":{}},\"EndpointSpec\":{\"Mode\":\"vip\"},"     \
	"\"Mode\":{\"Replicated\":{\"Replicas\":3}}}"

/* As docker's client sends it, where others leave it out. */
static void what_says_nothing_replaces_no_task(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL;
	uint64_t template;

	assert_ok(create(s, WEB, &id), &last);
	template = store_service(s, id)->template_version;
	assert_ok(update(s, id, store_service(s, id)->o.version.index, WEB_WITH_NOTHING), &last);
	assert_int_equal(store_service(s, id)->template_version, template);
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

#define OF_HOST(name, networks)                                                         \
	"{\"Name\":\"" name "\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"a\"}," \
	"\"Networks\":[" networks "]},\"Mode\":{\"Replicated\":{}}}"

static void the_nodes_own_networks_are_named_as_they_are(void **state)
{
	struct store *s = with_cluster();
	auto_free char *id = NULL, *web = NULL;

	assert_ok(create(s, OF_HOST("web", "{\"Target\":\"host\"}"), &web), &last);
	assert_string_equal(store_service(s, web)->spec.task.networks.v[0].target, "host");
	assert_ok(service_spec_holds(s, &store_service(s, web)->spec, &last), &last);
	assert_int_equal(
		create(s, OF_HOST("b", "{\"Target\":\"host\"},{\"Target\":\"bridge\"}"), &id),
		-EINVAL);
	assert_non_null(strstr(last.msg, "host cannot be combined"));
	assert_int_equal(
		create(s, OF_HOST("b", "{\"Target\":\"bridge\",\"Aliases\":[\"x\"]}"), &id),
		-EINVAL);
	assert_non_null(strstr(last.msg, "alias"));
	assert_int_equal(create(s, OF_HOST("b", "{\"Target\":\"none\"}"), &id), -ENOENT);
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

static void a_node_that_leaves_is_down_and_its_tasks_are_nobodys(void **state)
{
	struct store *s = with_cluster();
	struct control_request left = {.op = CONTROL_NODE_LEFT, .id = (char *)"self"};
	uint64_t version;

	(void)task_add(s, "run", "self", TASK_RUNNING);
	(void)task_add(s, "done", "self", TASK_COMPLETE);
	assert_ok(ask(s, &left, NULL), &last);
	assert_int_equal(store_node(s, "self")->status.state, NODE_DOWN);
	assert_string_equal(store_node(s, "self")->status.message, "the node has left the swarm");
	assert_int_equal(store_task(s, "run")->status.state, TASK_ORPHANED);
	assert_string_equal(store_task(s, "run")->status.message, "the node has left the swarm");
	assert_int_equal(store_task(s, "done")->status.state, TASK_COMPLETE);
	version = store_version(s);
	assert_ok(ask(s, &left, NULL), &last);
	assert_int_equal(store_version(s), version);
	left.id = (char *)"nobody";
	assert_int_equal(ask(s, &left, NULL), -ENOENT);
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

static void offer(struct node_description *d, const char *kind, int64_t number)
{
	struct generic_discrete *g = xcalloc(1, sizeof *g);

	g->kind = xstrdup(kind);
	g->value = number;
	LIST_ADD(&d->resources.generic)->discrete = g;
}

/* A node is believed within the bounds that its daemon has: everybody walks what it says. */
static void what_a_node_offers(void **state)
{
	struct store *s = with_cluster();
	struct node *n = object_new(KIND_NODE, "1111111111111111111111111", 1);
	struct control_request join = {.op = CONTROL_NODE_JOIN, .new_node = n};
	struct node_description d = {0};
	struct control_request seen = {.op = CONTROL_NODE_SEEN, .id = n->o.id, .description = &d};
	const struct node_description *got;

	assert_ok(ask(s, &join, NULL), &last);
	offer(&d, "SSD", INT64_MAX);
	offer(&d, "SSD", 2);
	offer(&d, "SSD", 2);
	offer(&d, "FPGA", -1);
	offer(&d, "no kind", 1);
	(void)LIST_ADD(&d.resources.generic);
	assert_ok(ask(s, &seen, NULL), &last);
	got = &store_node(s, n->o.id)->description;
	assert_int_equal(got->resources.generic.n, 1);
	assert_string_equal(got->resources.generic.v[0].discrete->kind, "SSD");
	assert_int_equal(got->resources.generic.v[0].discrete->value, 2);
	for (unsigned i = 0; i < 2 * LIMIT_GENERICS; i++) {
		auto_free char *text = xasprintf("K%u", i);

		offer(&d, text, 1);
		strs_add(&d.task_devices, text);
	}
	assert_ok(ask(s, &seen, NULL), &last);
	got = &store_node(s, n->o.id)->description;
	assert_int_equal(got->resources.generic.n, LIMIT_GENERICS);
	assert_int_equal(got->task_devices.n, LIMIT_TASK_DEVICES);
	table_done(&node_description_table, &d);
	object_free(&n->o);
	store_free(s);
}

static void cert_expiry_set(struct store *s, int64_t expiry)
{
	struct cluster_spec spec = {0};
	struct control_request r = {.op = CONTROL_CLUSTER_UPDATE,
				    .version = store_cluster(s)->o.version.index,
				    .cluster = &spec};

	spec.ca.node_cert_expiry = expiry;
	assert_ok(ask(s, &r, NULL), &last);
}

/* For how long the id of a node that is removed now is kept, in ns. */
static int64_t blocked_for(struct store *s)
{
	struct node *n = object_new(KIND_NODE, "2222222222222222222222222", 1);
	struct control_request join = {.op = CONTROL_NODE_JOIN, .new_node = n};
	struct control_request remove = {.op = CONTROL_NODE_REMOVE, .id = n->o.id, .force = true};
	int64_t ret;

	assert_ok(ask(s, &join, NULL), &last);
	assert_ok(ask(s, &remove, NULL), &last);
	ret = MAP_GET(&store_cluster(s)->blocked, n->o.id)->expiry - store_cluster(s)->o.updated;
	object_free(&n->o);
	return ret;
}

/* As long as the longest life that its certificate can have, which may be one of before. */
static void removed_nodes_are_kept_out(void **state)
{
	struct store *s = with_cluster();
	const int64_t hour = 3600 * 1000000000LL;

	cert_expiry_set(s, 2 * CERT_EXPIRY_DEFAULT_NS);
	assert_true(blocked_for(s) == 2 * CERT_EXPIRY_DEFAULT_NS);
	cert_expiry_set(s, hour);
	assert_true(blocked_for(s) == 2 * CERT_EXPIRY_DEFAULT_NS);
	cert_expiry_set(s, INT64_MAX);
	assert_true(blocked_for(s) > 20 * 365 * 24 * hour);
	store_free(s);
	s = with_cluster();
	cert_expiry_set(s, hour);
	assert_true(blocked_for(s) == CERT_EXPIRY_DEFAULT_NS);
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
	spec.raft.heartbeat_tick = RAFT_ELECTION_DEFAULT;
	assert_int_equal(ask(s, &r, NULL), -EINVAL);
	assert_non_null(strstr(last.msg, "ElectionTick 10 must be greater than HeartbeatTick 10"));
	spec.raft.heartbeat_tick = -1;
	assert_int_equal(ask(s, &r, NULL), -EINVAL);
	spec.raft.heartbeat_tick = 2;
	spec.raft.election_tick = (int64_t)INT32_MAX + 1;
	assert_int_equal(ask(s, &r, NULL), -EINVAL);
	spec.raft.election_tick = 3;
	spec.raft.snapshot_interval = 1;
	spec.raft.log_entries_for_slow_followers = RAFT_TRAILING_DEFAULT;
	assert_ok(ask(s, &r, NULL), &last);
	assert_int_equal(cluster_snapshot_interval(store_cluster(s)), 1);
	assert_int_equal(cluster_snapshot_trailing(store_cluster(s)), 0);
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
		TEST(what_says_nothing_replaces_no_task),
		TEST(only_another_specification_is_out_of_sequence),
		TEST(updates_out_of_sequence_are_refused),
		TEST(bad_specs_say_what_is_wrong),
		TEST(a_removed_service_frees_its_name_at_once),
		TEST(networks_are_resolved_and_kept_while_used),
		TEST(the_nodes_own_networks_are_named_as_they_are),
		TEST(ids_may_be_cut_short_while_they_are_clear),
		TEST(agents_speak_for_their_own_tasks_and_only_upwards),
		TEST(an_evicted_task_is_over_when_its_agent_says_so),
		TEST(a_report_that_comes_twice_changes_nothing),
		TEST(a_node_that_leaves_is_down_and_its_tasks_are_nobodys),
		TEST(nodes_come_go_and_are_kept_out),
		TEST(what_a_node_offers),
		TEST(removed_nodes_are_kept_out),
		TEST(settings_and_tokens),
		TEST(an_unknown_request_is_refused),
		TEST(requests_travel),
	};

	return RUN_TESTS(tests);
}
