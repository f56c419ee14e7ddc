/*
 * Users of the services workload: each does one thing at a time on objects that all share, reads
 * what it changes from whichever manager it asks, and may lose its patience. See
 * sim_services_impl.h.
 */
#include "sim/sim_services_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct user {
	struct services *services;
	unsigned id;
	struct call *call;
	size_t number; /* of its write */
	struct sim_event *patience;
	struct sim_node *guess;
};

static void on_turn(void *arg);

static void next_turn(struct user *u)
{
	struct sim *s = u->services->sim;
	uint64_t pause_ms = u->services->schedules ? 6000 : 150;

	if (!u->services->stopped)
		(void)sim_after(s, 10 * SIM_MS + sim_random(s, pause_ms * SIM_MS), NULL, on_turn,
				NULL, u);
}

static void on_answer(void *arg, struct call *call, int status, uint64_t version)
{
	struct user *u = arg;

	sim_cancel(u->services->sim, u->patience);
	u->patience = NULL;
	u->call = NULL;
	write_answer(u->services, u->number, status, version, &call->answer);
	next_turn(u);
}

static void on_patience(void *arg)
{
	struct user *u = arg;
	struct call *call = u->call;

	u->patience = NULL;
	u->call = NULL;
	write_answer(u->services, u->number, call_abandon(call) ? -EHOSTUNREACH : -EINPROGRESS, 0,
		     NULL);
	next_turn(u);
}

/* What to write */

static void label(struct strmap *labels, size_t number)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%zu", number);
	strmap_set(labels, "write", text);
}

static struct restart_policy *restart_make(struct sim *s)
{
	struct restart_policy *p = xcalloc(1, sizeof *p);
	int64_t delay = (int64_t)sim_random(s, 4) * 200 * NS_PER_MS;

	p->condition = sim_once_in(s, 5) ? RESTART_ON_FAILURE : RESTART_ANY;
	p->delay = xmemdup(&delay, sizeof delay);
	return p;
}

static void service_constrain(struct sim *s, struct task_spec *t)
{
	if (!t->placement)
		t->placement = xcalloc(1, sizeof *t->placement);
	strs_done(&t->placement->constraints);
	if (sim_once_in(s, 3))
		strs_add(&t->placement->constraints, "node.labels.zone != west");
	t->placement->max_replicas = sim_once_in(s, 4) ? 2 : 0;
}

static void service_reserve(struct sim *s, struct task_spec *t)
{
	t->resources = xcalloc(1, sizeof *t->resources);
	t->resources->reservations = xcalloc(1, sizeof *t->resources->reservations);
	t->resources->reservations->nano_cpus = (int64_t)sim_random(s, 3) * NS_PER_SEC / 4;
}

/* The order belongs to the name, so that a slot with two tasks can be judged. */
static struct update_config *update_make(struct sim *s, const char *name, const char *action)
{
	struct update_config *u = xcalloc(1, sizeof *u);

	u->parallelism = sim_random(s, 3);
	u->delay = sim_once_in(s, 3) ? (int64_t)sim_random(s, 3) * 100 * NS_PER_MS : 0;
	u->monitor = 1 + (int64_t)sim_random(s, 4) * 200 * NS_PER_MS;
	u->max_failure_ratio = sim_once_in(s, 2) ? 0.3 : 0;
	u->failure_action = xstrdup(action);
	u->order = xstrdup(name[strlen(name) - 1] % 2 ? "start-first" : "stop-first");
	return u;
}

