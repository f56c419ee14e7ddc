/*
 * The container's init, from its clone to its program: see init.h. It runs in the new namespaces
 * with the host's root still visible, so nothing of the container's is executed or trusted
 * before rootfs_enter().
 */
#include "runtime/container/init.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/path.h"
#include "runtime/container/process.h"
#include "runtime/container/rootfs.h"
#include "runtime/container/user.h"
#include "runtime/container/userns.h"

struct init {
	const struct init_args *a;
	const struct spec *spec;
	struct rootfs root;
	struct process process;
	struct user_info user;
	int console, slave, dns_udp, dns_tcp;
	int sync; /* the parent's, or that of launch_start() */
};

int sync_send(int fd, const struct sync_message *m, const int *fds, size_t n_fds)
{
	struct iovec iov = {(void *)m, sizeof(*m)};
	char control[CMSG_SPACE(sizeof(int) * 4)] = {0};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds) {
		struct cmsghdr *c;

		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL) == (ssize_t)sizeof(*m) ? 0 : -errno;
}

int sync_recv(int fd, struct sync_message *ret, int *ret_fds, size_t max, size_t *ret_n)
{
	struct iovec iov = {ret, sizeof(*ret)};
	char control[CMSG_SPACE(sizeof(int) * 4)];
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*ret_n = 0;
	if (n <= 0)
		return n < 0 ? -errno : 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		*ret_n = MIN_OF((c->cmsg_len - CMSG_LEN(0)) / sizeof(int), max);
		if (ret_fds != NULL)
			memcpy(ret_fds, CMSG_DATA(c), sizeof(int) * *ret_n);
	}
	ret->text[sizeof(ret->text) - 1] = 0;
	return n == (ssize_t)sizeof(*ret) ? 1 : -EPROTO;
}

_Noreturn static void fail(struct init *i, const struct err *e, int exit_code)
{
	struct sync_message m = {.type = SYNC_FAILED, .code = e->code, .exit_code = exit_code};

	snprintf(m.text, sizeof(m.text), "%s", err_text(e));
	(void)sync_send(i->sync, &m, NULL, 0);
	_exit(exit_code ? exit_code : 1);
}

/* Waits until the parent says GO; without a parent there is nothing to live for. */
static void await_go(struct init *i)
{
	struct sync_message m;
	size_t n;

	if (sync_recv(i->sync, &m, NULL, 0, &n) <= 0 || m.type != SYNC_GO)
		_exit(1);
}

/*
 * v1: the group is joined here, by the one thread there is, and while it still has the rights of
 * its parent; v2: the clone did it.
 */
static int join_cgroup(const struct init_args *a, struct err *e)
{
	return a->cgroup && !a->cgroup->v2 && !a->in_cgroup ? cgroup_join_self(a->cgroup, e) : 0;
}

int init_await_place(const struct init_args *a, struct err *e)
{
	struct sync_message m;
	size_t n;

	if (!a->launch->place)
		return 0;
	if (sync_recv(a->sync, &m, NULL, 0, &n) > 0 && m.type == SYNC_GO)
		return 0;
	return err_set(e, -EPIPE, "the runtime is gone");
}

/* After the group was joined, so that it is the namespace's root. */
static int make_cgroupns(struct init *i, struct err *e)
{
	if (i->a->new_cgroupns && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, "cannot make a cgroup namespace");
	return 0;
}

/*
 * A time namespace counts for children alone, until one enters it: its clocks are set before.
 */
static int make_timens(struct init *i, struct err *e)
{
	auto_close int offsets = -1;
	auto_close int ns = -1;
	auto_free char *text = NULL;

	if (!i->a->new_timens)
		return 0;
	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(e, "cannot make a time namespace");
	for (size_t k = 0; k < i->spec->linux_.time_offsets.n; k++) {
		const struct spec_time_offset *o = &i->spec->linux_.time_offsets.v[k];
		int n;

		fd_close_at(&offsets);
		offsets = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
		free(text);
		text = xasprintf("%s %" PRId64 " %" PRId64 "\n", o->clock,
				 o->secs == SPEC_UNSET ? 0 : o->secs,
				 o->nanosecs == SPEC_UNSET ? 0 : o->nanosecs);
		n = (int)strlen(text);
		if (offsets < 0 || write(offsets, text, (size_t)n) != n)
			return err_sys(e, "cannot set linux.timeOffsets.%s", o->clock);
	}
	ns = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWTIME) < 0)
		return err_sys(e, "cannot enter the time namespace");
	return 0;
}

