/*
 * Reading what a user asked of a container beyond its JSON: pure. Called by container_create.c and
 * container_spec.c.
 */
#pragma once

#include "model/container.h"

/* -ENOSYS by the field's name for what is not there, -EINVAL for what makes no sense. */
int container_check(const struct container_create *c, struct err *e);

struct security {
	bool no_new_privileges;
	bool seccomp_unconfined;
};
int security_read(const struct host_config *h, struct security *ret, struct err *e);

struct log_options {
	int64_t max_size; /* bytes, 0: never rotated */
	int64_t max_file;
};
int log_options_read(const struct host_config *h, struct log_options *ret, struct err *e);
