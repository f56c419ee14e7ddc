/*
 * runtime/container/cgroup.h: paths, conversions, and both layouts over plain folders that stand
 * for the control group file systems (files appear as they are written to).
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/cgroup_internal.h"
#include "runtime/container/cgroup_stats.h"
#include "runtime/container/defaults.h"

static void paths(void **state)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{"/a/b", "/a/b"},     {"a/b", "/a/b"},      {"//a///b/", "/a/b"},
		{"/./a/./b", "/a/b"}, {"/a/..b", "/a/..b"}, {"/a:b", "/a:b"},
	};
	static const char *const bad[] = {"", "/", "//", ".", "..", "/a/..", "/../a", "/a/../b"};
	struct err e = ERR_INIT;
	char *out;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(cgroup_path_clean(good[i].in, &out, &e), &e);
		assert_string_equal(out, good[i].out);
		free(out);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(cgroup_path_clean(bad[i], &out, &e), -EINVAL);
	assert_int_equal(cgroup_path_clean("system.slice:docker:id", &out, &e), 0);
	assert_string_equal(out, "/system.slice/docker-id.scope");
	free(out);
	assert_int_equal(cgroup_path_clean("a-b-c.slice::id", &out, &e), 0);
	assert_string_equal(out, "/a.slice/a-b.slice/a-b-c.slice/id.scope");
	free(out);
	assert_int_equal(cgroup_path_clean(":p:x.slice", &out, &e), 0);
	assert_string_equal(out, "/system.slice/p-x.slice");
	free(out);
	assert_int_equal(cgroup_path_clean("-.slice:p:n", &out, &e), 0);
	assert_string_equal(out, "/p-n.scope");
	free(out);
	assert_int_equal(cgroup_path_clean("a:b", &out, &e), -EINVAL);
	assert_int_equal(cgroup_path_clean("a:b:c", &out, &e), -EINVAL);
	assert_int_equal(cgroup_path_clean("a--b.slice:b:c", &out, &e), -EINVAL);
	assert_int_equal(cgroup_path_clean("a.slice:b:", &out, &e), -EINVAL);
}

static void shares_as_weights(void **state)
{
	uint64_t last = 0;

	assert_int_equal(cgroup_weight_of_shares(2), 1);
	assert_int_equal(cgroup_weight_of_shares(1024), 100);
	assert_int_equal(cgroup_weight_of_shares(262144), 10000);
	for (uint64_t s = 1; s < 300000; s += 37) {
		uint64_t w = cgroup_weight_of_shares(s);

		assert_in_range(w, last ? last : 1, 10000);
		last = w;
	}
}

static char dir[64];

static int make_dir(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/shoal-cgroup-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	return dir_remove(AT_FDCWD, dir, NULL);
}

static void put(const char *path, const char *text)
{
	auto_free char *full = xasprintf("%s/%s", dir, path);
	auto_free char *parent = xstrdup(full);
	int fd;

	*strrchr(parent, '/') = 0;
	assert_int_equal(dir_make(parent, 0755, NULL), 0);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(file_write_fd(fd, text, strlen(text)), 0);
	close(fd);
}

static void expect(const char *path, const char *text)
{
	auto_free char *full = xasprintf("%s/%s", dir, path);
	auto_buf b = BUF_INIT(4096);

	assert_int_equal(file_read_at(AT_FDCWD, full, &b), 0);
	assert_string_equal(buf_text(&b), text);
}

static void limits_of_v2(void **state)
{
	static const char *const files[] = {
		"memory.max", "memory.swap.max", "memory.low", "cpu.weight",   "cpu.max",
		"pids.max",   "cpuset.cpus",     "io.max",     "cgroup.procs",
	};
	struct err e = ERR_INIT;
	auto_spec s;
	struct cgroup c;

	spec_init(&s);
	put("cgroup.controllers", "cpu memory");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_free char *path = xasprintf("p/c/%s", files[i]);

		put(path, "");
	}
	s.linux_.resources.memory.limit = 1000000;
	s.linux_.resources.memory.swap = 1500000;
	s.linux_.resources.memory.reservation = 5000;
	s.linux_.resources.cpu.shares = 1024;
	s.linux_.resources.cpu.quota = 50000;
	s.linux_.resources.cpu.cpus = xstrdup("0-1");
	s.linux_.resources.pids.limit = -1;
	spec_pairs_add(&s.linux_.resources.unified, "io.max", "8:0 rbps=1");
	assert_ok(cgroup_create(dir, "/p/c", &s.linux_.resources, &c, &e), &e);
	assert_true(c.v2);
	expect("p/c/memory.max", "1000000");
	expect("p/c/memory.swap.max", "500000");
	expect("p/c/memory.low", "5000");
	expect("p/c/cpu.weight", "100");
	expect("p/c/cpu.max", "50000"); /* the kernel keeps the period */
	expect("p/c/cpuset.cpus", "0-1");
	expect("p/c/pids.max", "max");
	expect("p/c/io.max", "8:0 rbps=1");
	s.linux_.resources.memory.swap = 999;
	assert_int_equal(cgroup_update(&c, &s.linux_.resources, &e), -EINVAL);
	put("p/c/memory.events", "low 0\noom 3\noom_kill 2\n");
	put("p/c/cgroup.events", "populated 0\nfrozen 0\n");
	assert_int_equal(cgroup_oom_kills(&c), 2);
	assert_false(cgroup_populated(&c));
	put("p/c/cgroup.events", "populated 1\nfrozen 0\n");
	assert_true(cgroup_populated(&c));
	assert_false(cgroup_frozen_at(dir, "/p/c"));
	put("p/c/cgroup.events", "populated 1\nfrozen 1\n");
	assert_true(cgroup_frozen_at(dir, "/p/c"));
	assert_false(cgroup_frozen_at(dir, "/p/nobody"));
	put("p/c/cgroup.events", "populated 1\nfrozen 0\n");
	put("p/c/cgroup.freeze", "");
	put("p/c/cgroup.kill", "");
	assert_int_equal(cgroup_freeze(&c, true, &e), 0);
	expect("p/c/cgroup.freeze", "1");
	assert_int_equal(cgroup_kill(&c, 9, &e), 0);
	expect("p/c/cgroup.kill", "1");
	cgroup_done(&c);
	/* A file of the group alone, never a path. */
	spec_pairs_add(&s.linux_.resources.unified, "../x.y", "1");
	s.linux_.resources.memory.swap = SPEC_UNSET;
	put("p/c/cgroup.procs", "");
	assert_int_equal(cgroup_create(dir, "/p/c", &s.linux_.resources, &c, &e), -EINVAL);
}