/*
 * So that the container finds no keys of whoever started it. Without a name: one that somebody else
 * has made under that name before would be joined.
 */
static int make_keyring(struct init *i, struct err *e)
{
	if (i->a->launch->no_new_keyring)
		return 0;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS)
		return err_sys(e, "cannot make a session keyring (see --no-new-keyring)");
	return 0;
}

static int set_names(struct init *i, struct err *e)
{
	const char *host = i->spec->hostname, *domain = i->spec->domainname;

	if (host && *host && sethostname(host, strlen(host)) < 0)
		return err_sys(e, "cannot set the host name %s", host);
	if (domain && *domain && setdomainname(domain, strlen(domain)) < 0)
		return err_sys(e, "cannot set the domain name %s", domain);
	return 0;
}

/* The user from the image's own files, or the numbers of config.json. HOME comes from there too. */
static int find_user(struct init *i, struct err *e)
{
	const struct spec_user *u = &i->spec->process.user;
	const struct shim_config *c = i->a->launch->config;
	struct process *p = &i->process;
	char number[24];
	bool want_home = !process_getenv(&i->spec->process.env, "HOME");
	int rc = 0;

	p->uid = u->uid == SPEC_UNSET ? 0 : (uint32_t)u->uid;
	p->gid = u->gid == SPEC_UNSET ? 0 : (uint32_t)u->gid;
	p->gids = u->additional_gids.v;
	p->n_gids = u->additional_gids.n;
	if (c && (c->user || c->group_add.n)) {
		spec_strs_add((struct spec_strs *)&c->group_add, "");
		free(c->group_add.v[c->group_add.n - 1]);
		c->group_add.v[c->group_add.n - 1] = NULL;
		rc = user_resolve(i->root.root, c->user ? c->user : "",
				  (const char *const *)c->group_add.v, &i->user, e);
		if (rc < 0)
			return rc;
		p->uid = i->user.uid;
		p->gid = i->user.gid;
		p->gids = i->user.additional_gids.v;
		p->n_gids = i->user.additional_gids.n;
	} else if (want_home) {
		snprintf(number, sizeof(number), "%u", p->uid);
		if (user_resolve(i->root.root, number, NULL, &i->user, NULL) < 0)
			i->user.home = xstrdup("/");
	}
	p->env = process_env(&i->spec->process.env, i->user.home);
	return 0;
}

static int set_stdio(struct init *i, struct err *e)
{
	const struct spec_console_size *size = &i->spec->process.console_size;
	int fds[3];

	for (int k = 0; k < 3; k++)
		fds[k] = i->spec->process.terminal ? i->slave : i->a->launch->stdio[k];
	if (i->spec->process.terminal) {
		struct winsize ws = {
			.ws_row = size->height > 0 ? (unsigned short)size->height : 0,
			.ws_col = size->width > 0 ? (unsigned short)size->width : 0,
		};

		if (ws.ws_row && ws.ws_col)
			(void)ioctl(i->slave, TIOCSWINSZ, &ws);
		if (ioctl(i->slave, TIOCSCTTY, 0) < 0)
			return err_sys(e, "cannot take the terminal");
	}
	for (int k = 0; k < 3; k++) {
		struct stat st;

		if (dup2(fds[k], k) < 0)
			return err_sys(e, "cannot set up the standard streams");
		/* So that /dev/stdout can be opened again by a user who is not root. */
		if (fstat(k, &st) == 0 && (S_ISFIFO(st.st_mode) || i->spec->process.terminal) &&
		    st.st_uid != i->process.uid)
			(void)!fchown(k, i->process.uid, (gid_t)-1);
	}
	return 0;
}

