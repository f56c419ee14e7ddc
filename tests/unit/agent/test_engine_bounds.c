/*
 * What an engine keeps for its clients, up to its bounds: events, processes executed in a
 * container, those who follow its figures, what a probe said.
 */
#include "unit/agent/engine_rig.h"

static struct container *running(const char *more)
{
	auto_free char *json =
		xasprintf("{\"Image\":\"busybox\",\"Cmd\":[\"sleep\",\"1000\"],\"HostConfig\":{"
			  "\"NetworkMode\":\"none\"}%s}",
			  more);

	assert_ok(rig_create(json, NULL), &rig.err);
	assert_ok(rig_start(rig.c), &rig.err);
	return rig.c;
}

struct seen {
	size_t n;
	unsigned first, last;
};

static void see(void *arg, const struct engine_event *ev)
{
	struct seen *s = arg;
	unsigned number = (unsigned)strtoul(ev->id, NULL, 10);

	if (s->n++ == 0)
		s->first = number;
	else
		assert_int_equal(number, s->last + 1);
	s->last = number;
}

/* The newest are kept, in their order. */
static void events(void **state)
{
	char id[16];
	struct engine_event ev = {.type = "test", .action = "count", .id = id};
	struct seen s = {0};

	(void)state;
	for (unsigned i = 0; i < 3 * LIMIT_EVENTS + 7; i++) {
		(void)snprintf(id, sizeof id, "%u", i);
		engine_event(rig.engine, &ev);
	}
	engine_events_each(rig.engine, see, &s);
	assert_int_equal(s.n, LIMIT_EVENTS);
	assert_int_equal(s.first, 2 * LIMIT_EVENTS + 7);
	assert_int_equal(s.last, 3 * LIMIT_EVENTS + 6);
}

static int exec_make(struct container *c, struct engine_exec **ret, struct err *e)
{
	struct exec_config config = {0};
	int rc;

	strs_add(&config.cmd, "true");
	*e = ERR_INIT;
	rc = engine_exec_create(rig.engine, c, &config, ret, e);
	table_done(&exec_config_table, &config);
	return rc;
}

/* One that has not run gives way, the oldest first; those that run do not. */
static void execs(void **state)
{
	struct container *c = running("");
	struct engine_exec *x;
	struct strs ids = {0};
	struct err e;

	(void)state;
	for (unsigned i = 0; i < LIMIT_EXECS; i++)
		assert_ok(exec_make(c, &x, &e), &e);
	engine_exec_ids(c, &ids);
	assert_int_equal(ids.n, LIMIT_EXECS);
	assert_ok(exec_make(c, &x, &e), &e);
	assert_int_equal(engine_exec_find(rig.engine, ids.v[0], &x, &e), -ENOENT);
	for (unsigned i = 1; i < LIMIT_EXECS; i++) {
		assert_ok(engine_exec_find(rig.engine, ids.v[i], &x, &e), &e);
		x->status = EXEC_RUNNING;
	}
	strs_done(&ids);
	assert_ok(exec_make(c, &x, &e), &e); /* in the place of the one that did not */
	x->status = EXEC_RUNNING;
	assert_int_equal(exec_make(c, &x, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "1024 processes"));
	engine_exec_ids(c, &ids);
	assert_int_equal(ids.n, LIMIT_EXECS);
	for (size_t i = 0; i < ids.n; i++) {
		assert_ok(engine_exec_find(rig.engine, ids.v[i], &x, &e), &e);
		x->status = EXEC_CREATED;
	}
	strs_done(&ids);
	assert_ok(rig_remove(c, true), &rig.err);
}

static void sampled(void *arg, const struct engine_sample *s)
{
	unsigned *n = arg;

	*n += s->running;
}

static void sampling_ended(void *arg)
{
	(void)arg;
}

static void followers_of_figures(void **state)
{
	static const struct engine_stats_ops ops = {.sample = sampled, .end = sampling_ended};
	struct container *c = running("");
	struct engine_stats *s[LIMIT_STATS_CLIENTS], *more;
	unsigned samples = 0;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < LIMIT_STATS_CLIENTS; i++)
		assert_non_null(s[i] = engine_stats(rig.engine, c, &ops, &samples, &e));
	assert_null(engine_stats(rig.engine, c, &ops, &samples, &e));
	assert_int_equal(e.code, -EAGAIN);
	assert_non_null(strstr(e.msg, "64 clients"));
	for (uint64_t end = clock_mono_ms() + RIG_TIMEOUT_MS;
	     samples < LIMIT_STATS_CLIENTS && clock_mono_ms() < end;)
		(void)uv_run(&rig.loop, UV_RUN_ONCE);
	assert_int_equal(samples, LIMIT_STATS_CLIENTS);
	engine_stats_close(s[7]);
	assert_non_null(more = engine_stats(rig.engine, c, &ops, &samples, &e));
	s[7] = more;
	for (size_t i = 0; i < LIMIT_STATS_CLIENTS; i++)
		engine_stats_close(s[i]);
	assert_ok(rig_remove(c, true), &rig.err);
}

static bool probed;

static void on_probe(void *arg, const struct engine_event *ev)
{
	(void)arg;
	if (strncmp(ev->action, "health_status", strlen("health_status")) == 0)
		probed = true;
}

/* The beginning of what a probe says, as docker keeps it. */
static void what_a_probe_said(void **state)
{
	struct engine_watch watch = {.event = on_probe};
	const struct health_result *result;
	struct container *c;

	(void)state;
	probed = false;
	engine_watch_add(rig.engine, &watch);
	c = running(",\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"yes | head -c 5000\"],"
		    "\"Interval\":1000000,\"Retries\":1}");
	rig_until(&probed);
	engine_watch_remove(rig.engine, &watch);
	assert_true(c->health && c->health->log.n > 0);
	result = &c->health->log.v[0];
	assert_int_equal(strspn(result->output, "y\n"), LIMIT_HEALTH_OUTPUT);
	assert_string_equal(result->output + LIMIT_HEALTH_OUTPUT, "...");
	assert_ok(rig_remove(c, true), &rig.err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events),
		TEST(execs),
		TEST(followers_of_figures),
		TEST(what_a_probe_said),
	};

	if (geteuid() != 0) {
		puts("not root: skipped");
		return 0;
	}
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
