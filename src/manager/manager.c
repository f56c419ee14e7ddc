/*
 * See manager.h: the parts put together, and who may come in.
 */
#include "manager/manager.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "manager/data.h"
#include "manager/dispatcher.h"
#include "manager/join.h"
#include "manager/manager_impl.h"
#include "manager/membership.h"
#include "manager/raft_link.h"

#define HAND_OVER_MS 1000 /* how long a closing leader waits for its successor */

/* What the parts ask */

static int address_of(void *arg, const char *node, char ret[STREAM_ADDRESS_MAX])
{
	struct manager *m = arg;
	const struct node *n = store_node(replica_store(m->replica), node);

	if (!n && m->config.address)
		return m->config.address(m->config.arg, node, ret);
	if (!n || !n->manager || !n->manager->addr)
		return -ENOENT;
	(void)snprintf(ret, STREAM_ADDRESS_MAX, "%s", n->manager->addr);
	return 0;
}

static int raft_receive(void *arg, const char *node, const void *p, size_t n, struct err *e)
{
	struct manager *m = arg;

	return raft_node_receive(replica_raft(m->replica), node, p, n, e);
}

#define REFUSED_MS 5000 /* how long another's refusal counts */

/* How many of the other managers have refused this one lately, `node` among them from now on. */
static size_t refusals_count(struct manager *m, const char *node)
{
	uint64_t now = world_mono_ms(m->config.world);
	size_t n = 0, at = 0;

	for (size_t i = 0; i < ARRAY_LEN(m->refusals); i++) {
		bool same = strcmp(m->refusals[i].node, node) == 0;

		if (same || (m->refusals[i].at_ms < m->refusals[at].at_ms &&
			     strcmp(m->refusals[at].node, node) != 0))
			at = i;
		n += !same && m->refusals[i].node[0] && now - m->refusals[i].at_ms < REFUSED_MS;
	}
	(void)snprintf(m->refusals[at].node, sizeof m->refusals[at].node, "%s", node);
	m->refusals[at].at_ms = now;
	return n + 1;
}

static size_t others_count(struct manager *m)
{
	const struct node *n;
	struct store_walk w;
	size_t count = 0;

	store_walk_kind(&w, replica_store(m->replica), KIND_NODE);
	while ((n = store_walk_next(&w)))
		count += n->spec.role == ROLE_MANAGER && strcmp(n->o.id, m->node) != 0;
	return count;
}

/*
 * A manager that was removed or demoted is cut off before it hears of it by raft. It believes the
 * leader that says so, or most of the others: one alone may lag behind the day on which this one
 * was promoted. The ends of streams that this manager itself has closed are about others that are
 * no managers.
 */
static void raft_refused(void *arg, const char *node)
{
	struct manager *m = arg;
	const struct node *n = store_node(replica_store(m->replica), node);
	const char *leader = raft_node_leader(replica_raft(m->replica));

	if (!n || n->spec.role != ROLE_MANAGER || m->gone || m->closing)
		return;
	if ((leader && strcmp(leader, node) == 0) || refusals_count(m, node) > others_count(m) / 2)
		world_timer_start(m->config.world, &m->removing, 0);
}

static const char *other_leader(void *arg)
{
	struct manager *m = arg;
	const char *leader = raft_node_leader(replica_raft(m->replica));

	return leader && strcmp(leader, m->node) != 0 ? leader : NULL;
}

static void forward_open(void *arg)
{
	manager_calls_retry(arg);
}

static void serve(void *arg, struct forward_in *in, const struct control_request *r)
{
	manager_serve(arg, in, r);
}

/* The first write */

/* The first two objects of a cluster. */
struct first_write {
	struct replica_op op;
	struct object *cluster, *self;
	control_done done;
	void *arg;
};

static int first_build(struct replica_op *op, struct control *c, struct err *e)
{
	struct first_write *w = container_of(op, struct first_write, op);

	(void)e;
	changes_create(c->out, object_clone(w->cluster));
	changes_create(c->out, object_clone(w->self));
	return 0;
}

