/*
 * agent/container_spec.h, container_check.h and container_merge.h: what a user asks becomes what
 * the shim reads. Pure.
 */
#include "unit/test.h"

#include <errno.h>

#include "agent/container_check.h"
#include "agent/container_merge.h"
#include "agent/container_spec.h"
#include "base/mem.h"
#include "base/limits.h"
#include "runtime/container/defaults.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct container c;
static struct spec spec;
static struct shim_config shim;
static struct err e;

/* A container from the body of a create request. */
static void fill(const char *json)
{
	struct container_create create = {0};

	assert_ok(container_create_read(json, strlen(json), &create, &e), &e);
	c = (struct container){
		.config = create.config, .host = create.host, .networks = create.networking};
	c.id = xstrdup(ID);
	c.name = xstrdup("name");
	c.path = xstrdup("sh");
	strs_add(&c.args, "-c");
	c.log_path = xstrdup("/data/log");
	c.hosts_path = xstrdup("/data/hosts");
	c.hostname_path = xstrdup("/data/hostname");
	c.resolv_path = xstrdup("/data/resolv.conf");
	str_set(&c.config.hostname, "host");
}

static int make(const char *json)
{
	struct snapshot snapshot = {
		.image_id = (char *)"sha256:1", .upper = (char *)"/u", .work = (char *)"/w"};
	struct container_spec_input in = {
		.c = &c, .snapshot = &snapshot, .cgroup_parent = "/shoal", .dns = true};
	int rc;

	fill(json);
	strs_add(&snapshot.lowers, "/l2");
	strs_add(&snapshot.lowers, "/l1");
	rc = container_mounts_make(&c, "/volumes", &e);
	if (rc == 0)
		rc = container_spec_make(&in, &spec, &shim, &e);
	strs_done(&snapshot.lowers);
	return rc;
}

static void done(void)
{
	spec_done(&spec);
	shim_config_done(&shim);
	table_done(&container_table, &c);
}

static const struct spec_mount *mount_at(const char *destination)
{
	const struct spec_mount *found = NULL;

	for (size_t i = 0; i < spec.mounts.n; i++) {
		if (strcmp(spec.mounts.v[i].destination, destination) != 0)
			continue;
		assert_null(found);
		found = &spec.mounts.v[i];
	}
	return found;
}

