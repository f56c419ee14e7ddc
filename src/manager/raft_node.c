/*
 * The raft node: its life, proposals, and what it tells the manager. See raft_node.h; the parts
 * are in raft_io.c, raft_snapshot.c and raft_change.c.
 *
 * libraft's own callbacks for apply, barrier, change and transfer stay NULL: raft_uv alone fires
 * them, and the simulation would never hear. Instead each call into libraft is bracketed by
 * node_enter() and node_leave(), and after the outermost the node looks at what has changed.
 */
#include "manager/raft_node.h"

#include <limits.h>
#include <raft.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/frame.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/changes.h"
#include "manager/raft_heap.h"
#include "manager/raft_impl.h"

/* Free log space that a majority must have: an entry of the largest size, and twice over. */
#define CAPACITY_BATCH_KIB 4096u
#define CAPACITY_BARRIER_KIB 1024u

/* As libraft's own answers to AppendEntries say. */
#define RESULT_VERSION 2
#define RESULT_FEATURE_CAPACITY 1

void node_fatal(const struct raft_node *n, const char *what, const char *why)
{
	if (!why)
		why = n->disk->errmsg[0] ? n->disk->errmsg : "input/output error";
	log_error("raft: %s failed: %s; the manager cannot go on with a log that it cannot trust: "
		  "shoald ends, containers stay",
		  what, why);
	_exit(EX_IOERR);
}

/* Telling the manager */

static void proposal_finish(struct raft_node *n, int status, const struct err *e)
{
	struct node_proposal *p = &n->proposal;
	raft_propose_cb cb = p->cb;

	p->busy = false;
	cb(p->arg, status, p->version, e);
}

static void proposal_lost(struct raft_node *n)
{
	struct err e = ERR_INIT;

	n->proposal.version = 0;
	(void)err_set(&e, -EINPROGRESS,
		      "leadership was lost before the write was confirmed: its outcome is unknown; "
		      "look whether it was made before trying again");
	proposal_finish(n, -EINPROGRESS, &e);
}

static void poll_proposal(struct raft_node *n)
{
	struct node_proposal *p = &n->proposal;

	if (p->busy && p->applied)
		proposal_finish(n, p->status, NULL);
	else if (p->busy && (!raft_node_is_leader(n) || raft_node_term(n) != p->term))
		proposal_lost(n);
}

static bool poll_leadership(struct raft_node *n)
{
	bool leader = raft_node_is_leader(n);
	uint64_t term = raft_node_term(n);

	if (leader == n->leader && (!leader || term == n->term)) {
		n->term = term;
		return false;
	}
	n->term = term;
	n->leader = leader && !n->leader; /* a new term as leader: lost first, gained next time */
	if (!n->leader && n->change.kind != CHANGE_TRANSFER)
		node_change_fail(n, -EINPROGRESS);
	if (n->events.leadership)
		n->events.leadership(n->events.arg, n->leader, term);
	return true;
}

static bool poll_leader(struct raft_node *n)
{
	const char *leader = raft_node_leader(n);

	if (strcmp(leader ? leader : "", n->leader_node) == 0)
		return false;
	(void)snprintf(n->leader_node, sizeof(n->leader_node), "%s", leader ? leader : "");
	if (n->install.stage == INSTALL_RECEIVING)
		node_install_drop(n);
	if (n->events.leader)
		n->events.leader(n->events.arg, leader);
	return true;
}

static bool poll_members(struct raft_node *n)
{
	const struct raft_configuration *c = &n->raft.configuration_committed;

	if (n->raft.configuration_committed_index == n->members_index)
		return false;
	n->members_index = n->raft.configuration_committed_index;
	n->member_count = 0;
	for (unsigned i = 0; i < c->n && i < LIMIT_MANAGERS; i++) {
		struct raft_member *m = &n->members[n->member_count++];

		m->id = c->servers[i].id;
		m->role = c->servers[i].role == RAFT_VOTER ? RAFT_NODE_VOTER : RAFT_NODE_SPARE;
		(void)snprintf(m->node, sizeof(m->node), "%s", c->servers[i].address);
	}
	if (n->events.members)
		n->events.members(n->events.arg, n->members, n->member_count);
	return true;
}

