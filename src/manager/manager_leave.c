/*
 * A manager that gives up its role, because it leaves or is demoted: it hands leadership over, asks
 * the new leader to take its vote, and asks again until that is known to be done. The leader cuts
 * it off as it agrees, so the answer may never come: that it is no manager any more is then learnt
 * from the refusal.
 */
#include "base/mem.h"
#include "manager/manager_impl.h"

#define LEAVE_MS 5000 /* after it a manager leaves without the others' consent */
#define LEAVE_RETRY_MS 50

struct manager_leaving {
	struct manager *manager;
	struct control_request *request; /* what takes its vote */
	control_done done;
	void *arg;
	struct manager_call *call;
	struct world_timer timer;
	uint64_t end_ms;
};

static void leave_end(struct manager_leaving *l, int status, const struct err *e)
{
	control_done done = l->done;
	void *arg = l->arg;

	l->manager->leaving = NULL;
	world_timer_stop(l->manager->config.world, &l->timer);
	manager_cancel(l->call);
	table_free(&control_request_table, l->request);
	free(l);
	done(arg, status, NULL, e);
}

static void leave_again(struct manager_leaving *l)
{
	world_timer_start(l->manager->config.world, &l->timer, LEAVE_RETRY_MS);
}

/* Whether another answer may come if it is asked once more. */
static bool may_pass(int status)
{
	return status == -EAGAIN || status == -EBUSY || status == -EHOSTUNREACH ||
	       status == -EINPROGRESS || status == -ECANCELED || status == -ESTALE;
}

static void leave_answered(void *arg, int status, const struct control_answer *answer,
			   const struct err *e)
{
	struct manager_leaving *l = arg;
	bool demoted = l->request->op != CONTROL_NODE_LEAVE;

	(void)answer;
	l->call = NULL;
	if (demoted && (status == 0 || !may_pass(status))) {
		leave_end(l, status, e);
		return;
	}
	l->manager->gone = l->manager->gone || status == 0;
	leave_again(l);
}

/*
 * What the asker has seen of the node was judged when it asked; that leadership has moved since
 * has changed it.
 */
static void leave_ask(struct manager_leaving *l)
{
	const struct node *n = store_node(manager_store(l->manager), l->manager->node);

	l->request->version = n ? n->o.version.index : 0;
	l->call = manager_control(l->manager, l->request, leave_answered, l);
}

static void leave_step(struct world_timer *t)
{
	struct manager_leaving *l = container_of(t, struct manager_leaving, timer);
	struct manager *m = l->manager;
	struct raft_node *raft = replica_raft(m->replica);
	struct err e = ERR_INIT;

	if (m->gone || !manager_has_heir(m)) {
		leave_end(l, 0, NULL);
		return;
	}
	if (world_mono_ms(m->config.world) >= l->end_ms) {
		(void)err_set(
			&e, -ETIMEDOUT,
			"the other managers did not take this one's vote within %d ms: remove "
			"the node %s there",
			LEAVE_MS, m->node);
		leave_end(l, e.code, &e);
		return;
	}
	if (raft_node_is_leader(raft))
		(void)raft_node_transfer(raft, 0, NULL, NULL, NULL); /* or is on its way */
	else if (!l->call)
		leave_ask(l);
	leave_again(l);
}

void manager_give_up(struct manager *m, const struct control_request *r, control_done done,
		     void *arg)
{
	struct manager_leaving *l = xcalloc(1, sizeof *l);

	manager_leaving_end(m);
	l->manager = m;
	l->request = table_dup(&control_request_table, r);
	l->done = done;
	l->arg = arg;
	l->timer.fire = leave_step;
	l->end_ms = world_mono_ms(m->config.world) + LEAVE_MS;
	m->leaving = l;
	world_timer_start(m->config.world, &l->timer, 0);
}

void manager_leave(struct manager *m, control_done done, void *arg)
{
	struct control_request r = {.op = CONTROL_NODE_LEAVE, .id = m->node};

	manager_give_up(m, &r, done, arg);
}

void manager_leaving_end(struct manager *m)
{
	struct err e = ERR_INIT;

	if (!m->leaving)
		return;
	if (m->gone) {
		leave_end(m->leaving, 0, NULL);
		return;
	}
	(void)err_set(&e, -ECANCELED, "the manager stops");
	leave_end(m->leaving, -ECANCELED, &e);
}
