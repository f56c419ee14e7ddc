/*
 * Before the log is loaded: segments that raft_uv had only set aside. It would read each of them, 8
 * MiB of zeros, to find that out and remove it, and the daemon's start would wait for that. Part of
 * the raft disk.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "manager/raft_disk_impl.h"

/* Nothing was ever written to it. Where the file system cannot tell, it seems to be written. */
static bool is_blank(int dirfd, const char *name)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

void disk_trim(const struct raft_disk *d)
{
	DIR *dir = opendir(d->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "open-", strlen("open-")) == 0 &&
		    is_blank(dirfd(dir), entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		(void)closedir(dir);
}
