/*
 * The namespaces of a container, as far as its parent has to do with them: which are made, which
 * are joined, by whom.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/launch_internal.h"
#include "runtime/container/self.h"

static const struct {
	const char *type;
	const char *file; /* in /proc/PID/ns */
	unsigned int flag;
} kinds[] = {
	{"pid", "pid", CLONE_NEWPID},     {"mount", "mnt", CLONE_NEWNS},
	{"uts", "uts", CLONE_NEWUTS},     {"ipc", "ipc", CLONE_NEWIPC},
	{"network", "net", CLONE_NEWNET}, {"cgroup", "cgroup", CLONE_NEWCGROUP},
	{"user", "user", CLONE_NEWUSER},  {"time", "time", CLONE_NEWTIME},
};

void namespaces_done(struct namespaces *ns)
{
	for (size_t i = 0; i < ns->n; i++)
		close(ns->join[i].fd);
	if (ns->pid_back >= 0) {
		(void)setns(ns->pid_back, CLONE_NEWPID);
		close(TAKE_FD(ns->pid_back));
	}
}

static size_t kind_of(const char *type)
{
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(kinds) && strcmp(kinds[i].type, type) != 0)
		i++;
	return i;
}

/* A path that leads to the host's own namespace keeps nothing apart: no sysctl is set through it.
 */
static int check_own(const struct spec *s, size_t kind, int fd, struct err *e)
{
	char path[64];
	struct stat own, other;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[kind].file);
	if (stat(path, &own) < 0 || fstat(fd, &other) < 0 || own.st_ino != other.st_ino ||
	    own.st_dev != other.st_dev)
		return 0;
	for (size_t i = 0; i < s->linux_.sysctl.n; i++) {
		const char *key = s->linux_.sysctl.v[i].key;
		bool net = strncmp(key, "net.", 4) == 0;
		bool uts = strcmp(key, "kernel.domainname") == 0;
		unsigned int flag = net ? CLONE_NEWNET : uts ? CLONE_NEWUTS : CLONE_NEWIPC;

		if (flag == kinds[kind].flag)
			return err_set(e, -EINVAL,
				       "config.json: linux.sysctl: %.128s would be set for the "
				       "host: the %s namespace is the host's own",
				       key, kinds[kind].type);
	}
	return 0;
}

/*
 * A pid namespace is joined by the parent: it counts for its children alone. The others are
 * joined by the init.
 */
static int join_pid(struct namespaces *out, int fd, const char *path, struct err *e)
{
	out->pid_back = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (out->pid_back < 0)
		return err_sys(e, "cannot open the pid namespace");
	if (setns(fd, CLONE_NEWPID) < 0)
		return err_sys(e, "cannot join the pid namespace %s", path);
	return 0;
}

static int open_one(const struct spec *s, struct namespaces *out, const struct spec_namespace *ns,
		    struct err *e)
{
	auto_close int fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	size_t kind = kind_of(ns->type);
	int rc;

	if (fd < 0)
		return err_sys(e, "cannot open the %s namespace %s", ns->type, ns->path);
	rc = check_own(s, kind, fd, e);
	if (rc < 0)
		return rc;
	if (kinds[kind].flag == CLONE_NEWPID)
		return join_pid(out, fd, ns->path, e);
	if (kinds[kind].flag == CLONE_NEWUSER)
		out->joins_user = true;
	if (out->n + 1 < JOIN_MAX) {
		out->join[out->n].flag = kinds[kind].flag;
		out->join[out->n].path = ns->path;
		out->join[out->n++].fd = TAKE_FD(fd);
		out->join[out->n].fd = -1;
	}
	return 0;
}

int namespaces_open(const struct spec *s, struct namespaces *ret, struct err *e)
{
	struct namespaces ns = {.join = {{.fd = -1}}, .pid_back = -1};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->linux_.namespaces.n; i++) {
		const struct spec_namespace *one = &s->linux_.namespaces.v[i];
		unsigned int flag = kinds[kind_of(one->type)].flag;

		ns.network |= flag == CLONE_NEWNET;
		if (one->path && *one->path)
			rc = open_one(s, &ns, one, e);
		else if (flag == CLONE_NEWCGROUP)
			ns.cgroup = true;
		else if (flag == CLONE_NEWTIME)
			ns.time = true;
		else
			ns.flags |= flag;
	}
	ns.user = ns.flags & CLONE_NEWUSER;
	if (rc < 0) {
		namespaces_done(&ns);
		return rc;
	}
	*ret = ns;
	return 0;
}

pid_t launch_clone(unsigned int flags, int cgroup_fd, int exit_signal, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = (uint64_t)exit_signal,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
	};

	bool hidden = self_hide();
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid != 0 && hidden)
		self_show();
	return pid;
}

static int join_all(const struct joined *list, bool user, struct err *e)
{
	for (const struct joined *j = list; j->fd >= 0; j++)
		if ((j->flag == CLONE_NEWUSER) == user && setns(j->fd, (int)j->flag) < 0)
			return err_sys(e, "cannot join the namespace %s", j->path);
	return 0;
}

/* Root may join anything, and could not after the user namespace; another user only after it. */
int namespaces_join(const struct joined *list, struct err *e)
{
	bool first = geteuid() != 0;
	int rc = join_all(list, first, e);

	return rc < 0 ? rc : join_all(list, !first, e);
}
