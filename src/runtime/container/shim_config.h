/*
 * shim.json: what a shim needs to know beyond the OCI configuration. The engine writes it, the
 * shim reads it; every property may be left out.
 *
 *   {"log": {"path": "/var/lib/shoal/containers/ID/ID-json.log", "maxSize": 0, "maxFile": 1},
 *    "openStdin": false, "stdinOnce": false, "stopSignal": 15,
 *    "dns": {"port": 53},
 *    "overlay": {"lower": ["/topmost", "/below"], "upper": "/u", "work": "/w", "options": ""},
 *    "user": "www-data:staff", "groupAdd": ["audio", "27"],
 *    "seccompFilter": "/run/shoal/seccomp/NAME.bpf"}
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container/spec.h"

struct shim_log_config {
	char *path;       /* NULL: output is not kept */
	int64_t max_size; /* bytes after which a file is rotated; SPEC_UNSET, 0 or -1: never */
	int64_t max_file; /* files kept, the current one included; SPEC_UNSET: 1 */
};

struct shim_dns_config {
	int64_t port; /* of 127.0.0.11 in the container's network namespace; SPEC_UNSET: no sockets
		       */
};

struct shim_overlay_config {
	struct spec_strs lower; /* topmost first; empty: root.path of config.json is used */
	char *upper;            /* NULL: a read-only overlay */
	char *work;
	char *options; /* further overlayfs options, "index=off,metacopy=off", or NULL */
};

struct shim_config {
	struct shim_log_config log;
	bool open_stdin;     /* else the container's stdin is /dev/null (without a terminal) */
	bool stdin_once;     /* stdin ends when the first attached client ends its own */
	int64_t stop_signal; /* of SHIM_KILL with signal 0; SPEC_UNSET: SIGTERM */
	struct shim_dns_config dns;
	struct shim_overlay_config overlay;
	char *user; /* looked up in the container's own files, instead of process.user; see user.h
		     */
	struct spec_strs group_add;
	char *seccomp_filter; /* a file of seccomp_filter_ensure(); used instead of linux.seccomp */
};

void shim_config_init(struct shim_config *c);
void shim_config_done(struct shim_config *c);
#define auto_shim_config CLEANUP(shim_config_done) struct shim_config

/* As spec_parse() with SPEC_STRICT. 0 or -EINVAL with the property's name. */
int shim_config_parse(const char *json, size_t n, struct shim_config *c, struct err *e);
int shim_config_write(const struct shim_config *c, struct buf *ret);
