/*
 * /dev: the devices and links that every container has, and those of linux.devices. A tmpfs of
 * our own is filled before anyone else can reach it; another /dev is opened without following
 * links (CVE-2026-41579, CVE-2026-47766).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/mount.h"
#include "runtime/container/path.h"
#include "runtime/container/rootfs.h"

static const struct {
	const char *name;
	unsigned int major, minor;
} defaults[] = {
	{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
	{"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static const struct {
	const char *name, *target;
} links[] = {
	{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

/* Makes a node with exactly this mode, whatever the umask; an existing right one will do. */
static int make_node(int dir, const char *name, mode_t mode, dev_t dev, uid_t uid, gid_t gid,
		     struct err *e)
{
	struct stat st;

	if (mknodat(dir, name, mode, dev) < 0) {
		if (errno != EEXIST)
			return err_sys(e, "cannot make the device %s", name);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_sys(e, "cannot look at the device %s", name);
		if ((st.st_mode & S_IFMT) != (mode & S_IFMT) || st.st_rdev != dev)
			return err_set(e, -EEXIST, "the device %s is there, but another one", name);
		return 0;
	}
	if ((uid || gid) && fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot give the device %s to its owner", name);
	return 0;
}

const char *rootfs_default_device(size_t i, unsigned int *ret_major, unsigned int *ret_minor)
{
	if (i >= ARRAY_LEN(defaults))
		return NULL;
	*ret_major = defaults[i].major;
	*ret_minor = defaults[i].minor;
	return defaults[i].name;
}

/* In a user namespace nodes cannot be made: the host's is mounted on a file. */
static int show_device(int source, int dir, const char *name, struct err *e)
{
	auto_close int target = -1;
	int rc;

	/* What is there already is not opened: it may be anything. */
	if (mknodat(dir, name, S_IFREG | 0666, 0) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the device %s", name);
	target = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return err_sys(e, "cannot make the device %s", name);
	rc = mount_attach(source, target);
	return rc < 0 ? err_code(e, rc, "cannot mount the device %s", name) : 0;
}

int rootfs_fill_dev(struct rootfs *r, int dev, struct err *e)
{
	mode_t old = umask(0);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(defaults); i++)
		rc = r->own_userns
			     ? show_device(r->devices[i], dev, defaults[i].name, e)
			     : make_node(dev, defaults[i].name, S_IFCHR | 0666,
					 makedev(defaults[i].major, defaults[i].minor), 0, 0, e);
	umask(old);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			rc = err_sys(e, "cannot make /dev/%s", links[i].name);
	return rc;
}

static int make_device(struct rootfs *r, size_t i, struct err *e)
{
	const struct spec_device *d = &r->spec->linux_.devices.v[i];
	mode_t type = d->type[0] == 'b' ? S_IFBLK : d->type[0] == 'p' ? S_IFIFO : S_IFCHR;
	mode_t mode = d->file_mode == SPEC_UNSET ? 0666 : (mode_t)(d->file_mode & 07777);
	dev_t dev = type == S_IFIFO ? 0
				    : makedev((unsigned int)MAX_OF(d->major, 0),
					      (unsigned int)MAX_OF(d->minor, 0));
	char name[256];
	auto_close int dir = path_open_parent(r->root, d->path, PATH_NO_LINKS, name);
	mode_t old;
	int rc;

	if (dir < 0)
		return err_code(e, dir, "cannot open the folder of the device %s", d->path);
	old = umask(0);
	rc = make_node(dir, name, type | mode, dev, d->uid == SPEC_UNSET ? 0 : (uid_t)d->uid,
		       d->gid == SPEC_UNSET ? 0 : (gid_t)d->gid, e);
	umask(old);
	return rc;
}

int rootfs_make_devices(struct rootfs *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->spec->linux_.devices.n; i++) {
		/* Reserved: it is the link to the container's own devpts, as runc has it. */
		if (strcmp(r->spec->linux_.devices.v[i].path, "/dev/ptmx") != 0)
			rc = make_device(r, i, e);
	}
	return rc;
}
