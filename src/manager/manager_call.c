/*
 * Requests on their way: to the queue when this manager leads, else to the leader; answered once
 * their effect can be read here. See manager.h.
 */
#include <string.h>

#include "base/mem.h"
#include "manager/dispatcher.h"
#include "manager/manager_impl.h"
#include "manager/membership.h"

/* How long an answer of the leader may wait for this manager to catch up. */
#define CATCH_UP_MS 10000
/*
 * How long a request waits for a connection to the leader: raft knows a new one at once, and
 * dialling it takes a handshake, on a busy machine a long one. Nothing was sent, so the outcome is
 * known.
 */
#define CONNECT_MS 3000
#define YIELD_MS 50 /* from the leader's answer that another has to lead until it hands over */

enum call_state {
	CALL_WRITE,   /* in the queue here */
	CALL_CONNECT, /* waits for a connection to the leader */
	CALL_UNVOTE,  /* waits until the manager that is to be demoted votes no more */
	CALL_SENT,    /* at the leader */
	CALL_CATCHUP, /* answered by the leader; not applied here yet */
	CALL_READ,    /* waits for a barrier here */
	CALL_YIELD,   /* waits until another leads, who carries it out */
};

struct manager_call {
	struct manager *manager;
	enum call_state state;
	control_done done; /* NULL once the asker has gone */
	void *arg;
	struct control_request *request; /* its own copy, in a queue here */
	struct control_answer answer;
	struct replica_op op;
	struct proposer_read read;
	uint64_t sent_id;
	bool entering; /* the asker's call has not returned yet */
	bool ended;    /* and was answered meanwhile */
	bool unvoting; /* a manager has no vote until this has ended */
	bool reading;  /* changes nothing: only this manager's state counts */
	struct world_timer timer;
	struct manager_call *prev, *next;
};

static struct manager_call *call_new(struct manager *m, control_done done, void *arg)
{
	struct manager_call *c = xcalloc(1, sizeof *c);

	c->manager = m;
	c->entering = true;
	c->done = done;
	c->arg = arg;
	c->next = m->calls;
	if (c->next)
		c->next->prev = c;
	m->calls = c;
	return c;
}

static void call_free(struct manager_call *c)
{
	struct manager *m = c->manager;

	world_timer_stop(m->config.world, &c->timer);
	m->calls_waiting -= c->state == CALL_CONNECT;
	if (c->unvoting)
		membership_unvote_end(m->membership);
	if (m->calls_next == c)
		m->calls_next = c->next;
	if (m->calls == c)
		m->calls = c->next;
	else
		c->prev->next = c->next;
	if (c->next)
		c->next->prev = c->prev;
	table_free(&control_request_table, c->request);
	table_done(&control_answer_table, &c->answer);
	free(c);
}

static void call_answer(struct manager_call *c, int status, const struct err *e)
{
	control_done done = c->done;

	c->done = NULL;
	if (done)
		done(c->arg, status, status == 0 ? &c->answer : NULL, e);
}

static void call_end(struct manager_call *c, int status, const struct err *e)
{
	call_answer(c, status, e);
	if (c->entering)
		c->ended = true;
	else
		call_free(c);
}

/* Back to the asker: the call, or NULL when it was answered already. */
static struct manager_call *call_entered(struct manager_call *c, int rc, const struct err *e)
{
	if (rc < 0) {
		call_answer(c, rc, e);
		c->ended = true;
	}
	c->entering = false;
	if (!c->ended)
		return c;
	call_free(c);
	return NULL;
}

/* Here, as the leader */

static int call_build(struct replica_op *op, struct control *control, struct err *e)
{
	struct manager_call *c = container_of(op, struct manager_call, op);

	return control_build(control, c->request, e);
}

static void call_written(struct replica_op *op, int status, uint64_t version, const struct err *e)
{
	(void)version;
	call_end(container_of(op, struct manager_call, op), status, e);
}

/*
 * The leader cannot take its own vote away: it hands leadership over, and whoever leads then can.
 * The answer of the next one would not come through this node, so the asker has to ask again.
 */
