/*
 * When a service counts as converged, and what is shown on the way; the forms of values that go
 * into a service's specification.
 */
#include "cli/progress.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/service_spec.h"
#include "unit/test.h"

static bool active(const char *node, void *data)
{
	(void)data;
	return strcmp(node, "down") != 0;
}

static void task_add(struct list_task_view *l, uint64_t slot, enum task_state state,
		     const char *node)
{
	struct task_view *t = LIST_ADD(&l->list);

	t->slot = slot;
	t->status.state = state;
	t->desired = TASK_RUNNING;
	t->node = xstrdup(node);
}

static void service_fill(struct service_view *s, uint64_t replicas)
{
	s->s.o.id = xstrdup("id");
	s->s.spec.mode.replicated = xcalloc(1, sizeof *s->s.spec.mode.replicated);
	s->s.spec.mode.replicated->replicas = xmemdup(&replicas, sizeof replicas);
}

static void convergence(void **state)
{
	struct list_task_view tasks = {0};
	struct service_view s = {0};
	struct progress p = {0};
	int64_t now = NS_PER_SEC;

	(void)state;
	service_fill(&s, 2);
	task_add(&tasks, 1, TASK_RUNNING, "a");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	assert_string_equal(p.lines.v[0], "overall progress: 1 out of 2 tasks");
	assert_string_equal(p.lines.v[1], "1/2: running");
	task_add(&tasks, 2, TASK_PREPARING, "a");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	assert_string_equal(p.lines.v[2], "2/2: preparing");
	tasks.list.v[1].status.state = TASK_RUNNING;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	assert_string_equal(p.lines.v[3],
			    "verify: Waiting 5 seconds to verify that tasks are stable...");
	str_set(&tasks.list.v[1].node, "down");
	now += 2 * NS_PER_SEC;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	assert_string_equal(p.lines.v[3], "verify: Detected task failure");
	str_set(&tasks.list.v[1].node, "a");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	now += 5 * NS_PER_SEC - 1;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	now += 1;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_CONVERGED);
	assert_string_equal(p.lines.v[3], "verify: Service id converged");
	progress_done(&p);
	table_done(&list_task_view_table, &tasks);
	table_done(&service_view_table, &s);
}

/* Nothing moves: it is given up, with the reason; what moves is not. */
static void patience_has_an_end(void **state)
{
	struct progress p = {.patience = {.ns = 60 * NS_PER_SEC}};
	struct list_task_view tasks = {0};
	struct service_view s = {0};
	int64_t now = NS_PER_SEC;

	(void)state;
	service_fill(&s, 2);
	task_add(&tasks, 1, TASK_RUNNING, "a");
	task_add(&tasks, 2, TASK_PENDING, "a");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	now += 59 * NS_PER_SEC;
	tasks.list.v[1].status.err = xstrdup("no suitable node");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	now += 60 * NS_PER_SEC - 1;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	now += 1;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_FAILED);
	assert_non_null(strstr(p.failure, "nothing has changed for 1m0s: "));
	assert_non_null(strstr(p.failure, "`shoal service ps id`"));
	p.patience.ns = 0;
	now += 1000000 * NS_PER_SEC;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	progress_done(&p);
	table_done(&list_task_view_table, &tasks);
	table_done(&service_view_table, &s);
}

/* A job may run for as long as it takes. */
static void a_running_job_is_waited_for(void **state)
{
	struct service_view s = {.s.spec.mode.replicated_job = xcalloc(1, sizeof(struct job_mode))};
	struct progress p = {.patience = {.ns = NS_PER_SEC}};
	struct list_task_view tasks = {0};

	(void)state;
	s.s.o.id = xstrdup("id");
	task_add(&tasks, 0, TASK_RUNNING, "a");
	tasks.list.v[0].desired = TASK_COMPLETE;
	for (int64_t now = NS_PER_SEC; now < 100 * NS_PER_SEC; now += 10 * NS_PER_SEC)
		assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, now), PROGRESS_WAIT);
	tasks.list.v[0].status.state = TASK_STARTING;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 100 * NS_PER_SEC),
			 PROGRESS_WAIT);
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 101 * NS_PER_SEC),
			 PROGRESS_FAILED);
	progress_done(&p);
	table_done(&list_task_view_table, &tasks);
	table_done(&service_view_table, &s);
}

