/*
 * See membership.h. The difference is looked for anew each time and the first found is worked on,
 * so that nothing has to be remembered across leaders.
 */
#include "manager/membership.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define MEMBERSHIP_RETRY_MS 500

struct membership {
	const struct world *world;
	struct replica *replica;
	struct world_timer timer;
	bool busy, stopped;
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

		if (!is_manager(node))
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

static void membership_step(struct membership *m)
{
	const struct raft_member *v;
	struct err e = ERR_INIT;
	size_t n;
	int rc;

	if (m->busy || m->stopped || !replica_is_leading(m->replica))
		return;
	n = raft_node_members(replica_raft(m->replica), &v);
	m->busy = true; /* the answer may come before the call returns */
	rc = member_drop(m, v, n, &e);
	if (rc == 0)
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
	m->stopped = true;
	world_timer_stop(m->world, &m->timer);
}

void membership_free(struct membership *m)
{
	membership_stop(m);
	free(m);
}
