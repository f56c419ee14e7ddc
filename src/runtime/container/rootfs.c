/*
 * A container's file system: see rootfs.h.
 */
#include "runtime/container/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/mount.h"
#include "runtime/container/path.h"

#define PROC_ROOT_INO 1

static bool is_type(const struct spec_mount *m, const char *type)
{
	return m->type && strcmp(m->type, type) == 0;
}

bool rootfs_is_bind(const struct spec_mount *m)
{
	if (!m->type || strcmp(m->type, "bind") == 0)
		return true;
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], "bind") == 0 || strcmp(m->options.v[i], "rbind") == 0)
			return true;
	return false;
}

static bool on_proc(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

/*
 * A fresh procfs that is attached nowhere: no file of it can be covered or exchanged by what an
 * image or a volume brings (CVE-2025-52881).
 */
int rootfs_open_proc(struct rootfs *r, struct err *e)
{
	struct stat st;

	r->proc = mount_new("proc", "proc", NULL,
			    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL);
	/* Without a pid namespace of its own a user namespace may not: the host's will do. */
	if (r->proc == -EPERM)
		r->proc = openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->proc < 0)
		return err_code(e, r->proc, "cannot open a private proc");
	if (!on_proc(r->proc) || fstat(r->proc, &st) < 0 || st.st_ino != PROC_ROOT_INO)
		return err_set(e, -EINVAL, "the private proc is not what it should be");
	return 0;
}

int rootfs_open(struct rootfs *r, struct err *e)
{
	int rc = r->sources ? 0 : rootfs_sources(r, e);
	auto_close int at = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (rc < 0)
		return rc;
	if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, "cannot make the mount namespace private");
	if (r->root < 0)
		r->root = mount_overlay(r->overlay, e);
	if (r->root < 0)
		return r->root;
	rc = mount_set(r->root, 0, 0, MS_PRIVATE, true);
	if (rc < 0)
		return err_code(e, rc, "cannot make the root private");
	rc = mount_attach(r->root, at);
	if (rc < 0)
		return err_code(e, rc, "cannot attach the root");
	rc = rootfs_open_proc(r, e);
	return rc < 0 ? rc : rootfs_check_label(r, e);
}

/* What lxcfs and the like may put over single files of /proc; nothing else may be put there. */
static int check_proc_target(const struct spec_mount *m, int source, int target, struct err *e)
{
	static const char *const files[] = {
		"/proc/cpuinfo",
		"/proc/diskstats",
		"/proc/meminfo",
		"/proc/stat",
		"/proc/swaps",
		"/proc/uptime",
		"/proc/loadavg",
		"/proc/slabinfo",
		"/proc/net/dev",
		"/proc/sys/kernel/ns_last_pid",
		"/proc/sys/crypto/fips_enabled",
	};

	if (strcmp(m->destination, "/proc") == 0 || strcmp(m->destination, "/proc/") == 0) {
		if (on_proc(source))
			return 0;
		return err_set(e, -EPERM, "a volume on /proc is not allowed");
	}
	if (!on_proc(target))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(files[i], m->destination) == 0)
			return 0;
	return err_set(e, -EPERM, "a mount on %.128s is not allowed: it is inside /proc",
		       m->destination);
}

static int open_target(struct rootfs *r, const struct spec_mount *m, bool dir, unsigned int flags,
		       struct err *e)
{
	int fd = dir ? path_make_dir(r->root, m->destination, flags)
		     : path_make_file(r->root, m->destination, flags);

	if (fd < 0)
		return err_code(e, fd, "cannot open the mount target %s inside the root",
				m->destination);
	return fd;
}

static int mount_bind(struct rootfs *r, size_t i, const struct mount_options *o, struct err *e)
{
	const struct spec_mount *m = &r->spec->mounts.v[i];
	auto_close int target = -1;
	struct stat st;
	int rc;

	if (fstat(r->sources[i], &st) < 0)
		return err_sys(e, "cannot look at %s", m->source);
	target = open_target(r, m, S_ISDIR(st.st_mode), 0, e);
	if (target < 0)
		return target;
	rc = check_proc_target(m, r->sources[i], target, e);
	if (rc == 0)
		rc = mount_set_options(r->sources[i], o, e);
	/* Unless told otherwise, nothing that is mounted here reaches the host. */
	if (rc == 0 && !o->propagation)
		rc = mount_set(r->sources[i], 0, 0, MS_PRIVATE, true);
	if (rc == 0)
		rc = mount_attach(r->sources[i], target);
	return rc < 0 && !(e && e->code)
		       ? err_code(e, rc, "cannot mount %s on %s", m->source, m->destination)
		       : rc;
}

