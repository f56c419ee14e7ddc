/*
 * What is measured, from the label to the decision: agents are told of their tasks of services that
 * are scaled and of no others, and what they report at any manager reaches the leader.
 */
#include "unit/whole/rig.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define SCALED(name, max, n)                                                                       \
	"{\"Name\":\"" name "\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"}},"       \
	"\"Labels\":{\"shoal.autoscale.max\":\"" max                                               \
	"\",\"shoal.autoscale.cpu\":\"50\",\"shoal.autoscale.metric\":\"jobs\","                   \
	"\"shoal.autoscale.metric.port\":\"90\",\"shoal.autoscale.metric.target\":\"3\"},\"Mode\"" \
	":{\"Replicated\":{\"Replicas\":" n "}}}"

static struct asked create_json(struct host *h, const char *json)
{
	struct service_spec spec = {0};
	struct control_request r = {.op = CONTROL_SERVICE_CREATE, .service = &spec};
	struct asked a;

	spec_json(&spec, json);
	a = host_ask(h, &r);
	table_done(&service_spec_table, &spec);
	return a;
}

static uint64_t replicas(struct host *h, const char *name)
{
	return service_replicas(&service_of(h, name)->spec);
}

static size_t measured_tasks(struct host *h)
{
	size_t n = 0;

	LIST_EACH (g, &h->measure.groups)
		n += g->tasks.n;
	return n;
}

/* The tasks of the first group use so much. */
static void report(struct host *h, const struct strs *tasks, int64_t cpu, int64_t metric)
{
	struct session_measured m = {0};

	STRS_EACH (task, tasks) {
		struct task_load *l = LIST_ADD(&m.loads);

		l->task = xstrdup(task);
		l->value[AUTOSCALE_CPU] = xmemdup(&cpu, sizeof cpu);
		l->value[AUTOSCALE_METRIC] = xmemdup(&metric, sizeof metric);
	}
	session_client_measured(h->session, &m);
	table_done(&session_measured_table, &m);
}

static void agents_are_told_of_what_is_scaled_alone(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	const struct session_measure_group *g;
	struct asked a = host_create(m, "plain", 2);

	(void)state;
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(m, "plain", NULL) == 2);
	assert_int_equal(w->measure_asks, 0);
	a = create_json(m, SCALED("web", "2", "1"));
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, measured_tasks(w) == 1);
	g = &w->measure.groups.v[0];
	assert_true(g->use && g->port == 90);
	assert_string_equal(g->metric, "jobs");
	assert_string_equal(g->path, "/metrics");
	assert_int_equal(w->measure.period_ms, LIMIT_AUTOSCALE_MS);
	RIG_UNTIL(r, tasks_running(m, "web", NULL) == 1);
	a = host_name(m, CONTROL_SERVICE_REMOVE, "web", false);
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, measured_tasks(w) == 0);
	assert_int_equal(tasks_running(m, "plain", NULL), 2);
	rig_done(r);
}

static struct asked view_ask(struct host *h, const char *name)
{
	struct control_request r = {.op = CONTROL_TASKS_MEASURED, .id = (char *)(uintptr_t)name};

	return host_ask(h, &r);
}

/* Agents of managers are in session with their own: two of them with one that follows. */
static void what_followers_hear_reaches_the_leader(void **state)
{
	struct rig *r = rig_new();
	struct host *leader = &r->hosts[0], *h;
	struct strs foreign = {0};
	size_t known = 0;
	struct asked a;

	(void)state;
	for (size_t i = 1; i < 3; i++) {
		h = rig_manager(r, i);
		if (!h->session)
			host_session(h);
	}
	RIG_UNTIL(r, voters_of(leader) == 3);
	for (size_t i = 1; i < 3; i++)
		RIG_UNTIL(r, node_state_of(leader, r->hosts[i].node) == NODE_READY);
	a = create_json(leader, SCALED("web", "4", "2"));
	assert_ok(a.status, &a.e);
	RIG_UNTIL(r, tasks_running(leader, "web", NULL) == 2);
	RIG_UNTIL(r, measured_tasks(&r->hosts[1]) + measured_tasks(&r->hosts[2]) == 2);
	assert_int_equal(view_ask(&r->hosts[1], "none").status, -ENOENT);
	for (size_t i = 1; i < 3; i++) {
		h = &r->hosts[i];
		/* What is another's, or nobody's, counts for nothing. */
		LIST_EACH (g, &r->hosts[3 - i].measure.groups)
			STRS_EACH (task, &g->tasks)
				strs_add(&foreign, task);
		strs_add(&foreign, "0000000000000000000000000");
		report(h, &foreign, 1, 1);
		strs_done(&foreign);
		LIST_EACH (g, &h->measure.groups) {
			report(h, &g->tasks, 1000000000, 3000);
			known += g->tasks.n;
		}
	}
	assert_int_equal(known, 2);
	RIG_UNTIL(r, replicas(leader, "web") == 4);
	assert_string_equal(service_of(leader, "web")->autoscale->reason,
			    "cpu is 100% a task, the target 50%");
	a = view_ask(&r->hosts[1], "web");
	assert_ok(a.status, &a.e);
	rig_done(r);
}

/* So many tasks are not counted at each turn of the loop. */
static size_t running_of_late(struct host *h, const char *name)
{
	static uint64_t looked_ms;
	static size_t n;

	if (clock_mono_ms() > looked_ms + 300) {
		n = tasks_running(h, name, NULL);
		looked_ms = clock_mono_ms();
	}
	return n;
}

/* As an agent does, every few seconds: values grow old. */
static void report_again(struct host *h, const struct strs *tasks)
{
	static uint64_t said_ms;

	if (clock_mono_ms() < said_ms + 4000)
		return;
	report(h, tasks, 1000000000, 3000);
	said_ms = clock_mono_ms();
}

/*
 * One task more than a report may have, all on one node: it is told of as many as the bound says,
 * and what it says of more reaches the leader in two requests.
 */
static void reports_are_bounded(void **state)
{
	struct rig *r = rig_new();
	struct host *m = &r->hosts[0], *w = rig_worker(r, 1);
	struct strs all = {0};
	struct asked a;

	(void)state;
	_Static_assert(LIMIT_AUTOSCALE_LOADS == 10000, "the number in the service below");
	a = create_json(m, SCALED("many", "10002", "10001"));
	assert_ok(a.status, &a.e);
	/* With the patience that sanitizers need. */
	for (unsigned i = 1; i <= 8; i++)
		RIG_UNTIL(r, running_of_late(m, "many") > i * (LIMIT_AUTOSCALE_LOADS / 8));
	RIG_UNTIL(r, measured_tasks(w) >= LIMIT_AUTOSCALE_LOADS);
	assert_int_equal(measured_tasks(w), LIMIT_AUTOSCALE_LOADS);
	for (size_t i = 0; i < w->n_tasks; i++)
		strs_add(&all, w->tasks[i].id);
	assert_int_equal(all.n, LIMIT_AUTOSCALE_LOADS + 1);
	/* Under a sanitizer the decision did not come within a minute. */
	if (!SANITIZED)
		RIG_UNTIL(r, (report_again(w, &all), replicas(m, "many")) ==
				     LIMIT_AUTOSCALE_LOADS + 2);
	strs_done(&all);
	rig_done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(agents_are_told_of_what_is_scaled_alone),
		TEST(what_followers_hear_reaches_the_leader),
		TEST(reports_are_bounded),
	};
	int failed;

	log_set_level(LOG_LEVEL_ERROR);
	failed = RUN_TESTS(tests);
	uv_library_shutdown();
	return failed;
}
