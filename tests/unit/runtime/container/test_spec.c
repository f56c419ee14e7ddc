/*
 * runtime/container/spec.h and shim_config.h: what is read is written again, and garbage is
 * refused by the name of the property.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/limits.h"
#include "runtime/container/defaults.h"
#include "runtime/container/shim_config.h"
#include "runtime/container/spec.h"

#define HEAD "{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"/bin/true\"],\"cwd\":\"/\""
#define NS "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"uts\"}]"

static int parse(const char *json, struct spec *s, struct err *e)
{
	return spec_parse(json, strlen(json), SPEC_STRICT, s, e);
}

static void refused(const char *json, int code, const char *word)
{
	struct err e = ERR_INIT;
	struct spec s;

	assert_int_equal(parse(json, &s, &e), code);
	if (!strstr(e.msg, word))
		fail_msg("\"%s\" does not name %s", e.msg, word);
}

static void defaults_survive_writing_and_reading(void **state)
{
	auto_buf once = BUF_INIT(LIMIT_SPEC_JSON), again = BUF_INIT(LIMIT_SPEC_JSON);
	struct err e = ERR_INIT;
	auto_spec s;
	auto_spec t;

	spec_set_defaults(&s);
	spec_strs_add(&s.process.args, "/bin/\"odd\"\n");
	s.root.path = xstrdup("/r");
	s.linux_.cgroups_path = xstrdup("/a/b");
	s.linux_.resources.memory.limit = 1 << 20;
	s.linux_.resources.cpu.quota = -1;
	spec_add_rlimit(&s, "RLIMIT_CORE", 0, UINT64_MAX);
	spec_add_device(&s, "/dev/fuse", 'c', 10, 229, "rwm");
	spec_pairs_add(&s.annotations, "key", "value");
	spec_u32s_add(&s.process.user.additional_gids, UINT32_MAX - 1);
	assert_int_equal(spec_write(&s, &once), 0);
	assert_ok(parse(buf_text(&once), &t, &e), &e);
	assert_int_equal(spec_write(&t, &again), 0);
	assert_string_equal(buf_text(&once), buf_text(&again));
	assert_int_equal(t.process.rlimits.v[0].hard, UINT64_MAX);
	assert_int_equal(t.linux_.resources.memory.limit, 1 << 20);
	assert_int_equal(t.linux_.resources.memory.swap, SPEC_UNSET);
	assert_true(t.process.has_capabilities);
	assert_int_equal(t.process.capabilities.ambient.n, 0);
}

/* Under ASan: what was read leaves as much room behind its lists as what was filled by hand. */
static void lists_that_were_read_can_grow(void **state)
{
	for (int n = 0; n < 10; n++) {
		auto_buf b = BUF_INIT(LIMIT_SPEC_JSON);
		struct err e = ERR_INIT;
		auto_spec s;

		buf_adds(&b, HEAD "}," NS ",\"resources\":{\"devices\":[");
		for (int i = 0; i < n; i++)
			buf_addf(&b, "%s{\"allow\":true,\"type\":\"c\",\"major\":%d}", i ? "," : "",
				 i);
		buf_adds(&b, "]}}}");
		assert_ok(parse(buf_text(&b), &s, &e), &e);
		for (int i = 0; i < 20; i++)
			spec_add_device_rule(&s, true, 'c', n + i, 0, "r");
		assert_int_equal(s.linux_.resources.devices.n, n + 20);
		for (int i = 0; i < n + 20; i++)
			assert_int_equal(s.linux_.resources.devices.v[i].major, i);
	}
}

/* `open`, so many times `item` (with its number where it says %d), `close`. */
static void list_write(struct buf *b, const char *open, const char *item, const char *close, int n)
{
	const char *at = strstr(item, "%d");
	int before = (int)(at ? at - item : (int)strlen(item));

	buf_reset(b);
	buf_adds(b, open);
	for (int i = 0; i < n; i++) {
		buf_addf(b, "%s%.*s", i ? "," : "", before, item);
		if (at)
			buf_addf(b, "%d%s", i, at + 2);
	}
	buf_adds(b, close);
}