static void poll_fresh(struct raft_node *n, uint64_t applied)
{
	uint64_t term = raft_node_term(n);

	if (n->fresh || n->applied_term != term)
		return;
	n->fresh = raft_node_is_leader(n) || (n->fresh_term == term && applied >= n->fresh_index);
}

static bool poll_applied(struct raft_node *n)
{
	uint64_t applied = raft_last_applied(&n->raft);

	poll_fresh(n, applied);
	if (applied == n->applied)
		return false;
	n->applied = applied;
	if (n->events.applied)
		n->events.applied(n->events.arg, applied);
	return true;
}

/* What is told may call the node again; that round is seen here, not nested. */
static void node_poll(struct raft_node *n)
{
	bool more = true;

	if (n->polling || !n->started)
		return;
	n->polling = true;
	while (more && !n->closing) {
		poll_proposal(n);
		more = !n->closing && poll_leadership(n);
		more = !n->closing && (poll_leader(n) || more);
		more = !n->closing && (poll_members(n) || more);
		if (!n->closing)
			node_change_poll(n);
		more = !n->closing && (poll_applied(n) || more);
		more = more || (n->proposal.busy && n->proposal.applied);
	}
	n->polling = false;
	if (n->closing)
		return;
	node_tell(n);
	node_snapshot_maybe_take(n);
}

void node_enter(struct raft_node *n)
{
	n->inside++;
	n->io.capacity = n->disk->capacity;
}

void node_leave(struct raft_node *n)
{
	if (--n->inside == 0 && !n->closing)
		node_poll(n);
}

/* Life */

static void defaults(struct raft_node_options *o)
{
	o->election_ms = o->election_ms ? o->election_ms : 300;
	o->heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : 50;
	o->install_ms = o->install_ms ? o->install_ms : 10000;
	o->snapshot_bytes = o->snapshot_bytes ? o->snapshot_bytes : 64u << 20;
	o->trailing_bytes = o->trailing_bytes ? o->trailing_bytes : 32u << 20;
}

static void set_options(struct raft_node *n)
{
	struct raft *r = &n->raft;

	/* It formats each trace, for whom nobody listens. */
	r->tracer = NULL;
	raft_set_election_timeout(r, n->options.election_ms);
	raft_set_heartbeat_timeout(r, n->options.heartbeat_ms);
	raft_set_install_snapshot_timeout(r, n->options.install_ms);
	raft_set_pre_vote(r, true);
	node_snapshot_set_interval(n);
	/* Checked by propose(): libraft asserts when a new leader's own barrier meets full disks.
	 */
	raft_set_capacity_threshold(r, 0);
}

int raft_node_new(struct raft_node **ret, const struct raft_node_config *config, struct err *e)
{
	struct raft_node *n;

	if (config->id == 0 || strlen(config->node) > ID_CLUSTER_LEN || !config->node[0])
		return err_set(e, -EINVAL, "\"%s\" cannot be the id of a manager", config->node);
	if (config->options.heartbeat_ms && config->options.election_ms &&
	    config->options.heartbeat_ms * 2 > config->options.election_ms)
		return err_set(e, -EINVAL,
			       "raft's heartbeat of %u ms must be at most half of its election "
			       "timeout of %u ms",
			       config->options.heartbeat_ms, config->options.election_ms);
	raft_heap_use();
	n = xcalloc(1, sizeof(*n));
	n->disk = config->io;
	n->world = config->world;
	n->state = config->state;
	n->events = config->events;
	n->transport = config->transport;
	n->options = config->options;
	defaults(&n->options);
	n->size.step = MIN_OF((size_t)RAFT_SIZE_STEP, n->options.trailing_bytes / 16);
	(void)snprintf(n->node, sizeof(n->node), "%s", config->node);
	node_io_init(n);
	node_fsm_init(n);
	if (raft_init(&n->raft, &n->io, &n->fsm, config->id, n->node) != 0) {
		(void)err_set(e, -EIO, "the raft log cannot be used: %s", raft_errmsg(&n->raft));
		free(n);
		return -EIO;
	}
	set_options(n);
	*ret = n;
	return 0;
}

