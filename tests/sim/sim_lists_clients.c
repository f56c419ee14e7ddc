/*
 * The list program's clients and their judge, see sim_lists_impl.h. Each client does one thing at a
 * time and notes when it asked, when it heard and what. Values are never used twice, so that the
 * lists in the end say which write came when:
 *   - what was acknowledged is there, once; what was refused is not;
 *   - what returned before another was asked stands before it (linearizable), reads included;
 *   - what one manager shows without asking the others never goes back (monotonic).
 */
#include "sim/sim_lists_impl.h"

#include <string.h>

#include "base/mem.h"

enum op_kind { OP_APPEND, OP_READ };
enum op_status { OP_PENDING, OP_OK, OP_REFUSED, OP_UNKNOWN };

struct op {
	enum op_kind kind;
	enum op_status status;
	unsigned list;
	uint32_t value;
	uint64_t asked, heard;
	size_t count;    /* reads: what was there */
	uint64_t digest; /* of it */
};

struct client;

/* A request at a node: outlives the client's patience. */
struct call {
	struct proposer_write write;
	struct proposer_read read;
	struct client *client; /* NULL once it has given up */
	struct lists *lists;
	struct op op;
};

struct client {
	struct lists_history *history;
	unsigned id;
	struct call *call;
	struct sim_event *patience;
	struct sim_node *guess;
};

struct local_read {
	uint64_t digest[LISTS];
	size_t count[LISTS];
};

struct lists_history {
	struct sim *sim;
	bool stopped;
	struct client clients[CLIENTS];
	struct op *ops;
	size_t count, cap;
	uint32_t next_value;
	unsigned acknowledged;
	struct local_read last[SIM_NODES];
	struct local_read *locals; /* to be checked against the end */
	size_t local_count, local_cap;
};

static void on_turn(void *arg);

static void next_turn(struct client *c)
{
	struct sim *s = c->history->sim;

	if (!c->history->stopped)
		(void)sim_after(s, sim_random(s, 40 * SIM_MS), NULL, on_turn, NULL, c);
}

static void note(struct client *c, struct op *op, enum op_status status)
{
	struct lists_history *h = c->history;

	op->status = status;
	op->heard = h->sim->now;
	if (h->count == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 1024;
		h->ops = xreallocarray(h->ops, h->cap, sizeof(*h->ops));
	}
	h->ops[h->count++] = *op;
	h->acknowledged += status == OP_OK;
	sim_trace(h->sim, "client %u: %s %u %s %s", c->id, op->kind == OP_READ ? "read" : "append",
		  op->list, op->kind == OP_READ ? "" : "value",
		  status == OP_OK        ? "ok"
		  : status == OP_REFUSED ? "refused"
					 : "unknown");
	next_turn(c);
}

static void answer(struct call *call, enum op_status status)
{
	struct client *c = call->client;

	if (!c)
		return;
	sim_cancel(c->history->sim, c->patience);
	c->patience = NULL;
	c->call = NULL;
	note(c, &call->op, status);
}

static int on_build(struct proposer_write *w, struct proposal *p, struct err *e)
{
	struct call *call = container_of(w, struct call, write);

	(void)e;
	lists_change(p, call->op.list, call->op.value, call->lists->list[call->op.list].count);
	return 0;
}

static void on_written(struct proposer_write *w, int status, uint64_t version, const struct err *e)
{
	struct call *call = container_of(w, struct call, write);

	(void)e;
	if (status == 0 && version == 0)
		sim_fail(call->lists->node->sim, "a write is acknowledged without a version");
	answer(call, status == 0 ? OP_OK : status == -EINPROGRESS ? OP_UNKNOWN : OP_REFUSED);
	free(call);
}

static void on_read(struct proposer_read *r, int status, const struct err *e)
{
	struct call *call = container_of(r, struct call, read);
	const struct list *l = &call->lists->list[call->op.list];

	(void)e;
	call->op.count = l->count;
	call->op.digest = list_digest(l, l->count);
	answer(call, status == 0 ? OP_OK : OP_REFUSED);
	free(call);
}

/* The client hangs up: a write that still waits is dropped, else it may come yet. */
static void on_patience(void *arg)
{
	struct client *c = arg;
	struct call *call = c->call;
	struct proposer *p = call->lists->node->proposer;
	bool dropped;

	c->patience = NULL;
	c->call = NULL;
	call->client = NULL;
	if (call->op.kind == OP_READ) {
		dropped = proposer_cancel_read(p, &call->read);
		note(c, &call->op, OP_REFUSED);
	} else {
		dropped = proposer_cancel(p, &call->write);
		note(c, &call->op, dropped ? OP_REFUSED : OP_UNKNOWN);
	}
	if (dropped)
		free(call);
}

