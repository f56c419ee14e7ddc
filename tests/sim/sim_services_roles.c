/*
 * Managers of the services workload that are promoted and demoted: nodes of the store with a role,
 * whose membership of the raft group the product's own code keeps (manager/membership.h). A node
 * that is demoted throws its log away, and asks for a new certificate once it is promoted, as
 * main/swarm.c does. See sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define TURN_US (100 * SIM_MS)
/* Who does not hear from its own log that it is a worker, or another member, is told by the others.
 */
#define TOLD_US (1500 * SIM_MS)

static struct sim_node *manager_of(struct services *v, const char *id)
{
	struct sim_node *n = sim_node_named(v->sim, id);

	return n && n->place < v->sim->options.nodes ? n : NULL;
}

static const struct node *node_of(struct services *v, const struct manager_life *m, unsigned place)
{
	return store_node(replica_store(m->replica), v->sim->nodes[place]->name);
}

void roles_wake(struct manager_life *m)
{
	if (m->services->roles_known && m->membership)
		membership_wake(m->membership);
}

/* Becoming known */

/* control_node_join() would want an id of full length: these keep their short names. */
static int build_known(struct replica_op *op, struct control *c, struct err *e)
{
	struct call *call = container_of(op, struct call, op);
	struct node *n;

	if (store_node(c->view, call->request.new_node->o.id))
		return err_set(e, -EEXIST, "it is known already");
	n = table_dup(&node_table, call->request.new_node);
	n->o.kind = KIND_NODE;
	n->o.refs = 1;
	changes_create(c->out, &n->o);
	return 0;
}

static void on_known(void *arg, struct call *call, int status, uint64_t version)
{
	struct role *role = arg;

	(void)call;
	(void)status;
	(void)version;
	role->asks = false;
}

static void make_known(struct services *v, struct manager_life *leader, struct sim_node *n)
{
	struct call *call = call_new(v, CONTROL_NODE_JOIN);
	struct node *node = object_new(KIND_NODE, n->name, 0);

	node->spec.role = ROLE_MANAGER;
	node->spec.availability = AVAILABILITY_DRAIN; /* nothing runs there: it has no agent */
	node->manager = xcalloc(1, sizeof *node->manager);
	node->manager->raft_id = n->raft_id;
	node->manager->addr = xasprintf("192.0.2.%u:2377", 101 + n->place);
	call->request.new_node = node;
	call->op.build = build_known;
	call->done = on_known;
	call->arg = &v->roles[n->place];
	v->roles[n->place].asks = true;
	call_send(call, leader->node, 0);
}

/* Leaving and coming back */

static void retire(struct services *v, struct sim_node *n)
{
	if (n->retired)
		return;
	sim_trace(v->sim, "%s is no manager any more, and throws its log away", n->name);
	if (n->raft)
		sim_node_crash(n);
	sim_disk_free(n->disk);
	n->disk = sim_disk_new(v->sim, n);
	n->retired = true;
	v->shown[n->place] = 0;
}

static void on_retire(void *arg)
{
	struct manager_life *m = arg;
	const struct node *self = node_of(m->services, m, m->node->place);

	/* Looked at again: it may be another's doing, of a life before. */
	if (self && self->spec.role == ROLE_WORKER)
		m->services->roles[m->node->place].leaves = true;
}

void roles_changed(struct manager_life *m, const struct node *old, const struct node *new)
{
	const struct node *n = new ? new : old;

	if (old && new && old->spec.role == ROLE_MANAGER &&new->spec.role == ROLE_WORKER &&
	    strcmp(n->o.id, m->node->name) == 0 && old->manager &&
	    old->manager->raft_id == m->node->raft_id)
		(void)sim_after(m->services->sim, 1, m->node, on_retire, NULL, m);
	roles_wake(m);
}

static void on_certified(void *arg, struct call *call, int status, uint64_t version)
{
	struct role *role = arg;
	struct services *v = call->services;
	struct sim_node *n = v->sim->nodes[role - v->roles];
	struct manager_life *m = svc_life(call->target);
	const struct node *known;

	(void)version;
	role->asks = false;
	known = status == 0 && m ? node_of(v, m, n->place) : NULL;
	if (!known || !known->manager || !n->retired)
		return;
	n->raft_id = known->manager->raft_id; /* as the store has it, whichever request it was */
	n->retired = false;
	sim_trace(v->sim, "%s is a manager again, as member %llu", n->name,
		  (unsigned long long)n->raft_id);
	sim_node_start(n, false);
}

