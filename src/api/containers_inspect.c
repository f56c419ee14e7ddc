/*
 * GET /containers/{id}/json: all of a container, in the shape that API 1.51 has for it.
 */
#include <string.h>

#include "api/containers.h"
#include "base/limits.h"
#include "base/mem.h"

struct state_view {
	char *status;
	bool running, paused, restarting, oom_killed, dead;
	int64_t pid;
	int32_t exit_code;
	char *error;
	int64_t started_ns;
	int64_t finished_ns;
	struct health *health;
};
#define T struct state_view
static const struct field state_view_fields[] = {
	FIELD_STR(T, 0, status, "Status", 0),
	FIELD_BOOL(T, 0, running, "Running", 0),
	FIELD_BOOL(T, 0, paused, "Paused", 0),
	FIELD_BOOL(T, 0, restarting, "Restarting", 0),
	FIELD_BOOL(T, 0, oom_killed, "OOMKilled", 0),
	FIELD_BOOL(T, 0, dead, "Dead", 0),
	FIELD_I64(T, 0, pid, "Pid", 0),
	FIELD_I32(T, 0, exit_code, "ExitCode", 0),
	FIELD_STR(T, 0, error, "Error", 0),
	FIELD_TIME(T, 0, started_ns, "StartedAt", 0),
	FIELD_TIME(T, 0, finished_ns, "FinishedAt", 0),
	FIELD_PTR(T, 0, health, "Health", FIELD_OMIT, health),
};
#undef T
static TABLE_DEFINE(state_view, state_view_fields);

struct graph_view {
	struct strmap data;
	char *name;
};
#define T struct graph_view
static const struct field graph_view_fields[] = {
	FIELD_STRMAP(T, 0, data, "Data", FIELD_NULL),
	FIELD_STR(T, 0, name, "Name", 0),
};
#undef T
static TABLE_DEFINE(graph_view, graph_view_fields);

/* The members beside Networks and Ports are those of the network "bridge", as older clients want.
 */
struct settings_view {
	char *none;
	bool hairpin;
	int64_t link_local_prefix;
	MAP_OF(struct port_bindings) ports;
	struct strs secondary;
	struct endpoint_settings bridge;
	MAP_OF(struct endpoint_settings) networks;
};
#define T struct settings_view
static const struct field settings_view_fields[] = {
	FIELD_STR(T, 0, none, "Bridge", 0),
	FIELD_STR(T, 0, none, "SandboxID", 0),
	FIELD_STR(T, 0, none, "SandboxKey", 0),
	FIELD_MAP(T, 0, ports, "Ports", 0, port_bindings),
	FIELD_BOOL(T, 0, hairpin, "HairpinMode", 0),
	FIELD_STR(T, 0, none, "LinkLocalIPv6Address", 0),
	FIELD_I64(T, 0, link_local_prefix, "LinkLocalIPv6PrefixLen", 0),
	FIELD_STRS(T, 0, secondary, "SecondaryIPAddresses", FIELD_NULL),
	FIELD_STRS(T, 0, secondary, "SecondaryIPv6Addresses", FIELD_NULL),
	FIELD_STR(T, 0, bridge.endpoint, "EndpointID", 0),
	FIELD_STR(T, 0, bridge.gateway, "Gateway", 0),
	FIELD_STR(T, 0, bridge.ip6, "GlobalIPv6Address", 0),
	FIELD_I64(T, 0, bridge.ip6_prefix, "GlobalIPv6PrefixLen", 0),
	FIELD_STR(T, 0, bridge.ip, "IPAddress", 0),
	FIELD_I64(T, 0, bridge.ip_prefix, "IPPrefixLen", 0),
	FIELD_STR(T, 0, bridge.gateway6, "IPv6Gateway", 0),
	FIELD_STR(T, 0, bridge.mac_address, "MacAddress", 0),
	FIELD_MAP(T, 0, networks, "Networks", 0, endpoint_settings),
};
#undef T
static TABLE_DEFINE(settings_view, settings_view_fields);

