/*
 * The last steps of a process before its program: see process.h. Raw system calls where libc
 * would look for other threads.
 */
#include "runtime/container/process.h"

#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CANDIDATE_MAX 4096

/* By system calls: libc hides two signals of its own, which its posix_spawn() leaves ignored. */
void process_reset_signals(void)
{
	static const uint64_t dfl[8]; /* the kernel's struct sigaction: SIG_DFL and nothing else */
	static const uint64_t none;

	for (int s = 1; s < _NSIG; s++)
		(void)syscall(SYS_rt_sigaction, s, dfl, NULL, sizeof(none));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

int process_set_limits(const struct process *p, struct err *e)
{
	for (size_t i = 0; i < p->spec->rlimits.n; i++) {
		const struct spec_rlimit *r = &p->spec->rlimits.v[i];
		struct rlimit64 limit = {.rlim_cur = r->soft, .rlim_max = r->hard};

		if (prlimit64(0, spec_rlimit_number(r->type), &limit, NULL) < 0)
			return err_sys(e, "cannot set %s to %llu:%llu", r->type,
				       (unsigned long long)r->soft, (unsigned long long)r->hard);
	}
	umask(p->spec->user.umask == SPEC_UNSET ? 0022 : (mode_t)p->spec->user.umask);
	return 0;
}

int process_set_user(const struct process *p, struct err *e)
{
	if (p->spec->has_capabilities) {
		int rc = cap_sets_limit(&p->caps, e);

		if (rc < 0)
			return rc;
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot keep capabilities");
	/* In a user namespace whose maker was not root it is denied, and there are none to set. */
	if (syscall(SYS_setgroups, p->n_gids, p->gids) < 0 && (errno != EPERM || p->n_gids))
		return err_sys(e, "cannot set the additional groups");
	if (syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0)
		return err_sys(e, "cannot become group %u", p->gid);
	if (syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
		return err_sys(e, "cannot become user %u", p->uid);
	/* A change of user clears it, so only now. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_sys(e, "cannot tie the container to its shim");
	return 0;
}

static int load_filter(const struct process *p, int *ret_listener, struct err *e)
{
	int rc;

	struct sock_fprog prog = {
		.len = (unsigned short)(p->filter->len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)p->filter->p,
	};

	rc = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->filter_flags, &prog);
	if (rc < 0)
		return err_sys(e, "cannot load the seccomp filter");
	if (p->filter_flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		*ret_listener = rc;
	return 0;
}

/* After a change of user the effective set is empty; the filter needs CAP_SYS_ADMIN. */
static int raise_effective(struct err *e)
{
	struct cap_sets all = {.effective = ~0ULL, .permitted = ~0ULL};

	return cap_sets_apply(&all, e);
}

int process_restrict(const struct process *p, int *ret_listener, struct err *e)
{
	bool filter = p->filter && p->filter->len;
	bool nnp = p->spec->no_new_privileges;
	int rc = 0;

	*ret_listener = -1;
	if (filter && !nnp) {
		rc = raise_effective(e);
		if (rc == 0)
			rc = load_filter(p, ret_listener, e);
	}
	if (rc == 0 && p->spec->has_capabilities)
		rc = cap_sets_apply(&p->caps, e);
	if (rc < 0)
		return rc;
	if (nnp && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot set no_new_privs");
	return filter && nnp ? load_filter(p, ret_listener, e) : 0;
}

const char *process_getenv(const struct spec_strs *env, const char *name)
{
	size_t n = strlen(name);

	/* The last one counts, as for programs that build a map of it. */
	for (size_t i = env->n; i-- > 0;)
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
			return env->v[i] + n + 1;
	return NULL;
}

char **process_env(const struct spec_strs *env, const char *home)
{
	char **ret = xcalloc(env->n + 2, sizeof(*ret));

	for (size_t i = 0; i < env->n; i++)
		ret[i] = env->v[i];
	if (home && !process_getenv(env, "HOME"))
		ret[env->n] = xasprintf("HOME=%s", home);
	return ret;
}

/* As Go says it now, and with the words by which dockerd before 23 tells a status of 126. */
static int is_folder(const char *path, struct err *e)
{
	return err_set(e, -EISDIR, "exec: \"%.200s\": is a directory: permission denied", path);
}

/* A program named with a path. What Go's os/exec and runc would have said. */
static int exec_path(const struct process *p, const char *path, char **argv, int *ret_exit_code,
		     struct err *e)
{
	struct stat st;
	int code;

	execve(path, argv, p->env);
	code = errno;
	*ret_exit_code = 126;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			*ret_exit_code = 127;
		return err_set(e, -code, "exec: \"%.200s\": stat %.200s: %s", path, path,
			       errno == ENOENT    ? "no such file or directory"
			       : errno == ENOTDIR ? "not a directory"
						  : strerror(errno));
	}
	if (S_ISDIR(st.st_mode))
		return is_folder(path, e);
	if (code == EACCES || code == EPERM)
		return err_set(e, -code, "exec: \"%.200s\": permission denied", path);
	if (code == ENOENT) { /* it is there, its interpreter is not */
		*ret_exit_code = 127;
		return err_set(e, -code, "exec %.200s: no such file or directory", path);
	}
	return err_set(e, -code, "exec %.200s: %s", path,
		       code == ENOEXEC ? "exec format error" : strerror(code));
}

/* The program behind a bare name, in `ret` (CANDIDATE_MAX bytes); false when there is none. */
static bool search_path(const struct process *p, const char *name, char *ret)
{
	const char *path = process_getenv(&p->spec->env, "PATH");

	for (path = path ? path : DEFAULT_PATH; *path;) {
		size_t n = strcspn(path, ":");
		int len = snprintf(ret, CANDIDATE_MAX, "%.*s/%s", (int)n, path, name);
		struct stat st;

		path += n + (path[n] == ':');
		/* Relative folders (and the empty one) are not searched, as in Go's os/exec. */
		if (ret[0] != '/' || n == 0 || len >= CANDIDATE_MAX)
			continue;
		if (stat(ret, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
			return true;
	}
	return false;
}

static int not_found(const char *name, int *ret_exit_code, struct err *e)
{
	*ret_exit_code = 127;
	return err_set(e, -ENOENT, "exec: \"%.200s\": executable file not found in $PATH", name);
}

int process_find(const struct process *p, int *ret_exit_code, struct err *e)
{
	char candidate[CANDIDATE_MAX];
	const char *name = p->spec->args.v[0];
	struct stat st;

	if (!strchr(name, '/'))
		return search_path(p, name, candidate) ? 0 : not_found(name, ret_exit_code, e);
	*ret_exit_code = 127;
	if (stat(name, &st) < 0)
		return err_set(e, -errno, "exec: \"%.200s\": stat %.200s: %s", name, name,
			       errno == ENOENT    ? "no such file or directory"
			       : errno == ENOTDIR ? "not a directory"
						  : strerror(errno));
	*ret_exit_code = 126;
	if (S_ISDIR(st.st_mode))
		return is_folder(name, e);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return err_set(e, -EACCES, "exec: \"%.200s\": permission denied", name);
	*ret_exit_code = 0;
	return 0;
}

int process_exec(const struct process *p, int *ret_exit_code, struct err *e)
{
	const struct spec_strs *args = &p->spec->args;
	auto_free char **argv = xcalloc(args->n + 1, sizeof(*argv));
	char candidate[CANDIDATE_MAX];
	const char *name = args->v[0];

	for (size_t i = 0; i < args->n; i++)
		argv[i] = args->v[i];
	if (strchr(name, '/'))
		return exec_path(p, name, argv, ret_exit_code, e);
	if (search_path(p, name, candidate))
		return exec_path(p, candidate, argv, ret_exit_code, e);
	return not_found(name, ret_exit_code, e);
}
