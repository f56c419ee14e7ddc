/*
 * tmpcopyup: what an image has in a folder, copied into the tmpfs that will cover it. Everything
 * is opened from descriptors and no link is followed; the container does not run yet.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/rootfs.h"

#define PIECE (1 << 20)

static int copy_dir(int from, int to, int depth, struct err *e);

static int copy_data(int from, int to)
{
	ssize_t n;

	do
		n = sendfile(to, from, NULL, PIECE);
	while (n > 0);
	return n < 0 ? -errno : 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	auto_close int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_close int out = -1;

	if (in < 0)
		return -errno;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	if (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0)
		return -errno;
	return copy_data(in, out);
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = 0;
	if (symlinkat(target, to, name) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_node(int to, const char *name, const struct stat *st)
{
	if (mknodat(to, name, st->st_mode, st->st_rdev) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_folder(int from, int to, const char *name, const struct stat *st, int depth,
		       struct err *e)
{
	auto_close int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int out = -1;
	int rc;

	if (in < 0)
		return -errno;
	if (mkdirat(to, name, 0700) < 0)
		return -errno;
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return -errno;
	rc = copy_dir(in, out, depth + 1, e);
	if (rc == 0 &&
	    (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0))
		rc = -errno;
	return rc;
}

static int copy_one(int from, int to, const char *name, int depth, struct err *e)
{
	struct stat st;
	int rc;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot look at %.64s", name);
	if (S_ISDIR(st.st_mode))
		rc = copy_folder(from, to, name, &st, depth, e);
	else if (S_ISREG(st.st_mode))
		rc = copy_file(from, to, name, &st);
	else if (S_ISLNK(st.st_mode))
		rc = copy_link(from, to, name, &st);
	else
		rc = copy_node(to, name, &st);
	return rc < 0 && !(e && e->code) ? err_code(e, rc, "cannot copy %.64s", name) : rc;
}

static int copy_dir(int from, int to, int depth, struct err *e)
{
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	int rc = 0;

	if (!d) {
		fd_close_at(&copy);
		return err_sys(e, "cannot read a folder");
	}
	if (depth > LIMIT_LAYER_DEPTH)
		rc = err_set(e, -ELOOP, "folders are nested more than %d deep", LIMIT_LAYER_DEPTH);
	while (rc == 0 && (de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			rc = copy_one(from, to, de->d_name, depth, e);
	closedir(d);
	return rc;
}

int rootfs_copy_up(int from, int to, bool take_mode, struct err *e)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_sys(e, "cannot look at the folder");
	if (take_mode && (fchmodat(to, ".", st.st_mode & 07777, 0) < 0 ||
			  fchownat(to, ".", st.st_uid, st.st_gid, 0) < 0))
		return err_sys(e, "cannot take over the folder's mode");
	return copy_dir(from, to, 0, e);
}
