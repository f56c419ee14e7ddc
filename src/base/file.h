/*
 * Whole-file reads and writes of the daemon's own files. Not for anything inside a container's
 * root: there every path goes through openat2 (runtime/container/path.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Adds all that `fd` still has to `ret`. 0, -EMSGSIZE past its bound, or another -errno. */
int file_read_fd(int fd, struct buf *ret);
/* Reads a file, relative to `dirfd`, into `ret` (its bound is the file's). 0 or -errno. */
int file_read_at(int dirfd, const char *path, struct buf *ret);
/* Writes all of it, however the kernel splits it. 0 or -errno. */
int file_write_fd(int fd, const void *p, size_t n);
/*
 * Replaces a file whole: a temporary neighbour, fsync, rename, fsync of the folder. Whoever reads
 * sees the old content or the new, also after a power cut. 0 or -errno; nothing is left behind.
 */
int file_write_atomic(int dirfd, const char *path, const void *p, size_t n, mode_t mode);
/* The same without waiting for the disk: for what means nothing after a power cut. */
int file_write_passing(int dirfd, const char *path, const void *p, size_t n, mode_t mode);
/* Makes a folder and its parents. Existing ones keep their mode. 0 or -errno with the reason. */
int dir_make(const char *path, mode_t mode, struct err *e);
/*
 * Removes what `path` names and all below it, however deep, never following a link and never
 * crossing into another file system. A missing path is 0.
 */
int dir_remove(int dirfd, const char *path, struct err *e);
/*
 * Locks the file for its holder alone, in at most `ms` milliseconds: 0, -EWOULDBLOCK when another
 * has it still, or -errno. A daemon that was killed may be outlived for a moment by a process that
 * it was just starting, which has its locks until it executes its program.
 */
int file_wait_lock(int fd, unsigned ms);