struct inspect_view {
	struct container c;
	struct state_view state;
	char *name;
	char *driver;
	char *none;
	struct strs exec_ids;
	struct graph_view graph;
	int64_t *size_rw, *size_root;
	struct settings_view settings;
};
#define T struct inspect_view
static const struct field inspect_view_fields[] = {
	FIELD_STR(T, 0, c.id, "Id", 0),
	FIELD_TIME(T, 0, c.created_ns, "Created", 0),
	FIELD_STR(T, 0, c.path, "Path", 0),
	FIELD_STRS(T, 0, c.args, "Args", 0),
	FIELD_OBJ(T, 0, state, "State", 0, state_view),
	FIELD_STR(T, 0, c.image_id, "Image", 0),
	FIELD_STR(T, 0, c.resolv_path, "ResolvConfPath", 0),
	FIELD_STR(T, 0, c.hostname_path, "HostnamePath", 0),
	FIELD_STR(T, 0, c.hosts_path, "HostsPath", 0),
	FIELD_STR(T, 0, c.log_path, "LogPath", 0),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_I64(T, 0, c.restart_count, "RestartCount", 0),
	FIELD_STR(T, 0, driver, "Driver", 0),
	FIELD_STR(T, 0, c.platform, "Platform", 0),
	FIELD_STR(T, 0, none, "MountLabel", 0),
	FIELD_STR(T, 0, none, "ProcessLabel", 0),
	FIELD_STR(T, 0, none, "AppArmorProfile", 0),
	FIELD_STRS(T, 0, exec_ids, "ExecIDs", FIELD_NULL),
	FIELD_OBJ(T, 0, c.host, "HostConfig", 0, host_config),
	FIELD_OBJ(T, 0, graph, "GraphDriver", 0, graph_view),
	FIELD_OPT_I64(T, 0, size_rw, "SizeRw", FIELD_OMIT),
	FIELD_OPT_I64(T, 0, size_root, "SizeRootFs", FIELD_OMIT),
	FIELD_LIST(T, 0, c.mounts, "Mounts", 0, container_mount),
	FIELD_OBJ(T, 0, c.config, "Config", 0, container_config),
	FIELD_OBJ(T, 0, settings, "NetworkSettings", 0, settings_view),
};
#undef T
static TABLE_DEFINE(inspect_view, inspect_view_fields);

static void state_fill(const struct container *c, struct state_view *ret)
{
	*ret = (struct state_view){
		.status = (char *)container_state_name(c),
		.running = containers_is_running(c),
		.paused = c->paused,
		.restarting = c->status == CONTAINER_RESTARTING,
		.oom_killed = c->oom_killed,
		.dead = c->status == CONTAINER_DEAD,
		.pid = c->status == CONTAINER_RUNNING ? c->pid : 0,
		.exit_code = c->exit_code,
		.error = c->error,
		.started_ns = c->started_ns,
		.finished_ns = c->finished_ns,
		.health = c->health,
	};
}

/* Exposed ports with where they are published; null says nowhere. What is copied is lent. */
static void settings_fill(const struct container *c, struct settings_view *ret)
{
	const struct endpoint_settings *bridge = MAP_GET(&c->networks.endpoints, "bridge");

	memcpy(&ret->networks, &c->networks.endpoints, sizeof ret->networks);
	if (bridge)
		ret->bridge = *bridge;
	if (c->status != CONTAINER_RUNNING)
		return;
	STRS_EACH (port, &c->config.exposed_ports)
		(void)MAP_PUT(&ret->ports, port);
	for (size_t i = 0; i < c->ports.n; i++)
		*MAP_PUT(&ret->ports, c->ports.v[i].key) = c->ports.v[i].value;
}

static void reply(struct api_req *r, const struct container *c, const struct container_size *size)
{
	auto_free char *name = xasprintf("/%s", c->name);
	struct inspect_view view = {0};

	view.c = *c;
	view.name = name;
	view.driver = view.graph.name = (char *)"overlay2";
	engine_exec_ids(c, &view.exec_ids);
	view.size_rw = size ? (int64_t *)&size->rw : NULL;
	view.size_root = size ? (int64_t *)&size->root : NULL;
	state_fill(c, &view.state);
	settings_fill(c, &view.settings);
	api_reply_table(r, 200, &inspect_view_table, &view);
	strs_done(&view.exec_ids);
	for (size_t i = 0; i < view.settings.ports.n; i++)
		free(view.settings.ports.v[i].key);
	free(view.settings.ports.v);
}

/* It may be gone by now. */
static void sized(void *arg, int status, const struct container_sizes *sizes, const struct err *e)
{
	struct api_req *r = arg;
	struct container *c;

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	c = containers_find(r);
	if (c)
		reply(r, c, sizes->list.n ? sizes->list.v : NULL);
}

void container_inspect_handler(struct api_req *r)
{
	struct container *c = containers_find(r);

	if (!c)
		return;
	if (query_bool(r->query, "size", false))
		engine_container_sizes(r->ctx, &(const struct strs){&c->id, 1}, sized, r);
	else
		reply(r, c, NULL);
}
