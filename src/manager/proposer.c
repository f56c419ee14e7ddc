/*
 * The proposal queue, see proposer.h. Places of a write: waiting -> flying -> answered. What is
 * built into an entry but finds no room, or was rejected along with others, waits again at the
 * front.
 */
#include "manager/proposer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Steps come before users' writes at least once in so many entries. */
#define STEP_SHARE 2
#define RETRY_MS 1000

enum place { PLACE_NONE, PLACE_WAITING, PLACE_FLYING };

enum flying { FLY_NOTHING, FLY_BARRIER, FLY_BATCH };

struct proposer {
	const struct world *world;
	struct proposer_ops ops;
	struct raft_node *node;
	bool leader;
	bool ready; /* the barrier of this term was applied */
	bool prepared;
	bool prepare_due; /* a piece of it */
	bool closing;
	bool running; /* run() is on the stack */
	bool again;   /* run() was asked for meanwhile */
	bool step_due;
	unsigned since_step;
	uint64_t term;
	uint64_t last_version;

	enum flying flying;
	bool flying_steps; /* the entry holds steps */
	struct proposal proposal;
	struct proposer_write waiting, sent; /* heads of rings */
	struct proposer_read readers, served;
	size_t waits; /* writes and readers */
	struct world_timer step_timer;
	struct world_timer retry_timer;
};

/* Rings of writes and of readers. */

static void write_push(struct proposer_write *head, struct proposer_write *w, bool front)
{
	struct proposer_write *after = front ? head : head->prev;

	w->prev = after;
	w->next = after->next;
	after->next->prev = w;
	after->next = w;
}

static void write_pull(struct proposer_write *w)
{
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->prev = w->next = NULL;
}

static void read_push(struct proposer_read *head, struct proposer_read *r)
{
	r->next = head;
	r->prev = head->prev;
	head->prev->next = r;
	head->prev = r;
}

static void read_pull(struct proposer_read *r)
{
	r->prev->next = r->next;
	r->next->prev = r->prev;
	r->prev = r->next = NULL;
}

static void answer_write(struct proposer *p, struct proposer_write *w, int status, uint64_t version,
			 const struct err *e)
{
	if (w->place == PLACE_WAITING)
		p->waits--;
	write_pull(w);
	w->place = PLACE_NONE;
	w->done(w, status, version, e);
}

static void answer_read(struct proposer *p, struct proposer_read *r, int status,
			const struct err *e)
{
	if (r->place == PLACE_WAITING)
		p->waits--;
	read_pull(r);
	r->place = PLACE_NONE;
	r->done(r, status, e);
}

static void answer_writes(struct proposer *p, struct proposer_write *head, int status,
			  uint64_t version, const struct err *e)
{
	while (head->next != head)
		answer_write(p, head->next, status, version, e);
}

static void answer_readers(struct proposer *p, struct proposer_read *head, int status,
			   const struct err *e)
{
	while (head->next != head)
		answer_read(p, head->next, status, e);
}

static void run(struct proposer *p);

static void on_step_timer(struct world_timer *t)
{
	struct proposer *p = container_of(t, struct proposer, step_timer);

	p->step_due = true;
	run(p);
}

static void on_retry_timer(struct world_timer *t)
{
	struct proposer *p = container_of(t, struct proposer, retry_timer);

	p->prepare_due = true;
	run(p);
}

int proposer_new(struct proposer **ret, const struct world *world, const struct proposer_ops *ops)
{
	struct proposer *p = xcalloc(1, sizeof(*p));

	p->world = world;
	p->ops = *ops;
	p->waiting.prev = p->waiting.next = &p->waiting;
	p->sent.prev = p->sent.next = &p->sent;
	p->readers.prev = p->readers.next = &p->readers;
	p->served.prev = p->served.next = &p->served;
	p->step_timer.fire = on_step_timer;
	p->retry_timer.fire = on_retry_timer;
	buf_init(&p->proposal.bytes, LIMIT_ENTRY);
	*ret = p;
	return 0;
}

void proposer_attach(struct proposer *p, struct raft_node *node)
{
	p->node = node;
}

