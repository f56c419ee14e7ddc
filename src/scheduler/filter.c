/*
 * The filters: whether a node can take a task of a group, and the sentence when none can. See
 * scheduler.h; called by place.c.
 */
#include "scheduler/impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void sched_needs_init(struct sched_needs *ret, const struct sched_group *g)
{
	const struct resource_needs *r = g->spec->resources;
	const struct placement *p = g->spec->placement;

	*ret = (struct sched_needs){.g = g};
	if (r && r->reservations) {
		ret->cpus = r->reservations->nano_cpus;
		ret->memory = r->reservations->memory;
		if (r->reservations->generic.n)
			ret->generic = &r->reservations->generic;
	}
	if (p) {
		ret->max_replicas = (uint32_t)MIN_OF(p->max_replicas, UINT32_MAX);
		ret->nothing_fits = constraints_parse(&p->constraints, &ret->constraints, NULL) < 0;
	}
	if (g->spec->container &&
	    task_rights_read(&g->spec->container->labels, &ret->rights, NULL) < 0)
		ret->nothing_fits = true;
	if (g->endpoint)
		LIST_EACH (port, &g->endpoint->ports)
			ret->has_ports |= sched_port_key(port) != 0;
}

void sched_needs_done(struct sched_needs *n)
{
	constraints_done(&n->constraints);
	task_rights_done(&n->rights);
}

uint32_t sched_port_key(const struct port_config *p)
{
	if (p->mode != PUBLISH_HOST || !p->published)
		return 0;
	return (uint32_t)p->protocol << 16 | (p->published & 0xffff);
}

static bool resources_fit(const struct sched_needs *needs, const struct sched_node *node)
{
	if (needs->cpus > 0 && node->cpus < needs->cpus)
		return false;
	if (needs->memory > 0 && node->memory < needs->memory)
		return false;
	return !needs->generic || generics_enough(&node->generic_free, needs->generic);
}

static bool plugin_has(const struct node *n, const char *type, const char *name, bool *ret_any)
{
	*ret_any = false;
	LIST_EACH (plugin, &n->description.engine.plugins) {
		if (!plugin->type || strcasecmp(plugin->type, type) != 0)
			continue;
		*ret_any = true;
		if (plugin->name && strcmp(plugin->name, name) == 0)
			return true;
	}
	return false;
}

/* Volume drivers beyond the built-in one, and log drivers where the node names the ones it has. */
static bool plugins_fit(const struct task_spec *spec, const struct node *n)
{
	bool any;

	if (spec->container) {
		LIST_EACH (m, &spec->container->mounts) {
			const struct driver *d = m->volume ? m->volume->driver : NULL;

			if (d && d->name && *d->name && strcmp(d->name, "local") != 0 &&
			    !plugin_has(n, "Volume", d->name, &any))
				return false;
		}
	}
	if (spec->log_driver && spec->log_driver->name && *spec->log_driver->name &&
	    strcmp(spec->log_driver->name, "none") != 0)
		return plugin_has(n, "Log", spec->log_driver->name, &any) || !any;
	return true;
}

/* One name an architecture: nodes say what the kernel does, images say what Go does. */
static const char *arch_name(const char *arch)
{
	static const char *const same[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}};

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (strcasecmp(arch, same[i][0]) == 0)
			return same[i][1];
	return arch;
}

static bool text_is(const char *want, const char *have)
{
	if (!want || !*want)
		return true;
	return have && strcasecmp(arch_name(want), arch_name(have)) == 0;
}

static bool platform_fits(const struct placement *p, const struct node *n)
{
	if (!p || !p->platforms.n)
		return true;
	LIST_EACH (want, &p->platforms)
		if (text_is(want->os, n->description.platform.os) &&
		    text_is(want->architecture, n->description.platform.architecture))
			return true;
	return false;
}

bool scheduler_allows(const struct task_spec *spec, const struct node *n)
{
	struct constraints c = {0};
	bool ret;

	if (!spec->placement)
		return true;
	ret = constraints_parse(&spec->placement->constraints, &c, NULL) == 0 &&
	      constraints_match(&c, n) && platform_fits(spec->placement, n);
	constraints_done(&c);
	return ret;
}