int raft_node_bootstrap(struct raft_node *n, struct err *e)
{
	struct raft_configuration c;
	int rv;

	raft_configuration_init(&c);
	rv = raft_configuration_add(&c, n->raft.id, n->node, RAFT_VOTER);
	if (rv == 0)
		rv = raft_bootstrap(&n->raft, &c);
	raft_configuration_close(&c);
	if (rv == RAFT_CANTBOOTSTRAP)
		return err_set(e, -EEXIST, "there is a raft log already: %s", n->disk->errmsg);
	if (rv != 0)
		return err_set(e, rv == RAFT_NOSPACE ? -ENOSPC : -EIO,
			       "the raft log cannot be made: %s", n->disk->errmsg);
	return 0;
}

int raft_node_start(struct raft_node *n, struct err *e)
{
	int rv;

	n->inside++;
	rv = raft_start(&n->raft);
	n->inside--;
	if (rv != 0) {
		if (n->load_err.code)
			return err_set(e, -EBADMSG, "the raft log cannot be loaded: %s",
				       err_text(&n->load_err));
		return err_set(e, rv == RAFT_CORRUPT ? -EBADMSG : -EIO,
			       "the raft log cannot be loaded: %s", n->disk->errmsg);
	}
	n->started = true;
	node_poll(n);
	return 0;
}

static void on_closed(struct raft *r)
{
	struct raft_node *n = container_of(r, struct raft_node, raft);
	void (*done)(void *arg) = n->closed;
	void *arg = n->closed_arg;

	if (n->take.pin)
		n->state.snapshot_unpin(n->state.arg, n->take.pin);
	node_install_drop(n);
	raft_size_done(&n->size);
	free(n);
	if (done)
		done(arg);
}

void raft_node_close(struct raft_node *n, void (*done)(void *arg), void *arg)
{
	n->closing = true;
	n->closed = done;
	n->closed_arg = arg;
	if (n->proposal.busy && n->proposal.applied)
		proposal_finish(n, n->proposal.status, NULL);
	else if (n->proposal.busy)
		proposal_lost(n);
	node_change_fail(n, -EINPROGRESS);
	raft_close(&n->raft, on_closed);
}

/* Messages */

static int check_sender(const struct raft_node *n, const char *peer, uint64_t from, struct err *e)
{
	const struct raft_configuration *c = &n->raft.configuration;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->servers[i].id == from && strcmp(c->servers[i].address, peer) != 0)
			return err_set(e, -EBADMSG, "the node %s sends as the manager %s", peer,
				       c->servers[i].address);
	}
	return 0;
}

static void note_capacity(struct raft_node *n, uint64_t id, unsigned kib)
{
	size_t free_place = LIMIT_MANAGERS;

	for (size_t i = 0; i < LIMIT_MANAGERS; i++) {
		if (n->capacity[i].id == id) {
			n->capacity[i].kib = kib;
			return;
		}
		if (n->capacity[i].id == 0 && free_place == LIMIT_MANAGERS)
			free_place = i;
	}
	if (free_place == LIMIT_MANAGERS) {
		/* Members come and go: what is unknown counts as enough. */
		memset(n->capacity, 0, sizeof(n->capacity));
		free_place = 0;
	}
	n->capacity[free_place].id = id;
	n->capacity[free_place].kib = kib;
}

