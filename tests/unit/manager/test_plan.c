/*
 * Plans over a cluster in memory: what they say comes true when it is done, nothing of it is done
 * before, and their index tells whether what they depend on has moved.
 */
#include "unit/manager/cores.h"

#include <errno.h>

#include "base/limits.h"
#include "manager/plan_impl.h"

static struct cores *three_nodes(void)
{
	struct cores *c = cores_new(1);

	node_add(c, "n1", 8 * CPU, 8 * GIB);
	node_add(c, "n2", 8 * CPU, 8 * GIB);
	node_add(c, "n3", 8 * CPU, 8 * GIB);
	return c;
}

static struct service *with_image(struct service *s, const char *image)
{
	if (!s->spec.task.container)
		s->spec.task.container = xcalloc(1, sizeof *s->spec.task.container);
	str_set(&s->spec.task.container->image, image);
	return s;
}

static void web_add(struct cores *c, uint64_t replicas, struct update_config *update)
{
	struct service *s = with_image(service_make(c, "web", replicas), "one");

	s->spec.update = update;
	service_restart(s, RESTART_ANY, NS_PER_SEC, 0, 0);
	service_add(c, s);
	(void)cores_quiet(c);
	assert_running(c, "web", (int)replicas);
}

static const struct service *web(const struct cores *c)
{
	return store_service(c->store, "web");
}

/* An update of "web" to its specification as `change` makes it. */
typedef void (*changer)(struct service *s);

static void other_image(struct service *s)
{
	with_image(s, "two");
}

static void smaller(struct service *s)
{
	*s->spec.mode.replicated->replicas = 2;
}

static void larger(struct service *s)
{
	*s->spec.mode.replicated->replicas = 7;
}

static uint64_t limit_replicas;
static void at_limit(struct service *s)
{
	*s->spec.mode.replicated->replicas = limit_replicas;
}

static void nothing(struct service *s)
{
}

static void nowhere(struct service *s)
{
	service_constrain(s, "node.labels.zone == moon");
}

static void only_n2(struct service *s)
{
	service_constrain(s, "node.hostname == n2");
}

/* To be freed by the caller. */
static struct service *wish(struct cores *c, changer change)
{
	struct service *s = object_clone(&web(c)->o);

	change(s);
	return s;
}

static void plan_run_now(struct plan *p, struct plan_report *ret)
{
	while (plan_step(p))
		;
	plan_report_make(p, ret);
	plan_free(p);
}

static int plan_update(struct cores *c, changer change, struct plan_report *ret)
{
	struct service *s = wish(c, change);
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE,
				    .id = s->o.id,
				    .version = web(c)->o.version.index,
				    .service = &s->spec};
	uint64_t version = store_version(c->store);
	struct err e = ERR_INIT;
	struct plan *p;
	int rc;

	assert_ok(plan_new(c->store, c->now, &p, &e), &e);
	rc = plan_ask(p, &r, &e);
	if (rc == 0)
		plan_run_now(p, ret);
	else
		plan_free(p);
	assert_int_equal(store_version(c->store), version);
	object_free(&s->o);
	return rc;
}

/* The same in earnest; the status of the request. */
static int do_update(struct cores *c, changer change, uint64_t check)
{
	struct service *s = wish(c, change);
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE,
				    .id = s->o.id,
				    .version = web(c)->o.version.index,
				    .service = &s->spec,
				    .check = check};
	struct control_answer answer = {0};
	struct store *fork = store_fork(c->store);
	struct changes changes;
	struct control control = {.view = fork,
				  .now_ns = c->now,
				  .new_id = cores_new_id,
				  .new_id_arg = c,
				  .self = "",
				  .out = &changes,
				  .answer = &answer};
	struct err e = ERR_INIT;
	int rc;

	changes_init(&changes);
	rc = control_build(&control, &r, &e);
	if (rc == 0)
		cores_apply(c, &changes);
	else
		changes_done(&changes);
	table_done(&control_answer_table, &answer);
	store_free(fork);
	object_free(&s->o);
	return rc;
}

