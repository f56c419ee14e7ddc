/*
 * Agents of the services workload: each runs the tasks that a manager's store gives it, reports
 * through that manager to the leader, and may crash, lose contact and have a wrong clock. See
 * sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct container {
	char task[ID_CLUSTER_LEN + 1];
	enum task_state state, reported;
	int64_t since_ns; /* by the agent's clock */
	bool here;        /* among what the manager gives it */
};

struct agent {
	struct services *services;
	unsigned place;
	char id[ID_CLUSTER_LEN + 1];
	int64_t clock_ns; /* how far its clock is off */
	struct sim_node *manager;
	unsigned manager_life;
	bool greeted; /* the leader knows this session */
	bool down, cut[SIM_NODES];
	struct call *call; /* its report or greeting on its way */
	struct sim_event *patience;
	struct container *containers;
	size_t n, cap;
	struct agent_secrets secrets;
};

int agent_place(const char *node)
{
	return strlen(node) == ID_CLUSTER_LEN && node[0] == 'n' ? node[ID_CLUSTER_LEN - 1] - '0'
								: -1;
}

static int64_t wall_ns(const struct agent *a)
{
	return (int64_t)(a->services->sim->now * 1000) + a->clock_ns;
}

/* Containers */

static struct container *container_of_task(struct agent *a, const char *task)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->containers[i].task, task) == 0)
			return &a->containers[i];
	return NULL;
}

static struct container *container_add(struct agent *a, const struct task *t)
{
	struct container *c;

	if (a->n == a->cap) {
		a->cap = a->cap ? a->cap * 2 : 16;
		a->containers = xreallocarray(a->containers, a->cap, sizeof *a->containers);
	}
	c = &a->containers[a->n++];
	*c = (struct container){.since_ns = wall_ns(a)};
	(void)snprintf(c->task, sizeof c->task, "%s", t->o.id);
	c->state = c->reported = TASK_ASSIGNED;
	/* It has run here before, and nothing is left of it. */
	if (t->status.state > TASK_ASSIGNED)
		c->state = TASK_FAILED;
	return c;
}

static void container_set(struct agent *a, struct container *c, enum task_state state)
{
	c->state = state;
	c->since_ns = wall_ns(a);
}

static enum task_state next_state(enum task_state state)
{
	static const enum task_state path[] = {TASK_ASSIGNED, TASK_ACCEPTED, TASK_PREPARING,
					       TASK_READY,    TASK_STARTING, TASK_RUNNING};

	for (size_t i = 0; i + 1 < ARRAY_LEN(path); i++)
		if (path[i] == state)
			return path[i + 1];
	return state;
}

static void container_fail(struct agent *a, struct container *c)
{
	struct sim *s = a->services->sim;

	if (c->state < TASK_STARTING)
		container_set(a, c, TASK_REJECTED);
	else
		container_set(a, c, sim_once_in(s, 3) ? TASK_COMPLETE : TASK_FAILED);
}

bool agent_runs(const struct services *v, const struct task *t)
{
	int place = t->node ? agent_place(t->node) : -1;
	const struct container *c =
		place < 0 ? NULL : container_of_task(&v->agents[place], t->o.id);

	return c && c->state == TASK_RUNNING && !v->agents[place].down;
}

static void container_step(struct agent *a, struct container *c, const struct store *view,
			   const struct task *t)
{
	enum task_state next = next_state(c->state);

	if (next == TASK_READY && !secrets_are_held(&a->secrets, view, t))
		return;
	if (next == TASK_RUNNING)
		check_runs(a->services, view, t);
	container_set(a, c, next);
}

/* A scheduled job takes long enough for its next time to come. */
static bool job_ends(const struct agent *a)
{
	struct services *v = a->services;

	return sim_once_in(v->sim, v->schedules && v->trouble ? 700 : 3);
}

/* One turn of a container as the manager wants it. */
static void container_turn(struct agent *a, struct container *c, const struct store *view,
			   const struct task *t)
{
	struct sim *s = a->services->sim;
	enum task_state goal = t->desired == TASK_READY ? TASK_READY : TASK_RUNNING;

	if (task_state_final(c->state))
		return;
	if (a->services->trouble && sim_once_in(s, 150)) {
		container_fail(a, c);
	} else if (t->desired == TASK_COMPLETE && c->state == TASK_RUNNING) {
		if (job_ends(a))
			container_set(a, c, TASK_COMPLETE);
	} else if (!task_is_wanted(t) || task_state_final(t->status.state)) {
		if (!sim_once_in(s, 3))
			container_set(a, c, TASK_SHUTDOWN);
	} else if (c->state < goal && !sim_once_in(s, 3)) {
		container_step(a, c, view, t);
	}
}

