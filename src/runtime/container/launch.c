/*
 * The parent's half of making a container: see launch.h.
 */
#include "runtime/container/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/init.h"
#include "runtime/container/seccomp_filter.h"

#define JOIN_MAX 8

static const struct {
	const char *type;
	unsigned int flag;
} kinds[] = {
	{"pid", CLONE_NEWPID}, {"mount", CLONE_NEWNS},    {"uts", CLONE_NEWUTS},
	{"ipc", CLONE_NEWIPC}, {"network", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP},
};

struct namespaces {
	unsigned int flags; /* to be made by the clone */
	bool cgroup;        /* made later, by the init */
	bool network;       /* it has one, made or joined */
	int join[JOIN_MAX]; /* -1 ends */
	size_t n;
};

static void namespaces_done(struct namespaces *ns)
{
	for (size_t i = 0; i < ns->n; i++)
		close(ns->join[i]);
}

static unsigned int flag_of(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].flag;
	return 0;
}

/*
 * A pid namespace is joined by the parent: it counts for its children alone. The others are
 * joined by the init.
 */
static int open_namespace(struct namespaces *out, const struct spec_namespace *ns, struct err *e)
{
	auto_close int fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	unsigned int flag = flag_of(ns->type);

	if (fd < 0)
		return err_sys(e, "cannot open the %s namespace %s", ns->type, ns->path);
	if (flag == CLONE_NEWPID) {
		if (setns(fd, CLONE_NEWPID) < 0)
			return err_sys(e, "cannot join the pid namespace %s", ns->path);
		return 0;
	}
	if (out->n + 1 < JOIN_MAX) {
		out->join[out->n++] = TAKE_FD(fd);
		out->join[out->n] = -1;
	}
	return 0;
}

static int open_namespaces(const struct spec *s, struct namespaces *ret, struct err *e)
{
	struct namespaces ns = {.join = {-1}};

	for (size_t i = 0; i < s->linux_.namespaces.n; i++) {
		const struct spec_namespace *one = &s->linux_.namespaces.v[i];
		unsigned int flag = flag_of(one->type);

		ns.network |= flag == CLONE_NEWNET;
		if (one->path && *one->path) {
			int rc = open_namespace(&ns, one, e);

			if (rc < 0) {
				namespaces_done(&ns);
				return rc;
			}
		} else if (flag == CLONE_NEWCGROUP) {
			ns.cgroup = true;
		} else {
			ns.flags |= flag;
		}
	}
	*ret = ns;
	return 0;
}

/* The compiled filter: the cached one, or from linux.seccomp, or none. */
static int load_filter(const struct launch *l, struct buf *ret, struct err *e)
{
	if (l->config->seccomp_filter)
		return seccomp_filter_load(l->config->seccomp_filter, ret, e);
	if (l->spec->linux_.seccomp.default_action)
		return seccomp_spec_compile(&l->spec->linux_.seccomp, ret, e);
	return 0;
}

static pid_t clone_init(unsigned int flags, int cgroup_fd, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void take_fds(struct container *c, const struct sync_message *m, const int *fds, size_t n)
{
	size_t i = 0;

	if ((m->fds & SYNC_FD_CONSOLE) && i < n)
		c->console = fds[i++];
	if ((m->fds & SYNC_FD_DNS_UDP) && i < n)
		c->dns_udp = fds[i++];
	if ((m->fds & SYNC_FD_DNS_TCP) && i < n)
		c->dns_tcp = fds[i++];
	while (i < n)
		close(fds[i++]);
}

/* Waits for the init's word; its death is the end of the socket. */
static int await_ready(struct container *c, struct err *e)
{
	struct sync_message m;
	int fds[4];
	size_t n;
	int rc = sync_recv(c->sync, &m, fds, ARRAY_LEN(fds), &n);

	if (rc <= 0)
		return err_set(e, -ECHILD, "the container's init died while it was set up");
	if (m.type == SYNC_FAILED)
		return err_set(e, m.code < 0 ? m.code : -EINVAL, "%s", m.text);
	take_fds(c, &m, fds, n);
	return 0;
}

static int open_netns(struct container *c, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)c->pid);
	c->netns = open(path, O_RDONLY | O_CLOEXEC);
	return c->netns < 0 ? err_sys(e, "cannot open the network namespace") : 0;
}

