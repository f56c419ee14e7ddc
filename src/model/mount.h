/*
 * What a mount of a container or a service may ask for, as far as that can be said without a host.
 * Pure. The control API and the engine refuse by it, the engine carries it out.
 */
#pragma once

#include "base/err.h"
#include "model/service.h"

/*
 * -EINVAL with docker's sentences, -ENOSYS for what is not there (by its name): types other than
 * bind, volume and tmpfs, volume drivers other than local.
 */
int mount_check(const struct mount *m, struct err *e);
/* The options of the volume driver local: type, device and o. -EINVAL, -ENOSYS. */
int volume_options_check(const struct strmap *options, struct err *e);
/* Appends TmpfsOptions.Options, which are exec and noexec alone; -EINVAL for others. */
int mount_tmpfs_options(const struct mount_tmpfs *t, struct strs *ret, struct err *e);
