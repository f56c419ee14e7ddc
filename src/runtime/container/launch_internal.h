/*
 * What the files of launch.h share. Nobody else includes this.
 */
#pragma once

#include "runtime/container/init.h"

#define JOIN_MAX 9

/* linux.namespaces, opened. */
struct namespaces {
	unsigned int flags; /* to be made by the clone */
	bool cgroup, time;  /* made later, by the init */
	bool network;       /* it has one, made or joined */
	bool user;          /* a new one */
	bool joins_user;
	struct joined join[JOIN_MAX]; /* ends with a descriptor of -1 */
	size_t n;
	int pid_back; /* the caller's own pid namespace, when it has joined another */
};

int namespaces_open(const struct spec *s, struct namespaces *ret, struct err *e);
/* Closes, and takes the caller back to its own pid namespace. */
void namespaces_done(struct namespaces *ns);

/* clone3() with a descriptor of the child; `cgroup_fd` -1: the group stays. */
pid_t launch_clone(unsigned int flags, int cgroup_fd, int exit_signal, int *ret_pidfd);
/*
 * A process that joins namespaces and then clones the init as its own sibling (CLONE_PARENT): its
 * end, which tells what it has made, and its parent's half: c->pid is the bridge's and becomes the
 * init's.
 */
_Noreturn void bridge_end(int sync, int pidfd, const struct err *e);
int bridge_cross(struct container *c, struct err *e);
/*
 * Waits for the init's word and takes its descriptors. 0, or why it failed; *ret_exit_code, which
 * may be NULL, is then what the init says, else it is left alone.
 */
int launch_await(struct container *c, uint32_t want, int *ret_exit_code, struct err *e);
/*
 * The container's group, with its limits, owned by who may divide it. Where the group is optional
 * and may not be made, success without one.
 */
int launch_make_cgroup(const struct launch *l, const struct namespaces *ns, struct container *c,
		       struct err *e);
/* The compiled filter of the launch, and the flags for its loading. */
int launch_filter(const struct launch *l, struct buf *ret, unsigned int *ret_flags, struct err *e);
/* oom_score_adj is set from outside: a user namespace of the init's own could not lower it. */
int launch_set_oom_score(pid_t pid, const struct spec_process *p, struct err *e);
