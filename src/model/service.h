/*
 * A service and the specification that users give it, as the Engine API has it (1.51). Durations
 * are nanoseconds. Knows nothing of how services are run.
 */
#pragma once

#include "model/generic.h"
#include "model/autoscale.h"
#include "model/object.h"
#include "model/rebalance.h"
#include "model/update.h"

struct empty {
	struct table_rest *rest;
};
extern const struct table empty_table;

struct driver {
	char *name;
	struct strmap options;
	struct table_rest *rest;
};
extern const struct table driver_table;

/* Mounts, as in HostConfig.Mounts and ContainerSpec.Mounts. */
struct mount_bind {
	char *propagation;
	bool non_recursive;
	bool create_mountpoint;
	bool read_only_non_recursive;
	bool read_only_force_recursive;
	struct table_rest *rest;
};
extern const struct table mount_bind_table;

struct mount_volume {
	bool no_copy;
	struct strmap labels;
	struct driver *driver;
	char *subpath;
	struct table_rest *rest;
};
extern const struct table mount_volume_table;

struct mount_tmpfs {
	int64_t size_bytes;
	uint32_t mode;
	char *options; /* raw JSON */
	struct table_rest *rest;
};
extern const struct table mount_tmpfs_table;

struct mount {
	char *type; /* bind, volume, tmpfs, image, npipe, cluster */
	char *source;
	char *target;
	bool read_only;
	char *consistency;
	struct mount_bind *bind;
	struct mount_volume *volume;
	struct mount_tmpfs *tmpfs;
	struct table_rest *rest;
};
extern const struct table mount_table;

struct healthcheck {
	struct strs test;
	int64_t interval;
	int64_t timeout;
	int64_t start_period;
	int64_t start_interval;
	int64_t retries;
	struct table_rest *rest;
};
extern const struct table healthcheck_table;

struct dns_config {
	struct strs nameservers;
	struct strs search;
	struct strs options;
	struct table_rest *rest;
};
extern const struct table dns_config_table;

struct ulimit {
	char *name;
	int64_t soft;
	int64_t hard;
	struct table_rest *rest;
};
extern const struct table ulimit_table;

struct file_target {
	char *name;
	char *uid;
	char *gid;
	uint32_t mode;
	struct table_rest *rest;
};
extern const struct table file_target_table;

struct secret_ref {
	struct file_target *file;
	char *id;
	char *name;
	struct table_rest *rest;
};
extern const struct table secret_ref_table;

struct config_ref {
	struct file_target *file;
	struct empty *runtime;
	char *id;
	char *name;
	struct table_rest *rest;
};
extern const struct table config_ref_table;

struct credential_spec {
	char *config;
	char *file;
	char *registry;
	struct table_rest *rest;
};
extern const struct table credential_spec_table;

struct selinux_context {
	bool disable;
	char *user;
	char *role;
	char *type;
	char *level;
	struct table_rest *rest;
};
extern const struct table selinux_context_table;

struct seccomp_opts {
	char *mode; /* default, unconfined, custom */
	struct bytes profile;
	struct table_rest *rest;
};
extern const struct table seccomp_opts_table;

struct apparmor_opts {
	char *mode; /* default, disabled */
	struct table_rest *rest;
};
extern const struct table apparmor_opts_table;

struct privileges {
	struct credential_spec *credential_spec;
	struct selinux_context *selinux;
	struct seccomp_opts *seccomp;
	struct apparmor_opts *apparmor;
	bool no_new_privileges;
	struct table_rest *rest;
};
extern const struct table privileges_table;

struct container_spec {
	char *image;
	struct strmap labels;
	struct strs command; /* the entry point */
	struct strs args;
	char *hostname;
	struct strs env;
	char *dir;
	char *user;
	struct strs groups;
	struct privileges *privileges;
	bool *init;
	bool tty;
	bool open_stdin;
	bool read_only;
	LIST_OF(struct mount) mounts;
	char *stop_signal;
	int64_t *stop_grace;
	struct healthcheck *healthcheck;
	struct strs hosts;
	struct dns_config *dns;
	LIST_OF(struct secret_ref) secrets;
	LIST_OF(struct config_ref) configs;
	char *isolation;
	struct strmap sysctls;
	struct strs cap_add;
	struct strs cap_drop;
	LIST_OF(struct ulimit) ulimits;
	int64_t oom_score_adj;
	struct table_rest *rest;
};
extern const struct table container_spec_table;

