/*
 * See replica.h. The view of a proposal is a fork of the store on which what the entry holds
 * already is staged, so that writers that leave together see each other.
 */
#include "manager/replica.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "manager/core_autoscale.h"
#include "manager/measures.h"

#define COLLECT_MS 5 /* between two rounds of freeing what a big change dropped */

struct replica {
	const struct world *world;
	struct replica_events events;
	char node[ID_CLUSTER_LEN + 1];
	struct store *store;
	struct raft_node *raft;
	struct proposer *proposer;
	struct core *cores[CORE_COUNT];
	struct core_derive derive;
	struct measures measures;
	size_t core_next;      /* whose turn is first: a busy core must not starve the others */
	bool leading, closing; /* leading: the cores know what there is */
	bool timed;            /* `step_time` is of this term */
	int64_t step_time;     /* of the last write or step */
	uint64_t timed_ms;     /* when that was, by the monotonic clock */
	struct store_watch watch;
	struct world_timer collect;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* What a proposal's builders see and fill. */
struct view {
	struct store *fork;
	struct changes changes;
};

static void replica_new_id(void *arg, char ret[ID_CLUSTER_LEN + 1])
{
	const struct replica *r = arg;
	uint8_t bytes[16];

	world_random(r->world, bytes, sizeof bytes);
	id_base36(bytes, sizeof bytes, ret, ID_CLUSTER_LEN);
}

/* Building proposals */

static void *view_open(void *arg, struct proposal *p)
{
	struct replica *r = arg;
	struct view *v = xcalloc(1, sizeof *v);

	(void)p;
	v->fork = store_fork(r->store);
	changes_init(&v->changes);
	return v;
}

static void view_rewind(void *arg, struct proposal *p)
{
	struct view *v = p->view;

	(void)arg;
	changes_truncate(&v->changes, p->changes);
	store_rewind(v->fork);
}

static void view_close(void *arg, struct proposal *p)
{
	struct view *v = p->view;

	(void)arg;
	store_free(v->fork);
	changes_done(&v->changes);
	free(v);
}

static int verdict_error(const struct store_result *result, struct err *e)
{
	switch (result->verdict) {
	case STORE_APPLIED:
		return 0;
	case STORE_EXISTS:
		return err_set(e, -EEXIST, "%s, or its name, exists already", result->id);
	case STORE_MISSING:
		return err_set(e, -ENOENT, "%s is gone", result->id);
	default:
		return err_set(e, -ESTALE, "update out of sequence: %s has changed meanwhile",
			       result->id);
	}
}

/* Lays what was added from `from` on over the view and puts it into the entry. */
static int view_take(struct proposal *p, size_t from, struct err *e)
{
	struct view *v = p->view;
	struct store_result result;
	int rc;

	if (v->changes.n == from)
		return 0;
	store_stage(v->fork, &v->changes, from, &result);
	rc = verdict_error(&result, e);
	if (rc < 0)
		return rc;
	p->changes = (unsigned)v->changes.n;
	return changes_encode_from(&v->changes, from, &p->bytes);
}

/* The latest time that the leaders before this one have written where moments are waited for. */
static int64_t written_time(const struct store *s)
{
	static const enum object_kind kinds[] = {KIND_TASK, KIND_SERVICE, KIND_NODE};
	const struct object *o;
	struct store_walk w;
	int64_t ret = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (store_walk_kind(&w, s, kinds[i]); (o = store_walk_next(&w));)
			ret = MAX_OF(ret, o->updated);
	return ret;
}

/*
 * The time by which the leader writes. It goes on whatever the clock of this host does, and never
 * goes back, not even behind a leader before it whose clock was ahead: what waits for a moment
 * that was written down would wait until the clock reaches it.
 */
static int64_t step_time(struct replica *r)
{
	uint64_t mono_ms = world_mono_ms(r->world);

	if (!r->timed) {
		r->step_time = MAX_OF(r->step_time, written_time(r->store));
		r->timed_ms = mono_ms;
		r->timed = true;
	}
	r->step_time = MAX_OF(world_wall_ns(r->world),
			      r->step_time + (int64_t)(mono_ms - r->timed_ms) * 1000000);
	r->timed_ms = mono_ms;
	return r->step_time;
}

static int op_build(struct proposer_write *w, struct proposal *p, struct err *e)
{
	struct replica_op *op = container_of(w, struct replica_op, write);
	struct replica *r = op->replica;
	struct view *v = p->view;
	size_t from = v->changes.n;
	struct control c = {.view = v->fork,
			    .now_ns = step_time(r),
			    .new_id = replica_new_id,
			    .new_id_arg = r,
			    .self = r->node,
			    .out = &v->changes,
			    .answer = op->answer};
	int rc;

	store_mark(v->fork);
	if (op->answer)
		table_done(&control_answer_table, op->answer);
	rc = op->build(op, &c, e);
	return rc < 0 ? rc : view_take(p, from, e);
}

static void op_done(struct proposer_write *w, int status, uint64_t version, const struct err *e)
{
	struct replica_op *op = container_of(w, struct replica_op, write);

	if (status == 0 && op->answer)
		op->answer->version = version;
	op->done(op, status, version, e);
}

int replica_write(struct replica *r, struct replica_op *op, struct err *e)
{
	op->replica = r;
	op->write = (struct proposer_write){.build = op_build, .done = op_done};
	return proposer_write(r->proposer, &op->write, e);
}

bool replica_cancel(struct replica *r, struct replica_op *op)
{
	return proposer_cancel(r->proposer, &op->write);
}

int replica_barrier(struct replica *r, struct proposer_read *read, struct err *e)
{
	return proposer_read(r->proposer, read, e);
}

void replica_measured(struct replica *r, const struct task_load *loads, size_t n)
{
	int64_t now = step_time(r);

	if (!r->leading)
		return;
	for (size_t i = 0; i < n; i++)
		if (loads[i].task && store_task(r->store, loads[i].task))
			measures_put(&r->measures, &loads[i], now);
}

int replica_autoscale(const struct replica *r, const char *service, struct autoscale_view *ret,
		      struct err *e)
{
	if (!r->leading)
		return err_set(e, -EAGAIN, "this manager is about to lead: ask again");
	return core_autoscale_view(r->cores[CORE_AUTOSCALE], r->store, service, ret, e);
}

void replica_wake(struct replica *r)
{
	proposer_wake(r->proposer);
}

/* The cores */

/*
 * The cores of a new leader learn what there is, in pieces: held for as long as a hundred thousand
 * tasks take, the loop would send no heartbeat, and the others would elect the next one.
 */
static bool lead_prepare(void *arg)
{
	struct replica *r = arg;

	if (r->closing)
		return true;
	if (core_derive(r->cores, CORE_COUNT, r->store, &r->derive))
		return false;
	r->leading = true;
	if (r->events.leading)
		r->events.leading(r->events.arg, true);
	return true;
}

/*
 * Runs the cores in turn until one has something to say: what one changes, the next must see, and
 * it sees it once it is applied. Returns the milliseconds until the next wish of any of them.
 */
static uint64_t cores_step(void *arg, struct proposal *p, uint64_t term)
{
	struct replica *r = arg;
	struct view *v = p->view;
	size_t from = v->changes.n;
	int64_t next = CORE_IDLE, wish;
	struct core_step step = {.store = v->fork,
				 .now_ns = step_time(r),
				 .new_id = replica_new_id,
				 .new_id_arg = r,
				 .measures = &r->measures,
				 .out = &v->changes};
	struct err e = ERR_INIT;

	(void)term;
	/* A step must see exactly the store that its events told it of. */
	if (!r->leading || from > 0)
		return 1;
	store_mark(v->fork);
	for (size_t i = 0; i < CORE_COUNT && v->changes.n == from; i++) {
		struct core *core = r->cores[r->core_next];

		r->core_next = (r->core_next + 1) % CORE_COUNT;
		wish = core->class->step(core, &step);
		next = MIN_OF(next, wish);
	}
	if (view_take(p, from, &e) < 0) { /* cannot be: their view is the store itself */
		assert(!"a core proposed what the store refuses");
		return 0;
	}
	if (v->changes.n > from || next == CORE_IDLE)
		return 0; /* asked again once this is applied */
	return next <= step.now_ns ? 1 : (uint64_t)((next - step.now_ns) / 1000000) + 1;
}

/* On every manager, at the moment when it has the settings. */
static void snapshots_set(struct replica *r)
{
	const struct cluster *c = store_cluster(r->store);

	if (c)
		raft_node_set_snapshots(r->raft, cluster_snapshot_interval(c),
					cluster_snapshot_trailing(c));
}

static void store_changed(void *arg, const struct object *old, const struct object *new)
{
	struct replica *r = arg;

	assert(!r->derive.walking);
	if (new &&new->kind == KIND_CLUSTER)
		snapshots_set(r);
	if (!r->leading)
		return;
	for (size_t i = 0; i < CORE_COUNT; i++)
		core_event(r->cores[i], r->store, old, new);
}

static void collect_fire(struct world_timer *t)
{
	struct replica *r = container_of(t, struct replica, collect);

	if (store_collect(r->store))
		world_timer_start(r->world, t, COLLECT_MS);
}

static void store_applied(void *arg, uint64_t version, bool swapped)
{
	struct replica *r = arg;

	(void)version;
	if (!swapped)
		return;
	snapshots_set(r);
	world_timer_start(r->world, &r->collect, COLLECT_MS);
}

/* What raft replicates */

static int state_apply(void *arg, uint64_t index, const void *p, size_t n, bool own,
		       uint64_t *ret_version)
{
	struct replica *r = arg;
	struct store_result result;
	struct err e = ERR_INIT;
	int rc = store_apply(r->store, p, n, &result, &e);

	(void)index;
	(void)own;
	/* The entry was checked when it left and is sealed on disk: a damaged one is our own bug.
	 */
	assert(rc == 0);
	if (rc < 0)
		return rc;
	*ret_version = result.version;
	return verdict_error(&result, NULL);
}

static void *state_pin(void *arg)
{
	return store_pin(((struct replica *)arg)->store);
}

static int buf_sink(void *arg, const void *p, size_t n)
{
	return buf_add(arg, p, n);
}

static int state_encode(void *arg, void *pin, struct buf *out)
{
	(void)arg;
	return store_pin_encode(pin, buf_sink, out);
}

static void state_unpin(void *arg, void *pin)
{
	struct replica *r = arg;

	store_unpin(r->store, pin);
	world_timer_start(r->world, &r->collect, COLLECT_MS);
}

static int state_prepare(void *arg, const void *p, size_t n, void **ret, struct err *e)
{
	struct store_load *load = store_load_new();
	int rc = store_load_feed(load, p, n, e);

	(void)arg;
	if (rc == 0)
		rc = store_load_finish(load, e);
	if (rc < 0)
		store_load_free(load);
	else
		*ret = load;
	return rc;
}

static void state_commit(void *arg, void *prepared, uint64_t index)
{
	struct replica *r = arg;

	(void)index;
	store_swap(r->store, prepared);
	store_load_free(prepared);
}

static void state_discard(void *arg, void *prepared)
{
	(void)arg;
	store_load_free(prepared);
}

/* What raft tells */

static void on_leadership(void *arg, bool leader, uint64_t term)
{
	struct replica *r = arg;

	r->timed = false;
	measures_clear(&r->measures);
	r->derive = (struct core_derive){0};
	if (r->leading) {
		r->leading = false;
		if (r->events.leading)
			r->events.leading(r->events.arg, false);
	}
	proposer_leadership(r->proposer, leader && !r->closing, term);
}

static void on_leader(void *arg, const char *node)
{
	struct replica *r = arg;

	if (r->events.leader)
		r->events.leader(r->events.arg, node);
}

static void on_members(void *arg, const struct raft_member *m, size_t n)
{
	struct replica *r = arg;

	(void)m;
	(void)n;
	if (r->events.members)
		r->events.members(r->events.arg);
}

static void on_applied(void *arg, uint64_t index)
{
	struct replica *r = arg;

	(void)index;
	if (r->events.applied)
		r->events.applied(r->events.arg);
}

int replica_new(struct replica **ret, const struct replica_config *config, struct err *e)
{
	struct replica *r = xcalloc(1, sizeof *r);
	struct proposer_ops ops = {.arg = r,
				   .open = view_open,
				   .rewind = view_rewind,
				   .close = view_close,
				   .prepare = lead_prepare,
				   .step = cores_step};
	struct raft_node_config raft = {
		.world = config->world,
		.io = config->io,
		.id = config->raft_id,
		.node = r->node,
		.state = {.arg = r,
			  .apply = state_apply,
			  .snapshot_pin = state_pin,
			  .snapshot_encode = state_encode,
			  .snapshot_unpin = state_unpin,
			  .restore_prepare = state_prepare,
			  .restore_commit = state_commit,
			  .restore_discard = state_discard},
		.events = {.arg = r,
			   .leadership = on_leadership,
			   .leader = on_leader,
			   .members = on_members,
			   .applied = on_applied},
		.transport = config->transport,
		.options = config->options,
	};
	int rc;

	assert(strlen(config->node) <= ID_CLUSTER_LEN);
	memcpy(r->node, config->node, strlen(config->node) + 1);
	r->world = config->world;
	r->events = config->events;
	r->store = store_new();
	r->collect.fire = collect_fire;
	r->watch =
		(struct store_watch){.changed = store_changed, .applied = store_applied, .arg = r};
	store_watch_add(r->store, &r->watch);
	rc = proposer_new(&r->proposer, r->world, &ops);
	if (rc == 0)
		rc = raft_node_new(&r->raft, &raft, e);
	if (rc < 0) {
		if (r->proposer)
			proposer_free(r->proposer);
		store_free(r->store);
		free(r);
		return rc;
	}
	proposer_attach(r->proposer, r->raft);
	for (size_t i = 0; i < CORE_COUNT; i++)
		r->cores[i] = core_makers[i]();
	*ret = r;
	return 0;
}

int replica_bootstrap(struct replica *r, struct err *e)
{
	return raft_node_bootstrap(r->raft, e);
}

int replica_start(struct replica *r, struct err *e)
{
	return raft_node_start(r->raft, e);
}

static void raft_closed(void *arg)
{
	struct replica *r = arg;
	void (*closed)(void *arg) = r->closed;
	void *closed_arg = r->closed_arg;

	/* Not before: until here raft may answer the proposal that was in flight. */
	proposer_attach(r->proposer, NULL);
	proposer_free(r->proposer);
	world_timer_stop(r->world, &r->collect);
	for (size_t i = 0; i < CORE_COUNT; i++)
		core_free(r->cores[i]);
	measures_clear(&r->measures);
	store_free(r->store);
	free(r);
	if (closed)
		closed(closed_arg);
}

void replica_close(struct replica *r, void (*done)(void *arg), void *arg)
{
	r->closed = done;
	r->closed_arg = arg;
	r->leading = false;
	r->closing = true;
	raft_node_close(r->raft, raft_closed, r);
}

struct store *replica_store(struct replica *r)
{
	return r->store;
}

int64_t replica_now_ns(struct replica *r)
{
	return step_time(r);
}

struct raft_node *replica_raft(struct replica *r)
{
	return r->raft;
}

bool replica_is_leading(const struct replica *r)
{
	return r->leading;
}
