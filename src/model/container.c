/*
 * The tables of model/container.h.
 */
#include "model/container.h"

#include <assert.h>

#define T struct log_config
static const struct field log_config_fields[] = {
	FIELD_STR(T, 0, type, "Type", 0),
	FIELD_STRMAP(T, 0, config, "Config", 0),
};
#undef T
TABLE_DEFINE(log_config, log_config_fields);

#define T struct container_restart
static const struct field container_restart_fields[] = {
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_I64(T, 0, max_retries, "MaximumRetryCount", 0),
};
#undef T
TABLE_DEFINE(container_restart, container_restart_fields);

#define T struct port_binding
static const struct field port_binding_fields[] = {
	FIELD_STR(T, 0, host_ip, "HostIp", 0),
	FIELD_STR(T, 0, host_port, "HostPort", 0),
};
#undef T
TABLE_DEFINE(port_binding, port_binding_fields);

#define T struct port_bindings
static const struct field port_bindings_fields[] = {
	FIELD_LIST(T, 0, list, "List", FIELD_NULL, port_binding),
};
#undef T
TABLE_DEFINE(port_bindings, port_bindings_fields, .transparent = true);

#define T struct device_mapping
static const struct field device_mapping_fields[] = {
	FIELD_STR(T, 0, host, "PathOnHost", 0),
	FIELD_STR(T, 0, container, "PathInContainer", 0),
	FIELD_STR(T, 0, permissions, "CgroupPermissions", 0),
};
#undef T
TABLE_DEFINE(device_mapping, device_mapping_fields);

#define T struct health_result
static const struct field health_result_fields[] = {
	FIELD_TIME(T, 0, start_ns, "Start", 0),
	FIELD_TIME(T, 0, end_ns, "End", 0),
	FIELD_I32(T, 0, exit_code, "ExitCode", 0),
	FIELD_STR(T, 0, output, "Output", 0),
};
#undef T
TABLE_DEFINE(health_result, health_result_fields);

const char *const health_status_names[HEALTH_UNHEALTHY + 1] = {"starting", "healthy", "unhealthy"};

#define T struct health
static const struct field health_fields[] = {
	FIELD_ENUM(T, 0, status, "Status", 0, health_status_names),
	FIELD_I64(T, 0, streak, "FailingStreak", 0),
	FIELD_LIST(T, 0, log, "Log", 0, health_result),
};
#undef T
TABLE_DEFINE(health, health_fields);