static void assignments_take(struct agent *a, const struct store *view)
{
	const struct task *t;
	struct store_walk w;
	size_t kept = 0;

	for (size_t i = 0; i < a->n; i++)
		a->containers[i].here = false;
	for (store_walk_node_tasks(&w, view, a->id); (t = store_walk_next(&w));) {
		struct container *c = container_of_task(a, t->o.id);

		if (t->status.state < TASK_ASSIGNED)
			continue;
		if (!c && task_is_over(t))
			continue;
		if (!c)
			c = container_add(a, t);
		c->here = true;
		container_turn(a, c, view, t);
	}
	for (size_t i = 0; i < a->n; i++)
		if (a->containers[i].here)
			a->containers[kept++] = a->containers[i];
	a->n = kept;
}

/* Asking the leader through the manager of the session */

static bool connected(const struct agent *a)
{
	const struct sim_node *n = a->manager;

	return n && n->raft && n->life == a->manager_life && !a->cut[n->place] &&
	       raft_node_available(n->raft, NULL) == 0;
}

static struct sim_node *leader_through(const struct agent *a)
{
	const char *name = raft_node_leader(a->manager->raft);
	struct sim_node *leader = name ? sim_node_named(a->services->sim, name) : NULL;
	const struct sim_net *net = a->services->sim->net;

	if (!leader || net->cut[a->manager->place][leader->place] ||
	    net->cut[leader->place][a->manager->place])
		return NULL;
	return leader;
}

static void asked(struct agent *a)
{
	if (a->patience)
		sim_cancel(a->services->sim, a->patience);
	a->patience = NULL;
	a->call = NULL;
}

static void on_patience(void *arg)
{
	struct agent *a = arg;

	a->patience = NULL;
	(void)call_abandon(TAKE_PTR(a->call));
}

static void ask(struct agent *a, struct call *call, struct sim_node *leader,
		void (*done)(void *arg, struct call *call, int status, uint64_t version))
{
	struct sim *s = a->services->sim;

	call->done = done;
	call->arg = a;
	a->call = call;
	a->patience = sim_after(s, 300 * SIM_MS, NULL, on_patience, NULL, a);
	call_send(call, leader, 1 + sim_random(s, sim_once_in(s, 20) ? 400 * SIM_MS : 4 * SIM_MS));
}

static void on_joined(void *arg, struct call *call, int status, uint64_t version)
{
	(void)call;
	(void)status;
	(void)version;
	asked(arg);
}

static void on_greeted(void *arg, struct call *call, int status, uint64_t version)
{
	struct agent *a = arg;

	(void)call;
	(void)version;
	asked(a);
	a->greeted = status == 0;
}

static void describe(struct node_description *d, const char *id)
{
	d->hostname = xstrdup(id);
	d->platform.os = xstrdup("linux");
	d->platform.architecture = xstrdup("x86_64");
	d->resources.nano_cpus = SVC_CPUS * NS_PER_SEC;
	d->resources.memory = 1LL << 33;
}

static void join(struct agent *a, struct sim_node *leader)
{
	struct call *call = call_new(a->services, CONTROL_NODE_JOIN);
	struct node *n = object_new(KIND_NODE, a->id, 0);

	describe(&n->description, a->id);
	call->request.new_node = n;
	ask(a, call, leader, on_joined);
}

static void greet(struct agent *a, const struct store *view, struct sim_node *leader)
{
	struct call *call;
	char addr[32];

	if (!store_node(view, a->id)) {
		join(a, leader);
		return;
	}
	call = call_new(a->services, CONTROL_NODE_SEEN);
	(void)snprintf(addr, sizeof addr, "192.0.2.%u", a->place + 1);
	call->request.id = xstrdup(a->id);
	call->request.addr = xstrdup(addr);
	call->request.data_addr = xstrdup(addr);
	call->request.description = xcalloc(1, sizeof *call->request.description);
	describe(call->request.description, a->id);
	ask(a, call, leader, on_greeted);
}

static void on_reported(void *arg, struct call *call, int status, uint64_t version)
{
	struct agent *a = arg;

	(void)version;
	asked(a);
	if (status != 0)
		return;
	LIST_EACH (r, &call->request.reports) {
		struct container *c = container_of_task(a, r->task);

		if (c)
			c->reported = MAX_OF(c->reported, r->status.state);
	}
}

static struct call *report_make(struct agent *a)
{
	struct call *call = call_new(a->services, CONTROL_TASK_STATUS);

