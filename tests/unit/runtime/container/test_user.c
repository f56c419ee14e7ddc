/*
 * runtime/container/user.h: names and numbers, and files that want to be misread.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "runtime/container/user.h"

static const char passwd[] = "# comment\n"
			     "root:x:0:0:root:/root:/bin/sh\n"
			     "web:x:33:34:web:/srv:/bin/sh\n"
			     "1000:x:0:0:evil:/:/bin/sh\n"
			     "short:x:5\n"
			     "words:x:abc:0::/:\n"
			     "huge:x:99999999999999999999:0::/:\n"
			     "+nis:x:::\n"
			     "last:x:77:78";
static const char group[] = "root:x:0:\nweb:x:34:\naudio:x:29:web,other\nvideo:x:44:other,webby\n"
			    "9:x:0:\nbroken:x\nplug:x:46:web";

static struct err e;

static int resolve(const char *user, struct user_info *u)
{
	e = ERR_INIT;
	return user_resolve_text(passwd, sizeof(passwd) - 1, group, sizeof(group) - 1, user, NULL,
				 u, &e);
}

static void expect(const char *user, uint32_t uid, uint32_t gid, const char *home, size_t n_gids)
{
	struct user_info u;

	assert_ok(resolve(user, &u), &e);
	assert_int_equal(u.uid, uid);
	assert_int_equal(u.gid, gid);
	assert_string_equal(u.home, home);
	assert_int_equal(u.additional_gids.n, n_gids);
	assert_int_equal(u.additional_gids.v[0], gid);
	user_info_done(&u);
}

static void names_and_numbers(void **state)
{
	expect("", 0, 0, "/root", 1);
	expect("root", 0, 0, "/root", 1);
	expect("web", 33, 34, "/srv", 3);
	expect("33", 33, 34, "/srv", 3);
	expect("web:audio", 33, 29, "/srv", 1);
	expect("web:12345", 33, 12345, "/srv", 1);
	expect("4000:5000", 4000, 5000, "/", 1);
	expect("last", 77, 78, "/", 1);
	expect(":audio", 0, 29, "/root", 1);
	expect("2147483647", 2147483647, 0, "/", 1);
}

/* CVE-2016-3697, CVE-2026-30892: what is a number is a number. */
static void a_numeric_name_never_counts(void **state)
{
	expect("1000", 1000, 0, "/", 1);
	expect("1", 1, 0, "/", 1);
	expect("web:9", 33, 9, "/srv", 1);
	expect("+7", 7, 0, "/", 1);
}

static void what_is_not_there_or_out_of_range_is_an_error(void **state)
{
	static const struct {
		const char *user;
		int code;
	} bad[] = {
		{"ghost", -ENOENT},      {"web:ghost", -ENOENT},
		{"short", -ENOENT},      {"words", -ENOENT},
		{"huge", -ENOENT},       {"-1", -EINVAL},
		{"2147483648", -EINVAL}, {"0:4294967296", -EINVAL},
		{"a:b:c", -EINVAL},      {"99999999999999999999999", -EINVAL},
		{" 0", -ENOENT},         {"0x0", -ENOENT},
	};
	struct user_info u;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(resolve(bad[i].user, &u), bad[i].code);
	assert_int_equal(resolve("ghost", &u), -ENOENT);
	assert_string_equal(e.msg, "unable to find user ghost: no matching entries in passwd file");
}

static void added_groups(void **state)
{
	const char *const add[] = {"video", "29", "1234", NULL};
	const char *const bad[] = {"ghost", NULL};
	struct user_info u;

	assert_ok(user_resolve_text(passwd, sizeof(passwd) - 1, group, sizeof(group) - 1, "web",
				    add, &u, &e),
		  &e);
	assert_int_equal(u.additional_gids.n, 5); /* 34 29 46 44 1234 */
	user_info_done(&u);
	assert_int_equal(user_resolve_text(passwd, sizeof(passwd) - 1, group, sizeof(group) - 1,
					   "web", bad, &u, &e),
			 -ENOENT);
}

static void empty_files(void **state)
{
	struct user_info u;

	assert_ok(user_resolve_text(NULL, 0, NULL, 0, "5:6", NULL, &u, &e), &e);
	assert_int_equal(u.uid, 5);
	user_info_done(&u);
	assert_ok(user_resolve_text(NULL, 0, NULL, 0, "", NULL, &u, &e), &e);
	assert_int_equal(u.uid, 0);
	user_info_done(&u);
}

/* The image's passwd may be a link: it is followed inside the root alone. */
static void files_are_opened_inside_the_root(void **state)
{
	char dir[] = "/tmp/shoal-user-XXXXXX";
	auto_close int root = -1;
	struct user_info u;
	int fd;

	assert_non_null(mkdtemp(dir));
	root = open(dir, O_PATH | O_DIRECTORY);
	assert_true(root >= 0);
	assert_ok(user_resolve(root, "0", NULL, &u, &e), &e);
	user_info_done(&u);
	assert_int_equal(mkdirat(root, "etc", 0755), 0);
	assert_int_equal(symlinkat("../../../../etc/real", root, "etc/passwd"), 0);
	fd = openat(root, "etc/real", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(file_write_fd(fd, "me:x:7:8::/me:\n", 15), 0);
	close(fd);
	assert_ok(user_resolve(root, "me", NULL, &u, &e), &e);
	assert_int_equal(u.uid, 7);
	user_info_done(&u);
	/* Neither pipes, which would block, nor files without end. */
	assert_int_equal(mkfifoat(root, "etc/group", 0644), 0);
	assert_int_equal(user_resolve(root, "me", NULL, &u, &e), -EINVAL);
	assert_int_equal(unlinkat(root, "etc/group", 0), 0);
	fd = openat(root, "etc/group", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, LIMIT_PASSWD + 1), 0);
	close(fd);
	assert_int_equal(user_resolve(root, "me", NULL, &u, &e), -EMSGSIZE);
	assert_int_equal(dir_remove(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_and_numbers),
		TEST(a_numeric_name_never_counts),
		TEST(what_is_not_there_or_out_of_range_is_an_error),
		TEST(added_groups),
		TEST(empty_files),
		TEST(files_are_opened_inside_the_root),
	};

	return RUN_TESTS(tests);
}