static struct sim_node *choose(struct client *c)
{
	struct sim *s = c->history->sim;
	struct sim_node *n = s->nodes[sim_random(s, s->options.nodes)];

	if (c->guess && c->guess->raft && !sim_once_in(s, 5))
		n = c->guess;
	if (n->raft && raft_node_leader(n->raft))
		c->guess = sim_node_named(s, raft_node_leader(n->raft));
	return n->raft ? n : NULL;
}

static void look_locally(struct client *c, struct sim_node *n)
{
	struct lists_history *h = c->history;
	struct local_read *last = &h->last[n->place];
	struct lists *lists = n->self;
	struct local_read now;

	if (raft_node_available(n->raft, NULL) < 0)
		return;
	for (unsigned i = 0; i < LISTS; i++) {
		now.count[i] = lists->list[i].count;
		now.digest[i] = list_digest(&lists->list[i], now.count[i]);
		if (now.count[i] < last->count[i])
			sim_fail(h->sim, "%s has shown %zu entries of list %u, and now shows %zu",
				 n->name, last->count[i], i, now.count[i]);
	}
	*last = now;
	if (h->local_count == h->local_cap) {
		h->local_cap = h->local_cap ? h->local_cap * 2 : 1024;
		h->locals = xreallocarray(h->locals, h->local_cap, sizeof(*h->locals));
	}
	h->locals[h->local_count++] = now;
}

static void ask(struct client *c, struct sim_node *n)
{
	struct lists_history *h = c->history;
	struct sim *s = h->sim;
	struct call *call = xcalloc(1, sizeof(*call));
	int rc;

	call->client = c;
	call->lists = n->self;
	call->op.kind = sim_once_in(s, 3) ? OP_READ : OP_APPEND;
	call->op.list = (unsigned)sim_random(s, LIST_STEPS);
	call->op.asked = s->now;
	call->op.value = ++h->next_value;
	call->write.build = on_build;
	call->write.done = on_written;
	call->read.done = on_read;
	c->call = call;
	c->patience = sim_after(s, 50 * SIM_MS + sim_random(s, 3000 * SIM_MS), NULL, on_patience,
				NULL, c);
	if (call->op.kind == OP_READ)
		rc = proposer_read(n->proposer, &call->read, NULL);
	else
		rc = proposer_write(n->proposer, &call->write, NULL);
	if (rc < 0) {
		answer(call, OP_REFUSED);
		free(call);
	}
}

static void on_turn(void *arg)
{
	struct client *c = arg;
	struct sim_node *n;

	if (c->history->stopped)
		return;
	n = choose(c);
	if (!n) {
		c->guess = NULL;
		next_turn(c);
		return;
	}
	look_locally(c, n);
	ask(c, n);
}

static void *lists_prepare(struct sim *s)
{
	struct lists_history *h = xcalloc(1, sizeof(*h));

	h->sim = s;
	return h;
}

static void lists_start(void *self)
{
	struct lists_history *h = self;

	for (unsigned i = 0; i < CLIENTS; i++) {
		h->clients[i].history = h;
		h->clients[i].id = i;
		next_turn(&h->clients[i]);
	}
}

static void lists_stop(void *self)
{
	struct lists_history *h = self;

	h->stopped = true;
}

static bool lists_idle(const struct lists_history *h)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (h->clients[i].call)
			return false;
	}
	return true;
}

/* Whether all members hold the same. */
static bool lists_agree(struct sim *s)
{
	struct lists *first = NULL;

	for (unsigned i = 0; i < s->options.nodes; i++) {
		struct lists *l = s->nodes[i]->self;

		if (!l || raft_node_available(s->nodes[i]->raft, NULL) < 0)
			return false;
		if (!first)
			first = l;
		for (unsigned j = 0; j < LISTS; j++) {
			if (l->list[j].count != first->list[j].count ||
			    list_digest(&l->list[j], l->list[j].count) !=
				    list_digest(&first->list[j], l->list[j].count))
				return false;
		}
	}
	return true;
}

static bool lists_at_rest(void *self)
{
	struct lists_history *h = self;

	return lists_idle(h) && lists_agree(h->sim);
}

static const char *lists_why(void *self)
{
	return lists_idle(self) ? "the managers do not agree" : "a client waits for an answer";
}

/* Judging */

struct judge {
	struct lists_history *h;
	struct lists *end;
	size_t *place; /* by value: its place in its list + 1, 0 when it is nowhere */
};

static void find_places(struct judge *j)
{
	for (unsigned i = 0; i < LIST_STEPS; i++) {
		const struct list *l = &j->end->list[i];

		for (size_t k = 0; k < l->count; k++) {
			uint32_t value = l->values[k];

			if (value == 0 || value > j->h->next_value || j->place[value] != 0) {
				sim_fail(j->h->sim, "list %u holds %u twice, or nobody wrote it", i,
					 value);
				return;
			}
			j->place[value] = k + 1;
		}
	}
}

