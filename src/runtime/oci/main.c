/*
 * The command line of shoal-oci: global flags, the table of commands, and what becomes of an
 * error: a line on standard error, and in the log that --log names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/jtable.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/options.h"

#define G(kind, member, name, letter, help)                                     \
	{                                                                       \
		name, letter, OPTION_##kind, offsetof(struct oci, member), help \
	}
#define F(kind, member, name, letter, help)                                           \
	{                                                                             \
		name, letter, OPTION_##kind, offsetof(struct oci_flags, member), help \
	}
#define OPTIONS(...) \
	((const struct option_row[]){__VA_ARGS__, F(FLAG, help, "help", 'h', "show help"), {0}})

#define OPTIONS_NONE ((const struct option_row[]){F(FLAG, help, "help", 'h', "show help"), {0}})

static const struct option_row global_options[] = {
	G(FLAG, debug, "debug", 0, "enable debug logging"),
	G(STR, log, "log", 0, "set the log file (default is '/dev/stderr')"),
	G(STR, log_format_text, "log-format", 0,
	  "set the log format ('text' (default), or 'json')"),
	G(STR, root, "root", 0, "root directory for storage of container state"),
	G(FLAG, systemd_cgroup, "systemd-cgroup", 0,
	  "cgroupsPath is of the form \"slice:prefix:name\""),
	G(STR, rootless, "rootless", 0, "accepted for runc's sake: it is found out"),
	G(STR, criu, "criu", 0, NULL),
	G(FLAG, help, "help", 'h', "show help"),
	G(FLAG, version, "version", 'v', "print the version"),
	{0},
};

#define BUNDLE F(STR, bundle, "bundle", 'b', "path to the root of the bundle directory")
#define CONSOLE                                     \
	F(STR, console_socket, "console-socket", 0, \
	  "path to an AF_UNIX socket which will receive the master end of the console")
#define PID_FILE F(STR, pid_file, "pid-file", 0, "the file to write the process id to")
#define PRESERVE                                \
	F(NUM, preserve_fds, "preserve-fds", 0, \
	  "pass N additional file descriptors to the container")
#define CREATE                                                             \
	BUNDLE, CONSOLE, PID_FILE, PRESERVE,                               \
		F(FLAG, no_pivot, "no-pivot", 0, "do not use pivot root"), \
		F(FLAG, no_new_keyring, "no-new-keyring", 0,               \
		  "do not create a new session keyring")
#define FORMAT F(STR, format, "format", 'f', "select one of: table or json")
#define DETACH F(FLAG, detach, "detach", 'd', "detach from the container's process")

static const struct command {
	const char *name;
	int (*run)(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
	int min, max; /* words after the flags; -1: any number */
	const char *words, *help;
	const struct option_row *options;
} commands[] = {
	{"create", oci_create, 1, 1, "<container-id>", "create a container", OPTIONS(CREATE)},
	{"delete", oci_delete, 1, 1, "<container-id>", "delete any resources held by the container",
	 OPTIONS(F(FLAG, force, "force", 'f', "kill the container first if it runs"))},
	{"events", oci_events, 1, 1, "<container-id>",
	 "display OOM notifications, cpu, memory, and IO usage statistics",
	 OPTIONS(F(FLAG, stats, "stats", 0, "display the container's stats then exit"),
		 F(STR, interval, "interval", 0, "set the stats collection interval (5s)"))},
	{"exec", oci_exec, 1, -1, "<container-id> <command> [args]",
	 "execute new process inside the container",
	 OPTIONS(CONSOLE, PID_FILE, PRESERVE, DETACH,
		 F(STR, cwd, "cwd", 0, "current working directory in the container"),
		 F(LIST, env, "env", 'e', "set environment variables"),
		 F(FLAG, tty, "tty", 't', "allocate a pseudo-TTY"),
		 F(STR, user, "user", 'u', "UID (format: <uid>[:<gid>])"),
		 F(LIST, additional_gids, "additional-gids", 'g', "additional gids"),
		 F(STR, process, "process", 'p', "path to the process.json"),
		 F(STR, process_label, "process-label", 0, "SELinux label"),
		 F(STR, apparmor, "apparmor", 0, "AppArmor profile"),
		 F(FLAG, no_new_privs, "no-new-privs", 0, "set no new privileges"),
		 F(LIST, caps, "cap", 'c', "add a capability"),
		 F(LIST, cgroups, "cgroup", 0,
		   "run the process in an existing sub-cgroup ([CONTROLLER,...:]PATH)"),
		 F(FLAG, ignore_paused, "ignore-paused", 0, "allow exec in a paused container"))},
	{"features", oci_features, 0, 0, "", "show the enabled features", OPTIONS_NONE},
	{"kill", oci_kill, 1, 2, "<container-id> [signal]",
	 "send a signal (default: SIGTERM) to the container's init process",
	 OPTIONS(F(FLAG, all, "all", 'a', "to all processes inside the container"))},
	{"list", oci_list, 0, 0, "", "list containers with the given root",
	 OPTIONS(FORMAT, F(FLAG, quiet, "quiet", 'q', "display only container IDs"))},
	{"pause", oci_pause, 1, 1, "<container-id>", "suspend all processes inside the container",
	 OPTIONS_NONE},
	{"ps", oci_ps, 1, -1, "<container-id> [ps options]",
	 "display the processes inside the container", OPTIONS(FORMAT)},
	{"resume", oci_resume, 1, 1, "<container-id>", "resume what has been paused", OPTIONS_NONE},
	{"run", oci_run, 1, 1, "<container-id>", "create and run a container",
	 OPTIONS(CREATE, DETACH,
		 F(FLAG, keep, "keep", 0, "do not delete the container after it exits"),
		 F(FLAG, no_subreaper, "no-subreaper", 0, "do not reap reparented processes"))},
	{"spec", oci_spec, 0, 0, "", "create a new specification file",
	 OPTIONS(BUNDLE, F(FLAG, rootless, "rootless", 0, "for a rootless container"))},
	{"start", oci_start, 1, 1, "<container-id>", "execute the process of a created container",
	 OPTIONS_NONE},
	{"state", oci_state, 1, 1, "<container-id>", "output the state of a container",
	 OPTIONS_NONE},
	{"update", oci_update, 1, 1, "<container-id>", "update container resource constraints",
	 OPTIONS(F(STR, resources, "resources", 'r', "file with the resources, or '-'"),
		 F(NUM, blkio_weight, "blkio-weight", 0, "weight of block devices, 10 to 1000"),
		 F(NUM, cpu_period, "cpu-period", 0, "CFS period (in usecs)"),
		 F(NUM, cpu_quota, "cpu-quota", 0, "CFS limit (in usecs)"),
		 F(NUM, cpu_burst, "cpu-burst", 0, "CFS burst (in usecs)"),
		 F(NUM, cpu_share, "cpu-share", 0, "CPU shares"),
		 F(NUM, cpu_idle, "cpu-idle", 0, "1: only when nothing else runs"),
		 F(NUM, cpu_rt_period, "cpu-rt-period", 0, "realtime period (in usecs)"),
		 F(NUM, cpu_rt_runtime, "cpu-rt-runtime", 0, "realtime limit (in usecs)"),
		 F(STR, cpuset_cpus, "cpuset-cpus", 0, "CPU(s) to use"),
		 F(STR, cpuset_mems, "cpuset-mems", 0, "memory node(s) to use"),
		 F(STR, memory, "memory", 0, "memory limit (in bytes)"),
		 F(STR, memory_reservation, "memory-reservation", 0, "soft limit (in bytes)"),
		 F(STR, memory_swap, "memory-swap", 0, "memory and swap; '-1': unlimited swap"),
		 F(STR, kernel_memory, "kernel-memory", 0, NULL),
		 F(STR, kernel_memory_tcp, "kernel-memory-tcp", 0, NULL),
		 F(NUM, pids_limit, "pids-limit", 0, "maximum number of pids"))},
};