static int call_is_about_me(struct manager *m, const struct control_request *r, struct err *e)
{
	const struct object *o;

	if (r->op != CONTROL_NODE_REMOVE || !r->force || !r->id || !manager_has_heir(m) ||
	    control_find(manager_store(m), KIND_NODE, r->id, &o, NULL) < 0 ||
	    strcmp(o->id, m->node) != 0)
		return 0;
	/* Not at once: the asker's connection goes with the leadership, and the answer before it.
	 */
	world_timer_start(m->config.world, &m->yielding, YIELD_MS);
	return err_set(e, -EAGAIN,
		       "node %s leads the swarm: leadership is being handed to another manager; "
		       "try again there in a moment",
		       o->id);
}

static const struct node *demoted_node(struct manager *m, const struct control_request *r)
{
	const struct object *o;

	if (r->op != CONTROL_NODE_UPDATE || !r->node || r->node->role != ROLE_WORKER || !r->id ||
	    control_find(manager_store(m), KIND_NODE, r->id, &o, NULL) < 0)
		return NULL;
	return ((const struct node *)o)->spec.role == ROLE_MANAGER ? (const struct node *)o : NULL;
}

/* Those that stay must be able to agree among themselves, or nothing can be changed any more. */
static int majority_check(struct manager *m, const struct node *leaving, struct err *e)
{
	const struct raft_member *v;
	size_t n = raft_node_members(replica_raft(m->replica), &v), stay = 0, reached = 0;
	bool votes = false;

	for (size_t i = 0; i < n; i++) {
		if (v[i].role != RAFT_NODE_VOTER)
			continue;
		if (strcmp(v[i].node, leaving->o.id) == 0) {
			votes = true;
			continue;
		}
		stay++;
		reached += manager_reachability(m, v[i].node) == REACHABILITY_REACHABLE;
	}
	if (!votes || stay == 0 || reached > stay / 2)
		return 0;
	return err_set(e, -EBUSY,
		       "can't remove member from the raft: this would result in a loss of quorum: "
		       "of the other %zu managers only %zu can be reached; bring them back first",
		       stay, reached);
}

static void call_yielded(void *arg, int status, const struct control_answer *answer,
			 const struct err *e)
{
	struct manager_call *c = arg;

	(void)answer;
	call_end(c, status, e);
}

/* 1 when somebody else is to carry it out and `done` comes from there. */
static int call_yield(struct manager_call *c, const struct control_request *r, struct err *e)
{
	struct manager *m = c->manager;
	const struct node *n = demoted_node(m, r);
	int rc = n ? majority_check(m, n, e) : 0;

	if (rc < 0 || !n || strcmp(n->o.id, m->node) != 0 || n->o.version.index != r->version ||
	    !manager_has_heir(m))
		return rc;
	str_set(&c->answer.id, n->o.id);
	c->state = CALL_YIELD;
	manager_give_up(m, r, call_yielded, c);
	return 1;
}

static int call_write(struct manager_call *c, const struct control_request *r, struct err *e)
{
	c->state = CALL_WRITE;
	if (!c->request)
		c->request = table_dup(&control_request_table, r);
	c->op = (struct replica_op){
		.build = call_build, .done = call_written, .answer = &c->answer};
	return replica_write(c->manager->replica, &c->op, e);
}

static void call_unvoted(void *arg, int status, const struct err *e)
{
	struct manager_call *c = arg;
	struct err why = ERR_INIT;

	if (status == 0) {
		c->entering = true;
		status = call_write(c, c->request, &why);
		(void)call_entered(c, status, &why);
	} else {
		call_end(c, status, e);
	}
}

/* 1 when the call waits for it. */
static int call_unvote(struct manager_call *c, const struct control_request *r, struct err *e)
{
	const struct node *n = demoted_node(c->manager, r);
	int rc;

	if (!n || !n->manager || n->o.version.index != r->version ||
	    strcmp(n->o.id, c->manager->node) == 0)
		return 0; /* nothing to take away, or to be refused */
	rc = membership_unvote(c->manager->membership, n->o.id, n->manager->raft_id, call_unvoted,
			       c, e);
	if (rc < 0)
		return rc;
	if (!c->request)
		c->request = table_dup(&control_request_table, r);
	c->state = CALL_UNVOTE;
	c->unvoting = true;
	return 1;
}

/* At the leader */

static void catch_up_late(struct world_timer *t)
{
	struct manager_call *c = container_of(t, struct manager_call, timer);
	struct err e = ERR_INIT;
	int rc = 0; /* it is committed; only this manager lags behind */

	if (c->reading)
		rc = err_set(&e, -EAGAIN,
			     "this manager has been behind the leader for %d s: what was asked for "
			     "may be older here; ask another manager, or try again",
			     CATCH_UP_MS / 1000);
	call_end(c, rc, &e);
}

