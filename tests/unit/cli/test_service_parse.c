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

static void bad_files_are_refused(void **state)
{
	static const char *const bad[] = {
		"target=a",        "source=a,what=b",     "source=a,mode", "source=a,mode=",
		"source=a,mode=8", "source=a,mode=10000", "source=a,alone"};

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_have_dockers_defaults),
		TEST(files_say_all_of_it),
		TEST(bad_files_are_refused),
	};

	return RUN_TESTS(tests);
}