static bool from_second_leader(const struct raft_node *n, const struct raft_msg *msg)
{
	return msg->kind == RAFT_MSG_APPEND && n->raft.state == RAFT_LEADER &&
	       msg->message.append_entries.term == n->raft.current_term;
}

/*
 * Tells a leader of an older term that its time is over. libraft 0.22.1 does so as well, but leaves
 * the index in its answer unset: read in a later term, it could count for a success.
 */
static bool answer_stale(struct raft_node *n, const char *peer, const struct raft_msg *msg)
{
	auto_buf frame = BUF_INIT(LIMIT_FRAME);
	struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = msg->from};
	struct raft_append_entries_result *r = &m.append_entries_result;

	if (msg->kind == RAFT_MSG_APPEND && msg->message.append_entries.term < n->raft.current_term)
		r->rejected = MAX_OF(msg->message.append_entries.prev_log_index, 1ull);
	else if (msg->kind == RAFT_MSG_SNAPSHOT_BEGIN &&
		 msg->message.install_snapshot.term < n->raft.current_term)
		r->rejected = msg->message.install_snapshot.last_index;
	else
		return false;
	r->version = RESULT_VERSION;
	r->term = n->raft.current_term;
	r->features = RESULT_FEATURE_CAPACITY;
	r->capacity = n->disk->capacity;
	if (raft_msg_encode(&frame, n->raft.id, &m, 0, 0) == 0)
		n->transport.send(n->transport.arg, peer, frame.p, frame.len);
	return true;
}

/*
 * A rejection that was overtaken by a later success: libraft 0.22.1 would set its next index below
 * what it knows to match, count that as too much in flight, and never send an entry again. True
 * when there is nothing in it; else it is made to tell what is known by now.
 */
static bool is_overtaken(struct raft_node *n, struct raft_msg *msg)
{
	struct raft_append_entries_result *r = &msg->message.append_entries_result;
	raft_index match = 0;

	if (msg->kind != RAFT_MSG_APPEND_RESULT || r->rejected == 0 ||
	    n->raft.state != RAFT_LEADER || r->term != n->raft.current_term ||
	    raft_match_index(&n->raft, msg->from, &match) != 0)
		return false;
	r->last_log_index = MAX_OF(r->last_log_index, match);
	return r->rejected <= match;
}

static void note_contact(struct raft_node *n, const struct raft_msg *msg)
{
	uint64_t term = msg->kind == RAFT_MSG_APPEND ? msg->message.append_entries.term
						     : msg->message.install_snapshot.term;

	if (term < n->raft.current_term)
		return;
	n->contact_ms = world_mono_ms(n->world);
	if (!n->fresh && msg->kind == RAFT_MSG_APPEND) {
		if (term != n->fresh_term)
			n->fresh_index = 0;
		n->fresh_term = term;
		n->fresh_index = MAX_OF(n->fresh_index, msg->message.append_entries.leader_commit);
	}
}

/*
 * Who counts as a voter is for the candidate to know: this member may not have received yet that it
 * is one by now, and the candidate's group may have no majority without it. libraft 0.22.1 grants
 * nothing as a spare, so that a group whose leader dies while it promotes a member would have no
 * leader ever after. A vote that does not count is not counted by the candidate. Nor does libraft
 * let a spare forget a leader that it has not heard of for long, for whose sake it would refuse.
 */
static void receive_as_voter(struct raft_node *n, struct raft_msg *msg)
{
	struct raft_configuration *c = &n->raft.configuration;
	struct raft_server *servers = c->servers;
	unsigned i = 0;
	int role;

	while (i < c->n && c->servers[i].id != n->raft.id)
		i++;
	if (msg->kind != RAFT_MSG_VOTE || i == c->n || servers[i].role == RAFT_VOTER) {
		n->recv(&n->io, &msg->message);
		return;
	}
	if (n->raft.state == RAFT_FOLLOWER && n->raft.follower_state.current_leader.id &&
	    world_mono_ms(n->world) - n->contact_ms >= n->options.election_ms) {
		raft_free(n->raft.follower_state.current_leader.address);
		n->raft.follower_state.current_leader.address = NULL;
		n->raft.follower_state.current_leader.id = 0;
	}
	role = servers[i].role;
	servers[i].role = RAFT_VOTER;
	n->recv(&n->io, &msg->message);
	if (c->servers == servers) /* a vote changes no group */
		servers[i].role = role;
}

