/*
 * Networks of the cluster. See control.h.
 */
#include <string.h>

#include "base/mem.h"
#include "base/addr.h"
#include "manager/control.h"
#include "model/ipam.h"

static int spec_check(const struct network_spec *s, struct err *e)
{
	static const char *const reserved[] = {"bridge", "host", "none", "default", "container"};

	if (!s->name || !*s->name || strlen(s->name) > NAME_MAX_LEN)
		return err_set(e, -EINVAL, "invalid network name \"%.80s\": 1 to 63 characters",
			       s->name ? s->name : "");
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (strcmp(s->name, reserved[i]) == 0)
			return err_set(e, -EPERM,
				       "operation is not permitted on predefined %s network",
				       s->name);
	if (s->driver && *s->driver && strcmp(s->driver, "overlay") != 0)
		return err_set(e, -ENOSYS,
			       "network driver \"%s\" is not implemented with the scope of the "
			       "swarm: use overlay",
			       s->driver);
	if (s->ingress)
		return err_set(e, -ENOSYS, "ingress networks are not implemented");
	if (s->config_only)
		return err_set(e, -ENOSYS, "config-only networks are not implemented");
	if (s->enable_ipv6)
		return err_set(e, -ENOSYS, "IPv6 in overlay networks is not implemented");
	if (strmap_get(&s->options, "encrypted"))
		return err_set(e, -ENOSYS, "encrypted overlay networks are not implemented");
	if (s->ipam.driver && *s->ipam.driver && strcmp(s->ipam.driver, "default") != 0)
		return err_set(e, -ENOSYS, "the IPAM driver \"%s\" is not implemented",
			       s->ipam.driver);
	return 0;
}

static int subnet_check(const struct store *view, const struct ipam_pool *pool, struct err *e)
{
	struct net_prefix mine, theirs;
	const struct network *other;
	struct store_walk w;
	int rc = ipam_pool_check(pool, e);

	if (rc < 0 || !pool->subnet || net_prefix_parse(pool->subnet, &mine) < 0)
		return rc;
	store_walk_kind(&w, view, KIND_NETWORK);
	while ((other = store_walk_next(&w)))
		LIST_EACH (p, &other->ipam.config)
			if (p->subnet && net_prefix_parse(p->subnet, &theirs) == 0 &&
			    net_prefix_overlap(&mine, &theirs))
				return err_set(
					e, -EINVAL,
					"subnet %s overlaps %s of network %s: choose another",
					pool->subnet, p->subnet, other->spec.name);
	return 0;
}

int control_network_create(struct control *c, const struct control_request *r, struct err *e)
{
	char id[ID_CLUSTER_LEN + 1];
	struct network *n;
	int rc;

	if (!r->network)
		return err_set(e, -EINVAL, "the network's specification is missing");
	rc = spec_check(r->network, e);
	for (size_t i = 0; rc == 0 && i < r->network->ipam.config.n; i++)
		rc = r->network->ipam.config.v[i].subnet
			     ? subnet_check(c->view, &r->network->ipam.config.v[i], e)
			     : 0;
	if (rc < 0)
		return rc;
	if (store_named(c->view, KIND_NETWORK, r->network->name))
		return err_set(e, -EEXIST, "network with name %s already exists", r->network->name);
	c->new_id(c->new_id_arg, id);
	n = object_new(KIND_NETWORK, id, c->now_ns);
	table_copy(&network_spec_table, &n->spec, r->network);
	str_set(&n->spec.driver, "overlay");
	str_set(&n->spec.scope, "swarm");
	changes_create(c->out, &n->o);
	str_set(&c->answer->id, id);
	return 0;
}

static const struct service *network_user(const struct store *view, const char *network)
{
	const struct service *s;
	struct store_walk w;

	store_walk_kind(&w, view, KIND_SERVICE);
	while ((s = store_walk_next(&w)))
		LIST_EACH (a, &s->spec.task.networks)
			if (!s->pending_delete && strcmp(a->target, network) == 0)
				return s;
	return NULL;
}

int control_network_remove(struct control *c, const struct control_request *r, struct err *e)
{
	const struct service *user;
	const struct object *o;
	struct network *n;
	int rc = control_find(c->view, KIND_NETWORK, r->id, &o, e);

	if (rc < 0)
		return rc;
	if (((const struct network *)o)->pending_delete)
		return err_set(e, -ENOENT, "network %s not found", r->id);
	user = network_user(c->view, o->id);
	if (user)
		return err_set(e, -EBUSY,
			       "rpc error: code = FailedPrecondition desc = network %s is in use "
			       "by service %s",
			       o->id, user->spec.name);
	n = object_clone(o);
	n->pending_delete = true; /* the reaper removes it once no task has an address in it */
	str_set(&n->spec.name, o->id);
	changes_update(c->out, o, &n->o, c->now_ns);
	str_set(&c->answer->id, o->id);
	return 0;
}