static void refuse_waiting(struct proposer *p, int code, const char *why)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, code, "%s", why);
	answer_writes(p, &p->waiting, code, 0, &e);
	answer_readers(p, &p->readers, code, &e);
}

void proposer_free(struct proposer *p)
{
	struct err e = ERR_INIT;

	if (!p)
		return;
	p->closing = true;
	world_timer_stop(p->world, &p->step_timer);
	world_timer_stop(p->world, &p->retry_timer);
	(void)err_set(&e, -EINPROGRESS,
		      "the manager stops before the write was confirmed: its outcome is unknown; "
		      "look whether it was made before trying again");
	answer_writes(p, &p->sent, -EINPROGRESS, 0, &e);
	answer_readers(p, &p->served, -EINPROGRESS, &e);
	refuse_waiting(p, -EHOSTUNREACH, "the manager stops: nothing was written");
	buf_done(&p->proposal.bytes);
	free(p);
}

/* Building an entry */

static void proposal_rewind(struct proposer *p, size_t len, unsigned changes)
{
	struct proposal *prop = &p->proposal;

	buf_cut(&prop->bytes, len);
	prop->bytes.failed = false;
	prop->changes = changes;
	if (p->ops.rewind)
		p->ops.rewind(p->ops.arg, prop);
}

static bool overfull(const struct proposal *prop)
{
	return prop->bytes.failed || prop->changes > LIMIT_BATCH;
}

/* Runs one waiting write against the view. False when the entry has no room for it. */
static bool build_write(struct proposer *p, struct proposer_write *w)
{
	struct proposal *prop = &p->proposal;
	struct err e = ERR_INIT;
	size_t len = prop->bytes.len;
	unsigned changes = prop->changes;
	int rc = w->build(w, prop, &e);

	if (overfull(prop) && changes > 0) {
		proposal_rewind(p, len, changes);
		return false;
	}
	if (overfull(prop) && rc >= 0)
		rc = err_set(&e, -EMSGSIZE,
			     "the change is larger than the %u bytes or %u objects that one raft "
			     "entry takes",
			     LIMIT_ENTRY, LIMIT_BATCH);
	if (rc < 0 || prop->changes == changes)
		proposal_rewind(p, len, changes);
	/* That there is nothing to do may be so because of what only this entry will make true. */
	if (rc < 0 || prop->changes == 0) {
		answer_write(p, w, rc < 0 ? rc : 0, rc < 0 ? 0 : p->last_version, &e);
		return true;
	}
	w->changes = prop->changes - changes;
	write_pull(w);
	p->waits--;
	w->place = PLACE_FLYING;
	write_push(&p->sent, w, false);
	return true;
}

static void build_writes(struct proposer *p)
{
	while (p->waiting.next != &p->waiting && p->leader) {
		struct proposer_write *w = p->waiting.next;

		if (w->alone && p->proposal.changes > 0)
			return;
		if (!build_write(p, w))
			return;
		/* Memory of an answered write is gone; one that flies is the last of the sent. */
		if (p->sent.prev != &p->sent && p->sent.prev->alone)
			return;
	}
}

static void build_steps(struct proposer *p)
{
	struct proposal *prop = &p->proposal;
	size_t len = prop->bytes.len;
	unsigned changes = prop->changes;
	uint64_t delay_ms;

	p->step_due = false;
	p->since_step = 0;
	if (!p->ops.step)
		return;
	delay_ms = p->ops.step(p->ops.arg, prop, p->term);
	if (overfull(prop)) {
		/* Steps bound themselves by what is left; this one did not look. */
		proposal_rewind(p, len, changes);
		p->step_due = changes > 0;
	}
	p->flying_steps = prop->changes > changes;
	world_timer_stop(p->world, &p->step_timer);
	if (delay_ms > 0)
		world_timer_start(p->world, &p->step_timer, delay_ms);
}

/* The entry was not taken: everything waits again, in its order. */
static void unsend(struct proposer *p)
{
	while (p->sent.prev != &p->sent) {
		struct proposer_write *w = p->sent.prev;

		write_pull(w);
		w->place = PLACE_WAITING;
		p->waits++;
		write_push(&p->waiting, w, true);
	}
	while (p->served.next != &p->served) {
		struct proposer_read *r = p->served.next;

		read_pull(r);
		r->place = PLACE_WAITING;
		p->waits++;
		read_push(&p->readers, r);
	}
	p->step_due = p->step_due || p->flying_steps;
}

