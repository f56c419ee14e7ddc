/*
 * How fast OCI runtimes run a program in a bundle with all namespaces and limits, execute a
 * further one, and how large they get: shoal-oci of this build, and crun and runc where they are
 * installed, in turns. Needs root and a static busybox; see docs/measuring.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/defaults.h"
#include "runtime/container/spec.h"

#define MAX_RUNS 10000
#define PARALLEL 8
#define BUSYBOX "/bin/busybox"

struct program {
	const char *name;
	char *path;
	int64_t run[MAX_RUNS], exec[MAX_RUNS], bare[MAX_RUNS]; /* nanoseconds */
	long peak_kb;
};

static struct program programs[] = {{.name = "shoal_oci"}, {.name = "crun"}, {.name = "runc"}};
static char dir[] = "/var/tmp/bench-oci-XXXXXX";
static int runs = 200;

_Noreturn static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char *find(const char *name)
{
	static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin"};

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		char *path = xasprintf("%s/%s", folders[i], name);

		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

static char *find_own(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		die("readlink");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	return xasprintf("%s/../bin/shoal-oci", self);
}

static pid_t spawn(char **argv)
{
	posix_spawn_file_actions_t a;
	pid_t pid;

	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addopen(&a, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&a, 1, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, argv[0], &a, NULL, argv, environ) != 0)
		die(argv[0]);
	posix_spawn_file_actions_destroy(&a);
	return pid;
}

static bool shell(const char *command)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)command, NULL};
	int status;

	return waitpid(spawn(argv), &status, 0) > 0 && status == 0;
}

/* Nanoseconds until its end, which must be a good one. */
static int64_t call(struct program *p, char **argv)
{
	int64_t began = clock_mono_ns();
	pid_t pid = spawn(argv);
	struct rusage u;
	int status;

	if (wait4(pid, &status, 0, &u) != pid || status != 0) {
		fprintf(stderr, "bench_oci: %s %s failed\n", argv[0], argv[3]);
		exit(1);
	}
	p->peak_kb = MAX_OF(p->peak_kb, u.ru_maxrss);
	return clock_mono_ns() - began;
}

static void write_bundle(const char *name, const char *program, const char *argument)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	auto_close int fd = -1;
	auto_spec s;

	spec_set_defaults(&s);
	str_set(&s.oci_version, "1.0.2"); /* what crun 1.8 takes */
	spec_strs_add(&s.process.args, program);
	if (argument)
		spec_strs_add(&s.process.args, argument);
	spec_strs_add(&s.process.env, container_defaults.path_env);
	s.process.user.uid = s.process.user.gid = 0;
	s.root.path = xasprintf("%s/root", dir);
	s.hostname = xstrdup("bench");
	s.linux_.cgroups_path = xasprintf("/bench-oci-%d/%s", (int)getpid(), name);
	s.linux_.resources.memory.limit = 256 << 20;
	s.linux_.resources.cpu.shares = 512;
	s.linux_.resources.cpu.quota = 100000;
	s.linux_.resources.cpu.period = 100000;
	s.linux_.resources.pids.limit = 64;
	if (mkdir(path, 0755) < 0 || spec_write(&s, &text) < 0)
		die(path);
	free(path);
	path = xasprintf("%s/%s/config.json", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || file_write_fd(fd, text.p, text.len) < 0)
		die(path);
}

static void make_files(void)
{
	static const char *const folders[] = {"root",     "root/bin", "root/dev", "root/proc",
					      "root/sys", "root/tmp", "root/etc"};
	char command[512];

	if (!mkdtemp(dir))
		die(dir);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		auto_free char *path = xasprintf("%s/%s", dir, folders[i]);

		if (mkdir(path, 0755) < 0)
			die(path);
	}
	snprintf(command, sizeof(command),
		 "cp " BUSYBOX " %s/root/bin/true && cp " BUSYBOX " %s/root/bin/sleep", dir, dir);
	if (!shell(command))
		die(command);
	for (size_t k = 0; k < ARRAY_LEN(programs); k++)
		write_bundle(programs[k].name, "/bin/sleep", "100000");
	for (int i = 0; i < PARALLEL; i++) {
		auto_free char *name = xasprintf("short%d", i);

		write_bundle(name, "/bin/true", NULL);
	}
}

/* crun refuses a hybrid host whose v2 tree has a controller: nobody sees that tree here. */
static void hide_unified(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("cannot make a mount namespace (root is needed)");
	(void)umount2("/sys/fs/cgroup/unified", MNT_DETACH);
}

struct words {
	char *root, *bundle, *id;
};

static struct words words_of(const struct program *p, const char *bundle)
{
	return (struct words){.root = xasprintf("%s/state-%s", dir, p->name),
			      .bundle = xasprintf("%s/%s", dir, bundle),
			      .id = xasprintf("bench-%s", bundle)};
}

