/*
 * Mounts as descriptors: made detached (fsopen, open_tree), given their attributes, and put on a
 * target that is a descriptor too. Nothing here takes a path inside a container's root. Called by
 * rootfs.c and its neighbours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "runtime/container/spec.h"

/* The options of a mount, as the runtime specification names them. */
struct mount_options {
	uint64_t set; /* MOUNT_ATTR_* of this mount */
	uint64_t clear;
	uint64_t rec_set; /* the same for all mounts below ("rro", ...) */
	uint64_t rec_clear;
	bool bind;
	bool recursive;       /* rbind */
	uint64_t propagation; /* MS_PRIVATE, ... or 0 */
	bool propagation_rec;
	bool idmap; /* owners are shown through a user namespace's maps */
	bool idmap_rec;
	bool copy_up;            /* a tmpfs that begins with what the image has at its target */
	struct spec_strs params; /* for the file system: "key" or "key=value" */
};

void mount_options_done(struct mount_options *o);
/* -EINVAL for an option of a bind mount that is not known. */
int mount_options_parse(const struct spec_mount *m, struct mount_options *ret, struct err *e);

/* A detached mount of a new file system; `attrs` are MOUNT_ATTR_*. Descriptor or -errno. */
int mount_new(const char *type, const char *source, const struct spec_strs *params, uint64_t attrs,
	      struct err *e);
/* The names of all options that are known, for `features`; NULL past the last. */
const char *mount_option_name(size_t i);
/* A detached copy of what the host has at `path`. */
int mount_clone_path(const char *path, bool recursive, struct err *e);
/* A detached copy of what is at the descriptor (O_PATH will do). */
int mount_clone_fd(int fd, bool recursive);
/* Changes attributes (and propagation, MS_* or 0). 0 or -errno. */
int mount_set(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive);
/* Shows the owners of a mount through the maps of a user namespace. 0 or -errno. */
int mount_set_idmap(int fd, int userns_fd, bool recursive);
/* Applies all of `o` but the id map to a mount. */
int mount_set_options(int fd, const struct mount_options *o, struct err *e);
/* Puts a detached mount on the target. 0 or -errno. */
int mount_attach(int fd, int target_fd);

struct shim_overlay_config;
/* Whether mount_overlay() needs no place to mount it for a moment: then any process may call it. */
bool mount_overlay_is_detached(const struct shim_overlay_config *o);
/*
 * A detached overlay of the layers, as long as they want (one call a layer where the kernel has
 * it, 6.5 on).
 */
int mount_overlay(const struct shim_overlay_config *o, struct err *e);
