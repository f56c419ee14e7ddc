/*
 * See file.h.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"

#define FILE_READ_STEP (64u << 10)
#define DIR_REMOVE_DEPTH 64 /* folders open at once while removing */

int file_read_fd(int fd, struct buf *ret)
{
	for (;;) {
		size_t room = MIN_OF((size_t)FILE_READ_STEP, ret->max - ret->len);
		ssize_t n;
		char probe;

		if (room == 0) { /* at the bound: only the end of the file may follow */
			n = read(fd, &probe, 1);
			if (n == 0)
				return 0;
			if (n > 0)
				return -EMSGSIZE;
		} else {
			(void)buf_reserve(ret, room);
			n = read(fd, ret->p + ret->len, room);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		ret->len += (size_t)n;
		ret->p[ret->len] = '\0';
	}
	if (ret->p)
		ret->p[ret->len] = '\0';
	return 0;
}

int file_read_at(int dirfd, const char *path, struct buf *ret)
{
	auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return file_read_fd(fd, ret);
}

int file_write_fd(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

static int dir_sync_parent(int dirfd, const char *path)
{
	auto_free char *copy = xstrdup(path);
	char *slash = strrchr(copy, '/');
	auto_close int fd = -1;

	if (slash)
		slash[slash == copy] = '\0';
	fd = openat(dirfd, slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static int file_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode,
			bool durable)
{
	auto_free char *tmp = xasprintf("%s.%016lx.tmp", path, (unsigned long)random_u64());
	auto_close int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int rc;

	if (fd < 0)
		return -errno;
	rc = file_write_fd(fd, p, n);
	if (rc == 0 && durable && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		rc = -errno;
	if (rc < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return rc;
	}
	return durable ? dir_sync_parent(dirfd, path) : 0;
}

int file_write_atomic(int dirfd, const char *path, const void *p, size_t n, mode_t mode)
{
	return file_replace(dirfd, path, p, n, mode, true);
}

int file_write_passing(int dirfd, const char *path, const void *p, size_t n, mode_t mode)
{
	return file_replace(dirfd, path, p, n, mode, false);
}

int dir_make(const char *path, mode_t mode, struct err *e)
{
	auto_free char *copy = xstrdup(path);
	struct stat st;

	for (char *s = copy + (*copy == '/');; s++) {
		char c = *s;

		if (c != '/' && c != '\0')
			continue;
		*s = '\0';
		if (*copy && mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_sys(e, "cannot make the folder %s", copy);
		*s = c;
		if (c == '\0')
			break;
	}
	if (stat(path, &st) < 0)
		return err_sys(e, "cannot look at the folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, -ENOTDIR, "%s is not a folder", path);
	return 0;
}

/* One removal. What lies too deep is moved up into the folder that is being removed. */
struct removal {
	int top;
	dev_t dev;
	bool moved;
};

static int dir_empty(struct removal *r, int fd, int depth);

static int dir_remove_folder(struct removal *r, int dirfd, const char *name, int depth)
{
	char moved[32];
	struct stat st;
	int rc, fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -EPERM;
	if (st.st_dev != r->dev)
		return -EXDEV;
	if (depth >= DIR_REMOVE_DEPTH) {
		(void)snprintf(moved, sizeof moved, ".removed-%016llx",
			       (unsigned long long)random_u64());
		r->moved = true;
		return renameat(dirfd, name, r->top, moved) < 0 ? -errno : 0;
	}
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = dir_empty(r, fd, depth + 1);
	if (rc < 0)
		return rc;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int dir_remove_one(struct removal *r, int dirfd, const char *name, int depth)
{
	int rc;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	rc = dir_remove_folder(r, dirfd, name, depth);
	return rc == -ENOENT ? 0 : rc;
}

/* Takes the descriptor over. */
static int dir_empty(struct removal *r, int fd, int depth)
{
	DIR *dir = fdopendir(fd);
	int rc = 0;

	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	for (struct dirent *d; rc == 0 && (d = readdir(dir));)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = dir_remove_one(r, fd, d->d_name, depth);
	closedir(dir);
	return rc;
}

static int dir_remove_all(int dirfd, const char *path)
{
	auto_close int top = -1;
	struct removal r;
	struct stat st;
	int rc, fd;

	if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	top = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(top, &st) < 0)
		return -errno;
	r = (struct removal){.top = top, .dev = st.st_dev};
	do {
		r.moved = false;
		fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = fd < 0 ? -errno : dir_empty(&r, fd, 0);
	} while (rc == 0 && r.moved);
	if (rc < 0)
		return rc;
	return unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int dir_remove(int dirfd, const char *path, struct err *e)
{
	int rc = dir_remove_all(dirfd, path);

	return rc < 0 ? err_code(e, rc, "cannot remove %s", path) : 0;
}

#define LOCK_LOOK_MS 20

int file_wait_lock(int fd, unsigned ms)
{
	uint64_t end = clock_mono_ms() + ms;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_mono_ms() >= end)
			return -errno;
		(void)poll(NULL, 0, LOCK_LOOK_MS);
	}
	return 0;
}
