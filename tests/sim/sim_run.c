/*
 * One run: a group is formed, lives through what the seed has in store, is healed, and must then
 * agree with its history. See sim_run.h.
 */
#include "sim/sim_run.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/sim_node.h"
#include "sim/sim_workload.h"

#define FORM_MS 20000 /* to form a group without any trouble */

/* What a seed is about. */
enum mood {
	MOOD_MIXED,
	MOOD_CRASHES,
	MOOD_LEADERS,
	MOOD_PARTITIONS,
	MOOD_NETWORK,
	MOOD_TERMS,
	MOOD_MEMBERS,
	MOODS
};

struct run {
	struct sim sim;
	enum mood mood;
	const struct sim_workload *workload;
	void *history; /* the workload's own */
	uint64_t chaos_end;
	uint64_t term; /* the last one whose fate was decided */
	bool member[SIM_NODES];
	struct sim_event *driver;
};

/* Forming the group: one after the other, as operators do. */

static void form_step(struct run *r)
{
	struct sim_node *leader = sim_leader(&r->sim);
	const struct raft_member *m;
	size_t n;

	if (!leader)
		return;
	n = raft_node_members(leader->raft, &m);
	for (size_t i = 0; i < n; i++) {
		if (m[i].role == RAFT_NODE_SPARE) {
			(void)raft_node_promote(leader->raft, m[i].id, NULL, NULL, NULL);
			return;
		}
	}
	for (unsigned i = 0; i < r->sim.options.nodes; i++) {
		const struct sim_node *node = r->sim.nodes[i];
		bool found = false;

		for (size_t j = 0; j < n; j++)
			found = found || m[j].id == node->raft_id;
		if (!found) {
			(void)raft_node_add(leader->raft, node->raft_id, node->name, NULL, NULL,
					    NULL);
			return;
		}
	}
}

static bool formed(struct run *r)
{
	struct sim_node *leader = sim_leader(&r->sim);
	const struct raft_member *m;
	size_t n, voters = 0;

	if (!leader)
		return false;
	n = raft_node_members(leader->raft, &m);
	for (size_t i = 0; i < n; i++)
		voters += m[i].role == RAFT_NODE_VOTER;
	return voters == r->sim.options.nodes;
}

static void form(struct run *r)
{
	struct sim *s = &r->sim;

	for (unsigned i = 0; i < s->options.nodes; i++)
		(void)sim_node_new(s, i, r->workload->program, &r->workload->options);
	for (unsigned i = 0; i < s->options.nodes; i++)
		sim_node_start(s->nodes[i], i == 0);
	while (!formed(r) && !s->failure[0]) {
		if (s->now > FORM_MS * SIM_MS)
			sim_fail(s, "no group was formed within %d ms", FORM_MS);
		form_step(r);
		sim_run(s, s->now + 20 * SIM_MS);
	}
}

/* Trouble */

static struct sim_node *any_node(struct run *r)
{
	return r->sim.nodes[sim_random(&r->sim, r->sim.options.nodes)];
}

static void crash(struct run *r, struct sim_node *n)
{
	if (n && n->raft)
		sim_node_crash(n);
}

static void restart_some(struct run *r)
{
	for (unsigned i = 0; i < r->sim.options.nodes; i++) {
		if (!r->sim.nodes[i]->raft && sim_once_in(&r->sim, 2))
			sim_node_start(r->sim.nodes[i], false);
	}
}

static void partition(struct run *r)
{
	unsigned side[SIM_NODES];
	bool one_way = sim_once_in(&r->sim, 4);

	sim_trace(&r->sim, "partition%s", one_way ? ", one way" : "");
	for (unsigned i = 0; i < r->sim.options.nodes; i++)
		side[i] = (unsigned)sim_random(&r->sim, 2);
	for (unsigned i = 0; i < r->sim.options.nodes; i++) {
		for (unsigned j = 0; j < r->sim.options.nodes; j++)
			r->sim.net->cut[i][j] = side[i] != side[j] && (!one_way || side[i] == 0);
	}
}

static void isolate(struct run *r, struct sim_node *n)
{
	if (!n)
		return;
	sim_trace(&r->sim, "%s is cut off", n->name);
	for (unsigned i = 0; i < r->sim.options.nodes; i++)
		r->sim.net->cut[i][n->place] = r->sim.net->cut[n->place][i] = i != n->place;
}

static void disturb_network(struct run *r)
{
	struct sim_net *net = r->sim.net;

	net->delay_us = 200 + (unsigned)sim_random(&r->sim, 20 * SIM_MS);
	net->loss = (unsigned)sim_random(&r->sim, 30);
	net->duplicate = (unsigned)sim_random(&r->sim, 20);
}

