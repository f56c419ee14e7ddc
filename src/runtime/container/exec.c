/*
 * A further process in a running container, its parent's half: see launch.h. The program and all
 * of its surroundings come from config.json or process.json, never from the container.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/launch_internal.h"
#include "runtime/container/process.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/container/userns.h"

static const struct {
	const char *file;
	unsigned int flag;
} namespaces[] = {
	{"pid", CLONE_NEWPID},       {"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},
	{"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},
	{"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
};

/* The namespaces in which the container's init is not where we are. */
static unsigned int foreign(pid_t pid)
{
	unsigned int flags = 0;
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
		struct stat own, other;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i].file);
		if (stat(path, &own) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, namespaces[i].file);
		if (stat(path, &other) == 0 &&
		    (own.st_ino != other.st_ino || own.st_dev != other.st_dev))
			flags |= namespaces[i].flag;
	}
	return flags;
}

/*
 * Who is not root on the host may join the pid namespace only by way of the user namespace that it
 * belongs to, which a process between does: we would not come back.
 */
_Noreturn static void run_bridge(const struct exec *x, const struct init_args *a)
{
	struct init_args child = *a;
	struct err e = ERR_INIT;
	int pidfd = -1, rc = 0;
	pid_t pid;

	/* From here on the container could look into this process (CVE-2016-9962). */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	child.unshared &= ~(unsigned int)(CLONE_NEWPID | CLONE_NEWUSER);
	if (setns(x->pidfd, CLONE_NEWUSER | CLONE_NEWPID) < 0)
		rc = err_sys(&e, "cannot join the container's user namespace");
	if (rc == 0)
		rc = userns_become_root(&e);
	if (rc == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		pid = launch_clone(CLONE_PARENT, -1, 0, &pidfd);
		if (pid == 0)
			init_exec(&child);
		if (pid < 0)
			err_sys(&e, "cannot make a process in the container");
	}
	bridge_end(a->sync, pidfd, &e);
}

/*
 * The clone, in the container's pid namespace; afterwards the caller is back in its own. A group
 * that the container has divided among groups of its own may hold no process: then the new one goes
 * where the init is.
 */
static int clone_exec(const struct exec *x, const struct init_args *a, struct container *c,
		      int other, struct err *e)
{
	auto_close int back = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	bool bridge = geteuid() != 0 && (a->unshared & CLONE_NEWUSER);
	bool pid = !bridge && (a->unshared & CLONE_NEWPID);
	struct init_args child = *a;
	struct cgroup inner = {0};
	int into = a->cgroup && a->cgroup->v2 ? a->cgroup->dir[CGROUP_UNIFIED] : -1;
	int rc = 0;

	child.unshared &= ~(unsigned int)CLONE_NEWPID;
	if (pid && (back < 0 || setns(x->pidfd, CLONE_NEWPID) < 0))
		return err_sys(e, "cannot join the container's pid namespace");
	c->pid = launch_clone(0, into, SIGCHLD, &c->pidfd);
	if (c->pid < 0 && errno == EBUSY && into >= 0) {
		rc = cgroup_open_of(x->pid, a->cgroup, &inner, e);
		if (rc == 0)
			c->pid = launch_clone(0, inner.dir[CGROUP_UNIFIED], SIGCHLD, &c->pidfd);
	}
	if (c->pid == 0) {
		close(other);
		if (bridge)
			run_bridge(x, a);
		init_exec(&child);
	}
	if (c->pid < 0) {
		c->pid = 0;
		rc = rc < 0 ? rc : err_sys(e, "cannot make a process in the container");
	}
	if (inner.path)
		cgroup_done(&inner);
	if (pid)
		(void)setns(back, CLONE_NEWPID);
	return rc;
}

static int start(const struct exec *x, const struct buf *filter, unsigned int flags,
		 struct container *c, int *ret_exit_code, struct err *e)
{
	struct init_args a = {.launch = x->launch,
			      .cgroup = x->cgroup,
			      .filter = filter,
			      .filter_flags = flags,
			      .unshared = foreign(x->pid),
			      .exec = x};
	int pair[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make a socket pair");
	c->sync = pair[0];
	a.sync = pair[1];
	/* Of our own, which the process inherits: it has them before it joins the group. */
	rc = process_set_affinity(x->launch->spec->process.exec_affinity.initial, e);
	if (rc == 0)
		rc = clone_exec(x, &a, c, pair[0], e);
	close(pair[1]);
	if (rc == 0 && geteuid() != 0 && (a.unshared & CLONE_NEWUSER))
		rc = bridge_cross(c, e);
	if (rc == 0)
		rc = launch_set_oom_score(c->pid, &x->launch->spec->process, e);
	return rc < 0 ? rc : launch_await(c, SYNC_READY, ret_exit_code, e);
}

int launch_exec(const struct exec *x, struct container *ret, int *ret_exit_code, struct err *e)
{
	auto_buf filter = BUF_INIT(SECCOMP_BPF_MAX);
	struct container c = CONTAINER_INIT;
	unsigned int flags = 0;
	int rc = launch_filter(x->launch, &filter, &flags, e);

	if (rc == 0)
		rc = start(x, &filter, flags, &c, ret_exit_code, e);
	if (rc < 0) {
		launch_abort(&c);
		return rc;
	}
	*ret = c;
	return 0;
}
