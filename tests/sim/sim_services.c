/*
 * The services workload's managers and its course, see sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

#define LIVENESS_MS 200
#define LOST_US (1000 * SIM_MS)
#define QUIET_US (5000 * SIM_MS)
#define JUDGE_MS 10000

/* The run that is going on: a program is told of no arguments. */
static struct services *current;

struct manager_life *svc_life(const struct sim_node *n)
{
	return n->raft ? n->self : NULL;
}

struct manager_life *svc_leader(struct services *v)
{
	struct sim_node *n = sim_leader(v->sim);
	struct manager_life *m = n ? svc_life(n) : NULL;

	return m && replica_is_leading(m->replica) ? m : NULL;
}

struct manager_life *svc_reader(struct services *v, struct sim_node *n)
{
	struct manager_life *m = svc_life(n);
	uint64_t version;

	if (!m || raft_node_available(n->raft, NULL) < 0)
		return NULL;
	version = store_version(replica_store(m->replica));
	if (version < v->shown[n->place])
		sim_fail(v->sim, "%s has shown version %" PRIu64 ", and now shows %" PRIu64,
			 n->name, v->shown[n->place], version);
	v->shown[n->place] = version;
	return m;
}

/* Liveness of agents, as the leader sees it */

static bool node_is_lost(const struct manager_life *m, const struct node *n)
{
	uint64_t now = m->services->sim->now;
	int place = agent_place(n->o.id);

	if (n->status.state == NODE_DOWN || place < 0)
		return false;
	if (m->seen_us[place] >= m->leading_us)
		return now - m->seen_us[place] > LOST_US;
	return now - m->leading_us > 2 * LOST_US;
}

static void on_liveness(void *arg)
{
	struct manager_life *m = arg;
	struct call *call = NULL;
	const struct node *n;
	struct store_walk w;

	(void)sim_after(m->services->sim, LIVENESS_MS * SIM_MS, m->node, on_liveness, NULL, m);
	roles_wake(m);
	if (!m->leading_us)
		return;
	for (store_walk_kind(&w, replica_store(m->replica), KIND_NODE);
	     (n = store_walk_next(&w));) {
		if (!node_is_lost(m, n))
			continue;
		if (!call)
			call = call_new(m->services, CONTROL_NODES_LOST);
		strs_add(&call->request.ids, n->o.id);
	}
	if (call)
		call_send(call, m->node, 0);
}

/* The program */

static void on_changed(void *arg, const struct object *old, const struct object *new)
{
	check_change(arg, old, new);
}

static void on_store_applied(void *arg, uint64_t version, bool swapped)
{
	struct manager_life *m = arg;

	if (swapped)
		m->batch = 0;
	check_version(m, version);
}

static void on_leading(void *arg, bool leading)
{
	struct manager_life *m = arg;

	sim_trace(m->services->sim, "%s %s", m->node->name,
		  leading ? "is ready to lead" : "leads no more");
	m->leading_us = leading ? m->services->sim->now : 0;
	roles_wake(m);
}

static void on_members(void *arg)
{
	roles_wake(arg);
}

static void program_open(struct sim_node *n, bool bootstrap)
{
	struct manager_life *m = xcalloc(1, sizeof *m);
	struct replica_config config = {
		.world = &n->world.world,
		.io = sim_disk_open(n->disk),
		.raft_id = n->raft_id,
		.node = n->name,
		.transport = sim_net_transport(n),
		.options = n->options,
		.events = {.arg = m, .leading = on_leading, .members = on_members}};
	struct err e = ERR_INIT;

	m->services = current;
	m->node = n;
	n->self = m;
	m->watch =
		(struct store_watch){.changed = on_changed, .applied = on_store_applied, .arg = m};
	if (replica_new(&m->replica, &config, &e) < 0) {
		sim_fail(n->sim, "%s cannot start: %s", n->name, e.msg);
		return;
	}
	store_watch_add(replica_store(m->replica), &m->watch);
	m->membership = membership_new(&n->world.world, m->replica);
	n->raft = replica_raft(m->replica);
	if ((bootstrap && replica_bootstrap(m->replica, &e) < 0) ||
	    replica_start(m->replica, &e) < 0)
		sim_fail(n->sim, "%s cannot load its log: %s", n->name, e.msg);
	(void)sim_after(n->sim, LIVENESS_MS * SIM_MS, n, on_liveness, NULL, m);
}

static void on_closed(void *arg)
{
	struct manager_life *m = arg;

	membership_free(m->membership);
	free(m);
}

static void program_close(struct sim_node *n)
{
	struct manager_life *m = n->self;

	store_watch_remove(replica_store(m->replica), &m->watch);
	membership_stop(m->membership);
	replica_close(m->replica, on_closed, m);
}

static const struct sim_program services_program = {.open = program_open, .close = program_close};

/* The course */

static void *services_prepare(struct sim *s)
{
	current = xcalloc(1, sizeof *current);
	current->sim = s;
	allocator_forgets(s->options.fault == SIM_FAULT_ALLOCATOR_FORGETS);
	flaw_set(s->options.fault);
	return current;
}

static void *schedules_prepare(struct sim *s)
{
	struct services *v = services_prepare(s);

	v->schedules = true;
	return v;
}

static void services_start(void *self)
{
	struct services *v = self;

	v->trouble = true;
	roles_start(v);
	users_start(v);
	agents_start(v);
}