static bool call_wait_again(struct manager_call *c);

static void call_answered(void *arg, int status, const struct control_answer *answer,
			  const struct err *e)
{
	struct manager_call *c = arg;
	struct err lost = ERR_INIT;

	if (c->reading && (status == -EINPROGRESS || status == -EHOSTUNREACH)) {
		if (call_wait_again(c))
			return;
		e = &lost;
		status = err_set(&lost, -EHOSTUNREACH,
				 "the leader was lost before it had answered: try again");
	}
	if (status < 0 || answer->version <= store_version(manager_store(c->manager))) {
		if (status == 0)
			table_copy(&control_answer_table, &c->answer, answer);
		call_end(c, status, e);
		return;
	}
	table_copy(&control_answer_table, &c->answer, answer);
	c->state = CALL_CATCHUP;
	c->timer.fire = catch_up_late;
	world_timer_start(c->manager->config.world, &c->timer, CATCH_UP_MS);
}

void manager_calls_applied(struct manager *m, uint64_t version)
{
	struct manager_call *c = m->calls;

	for (; c; c = m->calls_next) { /* whoever is answered may cancel others */
		m->calls_next = c->next;
		if (c->state == CALL_CATCHUP && c->answer.version <= version)
			call_end(c, 0, NULL);
	}
}

/* What changes nothing stored, and is for the leader's memory alone. */
static bool call_is_news(const struct control_request *r)
{
	return r->op == CONTROL_NODES_ALIVE || r->op == CONTROL_TASKS_MEASURED;
}

static int call_news(struct manager_call *c, const struct control_request *r, struct err *e)
{
	struct manager *m = c->manager;
	struct autoscale_view view = {0};
	int rc;

	if (r->op == CONTROL_NODES_ALIVE)
		dispatcher_alive(m->dispatcher, &r->ids);
	else
		replica_measured(m->replica, r->loads.v, r->loads.n);
	if (r->op == CONTROL_NODES_ALIVE || !r->id)
		return 0;
	rc = replica_autoscale(m->replica, r->id, &view, e);
	if (rc == 0)
		c->answer.autoscale = xmemdup(&view, sizeof view);
	return rc;
}

static void connect_late(struct world_timer *t);

/* 0 when it waits; else `rc`, which is why it cannot be sent now. */
static int call_wait(struct manager_call *c, const struct control_request *r, int rc, struct err *e)
{
	struct manager *m = c->manager;

	/* Without contact to a leader nobody waits: that is answered at once. */
	if (rc != -EHOSTUNREACH || call_is_news(r) ||
	    raft_node_is_leader(replica_raft(m->replica)) || manager_readable(m, NULL) < 0)
		return rc;
	if (m->calls_waiting >= LIMIT_PROPOSALS)
		return err_set(e, -EAGAIN, "too many requests wait for the leader: try again");
	c->state = CALL_CONNECT;
	if (!c->request)
		c->request = table_dup(&control_request_table, r);
	c->timer.fire = connect_late;
	m->calls_waiting++;
	world_timer_start(m->config.world, &c->timer, CONNECT_MS);
	return 0;
}

static void call_read(struct proposer_read *read, int status, const struct err *e)
{
	struct manager_call *c = container_of(read, struct manager_call, read);
	struct err lost = ERR_INIT;

	c->answer.version = store_version(manager_store(c->manager));
	if (status == -EINPROGRESS) { /* "outcome unknown" is for writes */
		e = &lost;
		status = err_set(&lost, -EHOSTUNREACH,
				 "this manager stopped leading before it was sure: try again");
	}
	call_end(c, status, e);
}

/* Also one that waited for a leader, which this manager has become meanwhile. */
static int call_barrier(struct manager_call *c, struct err *e)
{
	c->state = CALL_READ;
	c->read = (struct proposer_read){.done = call_read};
	return replica_barrier(c->manager->replica, &c->read, e);
}

/* A read has no outcome to be unsure of: whoever leads next is asked. */
static bool call_wait_again(struct manager_call *c)
{
	const struct control_request nothing = {.op = CONTROL_BARRIER};
	struct err e = ERR_INIT;

	if (c->manager->closing || !c->done)
		return false;
	if (raft_node_is_leader(replica_raft(c->manager->replica))) {
		c->entering = true;
		(void)call_entered(c, call_barrier(c, &e), &e);
		return true;
	}
	return call_wait(c, &nothing, -EHOSTUNREACH, &e) == 0;
}