static void certify(struct services *v, struct manager_life *leader, struct sim_node *n)
{
	struct call *call = call_new(v, CONTROL_NODE_CERTIFY);

	call->request.id = xstrdup(n->name);
	call->request.csr = xstrdup("request");
	call->request.raft_id = 2000 + v->last_raft_id++;
	call->request.addr = xasprintf("192.0.2.%u:2377", 101 + n->place);
	call->done = on_certified;
	call->arg = &v->roles[n->place];
	v->roles[n->place].asks = true;
	call_send(call, leader->node, 1 + sim_random(v->sim, 20 * SIM_MS));
}

static bool reaches(const struct services *v, unsigned a, unsigned b)
{
	return !v->sim->net->cut[a][b] && !v->sim->net->cut[b][a];
}

static bool is_itself(const struct node *node, const struct sim_node *n)
{
	return node->spec.role == ROLE_MANAGER && node->manager &&
	       node->manager->raft_id == n->raft_id;
}

/* A member of the group is not told that it is to be another. */
static bool is_counted(const struct sim_node *leader, const struct sim_node *n)
{
	const struct raft_member *v;
	size_t count = raft_node_members(leader->raft, &v);

	for (size_t i = 0; i < count; i++)
		if (v[i].id == n->raft_id)
			return true;
	return false;
}

/* What the leader's store says of one manager, and what follows. */
static void role_turn(struct services *v, struct manager_life *leader, struct sim_node *n)
{
	const struct node *node = node_of(v, leader, n->place);
	struct role *role = &v->roles[n->place];

	if (!node || is_itself(node, n) || is_counted(leader->node, n))
		role->stray_since = 0;
	else if (!role->stray_since)
		role->stray_since = v->sim->now;
	if (!node || role->asks || !reaches(v, n->place, leader->node->place))
		return;
	if (node->spec.role == ROLE_MANAGER && n->retired)
		certify(v, leader, n);
	else if (role->stray_since && n != leader->node &&
		 v->sim->now - role->stray_since > TOLD_US)
		retire(v, n);
}

static void on_turn(void *arg)
{
	struct services *v = arg;
	struct manager_life *leader;
	bool known = true;

	(void)sim_after(v->sim, TURN_US, NULL, on_turn, NULL, v);
	for (unsigned i = 0; i < v->sim->options.nodes; i++)
		if (v->roles[i].leaves) {
			v->roles[i].leaves = false;
			retire(v, v->sim->nodes[i]);
		}
	leader = svc_leader(v);
	if (!leader)
		return;
	for (unsigned i = 0; i < v->sim->options.nodes; i++) {
		struct sim_node *n = v->sim->nodes[i];

		if (v->roles_known)
			role_turn(v, leader, n);
		else if (!node_of(v, leader, i) && !v->roles[i].asks)
			make_known(v, leader, n);
		known = known && node_of(v, leader, i);
	}
	if (known && !v->roles_known) {
		v->roles_known = true;
		roles_wake(leader);
	}
}

void roles_start(struct services *v)
{
	(void)sim_after(v->sim, 1, NULL, on_turn, NULL, v);
}

/* Users */

static struct call *role_set(struct services *v, const struct node *old, enum node_role role)
{
	struct call *call = call_new(v, CONTROL_NODE_UPDATE);

	call->request.id = xstrdup(old->o.id);
	call->request.version = old->o.version.index;
	call->request.node = table_dup(&node_spec_table, &old->spec);
	call->request.node->role = role;
	return call;
}

struct call *role_call(struct services *v, const struct store *view)
{
	unsigned place = (unsigned)sim_random(v->sim, v->sim->options.nodes), managers = 0;
	const struct node *n = store_node(view, v->sim->nodes[place]->name), *other;
	struct store_walk w;

	if (!n || !v->roles_known)
		return NULL;
	for (store_walk_kind(&w, view, KIND_NODE); (other = store_walk_next(&w));)
		managers += other->spec.role == ROLE_MANAGER;
	/* Mostly up again, so that the group seldom consists of one alone. */
	if (n->spec.role == ROLE_MANAGER)
		return managers > 2 || sim_once_in(v->sim, 4) ? role_set(v, n, ROLE_WORKER) : NULL;
	return role_set(v, n, ROLE_MANAGER);
}

struct call *role_admin_call(struct services *v, const struct store *view)
{
	const struct node *n;
	struct store_walk w;

	for (store_walk_kind(&w, view, KIND_NODE); (n = store_walk_next(&w));)
		if (manager_of(v, n->o.id) && n->spec.role != ROLE_MANAGER)
			return role_set(v, n, ROLE_MANAGER);
	return NULL;
}
