/*
 * Paths inside a container's root: see path.h.
 */
#include "runtime/container/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#define TRIES 64 /* for EAGAIN: something was renamed on the way */
#define DEPTH 64 /* folders that one call may make, and links it may follow */
#define LINK_MAX_LEN 4095

int path_open(int root_fd, const char *path, int flags, unsigned int path_flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	if (path_flags & PATH_NO_LINKS)
		how.resolve |= RESOLVE_NO_SYMLINKS;
	for (int i = 0; i < TRIES; i++) {
		int fd = (int)syscall(SYS_openat2, root_fd, *path ? path : "/", &how, sizeof(how));

		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

/* Splits off the last component: its length in *ret_n, NULL when there is none. */
static const char *last_component(const char *path, size_t *ret_head, size_t *ret_n)
{
	size_t n = strlen(path);
	size_t start;

	/* Slashes and "." at the end name what is before them. */
	while (n && (path[n - 1] == '/' || (path[n - 1] == '.' && (n == 1 || path[n - 2] == '/'))))
		n--;
	start = n;
	while (start && path[start - 1] != '/')
		start--;
	if (start == n)
		return NULL;
	*ret_head = start;
	*ret_n = n - start;
	return path + start;
}

static int make_dir(int root_fd, const char *path, unsigned int path_flags, int depth);

static int open_parent(int root_fd, const char *path, unsigned int path_flags, char *ret_name,
		       int depth)
{
	size_t head, n;
	const char *last = last_component(path, &head, &n);
	auto_free char *parent = NULL;

	if (!last || n > 255 || (n == 2 && memcmp(last, "..", 2) == 0))
		return -EINVAL;
	memcpy(ret_name, last, n);
	ret_name[n] = 0;
	parent = xstrndup(path, head);
	return make_dir(root_fd, parent, path_flags, depth + 1);
}

/*
 * Where the dangling link `name` in the folder of `path` leads, as a path to try instead. It is
 * opened below the root like any other, so a wrong guess leads nowhere but inside.
 */
static char *follow_dangling(int parent, const char *path, const char *name)
{
	char target[LINK_MAX_LEN + 1];
	ssize_t n = readlinkat(parent, name, target, LINK_MAX_LEN);
	size_t head = 0, len;

	if (n <= 0)
		return NULL;
	target[n] = 0;
	if (target[0] == '/')
		return xstrdup(target);
	(void)last_component(path, &head, &len);
	return xasprintf("%.*s%s", (int)head, path, target);
}

static int make_dir(int root_fd, const char *path, unsigned int path_flags, int depth)
{
	char name[256];
	auto_close int parent = -1;
	auto_free char *instead = NULL;
	int fd = path_open(root_fd, path, O_PATH | O_DIRECTORY, path_flags);

	if (fd != -ENOENT)
		return fd;
	if (depth > DEPTH)
		return -ELOOP;
	parent = open_parent(root_fd, path, path_flags, name, depth);
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* Once more from the root: the name may be a link to somewhere in it, even to nothing. */
	fd = path_open(root_fd, path, O_PATH | O_DIRECTORY, path_flags);
	if (fd != -ENOENT || (path_flags & PATH_NO_LINKS))
		return fd;
	instead = follow_dangling(parent, path, name);
	return instead ? make_dir(root_fd, instead, path_flags, depth + 1) : -ENOENT;
}

int path_make_dir(int root_fd, const char *path, unsigned int path_flags)
{
	return make_dir(root_fd, path, path_flags, 0);
}

int path_open_parent(int root_fd, const char *path, unsigned int path_flags, char *ret_name)
{
	return open_parent(root_fd, path, path_flags, ret_name, 0);
}

static int make_file(int root_fd, const char *path, unsigned int path_flags, int depth)
{
	char name[256];
	auto_close int parent = -1;
	auto_close int made = -1;
	auto_free char *instead = NULL;
	int fd = path_open(root_fd, path, O_PATH, path_flags);

	if (fd != -ENOENT)
		return fd;
	if (depth > DEPTH)
		return -ELOOP;
	parent = open_parent(root_fd, path, path_flags, name, depth);
	if (parent < 0)
		return parent;
	made = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (made < 0 && errno != EEXIST)
		return -errno;
	fd = path_open(root_fd, path, O_PATH, path_flags);
	if (fd != -ENOENT || (path_flags & PATH_NO_LINKS))
		return fd;
	instead = follow_dangling(parent, path, name);
	return instead ? make_file(root_fd, instead, path_flags, depth + 1) : -ENOENT;
}

int path_make_file(int root_fd, const char *path, unsigned int path_flags)
{
	return make_file(root_fd, path, path_flags, 0);
}

char *path_fd_text(int fd, char ret[64])
{
	snprintf(ret, 64, "/proc/self/fd/%d", fd);
	return ret;
}