static void lines_are_printed_once(void **state)
{
	struct strs printed = {0};
	char line[32];

	(void)state;
	assert_true(progress_line_new(&printed, "1/1: running"));
	assert_true(progress_line_new(&printed, "1/1: starting"));
	assert_false(progress_line_new(&printed, "1/1: running"));
	assert_true(progress_line_new(&printed, "verify: Waiting 5 seconds to verify that..."));
	assert_false(progress_line_new(&printed, "verify: Waiting 4 seconds to verify that..."));
	for (unsigned i = 3; i < LIMIT_PROGRESS_LINES; i++) {
		(void)snprintf(line, sizeof line, "line %u", i);
		assert_true(progress_line_new(&printed, line));
	}
	assert_false(progress_line_new(&printed, "one more"));
	strs_done(&printed);
}

static void each_node_counts(void **state)
{
	struct list_task_view tasks = {0};
	struct service_view s = {.s.spec.mode.global = xcalloc(1, sizeof(struct empty))};
	struct progress p = {0};

	(void)state;
	s.s.o.id = xstrdup("id");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_WAIT);
	task_add(&tasks, 0, TASK_RUNNING, "a");
	task_add(&tasks, 0, TASK_PREPARING, "b");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_WAIT);
	assert_string_equal(p.lines.v[0], "overall progress: 1 out of 2 tasks");
	assert_string_equal(p.lines.v[2], "2/2: preparing");
	tasks.list.v[1].status.state = TASK_RUNNING;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_WAIT);
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1 + 5 * NS_PER_SEC),
			 PROGRESS_CONVERGED);
	progress_done(&p);
	table_done(&list_task_view_table, &tasks);
	table_done(&service_view_table, &s);
}

static void a_job_is_done_when_all_is_complete(void **state)
{
	const uint64_t total = 2;
	struct list_task_view tasks = {0};
	struct service_view s = {.s.spec.mode.replicated_job = xcalloc(1, sizeof(struct job_mode))};
	struct progress p = {0};

	(void)state;
	s.s.o.id = xstrdup("id");
	s.s.spec.mode.replicated_job->total_completions = xmemdup(&total, sizeof total);
	s.s.job = xcalloc(1, sizeof *s.s.job);
	s.s.job->iteration.index = 1;
	for (uint64_t slot = 0; slot < 2; slot++) {
		task_add(&tasks, slot, TASK_COMPLETE, "a");
		tasks.list.v[slot].desired = TASK_COMPLETE;
	}
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_WAIT);
	for (uint64_t slot = 0; slot < 2; slot++) {
		tasks.list.v[slot].iteration = xcalloc(1, sizeof(struct job_iteration));
		tasks.list.v[slot].iteration->index = 1;
	}
	tasks.list.v[1].status.state = TASK_RUNNING;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_WAIT);
	assert_string_equal(p.lines.v[0], "job progress: 1 out of 2 complete");
	tasks.list.v[1].status.state = TASK_COMPLETE;
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_CONVERGED);
	assert_string_equal(p.lines.v[3], "job complete");
	progress_done(&p);
	table_done(&list_task_view_table, &tasks);
	table_done(&service_view_table, &s);
}

static void failures(void **state)
{
	struct list_task_view tasks = {0};
	struct service_view s = {0};
	struct progress p = {0};

	(void)state;
	service_fill(&s, 1);
	task_add(&tasks, 1, TASK_PENDING, "");
	tasks.list.v[0].status.err = xstrdup("no suitable node");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_WAIT);
	assert_string_equal(p.lines.v[1], "1/1: no suitable node");
	s.s.update_status = xcalloc(1, sizeof *s.s.update_status);
	s.s.update_status->state = UPDATE_PAUSED;
	s.s.update_status->message = xstrdup("task failed");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_FAILED);
	assert_string_equal(p.failure, "service update paused: task failed");
	progress_done(&p);
	table_done(&list_task_view_table, &tasks);
	table_done(&service_view_table, &s);
}