static void first_done(struct replica_op *op, int status, uint64_t version, const struct err *e)
{
	struct first_write *w = container_of(op, struct first_write, op);

	(void)version;
	w->done(w->arg, status, NULL, e);
	object_free(w->cluster);
	object_free(w->self);
	free(w);
}

/* A group of one elects itself at its first timeout; the write waits for that. */
static void first_try(struct manager *m)
{
	struct first_write *w = TAKE_PTR(m->first);
	struct err e = ERR_INIT;
	int rc = w ? replica_write(m->replica, &w->op, &e) : 0;

	if (rc < 0)
		first_done(&w->op, rc, 0, &e);
}

/* What the replica tells */

static void tell_changed(struct manager *m)
{
	if (m->config.changed && !m->closing)
		m->config.changed(m->config.arg);
}

static void on_leading(void *arg, bool leading)
{
	struct manager *m = arg;

	if (m->closing)
		return;
	log_info("this manager %s the swarm", leading ? "leads" : "does not lead any more");
	if (leading)
		first_try(m);
	dispatcher_leading(m->dispatcher, leading);
	if (leading)
		manager_calls_retry(m);
	membership_wake(m->membership);
	tell_changed(m);
}

static void on_leader(void *arg, const char *node)
{
	struct manager *m = arg;

	if (m->closing)
		return;
	forward_leader_changed(m->forward);
	dispatcher_leader(m->dispatcher, node && strcmp(node, m->node) != 0 ? node : NULL);
	tell_changed(m);
}

static void on_members(void *arg)
{
	struct manager *m = arg;

	if (m->closing)
		return;
	membership_wake(m->membership);
	dispatcher_members(m->dispatcher);
}

static void manager_reach(struct manager *m, const struct node *n)
{
	if (n->spec.role == ROLE_MANAGER && n->manager && strcmp(n->o.id, m->node) != 0)
		raft_link_reach(m->link, n->o.id);
}

/* A node has changed or gone: what it may no longer do ends at once. */
static void node_changed(struct manager *m, const struct node *old, const struct node *new)
{
	bool was = old->spec.role == ROLE_MANAGER, is = new &&new->spec.role == ROLE_MANAGER;
	const char *was_at = old->manager ? old->manager->addr : NULL;
	const char *is_at = new &&new->manager ? new->manager->addr : NULL;

	if (!new)
		stream_hub_close_node(m->config.hub, old->o.id, -EACCES,
				      "this node was removed from the swarm");
	else if (was != is)
		stream_hub_close_node(m->config.hub, old->o.id, -EACCES,
				      "the role of this node has changed");
	if (was && (!is || !is_at || !was_at || strcmp(was_at, is_at) != 0))
		raft_link_forget(m->link, old->o.id);
	/* In another life this node may have been demoted before: the log tells of that too. */
	if (was && !is && strcmp(old->o.id, m->node) == 0 && old->manager &&
	    old->manager->raft_id == m->config.raft_id)
		world_timer_start(m->config.world, &m->removing, 0);
}

static void removing_fire(struct world_timer *t)
{
	struct manager *m = container_of(t, struct manager, removing);
	bool before = m->gone;

	m->gone = true;
	if (m->config.removed && !m->closing && !before)
		m->config.removed(m->config.arg);
}

static void yielding_fire(struct world_timer *t)
{
	struct manager *m = container_of(t, struct manager, yielding);
	struct raft_node *raft = replica_raft(m->replica);

	if (raft_node_is_leader(raft) && !m->closing)
		(void)raft_node_transfer(raft, 0, NULL, NULL, NULL);
}

static void store_changed(void *arg, const struct object *old, const struct object *new)
{
	struct manager *m = arg;

	if ((old ? old : new)->kind != KIND_NODE || m->closing)
		return;
	if (old)
		node_changed(m, (const struct node *)old, (const struct node *)new);
	if (new)
		manager_reach(m, (const struct node *)new);
	membership_wake(m->membership);
}

