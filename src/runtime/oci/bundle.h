/*
 * A bundle: its config.json, with the paths that are relative to the bundle made absolute. Called
 * by create.c and update.c.
 */
#pragma once

#include "base/buf.h"
#include "runtime/oci/oci.h"

/*
 * Whatever the rules say, the devices that every container has may be used (runtime-spec, "Default
 * Devices"); as runc adds them, at the end. Without rules everything is allowed.
 */
void bundle_add_device_rules(struct spec *s);

/*
 * Reads the bundle `path` (NULL: the working directory). *ret_path is its absolute path (free()),
 * `ret` its configuration.
 */
int bundle_load(const char *path, char **ret_path, struct spec *ret, struct err *e);
