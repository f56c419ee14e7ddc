/*
 * A simulated manager, see sim_node.h. The record of who led and what was applied is kept outside
 * of all nodes: it is what they are judged by.
 */
#include "sim/sim_node.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manager/raft_impl.h"

struct record {
	unsigned *leaders; /* by term: which life of which node, + 1 */
	size_t terms;
	struct {
		uint64_t hash; /* of what was applied */
		uint64_t term; /* in which what was committed was made */
	} * entries;           /* by index */
	size_t indexes;
};

static struct record record;

void sim_record_free(struct sim *s)
{
	free(record.leaders);
	free(record.entries);
	memset(&record, 0, sizeof(record));
	(void)s;
}

static void record_leader(struct sim_node *n, uint64_t term)
{
	unsigned who = n->life * SIM_NODES + n->place + 1;

	if (term >= record.terms) {
		size_t size = term * 2 + 64;

		record.leaders = xreallocarray(record.leaders, size, sizeof(*record.leaders));
		memset(record.leaders + record.terms, 0,
		       (size - record.terms) * sizeof(*record.leaders));
		record.terms = size;
	}
	if (record.leaders[term] != 0 && record.leaders[term] != who)
		sim_fail(n->sim, "%s leads in term %llu, in which node %u has led", n->name,
			 (unsigned long long)term, (record.leaders[term] - 1) % SIM_NODES);
	record.leaders[term] = who;
}

static uint64_t hash(const void *p, size_t len)
{
	const uint8_t *bytes = p;
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 0x100000001b3ull;
	return h ? h : 1;
}

static void record_room(uint64_t index)
{
	size_t size = index * 2 + 256;

	if (index < record.indexes)
		return;
	record.entries = xreallocarray(record.entries, size, sizeof(*record.entries));
	memset(record.entries + record.indexes, 0,
	       (size - record.indexes) * sizeof(*record.entries));
	record.indexes = size;
}

static void record_entry(struct sim_node *n, uint64_t index, const void *p, size_t len)
{
	uint64_t h = hash(p, len);

	record_room(index);
	if (record.entries[index].hash != 0 && record.entries[index].hash != h)
		sim_fail(n->sim, "%s applies another entry %llu than was applied before", n->name,
			 (unsigned long long)index);
	record.entries[index].hash = h;
}

/* The term of an entry in a member's log, 0 when the log does not reach there. */
static uint64_t term_of(const struct raft_trail *t, uint64_t index)
{
	if (index <= t->offset)
		return index == t->snapshot.index ? t->snapshot.term : 0;
	for (unsigned i = t->front; i != t->back; i = (i + 1) % t->size) {
		if (index <= t->records[i].index)
			return t->records[i].term;
	}
	return 0;
}

static void record_commits(struct sim_node *n)
{
	const struct raft *r = &n->raft->raft;

	for (; n->committed < r->commit_index; n->committed++) {
		uint64_t index = n->committed + 1, term = term_of(&r->trail, index);

		record_room(index);
		if (term != 0 && record.entries[index].term != 0 &&
		    record.entries[index].term != term)
			sim_fail(n->sim,
				 "%s commits entry %llu of term %llu, where one of term %llu was "
				 "committed",
				 n->name, (unsigned long long)index, (unsigned long long)term,
				 (unsigned long long)record.entries[index].term);
		if (term != 0)
			record.entries[index].term = term;
	}
}

static void after_event(struct sim *s)
{
	for (unsigned i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = s->nodes[i];

		if (!n || !n->raft)
			continue;
		if (n->committed < n->raft->raft.commit_index)
			record_commits(n);
		if (n->program->open && raft_node_is_leader(n->raft))
			record_leader(n, raft_node_term(n->raft));
	}
}

void sim_record_start(struct sim *s)
{
	memset(&record, 0, sizeof(record));
	s->after = after_event;
}

static int on_apply(void *arg, uint64_t index, const void *p, size_t len, bool own,
		    uint64_t *ret_version)
{
	struct sim_node *n = arg;

	record_entry(n, index, p, len);
	return n->state.apply(n->state.arg, index, p, len, own, ret_version);
}

static void *on_pin(void *arg)
{
	struct sim_node *n = arg;

	sim_trace(n->sim, "%s takes a snapshot", n->name);
	return n->state.snapshot_pin(n->state.arg);
}

static int on_encode(void *arg, void *pin, struct buf *out)
{
	struct sim_node *n = arg;

	return n->state.snapshot_encode(n->state.arg, pin, out);
}

static void on_unpin(void *arg, void *pin)
{
	struct sim_node *n = arg;

	n->state.snapshot_unpin(n->state.arg, pin);
}

static int on_prepare(void *arg, const void *p, size_t len, void **ret, struct err *e)
{
	struct sim_node *n = arg;

	return n->state.restore_prepare(n->state.arg, p, len, ret, e);
}

static void on_commit(void *arg, void *prepared, uint64_t index)
{
	struct sim_node *n = arg;

	sim_trace(n->sim, "%s restores a snapshot at %llu", n->name, (unsigned long long)index);
	n->state.restore_commit(n->state.arg, prepared, index);
}

static void on_discard(void *arg, void *prepared)
{
	struct sim_node *n = arg;

	n->state.restore_discard(n->state.arg, prepared);
}

static void on_leadership(void *arg, bool leader, uint64_t term)
{
	struct sim_node *n = arg;

	sim_trace(n->sim, "%s %s term %llu", n->name, leader ? "leads in" : "does not lead in",
		  (unsigned long long)term);
	if (leader)
		record_leader(n, term);
	if (n->program->leadership)
		n->program->leadership(n->self, leader, term);
	proposer_leadership(n->proposer, leader, term);
}