static int start_init(const struct launch *l, const struct namespaces *ns, const struct buf *filter,
		      struct container *c, struct err *e)
{
	int pair[2];
	int into = c->has_cgroup && c->cgroup.v2 ? c->cgroup.dir[CGROUP_UNIFIED] : -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make a socket pair");
	c->sync = pair[0];
	c->pid = clone_init(ns->flags, into, &c->pidfd);
	if (c->pid == 0) {
		struct init_args a = {
			.launch = l,
			.cgroup = c->has_cgroup ? &c->cgroup : NULL,
			.filter = filter,
			.join = ns->join,
			.sync = pair[1],
			.unshared = ns->flags,
			.new_cgroupns = ns->cgroup,
		};

		close(pair[0]);
		init_run(&a);
	}
	close(pair[1]);
	if (c->pid < 0) {
		c->pid = 0;
		return err_sys(e, "cannot make the container's namespaces");
	}
	return 0;
}

static int create(const struct launch *l, const struct namespaces *ns, struct container *c,
		  struct err *e)
{
	auto_buf filter = BUF_INIT(SECCOMP_BPF_MAX);
	int rc;

	if (l->config->dns.port != SPEC_UNSET && !ns->network)
		return err_set(e, -EINVAL, "shim.json: dns needs a network namespace");
	rc = load_filter(l, &filter, e);
	if (rc == 0 && l->spec->linux_.cgroups_path) {
		rc = cgroup_create(CGROUP_ROOT, l->spec->linux_.cgroups_path,
				   &l->spec->linux_.resources, &c->cgroup, e);
		c->has_cgroup = rc == 0;
	}
	if (rc == 0)
		rc = start_init(l, ns, &filter, c, e);
	if (rc == 0)
		rc = await_ready(c, e);
	if (rc == 0 && ns->network)
		rc = open_netns(c, e);
	return rc;
}

int launch_create(const struct launch *l, struct container *ret, struct err *e)
{
	struct container c = CONTAINER_INIT;
	struct namespaces ns;
	int rc = open_namespaces(l->spec, &ns, e);

	if (rc < 0)
		return rc;
	rc = create(l, &ns, &c, e);
	namespaces_done(&ns);
	if (rc < 0) {
		launch_abort(&c);
		return rc;
	}
	*ret = c;
	return 0;
}

int launch_start(struct container *c, struct err *e)
{
	struct sync_message m = {.type = SYNC_START};

	if (c->sync < 0)
		return err_set(e, -EALREADY, "the container is started already");
	if (sync_send(c->sync, &m, NULL, 0) < 0)
		return err_set(e, -ESRCH, "the container's init is gone");
	return 0;
}

int launch_result(struct container *c, int *ret_exit_code, struct err *e)
{
	struct sync_message m;
	size_t n;
	int rc = sync_recv(c->sync, &m, NULL, 0, &n);

	close(TAKE_FD(c->sync));
	*ret_exit_code = 0;
	/* The program's execution has closed the other end. */
	if (rc <= 0)
		return 0;
	*ret_exit_code = m.exit_code;
	return err_set(e, m.code < 0 ? m.code : -EINVAL, "%s", m.text);
}

void launch_abort(struct container *c)
{
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (c->has_cgroup) {
		(void)cgroup_kill(&c->cgroup, SIGKILL, NULL);
		(void)cgroup_remove(&c->cgroup, NULL);
		cgroup_done(&c->cgroup);
	}
	fd_close_at(&c->pidfd);
	fd_close_at(&c->sync);
	fd_close_at(&c->netns);
	fd_close_at(&c->dns_udp);
	fd_close_at(&c->dns_tcp);
	fd_close_at(&c->console);
	*c = CONTAINER_INIT;
}
