/*
 * The mount of type "cgroup": v2's one tree, or for v1 a tmpfs with a folder for each hierarchy,
 * each showing the container's own group as its root (its cgroup namespace sees to that).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/mount.h"
#include "runtime/container/path.h"
#include "runtime/container/rootfs.h"

#define PROC_CGROUP_MAX (16 << 10)

/* Mounts the hierarchy of `controllers` ("cpu,cpuacct" or "name=systemd") into its folder. */
static int mount_v1(int tmpfs, const char *controllers, uint64_t attrs, struct err *e)
{
	bool named = strncmp(controllers, "name=", 5) == 0;
	const char *name = named ? controllers + 5 : controllers;
	auto_free char *copy = xstrdup(controllers);
	struct spec_strs params = {0};
	auto_close int fd = -1;
	auto_close int dir = -1;
	int rc;

	if (named)
		spec_strs_add(&params, "none");
	for (char *save = NULL, *one = strtok_r(copy, ",", &save); one;
	     one = strtok_r(NULL, ",", &save)) {
		spec_strs_add(&params, one);
		/* Programs look for each controller by its own name. */
		if (!named && strcmp(one, controllers) != 0 &&
		    symlinkat(controllers, tmpfs, one) < 0) {
			spec_strs_done(&params);
			return err_sys(e, "cannot make /sys/fs/cgroup/%s", one);
		}
	}
	fd = mount_new("cgroup", "cgroup", &params, attrs, e);
	spec_strs_done(&params);
	if (fd < 0)
		return fd;
	if (mkdirat(tmpfs, name, 0755) < 0)
		return err_sys(e, "cannot make /sys/fs/cgroup/%s", name);
	dir = openat(tmpfs, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	rc = dir < 0 ? -errno : mount_attach(fd, dir);
	return rc < 0 ? err_code(e, rc, "cannot mount the control groups of %s", name) : 0;
}

/* Each line of /proc/self/cgroup is "number:controllers:path"; "0::" is v2's. */
static int mount_all_v1(struct rootfs *r, int tmpfs, uint64_t attrs, struct err *e)
{
	auto_buf text = BUF_INIT(PROC_CGROUP_MAX);
	auto_close int fd = path_open(r->proc, "self/cgroup", O_RDONLY, 0);
	int rc = fd < 0 ? fd : file_read_fd(fd, &text);
	char *save = NULL;

	if (rc < 0)
		return err_code(e, rc, "cannot read /proc/self/cgroup");
	if (text.len == 0)
		return 0;
	for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *first = strchr(line, ':');
		char *second = first ? strchr(first + 1, ':') : NULL;

		if (!second || second == first + 1)
			continue;
		*second = 0;
		rc = mount_v1(tmpfs, first + 1, attrs, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * Without a cgroup namespace a new mount would show the host's whole tree: the container's own
 * group is shown instead.
 */
static int show_group(const struct cgroup *c, const char *controller, int target, uint64_t attrs)
{
	/* Once more by its path: what our parent has opened is in its own mount namespace. */
	auto_free char *path = xasprintf("%s%s%s%s", CGROUP_ROOT, controller ? "/" : "",
					 controller ? controller : "", c->path);
	auto_close int fd = mount_clone_path(path, false, NULL);
	int rc = fd < 0 ? fd : mount_set(fd, attrs, 0, MS_PRIVATE, false);

	return rc < 0 ? rc : mount_attach(fd, target);
}

static int show_all_v1(struct rootfs *r, int tmpfs, uint64_t attrs, struct err *e)
{
	for (int h = 0; r->cgroup && h < CGROUP_HIERARCHIES; h++) {
		const char *name = cgroup_controller_name(h);
		auto_close int dir = -1;
		int rc;

		if (r->cgroup->dir[h] < 0 || !name)
			continue;
		if (mkdirat(tmpfs, name, 0755) < 0)
			return err_sys(e, "cannot make /sys/fs/cgroup/%s", name);
		dir = openat(tmpfs, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		rc = dir < 0 ? -errno : show_group(r->cgroup, name, dir, attrs);
		if (rc < 0)
			return err_code(e, rc, "cannot show the control group of %s", name);
	}
	return 0;
}

static int mount_v2(struct rootfs *r, const struct spec_mount *m, uint64_t attrs, int target,
		    struct err *e)
{
	auto_close int fd = -1;
	int rc;

	if (!r->own_cgroupns) {
		if (!r->cgroup)
			return err_set(e, -EINVAL,
				       "config.json: mounts: %.128s needs a control group or a "
				       "cgroup namespace",
				       m->destination);
		rc = show_group(r->cgroup, NULL, target, attrs);
	} else {
		fd = mount_new("cgroup2", "cgroup", NULL, attrs, e);
		if (fd < 0)
			return fd;
		rc = mount_attach(fd, target);
	}
	return rc < 0 ? err_code(e, rc, "cannot mount %s", m->destination) : 0;
}

int rootfs_cgroup_mount(struct rootfs *r, const struct spec_mount *m, uint64_t attrs, int target,
			struct err *e)
{
	bool v2 = access(CGROUP_ROOT "/cgroup.controllers", F_OK) == 0;
	struct spec_strs params = {0};
	auto_close int fd = -1;
	int rc;

	if (v2 || strcmp(m->type, "cgroup2") == 0)
		return mount_v2(r, m, attrs, target, e);
	spec_strs_add(&params, "mode=755");
	rootfs_add_label(r, "tmpfs", &params);
	fd = mount_new("tmpfs", "cgroup", &params, attrs & ~(uint64_t)MOUNT_ATTR_RDONLY, e);
	spec_strs_done(&params);
	if (fd < 0)
		return fd;
	rc = mount_attach(fd, target);
	if (rc < 0)
		return err_code(e, rc, "cannot mount %s", m->destination);
	rc = r->own_cgroupns ? mount_all_v1(r, fd, attrs, e) : show_all_v1(r, fd, attrs, e);
	if (rc == 0 && (attrs & MOUNT_ATTR_RDONLY))
		rc = mount_set(fd, MOUNT_ATTR_RDONLY, 0, 0, false);
	return rc;
}