/* Each row of the plan against what is so now. */
static void assert_came_true(struct cores *c, const struct plan_report *r)
{
	assert_int_equal(r->services.n, 1);
	LIST_EACH (row, &r->services.v[0].tasks) {
		const struct task *t = task_in(c, "web", row->slot);

		if (row->action == PLAN_REMOVE) {
			assert_null(t);
			continue;
		}
		assert_non_null(t);
		assert_string_equal(t->node, row->to);
		if (row->action == PLAN_STAY)
			assert_string_equal(t->o.id, row->task);
		else if (row->task)
			assert_string_not_equal(t->o.id, row->task);
	}
}

struct row {
	changer change;
	uint64_t create, replace, stay, remove;
	const char *state;
};

static void row_run(const struct row *row, struct update_config *update)
{
	struct cores *c = three_nodes();
	struct plan_report r;

	web_add(c, 5, update);
	assert_int_equal(plan_update(c, row->change, &r), 0);
	assert_true(r.complete);
	assert_int_equal(r.services.v[0].create, row->create);
	assert_int_equal(r.services.v[0].replace, row->replace);
	assert_int_equal(r.services.v[0].stay, row->stay);
	assert_int_equal(r.services.v[0].remove, row->remove);
	assert_int_equal(r.services.v[0].waiting, 0);
	assert_int_equal(r.services.v[0].update_state != NULL, row->state != NULL);
	if (row->state)
		assert_string_equal(r.services.v[0].update_state, row->state);
	assert_int_equal(do_update(c, row->change, r.index), 0);
	cores_pass(c, 120 * NS_PER_SEC);
	assert_came_true(c, &r);
	table_done(&plan_report_table, &r);
	cores_free(c);
}

static void comes_true(void **state)
{
	static const struct row rows[] = {
		{other_image, 0, 5, 0, 0, "completed"},
		{smaller, 0, 0, 2, 3, NULL},
		{larger, 2, 0, 5, 0, NULL},
		{nothing, 0, 0, 5, 0, NULL},
		{only_n2, 0, 3, 2, 0, "completed"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		row_run(&rows[i], update_make(1, "pause", "stop-first"));
		row_run(&rows[i], update_make(1, "pause", "start-first"));
		row_run(&rows[i], update_make(2, "pause", "stop-first"));
		row_run(&rows[i], update_make(0, "pause", "start-first"));
	}
}

/* Delays are in the plan's time, and in nobody else's. */
static void takes_its_time(void **state)
{
	struct cores *c = three_nodes();
	struct update_config *u = update_make(1, "pause", "stop-first");
	struct plan_report r;

	u->delay = 3600 * NS_PER_SEC;
	web_add(c, 5, u);
	assert_int_equal(plan_update(c, other_image, &r), 0);
	assert_true(r.complete);
	assert_in_range(r.duration, 4 * 3600 * NS_PER_SEC, 6 * 3600 * NS_PER_SEC);
	table_done(&plan_report_table, &r);
	cores_free(c);
}

/* An update that would stand still says so, and why. */
static void waits(void **state)
{
	struct cores *c = three_nodes();
	struct plan_report r;

	web_add(c, 3, update_make(1, "pause", "stop-first"));
	assert_int_equal(plan_update(c, nowhere, &r), 0);
	assert_true(r.complete);
	assert_int_equal(r.services.v[0].replace, 1);
	assert_int_equal(r.services.v[0].waiting, 1);
	assert_string_equal(r.services.v[0].update_state, "updating");
	assert_non_null(strstr(r.services.v[0].tasks.v[0].err, "no suitable node"));
	assert_non_null(strstr(r.services.v[0].message, "no suitable node"));
	table_done(&plan_report_table, &r);
	cores_free(c);
}

/* Up to its bound: rows are left out, not counts. */
static void bounds(void **state)
{
	struct cores *c = three_nodes();
	struct plan_report r;

	service_add(c, with_image(service_make(c, "web", LIMIT_PLAN_TASKS / 10), "one"));
	(void)cores_settle(c);
	limit_replicas = LIMIT_PLAN_TASKS;
	assert_int_equal(plan_update(c, at_limit, &r), 0);
	assert_false(r.truncated);
	assert_int_equal(r.services.v[0].tasks.n, LIMIT_PLAN_TASKS);
	table_done(&plan_report_table, &r);
	limit_replicas++;
	assert_int_equal(plan_update(c, at_limit, &r), 0);
	assert_true(r.truncated && r.complete);
	assert_int_equal(r.services.v[0].tasks.n, LIMIT_PLAN_TASKS);
	assert_int_equal(r.services.v[0].create + r.services.v[0].stay, LIMIT_PLAN_TASKS + 1);
	table_done(&plan_report_table, &r);
	cores_free(c);
}

/* Runs the plan of a new image with that many rounds used up already; returns how many it took. */
static size_t run_from(struct cores *c, size_t rounds, struct plan_report *ret)
{
	struct service *s = wish(c, other_image);
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE,
				    .id = s->o.id,
				    .version = web(c)->o.version.index,
				    .service = &s->spec};
	struct err e = ERR_INIT;
	struct plan *p;
	size_t took;

	assert_ok(plan_new(c->store, c->now, &p, &e), &e);
	assert_ok(plan_ask(p, &r, &e), &e);
	p->rounds = rounds;
	while (plan_step(p))
		;
	took = p->rounds - rounds;
	plan_report_make(p, ret);
	plan_free(p);
	object_free(&s->o);
	return took;
}