static int make_rootfs(struct init *i, struct err *e)
{
	int rc = rootfs_open(&i->root, e);

	if (rc == 0)
		rc = make_cgroupns(i, e);
	if (rc == 0)
		rc = rootfs_mount(&i->root, e);
	if (rc == 0 && i->spec->process.terminal)
		rc = rootfs_console(&i->root, &i->console, &i->slave, e);
	if (rc == 0)
		rc = find_user(i, e);
	return rc;
}

/*
 * The folder of the process, and seen from inside afterwards. Links of proc that lead to open
 * descriptors are not followed, whatever they are of (CVE-2024-21626).
 */
static int enter_cwd(struct init *i, struct err *e)
{
	const char *cwd = i->spec->process.cwd;
	auto_close int fd = path_open(i->root.root, cwd, O_PATH | O_DIRECTORY, 0);
	char seen[2];

	if (fd < 0)
		return err_code(e, fd, "cannot enter the working directory %s", cwd);
	if (fchdir(fd) < 0)
		return err_sys(e, "cannot enter the working directory %s", cwd);
	if (syscall(SYS_getcwd, seen, sizeof(seen)) < 0 && errno == ERANGE)
		return 0;
	if (seen[0] != '/')
		return err_set(e, -EPERM, "the working directory %s is outside the root", cwd);
	return 0;
}

static int run_own_hooks(struct init *i, const struct spec_hook_list *l, const char *name,
			 const char *status, struct err *e)
{
	struct hook_state s = {.id = i->a->launch->id,
			       .bundle = i->a->launch->bundle,
			       .status = status,
			       .pid = getpid(),
			       .spec = i->spec};

	return hooks_run(l, name, &s, e);
}

bool init_stops_mounted(const struct spec *s)
{
	return s->hooks.prestart.n || s->hooks.create_runtime.n || s->hooks.create_container.n;
}

/* The runtime's hooks see the container mounted; then those of the container's namespaces run. */
static int stop_mounted(struct init *i, struct err *e)
{
	struct sync_message m = {.type = SYNC_MOUNTED};

	if (!init_stops_mounted(i->spec))
		return 0;
	if (sync_send(i->sync, &m, NULL, 0) < 0)
		return err_set(e, -EPIPE, "the runtime is gone");
	await_go(i);
	return run_own_hooks(i, &i->spec->hooks.create_container, "createContainer", "creating", e);
}

/* Everything up to the program that any process of a container needs. */
static int setup_process(struct init *i, struct err *e)
{
	int rc = set_stdio(i, e);

	if (rc == 0)
		rc = process_set_limits(&i->process, e);
	if (rc == 0)
		rc = process_set_attrs(&i->process, e);
	if (rc == 0)
		rc = process_set_labels(&i->process, i->root.proc, e);
	if (rc == 0)
		rc = enter_cwd(i, e);
	return rc < 0 ? rc : process_set_user(&i->process, e);
}

static int setup_namespaces(struct init *i, struct err *e)
{
	int rc = i->a->unshared & CLONE_NEWUSER ? userns_become_root(e) : 0;

	if (rc == 0 && i->a->join)
		rc = namespaces_join(i->a->join, e);
	if (rc == 0)
		rc = make_timens(i, e);
	if (rc == 0)
		rc = make_keyring(i, e);
	if (rc == 0)
		rc = init_net(&i->a->launch->config->dns, i->a->unshared & CLONE_NEWNET,
			      &i->dns_udp, &i->dns_tcp, e);
	return rc;
}

static int setup(struct init *i, struct err *e)
{
	auto_close int dir = -1;
	int rc = setup_namespaces(i, e);

	if (rc == 0)
		rc = make_rootfs(i, e);
	if (rc == 0)
		rc = set_names(i, e);
	if (rc == 0)
		rc = stop_mounted(i, e);
	if (rc < 0)
		return rc;
	dir = path_make_dir(i->root.root, i->spec->process.cwd, 0);
	rc = rootfs_enter(&i->root, e);
	return rc < 0 ? rc : setup_process(i, e);
}