static void lists_of_all_kinds_are_bounded(void **state)
{
	static const struct {
		const char *open, *item, *close, *name;
	} lists[] = {
		{"{\"ociVersion\":\"1.2.0\",\"process\":{\"cwd\":\"/\",\"args\":[", "\"x\"",
		 "]}," NS "}}", "args"},
		{HEAD "},\"annotations\":{", "\"k%d\":\"\"", "}," NS "}}", "annotations"},
		{HEAD "}," NS ",\"resources\":{\"devices\":[", "{\"allow\":true}", "]}}}",
		 "devices"},
		{HEAD "}," NS ",\"resources\":{\"rdma\":{", "\"d%d\":{\"hcaHandles\":3}", "}}}}",
		 "rdma"},
	};
	auto_buf b = BUF_INIT(LIMIT_SPEC_JSON);

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct err e = ERR_INIT;
		auto_spec s;

		list_write(&b, lists[i].open, lists[i].item, lists[i].close, LIMIT_SPEC_LIST);
		assert_ok(parse(buf_text(&b), &s, &e), &e);
		list_write(&b, lists[i].open, lists[i].item, lists[i].close, LIMIT_SPEC_LIST + 1);
		refused(buf_text(&b), -EINVAL, lists[i].name);
	}
}

static void properties_of_all_kinds_survive(void **state)
{
	static const char json[] = HEAD
		",\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":3,\"flags\":"
		"[\"SCHED_FLAG_RECLAIM\"]},\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\"}},"
		"\"hooks\":{\"poststop\":[{\"path\":\"/x\",\"args\":[\"x\"],\"timeout\":3}]},"
		"\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"user\"},{\"type\":"
		"\"time\"}],\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":1}],"
		"\"gidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":1}],\"timeOffsets\":"
		"{\"boottime\":{\"secs\":-5,\"nanosecs\":1}},\"resources\":{\"rdma\":{\"mlx\":"
		"{\"hcaHandles\":3}},\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":"
		"9223372036854771712}],\"network\":{\"classID\":7,\"priorities\":[{\"name\":\"lo\","
		"\"priority\":5}]},\"blockIO\":{\"weight\":10,\"throttleReadBpsDevice\":[{"
		"\"major\":"
		"8,\"minor\":0,\"rate\":600}]}}}}";
	auto_buf once = BUF_INIT(LIMIT_SPEC_JSON), again = BUF_INIT(LIMIT_SPEC_JSON);
	struct err e = ERR_INIT;
	auto_spec s;
	auto_spec t;

	assert_ok(parse(json, &s, &e), &e);
	assert_string_equal(s.linux_.resources.rdma.v[0].name, "mlx");
	assert_int_equal(s.linux_.resources.rdma.v[0].hca_objects, SPEC_UNSET);
	assert_string_equal(s.linux_.time_offsets.v[0].clock, "boottime");
	assert_int_equal(s.linux_.time_offsets.v[0].secs, -5);
	assert_int_equal(s.hooks.poststop.v[0].timeout, 3);
	assert_int_equal(spec_write(&s, &once), 0);
	assert_ok(parse(buf_text(&once), &t, &e), &e);
	assert_int_equal(spec_write(&t, &again), 0);
	assert_string_equal(buf_text(&once), buf_text(&again));
}

static void id_maps_are_bounded(void **state)
{
	for (int n = LIMIT_ID_MAPS; n <= LIMIT_ID_MAPS + 1; n++) {
		auto_buf b = BUF_INIT(LIMIT_SPEC_JSON);
		struct err e = ERR_INIT;
		struct spec s;
		int rc;

		buf_adds(&b, HEAD "},\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":"
				  "\"user\"}],\"uidMappings\":[");
		for (int i = 0; i < n; i++)
			buf_addf(&b, "%s{\"containerID\":%d,\"hostID\":%d,\"size\":1}",
				 i ? "," : "", i, i);
		buf_adds(&b, "],\"gidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]}}");
		rc = parse(buf_text(&b), &s, &e);
		if (n == LIMIT_ID_MAPS) {
			assert_ok(rc, &e);
			spec_done(&s);
		} else {
			assert_int_equal(rc, -EINVAL);
			assert_non_null(strstr(e.msg, "linux.uidMappings"));
		}
	}
}