int raft_node_receive(struct raft_node *n, const char *peer, const void *p, size_t len,
		      struct err *e)
{
	struct raft_msg msg;
	int rc;

	if (n->closing || !n->started)
		return 0;
	rc = raft_msg_decode(p, len, &msg, e);
	if (rc < 0)
		return rc;
	rc = check_sender(n, peer, msg.from, e);
	/* Not for us: for a member that this node was before, say. */
	if (rc < 0 || msg.to != n->raft.id || msg.from == n->raft.id ||
	    from_second_leader(n, &msg) || answer_stale(n, peer, &msg) || is_overtaken(n, &msg)) {
		raft_msg_done(&msg);
		return rc;
	}
	if (msg.kind == RAFT_MSG_SNAPSHOT_BEGIN || msg.kind == RAFT_MSG_APPEND)
		note_contact(n, &msg);
	if (msg.kind == RAFT_MSG_SNAPSHOT_BEGIN || msg.kind == RAFT_MSG_SNAPSHOT_CHUNK)
		return node_snapshot_receive(n, peer, &msg, e);
	if (msg.kind == RAFT_MSG_APPEND_RESULT)
		note_capacity(n, msg.from, msg.message.append_entries_result.capacity);
	msg.message.server_address = peer;
	node_enter(n);
	raft_heap_secret(msg.secret);
	receive_as_voter(n, &msg);
	raft_heap_secret(false);
	node_leave(n);
	return 0;
}

/* Looking */

bool raft_node_is_leader(const struct raft_node *n)
{
	return n->started && !n->closing && n->raft.state == RAFT_LEADER;
}

uint64_t raft_node_term(const struct raft_node *n)
{
	return n->raft.current_term;
}

const char *raft_node_leader(const struct raft_node *n)
{
	const char *address = NULL;
	raft_id id = 0;

	if (!n->started || n->closing)
		return NULL;
	raft_leader((struct raft *)&n->raft, &id, &address);
	return id != 0 ? address : NULL;
}

int raft_node_available(const struct raft_node *n, struct err *e)
{
	uint64_t now = world_mono_ms(n->world);

	if (!n->fresh && (raft_node_is_leader(n) || raft_node_leader(n)))
		return err_set(e, -EHOSTUNREACH,
			       "this manager has just started and does not have all changes yet");
	if (raft_node_is_leader(n))
		return 0;
	if (raft_node_leader(n) && now - n->contact_ms < n->options.election_ms)
		return 0;
	if (n->contact_ms == 0)
		return err_set(e, -EHOSTUNREACH,
			       "this manager knows of no leader: too few managers may be running "
			       "or in reach");
	return err_set(e, -EHOSTUNREACH,
		       "this manager has not heard of a leader for %llu ms: too few managers may "
		       "be running or in reach",
		       (unsigned long long)(now - n->contact_ms));
}

size_t raft_node_members(const struct raft_node *n, const struct raft_member **ret)
{
	*ret = n->members;
	return n->member_count;
}

void raft_node_stats(const struct raft_node *n, struct raft_node_stats *ret)
{
	struct raft *r = (struct raft *)&n->raft;

	memset(ret, 0, sizeof(*ret));
	ret->term = r->current_term;
	ret->last_index = n->closing ? 0 : raft_last_index(r);
	ret->commit_index = r->commit_index;
	ret->applied_index = raft_last_applied(r);
	ret->snapshot_index = r->trail.snapshot.index;
	ret->log_entries = n->size.last + 1 - n->size.start;
	ret->log_bytes = n->size.bytes - n->size.start_bytes;
	ret->snapshot_bytes = n->size.snapshot_bytes;
	if (!raft_node_is_leader(n) && n->contact_ms != 0)
		ret->last_contact_ms = world_mono_ms(n->world) - n->contact_ms;
}