/* What runs on each node reserves nothing: there might be no room on one of them. */
static void mode_make(struct sim *s, struct service_spec *spec, bool scheduled)
{
	uint64_t n = sim_random(s, SVC_REPLICAS + 1), few = 1 + sim_random(s, 3);

	switch (scheduled ? 1 + sim_random(s, 2) : sim_random(s, 6)) {
	case 0:
		spec->mode.global = xcalloc(1, sizeof *spec->mode.global);
		return;
	case 1:
		spec->mode.global_job = xcalloc(1, sizeof *spec->mode.global_job);
		return;
	case 2:
		spec->mode.replicated_job = xcalloc(1, sizeof *spec->mode.replicated_job);
		spec->mode.replicated_job->max_concurrent = xmemdup(&few, sizeof few);
		spec->mode.replicated_job->total_completions = xmemdup(&n, sizeof n);
		break;
	default:
		spec->mode.replicated = xcalloc(1, sizeof *spec->mode.replicated);
		spec->mode.replicated->replicas = xmemdup(&n, sizeof n);
	}
	service_reserve(s, &spec->task);
}

static struct service_spec *service_make(struct services *v, const struct store *view,
					 const char *name)
{
	static const char *const actions[] = {"pause", "continue", "rollback"};
	struct service_spec *spec = xcalloc(1, sizeof *spec);
	struct sim *s = v->sim;
	char network[8];

	spec->name = xstrdup(name);
	mode_make(s, spec, v->schedules);
	spec->task.container = xcalloc(1, sizeof *spec->task.container);
	spec->task.container->image = xstrdup("busybox:latest");
	if (v->schedules)
		schedule_choose(v, &spec->labels);
	if (sim_once_in(s, 2))
		secrets_choose(v, view, spec->task.container);
	spec->task.restart = restart_make(s);
	service_constrain(s, &spec->task);
	if (!service_is_job(spec)) {
		spec->update = update_make(s, name, actions[sim_random(s, 3)]);
		spec->rollback = update_make(s, name, actions[sim_random(s, 2)]);
	}
	if (spec->mode.replicated && sim_once_in(s, 2))
		strmap_set(&spec->labels, REBALANCE_LABEL, "auto");
	(void)snprintf(network, sizeof network, "net%u", (unsigned)sim_random(s, SVC_NETWORKS));
	if (store_named(view, KIND_NETWORK, network))
		LIST_ADD(&spec->task.networks)->target = xstrdup(network);
	return spec;
}

static struct call *service_change(struct user *u, const struct store *view,
				   const struct service *old)
{
	struct sim *s = u->services->sim;
	struct call *call;
	struct service_spec *spec;

	if (sim_once_in(s, 6)) {
		call = call_new(u->services, CONTROL_SERVICE_REMOVE);
		call->request.id = xstrdup(old->o.id);
		return call;
	}
	if (old->spec.mode.replicated && sim_once_in(s, 6)) {
		call = call_new(u->services, CONTROL_SERVICE_REBALANCE);
		call->request.id = xstrdup(old->o.id);
		call->request.stop = sim_once_in(s, 4);
		return call;
	}
	call = call_new(u->services, CONTROL_SERVICE_UPDATE);
	call->request.id = xstrdup(old->o.id);
	call->request.version = old->o.version.index;
	call->request.rollback = old->previous_spec && sim_once_in(s, 5);
	if (call->request.rollback)
		return call;
	spec = call->request.service = table_dup(&service_spec_table, &old->spec);
	if (spec->mode.replicated && !sim_once_in(s, 3))
		*spec->mode.replicated->replicas = sim_random(s, SVC_REPLICAS + 1);
	else if (u->services->schedules && sim_once_in(s, 2))
		schedule_choose(u->services, &spec->labels);
	else if (sim_once_in(s, 3))
		secrets_choose(u->services, view, spec->task.container);
	else if (sim_once_in(s, 2))
		spec->task.force_update++;
	else
		service_constrain(s, &spec->task);
	return call;
}

static struct call *service_call(struct user *u, const struct store *view)
{
	const struct service *old;
	struct call *call;
	char name[8];

	(void)snprintf(name, sizeof name, "svc%u",
		       (unsigned)sim_random(u->services->sim, SVC_SERVICES));
	old = (const struct service *)store_named(view, KIND_SERVICE, name);
	if (old)
		return service_change(u, view, old);
	call = call_new(u->services, CONTROL_SERVICE_CREATE);
	call->request.service = service_make(u->services, view, name);
	return call;
}

