/*
 * linux.mountLabel: the SELinux label of the file systems that are made for a container. proc and
 * sysfs keep the labels that the policy gives to their files, and what is bound keeps its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/path.h"
#include "runtime/container/rootfs.h"

#define OPTION "context="
#define FILE_SYSTEMS_MAX 8192 /* bytes of /proc/filesystems */

static const char *label_of(const struct rootfs *r)
{
	const char *label = r->spec->linux_.mount_label;

	return label && *label ? label : NULL;
}

/* Where SELinux is off its own file system is not there either. */
static bool has_selinux(int proc)
{
	auto_close int fd = path_open(proc, "filesystems", O_RDONLY, 0);
	char text[FILE_SYSTEMS_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return strstr(text, "\tselinuxfs\n");
}

int rootfs_check_label(const struct rootfs *r, struct err *e)
{
	if (!label_of(r) || has_selinux(r->proc))
		return 0;
	return err_set(e, -ENOSYS,
		       "cannot set linux.mountLabel %.128s: SELinux is not in this kernel, or is "
		       "off",
		       label_of(r));
}

void rootfs_add_label(const struct rootfs *r, const char *type, struct spec_strs *params)
{
	static const char *const without[] = {"proc", "sysfs", "mqueue"};
	auto_free char *option = NULL;

	if (!label_of(r))
		return;
	for (size_t i = 0; i < ARRAY_LEN(without); i++)
		if (strcmp(type, without[i]) == 0)
			return;
	/* What the mount itself says counts. */
	for (size_t i = 0; i < params->n; i++)
		if (strncmp(params->v[i], OPTION, strlen(OPTION)) == 0)
			return;
	option = xasprintf(OPTION "%s", label_of(r));
	spec_strs_add(params, option);
}

int rootfs_set_label(const struct rootfs *r, const char *type, int fd, struct err *e)
{
	const char *label = label_of(r);
	auto_close int dir = -1;

	if (!label || strcmp(type, "mqueue") != 0)
		return 0;
	dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsetxattr(dir, "security.selinux", label, strlen(label) + 1, 0) < 0)
		return err_sys(e, "cannot set linux.mountLabel %.128s of %s", label, type);
	return 0;
}
