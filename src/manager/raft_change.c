/*
 * Changes of the raft group: adding, promoting, demoting, removing members and handing leadership
 * over, one at a time. libraft's callbacks are not used (only raft_uv fires them): what became of
 * a change is read from the group as committed. Part of the raft node.
 */
#include "manager/raft_impl.h"

#include <string.h>

#include "base/mem.h"

static const struct raft_server *server_of(const struct raft_configuration *c, uint64_t id)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (c->servers[i].id == id)
			return &c->servers[i];
	}
	return NULL;
}

static void finish(struct raft_node *n, int status, const struct err *e)
{
	struct node_change c = n->change;

	n->change.kind = CHANGE_NONE;
	if (c.cb)
		c.cb(c.arg, status, e);
}

void node_change_fail(struct raft_node *n, int status)
{
	struct err e = ERR_INIT;

	if (n->change.kind == CHANGE_NONE)
		return;
	(void)err_set(&e, status,
		      "leadership was lost meanwhile: whether the members were changed is not "
		      "known; look at them and try again");
	finish(n, status, &e);
}

/* Whether the committed group shows what was asked for. */
static bool reached(const struct raft_node *n)
{
	const struct raft_server *s = server_of(&n->raft.configuration_committed, n->change.id);

	switch (n->change.kind) {
	case CHANGE_ADD:
		return s != NULL;
	case CHANGE_PROMOTE:
		return s && s->role == RAFT_VOTER;
	case CHANGE_DEMOTE:
		return s && s->role == RAFT_SPARE;
	case CHANGE_REMOVE:
		return s == NULL;
	default:
		return false;
	}
}

static void poll_transfer(struct raft_node *n)
{
	struct err e = ERR_INIT;
	const char *leader = raft_node_leader(n);

	if (n->raft.transfer == &n->change.transfer)
		return;
	if (n->raft.state == RAFT_LEADER) {
		(void)err_set(&e, -ETIMEDOUT,
			      "leadership could not be handed over within %u ms: no voter was up "
			      "to date in time",
			      n->options.election_ms);
		finish(n, e.code, &e);
	} else if (n->change.then != CHANGE_NONE) {
		(void)err_set(&e, -EAGAIN, "leadership was handed to %s, which has to do this now",
			      leader ? leader : "another manager");
		finish(n, e.code, &e);
	} else {
		finish(n, 0, NULL);
	}
}

void node_change_poll(struct raft_node *n)
{
	struct err e = ERR_INIT;

	if (n->change.kind == CHANGE_NONE)
		return;
	if (n->change.kind == CHANGE_TRANSFER) {
		poll_transfer(n);
		return;
	}
	if (n->raft.legacy.change == &n->change.req)
		return;
	if (n->raft.state != RAFT_LEADER) {
		node_change_fail(n, -EINPROGRESS);
	} else if (reached(n)) {
		finish(n, 0, NULL);
	} else {
		(void)err_set(&e, -ETIMEDOUT,
			      "the manager %s did not catch up with the log in time; it stays as "
			      "it was",
			      n->change.node);
		finish(n, e.code, &e);
	}
}

/*
 * Whether the leader has committed an entry of its own term. Before that it may know of a change
 * that a leader of before has begun and of none that another has, and two groups of which each has
 * a majority could come to be (the flaw in single-server changes that Ongaro found in 2015).
 */
static bool has_committed(const struct raft *r)
{
	const struct raft_trail *t = &r->trail;

	if (r->commit_index <= t->offset)
		return t->snapshot.index == r->commit_index && t->snapshot.term == r->current_term;
	for (unsigned i = t->front; i != t->back; i = (i + 1) % t->size)
		if (r->commit_index <= t->records[i].index)
			return t->records[i].term == r->current_term;
	return false;
}

/* What must hold before any change; libraft leaves dangling requests where it refuses late. */
static int may_change(const struct raft_node *n, struct err *e)
{
	if (!n->started || n->closing || n->raft.state != RAFT_LEADER)
		return err_set(e, -EHOSTUNREACH,
			       "this manager is not the leader: only the leader changes members");
	if (!has_committed(&n->raft))
		return err_set(
			e, -EBUSY,
			"this manager has just begun to lead the swarm; try again in a moment");
	if (n->change.kind != CHANGE_NONE || n->raft.configuration_uncommitted_index != 0 ||
	    n->raft.leader_state.promotee_id != 0 || n->raft.leader_state.transferee != 0)
		return err_set(e, -EBUSY,
			       "another change of the managers is in progress; try again when it "
			       "is done");
	return 0;
}