/* Both of what a task may use at most and of what it wants kept for it; and of what a node has. */
struct resources {
	int64_t nano_cpus;
	int64_t memory;
	int64_t pids;
	struct generics generic;
	struct table_rest *rest;
};
extern const struct table resources_table;

struct resource_needs {
	struct resources *limits;
	struct resources *reservations;
	struct table_rest *rest;
};
extern const struct table resource_needs_table;

enum restart_condition { RESTART_ANY, RESTART_NONE, RESTART_ON_FAILURE };

struct restart_policy {
	enum restart_condition condition;
	int64_t *delay; /* ns; absent: 5 s */
	uint64_t *max_attempts;
	int64_t *window;
	struct table_rest *rest;
};
extern const struct table restart_policy_table;

struct spread {
	char *descriptor;
	struct table_rest *rest;
};
extern const struct table spread_table;

struct placement_preference {
	struct spread *spread;
	struct table_rest *rest;
};
extern const struct table placement_preference_table;

struct platform {
	char *architecture;
	char *os;
	struct table_rest *rest;
};
extern const struct table platform_table;

struct placement {
	struct strs constraints;
	LIST_OF(struct placement_preference) preferences;
	uint64_t max_replicas; /* a node; 0: no bound */
	LIST_OF(struct platform) platforms;
	struct table_rest *rest;
};
extern const struct table placement_table;

struct network_attachment {
	char *target; /* a network's id or name; resolved to its id when the service is stored */
	struct strs aliases;
	struct strmap driver_opts;
	struct table_rest *rest;
};
extern const struct table network_attachment_table;

struct task_spec {
	struct container_spec *container;
	char *plugin;             /* raw JSON: kept only to be refused by name */
	char *network_attachment; /* likewise */
	struct resource_needs *resources;
	struct restart_policy *restart;
	struct placement *placement;
	uint64_t force_update;
	char *runtime;
	LIST_OF(struct network_attachment) networks;
	struct driver *log_driver;
	struct table_rest *rest;
};
extern const struct table task_spec_table;

struct replicated_mode {
	uint64_t *replicas; /* absent: 1 */
	struct table_rest *rest;
};
extern const struct table replicated_mode_table;

struct job_mode {
	uint64_t *max_concurrent;
	uint64_t *total_completions;
	struct table_rest *rest;
};
extern const struct table job_mode_table;

/* Which run of a job: they are counted from 0. */
struct job_iteration {
	uint64_t index;
	struct table_rest *rest;
};
extern const struct table job_iteration_table;

/* How far a job's schedule was looked at: see schedule.h. */
struct job_schedule {
	int64_t since;  /* what was due up to here has been decided */
	char *decision; /* the last one, for people */
	struct table_rest *rest;
};
extern const struct table job_schedule_table;

struct job_status {
	struct job_iteration iteration;
	int64_t last_execution; /* when that iteration was started; 0: it never was */
	struct job_schedule *schedule;
	struct table_rest *rest;
};
extern const struct table job_status_table;

/* Of a service that waits for others (depends.h): whether its tasks may be placed. */
struct service_gate {
	uint64_t open; /* the template for which what it waits for has come once; 0: none */
	char *waits;   /* "for db to be healthy"; NULL: nothing, or it was not looked at */
	struct table_rest *rest;
};
extern const struct table service_gate_table;

/* Exactly one is set once the service is stored. */
struct service_mode {
	struct replicated_mode *replicated;
	struct empty *global;
	struct job_mode *replicated_job;
	struct empty *global_job;
	struct table_rest *rest;
};
extern const struct table service_mode_table;

enum port_protocol { PORT_TCP, PORT_UDP, PORT_SCTP };
/* "tcp", "udp", "sctp". */
const char *port_protocol_name(enum port_protocol p);
/* 0 or -EINVAL. */
int port_protocol_parse(const char *text, enum port_protocol *ret);
enum publish_mode { PUBLISH_INGRESS, PUBLISH_HOST };