static void limits_of_v1(void **state)
{
	struct err e = ERR_INIT;
	auto_spec s;
	struct cgroup c;

	spec_init(&s);
	put("memory/p/c/memory.limit_in_bytes", "");
	put("cpu/p/c/cpu.shares", "");
	put("pids/p/c/pids.max", "");
	put("devices/p/c/devices.allow", "");
	put("devices/p/c/devices.deny", "");
	s.linux_.resources.memory.limit = 4096;
	s.linux_.resources.cpu.shares = 77;
	s.linux_.resources.pids.limit = 12;
	spec_add_device_rule(&s, false, 'a', SPEC_UNSET, SPEC_UNSET, "rwm");
	spec_add_device_rule(&s, true, 'c', 1, SPEC_UNSET, "rw");
	assert_ok(cgroup_create(dir, "/p/c", &s.linux_.resources, &c, &e), &e);
	assert_false(c.v2);
	expect("memory/p/c/memory.limit_in_bytes", "4096");
	expect("cpu/p/c/cpu.shares", "77");
	expect("pids/p/c/pids.max", "12");
	expect("devices/p/c/devices.deny", "a");
	expect("devices/p/c/devices.allow", "c 1:* rw");
	cgroup_done(&c);
	/* What the host cannot do is said, not passed over. */
	s.linux_.resources.cpu.cpus = xstrdup("0");
	assert_int_equal(cgroup_create(dir, "/p/c", &s.linux_.resources, &c, &e), -ENOSYS);
	assert_non_null(strstr(e.msg, "cpuset"));
}

static void a_group_in_use_is_left_alone(void **state)
{
	struct err e = ERR_INIT;
	auto_spec s;
	struct cgroup c;

	spec_init(&s);
	put("devices/p/c/cgroup.procs", "1234\n");
	assert_int_equal(cgroup_create(dir, "/p/c", &s.linux_.resources, &c, &e), -EBUSY);
	expect("devices/p/c/cgroup.procs", "1234\n");
	assert_int_equal(cgroup_open(dir, "/none", &c, &e), -ENOENT);
}

