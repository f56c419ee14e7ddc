/*
 * The tables of an image's configuration; see config.h.
 */
#include "runtime/image/config.h"

#include <string.h>

#include "base/limits.h"
#include "runtime/image/reference.h"

static const struct field health_fields[] = {
	FIELD_STRS(struct image_health, 0, test, "Test", FIELD_OMIT),
	FIELD_I64(struct image_health, 0, interval_ns, "Interval", FIELD_OMIT),
	FIELD_I64(struct image_health, 0, timeout_ns, "Timeout", FIELD_OMIT),
	FIELD_I64(struct image_health, 0, start_period_ns, "StartPeriod", FIELD_OMIT),
	FIELD_I64(struct image_health, 0, start_interval_ns, "StartInterval", FIELD_OMIT),
	FIELD_I64(struct image_health, 0, retries, "Retries", FIELD_OMIT),
};
static TABLE_DEFINE(image_health, health_fields);

static const struct field run_fields[] = {
	FIELD_STR(struct image_run, 0, user, "User", FIELD_OMIT),
	FIELD_SET(struct image_run, 0, exposed_ports, "ExposedPorts", FIELD_OMIT),
	FIELD_STRS(struct image_run, 0, env, "Env", FIELD_OMIT),
	FIELD_STRS(struct image_run, 0, entrypoint, "Entrypoint", FIELD_OMIT | FIELD_ONE),
	FIELD_STRS(struct image_run, 0, cmd, "Cmd", FIELD_OMIT | FIELD_ONE),
	FIELD_SET(struct image_run, 0, volumes, "Volumes", FIELD_OMIT),
	FIELD_STR(struct image_run, 0, working_dir, "WorkingDir", FIELD_OMIT),
	FIELD_STRMAP(struct image_run, 0, labels, "Labels", FIELD_OMIT),
	FIELD_STR(struct image_run, 0, stop_signal, "StopSignal", FIELD_OMIT),
	FIELD_PTR(struct image_run, 0, healthcheck, "Healthcheck", FIELD_OMIT, image_health),
	FIELD_STRS(struct image_run, 0, shell, "Shell", FIELD_OMIT | FIELD_ONE),
	FIELD_STRS(struct image_run, 0, on_build, "OnBuild", FIELD_OMIT),
	FIELD_BOOL(struct image_run, 0, args_escaped, "ArgsEscaped", FIELD_OMIT),
};
TABLE_DEFINE(image_run, run_fields);

static const struct field rootfs_fields[] = {
	FIELD_STR(struct image_rootfs, 0, type, "type", 0),
	FIELD_STRS(struct image_rootfs, 0, diff_ids, "diff_ids", 0),
};
static TABLE_DEFINE(image_rootfs, rootfs_fields);

static const struct field history_fields[] = {
	FIELD_TIME(struct image_history, 0, created_ns, "created", FIELD_OMIT),
	FIELD_STR(struct image_history, 0, created_by, "created_by", FIELD_OMIT),
	FIELD_STR(struct image_history, 0, author, "author", FIELD_OMIT),
	FIELD_STR(struct image_history, 0, comment, "comment", FIELD_OMIT),
	FIELD_BOOL(struct image_history, 0, empty_layer, "empty_layer", FIELD_OMIT),
};
static TABLE_DEFINE(image_history, history_fields);

static const struct field config_fields[] = {
	FIELD_TIME(struct image_config, 0, created_ns, "created", FIELD_OMIT),
	FIELD_STR(struct image_config, 0, author, "author", FIELD_OMIT),
	FIELD_STR(struct image_config, 0, comment, "comment", FIELD_OMIT),
	FIELD_STR(struct image_config, 0, architecture, "architecture", 0),
	FIELD_STR(struct image_config, 0, variant, "variant", FIELD_OMIT),
	FIELD_STR(struct image_config, 0, os, "os", 0),
	FIELD_STR(struct image_config, 0, os_version, "os.version", FIELD_OMIT),
	FIELD_STR(struct image_config, 0, docker_version, "docker_version", FIELD_OMIT),
	FIELD_OBJ(struct image_config, 0, config, "config", 0, image_run),
	FIELD_OBJ(struct image_config, 0, rootfs, "rootfs", 0, image_rootfs),
	FIELD_LIST(struct image_config, 0, history, "history", FIELD_OMIT, image_history),
};
TABLE_DEFINE(image_config, config_fields);

static int config_check(const struct image_config *c, struct err *e)
{
	const struct image_rootfs *rootfs = &c->rootfs;

	if (!rootfs->type)
		return err_set(e, -EINVAL, "it has no root file system: is it an image at all?");
	if (strcmp(rootfs->type, "layers") != 0)
		return err_set(e, -EINVAL, "its root file system is of the unknown type \"%.60s\"",
			       rootfs->type);
	if (rootfs->diff_ids.n > LIMIT_IMAGE_LAYERS)
		return err_set(e, -EMSGSIZE, "it has %zu layers, and at most %d can be mounted",
			       rootfs->diff_ids.n, LIMIT_IMAGE_LAYERS);
	STRS_EACH (id, &rootfs->diff_ids)
		if (!digest_valid(id))
			return err_set(e, -EINVAL, "\"%.100s\" is not a sha256 diff id", id);
	return 0;
}

int image_config_read(const char *text, size_t n, struct image_config *ret, struct err *e)
{
	int rc;

	if (n > LIMIT_IMAGE_CONFIG)
		return err_set(e, -EMSGSIZE, "the image's configuration is larger than %u bytes",
			       LIMIT_IMAGE_CONFIG);
	rc = json_read(&image_config_table, text, n, ret, e);
	if (rc == 0) {
		rc = config_check(ret, e);
		if (rc < 0)
			table_done(&image_config_table, ret);
	}
	return rc < 0 ? err_wrap(e, "the image's configuration") : 0;
}
