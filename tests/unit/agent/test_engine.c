/*
 * agent/engine.h with real containers: their whole life, what fails, what is streamed, and what a
 * restart of the daemon finds. As root only.
 */
#include "unit/agent/engine_rig.h"

#include <signal.h>

#define NONE "\"HostConfig\":{\"NetworkMode\":\"none\"}"

/* ---- Networks for as long as the library has none ---- */

__attribute__((weak)) int networks_open(struct engine *e, struct err *err)
{
	return 0;
}

__attribute__((weak)) void networks_close(struct engine *e, void (*done)(void *arg), void *arg)
{
	done(arg);
}

__attribute__((weak)) int network_container_check(struct engine *e, struct container *c,
						  const struct engine_endpoint *endpoints, size_t n,
						  struct err *err)
{
	return 0;
}

__attribute__((weak)) void network_container_prepare(struct engine *e, struct container *c,
						     engine_done done, void *arg)
{
	const char *const paths[] = {c->hosts_path, c->resolv_path, c->hostname_path};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		close(open(paths[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	done(arg, 0, NULL);
}

__attribute__((weak)) bool network_container_has_dns(struct engine *e, const struct container *c)
{
	return false;
}

__attribute__((weak)) void network_container_connect(struct engine *e, struct container *c,
						     int netns_fd, int dns_udp_fd, int dns_tcp_fd,
						     engine_done done, void *arg)
{
	close(netns_fd);
	done(arg, 0, NULL);
}

__attribute__((weak)) void network_container_release(struct engine *e, struct container *c,
						     engine_done done, void *arg)
{
	done(arg, 0, NULL);
}

__attribute__((weak)) void network_container_renamed(struct engine *e, struct container *c)
{
}

/* ---- Life ---- */

static void test_life(void **state)
{
	struct container *c;

	(void)state;
	assert_ok(rig_create("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"exit 7\"]," NONE "}",
			     "first"),
		  &rig.err);
	c = rig.c;
	assert_string_equal(c->name, "first");
	assert_int_equal(c->status, CONTAINER_CREATED);
	assert_int_equal(rig_create("{\"Image\":\"busybox\"," NONE "}", "first"), -EEXIST);
	assert_ok(rig_start(c), &rig.err);
	assert_int_equal(rig_wait(c, WAIT_NOT_RUNNING), 7);
	assert_int_equal(c->status, CONTAINER_EXITED);
	assert_int_equal(c->exit_code, 7);
	assert_true(c->finished_ns >= c->started_ns);
	assert_ok(rig_remove(c, false), &rig.err);
	assert_int_equal(engine_container_find(rig.engine, "first", &c, &rig.err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
	};

	if (geteuid() != 0) {
		puts("not root: skipped");
		return 0;
	}
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
