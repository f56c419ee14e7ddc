/*
 * The sums that placement works with: what is free on a node, how many tasks of a service it has,
 * what failed there. Kept by differences, never recounted. See scheduler.h.
 */
#include "scheduler/impl.h"

#include <assert.h>
#include <string.h>

struct scheduler *scheduler_new(void)
{
	return xcalloc(1, sizeof(struct scheduler));
}

struct sched_node *sched_node_find(const struct scheduler *s, const char *id)
{
	struct sched_node *node;

	HASH_FIND(hh, s->by_id, id, strlen(id), node);
	return node;
}

struct sched_service *sched_service_find(const struct scheduler *s, const char *id)
{
	struct sched_service *service;

	HASH_FIND(hh, s->services, id, strlen(id), service);
	return service;
}

/* A hole of the dense array, or a new place at its end. */
static uint32_t index_take(struct scheduler *s)
{
	for (size_t i = s->n_nodes; i > 0 && HASH_COUNT(s->by_id) < s->n_nodes; i--)
		if (!s->nodes[i - 1])
			return (uint32_t)(i - 1);
	if (s->n_nodes == s->cap_nodes) {
		s->cap_nodes = s->cap_nodes ? s->cap_nodes * 2 : 16;
		s->nodes = xreallocarray(s->nodes, s->cap_nodes, sizeof(struct sched_node *));
	}
	return (uint32_t)s->n_nodes++;
}

static struct sched_node *node_get(struct scheduler *s, const char *id)
{
	struct sched_node *node = sched_node_find(s, id);

	if (node)
		return node;
	node = xcalloc(1, sizeof *node);
	node->id = xstrdup(id);
	node->serial = ++s->serial;
	node->hash = sched_hash(id);
	node->index = index_take(s);
	s->nodes[node->index] = node;
	HASH_ADD_KEYPTR(hh, s->by_id, node->id, strlen(node->id), node);
	return node;
}

static struct sched_service *service_get(struct scheduler *s, const char *id)
{
	struct sched_service *service = sched_service_find(s, id);

	if (service)
		return service;
	service = xcalloc(1, sizeof *service);
	service->id = xstrdup(id);
	HASH_ADD_KEYPTR(hh, s->services, service->id, strlen(service->id), service);
	return service;
}

static void service_free(struct scheduler *s, struct sched_service *service)
{
	HASH_DEL(s->services, service);
	free(service->id);
	free(service->counts);
	free(service->failures);
	free(service);
}

static void failures_drop(struct sched_service *service, size_t i)
{
	service->failures[i] = service->failures[--service->n_failures];
}

static void node_forget_failures(struct scheduler *s, const struct sched_node *node)
{
	struct sched_service *service, *next;

	HASH_ITER (hh, s->services, service, next) {
		for (size_t i = service->n_failures; i > 0; i--)
			if (service->failures[i - 1].node == node)
				failures_drop(service, i - 1);
		if (!service->n_failures && !service->n_counts)
			service_free(s, service);
	}
}

static void node_free(struct scheduler *s, struct sched_node *node)
{
	HASH_DEL(s->by_id, node);
	s->nodes[node->index] = NULL;
	free(node->id);
	free(node->ports);
	generics_done(&node->generic_held);
	generics_done(&node->generic_free);
	free(node);
}

static void given_free(struct sched_placed *p)
{
	if (p->given)
		generics_done(p->given);
	free(p->given);
}

void scheduler_free(struct scheduler *s)
{
	struct sched_service *service, *next_service;
	struct sched_node *node, *next_node;

	if (!s)
		return;
	HASH_ITER (hh, s->services, service, next_service)
		service_free(s, service);
	HASH_ITER (hh, s->by_id, node, next_node)
		node_free(s, node);
	for (size_t i = 0; i < s->n_placed; i++)
		given_free(&s->placed[i]);
	free(s->nodes);
	free(s->placed);
	free(s->scratch);
	free(s);
}