/* Nothing has converged while the updater is at it, whatever the tasks are. */
static void updates(void **state)
{
	struct list_task_view tasks = {0};
	struct service_view s = {0};
	struct progress p = {0}, asked = {.rollback = true};
	struct update_status *u = s.s.update_status = xcalloc(1, sizeof *u);

	(void)state;
	service_fill(&s, 1);
	task_add(&tasks, 1, TASK_RUNNING, "a");
	u->message = xstrdup("update in progress");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 1), PROGRESS_WAIT);
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 3600 * NS_PER_SEC),
			 PROGRESS_WAIT);
	assert_string_equal(p.lines.v[0], "overall progress: 1 out of 1 tasks");
	assert_string_equal(p.lines.v[1], "update: update in progress");
	u->state = UPDATE_ROLLBACK_STARTED;
	str_set(&u->message, "task t failed");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 3601 * NS_PER_SEC),
			 PROGRESS_WAIT);
	u->state = UPDATE_ROLLBACK_COMPLETED;
	str_set(&u->message, "rollback completed: task t failed");
	assert_int_equal(progress_take(&p, &s, &tasks, active, NULL, 3602 * NS_PER_SEC),
			 PROGRESS_FAILED);
	assert_string_equal(p.failure, "service rolled back: rollback completed: task t failed");
	/* The updater has watched the tasks already. */
	assert_int_equal(progress_take(&asked, &s, &tasks, active, NULL, 1), PROGRESS_CONVERGED);
	progress_done(&p);
	progress_done(&asked);
	table_done(&list_task_view_table, &tasks);
	table_done(&service_view_table, &s);
}

#define REFUSED(fn, tag, text)                                 \
	do {                                                   \
		struct tag v_ = {0};                           \
		struct err e_ = ERR_INIT;                      \
		assert_int_equal(fn(text, &v_, &e_), -EINVAL); \
		table_done(&tag##_table, &v_);                 \
	} while (0)

static void values(void **state)
{
	struct mount m = {0};
	struct network_attachment n = {0};
	struct endpoint_spec p = {0};
	struct ulimit u = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(mount_parse("type=bind,source=/a,destination=/b,ro,bind-propagation=shared", &m,
			      &e),
		  &e);
	assert_string_equal(m.target, "/b");
	assert_true(m.read_only);
	assert_string_equal(m.bind->propagation, "shared");
	assert_ok(network_parse("name=n,alias=a,alias=b", &n, &e), &e);
	assert_int_equal(n.aliases.n, 2);
	assert_ok(port_parse("8080:80/udp", &p, &e), &e);
	assert_int_equal(p.ports.v[0].published, 8080);
	assert_int_equal(p.ports.v[0].target, 80);
	assert_int_equal(p.ports.v[0].protocol, PORT_UDP);
	assert_ok(port_parse("7001-7003:1-3", &p, &e), &e);
	assert_int_equal(p.ports.n, 4);
	assert_int_equal(p.ports.v[3].published, 7003);
	assert_int_equal(p.ports.v[3].target, 3);
	assert_ok(ulimit_parse("nofile=10", &u, &e), &e);
	assert_int_equal(u.hard, 10);
	table_done(&mount_table, &m);
	table_done(&network_attachment_table, &n);
	table_done(&ulimit_table, &u);
	table_done(&endpoint_spec_table, &p);
	REFUSED(mount_parse, mount, "type=bind,source=/a");
	REFUSED(mount_parse, mount, "type=bind,target=/a,bogus=1");
	REFUSED(network_parse, network_attachment, "alias=a");
	REFUSED(port_parse, endpoint_spec, "80/foo");
	REFUSED(port_parse, endpoint_spec, "70000");
	REFUSED(port_parse, endpoint_spec, "published=80");
	REFUSED(port_parse, endpoint_spec, "1-3:1-2");
	REFUSED(port_parse, endpoint_spec, "3-1");
	REFUSED(ulimit_parse, ulimit, "nofile");
	REFUSED(ulimit_parse, ulimit, "nofile=10:x");
}

static void tables(void **state)
{
	static const struct table *const all[] = {&list_container_view_table,
						  &list_image_view_table,
						  &list_network_view_table,
						  &list_node_table,
						  &list_service_view_table,
						  &list_task_view_table,
						  &id_view_table};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		assert_ok(table_check(all[i], &e), &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(convergence),
					   TEST(each_node_counts),
					   TEST(patience_has_an_end),
					   TEST(a_running_job_is_waited_for),
					   TEST(lines_are_printed_once),
					   TEST(a_job_is_done_when_all_is_complete),
					   TEST(failures),
					   TEST(updates),
					   TEST(values),
					   TEST(tables)};

	return RUN_TESTS(tests);
}
