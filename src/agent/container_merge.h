/*
 * An image's settings laid under a user's, as docker does; pure. Called by container_create.c.
 */
#pragma once

#include "model/container.h"
#include "runtime/image/config.h"

/* What the user did not say comes from the image; lists and maps are joined by name. */
void container_config_merge(struct container_config *c, const struct image_run *image);
/* What is executed, from entrypoint and command. -EINVAL when there is neither. */
int container_command(const struct container_config *c, char **ret_path, struct strs *ret_args,
		      struct err *e);
