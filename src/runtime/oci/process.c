/*
 * Processes in the foreground and their descriptors: see process.h.
 */
#include "runtime/oci/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/oci/tty.h"

#define NOTICES_MAX 1000 /* more than the kernel keeps for one socket */

void process_add_listen_env(const struct oci *o, struct spec_process *p)
{
	auto_free char *text = xasprintf("LISTEN_FDS=%u", o->listen_fds);

	if (!o->listen_fds)
		return;
	spec_strs_add(&p->env, text);
	spec_strs_add(&p->env, "LISTEN_PID=1");
}

int process_take_fds(const struct oci *o, const struct oci_flags *f, struct launch *l,
		     struct err *e)
{
	unsigned int n = o->listen_fds;

	if (f->preserve_fds < 0 || f->preserve_fds + n > LIMIT_PRESERVE_FDS)
		return err_set(e, -EINVAL, "--preserve-fds must be 0 to %d", LIMIT_PRESERVE_FDS);
	n += (unsigned int)f->preserve_fds;
	for (unsigned int i = 0; i < n; i++)
		if (fcntl((int)(3 + i), F_GETFD) < 0)
			return err_set(e, -EBADF,
				       "descriptor %u is to be passed on (--preserve-fds %lld, "
				       "LISTEN_FDS %u), but it is not open",
				       3 + i, (long long)f->preserve_fds, o->listen_fds);
	l->preserve_fds = n;
	/* What else was open when we were called ends here (CVE-2024-21626). */
	if (syscall(SYS_close_range, 3 + n, ~0U, 0) < 0)
		return err_sys(e, "cannot close what was left open");
	return 0;
}

int process_check_terminal(const struct oci_flags *f, const struct spec_process *p, bool detached,
			   struct err *e)
{
	if (p->terminal && detached && !f->console_socket)
		return err_set(e, -EINVAL,
			       "cannot allocate tty if shoal-oci will detach without setting "
			       "console socket");
	if (f->console_socket && (!p->terminal || !detached))
		return err_set(e, -EINVAL,
			       "cannot use console socket if shoal-oci will not detach or "
			       "allocate tty");
	return 0;
}

int process_send_console(const struct oci_flags *f, struct container *c, struct err *e)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	char name[] = "/dev/ptmx";
	struct iovec iov = {name, sizeof(name) - 1};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	auto_close int fd = -1;
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);

	if (!f->console_socket)
		return 0;
	if (strlen(f->console_socket) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "--console-socket is longer than a socket's address");
	memcpy(a.sun_path, f->console_socket, strlen(f->console_socket) + 1);
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(m), &c->console, sizeof(int));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    sendmsg(fd, &h, MSG_NOSIGNAL) < 0)
		return err_sys(e, "cannot pass the terminal to --console-socket %s",
			       f->console_socket);
	close(TAKE_FD(c->console));
	return 0;
}

int process_write_pid(const struct oci_flags *f, pid_t pid, struct err *e)
{
	const char *name;
	auto_free char *temporary = NULL;
	auto_close int fd = -1;
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	if (!f->pid_file)
		return 0;
	name = strrchr(f->pid_file, '/');
	name = name ? name + 1 : f->pid_file;
	temporary = xasprintf("%.*s.%s", (int)(name - f->pid_file), f->pid_file, name);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || file_write_fd(fd, text, (size_t)n) < 0 ||
	    rename(temporary, f->pid_file) < 0) {
		err_sys(e, "cannot write the pid file %s", f->pid_file);
		(void)unlink(temporary);
		return -EIO;
	}
	return 0;
}

/* All but those by which the kernel tells of faults of our own. */
static void signals_taken(sigset_t *ret)
{
	static const int left[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};

	sigfillset(ret);
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		sigdelset(ret, left[i]);
}

void process_block_signals(void)
{
	sigset_t set;

	signals_taken(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Reaps everything; true once the process itself is among it. */
static bool reap(pid_t pid, int *ret_code)
{
	bool ended = false;
	int status;
	pid_t p;

	while ((p = waitpid(-1, &status, WNOHANG)) > 0) {
		if (p != pid)
			continue;
		*ret_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		ended = true;
	}
	return ended;
}

static void take_signals(struct container *c, struct tty *t, int signals, bool *ended, int *code)
{
	struct signalfd_siginfo si;

	while (read(signals, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		int number = (int)si.ssi_signo;

		if (number == SIGCHLD)
			*ended |= reap(c->pid, code);
		else if (number == SIGWINCH && t->active)
			tty_resize(t);
		else if (number != SIGPIPE && number != SIGURG && number != SIGTTOU)
			(void)syscall(SYS_pidfd_send_signal, c->pidfd, number, NULL, 0);
	}
}

/* A host that is not reached is no reason to end a program that runs. */
static void take_notice(const struct oci *o, struct notify *n, const struct pollfd *pf)
{
	struct err why = ERR_INIT;

	if ((pf->revents & POLLIN) && notify_take(n, &why) < 0)
		oci_warn(o, err_text(&why));
}

/* What the program has said before its end, which may have come before we first looked. */
static void take_last_notices(const struct oci *o, struct notify *n)
{
	struct pollfd pf = {.fd = n->container, .events = POLLIN};

	for (int i = 0; i < NOTICES_MAX && n->container >= 0 && poll(&pf, 1, 0) > 0; i++)
		take_notice(o, n, &pf);
}

int process_wait(const struct oci *o, struct container *c, struct notify *n, struct err *e)
{
	auto_close int signals = -1;
	struct tty t = TTY_INIT;
	bool ended = false;
	int code = 0, rc;
	sigset_t set;

	signals_taken(&set);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return err_sys(e, "cannot make a signal descriptor");
	rc = c->console >= 0 ? tty_open(&t, c->console, e) : 0;
	if (rc < 0)
		return rc;
	ended = reap(c->pid, &code);
	while (!ended) {
		struct pollfd pf[TTY_POLL + 2] = {{.fd = signals, .events = POLLIN},
						  {.fd = n->container, .events = POLLIN}};

		tty_poll(&t, pf + 2);
		if (poll(pf, ARRAY_LEN(pf), -1) < 0 && errno != EINTR)
			break;
		tty_move(&t, pf + 2);
		take_notice(o, n, &pf[1]);
		take_signals(c, &t, signals, &ended, &code);
	}
	take_last_notices(o, n);
	tty_close(&t);
	return code;
}
