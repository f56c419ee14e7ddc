/*
 * runtime/container/path.h: links that want to lead out of a root, and folders made on the way.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/container/caps.h"
#include "runtime/container/path.h"

static char dir[64];
static int root = -1;

static int make_root(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/shoal-path-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	root = open(dir, O_PATH | O_DIRECTORY);
	return root < 0 ? -1 : 0;
}

static int remove_root(void **state)
{
	close(root);
	return dir_remove(AT_FDCWD, dir, NULL);
}

/* Where a descriptor is, below the root; NULL when it is not. */
static const char *where(int fd)
{
	static char text[512];
	char link[64];
	ssize_t n = readlink(path_fd_text(fd, link), text, sizeof(text) - 1);

	assert_true(n > 0);
	text[n] = 0;
	assert_int_equal(strncmp(text, dir, strlen(dir)), 0);
	return text[strlen(dir)] ? text + strlen(dir) : "/";
}

static void folders_and_files_are_made(void **state)
{
	auto_close int a = path_make_dir(root, "/x/y/z", 0);
	auto_close int b = path_make_file(root, "x/file", PATH_NO_LINKS);
	auto_close int c = path_make_file(root, "/new//deep/./file", 0);
	auto_close int d = path_make_dir(root, "/", 0);

	assert_string_equal(where(a), "/x/y/z");
	assert_string_equal(where(b), "/x/file");
	assert_string_equal(where(c), "/new/deep/file");
	assert_string_equal(where(d), "/");
	assert_int_equal(path_make_dir(root, "x/file/under", 0), -ENOTDIR);
	assert_int_equal(path_open(root, "/none", O_PATH, 0), -ENOENT);
}

static void links_stay_inside(void **state)
{
	assert_int_equal(symlinkat("/", root, "abs"), 0);
	assert_int_equal(symlinkat("../../../../..", root, "up"), 0);
	assert_int_equal(symlinkat("/etc", root, "dangling"), 0);
	assert_int_equal(symlinkat("../over/there", root, "later"), 0);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	{
		auto_close int a = path_make_dir(root, "/abs/a", 0);
		auto_close int b = path_make_dir(root, "/up/b", 0);
		auto_close int c = path_make_dir(root, "/../../c", 0);
		auto_close int d = path_make_file(root, "/dangling/passwd", 0);
		auto_close int e = path_make_dir(root, "/later", 0);

		assert_string_equal(where(a), "/a");
		assert_string_equal(where(b), "/b");
		assert_string_equal(where(c), "/c");
		assert_string_equal(where(d), "/etc/passwd");
		assert_string_equal(where(e), "/over/there");
	}
	assert_int_equal(path_make_dir(root, "/loop/x", 0), -ELOOP);
	assert_int_equal(path_make_dir(root, "/abs/z", PATH_NO_LINKS), -ELOOP);
	assert_int_equal(path_make_file(root, "/abs", PATH_NO_LINKS), -ELOOP);
}

static void magic_links_are_refused(void **state)
{
	auto_close int proc = open("/proc", O_PATH | O_DIRECTORY);
	char link[64];

	snprintf(link, sizeof(link), "self/fd/%d", root);
	assert_int_equal(path_open(proc, link, O_PATH, 0), -ELOOP);
}

static void parents(void **state)
{
	static const char *const bad[] = {"", "/", "..", "/a/..", "."};
	char name[256], longest[300];
	auto_close int a = path_open_parent(root, "/p/q/name", 0, name);

	assert_string_equal(where(a), "/p/q");
	assert_string_equal(name, "name");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(path_open_parent(root, bad[i], 0, name), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[256] = 0;
	assert_int_equal(path_open_parent(root, longest, 0, name), -EINVAL);
}

static void capabilities_by_name(void **state)
{
	struct spec_strs l = {0};
	struct err e = ERR_INIT;
	uint64_t bits;

	assert_int_equal(cap_number("CAP_CHOWN"), 0);
	assert_int_equal(cap_number("net_raw"), 13);
	assert_int_equal(cap_number("CAP_CHECKPOINT_RESTORE"), 40);
	assert_int_equal(cap_number("CAP_"), -EINVAL);
	for (int i = 0; cap_name_of(i); i++)
		assert_int_equal(cap_number(cap_name_of(i)), i);
	assert_null(cap_name_of(-1));
	spec_strs_add(&l, "CAP_KILL");
	spec_strs_add(&l, "CAP_BPF");
	assert_ok(caps_parse(&l, &bits, &e), &e);
	assert_int_equal(bits, CAP_BIT(5) | CAP_BIT(39));
	spec_strs_add(&l, "CAP_EVERYTHING");
	assert_int_equal(caps_parse(&l, &bits, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "CAP_EVERYTHING"));
	spec_strs_done(&l);
}

#define PATH_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATH_TEST(folders_and_files_are_made),
		PATH_TEST(links_stay_inside),
		PATH_TEST(magic_links_are_refused),
		PATH_TEST(parents),
		TEST(capabilities_by_name),
	};

	return RUN_TESTS(tests);
}
