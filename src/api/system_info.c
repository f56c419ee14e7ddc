/*
 * GET /info: the host, the engine and how it stands to its swarm, in the shape of API 1.51.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/error.h"
#include "api/system.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret_memory.h"

#define T struct swarm_peer
static const struct field swarm_peer_fields[] = {
	FIELD_STR(T, 0, node, "NodeID", 0),
	FIELD_STR(T, 0, addr, "Addr", 0),
};
#undef T
TABLE_DEFINE(swarm_peer, swarm_peer_fields);

/* Swarm */

struct info_cluster {
	struct cluster c; /* lent, as are its pools */
	struct cluster_spec spec;
	struct tls_info tls;
	struct strs pools;
	uint32_t data_port;
	uint32_t subnet_size;
	bool rotation;
};
#define T struct info_cluster
static const struct field info_cluster_fields[] = {
	FIELD_STR(T, 0, c.o.id, "ID", 0),
	FIELD_OBJ(T, 0, c.o.version, "Version", 0, version),
	FIELD_TIME(T, 0, c.o.created, "CreatedAt", 0),
	FIELD_TIME(T, 0, c.o.updated, "UpdatedAt", 0),
	FIELD_OBJ(T, 0, spec, "Spec", 0, cluster_spec),
	FIELD_OBJ(T, 0, tls, "TLSInfo", 0, tls_info),
	FIELD_BOOL(T, 0, rotation, "RootRotationInProgress", 0),
	FIELD_STRS(T, 0, pools, "DefaultAddrPool", 0),
	FIELD_U32(T, 0, subnet_size, "SubnetSize", 0),
	FIELD_U32(T, 0, data_port, "DataPathPort", 0),
};
#undef T
static TABLE_DEFINE(info_cluster, info_cluster_fields);

struct info_swarm {
	char *node;
	char *addr;
	char *state;
	bool control;
	char *error;
	LIST_OF(struct swarm_peer) managers_known;
	int64_t nodes;
	int64_t managers;
	struct info_cluster *cluster;
};
#define T struct info_swarm
static const struct field info_swarm_fields[] = {
	FIELD_STR(T, 0, node, "NodeID", 0),
	FIELD_STR(T, 0, addr, "NodeAddr", 0),
	FIELD_STR(T, 0, state, "LocalNodeState", 0),
	FIELD_BOOL(T, 0, control, "ControlAvailable", 0),
	FIELD_STR(T, 0, error, "Error", 0),
	FIELD_LIST(T, 0, managers_known, "RemoteManagers", FIELD_NULL, swarm_peer),
	FIELD_I64(T, 0, nodes, "Nodes", FIELD_OMIT),
	FIELD_I64(T, 0, managers, "Managers", FIELD_OMIT),
	FIELD_PTR(T, 0, cluster, "Cluster", FIELD_OMIT, info_cluster),
};
#undef T
static TABLE_DEFINE(info_swarm, info_swarm_fields);

/* What a manager knows beyond its own node. */
static void cluster_fill(struct manager *m, struct info_swarm *ret, struct info_cluster *room)
{
	const struct store *store = manager_store(m);
	const struct cluster *c = store_cluster(store);
	const struct node *n;
	struct store_walk w;

	ret->control = true;
	store_walk_kind(&w, store, KIND_NODE);
	while ((n = store_walk_next(&w))) {
		ret->nodes++;
		ret->managers += n->spec.role == ROLE_MANAGER;
	}
	if (!c)
		return;
	*room = (struct info_cluster){.c = *c,
				      .data_port = c->data_port ? c->data_port : 4789,
				      .subnet_size = c->subnet_size ? c->subnet_size : 24};
	room->pools = api_cluster_pools(c);
	api_cluster_spec(c, &room->spec);
	api_tls_info(c, &room->tls);
	ret->cluster = room;
}