/* Rejected as a whole: one of many was at odds with another. Each gets an entry of its own. */
static bool retry_alone(struct proposer *p, int status)
{
	struct proposer_write *w = p->sent.next;

	if (status >= 0 || w == &p->sent || (w->next == &p->sent && !p->flying_steps))
		return false;
	for (; w != &p->sent; w = w->next)
		w->alone = true;
	unsend(p);
	return true;
}

static void on_proposed(void *arg, int status, uint64_t version, const struct err *e)
{
	struct proposer *p = arg;
	enum flying flying = p->flying;
	struct err rejected = ERR_INIT;

	p->flying = FLY_NOTHING;
	if (p->closing)
		return;
	if (status == 0 && flying == FLY_BARRIER)
		p->ready = p->ready || p->leader;
	if (status == 0 && version > p->last_version)
		p->last_version = version;
	if (status != -EINPROGRESS) {
		p->step_due = true;
		answer_readers(p, &p->served, 0, NULL);
		if (retry_alone(p, status)) {
			run(p);
			return;
		}
	}
	if (status < 0 && !e) {
		(void)err_set(&rejected, status,
			      "the change was rejected: the object was changed meanwhile");
		e = &rejected;
	}
	if (p->flying_steps && status < 0 && p->sent.next == &p->sent) {
		/* Made of the state as it is, rejected by the state as it is: no use in haste. */
		p->step_due = false;
		world_timer_start(p->world, &p->step_timer, RETRY_MS);
	}
	p->flying_steps = false;
	answer_writes(p, &p->sent, status, version, e);
	answer_readers(p, &p->served, status, e);
	run(p);
}

/* All readers that wait now are served by the entry that leaves. */
static void board_readers(struct proposer *p)
{
	while (p->readers.next != &p->readers) {
		struct proposer_read *r = p->readers.next;

		read_pull(r);
		p->waits--;
		r->place = PLACE_FLYING;
		read_push(&p->served, r);
	}
}

static void fly(struct proposer *p, enum flying what);

/* Clients are told; the steps try again when there may be room. Reading needs less of it. */
static void no_room(struct proposer *p, enum flying what, const struct err *e)
{
	world_timer_start(p->world, &p->retry_timer, RETRY_MS);
	if (what == FLY_BARRIER) {
		refuse_waiting(p, e->code, e->msg);
		return;
	}
	answer_writes(p, &p->waiting, e->code, 0, e);
	if (p->readers.next != &p->readers)
		fly(p, FLY_BARRIER);
}

static void refused(struct proposer *p, enum flying what, const struct err *e)
{
	unsend(p);
	p->flying_steps = false;
	if (e->code == -ENOSPC) {
		no_room(p, what, e);
	} else if (e->code == -EBUSY || raft_node_is_leader(p->node)) {
		/* Leadership is being handed over: it is lost or back within an election timeout.
		 */
		world_timer_start(p->world, &p->retry_timer, 20);
	}
}

static void fly(struct proposer *p, enum flying what)
{
	struct err e = ERR_INIT;
	size_t len = what == FLY_BATCH ? p->proposal.bytes.len : 0;

	board_readers(p);
	p->flying = what;
	if (raft_node_propose(p->node, p->proposal.bytes.p, len, on_proposed, p, &e) < 0) {
		p->flying = FLY_NOTHING;
		refused(p, what, &e);
	}
	buf_reset(&p->proposal.bytes); /* raft has a copy of its own */
}

static void build_and_fly(struct proposer *p)
{
	struct proposal *prop = &p->proposal;
	bool steps_first;

	buf_reset(&prop->bytes);
	prop->changes = 0;
	prop->view = p->ops.open ? p->ops.open(p->ops.arg, prop) : NULL;
	p->flying_steps = false;
	/* Users' writes leave first, but cannot starve the steps. */
	steps_first = p->step_due && ++p->since_step >= STEP_SHARE;
	if (steps_first)
		build_steps(p);
	build_writes(p);
	if (p->step_due && !steps_first && p->sent.next == &p->sent)
		build_steps(p);
	if (p->ops.close)
		p->ops.close(p->ops.arg, prop);
	prop->view = NULL;
	if (prop->changes > 0)
		fly(p, FLY_BATCH);
	else if (p->readers.next != &p->readers)
		fly(p, FLY_BARRIER);
}