static bool has(const struct spec_strs *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

static bool has_namespace(const char *type)
{
	for (size_t i = 0; i < spec.linux_.namespaces.n; i++)
		if (strcmp(spec.linux_.namespaces.v[i].type, type) == 0)
			return true;
	return false;
}

static void test_defaults(void **state)
{
	(void)state;
	assert_ok(make("{\"Image\":\"i\"}"), &e);
	assert_string_equal(spec.linux_.cgroups_path, "/shoal/" ID);
	assert_string_equal(spec.process.args.v[0], "sh");
	assert_string_equal(spec.process.args.v[1], "-c");
	assert_true(has(&spec.process.env, "HOSTNAME=host"));
	assert_true(has(&spec.process.capabilities.bounding, "CAP_CHOWN"));
	assert_false(has(&spec.process.capabilities.bounding, "CAP_SYS_ADMIN"));
	assert_true(has_namespace("network"));
	assert_false(spec.root.readonly);
	assert_non_null(mount_at("/etc/hosts"));
	assert_true(spec.linux_.resources.memory.limit == SPEC_UNSET);
	assert_string_equal(shim.log.path, "/data/log");
	assert_int_equal(shim.stop_signal, 15);
	assert_int_equal(shim.dns.port, 53);
	assert_int_equal(shim.overlay.lower.n, 2);
	assert_string_equal(shim.overlay.lower.v[0], "/l2");
	done();
}

static void test_limits(void **state)
{
	(void)state;
	assert_ok(make("{\"HostConfig\":{\"Memory\":67108864,\"NanoCpus\":1500000000,\"PidsLimit\":"
		       "50,\"CpuShares\":512,\"CpusetCpus\":\"0-1\",\"ShmSize\":1048576,"
		       "\"CgroupParent\":\"/mine\",\"OomScoreAdj\":100,\"ReadonlyRootfs\":true,"
		       "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":100,\"Hard\":200}],"
		       "\"Sysctls\":{\"net.ipv4.ip_forward\":\"1\"}}}"),
		  &e);
	assert_int_equal(spec.linux_.resources.memory.limit, 67108864);
	assert_int_equal(spec.linux_.resources.memory.swap, 2 * 67108864);
	assert_int_equal(spec.linux_.resources.cpu.quota, 150000);
	assert_int_equal(spec.linux_.resources.cpu.period, 100000);
	assert_int_equal(spec.linux_.resources.cpu.shares, 512);
	assert_string_equal(spec.linux_.resources.cpu.cpus, "0-1");
	assert_int_equal(spec.linux_.resources.pids.limit, 50);
	assert_true(has(&mount_at("/dev/shm")->options, "size=1048576"));
	assert_string_equal(spec.linux_.cgroups_path, "/mine/" ID);
	assert_int_equal(spec.process.oom_score_adj, 100);
	assert_true(spec.root.readonly);
	assert_string_equal(spec.process.rlimits.v[0].type, "RLIMIT_NOFILE");
	assert_int_equal(spec.process.rlimits.v[0].hard, 200);
	assert_string_equal(spec.linux_.sysctl.v[0].key, "net.ipv4.ip_forward");
	done();
}

static void test_caps(void **state)
{
	(void)state;
	assert_ok(make("{\"HostConfig\":{\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"net_admin\"]}}"), &e);
	assert_int_equal(spec.process.capabilities.bounding.n, 1);
	assert_string_equal(spec.process.capabilities.bounding.v[0], "CAP_NET_ADMIN");
	done();
	assert_ok(make("{\"HostConfig\":{\"CapAdd\":[\"ALL\"],\"CapDrop\":[\"CAP_SYS_ADMIN\"]}}"),
		  &e);
	assert_false(has(&spec.process.capabilities.effective, "CAP_SYS_ADMIN"));
	assert_true(has(&spec.process.capabilities.effective, "CAP_SYS_MODULE"));
	done();
	assert_int_equal(make("{\"HostConfig\":{\"CapAdd\":[\"NOSUCH\"]}}"), -EINVAL);
	table_done(&container_table, &c);
}

static void test_env(void **state)
{
	(void)state;
	assert_ok(make("{\"Tty\":true,\"Env\":[\"PATH=/x\",\"A=b\",\"GONE\"]}"), &e);
	assert_true(has(&spec.process.env, "PATH=/x"));
	assert_false(has(&spec.process.env, container_defaults.path_env));
	assert_true(has(&spec.process.env, "TERM=xterm"));
	assert_true(has(&spec.process.env, "A=b"));
	assert_false(has(&spec.process.env, "GONE"));
	assert_true(spec.process.terminal);
	done();
}

static void test_mounts(void **state)
{
	(void)state;
	assert_ok(
		make("{\"Volumes\":{\"/anon\":{}},\"HostConfig\":{\"Binds\":[\"/a//b/:/x/y:ro\","
		     "\"vol:/x\"],\"Tmpfs\":{\"/run\":\"size=1m\"},\"Mounts\":[{\"Type\":\"tmpfs\","
		     "\"Target\":\"/t\",\"TmpfsOptions\":{\"SizeBytes\":4096,\"Mode\":448}},"
		     "{\"Type\":\"bind\",\"Source\":\"/s\",\"Target\":\"/dev/shm\",\"ReadOnly\":"
		     "true}]}}"),
		&e);
	assert_string_equal(mount_at("/x/y")->source, "/a/b");
	assert_true(has(&mount_at("/x/y")->options, "ro"));
	assert_string_equal(mount_at("/x")->source, "/volumes/vol/_data");
	assert_true(mount_at("/x") < mount_at("/x/y"));
	assert_true(has(&mount_at("/run")->options, "size=1m"));
	assert_true(has(&mount_at("/t")->options, "mode=700"));
	assert_true(has(&mount_at("/t")->options, "size=4096"));
	/* In place of the default one. */
	assert_string_equal(mount_at("/dev/shm")->source, "/s");
	assert_non_null(mount_at("/anon"));
	assert_true(volume_is_anonymous(c.mounts.v[c.mounts.n - 1].name));
	assert_false(volume_is_anonymous("vol"));
	done();
}

static void test_bad_mounts(void **state)
{
	static const char *const bad[] = {
		"{\"HostConfig\":{\"Binds\":[\"/a:/\"]}}",
		"{\"HostConfig\":{\"Binds\":[\"/a:b\"]}}",
		"{\"HostConfig\":{\"Binds\":[\"/a:/b/../../etc\"]}}",
		"{\"HostConfig\":{\"Binds\":[\"../a:/b\"]}}",
		"{\"HostConfig\":{\"Binds\":[\"/a:/b:what\"]}}",
		"{\"HostConfig\":{\"Binds\":[\"/a:/b\",\"/c:/b\"]}}",
		"{\"HostConfig\":{\"Binds\":[\"..:/b\"]}}",
		("{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"a\",\"Target\":\"/"
		 "b\"}]}}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		fill(bad[i]);
		assert_int_equal(container_mounts_make(&c, "/volumes", &e), -EINVAL);
		table_done(&container_table, &c);
	}
}

static void test_host_network(void **state)
{
	(void)state;
	assert_ok(
		make("{\"HostConfig\":{\"NetworkMode\":\"host\",\"CgroupnsMode\":\"host\","
		     "\"SecurityOpt\":[\"no-new-privileges\"],\"LogConfig\":{\"Type\":\"none\"}}}"),
		&e);
	assert_false(has_namespace("network"));
	assert_false(has_namespace("cgroup"));
	assert_true(spec.process.no_new_privileges);
	assert_null(shim.log.path);
	done();
}

static int check(const char *json)
{
	struct container_create create = {0};
	int rc;

	assert_ok(container_create_read(json, strlen(json), &create, &e), &e);
	e = ERR_INIT;
	rc = container_check(&create, &e);
	container_create_done(&create);
	return rc;
}

static void test_check(void **state)
{
	static const char *const absent[] = {
		"\"PidMode\":\"host\"",
		"\"Links\":[\"a:b\"]",
		"\"Runtime\":\"kata\"",
		"\"StorageOpt\":{\"a\":\"b\"}",
		"\"IpcMode\":\"host\"",
		"\"UTSMode\":\"host\"",
		"\"VolumesFrom\":[\"a\"]",
		"\"BlkioWeight\":10",
		"\"UsernsMode\":\"host\"",
		"\"DeviceRequests\":[{\"Driver\":\"x\"}]",
		("\"SecurityOpt\":[\"seccomp={\\\"defaultAction\\\":\\\"SCMP_ACT_ALLOW\\\","
		 "\\\"listenerPath\\\":\\\"/x\\\"}\"]"),
	};
	static const char *const bad[] = {
		"\"Memory\":1000",
		"\"RestartPolicy\":{\"Name\":\"sometimes\"}",
		"\"Devices\":[{\"PathOnHost\":\"null\"}]",
		"\"Devices\":[{\"PathOnHost\":\"/dev/null\",\"CgroupPermissions\":\"x\"}]",
		"\"DeviceCgroupRules\":[\"c 1:3\"]",
		"\"DeviceCgroupRules\":[\"d 1:3 r\"]",
		"\"AutoRemove\":true,\"RestartPolicy\":{\"Name\":\"always\"}",
		"\"OomScoreAdj\":2000",
		"\"NanoCpus\":9000000000000000000",
		"\"Memory\":9000000000000000000",
		"\"ShmSize\":-1",
		"\"SecurityOpt\":[\"what=ever\"]",
		"\"SecurityOpt\":[\"seccomp={}\"]",
		"\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"big\"}}",
		"\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1k\",\"max-"
		"file\":"
		"\"1001\"}}",
	};

	(void)state;
	assert_int_equal(check("{\"Image\":\"i\"}"), 0);
	assert_int_equal(check("{\"Image\":\"\"}"), -EINVAL);
	assert_int_equal(check("{\"Image\":\"i\",\"StopSignal\":\"SIGNOT\"}"), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(absent) + ARRAY_LEN(bad); i++) {
		bool later = i < ARRAY_LEN(absent);
		auto_free char *json = xasprintf("{\"Image\":\"i\",\"HostConfig\":{%s}}",
						 later ? absent[i] : bad[i - ARRAY_LEN(absent)]);
		int rc = check(json);

		if (rc != (later ? -ENOSYS : -EINVAL))
			fail_msg("%s: %d %s", json, rc, e.msg);
	}
}

/* What an update makes of a container's settings, as JSON; or its refusal. */
static int update(const char *old, const char *changes, struct host_config *ret)
{
	struct host_config c2 = {0};
	int rc;

	*ret = (struct host_config){0};
	e = ERR_INIT;
	assert_ok(json_read(&host_config_table, old, strlen(old), ret, &e), &e);
	assert_ok(json_read(&host_config_table, changes, strlen(changes), &c2, &e), &e);
	rc = host_config_update(ret, &c2, &e);
	table_done(&host_config_table, &c2);
	return rc;
}

static void test_update(void **state)
{
	static const struct {
		const char *old, *changes;
		int rc;
	} refused[] = {
		{"{\"NanoCpus\":500000000}", "{\"CpuPeriod\":50000}", -EBUSY},
		{"{\"CpuQuota\":50000}", "{\"NanoCpus\":500000000}", -EBUSY},
		{"{\"Memory\":10000000}", "{\"Memory\":20000001}", -EBUSY},
		{"{\"Memory\":10000000}", "{\"MemorySwap\":9999999}", -EINVAL},
		{"{\"Memory\":10000000}", "{\"MemoryReservation\":10000001}", -EINVAL},
		{"{}", "{\"MemorySwap\":10000000}", -EINVAL},
		{"{}", "{\"Memory\":-5}", -EINVAL},
		{"{}", "{\"CpuPeriod\":999}", -EINVAL},
		{"{}", "{\"CpuPeriod\":1000001}", -EINVAL},
		{"{}", "{\"CpuQuota\":999}", -EINVAL},
		{"{}", "{\"CpuShares\":-1}", -EINVAL},
		{"{}", "{\"CpusetCpus\":\"1-0\"}", -EINVAL},
		{"{}", "{\"CpusetCpus\":\"0,\"}", -EINVAL},
		{"{}", "{\"CpusetMems\":\"-1\"}", -EINVAL},
		{"{}", "{\"CpuRealtimePeriod\":1}", -ENOSYS},
		{"{\"AutoRemove\":true}", "{\"RestartPolicy\":{\"Name\":\"always\"}}", -EBUSY},
		{"{}", "{\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":1}}",
		 -EINVAL},
	};
	struct host_config h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		int rc = update(refused[i].old, refused[i].changes, &h);

		if (rc != refused[i].rc)
			fail_msg("%s: %d %s", refused[i].changes, rc, e.msg);
		table_done(&host_config_table, &h);
	}
	/* Swap that was left to its default stays what it was; a limit without one gets the
	 * default. */
	assert_ok(update("{\"Memory\":10000000}", "{\"Memory\":20000000}", &h), &e);
	assert_int_equal(h.memory, 20000000);
	assert_int_equal(h.memory_swap, 20000000);
	table_done(&host_config_table, &h);
	assert_ok(update("{}", "{\"Memory\":20000000,\"PidsLimit\":-1,\"CpusetCpus\":\"0\"}", &h),
		  &e);
	assert_int_equal(h.memory_swap, 40000000);
	assert_int_equal(*h.pids_limit, -1);
	table_done(&host_config_table, &h);
	assert_ok(update("{\"CpuShares\":7,\"RestartPolicy\":{\"Name\":\"always\"}}",
			 "{\"CpuPeriod\":1000000,\"CpuQuota\":1000,\"RestartPolicy\":{}}", &h),
		  &e);
	assert_int_equal(h.cpu_shares, 7);
	assert_string_equal(h.restart.name, "always");
	table_done(&host_config_table, &h);
}

