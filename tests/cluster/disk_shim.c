/*
 * Put under a daemon by LD_PRELOAD, it lets one kind of file call fail with EIO on files of the
 * folder named by FAULT_DIR, as a broken disk does, from the moment that the file named by
 * FAULT_ARMED is there: its content is the call's name. libuv's and libraft's calls go through
 * libc's functions or syscall(2), so both are caught. Of tests/cluster/test_disks.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The next definition of a function that this library replaces. */
#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
	static long (*next)(long, ...);

	if (!next)
		next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return next(number, a, b, c, d, e, f);
}

/* Whether that call is to fail now. */
static int armed(const char *call)
{
	const char *path = getenv("FAULT_ARMED");
	char text[64] = "";
	long fd, n;

	if (!path)
		return 0;
	fd = raw(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return 0;
	n = raw(SYS_read, fd, (long)text, sizeof(text) - 1, 0, 0, 0);
	raw(SYS_close, fd, 0, 0, 0, 0, 0);
	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	return strcmp(text, call) == 0;
}

static int is_ours(const char *path)
{
	const char *dir = getenv("FAULT_DIR");

	return dir && strncmp(path, dir, strlen(dir)) == 0;
}

static int fails_fd(const char *call, int fd)
{
	char link[64], path[4096];
	int saved = errno;
	long n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = raw(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, sizeof(path) - 1, 0, 0);
	errno = saved;
	if (n <= 0)
		return 0;
	path[n] = '\0';
	return is_ours(path) && armed(call);
}

static int fails_path(const char *call, const char *path)
{
	int saved = errno, fails = is_ours(path) && armed(call);

	errno = saved;
	return fails;
}

static int eio(void)
{
	errno = EIO;
	return -1;
}

ssize_t write(int fd, const void *p, size_t n)
{
	return fails_fd("write", fd) ? eio() : NEXT(write)(fd, p, n);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	return fails_fd("write", fd) ? eio() : NEXT(writev)(fd, v, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails_fd("write", fd) ? eio() : NEXT(pwrite)(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return fails_fd("write", fd) ? eio() : NEXT(pwrite64)(fd, p, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return fails_fd("pwritev", fd) ? eio() : NEXT(pwritev)(fd, v, n, at);
}

ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	return fails_fd("pwritev", fd) ? eio() : NEXT(pwritev2)(fd, v, n, at, flags);
}

int fsync(int fd)
{
	return fails_fd("fsync", fd) ? eio() : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
	return fails_fd("fsync", fd) ? eio() : NEXT(fdatasync)(fd);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	return fails_fd("fallocate", fd) ? EIO : NEXT(posix_fallocate)(fd, at, n);
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
	return fails_fd("fallocate", fd) ? EIO : NEXT(posix_fallocate64)(fd, at, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return fails_fd("fallocate", fd) ? eio() : NEXT(fallocate)(fd, mode, at, n);
}

int ftruncate(int fd, off_t n)
{
	return fails_fd("ftruncate", fd) ? eio() : NEXT(ftruncate)(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
	return fails_fd("ftruncate", fd) ? eio() : NEXT(ftruncate64)(fd, n);
}

int rename(const char *from, const char *to)
{
	return fails_path("rename", to) ? eio() : NEXT(rename)(from, to);
}

static long submit(long context, long n, struct iocb **all)
{
	for (long i = 0; i < n; i++)
		if (fails_fd("pwritev", (int)all[i]->aio_fildes))
			return eio();
	return raw(SYS_io_submit, context, n, (long)all, 0, 0, 0);
}

/* libraft and libuv call some of the kernel's without a function of libc. */
long syscall(long number, ...)
{
	va_list args;
	long a[6];

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_io_submit)
		return submit(a[0], a[1], (struct iocb **)a[2]);
	if ((number == SYS_pwritev || number == SYS_pwritev2) && fails_fd("pwritev", (int)a[0]))
		return eio();
	return raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
