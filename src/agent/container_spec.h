/*
 * From a container to what its shim reads, pure but for a look at devices: the OCI configuration
 * and shim.json. And the mounts that a user asked for, as the container keeps them. Called by
 * container_create.c and container_start.c.
 */
#pragma once

#include "agent/engine.h"
#include "runtime/container/shim_config.h"
#include "runtime/container/spec.h"
#include "runtime/image/snapshot.h"

struct container_spec_input {
	const struct container *c;
	const struct snapshot *snapshot;
	const char *cgroup_parent;        /* of containers that name none */
	const char *init;                 /* the host's file of the init, for those that want one */
	bool dns;                         /* the shim makes DNS sockets */
	const struct engine_files *files; /* NULL: none; below files_dir as run_dir_files() does */
	const char *files_dir;
};

/*
 * The limits of a container as its control group takes them. `all`: what has no limit is set as
 * well, to what it is without one (`v2`: in the units of that version), so that it can be written
 * over an older limit.
 */
void container_resources(const struct host_config *h, bool all, bool v2,
			 struct spec_resources *ret);
/* The path of its control group: below the parent of its own, else of `parent`. free() it. */
char *container_cgroup_path(const struct container *c, const char *parent);
/* Both outputs are initialised here, and to be freed after 0 alone. -EINVAL, -ENOSYS. */
int container_spec_make(const struct container_spec_input *in, struct spec *ret,
			struct shim_config *ret_shim, struct err *e);

/*
 * Adds the environment of a process in the container: Docker's own variables, the container's, and
 * `over` (NULL: none), each laid over what came before.
 */
void container_env(const struct container_config *c, bool tty, const struct strs *over,
		   struct spec_strs *ret);

/*
 * Fills c->mounts from HostConfig.Binds and .Mounts and Config.Volumes. Volumes without a name get
 * one (64 hex); the source of a volume is volumes_root/NAME/_data. -EINVAL, -ENOSYS.
 */
int container_mounts_make(struct container *c, const char *volumes_root, struct err *e);
/* Whether the name is one that container_mounts_make() chose. */
bool volume_is_anonymous(const char *name);
/* Whether it can be a volume's: 0 or -EINVAL. No name with a slash, or that begins with a dot. */
int volume_name_check(const char *name, struct err *e);