static void bad_values_of_the_rest_are_named(void **state)
{
	refused(HEAD "},\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"user\"}]}}",
		-EINVAL, "linux.uidMappings");
	refused(HEAD "}," NS ",\"uidMappings\":[{\"containerID\":0,\"hostID\":4294967295,"
		     "\"size\":2}]}}",
		-EINVAL, "user namespace");
	refused(HEAD "}," NS "},\"hooks\":{\"prestart\":[{\"path\":\"x\"}]}}", -EINVAL,
		"hooks.prestart[0].path");
	refused(HEAD ",\"scheduler\":{\"policy\":\"X\"}}," NS "}}", -EINVAL, "scheduler.policy");
	refused(HEAD ",\"ioPriority\":{\"class\":\"X\"}}," NS "}}", -EINVAL, "ioPriority.class");
	refused(HEAD "}," NS ",\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2 MB\","
		     "\"limit\":1}]}}}",
		-EINVAL, "hugepageLimits[0].pageSize");
	refused(HEAD "}," NS ",\"resources\":{\"rdma\":[1]}}}", -EINVAL, "rdma");
}

static void unknown_properties_are_named_or_passed_over(void **state)
{
	const char *json = HEAD ",\"colour\":1}," NS "}}";
	struct err e = ERR_INIT;
	auto_spec s;

	refused(json, -EINVAL, "process.colour");
	assert_ok(spec_parse(json, strlen(json), 0, &s, &e), &e);
}

static void what_is_not_supported_is_named(void **state)
{
	refused(HEAD "}," NS ",\"intelRdt\":{\"closID\":\"x\"}}}", -ENOSYS, "linux.intelRdt");
	refused(HEAD "}," NS ",\"personality\":{\"flags\":[\"x\"]}}}", -ENOSYS,
		"linux.personality.flags");
	refused(HEAD "}," NS "},\"mounts\":[{\"destination\":\"/x\",\"type\":\"nfs\"}]}", -ENOSYS,
		"nfs");
}

static void bad_values_are_named(void **state)
{
	refused("{}", -EINVAL, "ociVersion");
	refused("[]", -EINVAL, "object");
	refused("", -EINVAL, "config.json");
	refused("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[],\"cwd\":\"/\"}," NS "}}",
		-EINVAL, "process.args");
	refused(HEAD ",\"user\":{\"uid\":-1}}," NS "}}", -EINVAL, "uid");
	refused(HEAD ",\"user\":{\"uid\":4294967295}}," NS "}}", -EINVAL, "uid");
	refused(HEAD ",\"user\":{\"uid\":1.5}}," NS "}}", -EINVAL, "uid");
	refused(HEAD ",\"user\":{\"additionalGids\":[-1]}}," NS "}}", -EINVAL, "additionalGids");
	refused(HEAD ",\"terminal\":1}," NS "}}", -EINVAL, "terminal");
	refused(HEAD ",\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]}," NS "}}",
		-EINVAL, "RLIMIT_X");
	refused(HEAD "},\"linux\":{}}", -EINVAL, "mount namespace");
	refused(HEAD "}," NS ",\"cgroupsPath\":\"/a/../../b\"}}", -EINVAL, "cgroupsPath");
	refused(HEAD "}," NS ",\"sysctl\":{\"vm.swappiness\":\"1\"}}}", -EINVAL, "vm.swappiness");
	refused(HEAD "}," NS ",\"sysctl\":{\"net.ipv4.x\":\"1\"}}}", -EINVAL, "net.ipv4.x");
	refused(HEAD "}," NS ",\"resources\":{\"cpu\":{\"cpus\":\"0-99999999999\"}}}}", -EINVAL,
		"cpus");
	refused(HEAD "}," NS ",\"resources\":{\"cpu\":{\"cpus\":\"0;1\"}}}}", -EINVAL, "cpus");
	refused(HEAD "}," NS "},\"mounts\":[{\"destination\":\"rel\"}]}", -EINVAL, "mounts[0]");
}

