/*
 * Devices of the host in a container's configuration, and what makes one privileged. Looks at the
 * host's /dev, so it belongs on the pool. Called by container_spec.c.
 */
#pragma once

#include "model/container.h"
#include "runtime/container/spec.h"

/*
 * Adds HostConfig.Devices (a folder stands for all devices below it) and .DeviceCgroupRules.
 * -EINVAL when one is not there or is no device.
 */
int container_devices(const struct host_config *h, struct spec *s, struct err *e);
/*
 * All devices of the host and any access to them, nothing masked, /sys and control groups to be
 * written. Capabilities and seccomp are the caller's.
 */
int container_privileged(struct spec *s, struct err *e);
/* "c 1:3 rwm"; `s` may be NULL: it is checked alone. */
int container_device_rule(const char *text, struct spec *s, struct err *e);