/* The first is so small that its addresses are used again and again. */
static struct call *network_call(struct user *u, const struct store *view)
{
	const struct network *old;
	struct network_spec *spec;
	unsigned place = (unsigned)sim_random(u->services->sim, SVC_NETWORKS);
	struct call *call;
	char name[8];

	(void)snprintf(name, sizeof name, "net%u", place);
	old = (const struct network *)store_named(view, KIND_NETWORK, name);
	if (old) {
		call = call_new(u->services, CONTROL_NETWORK_REMOVE);
		call->request.id = xstrdup(old->o.id);
		return call;
	}
	call = call_new(u->services, CONTROL_NETWORK_CREATE);
	spec = call->request.network = xcalloc(1, sizeof *spec);
	spec->name = xstrdup(name);
	if (place == 0)
		LIST_ADD(&spec->ipam.config)->subnet = xstrdup("10.200.0.0/27");
	return call;
}

static struct call *node_call(struct services *v, const struct node *old, bool well)
{
	struct call *call = call_new(v, CONTROL_NODE_UPDATE);
	struct sim *s = v->sim;
	struct node_spec *spec;

	call->request.id = xstrdup(old->o.id);
	call->request.version = old->o.version.index;
	spec = call->request.node = table_dup(&node_spec_table, &old->spec);
	if (well || !sim_once_in(s, 2))
		spec->availability = AVAILABILITY_ACTIVE;
	else
		spec->availability = (enum node_availability)sim_random(s, 3);
	strmap_set(&spec->labels, "zone", !well && sim_once_in(s, 3) ? "west" : "east");
	return call;
}

static const struct node *any_node(struct services *v, const struct store *view)
{
	size_t n = store_count(view, KIND_NODE);
	size_t place = n ? sim_random(v->sim, n) : 0;
	const struct node *node;
	struct store_walk w;

	for (store_walk_kind(&w, view, KIND_NODE); (node = store_walk_next(&w)) && place > 0;)
		place--;
	return node;
}

static struct call *choose_call(struct user *u, const struct store *view)
{
	uint64_t dice = sim_random(u->services->sim, 12);
	const struct node *node = dice == 0 ? any_node(u->services, view) : NULL;
	struct call *call = dice == 1 ? role_call(u->services, view) : NULL;

	if (call)
		return call;
	if (node && agent_place(node->o.id) >= 0)
		return node_call(u->services, node, false);
	if (dice == 2)
		return secret_call(u->services, view);
	return dice <= 4 ? network_call(u, view) : service_call(u, view);
}

/* Asking */

static struct sim_node *choose_node(struct user *u)
{
	struct sim *s = u->services->sim;
	struct sim_node *n = s->nodes[sim_random(s, s->options.nodes)];

	if (u->guess && u->guess->raft && !sim_once_in(s, 5))
		n = u->guess;
	if (n->raft && raft_node_leader(n->raft))
		u->guess = sim_node_named(s, raft_node_leader(n->raft));
	else
		u->guess = NULL;
	return n;
}

static void ask(struct user *u, struct call *call, struct sim_node *target)
{
	struct services *v = u->services;
	struct sim *s = v->sim;
	struct control_request *r = &call->request;

	u->number = write_ask(v, r);
	v->writes[u->number].unmarked =
		r->op == CONTROL_NODE_UPDATE || r->rollback || r->op == CONTROL_SERVICE_REBALANCE;
	if (r->service)
		label(&r->service->labels, u->number);
	if (r->network)
		label(&r->network->labels, u->number);
	if (r->secret)
		label(&r->secret->labels, u->number);
	sim_trace(s, "user %u asks %s: write %zu, request %u, %s", u->id, target->name, u->number,
		  r->op,
		  r->id        ? r->id
		  : r->service ? r->service->name
			       : "");
	call->done = on_answer;
	call->arg = u;
	u->call = call;
	u->patience = sim_after(s, 100 * SIM_MS + sim_random(s, 3000 * SIM_MS), NULL, on_patience,
				NULL, u);
	call_send(call, target, 0);
}