static void toggle_disk(struct run *r)
{
	struct sim_node *n = any_node(r);
	bool full = sim_once_in(&r->sim, 2);

	sim_trace(&r->sim, "%s's disk is %s", n->name, full ? "full" : "free");
	if (n->raft)
		sim_disk_set_full(n->disk, full);
}

static void hand_over(struct run *r)
{
	struct sim_node *leader = sim_leader(&r->sim);

	if (leader)
		(void)raft_node_transfer(leader->raft, 0, NULL, NULL, NULL);
}

static void mixed(struct run *r)
{
	switch (sim_random(&r->sim, 10)) {
	case 0:
		crash(r, any_node(r));
		break;
	case 1:
		crash(r, sim_leader(&r->sim));
		break;
	case 2:
	case 3:
		restart_some(r);
		break;
	case 4:
		partition(r);
		break;
	case 5:
		isolate(r, sim_leader(&r->sim));
		break;
	case 6:
		sim_net_heal(r->sim.net);
		break;
	case 7:
		disturb_network(r);
		break;
	case 8:
		toggle_disk(r);
		break;
	default:
		hand_over(r);
		any_node(r)->wall_offset_ns =
			(int64_t)sim_random(&r->sim, r->workload->wall_spread_ns);
	}
}

static void crashes(struct run *r)
{
	if (sim_once_in(&r->sim, 12)) {
		/* A power cut. */
		for (unsigned i = 0; i < r->sim.options.nodes; i++)
			crash(r, r->sim.nodes[i]);
	} else if (sim_once_in(&r->sim, 2)) {
		crash(r, any_node(r));
	} else {
		restart_some(r);
	}
}

/* Leaders die soon after they were elected, their messages half delivered. */
static void leaders(struct run *r)
{
	struct sim_node *leader = sim_leader(&r->sim);

	switch (sim_random(&r->sim, 6)) {
	case 0:
	case 1:
		crash(r, leader);
		break;
	case 2:
		isolate(r, leader);
		break;
	case 3:
		sim_net_heal(r->sim.net);
		break;
	case 4:
		disturb_network(r);
		break;
	default:
		restart_some(r);
	}
}

/*
 * Many short terms in which little is replicated: a leader is heard by nobody, or half of what it
 * says is, and soon dies; others hold on to what nobody else has. This is where figure 8 of the
 * Raft paper lives.
 */
static void on_end_of_term(void *arg)
{
	struct run *r = arg;

	if (r->sim.now >= r->chaos_end)
		return;
	memset(r->sim.net->cut, 0, sizeof(r->sim.net->cut));
	r->sim.net->loss = 0;
	crash(r, sim_leader(&r->sim));
}

static void decide_term(struct run *r, struct sim_node *leader)
{
	struct sim *s = &r->sim;
	uint64_t lives_ms = 10 + sim_random(s, 40);

	switch (sim_random(s, 5)) {
	case 0:
		lives_ms = sim_random(s, 500);
		break;
	case 1:
	case 2:
		isolate(r, leader);
		break;
	default:
		s->net->loss = 50;
	}
	(void)sim_after(s, lives_ms * SIM_MS, NULL, on_end_of_term, NULL, r);
}

static void terms(struct run *r)
{
	struct sim *s = &r->sim;
	struct sim_node *leader = sim_leader(s);

	s->net->delay_us = 2 * SIM_MS;
	s->net->chop = 100;
	if (leader && raft_node_term(leader->raft) != r->term) {
		r->term = raft_node_term(leader->raft);
		decide_term(r, leader);
	}
	if (sim_once_in(s, 100))
		restart_some(r);
}

/* Voters become spares and come back, while things go wrong. */
static void members(struct run *r)
{
	struct sim_node *leader = sim_leader(&r->sim), *n = any_node(r);

	if (leader && sim_once_in(&r->sim, 2)) {
		if (raft_node_promote(leader->raft, n->raft_id, NULL, NULL, NULL) < 0)
			(void)raft_node_demote(leader->raft, n->raft_id, NULL, NULL, NULL);
	} else if (sim_once_in(&r->sim, 2)) {
		restart_some(r);
	} else {
		mixed(r);
	}
}

static void on_trouble(void *arg)
{
	struct run *r = arg;
	struct sim *s = &r->sim;
	uint64_t pause = 400;

	if (s->now >= r->chaos_end)
		return;
	if (r->workload->trouble)
		r->workload->trouble(r->history);
	switch (r->mood) {
	case MOOD_CRASHES:
		crashes(r);
		break;
	case MOOD_LEADERS:
		leaders(r);
		pause = 250;
		break;
	case MOOD_PARTITIONS:
		if (sim_once_in(s, 3))
			sim_net_heal(s->net);
		else
			partition(r);
		break;
	case MOOD_NETWORK:
		disturb_network(r);
		break;
	case MOOD_MEMBERS:
		members(r);
		pause = 150;
		break;
	case MOOD_TERMS:
		terms(r);
		(void)sim_after(s, 500 + sim_random(s, 1 * SIM_MS), NULL, on_trouble, NULL, r);
		return;
	default:
		mixed(r);
	}
	s->net->chop = sim_once_in(s, 2) ? 50 : 0;
	(void)sim_after(s, sim_random(s, 2 * pause * SIM_MS), NULL, on_trouble, NULL, r);
}

