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

struct rootfs {
	const struct spec *spec;
	const struct shim_overlay_config *overlay; /* without layers: spec->root.path */
	int root;                                  /* the root's mount */
	int proc;     /* a procfs of the container's own pid namespace that nobody else can reach */
	int dev;      /* /dev when it is a tmpfs made here, else -1 */
	int null;     /* a character device 1:3 that the container cannot have exchanged */
	int *sources; /* a detached mount for each bind of spec->mounts, else -1 */
	bool *late_ro; /* mounts that become read-only when all is in place */
	int *mounted;  /* their descriptors */
};

#define ROOTFS_INIT ((struct rootfs){.root = -1, .proc = -1, .dev = -1, .null = -1})

/*
 * Makes the mount namespace private, opens what the binds show and the root, and attaches it over
 * the working directory (any folder that the runtime owns).
 */
int rootfs_open(struct rootfs *r, struct err *e);
/* All mounts, devices and links. The control groups must be joined by now. */
int rootfs_mount(struct rootfs *r, struct err *e);
/* Opens a terminal of the container's own devpts and puts it on /dev/console. */
int rootfs_console(struct rootfs *r, int *ret_master, int *ret_slave, struct err *e);
/* sysctl, masked and read-only paths, and the change of root; the working directory is "/". */
int rootfs_enter(struct rootfs *r, struct err *e);

/* Writes a file of the private procfs. */
int rootfs_write_proc(const struct rootfs *r, const char *path, const char *value, struct err *e);

/* In rootfs_dev.c and rootfs_mask.c. */
int rootfs_fill_dev(int dev, const struct spec *s, bool own, struct err *e);
int rootfs_make_devices(struct rootfs *r, struct err *e);
int rootfs_mask(struct rootfs *r, struct err *e);
/* In rootfs_cgroup.c: the mount of type "cgroup" for this host, as a detached tree. */
int rootfs_cgroup_mount(struct rootfs *r, const struct spec_mount *m, uint64_t attrs, int target,
			struct err *e);
