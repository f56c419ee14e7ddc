/*
 * User namespaces: see userns.h.
 */
#include "runtime/container/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#define MAP_LINE 40 /* bytes of one range as text */

static int write_proc(pid_t pid, const char *file, const char *text)
{
	char path[64];
	auto_close int fd = -1;
	size_t n = strlen(text);

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, n) == (ssize_t)n ? 0 : -errno;
}

/* Whether a user who is not root may write it: one range of one id, the own one. */
static bool is_own(const struct spec_id_maps *l, uint32_t id)
{
	return l->n == 1 && l->v[0].size == 1 && l->v[0].host_id == id;
}

/* newuidmap PID INSIDE OUTSIDE COUNT ...: the set-uid helper of the shadow package. */
static int run_helper(const char *program, pid_t pid, const struct spec_id_maps *l, struct err *e)
{
	char **argv = xcalloc(l->n * 3 + 3, sizeof(*argv));
	int status = 0;
	pid_t child;
	size_t k = 0;

	argv[k++] = xstrdup(program);
	argv[k++] = xasprintf("%d", (int)pid);
	for (size_t i = 0; i < l->n; i++) {
		argv[k++] = xasprintf("%" PRId64, l->v[i].container_id);
		argv[k++] = xasprintf("%" PRId64, l->v[i].host_id);
		argv[k++] = xasprintf("%" PRId64, l->v[i].size);
	}
	child = fork();
	if (child == 0) {
		syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
		execvp(program, argv);
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	for (size_t i = 0; i < k; i++)
		free(argv[i]);
	free(argv);
	if (child < 0 || status != 0)
		return err_set(e, -EPERM,
			       "%s refused the id maps of the user namespace: see /etc/subuid and "
			       "/etc/subgid",
			       program);
	return 0;
}

static int write_map(pid_t pid, const char *file, const struct spec_id_maps *l, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_ID_MAPS * MAP_LINE);
	int rc;

	for (size_t i = 0; i < l->n; i++)
		buf_addf(&text, "%" PRId64 " %" PRId64 " %" PRId64 "\n", l->v[i].container_id,
			 l->v[i].host_id, l->v[i].size);
	rc = write_proc(pid, file, buf_text(&text));
	return rc < 0 ? err_code(e, rc, "cannot write the %s of the user namespace", file) : 0;
}

int userns_write_maps(pid_t pid, const struct spec_id_maps *uids, const struct spec_id_maps *gids,
		      struct err *e)
{
	bool root = geteuid() == 0;
	int rc;

	if (root || is_own(uids, geteuid()))
		rc = write_map(pid, "uid_map", uids, e);
	else
		rc = run_helper("newuidmap", pid, uids, e);
	if (rc < 0)
		return rc;
	if (!root && is_own(gids, getegid())) {
		/* Without it the kernel refuses the map: groups could be dropped by it. */
		rc = write_proc(pid, "setgroups", "deny");
		return rc < 0 ? err_code(e, rc, "cannot deny setgroups")
			      : write_map(pid, "gid_map", gids, e);
	}
	return root ? write_map(pid, "gid_map", gids, e) : run_helper("newgidmap", pid, gids, e);
}

int userns_make(const struct spec_id_maps *uids, const struct spec_id_maps *gids, struct err *e)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	char path[64];
	int rc, fd = -1;

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	if (pid < 0)
		return err_sys(e, "cannot make a user namespace");
	rc = userns_write_maps(pid, uids, gids, e);
	if (rc == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		rc = fd < 0 ? err_sys(e, "cannot open a user namespace") : 0;
	}
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc < 0 ? rc : fd;
}

int userns_become_root(struct err *e)
{
	/* Denied where a user who is not root has made the map; then there are none to drop. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM)
		return err_sys(e, "cannot drop groups in the user namespace");
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return err_sys(e, "cannot become root in the user namespace: linux.uidMappings and "
				  "gidMappings must have the container's 0");
	return 0;
}

bool userns_is_ordinary(void)
{
	auto_buf map = BUF_INIT(4096);
	unsigned long inside, outside, size;

	if (geteuid() != 0)
		return true;
	return file_read_at(AT_FDCWD, "/proc/self/uid_map", &map) == 0 &&
	       sscanf(buf_text(&map), "%lu %lu %lu", &inside, &outside, &size) == 3 &&
	       (outside != 0 || size != UINT32_MAX);
}
