/*
 * shoal-sim: runs seeds of the simulation, each in a process of its own, and prints those that
 * fail; a seed replays exactly.
 *
 *   shoal-sim --seeds A..B [--workload lists|services|schedules] [--nodes 3|5]
 *             [--fault NAME [--expect]] [--trace] [--twice] [--inside]
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "sim/sim_run.h"
#include "sim/sim_workload.h"

struct args {
	uint64_t first, last;
	const struct sim_workload *workload;
	unsigned nodes; /* 0: 3 for odd seeds, 5 for even ones */
	enum sim_fault fault;
	bool expect; /* the fault must be found: the first seed that fails ends it well */
	bool trace;
	bool twice;  /* each seed runs again and must go the same way */
	bool inside; /* no process of its own, for a debugger */
};

static const char usage[] =
	"usage: shoal-sim --seeds A..B [--workload lists|services|schedules] [--nodes 3|5]\n"
	"                 [--fault NAME [--expect]] [--twice] [--trace] [--inside]\n";

static int parse_seeds(const char *text, struct args *a)
{
	char *end;

	errno = 0;
	a->first = a->last = strtoull(text, &end, 10);
	if (end != text && strncmp(end, "..", 2) == 0) {
		text = end + 2;
		a->last = strtoull(text, &end, 10);
	}
	return end == text || *end || errno || a->last < a->first ? -EINVAL : 0;
}

/* Those after the second are the services workloads'. */
static const char *const faults[] = {
	[SIM_FAULT_ACK_BEFORE_DURABLE] = "ack-before-durable",
	[SIM_FAULT_OLD_TERM_COMMIT] = "old-term-commit",
	[SIM_FAULT_ALLOCATOR_FORGETS] = "allocator-forgets",
	[SIM_FAULT_UPDATE_TOO_MANY] = "update-too-many",
	[SIM_FAULT_UPDATE_ORDER] = "update-order",
	[SIM_FAULT_ROLLBACK_ELSEWHERE] = "rollback-elsewhere",
	[SIM_FAULT_JOB_TOO_OFTEN] = "job-too-often",
	[SIM_FAULT_SECRET_TO_ALL] = "secret-to-all",
	[SIM_FAULT_SECRET_STAYS] = "secret-stays",
	[SIM_FAULT_SECRET_MISSING] = "secret-missing",
	[SIM_FAULT_SLOT_NOT_IDLE] = "slot-not-idle",
	[SIM_FAULT_CRON_TWICE] = "cron-twice",
	[SIM_FAULT_CRON_OVERLAP] = "cron-overlap",
};

static int parse_fault(const char *text, struct args *a)
{
	for (size_t i = 1; i < ARRAY_LEN(faults); i++)
		if (strcmp(text, faults[i]) == 0)
			a->fault = (enum sim_fault)i;
	return a->fault ? 0 : -EINVAL;
}

static int parse_workload(const char *text, struct args *a)
{
	if (strcmp(text, services_workload.name) == 0)
		a->workload = &services_workload;
	else if (strcmp(text, schedules_workload.name) == 0)
		a->workload = &schedules_workload;
	else if (strcmp(text, lists_workload.name) == 0)
		a->workload = &lists_workload;
	else
		return -EINVAL;
	return 0;
}

static int parse(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 's'},
		{"nodes", required_argument, NULL, 'n'},
		{"fault", required_argument, NULL, 'f'},
		{"expect", no_argument, NULL, 'e'},
		{"trace", no_argument, NULL, 't'},
		{"twice", no_argument, NULL, '2'},
		{"inside", no_argument, NULL, 'i'},
		{"workload", required_argument, NULL, 'w'},
		{0},
	};
	int c, rc = -EINVAL;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			rc = parse_seeds(optarg, a);
		else if (c == 'n')
			a->nodes = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'f' && parse_fault(optarg, a) < 0)
			return -EINVAL;
		else if (c == 'w' && parse_workload(optarg, a) < 0)
			return -EINVAL;
		else if (c == '?')
			return -EINVAL;
		a->expect = a->expect || c == 'e';
		a->trace = a->trace || c == 't';
		a->twice = a->twice || c == '2';
		a->inside = a->inside || c == 'i';
	}
	if (a->nodes != 0 && a->nodes != 1 && a->nodes != 3 && a->nodes != 5 && a->nodes != 7)
		return -EINVAL;
	return rc;
}

static void run_one(const struct args *a, uint64_t seed, struct sim_result *ret)
{
	struct sim_options options = {
		.seed = seed, .workload = a->workload, .fault = a->fault, .trace = a->trace};

	options.nodes = a->nodes ? a->nodes : seed % 2 ? 3 : 5;
	memset(ret, 0, sizeof(*ret));
	sim_run_seed(&options, ret);
}

/* In a child, as libraft's own assertions end the process. */
static void run_apart(const struct args *a, uint64_t seed, struct sim_result *shared)
{
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		run_one(a, seed, shared);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		(void)snprintf(shared->failure, sizeof(shared->failure), "cannot run: %s",
			       strerror(errno));
		return;
	}
	if (WIFSIGNALED(status))
		(void)snprintf(shared->failure, sizeof(shared->failure), "killed by signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		(void)snprintf(shared->failure, sizeof(shared->failure), "exited with %d",
			       WEXITSTATUS(status));
}

static void run_seed(const struct args *a, uint64_t seed, struct sim_result *shared)
{
	uint64_t digest;

	if (a->inside) {
		run_one(a, seed, shared);
		return;
	}
	run_apart(a, seed, shared);
	if (!a->twice || shared->failure[0])
		return;
	digest = shared->digest;
	run_apart(a, seed, shared);
	if (!shared->failure[0] && shared->digest != digest)
		(void)snprintf(shared->failure, sizeof(shared->failure),
			       "the second run went another way");
}

static int run_all(const struct args *a, struct sim_result *shared)
{
	unsigned long long acknowledged = 0, failed = 0;

	for (uint64_t seed = a->first; seed <= a->last; seed++) {
		run_seed(a, seed, shared);
		acknowledged += shared->acknowledged;
		if (!shared->failure[0])
			continue;
		failed++;
		(void)printf("seed %llu: %s\n", (unsigned long long)seed, shared->failure);
		if (a->expect)
			return 0;
	}
	(void)printf("%llu seeds, %llu failed, %llu operations acknowledged\n",
		     (unsigned long long)(a->last - a->first + 1), failed, acknowledged);
	return failed > 0 || a->expect;
}

int main(int argc, char **argv)
{
	struct args a = {.workload = &lists_workload};
	struct sim_result *shared;

	if (parse(argc, argv, &a) < 0) {
		(void)fputs(usage, stderr);
		return 2;
	}
	log_set_level(a.trace ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	return run_all(&a, shared);
}
