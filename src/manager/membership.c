/*
 * See membership.h. The difference is looked for anew each time and the first found is worked on,
 * so that nothing has to be remembered across leaders.
 */
#include "manager/membership.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define MEMBERSHIP_RETRY_MS 500
#define UNVOTE_MS 10000 /* so long it waits for other changes to end */

/* A manager that is about to be demoted. */
struct unvote {
	char node[ID_CLUSTER_LEN + 1]; /* "": none */
	uint64_t raft_id, until_ms;
	membership_done done; /* NULL once called */
	void *arg;
};

struct membership {
	const struct world *world;
	struct replica *replica;
	struct world_timer timer;
	bool busy, stopped;
	struct unvote unvote;
	char after[ID_CLUSTER_LEN + 1]; /* the manager that was worked on last: others' turn */
};

static void membership_step(struct membership *m);

static void step_later(struct membership *m, uint64_t ms)
{
	if (!m->stopped)
		world_timer_start(m->world, &m->timer, ms);
}

static void timer_fire(struct world_timer *t)
{
	membership_step(container_of(t, struct membership, timer));
}

static void change_done(void *arg, int status, const struct err *e)
{
	struct membership *m = arg;

	m->busy = false;
	if (status < 0 && status != -EINPROGRESS)
		log_warn("the raft group could not be changed: %s", e ? err_text(e) : "");
	step_later(m, status < 0 ? MEMBERSHIP_RETRY_MS : 0);
}

static const struct raft_member *member_of(const struct raft_member *v, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].id == id)
			return &v[i];
	return NULL;
}

static bool is_manager(const struct node *n)
{
	return n && n->spec.role == ROLE_MANAGER && n->manager && n->manager->raft_id;
}

/* The next manager with an id above `after` that is not a voter yet. */
static const struct node *candidate_after(struct membership *m, const char *after,
					  const struct raft_member *v, size_t n)
{
	const struct node *node;
	struct store_walk w;

	store_walk_kind_after(&w, replica_store(m->replica), KIND_NODE, after);
	while ((node = store_walk_next(&w))) {
		const struct raft_member *member;

		if (!is_manager(node) || strcmp(node->o.id, m->unvote.node) == 0)
			continue;
		member = member_of(v, n, node->manager->raft_id);
		if (!member || member->role != RAFT_NODE_VOTER)
			return node;
	}
	return NULL;
}

/*
 * Managers that are no members yet, or not yet voters. 1 when a change was begun. They take turns:
 * one that never comes up must not keep the others out.
 */
static int manager_add(struct membership *m, const struct raft_member *v, size_t n, struct err *e)
{
	struct raft_node *raft = replica_raft(m->replica);
	const struct node *node = candidate_after(m, m->after, v, n);
	const struct raft_member *member;
	int rc;

	if (!node)
		node = candidate_after(m, "", v, n);
	if (!node)
		return 0;
	memcpy(m->after, node->o.id, strlen(node->o.id) + 1);
	member = member_of(v, n, node->manager->raft_id);
	rc = member ? raft_node_promote(raft, member->id, change_done, m, e)
		    : raft_node_add(raft, node->manager->raft_id, node->o.id, change_done, m, e);
	return rc < 0 ? rc : 1;
}

static int member_drop(struct membership *m, const struct raft_member *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const struct node *node = store_node(replica_store(m->replica), v[i].node);
		int rc;

		if (is_manager(node) && node->manager->raft_id == v[i].id)
			continue;
		rc = raft_node_remove(replica_raft(m->replica), v[i].id, change_done, m, e);
		return rc < 0 ? rc : 1;
	}
	return 0;
}

static void unvote_done(struct membership *m, int status, const struct err *e)
{
	membership_done done = m->unvote.done;

	m->unvote.done = NULL;
	if (done)
		done(m->unvote.arg, status, e);
}

/* 1 when a change was begun, or it is over; else why it has to wait. */
static int unvote_step(struct membership *m, const struct raft_member *v, size_t n, struct err *e)
{
	const struct raft_member *member = member_of(v, n, m->unvote.raft_id);
	int rc;

	if (!member || member->role != RAFT_NODE_VOTER) {
		m->busy = false;
		unvote_done(m, 0, NULL);
		return 1;
	}
	rc = raft_node_demote(replica_raft(m->replica), member->id, change_done, m, e);
	if (rc >= 0)
		return 1;
	if (world_mono_ms(m->world) < m->unvote.until_ms)
		return rc;
	m->busy = false;
	unvote_done(m, rc, e);
	return 1;
}

int membership_unvote(struct membership *m, const char *node, uint64_t raft_id,
		      membership_done done, void *arg, struct err *e)
{
	struct unvote *u = &m->unvote;

	if (u->node[0] || m->stopped)
		return err_set(e, -EBUSY,
			       "another manager is being demoted: try again when that is done");
	*u = (struct unvote){.raft_id = raft_id,
			     .until_ms = world_mono_ms(m->world) + UNVOTE_MS,
			     .done = done,
			     .arg = arg};
	(void)snprintf(u->node, sizeof u->node, "%s", node);
	membership_wake(m);
	return 0;
}

void membership_unvote_end(struct membership *m)
{
	m->unvote = (struct unvote){0};
	membership_wake(m);
}

static void unvote_fail(struct membership *m, int status, const char *why)
{
	struct err e = ERR_INIT;

	if (m->unvote.done)
		unvote_done(m, err_set(&e, status, "%s", why), &e);
}

static void membership_step(struct membership *m)
{
	const struct raft_member *v;
	struct err e = ERR_INIT;
	size_t n;
	int rc;

	if (m->busy || m->stopped)
		return;
	if (!replica_is_leading(m->replica)) {
		unvote_fail(m, -EHOSTUNREACH, "this manager leads the swarm no more: try again");
		return;
	}
	n = raft_node_members(replica_raft(m->replica), &v);
	m->busy = true; /* the answer may come before the call returns */
	rc = m->unvote.done ? unvote_step(m, v, n, &e) : member_drop(m, v, n, &e);
	if (rc == 0 && !m->unvote.done)
		rc = manager_add(m, v, n, &e);
	if (rc <= 0)
		m->busy = false;
	if (rc < 0)
		step_later(m, MEMBERSHIP_RETRY_MS);
}

void membership_wake(struct membership *m)
{
	if (!m->busy)
		step_later(m, 0);
}

struct membership *membership_new(const struct world *world, struct replica *r)
{
	struct membership *m = xcalloc(1, sizeof *m);

	m->world = world;
	m->replica = r;
	m->timer.fire = timer_fire;
	return m;
}

void membership_stop(struct membership *m)
{
	if (!m->stopped)
		unvote_fail(m, -ECANCELED, "this manager stops");
	m->stopped = true;
	world_timer_stop(m->world, &m->timer);
}

void membership_free(struct membership *m)
{
	membership_stop(m);
	free(m);
}