/*
 * The fault: entries of older terms count as committed once a majority has them (Raft §5.4.2,
 * figure 8), as libraft 0.15 had it.
 */
static void commit_by_counting(struct sim_node *n)
{
	struct raft *r = &n->raft->raft;
	unsigned voters = 0;

	if (!raft_node_is_leader(n->raft))
		return;
	for (unsigned i = 0; i < r->configuration.n; i++)
		voters += r->configuration.servers[i].role == RAFT_VOTER;
	for (raft_index index = raft_last_index(r); index > r->commit_index; index--) {
		unsigned votes = 0;

		for (unsigned i = 0; i < r->configuration.n; i++) {
			raft_index match = 0;

			if (r->configuration.servers[i].role == RAFT_VOTER &&
			    raft_match_index(r, r->configuration.servers[i].id, &match) == 0)
				votes += match >= index;
		}
		if (votes > voters / 2) {
			sim_trace(n->sim, "%s counts to %llu of term %llu", n->name,
				  (unsigned long long)index,
				  (unsigned long long)term_of(&r->trail, index));
			r->commit_index = index;
			return;
		}
	}
}

static void on_count(void *arg)
{
	struct sim_node *n = arg;

	commit_by_counting(n);
	(void)sim_after(n->sim, 100, n, on_count, NULL, n);
}

static void on_applied(void *arg, uint64_t index)
{
	struct sim_node *n = arg;

	if (n->program->applied)
		n->program->applied(n->self, index);
}

struct sim_node *sim_node_new(struct sim *s, unsigned place, const struct sim_program *program,
			      const struct raft_node_options *options)
{
	struct sim_node *n = xcalloc(1, sizeof(*n));

	n->sim = s;
	n->place = place;
	n->program = program;
	n->options = *options;
	n->raft_id = 1000 + place;
	(void)snprintf(n->name, sizeof(n->name), "m%u", place);
	n->disk = sim_disk_new(s, n);
	s->nodes[place] = n;
	return n;
}

void sim_node_free(struct sim_node *n)
{
	if (n->raft)
		sim_node_crash(n);
	sim_disk_free(n->disk);
	n->sim->nodes[n->place] = NULL;
	free(n);
}

static struct raft_node_config node_config(struct sim_node *n)
{
	return (struct raft_node_config){
		.world = &n->world.world,
		.io = sim_disk_open(n->disk),
		.id = n->raft_id,
		.node = n->name,
		.state = {.arg = n,
			  .apply = on_apply,
			  .snapshot_pin = on_pin,
			  .snapshot_encode = on_encode,
			  .snapshot_unpin = on_unpin,
			  .restore_prepare = on_prepare,
			  .restore_commit = on_commit,
			  .restore_discard = on_discard},
		.events = {.arg = n, .leadership = on_leadership, .applied = on_applied},
		.transport = sim_net_transport(n),
		.options = n->options,
	};
}

void sim_node_start(struct sim_node *n, bool bootstrap)
{
	struct proposer_ops ops = {0};
	struct raft_node_config config;
	struct err e = ERR_INIT;

	if (n->retired)
		return;
	sim_trace(n->sim, "%s starts", n->name);
	sim_world_init(&n->world, n->sim, n);
	if (n->program->open) {
		n->program->open(n, bootstrap);
		return;
	}
	memset(&n->state, 0, sizeof(n->state));
	n->self = n->program->start(n, &n->state, &ops);
	config = node_config(n);
	(void)proposer_new(&n->proposer, &n->world.world, &ops);
	if (raft_node_new(&n->raft, &config, &e) < 0 ||
	    (bootstrap && raft_node_bootstrap(n->raft, &e) < 0)) {
		sim_fail(n->sim, "%s cannot start: %s", n->name, e.msg);
		return;
	}
	proposer_attach(n->proposer, n->raft);
	if (raft_node_start(n->raft, &e) < 0)
		sim_fail(n->sim, "%s cannot load its log: %s", n->name, e.msg);
	if (n->sim->options.fault == SIM_FAULT_OLD_TERM_COMMIT)
		(void)sim_after(n->sim, 100, n, on_count, NULL, n);
	if (n->program->started)
		n->program->started(n->self);
}

void sim_node_crash(struct sim_node *n)
{
	struct raft_node *raft = n->raft;

	sim_trace(n->sim, "%s crashes", n->name);
	n->life++;
	n->committed = 0;
	n->raft = NULL;
	sim_disk_crash(n->disk);
	if (n->program->open) {
		n->program->close(n);
		sim_world_end(&n->world);
		n->self = NULL;
		return;
	}
	raft_node_close(raft, NULL, NULL);
	sim_world_end(&n->world);
	proposer_attach(n->proposer, NULL);
	proposer_free(TAKE_PTR(n->proposer));
	n->program->stop(n->self);
	n->self = NULL;
}

struct sim_node *sim_node_named(struct sim *s, const char *name)
{
	for (unsigned i = 0; i < SIM_NODES; i++) {
		if (s->nodes[i] && strcmp(s->nodes[i]->name, name) == 0)
			return s->nodes[i];
	}
	return NULL;
}

struct sim_node *sim_leader(struct sim *s)
{
	struct sim_node *leader = NULL;

	for (unsigned i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = s->nodes[i];

		if (n && n->raft && raft_node_is_leader(n->raft) &&
		    (!leader || raft_node_term(n->raft) > raft_node_term(leader->raft)))
			leader = n;
	}
	return leader;
}