static void services_trouble(void *self)
{
	struct services *v = self;

	struct sim_node *any = v->sim->nodes[sim_random(v->sim, v->sim->options.nodes)];

	if (sim_once_in(v->sim, 2))
		agents_trouble(v);
	if (sim_once_in(v->sim, 8))
		any->wall_offset_ns =
			(int64_t)sim_random(v->sim, v->sim->options.workload->wall_spread_ns);
}

static void services_heal(void *self)
{
	struct services *v = self;

	v->trouble = false;
	agents_heal(v);
}

static void services_stop(void *self)
{
	struct services *v = self;

	v->stopped = true;
}

/* The leader, when all managers are where it is and its store is as the users asked for. */
static struct manager_life *settled(struct services *v, const char **ret_why)
{
	struct manager_life *leader = svc_leader(v);

	*ret_why = "there is no leader";
	if (!leader)
		return NULL;
	for (unsigned i = 0; i < v->sim->options.nodes; i++) {
		struct manager_life *m = svc_reader(v, v->sim->nodes[i]);

		*ret_why = "a manager is not available or lags behind";
		if (!m || store_version(replica_store(m->replica)) !=
				  store_version(replica_store(leader->replica)))
			return NULL;
	}
	*ret_why = check_converged(v, replica_store(leader->replica));
	return *ret_why ? NULL : leader;
}

static void services_form_step(void *self)
{
	admin_turn(self);
}

static bool services_at_rest(void *self)
{
	struct services *v = self;
	struct manager_life *leader;
	const char *why;
	uint64_t version;

	admin_turn(v);
	leader = users_idle(v) ? settled(v, &why) : NULL;
	version = leader ? store_version(replica_store(leader->replica)) : 0;
	if (!leader || version != v->quiet_version) {
		v->quiet_version = version;
		v->quiet_since = v->sim->now;
		return false;
	}
	return v->sim->now - v->quiet_since >= QUIET_US;
}

static const char *services_why(void *self)
{
	struct services *v = self;
	const char *why = NULL;

	if (!users_idle(v))
		return "a user waits for an answer";
	(void)settled(v, &why);
	return why ? why : "the cores always find something to do";
}

/* Another leader finds nothing to do either. */
static void judge_new_leader(struct services *v)
{
	struct sim *s = v->sim;
	struct sim_node *old = sim_leader(s);
	uint64_t until = s->now + JUDGE_MS * SIM_MS;
	struct manager_life *leader;

	(void)raft_node_transfer(old->raft, 0, NULL, NULL, NULL);
	sim_run(s, s->now + 1000 * SIM_MS);
	while (!s->failure[0] && !svc_leader(v)) {
		if (s->now > until)
			sim_fail(s, "leadership was not handed over");
		sim_run(s, s->now + 100 * SIM_MS);
	}
	sim_run(s, s->now + 3000 * SIM_MS);
	leader = svc_leader(v);
	if (!s->failure[0] && leader &&
	    store_version(replica_store(leader->replica)) != v->quiet_version)
		sim_fail(s, "a new leader finds something to do where all was at rest");
}

static void services_judge(void *self)
{
	struct services *v = self;
	uint64_t first = 0;

	for (unsigned i = 0; i < v->sim->options.nodes; i++) {
		uint64_t whole = check_whole(v->sim->nodes[i]->self);

		first = i == 0 ? whole : first;
		if (whole != first)
			sim_fail(v->sim, "%s ends with another store", v->sim->nodes[i]->name);
	}
	check_writes(v, replica_store(((struct manager_life *)v->sim->nodes[0]->self)->replica));
	judge_new_leader(v);
}

static unsigned services_acknowledged(const void *self)
{
	const struct services *v = self;

	return v->acknowledged;
}

static void services_free(void *self)
{
	struct services *v = self;

	if (v->users)
		users_free(v);
	if (v->agents)
		agents_free(v);
	slots_free(v);
	crons_free(v);
	free(v->versions);
	free(v->writes);
	free(v);
	current = NULL;
}

const struct sim_workload services_workload = {
	.name = "services",
	.program = &services_program,
	.options = {.snapshot_bytes = 32768, .trailing_bytes = 8192, .install_ms = 1000},
	.wall_spread_ns = 1ull << 60,
	.chaos_ms = 8000,
	.calm_ms = 3000,
	.heal_ms = 90000,
	.prepare = services_prepare,
	.start = services_start,
	.trouble = services_trouble,
	.heal = services_heal,
	.form_step = services_form_step,
	.stop = services_stop,
	.at_rest = services_at_rest,
	.why = services_why,
	.judge = services_judge,
	.acknowledged = services_acknowledged,
	.free = services_free,
};

/* Scheduled jobs alone, for as long as some of their times come, with clocks that are off by a
 * minute. */
const struct sim_workload schedules_workload = {
	.name = "schedules",
	.program = &services_program,
	.options = {.snapshot_bytes = 32768, .trailing_bytes = 8192, .install_ms = 1000},
	.wall_spread_ns = 90 * NS_PER_SEC,
	.chaos_ms = 150000,
	.calm_ms = 20000,
	.heal_ms = 120000,
	.prepare = schedules_prepare,
	.start = services_start,
	.trouble = services_trouble,
	.heal = services_heal,
	.form_step = services_form_step,
	.stop = services_stop,
	.at_rest = services_at_rest,
	.why = services_why,
	.judge = services_judge,
	.acknowledged = services_acknowledged,
	.free = services_free,
};
