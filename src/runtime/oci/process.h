/*
 * What `run` and `exec` share: a process that was made is started, and its terminal, descriptors,
 * pid file and end are taken care of.
 */
#pragma once

#include "runtime/container/launch.h"
#include "runtime/oci/notify.h"
#include "runtime/oci/oci.h"

/*
 * Which descriptors are passed on, by the flags and LISTEN_FDS; checks that they are there, and
 * closes everything else that was left open. Before anything is opened.
 */
int process_take_fds(const struct oci *o, const struct oci_flags *f, struct launch *l,
		     struct err *e);
/* The environment grows by LISTEN_FDS and LISTEN_PID, if some are passed. */
void process_add_listen_env(const struct oci *o, struct spec_process *p);
/* What must hold for a terminal before anything is made. */
int process_check_terminal(const struct oci_flags *f, const struct spec_process *p, bool detached,
			   struct err *e);
/* Sends the terminal's master to --console-socket, if there is one. */
int process_send_console(const struct oci_flags *f, struct container *c, struct err *e);
/* Writes the pid file, if one is wanted. */
int process_write_pid(const struct oci_flags *f, pid_t pid, struct err *e);
/*
 * Waits for the end of the process in the foreground: passes signals on, and the terminal's bytes
 * where it has one here, and its READY=1. The exit status (128 + signal) or -errno.
 */
int process_wait(const struct oci *o, struct container *c, struct notify *n, struct err *e);
/* Blocks the signals that process_wait() takes; before the process is made. */
void process_block_signals(void);
