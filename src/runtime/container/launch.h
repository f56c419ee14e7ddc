/*
 * Makes a container: its control group, its namespaces, its init up to the point where only the
 * program is missing; then starts it. And puts a further process into a running one. Used by the
 * shim and by shoal-oci; single-threaded callers alone, since it clones.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/hooks.h"
#include "runtime/container/shim_config.h"
#include "runtime/container/spec.h"

struct launch {
	const struct spec *spec;
	const struct shim_config *config;
	const char *id; /* for hooks; NULL: none are run */
	const char *bundle;
	int stdio[3];              /* become 0, 1, 2 of the container; not used with a terminal */
	int start_socket;          /* a listening SOCK_SEQPACKET on which launch_start() of another
				    * process is awaited; 0: it comes from the caller */
	unsigned int preserve_fds; /* 3 and following that the program gets */
	bool detached;             /* the process survives its parent: from launch_detach() on, or
				    * from launch_start() on */
	/*
	 * Puts the init into its group, where who makes the container has not the right to, or not
	 * all of it; NULL: it is cloned into it, or joins it. The process waits for that.
	 */
	int (*place)(void *arg, pid_t pid, struct err *e);
	void *place_arg;
	bool cgroup_held;     /* its group is there, with a process that holds it */
	bool cgroup_optional; /* without the right to make its group it goes without one */
	bool no_pivot;
	bool no_new_keyring;
};

struct container {
	pid_t pid;
	int pidfd;
	int sync;    /* to the init: see launch_start() */
	int netns;   /* -1 without a network namespace */
	int dns_udp; /* -1 unless wanted */
	int dns_tcp;
	int console; /* the terminal's master, -1 without */
	struct cgroup cgroup;
	bool has_cgroup;
};

#define CONTAINER_INIT                     \
	((struct container){.pidfd = -1,   \
			    .sync = -1,    \
			    .netns = -1,   \
			    .dns_udp = -1, \
			    .dns_tcp = -1, \
			    .console = -1})

/*
 * The working directory must be a folder of the runtime's own (the root is attached over it, in
 * the container's mount namespace alone). On failure nothing is left. The caller is the parent of
 * the init.
 */
int launch_create(const struct launch *l, struct container *ret, struct err *e);
/*
 * launch_create() in two steps, for a caller that writes down the pid before hooks are run. After
 * a failed launch_finish() the caller calls launch_abort(); *ret_exit_code is 126 or 127 when it
 * is the program that cannot be executed, else 0.
 */
int launch_begin(const struct launch *l, struct container *ret, struct err *e);
int launch_finish(const struct launch *l, struct container *c, int *ret_exit_code, struct err *e);
/* With a start_socket: from now on the init lives without its parent. */
int launch_detach(struct container *c, struct err *e);
/* Lets the init execute the program. The result comes on `sync`: see launch_result(). */
int launch_start(struct container *c, struct err *e);
/*
 * When `sync` is readable after launch_start(): 0 when the program runs, else -errno with
 * *ret_exit_code 126 or 127. Closes `sync`. `state` is for the listener of a seccomp filter with
 * SCMP_ACT_NOTIFY; NULL: such a filter fails.
 */
int launch_result(struct container *c, const struct hook_state *state, int *ret_exit_code,
		  struct err *e);
/* Kills what is left, waits for the init, removes the control group, closes everything. */
void launch_abort(struct container *c);

/* Closes all descriptors; the container lives on. */
void container_close(struct container *c);

/* The pid behind a descriptor, as our own procfs counts; -1 when it has ended. */
pid_t launch_pid_of(int pidfd);

struct exec {
	const struct launch *launch; /* its spec's process is what is executed */
	pid_t pid;                   /* of the container's init, and its descriptor */
	int pidfd;
	const struct cgroup *cgroup; /* NULL: the caller's own */
};

/*
 * A process in the namespaces of a running container, up to its program; then as with a container:
 * launch_start(), launch_result(), launch_abort() (which leaves the group alone).
 */
int launch_exec(const struct exec *x, struct container *ret, int *ret_exit_code, struct err *e);