static void swarm_fill(struct api_swarm *swarm, struct info_swarm *ret, struct info_cluster *room,
		       struct err *e)
{
	struct manager *m = swarm->manager(swarm->arg);
	struct swarm_status status = {0};

	swarm->status(swarm->arg, &status);
	ret->node = (char *)status.node;
	ret->addr = (char *)status.addr;
	ret->state = (char *)status.local_state;
	ret->error = (char *)status.error;
	ret->managers_known.v = (struct swarm_peer *)status.managers;
	ret->managers_known.n = status.n_managers;
	if (m && manager_readable(m, e) == 0)
		cluster_fill(m, ret, room);
	else if (m && (!ret->error || !*ret->error))
		ret->error = e->msg;
}

/* The whole */

struct info_plugins {
	struct strs volume, network, authorization, log;
};
#define T struct info_plugins
static const struct field info_plugins_fields[] = {
	FIELD_STRS(T, 0, volume, "Volume", 0),
	FIELD_STRS(T, 0, network, "Network", 0),
	FIELD_STRS(T, 0, authorization, "Authorization", FIELD_NULL),
	FIELD_STRS(T, 0, log, "Log", 0),
};
#undef T
static TABLE_DEFINE(info_plugins, info_plugins_fields);

struct info_view {
	struct engine_info i;
	struct strs labels, warnings, security;
	struct generics generic;
	char *id, *root;
	int64_t total, running, paused, stopped, images;
	char *driver, *driver_status, *cgroup_driver, *cgroup_version;
	struct info_plugins plugins;
	bool yes, no, oom_kill_disable;
	int64_t n_fd, zero, n_watchers;
	char *time, *kernel, *os, *os_version, *os_type, *arch, *none, *empty, *name, *version;
	int64_t n_cpu, memory;
	char *registry, *runtimes, *runtime, *init, *commit, *index;
	bool debug;
	struct info_swarm swarm;
};
#define T struct info_view
static const struct field info_view_fields[] = {
	FIELD_STR(T, 0, id, "ID", 0),
	FIELD_I64(T, 0, total, "Containers", 0),
	FIELD_I64(T, 0, running, "ContainersRunning", 0),
	FIELD_I64(T, 0, paused, "ContainersPaused", 0),
	FIELD_I64(T, 0, stopped, "ContainersStopped", 0),
	FIELD_I64(T, 0, images, "Images", 0),
	FIELD_STR(T, 0, driver, "Driver", 0),
	FIELD_RAW(T, 0, driver_status, "DriverStatus", 0),
	FIELD_OBJ(T, 0, plugins, "Plugins", 0, info_plugins),
	FIELD_BOOL(T, 0, yes, "MemoryLimit", 0),
	FIELD_BOOL(T, 0, yes, "SwapLimit", 0),
	FIELD_BOOL(T, 0, yes, "CpuCfsPeriod", 0),
	FIELD_BOOL(T, 0, yes, "CpuCfsQuota", 0),
	FIELD_BOOL(T, 0, yes, "CPUShares", 0),
	FIELD_BOOL(T, 0, yes, "CPUSet", 0),
	FIELD_BOOL(T, 0, yes, "PidsLimit", 0),
	FIELD_BOOL(T, 0, yes, "IPv4Forwarding", 0),
	FIELD_BOOL(T, 0, debug, "Debug", 0),
	FIELD_I64(T, 0, n_fd, "NFd", 0),
	FIELD_BOOL(T, 0, oom_kill_disable, "OomKillDisable", 0),
	FIELD_I64(T, 0, zero, "NGoroutines", 0),
	FIELD_STR(T, 0, time, "SystemTime", 0),
	FIELD_STR(T, 0, none, "LoggingDriver", 0),
	FIELD_STR(T, 0, cgroup_driver, "CgroupDriver", 0),
	FIELD_STR(T, 0, cgroup_version, "CgroupVersion", 0),
	FIELD_I64(T, 0, n_watchers, "NEventsListener", 0),
	FIELD_STR(T, 0, kernel, "KernelVersion", 0),
	FIELD_STR(T, 0, os, "OperatingSystem", 0),
	FIELD_STR(T, 0, os_version, "OSVersion", 0),
	FIELD_STR(T, 0, os_type, "OSType", 0),
	FIELD_STR(T, 0, arch, "Architecture", 0),
	FIELD_STR(T, 0, index, "IndexServerAddress", 0),
	FIELD_RAW(T, 0, registry, "RegistryConfig", 0),
	FIELD_I64(T, 0, n_cpu, "NCPU", 0),
	FIELD_I64(T, 0, memory, "MemTotal", 0),
	FIELD_STR(T, 0, root, "DockerRootDir", 0),
	FIELD_STR(T, 0, empty, "HttpProxy", 0),
	FIELD_STR(T, 0, empty, "HttpsProxy", 0),
	FIELD_STR(T, 0, empty, "NoProxy", 0),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STRS(T, 0, labels, "Labels", 0),
	FIELD_LIST(T, 0, generic, "GenericResources", FIELD_NULL, generic_resource),
	FIELD_BOOL(T, 0, no, "ExperimentalBuild", 0),
	FIELD_STR(T, 0, version, "ServerVersion", 0),
	FIELD_RAW(T, 0, runtimes, "Runtimes", 0),
	FIELD_STR(T, 0, runtime, "DefaultRuntime", 0),
	FIELD_OBJ(T, 0, swarm, "Swarm", 0, info_swarm),
	FIELD_BOOL(T, 0, yes, "LiveRestoreEnabled", 0),
	FIELD_STR(T, 0, empty, "Isolation", 0),
	FIELD_STR(T, 0, init, "InitBinary", 0),
	FIELD_RAW(T, 0, commit, "ContainerdCommit", 0),
	FIELD_RAW(T, 0, commit, "RuncCommit", 0),
	FIELD_RAW(T, 0, commit, "InitCommit", 0),
	FIELD_STRS(T, 0, security, "SecurityOptions", 0),
	FIELD_STRS(T, 0, warnings, "Warnings", FIELD_NULL),
};
#undef T
static TABLE_DEFINE(info_view, info_view_fields);