static void numbers_beyond_64_bits_are_no_crash(void **state)
{
	auto_spec s;
	struct err e = ERR_INIT;

	refused(HEAD ",\"user\":{\"uid\":1e300}}," NS "}}", -EINVAL, "uid");
	assert_ok(parse(HEAD ",\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1024,"
			     "\"hard\":18446744073709551615}]}," NS "}}",
			&s, &e),
		  &e);
	assert_int_equal(s.process.rlimits.v[0].soft, 1024);
	assert_int_equal(s.process.rlimits.v[0].hard, UINT64_MAX);
}

/* Every prefix and every byte changed: refused or read, never a crash (run under ASan). */
static void broken_documents_are_refused(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_SPEC_JSON);
	auto_spec s;

	spec_set_defaults(&s);
	spec_strs_add(&s.process.args, "x");
	spec_write(&s, &b);
	for (size_t n = 0; n < b.len; n += 7) {
		struct spec t;

		assert_int_equal(spec_parse(b.p, n, SPEC_STRICT, &t, NULL), -EINVAL);
	}
	for (size_t i = 0; i < b.len; i += 3) {
		char old = b.p[i];
		struct spec t;

		b.p[i] = (char)(old ^ 0x15);
		if (spec_parse(b.p, b.len, SPEC_STRICT, &t, NULL) == 0)
			spec_done(&t);
		b.p[i] = old;
	}
}

static void documents_are_bounded(void **state)
{
	char *big = malloc(LIMIT_SPEC_JSON + 2);
	struct spec s;

	memset(big, ' ', LIMIT_SPEC_JSON + 1);
	assert_int_equal(spec_parse(big, LIMIT_SPEC_JSON + 1, 0, &s, NULL), -EINVAL);
	free(big);
}

static void shim_json(void **state)
{
	const char *json =
		"{\"log\":{\"path\":\"/l\",\"maxSize\":10,\"maxFile\":2},\"dns\":{\"port\":"
		"53},\"overlay\":{\"lower\":[\"/a\",\"/b\"],\"upper\":\"/u\",\"work\":"
		"\"/w\"},\"user\":\"web\",\"groupAdd\":[\"x\"],\"stopSignal\":3}";
	struct err e = ERR_INIT;
	struct shim_config c, d;
	auto_buf b = BUF_INIT(4096);

	assert_ok(shim_config_parse(json, strlen(json), &c, &e), &e);
	assert_int_equal(c.dns.port, 53);
	assert_int_equal(c.overlay.lower.n, 2);
	assert_int_equal(shim_config_write(&c, &b), 0);
	assert_ok(shim_config_parse(b.p, b.len, &d, &e), &e);
	assert_string_equal(d.user, "web");
	shim_config_done(&c);
	shim_config_done(&d);
	assert_ok(shim_config_parse("{}", 2, &c, &e), &e);
	assert_int_equal(c.dns.port, SPEC_UNSET);
	shim_config_done(&c);
	json = "{\"overlay\":{\"lower\":[\"a\"]}}";
	assert_int_equal(shim_config_parse(json, strlen(json), &c, &e), -EINVAL);
	json = "{\"dns\":{\"port\":65536}}";
	assert_int_equal(shim_config_parse(json, strlen(json), &c, &e), -EINVAL);
	json = "{\"stopSignal\":65}";
	assert_int_equal(shim_config_parse(json, strlen(json), &c, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_survive_writing_and_reading),
		TEST(lists_that_were_read_can_grow),
		TEST(lists_of_all_kinds_are_bounded),
		TEST(properties_of_all_kinds_survive),
		TEST(bad_values_of_the_rest_are_named),
		TEST(id_maps_are_bounded),
		TEST(unknown_properties_are_named_or_passed_over),
		TEST(what_is_not_supported_is_named),
		TEST(bad_values_are_named),
		TEST(numbers_beyond_64_bits_are_no_crash),
		TEST(broken_documents_are_refused),
		TEST(documents_are_bounded),
		TEST(shim_json),
	};

	return RUN_TESTS(tests);
}
