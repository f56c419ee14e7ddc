/*
 * Nodes: what operators may change of them, their coming and their removal. See control.h.
 */
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manager/control.h"

static size_t managers_count(const struct store *view)
{
	const struct node *n;
	struct store_walk w;
	size_t count = 0;

	store_walk_kind(&w, view, KIND_NODE);
	while ((n = store_walk_next(&w)))
		count += n->spec.role == ROLE_MANAGER;
	return count;
}

/* Raft takes no more: one that is called a manager and never votes would only confuse. */
static int managers_room(const struct store *view, struct err *e)
{
	if (managers_count(view) < LIMIT_MANAGERS)
		return 0;
	return err_set(e, -EINVAL,
		       "a swarm has at most %d managers: demote or remove one first, or let the "
		       "node be a worker",
		       LIMIT_MANAGERS);
}

static int update_check(struct control *c, const struct node *old, const struct control_request *r,
			struct err *e)
{
	if (!r->node)
		return err_set(e, -EINVAL, "the node's specification is missing");
	if (old->o.version.index != r->version)
		return err_set(e, -ESTALE,
			       "rpc error: code = Unknown desc = update out of sequence: node %s "
			       "has changed since it was read (version %" PRIu64 ", not %" PRIu64
			       "): read it again",
			       old->o.id, old->o.version.index, r->version);
	if (r->node->role == old->spec.role)
		return 0;
	if (r->node->role == ROLE_MANAGER)
		return managers_room(c->view, e);
	if (managers_count(c->view) == 1)
		return err_set(e, -EINVAL,
			       "attempting to demote the last manager of the swarm: promote "
			       "another node first");
	if (strcmp(old->o.id, c->self) == 0)
		return err_set(e, -EBUSY,
			       "node %s leads the swarm, and no other manager can take its place "
			       "yet: try again when another one is reachable",
			       old->o.id);
	return 0;
}

int control_node_update(struct control *c, const struct control_request *r, struct err *e)
{
	const struct object *o;
	struct node *n;
	int rc = control_find(c->view, KIND_NODE, r->id, &o, e);

	if (rc == 0)
		rc = update_check(c, (const struct node *)o, r, e);
	if (rc < 0)
		return rc;
	n = object_clone(o);
	table_done(&node_spec_table, &n->spec);
	table_copy(&node_spec_table, &n->spec, r->node);
	/* Its vote goes with its role; one that is promoted gets one with its certificate. */
	if (n->spec.role != ROLE_MANAGER)
		table_free(&manager_status_table, TAKE_PTR(n->manager));
	changes_update(c->out, o, &n->o, c->now_ns);
	str_set(&c->answer->id, o->id);
	return 0;
}

int control_node_certify(struct control *c, const struct control_request *r, struct err *e)
{
	const struct node *old = r->id ? store_node(c->view, r->id) : NULL;
	struct node *n;

	if (!old)
		return err_set(e, -ENOENT, "node %s is not in the swarm", r->id ? r->id : "");
	if (!r->csr || !*r->csr)
		return err_set(e, -EINVAL, "the certificate request of node %s is missing", r->id);
	if (old->spec.role == ROLE_MANAGER && (!r->raft_id || !r->addr))
		return err_set(e, -EAGAIN, "node %s has become a manager meanwhile", r->id);
	n = object_clone(&old->o);
	free(n->csr.p);
	n->csr = (struct bytes){xmemdup(r->csr, strlen(r->csr)), strlen(r->csr)};
	if (n->spec.role == ROLE_MANAGER) {
		if (!n->manager)
			n->manager = xcalloc(1, sizeof *n->manager);
		/* A member that has lost its log must not vote again: it comes back as another. */
		if (!r->held_raft_id || n->manager->raft_id != r->held_raft_id)
			n->manager->raft_id = r->raft_id;
		str_set(&n->manager->addr, r->addr);
	}
	changes_update(c->out, &old->o, &n->o, c->now_ns);
	str_set(&c->answer->id, n->o.id);
	return 0;
}

