/*
 * Makes a container: its control group, its namespaces, its init up to the point where only the
 * program is missing; then starts it. Used by the shim (and by shoal-oci); single-threaded
 * callers alone, since it clones.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/shim_config.h"
#include "runtime/container/spec.h"

struct launch {
	const struct spec *spec;
	const struct shim_config *config;
	int stdio[3]; /* become 0, 1, 2 of the container; not used with a terminal */
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
/* Lets the init execute the program. The result comes on `sync`: see launch_result(). */
int launch_start(struct container *c, struct err *e);
/*
 * When `sync` is readable after launch_start(): 0 when the program runs, else -errno with
 * *ret_exit_code 126 or 127. Closes `sync`.
 */
int launch_result(struct container *c, int *ret_exit_code, struct err *e);
/* Kills what is left, waits for the init, removes the control group, closes everything. */
void launch_abort(struct container *c);