static void on_turn(void *arg)
{
	struct user *u = arg;
	struct sim_node *target;
	struct manager_life *m;

	if (u->services->stopped)
		return;
	target = choose_node(u);
	m = svc_reader(u->services, target);
	if (m)
		ask(u, choose_call(u, replica_store(m->replica)), target);
	else
		next_turn(u);
}

/* The administrator makes every node take tasks again, and lets updates go on that have paused. */

static struct call *resume_call(struct services *v, const struct store *view)
{
	const struct service *svc;
	struct store_walk w;
	struct call *call;

	for (store_walk_kind(&w, view, KIND_SERVICE); (svc = store_walk_next(&w));) {
		if (svc->pending_delete || !svc->update_status ||
		    (svc->update_status->state != UPDATE_PAUSED &&
		     svc->update_status->state != UPDATE_ROLLBACK_PAUSED))
			continue;
		call = call_new(v, CONTROL_SERVICE_UPDATE);
		call->request.id = xstrdup(svc->o.id);
		call->request.version = svc->o.version.index;
		call->request.service = table_dup(&service_spec_table, &svc->spec);
		return call;
	}
	return NULL;
}

/* What runs again and again never rests: it goes, once nothing of it is late. */
static struct call *schedule_end_call(struct services *v, struct manager_life *leader)
{
	const struct store *view = replica_store(leader->replica);
	const struct service *svc = schedule_left(view);
	struct call *call;

	if (!svc || !schedules_are_decided(view, replica_now_ns(leader->replica)))
		return NULL;
	call = call_new(v, CONTROL_SERVICE_REMOVE);
	call->request.id = xstrdup(svc->o.id);
	(void)write_ask(v, &call->request);
	return call;
}

static void on_admin(void *arg, struct call *call, int status, uint64_t version)
{
	struct services *v = arg;

	(void)call;
	(void)status;
	(void)version;
	v->admin = NULL;
}

static void admin_ask(struct services *v, struct call *call, struct sim_node *target)
{
	if (!call)
		return;
	v->admin = call;
	call->done = on_admin;
	call->arg = v;
	call_send(call, target, 0);
}

void admin_turn(struct services *v)
{
	struct manager_life *leader = svc_leader(v);
	const struct node *n;
	struct store_walk w;
	struct call *call;

	if (v->admin || !leader)
		return;
	for (store_walk_kind(&w, replica_store(leader->replica), KIND_NODE);
	     (n = store_walk_next(&w));) {
		const char *zone = strmap_get(&n->spec.labels, "zone");

		if (agent_place(n->o.id) < 0)
			continue;
		if (n->spec.availability == AVAILABILITY_ACTIVE &&
		    (!zone || strcmp(zone, "east") == 0))
			continue;
		admin_ask(v, node_call(v, n, true), leader->node);
		return;
	}
	call = role_admin_call(v, replica_store(leader->replica));
	if (!call)
		call = resume_call(v, replica_store(leader->replica));
	if (!call)
		call = schedule_end_call(v, leader);
	admin_ask(v, call, leader->node);
}

void users_start(struct services *v)
{
	v->users = xcalloc(SVC_USERS, sizeof *v->users);
	for (unsigned i = 0; i < SVC_USERS; i++) {
		v->users[i].services = v;
		v->users[i].id = i;
		next_turn(&v->users[i]);
	}
}

bool users_idle(const struct services *v)
{
	for (unsigned i = 0; i < SVC_USERS; i++)
		if (v->users[i].call)
			return false;
	return !v->admin;
}

void users_free(struct services *v)
{
	free(v->users);
}