static void chaos(struct run *r)
{
	struct sim *s = &r->sim;

	r->workload->start(r->history);
	r->chaos_end = s->now + (r->mood == MOOD_TERMS ? 4 : 1) * r->workload->chaos_ms * SIM_MS;
	(void)sim_after(s, 100 * SIM_MS, NULL, on_trouble, NULL, r);
	sim_run(s, r->chaos_end);
}

/* After it: everything is well again, and stays so. */

static void describe_members(struct run *r, struct sim_node *of)
{
	static const char *const roles[] = {"spare", "voter"};
	const struct raft_member *m;
	size_t n = of->raft ? raft_node_members(of->raft, &m) : 0;

	for (size_t i = 0; i < n; i++)
		sim_trace(&r->sim, "%s knows member %llu, %s: a %s", of->name,
			  (unsigned long long)m[i].id, m[i].node, roles[m[i].role]);
}

static void describe(struct run *r)
{
	for (unsigned i = 0; i < r->sim.options.nodes; i++) {
		struct sim_node *n = r->sim.nodes[i];
		struct raft_node_stats st = {0};

		describe_members(r, n);
		if (n->raft)
			raft_node_stats(n->raft, &st);
		sim_trace(&r->sim,
			  "%s %s: term %llu, last %llu, committed %llu, applied %llu, "
			  "snapshot %llu",
			  n->name, n->raft ? "is up" : "is down", (unsigned long long)st.term,
			  (unsigned long long)st.last_index, (unsigned long long)st.commit_index,
			  (unsigned long long)st.applied_index,
			  (unsigned long long)st.snapshot_index);
	}
}

static void heal(struct run *r)
{
	struct sim *s = &r->sim;
	const struct sim_workload *w = r->workload;
	uint64_t until = s->now + w->heal_ms * SIM_MS;

	sim_trace(s, "all is well again");
	if (w->heal)
		w->heal(r->history);
	sim_net_heal(s->net);
	s->net->chop = 0;
	for (unsigned i = 0; i < s->options.nodes; i++) {
		if (s->nodes[i]->raft)
			sim_disk_set_full(s->nodes[i]->disk, false);
		else
			sim_node_start(s->nodes[i], false);
	}
	/* Clients go on for a while: writes must be taken again. */
	sim_run(s, s->now + w->calm_ms * SIM_MS);
	w->stop(r->history);
	while (!s->failure[0] && !formed(r)) {
		if (s->now > until) {
			describe(r);
			sim_fail(s, "the group has not all its voters %u ms after all was well",
				 w->heal_ms);
		}
		if (w->form_step)
			w->form_step(r->history);
		else
			form_step(r);
		sim_run(s, s->now + 100 * SIM_MS);
	}
	while (!s->failure[0] && !w->at_rest(r->history)) {
		if (s->now > until) {
			describe(r);
			sim_fail(s, "not all is at rest %u ms after all was well: %s", w->heal_ms,
				 w->why(r->history));
			break;
		}
		sim_run(s, s->now + 100 * SIM_MS);
	}
}

void sim_run_seed(const struct sim_options *options, struct sim_result *ret)
{
	struct run r = {0};
	struct sim *s = &r.sim;

	sim_init(s, options);
	r.workload = options->workload;
	s->net = sim_net_new(s);
	sim_record_start(s);
	r.history = r.workload->prepare(s);
	r.mood = (enum mood)sim_random(s, MOODS);
	/* Found in other moods too, but once in thousands. */
	if (options->fault == SIM_FAULT_OLD_TERM_COMMIT)
		r.mood = MOOD_TERMS;
	form(&r);
	if (!s->failure[0]) {
		chaos(&r);
		if (!s->failure[0])
			heal(&r);
		if (!s->failure[0])
			r.workload->judge(r.history);
		ret->acknowledged = r.workload->acknowledged(r.history);
		if (!s->failure[0] && ret->acknowledged == 0)
			sim_fail(s, "nothing was ever acknowledged");
	}
	ret->digest = s->digest;
	memcpy(ret->failure, s->failure, sizeof(ret->failure));
	for (unsigned i = 0; i < options->nodes; i++)
		sim_node_free(s->nodes[i]);
	sim_net_free(s->net);
	sim_record_free(s);
	sim_done(s);
	r.workload->free(r.history);
}
