/*
 * What a process has inherited, told by itself: "leak-tool show" prints one "name value" a line for
 * what the kernel has no file for. "leak-tool dirty PROGRAM ..." is the other end: it sets all of
 * it to values that no container should see, and executes the program. Static: it runs in any root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define KEY "shoal-leak"
#define SECRET "secret-of-the-caller"
#define FD_MAX 256

#ifndef PR_GET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

static long keyctl(int op, long a, long b, long c)
{
	return syscall(SYS_keyctl, op, a, b, c, 0);
}

static void show_fds(void)
{
	printf("fds");
	for (int fd = 0; fd < FD_MAX; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf("\n");
}

static void show_signals(void)
{
	sigset_t set;

	sigprocmask(SIG_SETMASK, NULL, &set);
	printf("blocked");
	for (int s = 1; s <= SIGRTMAX; s++)
		if (sigismember(&set, s) == 1)
			printf(" %d", s);
	printf("\nignored");
	for (int s = 1; s <= SIGRTMAX; s++) {
		struct sigaction a;

		if (sigaction(s, NULL, &a) == 0 && a.sa_handler == SIG_IGN)
			printf(" %d", s);
	}
	sigpending(&set);
	printf("\npending");
	for (int s = 1; s <= SIGRTMAX; s++)
		if (sigismember(&set, s) == 1)
			printf(" %d", s);
	printf("\n");
}

static void show_keys(void)
{
	char text[256] = "";
	long key = keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, (long)"user", (long)KEY);

	printf("key %s\n", key >= 0 ? "found" : "none");
	key = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0);
	printf("keyring %ld\n", key);
	if (keyctl(KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, (long)text, sizeof(text)) > 0)
		printf("keyring_is %s\n", text);
}

static void show_session(void)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);

	printf("leader %d\ngroup %d\n", getsid(0) == getpid(), getpgrp() == getpid());
	printf("tty %s\n", tty >= 0 ? "own" : "none");
	if (tty >= 0)
		close(tty);
}

static void show_limits(void)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit64 r;

		if (prlimit64(0, i, NULL, &r) == 0)
			printf("rlimit%d %llu:%llu\n", i, (unsigned long long)r.rlim_cur,
			       (unsigned long long)r.rlim_max);
	}
}

static void show_scheduling(void)
{
	unsigned long slack = (unsigned long)prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	cpu_set_t set;
	int mode = -1;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0);
	printf("cpus %d\npolicy %d\nnice %d\n", CPU_COUNT(&set), sched_getscheduler(0),
	       getpriority(PRIO_PROCESS, 0));
	printf("ioprio %ld\nslack %lu\nmempolicy %d\n",
	       syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), slack, mode);
}

static void show_flags(void)
{
	int deathsig = -1, reaper = -1;

	prctl(PR_GET_PDEATHSIG, &deathsig, 0, 0, 0);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0);
	printf("deathsig %d\nreaper %d\n", deathsig, reaper);
	printf("dumpable %d\nnnp %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	printf("securebits %d\n", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	printf("thp_off %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	printf("merge %d\n", prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0));
	printf("io_flusher %d\n", prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	printf("personality %x\n", (unsigned int)personality(0xffffffff));
}

static int show(int argc, char **argv)
{
	mode_t mask = umask(0);
	char cwd[4096];
	struct itimerval t = {0};

	umask(mask);
	show_fds();
	show_signals();
	show_keys();
	show_session();
	show_limits();
	show_scheduling();
	show_flags();
	getitimer(ITIMER_REAL, &t);
	printf("timer %ld\n", t.it_value.tv_sec);
	printf("umask %03o\ncwd %s\n", (unsigned int)mask, getcwd(cwd, sizeof(cwd)));
	printf("execfn %s\n",
	       (const char *)getauxval(AT_EXECFN)); // NOLINT(performance-no-int-to-ptr)
	printf("secure %lu\n", getauxval(AT_SECURE));
	for (int i = 0; i < argc; i++)
		printf("arg %s\n", argv[i]);
	fflush(stdout);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "leak-tool: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void dirty_signals(void)
{
	sigset_t all;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGRTMIN, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static void dirty_descriptors(void)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY); // NOLINT(android-cloexec-open): it is to leak

	for (int to = 3; to < 60; to += 7)
		dup2(fd, to);
	dup2(fd, 200);
}

/* The key of a session that the caller has, which a container is not to find. */
static void dirty_keys(void)
{
	keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0);
	syscall(SYS_add_key, "user", KEY, SECRET, sizeof(SECRET), KEY_SPEC_SESSION_KEYRING);
}

static void dirty_scheduling(void)
{
	unsigned long node = 1;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	syscall(SYS_set_mempolicy, MPOL_PREFERRED, &node, 8);
	prctl(PR_SET_TIMERSLACK, 123456789, 0, 0, 0);
	setpriority(PRIO_PROCESS, 0, 3);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6));
}

static int dirty(char **argv)
{
	struct itimerval t = {.it_value = {.tv_sec = 1000}};

	dirty_descriptors();
	dirty_keys();
	dirty_scheduling();
	umask(0);
	prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	setitimer(ITIMER_REAL, &t, NULL);
	write_file("/proc/self/coredump_filter", "0x7f");
	write_file("/proc/self/oom_score_adj", "321");
	personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC);
	setenv("SHOAL_LEAK", SECRET, 1);
	dirty_signals();
	execv(argv[0], argv);
	fprintf(stderr, "leak-tool: %s: %s\n", argv[0], strerror(errno));
	return 127;
}

int main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "show") == 0)
		return show(argc, argv);
	if (argc >= 3 && strcmp(argv[1], "dirty") == 0)
		return dirty(argv + 2);
	fprintf(stderr, "usage: leak-tool show | dirty PROGRAM [ARGUMENT...]\n");
	return 2;
}
