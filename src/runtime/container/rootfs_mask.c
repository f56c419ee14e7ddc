/*
 * Masked paths (a null device over files, an empty read-only folder over folders) and read-only
 * paths. Missing ones are passed over. A path is opened once, below the root, and what was opened
 * is covered.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/mount.h"
#include "runtime/container/path.h"
#include "runtime/container/rootfs.h"

/* The target, or -ENOENT where there is nothing to protect. */
static int open_path(struct rootfs *r, const char *path, struct err *e)
{
	int fd = path_open(r->root, path, O_PATH, 0);

	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT;
	return fd < 0 ? err_code(e, fd, "cannot open %s inside the root", path) : fd;
}

static int make_empty(const struct rootfs *r, struct err *e)
{
	struct spec_strs params = {0};
	int fd;

	rootfs_add_label(r, "tmpfs", &params);
	fd = mount_new("tmpfs", "tmpfs", &params,
		       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		       e);
	spec_strs_done(&params);
	return fd;
}

static int mask_one(struct rootfs *r, const char *path, int *empty, struct err *e)
{
	auto_close int target = open_path(r, path, e);
	auto_close int cover = -1;
	struct stat st;
	int rc;

	if (target < 0)
		return target == -ENOENT ? 0 : target;
	if (fstat(target, &st) < 0)
		return err_sys(e, "cannot look at %s", path);
	if (!S_ISDIR(st.st_mode)) {
		cover = mount_clone_fd(r->null, false);
		/* A mount that our parent has made is copied only once it is attached itself. */
		if (cover == -EINVAL && r->own_userns)
			cover = fcntl(r->null, F_DUPFD_CLOEXEC, 3);
		rc = cover >= 0 && r->null_of_host
			     ? mount_set(cover, MOUNT_ATTR_RDONLY, 0, 0, false)
			     : 0;
		if (rc < 0)
			return err_code(e, rc, "cannot mask %s", path);
	} else {
		/* One empty file system serves all folders; the first copy is attached itself. */
		if (*empty < 0) {
			*empty = make_empty(r, e);
			if (*empty < 0)
				return *empty;
			rc = mount_attach(*empty, target);
			return rc < 0 ? err_code(e, rc, "cannot mask %s", path) : 0;
		}
		cover = mount_clone_fd(*empty, false);
	}
	rc = cover < 0 ? cover : mount_attach(cover, target);
	return rc < 0 ? err_code(e, rc, "cannot mask %s", path) : 0;
}

static int readonly_one(struct rootfs *r, const char *path, struct err *e)
{
	auto_close int target = open_path(r, path, e);
	auto_close int cover = -1;
	int rc;

	if (target < 0)
		return target == -ENOENT ? 0 : target;
	cover = mount_clone_fd(target, true);
	rc = cover < 0 ? cover : mount_set(cover, MOUNT_ATTR_RDONLY, 0, 0, true);
	if (rc == 0)
		rc = mount_attach(cover, target);
	return rc < 0 ? err_code(e, rc, "cannot make %s read-only", path) : 0;
}

int rootfs_mask(struct rootfs *r, struct err *e)
{
	const struct spec_linux *l = &r->spec->linux_;
	auto_close int empty = -1;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->readonly_paths.n; i++)
		rc = readonly_one(r, l->readonly_paths.v[i], e);
	for (size_t i = 0; rc == 0 && i < l->masked_paths.n; i++)
		rc = mask_one(r, l->masked_paths.v[i], &empty, e);
	return rc;
}
