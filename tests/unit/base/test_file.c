/*
 * base/file.h: whole files under their bounds, replaced at once, and folders removed however deep,
 * without following links or crossing into other file systems.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

struct place {
	char dir[64];
	int fd;
};

static void place_init(struct place *p)
{
	(void)snprintf(p->dir, sizeof p->dir, "/tmp/shoal-test-file-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
}

static void place_done(struct place *p)
{
	struct err e = ERR_INIT;

	close(p->fd);
	assert_ok(dir_remove(AT_FDCWD, p->dir, &e), &e);
	assert_int_equal(access(p->dir, F_OK), -1);
}
#define auto_place CLEANUP(place_done) struct place

static void files_are_replaced_whole_and_read_up_to_a_bound(void **state)
{
	auto_place p;
	auto_buf fits = BUF_INIT(5), small = BUF_INIT(4);
	struct stat st;

	place_init(&p);
	assert_int_equal(file_write_atomic(p.fd, "f", "old", 3, 0600), 0);
	assert_int_equal(file_write_atomic(p.fd, "f", "newer", 5, 0640), 0);
	assert_int_equal(file_read_at(p.fd, "f", &fits), 0);
	assert_string_equal(buf_text(&fits), "newer");
	assert_int_equal(file_read_at(p.fd, "f", &small), -EMSGSIZE);
	assert_int_equal(file_read_at(p.fd, "none", &small), -ENOENT);
	assert_int_equal(file_write_atomic(p.fd, "none/f", "x", 1, 0600), -ENOENT);
	buf_reset(&fits);
	assert_int_equal(file_write_passing(p.fd, "f", "third", 5, 0600), 0);
	assert_int_equal(file_read_at(p.fd, "f", &fits), 0);
	assert_string_equal(buf_text(&fits), "third");
	assert_int_equal(fstat(p.fd, &st), 0);
	assert_int_equal(st.st_nlink, 2);
}

/* A chain of folders, far longer than a path may be. */
static void make_deep(const struct place *p, const char *name, int depth)
{
	int at = p->fd;

	for (int i = 0; i < depth; i++) {
		const char *step = i ? "deeper" : name;
		int next;

		assert_int_equal(mkdirat(at, step, 0755), 0);
		next = openat(at, step, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		assert_int_equal(symlinkat("..", next, "up"), 0);
		close(openat(next, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		if (at != p->fd)
			close(at);
		at = next;
	}
	close(at);
}

static void folders_of_any_depth_go(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;

	place_init(&p);
	make_deep(&p, "a", 63);
	assert_ok(dir_remove(p.fd, "a", &e), &e);
	make_deep(&p, "a", 3000);
	assert_ok(dir_remove(p.fd, "a", &e), &e);
	assert_int_equal(faccessat(p.fd, "a", F_OK, 0), -1);
	assert_ok(dir_remove(p.fd, "a", &e), &e); /* not there: fine */
	make_deep(&p, "b", 500);                  /* goes with the place */
}

static void links_are_removed_not_followed(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;

	place_init(&p);
	assert_int_equal(mkdirat(p.fd, "keep", 0755), 0);
	assert_int_equal(file_write_atomic(p.fd, "keep/f", "x", 1, 0600), 0);
	assert_int_equal(mkdirat(p.fd, "go", 0755), 0);
	assert_int_equal(symlinkat("../keep", p.fd, "go/link"), 0);
	assert_int_equal(symlinkat("keep", p.fd, "top"), 0);
	assert_ok(dir_remove(p.fd, "go", &e), &e);
	assert_ok(dir_remove(p.fd, "top", &e), &e);
	assert_int_equal(faccessat(p.fd, "keep/f", F_OK, 0), 0);
}

static void other_file_systems_are_left_alone(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	char at[80];
	int status;
	pid_t pid;

	place_init(&p);
	assert_int_equal(mkdirat(p.fd, "go", 0755), 0);
	assert_int_equal(mkdirat(p.fd, "go/mount", 0755), 0);
	(void)snprintf(at, sizeof at, "%s/go/mount", p.dir);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tmpfs", at, "tmpfs", 0, "size=1m") < 0)
			_exit(77);
		(void)snprintf(at, sizeof at, "%s/go/mount/f", p.dir);
		assert_int_equal(file_write_atomic(AT_FDCWD, at, "x", 1, 0600), 0);
		assert_int_equal(dir_remove(AT_FDCWD, p.dir, &e), -EXDEV);
		_exit(access(at, F_OK) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/* As a process does that a killed daemon was just starting: it has the lock until it executes. */
static void a_lock_is_waited_for(void **state)
{
	struct place p;
	int fd, other, ends[2], status;
	uint64_t began;
	pid_t pid;
	char c;

	place_init(&p);
	fd = openat(p.fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	other = openat(p.fd, "lock", O_RDWR | O_CLOEXEC);
	assert_int_equal(file_wait_lock(fd, 0), 0);
	began = clock_mono_ms();
	assert_int_equal(file_wait_lock(other, 50), -EWOULDBLOCK);
	assert_true(clock_mono_ms() - began >= 50);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct pollfd none = {.fd = ends[0]};

		close(ends[1]);
		/* The parent has let go of it by then. */
		_exit(read(ends[0], &c, 1) == 1 && poll(&none, 1, 100) == 1 ? 0 : 1);
	}
	close(ends[0]);
	close(fd);
	assert_int_equal(file_wait_lock(other, 0), -EWOULDBLOCK);
	assert_int_equal(write(ends[1], "x", 1), 1);
	close(ends[1]);
	assert_int_equal(file_wait_lock(other, 5000), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(other);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_replaced_whole_and_read_up_to_a_bound),
		TEST(folders_of_any_depth_go),
		TEST(links_are_removed_not_followed),
		TEST(other_file_systems_are_left_alone),
		TEST(a_lock_is_waited_for),
	};

	return RUN_TESTS(tests);
}
