/*
 * The parent's half of making a container: see launch.h.
 */
#include "runtime/container/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/launch_internal.h"
#include "runtime/container/rootfs.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/container/userns.h"

#define ABORT_MS 1000 /* for what is killed to be gone */

/* What a launch has besides its container while it is under way. */
struct making {
	const struct launch *l;
	struct namespaces ns;
	struct rootfs root;
	bool has_root; /* `root` is prepared for the init */
	struct buf filter;
	unsigned int filter_flags;
};

int launch_filter(const struct launch *l, struct buf *ret, unsigned int *ret_flags, struct err *e)
{
	*ret_flags = 0;
	if (l->config->seccomp_filter)
		return seccomp_filter_load(l->config->seccomp_filter, ret, e);
	if (!l->spec->linux_.seccomp.default_action)
		return 0;
	return seccomp_spec_compile(&l->spec->linux_.seccomp, ret, ret_flags, e);
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
	if ((m->fds & SYNC_FD_PIDFD) && i < n)
		c->pidfd = fds[i++];
	while (i < n)
		close(fds[i++]);
}

/* Its death is the end of the socket. */
int launch_await(struct container *c, uint32_t want, int *ret_exit_code, struct err *e)
{
	struct sync_message m;
	int fds[4];
	size_t n;
	int rc = sync_recv(c->sync, &m, fds, ARRAY_LEN(fds), &n);

	if (rc <= 0)
		return err_set(e, -ECHILD, "the container's init died while it was set up");
	if (m.type == SYNC_FAILED && ret_exit_code)
		*ret_exit_code = m.exit_code;
	if (m.type == SYNC_FAILED)
		return err_set(e, m.code < 0 ? m.code : -EINVAL, "%s", m.text);
	take_fds(c, &m, fds, n);
	return m.type == want ? 0 : err_set(e, -EPROTO, "the container's init is out of step");
}

static int go(struct container *c, struct err *e)
{
	struct sync_message m = {.type = SYNC_GO};

	return sync_send(c->sync, &m, NULL, 0) < 0
		       ? err_set(e, -ESRCH, "the container's init died while it was set up")
		       : 0;
}

static int open_netns(struct container *c, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)c->pid);
	c->netns = open(path, O_RDONLY | O_CLOEXEC);
	return c->netns < 0 ? err_sys(e, "cannot open the network namespace") : 0;
}

pid_t launch_pid_of(int pidfd)
{
	char path[64], text[512];
	auto_close int fd = -1;
	const char *p;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = 0;
	p = strstr(text, "Pid:");
	return p ? (pid_t)strtol(p + 4, NULL, 10) : -1;
}

_Noreturn void bridge_end(int sync, int pidfd, const struct err *e)
{
	struct sync_message m = {.type = SYNC_BRIDGE, .fds = SYNC_FD_PIDFD};

	if (e->code)
		m = (struct sync_message){.type = SYNC_FAILED, .code = e->code};
	snprintf(m.text, sizeof(m.text), "%s", e->code ? err_text(e) : "");
	(void)sync_send(sync, &m, &pidfd, e->code ? 0 : 1);
	_exit(0);
}

/*
 * New namespaces belong to the user namespace of who makes them, and root of a new user namespace
 * may not join the host's. So where both happen a process between joins first, and then clones the
 * init as its own sibling.
 */
_Noreturn static void run_bridge(const struct making *m, struct init_args *a)
{
	struct err e = ERR_INIT;
	int pidfd = -1;
	pid_t pid;
	int rc = init_await_place(a, &e);

	if (rc == 0 && a->cgroup && !a->cgroup->v2)
		rc = cgroup_join_self(a->cgroup, &e);
	a->in_cgroup = true;
	if (rc == 0)
		rc = namespaces_join(m->ns.join, &e);
	if (rc == 0 && m->ns.joins_user)
		rc = userns_become_root(&e);
	if (rc == 0) {
		pid = launch_clone(m->ns.flags | CLONE_PARENT, -1, 0, &pidfd);
		if (pid == 0)
			init_run(a);
		if (pid < 0)
			err_sys(&e, "cannot make the container's namespaces");
	}
	bridge_end(a->sync, pidfd, &e);
}