static void links_are_not_followed(void **state)
{
	struct err e = ERR_INIT;
	auto_free char *link = xasprintf("%s/devices/p", dir);
	auto_spec s;
	struct cgroup c;

	spec_init(&s);
	put("devices/x", "");
	assert_int_equal(symlink("/tmp", link), 0);
	assert_true(cgroup_create(dir, "/p/c", &s.linux_.resources, &c, &e) < 0);
}

struct dev {
	uint32_t type, access, major, minor;
};

/* Runs the device program as the kernel would: r1 points at {access << 16 | type, major, minor}. */
static void what_was_read_and_written(void **state)
{
	struct cgroup c = {.v2 = true};
	struct cgroup_io io;

	for (int h = 0; h < CGROUP_HIERARCHIES; h++)
		c.dir[h] = -1;
	cgroup_io_read(&c, &io);
	assert_int_equal(io.n_bytes + io.n_ops, 0);
	c.dir[CGROUP_UNIFIED] = c.dir[CGROUP_BLKIO] = open(dir, O_RDONLY | O_DIRECTORY);
	put("io.stat", "8:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n254:1 rbytes=7\n");
	cgroup_io_read(&c, &io);
	assert_int_equal(io.n_bytes, 3);
	assert_int_equal(io.n_ops, 2);
	assert_string_equal(io.bytes[1].op, "write");
	assert_int_equal(io.bytes[1].value, 20);
	assert_int_equal(io.bytes[2].major, 254);
	assert_int_equal(io.ops[1].value, 4);
	c.v2 = false;
	put("blkio.throttle.io_service_bytes_recursive", "254:0 Read 5\n254:0 Total 5\nTotal 5\n");
	cgroup_io_read(&c, &io);
	assert_int_equal(io.n_bytes, 2);
	assert_string_equal(io.bytes[0].op, "Read");
	assert_int_equal(io.n_ops, 0);
	close(c.dir[CGROUP_UNIFIED]);
}

static int device_verdict(const struct spec *s, struct dev d)
{
	uint32_t ctx[3] = {d.access << 16 | d.type, d.major, d.minor};
	struct bpf_insn insns[512];
	uint64_t r[10] = {0};
	int n = cgroup_device_program(&s->linux_.resources, insns, ARRAY_LEN(insns));

	assert_true(n > 0);
	r[1] = (uint64_t)(uintptr_t)ctx;
	for (int i = 0; i < n; i++) {
		const struct bpf_insn *f = &insns[i];
		uint64_t *dst = &r[f->dst_reg], src = r[f->src_reg];

		switch (f->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			*dst = ctx[f->off / 4];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*dst = src;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*dst = (uint64_t)f->imm;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			*dst = (uint32_t)*dst & (uint32_t)f->imm;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			*dst = (uint32_t)*dst >> f->imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			i += *dst != (uint64_t)f->imm ? f->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += *dst == (uint64_t)f->imm ? f->off : 0;
			break;
		case BPF_JMP | BPF_JNE | BPF_X:
			i += *dst != src ? f->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			fail_msg("an instruction %#x is not known", f->code);
		}
	}
	fail_msg("the program has no end");
	return -1;
}

