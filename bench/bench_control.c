/*
 * What the managers alone cost: services created a second with 8 requests in flight, and how long a
 * service's first task takes to its agent; on one manager and on three, raft logs on a real disk
 * and streams over TLS, all in this one process. Prints "name value unit".
 */
#include "unit/whole/rig.h"

#define IN_FLIGHT 8
#define RATE_MS 3000
#define ROUNDS 100

struct load {
	struct host *at;
	unsigned open, made, failed, number;
	uint64_t end_ms;
};

static void load_done(void *arg, int status, const struct control_answer *answer,
		      const struct err *e)
{
	struct load *l = arg;

	(void)answer;
	(void)e;
	l->open--;
	if (status < 0)
		l->failed++;
	else
		l->made++;
}

static void load_next(struct load *l)
{
	struct control_request r = {.op = CONTROL_SERVICE_CREATE};
	struct service_spec spec;
	char name[32];

	(void)snprintf(name, sizeof name, "load%u", l->number++);
	spec_of(&spec, name, 0);
	r.service = &spec;
	l->open++;
	(void)manager_control(l->at->manager, &r, load_done, l);
	table_done(&service_spec_table, &spec);
}

static void rate(struct rig *r, struct host *at, const char *what)
{
	static unsigned number;
	struct load l = {.at = at, .number = number, .end_ms = clock_mono_ms() + RATE_MS};
	uint64_t from = clock_mono_ms();

	while (clock_mono_ms() < l.end_ms) {
		while (l.open < IN_FLIGHT)
			load_next(&l);
		(void)uv_run(&r->loop, UV_RUN_ONCE);
	}
	RIG_UNTIL(r, l.open == 0);
	number = l.number;
	printf("%s_creates %.0f services/s\n", what,
	       1000.0 * l.made / (double)(clock_mono_ms() - from));
	if (l.failed)
		printf("%s_failed %u services\n", what, l.failed);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void say(const char *what, const char *step, uint64_t *us)
{
	const size_t half = ROUNDS / 2, most = ROUNDS * 95 / 100;

	qsort(us, ROUNDS, sizeof *us, by_value);
	printf("%s_%s_median %.2f ms\n%s_%s_p95 %.2f ms\n", what, step, (double)us[half] / 1e3,
	       what, step, (double)us[most] / 1e3);
}

static uint64_t now_us(void)
{
	return uv_hrtime() / 1000;
}

static void latency(struct rig *r, struct host *at, struct host *w, const char *what)
{
	uint64_t created[ROUNDS], assigned[ROUNDS], running[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t from = now_us();
		char name[32];

		(void)snprintf(name, sizeof name, "one%u", i);
		assert_int_equal(host_create(at, name, 1).status, 0);
		created[i] = now_us() - from;
		RIG_UNTIL(r, w->n_tasks == i + 1);
		assigned[i] = now_us() - from;
		RIG_UNTIL(r, tasks_running(at, name, NULL) == 1);
		running[i] = now_us() - from;
	}
	say(what, "created", created);
	say(what, "assigned", assigned);
	say(what, "running", running);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "one%u", i);
		assert_int_equal(host_name(at, CONTROL_SERVICE_REMOVE, name, false).status, 0);
	}
	RIG_UNTIL(r, w->n_tasks == 0);
}

static void many(struct rig *r, struct host *at, struct host *w, const char *what)
{
	uint64_t from = now_us();

	assert_int_equal(host_create(at, "many", 100).status, 0);
	RIG_UNTIL(r, tasks_running(at, "many", NULL) == 100);
	printf("%s_hundred_running %.2f ms\n", what, (double)(now_us() - from) / 1e3);
	assert_int_equal(host_name(at, CONTROL_SERVICE_REMOVE, "many", false).status, 0);
	RIG_UNTIL(r, w->n_tasks == 0);
}

int main(void)
{
	struct rig *r;
	struct host *w;

	log_set_level(LOG_LEVEL_ERROR);
	r = rig_new();
	w = rig_worker(r, 3);
	latency(r, &r->hosts[0], w, "one");
	many(r, &r->hosts[0], w, "one");
	rate(r, &r->hosts[0], "one");
	rig_done(r);
	r = rig_new();
	(void)rig_manager(r, 1);
	(void)rig_manager(r, 2);
	w = rig_worker(r, 3);
	RIG_UNTIL(r, manager_readable(r->hosts[1].manager, NULL) == 0);
	RIG_RUN_MS(r, 500);
	latency(r, &r->hosts[0], w, "three");
	many(r, &r->hosts[0], w, "three");
	rate(r, &r->hosts[0], "three");
	rate(r, &r->hosts[1], "follower");
	rig_done(r);
	uv_library_shutdown();
	return 0;
}
