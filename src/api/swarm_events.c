/*
 * What changes in the cluster's store, as events of this host's engine: services, nodes,
 * networks, secrets and configs. Each manager tells its own clients what it applies. See
 * engine_api.h.
 */
#include <inttypes.h>
#include <string.h>

#include "api/engine_api.h"
#include "base/clock.h"
#include "base/mem.h"

struct swarm_events {
	struct engine *engine;
	struct store *store;
	struct manager *manager;
	struct store_watch watch;
	bool current; /* what comes is new, not what the log tells again after a start */
};

/* "key.old" and "key.new", when they differ. */
static void pair_set(struct strmap *m, const char *key, const char *old, const char *new)
{
	auto_free char *was = NULL, *is = NULL;

	if (strcmp(old ? old : "", new ? new : "") == 0)
		return;
	was = xasprintf("%s.old", key);
	is = xasprintf("%s.new", key);
	strmap_set(m, was, old ? old : "");
	strmap_set(m, is, new ? new : "");
}

static const char *node_name(const struct node *n)
{
	return n->spec.name && *n->spec.name ? n->spec.name : n->description.hostname;
}

/* Values of these enums as the Engine API writes them. */
static const char *const states[] = {"unknown", "down", "ready", "disconnected"};
static const char *const availabilities[] = {"active", "pause", "drain"};
static const char *const roles[] = {"worker", "manager"};

static void node_attributes(const struct node *old, const struct node *new, struct strmap *ret)
{
	const char *name = node_name(new ? new : old);

	strmap_set(ret, "name", name ? name : "");
	if (!old || !new)
		return;
	pair_set(ret, "state", states[old->status.state], states[new->status.state]);
	pair_set(ret, "availability", availabilities[old->spec.availability],
		 availabilities[new->spec.availability]);
	pair_set(ret, "role", roles[old->spec.role], roles[new->spec.role]);
}

static const char *update_state_of(const struct service *s)
{
	return s->update_status ? update_state_name(s->update_status->state) : NULL;
}

static const char *image_of(const struct service *s)
{
	return s->spec.task.container ? s->spec.task.container->image : NULL;
}

/* That of the change, the same on every manager; a removal's is nowhere. */
static int64_t time_of(const struct object *old, const struct object *new)
{
	if (!new)
		return clock_wall_ns();
	return old ? new->updated : new->created;
}

static void service_attributes(const struct service *old, const struct service *new,
			       struct strmap *ret)
{
	const char *name = (new ? new : old)->spec.name;
	char was[24], is[24];

	strmap_set(ret, "name", name ? name : "");
	if (!old || !new)
		return;
	snprintf(was, sizeof was, "%" PRIu64, (uint64_t)service_replicas(&old->spec));
	snprintf(is, sizeof is, "%" PRIu64, (uint64_t)service_replicas(&new->spec));
	pair_set(ret, "image", image_of(old), image_of(new));
	pair_set(ret, "replicas", was, is);
	pair_set(ret, "updatestate", update_state_of(old), update_state_of(new));
	if (!update_state_of(old)) /* as docker has it: there was none */
		strmap_remove(ret, "updatestate.old");
	if (new->autoscale &&new->autoscale->reason &&
	    (!old->autoscale || old->autoscale->decided != new->autoscale->decided))
		strmap_set(ret, "reason", new->autoscale->reason);
}

static void network_attributes(const struct network *n, struct strmap *ret)
{
	strmap_set(ret, "name", n->spec.name ? n->spec.name : "");
	strmap_set(ret, "type", n->spec.driver && *n->spec.driver ? n->spec.driver : "overlay");
}

static void tell(struct swarm_events *s, const struct object *old, const struct object *new)
{
	const struct object *o = new ? new : old;
	struct strmap attributes = {0};
	struct engine_event ev = {
		.type = object_kind_name(o->kind),
		.action = !old  ? "create"
			  : new ? "update"
				: "remove",
		.id = o->id,
		.scope = "swarm",
		.time_ns = time_of(old, new),
		.attributes = &attributes,
	};

	switch (o->kind) {
	case KIND_NODE:
		node_attributes((const struct node *)old, (const struct node *)new, &attributes);
		break;
	case KIND_SERVICE:
		service_attributes((const struct service *)old, (const struct service *)new,
				   &attributes);
		break;
	case KIND_NETWORK:
		network_attributes((const struct network *)o, &attributes);
		break;
	case KIND_SECRET:
	case KIND_CONFIG:
		strmap_set(&attributes, "name", object_name(o));
		break;
	default:
		return;
	}
	engine_event(s->engine, &ev);
	strmap_done(&attributes);
}

/* What is about to be removed, its tasks first, is removed as far as users see it. */
static bool is_gone(const struct object *o)
{
	return !o || object_is_going(o);
}

static void changed(void *arg, const struct object *old, const struct object *new)
{
	struct swarm_events *s = arg;

	if (!s->current && manager_readable(s->manager, NULL) < 0)
		return;
	s->current = true;
	if (is_gone(old))
		old = NULL;
	if (is_gone(new))
		new = NULL;
	if (old || new)
		tell(s, old, new);
}

struct swarm_events *swarm_events_attach(struct engine *engine, struct store *store,
					 struct manager *m)
{
	struct swarm_events *s = xcalloc(1, sizeof *s);

	s->engine = engine;
	s->store = store;
	s->manager = m;
	s->current = !m;
	s->watch = (struct store_watch){.changed = changed, .arg = s};
	store_watch_add(store, &s->watch);
	return s;
}

void swarm_events_detach(struct swarm_events *s)
{
	if (!s)
		return;
	store_watch_remove(s->store, &s->watch);
	free(s);
}
