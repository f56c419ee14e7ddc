/*
 * Visits to network namespaces, and sysctls in them; see netns.h. Internal to net.
 */
#include "net/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* /proc/self would name the main thread, which may be elsewhere than this one. */
#define THREAD_NETNS "/proc/thread-self/ns/net"

int netns_self(struct err *e)
{
	int fd = open(THREAD_NETNS, O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "cannot open " THREAD_NETNS);
}

int netns_enter(struct netns_visit *v, int netns_fd, struct err *e)
{
	auto_close int home = -1;

	v->home = -1;
	if (netns_fd < 0)
		return 0;
	home = netns_self(e);
	if (home < 0)
		return home;
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot enter a network namespace");
	v->home = TAKE_FD(home);
	return 0;
}

int netns_enter_new(struct netns_visit *v, struct err *e)
{
	auto_close int home = netns_self(e);

	v->home = -1;
	if (home < 0)
		return home;
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, "cannot make a network namespace");
	v->home = TAKE_FD(home);
	return 0;
}

void netns_leave(struct netns_visit *v)
{
	int saved = errno;

	if (v->home < 0)
		return;
	if (setns(v->home, CLONE_NEWNET) < 0)
		abort();
	close(v->home);
	v->home = -1;
	errno = saved;
}

static bool is_namespace(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == NSFS_MAGIC;
}

int netns_open(const char *path, int *ret_fd, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno != ENOENT)
		return err_sys(e, "cannot open the network namespace %s", path);
	if (fd < 0 || !is_namespace(fd))
		return err_set(e, -ENOENT, "there is no network namespace at %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int netns_keep(const char *path, int *ret_fd, bool *ret_made, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	int rc = netns_open(path, ret_fd, NULL);
	int fd;

	*ret_made = false;
	if (rc == 0)
		return 0;
	if (rc != -ENOENT)
		return netns_open(path, ret_fd, e);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (fd < 0)
		return err_sys(e, "cannot make %s", path);
	close(fd);
	rc = netns_enter_new(&visit, e);
	if (rc < 0)
		return rc;
	if (mount(THREAD_NETNS, path, NULL, MS_BIND, NULL) < 0)
		return err_sys(e, "cannot keep a network namespace at %s", path);
	*ret_made = true;
	return netns_open(path, ret_fd, e);
}

int netns_drop(const char *path, struct err *e)
{
	/* Several mounts may lie on each other when two daemons were started on one folder. */
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		return err_sys(e, "cannot unmount the network namespace %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove %s", path);
	return 0;
}

static int sysctl_open(const char *path, int flags)
{
	char full[256];
	int fd;

	if (snprintf(full, sizeof(full), "/proc/sys/net/%s", path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

int sysctl_write(const char *path, const char *value, struct err *e)
{
	auto_close int fd = sysctl_open(path, O_WRONLY);

	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return err_code(e, fd, "cannot open the sysctl net/%s", path);
	if (write(fd, value, strlen(value)) < 0)
		return err_sys(e, "cannot set the sysctl net/%s to %s", path, value);
	return 0;
}

int sysctl_read(const char *path)
{
	auto_close int fd = sysctl_open(path, O_RDONLY);
	char text[32];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return (int)strtol(text, NULL, 10);
}
