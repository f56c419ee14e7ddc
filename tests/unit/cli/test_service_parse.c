/*
 * cli/service_spec.h: the values of --secret and --config.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/mem.h"
#include "cli/service_spec.h"

static void files_have_dockers_defaults(void **state)
{
	struct file_target file = {0};
	auto_free char *name = NULL;
	struct err e = ERR_INIT;

	assert_ok(file_parse("key", &name, &file, &e), &e);
	assert_string_equal(name, "key");
	assert_string_equal(file.name, "key");
	assert_string_equal(file.uid, "0");
	assert_string_equal(file.gid, "0");
	assert_int_equal(file.mode, 0444);
	table_done(&file_target_table, &file);
}

static void files_say_all_of_it(void **state)
{
	struct file_target file = {0};
	auto_free char *name = NULL;
	struct err e = ERR_INIT;

	assert_ok(file_parse("src=key,target=/a/b,uid=5,gid=6,mode=0400", &name, &file, &e), &e);
	assert_string_equal(name, "key");
	assert_string_equal(file.name, "/a/b");
	assert_string_equal(file.uid, "5");
	assert_string_equal(file.gid, "6");
	assert_int_equal(file.mode, 0400);
	table_done(&file_target_table, &file);
}

/* Docker's command reads it as Go reads numbers. */
static void a_mode_without_a_zero_is_decimal(void **state)
{
	struct file_target file = {0};
	auto_free char *name = NULL;
	struct err e = ERR_INIT;

	assert_ok(file_parse("src=key,mode=256", &name, &file, &e), &e);
	assert_int_equal(file.mode, 0400);
	table_done(&file_target_table, &file);
}

static void bad_files_are_refused(void **state)
{
	static const char *const bad[] = {
		"target=a",         "source=a,what=b",      "source=a,mode", "source=a,mode=",
		"source=a,mode=08", "source=a,mode=010000", "source=a,alone"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct file_target file = {0};
		struct err e = ERR_INIT;
		char *name = NULL;

		assert_int_equal(file_parse(bad[i], &name, &file, &e), -EINVAL);
		assert_null(name);
		assert_non_null(strstr(e.msg, bad[i]));
		table_done(&file_target_table, &file);
	}
}

static void mounts_say_all_of_it(void **state)
{
	struct err e = ERR_INIT;
	struct mount m = {0};

	assert_ok(mount_parse("type=volume,src=a,dst=/b,volume-label=x=y,volume-subpath=c/d,"
			      "volume-driver=local,volume-opt=type=nfs,"
			      "\"volume-opt=o=addr=1.2.3.4,rw\",volume-nocopy",
			      &m, &e),
		  &e);
	assert_string_equal(strmap_get(&m.volume->labels, "x"), "y");
	assert_string_equal(m.volume->subpath, "c/d");
	assert_string_equal(strmap_get(&m.volume->driver->options, "o"), "addr=1.2.3.4,rw");
	assert_true(m.volume->no_copy);
	table_done(&mount_table, &m);
	m = (struct mount){0};
	assert_ok(mount_parse("type=bind,\"src=/a\"\"b,c\",dst=/b,ro,bind-recursive=readonly", &m,
			      &e),
		  &e);
	assert_string_equal(m.source, "/a\"b,c");
	assert_true(m.read_only && m.bind->read_only_force_recursive);
	table_done(&mount_table, &m);
}

static void bad_mounts_are_refused(void **state)
{
	static const char *const bad[] = {"type=bind,src=/a",    "dst=/b,bind-recursive=x",
					  "dst=/b,tmpfs-mode=9", "dst=/b,tmpfs-size",
					  "dst=/b,what=ever",    "dst=/b,bind-what=x",
					  "dst=/b,volume-x=y"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mount m = {0};
		struct err e = ERR_INIT;

		if (mount_parse(bad[i], &m, &e) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		table_done(&mount_table, &m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mounts_say_all_of_it),
		TEST(bad_mounts_are_refused),
		TEST(files_have_dockers_defaults),
		TEST(files_say_all_of_it),
		TEST(a_mode_without_a_zero_is_decimal),
		TEST(bad_files_are_refused),
	};

	return RUN_TESTS(tests);
}
