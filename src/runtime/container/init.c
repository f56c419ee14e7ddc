/*
 * The container's init, from its clone to its program: see init.h. It runs in the new namespaces
 * with the host's root still visible, so nothing of the container's is executed or trusted
 * before rootfs_enter().
 */
#include "runtime/container/init.h"

#include <errno.h>
#include <fcntl.h>
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

struct init {
	const struct init_args *a;
	const struct spec *spec;
	struct rootfs root;
	struct process process;
	struct user_info user;
	int console, slave, dns_udp, dns_tcp;
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
	(void)sync_send(i->a->sync, &m, NULL, 0);
	_exit(exit_code ? exit_code : 1);
}

/* Signals as a program expects them; the shim blocks and ignores some. */
static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < _NSIG; s++)
		(void)sigaction(s, &dfl, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int join_namespaces(struct init *i, struct err *e)
{
	for (const int *fd = i->a->join; *fd >= 0; fd++)
		if (setns(*fd, 0) < 0)
			return err_sys(e, "cannot join a namespace of linux.namespaces");
	return 0;
}

/*
 * v1: the group is joined here, by the one thread there is; v2: the clone did it. The namespace
 * comes after that, so that the container's own group is its root.
 */
static int join_cgroup(struct init *i, struct err *e)
{
	int rc = 0;

	if (i->a->cgroup && !i->a->cgroup->v2)
		rc = cgroup_join_self(i->a->cgroup, e);
	if (rc == 0 && i->a->new_cgroupns && unshare(CLONE_NEWCGROUP) < 0)
		rc = err_sys(e, "cannot make a cgroup namespace");
	return rc;
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

static int set_oom_score(struct init *i, struct err *e)
{
	char text[16];

	if (i->spec->process.oom_score_adj == SPEC_UNSET)
		return 0;
	snprintf(text, sizeof(text), "%d", (int)i->spec->process.oom_score_adj);
	return rootfs_write_proc(&i->root, "self/oom_score_adj", text, e);
}

static int make_rootfs(struct init *i, struct err *e)
{
	int rc = rootfs_open(&i->root, e);

	if (rc == 0)
		rc = join_cgroup(i, e);
	if (rc == 0)
		rc = rootfs_mount(&i->root, e);
	if (rc == 0 && i->spec->process.terminal)
		rc = rootfs_console(&i->root, &i->console, &i->slave, e);
	if (rc == 0)
		rc = find_user(i, e);
	return rc;
}

/* The folder of the process, made when the image has none; and seen from inside afterwards. */
static int enter_cwd(struct init *i, struct err *e)
{
	const char *cwd = i->spec->process.cwd;
	char seen[2];

	if (chdir(cwd) < 0)
		return err_sys(e, "cannot enter the working directory %s", cwd);
	/* Whatever is outside the root has no path that begins with '/' (CVE-2024-21626). */
	if (syscall(SYS_getcwd, seen, sizeof(seen)) < 0 && errno == ERANGE)
		return 0;
	if (seen[0] != '/')
		return err_set(e, -EPERM, "the working directory %s is outside the root", cwd);
	return 0;
}

static int setup(struct init *i, struct err *e)
{
	auto_close int dir = -1;
	int rc = join_namespaces(i, e);

	if (rc == 0)
		rc = init_net(&i->a->launch->config->dns, i->a->unshared & CLONE_NEWNET,
			      &i->dns_udp, &i->dns_tcp, e);
	if (rc == 0)
		rc = make_rootfs(i, e);
	if (rc == 0)
		rc = set_names(i, e);
	if (rc == 0)
		rc = set_oom_score(i, e);
	if (rc < 0)
		return rc;
	dir = path_make_dir(i->root.root, i->spec->process.cwd, 0);
	rc = rootfs_enter(&i->root, e);
	if (rc == 0)
		rc = set_stdio(i, e);
	if (rc == 0)
		rc = process_set_limits(&i->process, e);
	if (rc == 0)
		rc = enter_cwd(i, e);
	if (rc == 0)
		rc = process_set_user(&i->process, e);
	return rc;
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
	if (sync_send(i->a->sync, &m, fds, n) < 0)
		return err_set(e, -EPIPE, "the shim is gone");
	for (size_t k = 0; k < n; k++)
		close(fds[k]);
	return 0;
}

_Noreturn void init_run(const struct init_args *a)
{
	struct init i = {.a = a,
			 .spec = a->launch->spec,
			 .root = ROOTFS_INIT,
			 .console = -1,
			 .slave = -1,
			 .dns_udp = -1,
			 .dns_tcp = -1};
	struct err e = ERR_INIT;
	struct sync_message m;
	size_t n;
	int exit_code = 0;
	int rc;

	/* Nothing else of the container may look into this process, nor find a descriptor of ours.
	 */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	reset_signals();
	(void)setsid();
	(void)umask(0022); /* for folders that are made as mount targets */
	i.root.spec = i.spec;
	i.root.overlay = &a->launch->config->overlay;
	i.process.spec = &i.spec->process;
	i.process.filter = a->filter;
	rc = cap_sets_parse(&i.spec->process.capabilities, &i.process.caps, &e);
	if (rc == 0)
		rc = setup(&i, &e);
	if (rc == 0)
		rc = report_ready(&i, &e);
	if (rc < 0)
		fail(&i, &e, 0);
	if (sync_recv(a->sync, &m, NULL, 0, &n) <= 0 || m.type != SYNC_START)
		_exit(1);
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		err_sys(&e, "cannot close descriptors");
	else if (process_restrict(&i.process, &e) == 0)
		process_exec(&i.process, &exit_code, &e);
	fail(&i, &e, exit_code ? exit_code : 126);
}