/* After a swap nobody is told what went: who may no longer be here is looked for. */
static bool stream_check(struct stream *s, void *data)
{
	const struct stream_peer *peer = stream_peer(s);
	struct err e = ERR_INIT;

	if (peer->purpose != STREAM_DATA && manager_peer_check(data, peer, &e) == -EACCES)
		stream_close(s, -EACCES, e.msg);
	return true;
}

static void store_applied(void *arg, uint64_t version, bool swapped)
{
	struct manager *m = arg;
	const struct node *n;
	struct store_walk w;

	(void)version;
	if (!swapped || m->closing)
		return;
	store_walk_kind(&w, replica_store(m->replica), KIND_NODE);
	while ((n = store_walk_next(&w)))
		manager_reach(m, n);
	stream_hub_each(m->config.hub, NULL, stream_check, m);
	membership_wake(m->membership);
}

static void on_applied(void *arg)
{
	struct manager *m = arg;

	if (!m->closing)
		manager_calls_applied(m, store_version(replica_store(m->replica)));
}

/* Coming and going */

static int parts_make(struct manager *m, const struct manager_config *config, struct err *e)
{
	struct raft_link_config link = {.hub = config->hub,
					.arg = m,
					.address = address_of,
					.receive = raft_receive,
					.refused = raft_refused};
	struct forward_config forward = {.hub = config->hub,
					 .arg = m,
					 .leader = other_leader,
					 .address = address_of,
					 .open = forward_open,
					 .serve = serve};
	struct replica_config replica = {.world = config->world,
					 .io = config->io,
					 .raft_id = config->raft_id,
					 .node = m->node,
					 .options = config->raft,
					 .events = {.arg = m,
						    .leading = on_leading,
						    .leader = on_leader,
						    .members = on_members,
						    .applied = on_applied}};
	int rc;

	m->link = raft_link_new(&link);
	replica.transport = raft_link_transport(m->link);
	rc = replica_new(&m->replica, &replica, e);
	if (rc < 0) {
		raft_link_close(m->link, NULL, NULL);
		return rc;
	}
	m->forward = forward_new(&forward);
	m->membership = membership_new(config->world, m->replica);
	m->dispatcher = dispatcher_new(m);
	m->joins = join_service_new(m);
	m->data = data_broker_new(m, config->hub);
	m->watch =
		(struct store_watch){.changed = store_changed, .applied = store_applied, .arg = m};
	store_watch_add(replica_store(m->replica), &m->watch);
	m->execs = task_execs_new(m);
	m->history = history_new(replica_store(m->replica));
	return 0;
}

static void stopping_fire(struct world_timer *t);

static struct manager *manager_make(const struct manager_config *config, struct err *e)
{
	struct manager *m = xcalloc(1, sizeof *m);

	m->config = *config;
	(void)snprintf(m->node, sizeof m->node, "%s", config->node);
	m->config.node = m->node;
	m->removing.fire = removing_fire;
	m->stopping.fire = stopping_fire;
	m->yielding.fire = yielding_fire;
	if (parts_make(m, config, e) < 0) {
		free(m);
		return NULL;
	}
	return m;
}

int manager_open(struct manager **ret, const struct manager_config *config, struct err *e)
{
	struct manager *m = manager_make(config, e);
	int rc;

	if (!m)
		return e->code;
	rc = replica_start(m->replica, e);
	if (rc < 0) {
		manager_close(m, NULL, NULL);
		return rc;
	}
	*ret = m;
	return 0;
}

int manager_bootstrap(struct manager **ret, const struct manager_config *config,
		      struct cluster *cluster, struct node *self, control_done done, void *arg,
		      struct err *e)
{
	struct manager *m = manager_make(config, e);
	struct first_write *w;
	int rc;

	if (!m)
		return e->code;
	rc = replica_bootstrap(m->replica, e);
	if (rc == 0)
		rc = replica_start(m->replica, e);
	if (rc < 0) {
		manager_close(m, NULL, NULL);
		return rc;
	}
	w = xcalloc(1, sizeof *w);
	*w = (struct first_write){.op = {.build = first_build, .done = first_done},
				  .cluster = &cluster->o,
				  .self = &self->o,
				  .done = done,
				  .arg = arg};
	m->first = w;
	*ret = m;
	return 0;
}