/* What is not held of what the node says that it has. */
static void generics_refresh(struct sched_node *node)
{
	generics_done(&node->generic_free);
	if (!node->n || !node->n->description.resources.generic.n)
		return;
	generics_add(&node->generic_free, &node->n->description.resources.generic);
	(void)generics_take(&node->generic_free, &node->generic_held);
}

static void node_refresh(struct sched_node *node)
{
	const struct resources *has;

	node->ready = false;
	if (!node->n)
		return;
	has = &node->n->description.resources;
	node->ready = node->n->status.state == NODE_READY &&
		      node->n->spec.availability == AVAILABILITY_ACTIVE;
	node->cpus = has->nano_cpus - node->reserved_cpus;
	node->memory = has->memory - node->reserved_memory;
}

void scheduler_node_set(struct scheduler *s, const struct node *n)
{
	struct sched_node *node = node_get(s, n->o.id);

	node->n = n;
	node_refresh(node);
	generics_refresh(node);
}

void scheduler_node_remove(struct scheduler *s, const char *id)
{
	struct sched_node *node = sched_node_find(s, id);

	if (!node)
		return;
	node->n = NULL;
	node_refresh(node);
	generics_refresh(node);
	node_forget_failures(s, node);
	if (!node->held)
		node_free(s, node);
}

