/*
 * See memory_mount.h.
 */
#include "runtime/container/memory_mount.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PAGE 4096

int memory_mount(const char *dir, size_t bytes, size_t files, struct err *e)
{
	char options[128];
	int rc = -EINVAL;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make %s", dir);
	bytes += files * PAGE; /* each file begins a page; the folder is an inode too */
	for (int i = 0; rc == -EINVAL && i < 2; i++) {
		(void)snprintf(options, sizeof options, "mode=0700,size=%zu,nr_inodes=%zu%s", bytes,
			       files + 1, i == 0 ? ",noswap" : "");
		rc = mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0
			     ? -errno
			     : 0;
	}
	if (rc < 0)
		return err_code(e, rc, "cannot mount memory on %s", dir);
	if (mount(NULL, dir, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(e, "cannot keep %s apart", dir);
	return 0;
}

int memory_unmount(const char *dir, struct err *e)
{
	while (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	return errno == EINVAL || errno == ENOENT ? 0 : err_sys(e, "cannot unmount %s", dir);
}