/* What goes last: nothing calls the parts any more. */
static void closed_all(struct manager *m)
{
	void (*done)(void *arg) = m->closed;
	void *arg = m->closed_arg;

	if (--m->closing_parts > 0)
		return;
	membership_free(m->membership);
	free(m);
	if (done)
		done(arg);
}

static void part_closed(void *arg)
{
	closed_all(arg);
}

/* Its writes were answered with it; what still waits for something else is answered now. */
static void replica_closed(void *arg)
{
	manager_calls_fail(arg);
	closed_all(arg);
}

static void parts_close(struct manager *m)
{
	struct err e = ERR_INIT;

	m->closing_parts = 4;
	manager_leaving_end(m);
	world_timer_stop(m->config.world, &m->removing);
	world_timer_stop(m->config.world, &m->stopping);
	world_timer_stop(m->config.world, &m->yielding);
	membership_stop(m->membership);
	store_watch_remove(replica_store(m->replica), &m->watch);
	join_service_free(m->joins);
	manager_logs_fail(m);
	task_execs_free(m->execs);
	history_free(m->history);
	data_broker_close(m->data, part_closed, m);
	dispatcher_free(m->dispatcher);
	if (m->first) {
		(void)err_set(&e, -ECANCELED, "the manager stops");
		first_done(&TAKE_PTR(m->first)->op, -ECANCELED, 0, &e);
	}
	forward_close(m->forward, part_closed, m);
	replica_close(m->replica, replica_closed, m);
	raft_link_close(m->link, part_closed, m);
}

static void stopping_fire(struct world_timer *t)
{
	parts_close(container_of(t, struct manager, stopping));
}

static void handed_over(void *arg, int status, const struct err *e)
{
	struct manager *m = arg;

	(void)status;
	(void)e;
	if (m->closing_parts == 0)
		world_timer_start(m->config.world, &m->stopping, 0);
}

bool manager_has_heir(struct manager *m)
{
	const struct raft_member *v;
	size_t n = raft_node_members(replica_raft(m->replica), &v);

	for (size_t i = 0; i < n; i++)
		if (v[i].role == RAFT_NODE_VOTER && strcmp(v[i].node, m->node) != 0)
			return true;
	return false;
}

void manager_close(struct manager *m, void (*done)(void *arg), void *arg)
{
	struct raft_node *raft = replica_raft(m->replica);

	if (m->closing)
		return;
	m->closing = true;
	m->closed = done;
	m->closed_arg = arg;
	if (raft_node_is_leader(raft) && manager_has_heir(m) &&
	    raft_node_transfer(raft, 0, handed_over, m, NULL) == 0)
		world_timer_start(m->config.world, &m->stopping, HAND_OVER_MS);
	else
		parts_close(m);
}

struct history *manager_history(struct manager *m)
{
	return m->history;
}

struct data_broker *manager_data(struct manager *m)
{
	return m->data;
}

struct store *manager_store(struct manager *m)
{
	return replica_store(m->replica);
}

const char *manager_leader(struct manager *m)
{
	return raft_node_leader(replica_raft(m->replica));
}

bool manager_is_leading(const struct manager *m)
{
	return replica_is_leading(m->replica);
}

const struct world *manager_world(struct manager *m)
{
	return m->config.world;
}

int64_t manager_now_ns(struct manager *m)
{
	return replica_now_ns(m->replica);
}

struct raft_node *manager_raft(struct manager *m)
{
	return replica_raft(m->replica);
}

int manager_readable(struct manager *m, struct err *e)
{
	return raft_node_available(replica_raft(m->replica), e);
}

enum node_reachability manager_reachability(struct manager *m, const char *node)
{
	if (strcmp(node, m->node) == 0 || raft_link_is_up(m->link, node))
		return REACHABILITY_REACHABLE;
	return REACHABILITY_UNREACHABLE;
}
