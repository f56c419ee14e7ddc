/*
 * The image configuration of the OCI image specification 1.1 (config.md) with Docker's additions,
 * as plain structs. Used by the image store and by the agent, which lays a container's own settings
 * over it.
 */
#pragma once

#include <stdint.h>

#include "base/table.h"

struct image_health {
	struct strs test;
	int64_t interval_ns;
	int64_t timeout_ns;
	int64_t start_period_ns;
	int64_t start_interval_ns;
	int64_t retries;
};

struct image_run {
	char *user;
	struct strs exposed_ports; /* "80/tcp" */
	struct strs env;           /* "NAME=value" */
	struct strs entrypoint;
	struct strs cmd;
	struct strs volumes; /* paths in the container */
	char *working_dir;
	struct strmap labels;
	char *stop_signal;
	struct image_health *healthcheck;
	struct strs shell;
	struct strs on_build;
	bool args_escaped;
};

struct image_rootfs {
	char *type; /* "layers" */
	struct strs diff_ids;
};

struct image_history {
	int64_t created_ns;
	char *created_by;
	char *author;
	char *comment;
	bool empty_layer;
};

struct image_config {
	int64_t created_ns;
	char *author;
	char *comment;
	char *architecture;
	char *variant;
	char *os;
	char *os_version;
	char *docker_version;
	struct image_run config;
	struct image_rootfs rootfs;
	LIST_OF(struct image_history) history;
};

extern const struct table image_config_table;
extern const struct table image_run_table;

/*
 * Reads and checks a configuration: it must have a root file system of layers, at most
 * LIMIT_IMAGE_LAYERS, with sha256 diff ids. -EINVAL with the reason; `ret` is zeroed then. Free
 * with table_done(&image_config_table, ret).
 */
int image_config_read(const char *text, size_t n, struct image_config *ret, struct err *e);
