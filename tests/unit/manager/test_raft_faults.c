/*
 * The raft log on a disk that fails: an error is injected at each call in turn. The process must
 * then go on, or refuse to start, or end with a line that names the disk; it must never die
 * otherwise, and whatever was acknowledged must be there when it is started on a disk that works.
 * A full disk (a small tmpfs) only refuses writes while it is full.
 */
#include "unit/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "unit/manager/raft_rig.h"

/* Injection: the call number `at` of kind `kind` fails with EIO, and all after it when `on`. */

enum kind {
	NONE,
	SYNC,
	TRUNCATE,
	RENAME,
	ALLOCATE,
	WRITE_DONE,
	SUBMIT,
	OPEN,
	UNLINK,
	WRITE,
	KINDS
};

static const char *const kind_names[] = {"none",      "fsync",      "ftruncate", "rename",
					 "fallocate", "aio result", "io_submit", "open",
					 "unlink",    "write"};

static enum kind inject_kind;
static _Atomic int inject_left;
static bool inject_on; /* and go on failing */

static bool injected(enum kind kind)
{
	int left;

	if (kind != inject_kind)
		return false;
	left = --inject_left;
	return left == 0 || (left < 0 && inject_on);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_WITH(kind)               \
	do {                          \
		if (injected(kind)) { \
			errno = EIO;  \
			return -1;    \
		}                     \
	} while (0)

int fsync(int fd)
{
	FAIL_WITH(SYNC);
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	FAIL_WITH(SYNC);
	return REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t len)
{
	FAIL_WITH(TRUNCATE);
	return REAL(ftruncate64)(fd, len);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	FAIL_WITH(RENAME);
	return REAL(linkat)(from_dir, from, to_dir, to, flags);
}

int uv_fs_write(uv_loop_t *loop, uv_fs_t *req, uv_file file, const uv_buf_t bufs[], unsigned n,
		int64_t offset, uv_fs_cb cb)
{
	if (injected(WRITE))
		return UV_EIO;
	return REAL(uv_fs_write)(loop, req, file, bufs, n, offset, cb);
}

int rename(const char *from, const char *to)
{
	FAIL_WITH(RENAME);
	return REAL(rename)(from, to);
}

int unlink(const char *path)
{
	FAIL_WITH(UNLINK);
	return REAL(unlink)(path);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
	if (injected(ALLOCATE))
		return EIO;
	return REAL(posix_fallocate)(fd, at, len);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	FAIL_WITH(OPEN);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* libraft's asynchronous writes come by here. */
long syscall(long number, ...)
{
	long a[6], rc;
	va_list args;

	va_start(args, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_io_submit)
		FAIL_WITH(SUBMIT);
	rc = REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_io_getevents && rc > 0 && injected(WRITE_DONE))
		((struct io_event *)a[3])->res = -EIO;
	return rc;
}

/* What the child has got done, as its parent sees it. */
struct outcome {
	unsigned acknowledged;
	unsigned refused;
};

static char base[64];
static struct outcome *outcome;
static struct seal_key *key;

#define WRITES 120
#define WRITE_LEN 20000

/* A life with everything in it: a new log, terms and votes, segments, snapshots, a restart. */
static void live(void)
{
	char *bytes = xcalloc(1, WRITE_LEN);
	struct err e = ERR_INIT;
	struct rig r;

	rig_init(&r, base);
	seal_key_unref(r.key);
	r.key = seal_key_ref(key);
	r.options.snapshot_bytes = 400u << 10;
	r.options.trailing_bytes = 100u << 10;
	for (unsigned life = 0; life < 2; life++) {
		if (rig_start(&r, 0, life == 0, &e) < 0 && (life > 0 || e.code != -EEXIST))
			_exit(EX_UNAVAILABLE);
		if (!rig_until(&r, rig_has_leader, 3000))
			_exit(EX_TEMPFAIL);
		for (unsigned i = 0; i < WRITES / 2; i++) {
			memset(bytes, (int)outcome->acknowledged, WRITE_LEN);
			if (rig_put(&r, &r.nodes[0], bytes, WRITE_LEN, 3000) != 0)
				_exit(EX_TEMPFAIL);
			outcome->acknowledged++;
		}
		rig_stop(&r, 0);
	}
	_exit(0);
}

static int run_child(void (*fn)(void), char *log, size_t log_size)
{
	int pipes[2], status;
	ssize_t n;
	size_t used = 0;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		(void)dup2(pipes[1], 2);
		close(pipes[0]);
		fn();
		_exit(0);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], log + used, log_size - 1 - used)) > 0)
		used += (size_t)n;
	log[used] = '\0';
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* All that was acknowledged is there, in its order; one more may have come through. */
static void check_log(void)
{
	struct err e = ERR_INIT;
	struct rig r;

	if (outcome->acknowledged == 0)
		return;
	rig_init(&r, base);
	seal_key_unref(r.key);
	r.key = seal_key_ref(key);
	assert_ok(rig_start(&r, 0, false, &e), &e);
	assert_true(rig_until(&r, rig_has_leader, 3000));
	assert_in_range(r.nodes[0].changes, outcome->acknowledged, outcome->acknowledged + 1);
	for (unsigned i = 0; i < outcome->acknowledged; i++)
		assert_int_equal((uint8_t)r.nodes[0].state.p[(size_t)i * WRITE_LEN], (uint8_t)i);
	rig_done(&r);
}

