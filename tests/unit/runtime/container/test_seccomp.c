/*
 * runtime/container/seccomp_filter.h: Docker's default policy, judged by running the compiled
 * program here (a small BPF interpreter), and the cache.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/container/caps.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/container/seccomp_table.h"

static uint32_t load(const struct seccomp_data *d, uint32_t at)
{
	uint32_t v;

	memcpy(&v, (const char *)d + at, sizeof(v));
	return v;
}

/* What the kernel would do: enough of classic BPF for what libseccomp writes. */
static uint32_t run(const struct buf *program, const struct seccomp_data *d)
{
	const struct sock_filter *f = (const struct sock_filter *)program->p;
	size_t n = program->len / sizeof(*f);
	uint32_t a = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t k = f[i].k;

		switch (f[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load(d, k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= k;
			break;
		case BPF_JMP | BPF_JA:
			i += k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			i += a > k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= k ? f[i].jt : f[i].jf;
			break;
		case BPF_RET | BPF_K:
			return k;
		default:
			fail_msg("an instruction %#x is not known", f[i].code);
		}
	}
	fail_msg("the program has no end");
	return 0;
}

static uint32_t judge(const struct buf *p, int nr, uint64_t a0, uint64_t a1)
{
	struct seccomp_data d = {.nr = nr, .arch = seccomp_arch_native(), .args = {a0, a1}};

	return run(p, &d);
}

#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE(code) (SECCOMP_RET_ERRNO | (code))

static void the_default_policy(void **state)
{
	auto_buf p = BUF_INIT(SECCOMP_BPF_MAX);
	struct err e = ERR_INIT;

	assert_ok(seccomp_default_compile(CAP_BIT(CAP_CHOWN), &p, &e), &e);
	assert_int_equal(judge(&p, SYS_read, 0, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_execve, 0, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_mount, 0, 0), REFUSE(EPERM));
	assert_int_equal(judge(&p, SYS_bpf, 0, 0), REFUSE(EPERM));
	assert_int_equal(judge(&p, SYS_keyctl, 0, 0), REFUSE(EPERM));
	assert_int_equal(judge(&p, SYS_io_uring_setup, 0, 0), REFUSE(EPERM));
	assert_int_equal(judge(&p, SYS_userfaultfd, 0, 0), REFUSE(EPERM));
	assert_int_equal(judge(&p, SYS_clone, 0x11, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_clone, 0x10000011, 0), REFUSE(EPERM));
	assert_int_equal(judge(&p, SYS_clone3, 0, 0), REFUSE(ENOSYS));
	assert_int_equal(judge(&p, SYS_personality, 0, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_personality, 8, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_personality, 0xffffffff, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_personality, 0x40000, 0), REFUSE(EPERM));
	for (int family = 0; family < 46; family++)
		assert_int_equal(judge(&p, SYS_socket, (uint64_t)family, 0),
				 family == 38 || family == 40 ? REFUSE(EPERM) : ALLOW);
}

static void young_calls_and_those_to_come(void **state)
{
	auto_buf p = BUF_INIT(SECCOMP_BPF_MAX);

	assert_int_equal(seccomp_default_compile(0, &p, NULL), 0);
	assert_int_equal(judge(&p, 451, 0, 0), ALLOW);         /* cachestat */
	assert_int_equal(judge(&p, 452, 0, 0), ALLOW);         /* fchmodat2 */
	assert_int_equal(judge(&p, 466, 0, 0), ALLOW);         /* removexattrat */
	assert_int_equal(judge(&p, 459, 0, 0), REFUSE(EPERM)); /* lsm_get_self_attr */
	/* Younger than the policy: as a kernel without it would answer. */
	assert_int_equal(judge(&p, 600, 0, 0), REFUSE(ENOSYS));
}

static void capabilities_open_their_calls(void **state)
{
	auto_buf p = BUF_INIT(SECCOMP_BPF_MAX);

	assert_int_equal(seccomp_default_compile(CAP_BIT(CAP_SYS_ADMIN), &p, NULL), 0);
	assert_int_equal(judge(&p, SYS_mount, 0, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_clone, 0x10000011, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_clone3, 0, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_reboot, 0, 0), REFUSE(EPERM));
	buf_reset(&p);
	assert_int_equal(
		seccomp_default_compile(CAP_BIT(CAP_SYS_CHROOT) | CAP_BIT(CAP_SYS_TIME), &p, NULL),
		0);
	assert_int_equal(judge(&p, SYS_chroot, 0, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_settimeofday, 0, 0), ALLOW);
	assert_int_equal(judge(&p, SYS_mount, 0, 0), REFUSE(EPERM));
}

/* The table has no name twice in one rule, and every name is a call somewhere. */
static void the_table_is_clean(void **state)
{
	for (const struct seccomp_rule *r = seccomp_default_rules; r->names; r++) {
		char last[64] = "";

		for (const char *p = r->names; *p;) {
			size_t n = strcspn(p, " ");
			char name[64] = "";

			assert_in_range(n, 2, sizeof(name) - 1);
			memcpy(name, p, n);
			assert_string_not_equal(name, last);
			memcpy(last, name, sizeof(last));
			p += n + (p[n] == ' ');
		}
	}
}

static void the_form_of_the_specification(void **state)
{
	auto_buf p = BUF_INIT(SECCOMP_BPF_MAX);
	struct err e = ERR_INIT;
	struct spec_seccomp_arg arg = {.index = 0, .value = 7, .op = (char *)"SCMP_CMP_EQ"};
	struct spec_seccomp_rule rules[2] = {
		{.action = (char *)"SCMP_ACT_ERRNO", .errno_ret = 28},
		{.action = (char *)"SCMP_ACT_KILL_PROCESS", .errno_ret = SPEC_UNSET},
	};
	unsigned int flags = 0;
	struct spec_seccomp s = {.default_action = (char *)"SCMP_ACT_ALLOW",
				 .default_errno_ret = SPEC_UNSET,
				 .syscalls = {rules, 2}};

	spec_strs_add(&rules[0].names, "mkdir");
	spec_strs_add(&rules[1].names, "close");
	spec_strs_add(&rules[1].names, "no_such_call");
	rules[1].args.v = &arg;
	rules[1].args.n = 1;
	assert_ok(seccomp_spec_compile(&s, &p, &flags, &e), &e);
	assert_int_equal(judge(&p, SYS_mkdir, 0, 0), REFUSE(28));
	assert_int_equal(judge(&p, SYS_close, 7, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(judge(&p, SYS_close, 8, 0), ALLOW);
	assert_int_equal(judge(&p, 600, 0, 0), ALLOW);
	s.default_action = (char *)"SCMP_ACT_WHAT";
	assert_int_equal(seccomp_spec_compile(&s, &p, &flags, &e), -EINVAL);
	s.default_action = (char *)"SCMP_ACT_ALLOW";
	arg.op = (char *)"LIKE";
	assert_int_equal(seccomp_spec_compile(&s, &p, &flags, &e), -EINVAL);
	spec_strs_add(&s.architectures, "SCMP_ARCH_PDP11");
	arg.op = (char *)"SCMP_CMP_EQ";
	assert_int_equal(seccomp_spec_compile(&s, &p, &flags, &e), -EINVAL);
	spec_strs_done(&s.architectures);
	spec_strs_done(&rules[0].names);
	spec_strs_done(&rules[1].names);
}

static void the_cache_is_made_once_and_damage_is_seen(void **state)
{
	char dir[] = "/tmp/shoal-seccomp-XXXXXX";
	auto_buf one = BUF_INIT(SECCOMP_BPF_MAX), two = BUF_INIT(SECCOMP_BPF_MAX);
	auto_free char *path = NULL, *again = NULL;
	struct err e = ERR_INIT;
	int fd;

	assert_non_null(mkdtemp(dir));
	assert_ok(seccomp_filter_ensure(dir, 5, &path, &e), &e);
	assert_ok(seccomp_filter_load(path, &one, &e), &e);
	assert_int_equal(seccomp_default_compile(5, &two, &e), 0);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.p, two.p, one.len);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\xff", 1, 100), 1);
	assert_int_equal(seccomp_filter_load(path, &one, &e), -EINVAL);
	assert_int_equal(ftruncate(fd, 10), 0);
	close(fd);
	assert_int_equal(seccomp_filter_load(path, &one, &e), -EINVAL);
	assert_ok(seccomp_filter_ensure(dir, 5, &again, &e), &e);
	buf_reset(&one);
	assert_ok(seccomp_filter_load(again, &one, &e), &e);
	assert_int_equal(dir_remove(AT_FDCWD, dir, &e), 0);
}

#define THREADS 8

/* What one thread of many finds: the file that stands there when it has been told so. */
struct asker {
	pthread_t thread;
	pthread_barrier_t *together;
	const char *dir;
	struct stat found;
	int rc;
};

static void *ask(void *data)
{
	struct asker *a = data;
	auto_free char *path = NULL;

	(void)pthread_barrier_wait(a->together);
	a->rc = seccomp_filter_ensure(a->dir, 5, &path, NULL);
	if (a->rc == 0 && stat(path, &a->found) < 0)
		a->rc = -errno;
	return NULL;
}

/* A file that were made twice would be another one for those who came first. */
static void many_at_once_make_one_file(void **state)
{
	char dir[] = "/tmp/shoal-seccomp-XXXXXX";
	struct asker askers[THREADS] = {0};
	pthread_barrier_t together;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++) {
		askers[i].together = &together;
		askers[i].dir = dir;
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
		assert_int_equal(askers[i].rc, 0);
		assert_int_equal(askers[i].found.st_ino, askers[0].found.st_ino);
	}
	assert_int_equal(pthread_barrier_destroy(&together), 0);
	assert_int_equal(dir_remove(AT_FDCWD, dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_default_policy),
		TEST(young_calls_and_those_to_come),
		TEST(capabilities_open_their_calls),
		TEST(the_table_is_clean),
		TEST(the_form_of_the_specification),
		TEST(the_cache_is_made_once_and_damage_is_seen),
		TEST(many_at_once_make_one_file),
	};

	return RUN_TESTS(tests);
}