struct port_config {
	char *name;
	enum port_protocol protocol;
	uint32_t target;
	uint32_t published; /* 0: chosen by the allocator */
	enum publish_mode mode;
	struct table_rest *rest;
};
extern const struct table port_config_table;

enum endpoint_mode { ENDPOINT_VIP, ENDPOINT_DNSRR };

struct endpoint_spec {
	enum endpoint_mode mode;
	LIST_OF(struct port_config) ports;
	struct table_rest *rest;
};
extern const struct table endpoint_spec_table;

struct service_spec {
	char *name;
	struct strmap labels;
	struct task_spec task;
	struct service_mode mode;
	struct update_config *update;
	struct update_config *rollback;
	LIST_OF(struct network_attachment) networks; /* the old place of task.networks */
	struct endpoint_spec *endpoint;
	struct table_rest *rest;
};
extern const struct table service_spec_table;

struct virtual_ip {
	char *network;
	char *address; /* CIDR */
	struct table_rest *rest;
};
extern const struct table virtual_ip_table;

struct endpoint {
	struct endpoint_spec spec;
	LIST_OF(struct port_config) ports;
	LIST_OF(struct virtual_ip) vips;
	struct table_rest *rest;
};
extern const struct table endpoint_table;

struct service {
	struct object o;
	struct service_spec spec;
	struct service_spec *previous_spec;
	struct endpoint endpoint;
	/* Version of `spec` as a whole: the store's counter when the spec was last changed. */
	uint64_t spec_version;
	/*
	 * Which KIND_TEMPLATE new tasks use ("SERVICE.VERSION"): it changes only when spec.task
	 * does, so that scaling replaces no task.
	 */
	uint64_t template_version;
	bool pending_delete;
	struct update_status *update_status;
	struct update_run update;
	struct job_status *job; /* of jobs alone */
	struct rebalance_status *rebalance;
	/*
	 * Of one that is rebalanced by its policy: a hash of the nodes that took tasks when its
	 * spread was looked at last. 0: it never was.
	 */
	uint64_t balanced_nodes;
	struct service_gate *gate; /* of those that wait for others */
	struct autoscale_status *autoscale;
	struct table_rest *rest;
};
extern const struct table service_table;

/*
 * One version of a service's task template. Tasks refer to it instead of copying it; it lives as
 * long as the service uses it or a task refers to it. Its id is "SERVICE.VERSION".
 */
struct template
{
	struct object o;
	char *service;
	uint64_t template_version;
	char *service_name;           /* tasks are named after it */
	struct strmap service_labels; /* for templates like {{.Service.Labels.x}} */
	struct task_spec spec;
	struct endpoint_spec *endpoint;
	struct table_rest *rest;
};
extern const struct table template_table;

/* The desired number of tasks of a replicated service; 0 for other modes. */
uint64_t service_replicas(const struct service_spec *spec);
/* Whether it runs on each node that fits, once: a global service or a global job. */
bool service_is_global(const struct service_spec *spec);
/* Whether its tasks run to their end, once. */
bool service_is_job(const struct service_spec *spec);
/* What a replicated job has to complete, and how much of it at a time; 0 for other modes. */
uint64_t job_completions(const struct service_spec *spec);
uint64_t job_concurrency(const struct service_spec *spec);
/* The iteration that is due now; 0 for what is no job. */
uint64_t service_iteration(const struct service *s);

/* Whether two endpoints (NULL: none) publish the same on the nodes of their tasks. */
bool endpoint_host_ports_equal(const struct endpoint_spec *a, const struct endpoint_spec *b);
/* "SERVICE.VERSION" into `ret` of TEMPLATE_ID_MAX bytes. */
#define TEMPLATE_ID_MAX 64
void template_id(const char *service, uint64_t template_version, char ret[TEMPLATE_ID_MAX]);

/* Restart policy with Swarm's defaults filled in: any, 5 s, unlimited, unbounded. */
struct restart_rules {
	enum restart_condition condition;
	int64_t delay;
	uint64_t max_attempts; /* 0: unlimited */
	int64_t window;        /* 0: since ever */
};
void restart_rules_of(const struct task_spec *spec, struct restart_rules *ret);
#define STOP_GRACE_DEFAULT (10 * 1000000000LL)
int64_t stop_grace_of(const struct container_spec *spec);