static int start(struct raft_node *n, enum change_kind kind, uint64_t id, const char *node,
		 raft_change_done cb, void *arg)
{
	struct node_change *c = &n->change;

	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->id = id;
	c->cb = cb;
	c->arg = arg;
	(void)snprintf(c->node, sizeof(c->node), "%s", node);
	return 0;
}

/* libraft's answer to a request just made; the change is taken back when it refused. */
static int started(struct raft_node *n, int rv, const char *what, struct err *e)
{
	if (rv == 0)
		return 0;
	n->change.kind = CHANGE_NONE;
	return err_set(e, rv == RAFT_NOTLEADER ? -EHOSTUNREACH : -EINVAL, "cannot %s: %s", what,
		       raft_strerror(rv));
}

int raft_node_add(struct raft_node *n, uint64_t id, const char *node, raft_change_done cb,
		  void *arg, struct err *e)
{
	const struct raft_configuration *c = &n->raft.configuration;
	int rc = may_change(n, e);

	if (rc < 0)
		return rc;
	if (id == 0 || !node[0] || strlen(node) > ID_CLUSTER_LEN)
		return err_set(e, -EINVAL, "\"%s\" cannot be the id of a manager", node);
	if (c->n >= LIMIT_MANAGERS)
		return err_set(e, -E2BIG, "a swarm has at most %d managers", LIMIT_MANAGERS);
	for (unsigned i = 0; i < c->n; i++) {
		if (c->servers[i].id == id || strcmp(c->servers[i].address, node) == 0)
			return err_set(e, -EEXIST, "%s is a manager already", node);
	}
	(void)start(n, CHANGE_ADD, id, node, cb, arg);
	node_enter(n);
	rc = started(n, raft_add(&n->raft, &n->change.req, id, node, NULL), "add a manager", e);
	node_leave(n);
	return rc;
}

static int hand_over(struct raft_node *n, uint64_t id, enum change_kind then, raft_change_done cb,
		     void *arg, struct err *e)
{
	int rv;

	(void)start(n, CHANGE_TRANSFER, id, "", cb, arg);
	n->change.then = then;
	node_enter(n);
	rv = raft_transfer(&n->raft, &n->change.transfer, id, NULL);
	if (rv != 0)
		n->change.kind = CHANGE_NONE;
	node_leave(n);
	if (rv == RAFT_NOTFOUND)
		return err_set(e, -EBUSY,
			       "this is the only voting manager: promote another one first");
	if (rv != 0)
		return err_set(e, -EINVAL, "leadership cannot be handed over: %s",
			       raft_strerror(rv));
	return 0;
}

static int assign(struct raft_node *n, uint64_t id, enum change_kind kind, raft_change_done cb,
		  void *arg, struct err *e)
{
	int role = kind == CHANGE_PROMOTE ? RAFT_VOTER : RAFT_SPARE;
	const struct raft_server *s;
	int rc = may_change(n, e);

	if (rc < 0)
		return rc;
	s = server_of(&n->raft.configuration, id);
	if (!s)
		return err_set(e, -ENOENT, "no manager has the raft id %llx",
			       (unsigned long long)id);
	if (s->role == role)
		return err_set(e, -EALREADY, "the manager %s has this role already", s->address);
	if (id == n->raft.id)
		return hand_over(n, 0, kind, cb, arg, e);
	(void)start(n, kind, id, s->address, cb, arg);
	node_enter(n);
	rc = started(n, raft_assign(&n->raft, &n->change.req, id, role, NULL),
		     "change a manager's role", e);
	node_leave(n);
	return rc;
}

int raft_node_promote(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		      struct err *e)
{
	return assign(n, id, CHANGE_PROMOTE, cb, arg, e);
}

int raft_node_demote(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		     struct err *e)
{
	return assign(n, id, CHANGE_DEMOTE, cb, arg, e);
}

int raft_node_remove(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		     struct err *e)
{
	const struct raft_server *s;
	int rc = may_change(n, e);

	if (rc < 0)
		return rc;
	s = server_of(&n->raft.configuration, id);
	if (!s)
		return err_set(e, -ENOENT, "no manager has the raft id %llx",
			       (unsigned long long)id);
	if (id == n->raft.id)
		return hand_over(n, 0, CHANGE_REMOVE, cb, arg, e);
	(void)start(n, CHANGE_REMOVE, id, s->address, cb, arg);
	node_enter(n);
	rc = started(n, raft_remove(&n->raft, &n->change.req, id, NULL), "remove a manager", e);
	node_leave(n);
	return rc;
}

int raft_node_transfer(struct raft_node *n, uint64_t id, raft_change_done cb, void *arg,
		       struct err *e)
{
	int rc = may_change(n, e);

	return rc < 0 ? rc : hand_over(n, id, CHANGE_NONE, cb, arg, e);
}
