/*
 * The OCI runtime command, `shoal-oci`: runc's commands, flags and outputs over
 * runtime/container/. This is its face towards main/, and what its commands share. It knows no
 * loop: each call is one process that does one thing and ends. Called by main/shoal-oci.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/spec.h"

/* What every command knows. */
struct oci {
	char **main_argv; /* for self_protect() */
	char *root;       /* the folder of all containers' states */
	char *log;        /* NULL: errors go to stderr alone */
	char *log_format_text;
	bool log_json;
	bool debug;
	bool systemd_cgroup;
	char *rootless; /* runc's, accepted */
	char *criu;     /* runc's, accepted */
	bool help, version;
	unsigned int listen_fds; /* descriptors from 3 on that were passed by LISTEN_FDS */
};

/* The flags of all commands; each command's table names its own. */
struct oci_flags {
	char *bundle;
	char *console_socket;
	char *pid_file;
	int64_t preserve_fds;
	bool no_pivot;
	bool no_new_keyring;
	bool no_subreaper;
	bool keep;
	bool detach;
	bool force;
	bool all;
	bool quiet;
	bool stats;
	bool tty;
	bool no_new_privs;
	bool ignore_paused;
	bool rootless;
	bool help;
	char *format;
	char *process;
	char *user;
	char *cwd;
	char *apparmor;
	char *process_label;
	char *interval;
	char *resources;
	struct spec_strs env;
	struct spec_strs caps;
	struct spec_strs additional_gids;
	struct spec_strs cgroups;
	char *memory, *memory_reservation, *memory_swap, *kernel_memory, *kernel_memory_tcp;
	char *cpuset_cpus, *cpuset_mems;
	int64_t cpu_period, cpu_quota, cpu_share, cpu_rt_period, cpu_rt_runtime, cpu_burst,
		cpu_idle;
	int64_t pids_limit, blkio_weight;
};

/* The whole program: its exit status. */
int oci_main(int argc, char **argv);

/*
 * The commands: `argv` are the words after the flags, NULL-terminated. The exit status, or a
 * negative errno with the reason in `e`, which is reported and becomes 1.
 */
int oci_create(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_run(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_start(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_state(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_list(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_kill(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_delete(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_spec(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_features(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_exec(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_ps(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_pause(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_resume(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_update(struct oci *o, struct oci_flags *f, char **argv, struct err *e);
int oci_events(struct oci *o, struct oci_flags *f, char **argv, struct err *e);

/* What an operator should know though the command succeeds: where errors are said. */
void oci_warn(const struct oci *o, const char *text);
/* Writes to standard output, all of it. 0 or -errno. */
int oci_print(const struct buf *text, struct err *e);