#define T struct container_config
static const struct field container_config_fields[] = {
	FIELD_STR(T, 0, hostname, "Hostname", 0),
	FIELD_STR(T, 0, domainname, "Domainname", 0),
	FIELD_STR(T, 0, user, "User", 0),
	FIELD_BOOL(T, 0, attach_stdin, "AttachStdin", 0),
	FIELD_BOOL(T, 0, attach_stdout, "AttachStdout", 0),
	FIELD_BOOL(T, 0, attach_stderr, "AttachStderr", 0),
	FIELD_SET(T, 0, exposed_ports, "ExposedPorts", FIELD_OMIT),
	FIELD_BOOL(T, 0, tty, "Tty", 0),
	FIELD_BOOL(T, 0, open_stdin, "OpenStdin", 0),
	FIELD_BOOL(T, 0, stdin_once, "StdinOnce", 0),
	FIELD_STRS(T, 0, env, "Env", FIELD_NULL),
	FIELD_STRS(T, 0, cmd, "Cmd", FIELD_ONE | FIELD_NULL),
	FIELD_PTR(T, 0, healthcheck, "Healthcheck", FIELD_OMIT, healthcheck),
	FIELD_STR(T, 0, image, "Image", 0),
	FIELD_SET(T, 0, volumes, "Volumes", FIELD_NULL),
	FIELD_STR(T, 0, working_dir, "WorkingDir", 0),
	FIELD_STRS(T, 0, entrypoint, "Entrypoint", FIELD_ONE | FIELD_NULL),
	FIELD_BOOL(T, 0, network_disabled, "NetworkDisabled", FIELD_OMIT),
	FIELD_STR(T, 0, mac_address, "MacAddress", FIELD_OMIT),
	FIELD_STRS(T, 0, on_build, "OnBuild", FIELD_NULL),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
	FIELD_STR(T, 0, stop_signal, "StopSignal", FIELD_OMIT),
	FIELD_OPT_I64(T, 0, stop_timeout, "StopTimeout", FIELD_OMIT),
	FIELD_STRS(T, 0, shell, "Shell", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(container_config, container_config_fields);

#define T struct host_config
static const struct field host_config_fields[] = {
	FIELD_I64(T, 0, cpu_shares, "CpuShares", 0),
	FIELD_I64(T, 0, memory, "Memory", 0),
	FIELD_STR(T, 0, cgroup_parent, "CgroupParent", 0),
	FIELD_U32(T, 0, blkio_weight, "BlkioWeight", 0),
	FIELD_RAW(T, 0, blkio_weight_device, "BlkioWeightDevice", FIELD_OMIT),
	FIELD_RAW(T, 0, blkio_read_bps, "BlkioDeviceReadBps", FIELD_OMIT),
	FIELD_RAW(T, 0, blkio_write_bps, "BlkioDeviceWriteBps", FIELD_OMIT),
	FIELD_RAW(T, 0, blkio_read_iops, "BlkioDeviceReadIOps", FIELD_OMIT),
	FIELD_RAW(T, 0, blkio_write_iops, "BlkioDeviceWriteIOps", FIELD_OMIT),
	FIELD_I64(T, 0, cpu_period, "CpuPeriod", 0),
	FIELD_I64(T, 0, cpu_quota, "CpuQuota", 0),
	FIELD_I64(T, 0, cpu_realtime_period, "CpuRealtimePeriod", 0),
	FIELD_I64(T, 0, cpu_realtime_runtime, "CpuRealtimeRuntime", 0),
	FIELD_STR(T, 0, cpuset_cpus, "CpusetCpus", 0),
	FIELD_STR(T, 0, cpuset_mems, "CpusetMems", 0),
	FIELD_LIST(T, 0, devices, "Devices", 0, device_mapping),
	FIELD_STRS(T, 0, device_cgroup_rules, "DeviceCgroupRules", FIELD_NULL),
	FIELD_RAW(T, 0, device_requests, "DeviceRequests", FIELD_OMIT),
	FIELD_I64(T, 0, memory_reservation, "MemoryReservation", 0),
	FIELD_I64(T, 0, memory_swap, "MemorySwap", 0),
	FIELD_OPT_I64(T, 0, memory_swappiness, "MemorySwappiness", 0),
	FIELD_I64(T, 0, nano_cpus, "NanoCpus", 0),
	FIELD_OPT_BOOL(T, 0, oom_kill_disable, "OomKillDisable", 0),
	FIELD_OPT_BOOL(T, 0, init, "Init", FIELD_OMIT),
	FIELD_OPT_I64(T, 0, pids_limit, "PidsLimit", 0),
	FIELD_LIST(T, 0, ulimits, "Ulimits", 0, ulimit),
	FIELD_STRS(T, 0, binds, "Binds", FIELD_NULL),
	FIELD_STR(T, 0, container_id_file, "ContainerIDFile", 0),
	FIELD_OBJ(T, 0, log, "LogConfig", 0, log_config),
	FIELD_STR(T, 0, network_mode, "NetworkMode", 0),
	FIELD_MAP(T, 0, port_bindings, "PortBindings", 0, port_bindings),
	FIELD_OBJ(T, 0, restart, "RestartPolicy", 0, container_restart),
	FIELD_BOOL(T, 0, auto_remove, "AutoRemove", 0),
	FIELD_STR(T, 0, volume_driver, "VolumeDriver", 0),
	FIELD_STRS(T, 0, volumes_from, "VolumesFrom", FIELD_NULL),
	FIELD_LIST(T, 0, mounts, "Mounts", FIELD_OMIT, mount),
	FIELD_RAW(T, 0, console_size, "ConsoleSize", FIELD_OMIT),
	FIELD_STRMAP(T, 0, annotations, "Annotations", FIELD_OMIT),
	FIELD_STRS(T, 0, cap_add, "CapAdd", FIELD_NULL),
	FIELD_STRS(T, 0, cap_drop, "CapDrop", FIELD_NULL),
	FIELD_STR(T, 0, cgroupns_mode, "CgroupnsMode", 0),
	FIELD_STRS(T, 0, dns, "Dns", 0),
	FIELD_STRS(T, 0, dns_options, "DnsOptions", 0),
	FIELD_STRS(T, 0, dns_search, "DnsSearch", 0),
	FIELD_STRS(T, 0, extra_hosts, "ExtraHosts", FIELD_NULL),
	FIELD_STRS(T, 0, group_add, "GroupAdd", FIELD_NULL),
	FIELD_STR(T, 0, ipc_mode, "IpcMode", 0),
	FIELD_STR(T, 0, cgroup, "Cgroup", 0),
	FIELD_STRS(T, 0, links, "Links", FIELD_NULL),
	FIELD_I64(T, 0, oom_score_adj, "OomScoreAdj", 0),
	FIELD_STR(T, 0, pid_mode, "PidMode", 0),
	FIELD_BOOL(T, 0, privileged, "Privileged", 0),
	FIELD_BOOL(T, 0, publish_all, "PublishAllPorts", 0),
	FIELD_BOOL(T, 0, readonly_rootfs, "ReadonlyRootfs", 0),
	FIELD_STRS(T, 0, security_opt, "SecurityOpt", FIELD_NULL),
	FIELD_STRMAP(T, 0, storage_opt, "StorageOpt", FIELD_OMIT),
	FIELD_STRMAP(T, 0, tmpfs, "Tmpfs", FIELD_OMIT),
	FIELD_STR(T, 0, uts_mode, "UTSMode", 0),
	FIELD_STR(T, 0, userns_mode, "UsernsMode", 0),
	FIELD_I64(T, 0, shm_size, "ShmSize", 0),
	FIELD_STRMAP(T, 0, sysctls, "Sysctls", FIELD_OMIT),
	FIELD_STR(T, 0, runtime, "Runtime", FIELD_OMIT),
	FIELD_STR(T, 0, isolation, "Isolation", 0),
	FIELD_STRS(T, 0, masked_paths, "MaskedPaths", FIELD_NULL),
	FIELD_STRS(T, 0, readonly_paths, "ReadonlyPaths", FIELD_NULL),
};
#undef T
TABLE_DEFINE(host_config, host_config_fields);

#define T struct endpoint_ipam
static const struct field endpoint_ipam_fields[] = {
	FIELD_STR(T, 0, ip4, "IPv4Address", FIELD_OMIT),
	FIELD_STR(T, 0, ip6, "IPv6Address", FIELD_OMIT),
	FIELD_STRS(T, 0, link_local, "LinkLocalIPs", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(endpoint_ipam, endpoint_ipam_fields);

#define T struct endpoint_settings
static const struct field endpoint_settings_fields[] = {
	FIELD_PTR(T, 0, ipam, "IPAMConfig", 0, endpoint_ipam),
	FIELD_STRS(T, 0, links, "Links", FIELD_NULL),
	FIELD_STRS(T, 0, aliases, "Aliases", FIELD_NULL),
	FIELD_STR(T, 0, mac_address, "MacAddress", 0),
	FIELD_STRMAP(T, 0, driver_opts, "DriverOpts", FIELD_NULL),
	FIELD_I64(T, 0, gw_priority, "GwPriority", 0),
	FIELD_STR(T, 0, network, "NetworkID", 0),
	FIELD_STR(T, 0, endpoint, "EndpointID", 0),
	FIELD_STR(T, 0, gateway, "Gateway", 0),
	FIELD_STR(T, 0, ip, "IPAddress", 0),
	FIELD_I64(T, 0, ip_prefix, "IPPrefixLen", 0),
	FIELD_STR(T, 0, gateway6, "IPv6Gateway", 0),
	FIELD_STR(T, 0, ip6, "GlobalIPv6Address", 0),
	FIELD_I64(T, 0, ip6_prefix, "GlobalIPv6PrefixLen", 0),
	FIELD_STRS(T, 0, dns_names, "DNSNames", FIELD_NULL),
};
#undef T
TABLE_DEFINE(endpoint_settings, endpoint_settings_fields);

#define T struct networking_config
static const struct field networking_config_fields[] = {
	FIELD_MAP(T, 0, endpoints, "EndpointsConfig", FIELD_OMIT, endpoint_settings),
};
#undef T
TABLE_DEFINE(networking_config, networking_config_fields);

/* HostConfig and NetworkingConfig stand beside the members of Config in one object. */
struct create_rest {
	struct host_config host;
	struct networking_config networking;
};
#define T struct create_rest
static const struct field create_rest_fields[] = {
	FIELD_OBJ(T, 0, host, "HostConfig", 0, host_config),
	FIELD_OBJ(T, 0, networking, "NetworkingConfig", 0, networking_config),
};
#undef T
static TABLE_DEFINE(create_rest, create_rest_fields);

int container_create_read(const char *text, size_t n, struct container_create *ret, struct err *e)
{
	struct create_rest rest = {0};
	int rc = json_read(&container_config_table, text, n, &ret->config, e);

	if (rc == 0)
		rc = json_read(&create_rest_table, text, n, &rest, e);
	ret->host = rest.host;
	ret->networking = rest.networking;
	if (rc < 0)
		container_create_done(ret);
	return rc;
}

int container_create_write(const struct container_create *c, struct buf *ret)
{
	int rc = json_write(&container_config_table, &c->config, ret);

	if (rc < 0)
		return rc;
	assert(ret->len > 2 && ret->p[ret->len - 1] == '}');
	ret->len--; /* the two objects are members of the configuration's own */
	buf_adds(ret, ",\"HostConfig\":");
	rc = json_write(&host_config_table, &c->host, ret);
	buf_adds(ret, ",\"NetworkingConfig\":");
	if (rc == 0)
		rc = json_write(&networking_config_table, &c->networking, ret);
	buf_addc(ret, '}');
	return rc < 0 ? rc : buf_status(ret);
}

void container_create_done(struct container_create *c)
{
	table_done(&container_config_table, &c->config);
	table_done(&host_config_table, &c->host);
	table_done(&networking_config_table, &c->networking);
}