/* The removed node's certificate must never open a door again while it is valid. */
static void certificate_block(struct control *c, const char *node)
{
	const struct cluster *old = store_cluster(c->view);
	struct cluster *cluster = object_clone(&old->o);

	MAP_PUT(&cluster->blocked, node)->expiry = c->now_ns + cluster_cert_life(old);
	changes_update(c->out, &old->o, &cluster->o, c->now_ns);
}

int control_node_remove(struct control *c, const struct control_request *r, struct err *e)
{
	const struct object *o;
	const struct node *n;
	int rc = control_find(c->view, KIND_NODE, r->id, &o, e);

	if (rc < 0)
		return rc;
	n = (const struct node *)o;
	if (n->spec.role == ROLE_MANAGER && !r->force)
		return err_set(e, -EBUSY,
			       "rpc error: code = FailedPrecondition desc = node %s is a cluster "
			       "manager and is a member of the raft cluster. It must be demoted to "
			       "worker before removal",
			       o->id);
	if (n->spec.role == ROLE_MANAGER && managers_count(c->view) == 1)
		return err_set(e, -EBUSY, "node %s is the last manager and cannot be removed",
			       o->id);
	if (n->spec.role == ROLE_MANAGER && strcmp(o->id, c->self) == 0)
		return err_set(e, -EBUSY,
			       "node %s is the leader: ask another manager, or use `swarm leave "
			       "--force` on it",
			       o->id);
	if (!r->force && n->status.state == NODE_READY)
		return err_set(
			e, -EBUSY,
			"rpc error: code = FailedPrecondition desc = node %s is not down and "
			"can't be removed: stop it first, or use --force",
			o->id);
	changes_delete(c->out, o);
	certificate_block(c, o->id);
	str_set(&c->answer->id, o->id);
	return 0;
}

/*
 * What stays is a worker that is down: it has no vote any more, its tasks go elsewhere, and it can
 * be removed like any other.
 */
int control_node_leave(struct control *c, const struct control_request *r, struct err *e)
{
	const struct node *old = r->id ? store_node(c->view, r->id) : NULL;
	struct node *n;

	if (!old)
		return err_set(e, -ENOENT, "node %s not found", r->id ? r->id : "");
	if (old->spec.role != ROLE_MANAGER)
		return 0;
	if (managers_count(c->view) == 1 || strcmp(old->o.id, c->self) == 0)
		return err_set(e, -EBUSY, "node %s leads the swarm: another manager has to first",
			       old->o.id);
	n = object_clone(&old->o);
	n->spec.role = ROLE_WORKER;
	table_free(&manager_status_table, TAKE_PTR(n->manager));
	n->status.state = NODE_DOWN;
	str_set(&n->status.message, "the node has left the swarm");
	changes_update(c->out, &old->o, &n->o, c->now_ns);
	str_set(&c->answer->id, n->o.id);
	return 0;
}

int control_node_join(struct control *c, const struct control_request *r, struct err *e)
{
	struct node *n;
	int rc;

	if (!r->new_node || !r->new_node->o.id || strlen(r->new_node->o.id) != ID_CLUSTER_LEN)
		return err_set(e, -EINVAL, "the joining node's id is missing");
	if (store_node(c->view, r->new_node->o.id))
		return err_set(e, -EEXIST, "node %s has joined already", r->new_node->o.id);
	rc = r->new_node->spec.role == ROLE_MANAGER ? managers_room(c->view, e) : 0;
	if (rc < 0)
		return rc;
	n = table_dup(&node_table, r->new_node);
	n->o.kind = KIND_NODE;
	n->o.refs = 1;
	n->o.created = n->o.updated = c->now_ns;
	changes_create(c->out, &n->o);
	str_set(&c->answer->id, n->o.id);
	return 0;
}