/* A value of /etc/os-release without its quotes; NULL when it has none. */
static char *os_release(const char *key)
{
	auto_buf text = BUF_INIT(LIMIT_FILE_SMALL);
	size_t n = strlen(key);
	char *rest;

	if (file_read_at(AT_FDCWD, "/etc/os-release", &text) < 0 &&
	    file_read_at(AT_FDCWD, "/usr/lib/os-release", &text) < 0)
		return NULL;
	rest = text.p;
	for (char *line; (line = rest ? strsep(&rest, "\n") : NULL);) {
		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		line += n + 1;
		if (*line == '"' || *line == '\'')
			line++;
		return xstrndup(line, strcspn(line, "\"'"));
	}
	return NULL;
}

static const char *fs_name(const char *path)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {
		{0xef53, "extfs"},     {0x58465342, "xfs"},       {0x9123683e, "btrfs"},
		{0x01021994, "tmpfs"}, {0x794c7630, "overlayfs"}, {0x2fc12fc1, "zfs"},
	};
	struct statfs s;

	if (statfs(path, &s) == 0)
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			if ((unsigned long)s.f_type == known[i].magic)
				return known[i].name;
	return "<unknown>";
}

struct info_state {
	struct api_req *r;
	struct api_swarm *swarm;
};

#define WORDS(...) \
	((struct strs){(char *[]){__VA_ARGS__}, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)})

static void host_fill(struct info_view *v, const struct utsname *uts)
{
	struct sysinfo memory = {0};

	(void)sysinfo(&memory);
	v->memory = (int64_t)memory.totalram * memory.mem_unit;
	v->n_cpu = sysconf(_SC_NPROCESSORS_ONLN);
	v->kernel = (char *)uts->release;
	v->arch = (char *)uts->machine;
	v->name = (char *)uts->nodename;
	v->os_type = (char *)"linux";
	v->debug = log_get_level() == LOG_LEVEL_DEBUG;
	v->yes = true;
}

