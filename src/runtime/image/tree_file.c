/*
 * Making files of every kind in the places that tree.c finds; see tree.h.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "runtime/image/tree_impl.h"

static void times_of(const struct tree_meta *meta, struct timespec ret[2])
{
	ret[0] = meta->mtime;
	ret[1] = meta->mtime;
}

/* Finds and clears the place of a member that is not a folder. */
static int tree_place(struct tree *t, const char *path, const char **ret_name, struct err *e)
{
	int rc = tree_parent(t, path, ret_name, e);

	if (rc == 0)
		rc = tree_claim(t, *ret_name, path, false, e);
	return rc < 0 ? rc : 0;
}

/* Owner, then mode (chown clears setuid). Links have no mode. */
int tree_file_own(const char *path, int fd, const struct tree_meta *meta, struct err *e)
{
	if (fchown(fd, meta->uid, meta->gid) < 0)
		return err_sys(e, "cannot set the owner of %s", path);
	if (fchmod(fd, meta->mode & 07777) < 0)
		return err_sys(e, "cannot set the mode of %s", path);
	return 0;
}

static int tree_own_at(int dirfd, const char *name, const char *path, bool link,
		       const struct tree_meta *meta, struct err *e)
{
	struct timespec times[2];

	times_of(meta, times);
	if (fchownat(dirfd, name, meta->uid, meta->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot set the owner of %s", path);
	if (!link && fchmodat(dirfd, name, meta->mode & 07777, 0) < 0)
		return err_sys(e, "cannot set the mode of %s", path);
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot set the time of %s", path);
	return 0;
}

static int tree_dir_remember(struct tree *t, const char *path, const struct tree_meta *meta,
			     struct err *e)
{
	(void)buf_add(&t->dir_times, &meta->mtime, sizeof meta->mtime);
	if (buf_add(&t->dir_times, path, strlen(path) + 1) < 0)
		return err_set(e, -EMSGSIZE, "the layer has too many folders");
	return 0;
}

int tree_dir(struct tree *t, const char *path, const struct tree_meta *meta, struct err *e)
{
	int rc = 0, claimed = TREE_IS_DIR;
	const char *name;

	if (*path) {
		rc = tree_parent(t, path, &name, e);
		if (rc < 0)
			return rc;
		claimed = tree_claim(t, name, path, true, e);
		if (claimed < 0)
			return claimed;
		if (claimed != TREE_IS_DIR && mkdirat(t->parent, name, 0700) < 0)
			return err_sys(e, "cannot make the folder %s", path);
	}
	rc = tree_enter(t, path, strlen(path), e);
	if (rc == 0 && claimed == TREE_WAS_HIDDEN)
		rc = tree_set_opaque(t->parent, path, e);
	if (rc == 0)
		rc = tree_file_own(path, t->parent, meta, e);
	return rc < 0 ? rc : tree_dir_remember(t, path, meta, e);
}

int tree_dir_open(struct tree *t, const char *path, int *ret_fd, struct err *e)
{
	int rc = tree_enter(t, path, strlen(path), e);

	if (rc < 0)
		return rc;
	*ret_fd = fcntl(t->parent, F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? err_sys(e, "cannot open the folder %s", path) : 0;
}

int tree_symlink(struct tree *t, const char *path, const char *target, const struct tree_meta *meta,
		 struct err *e)
{
	const char *name;
	int rc = tree_place(t, path, &name, e);

	if (rc < 0)
		return rc;
	if (symlinkat(target, t->parent, name) < 0)
		return err_sys(e, "cannot make the symbolic link %s", path);
	return tree_own_at(t->parent, name, path, true, meta, e);
}

int tree_hardlink(struct tree *t, const char *path, const char *target, struct err *e)
{
	const char *slash = strrchr(target, '/'), *name;
	auto_free char *dir = xstrndup(target, slash ? (size_t)(slash - target) : 0);
	auto_close int from = -1;
	int rc;

	if (strcmp(path, target) == 0)
		return err_set(e, -EINVAL, "%s is a hard link to itself", path);
	rc = tree_place(t, path, &name, e);
	if (rc < 0)
		return rc;
	from = tree_open_below(t->root, dir, O_PATH | O_DIRECTORY);
	if (from < 0)
		return err_code(e, from == -ELOOP ? -EINVAL : from,
				"the hard link %s leads to %s, which cannot be reached", path,
				target);
	/* Without AT_SYMLINK_FOLLOW a link at the end is linked itself, never followed. */
	if (linkat(from, slash ? slash + 1 : target, t->parent, name, 0) < 0)
		return err_sys(e, "cannot make the hard link %s to %s", path, target);
	return 0;
}

int tree_node(struct tree *t, const char *path, mode_t type, dev_t device,
	      const struct tree_meta *meta, struct err *e)
{
	const char *name;
	int rc;

	/* The image may not bring a whiteout of its own making: see tree_whiteout(). */
	if (S_ISCHR(type) && device == makedev(0, 0))
		return tree_whiteout(t, path, e);
	rc = tree_place(t, path, &name, e);
	if (rc < 0)
		return rc;
	if (mknodat(t->parent, name, type | 0600, device) < 0)
		return err_sys(e, "cannot make the device or pipe %s", path);
	return tree_own_at(t->parent, name, path, false, meta, e);
}

int tree_file(struct tree *t, const char *path, int *ret_fd, struct err *e)
{
	const char *name;
	int rc = tree_place(t, path, &name, e);

	if (rc < 0)
		return rc;
	*ret_fd =
		openat(t->parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? err_sys(e, "cannot make the file %s", path) : 0;
}

int tree_file_end(const char *path, int fd, const struct tree_meta *meta, struct err *e)
{
	struct timespec times[2];
	int rc = 0;

	times_of(meta, times);
	if (futimens(fd, times) < 0)
		rc = err_sys(e, "cannot set the time of %s", path);
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(e, "cannot write the file %s", path);
	return rc;
}

int tree_whiteout(struct tree *t, const char *path, struct err *e)
{
	const char *name;
	struct stat st;
	int rc = tree_parent(t, path, &name, e);

	if (rc < 0)
		return rc;
	if (mknodat(t->parent, name, S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, "cannot hide %s", path);
	if (fstatat(t->parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot look at %s", path);
	return S_ISDIR(st.st_mode) ? tree_opaque(t, path, e) : 0;
}

int tree_opaque(struct tree *t, const char *path, struct err *e)
{
	int rc = tree_enter(t, path, strlen(path), e);

	return rc < 0 ? rc : tree_set_opaque(t->parent, path, e);
}

static bool xattr_allowed(const char *name)
{
	if (strncmp(name, "user.", 5) == 0)
		return strncmp(name, "user.overlay.", 13) != 0;
	return strcmp(name, "security.capability") == 0 ||
	       strcmp(name, "system.posix_acl_access") == 0 ||
	       strcmp(name, "system.posix_acl_default") == 0;
}

int tree_xattr_fd(int fd, const char *path, const char *name, const void *value, size_t n,
		  struct err *e)
{
	if (!xattr_allowed(name))
		return 0;
	if (fsetxattr(fd, name, value, n, 0) == 0)
		return 0;
	/* A file system without user attributes is no reason to refuse an image; caps are. */
	if ((errno == ENOTSUP || errno == EPERM) && strcmp(name, "security.capability") != 0)
		return 0;
	return err_sys(e, "cannot set the attribute %s of %s", name, path);
}

int tree_finish(struct tree *t, struct err *e)
{
	tree_forget_parent(t);
	for (size_t at = 0; at < t->dir_times.len;) {
		struct tree_meta meta;
		struct timespec times[2];
		const char *path = t->dir_times.p + at + sizeof meta.mtime;
		auto_close int fd = tree_open_below(t->root, path, O_RDONLY | O_DIRECTORY);

		memcpy(&meta.mtime, t->dir_times.p + at, sizeof meta.mtime);
		times_of(&meta, times);
		/* A folder that later gave way to something else has no time to set. */
		if (fd >= 0 && futimens(fd, times) < 0)
			return err_sys(e, "cannot set the time of %s", path);
		at += sizeof meta.mtime + strlen(path) + 1;
	}
	return 0;
}