static void the_device_program(void **state)
{
	enum { B = BPF_DEVCG_DEV_BLOCK, C = BPF_DEVCG_DEV_CHAR };
	enum { M = BPF_DEVCG_ACC_MKNOD, R = BPF_DEVCG_ACC_READ, W = BPF_DEVCG_ACC_WRITE };
	auto_spec s;

	spec_init(&s);
	assert_int_equal(device_verdict(&s, (struct dev){B, R, 8, 0}), 1);
	spec_done(&s);
	spec_set_defaults(&s);
	assert_int_equal(device_verdict(&s, (struct dev){C, R | W, 1, 3}), 1);
	assert_int_equal(device_verdict(&s, (struct dev){C, R, 1, 1}), 0); /* mem */
	assert_int_equal(device_verdict(&s, (struct dev){B, R, 8, 0}), 0);
	assert_int_equal(device_verdict(&s, (struct dev){B, M, 8, 0}), 1); /* nodes may be made */
	assert_int_equal(device_verdict(&s, (struct dev){B, M | R, 8, 0}), 0);
	assert_int_equal(device_verdict(&s, (struct dev){C, R | W, 136, 999}), 1);
	spec_add_device_rule(&s, true, 'b', 8, 1, "r");
	assert_int_equal(device_verdict(&s, (struct dev){B, R, 8, 1}), 1);
	assert_int_equal(device_verdict(&s, (struct dev){B, W, 8, 1}), 0);
	assert_int_equal(device_verdict(&s, (struct dev){B, R | W, 8, 1}), 0);
	spec_add_device_rule(&s, false, 'c', 1, 3, "w");
	assert_int_equal(device_verdict(&s, (struct dev){C, R, 1, 3}), 1);
	assert_int_equal(device_verdict(&s, (struct dev){C, R | W, 1, 3}), 0);
	spec_add_device_rule(&s, true, 'a', SPEC_UNSET, SPEC_UNSET, "rwm");
	assert_int_equal(device_verdict(&s, (struct dev){B, R | W, 99, 1}), 1);
}

#define UNIFIED "/sys/fs/cgroup/unified"

static pid_t start_member(const struct cgroup *c, int *ret_pipe)
{
	int up[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		int fd;

		if (cgroup_join_self(c, NULL) < 0)
			_exit(2);
		/* /dev/null is allowed, /dev/zero is not. */
		fd = open("/dev/null", O_RDWR);
		if (fd < 0 || open("/dev/zero", O_RDONLY) >= 0 || errno != EPERM)
			_exit(3);
		(void)!write(up[1], "x", 1);
		for (;;)
			pause();
	}
	close(up[1]);
	*ret_pipe = (int)read(up[0], &byte, 1);
	close(up[0]);
	return pid;
}

/* The real thing, where the host lets us: v2's tree, be it without controllers. */
static void a_real_group_of_v2(void **state)
{
	const char *root = access(UNIFIED "/cgroup.procs", W_OK) == 0 ? UNIFIED : CGROUP_ROOT;
	auto_free char *path = xasprintf("/shoal-unit-%d/c", (int)getpid());
	auto_free char *parent = xasprintf("%s/shoal-unit-%d", root, (int)getpid());
	auto_free char *controllers = xasprintf("%s/cgroup.controllers", root);
	struct err e = ERR_INIT;
	struct cgroup c, again;
	auto_spec s;
	int got, status;
	pid_t pid;

	spec_init(&s);
	spec_add_device_rule(&s, false, 'a', SPEC_UNSET, SPEC_UNSET, "rwm");
	spec_add_device_rule(&s, true, 'c', 1, 3, "rw");
	if (geteuid() != 0 || access(controllers, F_OK) < 0)
		skip();
	assert_ok(cgroup_create(root, path, &s.linux_.resources, &c, &e), &e);
	assert_true(c.v2);
	assert_false(cgroup_populated(&c));
	pid = start_member(&c, &got);
	assert_int_equal(got, 1);
	assert_true(cgroup_populated(&c));
	assert_int_equal(cgroup_create(root, path, &s.linux_.resources, &again, &e), -EBUSY);
	assert_int_equal(cgroup_wait_empty(&c, 1), -ETIMEDOUT);
	assert_int_equal(cgroup_remove(&c, &e), -EBUSY);
	assert_ok(cgroup_freeze(&c, true, &e), &e);
	assert_ok(cgroup_kill(&c, 9, &e), &e);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == 9);
	assert_int_equal(cgroup_wait_empty(&c, 5000), 0);
	assert_ok(cgroup_remove(&c, &e), &e);
	assert_ok(cgroup_remove(&c, &e), &e);
	cgroup_done(&c);
	assert_int_equal(cgroup_open(root, path, &c, &e), -ENOENT);
	assert_int_equal(rmdir(parent), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths),
		TEST(shares_as_weights),
		cmocka_unit_test_setup_teardown(limits_of_v2, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(limits_of_v1, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_group_in_use_is_left_alone, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(links_are_not_followed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(what_was_read_and_written, make_dir, remove_dir),
		TEST(the_device_program),
		TEST(a_real_group_of_v2),
	};

	return RUN_TESTS(tests);
}