int bridge_cross(struct container *c, struct err *e)
{
	pid_t bridge = c->pid;
	int rc;

	close(TAKE_FD(c->pidfd));
	rc = launch_await(c, SYNC_BRIDGE, NULL, e);
	while (waitpid(bridge, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = rc < 0 ? 0 : launch_pid_of(c->pidfd);
	if (rc == 0 && c->pid <= 0)
		return err_set(e, -ESRCH, "the container's init died while it was set up");
	return rc;
}

/* The one process that there is so far waits for it; what it clones is where it is. */
static int place(const struct launch *l, struct container *c, struct err *e)
{
	int rc = l->place ? l->place(l->place_arg, c->pid, e) : 0;

	return rc == 0 && l->place ? go(c, e) : rc;
}

static int start_init(const struct making *m, struct container *c, struct err *e)
{
	const struct namespaces *ns = &m->ns;
	bool bridge = ns->n && (ns->user || ns->joins_user);
	int into =
		c->has_cgroup && c->cgroup.v2 && !m->l->place ? c->cgroup.dir[CGROUP_UNIFIED] : -1;
	struct init_args a = {
		.launch = m->l,
		.cgroup = c->has_cgroup ? &c->cgroup : NULL,
		.filter = &m->filter,
		.filter_flags = m->filter_flags,
		.join = bridge ? NULL : ns->join,
		.root = m->has_root ? &m->root : NULL,
		.unshared = ns->flags,
		.new_cgroupns = ns->cgroup,
		.own_userns = ns->user || ns->joins_user || userns_is_ordinary(),
		.new_timens = ns->time,
	};
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make a socket pair");
	c->sync = pair[0];
	a.sync = pair[1];
	c->pid = launch_clone(bridge ? 0 : ns->flags, into, SIGCHLD, &c->pidfd);
	if (c->pid == 0) {
		close(pair[0]);
		if (bridge)
			run_bridge(m, &a);
		init_run(&a);
	}
	close(pair[1]);
	if (c->pid < 0) {
		c->pid = 0;
		return err_sys(e, "cannot make the container's namespaces");
	}
	rc = place(m->l, c, e);
	return rc == 0 && bridge ? bridge_cross(c, e) : rc;
}

int launch_set_oom_score(pid_t pid, const struct spec_process *p, struct err *e)
{
	char path[64], text[16];
	auto_close int fd = -1;
	int n;

	if (p->oom_score_adj == SPEC_UNSET)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	n = snprintf(text, sizeof(text), "%d", (int)p->oom_score_adj);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return err_sys(e, "cannot set process.oomScoreAdj to %s", text);
	return 0;
}

static int prepare(struct making *m, struct container *c, struct err *e)
{
	const struct launch *l = m->l;
	int rc;

	if (l->config->dns.port != SPEC_UNSET && !m->ns.network)
		return err_set(e, -EINVAL, "shim.json: dns needs a network namespace");
	rc = launch_filter(l, &m->filter, &m->filter_flags, e);
	if (rc == 0 && rootfs_needs_parent(l->spec)) {
		m->root.spec = l->spec;
		m->root.overlay = &l->config->overlay;
		m->root.own_userns = m->ns.user || m->ns.joins_user || userns_is_ordinary();
		m->has_root = true;
		rc = rootfs_sources(&m->root, e);
	}
	return rc == 0 && l->spec->linux_.cgroups_path ? launch_make_cgroup(l, &m->ns, c, e) : rc;
}

static int begin(struct making *m, struct container *c, struct err *e)
{
	const struct spec_linux *linux_ = &m->l->spec->linux_;
	int rc = prepare(m, c, e);

	if (rc == 0)
		rc = start_init(m, c, e);
	if (rc == 0)
		rc = launch_set_oom_score(c->pid, &m->l->spec->process, e);
	if (rc == 0 && m->ns.user) {
		rc = userns_write_maps(c->pid, &linux_->uid_maps, &linux_->gid_maps, e);
		if (rc == 0)
			rc = go(c, e);
	}
	return rc;
}

int launch_begin(const struct launch *l, struct container *ret, struct err *e)
{
	struct making m = {.l = l, .root = ROOTFS_INIT, .filter = BUF_INIT(SECCOMP_BPF_MAX)};
	struct container c = CONTAINER_INIT;
	int rc = namespaces_open(l->spec, &m.ns, e);

	if (rc < 0)
		return rc;
	rc = begin(&m, &c, e);
	namespaces_done(&m.ns);
	if (m.has_root)
		rootfs_done(&m.root);
	buf_done(&m.filter);
	if (rc < 0) {
		launch_abort(&c);
		return rc;
	}
	*ret = c;
	return 0;
}

/* The hooks that are run by the runtime, on the host, when the container is mounted. */
static int run_hooks(const struct launch *l, struct container *c, struct err *e)
{
	const struct spec_hooks *h = &l->spec->hooks;
	struct hook_state s = {.id = l->id,
			       .bundle = l->bundle,
			       .status = "creating",
			       .pid = c->pid,
			       .spec = l->spec};
	int rc = launch_await(c, SYNC_MOUNTED, NULL, e);

	if (rc == 0)
		rc = hooks_run(&h->prestart, "prestart", &s, e);
	if (rc == 0)
		rc = hooks_run(&h->create_runtime, "createRuntime", &s, e);
	return rc < 0 ? rc : go(c, e);
}

int launch_finish(const struct launch *l, struct container *c, int *ret_exit_code, struct err *e)
{
	int rc = init_stops_mounted(l->spec) ? run_hooks(l, c, e) : 0;

	if (rc == 0)
		rc = launch_await(c, SYNC_READY, ret_exit_code, e);
	if (rc == 0 && spec_has_namespace(l->spec, "network"))
		rc = open_netns(c, e);
	return rc;
}

int launch_create(const struct launch *l, struct container *ret, struct err *e)
{
	struct container c;
	int code;
	int rc = launch_begin(l, &c, e);

	if (rc < 0)
		return rc;
	rc = launch_finish(l, &c, &code, e);
	if (rc < 0) {
		launch_abort(&c);
		return rc;
	}
	*ret = c;
	return 0;
}

int launch_detach(struct container *c, struct err *e)
{
	int rc = go(c, e);

	return rc < 0 ? rc : launch_await(c, SYNC_GO, NULL, e);
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

/* The listener's descriptor goes to whoever config.json names; then the init goes on. */
static int pass_listener(struct container *c, const struct hook_state *state, int fd, struct err *e)
{
	auto_close int listener = fd;
	int rc;

	if (!state || listener < 0)
		return err_set(e, -ENOSYS, "seccomp: nobody takes the filter's notifications");
	rc = seccomp_listener_send(state, listener, e);
	return rc < 0 ? rc : go(c, e);
}

int launch_result(struct container *c, const struct hook_state *state, int *ret_exit_code,
		  struct err *e)
{
	struct sync_message m;
	int fds[1] = {-1};
	size_t n = 0;
	int rc = sync_recv(c->sync, &m, fds, 1, &n);

	*ret_exit_code = 0;
	if (rc > 0 && m.type == SYNC_LISTENER) {
		rc = pass_listener(c, state, n ? fds[0] : -1, e);
		if (rc == 0)
			rc = sync_recv(c->sync, &m, NULL, 0, &n);
		if (rc < 0)
			*ret_exit_code = 126;
	}
	close(TAKE_FD(c->sync));
	/* The program's execution has closed the other end. */
	if (rc <= 0)
		return *ret_exit_code ? rc : 0;
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
		(void)cgroup_wait_empty(&c->cgroup, ABORT_MS);
		(void)cgroup_remove(&c->cgroup, NULL);
	}
	container_close(c);
}

void container_close(struct container *c)
{
	if (c->has_cgroup)
		cgroup_done(&c->cgroup);
	fd_close_at(&c->pidfd);
	fd_close_at(&c->sync);
	fd_close_at(&c->netns);
	fd_close_at(&c->dns_udp);
	fd_close_at(&c->dns_tcp);
	fd_close_at(&c->console);
	*c = CONTAINER_INIT;
}