/* In the log as logrus writes it, since that is what conmon and containerd read. */
static void log_line(const struct oci *o, const char *level, const char *text)
{
	char when[TIME_TEXT_MAX];
	auto_buf line = BUF_INIT(LIMIT_LOG_LINE * 2);
	auto_close int fd = -1;

	time_format(clock_wall_ns(), when);
	if (o->log_json) {
		buf_addf(&line, "{\"level\":\"%s\",\"msg\":", level);
		jt_write_text(&line, text);
		buf_addf(&line, ",\"time\":\"%s\"}\n", when);
	} else {
		buf_addf(&line, "time=\"%s\" level=%s msg=", when, level);
		jt_write_text(&line, text);
		buf_addc(&line, '\n');
	}
	if (o->log && *o->log)
		fd = open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd >= 0)
		(void)file_write_fd(fd, line.p, line.len);
	if (fd < 0 && o->log_json)
		(void)file_write_fd(STDERR_FILENO, line.p, line.len);
	else
		dprintf(STDERR_FILENO, "shoal-oci: %s\n", text);
}

void oci_warn(const struct oci *o, const char *text)
{
	log_line(o, "warning", text);
}

static void help(void)
{
	printf("NAME:\n   shoal-oci - the OCI runtime of Shoal\n\n"
	       "USAGE:\n   shoal-oci [global options] command [command options] [arguments...]\n\n"
	       "COMMANDS:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("   %-9s %s\n", commands[i].name, commands[i].help);
	printf("\nGLOBAL OPTIONS:\n");
	options_help(global_options);
}

static int command_help(const struct command *c)
{
	printf("NAME:\n   shoal-oci %s - %s\n\nUSAGE:\n   shoal-oci %s [command options] %s\n\n"
	       "OPTIONS:\n",
	       c->name, c->help, c->name, c->words);
	options_help(c->options);
	return 0;
}

static void flags_init(struct oci_flags *f)
{
	*f = (struct oci_flags){.cpu_period = SPEC_UNSET,
				.cpu_quota = SPEC_UNSET,
				.cpu_share = SPEC_UNSET,
				.cpu_rt_period = SPEC_UNSET,
				.cpu_rt_runtime = SPEC_UNSET,
				.cpu_burst = SPEC_UNSET,
				.cpu_idle = SPEC_UNSET,
				.pids_limit = SPEC_UNSET,
				.blkio_weight = SPEC_UNSET};
}

static int run_command(struct oci *o, char **argv, struct err *e)
{
	struct oci_flags f;
	char **rest;
	size_t i = 0;
	int n = 0, rc;

	while (i < ARRAY_LEN(commands) && strcmp(commands[i].name, argv[0]) != 0)
		i++;
	if (i == ARRAY_LEN(commands))
		return err_set(e, -EINVAL, "No help topic for '%.64s'", argv[0]);
	flags_init(&f);
	rc = options_parse(commands[i].options, argv + 1, &f, &rest, e);
	while (rc == 0 && rest[n])
		n++;
	if (rc == 0 && f.help)
		rc = command_help(&commands[i]);
	else if (rc == 0 && (n < commands[i].min || (commands[i].max >= 0 && n > commands[i].max)))
		rc = err_set(e, -EINVAL, "\"%s\" takes %s as its arguments", commands[i].name,
			     *commands[i].words ? commands[i].words : "nothing");
	else if (rc == 0)
		rc = commands[i].run(o, &f, rest, e);
	spec_strs_done(&f.env);
	spec_strs_done(&f.caps);
	spec_strs_done(&f.additional_gids);
	spec_strs_done(&f.cgroups);
	return rc;
}

static int find_root(struct oci *o, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (o->root && o->root[0] == '/')
		o->root = xstrdup(o->root);
	else if (o->root && *o->root)
		o->root = realpath(o->root, NULL);
	else if (geteuid() == 0)
		o->root = xstrdup("/run/shoal-oci");
	else if (runtime && runtime[0] == '/')
		o->root = xasprintf("%s/shoal-oci", runtime);
	else
		return err_set(e, -EINVAL, "--root is needed: XDG_RUNTIME_DIR is not set");
	return o->root ? 0 : err_sys(e, "cannot find the state directory of --root");
}

/*
 * Nothing that was left open for us reaches a container (CVE-2024-21626), but what is said to be
 * passed on. What is missing of 0, 1 and 2 is opened, so that no other file gets their numbers.
 */
static int close_inherited(struct oci *o, struct err *e)
{
	const char *text = getenv("LISTEN_FDS");
	long n = text ? strtol(text, NULL, 10) : 0;
	int fd;

	if (n < 0 || n > LIMIT_PRESERVE_FDS)
		return err_set(e, -EINVAL, "LISTEN_FDS must be 0 to %d", LIMIT_PRESERVE_FDS);
	o->listen_fds = (unsigned int)n;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	fd_close_at(&fd);
	return 0;
}

static int prepare(struct oci *o, char **argv, char ***ret_rest, struct err *e)
{
	int rc = options_parse(global_options, argv, o, ret_rest, e);

	if (rc == 0 && o->log_format_text && strcmp(o->log_format_text, "json") == 0)
		o->log_json = true;
	else if (rc == 0 && o->log_format_text && strcmp(o->log_format_text, "text") != 0)
		rc = err_set(e, -EINVAL, "--log-format must be text or json");
	if (rc == 0)
		rc = close_inherited(o, e);
	return rc;
}

int oci_print(const struct buf *text, struct err *e)
{
	int rc = buf_status(text);

	if (rc == 0)
		rc = file_write_fd(STDOUT_FILENO, buf_text(text), text->len);
	return rc < 0 ? err_code(e, rc, "cannot write the output") : 0;
}

int oci_main(int argc, char **argv)
{
	struct oci o = {.main_argv = argv};
	struct err e = ERR_INIT;
	char **rest;
	int rc = argc > 0 ? prepare(&o, argv + 1, &rest, &e) : -EINVAL;

	if (rc == 0 && o.version) {
		printf("shoal-oci version %s\nspec: %s\n", SHOAL_VERSION, SPEC_OCI_VERSION);
		return 0;
	}
	if (rc == 0 && (o.help || !*rest)) {
		help();
		return 0;
	}
	if (rc == 0)
		rc = find_root(&o, &e);
	else
		o.root = NULL;
	if (rc == 0)
		rc = run_command(&o, rest, &e);
	free(o.root);
	if (rc >= 0 && !e.code)
		return rc;
	log_line(&o, "error", err_text(&e));
	return rc > 0 ? rc : 1;
}
