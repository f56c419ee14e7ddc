/*
 * What Docker gives every container unless told otherwise, as pure data for the engine, and the
 * function that puts it into a spec. Facts from moby's oci package (28) and runtime-spec 1.2.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/container/spec.h"

struct default_mount {
	const char *destination;
	const char *type;
	const char *source;
	const char *options; /* separated by commas */
};

struct default_device_rule {
	bool allow;
	char type;
	int64_t major; /* -1: any */
	int64_t minor;
	const char *access;
};

struct container_defaults {
	const struct default_mount *mounts; /* ends with a NULL destination */
	const char *const *masked_paths;    /* each ends with NULL */
	const char *const *readonly_paths;
	const char *const *capabilities;
	const char *const *namespaces;
	const struct default_device_rule *device_rules; /* ends with a type of 0 */
	const char *path_env;                           /* "PATH=..." */
	int64_t shm_size;                               /* bytes of /dev/shm */
};

extern const struct container_defaults container_defaults;

/*
 * Fills a fresh spec (spec_init() done here) with Docker's defaults for an unprivileged
 * container: mounts, masked and read-only paths, all five capability sets (ambient and
 * inheritable empty), new namespaces, device rules. The caller adds process, root, hostname,
 * limits and cgroupsPath.
 */
void spec_set_defaults(struct spec *s);
/* Sets bounding, effective and permitted to `caps` (a NULL-terminated list); the others empty. */
void spec_set_capabilities(struct spec *s, const char *const *caps);