/* One that does not come to rest is given up, and says that it is not all. */
static void rounds_are_bounded(void **state)
{
	struct cores *c = three_nodes();
	struct plan_report r;
	size_t needs;

	web_add(c, 5, update_make(1, "pause", "stop-first"));
	needs = run_from(c, 0, &r);
	assert_true(r.complete && needs > 5);
	table_done(&plan_report_table, &r);
	assert_int_equal(run_from(c, LIMIT_PLAN_ROUNDS - needs, &r), needs);
	assert_true(r.complete);
	table_done(&plan_report_table, &r);
	assert_int_equal(run_from(c, LIMIT_PLAN_ROUNDS - needs + 1, &r), needs);
	assert_false(r.complete);
	assert_int_equal(r.services.n, 1);
	table_done(&plan_report_table, &r);
	cores_free(c);
}

static void refuses_as_the_request_would(void **state)
{
	struct cores *c = three_nodes();
	struct control_request r = {.op = CONTROL_SERVICE_REMOVE, .id = (char *)(uintptr_t) "none"};
	struct plan *plans[LIMIT_PLANS], *more;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < LIMIT_PLANS; i++)
		assert_ok(plan_new(c->store, c->now, &plans[i], &e), &e);
	assert_int_equal(plan_new(c->store, c->now, &more, &e), -EAGAIN);
	assert_int_equal(plan_ask(plans[0], &r, &e), -ENOENT);
	for (size_t i = 0; i < LIMIT_PLANS; i++)
		plan_free(plans[i]);
	cores_free(c);
}

static uint64_t index_of_web(struct cores *c)
{
	return plan_index(c->store, &(struct strs){(char *[]){(char *)(uintptr_t) "web"}, 1});
}

/* What it depends on refuses; what it does not leaves it as it is. */
static void index_moves(void **state)
{
	struct cores *c = three_nodes();
	uint64_t index;

	web_add(c, 3, update_make(1, "pause", "stop-first"));
	service_simple(c, "other", 2);
	cores_pass(c, 10 * NS_PER_SEC);
	index = index_of_web(c);
	task_report(c, task_in(c, "other", 1), TASK_FAILED);
	cores_pass(c, 60 * NS_PER_SEC);
	assert_int_equal(index_of_web(c), index);
	assert_int_equal(do_update(c, other_image, index - 1), -ESTALE);
	assert_int_equal(do_update(c, other_image, index + 1), -ESTALE);
	task_report(c, task_in(c, "web", 1), TASK_FAILED);
	assert_int_not_equal(index_of_web(c), index);
	cores_pass(c, 60 * NS_PER_SEC);
	task_report(c, task_in(c, "other", 1), TASK_FAILED);
	cores_pass(c, 60 * NS_PER_SEC);
	index = index_of_web(c);
	service_scale(c, "other", 3);
	assert_int_not_equal(index_of_web(c), index);
	cores_pass(c, 60 * NS_PER_SEC);
	index = index_of_web(c);
	node_availability(c, "n3", AVAILABILITY_PAUSE);
	assert_int_equal(do_update(c, other_image, index), -ESTALE);
	assert_int_equal(do_update(c, other_image, index_of_web(c)), 0);
	cores_free(c);
}

