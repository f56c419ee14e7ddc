/*
 * Reading what a user asked of a container beyond its JSON: pure. Called by container_create.c and
 * container_spec.c.
 */
#pragma once

#include "model/container.h"
#include "model/log_options.h"

/* -ENOSYS by the field's name for what is not there, -EINVAL for what makes no sense. */
int container_check(const struct container_create *c, struct err *e);

/* The part of it about HostConfig: what limits and the restart policy may be, alone and together.
 */
int host_config_check(const struct host_config *h, struct err *e);
/*
 * What POST /containers/{id}/update brings, laid over `h`: what is 0 or empty stays. -EBUSY (409)
 * for what does not go with what is there, else as host_config_check(). `h` may be half changed
 * after an error.
 */
int host_config_update(struct host_config *h, const struct host_config *changes, struct err *e);
/*
 * Takes out what control groups v2 have no file for, with docker's warnings, as a container made
 * for the one version has to start on the other as well.
 */
void container_discard_for_v2(struct host_config *h, struct strs *warnings);

struct security {
	bool no_new_privileges;
	bool seccomp_unconfined;
	const char *seccomp_profile; /* of one's own, JSON, lent; NULL: none */
};
int security_read(const struct host_config *h, struct security *ret, struct err *e);