	call->request.id = xstrdup(a->id);
	for (size_t i = 0; i < a->n; i++) {
		const struct container *c = &a->containers[i];
		struct session_report *r;

		if (c->state <= c->reported)
			continue;
		r = LIST_ADD(&call->request.reports);
		r->task = xstrdup(c->task);
		r->status.state = c->state;
		r->status.timestamp = c->since_ns;
		r->status.message = xstrdup(task_state_name(c->state));
	}
	return call;
}

static void report(struct agent *a, struct sim_node *leader)
{
	struct sim *s = a->services->sim;
	bool news = false;

	for (size_t i = 0; i < a->n; i++)
		news |= a->containers[i].state > a->containers[i].reported;
	if (!news)
		return;
	/* The same by another way: late, and nobody waits for it. */
	if (a->services->trouble && sim_once_in(s, 10))
		call_send(report_make(a), leader, 1 + sim_random(s, 800 * SIM_MS));
	ask(a, report_make(a), leader, on_reported);
}

static void beat(struct agent *a, struct sim_node *leader)
{
	struct manager_life *m = svc_life(leader);
	const struct node *n;

	if (!m || !m->leading_us)
		return;
	m->seen_us[a->place] = a->services->sim->now;
	n = store_node(replica_store(m->replica), a->id);
	if (n && n->status.state == NODE_DOWN)
		a->greeted = false;
}

static void connect_anew(struct agent *a)
{
	struct sim *s = a->services->sim;
	struct sim_node *n = s->nodes[sim_random(s, s->options.nodes)];

	a->manager = n;
	a->manager_life = n->life;
	a->greeted = false;
}

static void on_turn(void *arg)
{
	struct agent *a = arg;
	struct services *v = a->services;
	struct manager_life *m;
	struct sim_node *leader;

	(void)sim_after(v->sim, 20 * SIM_MS + sim_random(v->sim, 60 * SIM_MS), NULL, on_turn, NULL,
			a);
	if (a->down)
		return;
	if (!connected(a))
		connect_anew(a);
	m = connected(a) ? svc_reader(v, a->manager) : NULL;
	if (!m)
		return;
	secrets_turn(v, &a->secrets, a->id, replica_store(m->replica));
	assignments_take(a, replica_store(m->replica));
	leader = leader_through(a);
	if (leader)
		beat(a, leader);
	if (!leader || a->call)
		return;
	if (!a->greeted)
		greet(a, replica_store(m->replica), leader);
	else
		report(a, leader);
}

/* Trouble */

static void crash(struct agent *a)
{
	sim_trace(a->services->sim, "agent %u crashes", a->place);
	a->down = true;
	a->manager = NULL;
	secrets_forget(&a->secrets);
	/* Its tasks end with it; or it even forgets that it had them. */
	if (sim_once_in(a->services->sim, 4))
		a->n = 0;
	for (size_t i = 0; i < a->n; i++)
		if (!task_state_final(a->containers[i].state))
			container_set(a, &a->containers[i], TASK_FAILED);
}

void agents_trouble(struct services *v)
{
	struct sim *s = v->sim;
	struct agent *a = &v->agents[sim_random(s, SVC_AGENTS)];

	switch (sim_random(s, 8)) {
	case 0:
		crash(a);
		break;
	case 1:
		sim_trace(s, "agent %u is cut off", a->place);
		memset(a->cut, true, sizeof a->cut);
		break;
	case 2:
		a->cut[sim_random(s, s->options.nodes)] = true;
		break;
	case 3:
		a->clock_ns = (int64_t)sim_random(s, 1ULL << 50) - (1LL << 49);
		break;
	case 4:
		a->manager = NULL;
		break;
	default:
		sim_trace(s, "agent %u is well", a->place);
		a->down = false;
		memset(a->cut, false, sizeof a->cut);
	}
}

void agents_heal(struct services *v)
{
	for (unsigned i = 0; i < SVC_AGENTS; i++) {
		v->agents[i].down = false;
		memset(v->agents[i].cut, false, sizeof v->agents[i].cut);
	}
}

void agents_start(struct services *v)
{
	v->agents = xcalloc(SVC_AGENTS, sizeof *v->agents);
	for (unsigned i = 0; i < SVC_AGENTS; i++) {
		struct agent *a = &v->agents[i];

		a->services = v;
		a->place = i;
		(void)snprintf(a->id, sizeof a->id, "n%024u", i);
		(void)sim_after(v->sim, sim_random(v->sim, 100 * SIM_MS), NULL, on_turn, NULL, a);
	}
}

void agents_free(struct services *v)
{
	for (unsigned i = 0; i < SVC_AGENTS; i++) {
		free(v->agents[i].containers);
		secrets_forget(&v->agents[i].secrets);
	}
	free(v->agents);
}
