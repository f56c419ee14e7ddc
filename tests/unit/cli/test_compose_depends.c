/*
 * depends_on of Compose files: the labels by which the managers hold tasks back, the order in which
 * services are made, and what can never come.
 */
#include "unit/cli/compose_rig.h"

#include "model/depends.h"

#define JOB "deploy: {mode: replicated-job}"

static const char *label(const struct made *m, const char *name)
{
	return strmap_get(&service(m, name)->labels, DEPENDS_LABEL);
}

static void conditions_become_a_label(void **state)
{
	struct made m;

	make_text(&m, "services:\n"
		      "  web: {image: i, depends_on: {db: {condition: service_healthy, restart: "
		      "true}, job: {condition: service_completed_successfully, required: false}, "
		      "gone: {condition: service_started, required: false}}}\n"
		      "  job: {image: i, depends_on: [db], " JOB "}\n"
		      "  db: {image: i}\n");
	assert_sound(&m);
	assert_string_equal(label(&m, "st_web"),
			    "st_db:service_healthy,st_job:service_completed_successfully:optional");
	assert_string_equal(label(&m, "st_job"), "st_db:service_started");
	assert_null(label(&m, "st_db"));
	assert_string_equal(m.s.services.v[0].name, "st_db");
	assert_string_equal(m.s.services.v[1].name, "st_job");
	assert_string_equal(m.s.services.v[2].name, "st_web");
	assert_int_equal(m.s.followers.n, 1);
	assert_string_equal(m.s.followers.v[0].service, "st_web");
	assert_string_equal(m.s.followers.v[0].dependency, "st_db");
	unmake(&m);
}

static void what_can_never_come(void **state)
{
	refuses("services:\n  a: {image: i, depends_on: [b]}\n",
		"c.yml:2:30: depends_on: there is no service b (or it is of another profile)");
	refuses("services:\n  a: {image: i, depends_on: [b]}\n  b: {image: i, profiles: [p]}\n",
		"there is no service b");
	refuses("services:\n  a: {image: i, depends_on: {b: {condition: up}}}\n  b: {image: i}\n",
		"condition is to be service_started, service_healthy or");
	refuses("services:\n  a: {image: i, depends_on: {b: {condition: "
		"service_completed_successfully}}}\n  b: {image: i}\n",
		"st_b never completes, as it is started again whenever it ends");
	refuses("services:\n  a: {image: i, depends_on: {b: {condition: service_healthy}}}\n"
		"  b: {image: i, healthcheck: {disable: true}}\n",
		"the health check of st_b is disabled");
	refuses("services:\n  a: {image: i, depends_on: {b: {condition: service_healthy}}}\n"
		"  b: {image: i, " JOB "}\n",
		"st_b is a job");
	refuses("services:\n  a: {image: i, depends_on: [b]}\n  b: {image: i, depends_on: [c]}\n"
		"  c: {image: i, depends_on: [a]}\n",
		"services wait for one another: st_a -> st_b -> st_c -> st_a");
	refuses("services:\n  a: {image: i, depends_on: [a]}\n", "st_a -> st_a");
	refuses("services:\n  a: {image: i, depends_on: x}\n", "is to be a list or a map");
	refuses("services:\n  a: {image: i, depends_on: {b: {when: now}}}\n  b: {image: i}\n",
		"unknown key when");
	refuses("services:\n  a:\n    image: i\n    depends_on: [b]\n    deploy: {labels: "
		"{shoal.depends_on: \"st_b:service_started\"}}\n  b: {image: i}\n",
		"only one of both");
	refuses("services:\n  a: {image: i, deploy: {labels: {shoal.depends_on: b}}}\n",
		"is to be followed by :service_started");
}

static void restart_policies_that_let_a_service_complete(void **state)
{
	struct made m;

	make_text(&m, "services:\n  a: {image: i, depends_on: {b: {condition: "
		      "service_completed_successfully}}}\n  b: {image: i, restart: \"no\"}\n");
	assert_sound(&m);
	unmake(&m);
}

/* A chain as long as a stack may be; and as many as one may wait for. */
static void bounds(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
	struct made m;

	buf_adds(&b, "services:\n  s0: {image: i}\n");
	for (unsigned i = 1; i < LIMIT_COMPOSE_SERVICES; i++)
		buf_addf(&b, "  s%u: {image: i, depends_on: [s%u]}\n", i, i - 1);
	make_text(&m, buf_text(&b));
	assert_sound(&m);
	assert_string_equal(m.s.services.v[LIMIT_COMPOSE_SERVICES - 1].name, "st_s999");
	unmake(&m);
	for (unsigned extra = 0; extra < 2; extra++) {
		buf_reset(&b);
		buf_adds(&b, "services:\n");
		for (unsigned i = 0; i < LIMIT_DEPENDS + extra; i++)
			buf_addf(&b, "  s%u: {image: i}\n", i);
		buf_adds(&b, "  a: {image: i, depends_on: [");
		for (unsigned i = 0; i < LIMIT_DEPENDS + extra; i++)
			buf_addf(&b, "%ss%u", i ? "," : "", i);
		buf_adds(&b, "]}\n");
		if (extra) {
			refuses(buf_text(&b), "waits for at most 64 others");
			continue;
		}
		make_text(&m, buf_text(&b));
		assert_sound(&m);
		unmake(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(conditions_become_a_label),
		TEST(what_can_never_come),
		TEST(restart_policies_that_let_a_service_complete),
		TEST(bounds),
	};

	return RUN_TESTS(tests);
}