/* A stack: its network and secret are not there yet, one service is, one is to go. */
static void a_stack(void **state)
{
	static const char json[] =
		"{\"Services\":["
		"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"two\"},"
		"\"Networks\":[{\"Target\":\"net\"}]},\"Mode\":{\"Replicated\":{\"Replicas\":2}}},"
		"{\"Name\":\"db\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"db\","
		"\"Secrets\":[{\"SecretName\":\"key\",\"File\":{\"Name\":\"key\"}}]}},"
		"\"Mode\":{\"Global\":{}}}],"
		"\"Networks\":[{\"Name\":\"net\",\"Driver\":\"overlay\"}],"
		"\"Secrets\":[\"key\"],\"Remove\":[\"old\"]}";
	struct cores *c = three_nodes();
	uint64_t version;
	struct plan_wish w = {0};
	struct plan_report r;
	struct err e = ERR_INIT;
	struct plan *p;

	web_add(c, 3, NULL);
	service_simple(c, "old", 2);
	(void)cores_quiet(c);
	version = store_version(c->store);
	assert_ok(json_read(&plan_wish_table, json, strlen(json), &w, &e), &e);
	assert_ok(plan_new(c->store, c->now, &p, &e), &e);
	assert_ok(plan_ask_all(p, &w, &e), &e);
	plan_run_now(p, &r);
	assert_true(r.complete);
	assert_int_equal(r.services.n, 3);
	assert_string_equal(r.services.v[0].action, "remove");
	assert_int_equal(r.services.v[0].remove, 2);
	assert_string_equal(r.services.v[1].action, "update");
	assert_int_equal(r.services.v[1].replace, 2);
	assert_int_equal(r.services.v[1].remove, 1);
	assert_string_equal(r.services.v[2].action, "create");
	assert_int_equal(r.services.v[2].create, 3);
	assert_null(r.services.v[2].id);
	assert_int_equal(r.services.v[2].waiting, 0);
	assert_int_equal(store_version(c->store), version);
	table_done(&plan_report_table, &r);
	table_done(&plan_wish_table, &w);
	cores_free(c);
}

/* A piece at a time, as the loop has others to serve: none looks at more than so many tasks. */
static void begins_in_pieces(void **state)
{
	struct cores *c = three_nodes();
	struct plan_report r = {0};
	struct err e = ERR_INIT;
	struct plan *p;
	size_t n = 0;

	web_add(c, 3, NULL);
	for (unsigned i = 0; i < 5 * CORE_DERIVE_OBJECTS; i++) {
		struct task *t = object_new(KIND_TASK, "", c->now);
		struct changes batch;

		free(t->o.id);
		t->o.id = xasprintf("other%020u", i);
		t->service = xstrdup("other");
		t->template_version = 1;
		t->slot = i + 1;
		t->desired = TASK_RUNNING;
		changes_init(&batch);
		changes_create(&batch, &t->o);
		cores_apply(c, &batch);
	}
	assert_ok(plan_new(c->store, c->now, &p, &e), &e);
	for (bool more = true; more; n++)
		more = plan_step(p);
	assert_in_range(n, 5 * 6, 1000);
	plan_report_make(p, &r);
	plan_free(p);
	table_done(&plan_report_table, &r);
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(comes_true),
		TEST(takes_its_time),
		TEST(waits),
		TEST(refuses_as_the_request_would),
		TEST(index_moves),
		TEST(a_stack),
		TEST(bounds),
		TEST(rounds_are_bounded),
		TEST(begins_in_pieces),
	};

	return RUN_TESTS(tests);
}