/* Where the node's count is, or would be put. */
static size_t count_find(const struct sched_service *service, const struct sched_node *node)
{
	size_t lo = 0, hi = service->n_counts;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (service->counts[mid].node->serial < node->serial)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void count_add(struct sched_service *service, struct sched_node *node)
{
	size_t at = count_find(service, node);

	if (at < service->n_counts && service->counts[at].node == node) {
		service->counts[at].active++;
		return;
	}
	if (service->n_counts == service->cap_counts) {
		service->cap_counts = service->cap_counts ? service->cap_counts * 2 : 1;
		service->counts = xreallocarray(service->counts, service->cap_counts,
						sizeof *service->counts);
	}
	memmove(service->counts + at + 1, service->counts + at,
		(service->n_counts - at) * sizeof *service->counts);
	service->counts[at] = (struct sched_count){.node = node, .active = 1};
	service->n_counts++;
}

static void count_remove(struct scheduler *s, const char *id, const struct sched_node *node)
{
	struct sched_service *service = sched_service_find(s, id);
	size_t at;

	assert(service);
	at = count_find(service, node);
	assert(at < service->n_counts && service->counts[at].node == node);
	if (--service->counts[at].active)
		return;
	service->n_counts--;
	memmove(service->counts + at, service->counts + at + 1,
		(service->n_counts - at) * sizeof *service->counts);
	if (!service->n_counts && !service->n_failures)
		service_free(s, service);
}

static void port_hold(struct sched_node *node, uint32_t key)
{
	for (size_t i = 0; i < node->n_ports; i++) {
		if (node->ports[i].key == key) {
			node->ports[i].uses++;
			return;
		}
	}
	node->ports = xreallocarray(node->ports, node->n_ports + 1, sizeof *node->ports);
	node->ports[node->n_ports++] = (struct sched_port){.key = key, .uses = 1};
}

static void port_release(struct sched_node *node, uint32_t key)
{
	for (size_t i = 0; i < node->n_ports; i++) {
		if (node->ports[i].key != key)
			continue;
		if (!--node->ports[i].uses)
			node->ports[i] = node->ports[--node->n_ports];
		return;
	}
}

static void ports_each(const struct sched_group *g, struct sched_node *node,
		       void (*fn)(struct sched_node *node, uint32_t key))
{
	if (!g->endpoint)
		return;
	LIST_EACH (port, &g->endpoint->ports)
		if (sched_port_key(port))
			fn(node, sched_port_key(port));
}

static void reserve(struct sched_node *node, const struct sched_group *g, int sign)
{
	const struct resource_needs *needs = g->spec->resources;

	if (g->given && g->given->n) {
		if (sign > 0)
			generics_add(&node->generic_held, g->given);
		else
			(void)generics_take(&node->generic_held, g->given);
		generics_refresh(node);
	}
	if (!needs || !needs->reservations)
		return;
	node->reserved_cpus += sign * needs->reservations->nano_cpus;
	node->reserved_memory += sign * needs->reservations->memory;
	node_refresh(node);
}

void sched_hold_on(struct scheduler *s, const struct sched_group *g, struct sched_node *node,
		   bool active)
{
	reserve(node, g, 1);
	ports_each(g, node, port_hold);
	node->held++;
	if (active) {
		node->active++;
		count_add(service_get(s, g->service), node);
	}
}

void scheduler_hold(struct scheduler *s, const struct sched_group *g, const char *node, bool active)
{
	sched_hold_on(s, g, node_get(s, node), active);
}

static void release_on(struct scheduler *s, const struct sched_group *g, struct sched_node *node,
		       bool active)
{
	assert(node->held > 0);
	reserve(node, g, -1);
	ports_each(g, node, port_release);
	node->held--;
	if (active) {
		assert(node->active > 0);
		node->active--;
		count_remove(s, g->service, node);
	}
	if (!node->held && !node->n)
		node_free(s, node);
}

void scheduler_release(struct scheduler *s, const struct sched_group *g, const char *node,
		       bool active)
{
	struct sched_node *at = sched_node_find(s, node);

	assert(at);
	release_on(s, g, at, active);
}

void scheduler_rollback(struct scheduler *s)
{
	while (s->n_placed > 0) {
		struct sched_placed *p = &s->placed[--s->n_placed];

		release_on(s, &p->group, p->node, true);
		given_free(p);
	}
}

/* The earliest of those that are kept. They may come in any order when a leader starts. */
static int64_t *failures_oldest(struct sched_failures *f)
{
	int64_t *oldest = &f->at[0];

	for (uint32_t i = 1; i < f->n; i++)
		if (f->at[i] < *oldest)
			oldest = &f->at[i];
	return oldest;
}

static int64_t failures_latest(const struct sched_failures *f)
{
	int64_t latest = f->at[0];

	for (uint32_t i = 1; i < f->n; i++)
		latest = MAX_OF(latest, f->at[i]);
	return latest;
}

bool sched_is_failing(const struct sched_failures *f, uint64_t template_version, int64_t now_ns)
{
	if (f->template_version != template_version || f->n < SCHED_FAILURES)
		return false;
	for (uint32_t i = 0; i < f->n; i++)
		if (f->at[i] <= now_ns - SCHED_FAILURE_WINDOW_NS)
			return false;
	return true;
}

/* Failures that no longer count: of an older template, or too long ago. */
static void failures_prune(struct sched_service *service, uint64_t template_version, int64_t now_ns)
{
	for (size_t i = service->n_failures; i > 0; i--) {
		const struct sched_failures *f = &service->failures[i - 1];

		if (f->template_version < template_version ||
		    failures_latest(f) <= now_ns - SCHED_FAILURE_WINDOW_NS)
			failures_drop(service, i - 1);
	}
}

void scheduler_failed(struct scheduler *s, const char *id, uint64_t template_version,
		      const char *node_id, int64_t at_ns)
{
	struct sched_node *node = sched_node_find(s, node_id);
	struct sched_service *service;
	struct sched_failures *f = NULL;

	if (!node || !node->n)
		return;
	service = service_get(s, id);
	failures_prune(service, template_version, at_ns);
	for (size_t i = 0; i < service->n_failures; i++)
		if (service->failures[i].node == node &&
		    service->failures[i].template_version == template_version)
			f = &service->failures[i];
	if (!f) {
		service->failures = xreallocarray(service->failures, service->n_failures + 1,
						  sizeof *service->failures);
		f = &service->failures[service->n_failures++];
		*f = (struct sched_failures){.node = node, .template_version = template_version};
	}
	if (f->n < SCHED_FAILURES)
		f->at[f->n++] = at_ns;
	else if (*failures_oldest(f) < at_ns)
		*failures_oldest(f) = at_ns;
}
