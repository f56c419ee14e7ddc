/*
 * Running hooks: see hooks.h. Input and output are memory files, so that no hook can make us wait
 * on a pipe: we wait for its end and its time alone.
 */
#include "runtime/container/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/process.h"
#include "runtime/container/jtable.h"

#define OUTPUT_SHOWN 256

/* The members in the order in which runc writes them. */
struct state_json {
	char *version;
	char *id;
	char *status;
	int64_t pid;
	char *bundle;
	struct spec_pairs annotations;
};

static const struct jt_type state_type = {
	sizeof(struct state_json), (const struct jt_field[]){
					   JT_STR_(struct state_json, version, "ociVersion"),
					   JT_STR_(struct state_json, id, "id"),
					   JT_STR_(struct state_json, status, "status"),
					   JT_I64_(struct state_json, pid, "pid"),
					   JT_STR_(struct state_json, bundle, "bundle"),
					   JT_PAIRS_(struct state_json, annotations, "annotations"),
					   JT_END,
				   }};

int hook_state_write(const struct hook_state *s, struct buf *ret)
{
	struct state_json j = {
		.version = (char *)SPEC_OCI_VERSION,
		.id = (char *)s->id,
		.status = (char *)s->status,
		.pid = s->pid > 0 ? s->pid : SPEC_UNSET,
		.bundle = (char *)s->bundle,
		.annotations = s->spec->annotations,
	};

	return jt_write(&state_type, &j, ret);
}

static char **vector(const struct spec_strs *l, char *first)
{
	char **v = xcalloc(l->n + 2, sizeof(*v));

	for (size_t i = 0; i < l->n; i++)
		v[i] = l->v[i];
	if (l->n == 0)
		v[0] = first;
	return v;
}

/* The child's half. Whatever the runtime has open stays behind. */
_Noreturn static void run_child(const struct spec_hook *h, int in, int out)
{
	char **argv = vector(&h->args, h->path), **envp = vector(&h->env, NULL);

	process_reset_signals();
	(void)setpgid(0, 0);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
	    syscall(SYS_close_range, 3, ~0U, 0) < 0)
		_exit(126);
	execve(h->path, argv, envp);
	dprintf(2, "%s", strerror(errno));
	_exit(127);
}

static pid_t start(const struct spec_hook *h, int in, int out, int *ret_pidfd)
{
	struct clone_args args = {.flags = CLONE_PIDFD,
				  .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
				  .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		run_child(h, in, out);
	return pid;
}

/* The wait status, or -ETIMEDOUT after the hook was killed. */
static int await(pid_t pid, int pidfd, int timeout_ms, int *ret_status)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
	struct pollfd pf = {.fd = pidfd, .events = POLLIN};
	bool late = false;

	while (!(pf.revents & POLLIN)) {
		uint64_t now = clock_mono_ms();

		if (now >= end) {
			late = true;
			(void)kill(-pid, SIGKILL);
			(void)kill(pid, SIGKILL);
			break;
		}
		(void)poll(&pf, 1, (int)(end - now));
	}
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return late ? -ETIMEDOUT : 0;
}

/* What it said, for the sentence: one line, bounded. */
static void read_output(int fd, char ret[OUTPUT_SHOWN])
{
	ssize_t n = pread(fd, ret, OUTPUT_SHOWN - 1, 0);

	ret[n > 0 ? n : 0] = 0;
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
}

int hook_timeout_ms(const struct spec_hook *h)
{
	if (h->timeout == SPEC_UNSET)
		return LIMIT_HOOK_MS;
	return (int)MIN_OF(h->timeout, (int64_t)INT_MAX / 1000) * 1000;
}

static int run_one(const struct spec_hook *h, const char *name, const struct buf *state,
		   struct err *e)
{
	auto_close int in = memfd_create("state", MFD_CLOEXEC);
	auto_close int out = memfd_create("output", MFD_CLOEXEC);
	auto_close int pidfd = -1;
	int ms = hook_timeout_ms(h);
	char text[OUTPUT_SHOWN];
	int status = 0;
	pid_t pid;

	if (in < 0 || out < 0 || file_write_fd(in, state->p, state->len) < 0 ||
	    lseek(in, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot run the %s hook %s", name, h->path);
	pid = start(h, in, out, &pidfd);
	if (pid < 0)
		return err_sys(e, "cannot run the %s hook %s", name, h->path);
	if (await(pid, pidfd, ms, &status) < 0)
		return err_set(e, -ETIMEDOUT, "the %s hook %s was killed: it took more than %d ms",
			       name, h->path, ms);
	if (status == 0)
		return 0;
	read_output(out, text);
	if (WIFSIGNALED(status))
		return err_set(e, -ECANCELED, "the %s hook %s died of signal %d: %s", name, h->path,
			       WTERMSIG(status), text);
	return err_set(e, -ECANCELED, "the %s hook %s ended with status %d: %s", name, h->path,
		       WEXITSTATUS(status), text);
}

int hooks_run(const struct spec_hook_list *l, const char *name, const struct hook_state *s,
	      struct err *e)
{
	auto_buf state = BUF_INIT(LIMIT_SPEC_JSON * 2);
	int rc = l->n ? hook_state_write(s, &state) : 0;

	if (rc < 0)
		return err_set(e, rc, "the state for the %s hooks is too large", name);
	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = run_one(&l->v[i], name, &state, e);
	return rc;
}