/* To the queue here, or to the leader; it may have been answered when this returns. */
static int call_route(struct manager_call *c, const struct control_request *r, struct err *e)
{
	struct manager *m = c->manager;
	int rc;

	if (m->closing)
		return err_set(e, -ECANCELED, "this manager stops");
	if (raft_node_is_leader(replica_raft(m->replica))) {
		if (c->reading)
			return call_barrier(c, e);
		rc = call_is_about_me(m, r, e);
		if (rc == 0)
			rc = call_yield(c, r, e);
		if (rc == 0)
			rc = call_unvote(c, r, e);
		return rc == 0 ? call_write(c, r, e) : rc;
	}
	rc = manager_readable(m, e);
	return rc == 0 ? forward_send(m->forward, r, call_answered, c, &c->sent_id, e) : rc;
}

/* Out of the wait: on its way, or answered by what is in its way. */
static void call_retry(struct manager_call *c, bool last)
{
	struct manager *m = c->manager;
	struct err e = ERR_INIT;
	int rc;

	m->calls_waiting--;
	c->state = CALL_SENT; /* unless it is written here */
	c->entering = true;
	rc = call_route(c, c->request, &e);
	if (rc == -EHOSTUNREACH && !last) {
		m->calls_waiting++;
		c->state = CALL_CONNECT;
		c->entering = false;
		return;
	}
	world_timer_stop(m->config.world, &c->timer);
	(void)call_entered(c, rc, &e);
}

static void connect_late(struct world_timer *t)
{
	call_retry(container_of(t, struct manager_call, timer), true);
}

void manager_calls_retry(struct manager *m)
{
	for (struct manager_call *c = m->calls; c; c = m->calls_next) {
		m->calls_next = c->next;
		if (c->state == CALL_CONNECT)
			call_retry(c, false);
	}
}

struct manager_call *manager_control(struct manager *m, const struct control_request *r,
				     control_done done, void *arg)
{
	struct manager_call *c = call_new(m, done, arg);
	struct err e = ERR_INIT;
	int rc;

	if (call_is_news(r) && raft_node_is_leader(replica_raft(m->replica)) && !m->closing) {
		rc = call_news(c, r, &e);
		call_end(c, rc, &e);
		return call_entered(c, 0, NULL);
	}
	c->state = CALL_SENT;
	c->reading = r->op == CONTROL_BARRIER;
	rc = call_route(c, r, &e);
	if (rc < 0)
		rc = call_wait(c, r, rc, &e);
	return call_entered(c, rc, &e);
}

/* A follower asks the leader to change nothing: the answer's version is what it waits for. */
struct manager_call *manager_read_barrier(struct manager *m, control_done done, void *arg)
{
	const struct control_request nothing = {.op = CONTROL_BARRIER};

	return manager_control(m, &nothing, done, arg);
}

void manager_cancel(struct manager_call *c)
{
	if (!c)
		return;
	c->done = NULL;
	switch (c->state) {
	case CALL_WRITE:
		if (replica_cancel(c->manager->replica, &c->op))
			call_free(c);
		break; /* one that has left goes on, and frees the call when it ends */
	case CALL_SENT:
		forward_cancel(c->manager->forward, c->sent_id);
		call_free(c);
		break;
	case CALL_CONNECT:
	case CALL_CATCHUP:
		call_free(c);
		break;
	case CALL_READ:
	case CALL_YIELD:
	case CALL_UNVOTE:
		break;
	}
}

/* Requests of other managers */

static void served(void *arg, int status, const struct control_answer *answer, const struct err *e)
{
	forward_answer(arg, status, answer, e);
}

void manager_serve(struct manager *m, struct forward_in *in, const struct control_request *r)
{
	struct err e = ERR_INIT;

	if (!raft_node_is_leader(replica_raft(m->replica))) {
		/* never handed on: two managers that each think the other leads would play ball */
		forward_answer(in, err_set(&e, -EHOSTUNREACH, "this manager is not the leader"),
			       NULL, &e);
		return;
	}
	(void)manager_control(m, r, served, in);
}

void manager_calls_fail(struct manager *m)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, -ECANCELED, "this manager stops");
	for (struct manager_call *c = m->calls; c; c = m->calls_next) {
		m->calls_next = c->next;
		call_end(c, -ECANCELED, &e);
	}
}
