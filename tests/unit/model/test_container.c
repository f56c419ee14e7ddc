/*
 * model/container.h: what clients send when they create a container.
 */
#include "unit/test.h"

#include <errno.h>

#include "model/container.h"

static void reads_what_the_docker_cli_sends(void **state)
{
	static const char body[] =
		"{\"Hostname\":\"\",\"AttachStdout\":true,\"Tty\":false,\"Env\":null,\"Cmd\":["
		"\"echo\","
		"\"hi\"],\"Image\":\"busybox\",\"Volumes\":{\"/data\":{}},\"Entrypoint\":null,"
		"\"Labels\":{\"a\":\"b\"},\"HostConfig\":{\"Binds\":null,\"Memory\":1048576,"
		"\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]},"
		"\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"ConsoleSize\":[24,"
		"80],"
		"\"PidsLimit\":0},\"NetworkingConfig\":{\"EndpointsConfig\":{\"net\":{"
		"\"IPAMConfig\":"
		"{\"IPv4Address\":\"10.1.0.9\"},\"Aliases\":[\"x\"]}}}}";
	struct container_create c = {0};
	struct err e = ERR_INIT;

	assert_ok(container_create_read(body, strlen(body), &c, &e), &e);
	assert_string_equal(c.config.image, "busybox");
	assert_string_equal(c.config.cmd.v[1], "hi");
	assert_string_equal(c.config.volumes.v[0], "/data");
	assert_int_equal(c.host.memory, 1048576);
	assert_string_equal(c.host.port_bindings.v[0].value.list.v[0].host_port, "8080");
	assert_int_equal(*c.host.pids_limit, 0);
	assert_string_equal(MAP_GET(&c.networking.endpoints, "net")->ipam->ip4, "10.1.0.9");
	container_create_done(&c);
}

static void a_bad_member_leaves_nothing(void **state)
{
	static const char body[] = "{\"Image\":\"x\",\"HostConfig\":{\"Memory\":\"lots\"}}";
	struct container_create c = {0};
	struct err e = ERR_INIT;

	assert_int_equal(container_create_read(body, strlen(body), &c, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid JSON: HostConfig.Memory must be a whole number, not a "
				   "string");
	assert_null(c.config.image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_what_the_docker_cli_sends),
		TEST(a_bad_member_leaves_nothing),
	};

	return RUN_TESTS(tests);
}
