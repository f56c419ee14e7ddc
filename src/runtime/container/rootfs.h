/*
 * A container's file system, made by its own init in its private mount namespace: the root, the
 * mounts, /dev, what is masked or read-only, and the change of root. Called by init.c in this
 * order; each step works on descriptors.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "runtime/container/shim_config.h"
#include "runtime/container/spec.h"

struct cgroup;

struct rootfs {
	const struct spec *spec;
	const struct cgroup *cgroup; /* what is shown where there is no namespace for it, or NULL */
	bool own_cgroupns;
	bool own_userns; /* devices cannot be made then, so the host's are shown */
	bool no_pivot;
	const struct shim_overlay_config *overlay; /* without layers: spec->root.path */
	int root;                                  /* the root's mount */
	int proc; /* a procfs of the container's own pid namespace that nobody else can reach */
	int dev;  /* /dev when it is a tmpfs made here, else -1 */
	int null; /* a character device 1:3 that the container cannot have exchanged */
	bool null_of_host; /* it is to be shown read-only */
	int *sources;      /* a detached mount for each bind of spec->mounts, else -1 */
	bool *late_ro;     /* mounts that become read-only when all is in place */
	int *mounted;      /* their descriptors */
	int *devices; /* with own_userns: mounts of the host's devices, the default ones first */
};

#define ROOTFS_INIT ((struct rootfs){.root = -1, .proc = -1, .dev = -1, .null = -1})

/*
 * Opens on the host what the container shows of it: the sources of bind mounts (with their id
 * maps), the root, devices. Where the container has a user namespace of its own, or mounts with id
 * maps, the parent calls it when it is root, since the init may not; else rootfs_open() does.
 */
int rootfs_sources(struct rootfs *r, struct err *e);
/* Whether that is so. */
bool rootfs_needs_parent(const struct spec *s);
void rootfs_done(struct rootfs *r);
/*
 * Makes the mount namespace private and attaches the root over the working directory (any folder
 * that the runtime owns).
 */
int rootfs_open(struct rootfs *r, struct err *e);
/* All mounts, devices and links. The control groups must be joined by now. */
int rootfs_mount(struct rootfs *r, struct err *e);
/* A procfs of our own that nobody else can reach (rootfs_open() does it for a new container). */
int rootfs_open_proc(struct rootfs *r, struct err *e);
/* A terminal of the container's own devpts: both ends. */
int rootfs_open_terminal(struct rootfs *r, int *ret_master, int *ret_slave, struct err *e);
/* The same, and puts it on /dev/console. */
int rootfs_console(struct rootfs *r, int *ret_master, int *ret_slave, struct err *e);
/* The names and numbers of the devices that every container has; NULL past the last. */
const char *rootfs_default_device(size_t i, unsigned int *ret_major, unsigned int *ret_minor);
/*
 * Copies what is below the folder `from` into the folder `to`, whose own mode and owner become
 * those of `from` when `take_mode` is set (rootfs_copy.c).
 */
int rootfs_copy_up(int from, int to, bool take_mode, struct err *e);
bool rootfs_is_bind(const struct spec_mount *m);
/*
 * linux.mountLabel (rootfs_label.c): whether it can be had, the option by which a new file system
 * of the type gets it, and what has to be done for those that take no option.
 */
int rootfs_check_label(const struct rootfs *r, struct err *e);
void rootfs_add_label(const struct rootfs *r, const char *type, struct spec_strs *params);
int rootfs_set_label(const struct rootfs *r, const char *type, int fd, struct err *e);
/* sysctl, masked and read-only paths, and the change of root; the working directory is "/". */
int rootfs_enter(struct rootfs *r, struct err *e);

/* Writes a file of the private procfs. */
int rootfs_write_proc(const struct rootfs *r, const char *path, const char *value, struct err *e);

/* In rootfs_dev.c and rootfs_mask.c. */
int rootfs_fill_dev(struct rootfs *r, int dev, struct err *e);
int rootfs_make_devices(struct rootfs *r, struct err *e);
int rootfs_mask(struct rootfs *r, struct err *e);
/* In rootfs_cgroup.c: the mount of type "cgroup" for this host, as a detached tree. */
int rootfs_cgroup_mount(struct rootfs *r, const struct spec_mount *m, uint64_t attrs, int target,
			struct err *e);
