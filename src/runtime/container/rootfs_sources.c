/*
 * What a container shows of the host, opened on the host: see rootfs_sources(). The one place
 * where the runtime resolves the paths of config.json that are the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/mount.h"
#include "runtime/container/rootfs.h"
#include "runtime/container/userns.h"

bool rootfs_needs_parent(const struct spec *s)
{
	/* A user who may not mount on the host may do so in the container's own namespaces. */
	if (geteuid() != 0)
		return false;
	if (spec_has_namespace(s, "user"))
		return true;
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct spec_mount *m = &s->mounts.v[i];

		if (m->uid_maps.n)
			return true;
		for (size_t k = 0; k < m->options.n; k++)
			if (strcmp(m->options.v[k], "idmap") == 0 ||
			    strcmp(m->options.v[k], "ridmap") == 0)
				return true;
	}
	return false;
}

/* `shared` is the namespace with the container's own maps, made when it is first wanted. */
static int set_idmap(struct rootfs *r, size_t i, bool recursive, int *shared, struct err *e)
{
	const struct spec_mount *m = &r->spec->mounts.v[i];
	const struct spec_linux *l = &r->spec->linux_;
	auto_close int own = -1;
	int rc;

	if (m->uid_maps.n) {
		own = userns_make(&m->uid_maps, &m->gid_maps, e);
		if (own < 0)
			return own;
	} else if (!l->uid_maps.n || !l->gid_maps.n) {
		return err_set(e, -EINVAL,
			       "config.json: mounts: the idmap of %.128s needs mappings, its own "
			       "or those of linux.uidMappings",
			       m->destination);
	} else if (*shared < 0) {
		*shared = userns_make(&l->uid_maps, &l->gid_maps, e);
		if (*shared < 0)
			return *shared;
	}
	rc = mount_set_idmap(r->sources[i], own >= 0 ? own : *shared, recursive);
	return rc < 0 ? err_code(e, rc,
				 "cannot map the owners of %s (does its file system allow it?)",
				 m->source)
		      : 0;
}

static int open_source(struct rootfs *r, size_t i, int *shared, struct err *e)
{
	const struct spec_mount *m = &r->spec->mounts.v[i];
	CLEANUP(mount_options_done) struct mount_options o = {0};
	int rc;

	if (!rootfs_is_bind(m))
		return 0;
	if (!m->source)
		return err_set(e, -EINVAL,
			       "config.json: mounts: the bind mount on %.128s "
			       "has no source",
			       m->destination);
	rc = mount_options_parse(m, &o, e);
	if (rc < 0)
		return rc;
	r->sources[i] = mount_clone_path(m->source, o.recursive, e);
	if (r->sources[i] < 0)
		return r->sources[i];
	return o.idmap ? set_idmap(r, i, o.idmap_rec, shared, e) : 0;
}

/* A mount of the host's device, which must be the one that config.json means. */
static int open_device(const char *path, mode_t type, dev_t dev, struct err *e)
{
	auto_close int fd = mount_clone_path(path, false, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != type || st.st_rdev != dev)
		return err_set(e, -EINVAL,
			       "%s of the host is not the device that the container is to have",
			       path);
	return TAKE_FD(fd);
}

static int open_devices(struct rootfs *r, struct err *e)
{
	const struct spec_linux *l = &r->spec->linux_;
	unsigned int major, minor;
	const char *name;
	size_t n = 0;

	while (rootfs_default_device(n, &major, &minor))
		n++;
	r->devices = xcalloc(n + l->devices.n, sizeof(*r->devices));
	for (size_t i = 0; i < n + l->devices.n; i++)
		r->devices[i] = -1;
	for (size_t i = 0; (name = rootfs_default_device(i, &major, &minor)); i++) {
		auto_free char *path = xasprintf("/dev/%s", name);

		r->devices[i] = open_device(path, S_IFCHR, makedev(major, minor), e);
		if (r->devices[i] < 0)
			return r->devices[i];
	}
	for (size_t i = 0; i < l->devices.n; i++) {
		const struct spec_device *d = &l->devices.v[i];

		if (d->type[0] == 'p')
			continue;
		r->devices[n + i] = open_device(d->path, d->type[0] == 'b' ? S_IFBLK : S_IFCHR,
						makedev((unsigned int)MAX_OF(d->major, 0),
							(unsigned int)MAX_OF(d->minor, 0)),
						e);
		if (r->devices[n + i] < 0)
			return r->devices[n + i];
	}
	return 0;
}

/* Before the namespace is made private: a copy of a shared mount stays in its group. */
int rootfs_sources(struct rootfs *r, struct err *e)
{
	size_t n = r->spec->mounts.n;
	auto_close int shared = -1;
	int rc = 0;

	r->sources = xcalloc(n + 1, sizeof(*r->sources));
	r->mounted = xcalloc(n + 1, sizeof(*r->mounted));
	r->late_ro = xcalloc(n + 1, sizeof(*r->late_ro));
	for (size_t i = 0; i < n; i++)
		r->sources[i] = r->mounted[i] = -1;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = open_source(r, i, &shared, e);
	if (rc == 0 && r->own_userns)
		rc = open_devices(r, e);
	if (rc < 0 || (r->overlay && r->overlay->lower.n))
		return rc;
	if (!r->spec->root.path)
		return err_set(e, -EINVAL, "config.json: root.path is missing");
	r->root = mount_clone_path(r->spec->root.path, true, e);
	return r->root < 0 ? r->root : 0;
}

void rootfs_done(struct rootfs *r)
{
	unsigned int major, minor;
	size_t n = 0;

	while (rootfs_default_device(n, &major, &minor))
		n++;
	for (size_t i = 0; r->sources && i < r->spec->mounts.n; i++)
		fd_close_at(&r->sources[i]);
	for (size_t i = 0; r->devices && i < n + r->spec->linux_.devices.n; i++)
		fd_close_at(&r->devices[i]);
	free(r->sources);
	free(r->mounted);
	free(r->late_ro);
	free(r->devices);
	fd_close_at(&r->root);
	*r = ROOTFS_INIT;
}