static bool has_work(const struct proposer *p)
{
	return p->waiting.next != &p->waiting || p->readers.next != &p->readers || p->step_due;
}

/* A piece of it in each turn of the loop, however often this is called meanwhile. */
static bool prepare(struct proposer *p)
{
	if (p->prepared || !p->prepare_due)
		return p->prepared;
	p->prepare_due = false;
	p->prepared = !p->ops.prepare || p->ops.prepare(p->ops.arg);
	if (!p->prepared)
		world_timer_start(p->world, &p->retry_timer, 0);
	return p->prepared;
}

static void run_once(struct proposer *p)
{
	bool prepared, flies = p->flying != FLY_NOTHING;

	if (p->closing || !p->node || !p->leader)
		return;
	prepared = p->ready && prepare(p);
	if (flies)
		return;
	if (!p->ready || (!prepared && p->readers.next != &p->readers))
		fly(p, FLY_BARRIER);
	else if (prepared && has_work(p))
		build_and_fly(p);
}

static void run(struct proposer *p)
{
	if (p->running) {
		p->again = true;
		return;
	}
	p->running = true;
	do {
		p->again = false;
		run_once(p);
	} while (p->again && p->flying == FLY_NOTHING);
	p->running = false;
}

void proposer_leadership(struct proposer *p, bool leader, uint64_t term)
{
	p->leader = leader;
	p->ready = p->prepared = false;
	p->prepare_due = true;
	p->term = term;
	p->step_due = leader;
	if (!leader) {
		world_timer_stop(p->world, &p->step_timer);
		world_timer_stop(p->world, &p->retry_timer);
		refuse_waiting(p, -EHOSTUNREACH,
			       "this manager is no longer the leader: nothing was written, try "
			       "again");
	}
	run(p);
}

static int may_queue(const struct proposer *p, struct err *e)
{
	const char *leader;

	if (p->closing || !p->leader) {
		leader = p->node ? raft_node_leader(p->node) : NULL;
		return err_set(e, -EHOSTUNREACH, "this manager is not the leader%s%s",
			       leader ? ", which is " : "; none is known", leader ? leader : "");
	}
	if (p->waits >= LIMIT_PROPOSALS)
		return err_set(e, -EAGAIN,
			       "%u writes and reads wait already for the managers to agree; try "
			       "again later",
			       LIMIT_PROPOSALS);
	return 0;
}

int proposer_write(struct proposer *p, struct proposer_write *w, struct err *e)
{
	int rc = may_queue(p, e);

	if (rc < 0)
		return rc;
	w->place = PLACE_WAITING;
	w->alone = false;
	p->waits++;
	write_push(&p->waiting, w, false);
	run(p);
	return 0;
}

bool proposer_cancel(struct proposer *p, struct proposer_write *w)
{
	if (w->place != PLACE_WAITING)
		return false;
	write_pull(w);
	w->place = PLACE_NONE;
	p->waits--;
	return true;
}

int proposer_read(struct proposer *p, struct proposer_read *r, struct err *e)
{
	int rc = may_queue(p, e);

	if (rc < 0)
		return rc;
	r->place = PLACE_WAITING;
	p->waits++;
	read_push(&p->readers, r);
	run(p);
	return 0;
}

bool proposer_cancel_read(struct proposer *p, struct proposer_read *r)
{
	if (r->place == PLACE_NONE)
		return false;
	if (r->place == PLACE_WAITING)
		p->waits--;
	read_pull(r);
	r->place = PLACE_NONE;
	return true;
}

void proposer_wake(struct proposer *p)
{
	p->step_due = true;
	run(p);
}

bool proposer_ready(const struct proposer *p)
{
	return p->leader && p->ready && p->prepared;
}

size_t proposer_waiting(const struct proposer *p)
{
	return p->waits;
}