static void test_resources(void **state)
{
	struct host_config h = {.memory = 10000000, .memory_swap = -1};
	struct spec_resources r;

	(void)state;
	spec_resources_init(&r);
	container_resources(&h, true, false, &r);
	assert_int_equal(r.memory.limit, 10000000);
	assert_int_equal(r.memory.swap, -1);
	assert_int_equal(r.memory.reservation, -1);
	assert_int_equal(r.cpu.shares, 1024);
	assert_int_equal(r.cpu.quota, -1);
	assert_int_equal(r.pids.limit, -1);
	container_resources(&h, true, true, &r);
	assert_int_equal(r.memory.reservation, 0);
	spec_resources_done(&r);
}

static void test_log_options(void **state)
{
	struct log_options log;

	(void)state;
	fill("{\"HostConfig\":{\"LogConfig\":{\"Config\":{\"max-size\":\"10m\",\"max-file\":"
	     "\"1000\"}}"
	     "}}");
	assert_ok(log_options_read(&c.host.log.config, &log, &e), &e);
	assert_int_equal(log.max_size, 10 << 20);
	assert_int_equal(log.max_file, LIMIT_LOG_FILES);
	table_done(&container_table, &c);
}

/* The entrypoint and command rules of docker. */
static void test_merge(void **state)
{
	struct image_run image = {0};

	(void)state;
	strs_add(&image.entrypoint, "/entry");
	strs_add(&image.cmd, "image-arg");
	strs_add(&image.env, "A=image");
	strs_add(&image.env, "B=image");
	strmap_set(&image.labels, "l", "image");
	image.user = xstrdup("www");
	fill("{\"Env\":[\"A=user\"]}");
	container_config_merge(&c.config, &image);
	assert_string_equal(c.config.entrypoint.v[0], "/entry");
	assert_string_equal(c.config.cmd.v[0], "image-arg");
	assert_int_equal(c.config.env.n, 2);
	assert_string_equal(c.config.env.v[0], "A=user");
	assert_string_equal(c.config.user, "www");
	assert_string_equal(strmap_get(&c.config.labels, "l"), "image");
	table_done(&container_table, &c);
	/* A user's command keeps the image's entrypoint; a user's entrypoint drops its command. */
	fill("{\"Cmd\":[\"mine\"]}");
	container_config_merge(&c.config, &image);
	assert_string_equal(c.config.entrypoint.v[0], "/entry");
	assert_string_equal(c.config.cmd.v[0], "mine");
	table_done(&container_table, &c);
	fill("{\"Entrypoint\":[\"/mine\"]}");
	container_config_merge(&c.config, &image);
	assert_int_equal(c.config.cmd.n, 0);
	table_done(&container_table, &c);
	fill("{\"Entrypoint\":[\"\"],\"Cmd\":[\"only\"]}");
	container_config_merge(&c.config, &image);
	assert_int_equal(c.config.entrypoint.n, 0);
	table_done(&container_table, &c);
	fill("{\"Entrypoint\":[\"\"]}");
	container_config_merge(&c.config, &image);
	free(c.path);
	c.path = NULL;
	strs_done(&c.args);
	assert_int_equal(container_command(&c.config, &c.path, &c.args, &e), -EINVAL);
	table_done(&container_table, &c);
	table_done(&image_run_table, &image);
}

