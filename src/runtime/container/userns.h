/*
 * User namespaces: writing the id maps of one, and making one that exists only to carry maps (for
 * mounts whose owners are shown as others). Called by launch.c and rootfs_sources.c, in the parent
 * of the container's init.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/container/spec.h"

/*
 * Gives the user namespace of `pid`, a child of the caller, its maps. Root writes them; another
 * user writes a map of the own id alone, and leaves others to newuidmap and newgidmap.
 */
int userns_write_maps(pid_t pid, const struct spec_id_maps *uids, const struct spec_id_maps *gids,
		      struct err *e);
/* A descriptor of a user namespace with these maps that no process is in. */
int userns_make(const struct spec_id_maps *uids, const struct spec_id_maps *gids, struct err *e);
/* In a namespace that has its maps: becomes its user and group 0, with no other groups. */
int userns_become_root(struct err *e);
/*
 * Whether the caller is an ordinary user, or root of a user namespace alone: to the host it is one.
 * Such a one may make groups only where they were given to it, and the kernel loads no device
 * program for it; without rules it can open no more than before, as it can make no device's node,
 * and those of the host stay what they are for their user.
 */
bool userns_is_ordinary(void);
