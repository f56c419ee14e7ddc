/*
 * A bundle: its config.json, with the paths that are relative to the bundle made absolute. Called
 * by create.c.
 */
#pragma once

#include "base/buf.h"
#include "runtime/oci/oci.h"

/*
 * Reads the bundle `path` (NULL: the working directory). *ret_path is its absolute path (free()),
 * `ret` its configuration.
 */
int bundle_load(const char *path, char **ret_path, struct spec *ret, struct err *e);
