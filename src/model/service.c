/*
 * The tables of model/service.h. Numbers are stored: see base/table.h.
 */
#include "model/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const protocol_names[] = {"tcp", "udp", "sctp"};
static const char *const publish_names[] = {"ingress", "host"};
static const char *const endpoint_mode_names[] = {"vip", "dnsrr"};
static const char *const condition_names[] = {"any", "none", "on-failure"};

const struct table empty_table = {.name = "empty", .size = sizeof(struct empty), TABLE_REST(empty)};

#define T struct driver
static const struct field driver_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_STRMAP(T, 2, options, "Options", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(driver, driver_fields, TABLE_REST(driver));

#define T struct resources
static const struct field resources_fields[] = {
	FIELD_I64(T, 1, nano_cpus, "NanoCPUs", FIELD_OMIT),
	FIELD_I64(T, 2, memory, "MemoryBytes", FIELD_OMIT),
	FIELD_I64(T, 3, pids, "Pids", FIELD_OMIT),
	FIELD_LIST(T, 4, generic, "GenericResources", FIELD_OMIT, generic_resource),
};
#undef T
TABLE_DEFINE(resources, resources_fields, TABLE_REST(resources));

#define T struct resource_needs
static const struct field resource_needs_fields[] = {
	FIELD_PTR(T, 1, limits, "Limits", FIELD_OMIT, resources),
	FIELD_PTR(T, 2, reservations, "Reservations", FIELD_OMIT, resources),
};
#undef T
TABLE_DEFINE(resource_needs, resource_needs_fields, TABLE_REST(resource_needs));

#define T struct restart_policy
static const struct field restart_policy_fields[] = {
	FIELD_ENUM(T, 1, condition, "Condition", 0, condition_names),
	FIELD_OPT_I64(T, 2, delay, "Delay", FIELD_OMIT),
	FIELD_OPT_U64(T, 3, max_attempts, "MaxAttempts", FIELD_OMIT),
	FIELD_OPT_I64(T, 4, window, "Window", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(restart_policy, restart_policy_fields, TABLE_REST(restart_policy));

#define T struct spread
static const struct field spread_fields[] = {
	FIELD_STR(T, 1, descriptor, "SpreadDescriptor", 0),
};
#undef T
TABLE_DEFINE(spread, spread_fields, TABLE_REST(spread));

#define T struct placement_preference
static const struct field placement_preference_fields[] = {
	FIELD_PTR(T, 1, spread, "Spread", FIELD_OMIT, spread),
};
#undef T
TABLE_DEFINE(placement_preference, placement_preference_fields, TABLE_REST(placement_preference));

#define T struct platform
static const struct field platform_fields[] = {
	FIELD_STR(T, 1, architecture, "Architecture", FIELD_OMIT),
	FIELD_STR(T, 2, os, "OS", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(platform, platform_fields, TABLE_REST(platform));

#define T struct placement
static const struct field placement_fields[] = {
	FIELD_STRS(T, 1, constraints, "Constraints", FIELD_OMIT),
	FIELD_LIST(T, 2, preferences, "Preferences", FIELD_OMIT, placement_preference),
	FIELD_U64(T, 3, max_replicas, "MaxReplicas", FIELD_OMIT),
	FIELD_LIST(T, 4, platforms, "Platforms", FIELD_OMIT, platform),
};
#undef T
TABLE_DEFINE(placement, placement_fields, TABLE_REST(placement));

#define T struct network_attachment
static const struct field network_attachment_fields[] = {
	FIELD_STR(T, 1, target, "Target", FIELD_OMIT),
	FIELD_STRS(T, 2, aliases, "Aliases", FIELD_OMIT),
	FIELD_STRMAP(T, 3, driver_opts, "DriverOpts", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(network_attachment, network_attachment_fields, TABLE_REST(network_attachment));

#define T struct task_spec
static const struct field task_spec_fields[] = {
	FIELD_PTR(T, 1, container, "ContainerSpec", FIELD_OMIT, container_spec),
	FIELD_RAW(T, 2, plugin, "PluginSpec", FIELD_OMIT),
	FIELD_RAW(T, 3, network_attachment, "NetworkAttachmentSpec", FIELD_OMIT),
	FIELD_PTR(T, 4, resources, "Resources", FIELD_OMIT, resource_needs),
	FIELD_PTR(T, 5, restart, "RestartPolicy", FIELD_OMIT, restart_policy),
	FIELD_PTR(T, 6, placement, "Placement", FIELD_OMIT, placement),
	FIELD_U64(T, 7, force_update, "ForceUpdate", 0),
	FIELD_STR(T, 8, runtime, "Runtime", FIELD_OMIT),
	FIELD_LIST(T, 9, networks, "Networks", FIELD_OMIT, network_attachment),
	FIELD_PTR(T, 10, log_driver, "LogDriver", FIELD_OMIT, driver),
};
#undef T
TABLE_DEFINE(task_spec, task_spec_fields, TABLE_REST(task_spec));

#define T struct replicated_mode
static const struct field replicated_mode_fields[] = {
	FIELD_OPT_U64(T, 1, replicas, "Replicas", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(replicated_mode, replicated_mode_fields, TABLE_REST(replicated_mode));

#define T struct job_mode
static const struct field job_mode_fields[] = {
	FIELD_OPT_U64(T, 1, max_concurrent, "MaxConcurrent", FIELD_OMIT),
	FIELD_OPT_U64(T, 2, total_completions, "TotalCompletions", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(job_mode, job_mode_fields, TABLE_REST(job_mode));

#define T struct job_iteration
static const struct field job_iteration_fields[] = {
	FIELD_U64(T, 1, index, "Index", 0),
};
#undef T
TABLE_DEFINE(job_iteration, job_iteration_fields, TABLE_REST(job_iteration));

#define T struct job_schedule
static const struct field job_schedule_fields[] = {
	FIELD_TIME(T, 1, since, "DecidedUntil", 0),
	FIELD_STR(T, 2, decision, "Decision", 0),
};
#undef T
TABLE_DEFINE(job_schedule, job_schedule_fields, TABLE_REST(job_schedule));

#define T struct job_status
static const struct field job_status_fields[] = {
	FIELD_OBJ(T, 1, iteration, "JobIteration", 0, job_iteration),
	FIELD_TIME(T, 2, last_execution, "LastExecution", 0),
	FIELD_PTR(T, 3, schedule, "Schedule", FIELD_OMIT, job_schedule),
};
#undef T
TABLE_DEFINE(job_status, job_status_fields, TABLE_REST(job_status));

#define T struct service_mode
static const struct field service_mode_fields[] = {
	FIELD_PTR(T, 1, replicated, "Replicated", FIELD_OMIT, replicated_mode),
	FIELD_PTR(T, 2, global, "Global", FIELD_OMIT, empty),
	FIELD_PTR(T, 3, replicated_job, "ReplicatedJob", FIELD_OMIT, job_mode),
	FIELD_PTR(T, 4, global_job, "GlobalJob", FIELD_OMIT, empty),
};
#undef T
TABLE_DEFINE(service_mode, service_mode_fields, TABLE_REST(service_mode));

#define T struct port_config
static const struct field port_config_fields[] = {
	FIELD_STR(T, 1, name, "Name", FIELD_OMIT),
	FIELD_ENUM(T, 2, protocol, "Protocol", 0, protocol_names),
	FIELD_U32(T, 3, target, "TargetPort", FIELD_OMIT),
	FIELD_U32(T, 4, published, "PublishedPort", FIELD_OMIT),
	FIELD_ENUM(T, 5, mode, "PublishMode", 0, publish_names),
};
#undef T
TABLE_DEFINE(port_config, port_config_fields, TABLE_REST(port_config));

#define T struct endpoint_spec
static const struct field endpoint_spec_fields[] = {
	FIELD_ENUM(T, 1, mode, "Mode", 0, endpoint_mode_names),
	FIELD_LIST(T, 2, ports, "Ports", FIELD_OMIT, port_config),
};
#undef T
TABLE_DEFINE(endpoint_spec, endpoint_spec_fields, TABLE_REST(endpoint_spec));

#define T struct service_spec
static const struct field service_spec_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_STRMAP(T, 2, labels, "Labels", 0),
	FIELD_OBJ(T, 3, task, "TaskTemplate", 0, task_spec),
	FIELD_OBJ(T, 4, mode, "Mode", 0, service_mode),
	FIELD_PTR(T, 5, update, "UpdateConfig", FIELD_OMIT, update_config),
	FIELD_PTR(T, 6, rollback, "RollbackConfig", FIELD_OMIT, update_config),
	FIELD_LIST(T, 7, networks, "Networks", FIELD_OMIT, network_attachment),
	FIELD_PTR(T, 8, endpoint, "EndpointSpec", FIELD_OMIT, endpoint_spec),
};
#undef T
TABLE_DEFINE(service_spec, service_spec_fields, TABLE_REST(service_spec));

#define T struct virtual_ip
static const struct field virtual_ip_fields[] = {
	FIELD_STR(T, 1, network, "NetworkID", FIELD_OMIT),
	FIELD_STR(T, 2, address, "Addr", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(virtual_ip, virtual_ip_fields, TABLE_REST(virtual_ip));

#define T struct endpoint
static const struct field endpoint_fields[] = {
	FIELD_OBJ(T, 1, spec, "Spec", 0, endpoint_spec),
	FIELD_LIST(T, 2, ports, "Ports", FIELD_OMIT, port_config),
	FIELD_LIST(T, 3, vips, "VirtualIPs", FIELD_OMIT, virtual_ip),
};
#undef T
TABLE_DEFINE(endpoint, endpoint_fields, TABLE_REST(endpoint));

#define T struct service_gate
static const struct field service_gate_fields[] = {
	FIELD_U64(T, 1, open, NULL, 0),
	FIELD_STR(T, 2, waits, NULL, 0),
};
#undef T
TABLE_DEFINE(service_gate, service_gate_fields, TABLE_REST(service_gate));

#define T struct service
static const struct field service_fields[] = {
	OBJECT_FIELDS(T),
	FIELD_OBJ(T, 10, spec, "Spec", 0, service_spec),
	FIELD_PTR(T, 11, previous_spec, "PreviousSpec", FIELD_OMIT, service_spec),
	FIELD_OBJ(T, 12, endpoint, "Endpoint", 0, endpoint),
	FIELD_U64(T, 13, spec_version, NULL, 0),
	FIELD_U64(T, 14, template_version, NULL, 0),
	FIELD_BOOL(T, 15, pending_delete, NULL, 0),
	FIELD_PTR(T, 20, update_status, "UpdateStatus", FIELD_OMIT, update_status),
	FIELD_OBJ(T, 21, update, NULL, 0, update_run),
	FIELD_PTR(T, 22, rebalance, "RebalanceStatus", FIELD_OMIT, rebalance_status),
	FIELD_U64(T, 23, balanced_nodes, NULL, 0),
	FIELD_PTR(T, 24, autoscale, "Autoscale", FIELD_OMIT, autoscale_status),
	FIELD_PTR(T, 25, job, "JobStatus", FIELD_OMIT, job_status),
	FIELD_PTR(T, 30, gate, NULL, 0, service_gate),
};
#undef T
TABLE_DEFINE(service, service_fields, TABLE_REST(service));

#define T struct template
static const struct field template_fields[] = {
	OBJECT_FIELDS(T),
	FIELD_STR(T, 10, service, NULL, 0),
	FIELD_U64(T, 11, template_version, NULL, 0),
	FIELD_STR(T, 12, service_name, NULL, 0),
	FIELD_STRMAP(T, 13, service_labels, NULL, 0),
	FIELD_OBJ(T, 14, spec, NULL, 0, task_spec),
	FIELD_PTR(T, 15, endpoint, NULL, 0, endpoint_spec),
};
#undef T
TABLE_DEFINE(template, template_fields, TABLE_REST(template));

#define RESTART_DELAY_DEFAULT (5 * 1000000000LL)

uint64_t service_replicas(const struct service_spec *spec)
{
	if (!spec->mode.replicated)
		return 0;
	return spec->mode.replicated->replicas ? *spec->mode.replicated->replicas : 1;
}

bool service_is_global(const struct service_spec *spec)
{
	return spec->mode.global || spec->mode.global_job;
}

bool service_is_job(const struct service_spec *spec)
{
	return spec->mode.replicated_job || spec->mode.global_job;
}

uint64_t job_concurrency(const struct service_spec *spec)
{
	const struct job_mode *m = spec->mode.replicated_job;

	if (!m)
		return 0;
	return m->max_concurrent ? *m->max_concurrent : 1;
}

uint64_t job_completions(const struct service_spec *spec)
{
	const struct job_mode *m = spec->mode.replicated_job;

	return m && m->total_completions ? *m->total_completions : job_concurrency(spec);
}

uint64_t service_iteration(const struct service *s)
{
	return s->job ? s->job->iteration.index : 0;
}

const char *port_protocol_name(enum port_protocol p)
{
	return protocol_names[p];
}

int port_protocol_parse(const char *text, enum port_protocol *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(protocol_names); i++)
		if (strcmp(protocol_names[i], text) == 0) {
			*ret = (enum port_protocol)i;
			return 0;
		}
	return -EINVAL;
}

/* The next of host mode from `*at` on; NULL at the end. */
static const struct port_config *host_port_next(const struct endpoint_spec *e, size_t *at)
{
	while (e && *at < e->ports.n) {
		const struct port_config *p = &e->ports.v[(*at)++];

		if (p->mode == PUBLISH_HOST)
			return p;
	}
	return NULL;
}

bool endpoint_host_ports_equal(const struct endpoint_spec *a, const struct endpoint_spec *b)
{
	size_t i = 0, k = 0;

	for (;;) {
		const struct port_config *p = host_port_next(a, &i), *q = host_port_next(b, &k);

		if (!p || !q)
			return !p && !q;
		if (!table_equal(&port_config_table, p, q))
			return false;
	}
}

void template_id(const char *service, uint64_t template_version, char ret[TEMPLATE_ID_MAX])
{
	(void)snprintf(ret, TEMPLATE_ID_MAX, "%.40s.%" PRIu64, service, template_version);
}

void restart_rules_of(const struct task_spec *spec, struct restart_rules *ret)
{
	const struct restart_policy *p = spec->restart;

	*ret = (struct restart_rules){.delay = RESTART_DELAY_DEFAULT};
	if (!p)
		return;
	ret->condition = p->condition;
	if (p->delay)
		ret->delay = *p->delay;
	ret->max_attempts = p->max_attempts ? *p->max_attempts : 0;
	ret->window = p->window ? *p->window : 0;
}

int64_t stop_grace_of(const struct container_spec *spec)
{
	return spec && spec->stop_grace ? *spec->stop_grace : STOP_GRACE_DEFAULT;
}
