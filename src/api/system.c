/*
 * GET /version, and the routes of the system as a whole. Called by the router.
 */
#include "api/system.h"

#include <string.h>
#include <sys/utsname.h>

#include "api/engine_api.h"
#include "api/error.h"
#include "base/mem.h"

/* Of the commit that this was built from; the build gives them where it knows. */
#ifndef SHOAL_GIT_COMMIT
#define SHOAL_GIT_COMMIT ""
#endif
#ifndef SHOAL_BUILD_TIME
#define SHOAL_BUILD_TIME ""
#endif

struct version_name {
	char *name;
};
#define T struct version_name
static const struct field version_name_fields[] = {
	FIELD_STR(T, 0, name, "Name", 0),
};
#undef T
static TABLE_DEFINE(version_name, version_name_fields);

struct version_component {
	char *name;
	char *version;
	struct strmap details;
};
#define T struct version_component
static const struct field version_component_fields[] = {
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STR(T, 0, version, "Version", 0),
	FIELD_STRMAP(T, 0, details, "Details", 0),
};
#undef T
static TABLE_DEFINE(version_component, version_component_fields);

struct version_view {
	struct version_name platform;
	LIST_OF(struct version_component) components;
	char *version, *api, *api_min, *commit, *go, *os, *arch, *kernel, *built;
};
#define T struct version_view
static const struct field version_view_fields[] = {
	FIELD_OBJ(T, 0, platform, "Platform", 0, version_name),
	FIELD_LIST(T, 0, components, "Components", 0, version_component),
	FIELD_STR(T, 0, version, "Version", 0),
	FIELD_STR(T, 0, api, "ApiVersion", 0),
	FIELD_STR(T, 0, api_min, "MinAPIVersion", 0),
	FIELD_STR(T, 0, commit, "GitCommit", 0),
	FIELD_STR(T, 0, go, "GoVersion", 0),
	FIELD_STR(T, 0, os, "Os", 0),
	FIELD_STR(T, 0, arch, "Arch", 0),
	FIELD_STR(T, 0, kernel, "KernelVersion", 0),
	FIELD_STR(T, 0, built, "BuildTime", FIELD_OMIT),
};
#undef T
static TABLE_DEFINE(version_view, version_view_fields);

/* As the API names machines, not as the kernel does. */
static const char *arch_name(const char *machine)
{
	static const struct {
		const char *machine, *arch;
	} known[] = {
		{"x86_64", "amd64"}, {"aarch64", "arm64"},   {"armv7l", "arm"},
		{"i686", "386"},     {"ppc64le", "ppc64le"}, {"s390x", "s390x"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].machine, machine) == 0)
			return known[i].arch;
	return machine;
}

static void details_fill(const struct version_view *v, struct strmap *ret)
{
	strmap_set(ret, "ApiVersion", v->api);
	strmap_set(ret, "Arch", v->arch);
	strmap_set(ret, "BuildTime", v->built);
	strmap_set(ret, "Experimental", "false");
	strmap_set(ret, "GitCommit", v->commit);
	strmap_set(ret, "GoVersion", "");
	strmap_set(ret, "KernelVersion", v->kernel);
	strmap_set(ret, "MinAPIVersion", v->api_min);
	strmap_set(ret, "Os", v->os);
}

static void version_handler(struct api_req *r)
{
	struct version_component engine = {.name = (char *)"Engine",
					   .version = (char *)SHOAL_VERSION};
	struct utsname uts;
	struct version_view v = {
		.platform = {.name = (char *)"Shoal"},
		.version = (char *)SHOAL_VERSION,
		.api = (char *)API_VERSION,
		.api_min = (char *)API_VERSION_MIN,
		.commit = (char *)SHOAL_GIT_COMMIT,
		.os = (char *)"linux",
		.kernel = uts.release,
		.built = (char *)SHOAL_BUILD_TIME,
	};

	(void)uname(&uts);
	v.arch = (char *)arch_name(uts.machine);
	details_fill(&v, &engine.details);
	v.components.v = &engine;
	v.components.n = 1;
	api_reply_table(r, 200, &version_view_table, &v);
	strmap_done(&engine.details);
}

/*
 * There are none. `docker inspect NAME` asks for plugins before secrets, and goes on only where it
 * hears that there is no such thing.
 */
static void plugin_inspect(struct api_req *r)
{
	api_reply_fail(r, -ENOENT, "plugin \"%.128s\" not found", r->vars[0]);
}

static void plugin_list(struct api_req *r)
{
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);

	(void)buf_adds(&json, "[]\n");
	api_reply_json(r, 200, &json);
}

static const struct api_route routes[] = {
	{"GET", "/plugins", plugin_list, API_BODY_NONE, 0, 0},
	{"GET", "/plugins/{name:.*}/json", plugin_inspect, API_BODY_NONE, 0, 0},
	{"GET", "/info", system_info_handler, API_BODY_NONE, 0, 0},
	{"GET", "/version", version_handler, API_BODY_NONE, 0, 0},
};

void api_system_add(struct api_router *r, struct engine *engine, struct api_swarm *swarm)
{
	swarm->engine = engine;
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
