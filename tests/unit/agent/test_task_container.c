/*
 * agent/task_container.h: from a task to the container that the engine is asked for.
 */
#include "unit/test.h"

#include <errno.h>

#include "agent/task_container.h"
#include "base/mem.h"

static const struct task_node node = {
	.id = "nodeid", .hostname = "alpha", .os = "linux", .architecture = "x86_64"};

static struct task task = {
	.o = {.id = (char *)"t1"}, .service = (char *)"s1", .slot = 3, .node = (char *)"nodeid"};

static struct template *template_read(const char *json)
{
	struct template *tpl = xcalloc(1, sizeof *tpl);
	struct err e = ERR_INIT;

	assert_ok(json_read(&task_spec_table, json, strlen(json), &tpl->spec, &e), &e);
	tpl->service_name = xstrdup("web");
	strmap_set(&tpl->service_labels, "tier", "front");
	return tpl;
}

static void all_is_carried_over(void **state)
{
	struct template *tpl = template_read(
		"{\"ContainerSpec\":{\"Image\":\"img\",\"Command\":[\"a\"],\"Args\":[\"b\",\"c\"],"
		"\"Env\":[\"N={{.Task.Slot}}\",\"H={{ .Node.Hostname }}\"],\"Dir\":\"/d\","
		"\"User\":\"u\",\"Hostname\":\"{{.Service.Name}}-{{.Task.Slot}}\","
		"\"Hosts\":[\"10.0.0.9 db "
		"db.local\"],\"ReadOnly\":true,\"StopGracePeriod\":3000000000,"
		"\"Labels\":{\"x\":\"y\"},\"Privileges\":{\"NoNewPrivileges\":true},"
		"\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv/{{.Service.Labels.tier}}\","
		"\"Target\":\"/t\"}],\"CapabilityAdd\":[\"CAP_NET_ADMIN\"]},"
		"\"Resources\":{\"Limits\":{\"MemoryBytes\":8388608,\"NanoCPUs\":500000000,"
		"\"Pids\":7}}}");
	struct container_create c = {0};
	struct err e = ERR_INIT;

	assert_ok(task_container_make(&task, tpl, &node, &c, &e), &e);
	assert_string_equal(c.config.image, "img");
	assert_string_equal(c.config.entrypoint.v[0], "a");
	assert_string_equal(c.config.cmd.v[1], "c");
	assert_string_equal(c.config.env.v[0], "N=3");
	assert_string_equal(c.config.env.v[1], "H=alpha");
	assert_string_equal(c.config.hostname, "web-3");
	assert_int_equal(*c.config.stop_timeout, 3);
	assert_string_equal(strmap_get(&c.config.labels, "com.docker.swarm.task.name"), "web.3.t1");
	assert_string_equal(strmap_get(&c.config.labels, "x"), "y");
	assert_string_equal(c.host.extra_hosts.v[1], "db.local:10.0.0.9");
	assert_string_equal(c.host.mounts.v[0].source, "/srv/front");
	assert_string_equal(c.host.security_opt.v[0], "no-new-privileges");
	assert_string_equal(c.host.cap_add.v[0], "CAP_NET_ADMIN");
	assert_true(c.host.readonly_rootfs);
	assert_int_equal(c.host.memory, 8388608);
	assert_int_equal(*c.host.pids_limit, 7);
	assert_string_equal(c.host.restart.name, "no");
	container_create_done(&c);
	table_free(&template_table, tpl);
}

static void bad_templates_are_refused(void **state)
{
	static const char *const bad[] = {"{{.Task.Nothing}}", "{{.Task.ID", "{{}}"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct template *tpl = template_read("{\"ContainerSpec\":{\"Image\":\"i\"}}");
		struct container_create c = {0};
		struct err e = ERR_INIT;

		strs_add(&tpl->spec.container->env, bad[i]);
		assert_int_equal(task_container_make(&task, tpl, &node, &c, &e), -EINVAL);
		table_free(&template_table, tpl);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_carried_over),
		TEST(bad_templates_are_refused),
	};

	return RUN_TESTS(tests);
}
