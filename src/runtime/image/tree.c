/*
 * Finding and making the places of a layer's files; see tree.h. What is put there is in
 * tree_file.c.
 */
#include "runtime/image/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/image/tree_impl.h"

int tree_open_below(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	long fd;

	do /* EAGAIN: a rename elsewhere in the file system raced with ".." checks */
		fd = syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof how);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

bool tree_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Gives a folder that no member describes the metadata that it has in the layers below. */
static int tree_inherit(struct tree *t, int fd, const char *path, struct err *e)
{
	struct stat st = {.st_mode = 0755};

	STRS_EACH (lower, t->lowers) {
		auto_close int base = open(lower, O_PATH | O_DIRECTORY | O_CLOEXEC);
		auto_close int same = -1;

		if (base < 0)
			return err_sys(e, "cannot open the layer below, %s", lower);
		same = tree_open_below(base, path, O_PATH | O_DIRECTORY);
		if (same == -ENOENT)
			continue;
		if (same >= 0 && fstat(same, &st) < 0)
			return err_sys(e, "cannot look at %s in the layer below", path);
		break;
	}
	if (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0)
		return err_sys(e, "cannot make the folder %s", path);
	return 0;
}

int tree_init(struct tree *t, int root, const struct strs *lowers, struct err *e)
{
	*t = (struct tree){.root = root, .lowers = lowers, .parent = -1};
	buf_init(&t->parent_path, PATH_MAX);
	buf_init(&t->dir_times, LIMIT_LAYER_HEADERS);
	return tree_inherit(t, root, "", e);
}

void tree_done(struct tree *t)
{
	if (t->parent >= 0)
		close(t->parent);
	t->parent = -1;
	buf_done(&t->parent_path);
	buf_done(&t->dir_times);
}

int tree_path(const char *name, struct buf *ret, struct err *e)
{
	int depth = 0;

	buf_reset(ret);
	for (const char *at = name; *at;) {
		size_t n = strcspn(at, "/");

		if (n == 2 && at[0] == '.' && at[1] == '.')
			return err_set(e, -EINVAL, "the member \"%.200s\" leads out of the layer",
				       name);
		if (n > 0 && !(n == 1 && at[0] == '.')) {
			if (++depth > LIMIT_LAYER_DEPTH)
				return err_set(e, -EINVAL,
					       "the member \"%.200s\" is more than %d folders deep",
					       name, LIMIT_LAYER_DEPTH);
			if (ret->len > 0)
				(void)buf_addc(ret, '/');
			(void)buf_add(ret, at, n);
		}
		at += n;
		at += *at == '/';
	}
	if (buf_status(ret) < 0 || ret->len >= PATH_MAX - 1)
		return err_set(e, -EINVAL, "the member \"%.200s...\" has too long a name", name);
	return 0;
}

/* A new folder at `name` of `dirfd`, open. */
static int tree_mkdir(struct tree *t, int dirfd, const char *name, const char *path, struct err *e)
{
	auto_close int fd = -1;
	int rc;

	if (mkdirat(dirfd, name, 0700) < 0)
		return err_sys(e, "cannot make the folder %s", path);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open the folder %s", path);
	rc = tree_inherit(t, fd, path, e);
	return rc < 0 ? rc : TAKE_FD(fd);
}

int tree_set_opaque(int fd, const char *path, struct err *e)
{
	if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
		return err_sys(e, "cannot hide what lies under the folder %s", path);
	return 0;
}

/* One step down. A folder that is missing is made; one that was hidden becomes opaque. */
static int tree_step(struct tree *t, int dirfd, const char *name, const char *path, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return tree_mkdir(t, dirfd, name, path, e);
	if (errno != ENOTDIR && errno != ELOOP)
		return err_sys(e, "cannot open the folder %s", path);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot look at %s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(e, -EINVAL,
			       "a member lies behind the symbolic link %s: links are not followed",
			       path);
	if (!tree_is_whiteout(&st))
		return err_set(e, -EINVAL, "a member lies below %s, which is not a folder", path);
	if (unlinkat(dirfd, name, 0) < 0)
		return err_sys(e, "cannot replace %s", path);
	fd = tree_mkdir(t, dirfd, name, path, e);
	if (fd < 0)
		return fd;
	rc = tree_set_opaque(fd, path, e);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int tree_walk(struct tree *t, const char *path, struct err *e)
{
	auto_free char *part = xstrdup(path);
	auto_close int at = fcntl(t->root, F_DUPFD_CLOEXEC, 0);

	if (at < 0)
		return err_sys(e, "cannot open the layer's root");
	for (char *name = part, *end; name; name = end ? end + 1 : NULL) {
		int next;

		end = strchr(name, '/');
		if (end)
			*end = '\0';
		next = tree_step(t, at, name, part, e);
		if (end)
			*end = '/';
		if (next < 0)
			return next;
		close(at);
		at = next;
	}
	return TAKE_FD(at);
}

void tree_forget_parent(struct tree *t)
{
	if (t->parent >= 0)
		close(t->parent);
	t->parent = -1;
	buf_reset(&t->parent_path);
}

int tree_enter(struct tree *t, const char *path, size_t n, struct err *e)
{
	auto_free char *dir = xstrndup(path, n);
	int fd;

	if (t->parent >= 0 && t->parent_path.len == n &&
	    memcmp(buf_text(&t->parent_path), dir, n) == 0)
		return 0;
	tree_forget_parent(t);
	fd = tree_open_below(t->root, dir, O_RDONLY | O_DIRECTORY);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		fd = tree_walk(t, dir, e);
	else if (fd < 0)
		return err_code(e, fd, "cannot open the folder %s", dir);
	if (fd < 0)
		return fd;
	t->parent = fd;
	return buf_add(&t->parent_path, dir, n);
}

int tree_parent(struct tree *t, const char *path, const char **ret_name, struct err *e)
{
	const char *slash = strrchr(path, '/');

	if (*path == '\0')
		return err_set(e, -EINVAL, "the layer's root is not given as a folder");
	*ret_name = slash ? slash + 1 : path;
	return tree_enter(t, path, slash ? (size_t)(slash - path) : 0, e);
}

int tree_claim(struct tree *t, const char *name, const char *path, bool dir, struct err *e)
{
	struct stat st;

	if (fstatat(t->parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? TREE_FREE : err_sys(e, "cannot look at %s", path);
	if (dir && S_ISDIR(st.st_mode))
		return TREE_IS_DIR;
	if (tree_is_whiteout(&st)) {
		if (unlinkat(t->parent, name, 0) < 0)
			return err_sys(e, "cannot replace %s", path);
		return TREE_WAS_HIDDEN;
	}
	t->replaced = true;
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(t->parent, name, 0) < 0)
			return err_sys(e, "cannot replace %s", path);
		return TREE_FREE;
	}
	return dir_remove(t->parent, name, e);
}