static struct strs warnings_of(const struct engine_info *i)
{
	size_t loose = secret_loose();
	struct strs ret = {0};
	auto_free char *text = NULL;

	if (i->warnings)
		STRS_EACH (w, i->warnings)
			strs_add(&ret, w);
	if (loose) {
		text = xasprintf("WARNING: %zu bytes of memory for secrets are not locked and may "
				 "be written to swap: raise RLIMIT_MEMLOCK",
				 loose);
		strs_add(&ret, text);
	}
	return ret;
}

static void engine_fill(struct info_view *v, const struct engine_info *i)
{
	v->id = (char *)i->id;
	v->root = (char *)i->data_root;
	v->total = (int64_t)i->total;
	v->running = (int64_t)i->running;
	v->paused = (int64_t)i->paused;
	v->stopped = (int64_t)i->stopped;
	v->oom_kill_disable = i->cgroup_version == 1;
	v->cgroup_version = (char *)(i->cgroup_version == 1 ? "1" : "2");
	v->cgroup_driver = (char *)"cgroupfs";
	if (i->labels)
		v->labels = *i->labels;
	v->driver = (char *)"overlay2";
	v->none = (char *)"json-file";
	v->runtimes = (char *)"{\"shoal\":{\"path\":\"shoal-shim\"}}";
	v->runtime = (char *)"shoal";
	v->init = (char *)"docker-init";
	if (i->generic)
		v->generic = *i->generic;
	v->commit = (char *)"{\"ID\":\"\"}";
	v->index = (char *)"https://index.docker.io/v1/";
	v->registry = (char *)"{\"InsecureRegistryCIDRs\":[],\"IndexConfigs\":{},\"Mirrors\":[]}";
	v->version = (char *)SHOAL_VERSION;
}

static void info_reply(struct api_req *r, int64_t images)
{
	struct api_swarm *swarm = r->ctx;
	struct engine_info i = {0};
	struct info_view v = {.images = images};
	struct info_cluster room = {0};
	struct utsname uts;
	char now[TIME_TEXT_MAX];
	auto_free char *os = os_release("PRETTY_NAME");
	auto_free char *os_version = os_release("VERSION_ID");
	auto_free char *driver = NULL;

	engine_info(swarm->engine, &i);
	(void)uname(&uts);
	host_fill(&v, &uts);
	engine_fill(&v, &i);
	v.warnings = warnings_of(&i);
	time_format(clock_wall_ns(), now);
	driver = xasprintf("[[\"Backing Filesystem\",\"%s\"]]", fs_name(i.data_root));
	v.driver_status = driver;
	v.time = now;
	v.os = os ? os : (char *)"Linux";
	v.os_version = os_version;
	v.plugins = (struct info_plugins){
		.volume = WORDS((char *)"local"),
		.network =
			WORDS((char *)"bridge", (char *)"host", (char *)"null", (char *)"overlay"),
		.log = WORDS((char *)"json-file"),
	};
	v.security = WORDS((char *)"name=seccomp,profile=builtin", (char *)"name=cgroupns");
	swarm_fill(swarm, &v.swarm, &room, &r->err);
	api_reply_table(r, 200, &info_view_table, &v);
	strs_done(&v.warnings);
	table_done(&cluster_spec_table, &room.spec);
	table_done(&tls_info_table, &room.tls);
}

static void images_counted(void *arg, int status, const struct image_list *list,
			   const struct err *e)
{
	struct api_req *r = arg;

	if (status < 0)
		api_reply_error(r, e);
	else
		info_reply(r, (int64_t)list->images.n);
}

void system_info_handler(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct image_filters all = {0};

	engine_image_list(swarm->engine, &all, images_counted, r);
}