static void words_done(struct words *w)
{
	free(w->root);
	free(w->bundle);
	free(w->id);
}

#define W(text) ((char *)(text))

static int64_t run_once(struct program *p, const char *bundle)
{
	CLEANUP(words_done) struct words w = words_of(p, bundle);
	char *argv[] = {p->path,       W("--root"), w.root, W("run"),
			W("--bundle"), w.bundle,    w.id,   NULL};

	return call(p, argv);
}

static void simple(struct program *p, const char *verb, const char *flag)
{
	CLEANUP(words_done) struct words w = words_of(p, p->name);
	char *create[] = {p->path,       W("--root"), w.root, W("create"),
			  W("--bundle"), w.bundle,    w.id,   NULL};
	char *plain[] = {p->path, W("--root"), w.root, W(verb), w.id, NULL};
	char *with[] = {p->path, W("--root"), w.root, W(verb), W(flag), w.id, NULL};

	(void)call(p, strcmp(verb, "create") == 0 ? create : *flag ? with : plain);
}

static int64_t exec_once(struct program *p)
{
	CLEANUP(words_done) struct words w = words_of(p, p->name);
	char *argv[] = {p->path, W("--root"), w.root, W("exec"), w.id, W("/bin/true"), NULL};

	return call(p, argv);
}

static int64_t start_once(struct program *p)
{
	char *argv[] = {p->path, W("--version"), W(""), W(""), NULL};

	argv[2] = NULL;
	return call(p, argv);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(const struct program *p, const char *what, int64_t *v)
{
	int64_t median, p95;

	qsort(v, (size_t)runs, sizeof(*v), by_value);
	median = v[runs / 2];
	p95 = v[runs * 95 / 100];
	printf("oci_%s_%s_median %.3f ms\n", what, p->name, (double)median / 1e6);
	printf("oci_%s_%s_p95 %.3f ms\n", what, p->name, (double)p95 / 1e6);
}

/* Each of the eight runs containers of its own one after the other. */
static double measure_parallel(struct program *p)
{
	int64_t began = clock_mono_ns();
	int each = MAX_OF(runs / PARALLEL, 1);
	int status, bad = 0;

	for (int i = 0; i < PARALLEL; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			auto_free char *name = xasprintf("short%d", i);

			for (int k = 0; k < each; k++)
				(void)run_once(p, name);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	if (bad)
		exit(1);
	return (double)(each * PARALLEL) * 1e9 / (double)(clock_mono_ns() - began);
}

/* The container in which things are executed; each program has its own. */
static void begin(struct program *p)
{
	(void)run_once(p, "short0");
	simple(p, "create", "");
	simple(p, "start", "");
	p->peak_kb = 0;
}

static void measure_once(struct program *p, int i)
{
	p->bare[i] = start_once(p);
	p->run[i] = run_once(p, "short0");
	p->exec[i] = exec_once(p);
}

/* Forwards and backwards, beginning with each in turn. */
static void measure_turn(int i, size_t k)
{
	size_t n = ARRAY_LEN(programs), first = (size_t)i / 2 % n;
	struct program *p = &programs[(i % 2 ? first + n - k : first + k) % n];

	if (p->path)
		measure_once(p, i);
}

static void finish(struct program *p)
{
	simple(p, "delete", "--force");
	print_times(p, "start", p->bare);
	print_times(p, "run", p->run);
	print_times(p, "exec", p->exec);
	printf("oci_parallel_%s %.1f 1/s\n", p->name, measure_parallel(p));
	printf("oci_peak_%s %ld KB\n", p->name, p->peak_kb);
}

int main(int argc, char **argv)
{
	char command[512];

	if (argc == 3 && strcmp(argv[1], "--runs") == 0)
		runs = (int)MIN_OF(MAX_OF(strtol(argv[2], NULL, 10), 1), MAX_RUNS);
	programs[0].path = find_own();
	programs[1].path = find("crun");
	programs[2].path = find("runc");
	hide_unified();
	make_files();
	for (size_t k = 0; k < ARRAY_LEN(programs); k++)
		if (programs[k].path)
			begin(&programs[k]);
	/* Each follows each of the others as often: a namespace's end is the kernel's work later.
	 */
	for (int i = 0; i < runs; i++)
		for (size_t k = 0; k < ARRAY_LEN(programs); k++)
			measure_turn(i, k);
	for (size_t k = 0; k < ARRAY_LEN(programs); k++)
		if (programs[k].path)
			finish(&programs[k]);
	snprintf(command, sizeof(command),
		 "rm -rf %s /sys/fs/cgroup/unified/bench-oci-%d; find /sys/fs/cgroup -depth -name "
		 "'bench-oci-%d' -exec rmdir {} +",
		 dir, (int)getpid(), (int)getpid());
	return shell(command) ? 0 : 1;
}