/* Proposing */

static unsigned capacity_of(const struct raft_node *n, uint64_t id)
{
	if (id == n->raft.id)
		return n->disk->capacity;
	for (size_t i = 0; i < LIMIT_MANAGERS; i++) {
		if (n->capacity[i].id == id)
			return n->capacity[i].kib;
	}
	return UINT_MAX;
}

static bool has_room(const struct raft_node *n, unsigned kib)
{
	const struct raft_configuration *c = &n->raft.configuration;
	unsigned voters = 0, healthy = 0;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->servers[i].role != RAFT_VOTER)
			continue;
		voters++;
		healthy += capacity_of(n, c->servers[i].id) >= kib;
	}
	return healthy > voters / 2;
}

static int may_propose(const struct raft_node *n, size_t len, struct err *e)
{
	const char *leader;

	if (!raft_node_is_leader(n) || n->raft.leader_state.transferee != 0) {
		leader = raft_node_leader(n);
		return err_set(e, -EHOSTUNREACH, "this manager is not the leader%s%s",
			       leader ? ", which is " : "; none is known", leader ? leader : "");
	}
	if (n->proposal.busy)
		return err_set(e, -EBUSY, "another raft entry is in flight");
	if (len > LIMIT_ENTRY)
		return err_set(e, -EMSGSIZE,
			       "a raft entry of %zu bytes passes the bound of %u bytes", len,
			       LIMIT_ENTRY);
	if (!has_room(n, len > 0 ? CAPACITY_BATCH_KIB : CAPACITY_BARRIER_KIB))
		return err_set(e, -ENOSPC,
			       "the disks of too many managers are full: free space under their "
			       "data roots");
	return 0;
}

/* The payload as libraft takes it: an envelope and zeros up to a multiple of 8. */
static struct raft_buffer envelope(const void *p, size_t len, bool secret,
				   const struct node_proposal *own)
{
	size_t size = (ENVELOPE_LEN + len + 7) / 8 * 8;
	uint8_t *bytes = raft_heap_new(size, secret);

	bytes[0] = ENVELOPE_VERSION;
	bytes[1] = len > 0 ? ENVELOPE_BATCH : ENVELOPE_BARRIER;
	le32_put(bytes + 4, (uint32_t)len);
	le64_put(bytes + 8, own->nonce);
	le64_put(bytes + 16, own->term);
	if (len > 0)
		memcpy(bytes + ENVELOPE_LEN, p, len);
	return (struct raft_buffer){.base = bytes, .len = size};
}

int raft_node_propose(struct raft_node *n, const void *p, size_t len, raft_propose_cb cb, void *arg,
		      struct err *e)
{
	struct node_proposal *own = &n->proposal;
	bool secret = len > 0 && changes_hold_secrets(p, len);
	struct raft_buffer buf;
	int rc = may_propose(n, len, e);

	if (rc < 0)
		return rc;
	memset(own, 0, sizeof(*own));
	own->busy = true;
	own->nonce = world_random_u64(n->world);
	own->term = n->raft.current_term;
	own->cb = cb;
	own->arg = arg;
	buf = envelope(p, len, secret, own);
	node_enter(n);
	raft_heap_secret(secret);
	rc = raft_apply(&n->raft, &own->req, &buf, 1, NULL);
	raft_heap_secret(false);
	if (rc != 0) {
		raft_free(buf.base);
		own->busy = false;
		rc = err_set(e, -EHOSTUNREACH, "raft has refused the entry: %s", raft_strerror(rc));
	}
	node_leave(n);
	return rc;
}
