/*
 * What shoald is told: its flags, which are dockerd's where both have them, and daemon.json with
 * the same keys. Pure but for reading that file. Called by shoald.c.
 */
#pragma once

#include "base/table.h"

#define DAEMON_CONFIG_FILE "/etc/shoal/daemon.json"
#define DAEMON_SOCKET "unix:///run/shoal/shoal.sock"

struct daemon_options {
	char *data_root;
	char *exec_root;
	char *pidfile; /* "": EXEC_ROOT/shoald.pid */
	struct strs hosts;
	char *group; /* NULL: only the daemon's own user */
	char *log_level;
	bool debug;
	struct strs labels;
	struct strs generic;      /* node-generic-resources: "KIND=VALUE" */
	bool privileged_tasks;    /* tasks of the swarm may be privileged here */
	struct strs task_devices; /* paths of devices that tasks may have */
	bool init;                /* containers that say nothing of it have an init */
	char *init_path;          /* NULL: shoal-init beside the executable */
	char *bridge;             /* NULL: the default name */
	char *cgroup_parent;
	char *shim;               /* NULL: shoal-shim beside the executable */
	int64_t shutdown_timeout; /* seconds */
	int64_t election_ms;      /* of raft; 0: the defaults */
	int64_t heartbeat_ms;
	int64_t data_path_port; /* UDP port of overlays; 0: the default */
};
extern const struct table daemon_options_table;

enum daemon_ask { DAEMON_RUN, DAEMON_HELP, DAEMON_VERSION };

/*
 * Reads flags and file and fills in what neither says. -EINVAL with a sentence that names the flag
 * or key; `ret` is empty then. Free with table_done(&daemon_options_table, ...).
 */
int daemon_options_read(int argc, char *const *argv, struct daemon_options *ret,
			enum daemon_ask *ret_ask, struct err *e);
/* The text of --help. */
void daemon_options_help(struct buf *ret);