static bool ports_fit(const struct sched_needs *needs, const struct sched_node *node)
{
	if (!needs->has_ports)
		return true;
	LIST_EACH (port, &needs->g->endpoint->ports) {
		uint32_t key = sched_port_key(port);

		for (size_t i = 0; key && i < node->n_ports; i++)
			if (node->ports[i].key == key)
				return false;
	}
	return true;
}

static bool devices_fit(const struct task_rights *r, const struct node_description *d)
{
	return !task_rights_device_missing(r, d->privileged_tasks, &d->task_devices);
}

enum sched_filter sched_filter_node(const struct sched_needs *needs, const struct sched_node *node,
				    uint32_t same)
{
	const struct task_spec *spec = needs->g->spec;

	if (!node->ready)
		return FILTER_READY;
	if (!resources_fit(needs, node))
		return FILTER_RESOURCES;
	if (!plugins_fit(spec, node->n))
		return FILTER_PLUGIN;
	if (needs->rights.privileged && !node->n->description.privileged_tasks)
		return FILTER_PRIVILEGED;
	if (!devices_fit(&needs->rights, &node->n->description))
		return FILTER_DEVICE;
	if (needs->nothing_fits || !constraints_match(&needs->constraints, node->n))
		return FILTER_CONSTRAINT;
	if (!platform_fits(spec->placement, node->n))
		return FILTER_PLATFORM;
	if (!ports_fit(needs, node))
		return FILTER_PORT;
	if (needs->max_replicas && same >= needs->max_replicas)
		return FILTER_REPLICAS;
	return FILTER_NONE;
}

bool sched_still_fits(const struct sched_needs *needs, const struct sched_node *node, uint32_t same)
{
	return resources_fit(needs, node) && ports_fit(needs, node) &&
	       (!needs->max_replicas || same < needs->max_replicas);
}

struct reason {
	uint32_t nodes;
	enum sched_filter filter;
};

/* Most nodes first, then in the order of the filters. */
static int reason_compare(const void *pa, const void *pb)
{
	const struct reason *a = pa, *b = pb;

	if (a->nodes != b->nodes)
		return a->nodes < b->nodes ? 1 : -1;
	return (int)a->filter - (int)b->filter;
}

static void reason_write(const struct reason *r, struct buf *why)
{
	static const struct {
		const char *before, *after;
	} texts[FILTER_MAX] = {
		[FILTER_READY] = {"", " not available for new tasks"},
		[FILTER_RESOURCES] = {"insufficient resources on ", ""},
		[FILTER_PLUGIN] = {"missing plugin on ", ""},
		[FILTER_PRIVILEGED] = {"privileged tasks not permitted on ", ""},
		[FILTER_DEVICE] = {"devices for tasks not permitted on ", ""},
		[FILTER_CONSTRAINT] = {"scheduling constraints not satisfied on ", ""},
		[FILTER_PLATFORM] = {"unsupported platform on ", ""},
		[FILTER_PORT] = {"host-mode port already in use on ", ""},
	};

	if (r->filter == FILTER_REPLICAS) /* Swarm's own words, without a number */
		(void)buf_adds(why, "max replicas per node limit exceed");
	else
		(void)buf_addf(why, "%s%" PRIu32 " %s%s", texts[r->filter].before, r->nodes,
			       r->nodes == 1 ? "node" : "nodes", texts[r->filter].after);
}

void sched_explain(const uint32_t refused[FILTER_MAX], struct buf *why)
{
	struct reason reasons[FILTER_MAX];
	size_t n = 0;

	for (int f = 0; f < FILTER_MAX; f++)
		if (refused[f])
			reasons[n++] = (struct reason){refused[f], (enum sched_filter)f};
	qsort(reasons, n, sizeof reasons[0], reason_compare);
	(void)buf_adds(why, "no suitable node");
	for (size_t i = 0; i < n; i++) {
		(void)buf_adds(why, i ? "; " : " (");
		reason_write(&reasons[i], why);
	}
	if (n)
		(void)buf_addc(why, ')');
}