static int mount_fs(struct rootfs *r, size_t i, struct mount_options *o, struct err *e)
{
	const struct spec_mount *m = &r->spec->mounts.v[i];
	bool kernel = is_type(m, "proc") || is_type(m, "sysfs");
	bool tmpfs = is_type(m, "tmpfs");
	bool dev = tmpfs && strcmp(m->destination, "/dev") == 0;
	/* A link of the image must not lead proc or sysfs, or our /dev, elsewhere. */
	auto_close int target = open_target(r, m, true, kernel || dev ? PATH_NO_LINKS : 0, e);
	uint64_t attrs = o->set | o->rec_set;
	int fd, rc;

	if (target < 0)
		return target;
	if (is_type(m, "cgroup") || is_type(m, "cgroup2"))
		return rootfs_cgroup_mount(r, m, attrs, target, e);
	rc = check_proc_target(m, target, target, e);
	if (rc < 0 && !is_type(m, "proc"))
		return rc;
	/* Others are mounted below a tmpfs before it becomes read-only. */
	r->late_ro[i] = tmpfs && (attrs & MOUNT_ATTR_RDONLY);
	if (r->late_ro[i])
		attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	rootfs_add_label(r, m->type, &o->params);
	fd = mount_new(m->type, m->source ? m->source : m->type, &o->params, attrs, e);
	if (fd < 0)
		return fd;
	r->mounted[i] = fd;
	rc = rootfs_set_label(r, m->type, fd, e);
	if (rc < 0)
		return rc;
	if (dev) {
		r->dev = fd;
		rc = r->own_userns ? 0 : rootfs_fill_dev(r, fd, e);
		if (rc < 0)
			return rc;
	}
	if (o->copy_up) {
		bool mode = false;

		for (size_t k = 0; k < o->params.n; k++)
			mode |= strncmp(o->params.v[k], "mode=", 5) == 0;
		rc = rootfs_copy_up(target, fd, !mode, e);
		if (rc < 0)
			return err_wrap(e, "tmpcopyup of %.128s", m->destination);
	}
	rc = mount_attach(fd, target);
	if (rc < 0)
		return err_code(e, rc, "cannot mount %s on %s", m->type, m->destination);
	if (o->propagation)
		rc = mount_set(fd, 0, 0, o->propagation, o->propagation_rec);
	if (rc < 0)
		return err_code(e, rc, "cannot set the propagation of %s", m->destination);
	return dev && r->own_userns ? rootfs_fill_dev(r, fd, e) : 0;
}

static int mount_one(struct rootfs *r, size_t i, struct err *e)
{
	CLEANUP(mount_options_done) struct mount_options o = {0};
	int rc = mount_options_parse(&r->spec->mounts.v[i], &o, e);

	if (rc < 0)
		return rc;
	if (e)
		*e = ERR_INIT;
	return r->sources[i] >= 0 ? mount_bind(r, i, &o, e) : mount_fs(r, i, &o, e);
}

/*
 * The null device that covers masked files: ours, never a path of the image (CVE-2025-31133).
 * Without a /dev of ours it is the host's, read-only: its mode is no matter of the container's.
 */
static int open_null(struct rootfs *r, struct err *e)
{
	struct stat st;

	if (r->own_userns && r->dev < 0) {
		/* The first of the default devices: the host's, which the container cannot change.
		 */
		r->null = TAKE_FD(r->devices[0]);
		return 0;
	}
	r->null_of_host = r->dev < 0;
	r->null = r->null_of_host ? open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC)
				  : openat(r->dev, "null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (r->null < 0 || fstat(r->null, &st) < 0 || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(1, 3))
		return err_set(e, -EINVAL, "the null device is not what it should be");
	return 0;
}

int rootfs_mount(struct rootfs *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < r->spec->mounts.n; i++) {
		rc = mount_one(r, i, e);
		if (rc < 0)
			return rc;
	}
	rc = rootfs_make_devices(r, e);
	if (rc == 0)
		rc = open_null(r, e);
	return rc;
}

/*
 * The terminal is reached by descriptors alone: TIOCGPTPEER needs no path that could have been
 * exchanged (CVE-2025-52565).
 */
