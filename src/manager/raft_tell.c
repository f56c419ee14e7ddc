/*
 * Telling followers what is committed. libraft lets them know with the next entry or heartbeat,
 * which in a quiet group comes up to a heartbeat and a half later; whoever reads there, or has
 * written by way of a follower, would wait for it. So a leader that has nothing more to send says
 * it at once, in an AppendEntries without entries. Part of the raft node.
 */
#include <raft.h>
#include <string.h>

#include "manager/raft_impl.h"

/* Where the member's mark is kept; NULL when there is no room, which only costs a message. */
static uint64_t *mark_of(struct raft_node *n, uint64_t id)
{
	if (n->told_term != n->raft.current_term) {
		n->told_term = n->raft.current_term;
		memset(n->told, 0, sizeof(n->told));
	}
	for (size_t i = 0; i < LIMIT_MANAGERS; i++) {
		if (n->told[i].id == 0)
			n->told[i].id = id;
		if (n->told[i].id == id)
			return &n->told[i].index;
	}
	return NULL;
}

/* An AppendEntries leaves, which says it as well. */
void node_told(struct raft_node *n, const struct raft_message *m)
{
	uint64_t *mark = mark_of(n, m->server_id);

	if (mark)
		*mark = m->append_entries.leader_commit;
}

static void tell(struct raft_node *n, const struct raft_server *to, uint64_t last)
{
	auto_buf frame = BUF_INIT(LIMIT_FRAME);
	struct raft_message m = {
		.type = RAFT_APPEND_ENTRIES, .server_id = to->id, .server_address = to->address};

	m.append_entries.term = n->raft.current_term;
	m.append_entries.prev_log_index = last;
	m.append_entries.prev_log_term = n->raft.current_term;
	m.append_entries.leader_commit = last;
	node_told(n, &m);
	if (raft_msg_encode(&frame, n->raft.id, &m, 0, 0) == 0)
		n->transport.send(n->transport.arg, to->address, frame.p, frame.len);
}

/* After each round: those who have all there is, and do not know that all of it is committed. */
void node_tell(struct raft_node *n)
{
	struct raft *r = &n->raft;
	raft_index last, match;

	/* The last entry is of this term once any of this term was applied. */
	if (r->state != RAFT_LEADER || n->applied_term != r->current_term)
		return;
	last = raft_last_index(r);
	if (r->commit_index != last)
		return;
	for (unsigned i = 0; i < r->configuration.n; i++) {
		const struct raft_server *to = &r->configuration.servers[i];
		const uint64_t *mark;

		if (to->id == r->id || raft_match_index(r, to->id, &match) != 0 || match != last)
			continue;
		mark = mark_of(n, to->id);
		if (mark && *mark < last)
			tell(n, to, last);
	}
}