static bool inject_one(enum kind kind, int at, bool on)
{
	char log[8192];
	int status;

	memset(outcome, 0, sizeof(*outcome));
	(void)snprintf(base, sizeof(base), "/tmp/shoal-faults-XXXXXX");
	assert_non_null(mkdtemp(base));
	inject_kind = kind;
	inject_left = at;
	inject_on = on;
	status = run_child(live, log, sizeof(log));
	inject_kind = NONE;
	if (!WIFEXITED(status))
		fail_msg("%s %d%s: killed by signal %d; it said: %s", kind_names[kind], at,
			 on ? " and on" : "", WTERMSIG(status), log);
	if (WEXITSTATUS(status) == EX_IOERR && !strstr(log, base))
		fail_msg("%s %d: ended without naming the disk: %s", kind_names[kind], at, log);
	check_log();
	assert_int_equal(dir_remove(AT_FDCWD, base, NULL), 0);
	return WEXITSTATUS(status) != 0 || outcome->acknowledged < WRITES;
}

/*
 * Until a number of calls is reached that the life does not make: each call with SHOAL_TEST_ALL in
 * the environment (minutes), else the first ones and ever fewer.
 */
static void errors_at_each_call(void **state)
{
	bool all = getenv("SHOAL_TEST_ALL") != NULL;

	for (enum kind kind = SYNC; kind < KINDS; kind++) {
		unsigned ended = 0, at, untouched = 0;

		for (at = 1; at <= 500 && untouched < 2; at += all ? 1 : 1 + at) {
			bool stopped = inject_one(kind, (int)at, at % 2 == 0);

			ended += stopped;
			untouched = stopped ? 0 : untouched + 1;
		}
		print_message("%s: %u lives ended early, last at call %u\n", kind_names[kind],
			      ended, at);
	}
}

/* A full disk */

static bool has_room(struct rig *r)
{
	static const char probe[100];

	return rig_put(r, &r->nodes[0], probe, sizeof(probe), 2000) == 0;
}

static void fill(const char *path)
{
	char block[4096] = {1};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static void live_on_a_small_disk(void)
{
	static char bytes[100000];
	auto_free char *junk = xasprintf("%s/junk", base);
	struct err e = ERR_INIT;
	unsigned written = 0;
	struct rig r;
	int rc = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("small", base, "tmpfs", 0, "size=48m") < 0)
		_exit(77);
	rig_init(&r, base);
	if (rig_start(&r, 0, true, &e) < 0 || !rig_until(&r, rig_has_leader, 3000))
		_exit(1);
	for (; written < 20; written++) {
		if (rig_put(&r, &r.nodes[0], bytes, sizeof(bytes), 2000) != 0)
			_exit(2);
	}
	fill(junk);
	for (; written < 1000 && rc == 0; written += rc == 0)
		rc = rig_put(&r, &r.nodes[0], bytes, sizeof(bytes), 3000);
	if (rc != -ENOSPC)
		_exit(3);
	/* Still refused, still alive, still readable. */
	if (rig_put(&r, &r.nodes[0], bytes, sizeof(bytes), 3000) != -ENOSPC ||
	    r.nodes[0].changes != written)
		_exit(4);
	/* Long enough for raft_uv to try again, in vain. */
	if (rig_until(&r, has_room, 1500))
		_exit(8);
	if (unlink(junk) < 0 || !rig_until(&r, has_room, 10000))
		_exit(5);
	rig_stop(&r, 0);
	if (rig_start(&r, 0, false, &e) < 0 || !rig_until(&r, rig_has_leader, 3000))
		_exit(6);
	if (r.nodes[0].changes != written + 1)
		_exit(7);
	_exit(0);
}

static void a_full_disk_refuses_writes_until_there_is_room(void **state)
{
	char log[8192];
	int status;

	(void)snprintf(base, sizeof(base), "/tmp/shoal-faults-XXXXXX");
	assert_non_null(mkdtemp(base));
	status = run_child(live_on_a_small_disk, log, sizeof(log));
	assert_int_equal(rmdir(base), 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no right to mount */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("exit %d, signal %d: %s", WEXITSTATUS(status), WTERMSIG(status), log);
	assert_non_null(strstr(log, "is full"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_disk_refuses_writes_until_there_is_room),
		TEST(errors_at_each_call),
	};

	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	key = seal_key_new();
	return RUN_TESTS(tests);
}