static int open_pair(int opened, int *ret_master, int *ret_slave, struct err *e)
{
	auto_close int master = opened;
	struct statfs st;
	int unlock = 0;
	int slave;

	if (master < 0)
		return err_code(e, master, "cannot open a terminal: /dev/pts/ptmx");
	if (fstatfs(master, &st) < 0 || st.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, -EINVAL, "cannot open a terminal: /dev/pts is not a devpts");
	/* The wish not to wait was for the opening alone: it would go to whoever gets the master.
	 */
	if (fcntl(master, F_SETFL, 0) < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "cannot unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, "cannot open the terminal's other end");
	*ret_master = TAKE_FD(master);
	*ret_slave = slave;
	return 0;
}

static int open_own_master(struct rootfs *r)
{
	return path_open(r->root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, PATH_NO_LINKS);
}

int rootfs_open_terminal(struct rootfs *r, int *ret_master, int *ret_slave, struct err *e)
{
	return open_pair(open_own_master(r), ret_master, ret_slave, e);
}

int rootfs_console(struct rootfs *r, int *ret_master, int *ret_slave, struct err *e)
{
	auto_close int target = -1;
	auto_close int copy = -1;
	int master = open_own_master(r);
	int rc;

	/* Without a devpts of its own it gets a terminal of the host's, which is still in sight. */
	if (master == -ENOENT)
		master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	rc = open_pair(master == -1 ? -errno : master, ret_master, ret_slave, e);
	if (rc < 0)
		return rc;
	target = path_make_file(r->root, "/dev/console", PATH_NO_LINKS);
	if (target < 0)
		return err_code(e, target, "cannot make /dev/console");
	copy = mount_clone_fd(*ret_slave, false);
	rc = copy < 0 ? copy : mount_attach(copy, target);
	if (rc < 0)
		return err_code(e, rc, "cannot mount the terminal on /dev/console");
	return 0;
}

int rootfs_write_proc(const struct rootfs *r, const char *path, const char *value, struct err *e)
{
	auto_close int fd = path_open(r->proc, path, O_WRONLY, 0);
	size_t n = strlen(value);

	if (fd < 0)
		return err_code(e, fd, "cannot open /proc/%s", path);
	if (!on_proc(fd))
		return err_set(e, -EINVAL, "/proc/%s is not in proc", path);
	if (write(fd, value, n) != (ssize_t)n)
		return err_sys(e, "cannot write %.64s to /proc/%s", value, path);
	return 0;
}

static int set_sysctls(struct rootfs *r, struct err *e)
{
	for (size_t i = 0; i < r->spec->linux_.sysctl.n; i++) {
		const struct spec_pair *p = &r->spec->linux_.sysctl.v[i];
		auto_free char *path = xasprintf("sys/%s", p->key);
		int rc;

		/* "net.ipv4.conf.eth0/100.x": as sysctl(8), dots and slashes change places. */
		for (char *c = path + 4; *c; c++)
			*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
		rc = rootfs_write_proc(r, path, p->value, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int set_root_propagation(struct rootfs *r, struct err *e)
{
	const char *name = r->spec->linux_.rootfs_propagation;
	uint64_t flag;
	int rc;

	if (!name || !*name)
		return 0;
	flag = strstr(name, "shared")       ? MS_SHARED
	       : strstr(name, "slave")      ? MS_SLAVE
	       : strstr(name, "unbindable") ? MS_UNBINDABLE
					    : MS_PRIVATE;
	rc = mount_set(r->root, 0, 0, flag, name[0] == 'r');
	return rc < 0 ? err_code(e, rc, "cannot set the propagation of the root") : 0;
}

static int set_late_readonly(struct rootfs *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->spec->mounts.n; i++)
		if (r->late_ro[i])
			rc = mount_set(r->mounted[i], MOUNT_ATTR_RDONLY, 0, 0, false);
	if (rc == 0 && r->spec->root.readonly)
		rc = mount_set(r->root, MOUNT_ATTR_RDONLY, 0, 0, false);
	return rc < 0 ? err_code(e, rc, "cannot make a mount read-only") : 0;
}

/*
 * For a host whose root is a ramfs, which cannot be pivoted away: the root is moved over it. What
 * lies below can be reached by no path, but it is there: proc and sysfs of the host are taken out
 * of it.
 */
static int move_root(struct err *e)
{
	(void)umount2("/proc", MNT_DETACH);
	(void)umount2("/sys", MNT_DETACH);
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return err_sys(e, "cannot move the root");
	if (chroot(".") < 0 || chdir("/") < 0)
		return err_sys(e, "cannot enter the new root");
	return 0;
}

static int pivot(struct rootfs *r, struct err *e)
{
	if (fchdir(r->root) < 0)
		return err_sys(e, "cannot enter the root");
	if (r->no_pivot)
		return move_root(e);
	/* The old root comes to lie over the new one, and is taken away from there. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, "cannot change the root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, "cannot detach the host's root");
	if (chdir("/") < 0)
		return err_sys(e, "cannot enter the new root");
	return 0;
}

int rootfs_enter(struct rootfs *r, struct err *e)
{
	int rc = set_sysctls(r, e);

	if (rc == 0)
		rc = rootfs_mask(r, e);
	if (rc == 0)
		rc = set_late_readonly(r, e);
	if (rc == 0)
		rc = pivot(r, e);
	if (rc == 0)
		rc = set_root_propagation(r, e);
	return rc;
}
