/*
 * A small file system in memory below a folder of the host, for what must not be on a disk. Called
 * by the engine on the pool.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

/*
 * Makes `dir` and mounts a tmpfs on it that takes `bytes` in `files` files, for root alone, and is
 * never swapped where the kernel (6.4 on) knows how.
 */
int memory_mount(const char *dir, size_t bytes, size_t files, struct err *e);
/* Takes away whatever is mounted there, also of an earlier life. A missing one is 0. */
int memory_unmount(const char *dir, struct err *e);
