/*
 * A container as plain data: its table, what its status means, and signals by name. Pure.
 */
#include <signal.h>
#include <string.h>

#include "agent/engine_impl.h"

const char *const container_status_names[CONTAINER_DEAD + 1] = {
	"created", "running", "restarting", "removing", "exited", "dead",
};

#define T struct container_mount
static const struct field container_mount_fields[] = {
	FIELD_STR(T, 0, type, "Type", 0),
	FIELD_STR(T, 0, name, "Name", FIELD_OMIT),
	FIELD_STR(T, 0, source, "Source", 0),
	FIELD_STR(T, 0, destination, "Destination", 0),
	FIELD_STR(T, 0, driver, "Driver", FIELD_OMIT),
	FIELD_STR(T, 0, mode, "Mode", 0),
	FIELD_BOOL(T, 0, rw, "RW", 0),
	FIELD_STR(T, 0, propagation, "Propagation", 0),
};
#undef T
TABLE_DEFINE(container_mount, container_mount_fields);

#define T struct container
static const struct field container_fields[] = {
	FIELD_STR(T, 0, id, "Id", FIELD_REQUIRED),
	FIELD_STR(T, 0, name, "Name", FIELD_REQUIRED),
	FIELD_TIME(T, 0, created_ns, "Created", 0),
	FIELD_STR(T, 0, path, "Path", 0),
	FIELD_STRS(T, 0, args, "Args", 0),
	FIELD_STR(T, 0, image_id, "Image", 0),
	FIELD_OBJ(T, 0, config, "Config", 0, container_config),
	FIELD_OBJ(T, 0, host, "HostConfig", 0, host_config),
	FIELD_OBJ(T, 0, networks, "Networks", 0, networking_config),
	FIELD_MAP(T, 0, ports, "Ports", FIELD_OMIT, port_bindings),
	FIELD_LIST(T, 0, mounts, "Mounts", 0, container_mount),
	FIELD_STR(T, 0, log_path, "LogPath", 0),
	FIELD_STR(T, 0, hostname_path, "HostnamePath", 0),
	FIELD_STR(T, 0, hosts_path, "HostsPath", 0),
	FIELD_STR(T, 0, resolv_path, "ResolvConfPath", 0),
	FIELD_STR(T, 0, platform, "Platform", 0),
	FIELD_STR(T, 0, task, "Task", FIELD_OMIT),
	FIELD_BOOL(T, 0, files, "SwarmFiles", FIELD_OMIT),
	FIELD_ENUM(T, 0, status, "Status", 0, container_status_names),
	FIELD_BOOL(T, 0, oom_killed, "OOMKilled", 0),
	FIELD_I64(T, 0, pid, "Pid", 0),
	FIELD_I32(T, 0, exit_code, "ExitCode", 0),
	FIELD_STR(T, 0, error, "Error", 0),
	FIELD_TIME(T, 0, started_ns, "StartedAt", 0),
	FIELD_TIME(T, 0, finished_ns, "FinishedAt", 0),
	FIELD_I64(T, 0, restart_count, "RestartCount", 0),
	FIELD_PTR(T, 0, health, "Health", FIELD_OMIT, health),
	FIELD_BOOL(T, 0, stopped_by_user, "StoppedByUser", 0),
};
#undef T
TABLE_DEFINE(container, container_fields);

const char *container_state_name(const struct container *c)
{
	return c->paused ? "paused" : container_status_names[c->status];
}

const char *container_health_name(const struct container *c)
{
	return c->health ? health_status_names[c->health->status] : "none";
}

bool container_is_running(const struct container *c)
{
	return c->status == CONTAINER_RUNNING || c->status == CONTAINER_RESTARTING;
}

int container_check_runs(const struct container *c, struct err *e)
{
	if (c->status == CONTAINER_RESTARTING)
		return err_set(e, -EBUSY,
			       "Container %s is restarting, wait until the container is running",
			       c->id);
	return c->status == CONTAINER_RUNNING
		       ? 0
		       : err_set(e, -ESRCH, "container %s is not running", c->id);
}

int container_stop_signal(const struct container *c)
{
	int signal;

	return signal_parse(c->config.stop_signal, &signal) == 0 && signal ? signal : SIGTERM;
}