static void test_discarded_for_v2(void **state)
{
	static const char json[] = "{\"HostConfig\":{\"Memory\":64000000,\"MemorySwappiness\":0,"
				   "\"OomKillDisable\":true}}";
	static const char plain[] = "{\"HostConfig\":{\"MemorySwappiness\":-1,"
				    "\"OomKillDisable\":false}}";
	struct container_create create = {0};
	struct strs warnings = {0};

	(void)state;
	assert_ok(container_create_read(json, strlen(json), &create, &e), &e);
	container_discard_for_v2(&create.host, &warnings);
	assert_int_equal(warnings.n, 2);
	assert_null(create.host.memory_swappiness);
	assert_null(create.host.oom_kill_disable);
	assert_int_equal(create.host.memory, 64000000);
	container_create_done(&create);
	strs_done(&warnings);
	/* What asks for nothing is no matter for a warning. */
	assert_ok(container_create_read(plain, strlen(plain), &create, &e), &e);
	container_discard_for_v2(&create.host, &warnings);
	assert_int_equal(warnings.n, 0);
	container_create_done(&create);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_limits),
		TEST(test_caps),
		TEST(test_env),
		TEST(test_mounts),
		TEST(test_bad_mounts),
		TEST(test_host_network),
		TEST(test_check),
		TEST(test_log_options),
		TEST(test_merge),
		TEST(test_update),
		TEST(test_resources),
		TEST(test_discarded_for_v2),
	};

	return RUN_TESTS(tests);
}
