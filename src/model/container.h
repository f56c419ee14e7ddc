/*
 * A container as the Engine API describes it: what POST /containers/create brings and what inspect
 * shows of it. Names and defaults are the API's (1.51). Nothing of this goes to the managers'
 * store: the rows have no numbers. Used by agent, api and cli.
 */
#pragma once

#include "model/service.h"

struct log_config {
	char *type;
	struct strmap config;
};
extern const struct table log_config_table;

struct container_restart {
	char *name; /* "", no, always, on-failure, unless-stopped */
	int64_t max_retries;
};
extern const struct table container_restart_table;

struct port_binding {
	char *host_ip;
	char *host_port;
};
extern const struct table port_binding_table;

struct port_bindings {
	LIST_OF(struct port_binding) list;
};
extern const struct table port_bindings_table;

struct device_mapping {
	char *host;
	char *container;
	char *permissions;
};
extern const struct table device_mapping_table;

/* One probe of a health check. */
struct health_result {
	int64_t start_ns;
	int64_t end_ns;
	int32_t exit_code; /* -1: it did not come to an end of its own */
	char *output;
};
extern const struct table health_result_table;

enum health_status { HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
/* "starting", "healthy", "unhealthy" */
extern const char *const health_status_names[HEALTH_UNHEALTHY + 1];

/* What a container's health check has found so far. */
struct health {
	enum health_status status;
	int64_t streak; /* failures one after the other */
	LIST_OF(struct health_result) log;
};
extern const struct table health_table;

/* What a container is made from, host apart (ContainerConfig). */
struct container_config {
	char *hostname;
	char *domainname;
	char *user;
	bool attach_stdin;
	bool attach_stdout;
	bool attach_stderr;
	struct strs exposed_ports;
	bool tty;
	bool open_stdin;
	bool stdin_once;
	struct strs env;
	struct strs cmd;
	struct healthcheck *healthcheck;
	char *image;
	struct strs volumes;
	char *working_dir;
	struct strs entrypoint;
	bool network_disabled;
	char *mac_address;
	struct strs on_build;
	struct strmap labels;
	char *stop_signal;
	int64_t *stop_timeout; /* seconds */
	struct strs shell;
};
extern const struct table container_config_table;

/* How a container runs on its host (HostConfig). */
struct host_config {
	int64_t cpu_shares;
	int64_t memory;
	char *cgroup_parent;
	uint32_t blkio_weight;
	char *blkio_weight_device;
	char *blkio_read_bps;
	char *blkio_write_bps;
	char *blkio_read_iops;
	char *blkio_write_iops;
	int64_t cpu_period;
	int64_t cpu_quota;
	int64_t cpu_realtime_period;
	int64_t cpu_realtime_runtime;
	char *cpuset_cpus;
	char *cpuset_mems;
	LIST_OF(struct device_mapping) devices;
	struct strs device_cgroup_rules;
	char *device_requests;
	int64_t memory_reservation;
	int64_t memory_swap;
	int64_t *memory_swappiness;
	int64_t nano_cpus;
	bool *oom_kill_disable;
	bool *init;
	int64_t *pids_limit;
	LIST_OF(struct ulimit) ulimits;
	struct strs binds;
	char *container_id_file;
	struct log_config log;
	char *network_mode;
	MAP_OF(struct port_bindings) port_bindings;
	struct container_restart restart;
	bool auto_remove;
	char *volume_driver;
	struct strs volumes_from;
	LIST_OF(struct mount) mounts;
	char *console_size;
	struct strmap annotations;
	struct strs cap_add;
	struct strs cap_drop;
	char *cgroupns_mode;
	struct strs dns;
	struct strs dns_options;
	struct strs dns_search;
	struct strs extra_hosts;
	struct strs group_add;
	char *ipc_mode;
	char *cgroup;
	struct strs links;
	int64_t oom_score_adj;
	char *pid_mode;
	bool privileged;
	bool publish_all;
	bool readonly_rootfs;
	struct strs security_opt;
	struct strmap storage_opt;
	struct strmap tmpfs;
	char *uts_mode;
	char *userns_mode;
	int64_t shm_size;
	struct strmap sysctls;
	char *runtime;
	char *isolation;
	struct strs masked_paths;
	struct strs readonly_paths;
};
extern const struct table host_config_table;

struct endpoint_ipam {
	char *ip4;
	char *ip6;
	struct strs link_local;
};
extern const struct table endpoint_ipam_table;

/* A container in one network: what was asked for and what it got (EndpointSettings). */
struct endpoint_settings {
	struct endpoint_ipam *ipam;
	struct strs links;
	struct strs aliases;
	char *mac_address;
	struct strmap driver_opts;
	int64_t gw_priority;
	char *network; /* its id */
	char *endpoint;
	char *gateway;
	char *ip;
	int64_t ip_prefix;
	char *gateway6;
	char *ip6;
	int64_t ip6_prefix;
	struct strs dns_names;
};
extern const struct table endpoint_settings_table;

struct networking_config {
	MAP_OF(struct endpoint_settings) endpoints;
};
extern const struct table networking_config_table;

/* The body of POST /containers/create: the configuration's own members and two objects beside. */
struct container_create {
	struct container_config config;
	struct host_config host;
	struct networking_config networking;
};
/* Reads it; the rules of json_read(). Free with container_create_done(). */
int container_create_read(const char *text, size_t n, struct container_create *ret, struct err *e);
/* Writes it as such a body. 0, or -EMSGSIZE when it is larger than the buffer may grow. */
int container_create_write(const struct container_create *c, struct buf *ret);
void container_create_done(struct container_create *c);
