/*
 * Networks as the Engine API shows them. See networks.h.
 */
#include "api/networks.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static void ref_of_engine(const struct engine_network *n, struct network_ref *ret)
{
	*ret = (struct network_ref){.id = n->id,
				    .name = n->name,
				    .driver = n->driver,
				    .scope = n->scope,
				    .created_ns = n->created_ns,
				    .spec = &n->spec,
				    .ipam = &n->ipam};
}

static void ref_of_store(const struct network *n, struct network_ref *ret)
{
	*ret = (struct network_ref){.id = n->o.id,
				    .name = n->spec.name,
				    .driver = n->spec.driver && *n->spec.driver ? n->spec.driver
										: (char *)"overlay",
				    .scope = (char *)"swarm",
				    .created_ns = n->o.created,
				    .spec = &n->spec,
				    .ipam = n->ipam.config.n ? &n->ipam : &n->spec.ipam};
}

void networks_walk(struct networks_walk *w, struct engine *e, const struct store *store)
{
	*w = (struct networks_walk){.store = store};
	w->local = engine_networks(e, &w->n);
	if (store)
		store_walk_kind(&w->walk, store, KIND_NETWORK);
}

/* The store's word on an overlay is newer than the engine's. */
static bool in_store(const struct networks_walk *w, const char *id)
{
	return w->store && store_network(w->store, id);
}

bool networks_next(struct networks_walk *w, struct network_ref *ret)
{
	const struct network *n;

	while (w->at < w->n) {
		const struct engine_network *local = w->local[w->at++];

		if (in_store(w, local->id))
			continue;
		ref_of_engine(local, ret);
		return true;
	}
	do
		n = w->store ? store_walk_next(&w->walk) : NULL;
	while (n && n->pending_delete);
	if (!n)
		return false;
	ref_of_store(n, ret);
	return true;
}

void networks_walk_done(struct networks_walk *w)
{
	free(w->local);
}

/* Containers with an endpoint */

static const struct endpoint_settings *endpoint_in(const struct container *c, const char *network)
{
	if (c->status != CONTAINER_RUNNING)
		return NULL;
	LIST_EACH (n, &c->networks.endpoints)
		if (n->value.network && strcmp(n->value.network, network) == 0)
			return &n->value;
	return NULL;
}

bool network_in_use(struct engine *e, const char *id)
{
	size_t n;
	auto_free struct container **all = engine_containers(e, &n);
	bool used = false;

	for (size_t i = 0; i < n; i++)
		used = used || endpoint_in(all[i], id);
	return used;
}

struct member_view {
	char *name;
	char *endpoint;
	char *mac;
	char *ip4;
	char *ip6;
};
#define T struct member_view
static const struct field member_view_fields[] = {
	FIELD_STR(T, 0, name, "Name", 0),       FIELD_STR(T, 0, endpoint, "EndpointID", 0),
	FIELD_STR(T, 0, mac, "MacAddress", 0),  FIELD_STR(T, 0, ip4, "IPv4Address", 0),
	FIELD_STR(T, 0, ip6, "IPv6Address", 0),
};
#undef T
static TABLE_DEFINE(member_view, member_view_fields);

struct config_from_view {
	char *network;
};
#define T struct config_from_view
static const struct field config_from_view_fields[] = {
	FIELD_STR(T, 0, network, "Network", 0),
};
#undef T
static TABLE_DEFINE(config_from_view, config_from_view_fields);

struct ipam_view {
	char *driver;
	struct strmap options;
	LIST_OF(struct ipam_pool) config;
};
#define T struct ipam_view
static const struct field ipam_view_fields[] = {
	FIELD_STR(T, 0, driver, "Driver", 0),
	FIELD_STRMAP(T, 0, options, "Options", FIELD_NULL),
	FIELD_LIST(T, 0, config, "Config", 0, ipam_pool),
};
#undef T
static TABLE_DEFINE(ipam_view, ipam_view_fields);

/* Lent, but for the containers. */
struct network_view {
	struct network_ref n;
	struct network_spec spec;
	bool ip4;
	struct ipam_view ipam;
	struct config_from_view from;
	MAP_OF(struct member_view) containers;
};
#define T struct network_view
static const struct field network_view_fields[] = {
	FIELD_STR(T, 0, n.name, "Name", 0),
	FIELD_STR(T, 0, n.id, "Id", 0),
	FIELD_TIME(T, 0, n.created_ns, "Created", 0),
	FIELD_STR(T, 0, n.scope, "Scope", 0),
	FIELD_STR(T, 0, n.driver, "Driver", 0),
	FIELD_BOOL(T, 0, ip4, "EnableIPv4", 0),
	FIELD_BOOL(T, 0, spec.enable_ipv6, "EnableIPv6", 0),
	FIELD_OBJ(T, 0, ipam, "IPAM", 0, ipam_view),
	FIELD_BOOL(T, 0, spec.internal, "Internal", 0),
	FIELD_BOOL(T, 0, spec.attachable, "Attachable", 0),
	FIELD_BOOL(T, 0, spec.ingress, "Ingress", 0),
	FIELD_OBJ(T, 0, from, "ConfigFrom", 0, config_from_view),
	FIELD_BOOL(T, 0, spec.config_only, "ConfigOnly", 0),
	FIELD_MAP(T, 0, containers, "Containers", 0, member_view),
	FIELD_STRMAP(T, 0, spec.options, "Options", 0),
	FIELD_STRMAP(T, 0, spec.labels, "Labels", 0),
};
#undef T
static TABLE_DEFINE(network_view, network_view_fields);

static char *cidr(const char *ip, int64_t prefix)
{
	return ip && *ip ? xasprintf("%s/%" PRId64, ip, prefix) : NULL;
}

static void members_fill(struct engine *e, const char *id, struct network_view *ret)
{
	size_t n;
	auto_free struct container **all = engine_containers(e, &n);

	for (size_t i = 0; i < n; i++) {
		const struct endpoint_settings *at = endpoint_in(all[i], id);
		struct member_view *m;

		if (!at)
			continue;
		m = MAP_PUT(&ret->containers, all[i]->id);
		*m = (struct member_view){.name = xstrdup(all[i]->name),
					  .endpoint = xstrdup(at->endpoint),
					  .mac = xstrdup(at->mac_address),
					  .ip4 = cidr(at->ip, at->ip_prefix),
					  .ip6 = cidr(at->ip6, at->ip6_prefix)};
	}
}

void network_render(struct engine *e, const struct network_ref *n, struct buf *ret)
{
	struct network_view view = {.n = *n, .spec = *n->spec};

	view.ip4 = !n->spec->enable_ipv4 || *n->spec->enable_ipv4;
	view.ipam.driver =
		n->ipam->driver && *n->ipam->driver ? n->ipam->driver : (char *)"default";
	view.ipam.options = n->ipam->options;
	memcpy(&view.ipam.config, &n->ipam->config, sizeof view.ipam.config);
	if (e)
		members_fill(e, n->id, &view);
	(void)json_write(&network_view_table, &view, ret);
	LIST_EACH (c, &view.containers) {
		free(c->key);
		table_done(&member_view_table, &c->value);
	}
	free(view.containers.v);
}

void api_network_write(const struct network *n, struct buf *ret)
{
	struct network_ref ref;

	ref_of_store(n, &ref);
	network_render(NULL, &ref, ret);
}