static void judge_append(struct judge *j, const struct op *op)
{
	if (op->status == OP_OK && j->place[op->value] == 0)
		sim_fail(j->h->sim, "the acknowledged append of %u to list %u is lost", op->value,
			 op->list);
	if (op->status == OP_REFUSED && j->place[op->value] != 0)
		sim_fail(j->h->sim, "the refused append of %u to list %u was made", op->value,
			 op->list);
}

static void judge_prefix(struct judge *j, unsigned list, size_t count, uint64_t digest)
{
	const struct list *l = &j->end->list[list];

	if (count > l->count || list_digest(l, count) != digest)
		sim_fail(j->h->sim, "a read saw %zu entries of list %u that are not its beginning",
			 count, list);
}

/* How far the list must have been when `op` had happened, and was known to be before it. */
static size_t reach(const struct judge *j, const struct op *op)
{
	return op->kind == OP_READ ? op->count : j->place[op->value];
}

static bool happened(const struct judge *j, const struct op *op)
{
	if (op->kind == OP_READ)
		return op->status == OP_OK;
	return j->place[op->value] != 0;
}

static int by_asked(const void *a, const void *b)
{
	const struct op *x = *(struct op *const *)a, *y = *(struct op *const *)b;

	return x->asked < y->asked ? -1 : x->asked > y->asked;
}

static int by_heard(const void *a, const void *b)
{
	const struct op *x = *(struct op *const *)a, *y = *(struct op *const *)b;

	return x->heard < y->heard ? -1 : x->heard > y->heard;
}

/* Sweeps over time: whatever is asked must reach past all that was heard before. */
static void judge_order(struct judge *j, unsigned list)
{
	struct op **asked = xcalloc(j->h->count + 1, sizeof(*asked));
	struct op **heard = xcalloc(j->h->count + 1, sizeof(*heard));
	size_t asks = 0, hears = 0, at = 0, far = 0;

	for (size_t i = 0; i < j->h->count; i++) {
		struct op *op = &j->h->ops[i];

		if (op->list != list || !happened(j, op))
			continue;
		asked[asks++] = op;
		if (op->status == OP_OK)
			heard[hears++] = op;
	}
	qsort(asked, asks, sizeof(*asked), by_asked);
	qsort(heard, hears, sizeof(*heard), by_heard);
	for (size_t i = 0; i < asks; i++) {
		for (; at < hears && heard[at]->heard < asked[i]->asked; at++)
			far = MAX_OF(far, reach(j, heard[at]));
		if (reach(j, asked[i]) < far + (asked[i]->kind == OP_APPEND))
			sim_fail(
				j->h->sim,
				"list %u: %s asked at %.3f ms reaches %zu, but %zu was seen before",
				list, asked[i]->kind == OP_READ ? "a read" : "an append",
				(double)asked[i]->asked / 1000, reach(j, asked[i]), far);
	}
	free(asked);
	free(heard);
}

static void lists_judge(void *self)
{
	struct lists_history *h = self;
	struct sim *s = h->sim;
	struct judge j = {.h = h, .end = s->nodes[0]->self};

	j.place = xcalloc(h->next_value + 1, sizeof(*j.place));
	find_places(&j);
	for (size_t i = 0; i < h->count && !s->failure[0]; i++) {
		if (h->ops[i].kind == OP_APPEND)
			judge_append(&j, &h->ops[i]);
		else if (h->ops[i].status == OP_OK)
			judge_prefix(&j, h->ops[i].list, h->ops[i].count, h->ops[i].digest);
	}
	for (size_t i = 0; i < h->local_count && !s->failure[0]; i++) {
		for (unsigned list = 0; list < LISTS; list++)
			judge_prefix(&j, list, h->locals[i].count[list], h->locals[i].digest[list]);
	}
	for (unsigned list = 0; list < LIST_STEPS && !s->failure[0]; list++)
		judge_order(&j, list);
	free(j.place);
}

static unsigned lists_acknowledged(const void *self)
{
	const struct lists_history *h = self;

	return h->acknowledged;
}

static void lists_free(void *self)
{
	struct lists_history *h = self;

	free(h->ops);
	free(h->locals);
	free(h);
}

const struct sim_workload lists_workload = {
	.name = "lists",
	.program = &lists_program,
	.options = {.snapshot_bytes = 16384, .trailing_bytes = 4096, .install_ms = 1000},
	.wall_spread_ns = 1ull << 60,
	.chaos_ms = 8000,
	.calm_ms = 3000,
	.heal_ms = 30000,
	.prepare = lists_prepare,
	.start = lists_start,
	.stop = lists_stop,
	.at_rest = lists_at_rest,
	.why = lists_why,
	.judge = lists_judge,
	.acknowledged = lists_acknowledged,
	.free = lists_free,
};