static int report_ready(struct init *i, struct err *e)
{
	struct sync_message m = {.type = SYNC_READY};
	int fds[3];
	size_t n = 0;

	if (i->console >= 0) {
		m.fds |= SYNC_FD_CONSOLE;
		fds[n++] = i->console;
	}
	if (i->dns_udp >= 0) {
		m.fds |= SYNC_FD_DNS_UDP;
		fds[n++] = i->dns_udp;
	}
	if (i->dns_tcp >= 0) {
		m.fds |= SYNC_FD_DNS_TCP;
		fds[n++] = i->dns_tcp;
	}
	if (sync_send(i->sync, &m, fds, n) < 0)
		return err_set(e, -EPIPE, "the runtime is gone");
	for (size_t k = 0; k < n; k++)
		close(fds[k]);
	return 0;
}

/* The parent waits for the answer: it must not end before its end means nothing to us. */
static void outlive_parent(struct init *i)
{
	struct sync_message m = {.type = SYNC_GO};

	await_go(i);
	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	(void)sync_send(i->sync, &m, NULL, 0);
}

/*
 * The word to start comes from the parent, or from a process that connects to a socket which
 * outlives the parent.
 */
static void await_start(struct init *i)
{
	int listener = i->a->launch->start_socket;
	struct sync_message m;
	size_t n;

	for (;;) {
		if (listener > 0) {
			fd_close_at(&i->sync);
			i->sync = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			if (i->sync < 0 && errno != EINTR && errno != ECONNABORTED)
				_exit(1);
		}
		if (i->sync >= 0 && sync_recv(i->sync, &m, NULL, 0, &n) > 0 && m.type == SYNC_START)
			return;
		if (listener <= 0)
			_exit(1);
	}
}

static int pass_listener(struct init *i, int listener, struct err *e)
{
	struct sync_message m = {.type = SYNC_LISTENER, .fds = SYNC_FD_LISTENER};

	if (listener < 0)
		return 0;
	if (sync_send(i->sync, &m, &listener, 1) < 0)
		return err_sys(e, "cannot pass on the descriptor of the seccomp filter");
	close(listener);
	await_go(i);
	return 0;
}

/*
 * The kernel refuses a program that was found: whoever started a created container is gone or has
 * been told that it runs, so it is said where the program would have spoken, as runc does it.
 */
_Noreturn static void fail_as_program(const struct err *e)
{
	dprintf(STDERR_FILENO, "%s\n", err_text(e));
	_exit(1);
}

