/*
 * agent/container_devices.h: devices and folders of devices of the host, rules, bounds.
 */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container_devices.h"
#include "base/file.h"
#include "base/limits.h"

static struct err e;

static int devices(const char *host, const char *container, struct spec *s)
{
	struct device_mapping d = {(char *)(uintptr_t)host, (char *)(uintptr_t)container, NULL};
	struct host_config h = {.devices = {&d, 1}};

	spec_init(s);
	e = ERR_INIT;
	return container_devices(&h, s, &e);
}

static void one_device(void **state)
{
	struct spec s;

	(void)state;
	assert_ok(devices("/dev/null", "/dev/mine", &s), &e);
	assert_int_equal(s.linux_.devices.n, 1);
	assert_string_equal(s.linux_.devices.v[0].path, "/dev/mine");
	assert_string_equal(s.linux_.devices.v[0].type, "c");
	assert_int_equal(s.linux_.devices.v[0].major, 1);
	assert_int_equal(s.linux_.devices.v[0].minor, 3);
	assert_string_equal(s.linux_.resources.devices.v[0].access, "rwm");
	spec_done(&s);
	assert_int_equal(devices("/dev/no-such", "/dev/x", &s), -EINVAL);
	spec_done(&s);
	assert_int_equal(devices("/etc/passwd", "/dev/x", &s), -EINVAL);
	spec_done(&s);
}

static void a_folder_up_to_its_bound(void **state)
{
	char dir[] = "/tmp/unit-devices-XXXXXX", path[64];
	struct spec s;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	for (unsigned i = 0; i < LIMIT_PRIVILEGED_DEVICES; i++) {
		if (i == LIMIT_PRIVILEGED_DEVICES - 1) {
			assert_ok(devices(dir, "/dev/all", &s), &e);
			assert_int_equal(s.linux_.devices.n, i);
			spec_done(&s);
		}
		(void)snprintf(path, sizeof path, "%s/d%u", dir, i);
		assert_int_equal(mknod(path, S_IFCHR | 0600, makedev(1, 3)), 0);
	}
	assert_int_equal(devices(dir, "/dev/all", &s), -EINVAL);
	spec_done(&s);
	assert_int_equal(dir_remove(AT_FDCWD, dir, &e), 0);
}

static void rules(void **state)
{
	static const char *const bad[] = {"c 1:3",    "d 1:3 r", "c 1 r",    "c a:3 r",
					  "c 1:3 rx", "c 1:3 ",  "cc 1:3 r", ""};
	struct spec s;

	(void)state;
	spec_init(&s);
	assert_ok(container_device_rule("c *:7 rw", &s, &e), &e);
	assert_int_equal(s.linux_.resources.devices.v[0].major, SPEC_UNSET);
	assert_int_equal(s.linux_.resources.devices.v[0].minor, 7);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (container_device_rule(bad[i], NULL, &e) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
	spec_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_device),
		TEST(a_folder_up_to_its_bound),
		TEST(rules),
	};

	return RUN_TESTS(tests);
}