/* From READY to the program. */
_Noreturn static void finish(struct init *i)
{
	const struct launch *l = i->a->launch;
	struct err e = ERR_INIT;
	int exit_code = 0, listener = -1;
	int rc = report_ready(i, &e);

	if (rc < 0)
		fail(i, &e, 0);
	if (l->start_socket > 0)
		outlive_parent(i);
	await_start(i);
	if (l->detached)
		(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (syscall(SYS_close_range, 3 + l->preserve_fds, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		rc = err_sys(&e, "cannot close descriptors");
	if (rc == 0)
		rc = process_restrict(&i->process, &listener, &e);
	if (rc == 0)
		rc = pass_listener(i, listener, &e);
	if (rc == 0 && !i->a->exec)
		rc = run_own_hooks(i, &i->spec->hooks.start_container, "startContainer", "created",
				   &e);
	if (rc == 0)
		process_exec(&i->process, &exit_code, &e);
	if (exit_code && l->start_socket > 0)
		fail_as_program(&e);
	fail(i, &e, exit_code ? exit_code : 126);
}

static void init_begin(struct init *i, const struct init_args *a, struct err *e)
{
	*i = (struct init){.a = a,
			   .spec = a->launch->spec,
			   .root = a->root ? *a->root : ROOTFS_INIT,
			   .console = -1,
			   .slave = -1,
			   .dns_udp = -1,
			   .dns_tcp = -1,
			   .sync = a->sync};
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	process_reset_signals();
	(void)setsid();
	(void)umask(0022); /* for folders that are made as mount targets */
	i->root.spec = i->spec;
	i->root.overlay = &a->launch->config->overlay;
	i->root.cgroup = a->cgroup;
	i->root.own_cgroupns = a->new_cgroupns;
	i->root.own_userns = a->own_userns;
	i->root.no_pivot = a->launch->no_pivot;
	i->process.spec = &i->spec->process;
	i->process.filter = a->filter;
	i->process.filter_flags = a->filter_flags;
	i->process.personality = i->spec->linux_.personality.domain;
	if (cap_sets_parse(&i->spec->process.capabilities, &i->process.caps, e) < 0)
		fail(i, e, 0);
}

_Noreturn void init_run(const struct init_args *a)
{
	struct err e = ERR_INIT;
	int exit_code = 0;
	struct init i;
	int rc;

	/*
	 * Nothing else of the container may look into this process, nor find a descriptor of ours.
	 * In a user namespace that begins with it there is nothing else yet, and its maps could
	 * not be written.
	 */
	if (!(a->unshared & CLONE_NEWUSER))
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	init_begin(&i, a, &e);
	rc = a->in_cgroup ? 0 : init_await_place(a, &e);
	if (rc == 0)
		rc = join_cgroup(a, &e);
	if (rc == 0 && (a->unshared & CLONE_NEWUSER))
		await_go(&i);
	if (rc == 0)
		rc = setup(&i, &e);
	/* Whoever creates a container is told at once that its program is not there. */
	if (rc == 0 && a->launch->id && !i.spec->hooks.start_container.n)
		rc = process_find(&i.process, &exit_code, &e);
	if (rc < 0)
		fail(&i, &e, exit_code);
	finish(&i);
}

/*
 * All namespaces in which the container's init differs from us, at once or, where one of them does
 * not belong to its user namespace, the user namespace last.
 */
static int join_container(struct init *i, struct err *e)
{
	int fd = i->a->exec->pidfd;
	int all = (int)i->a->unshared;

	if (all == 0 || setns(fd, all) == 0)
		return 0;
	if (errno != EPERM || !(all & CLONE_NEWUSER) || setns(fd, all & ~CLONE_NEWUSER) < 0 ||
	    setns(fd, CLONE_NEWUSER) < 0)
		return err_sys(e, "cannot join the container's namespaces");
	return 0;
}

/*
 * Here the container's programs run already: this process is not dumpable before it is among
 * them (CVE-2016-9962), and the paths of its proc are looked up in one that nobody can change.
 */
static int setup_exec(struct init *i, struct err *e)
{
	int rc = join_cgroup(i->a, e);

	if (rc == 0)
		rc = process_set_affinity(i->spec->process.exec_affinity.final, e);
	if (rc == 0)
		rc = join_container(i, e);
	if (rc == 0 && (i->a->unshared & CLONE_NEWUSER))
		rc = userns_become_root(e);
	if (rc < 0)
		return rc;
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	i->root.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (i->root.root < 0)
		return err_sys(e, "cannot open the container's root");
	rc = rootfs_open_proc(&i->root, e);
	if (rc == 0)
		rc = make_keyring(i, e);
	if (rc == 0 && i->spec->process.terminal)
		rc = rootfs_open_terminal(&i->root, &i->console, &i->slave, e);
	if (rc == 0)
		rc = find_user(i, e);
	return rc < 0 ? rc : setup_process(i, e);
}

_Noreturn void init_exec(const struct init_args *a)
{
	struct err e = ERR_INIT;
	int exit_code = 0;
	struct init i;
	int rc;

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	init_begin(&i, a, &e);
	rc = setup_exec(&i, &e);
	if (rc == 0)
		rc = process_find(&i.process, &exit_code, &e);
	if (rc < 0)
		fail(&i, &e, exit_code);
	finish(&i);
}
